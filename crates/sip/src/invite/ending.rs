//! How calls end (RFC 3261 §15, RFC 5057).

use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::{Cause, Time};

use super::call::{Call, Phase};
use super::modify::Change;
use crate::command::{Hangup, Reject};
use crate::core::ServerId;
use crate::dialog::{Dialog, Draft};
use crate::endpoint::{Channel, Misuse, Purpose, Reply, UsageTimer};
use crate::event::{EndCause, Event, Failure};

impl Call {
    /// Ends the call as its state asks for; never while our 2xx has no ACK.
    pub(crate) fn hang_up(&mut self, channel: &mut Channel, now: Time, hangup: Hangup, cause: Option<Cause>) {
        match self.phase {
            Phase::Calling(_) => self.cancel(channel, now, hangup, cause),
            Phase::Ringing(_) => {
                let mut headers = hangup.headers;
                if let Some(reason) = &hangup.reason {
                    headers.push((HeaderName::Reason, reason.to_string()));
                }
                let status = hangup.status.unwrap_or(486);
                self.send_reject(
                    channel,
                    now,
                    Reject {
                        status,
                        reason: None,
                        headers,
                    },
                    cause,
                );
            }
            Phase::Established => self.leave(channel, now, EndCause::LocalBye, hangup, cause),
            Phase::Answered | Phase::Leaving | Phase::Over => {}
        }
    }

    /// Ends the call with BYE now, where a peer knows of a dialog: also an early one of ours (RFC 3261 §15.1.1), and before
    /// the ACK.
    pub(crate) fn say_bye(
        &mut self,
        channel: &mut Channel,
        now: Time,
        hangup: Hangup,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        match &mut self.phase {
            Phase::Answered | Phase::Established => {
                self.leave(channel, now, EndCause::LocalBye, hangup, cause);
                return Ok(());
            }
            Phase::Calling(calling) if !self.forks.is_empty() => {
                calling.hangup.get_or_insert_with(|| hangup.clone());
            }
            Phase::Calling(_) | Phase::Ringing(_) | Phase::Leaving | Phase::Over => {
                return Err(Misuse::State {
                    operation: "BYE",
                    state: self.phase.words(),
                });
            }
        }
        for fork in self.forks.iter_mut().filter(|fork| !fork.given_up) {
            fork.given_up = true;
            let draft = parting(&mut fork.dialog, &hangup);
            // No end of the session: should another fork answer yet, that one gets a BYE of its own.
            channel.send(now, self.identity, Purpose::Nobody, draft, cause);
        }
        // The INVITE gets its final response soon, or is cancelled (RFC 3261 §15.1.1).
        let wait = channel.config.core.timers.timeout();
        channel.timers.set(UsageTimer::RingExpires(self.id), now + wait);
        Ok(())
    }

    /// Sends BYE and tells the end.
    pub(crate) fn leave(
        &mut self,
        channel: &mut Channel,
        now: Time,
        end: EndCause,
        hangup: Hangup,
        cause: Option<Cause>,
    ) {
        match self.phase {
            // An INVITE without final response is no session yet: it is cancelled, or refused.
            Phase::Calling(_) => return self.cancel(channel, now, hangup, cause),
            Phase::Ringing(_) => return self.end(channel, now, end),
            Phase::Answered | Phase::Established => {}
            Phase::Leaving | Phase::Over => return,
        }
        // A 2xx with an offer still wants its ACK, and one without an answer is all that there is (RFC 3261 §13.2.2.4).
        if let Some(Change::AckDue { draft }) = &self.change {
            let draft = draft.clone();
            self.change = None;
            self.acknowledge(channel, now, &draft, None, cause);
        }
        self.withdraw_quietly(channel, now);
        let Some(fork) = self.forks.first_mut() else {
            self.end(channel, now, end);
            return;
        };
        let draft = parting(&mut fork.dialog, &hangup);
        self.phase = Phase::Leaving;
        self.settle_answer(channel);
        self.clear_timers(channel);
        channel.send(now, self.identity, Purpose::Bye(self.id), draft, cause);
        self.drop_queue(channel);
        channel.tell(Event::Ended {
            call: self.id,
            cause: end,
        });
    }

