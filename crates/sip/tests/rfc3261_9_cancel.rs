//! CANCEL: RFC 3261 §9.

mod support;

use callwright_sip::core::{CoreEvent, TransactionId, TransportError};
use callwright_sip_message::{Builder, HeaderName, Message, Method};
use support::core::{incoming, udp};

const BRANCH: &str = "z9hG4bKpeer5";

fn reason() -> Vec<(HeaderName, String)> {
    vec![(
        HeaderName::Reason,
        "SIP;cause=200;text=\"Call completed elsewhere\"".to_owned(),
    )]
}

fn cancelled(response: &Message, cancel: &Message) -> Message {
    Builder::response_to(cancel, 200, "OK")
        .to_tag(&response.to_tag().unwrap_or_default())
        .finish()
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    let cancel_id = peer
        .node
        .cancel(peer.now, id, &reason(), None)
        .expect("it is pending");
    peer.drain();
    peer.expect_nothing();
    peer.expect_retransmit(500);
    peer.reply(&invite, 100);
    let cancel = peer.expect("CANCEL sip:bob@10.0.0.2 SIP/2.0\r\n");
    assert_eq!(cancel.header(HeaderName::Via), invite.header(HeaderName::Via));
    assert_eq!(cancel.header(HeaderName::CSeq).as_deref(), Some("7 CANCEL"));
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
        assert_eq!(cancel.header(name.clone()), invite.header(name));
    }
    assert!(cancel.header(HeaderName::Reason).is_some());
    assert_eq!(cancel.validate(), Ok(()));
    peer.expect_response(id, 100);

    peer.expect_retransmit(500);
    let ok = cancelled(&invite, &cancel);
    peer.send(ok.raw().clone());
    peer.expect_response(cancel_id, 200);
    peer.reply(&invite, 487);
    peer.expect("ACK");
    peer.expect_response(id, 487);
    peer.wait(32_000);
    peer.expect_ended(TransactionId::Client(cancel_id));
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
}

#[test]
fn a_final_response_makes_a_waiting_cancel_needless() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    let cancel = peer.node.cancel(peer.now, id, &[], None).expect("it is pending");
    peer.reply(&invite, 200);
    peer.expect_nothing();
    peer.expect_response(id, 200);
    peer.expect_ended(TransactionId::Client(cancel));
    assert_eq!(peer.node.cancel(peer.now, id, &[], None), None);
}

#[test]
fn a_cancelled_invite_that_nobody_answers_ends_after_64_t1() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    peer.reply(&invite, 180);
    peer.expect_response(id, 180);
    let cancel_id = peer.node.cancel(peer.now, id, &[], None).expect("it is pending");
    assert_eq!(peer.node.cancel(peer.now, id, &[], None), None, "once is enough");
    peer.drain();
    let cancel = peer.expect("CANCEL");
    let ok = cancelled(&invite, &cancel);
    peer.send(ok.raw().clone());
    peer.expect_response(cancel_id, 200);
    peer.wait(31_999);
    peer.expect_ended(TransactionId::Client(cancel_id));
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_timeout(TransactionId::Client(id), "CANCEL wait");
    peer.expect_settled();
}

#[test]
fn a_200_that_crosses_the_cancel_is_passed_up() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    peer.reply(&invite, 180);
    peer.expect_response(id, 180);
    peer.node.cancel(peer.now, id, &[], None).expect("it is pending");
    peer.drain();
    let cancel = peer.expect("CANCEL");
    peer.reply(&invite, 200);
    peer.expect_response(id, 200);
    peer.reply(&cancel, 481);
    peer.wait(32_000);
    while let Some(event) = peer.next_event() {
        assert!(!matches!(event, CoreEvent::TimedOut { .. }), "{event:?}");
    }
    peer.expect_settled();
}

