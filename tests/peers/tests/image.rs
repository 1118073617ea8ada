//! The image holds the product and nothing to break into.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use callwright_peers::{Authority, Evidence, Image};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A program that looks a name up as the standard library does.
const LOOKUP: &str = "\
use std::net::ToSocketAddrs;
fn main() {
    println!(\"{:?}\", (\"localhost\", 80).to_socket_addrs().map(|found| found.collect::<Vec<_>>()));
}
";

#[test]
fn it_starts_without_an_engine() {
    let Some(image) = Image::find() else { return };
    let output = image.container().callwright(&["--version"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn it_has_no_shell() {
    let Some(image) = Image::find() else { return };
    assert!(!image.container().run(&["/bin/sh", "-c", "true"]).status.success());
}

/// The libraries by which glibc usually looks names up are not in the image. Since its version 2.34 a static program
/// has those for files and DNS inside.
#[test]
fn a_static_program_finds_localhost_by_name() {
    let Some(image) = Image::find() else { return };
    let evidence = Evidence::new("lookup");
    build_static(LOOKUP, &evidence.file("lookup"));
    let container = image.container().mount_read_only(evidence.path(), "/lookup");
    let output = container.run(&["/lookup/lookup"]);
    let found = String::from_utf8_lossy(&output.stdout);
    assert!(
        found.contains("127.0.0.1:80"),
        "{found}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn it_runs_scenarios_that_it_cannot_change_and_leaves_recordings_where_it_works() {
    let Some(image) = Image::find() else { return };
    let work = Evidence::new("image");
    let output = image
        .container()
        .mount_read_only(&of_this_crate("../../examples"), "/scenarios")
        .mount(work.path(), "/work")
        .callwright(&["run", "--save-audio", "/scenarios/direct-call.rhai"]);
    assert!(output.status.success(), "{}", shown(&output));
    let entries = std::fs::read_dir(work.path()).expect("the working directory");
    let recordings = entries
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wav"));
    assert_eq!(recordings.count(), 2, "one for each agent");
}

#[test]
fn it_trusts_a_private_authority_when_told_to() {
    let Some(image) = Image::find() else { return };
    let evidence = Evidence::new("https");
    let authority = Authority::create(evidence.path());
    let server = https_server(&authority);
    let run = |options: &[&str], trusted: bool| {
        let mut container = image
            .container()
            .mount_read_only(&of_this_crate("scenarios"), "/scenarios")
            .mount_read_only(evidence.path(), "/certificates");
        if trusted {
            container = container.variable("SSL_CERT_FILE", "/certificates/root.pem");
        }
        let url = format!("url=https://localhost:{}/", server.port());
        container.callwright(&[&["run", "/scenarios/https.rhai", "--set", &url], options].concat())
    };

    let without = run(&[], false);
    assert_eq!(without.status.code(), Some(1), "{}", shown(&without));
    assert!(shown(&without).contains("SSL_CERT_FILE"), "{}", shown(&without));

    let with = run(&[], true);
    assert!(with.status.success(), "{}", shown(&with));

    let insecure = run(&["--insecure-http"], false);
    assert!(insecure.status.success(), "{}", shown(&insecure));
    assert!(shown(&insecure).contains("warning"), "{}", shown(&insecure));
}

fn of_this_crate(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    path.canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Answers every request with 200 and nothing, as long as the test runs.
fn https_server(authority: &Authority) -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(authority.certificate()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(authority.key()).expect("a key");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate and its key");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut stream = BufReader::new(StreamOwned::new(session, stream.expect("a connection")));
            let mut line = String::new();
            // A client that does not trust the certificate leaves here.
            while stream.read_line(&mut line).is_ok_and(|length| length > 2) {
                line.clear();
            }
            let _left = stream
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    address
}

fn build_static(source: &str, binary: &Path) {
    let main = binary.with_extension("rs");
    std::fs::write(&main, source).expect("the source of the program");
    let mut rustc = Command::new("rustc");
    rustc
        .args(["-C", "target-feature=+crt-static", "-o"])
        .arg(binary)
        .arg(&main);
    let status = rustc.status().expect("rustc runs");
    assert!(status.success(), "{rustc:?}: {status}");
}
