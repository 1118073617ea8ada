//! What agents are doing, and how it changes.

mod support;

use std::time::Duration;

use callwright_acd::{AgentRequest, AgentState, EndCause, Fact, NotReadyReason};
use callwright_ua::Phase;
use callwright_wire::Time;
use support::{Lab, Phone};

fn not_ready(reason: &str) -> AgentState {
    AgentState::NotReady(NotReadyReason::Manual(reason.to_owned()))
}

fn with_wrap_up(seconds: u64) -> Lab {
    Lab::with_queue(|_, queue| queue.wrap_up = Duration::from_secs(seconds))
}

/// Alice talks to a customer.
fn talking(lab: &mut Lab) -> (Phone, Phone) {
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.take(alice);
    assert_eq!(lab.state("alice"), AgentState::Talking);
    (alice, customer)
}

fn unregister(lab: &mut Lab, phone: Phone) {
    lab.fleet(phone, |fleet, now, id| fleet.unregister(now, id, None))
        .expect("it is registered");
    lab.pass(Duration::from_millis(10));
}

#[test]
fn a_registration_makes_an_agent_ready_and_its_end_logs_it_out() {
    let mut lab = Lab::with_queue(|_, _| {});
    assert_eq!(lab.state("alice"), AgentState::LoggedOut);
    let alice = lab.registered("alice");
    assert_eq!(lab.state("alice"), AgentState::Ready);
    assert_eq!(lab.support().logged_in, 1);
    unregister(&mut lab, alice);
    assert_eq!(lab.state("alice"), AgentState::LoggedOut);
    assert_eq!(lab.support().logged_in, 0);
    assert_eq!(lab.support().free, 0);
}

#[test]
fn an_agent_that_is_to_say_so_itself_is_not_ready_after_its_registration() {
    let mut lab = Lab::with_queue(|config, _| config.agents[0].ready_on_register = false);
    let alice = lab.registered("alice");
    assert_eq!(lab.state("alice"), AgentState::NotReady(NotReadyReason::Login));
    let customer = lab.customer();
    lab.pass(Duration::from_secs(30));
    assert_eq!(lab.phase(alice), None);
    lab.ask("alice", AgentRequest::Ready);
    lab.take(alice);
    lab.hangup(customer);
}

#[test]
fn an_agent_who_is_not_ready_is_offered_nothing() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    lab.ask("alice", AgentRequest::NotReady("lunch".to_owned()));
    assert_eq!(lab.state("alice"), not_ready("lunch"));
    lab.customer();
    lab.pass(Duration::from_secs(30));
    assert_eq!(lab.phase(alice), None);
    lab.ask("alice", AgentRequest::Ready);
    lab.pass(Duration::from_millis(5));
    assert_eq!(lab.phase(alice), Some(Phase::Ringing));
}

#[test]
fn who_says_not_ready_while_a_call_is_presented_has_it_taken_back() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.ask("alice", AgentRequest::NotReady("".to_owned()));
    assert_eq!(lab.state("alice"), not_ready(""));
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    let bob = lab.registered("bob");
    lab.take(bob);
    assert!(
        lab.story()
            .contains(&"1 not taken by alice: AgentGone".to_owned())
    );
    assert!(lab.story().contains(&"1 presented to bob, 2".to_owned()));
}

#[test]
fn who_is_ready_again_before_its_phone_has_let_go_of_a_call_is_reserved_until_then() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    // What its phone says of the CANCEL does not come through.
    lab.filter = Some(Box::new(|line| !line.starts_with("SIP/2.0 487")));
    unregister(&mut lab, alice);
    assert_eq!(lab.state("alice"), AgentState::LoggedOut);
    lab.register(alice);
    lab.pass(Duration::from_millis(10));
    assert_eq!(lab.state("alice"), AgentState::Reserved);
    lab.ask("alice", AgentRequest::NotReady("".to_owned()));
    assert_eq!(lab.state("alice"), not_ready(""));
    lab.ask("alice", AgentRequest::Ready);
    assert_eq!(
        (lab.state("alice"), lab.support().free),
        (AgentState::Reserved, 0)
    );
    lab.filter = None;
    // It is said again.
    lab.take(alice);
}

