//! What `--capture` writes of encrypted calls is read by others as if it had gone in the clear.

use std::collections::BTreeSet;
use std::path::Path;

use callwright_peers::{Capture, Evidence, Kamailio, command, example, require};

/// `SOURCE.rhai:LINE:COLUMN AGENT.VERB`, before what else there is to say.
fn names_a_line(comment: &str, verb: &str) -> bool {
    comment
        .split_once(".rhai:")
        .is_some_and(|(_, place)| place.contains(verb))
}

#[test]
fn a_call_over_tls_is_read_as_sip_with_the_lines_that_caused_it() {
    require!(Kamailio, Tshark);
    let kamailio = Kamailio::start();
    let evidence = Evidence::new("capture-tls");
    let path = evidence.file("calls.pcapng");
    let output = command()
        .envs(kamailio.environment("tls"))
        .arg("run")
        .arg(example("two-party.rhai"))
        .arg("--capture")
        .arg(&path)
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let capture = Capture::open(&path);
    capture.assert_sound(&["sip", "sdp"]);
    assert_eq!(capture.count("tls"), 0);

    let fields = ["frame.interface_name", "frame.comment"];
    let messages = capture.fields("sip", &fields);
    let interfaces: BTreeSet<&str> = messages.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(interfaces, BTreeSet::from(["Caller", "Callee"]));
    assert!(
        messages.iter().all(|row| row[1].contains("clear text of TLS")),
        "{messages:?}"
    );
    let invites = capture.fields(
        "sip.Method == \"INVITE\" && frame.interface_name == \"Caller\"",
        &fields,
    );
    assert!(
        invites.iter().any(|row| names_a_line(&row[1], "Caller.dial")),
        "{invites:?}"
    );
}

/// The descriptions of the session promise SRTP, and tshark believes them. Told not to, it finds RTP.
#[test]
fn a_call_with_srtp_is_read_as_rtp() {
    require!(Tshark);
    let evidence = Evidence::new("capture-srtp");
    let path = evidence.file("calls.pcapng");
    let output = command()
        .arg("run")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/srtp.rhai"))
        .arg("--capture")
        .arg(&path)
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let capture = Capture::open(&path).without_descriptions();
    capture.assert_sound(&["sip", "sdp", "rtp", "rtcp"]);
    let digits: String = capture.digits().iter().map(|digit| digit.digit).collect();
    assert_eq!(digits, "42#");
    let comments = capture.fields("rtp", &["frame.interface_name", "frame.comment"]);
    assert!(
        comments.iter().all(|row| row[1].contains("clear text of SRTP")),
        "{comments:?}"
    );
    let interfaces: BTreeSet<&str> = comments.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(interfaces, BTreeSet::from(["Caller", "Callee"]));
}
