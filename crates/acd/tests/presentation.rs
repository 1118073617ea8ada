//! Calls that are presented and not taken: none is lost, none loses its place, and no INVITE outlives its caller.

mod support;

use std::time::Duration;

use callwright_acd::{
    AgentRequest, AgentState, AnswerWith, CallState, EndCause, Fact, NotReadyReason, Strategy,
};
use callwright_ua::Phase;
use support::{Lab, Phone};

fn agents(lab: &mut Lab) -> [Phone; 3] {
    ["alice", "bob", "carol"].map(|name| lab.registered(name))
}

fn story_of(lab: &Lab, call: u64, word: &str) -> Vec<String> {
    let prefix = format!("{call} ");
    let story = lab.story().into_iter();
    story
        .filter(|line| line.starts_with(&prefix) && line.contains(word))
        .collect()
}

#[test]
fn no_invite_to_an_agent_outlives_its_caller() {
    for answers in [
        callwright_acd::AnswerWith::Music,
        callwright_acd::AnswerWith::Agent,
    ] {
        let mut lab = Lab::with_queue(|_, queue| queue.answer = answers);
        let alice = lab.registered("alice");
        let customer = lab.customer();
        lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
        lab.hangup(customer);
        lab.pass(Duration::from_millis(20));
        assert_eq!(lab.phase(alice), Some(Phase::Ended));
        assert_eq!(lab.state("alice"), AgentState::Ready);
        assert_eq!(lab.ends(), [EndCause::Abandoned]);
        assert_eq!(
            story_of(&lab, 1, "alice").last().map(String::as_str),
            Some("1 not taken by alice: Withdrawn")
        );
        lab.assert_nothing_left();
    }
}

#[test]
fn an_invite_that_is_still_unanswered_by_anything_is_cancelled_when_it_can_be() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    // RFC 3261 §9.1: no CANCEL before a provisional response. Those of alice are lost for a second.
    lab.filter = Some(Box::new(|line| !line.starts_with("SIP/2.0 1")));
    let customer = lab.customer();
    lab.hangup(customer);
    lab.customer();
    lab.pass(Duration::from_millis(900));
    assert_eq!(
        lab.calls(alice).len(),
        1,
        "no second INVITE meets a phone that rings for the first"
    );
    assert_eq!(lab.state("alice"), AgentState::Reserved);
    lab.filter = None;
    lab.until(|lab| lab.calls(alice).len() == 2);
    assert_eq!(lab.calls(alice)[0].phase(), Phase::Ended);
    lab.take(alice);
}

#[test]
fn a_call_that_is_not_answered_stands_at_the_head_of_its_queue() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let first = lab.customer();
    let second = lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.pass(Duration::from_secs(16));
    assert_eq!(lab.state("alice"), AgentState::NotReady(NotReadyReason::NoAnswer));
    assert_eq!(lab.phase(alice), Some(Phase::Ended));
    assert_eq!(lab.phase(first), Some(Phase::Established));
    let oldest = lab.support().oldest.expect("two wait");
    assert!(
        lab.now().since(oldest) > Duration::from_secs(15),
        "its age is that of its arrival"
    );
    let bob = lab.registered("bob");
    lab.take(bob);
    lab.assert_they_talk(first, bob);
    lab.hangup(first);
    lab.take(bob);
    lab.assert_they_talk(second, bob);
}

#[test]
fn an_agent_is_not_ready_after_as_many_unanswered_calls_as_its_queue_allows() {
    let mut lab = Lab::with_queue(|_, queue| {
        queue.max_no_answer = 2;
        queue.strategy = Strategy::Linear;
    });
    let alice = lab.registered("alice");
    let bob = lab.registered("bob");
    let customer = lab.customer();
    lab.pass(Duration::from_secs(16));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    assert_eq!(lab.agent("alice").unanswered, 1);
    assert_eq!(
        lab.phase(bob),
        Some(Phase::Ringing),
        "the next one, although alice comes before"
    );
    lab.hangup(customer);
    lab.pass(Duration::from_millis(10));
    lab.customer();
    lab.pass(Duration::from_secs(16));
    assert_eq!(lab.state("alice"), AgentState::NotReady(NotReadyReason::NoAnswer));
    lab.take(bob);
    lab.ask("alice", AgentRequest::Ready);
    assert_eq!(lab.agent("alice").unanswered, 0);
    assert_eq!(lab.calls(alice).len(), 2);
}

