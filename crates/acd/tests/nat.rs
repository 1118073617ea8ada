//! Phones behind a NAT are reached where their REGISTER came from, and those behind proxies by their Path.

mod support;

use callwright_acd::Auth;
use callwright_ua::Phase;
use support::script::{Request, sdp};
use support::{Lab, Phone, SERVER};

use std::net::SocketAddr;

/// Bob registers from `at` with these header fields, and alice calls him.
fn called(at: &str, fields: &[&str]) -> (Lab, Phone, SocketAddr) {
    let mut lab = Lab::with(|config| config.auth = Auth::None);
    let alice = lab.phone("alice");
    let at = lab.script(at);
    let aor = format!("sip:bob@{SERVER}");
    let text = Request {
        method: "REGISTER",
        uri: &format!("sip:{SERVER}"),
        from: (&aor, "f"),
        to: (&aor, ""),
        call_id: "nat",
        cseq: 1,
    };
    let text = text.write(at, fields, "");
    lab.say(at, text);
    assert_eq!(lab.expect(at, "SIP/2.0").status(), 200);
    lab.dial(alice, "bob");
    (lab, alice, at)
}

#[test]
fn everything_of_a_call_goes_to_the_source_of_the_register() {
    let (mut lab, alice, at) = called("10.0.0.77:40123", &["Contact: <sip:bob@192.168.7.7:5062>"]);
    let invite = lab.expect(at, "INVITE sip:bob@192.168.7.7:5062 ");
    assert_eq!(invite.header("Route"), None);
    let contact = "Contact: <sip:bob@192.168.7.7:5062>";
    lab.say(
        at,
        invite.reply("200 OK", "b", &[contact], &sdp(1, "192.168.7.7", 7_000, "")),
    );
    lab.expect(at, "ACK sip:bob@192.168.7.7:5062 ");
    lab.until(|lab| lab.phase(alice) == Some(Phase::Established));
    lab.hangup(alice);
    let bye = lab.expect(at, "BYE sip:bob@192.168.7.7:5062 ");
    lab.say(at, bye.reply("200 OK", "", &[], ""));
    lab.assert_nothing_left();
}

#[test]
fn a_caller_behind_a_nat_is_reached_where_its_invite_came_from() {
    let mut lab = Lab::with(|config| config.auth = Auth::None);
    let bob = lab.registered("bob");
    let at = lab.script("10.0.0.77:40123");
    let (aor, callee) = (format!("sip:alice@{SERVER}"), format!("sip:bob@{SERVER}"));
    let invite = Request {
        method: "INVITE",
        uri: &callee,
        from: (&aor, "a"),
        to: (&callee, ""),
        call_id: "nat",
        cseq: 1,
    };
    let contact = "Contact: <sip:alice@192.168.7.7:5062>";
    let text = invite.write(at, &[contact], &sdp(1, "192.168.7.7", 7_000, ""));
    lab.say(at, text);
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    lab.accept(bob);
    let answer = lab.expect(at, "SIP/2.0 200");
    let ack = Request {
        method: "ACK",
        uri: answer.target(),
        to: (&callee, answer.to_tag()),
        ..invite
    };
    let text = ack.write(at, &[], "");
    lab.say(at, text);
    lab.until(|lab| lab.phase(bob) == Some(Phase::Established));
    lab.hangup(bob);
    lab.expect(at, "BYE sip:alice@192.168.7.7:5062 ");
}

#[test]
fn a_binding_with_a_path_is_reached_through_it() {
    let fields = [
        "Contact: <sip:bob@192.168.7.7:5062>",
        "Path: <sip:10.0.0.77;lr>",
        "Supported: path",
    ];
    let (mut lab, _, proxy) = called("10.0.0.77:5060", &fields);
    let invite = lab.expect(proxy, "INVITE sip:bob@192.168.7.7:5062 ");
    assert_eq!(invite.header("Route"), Some("<sip:10.0.0.77;lr>"));
}

#[test]
fn a_phone_that_listens_at_another_port_than_it_sends_from_is_reached_there() {
    let (mut lab, _, _) = called("10.0.0.77:40123", &["Contact: <sip:bob@10.0.0.77:5070>"]);
    let listens = lab.script("10.0.0.77:5070");
    lab.expect(listens, "INVITE sip:bob@10.0.0.77:5070 ");
}