#[test]
fn a_request_that_waits_for_the_resolver_is_cancelled_at_once() {
    let mut peer = udp();
    let target = callwright_sip::core::Target::new(support::core::uri("sip:example.com"));
    let id = peer
        .node
        .request(peer.now, support::core::request(Method::Invite), target, None)
        .expect("a request");
    assert_eq!(peer.node.cancel(peer.now, id, &[], None), None);
    match peer.node.poll_output() {
        Some(callwright_wire::Output::Resolve { .. }) => {}
        other => panic!("{other:?}"),
    }
    peer.drain();
    assert!(matches!(
        peer.next_event(),
        Some(CoreEvent::TransportFailed {
            error: TransportError::Cancelled,
            ..
        })
    ));
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
}

#[test]
fn a_server_answers_cancel_itself_and_tells() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    peer.respond(id, &invite, 180);
    let ringing = peer.expect("SIP/2.0 180");
    peer.send(incoming("CANCEL", BRANCH));
    let ok = peer.expect("SIP/2.0 200 OK\r\n");
    assert_eq!(ok.header(HeaderName::CSeq).as_deref(), Some("3 CANCEL"));
    assert_eq!(
        ok.to_tag(),
        ringing.to_tag(),
        "the same To tag as the INVITE's responses"
    );
    match peer.next_event() {
        Some(CoreEvent::Cancel { invite, .. }) => assert_eq!(invite, id),
        other => panic!("{other:?}"),
    }
    peer.respond(id, &invite, 487);
    peer.expect("SIP/2.0 487");
    peer.send(incoming("CANCEL", BRANCH));
    assert_eq!(
        peer.expect("SIP/2.0 200"),
        ok,
        "retransmissions are answered alike"
    );
    peer.expect_no_event();
}

#[test]
fn a_cancel_for_nothing_gets_481_and_one_too_late_200() {
    let mut peer = udp();
    peer.send(incoming("CANCEL", "z9hG4bKnothing"));
    peer.expect("SIP/2.0 481");
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    peer.respond(id, &invite, 486);
    peer.expect("SIP/2.0 486");
    peer.send(incoming("CANCEL", BRANCH));
    assert_eq!(peer.expect("SIP/2.0 200").to_tag().as_deref(), Some("alice"));
    peer.expect_no_event();
}

#[test]
fn a_cancel_that_crosses_the_ack_gets_the_to_tag_of_what_was_acknowledged() {
    for (status, acks) in [(486, 1), (486, 0), (200, 1), (200, 0)] {
        let mut peer = udp();
        peer.send(incoming("INVITE", BRANCH));
        let (id, invite) = peer.expect_request();
        peer.respond(id, &invite, status);
        peer.expect(&format!("SIP/2.0 {status}"));
        for _ in 0..acks {
            peer.send(incoming("ACK", BRANCH).replace("10.0.0.1>\r\n", "10.0.0.1>;tag=alice\r\n"));
            peer.node.settle_answer(id);
        }
        peer.events.clear();
        peer.send(incoming("CANCEL", BRANCH));
        let ok = peer.expect("SIP/2.0 200");
        assert_eq!(ok.to_tag().as_deref(), Some("alice"), "{acks} ACK to {status}");
        peer.expect_nothing();
        peer.expect_no_event();
        peer.wait(64_000);
        peer.expect_settled();
        peer.sent.clear();
        // Whatever is too late for that is for nothing.
        peer.send(incoming("CANCEL", BRANCH));
        peer.expect("SIP/2.0 481");
    }
}

#[test]
fn a_cancel_before_any_response_gets_the_tag_that_is_to_come() {
    let mut peer = udp();
    peer.send(incoming("INVITE", BRANCH));
    let (id, invite) = peer.expect_request();
    peer.node.expect_tag(id, "alice");
    peer.send(incoming("CANCEL", BRANCH));
    let ok = peer.expect("SIP/2.0 200");
    peer.respond(id, &invite, 487);
    assert_eq!(ok.to_tag(), peer.expect("SIP/2.0 487").to_tag());
}
