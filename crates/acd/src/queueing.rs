//! Who waits, who is free, and who is next: what queues decide, as a value that knows nothing of SIP.
//!
//! Each queue keeps its calls in order and those of its members that are free in the order of its strategy, so that neither a
//! call that comes nor an agent that gets free has others looked through. What is to be decided anew is remembered, and taken
//! by [`Floor::next_match`] when everything else has settled.

mod agent;
mod free;
mod line;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use callwright_wire::{Entropy, Time};

use crate::agent::AgentState;
use crate::config::{AgentConfig, QueueConfig, Strategy};
use crate::fact::CallKey;
use crate::registrar::UserKey;

pub(crate) use agent::{Agent, AgentKey};
use free::Free;
use line::{Line, Waiting};

/// A queue: its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QueueKey(u32);

/// A queue with who waits in it and who of its members is free.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) config: QueueConfig,
    /// Whose turn it can be, in order.
    members: Vec<AgentKey>,
    free: Free,
    line: Line,
    /// How many calls are about to wait in it.
    arriving: usize,
    /// How many of its members are logged in.
    pub(crate) logged_in: usize,
    /// How many of its calls talk to an agent.
    pub(crate) talking: usize,
}

/// A call, and to whom it is to be presented now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) call: CallKey,
    pub(crate) agents: Vec<AgentKey>,
}

/// All queues and agents.
#[derive(Debug)]
pub(crate) struct Floor {
    agents: Vec<Agent>,
    queues: Vec<Queue>,
    agent_names: BTreeMap<String, AgentKey>,
    queue_names: BTreeMap<String, QueueKey>,
    by_user: BTreeMap<UserKey, AgentKey>,
    waiting: BTreeMap<CallKey, Waiting>,
    /// Calls that are about to wait, and where.
    arriving: BTreeMap<CallKey, QueueKey>,
    /// Agents that got free since the last decision.
    freed: VecDeque<AgentKey>,
    /// Calls that came, or came back, since the last decision.
    unplaced: BTreeSet<CallKey>,
    /// How many agents a call may ring for at once.
    ring_all: usize,
    /// Whether an answer can be stored.
    storing: bool,
    entropy: Entropy,
}

impl Floor {
    /// Queues and agents of a configuration that was checked; `user_of` finds the user that an agent is.
    pub(crate) fn new(
        agents: &[AgentConfig],
        queues: &[QueueConfig],
        user_of: impl Fn(&str) -> Option<UserKey>,
        ring_all: usize,
        entropy: Entropy,
    ) -> Floor {
        let mut floor = Floor {
            agents: Vec::new(),
            queues: Vec::new(),
            agent_names: BTreeMap::new(),
            queue_names: BTreeMap::new(),
            by_user: BTreeMap::new(),
            waiting: BTreeMap::new(),
            arriving: BTreeMap::new(),
            freed: VecDeque::new(),
            unplaced: BTreeSet::new(),
            ring_all: ring_all.max(1),
            storing: true,
            entropy,
        };
        let known = agents
            .iter()
            .filter_map(|agent| Some((agent, user_of(&agent.name)?)));
        for ((agent, user), index) in known.zip(0..) {
            floor.agent_names.insert(agent.name.clone(), AgentKey(index));
            floor.by_user.insert(user, AgentKey(index));
            floor.agents.push(Agent::new(agent, user));
        }
        for (queue, index) in queues.iter().zip(0..) {
            floor.queue_names.insert(queue.name.clone(), QueueKey(index));
            floor.add_queue(QueueKey(index), queue);
        }
        floor
    }

    fn add_queue(&mut self, key: QueueKey, config: &QueueConfig) {
        let named: Vec<AgentKey> = match &config.members {
            Some(names) => names.iter().filter_map(|name| self.find_agent(name)).collect(),
            None => self.agent_keys().collect(),
        };
        let has_skills = |agent: &AgentKey| {
            let skills = &self.agent(*agent).skills;
            let mut wanted = config.skills.iter();
            wanted.all(|(skill, level)| skills.get(skill).is_some_and(|own| own >= level))
        };
        let members: Vec<AgentKey> = named.into_iter().filter(has_skills).collect();
        for (member, position) in members.iter().zip(0..) {
            self.agents[member.index()].join(key, position);
        }
        self.queues.push(Queue {
            free: Free::new(config.strategy),
            members,
            line: Line::default(),
            arriving: 0,
            logged_in: 0,
            talking: 0,
            config: config.clone(),
        });
    }

