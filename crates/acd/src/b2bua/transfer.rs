//! REFER, carried out here (RFC 3515, RFC 5589): whoever of a call asks for it, the other one gets a new partner without a
//! signal of its own, or with a re-INVITE where it was on hold.
//!
//! ```text
//!   blind:     A ═ B     B: REFER to C         A ═ B, C rings     C answers      A ═ C, B leaves
//!   attended:  A ═ B, B' ═ C                   B: REFER to C, Replaces B'        A ═ C, B and B' leave
//! ```

use callwright_sip::command::Reject;
use callwright_sip::endpoint::ReferId;
use callwright_sip::event::Referred;
use callwright_wire::Time;

use super::call::LEAVE_AFTER;
use super::hunt::sip_reason;
use super::{Hunt, LegKey, Service, Stage};
use crate::fact::{CallKey, EndCause, Fact};
use crate::journal::Due;
use crate::machine::{Alarm, Machine};
use crate::queueing::QueueKey;

impl Machine {
    /// Somebody asks for a transfer.
    pub(crate) fn on_referred(&mut self, now: Time, referred: Referred) {
        let refer = referred.refer;
        let found = referred.call.and_then(|sip| self.switch.find(sip));
        let Some((by, call)) = found else {
            // Outside a call there is nobody to be transferred.
            return self.reject_refer(now, refer, 403);
        };
        let partner = self.switch.partner(by);
        let busy = self.switch.call(call).is_none_or(|call| call.hunt.is_some());
        let Some(partner) = partner else {
            return self.reject_refer(now, refer, 480);
        };
        if busy {
            // RFC 3261 §21.4.27: another transfer is under way.
            return self.reject_refer(now, refer, 491);
        }
        if !self.has_room_for_facts() {
            self.counters.over_limit += 1;
            return self.reject_refer(now, refer, 503);
        }
        if !referred.target.is_sip() {
            return self.reject_refer(now, refer, 416);
        }
        if self.endpoint.accept_refer(now, refer, None).is_err() {
            return;
        }
        match &referred.replaces {
            Some(replaces) => {
                let other = self
                    .endpoint
                    .call_of(replaces)
                    .and_then(|sip| self.switch.find(sip));
                match other {
                    Some((other, _)) => self.join(now, by, partner, other, refer),
                    // RFC 3891 §3: no such dialog.
                    None => self.notify(now, refer, 481),
                }
            }
            None => self.transfer_to(now, call, by, partner, referred),
        }
    }

    fn reject_refer(&mut self, now: Time, refer: ReferId, status: u16) {
        let _gone = self.endpoint.reject_refer(now, refer, Reject::new(status), None);
    }

    /// Tells who asked how far it is; the last word from 200 on.
    fn notify(&mut self, now: Time, refer: ReferId, status: u16) {
        let reason = callwright_sip::reason_phrase(status);
        // It may have left.
        let _gone = self.endpoint.notify_refer(now, refer, status, reason, None);
    }

    /// Blind: the contacts of the target ring for the partner.
    fn transfer_to(&mut self, now: Time, key: CallKey, by: LegKey, partner: LegKey, referred: Referred) {
        let refer = referred.refer;
        if let Some(queue) = self.queue_at(&referred.target) {
            return self.transfer_to_queue(now, key, (by, partner), queue, &referred);
        }
        let Some(target) = self.user_at(&referred.target) else {
            return self.notify(now, refer, 404);
        };
        if self.registrar.account(target).bound(now).next().is_none() {
            return self.notify(now, refer, 480);
        }
        let Some(from) = self.switch.leg(partner).map(|leg| leg.address.clone()) else {
            return;
        };
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        call.hunt = Some(Hunt::new(partner, Some((by, refer))));
        // To the target it is the one who is transferred who calls.
        call.invitation.from = from;
        call.invitation.to = referred.target.into();
        call.invitation.referred_by = referred.referred_by;
        self.alarms
            .set(Alarm::TransferNoAnswer(key), now + self.config.ring_timeout);
        self.ring(now, key, target);
    }

