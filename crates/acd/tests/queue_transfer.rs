//! Agents who transfer calls of a queue: it is over for them, and the record goes on.

mod support;

use std::time::Duration;

use callwright_acd::{AgentState, Auth, CallKey, CallState, EndCause, Fact, Overflow, QueueConfig, Records};
use callwright_ua::Phase;
use support::script::{Request, sdp};
use support::{Lab, Phone, SERVER};

/// A customer talks to alice; bob is an agent, dave a user who is none.
fn talking() -> (Lab, Phone, Phone) {
    let mut lab = Lab::with_queue(|config, queue| {
        queue.wrap_up = Duration::from_secs(10);
        config.agents.truncate(2);
    });
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.take(alice);
    (lab, alice, customer)
}

fn transfer(lab: &mut Lab, by: Phone, target: &str) {
    lab.fleet(by, |fleet, now, id| fleet.transfer(now, id, None, target, None))
        .expect("there is a call");
}

fn consult(lab: &mut Lab, by: Phone, target: Phone) {
    let name = lab.user_agent(target).account().username.clone();
    lab.fleet(by, |fleet, now, id| {
        fleet.attended_transfer(now, id, None, &name, None)
    })
    .expect("there is a call");
    lab.take(target);
    lab.pass(Duration::from_millis(50));
}

fn complete(lab: &mut Lab, by: Phone) {
    lab.fleet(by, |fleet, now, id| fleet.complete_transfer(now, id, None))
        .expect("it was consulted");
    lab.until(|lab| lab.calls(by).iter().all(|call| call.phase() == Phase::Ended));
}

#[test]
fn a_blind_transfer_ends_the_call_for_its_agent_and_not_for_the_customer() {
    let (mut lab, alice, customer) = talking();
    let carol = lab.registered("carol");
    lab.pass(Duration::from_secs(5));
    transfer(&mut lab, alice, "carol");
    lab.take(carol);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    assert!(matches!(lab.state("alice"), AgentState::WrapUp { .. }));
    assert_eq!(lab.support().talking, 0);
    let talked = lab.agent("alice").talk_time;
    assert!(
        talked >= Duration::from_secs(5) && talked < Duration::from_secs(6),
        "{talked:?}"
    );
    lab.assert_they_talk(customer, carol);
    lab.pass(Duration::from_secs(11));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    lab.hangup(carol);
    lab.until(|lab| lab.phase(customer) == Some(Phase::Ended));
    assert_eq!(
        lab.agent("alice").talk_time,
        talked,
        "talk time ends with the transfer"
    );
    let transfers = lab
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::CallTransferred { call, .. } if call.0 == 1));
    assert_eq!(transfers.count(), 1);
    assert_eq!(lab.ends(), [EndCause::CompletedByCallee], "one call, one end");
    lab.assert_nothing_left();
}

#[test]
fn an_agent_whose_transfer_fails_is_still_talking_and_not_stuck_after_it() {
    let (mut lab, alice, customer) = talking();
    let carol = lab.registered("carol");
    transfer(&mut lab, alice, "carol");
    lab.refuse(carol, 486);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.state("alice"), AgentState::Talking);
    lab.assert_they_talk(customer, alice);
    for target in ["dave", "nobody"] {
        transfer(&mut lab, alice, target);
        lab.pass(Duration::from_secs(1));
    }
    assert_eq!(lab.state("alice"), AgentState::Talking);
    lab.hangup(customer);
    lab.pass(Duration::from_secs(11));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    lab.assert_nothing_left();
}

#[test]
fn an_agent_who_leaves_a_transfer_that_fails_is_not_stuck() {
    let (mut lab, alice, customer) = talking();
    let carol = lab.registered("carol");
    transfer(&mut lab, alice, "carol");
    lab.until(|lab| lab.phase(carol) == Some(Phase::Ringing));
    lab.hangup(alice);
    lab.pass(Duration::from_millis(50));
    assert!(
        matches!(lab.state("alice"), AgentState::WrapUp { .. }),
        "{:?}",
        lab.state("alice")
    );
    lab.refuse(carol, 486);
    lab.until(|lab| lab.phase(customer) == Some(Phase::Ended));
    lab.pass(Duration::from_secs(11));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    lab.assert_nothing_left();
}