    pub(crate) fn find_agent(&self, name: &str) -> Option<AgentKey> {
        self.agent_names.get(name).copied()
    }

    pub(crate) fn agent_of(&self, user: UserKey) -> Option<AgentKey> {
        self.by_user.get(&user).copied()
    }

    pub(crate) fn find_queue(&self, name: &str) -> Option<QueueKey> {
        self.queue_names.get(name).copied()
    }

    pub(crate) fn agent_keys(&self) -> impl Iterator<Item = AgentKey> + use<> {
        (0..self.agents.len() as u32).map(AgentKey)
    }

    pub(crate) fn queue_keys(&self) -> impl Iterator<Item = QueueKey> + use<> {
        (0..self.queues.len() as u32).map(QueueKey)
    }

    pub(crate) fn agent(&self, key: AgentKey) -> &Agent {
        &self.agents[key.index()]
    }

    pub(crate) fn queue(&self, key: QueueKey) -> &Queue {
        &self.queues[key.0 as usize]
    }

    pub(crate) fn queue_mut(&mut self, key: QueueKey) -> &mut Queue {
        &mut self.queues[key.0 as usize]
    }

    /// Changes an agent, and what follows from it for its queues.
    pub(crate) fn change<R>(&mut self, key: AgentKey, change: impl FnOnce(&mut Agent) -> R) -> R {
        let agent = &mut self.agents[key.index()];
        let was_logged_in = agent.state != AgentState::LoggedOut;
        let result = change(agent);
        let is_logged_in = agent.state != AgentState::LoggedOut;
        let free = agent.is_free();
        let became_free = free && !agent.listed;
        if free != agent.listed {
            agent.listed = free;
            for place in &mut agent.memberships {
                let queue = &mut self.queues[place.queue.0 as usize];
                match place.score.take() {
                    Some(score) => queue.free.remove(score, place.position),
                    None => {
                        let score = agent.standing.score(queue.config.strategy);
                        queue.free.insert(score, place.position);
                        place.score = Some(score);
                    }
                }
            }
        }
        if was_logged_in != is_logged_in {
            for place in &agent.memberships {
                let logged_in = &mut self.queues[place.queue.0 as usize].logged_in;
                *logged_in = if is_logged_in {
                    *logged_in + 1
                } else {
                    logged_in.saturating_sub(1)
                };
            }
        }
        if became_free {
            self.freed.push_back(key);
        }
        result
    }

    /// A call came to a queue, and will wait there as soon as it can.
    pub(crate) fn arrive(&mut self, call: CallKey, queue: QueueKey) {
        self.come_in(call);
        self.queue_mut(queue).arriving += 1;
        self.arriving.insert(call, queue);
    }

    fn come_in(&mut self, call: CallKey) {
        if let Some(queue) = self.arriving.remove(&call) {
            self.queue_mut(queue).arriving -= 1;
        }
    }

    /// A call waits in a queue from `since` on.
    pub(crate) fn wait(&mut self, call: CallKey, queue: QueueKey, priority: i32, since: Time) {
        self.come_in(call);
        let waiting = Waiting::new(queue, priority, since, call);
        self.queue_mut(queue).line.join(waiting.place);
        self.waiting.insert(call, waiting);
        self.unplaced.insert(call);
    }

    /// The caller of a call that waits is answered when an agent answers and that is stored.
    pub(crate) fn wait_unanswered(&mut self, call: CallKey) {
        if let Some(waiting) = self.waiting.get_mut(&call) {
            waiting.unanswered = true;
        }
    }

    /// Says whether an answer can be stored; while it cannot, no call is offered whose caller waits for that.
    pub(crate) fn set_storing(&mut self, works: bool) {
        if works && !self.storing {
            let held = self.waiting.iter();
            let held = held.filter(|(_, waiting)| waiting.unanswered && !waiting.presented);
            self.unplaced.extend(held.map(|(call, _)| *call));
        }
        self.storing = works;
    }

