//! What is sent and heard on a stream that is refused, not agreed on yet, or gone (RFC 3264 §5.1, §8.2).

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use callwright_media::tone::{DtmfDigit, DtmfGenerator, Tones};
use callwright_ua::{MediaEncryption, Phase};
use support::script::{Received, sdp};
use support::{Lab, Phone};

const CONTACT: &str = "Contact: <sip:10.0.0.250>";
const AUDIO: &str = "10.0.0.250:4000";

fn audio() -> SocketAddr {
    AUDIO.parse().unwrap()
}

/// A call of `phone` that the scripted peer answers with this description.
fn answered_with(lab: &mut Lab, phone: Phone, peer: SocketAddr, answer: &str) -> Received {
    lab.fleet(phone, |fleet, now, id| fleet.dial(now, id, "bob", &[], None))
        .unwrap();
    let invite = lab.expect(peer, "INVITE");
    let ok = invite.reply("200 OK", "p", &[CONTACT], answer);
    lab.say(peer, invite.from, ok);
    lab.expect(peer, "ACK");
    invite
}

/// How many media packets are sent in a second.
fn packets_in_a_second(lab: &mut Lab) -> u64 {
    let (audio, reports) = audio_and_reports_in_a_second(lab);
    audio + reports
}

fn audio_and_reports_in_a_second(lab: &mut Lab) -> (u64, u64) {
    // What was on its way, and the goodbye of RTCP.
    lab.pass(Duration::from_millis(50));
    let (packets, reports) = (lab.media_packets, lab.reports);
    lab.pass(Duration::from_secs(1));
    let reports = lab.reports - reports;
    (lab.media_packets - packets - reports, reports)
}

fn refused(text: &str) -> String {
    text.replace("m=audio 4000", "m=audio 0")
}

fn tone(seconds: usize) -> Vec<i16> {
    let mut samples = vec![0; seconds * 8_000];
    Tones::single(440.0, -10.0).unwrap().fill(&mut samples);
    samples
}

#[test]
fn a_stream_that_the_peer_takes_back_falls_silent_and_can_come_again() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let a = lab.phone("alice");
    let invite = answered_with(&mut lab, a, peer, &sdp(1, "10.0.0.250", 4000, ""));
    assert!(packets_in_a_second(&mut lab) >= 50);
    let gone = refused(&sdp(2, "10.0.0.250", 4000, ""));
    lab.say(
        peer,
        invite.from,
        invite.request_back("INVITE", 1, "p", &[CONTACT], &gone),
    );
    lab.expect(peer, "SIP/2.0 200");
    let ack = invite.request_back("ACK", 1, "p", &[CONTACT], "");
    lab.say(peer, invite.from, ack.replace("p1ACK", "p1ACKed"));
    assert_eq!(packets_in_a_second(&mut lab), 0);
    lab.play(audio(), invite.audio_at(), &tone(1));
    assert!(
        lab.peek(a, |fleet, id| fleet.recent_audio(
            id,
            None,
            Duration::from_millis(500)
        ))
        .iter()
        .all(|sample| sample.abs() < 100),
        "nothing is heard on it either"
    );
    let back = sdp(3, "10.0.0.250", 4000, "");
    lab.say(
        peer,
        invite.from,
        invite.request_back("INVITE", 2, "p", &[CONTACT], &back),
    );
    lab.expect(peer, "SIP/2.0 200");
    assert!(packets_in_a_second(&mut lab) >= 50);
}

#[test]
fn a_hold_whose_stream_the_peer_refuses_sends_nothing_and_the_next_one_is_a_hold_again() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let a = lab.phone("alice");
    answered_with(&mut lab, a, peer, &sdp(1, "10.0.0.250", 4000, ""));
    lab.fleet(a, |fleet, now, id| fleet.hold(now, id, None, None))
        .unwrap();
    let hold = lab.expect(peer, "INVITE");
    let answer = refused(&sdp(2, "10.0.0.250", 4000, ""));
    lab.say(peer, hold.from, hold.reply("200 OK", "", &[CONTACT], &answer));
    lab.expect(peer, "ACK");
    assert_eq!(packets_in_a_second(&mut lab), 0);
    lab.fleet(a, |fleet, now, id| fleet.resume(now, id, None, None))
        .unwrap();
    let resume = lab.expect(peer, "INVITE");
    let answer = sdp(3, "10.0.0.250", 4000, "");
    lab.say(peer, resume.from, resume.reply("200 OK", "", &[CONTACT], &answer));
    lab.expect(peer, "ACK");
    assert_eq!(lab.phase(a), Some(Phase::Established));
    assert!(packets_in_a_second(&mut lab) >= 50);
    lab.fleet(a, |fleet, now, id| fleet.hold(now, id, None, None))
        .unwrap();
    let hold = lab.expect(peer, "INVITE");
    let answer = sdp(4, "10.0.0.250", 4000, "a=inactive\r\n");
    lab.say(peer, hold.from, hold.reply("200 OK", "", &[CONTACT], &answer));
    lab.expect(peer, "ACK");
    assert_eq!(lab.phase(a), Some(Phase::Held));
    let (audio, reports) = audio_and_reports_in_a_second(&mut lab);
    assert_eq!(audio, 0, "the last answer holds, not the first");
    // RFC 3264 §5.1: those of RTCP go on.
    assert!(reports <= 1, "{reports}");
}

