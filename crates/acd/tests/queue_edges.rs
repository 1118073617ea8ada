//! What happens at the same moment, what customers' phones do that is rare, and the end of the machine with callers who wait.

mod support;

use std::time::Duration;

use callwright_acd::{AgentState, EndCause, RefusedBecause};
use callwright_ua::Phase;
use support::script::{Received, Request, sdp};
use support::{Lab, SERVER};

#[test]
fn an_agent_who_answers_as_the_caller_hangs_up_is_free_again() {
    for late in [0, 1, 2, 3] {
        let mut lab = Lab::with_queue(|_, _| {});
        let alice = lab.registered("alice");
        let customer = lab.customer();
        lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
        lab.hangup(customer);
        lab.pass(Duration::from_micros(late * 500));
        let _ = lab.fleet(alice, |fleet, now, id| fleet.accept(now, id, None, None));
        lab.pass(Duration::from_secs(1));
        assert_eq!(lab.phase(alice), Some(Phase::Ended), "{late}");
        assert_eq!(lab.state("alice"), AgentState::Ready, "{late}");
        assert_eq!(lab.ends().len(), 1);
        let second = lab.customer();
        lab.take(alice);
        lab.hangup(second);
        lab.assert_nothing_left();
    }
}

fn request<'a>(method: &'a str, uri: &'a str, to: &'a str, tag: &'a str, cseq: u32) -> Request<'a> {
    Request {
        method,
        uri,
        from: ("sip:customer@10.0.0.66", "c"),
        to: (to, tag),
        call_id: "delayed",
        cseq,
    }
}

/// A customer whose INVITE has no offer; its ACK answers that of the 200.
fn delayed_offer(lab: &mut Lab, answer: &str) -> Received {
    let at = lab.script("10.0.0.66:5060");
    let support = format!("sip:support@{SERVER}");
    let contact = "Contact: <sip:customer@10.0.0.66>";
    let invite = request("INVITE", &support, &support, "", 1).write(at, &[contact], "");
    lab.say(at, invite);
    let answered = lab.expect(at, "SIP/2.0 200");
    assert!(answered.body().contains("m=audio"), "the 200 has the offer");
    let (target, tag) = (answered.target().to_owned(), answered.to_tag().to_owned());
    let ack = request("ACK", &target, &support, &tag, 1).write(at, &[], answer);
    lab.say(at, ack);
    lab.pass(Duration::from_millis(20));
    answered
}

#[test]
fn a_caller_without_an_offer_waits_and_talks_like_any_other() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    delayed_offer(&mut lab, &sdp(1, "10.0.0.66", 6_000, ""));
    lab.take(alice);
    lab.hangup(alice);
    let at = "10.0.0.66:5060".parse().expect("an address");
    lab.expect(at, "BYE");
    assert_eq!(lab.ends(), [EndCause::CompletedByCallee]);
}

#[test]
fn a_caller_whose_answer_fits_no_offer_does_not_keep_an_agent() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let refused = sdp(1, "10.0.0.66", 0, "");
    delayed_offer(&mut lab, &refused);
    let at = "10.0.0.66:5060".parse().expect("an address");
    lab.expect(at, "BYE");
    lab.pass(Duration::from_millis(50));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    assert_ne!(lab.phase(alice), Some(Phase::Ringing));
    assert_eq!(lab.machine.calls(), []);
}

#[test]
fn callers_who_wait_are_hung_up_when_the_machine_closes() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    let (first, second) = (lab.customer(), lab.customer());
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.close();
    lab.until(|lab| lab.closed_at.is_some());
    for phone in [first, second, alice] {
        assert_eq!(lab.phase(phone), Some(Phase::Ended));
    }
    assert_eq!(lab.ends(), [EndCause::Refused(RefusedBecause::Closed); 2]);
    assert!(
        lab.story()
            .contains(&"1 not taken by alice: Withdrawn".to_owned())
    );
    assert_eq!(
        lab.state("alice"),
        AgentState::Ready,
        "as it is stored for the next start"
    );
}

#[test]
fn callers_who_wait_are_still_served_when_the_machine_retires() {
    let mut lab = Lab::with_queue(|_, _| {});
    let first = lab.customer();
    lab.machine.retire();
    let second = lab.customer();
    assert_eq!(lab.ended(second).0, Some(503));
    let alice = lab.registered("alice");
    lab.take(alice);
    lab.assert_they_talk(first, alice);
}

#[test]
fn a_caller_on_hold_while_waiting_is_heard_when_it_comes_back() {
    let mut lab = Lab::with_queue(|_, _| {});
    let customer = lab.customer();
    lab.fleet(customer, |fleet, now, id| fleet.hold(now, id, None, None))
        .expect("it was answered");
    lab.pass(Duration::from_millis(50));
    let alice = lab.registered("alice");
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
    lab.accept(alice);
    lab.pass(Duration::from_millis(50));
    lab.fleet(customer, |fleet, now, id| fleet.resume(now, id, None, None))
        .expect("it holds");
    lab.pass(Duration::from_millis(50));
    lab.assert_they_talk(customer, alice);
}
