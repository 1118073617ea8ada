//! How legs end, and calls with them: each once, with one cause.

use callwright_sip::command::{Reason, Reject};
use callwright_sip::endpoint::CallId;
use callwright_sip::event::EndCause as SipEnd;
use callwright_sip_message::{HeaderName, Message};
use callwright_wire::Time;

use super::hunt::hangup;
use super::presentation::Reached;
use super::{LegKey, Part, Refusal, Stage};
use crate::fact::{CallKey, EndCause, Fact, PresentationOutcome, RefusedBecause};
use crate::journal::Due;
use crate::machine::{Alarm, Machine};
use crate::queueing::AgentKey;

impl Machine {
    /// A leg is over.
    pub(crate) fn on_ended(&mut self, now: Time, sip: CallId, end: SipEnd) {
        let Some((key, call)) = self.switch.find(sip) else {
            return;
        };
        self.close_media(now, key);
        self.alarms.clear(Alarm::Leave(key));
        let leaving = self.switch.leg(key).is_some_and(|leg| leg.leaving);
        // Before what follows from it: whose leg it was may be free then.
        let part = self.switch.leg(key).map(|leg| leg.part);
        let agent = part.and_then(|part| self.let_go(sip, part));
        if !leaving {
            self.on_leg_lost(now, call, key, end);
        }
        self.switch.remove_leg(key);
        if let Some(agent) = agent {
            self.rest_if_done(now, agent);
        }
    }

    /// A leg is over. RFC 3261 §15.1.1 ends a session when its BYE is sent, for whoever sends it; the phone learns of it when the BYE
    /// arrives, and one with a single line would answer 486 to an INVITE that comes before. So an agent is let go of when the BYE
    /// is answered, or given up after 64·T1.
    fn let_go(&mut self, sip: CallId, part: Part) -> Option<AgentKey> {
        match part {
            Part::Queue(_) | Part::Other(_) if self.endpoint.is_hanging_up(sip) => {
                self.switch.parting.insert(sip, part);
                None
            }
            Part::Queue(_) | Part::Other(_) | Part::Outside => self.release(part),
        }
    }

    /// The BYE to a phone is answered, or given up.
    pub(crate) fn on_bye_over(&mut self, now: Time, sip: CallId) {
        let part = self.switch.parting.remove(&sip);
        if let Some(agent) = part.and_then(|part| self.release(part)) {
            self.rest_if_done(now, agent);
        }
    }

    /// A leg is no agent's any more.
    fn release(&mut self, part: Part) -> Option<AgentKey> {
        match part {
            Part::Outside => None,
            Part::Queue(agent) => {
                self.floor.change(agent, |agent| agent.queue_legs -= 1);
                Some(agent)
            }
            Part::Other(agent) => {
                self.floor.change(agent, |agent| agent.other_legs -= 1);
                Some(agent)
            }
        }
    }

    /// A leg that took part is over.
    pub(super) fn on_leg_lost(&mut self, now: Time, key: CallKey, leg: LegKey, end: SipEnd) {
        let Some(call) = self.switch.call(key) else { return };
        if call.rings(leg) {
            let reached = Reached::of(&end);
            self.on_refused(now, key, leg, refusal_of(end), reached);
            return;
        }
        match call.stage {
            Stage::Arriving { .. } | Stage::Waiting => {
                let cause = if call.caller_answered {
                    cause_while_waiting(&end)
                } else {
                    cause_before_answer(&end)
                };
                self.withdraw(now, key, reason_of(&end));
                self.finish(now, key, cause);
            }
            Stage::Speaking { .. } => self.finish(now, key, cause_while_waiting(&end)),
            // The caller gave up, or was refused by somebody who has written down why.
            Stage::Ringing => {
                self.abandon_hunt(now, key, reason_of(&end));
                self.finish(now, key, cause_before_answer(&end));
            }
            Stage::Storing { callee } if leg == callee => {
                // It answered and hung up before the caller heard of it.
                if call.service.is_some() {
                    self.wait_again(now, key, PresentationOutcome::AgentGone);
                } else {
                    self.fail_call(now, key, Reject::new(480));
                }
            }
            Stage::Storing { callee } => {
                let cause = if call.caller_answered {
                    cause_while_waiting(&end)
                } else {
                    cause_before_answer(&end)
                };
                self.hang_up(now, callee, reason_of(&end));
                self.take_answer_back(now, key, PresentationOutcome::Withdrawn);
                self.finish(now, key, cause);
            }
            Stage::Talking { ends } => self.on_end_lost(now, key, leg, ends, &end),
            Stage::Over => {}
        }
    }

