//! RFC 3261 §8.2, §11: what every request is checked for, and requests that are about no session.

use callwright_sip::command::Response;
use callwright_sip::{EndpointConfig, Event};
use callwright_sip_message::Method;

use crate::script::{Script, header};

const CONTACT: &str = "Contact: <sip:bob@10.0.0.2>\r\n";

#[test]
fn options_tells_what_is_possible() {
    let mut script = Script::new();
    script.request("OPTIONS", 1, "", None);
    let ok = script.expect("SIP/2.0 200");
    assert!(header(&ok, "Allow").contains("REFER"));
    assert!(header(&ok, "Accept").contains("application/sdp"));
    assert_eq!(header(&ok, "Supported"), "100rel, replaces, norefersub, timer");
}

#[test]
fn a_registered_method_that_is_not_allowed_meets_405_and_an_unknown_one_501() {
    let mut script = Script::new();
    script.request("PUBLISH", 1, "", None);
    assert!(header(&script.expect("SIP/2.0 405"), "Allow").contains("INVITE"));
    script.request("SPEAK", 2, "", None);
    assert!(script.expect("SIP/2.0 501").has_header("Allow"));
    script.request("SUBSCRIBE", 3, "Event: presence", None);
    script.expect("SIP/2.0 489");
}

#[test]
fn an_extension_that_is_not_understood_meets_420() {
    let mut script = Script::new();
    script.request(
        "INVITE",
        1,
        &format!("{CONTACT}Require: 100rel, magic, timer"),
        None,
    );
    assert_eq!(header(&script.expect("SIP/2.0 420"), "Unsupported"), "magic");
}

#[test]
fn a_body_that_is_not_understood_meets_415_unless_it_is_optional() {
    let mut script = Script::new();
    script.request("MESSAGE", 1, "", Some(("application/x-secret", "?")));
    assert!(header(&script.expect("SIP/2.0 415"), "Accept").contains("text/plain"));
    script.request(
        "MESSAGE",
        2,
        "Content-Disposition: render; handling=optional",
        Some(("application/x-secret", "?")),
    );
    script.expect("SIP/2.0 200");
}

#[test]
fn a_caller_that_accepts_no_sdp_meets_406() {
    let mut script = Script::new();
    script.request("INVITE", 1, &format!("{CONTACT}Accept: application/isup"), None);
    script.expect("SIP/2.0 406");
}

#[test]
fn an_invite_without_contact_meets_400() {
    let mut script = Script::new();
    script.request("INVITE", 1, "", None);
    script.expect("SIP/2.0 400 Missing Contact");
}

#[test]
fn a_message_is_answered_and_told() {
    let mut script = Script::new();
    script.request("MESSAGE", 1, "", Some(("text/plain", "hello")));
    script.expect("SIP/2.0 200");
    let told = script.told(|event| match event {
        Event::Request {
            request: None,
            call: None,
            message,
            ..
        } => Some(message.body()),
        _ => None,
    });
    assert_eq!(&told[..], b"hello");
    script.assert_clean();
}

#[test]
fn a_method_is_answered_above_when_that_is_wanted() {
    let publish = Method::Publish;
    let config = EndpointConfig {
        answer_above: vec![publish],
        ..EndpointConfig::default()
    };
    let mut script = Script::with(config);
    script.request("PUBLISH", 1, "", None);
    script.peer.expect_nothing();
    let request = script.told(|event| match event {
        Event::Request { request, .. } => *request,
        _ => None,
    });
    script.act(|node, now| {
        node.respond(now, request, Response::new(412), None)
            .expect("answers")
    });
    script.expect("SIP/2.0 412");
    let again = script.act(|node, now| node.respond(now, request, Response::new(200), None));
    assert!(again.is_err());
}

#[test]
fn calls_beyond_the_limit_meet_503() {
    let mut script = Script::with(EndpointConfig {
        max_calls: 1,
        ..EndpointConfig::default()
    });
    script.invited("");
    script.request("INVITE", 2, CONTACT, None);
    assert!(script.expect("SIP/2.0 503").has_header("Retry-After"));
}