#[test]
fn an_answer_makes_up_for_calls_that_were_not_answered() {
    let mut lab = Lab::with_queue(|_, queue| queue.max_no_answer = 2);
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.pass(Duration::from_secs(16));
    assert_eq!(lab.agent("alice").unanswered, 1);
    lab.take(alice);
    assert_eq!(lab.agent("alice").unanswered, 0);
    lab.hangup(customer);
}

#[test]
fn a_rejected_call_moves_on_and_its_agent_stays_ready() {
    let mut lab = Lab::with_queue(|_, queue| queue.strategy = Strategy::Linear);
    let [alice, bob, _] = agents(&mut lab);
    let first = lab.customer();
    lab.refuse(alice, 486);
    assert_eq!(lab.state("alice"), AgentState::Ready);
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    let second = lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.take(bob);
    lab.take(alice);
    lab.assert_they_talk(first, bob);
    lab.assert_they_talk(second, alice);
}

#[test]
fn a_caller_is_not_lost_after_three_refused_presentations() {
    for status in [486, 603, 480] {
        let mut lab = Lab::with_queue(|_, _| {});
        let [alice, bob, carol] = agents(&mut lab);
        let customer = lab.customer();
        for agent in [alice, bob, carol] {
            lab.refuse(agent, status);
        }
        assert_eq!(lab.phase(customer), Some(Phase::Established));
        assert_eq!(story_of(&lab, 1, "presented").len(), 3);
        // They are ready all the same: it is offered again, though not at once.
        lab.pass(Duration::from_secs(4));
        assert_eq!(story_of(&lab, 1, "presented").len(), 3);
        lab.take(alice);
        lab.assert_they_talk(customer, alice);
        lab.hangup(customer);
        lab.assert_nothing_left();
    }
}

#[test]
fn an_agent_who_refuses_again_and_again_is_not_ready_and_offered_no_more() {
    for status in [486, 480, 603] {
        let mut lab = Lab::with_queue(|_, _| {});
        let alice = lab.registered("alice");
        let customer = lab.customer();
        for refused in 1..=3 {
            assert_eq!(lab.state("alice"), AgentState::Reserved, "{status}");
            lab.refuse(alice, status);
            assert_eq!(lab.agent("alice").refused, refused);
            lab.pass(Duration::from_secs(5));
        }
        assert_eq!(lab.state("alice"), AgentState::NotReady(NotReadyReason::Rejected));
        lab.pass(Duration::from_secs(60));
        assert_eq!(story_of(&lab, 1, "presented").len(), 3, "{status}");
        assert_eq!(
            lab.phase(customer),
            Some(Phase::Established),
            "it waits as before"
        );
        lab.ask("alice", AgentRequest::Ready);
        assert_eq!(lab.agent("alice").refused, 0);
        lab.take(alice);
        lab.assert_they_talk(customer, alice);
        lab.hangup(customer);
        lab.assert_nothing_left();
    }
}

#[test]
fn refusals_are_as_many_as_the_queue_allows_and_an_answer_makes_up_for_them() {
    let mut lab = Lab::with_queue(|_, queue| {
        queue.max_refused = 2;
        queue.max_no_answer = 0;
    });
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.refuse(alice, 486);
    lab.take(alice);
    assert_eq!(lab.agent("alice").refused, 0);
    lab.hangup(customer);
    lab.pass(Duration::from_millis(10));
    lab.customer();
    lab.refuse(alice, 486);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    // To let it ring is no refusal.
    lab.pass(Duration::from_secs(16));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    lab.refuse(alice, 486);
    assert_eq!(lab.state("alice"), AgentState::NotReady(NotReadyReason::Rejected));

    let mut lab = Lab::with_queue(|_, queue| queue.max_refused = 0);
    let alice = lab.registered("alice");
    lab.customer();
    for _ in 0..10 {
        lab.refuse(alice, 486);
        lab.pass(Duration::from_secs(5));
    }
    assert_eq!(lab.state("alice"), AgentState::Reserved);
}