    /// One of two who talked is gone.
    fn on_end_lost(&mut self, now: Time, key: CallKey, leg: LegKey, ends: [LegKey; 2], end: &SipEnd) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let partner = if ends[0] == leg { ends[1] } else { ends[0] };
        let hunt = call.hunt.as_ref();
        if hunt.is_some_and(|hunt| hunt.on_behalf == partner) {
            // RFC 5589 §6.1: who transfers may leave at once; the other one waits for the new party.
            if call.service.is_some_and(|service| service.leg == leg) {
                self.end_service(now, key, true);
            }
            self.leave_exchange(now, key, leg);
            return;
        }
        self.abandon_hunt(now, key, reason_of(end));
        self.hang_up(now, partner, reason_of(end));
        self.finish(now, key, cause_after_answer(end, leg == ends[0]));
    }

    /// The machine closes: every call ends.
    pub(crate) fn end_calls(&mut self, now: Time) {
        let reason = || Some(super::hunt::sip_reason(503, "Server Shutting Down"));
        for key in self.switch.call_keys() {
            self.abandon_hunt(now, key, reason());
            let Some(call) = self.switch.call(key) else {
                continue;
            };
            match call.stage {
                Stage::Ringing | Stage::Speaking { .. } => {
                    let reject = self.unavailable();
                    self.fail_call(now, key, reject);
                }
                Stage::Arriving { .. } | Stage::Waiting => {
                    self.withdraw(now, key, reason());
                    let reject = self.unavailable();
                    let cause = EndCause::Refused(RefusedBecause::Closed);
                    self.turn_away(now, key, reject, cause);
                }
                Stage::Storing { callee } => {
                    self.take_answer_back(now, key, PresentationOutcome::Withdrawn);
                    let reject = self.unavailable();
                    self.fail_call(now, key, reject);
                    self.hang_up(now, callee, reason());
                }
                Stage::Talking { ends } => {
                    self.finish(now, key, EndCause::Failed(503));
                    for leg in ends {
                        self.hang_up(now, leg, reason());
                    }
                }
                Stage::Over => {}
            }
        }
        for leg in self.switch.leg_keys() {
            if self.alarms.at(Alarm::Leave(leg)).is_some() {
                self.alarms.clear(Alarm::Leave(leg));
                self.leave_now(now, leg);
            }
        }
    }

    /// Forgets all calls without a word.
    pub(crate) fn drop_calls(&mut self, now: Time) {
        self.floor.clear();
        self.late.clear();
        for leg in self.switch.leg_keys() {
            self.drop_leg(now, leg);
        }
        self.switch.forget_requests();
    }

    /// Those who ring are told that it is over. Who asked for them hears so.
    pub(super) fn abandon_hunt(&mut self, now: Time, key: CallKey, reason: Option<Reason>) {
        let Some(hunt) = self.switch.call_mut(key).and_then(|call| call.hunt.take()) else {
            return;
        };
        for leg in hunt.legs {
            self.hang_up(now, leg, reason.clone());
        }
        if let Some((by, refer)) = hunt.referred {
            let phrase = callwright_sip::reason_phrase(487);
            let _gone = self.endpoint.notify_refer(now, refer, 487, phrase, None);
            if self.switch.partner(by).is_none() {
                self.leave_soon(now, by);
            }
        }
    }

    /// Ends a leg by what its state asks for; it says nothing more that counts.
    pub(super) fn hang_up(&mut self, now: Time, key: LegKey, reason: Option<Reason>) {
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        if std::mem::replace(&mut leg.leaving, true) {
            return;
        }
        match leg.sip {
            Some(sip) => {
                self.close_media(now, key);
                // Its end, where it was told already, is on its way here.
                let _gone = self.endpoint.hangup(now, sip, hangup(reason), None);
            }
            None => self.drop_leg(now, key),
        }
    }

    /// Forgets a leg that nobody outside knows of.
    pub(super) fn drop_leg(&mut self, now: Time, key: LegKey) {
        self.close_media(now, key);
        let part = self.switch.remove_leg(key).map(|leg| leg.part);
        if let Some(agent) = part.and_then(|part| self.release(part)) {
            self.rest_if_done(now, agent);
        }
    }

    /// Ends a call that nobody takes for this reason.
    pub(super) fn turn_away(&mut self, now: Time, key: CallKey, reject: Reject, cause: EndCause) {
        if let Some(call) = self.switch.call_mut(key) {
            call.end.get_or_insert(cause);
        }
        self.fail_call(now, key, reject);
    }

    /// Refuses the caller, or hangs up who was answered already, and ends the call.
    pub(super) fn fail_call(&mut self, now: Time, key: CallKey, reject: Reject) {
        let Some(call) = self.switch.call(key) else {
            return;
        };
        let (caller, answered) = (call.caller, call.caller_answered);
        self.finish(now, key, EndCause::Failed(reject.status));
        if answered {
            let text = callwright_sip::reason_phrase(reject.status);
            let reason = super::hunt::sip_reason(reject.status, text);
            self.hang_up(now, caller, Some(reason));
            return;
        }
        if let Some(leg) = self.switch.leg_mut(caller) {
            leg.leaving = true;
            if let Some(sip) = leg.sip {
                if (300..400).contains(&reject.status) {
                    self.redirect(now, sip, reject);
                } else {
                    self.reject(now, sip, reject);
                }
            }
        }
        self.close_media(now, caller);
    }

    /// RFC 3261 §8.1.3.4: where a callee sends the caller elsewhere, the caller decides whether to go.
    fn redirect(&mut self, now: Time, sip: CallId, reject: Reject) {
        let redirect = callwright_sip::command::Redirect {
            status: reject.status,
            reason: reject.reason,
            contacts: Vec::new(),
            diversion: None,
            headers: reject.headers,
        };
        let _gone = self.endpoint.redirect(now, sip, redirect, None);
    }

    /// A call is over: once, with one cause, the first that was found.
    pub(super) fn finish(&mut self, now: Time, key: CallKey, cause: EndCause) {
        self.alarms.clear(Alarm::NoAnswer(key));
        self.alarms.clear(Alarm::TransferNoAnswer(key));
        self.alarms.clear(Alarm::SpeechOver(key));
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let stage = std::mem::replace(&mut call.stage, Stage::Over);
        if stage == Stage::Over {
            return;
        }
        call.exchange = None;
        self.guard.clear(call.story.source);
        let cause = *call.end.get_or_insert(cause);
        if !call.story.silent {
            let fact = Fact::CallEnded {
                call: key,
                cause,
                at: now,
            };
            self.persist(now, Due::Nothing, fact);
        }
        self.end_recording(now, key);
        self.leave_queue(key);
        self.end_service(now, key, matches!(stage, Stage::Talking { .. }));
    }
}