    /// Blind, to a queue: the partner waits there as one who has just called. Where it would be turned away, all stays as it is.
    fn transfer_to_queue(
        &mut self,
        now: Time,
        key: CallKey,
        (by, partner): (LegKey, LegKey),
        queue: QueueKey,
        referred: &Referred,
    ) {
        if let Some(status) = self.refuses(now, queue) {
            return self.notify(now, referred.refer, status);
        }
        let Some(from) = self.switch.leg(partner).map(|leg| leg.address.clone()) else {
            return;
        };
        self.leave_exchange(now, key, by);
        let fact = Fact::CallTransferred {
            call: key,
            agent: self.agent_of_leg(key, by),
            to: referred.target.to_string(),
            at: now,
        };
        self.persist(now, Due::Nothing, fact);
        self.end_service(now, key, true);
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        call.caller = partner;
        call.queued = None;
        call.invitation.from = from;
        call.invitation.to = referred.target.clone().into();
        call.invitation.referred_by = referred.referred_by.clone();
        self.unbridge(partner);
        self.notify(now, referred.refer, 200);
        self.leave_soon(now, by);
        self.come_to_queue(now, key, queue);
    }

    /// The target of a blind transfer answered: it takes the place of who asked.
    pub(super) fn on_target_answered(
        &mut self,
        now: Time,
        key: CallKey,
        target: LegKey,
        (by, refer): (LegKey, ReferId),
    ) {
        self.alarms.clear(Alarm::TransferNoAnswer(key));
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let Some(hunt) = call.hunt.take() else { return };
        let partner = hunt.on_behalf;
        self.replace_end(now, key, by, target);
        self.bridge(partner, target);
        self.notify(now, refer, 200);
        self.leave_soon(now, by);
        self.align_call(now, key);
    }

    /// The agent who serves a call, where this is its leg.
    fn agent_of_leg(&self, key: CallKey, leg: LegKey) -> Option<String> {
        let service = self.switch.call(key)?.service?;
        (service.leg == leg).then(|| self.floor.agent(service.agent).name.clone())
    }

    /// Puts another leg in the place of one that leaves.
    fn replace_end(&mut self, now: Time, key: CallKey, old: LegKey, new: LegKey) {
        let to = self
            .switch
            .leg(new)
            .map(|leg| leg.address.uri.to_string())
            .unwrap_or_default();
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        if call.caller == old {
            call.caller = new;
        }
        if let Stage::Talking { ends } = &mut call.stage {
            for end in ends.iter_mut().filter(|end| **end == old) {
                *end = new;
            }
        }
        self.leave_exchange(now, key, old);
        let agent = self.agent_of_leg(key, old);
        let service = self.switch.call(key).and_then(|call| call.service);
        if service.is_some_and(|service| service.leg == old) {
            self.end_service(now, key, true);
        }
        let fact = Fact::CallTransferred {
            call: key,
            agent,
            to,
            at: now,
        };
        self.persist(now, Due::Nothing, fact);
    }

    /// Nobody took the transferred call: it goes on as it was, or ends where who asked for it has left.
    pub(super) fn on_transfer_failed(&mut self, now: Time, key: CallKey, refer: ReferId, status: u16) {
        self.alarms.clear(Alarm::TransferNoAnswer(key));
        // A report is the last one from 200 on, whatever the class.
        self.notify(now, refer, status.max(300));
        let Some(call) = self.switch.call(key) else { return };
        let Stage::Talking { ends } = call.stage else {
            return;
        };
        let gone = |leg: &LegKey| self.switch.leg(*leg).is_none_or(|leg| leg.leaving);
        if ends.iter().any(gone) {
            for leg in ends {
                self.hang_up(now, leg, Some(sip_reason(status, "Transfer Failed")));
            }
            self.finish(now, key, EndCause::Failed(status));
        }
    }

