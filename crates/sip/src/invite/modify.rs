//! Changes of an established session: re-INVITE (RFC 3261 §14) and UPDATE (RFC 3311), both ways, and their collisions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::{Cause, Time};

use super::call::{Call, Fork, Phase, Side};
use super::exchange::{Collision, Exchange};
use super::queue::{Operation, Waiting};
use crate::body::description;
use crate::command::{Body, Hangup, Headers, Reject};
use crate::core::ServerId;
use crate::dialog::Draft;
use crate::endpoint::{Channel, Misuse, Purpose, Reply, UsageTimer};
use crate::event::{Description, EndCause, Event, Failure, OfferCarrier};
use crate::head::Head;
use crate::session_timer::{Agreed, Asked};

/// A change of the session that is under way.
#[derive(Debug)]
pub(crate) enum Change {
    /// Our re-INVITE or UPDATE has no final response.
    Ours {
        /// The number of that request: a response to an earlier one may still come again.
        cseq: u32,
        /// The dialog that it was sent in.
        fork: u16,
        /// What to try again after a 491.
        again: Box<Operation>,
        cause: Option<Cause>,
    },
    /// The 2xx to our INVITE carries an offer, and the ACK waits for our answer.
    AckDue {
        /// That INVITE.
        draft: Arc<Draft>,
    },
    /// The peer's request waits for our answer.
    Theirs(Box<Theirs>),
}

/// A request of the peer that waits for our answer.
#[derive(Debug)]
pub(crate) struct Theirs {
    /// The dialog that it came in.
    pub(crate) fork: u16,
    pub(crate) server: ServerId,
    pub(crate) request: Message,
    pub(crate) carrier: OfferCarrier,
}

impl Call {
    /// Sends a re-INVITE: with an offer of the caller of the API, or (to refresh the session) with what is agreed.
    pub(crate) fn send_reinvite(
        &mut self,
        channel: &mut Channel,
        now: Time,
        operation: Operation,
        cause: Option<Cause>,
    ) {
        let (offer, headers) = self.content_of(&operation);
        let Some(fork) = self.forks.first_mut() else {
            return;
        };
        let number = fork.number;
        let draft = fork
            .dialog
            .draft(Method::Invite)
            .with(HeaderName::Allow, channel.allow())
            .with(HeaderName::Supported, channel.supported(true));
        let mut draft = self.with_session_timer(draft).with_extra(headers);
        if let Some(offer) = offer {
            draft.body = Some(Body::new("application/sdp", offer));
            self.open_offer();
        }
        let again = Box::new(operation);
        let cseq = draft.cseq;
        self.change = Some(Change::Ours {
            cseq,
            fork: number,
            again,
            cause,
        });
        channel.send(now, self.identity, Purpose::Reinvite(self.id), draft, cause);
    }

    /// Sends an UPDATE; without an offer where it refreshes the session.
    pub(crate) fn send_update(
        &mut self,
        channel: &mut Channel,
        now: Time,
        operation: Operation,
        cause: Option<Cause>,
    ) {
        let (offer, headers) = match &operation {
            Operation::Refresh => (None, Headers::new()),
            other => self.content_of(other),
        };
        let Some(fork) = self.forks.first_mut() else {
            return;
        };
        let number = fork.number;
        let draft = fork
            .dialog
            .draft(Method::Update)
            .with(HeaderName::Allow, channel.allow())
            .with(HeaderName::Supported, channel.supported(false));
        let mut draft = self.with_session_timer(draft).with_extra(headers);
        if let Some(offer) = offer {
            draft.body = Some(Body::new("application/sdp", offer));
            self.open_offer();
        }
        let again = Box::new(operation);
        let cseq = draft.cseq;
        self.change = Some(Change::Ours {
            cseq,
            fork: number,
            again,
            cause,
        });
        channel.send(now, self.identity, Purpose::Update(self.id), draft, cause);
    }

    /// The offer and the header fields of a change.
    fn content_of(&self, operation: &Operation) -> (Option<Bytes>, Headers) {
        match operation {
            Operation::Offer { offer, headers } | Operation::Update { offer, headers } => {
                (offer.clone(), headers.clone())
            }
            Operation::Refresh => (self.session.local.clone(), Headers::new()),
            Operation::Progress(_)
            | Operation::Answer(_)
            | Operation::Request(..)
            | Operation::Refer(..)
            | Operation::Hangup(_) => (None, Headers::new()),
        }
    }