#[test]
fn what_comes_before_the_answer_to_keys_is_counted_and_not_heard() {
    for encryption in [MediaEncryption::Offered, MediaEncryption::Required] {
        let mut lab = Lab::new();
        let peer = lab.domain();
        let a = lab.phone_with("alice", |account| account.media_encryption = encryption);
        lab.fleet(a, |fleet, now, id| fleet.dial(now, id, "bob", &[], None))
            .unwrap();
        let invite = lab.expect(peer, "INVITE");
        // It may be clear or encrypted: nobody can tell.
        lab.play(audio(), invite.audio_at(), &tone(1));
        let heard = lab.peek(a, |fleet, id| {
            fleet.recent_audio(id, None, Duration::from_secs(3))
        });
        assert!(heard.iter().all(|sample| *sample == 0), "{encryption:?}");
        let key = lab.newest(a);
        let stats = lab.peek(a, |fleet, id| fleet.stats(id, key)).unwrap();
        assert_eq!(stats.received.packets, 0, "{encryption:?}");
        assert_eq!(stats.refused.unauthentic, 50, "{encryption:?}");
    }
}

#[test]
fn digits_of_a_callee_without_telephone_events_are_heard_as_tones() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let a = lab.phone("alice");
    let answer = sdp(1, "10.0.0.250", 4000, "")
        .replace(" 0 101", " 0")
        .replace("a=rtpmap:101 telephone-event/8000\r\n", "");
    let invite = answered_with(&mut lab, a, peer, &answer);
    let mut digits = DtmfGenerator::new(100, 100, -10.0);
    for digit in ['5', '#'] {
        digits.press(DtmfDigit::new(digit).unwrap());
    }
    let mut samples = vec![0; 8_000];
    digits.fill(&mut samples);
    lab.play(audio(), invite.audio_at(), &samples);
    assert_eq!(lab.user_agent(a).calls()[0].received_dtmf(), "5#");
}

#[test]
fn what_was_heard_last_outlives_the_call_as_evidence_only() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let a = lab.phone("alice");
    let invite = answered_with(&mut lab, a, peer, &sdp(1, "10.0.0.250", 4000, ""));
    lab.play(audio(), invite.audio_at(), &tone(1));
    let bye = invite.request_back("BYE", 1, "p", &[], "");
    lab.say(peer, invite.from, bye);
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended));
    let span = Duration::from_secs(3);
    assert!(
        lab.peek(a, |fleet, id| fleet.recent_audio(id, None, span))
            .is_empty()
    );
    let evidence = lab.peek(a, |fleet, id| fleet.last_audio(id, span));
    assert!(evidence.len() >= 6_400, "{}", evidence.len());
}

#[test]
fn one_port_for_rtp_and_rtcp_is_used_where_the_peer_offers_it() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let a = lab.phone("alice");
    let invite = answered_with(&mut lab, a, peer, &sdp(1, "10.0.0.250", 4000, ""));
    assert!(!invite.body().contains("a=rtcp-mux"));
    let offer = sdp(2, "10.0.0.250", 4000, "a=rtcp-mux\r\n");
    lab.say(
        peer,
        invite.from,
        invite.request_back("INVITE", 1, "p", &[CONTACT], &offer),
    );
    let answer = lab.expect(peer, "SIP/2.0 200");
    assert!(answer.body().contains("a=rtcp-mux"), "{}", answer.text);
}

#[test]
fn a_call_that_began_without_a_stream_gets_one_later() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let a = lab.phone("alice");
    let invite = answered_with(&mut lab, a, peer, &refused(&sdp(1, "10.0.0.250", 4000, "")));
    assert_eq!(packets_in_a_second(&mut lab), 0);
    let offer = sdp(2, "10.0.0.250", 4000, "");
    lab.say(
        peer,
        invite.from,
        invite.request_back("INVITE", 1, "p", &[CONTACT], &offer),
    );
    lab.expect(peer, "SIP/2.0 200");
    assert!(packets_in_a_second(&mut lab) >= 50);
}

#[test]
fn a_call_that_came_without_a_stream_gets_one_later() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let a = lab.phone_with("alice", |account| account.auto_answer = Some(Duration::ZERO));
    let contact = lab.contact(a);
    let to: SocketAddr = contact.split('@').nth(1).unwrap().parse().unwrap();
    let offer = |version, stream: &str| {
        let body = sdp(version, "10.0.0.250", 4000, "");
        if stream.is_empty() { refused(&body) } else { body }
    };
    let invite = |cseq: u32, tag: &str, body: &str| {
        format!(
            "INVITE {contact} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.250:5060;branch=z9hG4bKlater{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@10.0.0.250>;tag=b\r\nTo: <{contact}>{tag}\r\nCall-ID: later\r\nCSeq: {cseq} INVITE\r\n{CONTACT}\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    lab.say(peer, to, invite(1, "", &offer(1, "")));
    let answer = lab.expect(peer, "SIP/2.0 200");
    let tag = answer
        .header("To")
        .and_then(|to| to.split(";tag=").nth(1))
        .unwrap();
    let tag = format!(";tag={tag}");
    let ack = invite(1, &tag, "")
        .replace("INVITE", "ACK")
        .replace("later1", "later1a");
    lab.say(peer, to, ack);
    assert_eq!(packets_in_a_second(&mut lab), 0);
    lab.say(peer, to, invite(2, &tag, &offer(2, "audio")));
    lab.expect(peer, "SIP/2.0 200");
    assert!(packets_in_a_second(&mut lab) >= 50);
}