#[test]
fn a_phone_that_fails_makes_its_agent_not_ready() {
    for status in [404, 500, 503] {
        let mut lab = Lab::with_queue(|_, _| {});
        let [alice, bob, _] = agents(&mut lab);
        lab.customer();
        lab.refuse(alice, status);
        assert_eq!(lab.state("alice"), AgentState::NotReady(NotReadyReason::Rejected));
        lab.take(bob);
    }
}

#[test]
fn an_agent_whose_phone_is_gone_without_a_word_does_not_keep_the_call() {
    let mut lab = Lab::with_queue(|_, _| {});
    let [alice, bob, _] = agents(&mut lab);
    lab.partition = Some(alice.address());
    let customer = lab.customer();
    lab.pass(Duration::from_secs(14));
    assert_eq!(lab.phase(bob), None);
    lab.take(bob);
    lab.assert_they_talk(customer, bob);
    assert_eq!(lab.state("alice"), AgentState::NotReady(NotReadyReason::NoAnswer));
    lab.hangup(customer);
    lab.assert_nothing_left();
}

#[test]
fn an_agent_who_answers_and_leaves_at_once_does_not_lose_the_caller() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let customer = lab.customer();
    let second = lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.store.delay = Duration::from_millis(500);
    lab.accept(alice);
    lab.pass(Duration::from_millis(100));
    lab.hangup(alice);
    lab.pass(Duration::from_millis(100));
    lab.store.delay = Duration::ZERO;
    assert_eq!(lab.phase(customer), Some(Phase::Established));
    let bob = lab.registered("bob");
    lab.take(bob);
    lab.pass(Duration::from_secs(1));
    lab.assert_they_talk(customer, bob);
    lab.take(alice);
    lab.assert_they_talk(second, alice);
}

#[test]
fn with_ring_all_everybody_rings_and_who_answers_first_has_it() {
    let mut lab = Lab::with_queue(|_, queue| queue.strategy = Strategy::RingAll);
    let [alice, bob, carol] = agents(&mut lab);
    let customer = lab.customer();
    let second = lab.customer();
    for agent in [alice, bob, carol] {
        lab.until(|lab| lab.phase(agent) == Some(Phase::Ringing));
    }
    assert_eq!(story_of(&lab, 1, "presented").len(), 3);
    assert_eq!(lab.support().presented, 1);
    lab.refuse(alice, 486);
    lab.accept(bob);
    lab.until(|lab| lab.phase(bob) == Some(Phase::Established));
    assert_eq!(lab.state("bob"), AgentState::Talking);
    // The second one rings for all who are left, and once for each.
    lab.until(|lab| lab.calls(carol).len() == 2 && lab.calls(alice).len() == 2);
    lab.pass(Duration::from_secs(1));
    assert_eq!(
        lab.ended(carol).1,
        "cancelled by the caller: Call completed elsewhere"
    );
    assert_eq!(lab.calls(bob).len(), 1);
    lab.assert_they_talk(customer, bob);
    lab.take(carol);
    lab.assert_they_talk(second, carol);
    assert_eq!(lab.state("alice"), AgentState::Ready);
    lab.hangup(customer);
    lab.hangup(second);
    lab.assert_nothing_left();
}

#[test]
fn without_ports_for_an_agent_the_call_waits_and_the_agent_is_not_to_blame() {
    let mut lab = Lab::with_queue(|_, queue| queue.max_refused = 1);
    let alice = lab.registered("alice");
    lab.ports_left = 1;
    let customer = lab.customer();
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    assert_eq!(lab.phase(alice), None);
    lab.ports_left = 100;
    lab.take(alice);
    lab.assert_they_talk(customer, alice);
}