    /// A call waits no more: it was answered, or is over.
    pub(crate) fn leave(&mut self, call: CallKey) {
        self.come_in(call);
        if let Some(waiting) = self.waiting.remove(&call) {
            self.queue_mut(waiting.queue).line.leave(&waiting.place);
        }
        self.unplaced.remove(&call);
    }

    /// A call is presented: nobody else is offered it.
    pub(crate) fn present(&mut self, call: CallKey, agents: &[AgentKey]) {
        let Some(waiting) = self.waiting.get_mut(&call) else {
            return;
        };
        waiting.presented = true;
        waiting.rung += agents.len();
        let queue = &mut self.queues[waiting.queue.0 as usize];
        queue.line.present(&waiting.place);
        if let Some(agent) = agents.first() {
            let place = self.agents[agent.index()].place_in(waiting.queue);
            queue.free.follow(place);
        }
    }

    /// An agent did not take a call that was presented: it is passed over until the call has been offered to all others.
    pub(crate) fn pass_over(&mut self, call: CallKey, agent: AgentKey) {
        let epoch = self.agent(agent).epoch;
        if let Some(waiting) = self.waiting.get_mut(&call) {
            waiting.passed.push((agent, epoch));
        }
    }

    /// A call is presented no more, and waits again where it stood.
    pub(crate) fn come_back(&mut self, call: CallKey) {
        if let Some(waiting) = self.waiting.get_mut(&call)
            && std::mem::take(&mut waiting.presented)
        {
            waiting.rung = 0;
            self.queues[waiting.queue.0 as usize]
                .line
                .come_back(waiting.place);
            self.unplaced.insert(call);
        }
    }

    /// Those who did not take a call may be offered it again.
    pub(crate) fn forgive(&mut self, call: CallKey) {
        if let Some(waiting) = self.waiting.get_mut(&call) {
            waiting.passed.clear();
            self.unplaced.insert(call);
        }
    }

    /// Whether a call waits that somebody was passed over for.
    pub(crate) fn has_passed(&self, call: CallKey) -> bool {
        let waiting = self.waiting.get(&call);
        waiting.is_some_and(|waiting| !waiting.presented && !waiting.passed.is_empty())
    }

    /// The next call to present, until there is none; each is to be presented before the next is asked for.
    pub(crate) fn next_match(&mut self) -> Option<Match> {
        while let Some(agent) = self.freed.pop_front() {
            if !self.agent(agent).listed {
                continue;
            }
            if let Some(call) = self.best_for(agent) {
                let agents = self.agents_for(call);
                if !agents.contains(&agent) {
                    // Another one who is free comes first: there may be a further call for this one.
                    self.freed.push_front(agent);
                }
                self.unplaced.remove(&call);
                return Some(Match { call, agents });
            }
            if let Some(call) = self.ringing_for_all(agent) {
                let agents = vec![agent];
                return Some(Match { call, agents });
            }
        }
        while let Some(call) = self.first_unplaced() {
            self.unplaced.remove(&call);
            let agents = self.agents_for(call);
            if !agents.is_empty() {
                return Some(Match { call, agents });
            }
        }
        None
    }

    /// Of several that came at once the one whose turn it is.
    fn first_unplaced(&self) -> Option<CallKey> {
        let placed = |call: &CallKey| {
            let waiting = self.waiting.get(call).filter(|waiting| self.may_offer(waiting))?;
            Some((waiting.place, *call))
        };
        let first = self.unplaced.iter().filter_map(placed).min();
        first.map(|(_, call)| call)
    }

    /// The call that an agent takes next: of all its queues the highest priority, then who came first.
    fn best_for(&self, agent: AgentKey) -> Option<CallKey> {
        let Agent {
            memberships, epoch, ..
        } = self.agent(agent);
        let first = |queue: QueueKey| {
            let mut idle = self.queue(queue).line.unpresented();
            idle.find(|place| {
                let waiting = self.waiting.get(&place.call);
                waiting.is_some_and(|waiting| self.may_offer(waiting) && !waiting.passes(agent, *epoch))
            })
        };
        let best = memberships.iter().filter_map(|place| first(place.queue)).min();
        best.map(|place| place.call)
    }

