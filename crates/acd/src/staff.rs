//! Agents in the machine: what makes each ready, and what follows from that.

use callwright_wire::Time;

use crate::agent::{AgentRequest, AgentState, NotReadyReason};
use crate::fact::Fact;
use crate::journal::Due;
use crate::machine::{Alarm, Machine};
use crate::queueing::{Agent, AgentKey};
use crate::registrar::UserKey;
use crate::snapshot::AgentSnapshot;

impl Machine {
    /// Every agent, in the order of the configuration.
    pub fn agents(&self) -> Vec<AgentSnapshot> {
        let snapshot = |key| {
            let agent = self.floor.agent(key);
            AgentSnapshot {
                name: agent.name.clone(),
                state: agent.state.clone(),
                since: agent.since,
                contacts: self.registrar.account(agent.user).bound(self.now).count(),
                call: agent.call,
                other_calls: agent.other_legs,
                unanswered: agent.unanswered,
                refused: agent.refused,
                answered: agent.standing.answered,
                talk_time: agent.standing.talk_time,
            }
        };
        self.floor.agent_keys().map(snapshot).collect()
    }

    /// Puts the state of an agent in force that was stored before a restart; told before anything else is handled, in any order with
    /// [`Machine::restore`]. The calls of that time are gone: who was in one is ready, or what it [wanted to be](Machine::restore_wish),
    /// and who has no binding any more logged out.
    /// What that changes is told as a fact. Nothing happens where there is no such agent.
    pub fn restore_agent(&mut self, now: Time, agent: &str, state: AgentState) {
        let Some(key) = self.floor.find_agent(agent) else {
            return;
        };
        self.floor.change(key, |agent| {
            agent.become_state(now, state);
        });
        self.restored = true;
    }

    /// What an agent wanted to be when its call or wrap-up was over; told together with [`Machine::restore_agent`].
    pub fn restore_wish(&mut self, agent: &str, afterwards: NotReadyReason) {
        if let Some(key) = self.floor.find_agent(agent) {
            self.floor
                .change(key, |agent| agent.afterwards = Some(afterwards));
            self.restored = true;
        }
    }

    /// What was restored counts from now on.
    pub(crate) fn resume(&mut self, now: Time) {
        if !std::mem::take(&mut self.restored) {
            return;
        }
        for key in self.floor.agent_keys() {
            let agent = self.floor.agent(key);
            let registered = self.registrar.account(agent.user).bound(now).next().is_some();
            let goes_on = match &agent.state {
                _ if !registered => None,
                AgentState::Reserved | AgentState::Talking => None,
                AgentState::WrapUp { until } if *until <= now => None,
                AgentState::WrapUp { until } => {
                    self.alarms.set(Alarm::WrapUp(key), *until);
                    Some(agent.state.clone())
                }
                AgentState::LoggedOut if agent.ready_on_register => Some(AgentState::Ready),
                AgentState::LoggedOut => Some(AgentState::NotReady(NotReadyReason::Login)),
                AgentState::Ready | AgentState::NotReady(_) => Some(agent.state.clone()),
            };
            let state = self.floor.change(key, |agent| {
                agent.registered = registered;
                goes_on.unwrap_or_else(|| agent.at_rest())
            });
            self.agent_becomes(now, key, state);
        }
    }

    /// Puts an agent into a state, and tells so when it is another one. Nobody is ready whose phone is still being told that the
    /// call before is over: it is reserved until then.
    pub(crate) fn agent_becomes(&mut self, now: Time, key: AgentKey, state: AgentState) {
        let state = match state {
            AgentState::Ready if self.floor.agent(key).queue_legs > 0 => AgentState::Reserved,
            state => state,
        };
        if self
            .floor
            .change(key, |agent| agent.become_state(now, state.clone()))
        {
            let fact = Fact::AgentChanged {
                agent: self.floor.agent(key).name.clone(),
                state,
                at: now,
            };
            self.persist(now, Due::Nothing, fact);
        }
    }

