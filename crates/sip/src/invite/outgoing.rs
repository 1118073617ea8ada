//! The caller's side of the INVITE that begins a call (RFC 3261 §13.2), forked answers included.

use std::sync::Arc;

use bytes::Bytes;
use callwright_sip_message::header::{MinSe, ReferredBy};
use callwright_sip_message::{HeaderName, Message, Method, Uri};
use callwright_wire::{Cause, Flow, Time};

use super::call::{Call, Fork, Phase, SentAck, Session, Side};
use super::exchange::Exchange;
use super::modify::Change;
use crate::body::description;
use crate::command::{Body, Hangup, Headers, Invite, Reliability, SessionTimer};
use crate::core::ClientId;
use crate::dialog::{Dialog, Draft};
use crate::endpoint::{CallId, Channel, Purpose, UsageTimer};
use crate::event::{Description, EndCause, Event, OfferCarrier};
use crate::head::{Head, tag_of};
use crate::session_timer::{self, Agreed, Asked};

/// How many targets one call may be redirected to (RFC 3261 §8.1.3.4).
const MAX_REDIRECTS: usize = 10;

/// How often a 422 raises the interval of one call (RFC 4028 §7.4).
const MAX_RAISES: u8 = 3;

/// What is known while our INVITE has no final response.
#[derive(Debug)]
pub(crate) struct Calling {
    pub(crate) client: ClientId,
    /// How to hang up, once that was asked for: CANCEL is under way.
    pub(crate) hangup: Option<Hangup>,
    follow: bool,
    tried: Vec<Uri>,
    contacts: Vec<Uri>,
    session_timer: Option<SessionTimer>,
    raises: u8,
    forks: u16,
}

impl Call {
    /// Sends the INVITE. `None` when the identity is gone.
    pub(crate) fn place(
        channel: &mut Channel,
        now: Time,
        id: CallId,
        invite: Invite,
        cause: Option<Cause>,
    ) -> Option<Call> {
        let (mut draft, tag) = channel.outside(
            invite.identity,
            Method::Invite,
            &invite.target,
            &invite.addressing,
        )?;
        draft.contact = true;
        write_invite(channel, &mut draft, &invite);
        let session = Session {
            local: invite.offer,
            ..Session::default()
        };
        let Some(client) = channel.send(now, invite.identity, Purpose::Invite(id), draft, cause) else {
            // The caller of the API is told now, and the next call may have this number.
            channel.unsent.pop();
            return None;
        };
        let limit = channel.config.max_ringing;
        let ringing = invite.expires.map_or(limit, |expires| expires.min(limit));
        channel.timers.set(UsageTimer::RingExpires(id), now + ringing);
        let calling = Calling {
            client,
            hangup: None,
            follow: invite.follow_redirects,
            tried: vec![invite.target],
            contacts: Vec::new(),
            session_timer: invite.session_timer,
            raises: 0,
            forks: 0,
        };
        let phase = Phase::Calling(Box::new(calling));
        Some(Call {
            session,
            ..Call::new(id, Side::Caller, invite.identity, tag, phase)
        })
    }

    /// The INVITE went out again under another number: early dialogs of the last one are over.
    pub(crate) fn invite_moved(&mut self, channel: &mut Channel, now: Time, client: ClientId) {
        self.leave_other_changes(channel, now, None);
        self.forks.clear();
        if let Phase::Calling(calling) = &mut self.phase {
            calling.client = client;
        }
    }

    /// A response to the INVITE; no 401 or 407 that was met.
    pub(crate) fn on_invite_response(
        &mut self,
        channel: &mut Channel,
        now: Time,
        client: ClientId,
        (draft, cause): (Arc<Draft>, Option<Cause>),
        message: Message,
        flow: Flow,
    ) {
        let status = message.status().unwrap_or_default();
        match status {
            ..200 => self.on_provisional(channel, now, &draft, message, flow),
            200..300 => self.on_answer(channel, now, client, (&draft, cause), message, flow),
            300.. => self.on_refusal(channel, now, draft, cause, message),
        }
    }

