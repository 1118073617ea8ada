//! TLS: one round trip more, and a verdict on the certificate.

mod support;

use std::time::Duration;

use callwright_sim::{Certificate, HostId, PartyId};
use callwright_wire::{Carrier, ConnectionError, ConnectionId, Input, TlsClient, Transport};
use support::{Heard, Lab, Records, addr, at, ms};

const SERVER: &str = "192.0.2.2:5061";

fn client(server_name: &str, verify: bool) -> Option<TlsClient> {
    Some(TlsClient {
        server_name: server_name.to_owned(),
        verify,
    })
}

fn pair(transport: Transport) -> (Lab, PartyId, PartyId) {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    lab.listen(b, transport, SERVER);
    (lab, a, b)
}

fn dial(lab: &mut Lab, a: PartyId, tls: Option<TlsClient>) {
    lab.connect(a, addr(SERVER), tls);
    lab.pass(ms(200));
}

#[track_caller]
fn up(lab: &mut Lab, a: PartyId) -> (callwright_wire::Time, ConnectionId) {
    match lab.next(a) {
        Some((at, Heard::Input(Input::Connected { connection, flow, .. }))) => {
            assert_eq!(flow.transport, Transport::Tls);
            (at, connection)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn tls_takes_one_round_trip_more_than_tcp() {
    let (mut lab, a, b) = pair(Transport::Tls);
    dial(&mut lab, a, client("example.com", true));
    assert_eq!(up(&mut lab, a).0, at(40));
    let Some((accepted, Heard::Input(Input::Accepted { flow, .. }))) = lab.next(b) else {
        panic!("it is accepted");
    };
    assert_eq!((accepted, flow.transport), (at(50), Transport::Tls));
}

#[test]
fn the_tap_sees_the_clear_text() {
    let (mut lab, a, b) = pair(Transport::Tls);
    dial(&mut lab, a, client("example.com", true));
    let (_, connection) = up(&mut lab, a);
    let records = Records::of(&mut lab);
    lab.write(a, connection, "OPTIONS");
    lab.pass(ms(100));
    let seen = records.take();
    assert_eq!(
        (seen[0].carrier, &seen[0].bytes[..]),
        (Carrier::TlsClear, &b"OPTIONS"[..])
    );
    assert!(lab.next(b).is_some());
}

#[test]
fn a_certificate_is_believed_or_not() {
    let invalid = Certificate::Invalid {
        detail: "certificate expired".into(),
    };
    let named = Certificate::ValidFor {
        names: vec!["sip.example.com".into(), "*.example.org".into()],
    };
    for (certificate, name, verify, refusal) in [
        (Certificate::Valid, "anything", true, None),
        (invalid.clone(), "example.com", true, Some("certificate expired")),
        (invalid, "example.com", false, None),
        (named.clone(), "SIP.example.com", true, None),
        (named.clone(), "a.example.org", true, None),
        (named.clone(), "example.org", true, Some("not valid for name")),
        (named.clone(), "a.b.example.org", true, Some("not valid for name")),
        (named, "example.com", false, None),
    ] {
        let (mut lab, a, b) = pair(Transport::Tls);
        lab.world.set_certificate(HostId(1), certificate.clone());
        dial(&mut lab, a, client(name, verify));
        match refusal {
            None => {
                up(&mut lab, a);
                assert!(lab.next(b).is_some());
            }
            Some(expected) => {
                let (when, ConnectionError::Tls { detail }) = lab.connect_failed(a) else {
                    panic!("{certificate:?} is refused for {name}");
                };
                assert!(when == at(40) && detail.contains(expected), "{detail}");
                assert!(lab.next(b).is_none(), "its node never heard of it");
            }
        }
    }
}

#[test]
fn a_peer_that_never_answers_the_handshake_is_given_up() {
    let (mut lab, a, _) = pair(Transport::Tls);
    lab.connect(a, addr(SERVER), client("example.com", true));
    lab.pass(ms(25));
    lab.world.partition(&[HostId(0)], &[HostId(1)]);
    lab.pass(Duration::from_secs(30));
    let (when, ConnectionError::Tls { detail }) = lab.connect_failed(a) else {
        panic!("the handshake takes too long");
    };
    assert_eq!(when, at(10_020));
    assert!(detail.contains("within 10 s"), "{detail}");
}

#[test]
fn a_listener_without_tls_hears_what_it_does_not_understand() {
    let (mut lab, a, b) = pair(Transport::Tcp);
    dial(&mut lab, a, client("example.com", true));
    let Some((_, Heard::Input(Input::Accepted { connection, .. }))) = lab.next(b) else {
        panic!("it is accepted");
    };
    let Some((_, Heard::Input(Input::Stream { bytes, .. }))) = lab.next(b) else {
        panic!("the client said something");
    };
    assert_eq!(bytes[0], 0x16, "a handshake record");
    lab.write(b, connection, "SIP/2.0 400 Bad Request\r\n\r\n");
    lab.pass(ms(100));
    let ConnectionError::Tls { detail } = lab.connect_failed(a).1 else {
        panic!("that is no TLS");
    };
    assert!(detail.contains("does not speak TLS"), "{detail}");
    assert_eq!(lab.closed(b).1, Some(ConnectionError::Reset));
}

#[test]
fn a_client_without_tls_is_cut_off_by_a_listener_with_it() {
    let (mut lab, a, b) = pair(Transport::Tls);
    dial(&mut lab, a, None);
    let Some((_, Heard::Input(Input::Connected { connection, .. }))) = lab.next(a) else {
        panic!("TCP itself is up");
    };
    lab.write(a, connection, "OPTIONS");
    lab.pass(ms(100));
    assert_eq!(lab.closed(a).1, Some(ConnectionError::Reset));
    assert!(lab.next(b).is_none());
}