/// Why somebody does not take a call, from how its leg ended.
fn refusal_of(end: SipEnd) -> Refusal {
    match end {
        SipEnd::Response(message) => refusal_by(&message),
        // RFC 3261 §8.1.3.1: no response counts as 408, and one that cannot be sent as 503; to the caller the callee is not there.
        SipEnd::Timeout { .. } => Refusal::new(408),
        SipEnd::Transport { .. } => Refusal::new(480),
        SipEnd::Rejected { .. }
        | SipEnd::RemoteBye { .. }
        | SipEnd::LocalBye
        | SipEnd::Cancelled { .. }
        | SipEnd::DialogGone(_)
        | SipEnd::SessionExpired
        | SipEnd::Replaced { .. }
        | SipEnd::Protocol { .. } => Refusal::new(480),
    }
}

/// A final response as it is handed on.
fn refusal_by(message: &Message) -> Refusal {
    let status = message.status().unwrap_or(500);
    let mut headers = Vec::new();
    let mut hand_on = |name: HeaderName| {
        let values = message.headers(name.clone());
        headers.extend(values.map(|value| (name.clone(), value.into_owned())));
    };
    let status = match status {
        // A challenge to somebody else: nobody here can meet it, and the caller could not either.
        401 | 407 => 480,
        300..=399 => {
            hand_on(HeaderName::Contact);
            status
        }
        // RFC 3261 §16.7, 6: the callee is overloaded, not this machine.
        503 => 500,
        _ => status,
    };
    for name in [HeaderName::Reason, HeaderName::Warning] {
        hand_on(name);
    }
    let same = message.status() == Some(status);
    Refusal {
        status,
        reason: message
            .reason_phrase()
            .filter(|_| same)
            .map(|reason| reason.into_owned()),
        headers,
    }
}

