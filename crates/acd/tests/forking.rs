//! A user with several contacts: all ring, one answers (RFC 3261 §16.7), and the others are told why they stop.

mod support;

use std::time::Duration;

use callwright_ua::Phase;
use support::{Lab, Phone};

/// Bob at two phones, and alice who calls him.
fn two_phones() -> (Lab, Phone, Phone, Phone) {
    let mut lab = Lab::new();
    let alice = lab.phone("alice");
    let (desk, mobile) = (lab.registered("bob"), lab.registered("bob"));
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(desk) == Some(Phase::Ringing) && lab.phase(mobile) == Some(Phase::Ringing));
    (lab, alice, desk, mobile)
}

#[test]
fn the_first_who_answers_gets_the_call_and_the_others_are_told_so() {
    let (mut lab, alice, desk, mobile) = two_phones();
    lab.accept(mobile);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Established));
    lab.until(|lab| lab.phase(desk) == Some(Phase::Ended));
    let cancel = lab.last_received(desk, "CANCEL");
    let reason = cancel.headers("Reason").next().map(|value| value.into_owned());
    assert_eq!(
        reason.as_deref(),
        Some("SIP;cause=200;text=\"Call completed elsewhere\"")
    );
    lab.assert_they_talk(alice, mobile);
    lab.hangup(alice);
    lab.assert_nothing_left();
}

#[test]
fn two_answers_that_cross_leave_one_call() {
    let (mut lab, alice, desk, mobile) = two_phones();
    lab.accept(mobile);
    lab.accept(desk);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Established));
    lab.pass(Duration::from_secs(2));
    let up = [desk, mobile]
        .into_iter()
        .filter(|phone| lab.phase(*phone) == Some(Phase::Established))
        .count();
    assert_eq!(up, 1);
    lab.hangup(alice);
    lab.assert_nothing_left();
}

#[test]
fn one_busy_phone_does_not_end_the_call_and_two_do() {
    let (mut lab, alice, desk, mobile) = two_phones();
    reject(&mut lab, desk, 486);
    lab.pass(Duration::from_secs(2));
    assert_eq!(lab.phase(alice), Some(Phase::Ringing));
    reject(&mut lab, mobile, 480);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    // The first of one class (RFC 3261 §16.7, 6).
    assert_eq!(lab.ended(alice).0, Some(486));
    lab.assert_nothing_left();
}

#[test]
fn a_decline_counts_for_all() {
    let (mut lab, alice, desk, mobile) = two_phones();
    reject(&mut lab, desk, 603);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    assert_eq!(lab.ended(alice).0, Some(603));
    lab.until(|lab| lab.phase(mobile) == Some(Phase::Ended));
    lab.assert_nothing_left();
}

#[test]
fn a_contact_that_never_answers_does_not_keep_the_others_from_it() {
    let mut lab = Lab::new();
    let alice = lab.phone("alice");
    let (dead, desk) = (lab.registered("bob"), lab.registered("bob"));
    lab.partition = Some(dead.address());
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(desk) == Some(Phase::Ringing));
    lab.pass(Duration::from_secs(10));
    lab.accept(desk);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Established));
    lab.assert_they_talk(alice, desk);
    lab.hangup(alice);
    lab.assert_nothing_left();
}

#[test]
fn contacts_that_never_answer_are_a_timeout() {
    let mut lab = Lab::new();
    let (alice, dead) = (lab.phone("alice"), lab.registered("bob"));
    lab.partition = Some(dead.address());
    lab.dial(alice, "bob");
    lab.pass(Duration::from_millis(31_900));
    assert_ne!(lab.phase(alice), Some(Phase::Ended));
    lab.pass(Duration::from_millis(200));
    assert_eq!(lab.ended(alice).0, Some(408));
    lab.assert_nothing_left();
}

#[test]
fn contacts_beyond_the_limit_are_not_rung_and_counted() {
    let mut lab = Lab::with(|config| config.limits.forks = 1);
    let alice = lab.phone("alice");
    let (first, second) = (lab.registered("bob"), lab.registered("bob"));
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(second) == Some(Phase::Ringing));
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.phase(first), None, "the newest is rung first");
    assert_eq!(lab.machine.counters().contacts_not_rung, 1);
}

fn reject(lab: &mut Lab, phone: Phone, status: u16) {
    lab.fleet(phone, |fleet, now, id| {
        fleet.reject(now, id, None, status, None, None)
    })
    .expect("it rings");
}