#[test]
fn an_attended_transfer_keeps_the_call_of_the_customer() {
    let (mut lab, alice, customer) = talking();
    let carol = lab.registered("carol");
    consult(&mut lab, alice, carol);
    complete(&mut lab, alice);
    assert!(matches!(lab.state("alice"), AgentState::WrapUp { .. }));
    lab.until(|lab| lab.phase(customer) == Some(Phase::Established));
    lab.assert_they_talk(customer, carol);
    let calls = lab.machine.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].call.0, calls[0].state), (1, CallState::Connected));
    lab.hangup(customer);
    lab.until(|lab| lab.phase(carol) == Some(Phase::Ended));
    assert_eq!(lab.ends(), [EndCause::Transferred, EndCause::CompletedByCaller]);
    lab.assert_nothing_left();
}

#[test]
fn an_agent_who_is_consulted_is_busy_until_the_customer_has_hung_up() {
    let (mut lab, alice, customer) = talking();
    let bob = lab.registered("bob");
    consult(&mut lab, alice, bob);
    assert_eq!(lab.agent("bob").other_calls, 1);
    complete(&mut lab, alice);
    let second = lab.customer();
    lab.pass(Duration::from_secs(2));
    assert_eq!(lab.calls(bob).len(), 1);
    lab.hangup(customer);
    lab.take(bob);
    lab.hangup(second);
}

#[test]
fn an_agent_who_is_consulted_by_way_of_a_queue_talks_until_the_customer_has_hung_up() {
    let mut lab = Lab::with_queue(|config, queue| {
        queue.members = Some(vec!["alice".to_owned()]);
        let mut second = QueueConfig::new("second");
        second.members = Some(vec!["bob".to_owned()]);
        second.wrap_up = Duration::from_secs(10);
        config.queues.push(second);
    });
    let (alice, bob) = (lab.registered("alice"), lab.registered("bob"));
    let customer = lab.customer();
    lab.take(alice);
    lab.fleet(alice, |fleet, now, id| {
        fleet.attended_transfer(now, id, None, "second", None)
    })
    .expect("there is a call");
    lab.take(bob);
    lab.pass(Duration::from_secs(5));
    complete(&mut lab, alice);
    lab.assert_they_talk(customer, bob);
    lab.pass(Duration::from_secs(60));
    assert_eq!(lab.state("bob"), AgentState::Talking);
    lab.hangup(customer);
    lab.pass(Duration::from_secs(11));
    assert_eq!(lab.state("bob"), AgentState::Ready);
    assert_eq!(lab.ends(), [EndCause::Transferred, EndCause::CompletedByCaller]);

    let mut records = Records::default();
    for fact in &lab.facts {
        records.apply(fact);
    }
    let consulted = records.get(CallKey(2)).expect("its record");
    assert!(records.is_over(CallKey(2)));
    let talk = consulted.agent_talk().expect("it is over");
    assert_eq!(talk, lab.agent("bob").talk_time);
    assert!(talk > Duration::from_secs(65), "{talk:?}");
    assert_eq!(consulted.wrap(), Some(Duration::from_secs(10)));
    assert!(consulted.talk() < Some(Duration::from_secs(10)), "{consulted:?}");
    let first = records.get(CallKey(1)).expect("its record");
    assert_eq!(first.agent_talk(), Some(lab.agent("alice").talk_time));
    lab.assert_nothing_left();
}

#[test]
fn an_agent_transfers_to_a_queue() {
    let (mut lab, alice, customer) = talking();
    let bob = lab.registered("bob");
    transfer(&mut lab, alice, "support");
    lab.take(bob);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    lab.assert_they_talk(customer, bob);
    assert!(matches!(lab.state("alice"), AgentState::WrapUp { .. }));
    assert_eq!(lab.state("bob"), AgentState::Talking);
    lab.hangup(bob);
    lab.until(|lab| lab.phase(customer) == Some(Phase::Ended));
    let story: Vec<_> = lab
        .story()
        .into_iter()
        .filter(|line| line.starts_with("1 "))
        .collect();
    assert_eq!(
        story,
        [
            "1 queued in support",
            "1 presented to alice, 1",
            "1 answered by agent alice",
            "1 transferred to sip:support@10.0.0.250",
            "1 queued in support",
            "1 presented to bob, 1",
            "1 answered by agent bob",
            "1 ended: CompletedByCallee",
        ]
    );
    lab.assert_nothing_left();
}