    fn on_provisional(
        &mut self,
        channel: &mut Channel,
        now: Time,
        draft: &Arc<Draft>,
        message: Message,
        flow: Flow,
    ) {
        if !matches!(self.phase, Phase::Calling(_)) {
            return;
        }
        let status = message.status().unwrap_or_default();
        let tag = tag_of(&message, HeaderName::To).filter(|_| status > 100);
        let (Some(tag), Ok(head)) = (tag, Head::of(&message)) else {
            let event = Event::Progress {
                call: self.id,
                fork: 0,
                status,
                description: None,
                reliable: false,
                message,
            };
            channel.tell(event);
            return;
        };
        let Some(place) = self.fork_for(channel, draft, &tag, &head) else {
            return;
        };
        self.learn(&message);
        let fork = &mut self.forks[place];
        fork.dialog.flow = Some(flow);
        if head.contact.is_some() {
            fork.dialog.refresh_target(&head);
        }
        let Some(reliable) = fork.take_rseq(&message) else {
            return;
        };
        let body = description(&message);
        let description = body.and_then(|body| {
            fork.exchange
                .take_from_response(body, reliable, OfferCarrier::Provisional)
        });
        let number = fork.number;
        if reliable {
            let rseq = fork.rseq.unwrap_or_default();
            let rack = format!("{rseq} {} INVITE", draft.cseq);
            if matches!(description, Some(Description::Offer(_))) {
                // RFC 3262 §5: the PRACK carries the answer, so it waits for it.
                self.forks[place].prack_due = Some(rack);
            } else {
                self.send_prack(channel, now, place, rack, None, None);
            }
        }
        channel.tell(Event::Progress {
            call: self.id,
            fork: number,
            status,
            description,
            reliable,
            message,
        });
        self.pump(channel, now);
    }

    /// The early dialog with this tag, made when it is new; `None` when there are too many.
    fn fork_for(&mut self, channel: &Channel, draft: &Draft, tag: &str, head: &Head) -> Option<usize> {
        if let Some(place) = self.fork(&draft.call_id, tag) {
            return Some(place);
        }
        let Phase::Calling(calling) = &mut self.phase else {
            return None;
        };
        if self.forks.len() >= channel.config.max_forks {
            return None;
        }
        let number = calling.forks;
        calling.forks += 1;
        let exchange = if draft.body.is_some() {
            Exchange::LocalOffer { agreed: false }
        } else {
            Exchange::NEW
        };
        let dialog = Dialog::as_client(draft, &self.local_tag, head);
        self.forks.push(Fork {
            number,
            dialog,
            exchange,
            rseq: None,
            prack_due: None,
            left: false,
            given_up: false,
        });
        Some(self.forks.len() - 1)
    }

