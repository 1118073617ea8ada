//! The INVITE server transaction on the wire: RFC 3261 §17.2.1.

mod support;

use callwright_sip::core::{CoreEvent, RespondError, TransactionId};
use callwright_sip_message::Builder;
use support::core::{incoming, udp};

const BRANCH: &str = "z9hG4bKpeer1";

#[test]
fn after_200_ms_without_an_answer_it_says_100_itself() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (_, invite) = peer.expect_request();
    assert_eq!(invite.to_string(), incoming("INVITE", BRANCH));
    peer.expect_silence(199);
    peer.wait(1);
    let trying = peer.expect("SIP/2.0 100 Trying\r\n");
    assert!(trying.to_tag().is_none());
    peer.send(incoming("INVITE", BRANCH));
    assert_eq!(peer.expect("SIP/2.0 100"), trying);
    peer.expect_no_event();
}

#[test]
fn an_answer_within_200_ms_leaves_100_out() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    peer.respond(id, &invite, 180);
    peer.expect("SIP/2.0 180");
    peer.expect_silence(10_000);
    peer.send(incoming("INVITE", BRANCH));
    peer.expect("SIP/2.0 180");
    peer.expect_no_event();
}

#[test]
fn timer_g_doubles_up_to_t2_until_timer_h_ends_it_at_32_s() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    peer.respond(id, &invite, 486);
    peer.expect("SIP/2.0 486");
    for interval in [500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000] {
        peer.expect_retransmit(interval);
    }
    peer.wait(499);
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_timeout(TransactionId::Server(id), "Timer H");
    peer.expect_settled();
}

#[test]
fn the_ack_stops_timer_g_and_timer_i_absorbs_more_for_t4() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    peer.respond(id, &invite, 486);
    peer.expect("SIP/2.0 486");
    peer.expect_retransmit(500);
    peer.send(incoming("ACK", BRANCH));
    peer.expect_silence(4_999);
    peer.send(incoming("ACK", BRANCH));
    peer.send(incoming("INVITE", BRANCH));
    peer.expect_nothing();
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_ended(TransactionId::Server(id));
    peer.expect_settled();
}

#[test]
fn a_retransmitted_invite_gets_the_final_response_again() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    peer.respond(id, &invite, 603);
    let response = peer.expect("SIP/2.0 603");
    peer.wait(100);
    peer.send(incoming("INVITE", BRANCH));
    assert_eq!(peer.expect("SIP/2.0 603"), response);
    peer.expect_no_event();
}

#[test]
fn a_second_final_response_is_the_callers_mistake() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    peer.respond(id, &invite, 486);
    peer.expect("SIP/2.0 486");
    let ok = Builder::response_to(&invite, 200, "OK").finish();
    assert_eq!(
        peer.node.respond(peer.now, id, ok, None),
        Err(RespondError::AlreadyAnswered)
    );
    peer.drain();
    peer.expect_nothing();
}

#[test]
fn an_ack_before_any_final_response_changes_nothing() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    peer.send(incoming("ACK", BRANCH));
    peer.expect_no_event();
    peer.respond(id, &invite, 404);
    peer.expect("SIP/2.0 404");
    peer.expect_retransmit(500);
}

#[test]
fn every_message_is_seen_with_its_transaction() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let CoreEvent::Seen(seen) = peer.events.pop_front().expect("an event") else {
        panic!("not seen")
    };
    assert_eq!(&seen.bytes[..], incoming("INVITE", BRANCH).as_bytes());
    let (id, invite) = peer.expect_request();
    assert_eq!(seen.transaction, Some(TransactionId::Server(id)));
    peer.respond(id, &invite, 486);
    peer.wait(500);
    let seen: Vec<_> = peer
        .events
        .iter()
        .filter_map(|event| match event {
            CoreEvent::Seen(seen) => Some((seen.retransmission, seen.transaction)),
            _ => None,
        })
        .collect();
    assert_eq!(
        seen,
        [
            (false, Some(TransactionId::Server(id))),
            (true, Some(TransactionId::Server(id)))
        ]
    );
}
