//! A queue presents a call: the contacts of one agent ring, or with `ring_all` those of all who are free, until one answers or
//! nobody does.

use std::time::Duration;

use callwright_sip::command::Reason;
use callwright_sip::event::EndCause as SipEnd;
use callwright_wire::Time;

use super::hunt::sip_reason;
use super::{Hunt, LegKey, Part, Service, Stage};
use crate::agent::{AgentState, NotReadyReason};
use crate::fact::{CallKey, Fact, PresentationOutcome};
use crate::journal::Due;
use crate::machine::{Alarm, Machine};
use crate::queueing::{AgentKey, Match};

/// After so long a call is offered once more to agents who did not take it and are ready all the same, where nobody else is.
pub(super) const OFFER_AGAIN: Duration = Duration::from_secs(5);

/// How far an INVITE to a contact came that came to nothing. Of several contacts of one agent the last in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    /// Nobody is there, or what is there does not work.
    Nobody,
    /// It was not sent: something was missing here.
    NotTried,
    /// The phone refused the call.
    Refused,
    /// It was answered, and came to nothing.
    Answered,
}

impl Reached {
    pub(crate) fn of(end: &SipEnd) -> Reached {
        match end {
            SipEnd::Response(message) => match message.status() {
                Some(404 | 408 | 410 | 500..=599) | None => Reached::Nobody,
                Some(_) => Reached::Refused,
            },
            SipEnd::Timeout { .. } | SipEnd::Transport { .. } => Reached::Nobody,
            SipEnd::Rejected { .. }
            | SipEnd::RemoteBye { .. }
            | SipEnd::LocalBye
            | SipEnd::Cancelled { .. }
            | SipEnd::DialogGone(_)
            | SipEnd::SessionExpired
            | SipEnd::Replaced { .. }
            | SipEnd::Protocol { .. } => Reached::Answered,
        }
    }
}

/// What a presentation that is over means for the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consequence {
    /// Nothing: it is as before.
    None,
    /// It let a call ring.
    Unanswered,
    /// It refused one.
    Refused,
    /// It can take no call.
    Unreachable,
    /// It wants no call any more.
    Gone,
}

impl Machine {
    /// Presents a call to agents that are free.
    pub(crate) fn present(&mut self, now: Time, found: &Match) {
        let Match { call: key, agents } = found;
        let key = *key;
        self.floor.present(key, agents);
        self.alarms.clear(Alarm::OfferAgain(key));
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let caller = call.caller;
        let Some(queued) = &mut call.queued else { return };
        if queued.presented.is_empty() {
            queued.attempts += 1;
        }
        queued.presented.extend(agents);
        let (attempt, queue) = (queued.attempts, queued.queue);
        call.hunt.get_or_insert_with(|| Hunt::new(caller, None));
        let ring = self.floor.queue(queue).config.ring;
        for agent in agents {
            self.alarms.set(Alarm::PresentationNoAnswer(*agent), now + ring);
            self.floor.change(*agent, |agent| agent.call = Some(key));
            self.agent_becomes(now, *agent, AgentState::Reserved);
            let fact = Fact::CallPresented {
                call: key,
                agent: self.floor.agent(*agent).name.clone(),
                attempt,
                at: now,
            };
            self.persist(now, Due::Nothing, fact);
            let user = self.floor.agent(*agent).user;
            self.ring_contacts(now, key, user, Part::Queue(*agent));
        }
        for agent in agents {
            if self.floor.agent(*agent).queue_legs == 0 {
                // Its last contact is running out right now.
                self.end_presentation(
                    now,
                    key,
                    *agent,
                    PresentationOutcome::Rejected(480),
                    Consequence::None,
                );
            }
        }
        self.come_back_if_vain(now, key);
    }

    /// A contact refused a call that was presented, or cannot be reached.
    pub(super) fn on_presentation_refused(
        &mut self,
        now: Time,
        key: CallKey,
        leg: LegKey,
        status: u16,
        reached: Reached,
    ) {
        let Some(Part::Queue(agent)) = self.switch.leg(leg).map(|leg| leg.part) else {
            return;
        };
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        if call.early == Some(leg) {
            call.early = None;
        }
        if let Some(hunt) = &mut call.hunt {
            hunt.legs.retain(|other| *other != leg);
        }
        let others = self.legs_ringing_for(key, agent);
        let queued = self.switch.call_mut(key).and_then(|call| call.queued.as_mut());
        if let Some(queued) = queued {
            let counts = queued.reached.entry(agent).or_insert(reached);
            *counts = reached.max(*counts);
        }
        if status >= 600 {
            // RFC 3261 §16.7, 5: its other contacts need not be asked.
            self.cancel_legs(now, key, &others, None);
        } else if !others.is_empty() {
            return;
        }
        let queued = self.switch.call(key).and_then(|call| call.queued.as_ref());
        let consequence = match queued.and_then(|queued| queued.reached.get(&agent)) {
            Some(Reached::Refused | Reached::Answered) => Consequence::Refused,
            Some(Reached::NotTried) => Consequence::None,
            Some(Reached::Nobody) | None => Consequence::Unreachable,
        };
        let outcome = PresentationOutcome::Rejected(status);
        self.end_presentation(now, key, agent, outcome, consequence);
        self.come_back_if_vain(now, key);
    }

