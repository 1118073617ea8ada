//! Changes of a session that is up: hold and resume by re-INVITE or UPDATE, passed on by renegotiating the other leg.
//!
//! ```text
//!   one peer            machine                    other peer
//!     │── offer ────────▶│                              │
//!     │                  │── offer, same direction ────▶│
//!     │                  │◀──────────────────── answer ─│
//!     │◀───────── answer │                              │
//! ```
//!
//! The other leg is asked only when its direction changes: an address or a codec of one peer is no affair of the other, since
//! the audio passes through here. One change at a time is under way in a call; who wants another meanwhile meets 491
//! (RFC 3261 §14.2).

use bytes::Bytes;
use callwright_sdp::Direction;
use callwright_sip::command::{Headers, Reject};
use callwright_sip::endpoint::CallId;
use callwright_sip::event::{Description, Failure};
use callwright_wire::Time;

use super::arrival::refusal_of;
use super::call::Exchange;
use super::talk::TalkError;
use super::{Leg, LegKey, Stage};
use crate::fact::CallKey;
use crate::machine::Machine;

impl Machine {
    /// A peer offers a change, or (without an offer) asks for one.
    pub(crate) fn on_offer(&mut self, now: Time, sip: CallId, offer: Option<&Bytes>) {
        let Some((key, call)) = self.switch.find(sip) else {
            return;
        };
        if self.give_way(call, key, sip) {
            self.take_over(now, call, key, sip, offer);
            return;
        }
        if self.switch.call(call).is_some_and(|call| call.exchange.is_some()) {
            return self.reject_offer(now, sip, Reject::new(491));
        }
        match offer {
            Some(offer) => self.pass_offer(now, call, key, sip, offer),
            None => self.offer_as_asked(now, call, key, sip),
        }
    }

    fn pass_offer(&mut self, now: Time, call: CallKey, key: LegKey, sip: CallId, offer: &Bytes) {
        let partner = self.switch.partner(key);
        let other = partner.and_then(|partner| self.switch.leg(partner));
        let (wish, said) = match other {
            Some(other) => (Some(other.talk.wish), Some(other.talk.said)),
            None => (None, None),
        };
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        let repeated = leg.talk.is_repeated(offer);
        let before = leg.talk.said;
        if let Err(error) = leg.talk.take_offer(offer) {
            return self.reject_offer(now, sip, refusal_of(&error));
        }
        let wanted = leg.talk.wish;
        if let (Some(partner), false) = (partner, repeated)
            && said != Some(wanted)
            && self.offer_to(now, call, partner, Some(key))
        {
            return;
        }
        // Nothing that concerns the other one: before the call is answered, or a refresh (RFC 4028 §7.4), or a new address.
        self.answer_offer(now, key, wish.unwrap_or(before));
        self.align_call(now, call);
    }

    /// RFC 3261 §14.2: a re-INVITE without an offer asks for ours.
    fn offer_as_asked(&mut self, now: Time, call: CallKey, key: LegKey, sip: CallId) {
        let partner = self
            .switch
            .partner(key)
            .and_then(|partner| self.switch.leg(partner));
        let wish = partner.map(|partner| partner.talk.wish);
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        let direction = wish.unwrap_or(leg.talk.said);
        match leg.talk.offer(direction) {
            Ok(offer) => {
                if let Some(call) = self.switch.call_mut(call) {
                    call.exchange = Some(Exchange { by: None, with: key });
                }
                let _gone = self.endpoint.answer_offer(now, sip, offer, None);
            }
            Err(error) => self.reject_offer(now, sip, refusal_of(&error)),
        }
    }

    /// Offers a leg the direction that its partner wishes, on behalf of `by`. False when that cannot be.
    fn offer_to(&mut self, now: Time, call: CallKey, key: LegKey, by: Option<LegKey>) -> bool {
        let partner = self
            .switch
            .partner(key)
            .and_then(|partner| self.switch.leg(partner));
        match partner.map(|partner| partner.talk.wish) {
            Some(wish) => self.offer_direction(now, call, key, wish, by),
            None => false,
        }
    }

