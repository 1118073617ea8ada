//! Changes of a session are passed to the other leg (RFC 3261 §14, RFC 3264 §8.4).

mod support;

use std::time::Duration;

use callwright_ua::Phase;
use support::{Lab, Phone};

fn hold(lab: &mut Lab, phone: Phone) {
    lab.fleet(phone, |fleet, now, id| fleet.hold(now, id, None, None))
        .expect("there is a call");
}

fn resume(lab: &mut Lab, phone: Phone) {
    lab.fleet(phone, |fleet, now, id| fleet.resume(now, id, None, None))
        .expect("it is held");
}

fn both(lab: &Lab, a: Phone, b: Phone, phase: Phase) -> bool {
    lab.phase(a) == Some(phase) && lab.phase(b) == Some(phase)
}

#[test]
fn a_call_is_held_and_resumed_from_either_side() {
    for callee_holds in [false, true] {
        let mut lab = Lab::new();
        let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
        lab.establish(alice, bob);
        let holder = if callee_holds { bob } else { alice };
        hold(&mut lab, holder);
        lab.until(|lab| both(lab, alice, bob, Phase::Held));
        resume(&mut lab, holder);
        lab.until(|lab| both(lab, alice, bob, Phase::Established));
        lab.assert_they_talk(alice, bob);
    }
}

#[test]
fn both_hold_and_the_call_is_up_when_both_have_resumed() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    hold(&mut lab, alice);
    lab.until(|lab| both(lab, alice, bob, Phase::Held));
    hold(&mut lab, bob);
    lab.pass(Duration::from_secs(1));
    resume(&mut lab, alice);
    lab.pass(Duration::from_secs(5));
    assert!(both(&lab, alice, bob, Phase::Held), "bob holds still");
    resume(&mut lab, bob);
    lab.until(|lab| both(lab, alice, bob, Phase::Established));
    lab.assert_they_talk(alice, bob);
}

#[test]
fn offers_of_both_at_once_are_carried_out_one_after_the_other() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    hold(&mut lab, alice);
    hold(&mut lab, bob);
    lab.pass(Duration::from_secs(15));
    assert!(both(&lab, alice, bob, Phase::Held));
    resume(&mut lab, alice);
    resume(&mut lab, bob);
    lab.pass(Duration::from_secs(15));
    assert!(both(&lab, alice, bob, Phase::Established));
    lab.assert_they_talk(alice, bob);
}

#[test]
fn a_bye_that_crosses_a_change_ends_both_legs() {
    for hangs_up_first in [false, true] {
        let mut lab = Lab::new();
        let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
        lab.establish(alice, bob);
        if hangs_up_first {
            lab.hangup(bob);
            hold(&mut lab, alice);
        } else {
            hold(&mut lab, alice);
            lab.pass(Duration::from_millis(1));
            lab.hangup(bob);
        }
        lab.until(|lab| both(lab, alice, bob, Phase::Ended));
        lab.assert_nothing_left();
    }
}

#[test]
fn a_refresh_of_the_session_timer_keeps_the_call_and_a_dead_peer_ends_it() {
    let mut lab = Lab::with(|config| {
        let timer = callwright_sip::command::SessionTimer::new(Duration::from_secs(90));
        config.session_timer = Some(timer);
    });
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    lab.pass(Duration::from_secs(600));
    assert!(both(&lab, alice, bob, Phase::Established));
    lab.assert_they_talk(alice, bob);
    // From now on nothing of bob's leg gets through: the machine notices, and the caller is not left alone.
    let bobs = Phone::address(bob);
    lab.partition = Some(bobs);
    lab.pass(Duration::from_secs(120));
    assert_eq!(lab.phase(alice), Some(Phase::Ended));
    lab.partition = None;
}
