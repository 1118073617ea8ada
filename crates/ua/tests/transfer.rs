//! Transfers, blind and attended (RFC 5589), and calls that are sent elsewhere.

mod support;

use std::time::Duration;

use callwright_ua::{ArmedResponse, Phase};
use support::Lab;

#[test]
fn a_blind_transfer_is_carried_out_by_who_receives_the_refer() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.establish(a, b);
    let target = lab.contact(c);
    lab.fleet(b, |fleet, now, id| fleet.transfer(now, id, None, &target, None))
        .unwrap();
    lab.until(|lab| lab.phase(c) == Some(Phase::Ringing));
    assert_eq!(lab.user_agent(c).calls()[0].peer().uri, "sip:alice@10.0.0.250");
    lab.accept(c);
    lab.until(|lab| lab.phase(a) == Some(Phase::Established) && lab.phase(b) == Some(Phase::Ended));
    assert_eq!(lab.user_agent(a).calls().len(), 2);
    lab.until(|lab| lab.user_agent(a).calls()[0].phase() == Phase::Ended);
    assert_eq!(lab.phase(c), Some(Phase::Established));
}

#[test]
fn a_blind_transfer_that_fails_leaves_the_call() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.establish(a, b);
    let target = lab.contact(c);
    lab.fleet(b, |fleet, now, id| fleet.transfer(now, id, None, &target, None))
        .unwrap();
    lab.until(|lab| lab.phase(c) == Some(Phase::Ringing));
    lab.hangup(c).unwrap();
    lab.pass(Duration::from_secs(2));
    assert_eq!(lab.phase(b), Some(Phase::Established));
    assert_eq!(lab.user_agent(a).calls()[0].phase(), Phase::Established);
}

#[test]
fn an_attended_transfer_connects_the_two_others() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.establish(a, b);
    let target = lab.contact(c);
    lab.fleet(b, |fleet, now, id| {
        fleet.attended_transfer(now, id, None, &target, None)
    })
    .unwrap();
    lab.until(|lab| lab.phase(c) == Some(Phase::Ringing));
    lab.until(|lab| lab.user_agent(a).calls()[0].phase() == Phase::Held);
    lab.accept(c);
    lab.until(|lab| lab.phase(b) == Some(Phase::Established));
    lab.fleet(b, |fleet, now, id| fleet.complete_transfer(now, id, None))
        .unwrap();
    lab.until(|lab| {
        let live = |phone| {
            lab.user_agent(phone)
                .calls()
                .iter()
                .filter(|call| call.phase() != Phase::Ended)
                .count()
        };
        live(b) == 0 && live(a) == 1 && live(c) == 1
    });
    assert_eq!(lab.phase(a), Some(Phase::Established));
    assert_eq!(lab.phase(c), Some(Phase::Established));
}

#[test]
fn an_attended_transfer_that_is_aborted_resumes_the_first_call() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.establish(a, b);
    let target = lab.contact(c);
    lab.fleet(b, |fleet, now, id| {
        fleet.attended_transfer(now, id, None, &target, None)
    })
    .unwrap();
    lab.until(|lab| lab.phase(c) == Some(Phase::Ringing));
    lab.fleet(b, |fleet, now, id| fleet.abort_transfer(now, id, None))
        .unwrap();
    lab.until(|lab| lab.phase(c) == Some(Phase::Ended));
    lab.until(|lab| {
        lab.phase(a) == Some(Phase::Established) && lab.user_agent(b).calls()[0].phase() == Phase::Established
    });
}

#[test]
fn a_call_is_deflected_with_302() {
    let mut lab = Lab::new();
    let a = lab.phone("alice");
    let b = lab.phone_with("bob", |account| {
        account.deflect_to = Some("sip:carol@10.0.0.3".into())
    });
    lab.dial(a, b);
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended));
    assert_eq!(lab.user_agent(a).last_end().unwrap().status, Some(302));
}

#[test]
fn an_armed_response_answers_one_call() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    let response = ArmedResponse {
        status: 503,
        reason: "Maintenance".into(),
        headers: vec![("Retry-After".into(), "60".into())],
    };
    lab.fleet(b, |fleet, now, id| fleet.respond_incoming(now, id, response))
        .unwrap();
    lab.dial(a, b);
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended));
    assert_eq!(lab.reason(a), "503 Maintenance");
    lab.dial(a, b);
    lab.until(|lab| lab.phase(b) == Some(Phase::Ringing));
}

#[test]
fn a_call_is_answered_by_itself_after_ringing() {
    let mut lab = Lab::new();
    let a = lab.phone("alice");
    let b = lab.phone_with("bob", |account| {
        account.auto_answer = Some(Duration::from_secs(3))
    });
    lab.dial(a, b);
    lab.pass(Duration::from_millis(2_900));
    assert_eq!(lab.phase(b), Some(Phase::Ringing));
    lab.pass(Duration::from_millis(200));
    assert_eq!(lab.phase(b), Some(Phase::Established));
}
