//! Streams: RFC 3261 §18, RFC 5626 §4.4.1; transactions over them (Timers D, I, J, K are zero).

mod support;

use std::time::Duration;

use callwright_sip::core::{CoreConfig, CoreEvent, CoreLimits, Target, TransactionId, TransportError};
use callwright_sip_message::{Builder, Message, Method};
use callwright_wire::{ConnectionError, ConnectionId, Input, TlsClient, Transport};
use support::Peer;
use support::core::{incoming, request, udp_and_tcp, uri, with};

fn over_tcp(method: &str, branch: &str) -> String {
    incoming(method, branch).replace("/UDP", "/TCP")
}

fn reply_on<N: callwright_wire::Node<Command = std::convert::Infallible>>(
    peer: &mut Peer<N>,
    connection: ConnectionId,
    request: &Message,
    status: u16,
) {
    let response = Builder::response_to(request, status, "Whatever")
        .to_tag("peer")
        .finish();
    peer.write(connection, response.raw().clone());
}

#[test]
fn a_request_opens_a_connection_and_names_the_listener_in_via() {
    let mut peer = udp_and_tcp();
    let id = peer.request_to(request(Method::Options), "sip:10.0.0.2;transport=tcp");
    peer.expect_nothing();
    assert_eq!(
        peer.connects[0].remote,
        "10.0.0.2:5060".parse().expect("a literal")
    );
    let connection = peer.accept();
    let options = peer.expect("OPTIONS");
    let via = options
        .header(callwright_sip_message::HeaderName::Via)
        .expect("a Via");
    assert!(
        via.starts_with("SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK"),
        "{via}"
    );
    // No retransmission; Timer F all the same.
    peer.expect_silence(31_999);
    peer.wait(1);
    peer.expect_timeout(TransactionId::Client(id), "Timer F");
    // The connection is used again.
    let id = peer.request_to(request(Method::Options), "sip:10.0.0.2;transport=tcp");
    let options = peer.expect("OPTIONS");
    reply_on(&mut peer, connection, &options, 200);
    peer.expect_response(id, 200);
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
}

#[test]
fn an_invite_over_tcp_times_out_by_timer_b_without_timer_a() {
    let mut peer = udp_and_tcp();
    let id = peer.request_to(request(Method::Invite), "sip:10.0.0.2;transport=tcp");
    peer.accept();
    peer.expect("INVITE");
    peer.expect_silence(31_999);
    peer.wait(1);
    peer.expect_timeout(TransactionId::Client(id), "Timer B");
}

#[test]
fn a_failure_over_tcp_ends_both_sides_at_once() {
    let mut peer = udp_and_tcp();
    let id = peer.request_to(request(Method::Invite), "sip:10.0.0.2;transport=tcp");
    let connection = peer.accept();
    let invite = peer.expect("INVITE");
    reply_on(&mut peer, connection, &invite, 486);
    peer.expect("ACK");
    peer.expect_response(id, 486);
    peer.expect_ended(TransactionId::Client(id));

    peer.write(connection, over_tcp("INVITE", "z9hG4bKa"));
    let (id, invite) = peer.expect_request();
    peer.respond(id, &invite, 486);
    peer.expect("SIP/2.0 486");
    // Timer G is for datagrams only, Timer H is not.
    peer.expect_silence(31_999);
    peer.write(connection, over_tcp("ACK", "z9hG4bKa"));
    peer.expect_ended(TransactionId::Server(id));
    peer.expect_settled();

    peer.write(connection, over_tcp("INVITE", "z9hG4bKb"));
    let (id, invite) = peer.expect_request();
    peer.respond(id, &invite, 486);
    peer.wait(32_000);
    peer.expect_timeout(TransactionId::Server(id), "Timer H");
}