#[test]
fn who_says_not_ready_during_a_call_is_so_after_it() {
    let mut lab = Lab::with_queue(|_, _| {});
    let (_, customer) = talking(&mut lab);
    lab.ask("alice", AgentRequest::NotReady("lunch".to_owned()));
    assert_eq!(lab.state("alice"), AgentState::Talking);
    lab.hangup(customer);
    lab.pass(Duration::from_millis(10));
    assert_eq!(lab.state("alice"), not_ready("lunch"));
}

#[test]
fn wrap_up_lasts_as_long_as_its_queue_says_and_does_not_end_early() {
    let mut lab = with_wrap_up(30);
    let (alice, customer) = talking(&mut lab);
    lab.hangup(customer);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    let AgentState::WrapUp { until } = lab.state("alice") else {
        panic!("{:?}", lab.state("alice"));
    };
    let second = lab.customer();
    // Neither a call that waits, nor a registration, nor another call that ends is a reason.
    lab.register(alice);
    let bob = lab.registered("bob");
    lab.take(bob);
    lab.hangup(second);
    lab.customer();
    lab.pass(until.since(lab.now()) - Duration::from_millis(1));
    assert_eq!(lab.state("alice"), AgentState::WrapUp { until });
    assert_eq!(lab.calls(alice).len(), 1);
    lab.pass(Duration::from_millis(5));
    assert_eq!(lab.state("alice"), AgentState::Reserved);
    assert_eq!(lab.phase(alice), Some(Phase::Ringing));
}

#[test]
fn an_agent_ends_its_wrap_up_itself() {
    for request in [AgentRequest::WrapUpDone, AgentRequest::Ready] {
        let mut lab = with_wrap_up(30);
        let (alice, _) = talking(&mut lab);
        lab.hangup(alice);
        lab.pass(Duration::from_secs(1));
        assert!(matches!(lab.state("alice"), AgentState::WrapUp { .. }));
        lab.ask("alice", request);
        assert_eq!(lab.state("alice"), AgentState::Ready);
        lab.pass(Duration::from_secs(60));
        let changes = lab.story().into_iter().filter(|line| line == "alice Ready");
        assert_eq!(
            changes.count(),
            2,
            "the timer of the wrap-up does nothing any more"
        );
    }
}

#[test]
fn who_says_not_ready_during_wrap_up_is_so_when_that_is_done() {
    let mut lab = with_wrap_up(30);
    let (alice, _) = talking(&mut lab);
    lab.hangup(alice);
    lab.pass(Duration::from_secs(1));
    lab.ask("alice", AgentRequest::NotReady("lunch".to_owned()));
    assert!(matches!(lab.state("alice"), AgentState::WrapUp { .. }));
    lab.ask("alice", AgentRequest::WrapUpDone);
    assert_eq!(lab.state("alice"), not_ready("lunch"));
}

#[test]
fn an_agent_stuck_after_a_lost_bye_is_free_again() {
    let mut lab = Lab::with_queue(|config, _| {
        config.session_timer = Some(callwright_sip::command::SessionTimer::new(Duration::from_secs(
            90,
        )));
    });
    let (alice, customer) = talking(&mut lab);
    // The customer is gone without a word; only the session timer tells.
    lab.partition = Some(customer.address());
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    lab.pass(Duration::from_millis(10));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    assert_eq!(lab.ends(), [EndCause::Failed(408)]);
    lab.partition = None;
    // The same with an agent: its BYE never comes.
    let second = lab.phone("dave");
    lab.dial(second, "support");
    lab.take(alice);
    lab.partition = Some(alice.address());
    lab.hangup(second);
    lab.pass(Duration::from_secs(40));
    assert_ne!(lab.state("alice"), AgentState::Talking);
}

