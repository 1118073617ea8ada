//! Seeds, not stories: customers come and go, agents take, refuse and transfer calls, log in and out, while messages get lost and the
//! store is slow or broken. What must always hold is checked after every step; in the end everything must have settled.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use callwright_acd::{
    AgentRequest, AgentState, AnswerWith, CallKey, CallState, Fact, Overflow, Protection, QueueConfig,
    Strategy,
};
use callwright_ua::Phase;
use callwright_wire::{Entropy, Seed};
use support::{Lab, Phone};

const AGENTS: [&str; 3] = ["alice", "bob", "carol"];
const STRATEGIES: [Strategy; 7] = [
    Strategy::RoundRobin,
    Strategy::LongestIdle,
    Strategy::FewestCalls,
    Strategy::LeastTalkTime,
    Strategy::Linear,
    Strategy::Random,
    Strategy::RingAll,
];

fn lab(seed: u64) -> Lab {
    Lab::with_queue(|config, queue| {
        config.protection = Protection::off();
        config.max_expires = Duration::from_secs(60);
        config.session_timer = Some(callwright_sip::command::SessionTimer::new(Duration::from_secs(
            90,
        )));
        queue.strategy = STRATEGIES[(seed % 7) as usize];
        queue.wrap_up = Duration::from_secs(seed % 3 * 2);
        queue.max_no_answer = (seed % 3) as u32;
        queue.ring = Duration::from_secs(5);
        queue.max_wait = [None, Some(Duration::from_secs(20))][(seed % 2) as usize];
        queue.overflow = [None, Some(Overflow::Queue("sales".to_owned()))][(seed / 2 % 2) as usize].clone();
        let mut sales = QueueConfig::new("sales");
        sales.answer = AnswerWith::Agent;
        sales.priority = 1;
        sales.max_length = Some(2);
        sales.ring = Duration::from_secs(5);
        sales.members = Some(vec!["bob".to_owned(), "carol".to_owned()]);
        config.queues.push(sales);
    })
}

/// What holds at any moment.
#[track_caller]
fn check(lab: &Lab, seed: u64) {
    let agents = lab.machine.agents();
    let calls = lab.machine.calls();
    for agent in &agents {
        let call = agent.call.map(|key| calls.iter().find(|call| call.call == key));
        match &agent.state {
            AgentState::Talking => {}
            // Between two calls it waits for what it was offered to be taken back.
            AgentState::Reserved => {
                let presented = call
                    .flatten()
                    .is_none_or(|call| matches!(call.state, CallState::Presented { .. }));
                assert!(presented, "seed {seed}: {agent:?} {call:?}");
            }
            AgentState::Ready
            | AgentState::NotReady(_)
            | AgentState::LoggedOut
            | AgentState::WrapUp { .. } => {
                assert_eq!(agent.call, None, "seed {seed}: {agent:?}");
            }
        }
        if agent.contacts == 0 {
            let out = matches!(agent.state, AgentState::LoggedOut | AgentState::Talking);
            assert!(out, "seed {seed}: {agent:?}");
        }
    }
    for queue in lab.machine.queues() {
        assert!(queue.free <= queue.logged_in, "seed {seed}: {queue:?}");
        assert!(queue.presented <= queue.waiting, "seed {seed}: {queue:?}");
    }
}

fn act(lab: &mut Lab, phone: Phone, index: usize, entropy: &mut Entropy) {
    let target = ["support", "sales", "alice", "bob", "carol"][entropy.below(5) as usize];
    let live = lab
        .calls(phone)
        .iter()
        .filter(|call| call.phase() != Phase::Ended)
        .count();
    let what = entropy.below(20);
    // What is not possible now is refused, and that is fine.
    if index < AGENTS.len() {
        let name = AGENTS[index];
        match what {
            13 => return lab.ask(name, AgentRequest::Ready),
            14 => return lab.ask(name, AgentRequest::NotReady("pause".to_owned())),
            15 => return lab.ask(name, AgentRequest::WrapUpDone),
            _ => {}
        }
    }
    let _ = lab.fleet(phone, |fleet, now, id| match what {
        0 | 1 if live < 2 && index >= AGENTS.len() => fleet.dial(now, id, target, &[], None),
        2 if live < 2 => fleet.dial(now, id, target, &[], None),
        3..=6 => fleet.accept(now, id, None, None),
        7 => fleet.hold(now, id, None, None),
        8 => fleet.resume(now, id, None, None),
        9 => fleet.transfer(now, id, None, target, None),
        10 if live < 2 => fleet.attended_transfer(now, id, None, target, None),
        11 => fleet.complete_transfer(now, id, None),
        12 => fleet.reject(now, id, None, 486, None, None),
        16 => fleet.unregister(now, id, None),
        17 | 18 => fleet.register(now, id, None),
        _ => fleet.hangup(now, id, None, None),
    });
}

fn walk(seed: u64, faults: bool) {
    let mut entropy = Seed::from_number(seed).derive("walk").stream();
    let mut lab = lab(seed);
    let mut phones: Vec<_> = AGENTS.iter().map(|name| lab.registered(name)).collect();
    phones.extend((0..5).map(|_| lab.phone("dave")));
    // A second phone of bob's.
    phones.push(lab.registered("bob"));
    if faults {
        let mut dice = Seed::from_number(seed).derive("loss").stream();
        lab.filter = Some(Box::new(move |_| dice.below(20) > 0));
    }
    for _ in 0..120 {
        let index = entropy.below(phones.len() as u64) as usize;
        act(&mut lab, phones[index], index, &mut entropy);
        if faults {
            lab.store.broken = entropy.below(10) == 0;
            lab.store.delay = Duration::from_millis(entropy.below(400));
        }
        let pause = [0, 1, 2, 50, 700, 3_000][entropy.below(6) as usize];
        let mut left = pause;
        while left > 0 {
            let step = left.min(50);
            lab.pass(Duration::from_millis(step));
            check(&lab, seed);
            left -= step;
        }
        check(&lab, seed);
    }
    settle(&mut lab, &phones, seed);
}

