//! The non-INVITE server transaction on the wire: RFC 3261 §17.2.2.

mod support;

use callwright_sip::core::{CoreEvent, TransactionId};
use support::core::{incoming, udp};

const BRANCH: &str = "z9hG4bKpeer2";

#[test]
fn before_an_answer_retransmissions_are_absorbed() {
    let mut peer = udp();
    peer.send(incoming("OPTIONS", BRANCH));
    let (id, options) = peer.expect_request();
    peer.wait(500);
    peer.send(incoming("OPTIONS", BRANCH));
    peer.expect_nothing();
    peer.expect_no_event();
    peer.respond(id, &options, 200);
    peer.expect("SIP/2.0 200");
}

#[test]
fn timer_j_answers_retransmissions_for_32_s() {
    let mut peer = udp();
    peer.send(incoming("OPTIONS", BRANCH));
    let (id, options) = peer.expect_request();
    peer.respond(id, &options, 200);
    let ok = peer.expect("SIP/2.0 200");
    peer.expect_silence(31_999);
    peer.send(incoming("OPTIONS", BRANCH));
    assert_eq!(peer.expect("SIP/2.0 200"), ok);
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_ended(TransactionId::Server(id));
    peer.expect_settled();
    // Timer J is over: the same bytes are a new request.
    peer.send(incoming("OPTIONS", BRANCH));
    let (again, _) = peer.expect_request();
    assert_ne!(again, id);
}

#[test]
fn another_request_under_a_branch_that_was_used_is_not_answered_as_the_first() {
    // Its sender broke RFC 3261 §8.1.1.7; that the first one was granted says nothing about this one.
    let mut peer = udp();
    peer.send(incoming("OPTIONS", BRANCH));
    let (id, options) = peer.expect_request();
    peer.respond(id, &options, 200);
    let ok = peer.expect("SIP/2.0 200");
    for (was, is) in [
        ("CSeq: 3", "CSeq: 4"),
        ("Call-ID: call-2", "Call-ID: call-3"),
        ("To: <sip:alice@10.0.0.1>", "To: <sip:alice@10.0.0.1>;tag=x"),
        ("From: <sip:bob@10.0.0.2>;tag=bob\r\n", ""),
    ] {
        peer.send(incoming("OPTIONS", BRANCH).replace(was, is));
        peer.expect_nothing();
        match peer.next_event() {
            Some(CoreEvent::Malformed { error, answered, .. }) => {
                assert!(error.to_string().contains("branch"), "{error}");
                assert_eq!(answered, None);
            }
            other => panic!("{is}: {other:?}"),
        }
    }
    peer.send(incoming("OPTIONS", BRANCH));
    assert_eq!(peer.expect("SIP/2.0 200"), ok);
}

#[test]
fn a_retransmission_is_answered_where_it_came_from() {
    let mut peer = udp();
    peer.send(incoming("OPTIONS", BRANCH));
    let (id, options) = peer.expect_request();
    peer.respond(id, &options, 200);
    peer.expect("SIP/2.0 200");
    // A NAT gave the client another port.
    let moved = "10.0.0.2:6000".parse().expect("an address");
    peer.send_from(moved, incoming("OPTIONS", BRANCH));
    peer.drain();
    let sent = peer.sent.front().expect("the response").to.clone();
    assert_eq!(sent, support::Exit::Datagram(moved));
    let ok = peer.expect("SIP/2.0 200");
    assert_eq!(ok.via().expect("Via").rport(), Some(Some(6000)));
}