#[test]
fn a_phone_that_has_not_heard_of_the_end_of_its_call_is_offered_no_other() {
    let mut lab = Lab::with_queue(|_, _| {});
    let (alice, customer) = talking(&mut lab);
    let second = lab.customer();
    lab.filter = Some(Box::new(|line| !line.starts_with("BYE")));
    lab.hangup(customer);
    // Its own BYE is lost, too: sent again after half a second, it passes.
    lab.pass(Duration::from_millis(400));
    lab.filter = Some(Box::new(|line| !line.starts_with("BYE sip:alice")));
    lab.pass(Duration::from_secs(3));
    assert_eq!(lab.ends(), [EndCause::CompletedByCaller]);
    assert_eq!(lab.calls(alice).len(), 1, "a phone with one line would be busy");
    assert_eq!(lab.state("alice"), AgentState::Talking);
    lab.filter = None;
    lab.take(alice);
    assert_eq!(lab.calls(alice)[0].phase(), Phase::Ended);
    lab.assert_they_talk(second, alice);
    lab.hangup(second);
    lab.assert_nothing_left();
}

#[test]
fn a_phone_whose_own_bye_crosses_is_offered_the_next_call_at_once() {
    let mut lab = with_wrap_up(0);
    let (alice, customer) = talking(&mut lab);
    lab.customer();
    // It hears of no end but its own.
    lab.filter = Some(Box::new(|line| !line.starts_with("BYE sip:alice")));
    lab.hangup(customer);
    lab.pass(Duration::from_millis(100));
    assert_eq!(lab.calls(alice).len(), 1);
    lab.hangup(alice);
    lab.pass(Duration::from_millis(10));
    assert_eq!(lab.phase(alice), Some(Phase::Ringing), "RFC 5407 §3.2.1");
    lab.take(alice);
    // Its BYE is given up meanwhile, which concerns nobody.
    lab.pass(Duration::from_secs(40));
    assert_eq!(lab.state("alice"), AgentState::Talking);
    lab.hangup(alice);
    lab.pass(Duration::from_millis(10));
    assert_eq!(
        lab.ends(),
        [EndCause::CompletedByCaller, EndCause::CompletedByCallee]
    );
    assert_eq!(lab.state("alice"), AgentState::Ready);
    lab.filter = None;
    lab.assert_nothing_left();
}

#[test]
fn a_phone_that_never_answers_the_bye_is_given_up_as_its_transaction_is() {
    for wrap_up in [0, 10] {
        let mut lab = with_wrap_up(wrap_up);
        let (alice, customer) = talking(&mut lab);
        lab.partition = Some(alice.address());
        lab.hangup(customer);
        lab.pass(Duration::from_millis(31_900));
        lab.customer();
        lab.pass(Duration::from_millis(50));
        let presented = |lab: &Lab| lab.story().contains(&"2 presented to alice, 1".to_owned());
        assert!(!presented(&lab), "RFC 3261 §17.1.2.2: Timer F is 32 s");
        lab.pass(Duration::from_millis(200));
        assert!(presented(&lab), "after a wrap-up of {wrap_up} s");
    }
}

#[test]
fn a_phone_that_hangs_up_by_itself_is_offered_the_next_call_at_once() {
    let mut lab = Lab::with_queue(|_, _| {});
    let (alice, _) = talking(&mut lab);
    lab.customer();
    lab.hangup(alice);
    lab.pass(Duration::from_millis(5));
    assert_eq!(lab.calls(alice).len(), 2);
}

#[test]
fn an_agent_who_loses_its_registration_in_a_call_is_logged_out_after_it() {
    let mut lab = with_wrap_up(30);
    let (alice, customer) = talking(&mut lab);
    unregister(&mut lab, alice);
    assert_eq!(lab.state("alice"), AgentState::Talking);
    lab.assert_they_talk(customer, alice);
    lab.hangup(customer);
    lab.pass(Duration::from_millis(10));
    assert_eq!(
        lab.state("alice"),
        AgentState::LoggedOut,
        "not stuck, and not in wrap-up"
    );
    lab.register(alice);
    lab.pass(Duration::from_millis(10));
    assert_eq!(lab.state("alice"), AgentState::Ready);
}

#[test]
fn an_agent_who_logs_out_while_a_call_is_presented_has_it_taken_back() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    unregister(&mut lab, alice);
    assert_eq!(lab.state("alice"), AgentState::LoggedOut);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    assert_eq!(lab.phase(customer), Some(Phase::Established));
    let bob = lab.registered("bob");
    lab.take(bob);
    lab.assert_they_talk(customer, bob);
}

