//! The next server when one fails: RFC 3263 §4.3, through the core.

mod support;

use callwright_sip::core::{Core, CoreEvent, TransactionId};
use callwright_sip_message::{Builder, HeaderName, Method};
use callwright_wire::{ConnectionError, DnsQuery, Input};
use support::core::{request, udp_and_tcp};
use support::{Exit, Peer};

/// A core that knows two servers of `example.com`.
fn two_servers() -> Peer<Core> {
    let mut peer = udp_and_tcp();
    peer.know_two_servers();
    peer
}

const TARGET: &str = "sip:example.com;transport=udp";

fn to(address: &str) -> Exit {
    Exit::Datagram(address.parse().expect("a literal"))
}

#[test]
fn a_timeout_goes_on_to_the_next_server_with_a_new_branch() {
    let mut peer = two_servers();
    let id = peer.request_to(request(Method::Invite), TARGET);
    assert_eq!(peer.sent[0].to, to("10.0.0.2:5060"));
    let first = peer.expect("INVITE");
    peer.wait(32_000);
    peer.sent.retain(|sent| sent.to == to("10.0.0.3:5060"));
    let second = peer.expect("INVITE");
    assert_ne!(
        first.via().expect("a Via").branch(),
        second.via().expect("a Via").branch()
    );
    for name in [HeaderName::CallId, HeaderName::CSeq, HeaderName::From] {
        assert_eq!(first.header(name.clone()), second.header(name));
    }
    peer.expect_no_event();
    peer.wait(32_000);
    peer.expect_timeout(TransactionId::Client(id), "Timer B");
    peer.expect_settled();
}

#[test]
fn port_unreachable_goes_on_at_once() {
    let mut peer = two_servers();
    let id = peer.request_to(request(Method::Options), TARGET);
    peer.expect("OPTIONS");
    let (socket, _) = peer.sockets[0];
    peer.input(Input::Unreachable {
        socket,
        remote: "10.0.0.2:5060".parse().expect("a literal"),
    });
    assert_eq!(peer.sent[0].to, to("10.0.0.3:5060"));
    let options = peer.expect("OPTIONS");
    peer.reply(&options, 200);
    peer.expect_response(id, 200);
}

#[test]
fn a_503_goes_on_and_its_retransmissions_are_still_acknowledged() {
    let mut peer = two_servers();
    let id = peer.request_to(request(Method::Invite), TARGET);
    let first = peer.expect("INVITE");
    peer.reply(&first, 503);
    assert_eq!(peer.sent[0].to, to("10.0.0.2:5060"));
    let ack = peer.expect("ACK");
    assert_eq!(peer.sent[0].to, to("10.0.0.3:5060"));
    let second = peer.expect("INVITE");
    peer.expect_no_event();
    peer.reply(&first, 503);
    assert_eq!(peer.expect("ACK"), ack);
    peer.reply(&second, 200);
    peer.expect_response(id, 200);
    peer.wait(32_000);
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
}

#[test]
fn the_last_servers_503_is_passed_up() {
    let mut peer = two_servers();
    let id = peer.request_to(request(Method::Options), TARGET);
    for _ in 0..2 {
        let options = peer.expect("OPTIONS");
        peer.reply(&options, 503);
    }
    peer.expect_response(id, 503);
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
}

#[test]
fn after_any_other_response_the_server_stays() {
    let mut peer = two_servers();
    let id = peer.request_to(request(Method::Invite), TARGET);
    let invite = peer.expect("INVITE");
    peer.reply(&invite, 100);
    peer.expect_response(id, 100);
    peer.reply(&invite, 503);
    peer.expect("ACK");
    peer.expect_response(id, 503);
    peer.expect_nothing();
}

#[test]
fn a_cancelled_request_goes_nowhere_else() {
    let mut peer = two_servers();
    let id = peer.request_to(request(Method::Invite), TARGET);
    peer.expect("INVITE");
    let cancel = peer.node.cancel(peer.now, id, &[], None).expect("it is pending");
    peer.wait(32_000);
    assert!(peer.sent.iter().all(|sent| sent.to == to("10.0.0.2:5060")));
    peer.expect_timeout(TransactionId::Client(id), "Timer B");
    peer.expect_ended(TransactionId::Client(cancel));
    peer.expect_settled();
}

#[test]
fn a_refused_connection_goes_on() {
    let mut peer = two_servers();
    let udp = peer.zone[&DnsQuery::Srv("_sip._udp.example.com".to_owned())].clone();
    peer.zone
        .insert(DnsQuery::Srv("_sip._tcp.example.com".to_owned()), udp);
    let id = peer.request_to(request(Method::Options), "sip:example.com;transport=tcp");
    peer.refuse(ConnectionError::Refused);
    assert_eq!(
        peer.connects[0].remote,
        "10.0.0.3:5060".parse().expect("a literal")
    );
    let connection = peer.accept();
    let options = peer.expect("OPTIONS");
    let ok = Builder::response_to(&options, 200, "OK").finish();
    peer.write(connection, ok.raw().clone());
    peer.expect_response(id, 200);
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
}

#[test]
fn a_name_that_does_not_exist_fails_with_its_name() {
    let mut peer = udp_and_tcp();
    let id = peer.request_to(request(Method::Options), "sip:nowhere.example");
    match peer.next_event() {
        Some(CoreEvent::TransportFailed { error, .. }) => {
            assert_eq!(
                error.to_string(),
                "no address to send to: nowhere.example: no such name"
            );
        }
        other => panic!("{other:?}"),
    }
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
}
