//! `callwright callcenter`, through the binary.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// An empty folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let folder = support::cleared("callcenter", name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = support::callwright();
    command.current_dir(folder).arg("callcenter").args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("it runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A call center that runs, and where it listens by UDP.
struct Running {
    child: Child,
    udp: String,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.spawn().expect("it runs");
        let stdout = child.stdout.take().expect("a pipe");
        let first = BufReader::new(stdout).lines().next();
        let Some(Ok(line)) = first else {
            let mut said = String::new();
            let mut stderr = child.stderr.take().expect("a pipe");
            let _all = stderr.read_to_string(&mut said);
            panic!("it does not listen: {said}");
        };
        let udp = line
            .strip_prefix("listening on ")
            .and_then(|line| line.strip_suffix(" (UDP)"))
            .unwrap_or_else(|| panic!("{line}"));
        Running {
            udp: udp.to_owned(),
            child,
        }
    }

    fn answers_options(&self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a limit");
        let own = socket.local_addr().expect("its number");
        let options = format!(
            "OPTIONS sip:{0} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:test@{own}>;tag=1\r\nTo: <sip:{0}>\r\nCall-ID: 1@{own}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            self.udp
        );
        socket
            .send_to(options.as_bytes(), &self.udp)
            .expect("it can be sent");
        let mut answer = [0; 2048];
        let length = socket.recv(&mut answer).expect("an answer");
        answer[..length].starts_with(b"SIP/2.0 ")
    }

    fn stop(self, signal: &str) -> Output {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .expect("kill");
        assert!(sent.success());
        self.child.wait_with_output().expect("it ends")
    }
}

#[test]
fn without_a_configuration_it_serves_and_stops_in_order_when_told() {
    let folder = folder("plain");
    for signal in ["INT", "TERM"] {
        let running = Running::start(command(&folder, &["--port", "0", "--capture", "calls.pcapng"]));
        assert!(running.answers_options());
        let ended = running.stop(signal);
        assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
        let said = stderr(&ended);
        assert!(said.contains("auth is \"none\""), "{said}");
        assert!(said.contains("stopped"), "{said}");
        let capture = std::fs::read(folder.join("calls.pcapng")).expect("a capture");
        assert!(capture.windows(8).any(|window| window == b"OPTIONS "));
    }
}

#[test]
fn logs_are_lines_of_json_where_that_is_wanted() {
    let folder = folder("json");
    let running = Running::start(command(&folder, &["--port", "0", "--log-format", "json"]));
    let ended = running.stop("TERM");
    let said = stderr(&ended);
    let listening = said.lines().find(|line| line.contains("\"listening\""));
    let listening = listening.unwrap_or_else(|| panic!("{said}"));
    assert!(
        listening.starts_with('{') && listening.contains("\"transport\":\"UDP\""),
        "{listening}"
    );
}