#[test]
fn a_registration_that_expires_logs_an_agent_out() {
    let mut lab = Lab::with_queue(|config, _| config.max_expires = Duration::from_secs(60));
    let alice = lab.registered("alice");
    lab.partition = Some(alice.address());
    lab.pass(Duration::from_secs(61));
    assert_eq!(lab.state("alice"), AgentState::LoggedOut);
    let told = lab.facts.iter().any(|fact| {
        matches!(fact, Fact::AgentChanged { agent, state: AgentState::LoggedOut, .. } if agent == "alice")
    });
    assert!(told);
}

#[test]
fn a_re_register_during_a_presentation_changes_nothing() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let first = lab.customer();
    let second = lab.customer();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.register(alice);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.state("alice"), AgentState::Reserved);
    assert_eq!(lab.calls(alice).len(), 1, "the second call is not offered");
    lab.take(alice);
    lab.register(alice);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.state("alice"), AgentState::Talking);
    assert_eq!(lab.calls(alice).len(), 1);
    lab.assert_they_talk(first, alice);
    lab.hangup(first);
    lab.take(alice);
    lab.hangup(second);
    lab.assert_nothing_left();
}

#[test]
fn two_contacts_of_one_agent_are_one_presentation() {
    let mut lab = Lab::with_queue(|_, _| {});
    let (desk, mobile) = (lab.registered("alice"), lab.registered("alice"));
    assert_eq!(lab.agent("alice").contacts, 2);
    assert_eq!(
        (lab.support().free, lab.support().logged_in),
        (1, 1),
        "one agent, counted once"
    );
    let (first, second) = (lab.customer(), lab.customer());
    lab.until(|lab| lab.phase(desk) == Some(Phase::Ringing) && lab.phase(mobile) == Some(Phase::Ringing));
    lab.take(mobile);
    lab.until(|lab| lab.phase(desk) == Some(Phase::Ended));
    assert_eq!(
        lab.ended(desk).1,
        "cancelled by the caller: Call completed elsewhere"
    );
    lab.pass(Duration::from_secs(5));
    assert_eq!(
        lab.calls(desk).len(),
        1,
        "the second call is not offered to the phone that is idle"
    );
    assert_eq!(lab.support().talking, 1);
    let presented = lab.story().into_iter().filter(|line| line.contains("presented"));
    assert_eq!(presented.count(), 1);
    unregister(&mut lab, desk);
    assert_eq!(lab.state("alice"), AgentState::Talking);
    lab.hangup(first);
    lab.take(mobile);
    lab.hangup(second);
    lab.assert_nothing_left();
}

#[test]
fn a_contact_that_refuses_leaves_the_other_ringing() {
    let mut lab = Lab::with_queue(|_, _| {});
    let (desk, mobile) = (lab.registered("alice"), lab.registered("alice"));
    lab.customer();
    lab.refuse(desk, 486);
    assert_eq!(lab.state("alice"), AgentState::Reserved);
    lab.take(mobile);
    assert_eq!(lab.state("alice"), AgentState::Talking);
}

