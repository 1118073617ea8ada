//! Operations on calls.

use bytes::Bytes;
use callwright_wire::{Cause, Time};

use super::channel::Owner;
use super::{CallId, Endpoint, Misuse, RequestId};
use crate::command::{Answer, DialogRequest, Hangup, Headers, Invite, Progress, Redirect, Reject, Replaces};
use crate::event::EndCause;
use crate::invite::{Call, Operation, Phase};

use callwright_sip_message::{Message, Method};

impl Endpoint {
    /// Places a call. Its story is told by events, up to [`Event::Ended`](crate::Event::Ended).
    ///
    /// # Errors
    ///
    /// When the identity is gone, or [`EndpointConfig::max_calls`](crate::EndpointConfig::max_calls) are there already.
    pub fn invite(&mut self, now: Time, invite: Invite, cause: Option<Cause>) -> Result<CallId, Misuse> {
        let limit = self.channel.config.max_calls;
        if self.calls.len() >= limit {
            return Err(Misuse::TooManyCalls { limit });
        }
        if self.channel.identities.get(invite.identity).is_none() {
            return Err(Misuse::Gone { what: "identity" });
        }
        let channel = &mut self.channel;
        let id = self
            .calls
            .try_insert_with(|id| Call::place(channel, now, id, invite, cause));
        let id = id.ok_or(Misuse::TooManyCalls { limit })?;
        if let Some(call) = self.calls.get(id) {
            self.channel
                .owners
                .insert(call.local_tag.clone(), Owner::Call(id));
        }
        self.settle(now);
        Ok(id)
    }

    /// The call that a dialog of this endpoint belongs to: as a peer names it in `Replaces` (RFC 3891 §3).
    pub fn call_of(&self, replaces: &Replaces) -> Option<CallId> {
        let Owner::Call(id) = *self.channel.owners.get(replaces.to_tag.as_str())? else {
            return None;
        };
        let call = self.calls.get(id).filter(|call| call.lives())?;
        call.fork(&replaces.call_id, &replaces.from_tag)?;
        Some(id)
    }

    /// The Call-ID of a call, once it has a dialog.
    pub fn call_id(&self, call: CallId) -> Option<&str> {
        Some(&self.calls.get(call)?.main()?.dialog.call_id)
    }

    /// Whether a BYE of this endpoint is on its way for a call whose end was told: [`Event::HungUp`](crate::event::Event::HungUp) or
    /// [`Event::HangupFailed`](crate::event::Event::HangupFailed) follows.
    pub fn is_hanging_up(&self, call: CallId) -> bool {
        self.calls
            .get(call)
            .is_some_and(|call| matches!(call.phase, Phase::Leaving))
    }

    /// True for a request that a call of this endpoint sent, and that found its way back: a loop.
    pub fn is_own(&self, message: &Message) -> bool {
        message
            .from_tag()
            .is_some_and(|tag| matches!(self.channel.owners.get(tag.as_str()), Some(Owner::Call(_))))
    }

    /// Sends a provisional response to an incoming call.
    ///
    /// # Errors
    ///
    /// When the call does not ring here, or the response cannot carry that description.
    pub fn progress(
        &mut self,
        now: Time,
        call: CallId,
        progress: Progress,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        self.operate(now, call, |call, channel| {
            call.may_progress(&progress)?;
            call.perform(channel, now, Operation::Progress(progress), cause)
        })
    }

    /// Answers an incoming call with 200. A call that it replaces (RFC 3891) is ended.
    ///
    /// # Errors
    ///
    /// When the call does not ring here, or lacks a description.
    pub fn answer(
        &mut self,
        now: Time,
        call: CallId,
        answer: Answer,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        let replaced = match &self.living(call)?.phase {
            Phase::Ringing(ringing) => ringing.replaces,
            Phase::Calling(_) | Phase::Answered | Phase::Established | Phase::Leaving | Phase::Over => None,
        };
        self.operate(now, call, |call, channel| {
            call.may_answer(&answer)?;
            call.perform(channel, now, Operation::Answer(answer), cause)
        })?;
        if let Some(replaced) = replaced {
            self.replace(now, replaced, call, cause);
        }
        Ok(())
    }