#[test]
fn a_customer_on_hold_who_is_transferred_to_a_queue_hears_the_agent_there() {
    let (mut lab, alice, customer) = talking();
    let bob = lab.registered("bob");
    lab.fleet(alice, |fleet, now, id| fleet.hold(now, id, None, None))
        .expect("there is a call");
    lab.until(|lab| lab.phase(customer) == Some(Phase::Held));
    assert_eq!(lab.machine.calls()[0].state, CallState::Held);
    transfer(&mut lab, alice, "support");
    lab.take(bob);
    lab.until(|lab| lab.phase(customer) == Some(Phase::Established));
    lab.assert_they_talk(customer, bob);
}

#[test]
fn a_transfer_to_a_queue_that_takes_nobody_leaves_the_call_as_it_was() {
    for overflow in [None, Some(Overflow::Queue("sales".to_owned()))] {
        let mut lab = Lab::with_queue(|config, _| {
            for name in ["sales", "orders"] {
                let mut queue = QueueConfig::new(name);
                queue.members = Some(vec!["carol".to_owned()]);
                queue.join_when_empty = false;
                queue.overflow = overflow.clone().filter(|_| name == "orders");
                config.queues.push(queue);
            }
        });
        let alice = lab.registered("alice");
        let customer = lab.customer();
        lab.take(alice);
        transfer(&mut lab, alice, "orders");
        lab.pass(Duration::from_secs(3));
        assert_eq!(lab.state("alice"), AgentState::Talking);
        lab.assert_they_talk(customer, alice);
        lab.hangup(customer);
        lab.assert_nothing_left();
    }
}

#[test]
fn a_caller_who_leaves_by_a_transfer_is_no_leg_of_the_call_any_more() {
    let (mut lab, alice, customer) = talking();
    let carol = lab.registered("carol");
    let caller = lab.machine.calls()[0].caller.clone();
    transfer(&mut lab, customer, "carol");
    lab.take(carol);
    lab.until(|lab| lab.phase(customer) == Some(Phase::Ended));
    lab.pass(Duration::from_secs(3));
    lab.assert_they_talk(alice, carol);
    let call = &lab.machine.calls()[0];
    assert_eq!(
        lab.machine.call_ids(call.call).len(),
        2,
        "both legs have a dialog"
    );
    assert_eq!(call.caller, caller, "who called does not change");
}

#[test]
fn a_customer_whose_agent_held_both_directions_hears_the_queue_after_a_transfer() {
    let mut lab = Lab::with_queue(|config, _| config.auth = Auth::None);
    let alice = lab.script("10.0.0.77:5060");
    let contact = "Contact: <sip:alice@10.0.0.77>";
    let aor = format!("sip:alice@{SERVER}");
    let domain = format!("sip:{SERVER}");
    let register = Request {
        method: "REGISTER",
        uri: &domain,
        from: (&aor, "a"),
        to: (&aor, ""),
        call_id: "register",
        cseq: 1,
    };
    lab.say(alice, register.write(alice, &[contact], ""));
    lab.expect(alice, "SIP/2.0 200");
    let customer = lab.customer();
    let invite = lab.expect(alice, "INVITE");
    let audio = |version, direction| sdp(version, "10.0.0.77", 4_000, direction);
    lab.say(alice, invite.reply("200 OK", "a", &[contact], &audio(1, "")));
    lab.expect(alice, "ACK");
    let (peer, tag) = invite
        .header("From")
        .and_then(|from| from.split_once(";tag="))
        .expect("a tag");
    let peer = peer.trim_matches(['<', '>']);
    let uri = invite.target();
    let call_id = invite.header("Call-ID").expect("one");
    let request = |method, cseq, fields: &[&str], body: &str| {
        let request = Request {
            method,
            uri,
            from: (&aor, "a"),
            to: (peer, tag),
            call_id,
            cseq,
        };
        request.write(alice, fields, body)
    };
    lab.say(
        alice,
        request("INVITE", 100, &[contact], &audio(2, "a=inactive\r\n")),
    );
    lab.expect(alice, "SIP/2.0 200");
    lab.say(alice, request("ACK", 100, &[], ""));
    lab.until(|lab| lab.phase(customer) == Some(Phase::Held));
    let to = format!("Refer-To: <sip:support@{SERVER}>");
    lab.say(alice, request("REFER", 101, &[contact, &to], ""));
    lab.expect(alice, "NOTIFY");
    lab.until(|lab| lab.phase(customer) == Some(Phase::Established));
    assert_eq!(lab.support().waiting, 1);
}
