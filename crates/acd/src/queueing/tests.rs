//! The floor against a model of it that looks everybody through.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use callwright_wire::{Entropy, Seed, Time};

use super::*;
use crate::config::User;
use crate::registrar::Registrar;

const STRATEGIES: [Strategy; 7] = [
    Strategy::RoundRobin,
    Strategy::LongestIdle,
    Strategy::FewestCalls,
    Strategy::LeastTalkTime,
    Strategy::Linear,
    Strategy::Random,
    Strategy::RingAll,
];

fn names() -> Vec<String> {
    (0..6).map(|number| format!("agent{number}")).collect()
}

fn floor(seed: u64, strategies: &[Strategy]) -> Floor {
    let users: Vec<_> = names().into_iter().map(User::open).collect();
    let agents: Vec<_> = names().into_iter().map(AgentConfig::new).collect();
    let queue = |(number, strategy): (usize, &Strategy)| {
        let mut queue = QueueConfig::new(format!("queue{number}"));
        queue.strategy = *strategy;
        queue.priority = (number % 2) as i32;
        // Each queue leaves one agent out, and begins with another one.
        let mut members = names();
        members.rotate_left(number % 6);
        members.pop();
        queue.members = Some(members);
        queue
    };
    let queues: Vec<_> = strategies.iter().enumerate().map(queue).collect();
    let registrar = Registrar::new(&users);
    let entropy = Seed::from_number(seed).stream();
    Floor::new(&agents, &queues, |name| registrar.find(name), 50, entropy)
}