    /// Nobody answered a blind transfer in time.
    pub(crate) fn on_transfer_unanswered(&mut self, now: Time, key: CallKey) {
        let Some(hunt) = self.switch.call_mut(key).and_then(|call| call.hunt.take()) else {
            return;
        };
        for leg in hunt.legs {
            self.hang_up(now, leg, Some(sip_reason(480, "No Answer")));
        }
        if let Some((_, refer)) = hunt.referred {
            self.on_transfer_failed(now, key, refer, 480);
        }
    }

    /// Attended: the partners of both calls are joined, and who had both leaves.
    fn join(&mut self, now: Time, by: LegKey, partner: LegKey, other: LegKey, refer: ReferId) {
        let (Some(key), Some(second)) = (self.call_of_leg(by), self.call_of_leg(other)) else {
            return;
        };
        let Some(target) = self.switch.partner(other).filter(|_| key != second) else {
            // Not answered yet, or the same call: RFC 5589 §7 has the transferor wait for the consultation.
            return self.notify(now, refer, 480);
        };
        let hunts = [key, second]
            .iter()
            .any(|key| self.switch.call(*key).is_some_and(|call| call.hunt.is_some()));
        if hunts {
            return self.notify(now, refer, 491);
        }
        // The call goes on that came to a queue, and of two the older one: its record tells all that its caller met.
        let rank = |key: CallKey| {
            let call = self.switch.call(key);
            (call.is_none_or(|call| call.queued.is_none()), key)
        };
        let (kept, ended) = if rank(key) <= rank(second) {
            ((key, by), (second, other, target))
        } else {
            ((second, other), (key, by, partner))
        };
        self.merge(now, kept, ended);
        self.bridge(partner, target);
        self.notify(now, refer, 200);
        self.leave_soon(now, by);
        self.hang_up(now, other, Some(sip_reason(200, "Transferred")));
        self.align_call(now, kept.0);
    }

    /// One call takes the leg that stays of another one, in the place of its own that leaves.
    fn merge(
        &mut self,
        now: Time,
        (key, leaves): (CallKey, LegKey),
        (ended, ended_leaves, stays): (CallKey, LegKey, LegKey),
    ) {
        self.leave_exchange(now, ended, ended_leaves);
        self.move_leg(stays, ended, key);
        self.replace_end(now, key, leaves, stays);
        // An agent who is consulted by way of a queue goes on to talk, now to somebody else.
        let free = self.switch.call(key).is_some_and(|call| call.service.is_none());
        let service = self.switch.call_mut(ended).and_then(|call| {
            let moves = |service: &mut Service| free && service.leg == stays;
            call.service.take_if(moves)
        });
        if let (Some(service), Some(call)) = (service, self.switch.call_mut(key)) {
            call.service = Some(service);
            self.floor.change(service.agent, |agent| agent.call = Some(key));
        }
        self.finish(now, ended, EndCause::Transferred);
    }

    /// A leg goes over to another call.
    fn move_leg(&mut self, leg: LegKey, from: CallKey, to: CallKey) {
        if let Some(leg) = self.switch.leg_mut(leg) {
            leg.call = to;
        }
        if let Some(call) = self.switch.call_mut(from) {
            call.legs -= 1;
        }
        if let Some(call) = self.switch.call_mut(to) {
            call.legs += 1;
        }
    }

    /// A party that was transferred away: it hangs up by itself when it has seen the last NOTIFY, or is hung up.
    pub(super) fn leave_soon(&mut self, now: Time, key: LegKey) {
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        leg.leaving = true;
        self.close_media(now, key);
        self.alarms.set(Alarm::Leave(key), now + LEAVE_AFTER);
    }

    /// It did not.
    pub(crate) fn leave_now(&mut self, now: Time, key: LegKey) {
        if let Some(leg) = self.switch.leg_mut(key) {
            leg.leaving = false;
        }
        self.hang_up(now, key, Some(sip_reason(200, "Transferred")));
    }
}