    /// An agent did not answer in time.
    pub(crate) fn on_presentation_unanswered(&mut self, now: Time, agent: AgentKey) {
        let Some(key) = self.floor.agent(agent).call else {
            return;
        };
        let legs = self.legs_ringing_for(key, agent);
        self.cancel_legs(now, key, &legs, Some(sip_reason(480, "No Answer")));
        let outcome = PresentationOutcome::NoAnswer;
        self.end_presentation(now, key, agent, outcome, Consequence::Unanswered);
        self.come_back_if_vain(now, key);
    }

    /// Takes a call back from an agent who is to have none.
    pub(crate) fn agent_leaves_presentation(&mut self, now: Time, agent: AgentKey) {
        let Some(key) = self.floor.agent(agent).call else {
            // What was presented is being cancelled.
            let state = self.floor.change(agent, |agent| agent.at_rest());
            return self.agent_becomes(now, agent, state);
        };
        let legs = self.legs_ringing_for(key, agent);
        self.cancel_legs(now, key, &legs, Some(sip_reason(480, "Not Ready")));
        let outcome = PresentationOutcome::AgentGone;
        self.end_presentation(now, key, agent, outcome, Consequence::Gone);
        self.come_back_if_vain(now, key);
    }

    /// Takes a call back from all to whom it is presented; nothing happens where that is nobody. What becomes of the call it is for
    /// others to say.
    pub(super) fn withdraw(&mut self, now: Time, key: CallKey, reason: Option<Reason>) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let Some(queued) = &call.queued else { return };
        if call.stage != Stage::Waiting || queued.presented.is_empty() {
            return;
        }
        let presented = queued.presented.clone();
        let legs = call.hunt.take().map(|hunt| hunt.legs).unwrap_or_default();
        self.cancel_legs(now, key, &legs, reason);
        for agent in presented {
            let outcome = PresentationOutcome::Withdrawn;
            self.end_presentation(now, key, agent, outcome, Consequence::None);
        }
    }

    /// The presentation to one agent is over.
    fn end_presentation(
        &mut self,
        now: Time,
        key: CallKey,
        agent: AgentKey,
        outcome: PresentationOutcome,
        consequence: Consequence,
    ) {
        let Some(queued) = self.switch.call_mut(key).and_then(|call| call.queued.as_mut()) else {
            return;
        };
        queued.presented.retain(|other| *other != agent);
        queued.reached.remove(&agent);
        self.alarms.clear(Alarm::PresentationNoAnswer(agent));
        let config = &self.floor.queue(queued.queue).config;
        let (max_no_answer, max_refused) = (config.max_no_answer, config.max_refused);
        let fact = Fact::PresentationEnded {
            call: key,
            agent: self.floor.agent(agent).name.clone(),
            outcome,
            at: now,
        };
        self.persist(now, Due::Nothing, fact);
        match outcome {
            PresentationOutcome::NoAnswer | PresentationOutcome::Rejected(_) => {
                self.floor.pass_over(key, agent);
            }
            PresentationOutcome::Withdrawn | PresentationOutcome::AgentGone => {}
        }
        let state = self.floor.change(agent, |agent| {
            agent.call = None;
            match consequence {
                Consequence::None => None,
                Consequence::Unreachable => {
                    Some(AgentState::NotReady(NotReadyReason::Rejected)).filter(|_| agent.registered)
                }
                Consequence::Gone => Some(agent.at_rest()),
                Consequence::Unanswered => {
                    agent.unanswered += 1;
                    let enough = max_no_answer > 0 && agent.unanswered >= max_no_answer;
                    enough.then_some(AgentState::NotReady(NotReadyReason::NoAnswer))
                }
                Consequence::Refused => {
                    agent.refused += 1;
                    let enough = max_refused > 0 && agent.refused >= max_refused;
                    enough
                        .then_some(AgentState::NotReady(NotReadyReason::Rejected))
                        .filter(|_| agent.registered)
                }
            }
        });
        match state {
            Some(state) => self.agent_becomes(now, agent, state),
            None => self.rest_if_done(now, agent),
        }
    }

    /// A call that is presented to nobody any more waits again: where it stood.
    fn come_back_if_vain(&mut self, now: Time, key: CallKey) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let presented = call
            .queued
            .as_ref()
            .is_none_or(|queued| !queued.presented.is_empty());
        if call.stage != Stage::Waiting || presented {
            return;
        }
        call.hunt = None;
        call.early = None;
        self.floor.come_back(key);
        if self.floor.has_passed(key) {
            self.alarms.set(Alarm::OfferAgain(key), now + OFFER_AGAIN);
        }
    }

    /// An agent answered; its other contacts are cancelled already, and with `ring_all` those of others.
    pub(super) fn on_agent_answered(&mut self, now: Time, key: CallKey, leg: LegKey) {
        let Some(Part::Queue(agent)) = self.switch.leg(leg).map(|leg| leg.part) else {
            return;
        };
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let Some(queued) = &mut call.queued else { return };
        let queue = queued.queue;
        let others = std::mem::take(&mut queued.presented);
        call.service = Some(Service {
            agent,
            queue,
            leg,
            since: now,
        });
        self.leave_queue(key);
        self.alarms.clear(Alarm::PresentationNoAnswer(agent));
        for other in others.into_iter().filter(|other| *other != agent) {
            self.end_presentation(now, key, other, PresentationOutcome::Withdrawn, Consequence::None);
        }
        self.floor.queue_mut(queue).talking += 1;
        self.floor.change(agent, |agent| {
            agent.start_afresh();
            agent.standing.answered += 1;
        });
        self.agent_becomes(now, agent, AgentState::Talking);
        self.store_answer(now, key, leg);
    }

    /// The agent who took a call takes no part in it any more. `wrap_up`: it talked, and may take its time.
    pub(super) fn end_service(&mut self, now: Time, key: CallKey, wrap_up: bool) {
        let service = self.switch.call_mut(key).and_then(|call| call.service.take());
        let Some(service) = service else { return };
        let queue = self.floor.queue_mut(service.queue);
        queue.talking = queue.talking.saturating_sub(1);
        let wrap_up = Some(queue.config.wrap_up).filter(|span| wrap_up && !span.is_zero());
        let agent = service.agent;
        let registered = self.floor.change(agent, |agent| {
            agent.call = None;
            agent.standing.talk_time += now.since(service.since);
            agent.standing.idle_since = now;
            agent.registered
        });
        match wrap_up.filter(|_| registered) {
            Some(span) => {
                let until = now + span;
                self.alarms.set(Alarm::WrapUp(agent), until);
                self.agent_becomes(now, agent, AgentState::WrapUp { until });
            }
            None => self.rest_if_done(now, agent),
        }
    }

    /// An agent whose call is over, and all of it gone, is what it wants to be.
    pub(super) fn rest_if_done(&mut self, now: Time, key: AgentKey) {
        let agent = self.floor.agent(key);
        let busy = matches!(agent.state, AgentState::Reserved | AgentState::Talking);
        if busy && agent.call.is_none() && agent.queue_legs == 0 {
            let state = self.floor.change(key, |agent| agent.at_rest());
            self.agent_becomes(now, key, state);
        }
    }

    /// The legs that ring for one agent.
    fn legs_ringing_for(&self, key: CallKey, agent: AgentKey) -> Vec<LegKey> {
        let hunt = self.switch.call(key).and_then(|call| call.hunt.as_ref());
        let own = |leg: &LegKey| {
            let part = self.switch.leg(*leg).map(|leg| leg.part);
            part == Some(Part::Queue(agent))
        };
        let legs = hunt.into_iter().flat_map(|hunt| hunt.legs.iter().copied());
        legs.filter(own).collect()
    }

    /// Those who ring are told that it is over.
    fn cancel_legs(&mut self, now: Time, key: CallKey, legs: &[LegKey], reason: Option<Reason>) {
        if let Some(call) = self.switch.call_mut(key) {
            if let Some(hunt) = &mut call.hunt {
                hunt.legs.retain(|leg| !legs.contains(leg));
            }
            call.early = call.early.filter(|early| !legs.contains(early));
        }
        for leg in legs {
            self.hang_up(now, *leg, reason.clone());
        }
    }
}
