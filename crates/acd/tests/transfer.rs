//! Transfers, carried out by the machine (RFC 3515, RFC 5589).

mod support;

use std::time::Duration;

use callwright_acd::{EndCause, Fact};
use callwright_ua::Phase;
use support::{Lab, Phone};

/// Alice who called bob, and carol who is free.
fn three() -> (Lab, Phone, Phone, Phone) {
    let mut lab = Lab::new();
    let (alice, bob, carol) = (
        lab.registered("alice"),
        lab.registered("bob"),
        lab.registered("carol"),
    );
    lab.establish(alice, bob);
    (lab, alice, bob, carol)
}

fn transfer(lab: &mut Lab, by: Phone, target: &str) {
    lab.fleet(by, |fleet, now, id| fleet.transfer(now, id, None, target, None))
        .expect("there is a call");
}

fn newest_is(lab: &Lab, phone: Phone, phase: Phase) -> bool {
    lab.phase(phone) == Some(phase)
}

#[test]
fn either_side_transfers_the_other_blind() {
    for caller_transfers in [false, true] {
        let (mut lab, alice, bob, carol) = three();
        let (by, stays) = if caller_transfers {
            (alice, bob)
        } else {
            (bob, alice)
        };
        transfer(&mut lab, by, "carol");
        lab.until(|lab| newest_is(lab, carol, Phase::Ringing));
        let peer = lab.calls(carol)[0].peer().uri.clone();
        let who = if caller_transfers {
            "sip:bob@10.0.0.250"
        } else {
            "sip:alice@10.0.0.250"
        };
        assert_eq!(peer, who, "who is transferred calls");
        lab.accept(carol);
        lab.until(|lab| newest_is(lab, by, Phase::Ended));
        lab.until(|lab| newest_is(lab, carol, Phase::Established));
        assert!(newest_is(&lab, stays, Phase::Established));
        lab.assert_they_talk(stays, carol);
        lab.hangup(carol);
        lab.until(|lab| newest_is(lab, stays, Phase::Ended));
        lab.assert_nothing_left();
        let ended = lab
            .facts
            .iter()
            .filter(|fact| matches!(fact, Fact::CallEnded { .. }))
            .count();
        assert_eq!(ended, 1);
    }
}

#[test]
fn a_party_on_hold_is_resumed_by_its_transfer() {
    let (mut lab, alice, bob, carol) = three();
    lab.fleet(bob, |fleet, now, id| fleet.hold(now, id, None, None))
        .expect("there is a call");
    lab.until(|lab| newest_is(lab, alice, Phase::Held));
    transfer(&mut lab, bob, "carol");
    lab.until(|lab| newest_is(lab, carol, Phase::Ringing));
    lab.accept(carol);
    lab.until(|lab| newest_is(lab, alice, Phase::Established) && newest_is(lab, carol, Phase::Established));
    lab.assert_they_talk(alice, carol);
}

#[test]
fn a_transfer_that_is_refused_leaves_the_call_as_it_was() {
    let (mut lab, alice, bob, carol) = three();
    transfer(&mut lab, bob, "carol");
    lab.until(|lab| newest_is(lab, carol, Phase::Ringing));
    lab.fleet(carol, |fleet, now, id| {
        fleet.reject(now, id, None, 486, None, None)
    })
    .expect("it rings");
    lab.until(|lab| newest_is(lab, carol, Phase::Ended));
    lab.pass(Duration::from_secs(5));
    lab.assert_they_talk(alice, bob);
    let notified = lab.last_received(bob, "NOTIFY");
    assert_eq!(&notified.body()[..], b"SIP/2.0 486 Busy Here\r\n");
    lab.hangup(bob);
    lab.assert_nothing_left();
}

#[test]
fn a_transfer_to_nobody_says_so() {
    for (target, status) in [
        ("dave", "480 Temporarily Unavailable"),
        ("mallory", "404 Not Found"),
    ] {
        let (mut lab, alice, bob, _) = three();
        transfer(&mut lab, bob, target);
        lab.pass(Duration::from_secs(2));
        let notified = lab.last_received(bob, "NOTIFY");
        assert_eq!(notified.body(), format!("SIP/2.0 {status}\r\n"));
        lab.assert_they_talk(alice, bob);
    }
}

