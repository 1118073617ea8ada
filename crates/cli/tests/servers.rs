//! `[[server]]`: what is started before a run, waited for, and stopped after it.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// An empty folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let folder = support::cleared("servers", name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("it can be written");
}

fn callwright(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = support::callwright();
    command.current_dir(folder).args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    callwright(folder, arguments).output().expect("it runs")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A port that nobody holds now.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = tcp.local_addr().expect("its number");
        if UdpSocket::bind(at).is_ok() {
            return at.port();
        }
    }
}

/// A web server that answers everything with 200, as long as the test lives.
fn web() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("its number");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut request = [0; 1024];
            let _some = stream.read(&mut request);
            let _gone =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    format!("http://{at}/healthz")
}

/// Waits until a file is there; its text.
fn written(path: &Path) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            Ok(_) | Err(_) => std::thread::yield_now(),
        }
        assert!(Instant::now() < until, "{} is never written", path.display());
    }
}

/// Whether a process runs; a dead one that nobody has buried does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill")
        .args(["-s", name, &pid])
        .status()
        .expect("kill");
    assert!(sent.success());
}

const CALLCENTER: &str = r#"
[listen]
udp = "127.0.0.1:PORT"
tcp = "127.0.0.1:PORT"

[[user]]
name = "alice"
password = "secret"
"#;

const REGISTERS: &str = r#"
let a = agent("A", #{ username: "alice", password: "secret", domain: env("DOMAIN"), transport: env("TRANSPORT", "udp") });
a.register();
await_until(|| assert(a.registered).is_true());
"#;

#[test]
fn a_command_is_ready_when_it_answers_options_and_is_gone_after_the_run() {
    let folder = folder("options");
    let port = free_port();
    let binary = env!("CARGO_BIN_EXE_callwright");
    for transport in ["udp", "tcp"] {
        write(
            &folder,
            "callcenter.toml",
            &CALLCENTER.replace("PORT", &port.to_string()),
        );
        write(
            &folder,
            "callwright.toml",
            &format!(
                r#"
                [[server]]
                command = ["{binary}", "callcenter", "--config", "callcenter.toml"]
                ready = "sip:127.0.0.1:{port};transport={transport}"
                [env]
                DOMAIN = "127.0.0.1:{port}"
                TRANSPORT = "{transport}"
                "#
            ),
        );
        write(&folder, "a.rhai", REGISTERS);
        // Paths in the file are relative to it, wherever the command runs.
        let file = folder.join("a.rhai").display().to_string();
        let ran = run(Path::new("/"), &["run", &file]);
        assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
        UdpSocket::bind(("127.0.0.1", port)).expect("nobody holds the port after the run");
    }
}

#[test]
fn a_server_that_is_never_ready_makes_the_run_invalid_and_shows_what_it_wrote() {
    let folder = folder("never");
    write(
        &folder,
        "callwright.toml",
        &format!(
            r#"
            [[server]]
            name = "pbx"
            command = "echo $WORD; echo it broke >&2; echo $$ > pid; exec sleep 600"
            env = {{ WORD = "loading" }}
            ready = "sip:127.0.0.1:{}"
            timeout = "700ms"
            "#,
            free_port()
        ),
    );
    write(&folder, "a.rhai", "print(\"ran\");");
    let ran = run(&folder, &["run", "a.rhai"]);
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran));
    let said = text(&ran);
    assert!(
        said.contains("the server pbx was not ready within 700 ms: sip:127.0.0.1:"),
        "{said}"
    );
    assert!(
        said.ends_with("the end of what pbx wrote:\n  loading\n  it broke\n"),
        "{said}"
    );
    assert!(!said.contains("ran"), "{said}");
    assert!(!runs(&written(&folder.join("pid"))));
}

#[test]
fn a_server_that_ends_before_it_is_ready_makes_the_run_invalid_at_once() {
    let folder = folder("ends");
    write(
        &folder,
        "callwright.toml",
        r#"
        [[server]]
        command = "seq 1 100; exit 4"
        ready = "http://127.0.0.1:1/"
        "#,
    );
    write(&folder, "a.rhai", "print(\"ran\");");
    let ran = run(&folder, &["run", "a.rhai"]);
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran));
    let said = text(&ran);
    assert!(
        said.contains("the server seq ended before it was ready: exit code 4"),
        "{said}"
    );
    assert!(
        said.contains("wrote:\n  71\n") && said.ends_with("\n  100\n"),
        "the end of it: {said}"
    );

    write(
        &folder,
        "callwright.toml",
        "[[server]]\ncommand = [\"no-such-program\"]\nready = \"http://127.0.0.1:1/\"\n",
    );
    let ran = run(&folder, &["run", "a.rhai"]);
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran));
    assert!(
        text(&ran).contains("the server no-such-program did not start: no-such-program: "),
        "{ran:?}"
    );
}

