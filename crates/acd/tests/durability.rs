//! Nothing is acknowledged before it is stored.

mod support;

use std::time::Duration;

use callwright_acd::{AgentRequest, AgentState, Auth, Command};
use callwright_wire::{Input, Node};
use support::script::Request;
use support::{Lab, SERVER};

fn register(lab: &mut Lab, cseq: u32, contact: &str) {
    let at = lab.script("10.0.0.77:5060");
    let aor = format!("sip:bob@{SERVER}");
    let text = Request {
        method: "REGISTER",
        uri: &format!("sip:{SERVER}"),
        from: (&aor, "f"),
        to: (&aor, ""),
        call_id: "durable",
        cseq,
    };
    let text = text.write(at, &[&format!("Contact: {contact}")], "");
    lab.say(at, text);
}

fn open_lab() -> Lab {
    Lab::with(|config| config.auth = Auth::None)
}

#[test]
fn a_registration_is_answered_and_in_force_when_it_is_stored_and_not_before() {
    let mut lab = open_lab();
    lab.store.delay = Duration::from_millis(700);
    register(&mut lab, 1, "<sip:bob@10.0.0.77>");
    lab.pass(Duration::from_millis(690));
    let at = "10.0.0.77:5060".parse().expect("an address");
    assert!(lab.heard(at).is_none());
    assert_eq!(lab.machine.bindings(lab.now(), "bob").len(), 0);
    lab.pass(Duration::from_millis(20));
    assert_eq!(lab.expect(at, "SIP/2.0").status(), 200);
    assert_eq!(lab.machine.bindings(lab.now(), "bob").len(), 1);
}

#[test]
fn a_registration_that_cannot_be_stored_is_refused_and_changes_nothing() {
    let mut lab = open_lab();
    let at = "10.0.0.77:5060".parse().expect("an address");
    register(&mut lab, 1, "<sip:bob@10.0.0.77>");
    assert_eq!(lab.expect(at, "SIP/2.0").status(), 200);
    lab.store.broken = true;
    register(&mut lab, 2, "<sip:bob@10.0.0.77>;expires=0");
    let refused = lab.expect(at, "SIP/2.0");
    assert_eq!(
        (refused.status(), refused.header("Retry-After")),
        (503, Some("5"))
    );
    assert_eq!(lab.machine.bindings(lab.now(), "bob").len(), 1);
    lab.store.broken = false;
    register(&mut lab, 3, "<sip:bob@10.0.0.77>;expires=0");
    assert_eq!(lab.expect(at, "SIP/2.0").status(), 200);
    assert_eq!(lab.machine.bindings(lab.now(), "bob").len(), 0);
}

#[test]
fn changes_of_one_user_are_stored_one_after_the_other_and_not_without_end() {
    let mut lab = open_lab();
    lab.store.stuck = true;
    for cseq in 1..=6 {
        register(&mut lab, cseq, &format!("<sip:bob@10.0.0.{}>", 100 + cseq));
    }
    let at = "10.0.0.77:5060".parse().expect("an address");
    let refused = lab.expect(at, "SIP/2.0");
    assert_eq!(
        (refused.status(), refused.header("CSeq")),
        (503, Some("6 REGISTER"))
    );
    assert_eq!(
        lab.facts.len(),
        1,
        "the next one is computed from what the first one leaves"
    );
    lab.store.stuck = false;
    for cseq in 1..=5 {
        let answer = lab.expect(at, "SIP/2.0 200");
        assert_eq!(answer.header("CSeq"), Some(format!("{cseq} REGISTER").as_str()));
        assert_eq!(answer.headers("Contact").count(), cseq);
    }
}

#[test]
fn without_room_for_facts_a_registration_fails_at_once() {
    let mut lab = Lab::with(|config| {
        config.auth = Auth::None;
        config.limits.facts_in_flight = 0;
    });
    register(&mut lab, 1, "<sip:bob@10.0.0.77>");
    let at = "10.0.0.77:5060".parse().expect("an address");
    assert_eq!(lab.expect(at, "SIP/2.0").status(), 503);
    assert_eq!(lab.machine.counters().facts_lost, 1);
}

#[test]
fn a_token_that_nobody_knows_or_that_was_heard_of_before_does_nothing() {
    let mut lab = open_lab();
    lab.store.stuck = true;
    register(&mut lab, 1, "<sip:bob@10.0.0.77>");
    lab.pass(Duration::from_millis(10));
    let token = lab.store.oldest().expect("one fact");
    for _ in 0..2 {
        let input = Input::Command(Command::Persisted { token });
        lab.machine.handle_input(lab.now(), input);
        lab.drain_machine();
    }
    let at = "10.0.0.77:5060".parse().expect("an address");
    lab.pass(Duration::from_millis(10));
    assert_eq!(lab.heard(at).map(|answer| answer.status()), Some(200));
    assert!(lab.heard(at).is_none());
}

#[test]
fn what_tells_what_has_happened_already_finds_room_always() {
    let mut lab = Lab::with_queue(|config, _| config.limits.facts_in_flight = 2);
    let customers = [(); 4].map(|()| lab.customer());
    lab.store.stuck = true;
    for customer in customers {
        lab.hangup(customer);
        lab.pass(Duration::from_millis(10));
    }
    assert_eq!(lab.ends().len(), 4, "each end is told, whatever the store does");
    assert_eq!(lab.machine.counters().facts_lost, 0);
    let fifth = lab.customer();
    assert_eq!(lab.ended(fifth).0, Some(503), "a caller can be told no");
    lab.store.stuck = false;
    lab.assert_nothing_left();
}

#[test]
fn without_room_for_facts_no_call_is_presented_and_nothing_can_be_asked_of_agents() {
    let mut lab = Lab::with_queue(|config, _| config.limits.facts_in_flight = 2);
    let alice = lab.registered("alice");
    lab.ask("alice", AgentRequest::NotReady(String::new()));
    let customers = [(); 3].map(|()| lab.customer());
    lab.store.stuck = true;
    for customer in &customers[..2] {
        lab.hangup(*customer);
        lab.pass(Duration::from_millis(10));
    }
    lab.ask("alice", AgentRequest::Ready);
    assert_ne!(lab.state("alice"), AgentState::Ready, "that could not be told");
    lab.store.stuck = false;
    lab.pass(Duration::from_millis(10));
    lab.ask("alice", AgentRequest::Ready);
    lab.take(alice);
    lab.assert_they_talk(customers[2], alice);
}
