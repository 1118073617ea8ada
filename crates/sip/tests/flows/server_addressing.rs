//! What a server needs beyond a user agent: to speak for others, and to reach who sits behind a NAT.

use callwright_sip::command::{Addressing, Invite, Replaces};
use callwright_sip::{EndpointConfig, Event};
use callwright_sip_message::{HeaderName, NameAddr};
use callwright_wire::{Flow, Transport};

use crate::parties::uri;
use crate::script::Script;
use crate::support::{Exit, LOCAL, PEER};

/// Where the peer says that it is: an address that nobody but itself can reach.
const INSIDE: &str = "sip:bob@192.168.7.7:5062";

fn symmetric() -> EndpointConfig {
    EndpointConfig {
        symmetric: true,
        ..EndpointConfig::default()
    }
}

fn name_addr(text: &str) -> NameAddr {
    text.parse().expect("a literal")
}

fn behind_nat(script: &Script) -> Invite {
    Invite {
        target: uri(INSIDE),
        addressing: Addressing {
            from: Some(name_addr("\"Carol\" <sip:carol@example.com>;tag=old")),
            to: Some(name_addr("<sip:bob@example.com>;tag=old")),
            routes: Vec::new(),
            only_by_flow: false,
            flow: Some(Flow {
                transport: Transport::Udp,
                local: LOCAL.parse().expect("a literal"),
                remote: PEER.parse().expect("a literal"),
            }),
        },
        ..script.invitation()
    }
}

#[test]
fn a_call_says_whom_it_is_from_and_for() {
    let mut script = Script::with(symmetric());
    let invite = behind_nat(&script);
    let (_, invite) = script.place(invite);
    assert_eq!(invite.request_uri().expect("one").to_string(), INSIDE);
    let from = invite.from().expect("one");
    assert_eq!(from.uri.to_string(), "sip:carol@example.com");
    assert_eq!(from.display.as_deref(), Some("Carol"));
    assert_ne!(from.tag(), Some("old"));
    assert_eq!(
        invite.header(HeaderName::To).as_deref(),
        Some("<sip:bob@example.com>")
    );
}

#[test]
fn a_peer_behind_a_nat_is_reached_where_its_messages_come_from() {
    let mut script = Script::with(symmetric());
    let invite = behind_nat(&script);
    let (call, invite) = script.place(invite);
    script.respond(
        &invite,
        200,
        "bob",
        &format!("Contact: <{INSIDE}>"),
        Some(crate::parties::ANSWER),
    );
    let ack = script.expect("ACK ");
    assert_eq!(ack.request_uri().expect("one").to_string(), INSIDE);
    script.act(|node, now| node.hangup(now, call, Default::default(), None).expect("up"));
    script.expect("BYE ");
    let exit = Exit::Datagram(PEER.parse().expect("a literal"));
    assert!(script.peer.last_exit().is_some_and(|last| last == exit));
}

#[test]
fn the_path_of_a_binding_goes_before_the_contact() {
    let mut script = Script::with(symmetric());
    let mut invite = behind_nat(&script);
    invite.addressing.routes = vec![uri("sip:10.0.0.2;lr")];
    let (_, invite) = script.place(invite);
    assert_eq!(
        invite.header(HeaderName::Route).as_deref(),
        Some("<sip:10.0.0.2;lr>")
    );
}

#[test]
fn an_extension_of_the_layer_above_may_be_required() {
    let mut script = Script::with(EndpointConfig {
        extensions: vec!["path".to_owned()],
        ..EndpointConfig::default()
    });
    script.request("OPTIONS", 1, "Require: Path", None);
    script.expect("SIP/2.0 200");
    script.request("OPTIONS", 2, "Require: path, gruu", None);
    let refused = script.expect("SIP/2.0 420");
    assert_eq!(refused.header(HeaderName::Unsupported).as_deref(), Some("gruu"));
}

#[test]
fn a_call_is_found_by_what_a_peer_would_replace() {
    let mut script = Script::new();
    let (call, invite) = script.established();
    let named = Replaces {
        call_id: invite.call_id().expect("one").to_string(),
        to_tag: invite.from_tag().expect("one").to_string(),
        from_tag: "bob".to_owned(),
        early_only: false,
    };
    let other = Replaces {
        from_tag: "carol".to_owned(),
        ..named.clone()
    };
    script.act(|node, _| {
        assert_eq!(node.call_of(&named), Some(call));
        assert_eq!(node.call_of(&other), None);
    });
}

#[test]
fn a_request_that_comes_back_is_known_as_our_own() {
    let mut script = Script::new();
    let (_, invite) = script.call();
    script.act(|node, _| assert!(node.is_own(&invite)));
    script.request("MESSAGE", 1, "", None);
    let told = script.told(|event| match event {
        Event::Request { message, flow, .. } => Some((message.clone(), *flow)),
        _ => None,
    });
    script.act(|node, _| assert!(!node.is_own(&told.0)));
    assert_eq!(told.1.remote.to_string(), PEER);
}
