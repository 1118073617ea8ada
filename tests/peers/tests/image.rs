//! The image holds the product and nothing to break into.

use std::path::Path;
use std::process::Command;

use callwright_peers::{Evidence, Image};

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
