//! `callwright e2e`, through the binary, with customers that are built in.

mod support;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for a test; the run makes it.
fn folder(name: &str) -> PathBuf {
    support::cleared("e2e", name)
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = support::callwright();
    command
        .args(["e2e", "--port", "0", "--out"])
        .arg(folder)
        .args(arguments);
    command
}

/// A run of short calls.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let short = [&["--call-duration", "2s"], arguments].concat();
    command(folder, &short).output().expect("it runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The line with the verdict.
fn verdict(output: &Output) -> String {
    let text = stdout(output);
    let line = text.lines().find(|line| {
        ["PASSED", "FAILED", "INVALID", "INTERRUPTED"]
            .iter()
            .any(|word| line.starts_with(word))
    });
    line.unwrap_or_else(|| panic!("{text}{}", stderr(output)))
        .to_owned()
}

/// The line of a criterion.
fn criterion(output: &Output, name: &str) -> String {
    let text = stdout(output);
    let mut judged = text.lines().filter(|line| line.starts_with(['✓', '✗', '–']));
    let line = judged.find(|line| line.split_whitespace().nth(1) == Some(name));
    line.unwrap_or_else(|| panic!("{name}: {text}")).to_owned()
}

fn results(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("results.json")).expect("results")
}

#[test]
fn two_agents_and_five_calls_are_three_and_two() {
    let folder = folder("passes");
    let ended = run(&folder, &[]);
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}{}",
        stdout(&ended),
        stderr(&ended)
    );
    assert_eq!(verdict(&ended), "PASSED");
    // Who has the third depends on who is free first.
    let shares = criterion(&ended, "distributed");
    assert!(
        shares.ends_with("alice 3, bob 2") || shares.ends_with("alice 2, bob 3"),
        "{shares}"
    );
    assert!(criterion(&ended, "registered").contains("2 of 2 agents"));
    assert!(criterion(&ended, "audio").contains("20 of 20 directions"));
    assert!(criterion(&ended, "recordings").contains("5 of 5 talks"));
    for file in [
        "logs/server.log",
        "logs/alice.log",
        "logs/bob.log",
        "logs/customers.log",
        "pcaps/test_capture.pcapng",
        "callcenter.db",
        "report.html",
        "results.json",
        "junit.xml",
    ] {
        let length = folder
            .join(file)
            .metadata()
            .unwrap_or_else(|error| panic!("{file}: {error}"))
            .len();
        assert!(length > 0, "{file}");
    }
    let report = std::fs::read_to_string(folder.join("report.html")).expect("a report");
    assert_eq!(
        report.matches("<svg class=\"ladder\"").count(),
        5,
        "one ladder a call"
    );
    for reference in ["src=", "href=\"http", "url(", "@import"] {
        assert!(
            !report.contains(reference),
            "it opens without a network: {reference}"
        );
    }
    assert!(
        report.contains("server.log") && report.contains("registered phone="),
        "the logs are in it"
    );
    assert!(results(&folder).contains("\"verdict\": \"passed\""));
    let mut analyze = support::callwright();
    analyze
        .args(["analyze", "--json"])
        .arg(folder.join("pcaps/test_capture.pcapng"));
    let analysis = stdout(&analyze.output().expect("it runs"));
    for said in ["X-Callwright-Call names the Call-ID", "\"is_guess\""] {
        let count = analysis.matches(said).count();
        assert_eq!(count, 5, "one join in each call, and by its header: {analysis}");
    }
    let junit = std::fs::read_to_string(folder.join("junit.xml")).expect("a report");
    assert!(
        junit.contains("failures=\"0\"") && junit.contains("audio was heard both ways"),
        "{junit}"
    );
    let log = std::fs::read_to_string(folder.join("logs/alice.log")).expect("a log");
    assert!(log.contains("call_id="), "{log}");
    assert!(log.contains("unregistered"), "{log}");
}

#[test]
fn a_wrong_password_is_named_with_its_agent() {
    let folder = folder("password");
    let ended = run(&folder, &["--calls", "2", "--fault", "wrong-password=bob"]);
    assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
    let verdict = verdict(&ended);
    assert!(
        verdict.starts_with("FAILED bob could not register: 40"),
        "{verdict}"
    );
    assert!(criterion(&ended, "distributed").contains("alice 2, bob 0"));
    assert!(results(&folder).contains("\"verdict\": \"failed\""));
}

