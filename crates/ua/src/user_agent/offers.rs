//! Offers and answers within a call: the peer's, ours, and what becomes of those that fail (RFC 3261 §14, RFC 3264 §8).

use callwright_sdp::negotiation::State;
use callwright_sip::command::{Hangup, Reject};
use callwright_sip::endpoint::CallId;
use callwright_sip::event::Description;

use crate::call::CallKey;

use super::{Change, Context, UserAgent};

impl UserAgent {
    pub(super) fn handle_offer(&mut self, ctx: &mut Context<'_>, sip: CallId, offer: Option<&bytes::Bytes>) {
        let Some(key) = self.key_of(sip) else { return };
        self.give_way(key, sip);
        let description = match offer {
            Some(offer) => self
                .take_offer(key, offer)
                .and_then(|()| self.make_answer(ctx, key)),
            None => self.make_offer(ctx, key),
        };
        // Its end is told by an event when it is gone.
        match description {
            Ok(description) => {
                let _ = self.endpoint.answer_offer(ctx.now, sip, description, ctx.cause);
            }
            Err(error) => {
                self.rollback(key);
                let reject = Reject::new(error.status());
                let _ = self.endpoint.reject_offer(ctx.now, sip, reject, ctx.cause);
            }
        }
        self.change(Change::Calls);
        self.send_due_offer(ctx, key);
    }

    /// The peer offers while an offer of ours waits to be sent, perhaps again after a collision (RFC 3261 §14.1). Ours is
    /// made anew when this one is answered, because it must follow what is agreed then (RFC 3264 §8).
    fn give_way(&mut self, key: CallKey, sip: CallId) {
        let offering = self
            .call(key)
            .and_then(|call| call.negotiation.as_ref())
            .is_some_and(|negotiation| negotiation.state() == State::LocalOffer);
        if offering && let Ok(cause) = self.endpoint.withdraw_offer(sip) {
            self.rollback(key);
            if let Some(call) = self.call_mut(key) {
                call.offer_due = Some(cause);
            }
        }
    }

    pub(super) fn handle_offer_gone(&mut self, ctx: &mut Context<'_>, sip: CallId) {
        let Some(key) = self.key_of(sip) else { return };
        self.rollback(key);
        self.change(Change::Calls);
        self.send_due_offer(ctx, key);
    }

    pub(super) fn handle_offer_refused(&mut self, ctx: &mut Context<'_>, sip: CallId) {
        let Some(key) = self.key_of(sip) else { return };
        self.forget_offer(key);
        self.change(Change::Calls);
        self.send_due_offer(ctx, key);
    }

    pub(super) fn handle_offer_answered(
        &mut self,
        ctx: &mut Context<'_>,
        sip: CallId,
        description: Option<&Description>,
    ) {
        let Some(key) = self.key_of(sip) else { return };
        match description {
            Some(Description::Answer(answer) | Description::Preview(answer)) => {
                let taken = self.take_answer(ctx, key, answer);
                if taken.is_err() {
                    self.forget_offer(key);
                }
            }
            Some(Description::Offer(offer)) => {
                let answer = self
                    .take_offer(key, offer)
                    .and_then(|()| self.make_answer(ctx, key));
                match answer {
                    Ok(answer) => {
                        let _ = self.endpoint.answer_offer(ctx.now, sip, answer, ctx.cause);
                    }
                    // An offer in a 2xx cannot be refused: without an agreement there is no session (RFC 3261 §14.1).
                    Err(error) => {
                        self.set_end_reason(key, format!("the offer of the peer cannot be used: {error}"));
                        self.hangup_call(ctx, key, Hangup::default());
                    }
                }
            }
            // RFC 3264 §4: an offer that was accepted without an answer changes nothing.
            None => self.forget_offer(key),
        }
        self.change(Change::Calls);
        self.send_due_offer(ctx, key);
    }

    /// Our offer changed nothing: what was agreed before stays, and the call is held as it was, or not.
    pub(super) fn forget_offer(&mut self, key: CallKey) {
        self.rollback(key);
        if let Some(call) = self.call_mut(key)
            && call.offer_due.is_none()
        {
            call.hold = call.hold_agreed;
        }
    }

    pub(super) fn rollback(&mut self, key: CallKey) {
        if let Some(negotiation) = self.call_mut(key).and_then(|call| call.negotiation.as_mut()) {
            negotiation.rollback();
        }
    }
}