    fn on_answer(
        &mut self,
        channel: &mut Channel,
        now: Time,
        client: ClientId,
        (draft, cause): (&Arc<Draft>, Option<Cause>),
        message: Message,
        flow: Flow,
    ) {
        let Ok(head) = Head::of(&message) else {
            return self.without_dialog(channel, now);
        };
        let tag = head.tag_in_to();
        if !matches!(self.phase, Phase::Calling(_)) {
            // RFC 3261 §13.2.2.4: the same again, or another fork's.
            if self.fork(&draft.call_id, &tag).is_none() {
                channel.end_stray(now, client, draft, &head, flow);
            } else {
                self.repeat_ack(channel, now, draft.cseq);
            }
            return;
        }
        // The limit on early dialogs must not lose the one that answers.
        if self.fork(&draft.call_id, &tag).is_none()
            && self.forks.len() >= channel.config.max_forks
            && let Some(fork) = self.forks.pop()
        {
            channel.strand(client, &fork.dialog, false);
        }
        let Some(place) = self.fork_for(channel, draft, &tag, &head) else {
            return;
        };
        let Phase::Calling(calling) = std::mem::replace(&mut self.phase, Phase::Established) else {
            return;
        };
        channel.timers.clear(UsageTimer::RingExpires(self.id));
        self.answered = true;
        self.learn(&message);
        let mut fork = self.forks.swap_remove(place);
        fork.dialog.confirm(&head);
        fork.dialog.flow = Some(flow);
        let description = description(&message)
            .and_then(|body| fork.exchange.take_from_response(body, true, OfferCarrier::Invite));
        if fork.exchange.awaits_answer() {
            // RFC 3264 §4: a 2xx without the answer that was due agrees to nothing.
            fork.exchange.withdraw();
        }
        let (number, left, given_up) = (fork.number, fork.left, fork.given_up);
        // RFC 3261 §13.2.2.4: the other early dialogs are over for us; should one answer too, it is ended.
        for other in &self.forks {
            channel.strand(client, &other.dialog, false);
        }
        self.leave_other_changes(channel, now, Some(fork.number));
        // Once the call is over, what comes again of this one is acknowledged and no more.
        channel.strand(client, &fork.dialog, true);
        self.forks = vec![fork];
        self.restart_session_timer(channel, now, Agreed::as_client(Asked::by(&message)));
        let owes = matches!(description, Some(Description::Offer(_)));
        if given_up {
            // RFC 5407 §3.1.3: our BYE ended this dialog already, yet its 2xx wants an ACK.
            self.acknowledge(channel, now, draft, None, cause);
            self.end(channel, now, EndCause::LocalBye);
            return;
        }
        if let Some(hangup) = calling.hangup {
            // RFC 3261 §9.1, RFC 5407 §3.1.2: the 2xx crossed our CANCEL, so the call is up, and BYE ends it.
            self.acknowledge(channel, now, draft, None, cause);
            self.leave(channel, now, EndCause::LocalBye, hangup, cause);
            return;
        }
        if left {
            self.acknowledge(channel, now, draft, None, cause);
            self.end(
                channel,
                now,
                EndCause::Protocol {
                    rule: "the callee sent BYE before its 2xx arrived",
                },
            );
            return;
        }
        if owes {
            self.change = Some(Change::AckDue { draft: draft.clone() });
        } else {
            self.acknowledge(channel, now, draft, None, cause);
        }
        channel.tell(Event::Answered {
            call: self.id,
            fork: number,
            description,
            message,
        });
        self.pump(channel, now);
    }

    /// A 2xx that came when the transaction of its INVITE was over. One of a party that the call does not go on with is
    /// acknowledged and its dialog hung up (RFC 3261 §13.2.2.4).
    pub(crate) fn on_late_answer(
        &mut self,
        channel: &mut Channel,
        now: Time,
        message: &Message,
        head: &Head,
        flow: Flow,
    ) {
        let known = self.fork(&head.call_id, &head.tag_in_to()).is_some();
        // A REFER may still hold a call whose INVITE was given up, and the early dialogs of that.
        let was_answered = self.side == Side::Callee || self.answered;
        if known && was_answered {
            self.repeat_ack(channel, now, head.cseq.number);
            return;
        }
        if let Phase::Calling(calling) = &self.phase {
            // RFC 3263 §4.3: a server that was silent for too long, while the next one has the INVITE.
            let draft = channel
                .pending
                .get(&calling.client)
                .and_then(|pending| pending.sent.draft(message))
                .filter(|draft| draft.call_id == head.call_id && draft.cseq == head.cseq.number);
            if let Some(draft) = draft.filter(|_| !known) {
                channel.end_stray(now, calling.client, &draft, head, flow);
            }
            return;
        }
        channel.end_late(now, message, head, flow);
    }

    /// A 2xx came, and nothing can be done with it: there is no dialog for an ACK or a BYE.
    pub(crate) fn without_dialog(&mut self, channel: &mut Channel, now: Time) {
        if matches!(self.phase, Phase::Calling(_)) {
            let rule = "the 2xx to the INVITE makes no dialog (RFC 3261 §12.1.2)";
            self.end(channel, now, EndCause::Protocol { rule });
        }
    }