    /// Whether the change that is under way refreshes the session.
    fn is_refreshing(&self) -> bool {
        matches!(&self.change, Some(Change::Ours { again, .. }) if matches!(**again, Operation::Refresh))
    }

    fn open_offer(&mut self) {
        if let Some(fork) = self.forks.first_mut() {
            fork.exchange.offer();
        }
    }

    /// Our re-INVITE or UPDATE went out again under another number, after a challenge.
    pub(crate) fn change_moved(&mut self, from: u32, to: u32) {
        if let Some(Change::Ours { cseq, .. }) = &mut self.change
            && *cseq == from
        {
            *cseq = to;
        }
    }

    /// A response to our re-INVITE or UPDATE; no 401 or 407 that was met.
    pub(crate) fn on_change_response(
        &mut self,
        channel: &mut Channel,
        now: Time,
        draft: &Arc<Draft>,
        message: Message,
        cause: Option<Cause>,
    ) {
        let status = message.status().unwrap_or_default();
        let invite = draft.method == Method::Invite;
        if status < 200 {
            return;
        }
        if !matches!(self.change, Some(Change::Ours { cseq, .. }) if cseq == draft.cseq) {
            // The 2xx again, or the answer to a request that a BYE overtook: each 2xx to INVITE gets its ACK.
            let due = matches!(&self.change, Some(Change::AckDue { draft: due }) if due.cseq == draft.cseq);
            if invite && status < 300 && !due && !self.repeat_ack(channel, now, draft.cseq) {
                self.acknowledge(channel, now, draft, None, cause);
            }
            return;
        }
        match status {
            ..300 => self.on_change_accepted(channel, now, draft, message, cause),
            491 => self.on_glare(channel, now),
            _ => self.on_change_refused(channel, now, draft, status, message),
        }
    }

    fn on_change_accepted(
        &mut self,
        channel: &mut Channel,
        now: Time,
        draft: &Arc<Draft>,
        message: Message,
        cause: Option<Cause>,
    ) {
        let invite = draft.method == Method::Invite;
        let refresh = self.is_refreshing();
        let Some(fork) = self.changing_mut() else {
            return;
        };
        if let Some(contact) = message.contact() {
            fork.dialog.retarget(contact.uri);
        }
        let offered = fork.exchange.awaits_answer();
        let body = description(&message);
        let described = match (offered, body) {
            (true, Some(answer)) => {
                fork.exchange.settle();
                Some(Description::Answer(answer))
            }
            // An empty re-INVITE: the 2xx must offer.
            (false, Some(offer)) if invite && draft.body.is_none() => {
                let taken = fork.exchange.take_offer(OfferCarrier::Invite);
                taken.is_ok().then_some(Description::Offer(offer))
            }
            (true, None) => {
                // RFC 3264 §4: an offer without an answer changes nothing.
                fork.exchange.withdraw();
                None
            }
            (false, _) => None,
        };
        if let (Some(Description::Answer(_)), Some(offer)) = (&described, &draft.body) {
            // RFC 3261 §14.1: one that is refused changes nothing, and is offered to nobody again.
            self.session.local = Some(offer.bytes.clone());
        }
        self.learn(&message);
        self.change = None;
        let agreed = Agreed::as_client(Asked::by(&message));
        let was = self.session.timer.is_some();
        if agreed.is_some() || was {
            self.restart_session_timer(channel, now, agreed);
        }
        match described {
            Some(Description::Offer(_)) => self.change = Some(Change::AckDue { draft: draft.clone() }),
            Some(Description::Answer(_) | Description::Preview(_)) | None if invite => {
                self.acknowledge(channel, now, draft, None, cause);
            }
            Some(_) | None => {}
        }
        channel.tell(Event::OfferAnswered {
            call: self.id,
            description: described,
            message,
            refresh,
        });
        self.pump(channel, now);
    }

    fn on_change_refused(
        &mut self,
        channel: &mut Channel,
        now: Time,
        draft: &Arc<Draft>,
        status: u16,
        message: Message,
    ) {
        let refresh = self.is_refreshing();
        if let Some(fork) = self.changing_mut()
            && draft.body.is_some()
        {
            fork.exchange.withdraw();
        }
        self.change = None;
        if crate::dialog::ends_dialog(status) {
            self.dialog_gone(channel, now, message);
            return;
        }
        self.refresh_again(channel, now, draft, &message);
        channel.tell(Event::OfferRejected {
            call: self.id,
            failure: Failure::Response(message),
            refresh,
        });
        self.pump(channel, now);
    }