#[test]
fn a_store_that_refuses_does_not_cut_off_who_was_answered() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.store.broken = true;
    lab.take(alice);
    lab.assert_they_talk(customer, alice);
    lab.hangup(customer);
    lab.assert_nothing_left();
}

#[test]
fn the_answer_to_a_caller_who_was_answered_before_is_told_to_be_kept() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.store.stuck = true;
    lab.accept(alice);
    lab.pass(Duration::from_millis(50));
    let answers = |facts: &[Fact]| {
        let answered = |fact: &&Fact| matches!(fact, Fact::CallAnswered { .. });
        facts.iter().filter(answered).count()
    };
    assert_eq!((answers(&lab.facts), answers(&lab.awaited)), (1, 0));
    // It waits for a store that works, and not for one that does not.
    lab.set_storing(false);
    lab.assert_they_talk(customer, alice);
}

#[test]
fn a_caller_who_waits_for_the_answer_of_an_agent_is_not_lost_with_the_store() {
    let mut lab = Lab::with_queue(|_, queue| queue.answer = AnswerWith::Agent);
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.set_storing(false);
    lab.accept(alice);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.phase(alice), Some(Phase::Ended));
    assert_eq!(lab.phase(customer), Some(Phase::Ringing));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    assert_eq!(lab.agent("alice").answered, 0);
    assert_eq!(
        story_of(&lab, 1, "not taken").last().map(String::as_str),
        Some("1 not taken by alice: Withdrawn")
    );
    lab.pass(Duration::from_secs(30));
    assert_eq!(
        lab.calls(alice).len(),
        1,
        "nobody rings for what cannot be stored"
    );
    lab.set_storing(true);
    lab.take(alice);
    lab.assert_they_talk(customer, alice);
    lab.hangup(customer);
    lab.assert_nothing_left();
}

#[test]
fn an_answer_that_its_caller_does_not_hear_of_is_taken_back() {
    for caller_leaves in [true, false] {
        let mut lab = Lab::with_queue(|_, queue| queue.answer = AnswerWith::Agent);
        let alice = lab.registered("alice");
        let customer = lab.customer();
        lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
        lab.store.delay = Duration::from_millis(500);
        lab.accept(alice);
        lab.pass(Duration::from_millis(100));
        lab.hangup(if caller_leaves { customer } else { alice });
        lab.pass(Duration::from_secs(1));
        let outcome = if caller_leaves { "Withdrawn" } else { "AgentGone" };
        assert_eq!(
            story_of(&lab, 1, "alice").last(),
            Some(&format!("1 not taken by alice: {outcome}"))
        );
        assert_eq!(lab.agent("alice").answered, 0);
    }
}

#[test]
fn a_call_rings_for_no_more_agents_at_once_than_may_be() {
    let mut lab = Lab::with_queue(|config, queue| {
        queue.strategy = Strategy::RingAll;
        config.limits.ring_all = 2;
    });
    let [alice, bob, carol] = agents(&mut lab);
    lab.customer();
    lab.pass(Duration::from_secs(1));
    let ringing = |lab: &Lab| [alice, bob, carol].map(|agent| lab.phase(agent) == Some(Phase::Ringing));
    assert_eq!(ringing(&lab), [true, true, false]);
    lab.pass(Duration::from_secs(15));
    assert_eq!(ringing(&lab), [false, false, true]);
}

#[test]
fn an_agent_of_whom_one_phone_works_is_not_taken_for_unreachable() {
    for statuses in [[486, 503], [503, 486]] {
        let mut lab = Lab::with_queue(|_, _| {});
        let phones = [lab.registered("alice"), lab.registered("alice")];
        lab.customer();
        for (phone, status) in phones.into_iter().zip(statuses) {
            lab.refuse(phone, status);
        }
        assert_eq!(lab.state("alice"), AgentState::Ready, "{statuses:?}");
    }
}

#[test]
fn a_call_whose_answer_is_being_stored_is_one_that_is_presented() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.store.stuck = true;
    lab.accept(alice);
    lab.pass(Duration::from_millis(50));
    assert_eq!(lab.machine.calls()[0].state, CallState::Presented { attempt: 1 });
}