#[test]
fn what_waits_for_a_connection_goes_in_order_or_fails_together() {
    let mut peer = udp_and_tcp();
    let first = peer.request_to(request(Method::Options), "sip:10.0.0.2;transport=tcp");
    let second = peer.request_to(request(Method::Message), "sip:10.0.0.2;transport=tcp");
    assert_eq!(peer.connects.len(), 1);
    peer.accept();
    peer.expect("OPTIONS");
    peer.expect("MESSAGE");
    let _ = (first, second);

    let mut peer = udp_and_tcp();
    for method in [Method::Options, Method::Message] {
        peer.request_to(request(method), "sip:10.0.0.2;transport=tcp");
    }
    peer.refuse(ConnectionError::Refused);
    for _ in 0..2 {
        match peer.next_event() {
            Some(CoreEvent::TransportFailed { error, .. }) => {
                assert_eq!(error.to_string(), "10.0.0.2:5060 over TCP: connection refused");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(peer.next_event(), Some(CoreEvent::Ended { .. })));
    }
    peer.expect_settled();
}

#[test]
fn what_waits_for_a_connection_is_bounded() {
    let limits = CoreLimits {
        queued_messages: 2,
        connections: 1,
        ..CoreLimits::default()
    };
    let mut peer = with(CoreConfig {
        limits,
        ..CoreConfig::default()
    });
    for _ in 0..3 {
        peer.request_to(request(Method::Options), "sip:10.0.0.2;transport=tcp");
    }
    match peer.next_event() {
        Some(CoreEvent::TransportFailed { error, .. }) => {
            assert_eq!(
                error,
                TransportError::Limit {
                    limit: "queued_messages",
                    max: 2
                }
            );
        }
        other => panic!("{other:?}"),
    }
    peer.events.clear();
    peer.request_to(request(Method::Options), "sip:10.0.0.3;transport=tcp");
    match peer.next_event() {
        Some(CoreEvent::TransportFailed { error, .. }) => {
            assert_eq!(
                error,
                TransportError::Limit {
                    limit: "connections",
                    max: 1
                }
            );
        }
        other => panic!("{other:?}"),
    }
    // One that the peer opens is closed.
    let connection = peer.connect(Transport::Tcp);
    assert_eq!(peer.closed, [connection]);
    assert_eq!(peer.node.counters().over_limit, 3);
}

#[test]
fn a_lost_connection_fails_what_is_pending_on_it() {
    let mut peer = udp_and_tcp();
    let id = peer.request_to(request(Method::Invite), "sip:10.0.0.2;transport=tcp");
    let connection = peer.accept();
    let invite = peer.expect("INVITE");
    reply_on(&mut peer, connection, &invite, 180);
    peer.expect_response(id, 180);
    peer.input(Input::Closed {
        connection,
        error: Some(ConnectionError::Reset),
    });
    match peer.next_event() {
        Some(CoreEvent::TransportFailed { error, .. }) => {
            assert_eq!(error.to_string(), "10.0.0.2:5060 over TCP: connection reset");
        }
        other => panic!("{other:?}"),
    }
    peer.expect_ended(TransactionId::Client(id));
    assert!(matches!(
        peer.next_event(),
        Some(CoreEvent::FlowClosed {
            error: Some(ConnectionError::Reset),
            ..
        })
    ));
    peer.expect_settled();
    // The next request opens another.
    peer.request_to(request(Method::Options), "sip:10.0.0.2;transport=tcp");
    assert_eq!(peer.connects.len(), 1);
}

#[test]
fn messages_may_be_cut_anywhere_and_come_together() {
    let one = over_tcp("OPTIONS", "z9hG4bKa");
    let two = over_tcp("MESSAGE", "z9hG4bKb")
        .replace("Content-Length: 0\r\n\r\n", "Content-Length: 5\r\n\r\nhello");
    let both = format!("{one}{two}");
    for cut in 0..=both.len() {
        let mut peer = udp_and_tcp();
        let connection = peer.connect(Transport::Tcp);
        peer.write(connection, both.as_bytes()[..cut].to_vec());
        peer.write(connection, both.as_bytes()[cut..].to_vec());
        assert_eq!(peer.expect_request().1.to_string(), one, "cut at {cut}");
        assert_eq!(peer.expect_request().1.to_string(), two, "cut at {cut}");
    }
    let mut peer = udp_and_tcp();
    let connection = peer.connect(Transport::Tcp);
    for byte in both.bytes() {
        peer.write(connection, vec![byte]);
    }
    assert_eq!(peer.expect_request().1.to_string(), one);
    assert_eq!(peer.expect_request().1.to_string(), two);
}

#[test]
fn a_ping_is_answered() {
    let mut peer = udp_and_tcp();
    let connection = peer.connect(Transport::Tcp);
    peer.write(connection, "\r\n\r\n");
    let sent = peer.sent.pop_front().expect("a pong");
    assert_eq!(&sent.bytes[..], b"\r\n");
    assert_eq!(peer.node.counters().keep_alives, 1);
}

#[test]
fn pings_that_come_together_are_answered_together() {
    let mut peer = udp_and_tcp();
    let connection = peer.connect(Transport::Tcp);
    peer.write(connection, "\r\n\r\n".repeat(1_000));
    let sent = peer.sent.pop_front().expect("the pongs");
    assert_eq!(sent.bytes, "\r\n".repeat(1_000));
    assert!(peer.sent.is_empty());
}

#[test]
fn a_stream_that_is_no_sip_is_closed() {
    let mut peer = udp_and_tcp();
    let connection = peer.connect(Transport::Tcp);
    peer.write(connection, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.closed, [connection]);
    assert!(matches!(
        peer.next_event(),
        Some(CoreEvent::Malformed { answered: None, .. })
    ));

    let connection = peer.connect(Transport::Tcp);
    peer.write(
        connection,
        over_tcp("OPTIONS", "z9hG4bKa").replace("Content-Length: 0\r\n", ""),
    );
    peer.expect("SIP/2.0 400 Bad Request: Content-Length");
    assert_eq!(peer.closed.last(), Some(&connection));

    let connection = peer.connect(Transport::Tcp);
    peer.write(connection, vec![b'A'; 100_000]);
    assert_eq!(peer.closed.last(), Some(&connection));
    assert_eq!(peer.node.residue().connections, 0);
}

#[test]
fn an_idle_connection_is_closed_after_its_time_unless_it_is_kept() {
    let mut peer = with(CoreConfig {
        idle_connection: Duration::from_secs(100),
        ..CoreConfig::default()
    });
    let connection = peer.connect(Transport::Tcp);
    peer.wait(60_000);
    peer.write(connection, "\r\n\r\n");
    peer.sent.clear();
    peer.wait(99_999);
    assert!(peer.closed.is_empty());
    peer.wait(1);
    assert_eq!(peer.closed, [connection]);
    assert!(matches!(
        peer.next_event(),
        Some(CoreEvent::FlowClosed { error: None, .. })
    ));

    peer.request_to(request(Method::Options), "sip:10.0.0.2;transport=tcp");
    let kept = peer.accept();
    let options = peer.expect("OPTIONS");
    reply_on(&mut peer, kept, &options, 200);
    let Some(CoreEvent::Response { flow, .. }) = peer.next_event() else {
        panic!("no response")
    };
    peer.node.keep_open(&flow, true);
    peer.wait(1_000_000);
    assert_eq!(peer.closed, [connection]);
    peer.node.keep_open(&flow, false);
    peer.wait(100_000);
    assert_eq!(peer.closed, [connection, kept]);
    assert_eq!(peer.node.residue().timers, 0);
}

#[test]
fn a_connection_with_a_ringing_call_is_not_idle() {
    let mut peer = with(CoreConfig {
        idle_connection: Duration::from_secs(100),
        ..CoreConfig::default()
    });
    let id = peer.request_to(request(Method::Invite), "sip:10.0.0.2;transport=tcp");
    let connection = peer.accept();
    let invite = peer.expect("INVITE");
    reply_on(&mut peer, connection, &invite, 180);
    peer.wait(1_000_000);
    assert!(peer.closed.is_empty());
    reply_on(&mut peer, connection, &invite, 486);
    peer.expect_response(id, 180);
    peer.expect_response(id, 486);
}

#[test]
fn a_dialogs_requests_take_the_connection_that_is_there() {
    let mut peer = udp_and_tcp();
    let connection = peer.connect(Transport::Tcp);
    peer.write(connection, over_tcp("OPTIONS", "z9hG4bKa"));
    let (server, _) = peer.expect_request();
    let flow = peer.node.flow_of_server(server);
    // Its Contact is behind a NAT: nobody could connect to it.
    let target = Target::new(uri("sip:192.168.1.5:5060;transport=tcp")).with_flow(flow);
    peer.node
        .request(peer.now, request(Method::Bye), target.clone(), None)
        .expect("a request");
    peer.drain();
    assert_eq!(peer.sent[0].to, support::Exit::Stream(connection));
    peer.expect("BYE");
    // Once it is gone, the URI is what is left.
    peer.input(Input::Closed {
        connection,
        error: None,
    });
    peer.node
        .request(peer.now, request(Method::Bye), target, None)
        .expect("a request");
    peer.drain();
    assert_eq!(
        peer.connects[0].remote,
        "192.168.1.5:5060".parse().expect("a literal")
    );
}

#[test]
fn tls_asks_for_the_domains_certificate_and_keeps_connections_apart_by_it() {
    let mut peer = udp_and_tcp();
    for host in ["a.example", "b.example"] {
        let address = vec![callwright_wire::DnsRecord::Address(
            "10.0.0.2".parse().expect("a literal"),
        )];
        peer.zone
            .insert(callwright_wire::DnsQuery::Address(host.to_owned()), Ok(address));
    }
    for target in [
        "sips:a.example",
        "sip:b.example;transport=tls",
        "sips:a.example:5061;transport=tcp",
    ] {
        peer.request_to(request(Method::Options), target);
    }
    let asked: Vec<_> = peer
        .connects
        .iter()
        .map(|connect| (connect.remote.to_string(), connect.tls.clone()))
        .collect();
    let tls = |name: &str| {
        Some(TlsClient {
            server_name: name.to_owned(),
            verify: true,
        })
    };
    assert_eq!(
        asked,
        [
            ("10.0.0.2:5061".to_owned(), tls("a.example")),
            ("10.0.0.2:5061".to_owned(), tls("b.example"))
        ]
    );
    peer.accept();
    let via = peer
        .expect("OPTIONS")
        .header(callwright_sip_message::HeaderName::Via)
        .map(|via| via.into_owned());
    assert!(via.is_some_and(|via| via.starts_with("SIP/2.0/TLS 10.0.0.1:")));
    peer.expect("OPTIONS");
}

#[test]
fn tls_asks_for_an_address_without_the_brackets_of_a_uri() {
    let mut peer = udp_and_tcp();
    peer.request_to(request(Method::Options), "sips:[2001:db8::1]");
    let asked = peer.connects[0].tls.clone();
    assert_eq!(asked.map(|tls| tls.server_name).as_deref(), Some("2001:db8::1"));
}

#[test]
fn bytes_go_out_as_they_are_on_a_flow_that_is_there() {
    let mut peer = udp_and_tcp();
    let connection = peer.connect(Transport::Tcp);
    peer.write(connection, over_tcp("OPTIONS", "z9hG4bKa"));
    let (server, _) = peer.expect_request();
    let tcp = peer.node.flow_of_server(server).expect("it is there");
    let udp = callwright_wire::Flow {
        transport: Transport::Udp,
        local: peer.local,
        remote: peer.address,
    };
    let bytes = bytes::Bytes::from_static(b"no SIP at all");
    for (flow, to) in [
        (tcp, support::Exit::Stream(connection)),
        (udp, support::Exit::Datagram(peer.address)),
    ] {
        assert!(peer.node.send_raw(peer.now, &bytes, flow, None));
        peer.drain();
        let sent = peer.sent.pop_front().expect("the bytes");
        assert_eq!((sent.to, sent.bytes), (to, bytes.clone()));
    }
    let elsewhere = callwright_wire::Flow {
        remote: peer.address,
        ..tcp
    };
    assert!(!peer.node.send_raw(peer.now, &bytes, elsewhere, None));
}

#[test]
fn without_any_socket_connections_still_go_anywhere() {
    let core = callwright_sip::core::Core::new(
        CoreConfig::default(),
        callwright_wire::Seed::from_number(1).stream(),
    );
    let mut peer = Peer::around(core);
    let address = vec![callwright_wire::DnsRecord::Address(
        "2001:db8::1".parse().expect("a literal"),
    )];
    peer.zone.insert(
        callwright_wire::DnsQuery::Address("a.example".to_owned()),
        Ok(address),
    );
    peer.request_to(request(Method::Options), "sips:a.example:5061");
    assert_eq!(
        peer.connects[0].remote,
        "[2001:db8::1]:5061".parse().expect("a literal")
    );
    peer.accept();
    peer.expect("OPTIONS");
}

#[test]
fn a_response_without_length_is_not_answered() {
    // §18.3: the connection cannot go on, but nobody answers a response.
    let mut peer = udp_and_tcp();
    let connection = peer.connect(Transport::Tcp);
    let response = "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=a\r\n\
                    To: <sip:b@c>;tag=b\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
    peer.write(connection, response);
    assert_eq!(peer.closed, [connection]);
    peer.expect_nothing();
    assert!(matches!(
        peer.next_event(),
        Some(CoreEvent::Malformed { answered: None, .. })
    ));
}