    /// What an agent wants to be afterwards, which is told when it is something else than before.
    fn agent_wants(&mut self, now: Time, key: AgentKey, afterwards: Option<NotReadyReason>) {
        let before = self.floor.change(key, |agent| {
            std::mem::replace(&mut agent.afterwards, afterwards.clone())
        });
        if before != afterwards {
            let fact = Fact::AgentWants {
                agent: self.floor.agent(key).name.clone(),
                afterwards,
                at: now,
            };
            self.persist(now, Due::Nothing, fact);
        }
    }

    /// The bindings of a user changed.
    pub(crate) fn on_reachable(&mut self, now: Time, user: UserKey) {
        let Some(key) = self.floor.agent_of(user) else {
            return;
        };
        let registered = self.registrar.account(user).bound(now).next().is_some();
        let was = self
            .floor
            .change(key, |agent| std::mem::replace(&mut agent.registered, registered));
        if registered == was {
            return;
        }
        let agent = self.floor.agent(key);
        match (&agent.state, registered) {
            (AgentState::LoggedOut, true) => {
                let state = if agent.ready_on_register {
                    AgentState::Ready
                } else {
                    AgentState::NotReady(NotReadyReason::Login)
                };
                self.floor.change(key, Agent::start_afresh);
                self.agent_becomes(now, key, state);
            }
            // A call that is up does not need the registration, and the agent is logged out when it is over.
            (AgentState::Talking, false) => {}
            (AgentState::Reserved, false) => self.agent_leaves_presentation(now, key),
            (AgentState::Ready | AgentState::NotReady(_) | AgentState::WrapUp { .. }, false) => {
                self.alarms.clear(Alarm::WrapUp(key));
                self.floor.change(key, |agent| agent.afterwards = None);
                self.agent_becomes(now, key, AgentState::LoggedOut);
            }
            // It came back before it was missed.
            (_, true) | (AgentState::LoggedOut, false) => {}
        }
    }

    /// Somebody asks something of an agent by name.
    pub(crate) fn set_agent(&mut self, now: Time, name: &str, request: &AgentRequest) {
        if let Some(key) = self.floor.find_agent(name) {
            self.ask_agent(now, key, request);
        }
    }

    /// Something is asked of an agent. False when there is no room for a fact that tells it.
    pub(crate) fn ask_agent(&mut self, now: Time, key: AgentKey, request: &AgentRequest) -> bool {
        if !self.has_room_for_facts() {
            self.counters.over_limit += 1;
            return false;
        }
        let state = self.floor.agent(key).state.clone();
        match (request, state) {
            (_, AgentState::LoggedOut) => {}
            (AgentRequest::Ready, AgentState::Reserved | AgentState::Talking) => {
                self.agent_wants(now, key, None);
            }
            (AgentRequest::Ready, AgentState::WrapUp { .. }) => {
                self.agent_wants(now, key, None);
                self.on_wrap_up_over(now, key);
            }
            (AgentRequest::Ready, AgentState::NotReady(_) | AgentState::Ready) => {
                self.floor.change(key, Agent::start_afresh);
                self.agent_becomes(now, key, AgentState::Ready);
            }
            (AgentRequest::NotReady(reason), AgentState::Talking | AgentState::WrapUp { .. }) => {
                self.agent_wants(now, key, Some(NotReadyReason::Manual(reason.clone())));
            }
            (AgentRequest::NotReady(reason), AgentState::Reserved) => {
                let reason = NotReadyReason::Manual(reason.clone());
                self.floor.change(key, |agent| agent.afterwards = Some(reason));
                self.agent_leaves_presentation(now, key);
            }
            (AgentRequest::NotReady(reason), AgentState::NotReady(_) | AgentState::Ready) => {
                let state = AgentState::NotReady(NotReadyReason::Manual(reason.clone()));
                self.agent_becomes(now, key, state);
            }
            (AgentRequest::WrapUpDone, AgentState::WrapUp { .. }) => self.on_wrap_up_over(now, key),
            (
                AgentRequest::WrapUpDone,
                AgentState::NotReady(_) | AgentState::Ready | AgentState::Reserved | AgentState::Talking,
            ) => {}
        }
        true
    }

    /// The time after a call is over.
    pub(crate) fn on_wrap_up_over(&mut self, now: Time, key: AgentKey) {
        self.alarms.clear(Alarm::WrapUp(key));
        let state = self.floor.change(key, |agent| agent.at_rest());
        self.agent_becomes(now, key, state);
    }
}
