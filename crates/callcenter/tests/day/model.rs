//! What a call center is, in a few words: queues in order, agents who do one thing at a time, and who may be offered what. It is told
//! what the machine tells its store, objects to what may not be, and says after each step what the machine must say of itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use callwright_callcenter::{
    AgentSnapshot, AgentState, AnswerWith, CallKey, CallSnapshot, CallState, Config, EndCause, Fact,
    PresentationOutcome, QueueConfig, QueueSnapshot, Restored, Strategy,
};
use callwright_wire::Time;

use crate::watched::Entry;

/// After so long a call that an agent did not take may be offered to it again, and then must be.
const OFFER_AGAIN: Duration = Duration::from_secs(5);

/// An agent.
#[derive(Clone, Debug)]
struct Agent {
    name: String,
    state: AgentState,
    /// What is presented to it, or what it talks in.
    call: Option<CallKey>,
    /// It was ready, and is reserved for a call that is to be presented now.
    chosen: bool,
    /// The machine began anew, and has not said anything of it.
    unsure: bool,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// That it came is not stored.
    Arriving,
    Waiting,
    /// Somebody answered.
    Answered,
}

#[derive(Clone, Debug)]
struct Call {
    stage: Stage,
    queue: Option<String>,
    priority: i32,
    since: Time,
    presented: BTreeSet<usize>,
    /// When it was presented to each last.
    presented_at: BTreeMap<usize, Time>,
    attempt: u32,
    /// Who did not take it.
    passed: BTreeSet<usize>,
    /// When it was presented last.
    came_back: Time,
    caller: String,
    /// When it was answered last.
    answered: Time,
    /// The caller has a 200: nothing of the call waits for the store any more.
    caller_answered: bool,
}

impl Call {
    fn place(&self, key: CallKey) -> (Reverse<i32>, Time, CallKey) {
        (Reverse(self.priority), self.since, key)
    }

    /// The store does not work: who was answered before does not wait for it.
    fn go_on(&mut self) {
        if self.caller_answered && self.stage == Stage::Arriving {
            self.stage = Stage::Waiting;
        }
    }

    fn is_idle(&self) -> bool {
        self.stage == Stage::Waiting && self.presented.is_empty()
    }
}

/// What a store has acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    agents: BTreeMap<String, AgentState>,
    /// Calls, and whether they are over.
    calls: BTreeMap<CallKey, bool>,
}

/// The model.
#[derive(Debug)]
pub(crate) struct Model {
    agents: Vec<Agent>,
    queues: Vec<QueueConfig>,
    /// Those that are up.
    calls: BTreeMap<CallKey, Call>,
    /// Those that are over: whose they were, why they ended and when.
    over: BTreeMap<CallKey, (String, EndCause, Time)>,
    /// The last member that a queue offered a call to first.
    last: BTreeMap<String, usize>,
    /// Those of whom the machine said that they are in other calls, before this step and after it.
    elsewhere: BTreeSet<usize>,
    /// Whether the store works, as far as the machine knows.
    storing: bool,
    acknowledged: Acknowledged,
    /// What is told and not answered by the store.
    in_flight: usize,
    highest: u64,
    objections: Vec<String>,
    /// How often each thing was looked at that has to be looked at.
    pub(crate) looked: BTreeMap<&'static str, u64>,
}

impl Model {
    pub(crate) fn new(config: &Config) -> Model {
        let agent = |name: &String| Agent {
            name: name.clone(),
            state: AgentState::LoggedOut,
            call: None,
            chosen: false,
            unsure: false,
        };
        Model {
            agents: config.agents.iter().map(|config| agent(&config.name)).collect(),
            queues: config.queues.clone(),
            calls: BTreeMap::new(),
            over: BTreeMap::new(),
            last: BTreeMap::new(),
            elsewhere: BTreeSet::new(),
            storing: true,
            acknowledged: Acknowledged::default(),
            in_flight: 0,
            highest: 0,
            objections: Vec::new(),
            looked: BTreeMap::new(),
        }
    }

