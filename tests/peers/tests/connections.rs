//! Kamailio over TCP and TLS: who comes by a connection is answered, and called, over that connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callwright_peers::{Kamailio, require};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Longer than any answer takes on a machine under load; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// One end of a connection to Kamailio that reads and writes messages by hand. Nobody listens at the address that
/// it gives as its own: only the connection leads to it.
struct Line {
    user: &'static str,
    transport: &'static str,
    stream: Box<dyn ReadWrite>,
    received: String,
}

trait ReadWrite: Read + Write {}
impl<S: Read + Write> ReadWrite for S {}

impl Line {
    fn tcp(user: &'static str, kamailio: &Kamailio) -> Self {
        Self {
            user,
            transport: "TCP",
            stream: Box::new(connect(kamailio.tcp())),
            received: String::new(),
        }
    }

    fn tls(user: &'static str, kamailio: &Kamailio) -> Self {
        let stream = Box::new(tls(kamailio, Some(&kamailio.root_certificate())));
        Self {
            user,
            transport: "TLS",
            stream,
            received: String::new(),
        }
    }

    /// Sends a request; `more` holds further header fields, each with its line end.
    fn request(&mut self, method: &str, uri: &str, to: &str, number: u32, more: &str) {
        let (user, transport) = (self.user, self.transport);
        let message = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.1;branch=z9hG4bK-{user}-{number}-{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@callwright.test>;tag={user}\r\nTo: {to}\r\nCall-ID: 1@{user}\r\n\
             CSeq: {number} {method}\r\nContact: {}\r\n{more}Content-Length: 0\r\n\r\n",
            self.contact(),
        );
        self.stream
            .write_all(message.as_bytes())
            .expect("the request leaves");
    }

    /// Answers a request with 200.
    fn accept(&mut self, request: &str) {
        let copied: String = request
            .split("\r\n")
            .filter(|line| {
                ["Via:", "From:", "Call-ID:", "CSeq:", "Record-Route:"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .map(|line| format!("{line}\r\n"))
            .collect();
        let mut to = header(request, "To");
        if !to.contains(";tag=") {
            to = format!("{to};tag={}", self.user);
        }
        let message = format!(
            "SIP/2.0 200 OK\r\n{copied}To: {to}\r\nContact: {}\r\nContent-Length: 0\r\n\r\n",
            self.contact()
        );
        self.stream
            .write_all(message.as_bytes())
            .expect("the response leaves");
    }

    /// The next message that begins so; provisional responses before it are passed over.
    fn expect(&mut self, start: &str) -> String {
        loop {
            let message = self.next_message();
            if message.starts_with(start) {
                return message;
            }
            assert!(
                message.starts_with("SIP/2.0 1"),
                "{} expected {start}, received:\n{message}",
                self.user
            );
        }
    }

    fn next_message(&mut self) -> String {
        let mut piece = [0; 2_048];
        loop {
            if let Some((message, rest)) = self.received.split_once("\r\n\r\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                self.received = rest;
                return message;
            }
            let length = self.stream.read(&mut piece).expect("a message");
            assert!(length > 0, "{}: closed after {:?}", self.user, self.received);
            self.received += std::str::from_utf8(&piece[..length]).expect("a message in ASCII");
        }
    }

    fn contact(&self) -> String {
        format!(
            "<sip:{}@192.0.2.1;transport={}>",
            self.user,
            self.transport.to_lowercase()
        )
    }
}

/// The values of a header field, joined as RFC 3261 §7.3.1 allows.
fn header(message: &str, name: &str) -> String {
    let prefix = format!("{name}: ");
    let values: Vec<&str> = message
        .split("\r\n")
        .filter_map(|line| line.strip_prefix(&prefix))
        .collect();
    values.join(", ")
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("Kamailio listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream
}

fn tls(kamailio: &Kamailio, trusted: Option<&Path>) -> StreamOwned<ClientConnection, TcpStream> {
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
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    StreamOwned::new(client, connect(kamailio.tls()))
}

#[test]
fn it_answers_options_over_tcp_and_tls() {
    require!(Kamailio);
    let kamailio = Kamailio::start();
    for mut line in [Line::tcp("alice", &kamailio), Line::tls("bob", &kamailio)] {
        line.request("OPTIONS", "sip:callwright.test", "<sip:callwright.test>", 1, "");
        line.expect("SIP/2.0 200 Alive");
    }
}

#[test]
fn its_certificate_is_trusted_only_by_who_has_the_root() {
    require!(Kamailio);
    let kamailio = Kamailio::start();
    let mut stranger = tls(&kamailio, None);
    let error = stranger
        .write_all(b"\r\n\r\n")
        .and_then(|()| stranger.flush())
        .expect_err("nobody vouches for it");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[test]
fn a_call_follows_the_connections_of_both_sides_in_both_directions() {
    require!(Kamailio);
    let kamailio = Kamailio::start_with(&["WITHOUT_AUTH"]);
    let mut alice = Line::tcp("alice", &kamailio);
    let mut bob = Line::tls("bob", &kamailio);
    bob.request(
        "REGISTER",
        "sip:callwright.test",
        "<sip:bob@callwright.test>",
        1,
        "Expires: 60\r\n",
    );
    bob.expect("SIP/2.0 200");
    assert_eq!(kamailio.contacts(), 1);

    alice.request(
        "INVITE",
        "sip:bob@callwright.test",
        "<sip:bob@callwright.test>",
        1,
        "",
    );
    let invite = bob.expect("INVITE sip:bob@192.0.2.1");
    bob.accept(&invite);
    let accepted = alice.expect("SIP/2.0 200");

    // RFC 3261 §12.1.2: the caller's route set is the recorded one, reversed.
    let recorded = header(&accepted, "Record-Route");
    let route: Vec<&str> = recorded.split(',').map(str::trim).rev().collect();
    let remote_target = header(&accepted, "Contact").trim_matches(['<', '>']).to_owned();
    let routes = format!("Route: {}\r\n", route.join(", "));
    alice.request("ACK", &remote_target, &header(&accepted, "To"), 1, &routes);
    bob.expect("ACK ");

    // RFC 3261 §12.1.1: the callee's is in the order in which it came.
    let to = format!("{};tag=bob", header(&invite, "To"));
    let bye = format!(
        "BYE {} SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK-bye\r\nMax-Forwards: 70\r\nFrom: {to}\r\nTo: {}\r\n\
         Call-ID: 1@alice\r\nCSeq: 1 BYE\r\nRoute: {}\r\nContent-Length: 0\r\n\r\n",
        header(&invite, "Contact").trim_matches(['<', '>']),
        header(&invite, "From"),
        header(&invite, "Record-Route"),
    );
    bob.stream.write_all(bye.as_bytes()).expect("the request leaves");
    let bye = alice.expect("BYE ");
    alice.accept(&bye);
    bob.expect("SIP/2.0 200");
}
