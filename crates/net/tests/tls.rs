//! TLS: names, trust, refusals, and peers that stop half-way.

mod probe;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use callwright_net::{Identity, Trust, Warning, WorldConfig};
use callwright_wire::{
    BindErrorKind, Carrier, ConnectionError, ConnectionId, Fate, Tap, TapRecord, TlsClient, Transport,
};
use probe::{Seen, Stage, address};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A private authority and a certificate of it for `pbx.example.com` and 127.0.0.1.
struct Papers {
    root: String,
    identity: Identity,
}

fn papers(authority_name: &str) -> Papers {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority
        .distinguished_name
        .push(DnType::CommonName, authority_name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["pbx.example.com".into(), "127.0.0.1".into()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    Papers {
        root,
        identity: Identity::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap(),
    }
}

/// A world that shows the certificate, and trusts its authority where `trusting`.
fn stage(trusting: bool) -> Stage {
    let papers = papers("one authority");
    let other = self::papers("another authority");
    Stage::with_config(WorldConfig {
        trust: Trust::from_pem(if trusting { &papers.root } else { &other.root }.as_bytes()).unwrap(),
        identity: Some(papers.identity),
        handshake_timeout: Duration::from_secs(5),
        ..WorldConfig::default()
    })
}

fn client(server_name: &str, verify: bool) -> Option<TlsClient> {
    Some(TlsClient {
        server_name: server_name.into(),
        verify,
    })
}

/// What becomes of a TLS connection from one party to another.
fn dial(stage: &mut Stage, server_name: &str, verify: bool) -> Result<(ConnectionId, ConnectionId), String> {
    let (a, b) = (stage.add(), stage.add());
    let listener = stage.bound(b, 5, "127.0.0.1:0", Transport::Tls);
    stage.with(a, |probe| {
        probe.connect(1, None, listener, client(server_name, verify))
    });
    let (_, near) = stage.wait(a, |seen| match seen {
        Seen::Connected(_, connection, flow) => {
            assert_eq!(flow.transport, Transport::Tls);
            Some(Ok(*connection))
        }
        Seen::ConnectFailed(_, error) => Some(Err(error.to_string())),
        _ => None,
    });
    let near = near?;
    let (_, far) = stage.wait(b, |seen| match seen {
        Seen::Accepted(_, connection, _) => Some(*connection),
        _ => None,
    });
    stage.with(a, |probe| probe.write(near, "ping"));
    assert_eq!(stage.wait_stream(b, far, 4), b"ping");
    stage.with(b, |probe| probe.write(far, vec![b'x'; 200_000]));
    assert_eq!(stage.wait_stream(a, near, 200_000), vec![b'x'; 200_000]);
    stage.with(a, |probe| probe.close(near));
    stage.wait(b, |seen| match seen {
        Seen::Closed(connection, None) if *connection == far => Some(()),
        _ => None,
    });
    Ok((near, far))
}

#[test]
fn a_certificate_for_the_name_that_was_asked_for_is_taken() {
    dial(&mut stage(true), "pbx.example.com", true).unwrap();
}

#[test]
fn a_certificate_may_carry_an_address() {
    dial(&mut stage(true), "127.0.0.1", true).unwrap();
}

#[test]
fn a_certificate_for_another_name_is_refused_and_both_names_are_told() {
    let error = dial(&mut stage(true), "other.example.com", true).unwrap_err();
    assert!(error.starts_with("TLS: "), "{error}");
    assert!(error.contains("other.example.com"), "{error}");
    assert!(error.contains("pbx.example.com"), "{error}");
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let error = dial(&mut stage(false), "pbx.example.com", true).unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[test]
fn without_verification_any_certificate_is_taken_and_a_warning_given() {
    let mut stage = stage(false);
    dial(&mut stage, "other.example.com", false).unwrap();
    let warned = stage.rest().into_iter().any(|seen| {
        matches!(seen, Seen::Warned(Warning::CertificateNotVerified { server_name, .. })
            if server_name == "other.example.com")
    });
    assert!(warned);
}

#[test]
fn the_tap_sees_each_byte_once_and_in_the_clear() {
    struct Wire(Sender<TapRecord>);
    impl Tap for Wire {
        fn record(&mut self, record: TapRecord) {
            let _ = self.0.send(record);
        }
    }
    let (sender, records) = channel();
    let mut stage = stage(true);
    stage.world.set_tap(Some(Box::new(Wire(sender))));
    dial(&mut stage, "pbx.example.com", true).unwrap();
    stage.world.set_tap(None);
    let records: Vec<_> = records.iter().collect();
    assert_eq!(
        (&records[0].bytes[..], records[0].carrier),
        (&b"ping"[..], Carrier::TlsClear)
    );
    assert!(records.iter().all(|record| record.fate == Fate::Sent));
    assert_eq!(
        records.iter().map(|record| record.bytes.len()).sum::<usize>(),
        200_004
    );
}

#[test]
fn the_systems_roots_are_read_without_holding_up_the_loop() {
    let papers = papers("one authority");
    let mut stage = Stage::with_config(WorldConfig {
        identity: Some(papers.identity),
        ..WorldConfig::default()
    });
    // Whether this machine has roots or not, none of them signed this certificate.
    let error = dial(&mut stage, "pbx.example.com", true).unwrap_err();
    assert!(
        error.contains("UnknownIssuer") || error.contains("no root certificates"),
        "{error}"
    );
    let health = stage.world.health();
    assert_eq!(health.connections_opened, 0);
}

/// Why a TLS connection to `remote` failed.
fn failure(stage: &mut Stage, remote: SocketAddr) -> ConnectionError {
    let a = stage.add();
    stage.with(a, |probe| {
        probe.connect(1, None, remote, client("pbx.example.com", true))
    });
    stage
        .wait(a, |seen| match seen {
            Seen::ConnectFailed(_, error) => Some(error.clone()),
            _ => None,
        })
        .1
}

#[test]
fn a_peer_that_does_not_speak_tls_is_told_from_one_that_is_silent() {
    let mut stage = Stage::with_config(WorldConfig {
        trust: Trust::from_pem(papers("one authority").root.as_bytes()).unwrap(),
        handshake_timeout: Duration::from_millis(50),
        ..WorldConfig::default()
    });
    let b = stage.add();
    let plain = stage.bound(b, 5, "127.0.0.1:0", Transport::Tcp);
    stage.with(b, |probe| probe.echo = true);
    let error = failure(&mut stage, plain);
    assert!(
        matches!(&error, ConnectionError::Tls { detail } if !detail.contains("within")),
        "{error}"
    );
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = failure(&mut stage, silent.local_addr().unwrap());
    assert!(
        matches!(&error, ConnectionError::Tls { detail } if detail.contains("within")),
        "{error}"
    );
}

#[test]
fn a_peer_that_hangs_up_during_the_handshake_is_named() {
    let mut stage = stage(true);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        // Read all of the greeting, so that closing does not reset.
        std::io::Read::read(&mut peer, &mut [0; 4_096]).unwrap();
    });
    let error = failure(&mut stage, remote);
    thread.join().unwrap();
    assert_eq!(
        error.to_string(),
        "TLS: the peer closed the connection during the handshake"
    );
}

#[test]
fn a_client_that_never_finishes_its_handshake_is_dropped_unseen() {
    let papers = papers("one authority");
    let mut stage = Stage::with_config(WorldConfig {
        identity: Some(papers.identity),
        handshake_timeout: Duration::from_millis(50),
        ..WorldConfig::default()
    });
    let b = stage.add();
    let listener = stage.bound(b, 5, "127.0.0.1:0", Transport::Tls);
    let mut peer = TcpStream::connect(listener).unwrap();
    // The end of the stream is the drop; nothing was reported.
    assert!(!matches!(std::io::Read::read(&mut peer, &mut [0]), Ok(1..)));
    assert_eq!(stage.rest(), []);
}

#[test]
fn a_tls_listener_without_a_certificate_says_what_is_missing() {
    let mut stage = Stage::new();
    let b = stage.add();
    stage.with(b, |probe| probe.bind(1, address("127.0.0.1:0"), Transport::Tls));
    let (_, kind) = stage.wait(b, |seen| match seen {
        Seen::BindFailed(_, error) => Some(error.kind.clone()),
        _ => None,
    });
    assert!(matches!(kind, BindErrorKind::Other { detail } if detail.contains("certificate")));
}

#[test]
fn unreadable_papers_are_named() {
    assert!(Trust::from_pem(b"nothing here").is_err());
    let error = Identity::from_pem(papers("one authority").root.as_bytes(), b"nothing here").unwrap_err();
    assert!(
        error.to_string().starts_with("the private key cannot be read"),
        "{error}"
    );
}