    /// A caller whom nobody is joined to hears the machine itself, where it was put on hold before.
    pub(super) fn open_caller(&mut self, now: Time, key: CallKey) {
        let Some(call) = self.switch.call(key) else { return };
        let caller = call.caller;
        let hears = |leg: &Leg| matches!(leg.talk.said, Direction::SendRecv | Direction::SendOnly);
        let shut = self.switch.leg(caller).is_some_and(|leg| !hears(leg));
        if shut && call.exchange.is_none() {
            // Where it refuses, it does not want to hear.
            let _offered = self.offer_direction(now, key, caller, Direction::SendRecv, None);
        }
    }

    fn offer_direction(
        &mut self,
        now: Time,
        call: CallKey,
        key: LegKey,
        wish: Direction,
        by: Option<LegKey>,
    ) -> bool {
        let Some(leg) = self.switch.leg_mut(key).filter(|leg| !leg.leaving) else {
            return false;
        };
        let (Some(sip), Ok(offer)) = (leg.sip, leg.talk.offer(wish)) else {
            return false;
        };
        // Refused where the leg is over or too much waits: what was agreed stays.
        if self
            .endpoint
            .offer(now, sip, Some(offer), Headers::new(), None)
            .is_err()
        {
            leg.talk.rollback();
            return false;
        }
        if let Some(call) = self.switch.call_mut(call) {
            call.exchange = Some(Exchange { by, with: key });
        }
        true
    }

    fn answer_offer(&mut self, now: Time, key: LegKey, direction: Direction) {
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        let Some(sip) = leg.sip else { return };
        match leg.talk.answer(direction) {
            Ok(answer) => {
                self.tell_plane(now, key);
                let _gone = self.endpoint.answer_offer(now, sip, answer, None);
            }
            Err(error) => self.reject_offer(now, sip, refusal_of(&error)),
        }
    }

    fn reject_offer(&mut self, now: Time, sip: CallId, reject: Reject) {
        let _gone = self.endpoint.reject_offer(now, sip, reject, None);
    }

    /// A peer offers while an offer to it waits to be sent again after a collision (RFC 3261 §14.1): ours is taken back.
    fn give_way(&mut self, call: CallKey, key: LegKey, sip: CallId) -> bool {
        let waits = self
            .switch
            .call(call)
            .and_then(|call| call.exchange)
            .is_some_and(|exchange| exchange.with == key);
        if !waits || self.endpoint.withdraw_offer(sip).is_err() {
            return false;
        }
        if let Some(leg) = self.switch.leg_mut(key) {
            leg.talk.rollback();
        }
        true
    }

    /// The peer's offer takes the place of ours, and is answered with what ours would have said: so both are served.
    fn take_over(&mut self, now: Time, call: CallKey, key: LegKey, sip: CallId, offer: Option<&Bytes>) {
        let by = self
            .switch
            .call_mut(call)
            .and_then(|call| call.exchange.take())
            .and_then(|exchange| exchange.by);
        match offer {
            Some(offer) => {
                let direction = self
                    .switch
                    .partner(key)
                    .and_then(|partner| self.switch.leg(partner))
                    .map(|partner| partner.talk.wish);
                let Some(leg) = self.switch.leg_mut(key) else {
                    return;
                };
                let direction = direction.unwrap_or(leg.talk.said);
                match leg.talk.take_offer(offer) {
                    Ok(()) => self.answer_offer(now, key, direction),
                    Err(error) => self.reject_offer(now, sip, refusal_of(&error)),
                }
            }
            None => self.offer_as_asked(now, call, key, sip),
        }
        self.answer_whoever_waits(now, key, by);
        self.align_call(now, call);
    }

    /// Who offered first is answered with what `key` wishes.
    fn answer_whoever_waits(&mut self, now: Time, key: LegKey, by: Option<LegKey>) {
        let wish = self.switch.leg(key).map(|leg| leg.talk.wish);
        if let (Some(by), Some(wish)) = (by, wish) {
            self.answer_offer(now, by, wish);
        }
    }

