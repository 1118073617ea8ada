//! Calls that wait in a queue, in order.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use callwright_wire::Time;

use super::{AgentKey, QueueKey};
use crate::fact::CallKey;

/// Where a call stands: the highest priority first, then who came first. It keeps it while it is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    priority: Reverse<i32>,
    since: Time,
    pub(super) call: CallKey,
}

impl Place {
    pub(super) fn priority(&self) -> i32 {
        self.priority.0
    }
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) queue: QueueKey,
    pub(super) place: Place,
    pub(super) presented: bool,
    /// Whether its caller is answered only when an agent's answer is stored.
    pub(super) unanswered: bool,
    /// For how many agents it was rung since it is presented.
    pub(super) rung: usize,
    /// Who did not take it, each with the epoch in which that was.
    pub(super) passed: Vec<(AgentKey, u32)>,
}

impl Waiting {
    pub(super) fn new(queue: QueueKey, priority: i32, since: Time, call: CallKey) -> Waiting {
        Waiting {
            queue,
            place: Place {
                priority: Reverse(priority),
                since,
                call,
            },
            presented: false,
            unanswered: false,
            rung: 0,
            passed: Vec::new(),
        }
    }

    /// Whether an agent did not take it, and has not said since that it is ready.
    pub(super) fn passes(&self, agent: AgentKey, epoch: u32) -> bool {
        self.passed.contains(&(agent, epoch))
    }
}

/// The calls of one queue.
#[derive(Debug, Default)]
pub(super) struct Line {
    all: BTreeSet<Place>,
    unpresented: BTreeSet<Place>,
    by_age: BTreeSet<(Time, CallKey)>,
}

impl Line {
    pub(super) fn join(&mut self, place: Place) {
        self.all.insert(place);
        self.by_age.insert((place.since, place.call));
        self.unpresented.insert(place);
    }

    pub(super) fn leave(&mut self, place: &Place) {
        self.all.remove(place);
        self.by_age.remove(&(place.since, place.call));
        self.unpresented.remove(place);
    }

    pub(super) fn present(&mut self, place: &Place) {
        self.unpresented.remove(place);
    }

    pub(super) fn come_back(&mut self, place: Place) {
        self.unpresented.insert(place);
    }

    /// Those that nobody is offered, in order.
    pub(super) fn unpresented(&self) -> impl Iterator<Item = &Place> {
        self.unpresented.iter()
    }

    /// Those that are presented, in order.
    pub(super) fn being_presented(&self) -> impl Iterator<Item = &Place> {
        self.all.difference(&self.unpresented)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn presented(&self) -> usize {
        self.all.len() - self.unpresented.len()
    }

    pub(super) fn oldest(&self) -> Option<Time> {
        self.by_age.first().map(|(since, _)| *since)
    }

    /// All of them, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Place> {
        self.all.iter()
    }

    pub(super) fn position(&self, place: &Place) -> usize {
        self.all.range(..place).count() + 1
    }
}