#[test]
fn the_death_of_a_phone_fails_the_run() {
    let folder = folder("death");
    let ended = run(&folder, &["--calls", "3", "--fault", "kill=alice"]);
    assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
    assert_eq!(
        verdict(&ended),
        "FAILED the phone of alice died in a call: no BYE, no unregistration"
    );
    assert!(criterion(&ended, "audio").starts_with('✗'), "{}", stdout(&ended));
    assert!(
        criterion(&ended, "distributed").contains("alice 1, bob 2"),
        "{}",
        stdout(&ended)
    );
}

#[test]
fn a_customer_who_hangs_up_while_waiting_is_told_apart() {
    let folder = folder("impatient");
    let one_agent = [
        "--agents",
        "1",
        "--calls",
        "2",
        "--rate",
        "2",
        "--call-duration",
        "4s",
    ];
    let ended = command(&folder, &one_agent)
        .args(["--fault", "give-up=2"])
        .output()
        .expect("it runs");
    assert_eq!(
        ended.status.code(),
        Some(1),
        "{}{}",
        stdout(&ended),
        stderr(&ended)
    );
    let verdict = verdict(&ended);
    assert!(
        verdict.starts_with("FAILED customer-2 hung up after 1.") && verdict.ends_with("no agent had come"),
        "{verdict}"
    );
    assert!(
        criterion(&ended, "agreement").starts_with('✓'),
        "abandoned in the database, too: {}",
        stdout(&ended)
    );
}

#[test]
fn a_port_in_use_is_named_with_who_holds_it_and_nothing_is_proved() {
    let folder = folder("port");
    let holder = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = holder.local_addr().expect("its number").port().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_callwright"));
    let ended = command
        .args(["e2e", "--port", &port, "--out"])
        .arg(&folder)
        .output()
        .expect("it runs");
    assert_eq!(ended.status.code(), Some(3), "{}", stdout(&ended));
    let said = stderr(&ended);
    let line = said.lines().last().unwrap_or_default();
    let pid = std::process::id();
    assert!(
        line.starts_with("callwright: the call center did not start: ")
            && line.contains(&format!("127.0.0.1:{port}: the port is in use by"))
            && line.ends_with(&format!("(pid {pid}); --port takes another")),
        "{said}"
    );
}

#[test]
fn a_missing_sipp_is_an_error_that_names_the_package() {
    let folder = folder("no-sipp");
    let ended = command(&folder, &["--customers", "sipp"])
        .env("PATH", "")
        .output()
        .expect("it runs");
    assert_eq!(ended.status.code(), Some(3));
    assert!(
        stderr(&ended).contains("install the package sip-tester"),
        "{}",
        stderr(&ended)
    );
    assert!(!folder.exists(), "nothing was begun");
}

#[test]
fn an_interrupt_ends_everything_in_order() {
    use std::io::{BufRead as _, BufReader};
    let folder = folder("interrupt");
    let mut child = command(&folder, &["--call-duration", "30s"])
        .spawn()
        .expect("it runs");
    let stdout = child.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("customer-1") && line.contains("talks")));
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "INT", &pid])
            .status()
            .expect("kill")
            .success()
    );
    let rest: Vec<_> = lines.collect();
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130), "{rest:?}");
    assert!(
        rest.iter().any(|line| line.starts_with("INTERRUPTED")),
        "{rest:?}"
    );
    let log = std::fs::read_to_string(folder.join("logs/server.log")).expect("a log");
    assert!(log.contains("stopped"), "{log}");
    assert!(folder.join("report.html").exists());
}

#[test]
fn an_earlier_run_is_kept_where_that_is_wanted() {
    let folder = folder("keep");
    let mut last = Vec::new();
    for _ in 0..2 {
        let ended = run(&folder, &["--calls", "1", "--agents", "1", "--keep"]);
        assert_eq!(
            ended.status.code(),
            Some(0),
            "{}{}",
            stdout(&ended),
            stderr(&ended)
        );
        last.push(stdout(&ended).lines().last().unwrap_or_default().to_owned());
    }
    assert!(last[0].contains("keep/report.html"), "{}", last[0]);
    assert!(last[1].contains("keep-2/report.html"), "{}", last[1]);
    let second = folder.with_file_name("keep-2");
    assert!(second.join("results.json").exists());
    std::fs::remove_dir_all(second).expect("it can go");
}

#[test]
fn a_fault_that_speaks_of_nobody_is_a_wrong_command_line() {
    let folder = folder("nobody");
    for (fault, says) in [
        ("kill=zoe", "there is no such agent"),
        ("give-up=9", "there is no such customer"),
        ("burn=alice", "is no fault"),
    ] {
        let ended = run(&folder, &["--fault", fault]);
        assert_eq!(ended.status.code(), Some(2), "{fault}");
        assert!(stderr(&ended).contains(says), "{fault}: {}", stderr(&ended));
    }
}
