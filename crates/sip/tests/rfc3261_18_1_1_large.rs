//! Requests too large for a datagram: RFC 3261 §18.1.1. And the addresses that the core fills in.

mod support;

use callwright_sip::core::{CoreConfig, CoreEvent, LocalContact};
use callwright_sip_message::{HeaderName, Method};
use callwright_wire::{ConnectionError, DnsQuery, DnsRecord, Transport};
use support::core::{incoming, request, sized_request, udp, udp_and_tcp, with};
use support::{Exit, LOCAL, PEER};

#[test]
fn above_1300_bytes_a_request_goes_over_tcp_and_its_via_says_so() {
    let mut peer = udp_and_tcp();
    peer.request_to(sized_request(Method::Invite, 1_300), "sip:10.0.0.2");
    assert_eq!(peer.connects[0].remote, PEER.parse().expect("a literal"));
    peer.accept();
    let invite = peer.expect("INVITE");
    assert!(
        invite
            .header(HeaderName::Via)
            .expect("a Via")
            .starts_with("SIP/2.0/TCP ")
    );
}

#[test]
fn where_tcp_is_refused_it_goes_over_udp_after_all_and_at_once_the_next_time() {
    let mut peer = udp_and_tcp();
    let id = peer.request_to(sized_request(Method::Invite, 1_300), "sip:10.0.0.2");
    peer.refuse(ConnectionError::Refused);
    assert_eq!(peer.sent[0].to, Exit::Datagram(peer.address));
    let invite = peer.expect("INVITE");
    assert!(
        invite
            .header(HeaderName::Via)
            .expect("a Via")
            .starts_with("SIP/2.0/UDP ")
    );
    peer.expect_retransmit(500);
    peer.reply(&invite, 486);
    peer.expect("ACK");
    peer.expect_response(id, 486);
    peer.request_to(sized_request(Method::Invite, 1_300), "sip:10.0.0.2");
    peer.expect("INVITE");
    assert!(peer.connects.is_empty());
}

#[test]
fn what_fits_stays_on_udp_up_to_the_limit_with_what_the_core_adds() {
    let mut peer = udp_and_tcp();
    let empty = request(Method::Message).message().raw().len();
    for body in [100, 1_300 - 160 - empty - 60] {
        peer.request_to(sized_request(Method::Message, body), "sip:10.0.0.2");
        let sent = peer.sent[0].bytes.len();
        assert!(sent <= 1_300, "{sent}");
        assert_eq!(peer.sent[0].to, Exit::Datagram(peer.address));
        peer.sent.clear();
    }
    let mut peer = with(CoreConfig {
        large_request: usize::MAX,
        ..CoreConfig::default()
    });
    peer.request_to(sized_request(Method::Message, 20_000), "sip:10.0.0.2");
    peer.expect("MESSAGE");
}

#[test]
fn behind_a_wildcard_the_route_gives_the_address_and_is_asked_once() {
    let wildcard = "0.0.0.0:5060".parse().expect("a literal");
    let mut bound = support::Peer::around(callwright_sip::core::Core::new(
        CoreConfig::default(),
        callwright_wire::Seed::from_number(2).stream(),
    ));
    bound.node.listen(Transport::Udp, wildcard);
    bound.drain();
    bound.events.clear();
    let route = DnsQuery::Route("10.0.0.2".parse().expect("a literal"));
    let address = DnsRecord::Address("10.0.0.1".parse().expect("a literal"));
    bound.zone.insert(route.clone(), Ok(vec![address]));
    for _ in 0..2 {
        let contact = LocalContact {
            user: Some("alice".to_owned()),
            ..LocalContact::default()
        };
        bound.request_to(request(Method::Invite).with_contact(contact), "sip:10.0.0.2");
        let invite = bound.expect("INVITE");
        assert!(
            invite
                .header(HeaderName::Via)
                .expect("a Via")
                .starts_with("SIP/2.0/UDP 10.0.0.1:5060;")
        );
        assert_eq!(
            invite.header(HeaderName::Contact).as_deref(),
            Some("<sip:alice@10.0.0.1:5060>")
        );
    }
    assert_eq!(bound.asked, [route]);
    // Without an answer nothing can be sent.
    bound.request_to(request(Method::Invite), "sip:10.9.9.9");
    match bound.next_event() {
        Some(CoreEvent::TransportFailed { error, .. }) => {
            assert_eq!(error.to_string(), "no route to 10.9.9.9:5060")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn contact_names_the_transport_and_the_listener() {
    let mut peer = udp_and_tcp();
    let contact = LocalContact {
        user: Some("alice".to_owned()),
        secure: false,
        uri_params: ";ob".to_owned(),
        params: ";expires=60".to_owned(),
    };
    peer.request_to(
        request(Method::Register).with_contact(contact.clone()),
        "sip:10.0.0.2;transport=tcp",
    );
    let connection = peer.accept();
    let register = peer.expect("REGISTER");
    let expected = format!("<sip:alice@{LOCAL};transport=tcp;ob>;expires=60");
    assert_eq!(
        register.header(HeaderName::Contact).as_deref(),
        Some(expected.as_str())
    );
    // In a response too.
    peer.write(connection, incoming("INVITE", "z9hG4bKa").replace("/UDP", "/TCP"));
    let (id, invite) = peer.expect_request();
    let ok = callwright_sip_message::Builder::response_to(&invite, 200, "OK").finish();
    let ok = callwright_sip::core::Outgoing::new(ok).with_contact(contact);
    peer.node.respond(peer.now, id, ok, None).expect("it is pending");
    peer.drain();
    assert_eq!(
        peer.expect("SIP/2.0 200").header(HeaderName::Contact).as_deref(),
        Some(expected.as_str())
    );
}

#[test]
fn without_a_socket_of_the_family_it_fails_with_the_reason() {
    let mut peer = udp();
    peer.request_to(request(Method::Options), "sip:[2001:db8::1]");
    match peer.next_event() {
        Some(CoreEvent::TransportFailed { error, .. }) => {
            assert_eq!(
                error.to_string(),
                "no UDP socket for [2001:db8::1]:5060: listen on one first"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(peer.next_event(), Some(CoreEvent::Ended { .. })));
    peer.expect_settled();
}

#[test]
fn ipv6_is_written_in_brackets() {
    let mut peer = udp();
    peer.node
        .listen(Transport::Udp, "[2001:db8::2]:5060".parse().expect("a literal"));
    peer.drain();
    peer.request_to(request(Method::Options), "sip:[2001:db8::1]:5070");
    assert_eq!(
        peer.sent[0].to,
        Exit::Datagram("[2001:db8::1]:5070".parse().expect("a literal"))
    );
    let options = peer.expect("OPTIONS");
    assert!(
        options
            .header(HeaderName::Via)
            .expect("a Via")
            .starts_with("SIP/2.0/UDP [2001:db8::2]:5060;")
    );
}
