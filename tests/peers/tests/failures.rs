//! What `docs/failures.md` shows is what is printed: each of its scripts runs as the document says, and its output is
//! compared with what stands there, but for times, ports, counts of packets and the order of messages.
//!
//! After a change of the reports, `CALLWRIGHT_WRITE_DOCS=1 cargo test -p callwright-peers --test failures --
//! --test-threads 1` writes the output into the document.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use callwright_peers::{Kamailio, Port, command, require};

/// The exit code of a run that proves nothing.
const INVALID: i32 = 3;
/// How often an example is tried on a machine that is late.
const ATTEMPTS: u32 = 20;

/// One example of the document, found there by its command line.
struct Case {
    command: &'static str,
    exit_code: i32,
    environment: Vec<(&'static str, String)>,
}

impl Case {
    fn new(command: &'static str) -> Self {
        Case {
            command,
            exit_code: 1,
            environment: Vec::new(),
        }
    }

    fn with(mut self, variable: &'static str, value: impl ToString) -> Self {
        self.environment.push((variable, value.to_string()));
        self
    }

    /// Standard output, then standard error: the document shows what a terminal does.
    fn run(&self, kamailio: Option<&Kamailio>) -> String {
        let mut callwright = command();
        callwright.current_dir(root()).env_remove("SSL_CERT_FILE");
        if let Some(kamailio) = kamailio {
            let environment = kamailio.environment("udp");
            callwright.envs(
                environment
                    .into_iter()
                    .filter(|(name, _)| name != "SSL_CERT_FILE"),
            );
        }
        callwright.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let arguments = self
            .command
            .split(' ')
            .skip_while(|word| *word != "callwright")
            .skip(1);
        callwright.args(arguments);
        // A machine that is late makes a check of audio INVALID: then nothing was shown, and it is tried again.
        let mut output = callwright.output().expect("it runs");
        for _ in 1..ATTEMPTS {
            if output.status.code() != Some(INVALID) {
                break;
            }
            output = callwright.output().expect("it runs");
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(self.exit_code),
            "{}\n{shown}",
            self.command
        );
        shown
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document() -> PathBuf {
    root().join("docs/failures.md")
}

#[test]
fn the_document_shows_what_is_printed_without_a_server() {
    let nobody = Port::lease();
    compare(
        None,
        &[
            Case::new("callwright run docs/failures/failed-assertion.rhai"),
            Case::new("callwright run docs/failures/syntax-error.rhai"),
            Case::new("callwright run docs/failures/misspelt-verb.rhai"),
            Case::new("callwright run docs/failures/missing-variable.rhai"),
            Case::new("callwright run docs/failures/no-audio.rhai"),
            Case::new("callwright run docs/failures/wrong-tone.rhai"),
            Case::new("callwright run docs/failures/no-rtp.rhai"),
            Case::new("SIP_TRANSPORT=udp callwright run docs/failures/server-down.rhai")
                .with("SIP_DOMAIN", nobody.address())
                .with("SIP_TRANSPORT", "udp"),
            Case::new("SIP_TRANSPORT=tcp callwright run docs/failures/server-down.rhai")
                .with("SIP_DOMAIN", nobody.address())
                .with("SIP_TRANSPORT", "tcp"),
            Case::new("callwright run --tag smkoe examples/suite.rhai"),
        ],
    );
}

#[test]
fn the_document_shows_what_is_printed_against_a_server() {
    require!(Kamailio);
    let kamailio = Kamailio::start();
    compare(
        Some(&kamailio),
        &[
            Case::new("callwright run docs/failures/wrong-password.rhai"),
            Case::new("callwright run docs/failures/unknown-callee.rhai"),
            Case::new("callwright run docs/failures/not-registered.rhai"),
            Case::new("callwright run docs/failures/no-answer.rhai"),
            Case::new("callwright run docs/failures/port-in-use.rhai").with("LOCAL_ADDRESS", kamailio.udp()),
            Case::new("callwright run docs/failures/untrusted-certificate.rhai")
                .with("SIP_DOMAIN", kamailio.tls()),
        ],
    );
}

#[test]
fn the_document_shows_each_script_whole() {
    let document = std::fs::read_to_string(document()).expect("docs/failures.md");
    let scripts = std::fs::read_dir(root().join("docs/failures")).expect("docs/failures");
    let mut count = 0;
    for script in scripts {
        let path = script.expect("an entry of docs/failures").path();
        let text = std::fs::read_to_string(&path).expect("a script");
        let shown = format!("```rhai\n{text}```\n");
        assert!(
            document.contains(&shown),
            "docs/failures.md does not show {}",
            path.display()
        );
        count += 1;
    }
    assert!(count > 0);
}

fn compare(kamailio: Option<&Kamailio>, cases: &[Case]) {
    for case in cases {
        let printed = case.run(kamailio);
        let text = std::fs::read_to_string(document()).expect("docs/failures.md");
        let head = format!("```console\n$ {}\n", case.command);
        let (before, after) = text
            .split_once(&head)
            .unwrap_or_else(|| panic!("docs/failures.md does not run `{}`", case.command));
        let (shown, rest) = after.split_once("```\n").expect("the end of the block");
        if std::env::var_os("CALLWRIGHT_WRITE_DOCS").is_some() {
            let new = format!("{before}{head}{printed}```\n{rest}");
            std::fs::write(document(), new).expect("docs/failures.md is written");
            continue;
        }
        let (shown, printed_lines) = (essence(shown), essence(&printed));
        let missing: Vec<_> = shown.symmetric_difference(&printed_lines).collect();
        assert!(
            missing.is_empty(),
            "docs/failures.md and `{}` differ in {missing:#?}\nprinted was:\n{printed}",
            case.command
        );
    }
}

/// The lines that are the same each time.
fn essence(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| {
        // A busy machine is late: what is sent again then, and what it says of itself, says nothing of the example.
        !line.ends_with("(again)") && !line.starts_with("generator:")
    });
    lines.map(normalised).collect()
}

/// A line without what differs from run to run: spans of time, ports, processes, counts of packets.
fn normalised(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut same = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let next = words
            .get(index + 1)
            .map_or("", |next| next.trim_end_matches([')', ',', ':']));
        let before = index.checked_sub(1).map_or("", |before| words[before]);
        let is_span = matches!(next, "ms" | "s") && !word.contains(['"', '`']);
        let is_unit = index > 0 && matches!(word.trim_end_matches([')', ',', ':']), "ms" | "s");
        let is_count = matches!(next, "sent" | "received" | "RTP");
        if is_unit {
            continue;
        } else if is_span
            || (is_count && word.trim_start_matches('(').parse::<u32>().is_ok())
            || before == "(pid"
        {
            same.push("N".to_owned());
        } else {
            same.push(without_port(word));
        }
    }
    same.join(" ")
}

fn without_port(word: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    match word.split_once(HOST) {
        Some((before, after)) => {
            format!(
                "{before}{HOST}{}",
                after.trim_start_matches(|c: char| c.is_ascii_digit())
            )
        }
        None => word.to_owned(),
    }
}
