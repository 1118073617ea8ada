//! Kamailio as the project configures it: it listens on all transports, challenges, registers and routes.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callwright_peers::{Kamailio, Sipp, require};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Longer than any answer takes on a machine under load; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(10);

fn options(transport: &str, to: SocketAddr, from: SocketAddr) -> String {
    format!(
        "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/{transport} {from};branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:test@{from}>;tag=1\r\nTo: <sip:{to}>\r\nCall-ID: 1@{from}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Sends OPTIONS over a stream and returns the head of the answer.
fn ask(stream: &mut (impl std::io::Read + std::io::Write), request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("the request leaves");
    let mut answer = Vec::new();
    let mut piece = [0; 1_024];
    while !answer.ends_with(b"\r\n\r\n") {
        let length = stream.read(&mut piece).expect("an answer");
        assert!(length > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(answer).expect("an answer in UTF-8")
}

fn tls_client(kamailio: &Kamailio, trusted: Option<&Path>) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    if let Some(root) = trusted {
        roots
            .add(CertificateDer::from_pem_file(root).expect("a certificate"))
            .expect("a root");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("callwright.test").expect("a name");
    let tcp = TcpStream::connect(kamailio.tls()).expect("Kamailio listens for TLS");
    tcp.set_read_timeout(Some(PATIENCE)).expect("a limit");
    StreamOwned::new(
        ClientConnection::new(Arc::new(config), name).expect("a client"),
        tcp,
    )
}

#[test]
fn it_answers_options_over_udp_tcp_and_tls() {
    require!(Kamailio);
    let kamailio = Kamailio::start();

    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.set_read_timeout(Some(PATIENCE)).expect("a limit");
    udp.send_to(
        options("UDP", kamailio.udp(), udp.local_addr().expect("bound")).as_bytes(),
        kamailio.udp(),
    )
    .expect("the request leaves");
    let mut answer = [0; 2_048];
    let length = udp.recv(&mut answer).expect("an answer");
    assert!(
        answer[..length].starts_with(b"SIP/2.0 200 Alive"),
        "{}",
        String::from_utf8_lossy(&answer)
    );

    let mut tcp = TcpStream::connect(kamailio.tcp()).expect("Kamailio listens for TCP");
    tcp.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let from = tcp.local_addr().expect("bound");
    assert!(ask(&mut tcp, &options("TCP", kamailio.tcp(), from)).starts_with("SIP/2.0 200 Alive"));

    let mut tls = tls_client(&kamailio, Some(&kamailio.root_certificate()));
    let from = tls.sock.local_addr().expect("bound");
    assert!(ask(&mut tls, &options("TLS", kamailio.tls(), from)).starts_with("SIP/2.0 200 Alive"));
}

#[test]
fn its_certificate_is_trusted_only_by_who_has_the_root() {
    require!(Kamailio);
    let kamailio = Kamailio::start();
    let mut tls = tls_client(&kamailio, None);
    let error = tls
        .write_all(b"\r\n\r\n")
        .and_then(|()| tls.flush())
        .expect_err("nobody vouches for it");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[test]
fn a_wrong_password_is_challenged_again() {
    require!(Kamailio, Sipp);
    let kamailio = Kamailio::start();
    let user = ("alice".to_owned(), "wrong".to_owned());
    let outcome = Sipp::registering(kamailio.udp(), &[user], kamailio.udp()).run();
    assert_eq!((outcome.successful, outcome.failed), (0, 1));
    assert!(outcome.errors.contains("401"), "{}", outcome.errors);
    assert_eq!(kamailio.contacts(), 0);
}

#[test]
fn a_call_goes_through_to_a_registered_callee_and_ends_there() {
    require!(Kamailio, Sipp);
    let kamailio = Kamailio::start();
    let callee = Sipp::uas().calls(20).start();
    Sipp::registering(kamailio.udp(), &[Kamailio::user(1)], callee.address())
        .run()
        .assert_clean();
    let caller = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/caller.xml");
    Sipp::caller(&caller, kamailio.udp())
        .service("u1")
        .calls(20)
        .rate(20)
        .run()
        .assert_clean();
    callee.finish().assert_clean();
}

#[test]
fn it_answers_for_callees_that_stand_for_a_status() {
    require!(Kamailio, Sipp);
    let kamailio = Kamailio::start_with(&["WITHOUT_INVITE_AUTH"]);
    for (callee, status) in [("status486", "486"), ("status603", "603"), ("nobody", "404")] {
        let outcome = Sipp::uac(kamailio.udp()).service(callee).run();
        assert_eq!((outcome.successful, outcome.failed), (0, 1), "{callee}");
        assert!(
            outcome.errors.contains(&format!("SIP/2.0 {status} ")),
            "{callee}: {}",
            outcome.errors
        );
    }
}

#[test]
fn it_challenges_an_invite_unless_told_not_to() {
    require!(Kamailio, Sipp);
    let kamailio = Kamailio::start();
    // The stock caller of SIPp comes as the user `sipp`, which nobody knows.
    let outcome = Sipp::uac(kamailio.udp()).service("status486").run();
    assert!(
        outcome.errors.contains("SIP/2.0 403 Unknown User"),
        "{}",
        outcome.errors
    );
}
