//! A call to a queue: it waits, is presented, answered, and over; and what is written down of it.

mod support;

use std::time::Duration;

use callwright_acd::{AgentState, AnswerWith, CallState, EndCause};
use callwright_ua::Phase;
use support::Lab;

#[test]
fn a_caller_is_answered_with_music_presented_to_an_agent_and_bridged() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let customer = lab.customer();
    assert_eq!(lab.phase(customer), Some(Phase::Established), "it hears music");
    assert_eq!(lab.phase(alice), Some(Phase::Ringing));
    assert_eq!(lab.state("alice"), AgentState::Reserved);
    lab.take(alice);
    assert_eq!(lab.state("alice"), AgentState::Talking);
    assert_eq!(lab.machine.calls()[0].state, CallState::Connected);
    lab.assert_they_talk(customer, alice);
    lab.hangup(customer);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    assert_eq!(lab.state("alice"), AgentState::Talking, "its BYE is not answered");
    lab.pass(Duration::from_millis(10));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    assert_eq!(
        lab.story(),
        [
            "alice Ready",
            "1 queued in support",
            "alice Reserved",
            "1 presented to alice, 1",
            "alice Talking",
            "1 answered by agent alice",
            "1 ended: CompletedByCaller",
            "alice Ready",
        ]
    );
    lab.assert_nothing_left();
}

#[test]
fn a_caller_is_answered_when_that_it_came_is_stored_and_not_before() {
    let mut lab = Lab::with_queue(|_, _| {});
    lab.registered("alice");
    lab.store.delay = Duration::from_millis(500);
    let customer = lab.phone("dave");
    lab.dial(customer, "support");
    lab.pass(Duration::from_millis(490));
    assert_eq!(lab.phase(customer), Some(Phase::Trying));
    lab.pass(Duration::from_millis(20));
    assert_eq!(lab.phase(customer), Some(Phase::Established));
}

#[test]
fn a_call_that_cannot_be_stored_is_refused() {
    let mut lab = Lab::with_queue(|_, _| {});
    lab.registered("alice");
    lab.store.broken = true;
    let customer = lab.customer();
    assert_eq!(lab.ended(customer).0, Some(503));
    assert_eq!(lab.ends(), [EndCause::Failed(503)]);
    lab.assert_nothing_left();
}

#[test]
fn with_agent_the_caller_hears_ringing_until_an_agent_answers() {
    let mut lab = Lab::with_queue(|_, queue| queue.answer = AnswerWith::Agent);
    let alice = lab.registered("alice");
    let customer = lab.customer();
    assert_eq!(lab.phase(customer), Some(Phase::Ringing));
    lab.take(alice);
    assert_eq!(lab.phase(customer), Some(Phase::Established));
    lab.assert_they_talk(customer, alice);
    lab.hangup(alice);
    lab.until(|lab| lab.phase(customer) == Some(Phase::Ended));
    assert_eq!(lab.ends(), [EndCause::CompletedByCallee]);
    lab.assert_nothing_left();
}

#[test]
fn callers_wait_in_order_while_agents_are_busy() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let first = lab.customer();
    lab.take(alice);
    let (second, third) = (lab.customer(), lab.customer());
    assert_eq!(lab.support().waiting, 2);
    let position = |lab: &Lab, at: usize| lab.machine.calls()[at].state;
    let (position_of_second, position_of_third) = (position(&lab, 1), position(&lab, 2));
    assert_eq!(
        [position_of_second, position_of_third],
        [1, 2].map(|position| CallState::Queued {
            position,
            priority: 0
        })
    );
    for customer in [first, second, third] {
        assert_eq!(lab.phase(alice), Some(Phase::Established));
        lab.hangup(customer);
        lab.until(|lab| lab.phase(customer) == Some(Phase::Ended));
        if customer != third {
            lab.take(alice);
        }
    }
    let answered: Vec<_> = lab
        .story()
        .into_iter()
        .filter(|line| line.contains("answered"))
        .collect();
    assert_eq!(
        answered,
        ["1", "2", "3"].map(|call| format!("{call} answered by agent alice"))
    );
    lab.assert_nothing_left();
}
