//! What mixed hours found, each as the few events that it takes.

use std::time::Duration;

use callwright_callcenter::{
    AgentRequest, AgentState, CallRecord, Command, EndCause, ModelStore, QueueConfig,
};
use callwright_sim::Link;
use callwright_wire::{Seed, Time};

use crate::phone::{Act, Pickup, Plan, Said};
use crate::town::{News, Plot, Town, address, agent_name};

/// A town with the queue `support`, and agents who are ready.
fn town(agents: usize) -> Town {
    let seed = Seed::from_number(1);
    let plot = Plot {
        seed: seed.clone(),
        agents,
        queues: vec![QueueConfig::new("support")],
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

/// A caller whom the queue has answered with music, and an agent who does this when it rings; the store fails from `fails` on for
/// three seconds. The record of the call, a minute later.
fn record(agents: usize, acts: Vec<(Duration, Act)>, fails: Time) -> CallRecord {
    let mut town = town(agents);
    town.dial(0, "support", Plan::default()).expect("a call");
    let end = Time::from_secs(65);
    let mut faults = vec![(fails + Duration::from_secs(3), 0.0), (fails, 1.0)];
    while town.now() < end {
        let until = faults.last().map_or(end, |(at, _)| *at);
        if !town.world.step(until).expect("within limits")
            && let Some((_, failures)) = faults.pop()
        {
            town.with_server(|server, _| server.store_mut().set_failures(failures));
        }
        while let Some((party, _, news)) = town.world.poll_event() {
            if let News::Phone(Said::Rings { call, .. }) = news {
                let plan = Plan {
                    pickup: Some(Pickup::After(Duration::from_secs(2))),
                    acts: acts.clone(),
                    ..Plan::default()
                };
                town.with_phone(party, |phone, now| phone.plan(now, call, plan));
            }
        }
    }
    let server = town.server().expect("it runs");
    let mut kept = server.store().kept().expect("it can be read");
    assert_eq!(kept.records.len(), 1);
    kept.records.remove(0)
}

#[test]
fn an_answer_that_could_not_be_stored_is_in_the_record_when_the_store_works_again() {
    // The agent answers after 7 s, and hangs up while the store still fails.
    let record = record(1, vec![(Duration::from_secs(1), Act::HangUp)], Time::from_secs(6));
    assert!(record.answered().is_some(), "{record:?}");
    assert_eq!(
        record.ended.map(|ended| ended.cause),
        Some(EndCause::CompletedByCallee)
    );
}

#[test]
fn a_call_that_comes_to_a_queue_again_is_in_the_record_when_the_store_works_again() {
    let acts = vec![
        (Duration::from_secs(3), Act::Transfer(address("support"))),
        (Duration::from_secs(20), Act::HangUp),
    ];
    let record = record(2, acts, Time::from_secs(9));
    // It came back after ten seconds, while the store failed.
    let times: Vec<_> = record
        .visits
        .iter()
        .map(|visit| visit.entered.as_millis() / 1_000)
        .collect();
    assert_eq!(times.get(..2), Some([5, 10].as_slice()), "{record:?}");
}

#[test]
fn an_agent_whose_phone_still_rings_for_a_call_that_was_taken_back_is_not_ready() {
    let mut town = town(1);
    town.dial(0, "support", Plan::default()).expect("a call");
    town.world.run_until(Time::from_secs(6)).expect("within limits");
    let state = |town: &Town| {
        let machine = town.server().expect("it runs").machine();
        let (agents, queues) = (machine.agents(), machine.queues());
        (agents[0].state.clone(), queues[0].waiting, queues[0].free)
    };
    assert_eq!(state(&town), (AgentState::Reserved, 1, 0));
    for to in [AgentRequest::NotReady("pause".to_owned()), AgentRequest::Ready] {
        let agent = agent_name(0);
        town.command(Command::SetAgent { agent, to });
    }
    // The CANCEL is on its way: ready it would be offered the call that waits.
    assert_eq!(state(&town), (AgentState::Reserved, 1, 0));
    assert!(
        town.phone(town.agents[0]).calls().next().is_some(),
        "it rings still"
    );
    town.world
        .run_until(Time::from_millis(6_040))
        .expect("within limits");
    let rings: Vec<_> = town.phone(town.agents[0]).calls().collect();
    assert_eq!(rings.len(), 1);
    assert!(
        rings[0].1.began > Time::from_secs(6),
        "the next presentation: {rings:?}"
    );
}