#[test]
fn a_server_that_does_not_last_makes_the_run_invalid() {
    let folder = folder("dies");
    write(
        &folder,
        "callwright.toml",
        &format!(
            "[[server]]\ncommand = \"echo bye; kill -9 $$\"\nready = \"{}\"\n",
            web()
        ),
    );
    write(&folder, "a.rhai", "wait(1);");
    let ran = run(&folder, &["run", "a.rhai"]);
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran));
    let said = text(&ran);
    assert!(
        // Who answers for it is somebody else, and it may have ended before or after that.
        said.contains("the server echo ended before") && said.contains(": by signal 9"),
        "{said}"
    );
    assert!(said.ends_with("\n  bye\n"), "{said}");
}

#[test]
fn everything_that_a_server_started_ends_with_the_run_whatever_the_verdict() {
    let folder = folder("group");
    for (script, code) in [("wait(0);", 0), ("assert(1).equals(2);", 1)] {
        write(
            &folder,
            "callwright.toml",
            &format!(
                "[[server]]\ncommand = \"sleep 600 & echo $! > child; sleep 600\"\nready = \"{}\"\n",
                web()
            ),
        );
        write(&folder, "a.rhai", script);
        let ran = run(&folder, &["run", "a.rhai"]);
        assert_eq!(ran.status.code(), Some(code), "{}", text(&ran));
        assert!(!runs(&written(&folder.join("child"))));
    }
}

/// A project whose server writes its number, and a run of it that does not end by itself.
fn endless(name: &str, command: &str, script: &str) -> (PathBuf, Child) {
    let folder = folder(name);
    write(
        &folder,
        "callwright.toml",
        &format!("[[server]]\ncommand = \"{command}\"\nready = \"{}\"\n", web()),
    );
    write(&folder, "a.rhai", script);
    let child = callwright(&folder, &["run", "a.rhai"]).spawn().expect("it runs");
    (folder, child)
}

#[test]
fn an_interrupt_stops_the_servers_too() {
    for name in ["INT", "TERM", "HUP"] {
        let script = "print(\"running\"); wait(600);";
        let (folder, mut child) = endless(
            &format!("interrupt-{name}"),
            "echo $$ > pid; exec sleep 600",
            script,
        );
        let pid = written(&folder.join("pid"));
        let mut stdout = child.stdout.take().expect("a pipe");
        let mut seen = String::new();
        while !seen.contains("running") {
            let mut piece = [0; 256];
            let length = stdout.read(&mut piece).expect("it prints");
            assert!(length > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        signal(&child, name);
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(130), "{}", text(&ended));
        assert!(!runs(&pid));
    }
}

#[test]
fn an_interrupt_while_a_server_starts_ends_the_run_before_it_began() {
    let folder = folder("interrupt-start");
    write(
        &folder,
        "callwright.toml",
        "[[server]]\ncommand = \"echo $$ > pid; exec sleep 600\"\nready = \"http://127.0.0.1:1/\"\n",
    );
    write(&folder, "a.rhai", "print(\"ran\");");
    let child = callwright(&folder, &["run", "a.rhai"]).spawn().expect("it runs");
    let pid = written(&folder.join("pid"));
    signal(&child, "INT");
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(130), "{}", text(&ended));
    assert!(!text(&ended).contains("ran\n"), "{}", text(&ended));
    assert!(!runs(&pid));
}

#[test]
fn a_second_interrupt_kills_a_server_that_does_not_want_to_end() {
    let command = "trap '' TERM; echo $$ > pid; while true; do sleep 1; done";
    let (folder, mut child) = endless("stubborn", command, "wait(600);");
    let pid = written(&folder.join("pid"));
    signal(&child, "INT");
    let mut stderr = child.stderr.take().expect("a pipe");
    let mut first = [0; 8];
    // It has understood the first one.
    stderr.read_exact(&mut first).expect("it says so");
    signal(&child, "INT");
    let ended = child.wait().expect("it ends");
    assert_eq!(ended.code(), Some(130));
    let until = Instant::now() + Duration::from_secs(5);
    while runs(&pid) {
        assert!(Instant::now() < until, "it still runs");
        std::thread::yield_now();
    }
}

