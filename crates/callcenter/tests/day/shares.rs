//! What can be said of a call center without a model: how calls are shared, and what statistics have to say.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use callwright_callcenter::{AnswerWith, ModelStore, QueueConfig, Statistics, Thresholds};
use callwright_sim::{Link, PartyId};
use callwright_wire::{Entropy, Seed, Time};

use crate::phone::{Act, Pickup, Plan, Said};
use crate::town::{News, Plot, Town, address, agent_name};
use crate::wire::Reader;

fn town(agents: usize, queue: QueueConfig) -> Town {
    let seed = Seed::from_number(5).derive("shares");
    let plot = Plot {
        seed: seed.clone(),
        agents,
        queues: vec![queue],
        link: Link::perfect(Duration::from_millis(5)),
        expires: Duration::from_secs(3_600),
        store: Box::new(ModelStore::new(seed.derive("store"))),
        sound: false,
    };
    let mut town = Town::new(plot, |_| {});
    for agent in 0..agents {
        town.register(agent);
    }
    town.world.run_until(Time::from_secs(5)).expect("within limits");
    town
}

/// Places calls, each so long after the one before, and lets phones do what `of` says; for as long as `span`.
fn play(
    town: &mut Town,
    calls: &mut dyn Iterator<Item = (Duration, Plan)>,
    span: Duration,
    mut of: impl FnMut(PartyId) -> Plan,
) -> BTreeMap<PartyId, usize> {
    let mut answered = BTreeMap::new();
    let end = town.now() + span;
    let mut number = 0;
    let mut next = calls.next().map(|(after, plan)| (town.now() + after, plan));
    loop {
        let until = next.as_ref().map_or(end, |(at, _)| *at);
        if !town.world.step(until).expect("within limits") {
            let Some((_, plan)) = next.take() else { break };
            town.dial(number, "support", plan).expect("a call");
            number += 1;
            next = calls.next().map(|(after, plan)| (town.now() + after, plan));
        }
        while let Some((party, _, news)) = town.world.poll_event() {
            match news {
                News::Phone(Said::Rings { call, .. }) => {
                    let plan = of(party);
                    town.with_phone(party, |phone, now| phone.plan(now, call, plan));
                }
                News::Phone(Said::Up { .. }) if party != town.crowd => {
                    *answered.entry(party).or_default() += 1;
                }
                News::Phone(_) | News::Server | News::Over(..) => {}
            }
        }
        while town.log.next().is_some() {}
    }
    answered
}

fn answers(after: Duration, acts: Vec<(Duration, Act)>) -> Plan {
    Plan {
        pickup: Some(Pickup::After(after)),
        acts,
        ..Plan::default()
    }
}

#[test]
fn with_round_robin_agents_who_are_ready_throughout_differ_by_one_call_at_most() {
    let mut town = town(5, QueueConfig::new("support"));
    let plan = || Plan {
        acts: vec![(Duration::from_secs(8), Act::HangUp)],
        ..Plan::default()
    };
    let mut calls = (0..52).map(|_| (Duration::from_secs(20), plan()));
    let answered = play(&mut town, &mut calls, Duration::from_secs(2_000), |_| {
        answers(Duration::from_secs(1), Vec::new())
    });
    let (most, least) = (answered.values().max(), answered.values().min());
    assert_eq!(answered.values().sum::<usize>(), 52);
    assert_eq!((most, least), (Some(&11), Some(&10)), "{answered:?}");
}

fn exponential(dice: &mut Entropy, mean: f64) -> Duration {
    Duration::from_secs_f64(-mean * (1.0 - dice.fraction()).ln())
}

#[test]
fn statistics_and_talk_times_are_those_of_the_messages_on_the_wire() {
    let queue = QueueConfig {
        answer: AnswerWith::Agent,
        ..QueueConfig::new("support")
    };
    let mut town = town(4, queue);
    let reader = Reader::new(IpAddr::from([192, 0, 2, 250]));
    town.tap(Box::new(reader.clone()));
    let mut dice = Seed::from_number(6).stream();
    let mut theirs = Seed::from_number(7).stream();
    let mut calls = (0..150).map(|_| {
        let plan = Plan {
            patience: Some(exponential(&mut dice, 60.0)),
            acts: vec![(exponential(&mut dice, 60.0), Act::HangUp)],
            ..Plan::default()
        };
        (exponential(&mut dice, 12.0), plan)
    });
    play(&mut town, &mut calls, Duration::from_secs(4_000), |_| {
        let talk = exponential(&mut theirs, 60.0);
        match theirs.below(8) {
            0 => Plan {
                pickup: Some(Pickup::Refuse(486, Duration::from_secs(1))),
                ..Plan::default()
            },
            1 => {
                let target = address(&agent_name(theirs.below(4) as usize));
                let acts = vec![
                    (talk, Act::Transfer(target)),
                    (Duration::from_secs(100), Act::HangUp),
                ];
                answers(Duration::from_secs(2), acts)
            }
            _ => answers(Duration::from_secs(2), vec![(talk, Act::HangUp)]),
        }
    });
    let kept = town
        .server()
        .expect("it runs")
        .store()
        .kept()
        .expect("it can be read");
    let thresholds = Thresholds::default();
    let mut statistics = Statistics::default();
    for record in &kept.records {
        statistics.add(record, Some("support"), &thresholds);
    }
    let seen = reader.calls();
    let answered = seen.values().filter(|call| !call.legs.is_empty()).count() as u64;
    assert!(seen.values().all(|call| call.dialled == "support"));
    assert_eq!(statistics.offered, seen.len() as u64);
    assert_eq!(statistics.answered, answered);
    assert_eq!(statistics.abandoned, seen.len() as u64 - answered);
    let mut transferred = 0;
    for record in &kept.records {
        let caller = record.caller.as_ref().expect("everybody says who it is");
        let Some(answered) = record.answered() else {
            continue;
        };
        let (from, to) = seen[caller].legs[0];
        let left = answered
            .left
            .or(record.ended.map(|ended| ended.at))
            .expect("it is over");
        // The agent's part, from its 200 to its BYE, however the call went on.
        let talked = left.since(answered.at).as_secs_f64();
        let seen = to.expect("it is over").since(from).as_secs_f64();
        assert!(
            (talked - seen).abs() < 0.2,
            "{caller}: {talked} s, and {seen} s on the wire: {record:?}"
        );
        transferred += record.transfers.len();
    }
    assert!(transferred > 5, "{transferred}");
}
