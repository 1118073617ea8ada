//! Digits between peers that send them differently (RFC 4733, RFC 6086).

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use callwright_acd::Auth;
use callwright_ua::Phase;
use support::script::{Request, sdp};
use support::{Lab, Phone, SERVER};

/// Alice, and a scripted bob who answers her with this description.
fn call(answer: &str) -> (Lab, Phone, SocketAddr) {
    let mut lab = Lab::with(|config| config.auth = Auth::None);
    let alice = lab.phone("alice");
    let bob = lab.script("10.0.0.77:5060");
    let aor = format!("sip:bob@{SERVER}");
    let register = Request {
        method: "REGISTER",
        uri: &format!("sip:{SERVER}"),
        from: (&aor, "f"),
        to: (&aor, ""),
        call_id: "bob",
        cseq: 1,
    };
    let text = register.write(bob, &["Contact: <sip:bob@10.0.0.77>"], "");
    lab.say(bob, text);
    lab.expect(bob, "SIP/2.0 200");
    lab.dial(alice, "bob");
    let invite = lab.expect(bob, "INVITE");
    lab.say(
        bob,
        invite.reply("200 OK", "b", &["Contact: <sip:bob@10.0.0.77>"], answer),
    );
    lab.until(|lab| lab.phase(alice) == Some(Phase::Established));
    lab.fleet(alice, |fleet, now, id| fleet.dtmf(now, id, None, "7", None, None))
        .expect("events were agreed on with the machine");
    (lab, alice, bob)
}

#[test]
fn an_event_goes_by_info_where_the_other_side_takes_none() {
    let answer = sdp(1, "10.0.0.77", 7_000, "")
        .replace(" 101", "")
        .replace("a=rtpmap:101 telephone-event/8000\r\n", "");
    let (mut lab, _, bob) = call(&answer);
    let info = lab.expect(bob, "INFO");
    assert_eq!(info.header("Content-Type"), Some("application/dtmf-relay"));
    assert!(
        info.body().starts_with("Signal=7\r\nDuration="),
        "{}",
        info.body()
    );
    lab.say(bob, info.reply("200 OK", "", &[], ""));
    lab.pass(Duration::from_secs(1));
    assert!(!lab.has_heard(bob, "INFO"), "once");
}

#[test]
fn an_event_gets_the_number_that_the_other_side_gave_it() {
    let answer = sdp(1, "10.0.0.77", 7_000, "").replace("101", "96");
    let (mut lab, _, bob) = call(&answer);
    lab.pass(Duration::from_secs(1));
    let to_bob = |to: &SocketAddr| *to == SocketAddr::new(bob.ip(), 7_000);
    let events = lab
        .relayed
        .iter()
        .filter(|(_, to, bytes)| to_bob(to) && bytes[1] & 0x7f == 96)
        .count();
    assert!(events >= 5, "{events} packets of the event");
    assert!(!lab.has_heard(bob, "INFO"));
}
