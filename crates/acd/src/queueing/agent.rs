//! An agent as queues see it.

use std::collections::BTreeMap;
use std::time::Duration;

use callwright_wire::Time;

use super::QueueKey;
use crate::agent::{AgentState, NotReadyReason};
use crate::config::{AgentConfig, Strategy};
use crate::fact::CallKey;
use crate::registrar::UserKey;

/// An agent: its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AgentKey(pub(super) u32);

impl AgentKey {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A place among the members of a queue.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) queue: QueueKey,
    pub(super) position: u32,
    /// Under which score it stands among those that are free; `None` while it is not.
    pub(super) score: Option<u64>,
}

/// What strategies compare.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// How many calls of queues it answered.
    pub(crate) answered: u64,
    /// How long it talked in those that are over.
    pub(crate) talk_time: Duration,
    /// When the last one was over.
    pub(crate) idle_since: Time,
}

impl Standing {
    /// What comes first is small.
    pub(super) fn score(&self, strategy: Strategy) -> u64 {
        match strategy {
            Strategy::LongestIdle => self.idle_since.as_nanos(),
            Strategy::FewestCalls => self.answered,
            Strategy::LeastTalkTime => u64::try_from(self.talk_time.as_nanos()).unwrap_or(u64::MAX),
            Strategy::RoundRobin | Strategy::Linear | Strategy::Random | Strategy::RingAll => 0,
        }
    }
}

/// An agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) user: UserKey,
    pub(crate) ready_on_register: bool,
    pub(super) skills: BTreeMap<String, u32>,
    pub(crate) state: AgentState,
    pub(crate) since: Time,
    /// Whether a contact is registered.
    pub(crate) registered: bool,
    /// What it wants to be when the call or the wrap-up is over; `None`: ready.
    pub(crate) afterwards: Option<NotReadyReason>,
    /// The call of a queue that is presented to it, or in which it talks.
    pub(crate) call: Option<CallKey>,
    /// Legs of calls of queues: while one is left, no other call is presented.
    pub(crate) queue_legs: usize,
    /// Legs of other calls.
    pub(crate) other_legs: usize,
    /// How many presentations in a row it did not answer.
    pub(crate) unanswered: u32,
    /// How many presentations it refused since it answered one.
    pub(crate) refused: u32,
    pub(crate) standing: Standing,
    /// How often it got ready by its own will: who did not take a call may be offered it again then.
    pub(super) epoch: u32,
    pub(super) memberships: Vec<Membership>,
    /// Whether its queues count it as free.
    pub(super) listed: bool,
}

impl Agent {
    pub(super) fn new(config: &AgentConfig, user: UserKey) -> Agent {
        Agent {
            name: config.name.clone(),
            user,
            ready_on_register: config.ready_on_register,
            skills: config.skills.clone(),
            state: AgentState::LoggedOut,
            since: Time::ZERO,
            registered: false,
            afterwards: None,
            call: None,
            queue_legs: 0,
            other_legs: 0,
            unanswered: 0,
            refused: 0,
            standing: Standing::default(),
            epoch: 0,
            memberships: Vec::new(),
            listed: false,
        }
    }

    pub(super) fn join(&mut self, queue: QueueKey, position: u32) {
        self.memberships.push(Membership {
            queue,
            position,
            score: None,
        });
    }

    pub(super) fn place_in(&self, queue: QueueKey) -> Option<u32> {
        let place = self.memberships.iter().find(|place| place.queue == queue);
        place.map(|place| place.position)
    }

    /// Whether a call can be presented to it.
    pub(super) fn is_free(&self) -> bool {
        self.state == AgentState::Ready && self.queue_legs == 0 && self.other_legs == 0
    }

    /// Puts it into another state. False when it is in it already.
    pub(crate) fn become_state(&mut self, now: Time, state: AgentState) -> bool {
        if self.state == state {
            return false;
        }
        let was_out = matches!(self.state, AgentState::LoggedOut | AgentState::NotReady(_));
        if matches!(state, AgentState::Ready | AgentState::Reserved) && was_out {
            self.epoch += 1;
        }
        self.state = state;
        self.since = now;
        true
    }

    /// What it did with presentations counts no more.
    pub(crate) fn start_afresh(&mut self) {
        self.unanswered = 0;
        self.refused = 0;
    }

    /// What it is when nothing of a queue is left to do.
    pub(crate) fn at_rest(&mut self) -> AgentState {
        let afterwards = self.afterwards.take();
        match afterwards {
            _ if !self.registered => AgentState::LoggedOut,
            Some(reason) => AgentState::NotReady(reason),
            None => AgentState::Ready,
        }
    }
}