    /// Sends the ACK again for a 2xx that came again (RFC 3261 §13.2.2.4). False when there was none.
    pub(crate) fn repeat_ack(&mut self, channel: &mut Channel, now: Time, cseq: u32) -> bool {
        let Some(ack) = self.acks.iter().find(|ack| ack.cseq == cseq) else {
            return false;
        };
        channel
            .core
            .send_ack(now, ack.outgoing.clone(), ack.target.clone(), ack.cause);
        true
    }

    /// Sends the ACK to the 2xx of the INVITE in `draft`, and keeps it for repetitions of that 2xx.
    pub(crate) fn acknowledge(
        &mut self,
        channel: &mut Channel,
        now: Time,
        draft: &Draft,
        answer: Option<Bytes>,
        cause: Option<Cause>,
    ) {
        let Some(fork) = self.main_mut() else { return };
        if answer.is_some() {
            fork.exchange.settle();
        }
        let body = answer.map(|answer| Body::new("application/sdp", answer));
        let ack = fork.dialog.ack(draft.cseq).authorized_as(draft).with_body(body);
        let target = channel.target(self.identity, &ack);
        let outgoing = channel.outgoing(self.identity, &ack);
        channel
            .core
            .send_ack(now, outgoing.clone(), target.clone(), cause);
        // Most calls never have two at a time: `push` would make room for four.
        self.acks.reserve_exact(1);
        self.acks.push(SentAck {
            cseq: draft.cseq,
            outgoing,
            target,
            cause,
        });
    }

    fn on_refusal(
        &mut self,
        channel: &mut Channel,
        now: Time,
        draft: Arc<Draft>,
        cause: Option<Cause>,
        message: Message,
    ) {
        let mut draft = Arc::unwrap_or_clone(draft);
        let status = message.status().unwrap_or_default();
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        if calling.hangup.is_some() {
            let end = match status {
                487 if self.forks.iter().any(|fork| fork.given_up) => EndCause::LocalBye,
                487 => EndCause::Cancelled {
                    remote: false,
                    reason: None,
                },
                _ => EndCause::Response(message),
            };
            self.end(channel, now, end);
            return;
        }
        if status == 422 && calling.raise_interval(&mut draft, &message) {
            self.invite_again(channel, now, draft, cause);
            return;
        }
        if calling.follow {
            calling.take_contacts(status, &message);
            if let Some(target) = calling.next_contact(status) {
                draft.uri = target.clone().without_headers();
                channel.tell(Event::Redirected {
                    call: self.id,
                    target,
                    message,
                });
                self.invite_again(channel, now, draft, cause);
                return;
            }
        }
        self.end(channel, now, EndCause::Response(message));
    }

    /// Sends the INVITE once more with the next number.
    fn invite_again(&mut self, channel: &mut Channel, now: Time, mut draft: Draft, cause: Option<Cause>) {
        draft.cseq += 1;
        if let Some(client) = channel.send(now, self.identity, Purpose::Invite(self.id), draft, cause) {
            self.invite_moved(channel, now, client);
        }
    }

    /// Sends CANCEL (RFC 3261 §9.1); the core holds it back until a provisional response came.
    pub(crate) fn cancel(&mut self, channel: &mut Channel, now: Time, hangup: Hangup, cause: Option<Cause>) {
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        let mut headers: Headers = hangup.headers.clone();
        if let Some(reason) = &hangup.reason {
            headers.push((HeaderName::Reason, reason.to_string()));
        }
        calling.hangup.get_or_insert(hangup);
        // One that was cancelled already is not cancelled again.
        channel.core.cancel(now, calling.client, &headers, cause);
    }
}

impl Calling {
    /// Raises Session-Expires to what a 422 asks for (RFC 4028 §7.4).
    fn raise_interval(&mut self, draft: &mut Draft, message: &Message) -> bool {
        let (Some(timer), Ok(Some(min))) = (self.session_timer, message.typed::<MinSe>()) else {
            return false;
        };
        if self.raises >= MAX_RAISES {
            return false;
        }
        self.raises += 1;
        let interval = session_timer::whole_seconds(timer.interval).max(min.seconds);
        draft.set(
            HeaderName::SessionExpires,
            session_timer::written(interval, timer.refresher),
        );
        draft.set(HeaderName::MinSe, min.seconds);
        true
    }