    /// RFC 3891 §3: the replaced dialog ends with BYE, or where it is still early with CANCEL.
    fn replace(&mut self, now: Time, replaced: CallId, by: CallId, cause: Option<Cause>) {
        self.with_call(replaced, |call, channel| match call.phase {
            Phase::Established => {
                call.leave(channel, now, EndCause::Replaced { by }, Hangup::default(), cause);
            }
            Phase::Calling(_) | Phase::Ringing(_) | Phase::Answered | Phase::Leaving | Phase::Over => {
                // A full queue is no matter here: the call is about to end anyway.
                let _full = call.perform(channel, now, Operation::Hangup(Hangup::default()), cause);
            }
        });
        self.settle(now);
    }

    /// Refuses an incoming call with 400 to 699.
    ///
    /// # Errors
    ///
    /// When the call does not ring here, or the status is another.
    pub fn reject(
        &mut self,
        now: Time,
        call: CallId,
        reject: Reject,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        if !(400..700).contains(&reject.status) {
            return Err(Misuse::Status {
                operation: "reject",
                status: reject.status,
            });
        }
        self.operate(now, call, |call, channel| {
            ringing(call, "reject")?;
            call.send_reject(channel, now, reject, cause);
            Ok(())
        })
    }

    /// Refuses an incoming call with 3xx.
    ///
    /// # Errors
    ///
    /// When the call does not ring here, or the status is another.
    pub fn redirect(
        &mut self,
        now: Time,
        call: CallId,
        redirect: Redirect,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        if !(300..400).contains(&redirect.status) {
            return Err(Misuse::Status {
                operation: "redirect",
                status: redirect.status,
            });
        }
        self.operate(now, call, |call, channel| {
            ringing(call, "redirect")?;
            call.send_redirect(channel, now, redirect, cause);
            Ok(())
        })
    }

    /// Ends a call by what its state asks for: CANCEL, a refusal, or BYE. A BYE that must wait for the ACK waits
    /// (RFC 3261 §15); other operations that wait are given up.
    ///
    /// # Errors
    ///
    /// When the call is over.
    pub fn hangup(
        &mut self,
        now: Time,
        call: CallId,
        hangup: Hangup,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        self.operate(now, call, |call, channel| {
            if matches!(call.phase, Phase::Answered) {
                return call.perform(channel, now, Operation::Hangup(hangup), cause);
            }
            call.hang_up(channel, now, hangup, cause);
            Ok(())
        })
    }

    /// Ends a call with BYE now, where [`Endpoint::hangup`] would cancel it or wait for the ACK: a caller may give up an early
    /// dialog so (RFC 3261 §15.1.1); a callee that does not wait for the ACK breaks RFC 3261 §15, which tests want to see.
    ///
    /// # Errors
    ///
    /// When the peer has told of no dialog, or the call rings here, or is over.
    pub fn bye(
        &mut self,
        now: Time,
        call: CallId,
        hangup: Hangup,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        self.operate(now, call, |call, channel| {
            call.say_bye(channel, now, hangup, cause)
        })
    }

    /// Offers a change of the session by a re-INVITE; `None` asks the peer to offer. Waits while another is pending.
    ///
    /// # Errors
    ///
    /// When the call was never answered, or is over.
    pub fn offer(
        &mut self,
        now: Time,
        call: CallId,
        offer: Option<Bytes>,
        headers: Headers,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        self.operate(now, call, |call, channel| {
            answered(call, "a re-INVITE")?;
            call.perform(channel, now, Operation::Offer { offer, headers }, cause)
        })
    }

