//! Which message belongs to which transaction: RFC 3261 §17.1.3, §17.2.3, §8.2.2.2, §18.1.2.

mod support;

use callwright_sip::core::CoreEvent;
use callwright_sip_message::{Builder, HeaderName, Method};
use support::core::{incoming, udp};

#[test]
fn a_response_with_a_foreign_branch_is_dropped_and_counted() {
    let mut peer = udp();
    peer.request(Method::Options);
    let options = peer.expect("OPTIONS");
    let branch = options
        .via()
        .expect("a Via")
        .branch()
        .expect("a branch")
        .to_owned();
    let ok = Builder::response_to(&options, 200, "OK")
        .to_tag("peer")
        .finish()
        .to_string();
    let last = if branch.as_bytes()[8] == b'0' { "1" } else { "0" };
    let forged = format!("{}{last}{}", &branch[..8], &branch[9..]);
    for foreign in [
        "z9hG4bKforeign",
        "z9hG4bK",
        "1",
        &forged,
        "z9hG4bKffffffffffffffffffffffffffff",
    ] {
        peer.send(ok.replace(&branch, foreign));
    }
    peer.send(ok.replace(&format!(";branch={branch}"), ""));
    peer.expect_no_event();
    assert_eq!(peer.node.counters().stray_responses, 6);
}

#[test]
fn a_response_with_a_second_via_was_meant_for_somebody_else() {
    let mut peer = udp();
    peer.request(Method::Options);
    let options = peer.expect("OPTIONS");
    let ok = Builder::response_to(&options, 200, "OK")
        .header(HeaderName::Via, "SIP/2.0/UDP other;branch=z9hG4bK1");
    peer.send(ok.finish().raw().clone());
    peer.expect_no_event();
    assert_eq!(peer.node.counters().stray_responses, 1);
}

#[test]
fn the_method_in_cseq_counts() {
    let mut peer = udp();
    let id = peer.request(Method::Invite);
    let invite = peer.expect("INVITE");
    let of_cancel = Builder::response_to(&invite, 200, "OK")
        .set(HeaderName::CSeq, "7 CANCEL")
        .finish();
    peer.send(of_cancel.raw().clone());
    peer.expect_no_event();
    peer.reply(&invite, 180);
    peer.expect_response(id, 180);
}

#[test]
fn two_requests_differ_by_branch_sent_by_or_method() {
    let mut peer = udp();
    let first = incoming("OPTIONS", "z9hG4bKa");
    peer.send(first.clone());
    peer.send(incoming("OPTIONS", "z9hG4bKb"));
    peer.send(first.replace("UDP 10.0.0.2:5060", "UDP 10.0.0.2:5061"));
    peer.send(first.replace("UDP 10.0.0.2:5060", "UDP other.example"));
    peer.send(first.replace("OPTIONS", "MESSAGE"));
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..5 {
        ids.insert(peer.expect_request().0);
    }
    assert_eq!(ids.len(), 5);
    // The host of sent-by compares without regard to case.
    peer.send(first.replace("UDP 10.0.0.2:5060", "UDP OTHER.example"));
    peer.expect_no_event();
}

#[test]
fn the_branches_of_one_request_are_told_apart_from_a_merged_one() {
    let mut peer = udp();
    peer.send(incoming("INVITE", "z9hG4bKa"));
    match peer.next_event() {
        Some(CoreEvent::Request { merged, .. }) => assert!(!merged),
        other => panic!("{other:?}"),
    }
    peer.send(incoming("INVITE", "z9hG4bKb"));
    match peer.next_event() {
        Some(CoreEvent::Request { merged, .. }) => {
            assert!(merged, "the same From tag, Call-ID and CSeq by another way")
        }
        other => panic!("{other:?}"),
    }
    let other_call = incoming("INVITE", "z9hG4bKc").replace("call-2", "call-3");
    peer.send(other_call);
    match peer.next_event() {
        Some(CoreEvent::Request { merged, .. }) => assert!(!merged),
        other => panic!("{other:?}"),
    }
}

#[test]
fn clients_of_rfc_2543_are_matched_by_their_header_fields() {
    let mut peer = udp();
    let invite = incoming("INVITE", "old").replace(";branch=old", "");
    peer.send(invite.clone());
    let (id, request) = peer.expect_request();
    peer.send(invite.clone());
    peer.expect_no_event();
    peer.respond(id, &request, 486);
    peer.expect("SIP/2.0 486");
    // The ACK has the To tag of the response, which the INVITE had not.
    let ack = invite
        .replace("INVITE", "ACK")
        .replace("To: <sip:alice@10.0.0.1>", "To: <sip:alice@10.0.0.1>;tag=alice");
    peer.send(ack);
    peer.expect_silence(4_999);
    peer.wait(1);
    peer.expect_ended(callwright_sip::core::TransactionId::Server(id));
    // Another CSeq is another request.
    peer.send(invite.replace("CSeq: 3", "CSeq: 4"));
    peer.expect_request();
}

#[test]
fn branches_are_never_used_twice() {
    let mut peer = udp();
    let mut branches = std::collections::BTreeSet::new();
    for _ in 0..1_000 {
        peer.request(Method::Options);
        let options = peer.expect("OPTIONS");
        let branch = options
            .via()
            .expect("a Via")
            .branch()
            .expect("a branch")
            .to_owned();
        assert!(branch.starts_with("z9hG4bK"));
        assert!(branches.insert(branch));
        peer.reply(&options, 200);
        peer.wait(5_000);
    }
    peer.expect_settled();
}

#[test]
fn a_branch_of_nothing_but_the_cookie_says_nothing() {
    // RFC 4475 §3.2.1: no two requests with it are the same for that.
    let mut peer = udp();
    let first = incoming("OPTIONS", "z9hG4bK");
    peer.send(first.clone());
    peer.expect_request();
    peer.send(first.replace("call-2", "call-3"));
    peer.expect_request();
    peer.send(first);
    peer.expect_no_event();
}