    /// Takes the contacts of a 3xx, best q-value first (RFC 3261 §8.1.3.4).
    fn take_contacts(&mut self, status: u16, message: &Message) {
        if !(300..400).contains(&status) {
            return;
        }
        let mut contacts: Vec<_> = message
            .contacts()
            .filter_map(Result::ok)
            .filter_map(|contact| {
                let q = contact.q_thousandths().unwrap_or(1000);
                contact.into_address().map(|address| (q, address.uri))
            })
            .collect();
        contacts.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
        self.contacts
            .extend(contacts.into_iter().map(|(_, uri)| uri).take(MAX_REDIRECTS));
    }

    /// The next target that was not tried; none after a 6xx, which speaks for all (RFC 3261 §16.7).
    fn next_contact(&mut self, status: u16) -> Option<Uri> {
        if status >= 600 || self.tried.len() > MAX_REDIRECTS {
            return None;
        }
        while !self.contacts.is_empty() {
            let uri = self.contacts.remove(0);
            // RFC 3261 §8.1.3.4: a URI that was tried already is a loop.
            if uri.is_sip() && !self.tried.iter().any(|tried| tried.equivalent(&uri)) {
                self.tried.push(uri.clone());
                return Some(uri);
            }
        }
        None
    }
}

impl Fork {
    /// `Some(true)` for the next reliable provisional response, `Some(false)` for an unreliable one, `None` for one that is
    /// repeated or out of order and must be ignored (RFC 3262 §4).
    fn take_rseq(&mut self, message: &Message) -> Option<bool> {
        if !message.requires("100rel") {
            return Some(false);
        }
        let Ok(Some(rseq)) = message.typed::<callwright_sip_message::header::RSeq>() else {
            return Some(false);
        };
        match self.rseq {
            Some(seen) if rseq.0 != seen.wrapping_add(1) => None,
            Some(_) | None => {
                self.rseq = Some(rseq.0);
                Some(true)
            }
        }
    }
}

/// Writes what an INVITE has beyond every request.
fn write_invite(channel: &Channel, draft: &mut Draft, invite: &Invite) {
    let reliable = invite.reliability != Reliability::Off;
    draft
        .headers
        .push((HeaderName::Allow, channel.allow().to_owned()));
    draft
        .headers
        .push((HeaderName::Supported, channel.supported(reliable).to_owned()));
    let mut require = Vec::new();
    if invite.reliability == Reliability::Required {
        require.push("100rel");
    }
    if let Some(timer) = &invite.session_timer {
        let interval = session_timer::whole_seconds(timer.interval);
        let min = session_timer::whole_seconds(timer.min.max(session_timer::LEAST_INTERVAL));
        draft.headers.push((
            HeaderName::SessionExpires,
            session_timer::written(interval, timer.refresher),
        ));
        draft.headers.push((HeaderName::MinSe, min.to_string()));
    }
    if let Some(replaces) = &invite.replaces {
        // RFC 3891 §4: `Require: replaces` would fail where the callee could take the call otherwise; it is left out.
        draft.headers.push((HeaderName::Replaces, replaces.to_string()));
    }
    if let Some(referred_by) = &invite.referred_by {
        let value = referred_by
            .parse::<ReferredBy>()
            .map_or_else(|_| referred_by.clone(), |by| by.to_string());
        draft.headers.push((HeaderName::ReferredBy, value));
    }
    if !require.is_empty() {
        draft.headers.push((HeaderName::Require, require.join(", ")));
    }
    if let Some(expires) = invite.expires {
        draft.headers.push((
            HeaderName::Expires,
            session_timer::whole_seconds(expires).to_string(),
        ));
    }
    draft.body = invite
        .offer
        .clone()
        .map(|offer| Body::new("application/sdp", offer));
    draft.extra = invite.headers.clone();
}
