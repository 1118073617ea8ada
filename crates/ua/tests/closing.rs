//! Closing: everything is ended, and the peers know of it.

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use callwright_ua::{Change, Phase};
use support::{Lab, Phone};

fn close(lab: &mut Lab, phone: Phone) {
    lab.fleet(phone, |fleet, now, id| fleet.close(now, id, None));
}

/// Loses the first `count` messages whose first line begins so.
fn lose(lab: &mut Lab, beginning: &'static str, count: u32) {
    let left = Rc::new(Cell::new(count));
    lab.filter = Some(Box::new(move |first| {
        if left.get() > 0 && first.starts_with(beginning) {
            left.set(left.get() - 1);
            return false;
        }
        true
    }));
}

#[test]
fn a_bye_that_is_lost_is_sent_again_before_the_user_agent_is_gone() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    lose(&mut lab, "BYE", 1);
    close(&mut lab, a);
    assert_eq!(lab.phase(a), Some(Phase::Ended));
    assert!(!lab.user_agent(a).is_closed());
    lab.pass(Duration::from_millis(490));
    assert_eq!(lab.phase(b), Some(Phase::Established));
    lab.pass(Duration::from_millis(20));
    assert_eq!(lab.phase(b), Some(Phase::Ended));
    assert!(lab.user_agent(a).is_closed());
}

#[test]
fn a_peer_that_never_answers_a_bye_does_not_hold_the_user_agent_for_ever() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    lose(&mut lab, "BYE", u32::MAX);
    close(&mut lab, a);
    lab.pass(Duration::from_millis(31_900));
    assert!(!lab.user_agent(a).is_closed());
    lab.pass(Duration::from_millis(1_200));
    assert!(lab.user_agent(a).is_closed());
}

#[test]
fn a_refusal_that_is_lost_is_sent_again_before_the_user_agent_is_gone() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.dial(a, b);
    lab.until(|lab| lab.phase(b) == Some(Phase::Ringing));
    lose(&mut lab, "SIP/2.0 486", 1);
    close(&mut lab, b);
    lab.pass(Duration::from_millis(490));
    assert!(!lab.user_agent(b).is_closed());
    lab.pass(Duration::from_millis(20));
    assert_eq!(lab.phase(a), Some(Phase::Ended));
    assert!(lab.user_agent(b).is_closed());
}

#[test]
fn a_call_that_rings_there_is_cancelled() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.dial(a, b);
    lab.until(|lab| lab.phase(b) == Some(Phase::Ringing));
    close(&mut lab, a);
    lab.pass(Duration::from_millis(20));
    assert_eq!(lab.phase(b), Some(Phase::Ended));
    assert!(lab.user_agent(a).is_closed());
}

#[test]
fn a_call_to_nobody_is_given_up_with_its_timer() {
    let mut lab = Lab::new();
    lab.domain();
    let a = lab.phone("alice");
    lab.fleet(a, |fleet, now, id| fleet.dial(now, id, "bob", &[], None))
        .unwrap();
    close(&mut lab, a);
    lab.pass(Duration::from_secs(34));
    assert!(lab.user_agent(a).is_closed());
}

#[test]
fn a_call_answered_here_ends_with_bye_after_its_ack() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.dial(a, b);
    lab.until(|lab| lab.phase(b) == Some(Phase::Ringing));
    lab.accept(b);
    close(&mut lab, b);
    lab.pass(Duration::from_millis(20));
    assert_eq!(lab.reason(a), "the peer hung up");
    assert!(lab.user_agent(b).is_closed());
}

#[test]
fn a_call_that_comes_meanwhile_is_refused() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.establish(a, b);
    lose(&mut lab, "BYE", 1);
    close(&mut lab, b);
    lab.dial(c, b);
    lab.until(|lab| lab.phase(c) == Some(Phase::Ended));
    assert_eq!(lab.user_agent(c).last_end().unwrap().status, Some(480));
}

#[test]
fn the_end_of_a_recording_comes_before_the_end_of_its_user_agent() {
    for closes in [true, false] {
        let mut lab = Lab::new();
        let (a, b) = (lab.phone("alice"), lab.phone("bob"));
        lab.fleet(a, |fleet, now, id| fleet.record(now, id)).unwrap();
        lab.establish(a, b);
        lab.pass(Duration::from_millis(1_250));
        if closes {
            close(&mut lab, a);
            lab.pass(Duration::from_millis(20));
            assert!(lab.user_agent(a).is_closed());
        } else {
            lab.fleet(a, |fleet, now, id| fleet.remove(now, id));
        }
        let recorded: usize = lab
            .changes(a)
            .iter()
            .map(|change| match change {
                Change::Recorded { samples, .. } => samples.len() / 2,
                _ => 0,
            })
            .sum();
        // 1.25 s at 8,000 samples a second, give or take what buffers held at either end; pieces are of a second.
        assert!(
            (9_600..=10_800).contains(&recorded),
            "{recorded} samples, closes: {closes}"
        );
    }
}