#[test]
fn a_call_center_whose_port_is_taken_makes_the_run_invalid_and_names_the_port() {
    let folder = folder("taken");
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("its number");
    write(&folder, "callcenter.toml", &format!("[listen]\nudp = \"{at}\"\n"));
    write(
        &folder,
        "callwright.toml",
        "[[server]]\ncallcenter = \"callcenter.toml\"\n",
    );
    write(&folder, "a.rhai", "print(\"ran\");");
    let ran = run(&folder, &["run", "a.rhai"]);
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran));
    let said = text(&ran);
    assert!(
        said.contains("the server callcenter did not start: no UDP: cannot bind"),
        "{said}"
    );
    assert!(said.contains(&format!("{at}: the port is in use by")), "{said}");
    assert!(!said.contains("ran"), "{said}");

    // Where it runs already, it is not to be started.
    let ran = run(&folder, &["run", "--no-servers", "a.rhai"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
    let ran = callwright(&folder, &["run", "a.rhai"])
        .env("CALLWRIGHT_NO_SERVERS", "1")
        .output()
        .expect("it runs");
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
}

#[test]
fn the_call_center_that_is_built_in_shows_its_certificate_over_tls() {
    let folder = folder("tls");
    let port = free_port();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    write(&folder, "cert.pem", &certified.cert.pem());
    write(&folder, "key.pem", &certified.signing_key.serialize_pem());
    write(
        &folder,
        "callcenter.toml",
        &format!(
            r#"
            [listen]
            tls = "127.0.0.1:{port}"
            [tls]
            certificate = "cert.pem"
            key = "key.pem"
            [[user]]
            name = "alice"
            password = "secret"
            "#
        ),
    );
    write(
        &folder,
        "callwright.toml",
        &format!(
            r#"
            [[server]]
            callcenter = "callcenter.toml"
            ready = "sip:127.0.0.1:{port};transport=tls"
            timeout = "20s"
            [env]
            DOMAIN = "127.0.0.1:{port}"
            TRANSPORT = "tls"
            "#
        ),
    );
    write(&folder, "a.rhai", REGISTERS);
    let ran = callwright(&folder, &["run", "a.rhai"])
        .env("SSL_CERT_FILE", folder.join("cert.pem"))
        .output()
        .expect("it runs");
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));

    // What cannot be read is known before anything is started.
    std::fs::remove_file(folder.join("key.pem")).expect("it was there");
    let ran = run(&folder, &["run", "a.rhai"]);
    assert_eq!(ran.status.code(), Some(2), "{}", text(&ran));
    assert!(text(&ran).contains("key.pem: No such file"), "{}", text(&ran));
}

/// The examples with a port that nobody holds, and with this name for the server.
fn examples(name: &str) -> (PathBuf, u16) {
    let folder = folder(name);
    let port = free_port();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    std::fs::create_dir(folder.join("lib")).expect("a folder");
    for part in ["", "lib"] {
        for entry in std::fs::read_dir(source.join(part)).expect("the examples") {
            let path = entry.expect("an example").path();
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a text");
            let text = text
                .replace("127.0.0.1:15060", &format!("127.0.0.1:{port}"))
                .replace("[[server]]", "[[server]]\nname = \"system-under-test\"");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            write(&folder.join(part), &name, &text);
        }
    }
    (folder, port)
}

#[test]
fn the_examples_pass_as_they_are_with_nothing_installed() {
    let (folder, port) = examples("examples-udp");
    let ran = run(&folder, &["run", "--capture", "calls.pcapng", "."]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
    UdpSocket::bind(("127.0.0.1", port)).expect("nobody holds the port after the run");
    // The name of an interface: what the server sent and was sent is in the capture of the run.
    let capture = std::fs::read(folder.join("calls.pcapng")).expect("a capture");
    let name = b"system-under-test";
    assert!(capture.windows(name.len()).any(|window| window == name));
}

#[test]
fn the_examples_pass_over_tcp() {
    let (folder, _) = examples("examples-tcp");
    let ran = callwright(&folder, &["run", "."])
        .env("SIP_TRANSPORT", "tcp")
        .output()
        .expect("it runs");
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
}
