//! Media before the answer, from one callee and from the forks of several (RFC 3261 §13.2.2.4, RFC 3262).

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use callwright_ua::Phase;
use support::script::{Received, sdp};
use support::{Lab, Phone};

const CONTACT: &str = "Contact: <sip:10.0.0.250>";

fn dial(lab: &mut Lab, peer: SocketAddr) -> (Phone, Received) {
    let a = lab.phone("alice");
    lab.fleet(a, |fleet, now, id| fleet.dial(now, id, "bob", &[], None))
        .unwrap();
    let invite = lab.expect(peer, "INVITE");
    (a, invite)
}

/// Where the audio of the user agent goes now.
fn audio_goes_to(lab: &mut Lab, port: u16) {
    lab.pass(Duration::from_millis(100));
    assert_eq!(lab.last_media_to.map(|to| to.port() & !1), Some(port));
}

#[test]
fn a_183_with_a_description_makes_the_call_early() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, invite) = dial(&mut lab, peer);
    let answer = sdp(1, "10.0.0.250", 4000, "");
    let progress = invite.reply("183 Session Progress", "p", &[CONTACT], &answer);
    lab.say(peer, invite.from, progress);
    lab.until(|lab| lab.phase(a) == Some(Phase::Early));
    audio_goes_to(&mut lab, 4000);
    lab.say(
        peer,
        invite.from,
        invite.reply("200 OK", "p", &[CONTACT], &answer),
    );
    lab.expect(peer, "ACK");
    assert_eq!(lab.phase(a), Some(Phase::Established));
    audio_goes_to(&mut lab, 4000);
}

#[test]
fn early_media_that_cannot_be_used_leaves_the_call_to_its_answer() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, invite) = dial(&mut lab, peer);
    let useless = sdp(1, "10.0.0.250", 4000, "").replace("m=audio", "m=video");
    lab.say(
        peer,
        invite.from,
        invite.reply("183 Session Progress", "p", &[CONTACT], &useless),
    );
    lab.until(|lab| lab.phase(a) == Some(Phase::Ringing));
    let answer = sdp(1, "10.0.0.250", 4002, "");
    lab.say(
        peer,
        invite.from,
        invite.reply("200 OK", "p", &[CONTACT], &answer),
    );
    lab.expect(peer, "ACK");
    assert_eq!(lab.phase(a), Some(Phase::Established));
    audio_goes_to(&mut lab, 4002);
}

#[test]
fn the_fork_that_answers_gets_the_audio() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, invite) = dial(&mut lab, peer);
    for (tag, port) in [("one", 4000), ("two", 5000)] {
        let answer = sdp(1, "10.0.0.250", port, "");
        let fields = [CONTACT, "Require: 100rel", "RSeq: 1"];
        let progress = invite.reply("183 Session Progress", tag, &fields, &answer);
        lab.say(peer, invite.from, progress);
        let prack = lab.expect(peer, "PRACK");
        lab.say(peer, prack.from, prack.reply("200 OK", "", &[], ""));
        audio_goes_to(&mut lab, port);
    }
    lab.say(peer, invite.from, invite.reply("200 OK", "one", &[CONTACT], ""));
    lab.expect(peer, "ACK");
    assert_eq!(lab.phase(a), Some(Phase::Established));
    audio_goes_to(&mut lab, 4000);
}

#[test]
fn another_fork_that_answers_too_is_hung_up_and_changes_nothing() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, invite) = dial(&mut lab, peer);
    let one = sdp(1, "10.0.0.250", 4000, "");
    lab.say(peer, invite.from, invite.reply("200 OK", "one", &[CONTACT], &one));
    lab.expect(peer, "ACK");
    let two = sdp(1, "10.0.0.250", 5000, "");
    lab.say(peer, invite.from, invite.reply("200 OK", "two", &[CONTACT], &two));
    lab.expect(peer, "ACK");
    let bye = lab.expect(peer, "BYE");
    assert!(bye.header("To").unwrap().ends_with("tag=two"));
    lab.say(peer, bye.from, bye.reply("200 OK", "", &[], ""));
    assert_eq!(lab.phase(a), Some(Phase::Established));
    audio_goes_to(&mut lab, 4000);
}

#[test]
fn an_answer_that_breaks_the_rules_ends_the_call_and_says_why() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, invite) = dial(&mut lab, peer);
    lab.say(
        peer,
        invite.from,
        invite.reply("200 OK", "p", &[CONTACT], "v=0\r\nnonsense\r\n"),
    );
    lab.expect(peer, "ACK");
    let bye = lab.expect(peer, "BYE");
    lab.say(peer, bye.from, bye.reply("200 OK", "", &[], ""));
    assert_eq!(lab.phase(a), Some(Phase::Ended));
    let reason = lab.reason(a);
    assert!(
        reason.starts_with("the answer of the peer cannot be used"),
        "{reason}"
    );
}
