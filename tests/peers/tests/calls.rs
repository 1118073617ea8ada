//! Our agents and SIPp, in both directions, and what tshark says of the traffic.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use callwright_peers::{Capture, Evidence, Sipp, command, require};

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
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

#[test]
fn five_hundred_calls_to_sipp_are_clean() {
    require!(Sipp, Tshark);
    let evidence = Evidence::new("calls-to-sipp");
    let capture = evidence.file("calls.pcapng");
    let callee = Sipp::uas().calls(500).limit(Duration::from_secs(90)).start();
    let output = command()
        .arg("run")
        .arg(scenario("call-sipp.rhai"))
        .args(["--set", &format!("target=sip:service@{}", callee.address())])
        .arg("--capture")
        .arg(&capture)
        .output()
        .expect("it runs");
    assert_passes(&output);
    callee.finish().assert_clean();
    let capture = Capture::open(&capture);
    capture.assert_sound(&["sip", "sdp"]);
    assert_eq!(capture.count("sip.Method == \"INVITE\""), 500);
    assert_eq!(capture.count("sip.resend == 1"), 0);
}

#[test]
fn five_hundred_calls_from_sipp_are_clean() {
    require!(Sipp, Tshark);
    let evidence = Evidence::new("calls-from-sipp");
    let capture = evidence.file("calls.pcapng");
    let port = callwright_peers::Port::lease();
    let callee = command()
        .arg("run")
        .arg(scenario("answer-sipp.rhai"))
        .args(["--set", &format!("local={}", port.address())])
        .arg("--capture")
        .arg(&capture)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    callwright_peers::wait_for_sip(port.address());
    Sipp::uac(port.address())
        .calls(500)
        .rate(100)
        .run()
        .assert_clean();
    say_that_all_is_done(port.address());
    let output = callee.wait_with_output().expect("it ends");
    assert_passes(&output);
    let capture = Capture::open(&capture);
    capture.assert_sound(&["sip", "sdp"]);
    assert_eq!(capture.count("sip.resend == 1"), 0);
}

fn say_that_all_is_done(callee: SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let here = socket.local_addr().expect("its address");
    let message = format!(
        "MESSAGE sip:service@{callee} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {here};branch=z9hG4bK-done\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:test@{here}>;tag=done\r\n\
         To: <sip:service@{callee}>\r\n\
         Call-ID: done@{here}\r\n\
         CSeq: 1 MESSAGE\r\n\
         Content-Length: 0\r\n\r\n"
    );
    socket.send_to(message.as_bytes(), callee).expect("it leaves");
}

#[test]
fn tshark_decodes_the_digits_and_the_audio_of_a_call() {
    require!(Tshark);
    let evidence = Evidence::new("digits");
    let capture = evidence.file("digits.pcapng");
    let output = command()
        .arg("run")
        .arg(scenario("digits.rhai"))
        .arg("--capture")
        .arg(&capture)
        .output()
        .expect("it runs");
    assert_passes(&output);
    let capture = Capture::open(&capture);
    capture.assert_sound(&["sip", "sdp", "rtp"]);
    let digits: String = capture.digits().iter().map(|digit| digit.digit).collect();
    assert_eq!(digits, "0123456789*#ABCD");
}
