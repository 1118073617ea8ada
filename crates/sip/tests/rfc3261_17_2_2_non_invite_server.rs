//! The non-INVITE server transaction on the wire: RFC 3261 §17.2.2.

mod support;

use callwright_sip::core::TransactionId;
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