#[test]
fn an_agent_in_a_call_that_came_from_no_queue_is_offered_none() {
    let mut lab = Lab::with_queue(|_, _| {});
    let (alice, bob) = (lab.registered("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    assert_eq!(lab.agent("alice").other_calls, 1, "she called");
    assert_eq!(lab.agent("bob").other_calls, 1, "he was called");
    assert_eq!(lab.support().free, 0);
    let customer = lab.customer();
    lab.pass(Duration::from_secs(5));
    assert_eq!(lab.support().waiting, 1);
    lab.hangup(alice);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.take(alice);
    lab.hangup(customer);
    lab.assert_nothing_left();
}

#[test]
fn an_agent_who_rings_for_a_call_of_its_own_is_offered_none() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let friend = lab.phone("carol");
    lab.dial(friend, "alice");
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.customer();
    lab.pass(Duration::from_secs(2));
    assert_eq!(lab.calls(alice).len(), 1);
    lab.hangup(friend);
    lab.until(|lab| lab.calls(alice).len() == 2);
}

#[test]
fn what_an_agent_wants_to_be_after_its_call_outlives_a_restart() {
    let lunch = || NotReadyReason::Manual("lunch".to_owned());
    let not_ready = || AgentRequest::NotReady("lunch".to_owned());
    let mut lab = Lab::with_queue(|_, queue| queue.wrap_up = Duration::from_secs(30));
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.take(alice);
    for to in [not_ready(), not_ready(), AgentRequest::Ready, not_ready()] {
        lab.ask("alice", to);
    }
    let told: Vec<_> = lab
        .story()
        .into_iter()
        .filter(|line| line.contains("wants"))
        .collect();
    let wants = format!("alice wants {:?}", Some(lunch()));
    assert_eq!(
        told,
        [&wants, "alice wants None", &wants],
        "each time that it is something else"
    );
    lab.hangup(customer);
    lab.pass(Duration::from_secs(31));
    assert_eq!(lab.state("alice"), AgentState::NotReady(lunch()));

    let bindings = lab.machine.bindings(lab.now(), "alice");
    let until = Time::from_secs(40);
    for (state, then) in [
        (AgentState::Talking, AgentState::NotReady(lunch())),
        (AgentState::WrapUp { until }, AgentState::WrapUp { until }),
    ] {
        let mut after = Lab::with_queue(|_, _| {});
        after.machine.restore_agent(Time::ZERO, "alice", state.clone());
        after.machine.restore_wish("alice", lunch());
        after.machine.restore(Time::ZERO, "alice", bindings.clone());
        after.pass(Duration::from_secs(1));
        assert_eq!(after.state("alice"), then);
        after.pass(Duration::from_secs(40));
        assert_eq!(after.state("alice"), AgentState::NotReady(lunch()));
        let mut gone = Lab::with_queue(|_, _| {});
        gone.machine.restore_agent(Time::ZERO, "alice", state);
        gone.machine.restore_wish("alice", lunch());
        gone.pass(Duration::from_secs(1));
        assert_eq!(gone.state("alice"), AgentState::LoggedOut);
        gone.registered("alice");
        assert_eq!(gone.state("alice"), AgentState::Ready, "who logs in begins anew");
    }
}

#[test]
fn a_from_that_names_an_agent_and_comes_from_elsewhere_does_not_make_it_busy() {
    let mut lab = Lab::with_queue(|_, _| {});
    lab.registered("alice");
    let (bob, mallory) = (lab.registered("bob"), lab.phone("alice"));
    lab.dial(mallory, "bob");
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    assert_eq!(lab.agent("alice").other_calls, 0);
}

#[test]
fn states_come_back_after_a_restart_and_calls_do_not() {
    let mut lab = Lab::with_queue(|_, _| {});
    for name in ["alice", "bob", "carol"] {
        lab.registered(name);
    }
    let bindings = ["alice", "bob"].map(|name| lab.machine.bindings(lab.now(), name));
    let mut after = Lab::with_queue(|config, _| config.first_call = 100);
    let until = Time::from_secs(40);
    let stored = [
        ("carol", AgentState::Talking),
        ("alice", AgentState::WrapUp { until }),
        ("bob", AgentState::NotReady(NotReadyReason::NoAnswer)),
    ];
    for (agent, state) in stored {
        after.machine.restore_agent(Time::ZERO, agent, state);
    }
    for (name, bindings) in ["alice", "bob"].into_iter().zip(bindings) {
        after.machine.restore(Time::ZERO, name, bindings);
    }
    after.pass(Duration::from_secs(39));
    assert_eq!(after.state("alice"), AgentState::WrapUp { until });
    assert_eq!(after.state("bob"), AgentState::NotReady(NotReadyReason::NoAnswer));
    assert_eq!(
        after.state("carol"),
        AgentState::LoggedOut,
        "no binding of hers is left"
    );
    after.pass(Duration::from_secs(2));
    assert_eq!(after.state("alice"), AgentState::Ready);
    assert_eq!(
        after.story(),
        ["carol LoggedOut", "alice Ready"],
        "what was stored is not told again"
    );
    after.phone("erin");
    after.customer();
    assert!(after.story().contains(&"100 queued in support".to_owned()));
}