    /// Our re-INVITE or UPDATE got no response: RFC 3261 §14.1 ends the dialog then.
    pub(crate) fn on_change_failed(&mut self, channel: &mut Channel, now: Time, end: EndCause) {
        self.leave(channel, now, end, Hangup::default(), None);
    }

    /// 491: both sides offered at the same time. The offer is tried again after a random time that differs between the sides
    /// (RFC 3261 §14.1), in steps of 10 ms.
    fn on_glare(&mut self, channel: &mut Channel, now: Time) {
        if let Some(fork) = self.changing_mut()
            && fork.exchange.awaits_answer()
        {
            fork.exchange.withdraw();
        }
        let Some(Change::Ours { again, cause, .. }) = self.change.take() else {
            return;
        };
        self.queue.push_front(Waiting {
            operation: *again,
            cause,
        });
        self.glare = true;
        let wait = match self.side {
            // The owner of the Call-ID: 2.1 s to 4 s.
            Side::Caller => 2_100 + 10 * channel.entropy.below(191),
            // The other side: 0 s to 2 s.
            Side::Callee => 10 * channel.entropy.below(201),
        };
        channel
            .timers
            .set(UsageTimer::Glare(self.id), now + Duration::from_millis(wait));
    }

    /// The wait after a 491 is over.
    pub(crate) fn glare_over(&mut self, channel: &mut Channel, now: Time) {
        self.glare = false;
        self.pump(channel, now);
    }

    /// A re-INVITE of the peer (RFC 3261 §14.2).
    pub(crate) fn on_reinvite(
        &mut self,
        channel: &mut Channel,
        now: Time,
        server: ServerId,
        message: Message,
    ) {
        if !matches!(self.phase, Phase::Answered | Phase::Established) {
            // An INVITE inside a dialog that is still early on our side as callee: the first one is pending.
            self.refuse_collision(channel, now, server, &message, self.pending_collision());
            return;
        }
        // RFC 5407 §3.1.5: our offer in the 2xx waits for the answer in the ACK.
        let collision = match (&self.change, self.exchange()) {
            (Some(Change::Ours { .. } | Change::AckDue { .. }), _) => Some(Collision::Ours),
            (Some(Change::Theirs(_)), _) => Some(Collision::Theirs),
            (None, Exchange::LocalOffer { .. }) => Some(Collision::Ours),
            (None, Exchange::RemoteOffer { .. }) => Some(Collision::Theirs),
            (None, Exchange::Stable { .. }) => None,
        };
        if let Some(collision) = collision {
            self.refuse_collision(channel, now, server, &message, collision);
            return;
        }
        // RFC 5407 §3.1.4: the ACK of the first INVITE was lost, yet the peer, who sends a new one, knows of our 2xx.
        if self.settle_answer(channel).is_some() {
            channel.timers.clear(UsageTimer::RepeatAnswer(self.id));
            channel.timers.clear(UsageTimer::AwaitAck(self.id));
            if matches!(self.phase, Phase::Answered) {
                self.phase = Phase::Established;
                channel.tell(Event::Confirmed {
                    call: self.id,
                    description: None,
                });
            }
        }
        self.take_change(channel, now, server, message, OfferCarrier::Invite, 0);
    }

    /// An UPDATE of the peer (RFC 3311 §5.2), in the dialog at this place.
    pub(crate) fn on_update(
        &mut self,
        channel: &mut Channel,
        now: Time,
        server: ServerId,
        message: Message,
        place: usize,
    ) {
        let Some(fork) = self.forks.get(place) else {
            return;
        };
        if description(&message).is_none() {
            self.answer_update(channel, now, server, message, place);
            return;
        }
        let collision = match (&self.change, fork.exchange) {
            // A call has one change at a time, be it in another of its dialogs.
            (Some(Change::Theirs(_)), _) | (_, Exchange::RemoteOffer { .. }) => Some(Collision::Theirs),
            (Some(Change::Ours { again, .. }), _) if self.is_offered_by(again) => Some(Collision::Ours),
            (_, Exchange::LocalOffer { .. }) => Some(Collision::Ours),
            (_, Exchange::Stable { .. }) => None,
        };
        match collision {
            Some(collision) => self.refuse_collision(channel, now, server, &message, collision),
            None => self.take_change(channel, now, server, message, OfferCarrier::Update, place),
        }
    }