#[test]
fn it_writes_a_configuration_that_it_takes_and_never_writes_over_one() {
    let folder = folder("init");
    let begun = run(&folder, &["--init"]);
    assert_eq!(begun.status.code(), Some(0), "{}", stderr(&begun));
    let running = Running::start(command(&folder, &["--config", "callcenter.toml", "--port", "0"]));
    assert_eq!(running.stop("TERM").status.code(), Some(0));
    let again = run(&folder, &["--init"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        stderr(&again).contains("callcenter.toml is there already"),
        "{}",
        stderr(&again)
    );
}

#[test]
fn a_port_in_use_is_named_with_who_holds_it() {
    let folder = folder("taken");
    let running = Running::start(command(&folder, &["--port", "0"]));
    let port = running.udp.rsplit_once(':').expect("a port").1;
    let second = run(&folder, &["--port", port, "--db", "second.db"]);
    assert_eq!(second.status.code(), Some(1), "{}", stderr(&second));
    let pid = running.child.id();
    let said = format!("cannot bind 127.0.0.1:{port}: the port is in use by callwright (pid {pid})");
    assert!(stderr(&second).contains(&said), "{}", stderr(&second));
    running.stop("TERM");
}

#[test]
fn a_wrong_configuration_is_a_wrong_command_line() {
    let folder = folder("wrong");
    std::fs::write(folder.join("callcenter.toml"), "auth = \"none\"\ndoman = \"x\"\n").expect("a file");
    let ended = run(&folder, &["--config", "callcenter.toml"]);
    assert_eq!(ended.status.code(), Some(2));
    let said = stderr(&ended);
    assert!(
        said.starts_with("callwright: callcenter.toml:2:1: unknown key `doman`"),
        "{said}"
    );
    let ended = run(&folder, &["--config", "missing.toml"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(
        stderr(&ended).contains("cannot read missing.toml"),
        "{}",
        stderr(&ended)
    );
}

/// Runs it with a line on standard input.
fn run_with(folder: &Path, arguments: &[&str], line: &str) -> Output {
    let mut child = command(folder, arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(line.as_bytes()).expect("it listens");
    drop(input);
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_user_with_whom_no_call_center_could_start_is_not_added() {
    let folder = folder("open");
    let config = folder.join("open.toml");
    std::fs::write(&config, "database = \"people.db\"\n[[user]]\nname = \"alice\"\n").expect("written");
    let config = config.to_str().expect("a name");
    let add = ["--config", config, "user", "add", "--password-stdin", "bob"];
    let refused = run_with(&folder, &add, "word\n");
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("alice has no password"),
        "{}",
        stderr(&refused)
    );
    let list = run(&folder, &["--config", config, "user", "list"]);
    assert!(
        list.status.success() && list.stdout.is_empty(),
        "{}",
        stderr(&list)
    );
    assert!(!folder.join("people.db").exists(), "nothing was made");
}

#[test]
fn users_are_added_listed_and_removed_and_no_password_is_kept() {
    let folder = folder("users");
    let add = ["user", "add", "--password-stdin", "--db", "people.db"];
    let added = run_with(&folder, &[&add[..], &["dave"]].concat(), "a very secret word\n");
    assert!(added.status.success(), "{}", stderr(&added));
    assert!(
        String::from_utf8_lossy(&added.stdout)
            .starts_with("added dave of callcenter.example.com in people.db")
    );
    let again = run_with(
        &folder,
        &[&add[..], &["--no-agent", "dave"]].concat(),
        "another word\n",
    );
    assert!(
        String::from_utf8_lossy(&again.stdout).starts_with("changed dave"),
        "{}",
        stderr(&again)
    );
    let list = run(&folder, &["user", "list", "--db", "people.db"]);
    assert_eq!(
        String::from_utf8_lossy(&list.stdout),
        "dave callcenter.example.com no agent\n"
    );
    for file in std::fs::read_dir(&folder).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("it can be read");
        assert!(
            !bytes
                .windows(11)
                .any(|window| window == b"secret word" || window == b"nother word")
        );
    }
    let nobody = run(&folder, &["user", "remove", "zoe", "--db", "people.db"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        stderr(&nobody).contains("there is no user zoe"),
        "{}",
        stderr(&nobody)
    );
    assert!(
        run(&folder, &["user", "remove", "dave", "--db", "people.db"])
            .status
            .success()
    );
    let asked = run_with(&folder, &["user", "add", "eve", "--db", "people.db"], "word\n");
    assert_eq!(asked.status.code(), Some(2));
    assert!(stderr(&asked).contains("--password-stdin"), "{}", stderr(&asked));
    let colon = run_with(&folder, &[&add[..], &["a:b"]].concat(), "word\n");
    assert_eq!(colon.status.code(), Some(2), "{}", stderr(&colon));
}

#[test]
fn a_database_that_cannot_be_opened_is_an_error_at_the_start_with_its_path() {
    let folder = folder("no-database");
    let refused = run(&folder, &["--port", "0", "--db", "nowhere/calls.db"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = stderr(&refused);
    assert!(
        text.contains("nowhere/calls.db") && text.contains("there is no folder"),
        "{text}"
    );
}

#[test]
fn it_stops_in_time_when_nobody_reads_its_log() {
    let folder = folder("unread");
    let mut running = command(&folder, &["--port", "0"]);
    running.env("RUST_LOG", "trace");
    let mut running = Running::start(running);
    // Its log is a pipe that nobody reads: far more goes into it than it holds.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for number in 0..3_000 {
        let message = format!(
            "OPTIONS sip:alice@callcenter.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{number}\r\n             From: <sip:x@y>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        socket
            .send_to(message.as_bytes(), &running.udp)
            .expect("it leaves");
    }
    let asked = std::time::Instant::now();
    let stopped = Command::new("kill")
        .args(["-TERM", &running.child.id().to_string()])
        .status();
    assert!(stopped.expect("kill runs").success());
    let status = running.child.wait().expect("it ends");
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}
