//! `callwright agent`, through the binary.

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

fn folder(name: &str) -> PathBuf {
    let folder = support::cleared("agent", name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = support::callwright();
    command.current_dir(folder).args(arguments);
    command
}

fn agent(folder: &Path, server: &str, arguments: &[&str]) -> Command {
    let mut command = command(folder, &["agent", "--server", server]);
    command.args(arguments);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A call center, killed when dropped.
struct Server {
    child: Child,
    at: String,
}

impl Server {
    fn start(folder: &Path, configuration: &str) -> Server {
        std::fs::write(folder.join("callcenter.toml"), configuration).expect("a file");
        let arguments = ["callcenter", "--config", "callcenter.toml", "--port", "0"];
        let mut child = command(folder, &arguments).spawn().expect("it runs");
        let stdout = child.stdout.take().expect("a pipe");
        let line = BufReader::new(stdout)
            .lines()
            .next()
            .expect("a line")
            .expect("text");
        let at = line
            .strip_prefix("listening on ")
            .and_then(|line| line.strip_suffix(" (UDP)"));
        Server {
            at: at.expect("an address").to_owned(),
            child,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Waits until a process logs this; what it logged until then.
fn until_logged(child: &mut Child, words: &str) -> String {
    let stderr = child.stderr.as_mut().expect("a pipe");
    let mut said = Vec::new();
    let mut byte = [0];
    while stderr.read(&mut byte).expect("it can be read") == 1 {
        said.push(byte[0]);
        if said.ends_with(words.as_bytes()) {
            break;
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.ends_with(words), "{said}");
    said
}

fn stop(child: Child) -> Output {
    let sent = Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status();
    assert!(sent.expect("kill").success());
    child.wait_with_output().expect("it ends")
}

#[test]
fn it_registers_answers_hangs_up_and_unregisters_when_told_to_stop() {
    let folder = folder("answers");
    let server = Server::start(&folder, "");
    let bob = [
        "--username",
        "bob",
        "--call-duration",
        "0",
        "--record",
        "rec",
        "-v",
    ];
    let mut bob = agent(&folder, &server.at, &bob).spawn().expect("it runs");
    until_logged(&mut bob, "registered");
    let caller = folder.join("caller.rhai");
    let script = format!(
        "let a = agent(\"alice\", #{{ username: \"alice\", domain: \"{}\" }});\na.register();\nawait_until(|| assert(a.registered).is_true());\n\
         a.dial(\"bob\");\nawait_until(|| assert(a.state).equals(State::Established));\na.hangup();\n",
        server.at
    );
    std::fs::write(&caller, script).expect("a file");
    let ran = command(&folder, &["run", "--no-servers", "caller.rhai"])
        .output()
        .expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    let said = until_logged(&mut bob, "recorded");
    assert!(
        said.contains("answered phone=\"bob\" call=1 call_id=\""),
        "{said}"
    );
    assert!(said.contains("← 127.0.0.1:"), "messages are logged: {said}");
    let ended = stop(bob);
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("unregistered"), "{}", stderr(&ended));
    let recordings = std::fs::read_dir(folder.join("rec")).expect("a folder").count();
    assert_eq!(recordings, 1);
}

#[test]
fn a_registration_that_fails_is_told_with_its_status() {
    let folder = folder("fails");
    let secret = "[[user]]\nname = \"alice\"\npassword = \"right\"\n";
    let server = Server::start(&folder, secret);
    for (user, password, says) in [
        ("alice", "wrong", "alice could not register at"),
        ("nobody", "right", "nobody could not register at"),
    ] {
        let ended = agent(&folder, &server.at, &["--username", user, "--password", password]).output();
        let ended = ended.expect("it runs");
        assert_eq!(ended.status.code(), Some(1));
        let said = stderr(&ended);
        // The log is written by a thread of its own: its last line may come later.
        let told = format!("callwright: {says} 127.0.0.1:");
        let line = said.lines().find(|line| line.starts_with(&told));
        let line = line.unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains(": 40"), "the status: {said}");
    }
    let away = agent(&folder, "127.0.0.1:9", &["--username", "alice"])
        .output()
        .expect("it runs");
    assert_eq!(away.status.code(), Some(1));
    assert!(
        stderr(&away).contains("nobody listens there"),
        "{}",
        stderr(&away)
    );
}

#[test]
fn a_wrong_command_line_says_which_option_is_wrong() {
    let folder = folder("usage");
    for (arguments, says) in [
        (
            vec!["--username", "a@b"],
            "--username \"a@b\" is not the name of a user",
        ),
        (
            vec!["--username", "a", "--server", ":1"],
            "--server \":1\" is neither host nor host:port",
        ),
        (
            vec!["--username", "a", "--play", "tone:9"],
            "--play tone:9: a tone has 100 to 3400 Hz",
        ),
        (
            vec!["--username", "a", "--play", "no.wav"],
            "--play: cannot read no.wav",
        ),
        (
            vec!["--username", "a", "--call-duration", "soon"],
            "is not a duration",
        ),
    ] {
        let ended = command(&folder, &["agent"])
            .args(&arguments)
            .output()
            .expect("it runs");
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&ended).contains(says), "{arguments:?}: {}", stderr(&ended));
    }
}
