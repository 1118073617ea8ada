//! What is not acceptable: answered where that is possible, else dropped and counted (RFC 3261 §8.2, §18.3).

mod support;

use callwright_sip::core::{CoreConfig, CoreEvent, CoreLimits, Malformed};
use callwright_sip_message::HeaderName;
use support::core::{incoming, udp, with};

const BRANCH: &str = "z9hG4bKpeer6";

#[test]
fn a_broken_header_field_is_answered_400_with_its_name() {
    let mut peer = udp();
    peer.send(incoming("OPTIONS", BRANCH).replace("CSeq: 3 OPTIONS", "CSeq: three"));
    let answer = peer.expect("SIP/2.0 400 Bad Request: ");
    assert!(
        answer.reason_phrase().expect("a reason").contains("CSeq"),
        "{answer}"
    );
    assert!(answer.via().expect("a Via").rport().is_some());
    match peer.next_event() {
        Some(CoreEvent::Malformed {
            error: Malformed::Invalid { .. },
            answered,
            ..
        }) => assert_eq!(answered, Some(400)),
        other => panic!("{other:?}"),
    }
    peer.expect_no_event();
    peer.expect_settled();
    assert_eq!(peer.node.counters().malformed, 1);
}

#[test]
fn missing_header_fields_are_answered_400() {
    for line in [
        "From: <sip:bob@10.0.0.2>;tag=bob\r\n",
        "To: <sip:alice@10.0.0.1>\r\n",
        "Call-ID: call-2\r\n",
    ] {
        let mut peer = udp();
        peer.send(incoming("INVITE", BRANCH).replace(line, ""));
        peer.expect("SIP/2.0 400 ");
        peer.expect_settled();
    }
}

#[test]
fn another_version_is_answered_505_and_another_scheme_416() {
    let mut peer = udp();
    peer.send(incoming("OPTIONS", BRANCH).replacen("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", 1));
    peer.expect("SIP/2.0 505 Version Not Supported\r\n");
    peer.send(incoming("OPTIONS", BRANCH).replacen("sip:alice@10.0.0.1 ", "soap:alice ", 1));
    peer.expect("SIP/2.0 416 Unsupported URI Scheme\r\n");
}

#[test]
fn an_ack_is_never_answered_and_a_message_without_via_cannot_be() {
    let mut peer = udp();
    peer.send(incoming("ACK", BRANCH).replace("CSeq: 3 ACK", "CSeq: x"));
    peer.expect_nothing();
    let via = format!("Via: SIP/2.0/UDP {};branch={BRANCH};rport\r\n", support::PEER);
    peer.send(incoming("OPTIONS", BRANCH).replace(&via, ""));
    peer.expect_nothing();
    peer.send(incoming("OPTIONS", BRANCH).replace("Via: SIP/2.0/UDP", "Via: nonsense"));
    peer.expect_nothing();
    assert_eq!(peer.node.counters().malformed, 3);
}

#[test]
fn a_broken_response_is_dropped() {
    let mut peer = udp();
    peer.send("SIP/2.0 200 OK\r\nVia: nonsense\r\n\r\n");
    peer.send("SIP/2.0 999999 OK\r\n\r\n");
    peer.expect_nothing();
    assert_eq!(
        (peer.node.counters().malformed, peer.node.counters().garbage),
        (1, 1)
    );
}

#[test]
fn garbage_stun_and_keep_alives_are_counted_apart() {
    let mut peer = udp();
    peer.send("\r\n\r\n");
    peer.send("");
    peer.send(vec![0, 0, 0, 0]);
    peer.send(b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl".to_vec());
    peer.send("GET / HTTP/1.1\r\n\r\n");
    peer.send(vec![0xff; 2_000]);
    peer.expect_nothing();
    let counters = *peer.node.counters();
    assert_eq!((counters.keep_alives, counters.stun, counters.garbage), (3, 1, 2));
    peer.expect_settled();
}

#[test]
fn requests_over_the_limit_are_answered_503_and_counted() {
    let limits = CoreLimits {
        server_transactions: 2,
        client_transactions: 1,
        ..CoreLimits::default()
    };
    let mut peer = with(CoreConfig {
        limits,
        ..CoreConfig::default()
    });
    for branch in ["z9hG4bKa", "z9hG4bKb"] {
        peer.send(incoming("OPTIONS", branch));
        peer.expect_request();
    }
    peer.send(incoming("OPTIONS", "z9hG4bKc"));
    let answer = peer.expect("SIP/2.0 503 Service Unavailable\r\n");
    assert!(answer.has_header(HeaderName::RetryAfter));
    peer.expect_no_event();
    assert_eq!(peer.node.counters().over_limit, 1);

    peer.request(callwright_sip_message::Method::Options);
    let target = callwright_sip::core::Target::new(support::core::uri("sip:10.0.0.2"));
    let second = support::core::request(callwright_sip_message::Method::Options);
    let error = peer
        .node
        .request(peer.now, second, target, None)
        .expect_err("one is the limit");
    assert_eq!(
        error.to_string(),
        "the client_transactions limit of 1 is reached: raise it, or start fewer at once"
    );
}

#[test]
fn a_request_inside_a_dialog_is_checked_too() {
    // Those with tags and without a body are looked at with less effort, not with less care.
    let inside =
        incoming("BYE", BRANCH).replace("To: <sip:alice@10.0.0.1>", "To: <sip:alice@10.0.0.1>;tag=alice");
    let mut peer = udp();
    peer.send(inside.clone());
    peer.expect_request();
    let more = |line: &str| inside.replace("CSeq: ", &format!("{line}\r\nCSeq: "));
    for broken in [
        more("To: <sip:other@10.0.0.1>;tag=other"),
        more("CSeq: 3 BYE"),
        more("From: <sip:bob@10.0.0.2>;tag=bob"),
        more("Refer-To: <sip:c@10.0.0.3>\r\nr: <sip:d@10.0.0.3>"),
        inside.replacen("sip:alice@10.0.0.1 ", "sip:alice@ ", 1),
        inside.replacen("sip:alice@10.0.0.1 ", "sip:alice@10.0.0.1?Subject=x ", 1),
        inside.replacen("sip:alice@10.0.0.1 ", "sip:al%ice@10.0.0.1 ", 1),
        inside.replacen("sip:alice@10.0.0.1 ", "sip:alice@10.0.0.1:port ", 1),
        inside.replacen("BYE sip:alice@10.0.0.1 ", "BYE  sip:alice@10.0.0.1 ", 1),
    ] {
        let mut peer = udp();
        peer.send(broken.clone());
        assert!(
            peer.sent
                .front()
                .is_some_and(|sent| sent.bytes.starts_with(b"SIP/2.0 400 ")),
            "{broken}"
        );
        peer.expect_settled();
    }
}