    fn may_offer(&self, waiting: &Waiting) -> bool {
        self.storing || !waiting.unanswered
    }

    /// A call that rings for all who are free, and so for this agent too.
    fn ringing_for_all(&self, agent: AgentKey) -> Option<CallKey> {
        let Agent {
            memberships, epoch, ..
        } = self.agent(agent);
        let ring_all = |queue: QueueKey| self.queue(queue).config.strategy == Strategy::RingAll;
        let first = |queue: QueueKey| {
            let mut presented = self.queue(queue).line.being_presented();
            presented.find(|place| {
                let waiting = self.waiting.get(&place.call);
                waiting.is_some_and(|waiting| {
                    let more = waiting.rung < self.ring_all && self.may_offer(waiting);
                    more && !waiting.passes(agent, *epoch)
                })
            })
        };
        let queues = memberships.iter().map(|place| place.queue);
        let best = queues.filter(|queue| ring_all(*queue)).filter_map(first).min();
        best.map(|place| place.call)
    }

    /// Whom a call that waits unpresented is to be presented to, by the strategy of its queue.
    fn agents_for(&mut self, call: CallKey) -> Vec<AgentKey> {
        let Some(waiting) = self.waiting.get(&call).filter(|waiting| !waiting.presented) else {
            return Vec::new();
        };
        let queue = &self.queues[waiting.queue.0 as usize];
        let agents = &self.agents;
        let takes = |position: u32| {
            let agent = queue.members[position as usize];
            !waiting.passes(agent, agents[agent.index()].epoch)
        };
        match queue.config.strategy {
            Strategy::RingAll => {
                let all = queue.free.in_order().filter(|position| takes(*position));
                let first = all.take(self.ring_all);
                first.map(|position| queue.members[position as usize]).collect()
            }
            Strategy::RoundRobin
            | Strategy::LongestIdle
            | Strategy::FewestCalls
            | Strategy::LeastTalkTime
            | Strategy::Linear
            | Strategy::Random => {
                let first = queue.free.first(takes, &mut self.entropy);
                first
                    .map(|position| queue.members[position as usize])
                    .into_iter()
                    .collect()
            }
        }
    }

    /// The place of a call in its queue, from 1, and its priority; `None` when it does not wait.
    pub(crate) fn position(&self, call: CallKey) -> Option<(usize, i32)> {
        let waiting = self.waiting.get(&call)?;
        let position = self.queue(waiting.queue).line.position(&waiting.place);
        Some((position, waiting.place.priority()))
    }

    /// The same of all calls that wait.
    pub(crate) fn positions(&self) -> BTreeMap<CallKey, (usize, i32)> {
        let of_queue = |queue: &'_ Queue| -> Vec<_> {
            let places = (1..).zip(queue.line.all());
            places
                .map(|(position, place)| (place.call, (position, place.priority())))
                .collect()
        };
        self.queues.iter().flat_map(of_queue).collect()
    }

    /// Forgets all calls.
    pub(crate) fn clear(&mut self) {
        let calls = self.waiting.keys().chain(self.arriving.keys());
        for call in calls.copied().collect::<Vec<_>>() {
            self.leave(call);
        }
    }
}

impl Queue {
    /// How many calls wait, those included that are presented.
    pub(crate) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// Whether as many calls wait, or are about to, as may. One more may come where a member is free whom none of those before it
    /// needs.
    pub(crate) fn is_full(&self) -> bool {
        let Some(limit) = self.config.max_length else {
            return false;
        };
        let before = self.line.len() - self.line.presented() + self.arriving;
        self.line.len() + self.arriving >= limit && self.free.len() <= before
    }

    /// How many of them are presented.
    pub(crate) fn presented(&self) -> usize {
        self.line.presented()
    }

    /// Since when the oldest of them waits.
    pub(crate) fn oldest(&self) -> Option<Time> {
        self.line.oldest()
    }

    /// How many members are free.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }
}
