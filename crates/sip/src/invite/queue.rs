//! Operations of a call that are legal but not yet possible: they wait, in order.

use bytes::Bytes;
use callwright_wire::{Cause, Time};

use super::call::{Call, Phase};
use super::exchange::Exchange;
use crate::command::{Answer, DialogRequest, Hangup, Headers, Progress};
use crate::dialog::Draft;
use crate::endpoint::{Channel, Misuse, Purpose, ReferId, RequestId};
use crate::event::{Event, Failure, ReferOutcome};

/// Something to do in a call.
#[derive(Debug)]
pub(crate) enum Operation {
    Progress(Progress),
    Answer(Answer),
    /// A re-INVITE.
    Offer {
        offer: Option<Bytes>,
        headers: Headers,
    },
    Update {
        offer: Option<Bytes>,
        headers: Headers,
    },
    /// A refresh of the session, which offers what is agreed then, or nothing (RFC 4028 §7.4).
    Refresh,
    Request(RequestId, DialogRequest),
    /// A REFER with all its header fields.
    Refer(ReferId, Headers),
    Hangup(Hangup),
}

/// An operation and whose it is.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) operation: Operation,
    pub(crate) cause: Option<Cause>,
}

impl Waiting {
    /// True for a provisional response that takes part in the exchange of descriptions.
    pub(crate) fn carries_description(&self) -> bool {
        matches!(&self.operation, Operation::Progress(progress) if progress.description.is_some())
    }
}

impl Call {
    /// Carries an operation out, now or when it is possible.
    pub(crate) fn perform(
        &mut self,
        channel: &mut Channel,
        now: Time,
        operation: Operation,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        let limit = channel.config.max_queued;
        if self.queue.len() >= limit {
            return Err(Misuse::QueueFull { limit });
        }
        // RFC 3261 §12.1: a response above 100 makes the dialog; before it, the caller would answer 481.
        if let (
            Phase::Ringing(ringing),
            Operation::Update { .. } | Operation::Request(..) | Operation::Refer(..),
        ) = (&self.phase, &operation)
            && !ringing.has_dialog()
        {
            return Err(Misuse::State {
                operation: "a request to a caller who was told nothing yet",
                state: self.phase.words(),
            });
        }
        // Most never wait, and their calls never need a queue.
        if self.queue.is_empty() && self.is_possible(&operation) {
            self.carry_out(channel, now, operation, cause);
        } else {
            self.queue.push_back(Waiting { operation, cause });
        }
        self.pump(channel, now);
        Ok(())
    }

    /// Carries out what has become possible.
    pub(crate) fn pump(&mut self, channel: &mut Channel, now: Time) {
        while let Some(front) = self.queue.front() {
            if !self.is_possible(&front.operation) {
                return;
            }
            let Some(Waiting { operation, cause }) = self.queue.pop_front() else {
                return;
            };
            self.carry_out(channel, now, operation, cause);
        }
    }

    /// Whether an operation can be carried out now.
    fn is_possible(&self, operation: &Operation) -> bool {
        let acked = self.is_acked();
        match operation {
            // RFC 3262 §3: the next reliable one waits for the PRACK to the last, and the 2xx for that to an offer or answer.
            Operation::Progress(_) => self.ringing().is_none_or(|ringing| ringing.outstanding.is_none()),
            Operation::Answer(_) => {
                let described = |ringing: &super::incoming::Ringing| {
                    ringing
                        .outstanding
                        .as_ref()
                        .is_none_or(|outstanding| !outstanding.described)
                };
                self.ringing().is_none_or(described) && self.change.is_none()
            }
            Operation::Refresh if self.session.peer_updates => self.may_update(false),
            // RFC 3261 §14.1: no other INVITE, and no offer, may be open.
            Operation::Offer { .. } | Operation::Refresh => {
                matches!(self.phase, Phase::Established)
                    && acked
                    && self.change.is_none()
                    && !self.glare
                    && self.exchange().is_stable()
            }
            Operation::Update { offer, .. } => self.may_update(offer.is_some()),
            Operation::Request(..) | Operation::Refer(..) => match self.phase {
                Phase::Calling(_) | Phase::Ringing(_) => self.main().is_some(),
                // RFC 3261 §15 holds for BYE; other requests keep behind it, so that they reach a peer that knows of the call.
                Phase::Answered => false,
                Phase::Established => acked,
                Phase::Leaving | Phase::Over => true,
            },
            // RFC 3261 §15: the callee sends no BYE before the ACK, or the end of the wait for it.
            Operation::Hangup(_) => !matches!(self.phase, Phase::Answered),
        }
    }