    /// Tells the end. Nothing new is sent, but what the peer waits for is answered: 487.
    pub(crate) fn end(&mut self, channel: &mut Channel, now: Time, end: EndCause) {
        if !self.lives() {
            return;
        }
        self.refuse(channel, now, &Reply::new(487), None);
        self.withdraw_quietly(channel, now);
        self.phase = Phase::Over;
        self.change = None;
        self.settle_answer(channel);
        self.clear_timers(channel);
        self.drop_queue(channel);
        channel.tell(Event::Ended {
            call: self.id,
            cause: end,
        });
    }

    /// A request inside the dialog was refused with a status that ends it (RFC 5057 §5.1).
    pub(crate) fn dialog_gone(&mut self, channel: &mut Channel, now: Time, message: Message) {
        match (message.status(), &self.phase) {
            // Another fork may know of the call; the INVITE has its own response.
            (_, Phase::Calling(_)) => {}
            // The peer knows nothing of the dialog: a BYE would find nobody.
            (Some(481), _) => self.end(channel, now, EndCause::DialogGone(message)),
            (_, _) => self.leave(
                channel,
                now,
                EndCause::DialogGone(message),
                Hangup::default(),
                None,
            ),
        }
    }

    /// A BYE of the peer (RFC 3261 §15.1.2).
    pub(crate) fn on_bye(
        &mut self,
        channel: &mut Channel,
        now: Time,
        server: ServerId,
        message: Message,
        place: usize,
    ) {
        channel.answer(now, server, &message, self, &Reply::new(200));
        let reason = crate::reason::of(&message);
        match self.phase {
            // RFC 3261 §15.1.2: what is pending gets its 487.
            Phase::Ringing(_) => {
                self.refuse(channel, now, &Reply::new(487), None);
                self.end(channel, now, EndCause::RemoteBye { reason, message });
            }
            // The BYE overtook the 2xx of that early dialog.
            Phase::Calling(_) => {
                if let Some(fork) = self.forks.get_mut(place) {
                    fork.left = true;
                }
            }
            Phase::Answered | Phase::Established => {
                self.withdraw_quietly(channel, now);
                self.end(channel, now, EndCause::RemoteBye { reason, message });
            }
            // The BYEs crossed (RFC 5407 §3.2.1): both sides know, whatever becomes of ours; not every phone that is gone answers it.
            // Another fork is not the session.
            Phase::Leaving if place == 0 => self.on_bye_over(channel, None),
            Phase::Leaving | Phase::Over => {}
        }
    }

    /// The end of our BYE, or of the wait for it: told once.
    pub(crate) fn on_bye_over(&mut self, channel: &mut Channel, failure: Option<Failure>) {
        if !matches!(self.phase, Phase::Leaving) {
            return;
        }
        self.phase = Phase::Over;
        let call = self.id;
        channel.tell(match failure {
            Some(failure) => Event::HangupFailed { call, failure },
            None => Event::HungUp { call },
        });
    }

    /// Gives a pending request of the peer its 487 (RFC 3261 §15.1.2), without a word to the layer above.
    fn withdraw_quietly(&mut self, channel: &mut Channel, now: Time) {
        match self.change.take() {
            Some(Change::Theirs(theirs)) => {
                let identity = Some(self.identity);
                channel.respond(
                    now,
                    theirs.server,
                    &theirs.request,
                    identity,
                    &self.local_tag,
                    &Reply::new(487),
                    None,
                );
            }
            Some(Change::Ours { cseq, .. }) => channel.abandon_reinvite(now, self.id, cseq),
            Some(Change::AckDue { .. }) | None => {}
        }
    }
}

/// A BYE.
fn parting(dialog: &mut Dialog, hangup: &Hangup) -> Draft {
    let draft = dialog.draft(Method::Bye).with_extra(hangup.headers.clone());
    match &hangup.reason {
        Some(reason) => draft.with(HeaderName::Reason, reason),
        None => draft,
    }
}
