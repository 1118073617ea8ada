//! `callwright e2e` with SIPp for customers, and its capture as others read it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use callwright_peers::{CallCenter, CallCenterOptions, Capture, Evidence, Sipp, command, require};

fn run(out: &Path, arguments: &[&str]) -> Output {
    let mut command = command();
    command.env("NO_COLOR", "1").args(["e2e", "--port", "0", "--out"]);
    command.arg(out).args(arguments).output().expect("it runs")
}

fn said(output: &Output) -> String {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", of(&output.stdout), of(&output.stderr))
}

#[test]
fn customers_of_sipp_are_distributed_and_heard() {
    require!(Sipp, Tshark);
    let evidence = Evidence::new("e2e-sipp");
    let out = evidence.file("run");
    let ended = run(&out, &["--customers", "sipp", "--call-duration", "2s"]);
    let said = said(&ended);
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(
        said.contains("alice 3, bob 2") || said.contains("alice 2, bob 3"),
        "{said}"
    );
    assert!(said.contains("20 of 20 directions"), "{said}");
    assert!(said.contains("SIPp: every call followed its scenario"), "{said}");
    let log = std::fs::read_to_string(out.join("logs/sipp.log")).expect("a log");
    assert!(log.contains("Successful call"), "{log}");
    Capture::open(&out.join("pcaps/test_capture.pcapng")).assert_sound(&["sip", "sdp", "rtp"]);
}

#[track_caller]
fn passes(scenario: &str, more: &[&str]) {
    let evidence = Evidence::new(&format!("e2e-{scenario}"));
    let out = evidence.file("run");
    let arguments = [&["--sipp-scenario", scenario], more].concat();
    let ended = run(&out, &arguments);
    assert_eq!(ended.status.code(), Some(0), "{scenario}: {}", said(&ended));
}

#[test]
fn a_volume_of_calls_is_distributed() {
    require!(Sipp);
    let load = ["--agents", "3", "--rate", "3", "--calls", "3"];
    passes("volume", &[&load[..], &["--call-duration", "1s"]].concat());
}

#[test]
fn calls_to_nobody_fail_as_their_scenario_wants() {
    require!(Sipp);
    passes("failed", &["--calls", "3", "--rate", "3"]);
}

#[test]
fn a_long_call_lasts() {
    require!(Sipp);
    passes("long", &["--calls", "1", "--call-duration", "200ms"]);
}

#[test]
fn a_transferred_call_is_heard_until_its_customer_is_gone() {
    require!(Sipp);
    passes("transfer", &["--calls", "1", "--call-duration", "3s"]);
}

#[test]
fn customers_who_share_a_name_are_told_apart() {
    require!(Sipp);
    let folder = Evidence::new("e2e-own");
    let own = folder.file("own.xml");
    let xml = own_scenario().replace("sip:customer-[call_number]@", "sip:sipp@");
    std::fs::write(&own, xml).expect("it can be written");
    let arguments = ["--calls", "3", "--call-duration", "1s", "--sipp-scenario"];
    let path = own.display().to_string();
    let ended = run(&folder.file("run"), &[&arguments[..], &[&path]].concat());
    let said = said(&ended);
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(
        said.contains("3 calls in the capture, 3 in the database"),
        "{said}"
    );
}

/// A process that is killed when a test ends, however that is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

#[test]
fn what_a_run_of_sipp_leaves_serves_sipp_without_a_run() {
    require!(Sipp);
    let evidence = Evidence::new("e2e-left");
    let out = evidence.file("run");
    let load = ["--customers", "sipp", "--calls", "1", "--call-duration", "200ms"];
    let ended = run(&out, &load);
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    let server = CallCenter::start_with(&CallCenterOptions {
        more: "[[queue]]\nname = \"support\"\n",
        ..CallCenterOptions::default()
    });
    let mut phone = command();
    phone.args([
        "agent",
        "--username",
        "alice",
        "--call-duration",
        "200ms",
        "--server",
    ]);
    let at = server.address().to_string();
    let mut phone = Running(phone.arg(at).stderr(Stdio::piped()).spawn().expect("it runs"));
    let lines = BufReader::new(phone.0.stderr.take().expect("it is piped")).lines();
    let is_registered = |line: &String| line.contains("registered");
    assert!(lines.map_while(Result::ok).any(|line| is_registered(&line)));
    let customers = Sipp::caller(&out.join("sipp.xml"), server.address());
    let calls = customers.service("support").calls(2).run();
    assert_eq!((calls.successful, calls.failed), (2, 0), "{calls:?}");
}

/// A scenario of one's own, from the template that is built in.
fn own_scenario() -> String {
    let template = include_str!("../../../crates/e2e/src/scenarios/queue.xml");
    let start = template.find("  <nop><action>").expect("it says a tone");
    let end = template[start..].find('\n').expect("a line") + start;
    let silent = format!("{}{}", &template[..start], &template[end + 1..]);
    silent.replace("{limit_ms}", "30000")
}

#[test]
fn a_sipp_that_dies_fails_the_run() {
    require!(Sipp);
    let evidence = Evidence::new("e2e-dead-sipp");
    let out = evidence.file("run");
    let mut running = command();
    running
        .env("NO_COLOR", "1")
        .args(["e2e", "--port", "0", "--customers", "sipp", "--out"])
        .arg(&out);
    let child = running
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // Its only child is SIPp, as soon as there is one.
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let sipp = (0..500).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let calls = out.join("logs/server.log");
        let called = std::fs::read_to_string(calls).is_ok_and(|log| log.contains("answered"));
        let listed = std::fs::read_to_string(&children).unwrap_or_default();
        listed
            .split_whitespace()
            .next()
            .filter(|_| called)
            .map(str::to_owned)
    });
    let sipp = sipp.expect("it starts");
    assert!(
        Command::new("kill")
            .args(["-s", "KILL", &sipp])
            .status()
            .expect("kill")
            .success()
    );
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    assert!(
        said(&ended).contains("FAILED SIPp: it was killed"),
        "{}",
        said(&ended)
    );
}
