//! Hold, resume and update: a new offer, or one that waits for its turn.

use callwright_sdp::negotiation::State;
use callwright_sip::command::Headers;
use callwright_sip::endpoint::CallId;

use crate::call::{Call, CallKey};
use crate::verb::{Done, VerbError};

use super::verbs::Meant;
use super::{Context, UserAgent};

impl UserAgent {
    /// Puts the newest established call on hold.
    pub(crate) fn hold(&mut self, ctx: &mut Context<'_>, meant: Meant) -> Result<Done, VerbError> {
        let key = self.pick(meant, "established call", Call::is_answered)?;
        let done = self.set_hold(ctx, key, true)?;
        Ok(done)
    }

    /// Takes the newest call back that this side holds.
    pub(crate) fn resume(&mut self, ctx: &mut Context<'_>, meant: Meant) -> Result<Done, VerbError> {
        let key = self.pick(meant, "held call", |call| call.is_answered() && call.hold)?;
        let done = self.set_hold(ctx, key, false)?;
        Ok(done)
    }

    pub(super) fn set_hold(
        &mut self,
        ctx: &mut Context<'_>,
        key: CallKey,
        hold: bool,
    ) -> Result<Done, VerbError> {
        let sip = self.sip_of(key)?;
        let Some(call) = self.call_mut(key) else {
            return Err(VerbError::CallEnded);
        };
        if call.hold == hold {
            return Ok(Done::with_note(if hold {
                "the call was on hold already"
            } else {
                "the call was not on hold"
            }));
        }
        call.hold = hold;
        self.offer_by(ctx, key, sip, false)
    }

    /// Offers the session of the newest established call again as it is, by UPDATE.
    pub(crate) fn update(&mut self, ctx: &mut Context<'_>, meant: Meant) -> Result<Done, VerbError> {
        let key = self.pick(meant, "established call", Call::is_answered)?;
        let sip = self.sip_of(key)?;
        self.offer_by(ctx, key, sip, true)
    }

    /// Offers by re-INVITE or UPDATE, now or when it is possible.
    fn offer_by(
        &mut self,
        ctx: &mut Context<'_>,
        key: CallKey,
        sip: CallId,
        by_update: bool,
    ) -> Result<Done, VerbError> {
        let Some(call) = self.call_mut(key) else {
            return Err(VerbError::CallEnded);
        };
        call.by_update = by_update;
        let busy = call.offer_due.is_some()
            || call
                .negotiation
                .as_ref()
                .is_none_or(|n| n.state() != State::Stable)
            || !call.is_up();
        if busy {
            // The answer of the offer before must be known first: this one goes out then.
            call.offer_due = Some(ctx.cause);
            return Ok(Done::QUIETLY);
        }
        self.reoffer(ctx, key, sip)?;
        Ok(Done::QUIETLY)
    }

    /// Sends what waited for the end of another offer.
    pub(super) fn send_due_offer(&mut self, ctx: &mut Context<'_>, key: CallKey) {
        let Some(call) = self.call_mut(key) else { return };
        let ready = call.is_up()
            && call
                .negotiation
                .as_ref()
                .is_some_and(|n| n.state() == State::Stable);
        let (true, Some(sip), Some(cause)) = (ready, call.sip, call.offer_due) else {
            return;
        };
        call.offer_due = None;
        ctx.cause = cause;
        // It ended meanwhile: its end is told by an event.
        let _ = self.reoffer(ctx, key, sip);
    }

    fn reoffer(&mut self, ctx: &mut Context<'_>, key: CallKey, sip: CallId) -> Result<(), VerbError> {
        let offer = self.make_offer(ctx, key).map_err(|error| {
            self.forget_offer(key);
            VerbError::NotNow(error.to_string())
        })?;
        let by_update = self.call(key).is_some_and(|call| call.by_update);
        let sent = match by_update {
            true => self
                .endpoint
                .update(ctx.now, sip, Some(offer), Headers::new(), ctx.cause),
            false => self
                .endpoint
                .offer(ctx.now, sip, Some(offer), Headers::new(), ctx.cause),
        };
        sent.map_err(|misuse| {
            self.forget_offer(key);
            misuse.into()
        })
    }
}