fn settle(lab: &mut Lab, phones: &[Phone], seed: u64) {
    lab.filter = None;
    lab.store.broken = false;
    lab.store.delay = Duration::ZERO;
    for _ in 0..30 {
        for phone in phones {
            let _ = lab.fleet(*phone, |fleet, now, id| fleet.hangup(now, id, None, None));
        }
        lab.pass(Duration::from_secs(5));
        check(lab, seed);
    }
    for phone in phones {
        let phases: Vec<_> = lab.calls(*phone).iter().map(|call| call.phase()).collect();
        assert!(
            phases.iter().all(|phase| *phase == Phase::Ended),
            "seed {seed}: {phone:?} {phases:?}"
        );
    }
    assert_eq!(lab.machine.calls(), [], "seed {seed}");
    for agent in lab.machine.agents() {
        let stuck = matches!(
            agent.state,
            AgentState::Reserved | AgentState::Talking | AgentState::WrapUp { .. }
        );
        assert!(!stuck && agent.other_calls == 0, "seed {seed}: {agent:?}");
        let told = lab.facts.iter().rev().find_map(|fact| match fact {
            Fact::AgentChanged {
                agent: name, state, ..
            } if *name == agent.name => Some(state),
            Fact::AgentChanged { .. }
            | Fact::AgentWants { .. }
            | Fact::Bindings { .. }
            | Fact::CallQueued { .. }
            | Fact::CallPresented { .. }
            | Fact::PresentationEnded { .. }
            | Fact::CallAnswered { .. }
            | Fact::CallOverflowed { .. }
            | Fact::CallTransferred { .. }
            | Fact::RecordingStarted { .. }
            | Fact::RecordingEnded { .. }
            | Fact::CallEnded { .. } => None,
        });
        assert_eq!(told, Some(&agent.state), "seed {seed}: what was told is what is");
    }
    for queue in lab.machine.queues() {
        assert_eq!(
            (queue.waiting, queue.presented, queue.talking),
            (0, 0, 0),
            "seed {seed}"
        );
    }
    check_facts(lab, seed);
    for phone in phones {
        let _ = lab.fleet(*phone, |fleet, now, id| fleet.unregister(now, id, None));
    }
    lab.pass(Duration::from_secs(1));
    lab.assert_nothing_left();
}

/// What was told agrees with itself.
fn check_facts(lab: &Lab, seed: u64) {
    let mut ends: BTreeMap<CallKey, u32> = BTreeMap::new();
    let mut presented: BTreeMap<&str, CallKey> = BTreeMap::new();
    let mut answered: BTreeMap<&str, CallKey> = BTreeMap::new();
    for fact in &lab.facts {
        match fact {
            Fact::CallPresented { call, agent, .. } => {
                let before = presented.insert(agent, *call);
                assert_eq!(before, None, "seed {seed}: {agent} is presented {call:?}");
            }
            Fact::PresentationEnded { call, agent, .. } => {
                // Where it was answered, and the caller did not hear of that, it ends once more.
                let of = presented
                    .remove(agent.as_str())
                    .or(answered.remove(agent.as_str()));
                assert_eq!(of, Some(*call), "seed {seed}: {fact:?}");
            }
            Fact::CallAnswered {
                call,
                agent: Some(agent),
                ..
            } => {
                assert_eq!(
                    presented.remove(agent.as_str()),
                    Some(*call),
                    "seed {seed}: {fact:?}"
                );
                answered.insert(agent, *call);
            }
            Fact::CallEnded { call, .. } => *ends.entry(*call).or_default() += 1,
            Fact::CallAnswered { agent: None, .. }
            | Fact::AgentWants { .. }
            | Fact::Bindings { .. }
            | Fact::CallQueued { .. }
            | Fact::AgentChanged { .. }
            | Fact::CallOverflowed { .. }
            | Fact::CallTransferred { .. }
            | Fact::RecordingStarted { .. }
            | Fact::RecordingEnded { .. } => {}
        }
    }
    assert!(presented.is_empty(), "seed {seed}: {presented:?}");
    assert!(ends.values().all(|count| *count == 1), "seed {seed}: {ends:?}");
    for call in lab.facts.iter().filter_map(Fact::call) {
        assert!(ends.contains_key(&call), "seed {seed}: {call:?} never ended");
    }
}

#[test]
fn queues_settle_when_all_goes_well() {
    (0..14).for_each(|seed| walk(seed, false));
}

#[test]
fn queues_settle_after_losses_and_a_broken_store() {
    (1000..1014).for_each(|seed| walk(seed, true));
}

#[test]
#[ignore = "two thousand walks: minutes"]
fn queues_settle_whatever_happens() {
    let wrong: Vec<u64> = (0..2_000)
        .filter(|seed| std::panic::catch_unwind(|| walk(*seed, *seed >= 200)).is_err())
        .collect();
    assert_eq!(wrong, [0; 0], "these do not settle");
}