    fn take_change(
        &mut self,
        channel: &mut Channel,
        now: Time,
        server: ServerId,
        message: Message,
        carrier: OfferCarrier,
        place: usize,
    ) {
        let asked = Asked::by(&message);
        if let Err(min) = asked.refuse_below(channel.config.min_session) {
            channel.answer(
                now,
                server,
                &message,
                self,
                &Reply::new(422).with(HeaderName::MinSe, min),
            );
            return;
        }
        self.learn(&message);
        let Some(fork) = self.forks.get_mut(place) else {
            return;
        };
        if let Ok(head) = Head::of(&message) {
            fork.dialog.refresh_target(&head);
        }
        let offer = description(&message);
        if offer.is_some()
            && let Err(collision) = fork.exchange.take_offer(carrier)
        {
            self.refuse_collision(channel, now, server, &message, collision);
            return;
        }
        let theirs = Theirs {
            fork: fork.number,
            server,
            request: message.clone(),
            carrier,
        };
        self.change = Some(Change::Theirs(Box::new(theirs)));
        channel.tell(Event::Offer {
            call: self.id,
            offer,
            carrier,
            message,
        });
    }

    /// An UPDATE without an offer refreshes the session and the target.
    fn answer_update(
        &mut self,
        channel: &mut Channel,
        now: Time,
        server: ServerId,
        message: Message,
        place: usize,
    ) {
        let asked = Asked::by(&message);
        if let Err(min) = asked.refuse_below(channel.config.min_session) {
            channel.answer(
                now,
                server,
                &message,
                self,
                &Reply::new(422).with(HeaderName::MinSe, min),
            );
            return;
        }
        self.learn(&message);
        if let (Some(fork), Ok(head)) = (self.forks.get_mut(place), Head::of(&message)) {
            fork.dialog.refresh_target(&head);
        }
        let agreed = Agreed::as_server(asked, None);
        let reply = self.session_reply(channel, 200, asked, agreed);
        channel.answer(now, server, &message, self, &reply);
        if agreed.is_some() || self.session.timer.is_some() {
            self.restart_session_timer(channel, now, agreed);
        }
    }

    fn pending_collision(&self) -> Collision {
        match self.phase {
            Phase::Calling(_) => Collision::Ours,
            Phase::Ringing(_) | Phase::Answered | Phase::Established | Phase::Leaving | Phase::Over => {
                Collision::Theirs
            }
        }
    }

    fn refuse_collision(
        &self,
        channel: &mut Channel,
        now: Time,
        server: ServerId,
        message: &Message,
        collision: Collision,
    ) {
        let reply = match collision {
            Collision::Ours => Reply::new(491),
            // RFC 3261 §14.2: 0 to 10 s, at random.
            Collision::Theirs => Reply::new(500).with(HeaderName::RetryAfter, channel.entropy.below(11)),
        };
        channel.answer(now, server, message, self, &reply);
    }

    /// Answers the peer's offer, or offers where the peer asked for it.
    pub(crate) fn answer_theirs(
        &mut self,
        channel: &mut Channel,
        now: Time,
        body: Bytes,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        match self.change.take() {
            Some(Change::AckDue { draft }) => {
                self.session.local = Some(body.clone());
                self.acknowledge(channel, now, &draft, Some(body), cause);
            }
            Some(Change::Theirs(theirs)) => self.send_theirs(channel, now, *theirs, body, cause),
            other => {
                self.change = other;
                let due = self.forks.iter_mut().position(|fork| fork.prack_due.is_some());
                let Some(place) = due else {
                    return Err(Misuse::NoOffer);
                };
                let Some(rack) = self.forks[place].prack_due.take() else {
                    return Err(Misuse::NoOffer);
                };
                self.session.local = Some(body.clone());
                self.send_prack(channel, now, place, rack, Some(body), cause);
            }
        }
        self.pump(channel, now);
        Ok(())
    }

