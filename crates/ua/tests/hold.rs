//! Hold when things cross or fail (RFC 3261 §14.1, RFC 3264 §8).

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use callwright_ua::Phase;
use support::script::{Received, sdp};
use support::{Lab, Phone};

const CONTACT: &str = "Contact: <sip:10.0.0.250>";

fn hold(lab: &mut Lab, phone: Phone) {
    lab.fleet(phone, |fleet, now, id| fleet.hold(now, id, None, None))
        .unwrap();
}

fn resume(lab: &mut Lab, phone: Phone) {
    lab.fleet(phone, |fleet, now, id| fleet.resume(now, id, None, None))
        .unwrap();
}

/// A call of `alice` that the scripted peer answered.
fn answered(lab: &mut Lab, peer: SocketAddr) -> (Phone, Received) {
    let a = lab.phone("alice");
    lab.fleet(a, |fleet, now, id| fleet.dial(now, id, "bob", &[], None))
        .unwrap();
    let invite = lab.expect(peer, "INVITE");
    let answer = sdp(1, "10.0.0.250", 4000, "");
    lab.say(
        peer,
        invite.from,
        invite.reply("200 OK", "p", &[CONTACT], &answer),
    );
    lab.expect(peer, "ACK");
    (a, invite)
}

#[test]
fn two_that_hold_each_other_at_once_both_hold() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    hold(&mut lab, a);
    hold(&mut lab, b);
    lab.pass(Duration::from_secs(10));
    assert_eq!(lab.phase(a), Some(Phase::Held));
    assert_eq!(lab.phase(b), Some(Phase::Held));
    resume(&mut lab, a);
    lab.pass(Duration::from_secs(10));
    assert_eq!(lab.phase(a), Some(Phase::Held), "the other side holds still");
    resume(&mut lab, b);
    lab.pass(Duration::from_secs(10));
    assert_eq!(lab.phase(a), Some(Phase::Established));
    assert_eq!(lab.phase(b), Some(Phase::Established));
}

#[test]
fn digits_for_a_peer_that_holds_wait_and_say_so() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    hold(&mut lab, b);
    lab.pass(Duration::from_secs(1));
    let mut dial = |phone| {
        lab.fleet(phone, |fleet, now, id| fleet.dtmf(now, id, None, "1", None, None))
            .unwrap()
            .note
    };
    assert_eq!(
        dial(a),
        Some("the peer holds the call: the digits go out when it resumes")
    );
    assert_eq!(dial(b), None, "who holds may send");
}

#[test]
fn a_peer_that_offers_first_after_a_collision_is_answered_and_then_gets_our_offer() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, invite) = answered(&mut lab, peer);
    hold(&mut lab, a);
    let ours = lab.expect(peer, "INVITE");
    lab.say(peer, ours.from, ours.reply("491 Request Pending", "", &[], ""));
    lab.expect(peer, "ACK");
    let theirs = invite.request_back("INVITE", 1, "p", &[CONTACT], &sdp(2, "10.0.0.250", 4004, ""));
    lab.say(peer, invite.from, theirs);
    let answer = lab.expect(peer, "SIP/2.0 200");
    assert!(answer.body().contains("a=sendonly"), "{}", answer.text);
    let version = |text: &str| {
        let origin = text
            .lines()
            .find(|line| line.starts_with("o="))
            .unwrap_or_default();
        origin
            .split(' ')
            .nth(2)
            .and_then(|version| version.parse::<u64>().ok())
    };
    let acknowledged = invite
        .request_back("ACK", 1, "p", &[CONTACT], "")
        .replace("p1ACK", "p1ACKed");
    lab.say(peer, invite.from, acknowledged);
    let again = lab.expect(peer, "INVITE");
    assert!(again.body().contains("a=sendonly"), "{}", again.text);
    assert!(version(again.body()) >= version(answer.body()));
    let answer = sdp(3, "10.0.0.250", 4004, "a=recvonly\r\n");
    lab.say(peer, again.from, again.reply("200 OK", "", &[CONTACT], &answer));
    lab.expect(peer, "ACK");
    assert_eq!(lab.phase(a), Some(Phase::Held));
}

#[test]
fn a_hold_that_is_refused_leaves_the_call_as_it_was() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, _) = answered(&mut lab, peer);
    hold(&mut lab, a);
    let ours = lab.expect(peer, "INVITE");
    lab.say(
        peer,
        ours.from,
        ours.reply("488 Not Acceptable Here", "", &[], ""),
    );
    lab.expect(peer, "ACK");
    assert_eq!(lab.phase(a), Some(Phase::Established));
    let nothing_held = lab.fleet(a, |fleet, now, id| fleet.resume(now, id, None, None));
    assert!(nothing_held.is_err());
    hold(&mut lab, a);
    let again = lab.expect(peer, "INVITE");
    assert!(again.body().contains("a=sendonly"));
}

#[test]
fn a_resume_that_is_refused_while_both_hold_leaves_it_held_here() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, invite) = answered(&mut lab, peer);
    hold(&mut lab, a);
    let ours = lab.expect(peer, "INVITE");
    let answer = sdp(2, "10.0.0.250", 4000, "a=inactive\r\n");
    lab.say(peer, ours.from, ours.reply("200 OK", "", &[CONTACT], &answer));
    lab.expect(peer, "ACK");
    resume(&mut lab, a);
    let ours = lab.expect(peer, "INVITE");
    lab.say(
        peer,
        ours.from,
        ours.reply("488 Not Acceptable Here", "", &[], ""),
    );
    lab.expect(peer, "ACK");
    lab.pass(Duration::from_millis(10));
    assert_eq!(lab.phase(a), Some(Phase::Held));
    // The peer resumes: this side holds still.
    let theirs = invite.request_back("INVITE", 1, "p", &[CONTACT], &sdp(3, "10.0.0.250", 4000, ""));
    lab.say(peer, invite.from, theirs);
    let answer = lab.expect(peer, "SIP/2.0 200");
    assert!(answer.body().contains("a=sendonly"), "{}", answer.text);
}

#[test]
fn a_hold_that_is_accepted_without_an_answer_blocks_nothing() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, _) = answered(&mut lab, peer);
    hold(&mut lab, a);
    let ours = lab.expect(peer, "INVITE");
    lab.say(peer, ours.from, ours.reply("200 OK", "", &[CONTACT], ""));
    lab.expect(peer, "ACK");
    assert_eq!(lab.phase(a), Some(Phase::Established));
    hold(&mut lab, a);
    let again = lab.expect(peer, "INVITE");
    assert!(again.body().contains("a=sendonly"));
}

#[test]
fn a_verb_during_a_re_invite_of_the_peer_follows_it() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, invite) = answered(&mut lab, peer);
    let theirs = invite.request_back("INVITE", 1, "p", &[CONTACT], &sdp(2, "10.0.0.250", 4004, ""));
    lab.say(peer, invite.from, theirs);
    let answer = lab.expect(peer, "SIP/2.0 200");
    assert!(!answer.body().is_empty());
    hold(&mut lab, a);
    lab.pass(Duration::from_millis(100));
    assert!(
        lab.heard(peer).is_none(),
        "nothing before the ACK (RFC 3261 §14.1)"
    );
    let acknowledged = invite
        .request_back("ACK", 1, "p", &[CONTACT], "")
        .replace("p1ACK", "p1ACKed");
    lab.say(peer, invite.from, acknowledged);
    assert!(lab.expect(peer, "INVITE").body().contains("a=sendonly"));
}