    /// Whether no ACK is outstanding.
    fn is_acked(&self) -> bool {
        self.unacked.is_none() && !matches!(self.change, Some(super::modify::Change::AckDue { .. }))
    }

    /// RFC 3311 §5.1: an UPDATE has an offer only after the first exchange.
    fn may_update(&self, offers: bool) -> bool {
        let free = self.is_acked()
            && self.change.is_none()
            && !self.glare
            && !self.forks.is_empty()
            && !matches!(self.phase, Phase::Answered);
        free && (!offers || self.exchange() == Exchange::Stable { agreed: true })
    }

    fn carry_out(&mut self, channel: &mut Channel, now: Time, operation: Operation, cause: Option<Cause>) {
        match operation {
            Operation::Progress(progress) => self.send_progress(channel, now, progress, cause),
            Operation::Answer(answer) => self.send_answer(channel, now, answer, cause),
            Operation::Offer { .. } => self.send_reinvite(channel, now, operation, cause),
            Operation::Update { .. } => self.send_update(channel, now, operation, cause),
            Operation::Refresh if self.session.peer_updates => {
                self.send_update(channel, now, operation, cause);
            }
            Operation::Refresh => self.send_reinvite(channel, now, operation, cause),
            Operation::Request(id, request) => {
                let Some(fork) = self.main_mut() else { return };
                let draft = fork
                    .dialog
                    .draft(request.method)
                    .with_extra(request.headers)
                    .with_body(request.body);
                channel.send(now, self.identity, Purpose::Request(id), draft, cause);
            }
            Operation::Refer(id, headers) => {
                let Some(fork) = self.main_mut() else { return };
                let mut draft: Draft = fork.dialog.draft(callwright_sip_message::Method::Refer);
                draft.headers = headers;
                if let Some(refer) = channel.refers.get_mut(id) {
                    refer.cseq = draft.cseq;
                }
                self.refers += 1;
                channel.send(now, self.identity, Purpose::Refer(id), draft, cause);
            }
            Operation::Hangup(hangup) => self.hang_up(channel, now, hangup, cause),
        }
    }

    /// Gives up what waits: the call has ended.
    pub(crate) fn drop_queue(&mut self, channel: &mut Channel) {
        for Waiting { operation, .. } in std::mem::take(&mut self.queue) {
            let call = self.id;
            match operation {
                Operation::Request(request, _) => {
                    channel.tell(Event::RequestFailed {
                        request,
                        call: Some(call),
                        failure: Failure::CallEnded,
                    });
                    channel.request_over(request);
                }
                Operation::Refer(refer, _) => {
                    let outcome = ReferOutcome::Failed(Failure::CallEnded);
                    channel.tell(Event::ReferEnded { refer, call, outcome });
                    channel.refers.remove(refer);
                }
                Operation::Offer { .. } | Operation::Update { offer: Some(_), .. } => {
                    channel.tell(Event::OfferRejected {
                        call,
                        failure: Failure::CallEnded,
                        refresh: false,
                    });
                }
                Operation::Progress(_) | Operation::Answer(_) | Operation::Update { offer: None, .. } => {}
                Operation::Refresh | Operation::Hangup(_) => {}
            }
        }
    }

    /// Takes back the offer that waits, and the command behind it.
    pub(crate) fn withdraw_offer(&mut self) -> Result<Option<Cause>, Misuse> {
        let place = self
            .queue
            .iter()
            .position(|waiting| carries_offer(&waiting.operation))
            .ok_or(Misuse::NoOffer)?;
        Ok(self.queue.remove(place).and_then(|waiting| waiting.cause))
    }

    /// The hangup that waits, if one does.
    pub(crate) fn queued_hangup(&mut self) -> Option<Hangup> {
        let place = self
            .queue
            .iter()
            .position(|waiting| matches!(waiting.operation, Operation::Hangup(_)))?;
        match self.queue.remove(place)?.operation {
            Operation::Hangup(hangup) => Some(hangup),
            _ => None,
        }
    }

    fn ringing(&self) -> Option<&super::incoming::Ringing> {
        match &self.phase {
            Phase::Ringing(ringing) => Some(ringing),
            Phase::Calling(_) | Phase::Answered | Phase::Established | Phase::Leaving | Phase::Over => None,
        }
    }
}

fn carries_offer(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Offer { offer: Some(_), .. } | Operation::Update { offer: Some(_), .. }
    )
}
