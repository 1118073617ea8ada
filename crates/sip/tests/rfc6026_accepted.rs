//! The Accepted states: RFC 6026 §7, and what a 2xx means for the layer above (RFC 3261 §13.2.2.4, §13.3.1.4).

mod support;

use callwright_sip::core::{CoreEvent, Target, TransactionId};
use callwright_sip_message::{Builder, Method};
use support::core::{incoming, request, udp, uri};

const BRANCH: &str = "z9hG4bKpeer3";

#[test]
fn a_client_passes_every_2xx_up_until_timer_m_at_32_s() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    peer.reply(&invite, 200);
    peer.expect_response(id, 200);
    peer.expect_silence(500);
    // A retransmission, and another branch of a fork.
    peer.reply(&invite, 200);
    peer.expect_response(id, 200);
    let other = Builder::response_to(&invite, 200, "OK").to_tag("other").finish();
    peer.send(other.raw().clone());
    assert_eq!(peer.expect_response(id, 200).to_tag().as_deref(), Some("other"));
    // Anything else is dropped.
    peer.reply(&invite, 180);
    peer.reply(&invite, 486);
    peer.expect_nothing();
    peer.expect_no_event();
    peer.wait(31_499);
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
}

#[test]
fn a_2xx_after_the_end_still_reaches_the_layer_above() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    peer.reply(&invite, 200);
    peer.expect_response(id, 200);
    peer.wait(32_000);
    peer.expect_ended(TransactionId::Client(id));
    peer.reply(&invite, 200);
    assert!(matches!(peer.next_event(), Some(CoreEvent::StrayAnswer { .. })));
    peer.reply(&invite, 486);
    peer.expect_no_event();
    assert_eq!(peer.node.counters().stray_responses, 2);
}

#[test]
fn the_ack_to_a_2xx_is_a_request_of_its_own() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    peer.reply(&invite, 200);
    peer.expect_response(id, 200);
    let target = Target::new(uri("sip:10.0.0.9:5070"));
    peer.node.send_ack(peer.now, request(Method::Ack), target, None);
    peer.drain();
    let sent = peer.sent.front().expect("the ACK").to.clone();
    assert_eq!(
        sent,
        support::Exit::Datagram("10.0.0.9:5070".parse().expect("a literal"))
    );
    let ack = peer.expect("ACK sip:bob@10.0.0.2 SIP/2.0");
    assert_ne!(
        ack.via().expect("a Via").branch(),
        invite.via().expect("a Via").branch()
    );
    peer.expect_no_event();
    assert_eq!(peer.node.residue().transactions, 1, "only the INVITE");
}

#[test]
fn a_server_absorbs_the_invite_after_its_2xx_until_timer_l_at_32_s() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    let bytes = peer.respond(id, &invite, 200);
    let ok = peer.expect("SIP/2.0 200");
    assert_eq!(&bytes, ok.raw());
    // The transaction repeats nothing by itself, and answers nothing.
    peer.wait(500);
    peer.send(incoming("INVITE", BRANCH));
    peer.expect_nothing();
    // The layer above does.
    assert!(peer.node.resend(peer.now, id, bytes.clone(), None));
    peer.drain();
    assert_eq!(peer.expect("SIP/2.0 200"), ok);
    peer.wait(31_499);
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_ended(TransactionId::Server(id));
    peer.expect_settled();
    assert!(!peer.node.resend(peer.now, id, bytes, None));
}

#[test]
fn the_ack_to_a_2xx_reaches_the_layer_above_whatever_its_branch() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    peer.respond(id, &invite, 200);
    peer.expect("SIP/2.0 200");
    peer.send(incoming("ACK", "z9hG4bKack"));
    assert!(matches!(peer.next_event(), Some(CoreEvent::Ack { .. })));
    // RFC 6026 §7.1: a client that takes the branch of the INVITE.
    peer.send(incoming("ACK", BRANCH));
    assert!(matches!(peer.next_event(), Some(CoreEvent::Ack { .. })));
    peer.expect_no_event();
}

#[test]
fn what_was_acknowledged_is_not_sent_again_and_goes_on_absorbing() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    let bytes = peer.respond(id, &invite, 200);
    peer.expect("SIP/2.0 200");
    peer.node.settle_answer(id);
    assert!(!peer.node.resend(peer.now, id, bytes, None));
    let again = Builder::response_to(&invite, 200, "OK").finish();
    let refused = peer.node.respond(peer.now, id, again, None);
    assert_eq!(refused, Err(callwright_sip::core::RespondError::AlreadyAnswered));
    peer.send(incoming("INVITE", BRANCH));
    peer.send(incoming("CANCEL", BRANCH));
    peer.expect("SIP/2.0 200");
    peer.send(incoming("ACK", BRANCH));
    assert!(matches!(peer.next_event(), Some(CoreEvent::Ack { .. })));
    peer.expect_nothing();
    peer.wait(31_999);
    peer.expect_no_event();
    peer.send(incoming("INVITE", BRANCH));
    peer.expect_nothing();
    peer.wait(1);
    while let Some(event) = peer.next_event() {
        assert!(matches!(event, CoreEvent::Ended { .. }), "{event:?}");
    }
    peer.expect_settled();
}