#[test]
fn who_transfers_may_leave_before_the_target_answers() {
    let (mut lab, alice, bob, carol) = three();
    transfer(&mut lab, bob, "carol");
    lab.until(|lab| newest_is(lab, carol, Phase::Ringing));
    lab.hangup(bob);
    lab.pass(Duration::from_secs(5));
    assert!(newest_is(&lab, alice, Phase::Established));
    lab.accept(carol);
    lab.until(|lab| newest_is(lab, carol, Phase::Established));
    lab.assert_they_talk(alice, carol);
    lab.hangup(alice);
    lab.assert_nothing_left();
}

#[test]
fn who_was_left_alone_is_hung_up_when_the_target_does_not_answer() {
    let (mut lab, alice, bob, carol) = three();
    transfer(&mut lab, bob, "carol");
    lab.until(|lab| newest_is(lab, carol, Phase::Ringing));
    lab.hangup(bob);
    lab.pass(Duration::from_secs(61));
    assert!(newest_is(&lab, carol, Phase::Ended));
    assert!(newest_is(&lab, alice, Phase::Ended));
    lab.assert_nothing_left();
}

#[test]
fn who_is_transferred_may_hang_up_while_the_target_rings() {
    let (mut lab, alice, bob, carol) = three();
    transfer(&mut lab, bob, "carol");
    lab.until(|lab| newest_is(lab, carol, Phase::Ringing));
    lab.hangup(alice);
    lab.until(|lab| newest_is(lab, carol, Phase::Ended) && newest_is(lab, bob, Phase::Ended));
    lab.assert_nothing_left();
}

#[test]
fn an_attended_transfer_joins_the_partners_of_both_calls() {
    for caller_transfers in [false, true] {
        let (mut lab, alice, bob, carol) = three();
        let (by, stays) = if caller_transfers {
            (alice, bob)
        } else {
            (bob, alice)
        };
        lab.fleet(by, |fleet, now, id| {
            fleet.attended_transfer(now, id, None, "carol", None)
        })
        .expect("there is a call");
        lab.until(|lab| newest_is(lab, carol, Phase::Ringing));
        lab.accept(carol);
        lab.until(|lab| newest_is(lab, by, Phase::Established));
        lab.until(|lab| newest_is(lab, stays, Phase::Held));
        lab.fleet(by, |fleet, now, id| fleet.complete_transfer(now, id, None))
            .expect("it was consulted");
        lab.until(|lab| lab.calls(by).iter().all(|call| call.phase() == Phase::Ended));
        lab.until(|lab| {
            newest_is(lab, stays, Phase::Established) && newest_is(lab, carol, Phase::Established)
        });
        lab.assert_they_talk(stays, carol);
        lab.hangup(stays);
        lab.until(|lab| newest_is(lab, carol, Phase::Ended));
        lab.assert_nothing_left();
        let ends = lab.ends();
        assert_eq!(ends[0], EndCause::Transferred);
        assert_eq!(ends.len(), 2);
    }
}

#[test]
fn a_party_that_is_transferred_again_keeps_its_name() {
    let (mut lab, alice, bob, carol) = three();
    let dave = lab.registered("dave");
    for (by, target) in [(bob, carol), (carol, dave)] {
        let name = lab.user_agent(target).account().username.clone();
        transfer(&mut lab, by, &name);
        lab.until(|lab| newest_is(lab, target, Phase::Ringing));
        assert_eq!(lab.calls(target)[0].peer().uri, "sip:alice@10.0.0.250");
        lab.accept(target);
        lab.until(|lab| newest_is(lab, by, Phase::Ended) && newest_is(lab, target, Phase::Established));
    }
    lab.assert_they_talk(alice, dave);
    let mut moved = Vec::new();
    for fact in &lab.facts {
        if let Fact::CallTransferred { to, .. } = fact {
            moved.push(to.as_str());
        }
    }
    assert_eq!(moved, ["sip:carol@10.0.0.250", "sip:dave@10.0.0.250"]);
}