/// Why a call ends whose caller was answered and talked to nobody yet.
fn cause_while_waiting(end: &SipEnd) -> EndCause {
    match end {
        SipEnd::RemoteBye { .. } | SipEnd::Cancelled { .. } => EndCause::Abandoned,
        SipEnd::Response(_)
        | SipEnd::Rejected { .. }
        | SipEnd::LocalBye
        | SipEnd::Timeout { .. }
        | SipEnd::Transport { .. }
        | SipEnd::DialogGone(_)
        | SipEnd::SessionExpired
        | SipEnd::Replaced { .. }
        | SipEnd::Protocol { .. } => cause_after_answer(end, true),
    }
}

/// What the other side is told (RFC 3326).
fn reason_of(end: &SipEnd) -> Option<Reason> {
    match end {
        SipEnd::RemoteBye { reason, .. } | SipEnd::Cancelled { reason, .. } => reason.clone(),
        SipEnd::Timeout { .. } | SipEnd::SessionExpired => {
            Some(super::hunt::sip_reason(408, "Request Timeout"))
        }
        SipEnd::Transport { .. } | SipEnd::DialogGone(_) | SipEnd::Protocol { .. } => {
            Some(super::hunt::sip_reason(500, "Server Internal Error"))
        }
        SipEnd::Response(_) | SipEnd::Rejected { .. } | SipEnd::LocalBye | SipEnd::Replaced { .. } => None,
    }
}

fn cause_before_answer(end: &SipEnd) -> EndCause {
    match end {
        SipEnd::Cancelled { .. } | SipEnd::RemoteBye { .. } => EndCause::Abandoned,
        SipEnd::Rejected { status } => EndCause::Failed(*status),
        SipEnd::Timeout { .. } => EndCause::TimedOut,
        SipEnd::Response(_)
        | SipEnd::LocalBye
        | SipEnd::Transport { .. }
        | SipEnd::DialogGone(_)
        | SipEnd::SessionExpired
        | SipEnd::Replaced { .. }
        | SipEnd::Protocol { .. } => EndCause::Failed(500),
    }
}

fn cause_after_answer(end: &SipEnd, by_caller: bool) -> EndCause {
    match end {
        SipEnd::RemoteBye { .. } if by_caller => EndCause::CompletedByCaller,
        SipEnd::RemoteBye { .. } => EndCause::CompletedByCallee,
        // No ACK, no answer to a re-INVITE, or no refresh: the peer is gone without a word.
        SipEnd::Timeout { .. } | SipEnd::SessionExpired | SipEnd::DialogGone(_) => EndCause::Failed(408),
        SipEnd::Response(_)
        | SipEnd::Rejected { .. }
        | SipEnd::LocalBye
        | SipEnd::Cancelled { .. }
        | SipEnd::Transport { .. }
        | SipEnd::Replaced { .. }
        | SipEnd::Protocol { .. } => EndCause::Failed(500),
    }
}
