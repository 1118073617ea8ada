//! The examples, as users run them: through the binary, against Kamailio, over every transport.

use std::path::PathBuf;
use std::process::{Command, Output};

use callwright_peers::{Kamailio, command, require};
use serde_json::Value;

/// What needs a registrar.
const WITH_SERVER: [&str; 7] = [
    "two-party",
    "suite",
    "three-party-transfer",
    "webhook-mock",
    "hold-and-dtmf",
    "call-quality",
    "conference-tones",
];

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name)
        .with_extension("rhai")
}

/// Which of Kamailio's doors.
#[derive(Clone, Copy, Debug)]
enum Door {
    Udp,
    Tcp,
    Tls,
}

fn against(kamailio: &Kamailio, door: Door) -> Command {
    let (transport, address) = match door {
        Door::Udp => ("udp", kamailio.udp()),
        Door::Tcp => ("tcp", kamailio.tcp()),
        Door::Tls => ("tls", kamailio.tls()),
    };
    let mut callwright = command();
    callwright
        .env("SIP_DOMAIN", address.to_string())
        .env("SIP_TRANSPORT", transport)
        .env("SSL_CERT_FILE", kamailio.root_certificate());
    for (letter, user) in [("A", "alice"), ("B", "bob"), ("C", "carol")] {
        callwright
            .env(format!("{letter}_USER"), user)
            .env(format!("{letter}_PASS"), format!("{user}pw"));
    }
    callwright
}

fn assert_passes(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
}

fn all_pass(door: Door) {
    let mut kamailio = Kamailio::start();
    for name in WITH_SERVER {
        let run = |kamailio: &Kamailio| {
            against(kamailio, door)
                .arg("run")
                .arg(example(name))
                .output()
                .expect("it runs")
        };
        let mut output = run(&kamailio);
        // Its TLS now and then frees memory twice.
        if !output.status.success() && kamailio.crashed() {
            kamailio = Kamailio::start();
            output = run(&kamailio);
        }
        assert_passes(&output);
    }
    // Agents unregister when their scenario is over, whatever happened.
    assert_eq!(kamailio.contacts(), 0);
}

#[test]
fn calls_without_any_server_pass() {
    for name in ["direct-call", "bad-network"] {
        let output = command().arg("run").arg(example(name)).output().expect("it runs");
        assert_passes(&output);
    }
}

#[test]
fn every_example_passes_over_udp() {
    require!(Kamailio);
    all_pass(Door::Udp);
}

#[test]
fn every_example_passes_over_tcp() {
    require!(Kamailio);
    all_pass(Door::Tcp);
}

#[test]
fn every_example_passes_over_tls() {
    require!(Kamailio);
    all_pass(Door::Tls);
}

#[test]
fn the_folder_of_examples_runs_without_its_library() {
    require!(Kamailio);
    let kamailio = Kamailio::start();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let output = against(&kamailio, Door::Udp)
        .args(["run", "--json"])
        .arg(folder)
        .output()
        .expect("it runs");
    assert_passes(&output);
    let last = String::from_utf8_lossy(&output.stdout)
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned();
    let finished: Value = serde_json::from_str(&last).expect("NDJSON");
    assert_eq!(finished["event"], "run_finished");
    assert_eq!(finished["files"], 9);
}