    /// Our offer was answered.
    pub(crate) fn on_offer_answered(&mut self, now: Time, sip: CallId, description: Option<&Description>) {
        let Some((key, call)) = self.switch.find(sip) else {
            return;
        };
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        if !leg.talk.awaits_answer() {
            return;
        }
        let taken = match description {
            Some(Description::Answer(answer) | Description::Preview(answer)) => leg.talk.take_answer(answer),
            // RFC 3264 §4: without an answer nothing is agreed.
            Some(Description::Offer(_)) | None => Err(TalkError::NoAudio),
        };
        leg.talk.settle();
        if taken.is_err() {
            leg.talk.refuse();
        }
        self.tell_plane(now, key);
        let exchange = self.end_exchange(call, key);
        match (taken, exchange.and_then(|exchange| exchange.by)) {
            (Ok(()), by) => self.answer_whoever_waits(now, key, by),
            (Err(error), Some(by)) => self.refuse_whoever_waits(now, by, refusal_of(&error)),
            (Err(_), None) => {}
        }
        self.align_call(now, call);
    }

    /// Our offer was refused: what was agreed before stays, on both sides.
    pub(crate) fn on_offer_rejected(&mut self, now: Time, sip: CallId, failure: &Failure) {
        let Some((key, call)) = self.switch.find(sip) else {
            return;
        };
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        if leg.talk.awaits_answer() {
            leg.talk.refuse();
        }
        let status = match failure {
            Failure::Response(message) => message.status().unwrap_or(500),
            Failure::Timeout { .. } | Failure::Transport { .. } | Failure::CallEnded => 500,
        };
        // A redirection or a challenge is no answer to somebody else's offer.
        let status = match status {
            ..=399 | 401 | 407 | 408 | 481 => 488,
            other => other,
        };
        if let Some(by) = self.end_exchange(call, key).and_then(|exchange| exchange.by) {
            self.refuse_whoever_waits(now, by, Reject::new(status));
        }
        self.align_call(now, call);
    }

    fn refuse_whoever_waits(&mut self, now: Time, by: LegKey, reject: Reject) {
        let Some(leg) = self.switch.leg_mut(by) else {
            return;
        };
        leg.talk.rollback();
        if let Some(sip) = leg.sip {
            self.reject_offer(now, sip, reject);
        }
    }

    /// A peer took its offer back. What was asked of the other one is asked back as well, once it has answered.
    pub(crate) fn on_offer_withdrawn(&mut self, now: Time, sip: CallId) {
        let Some((key, call)) = self.switch.find(sip) else {
            return;
        };
        if let Some(leg) = self.switch.leg_mut(key) {
            leg.talk.rollback();
        }
        if let Some(exchange) = self.switch.call_mut(call).and_then(|call| call.exchange.as_mut())
            && exchange.by == Some(key)
        {
            exchange.by = None;
        }
        self.align_call(now, call);
    }

    /// A leg takes no part any more in the change that is under way. Who waits for its answer gets the one that was given last;
    /// who was offered something on its behalf answers to nobody.
    pub(super) fn leave_exchange(&mut self, now: Time, call: CallKey, gone: LegKey) {
        let Some(call) = self.switch.call_mut(call) else {
            return;
        };
        let concerned = |exchange: &mut Exchange| exchange.with == gone || exchange.by == Some(gone);
        let Some(exchange) = call.exchange.take_if(concerned) else {
            return;
        };
        if let Some(waiting) = exchange.by.filter(|by| *by != gone)
            && let Some(leg) = self.switch.leg(waiting)
        {
            let said = leg.talk.said;
            self.answer_offer(now, waiting, said);
        }
    }

    fn end_exchange(&mut self, call: CallKey, with: LegKey) -> Option<Exchange> {
        let call = self.switch.call_mut(call)?;
        call.exchange.take_if(|exchange| exchange.with == with)
    }

    /// Asks whichever end of a call was told another direction than its partner wishes; nothing happens while a change is
    /// under way.
    pub(super) fn align_call(&mut self, now: Time, key: CallKey) {
        let Some(call) = self.switch.call(key) else { return };
        let (Stage::Talking { ends }, None) = (call.stage, call.exchange) else {
            return;
        };
        for (one, other) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            let (Some(leg), Some(partner)) = (self.switch.leg(one), self.switch.leg(other)) else {
                return;
            };
            let wanted = partner.talk.wish;
            let offers = leg.talk.said != wanted && leg.talk.refused != Some(wanted);
            if offers && self.offer_to(now, key, one, None) {
                return;
            }
        }
    }

    pub(super) fn align_call_of(&mut self, now: Time, leg: LegKey) {
        if let Some(call) = self.call_of_leg(leg) {
            self.align_call(now, call);
        }
    }
}