    /// What was wrong since it was asked last.
    pub(crate) fn take_objections(&mut self) -> Vec<String> {
        std::mem::take(&mut self.objections)
    }

    /// When a caller's call was over; `None` while it is up, or where none is known.
    pub(crate) fn over_since(&self, caller: &str) -> Option<Time> {
        let of = |(of, _, at): &(String, EndCause, Time)| (of == caller).then_some(*at);
        self.over.values().find_map(of)
    }

    /// Since when the call of a caller is presented to an agent by its queue; `None` where it is not.
    pub(crate) fn presented_since(&self, caller: &str, agent: usize) -> Option<Time> {
        let mut calls = self.calls.values();
        let call = calls.find(|call| call.caller == caller && call.presented.contains(&agent))?;
        call.presented_at.get(&agent).copied()
    }

    /// The calls that the store has acknowledged, and whether they are over.
    pub(crate) fn acknowledged(&self) -> &BTreeMap<CallKey, bool> {
        &self.acknowledged.calls
    }

    /// Every call that is over, and why it ended.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (CallKey, EndCause)> {
        self.over.iter().map(|(key, (_, cause, _))| (*key, *cause))
    }

    fn look(&mut self, what: &'static str) {
        *self.looked.entry(what).or_default() += 1;
    }

    fn object(&mut self, text: String) {
        self.objections.push(text);
    }

    fn demand(&mut self, what: &'static str, holds: bool, text: impl FnOnce() -> String) {
        self.look(what);
        if !holds {
            self.object(format!("{what}: {}", text()));
        }
    }

    /// The same of what is looked at after every step.
    fn agree(&mut self, what: &'static str, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.object(format!("{what}: {}", text()));
        }
    }

    fn agent(&self, name: &str) -> usize {
        let found = self.agents.iter().position(|agent| agent.name == name);
        found.unwrap_or_else(|| panic!("{name} is no agent"))
    }

    fn config(&self, queue: &str) -> &QueueConfig {
        let found = self.queues.iter().find(|config| config.name == queue);
        found.unwrap_or_else(|| panic!("{queue} is no queue"))
    }

    /// The members of a queue in their order.
    fn members(&self, queue: &str) -> Vec<usize> {
        match &self.config(queue).members {
            Some(names) => names.iter().map(|name| self.agent(name)).collect(),
            None => (0..self.agents.len()).collect(),
        }
    }

    /// Takes what passed between machine and store.
    pub(crate) fn take(&mut self, now: Time, entry: &Entry) {
        match entry {
            Entry::Told(fact) => {
                self.in_flight += 1;
                self.told(now, fact);
            }
            Entry::Stored(fact) => {
                self.in_flight = self.in_flight.saturating_sub(1);
                self.stored(fact);
            }
            Entry::NotStored(fact) => {
                self.in_flight = self.in_flight.saturating_sub(1);
                self.not_stored(fact);
            }
            Entry::Works(works) => {
                self.storing = *works;
                if !works {
                    self.calls.values_mut().for_each(Call::go_on);
                }
            }
            Entry::Restored(restored) => self.restored(restored),
        }
    }

    fn told(&mut self, now: Time, fact: &Fact) {
        match fact {
            Fact::Bindings { .. } | Fact::AgentWants { .. } => {}
            Fact::RecordingStarted { .. } | Fact::RecordingEnded { .. } => {}
            Fact::CallQueued {
                call,
                queue,
                caller,
                priority,
                at,
                ..
            } => {
                let before = self.calls.get(call).cloned();
                let fits = match &before {
                    None => !self.over.contains_key(call),
                    Some(before) => before.presented.is_empty(),
                };
                self.demand("a call comes to a queue", fits && *at == now, || {
                    format!("{call:?} to {queue} at {at}, now {now}: {before:?}")
                });
                self.highest = self.highest.max(call.0);
                let mut arrived = Call {
                    stage: Stage::Arriving,
                    queue: Some(queue.clone()),
                    priority: *priority,
                    since: *at,
                    presented: BTreeSet::new(),
                    presented_at: BTreeMap::new(),
                    attempt: 0,
                    passed: BTreeSet::new(),
                    came_back: Time::ZERO,
                    caller: caller.clone(),
                    answered: Time::ZERO,
                    caller_answered: before.is_some_and(|before| before.caller_answered),
                };
                if !self.storing {
                    arrived.go_on();
                }
                self.calls.insert(*call, arrived);
            }
            Fact::CallPresented {
                call, agent, attempt, ..
            } => self.presented(now, *call, agent, *attempt),
            Fact::PresentationEnded {
                call, agent, outcome, ..
            } => self.presentation_ended(now, *call, agent, *outcome),
            Fact::AgentChanged { agent, state, .. } => self.agent_changed(agent, state),
            Fact::CallAnswered {
                call, caller, agent, ..
            } => self.answered(now, *call, caller, agent.as_deref()),
            Fact::CallOverflowed { call, .. } | Fact::CallTransferred { call, .. } => {
                let up = self.calls.contains_key(call);
                self.demand("a transfer is of a call that is up", up, || format!("{call:?}"));
            }
            Fact::CallEnded { call, cause, at } => self.ended(*call, *cause, *at),
        }
    }

    fn presented(&mut self, now: Time, key: CallKey, name: &str, attempt: u32) {
        let agent = self.agent(name);
        if let Some(call) = self.calls.get_mut(&key)
            && call.presented.is_empty()
            && now.since(call.came_back) >= OFFER_AGAIN
        {
            call.passed.clear();
        }
        let Some(call) = self.calls.get(&key).cloned() else {
            return self.object(format!("{key:?}, which never came, is presented"));
        };
        let queue = call.queue.clone().unwrap_or_default();
        let all = self.config(&queue).strategy == Strategy::RingAll;
        let alone = call.presented.is_empty() || all && call.attempt == attempt;
        // One that answered and was gone before that was stored leaves the call waiting as before.
        let waits = matches!(call.stage, Stage::Waiting | Stage::Answered);
        self.demand("a call is presented once at a time", alone && waits, || {
            format!("{key:?} to {name}: {call:?}")
        });
        let of = self.agents[agent].clone();
        self.demand(
            "an agent is offered one call at a time",
            of.call.is_none() && of.state == AgentState::Reserved && of.chosen,
            || format!("{key:?} to {of:?}"),
        );
        let may = self.may_offer(&call);
        self.demand("no call is offered whose answer could not be stored", may, || {
            format!("{key:?} to {name}: {call:?}")
        });
        let member = self.members(&queue).contains(&agent);
        self.demand("a call is offered to members", member, || {
            format!("{key:?} of {queue} to {name}")
        });
        let all_passed = || {
            let others = self.members(&queue);
            !others
                .into_iter()
                .any(|other| self.is_free(other) && !call.passed.contains(&other))
        };
        let again = !call.passed.contains(&agent) || all_passed();
        self.demand("who did not take a call is passed over", again, || {
            format!("{key:?} to {name}: {call:?}")
        });
        // Whoever came before and could be offered to this agent goes first.
        let place = call.place(key);
        let before = self.calls.iter().find(|(other, of)| {
            of.is_idle()
                && self.may_offer(of)
                && of.place(**other) < place
                && !of.passed.contains(&agent)
                && self
                    .members(of.queue.as_deref().unwrap_or_default())
                    .contains(&agent)
        });
        let before =
            before.map(|(other, of)| format!("{key:?} {place:?} before {other:?} {:?}", of.place(*other)));
        self.demand("calls are presented in their order", before.is_none(), || {
            before.unwrap_or_default()
        });
        if self.config(&queue).strategy == Strategy::RoundRobin && call.presented.is_empty() {
            self.is_next(&queue, agent, &call);
        }
        if call.presented.is_empty() {
            self.last.insert(queue, agent);
        }
        (self.agents[agent].call, self.agents[agent].chosen) = (Some(key), false);
        if let Some(call) = self.calls.get_mut(&key) {
            call.stage = Stage::Waiting;
            call.presented.insert(agent);
            call.presented_at.insert(agent, now);
            call.attempt = attempt;
        }
    }

    /// Round robin: nobody who is free stands between the last one and this.
    fn is_next(&mut self, queue: &str, agent: usize, call: &Call) {
        let members = self.members(queue);
        let count = members.len();
        let place = |agent: usize| members.iter().position(|member| *member == agent).unwrap_or(0);
        let after = self.last.get(queue).map_or(0, |last| place(*last) + 1);
        let distance = |agent: usize| (place(agent) + count - after % count) % count;
        let skipped = members.iter().copied().find(|other| {
            distance(*other) < distance(agent) && self.is_free(*other) && !call.passed.contains(other)
        });
        let skipped = skipped.map(|other| self.agents[other].clone());
        self.demand("round robin goes round", skipped.is_none(), || {
            format!("{agent} in {queue} instead of {skipped:?}")
        });
    }

    /// While the store does not work nobody is offered a call whose caller waits for the answer.
    fn may_offer(&self, call: &Call) -> bool {
        self.storing || call.caller_answered
    }

    fn is_free(&self, agent: usize) -> bool {
        let of = &self.agents[agent];
        of.state == AgentState::Ready && of.call.is_none() && !self.elsewhere.contains(&agent)
    }

    fn presentation_ended(&mut self, now: Time, key: CallKey, name: &str, outcome: PresentationOutcome) {
        let agent = self.agent(name);
        let talks = self.agents[agent].call == Some(key);
        let was = self.calls.get_mut(&key).is_some_and(|call| {
            // One that answered and was gone before its caller heard of it leaves the call waiting as before.
            let in_vain = talks && call.stage == Stage::Answered;
            if in_vain {
                call.stage = Stage::Waiting;
                call.passed.insert(agent);
            }
            call.presented.remove(&agent) || in_vain
        });
        self.demand("a presentation ends that began", was, || {
            format!("{key:?} to {name}")
        });
        if self.agents[agent].call == Some(key) {
            self.agents[agent].call = None;
        }
        if let Some(call) = self.calls.get_mut(&key) {
            call.came_back = now;
        }
        if let (Some(call), PresentationOutcome::NoAnswer | PresentationOutcome::Rejected(_)) =
            (self.calls.get_mut(&key), outcome)
        {
            call.passed.insert(agent);
        }
    }

    fn agent_changed(&mut self, name: &str, state: &AgentState) {
        use AgentState::{LoggedOut, NotReady, Ready, Reserved, Talking, WrapUp};
        let agent = self.agent(name);
        let was = self.agents[agent].state.clone();
        let legal = match (&was, state) {
            // Reserved: its phone has not heard yet that the call before is over.
            (LoggedOut, Ready | Reserved | NotReady(_)) => true,
            (NotReady(_), LoggedOut | Ready | Reserved | NotReady(_)) => true,
            (Ready, LoggedOut | NotReady(_) | Reserved) => true,
            (Reserved, LoggedOut | NotReady(_) | Ready | Talking) => true,
            (Talking, LoggedOut | NotReady(_) | Ready | WrapUp { .. }) => true,
            (WrapUp { .. }, LoggedOut | NotReady(_) | Ready | Reserved) => true,
            (LoggedOut | NotReady(_) | Ready | Reserved | Talking | WrapUp { .. }, _) => false,
        };
        let unsure = std::mem::take(&mut self.agents[agent].unsure);
        self.demand("agents change as they may", legal || unsure, || {
            format!("{name} from {was:?} to {state:?}")
        });
        if matches!(was, Talking) {
            self.agents[agent].call = None;
        }
        if matches!(state, Ready | Reserved) {
            // Who says so is offered everything again; after a call, or the wrap-up, nobody said anything.
            if matches!(was, LoggedOut | NotReady(_)) {
                for call in self.calls.values_mut() {
                    call.passed.remove(&agent);
                }
            }
        }
        self.agents[agent].chosen = matches!((&was, state), (Ready, Reserved));
        self.agents[agent].state = state.clone();
    }

    fn answered(&mut self, now: Time, key: CallKey, caller: &str, agent: Option<&str>) {
        self.highest = self.highest.max(key.0);
        match agent {
            Some(name) => {
                let agent = self.agent(name);
                let known = self.calls.get(&key).cloned();
                let offered = known
                    .as_ref()
                    .is_some_and(|call| call.presented.iter().eq([&agent]));
                self.demand("who answers was offered the call", offered, || {
                    format!("{key:?} by {name}: {known:?}")
                });
                let state = self.agents[agent].state.clone();
                self.demand("who answers talks", state == AgentState::Talking, || {
                    format!("{name} is {state:?}")
                });
            }
            None => {
                let over = self.over.contains_key(&key);
                self.demand("a call that is over is not answered", !over, || {
                    format!("{key:?}")
                });
            }
        }
        let call = self.calls.entry(key).or_insert_with(|| Call {
            stage: Stage::Arriving,
            queue: None,
            priority: 0,
            since: now,
            presented: BTreeSet::new(),
            presented_at: BTreeMap::new(),
            attempt: 0,
            passed: BTreeSet::new(),
            came_back: Time::ZERO,
            caller: caller.to_owned(),
            answered: now,
            caller_answered: false,
        });
        (call.stage, call.answered) = (Stage::Answered, now);
        call.presented.clear();
        // Should it come to nothing the call waits where it stood, and is offered to everybody else.
        call.passed.clear();
        if let Some(agent) = agent.map(|name| self.agents.iter().position(|agent| agent.name == name)) {
            call.passed.extend(agent);
        }
        call.came_back = now;
    }

    fn ended(&mut self, key: CallKey, cause: EndCause, at: Time) {
        let known = self.calls.remove(&key);
        let once = !self.over.contains_key(&key);
        self.demand("a call ends once", once, || {
            format!("{key:?} with {cause:?}: {known:?}")
        });
        let alone = known.as_ref().is_none_or(|call| call.presented.is_empty());
        self.demand("no presentation outlives its call", alone, || {
            format!("{key:?} with {cause:?}: {known:?}")
        });
        self.highest = self.highest.max(key.0);
        let caller = known.map(|call| call.caller).unwrap_or_default();
        self.over.insert(key, (caller, cause, at));
        for agent in &mut self.agents {
            if agent.call == Some(key) {
                agent.call = None;
            }
        }
    }

    fn stored(&mut self, fact: &Fact) {
        match fact {
            Fact::CallQueued { call, queue, at, .. } => {
                self.acknowledged.calls.insert(*call, false);
                let music = self.config(queue).answer == AnswerWith::Music;
                if let Some(call) = self.calls.get_mut(call)
                    && call.stage == Stage::Arriving
                    && call.queue.as_ref() == Some(queue)
                    && call.since == *at
                {
                    call.stage = Stage::Waiting;
                    call.caller_answered |= music;
                }
            }
            Fact::CallAnswered { call, at, .. } => {
                // What is stored in vain, since it was taken back meanwhile, answers nobody.
                if let Some(call) = self.calls.get_mut(call) {
                    call.caller_answered |= call.stage == Stage::Answered && call.answered == *at;
                }
                self.acknowledged.calls.insert(*call, false);
            }
            Fact::CallEnded { call, .. } => {
                self.acknowledged.calls.insert(*call, true);
            }
            Fact::AgentChanged { agent, state, .. } => {
                self.acknowledged.agents.insert(agent.clone(), state.clone());
            }
            Fact::Bindings { .. }
            | Fact::AgentWants { .. }
            | Fact::CallPresented { .. }
            | Fact::PresentationEnded { .. }
            | Fact::CallOverflowed { .. }
            | Fact::CallTransferred { .. }
            | Fact::RecordingStarted { .. }
            | Fact::RecordingEnded { .. } => {}
        }
    }

    /// Only what somebody waits for is refused: nobody who was answered is.
    fn not_stored(&mut self, fact: &Fact) {
        let refusable = match fact {
            Fact::Bindings { .. } => true,
            Fact::CallQueued { call, .. } | Fact::CallAnswered { call, .. } => {
                let call = self.calls.get(call);
                call.is_none_or(|call| !call.caller_answered)
            }
            Fact::CallPresented { .. }
            | Fact::PresentationEnded { .. }
            | Fact::AgentChanged { .. }
            | Fact::AgentWants { .. }
            | Fact::CallOverflowed { .. }
            | Fact::CallTransferred { .. }
            | Fact::RecordingStarted { .. }
            | Fact::RecordingEnded { .. }
            | Fact::CallEnded { .. } => false,
        };
        self.demand("only what somebody waits for is refused", refusable, || {
            format!("{fact:?}")
        });
    }

    /// A machine began with what the one before it had stored.
    fn restored(&mut self, restored: &Restored) {
        let agents = self.acknowledged.agents.clone();
        self.demand(
            "after a crash agents are as last acknowledged",
            restored.agents == agents,
            || format!("{:?} instead of {agents:?}", restored.agents),
        );
        let open: Vec<u64> = self
            .acknowledged
            .calls
            .iter()
            .filter(|(_, over)| !**over)
            .map(|(call, _)| call.0)
            .collect();
        self.demand(
            "after a crash the calls that were up are closed",
            restored.closed == open,
            || format!("{:?} instead of {open:?}", restored.closed),
        );
        let acknowledged = self.acknowledged.calls.keys().last().map_or(0, |call| call.0);
        self.demand(
            "no number of a call is used twice",
            restored.first_call > acknowledged,
            || format!("{} after {acknowledged}", restored.first_call),
        );
        // What was told and not acknowledged never was.
        let acknowledged = &mut self.acknowledged.calls;
        self.over
            .retain(|key, _| acknowledged.get(key).is_some_and(|over| *over));
        for (key, over) in acknowledged.iter_mut().filter(|(_, over)| !**over) {
            *over = true;
            let caller = self.calls.remove(key).map(|call| call.caller).unwrap_or_default();
            self.over.insert(*key, (caller, EndCause::Restarted, Time::ZERO));
        }
        self.calls.clear();
        self.storing = true;
        for agent in &mut self.agents {
            agent.state = agents.get(&agent.name).cloned().unwrap_or(AgentState::LoggedOut);
            agent.call = None;
            agent.unsure = true;
        }
        self.last.clear();
        self.in_flight = 0;
    }

    /// Compares with what the machine says of itself, after a step.
    pub(crate) fn compare(
        &mut self,
        now: Time,
        agents: &[AgentSnapshot],
        queues: &[QueueSnapshot],
        calls: &[CallSnapshot],
    ) {
        self.elsewhere = (0..agents.len())
            .filter(|agent| agents[*agent].other_calls > 0)
            .collect();
        for (index, snapshot) in agents.iter().enumerate() {
            let agent = self.agents[index].clone();
            let same = agent.name == snapshot.name && agent.state == snapshot.state;
            self.agree("the machine's agents are the model's", same, || {
                format!("{snapshot:?} instead of {agent:?}")
            });
            // Who talked and transferred the call has none, while its leg is still there.
            let linked =
                snapshot.call == agent.call || snapshot.call.is_none() && agent.state == AgentState::Talking;
            self.agree("each agent is in the call that the model says", linked, || {
                format!("{snapshot:?} instead of {agent:?}")
            });
            let idle = agent.state != AgentState::Ready || snapshot.call.is_none();
            self.agree("who is ready has no call", idle, || format!("{snapshot:?}"));
        }
        for snapshot in queues {
            self.compare_queue(snapshot);
        }
        for snapshot in calls {
            self.compare_call(snapshot);
        }
        let up: BTreeSet<CallKey> = calls.iter().map(|call| call.call).collect();
        let lost = self.calls.iter().find(|(key, _)| !up.contains(key));
        let lost = lost.map(|(key, call)| format!("{key:?} {call:?}"));
        self.agree("no call is lost", lost.is_none(), || lost.unwrap_or_default());
        self.nobody_waits_in_vain(now);
    }

    fn compare_queue(&mut self, snapshot: &QueueSnapshot) {
        let here: Vec<&Call> = self
            .calls
            .values()
            .filter(|call| call.stage == Stage::Waiting && call.queue.as_ref() == Some(&snapshot.name))
            .collect();
        let members = self.members(&snapshot.name);
        let expected = (
            here.len(),
            here.iter().filter(|call| !call.presented.is_empty()).count(),
            here.iter().map(|call| call.since).min(),
            members.iter().filter(|agent| self.is_free(**agent)).count(),
            members
                .iter()
                .filter(|agent| self.agents[**agent].state != AgentState::LoggedOut)
                .count(),
        );
        let found = (
            snapshot.waiting,
            snapshot.presented,
            snapshot.oldest,
            snapshot.free,
            snapshot.logged_in,
        );
        self.agree("the machine's queues are the model's", found == expected, || {
            format!("{snapshot:?} instead of (waiting, presented, oldest, free, logged in) {expected:?}")
        });
    }

    fn compare_call(&mut self, snapshot: &CallSnapshot) {
        let Some(call) = self.calls.get(&snapshot.call).cloned() else {
            // One that is not for a queue is told of when somebody answers.
            let plain = snapshot.queue.is_none() && matches!(snapshot.state, CallState::Ringing);
            return self.agree("the machine's calls are the model's", plain, || {
                format!("{snapshot:?}, which nobody told of")
            });
        };
        let position = || {
            let ahead = self.calls.iter().filter(|(key, other)| {
                other.stage == Stage::Waiting
                    && other.queue == call.queue
                    && other.place(**key) < call.place(snapshot.call)
            });
            ahead.count() + 1
        };
        let fits = match snapshot.state {
            CallState::Arriving => call.stage == Stage::Arriving,
            CallState::Queued {
                position: at,
                priority,
            } => call.is_idle() && at == position() && priority == call.priority,
            CallState::Presented { attempt } => {
                let rings = call.stage == Stage::Waiting && !call.presented.is_empty();
                (rings || call.stage == Stage::Answered) && attempt == call.attempt
            }
            CallState::Ringing | CallState::Message => call.presented.is_empty(),
            CallState::Connected | CallState::Held => call.stage == Stage::Answered,
        };
        self.agree("the machine's calls are the model's", fits, || {
            format!("{snapshot:?} instead of {call:?}")
        });
    }

    /// No call waits while an agent who could take it is ready.
    fn nobody_waits_in_vain(&mut self, now: Time) {
        let mut vain = None;
        let idle = self
            .calls
            .iter()
            .filter(|(_, call)| call.is_idle() && self.may_offer(call));
        for (key, call) in idle {
            let members = self.members(call.queue.as_deref().unwrap_or_default());
            let takes = |agent: &usize| {
                let passed = call.passed.contains(agent) && now.since(call.came_back) <= OFFER_AGAIN;
                self.is_free(*agent) && !passed
            };
            if let Some(agent) = members.into_iter().find(takes) {
                vain = Some(format!(
                    "{key:?} {call:?} while {:?} is ready",
                    self.agents[agent]
                ));
            }
        }
        self.demand("no call waits while an agent is ready", vain.is_none(), || {
            vain.unwrap_or_default()
        });
    }

    /// Everything is over.
    pub(crate) fn finish(&mut self) {
        let open: Vec<_> = self.calls.keys().copied().collect();
        self.demand("every call ends", open.is_empty(), || format!("{open:?} do not"));
        let in_flight = self.in_flight;
        self.demand("every fact is answered", in_flight == 0, || {
            format!("{in_flight} are not")
        });
        let busy = self
            .agents
            .iter()
            .find(|agent| agent.state != AgentState::LoggedOut)
            .map(|agent| format!("{agent:?}"));
        self.demand("who unregistered is logged out", busy.is_none(), || {
            busy.unwrap_or_default()
        });
    }
}