/// A walk, and what a simple mind remembers of it.
struct Walk {
    floor: Floor,
    entropy: Entropy,
    now: Time,
    /// Who talks, or is rung.
    busy: BTreeMap<AgentKey, CallKey>,
    /// Calls that are presented.
    presented: BTreeMap<CallKey, Vec<AgentKey>>,
    /// Calls that wait: queue, and since when.
    waiting: BTreeMap<CallKey, (QueueKey, Time)>,
    /// Who refused what.
    refused: BTreeSet<(CallKey, AgentKey)>,
    last: BTreeMap<QueueKey, usize>,
    calls: u64,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut walk = Walk {
            floor: floor(seed, &STRATEGIES),
            entropy: Seed::from_number(seed).derive("walk").stream(),
            now: Time::from_secs(1),
            busy: BTreeMap::new(),
            presented: BTreeMap::new(),
            waiting: BTreeMap::new(),
            refused: BTreeSet::new(),
            last: BTreeMap::new(),
            calls: 0,
        };
        for agent in walk.floor.agent_keys() {
            walk.becomes(agent, AgentState::Ready);
        }
        walk
    }

    fn becomes(&mut self, agent: AgentKey, state: AgentState) {
        let now = self.now;
        self.floor.change(agent, |agent| agent.become_state(now, state));
    }

    fn free(&self, queue: QueueKey) -> Vec<AgentKey> {
        let members = self.floor.queue(queue).members.iter().copied();
        let ready = |agent: &AgentKey| self.floor.agent(*agent).state == AgentState::Ready;
        members.filter(ready).collect()
    }

    /// Whether the model lets an agent take a call.
    fn takes(&self, call: CallKey, agent: AgentKey) -> bool {
        let (queue, _) = self.waiting[&call];
        self.free(queue).contains(&agent) && !self.refused.contains(&(call, agent))
    }

    fn rank(&self, call: CallKey) -> (i32, Time, CallKey) {
        let (queue, since) = self.waiting[&call];
        (-self.floor.queue(queue).config.priority, since, call)
    }

    /// Judges a decision, and carries it out.
    fn present(&mut self, found: &Match) {
        let Match { call, agents } = found;
        let (queue, _) = self.waiting[call];
        let strategy = self.floor.queue(queue).config.strategy;
        let joins = self.presented.contains_key(call);
        let members = self.floor.queue(queue).members.clone();
        let position = |agent: AgentKey| {
            members
                .iter()
                .position(|member| *member == agent)
                .expect("a member")
        };
        let able: Vec<_> = self
            .free(queue)
            .into_iter()
            .filter(|agent| self.takes(*call, *agent))
            .collect();
        for agent in agents {
            assert!(
                able.contains(agent),
                "{agent:?} is free, and did not refuse {call:?}"
            );
        }
        assert!(!joins || strategy == Strategy::RingAll);
        let overtakes = |other: &&CallKey| {
            let waits = !self.presented.contains_key(other);
            waits && self.takes(**other, agents[0]) && self.rank(**other) < self.rank(*call)
        };
        let overtaken = self.waiting.keys().find(overtakes);
        assert!(joins || overtaken.is_none(), "{call:?} overtakes {overtaken:?}");
        let standing = |agent: &AgentKey| self.floor.agent(*agent).standing;
        let expected = match strategy {
            Strategy::RingAll if joins => agents.clone(),
            Strategy::RingAll => able,
            Strategy::Random => agents.clone(),
            Strategy::Linear => able.into_iter().take(1).collect(),
            Strategy::LongestIdle => able
                .into_iter()
                .min_by_key(|agent| standing(agent).idle_since)
                .into_iter()
                .collect(),
            Strategy::FewestCalls => able
                .into_iter()
                .min_by_key(|agent| standing(agent).answered)
                .into_iter()
                .collect(),
            Strategy::LeastTalkTime => able
                .into_iter()
                .min_by_key(|agent| standing(agent).talk_time)
                .into_iter()
                .collect(),
            Strategy::RoundRobin => {
                let after = self.last.get(&queue).map_or(0, |last| last + 1);
                let turn = |agent: &AgentKey| {
                    (position(*agent) + members.len() - after % members.len()) % members.len()
                };
                able.into_iter().min_by_key(turn).into_iter().collect()
            }
        };
        assert_eq!(*agents, expected, "{strategy:?}");
        self.last.insert(queue, position(agents[0]));
        self.floor.present(*call, agents);
        for agent in agents {
            self.becomes(*agent, AgentState::Reserved);
            self.busy.insert(*agent, *call);
        }
        self.presented.entry(*call).or_default().extend(agents);
    }

    fn settle(&mut self) {
        while let Some(found) = self.floor.next_match() {
            self.present(&found);
        }
        // Nobody waits in vain.
        for call in self
            .waiting
            .keys()
            .filter(|call| !self.presented.contains_key(call))
        {
            for agent in self.floor.agent_keys() {
                assert!(
                    !self.takes(*call, agent),
                    "{call:?} waits, and {agent:?} could take it"
                );
            }
        }
        for (call, (queue, _)) in &self.waiting {
            let same = self.waiting.iter().filter(|(_, (other, _))| other == queue);
            let before = same
                .filter(|(other, _)| self.rank(**other) < self.rank(*call))
                .count();
            assert_eq!(
                self.floor.position(*call).map(|(position, _)| position),
                Some(before + 1)
            );
        }
        for queue in self.floor.queue_keys() {
            assert_eq!(self.floor.queue(queue).free(), self.free(queue).len());
        }
    }

    fn any<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let index = self.entropy.below(all.len().max(1) as u64) as usize;
        all.get(index).copied()
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.entropy.below(3) * 500);
        let rung: Vec<_> = self
            .presented
            .iter()
            .flat_map(|(call, agents)| agents.iter().map(|agent| (*call, *agent)))
            .collect();
        let waiting: Vec<_> = self.waiting.keys().copied().collect();
        let talking: Vec<_> = self
            .floor
            .agent_keys()
            .filter(|agent| self.floor.agent(*agent).state == AgentState::Talking)
            .collect();
        match self.entropy.below(8) {
            0..=2 if waiting.len() < 30 => {
                self.calls += 1;
                let call = CallKey(self.calls);
                let queues: Vec<_> = self.floor.queue_keys().collect();
                let queue = self.any(&queues).expect("there are queues");
                let priority = self.floor.queue(queue).config.priority;
                self.waiting.insert(call, (queue, self.now));
                self.floor.wait(call, queue, priority, self.now);
            }
            3 => {
                if let Some((call, agent)) = self.any(&rung) {
                    self.answer(call, agent);
                }
            }
            4 => {
                if let Some((call, agent)) = self.any(&rung) {
                    self.refuse(call, agent);
                }
            }
            5 => {
                if let Some(call) = self.any(&waiting) {
                    self.forget(call);
                }
            }
            6 => {
                if let Some(call) = self
                    .any(&waiting)
                    .filter(|call| !self.presented.contains_key(call))
                {
                    self.refused.retain(|(refused, _)| *refused != call);
                    self.floor.forgive(call);
                }
            }
            _ => {
                if let Some(agent) = self.any(&talking) {
                    let now = self.now;
                    self.floor.change(agent, |agent| {
                        agent.standing.talk_time += Duration::from_secs(1);
                        agent.standing.idle_since = now;
                    });
                    self.becomes(agent, AgentState::Ready);
                }
            }
        }
        self.settle();
    }

    fn release(&mut self, agents: Vec<AgentKey>) {
        for agent in agents {
            self.busy.remove(&agent);
            self.becomes(agent, AgentState::Ready);
        }
    }

    fn answer(&mut self, call: CallKey, agent: AgentKey) {
        let mut others = self.presented.remove(&call).unwrap_or_default();
        others.retain(|other| *other != agent);
        self.waiting.remove(&call);
        self.floor.leave(call);
        self.floor.change(agent, |agent| agent.standing.answered += 1);
        self.becomes(agent, AgentState::Talking);
        self.release(others);
    }

    fn refuse(&mut self, call: CallKey, agent: AgentKey) {
        let left = self.presented.get_mut(&call).expect("it is presented");
        left.retain(|other| *other != agent);
        let vain = left.is_empty();
        self.refused.insert((call, agent));
        self.floor.pass_over(call, agent);
        self.release(vec![agent]);
        if vain {
            self.presented.remove(&call);
            self.floor.come_back(call);
        }
    }

    fn forget(&mut self, call: CallKey) {
        self.waiting.remove(&call);
        self.floor.leave(call);
        let agents = self.presented.remove(&call).unwrap_or_default();
        self.release(agents);
    }
}

#[test]
fn every_decision_is_the_one_that_looking_everybody_through_makes() {
    for seed in 0..12 {
        let mut walk = Walk::new(seed);
        for _ in 0..400 {
            walk.step();
        }
        assert!(walk.calls > 100, "seed {seed}");
    }
}

#[test]
fn round_robin_gives_agents_who_are_ready_throughout_the_same_but_for_one() {
    let mut floor = floor(1, &[Strategy::RoundRobin]);
    let agents: Vec<_> = floor.agent_keys().collect();
    for agent in &agents {
        floor.change(*agent, |agent| agent.become_state(Time::ZERO, AgentState::Ready));
    }
    let mut counts: BTreeMap<AgentKey, u32> = BTreeMap::new();
    for number in 1..=83 {
        let call = CallKey(number);
        floor.wait(call, QueueKey(0), 0, Time::from_secs(number));
        let found = floor.next_match().expect("all are free");
        *counts.entry(found.agents[0]).or_default() += 1;
        floor.present(call, &found.agents);
        floor.leave(call);
    }
    let (least, most) = (counts.values().min(), counts.values().max());
    assert_eq!((counts.len(), least, most), (5, Some(&16), Some(&17)));
}
