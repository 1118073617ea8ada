//! The INVITE client transaction on the wire: RFC 3261 §17.1.1.

mod support;

use callwright_sip::core::{CoreEvent, TransactionId, TransportError};
use callwright_sip_message::{HeaderName, Method};
use support::core::udp;

#[test]
fn timer_a_doubles_until_timer_b_ends_it_at_32_s() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    peer.expect("INVITE sip:bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK");
    for interval in [500, 1_000, 2_000, 4_000, 8_000, 16_000] {
        peer.expect_retransmit(interval);
    }
    // 31,500 ms have passed.
    peer.wait(499);
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_timeout(TransactionId::Client(id), "Timer B");
    peer.expect_nothing();
    peer.expect_settled();
}

#[test]
fn a_provisional_response_stops_retransmission_and_timeout() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    peer.wait(499);
    peer.reply(&invite, 180);
    peer.expect_response(id, 180);
    peer.expect_silence(600_000);
    peer.reply(&invite, 183);
    peer.expect_response(id, 183);
    peer.reply(&invite, 486);
    peer.expect("ACK");
    peer.expect_response(id, 486);
}

#[test]
fn the_ack_to_a_failure_has_the_branch_route_and_number_of_its_invite() {
    let mut peer = udp();
    let routed = support::core::request(Method::Invite).message().to_builder();
    let routed = routed
        .header(HeaderName::Route, "<sip:10.0.0.2;lr>")
        .header(HeaderName::Route, "<sip:10.0.0.3;lr>");
    let id = peer.request_to(routed.finish().into(), "sip:10.0.0.2");
    let invite = peer.expect("INVITE");
    peer.reply(&invite, 486);
    let ack = peer.expect("ACK sip:bob@10.0.0.2 SIP/2.0\r\n");
    assert_eq!(ack.header(HeaderName::Via), invite.header(HeaderName::Via));
    assert_eq!(
        ack.headers(HeaderName::Route).collect::<Vec<_>>(),
        ["<sip:10.0.0.2;lr>", "<sip:10.0.0.3;lr>"]
    );
    assert_eq!(ack.header(HeaderName::CSeq).as_deref(), Some("7 ACK"));
    assert_eq!(ack.header(HeaderName::From), invite.header(HeaderName::From));
    assert_eq!(ack.header(HeaderName::CallId), invite.header(HeaderName::CallId));
    assert_eq!(ack.to_tag().as_deref(), Some("peer"));
    assert_eq!(ack.headers(HeaderName::Via).count(), 1);
    assert_eq!(ack.validate(), Ok(()));
    peer.expect_response(id, 486);
}

#[test]
fn a_failure_that_comes_again_is_acknowledged_again_for_32_s() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    peer.reply(&invite, 486);
    let ack = peer.expect("ACK");
    peer.expect_response(id, 486);
    peer.wait(31_999);
    peer.expect_no_event();
    peer.reply(&invite, 486);
    assert_eq!(peer.expect("ACK"), ack);
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
    // Timer D is over: a later one is nobody's.
    peer.reply(&invite, 486);
    peer.expect_nothing();
    peer.expect_no_event();
    assert_eq!(peer.node.counters().stray_responses, 1);
}

#[test]
fn late_responses_of_another_class_are_dropped_once_completed() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    peer.reply(&invite, 486);
    peer.expect("ACK");
    peer.expect_response(id, 486);
    peer.reply(&invite, 180);
    peer.reply(&invite, 200);
    peer.expect_nothing();
    peer.expect_no_event();
}

#[test]
fn port_unreachable_ends_it_with_the_peer_named() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    peer.expect("INVITE");
    let (socket, _) = peer.sockets[0];
    peer.input(callwright_wire::Input::Unreachable {
        socket,
        remote: peer.address,
    });
    match peer.next_event() {
        Some(CoreEvent::TransportFailed { error, .. }) => {
            assert_eq!(error, TransportError::Unreachable { remote: peer.address });
            assert_eq!(
                error.to_string(),
                "10.0.0.2:5060 over UDP: port unreachable; nobody listens there"
            );
        }
        other => panic!("{other:?}"),
    }
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
}

#[test]
fn t1_scales_all_of_it() {
    let mut config = callwright_sip::core::CoreConfig::default();
    config.timers.t1 = std::time::Duration::from_millis(100);
    let mut peer = support::core::with(config);
    let id = peer.request(Method::Invite);
    peer.expect("INVITE");
    for interval in [100, 200, 400, 800, 1_600, 3_200] {
        peer.expect_retransmit(interval);
    }
    peer.wait(99);
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_timeout(TransactionId::Client(id), "Timer B");
}