    /// Takes back an offer of [`Endpoint::offer`] or [`Endpoint::update`] that waits: for the end of another exchange, or to be sent again after a
    /// 491. While it waits the peer may offer first (RFC 3261 §14.1), and what was to be offered may no longer fit what is agreed
    /// then. Returns the command that it was due to.
    ///
    /// # Errors
    ///
    /// When none waits: it is out already, or there was none.
    pub fn withdraw_offer(&mut self, call: CallId) -> Result<Option<Cause>, Misuse> {
        self.living(call)?;
        self.with_call(call, |call, _| call.withdraw_offer())
            .unwrap_or(Err(Misuse::NoOffer))
    }

    /// Sends an UPDATE (RFC 3311), with an offer or without; in an early dialog too.
    ///
    /// # Errors
    ///
    /// When there is no dialog yet, or the call is over.
    pub fn update(
        &mut self,
        now: Time,
        call: CallId,
        offer: Option<Bytes>,
        headers: Headers,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        self.operate(now, call, |call, channel| {
            if call.main().is_none() {
                return Err(Misuse::State {
                    operation: "an UPDATE",
                    state: call.phase.words(),
                });
            }
            call.perform(channel, now, Operation::Update { offer, headers }, cause)
        })
    }

    /// Answers an offer of the peer: [`Event::Offer`](crate::Event::Offer), or an offer in `Answered`, `Progress` or
    /// `OfferAnswered`. When the peer asked for an offer, `description` is that offer. It travels in what the carrier of the
    /// offer asks for: the 2xx, the ACK or the PRACK.
    ///
    /// # Errors
    ///
    /// When there is nothing to answer.
    pub fn answer_offer(
        &mut self,
        now: Time,
        call: CallId,
        description: Bytes,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        self.operate(now, call, |call, channel| {
            call.answer_theirs(channel, now, description, cause)
        })
    }

    /// Refuses an offer of the peer, usually with 488. An offer in a response cannot be refused: hang up instead.
    ///
    /// # Errors
    ///
    /// When there is nothing to refuse, or the status is not 400 to 699.
    pub fn reject_offer(
        &mut self,
        now: Time,
        call: CallId,
        reject: Reject,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        if !(400..700).contains(&reject.status) {
            return Err(Misuse::Status {
                operation: "reject_offer",
                status: reject.status,
            });
        }
        self.operate(now, call, |call, channel| {
            call.refuse_theirs(channel, now, reject, cause)
        })
    }

    /// Sends a request inside a call.
    ///
    /// # Errors
    ///
    /// When the method is one that the endpoint sends itself, or the call is over.
    pub fn request(
        &mut self,
        now: Time,
        call: CallId,
        request: DialogRequest,
        cause: Option<Cause>,
    ) -> Result<RequestId, Misuse> {
        let own = [
            Method::Invite,
            Method::Ack,
            Method::Bye,
            Method::Cancel,
            Method::Prack,
            Method::Update,
        ];
        if own.contains(&request.method) {
            return Err(Misuse::Method);
        }
        self.living(call)?;
        let id = self.channel.requests.insert(Some(call));
        let operation = Operation::Request(id, request);
        let done = self.operate(now, call, |call, channel| {
            call.perform(channel, now, operation, cause)
        });
        if let Err(misuse) = done {
            self.channel.request_over(id);
            return Err(misuse);
        }
        Ok(id)
    }
}

fn ringing(call: &Call, operation: &'static str) -> Result<(), Misuse> {
    match call.phase {
        Phase::Ringing(_) => Ok(()),
        Phase::Calling(_) | Phase::Answered | Phase::Established | Phase::Leaving | Phase::Over => {
            Err(Misuse::State {
                operation,
                state: call.phase.words(),
            })
        }
    }
}

fn answered(call: &Call, operation: &'static str) -> Result<(), Misuse> {
    match call.phase {
        Phase::Answered | Phase::Established => Ok(()),
        Phase::Calling(_) | Phase::Ringing(_) | Phase::Leaving | Phase::Over => Err(Misuse::State {
            operation,
            state: call.phase.words(),
        }),
    }
}