    fn send_theirs(
        &mut self,
        channel: &mut Channel,
        now: Time,
        theirs: Theirs,
        body: Bytes,
        cause: Option<Cause>,
    ) {
        let Theirs {
            fork,
            server,
            request,
            carrier,
        } = theirs;
        self.session.local = Some(body.clone());
        if let Some(fork) = self.numbered_mut(fork) {
            if fork.exchange.owes_answer() {
                fork.exchange.settle();
            } else {
                fork.exchange.offer();
            }
        }
        let asked = Asked::by(&request);
        let agreed = Agreed::as_server(asked, None);
        let mut reply = match carrier {
            OfferCarrier::Invite | OfferCarrier::Update => self.session_reply(channel, 200, asked, agreed),
            OfferCarrier::Prack | OfferCarrier::Provisional => Reply::new(200),
        };
        reply.body = Some(Body::new("application/sdp", body));
        let wire = channel.respond(
            now,
            server,
            &request,
            Some(self.identity),
            &self.local_tag,
            &reply,
            cause,
        );
        match carrier {
            OfferCarrier::Invite => {
                let cseq = request.cseq().map_or(0, |cseq| cseq.number);
                self.await_ack(channel, now, server, wire, cseq, cause);
            }
            OfferCarrier::Update | OfferCarrier::Prack | OfferCarrier::Provisional => {}
        }
        if carrier != OfferCarrier::Prack && (agreed.is_some() || self.session.timer.is_some()) {
            self.restart_session_timer(channel, now, agreed);
        }
    }

    /// Refuses the peer's offer: what was agreed before stays (RFC 3261 §14.2).
    pub(crate) fn refuse_theirs(
        &mut self,
        channel: &mut Channel,
        now: Time,
        reject: Reject,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        match self.change.take() {
            Some(Change::Theirs(theirs)) => {
                let reply = Reply::new(reject.status)
                    .with_reason(reject.reason)
                    .with_extra(reject.headers);
                let identity = Some(self.identity);
                channel.respond(
                    now,
                    theirs.server,
                    &theirs.request,
                    identity,
                    &self.local_tag,
                    &reply,
                    cause,
                );
                self.withdraw_exchange(theirs.fork);
                self.pump(channel, now);
                Ok(())
            }
            other => {
                self.change = other;
                Err(Misuse::NoOffer)
            }
        }
    }

    /// The peer cancelled its re-INVITE, or the call ends under it: 487.
    pub(crate) fn withdraw_theirs(&mut self, channel: &mut Channel, now: Time) {
        match self.change.take() {
            Some(Change::Theirs(theirs)) => {
                let reply = Reply::new(487);
                let identity = Some(self.identity);
                channel.respond(
                    now,
                    theirs.server,
                    &theirs.request,
                    identity,
                    &self.local_tag,
                    &reply,
                    None,
                );
                self.withdraw_exchange(theirs.fork);
                if self.lives() {
                    channel.tell(Event::OfferWithdrawn { call: self.id });
                    self.pump(channel, now);
                }
            }
            other => self.change = other,
        }
    }

    /// The dialog of our change.
    fn changing_mut(&mut self) -> Option<&mut Fork> {
        match self.change {
            Some(Change::Ours { fork, .. }) => self.numbered_mut(fork),
            Some(Change::AckDue { .. } | Change::Theirs(_)) | None => None,
        }
    }

    /// The call goes on in this dialog alone, or in none of those that it has: a change in another one is over with it.
    pub(crate) fn leave_other_changes(&mut self, channel: &mut Channel, now: Time, chosen: Option<u16>) {
        match &self.change {
            Some(Change::Theirs(theirs)) if Some(theirs.fork) != chosen => self.withdraw_theirs(channel, now),
            Some(Change::Ours { fork, .. }) if Some(*fork) != chosen => {
                let refresh = self.is_refreshing();
                self.change = None;
                channel.tell(Event::OfferRejected {
                    call: self.id,
                    failure: Failure::CallEnded,
                    refresh,
                });
            }
            Some(Change::Theirs(_) | Change::Ours { .. } | Change::AckDue { .. }) | None => {}
        }
    }

    fn withdraw_exchange(&mut self, fork: u16) {
        if let Some(fork) = self.numbered_mut(fork)
            && fork.exchange.owes_answer()
        {
            fork.exchange.withdraw();
        }
    }

    /// True for a request that carries an offer or asks for one.
    fn is_offered_by(&self, operation: &Operation) -> bool {
        match operation {
            Operation::Offer { .. } => true,
            Operation::Update { offer, .. } => offer.is_some(),
            Operation::Refresh => !self.session.peer_updates,
            Operation::Progress(_)
            | Operation::Answer(_)
            | Operation::Request(..)
            | Operation::Refer(..)
            | Operation::Hangup(_) => false,
        }
    }
}
