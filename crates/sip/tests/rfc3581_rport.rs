//! Where responses go: RFC 3261 §18.2, RFC 3581.

mod support;

use callwright_sip_message::Message;
use callwright_wire::Transport;
use support::Exit;
use support::core::{incoming, udp, udp_and_tcp};

fn via(message: &Message) -> String {
    message
        .header(callwright_sip_message::HeaderName::Via)
        .expect("a Via")
        .into_owned()
}

#[test]
fn our_own_via_asks_for_rport() {
    let mut peer = udp();
    peer.request(callwright_sip_message::Method::Options);
    let text = via(&peer.expect("OPTIONS"));
    assert!(
        text.starts_with("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK") && text.ends_with(";rport"),
        "{text}"
    );
}

#[test]
fn a_response_goes_to_the_source_and_its_via_says_so() {
    let mut peer = udp();
    let nat = "192.0.2.7:33333".parse().expect("a literal");
    peer.send_from(nat, incoming("OPTIONS", "z9hG4bKa"));
    let (id, options) = peer.expect_request();
    peer.respond(id, &options, 200);
    assert_eq!(peer.sent[0].to, Exit::Datagram(nat));
    let text = via(&peer.expect("SIP/2.0 200"));
    assert_eq!(
        text,
        "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKa;received=192.0.2.7;rport=33333"
    );
}

#[test]
fn with_rport_received_is_written_even_when_it_is_the_same() {
    let mut peer = udp();
    peer.send(incoming("OPTIONS", "z9hG4bKa"));
    let (id, options) = peer.expect_request();
    peer.respond(id, &options, 200);
    let text = via(&peer.expect("SIP/2.0 200"));
    assert_eq!(
        text,
        "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKa;received=10.0.0.2;rport=5060"
    );
}

#[test]
fn without_rport_the_port_of_sent_by_is_used_and_received_only_where_it_differs() {
    let mut peer = udp();
    let plain = incoming("OPTIONS", "z9hG4bKa").replace(";rport", "");
    peer.send_from("10.0.0.2:33333".parse().expect("a literal"), plain.clone());
    let (id, options) = peer.expect_request();
    peer.respond(id, &options, 200);
    assert_eq!(
        peer.sent[0].to,
        Exit::Datagram(peer.address),
        "the port of sent-by, not of the source"
    );
    assert_eq!(
        via(&peer.expect("SIP/2.0 200")),
        "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKa"
    );

    let no_port = plain.replace("10.0.0.2:5060;branch=z9hG4bKa", "pbx.example;branch=z9hG4bKb");
    peer.send_from("10.0.0.7:33333".parse().expect("a literal"), no_port);
    let (id, options) = peer.expect_request();
    peer.respond(id, &options, 200);
    assert_eq!(
        peer.sent[0].to,
        Exit::Datagram("10.0.0.7:5060".parse().expect("a literal"))
    );
    assert_eq!(
        via(&peer.expect("SIP/2.0 200")),
        "SIP/2.0/UDP pbx.example;branch=z9hG4bKb;received=10.0.0.7"
    );
}

#[test]
fn what_the_peer_wrote_into_received_and_rport_is_not_believed() {
    let mut peer = udp();
    let forged = incoming("OPTIONS", "z9hG4bKa").replace(";rport", ";rport=1;received=1.2.3.4;x=\"a;b\"");
    peer.send(forged);
    let (id, options) = peer.expect_request();
    peer.respond(id, &options, 200);
    let text = via(&peer.expect("SIP/2.0 200"));
    assert_eq!(
        text,
        "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKa;x=\"a;b\";received=10.0.0.2;rport=5060"
    );
}

#[test]
fn only_the_top_via_is_touched() {
    let mut peer = udp();
    let two = incoming("OPTIONS", "z9hG4bKa").replace(
        ";rport\r\n",
        ";rport, SIP/2.0/UDP a;branch=z9hG4bK1;rport\r\nVia: SIP/2.0/TCP b;rport\r\n",
    );
    peer.send(two);
    let (id, options) = peer.expect_request();
    peer.respond(id, &options, 200);
    let answer = peer.expect("SIP/2.0 200");
    let vias: Vec<_> = answer
        .values(callwright_sip_message::HeaderName::Via)
        .map(|via| via.into_owned())
        .collect();
    assert_eq!(
        vias,
        [
            "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKa;received=10.0.0.2;rport=5060",
            "SIP/2.0/UDP a;branch=z9hG4bK1;rport",
            "SIP/2.0/TCP b;rport"
        ]
    );
}

#[test]
fn a_response_without_via_gets_those_of_its_request() {
    let mut peer = udp();
    peer.send(incoming("OPTIONS", "z9hG4bKa"));
    let (id, options) = peer.expect_request();
    let bare = callwright_sip_message::Builder::response_to(&options, 200, "OK")
        .remove(callwright_sip_message::HeaderName::Via)
        .finish();
    peer.node
        .respond(peer.now, id, bare, None)
        .expect("it is pending");
    peer.drain();
    let text = via(&peer.expect("SIP/2.0 200"));
    assert_eq!(
        text,
        "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKa;received=10.0.0.2;rport=5060"
    );
}

#[test]
fn over_a_stream_it_goes_back_on_the_connection() {
    let mut peer = udp_and_tcp();
    let connection = peer.connect(Transport::Tcp);
    peer.write(
        connection,
        incoming("OPTIONS", "z9hG4bKa").replace("/UDP", "/TCP"),
    );
    let (id, options) = peer.expect_request();
    peer.respond(id, &options, 200);
    assert_eq!(peer.sent[0].to, Exit::Stream(connection));
    peer.expect("SIP/2.0 200");
    // Timer J is zero: the transaction is over.
    peer.expect_ended(callwright_sip::core::TransactionId::Server(id));
    peer.expect_settled();
}

#[test]
fn when_the_connection_is_gone_a_new_one_goes_to_the_port_of_sent_by() {
    let mut peer = udp_and_tcp();
    let connection = peer.connect(Transport::Tcp);
    peer.write(connection, incoming("INVITE", "z9hG4bKa").replace("/UDP", "/TCP"));
    let (id, invite) = peer.expect_request();
    peer.input(callwright_wire::Input::Closed {
        connection,
        error: None,
    });
    peer.respond(id, &invite, 486);
    assert_eq!(
        peer.connects[0].remote,
        "10.0.0.2:5060".parse().expect("a literal")
    );
    let again = peer.accept();
    assert_eq!(peer.sent[0].to, Exit::Stream(again));
    peer.expect("SIP/2.0 486");
    peer.write(again, incoming("ACK", "z9hG4bKa").replace("/UDP", "/TCP"));
    peer.expect_settled();
}

#[test]
fn when_that_fails_too_the_layer_above_is_told() {
    let mut peer = udp_and_tcp();
    let connection = peer.connect(Transport::Tcp);
    peer.write(connection, incoming("INVITE", "z9hG4bKa").replace("/UDP", "/TCP"));
    let (id, invite) = peer.expect_request();
    peer.input(callwright_wire::Input::Closed {
        connection,
        error: None,
    });
    peer.events.clear();
    peer.respond(id, &invite, 486);
    peer.refuse(callwright_wire::ConnectionError::Refused);
    match peer.next_event() {
        Some(callwright_sip::core::CoreEvent::TransportFailed { error, .. }) => {
            assert_eq!(error.to_string(), "10.0.0.2:5060 over TCP: connection refused");
        }
        other => panic!("{other:?}"),
    }
    peer.expect_settled();
}
