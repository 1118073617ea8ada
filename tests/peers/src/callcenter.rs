//! Our own call center, as others meet it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::{Daemon, pinned};
use crate::evidence::Evidence;
use crate::ports::Port;
use crate::product::binary;

const ATTEMPTS: usize = 5;
/// Looks at what it printed before a start counts as failed, and the pause between two: together 20 s.
const PROBES: usize = 1_000;
const PROBE_PAUSE: Duration = Duration::from_millis(20);
/// Longer than calls in progress and what is captured take to end.
const PATIENCE: Duration = Duration::from_secs(40);

/// `callwright callcenter` on 127.0.0.1, for the domain `callwright.test`, stopped when dropped. Its users and their passwords are
/// those of `kamailio.cfg`: alice/alicepw, bob/bobpw, carol/carolpw, dave/davepw.
#[derive(Debug)]
pub struct CallCenter {
    daemon: Daemon,
    sip: Port,
    evidence: Evidence,
}

/// How to start it.
#[derive(Debug, Default)]
pub struct CallCenterOptions<'a> {
    /// `none`, `registrations` or `everything`; the first where nothing is said.
    pub auth: Option<&'a str>,
    /// Further lines of its configuration: tables.
    pub more: &'a str,
    /// A CPU that it is to stay on.
    pub cpu: Option<usize>,
    /// Every packet is written to a file.
    pub capture: bool,
    /// Its database; else it is beside its configuration.
    pub database: Option<&'a Path>,
}

impl CallCenter {
    /// A table of the configuration: an API without a token.
    pub const OPEN_API: &str = "[http]\nlisten = \"127.0.0.1:0\"\ntoken = false\n";

    /// Starts it, with a capture, and waits until it listens.
    pub fn start(auth: &str) -> Self {
        Self::start_with(&CallCenterOptions {
            auth: Some(auth),
            capture: true,
            ..CallCenterOptions::default()
        })
    }

    /// Starts it and waits until it listens.
    pub fn start_with(options: &CallCenterOptions<'_>) -> Self {
        for _ in 1..ATTEMPTS {
            if let Ok(callcenter) = Self::try_start(options) {
                return callcenter;
            }
        }
        Self::try_start(options).unwrap_or_else(|log| panic!("the call center does not start:\n{log}"))
    }

    /// Where it listens: UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.sip.address()
    }

    /// What it captured: complete once it was [stopped](Self::stop).
    pub fn capture(&self) -> PathBuf {
        self.evidence.file("calls.pcapng")
    }

    /// The ports of RTP and RTCP that it has open now.
    pub fn media_ports(&self) -> Vec<u16> {
        let mut ports = self.daemon.udp_ports();
        ports.retain(|port| *port != self.address().port());
        ports
    }

    /// The time of the CPU that it took so far.
    pub fn cpu_time(&self) -> Duration {
        self.daemon.cpu_time()
    }

    /// The memory that it has resident now, in bytes. Panics when it has ended.
    #[track_caller]
    pub fn memory(&self) -> u64 {
        let memory = self.daemon.memory();
        memory.unwrap_or_else(|| panic!("it has ended:\n{}", self.log()))
    }

    /// What its API answers, whose address it said when it was started last: with [`OPEN_API`](Self::OPEN_API).
    #[track_caller]
    pub fn get(&self, path: &str) -> String {
        let again = self.log_after_crash();
        let log = if again.is_empty() { self.log() } else { again };
        let at = log
            .split("API on http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        let mut stream = TcpStream::connect(at.expect("an API")).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it leaves");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
        body.to_owned()
    }

    /// One of its metrics without labels, such as `banned_total`.
    #[track_caller]
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics");
        let name = format!("callwright_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        let value = value.and_then(|value| value.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name}in\n{text}"))
    }

    /// A file beside its configuration: its database, its recordings.
    pub fn file(&self, name: &str) -> PathBuf {
        self.evidence.file(name)
    }

    /// Kills it without a word, and starts it again with the same configuration and whatever is left; waits until it listens.
    #[track_caller]
    pub fn crash_and_start_again(&mut self) {
        self.daemon.kill();
        let config = self.evidence.file("callcenter.toml");
        let options = CallCenterOptions::default();
        self.daemon = Daemon::spawn(
            &mut command_of(&options, &config, &self.evidence),
            &self.evidence.file("again.log"),
            Signal::TERM,
        );
        for _ in 0..PROBES {
            if self.log_after_crash().contains("listening on") {
                return;
            }
            if self.daemon.wait(PROBE_PAUSE).is_some() {
                break;
            }
        }
        panic!("it does not start again:\n{}", self.log_after_crash());
    }

    /// What it wrote since it was started again.
    pub fn log_after_crash(&self) -> String {
        self.evidence.read("again.log")
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        self.evidence.read("callcenter.log")
    }

    /// Ends it in order; it stays there to be asked for its capture. Panics when it ends with an error.
    #[track_caller]
    pub fn stop(&mut self) {
        let status = self.daemon.finish(PATIENCE);
        assert!(
            status.is_some_and(|status| status.success()),
            "it ended with {status:?}:\n{}",
            self.log()
        );
    }

    fn try_start(options: &CallCenterOptions<'_>) -> Result<Self, String> {
        let evidence = Evidence::new("callcenter");
        let sip = Port::lease();
        let config = evidence.file("callcenter.toml");
        let at = sip.address();
        let mut text = format!(
            "domain = \"callwright.test\"\nauth = \"{}\"\n# SIPp 3.6 and baresip 1.0 give up at a challenge by SHA-256.\ndigest = [\"md5\"]\n\n[listen]\nudp = \"{at}\"\ntcp = \"{at}\"\n\n",
            options.auth.unwrap_or("none")
        );
        for user in ["alice", "bob", "carol", "dave"] {
            text += &format!("[[user]]\nname = \"{user}\"\npassword = \"{user}pw\"\n\n");
        }
        text += options.more;
        std::fs::write(&config, text).expect("its configuration");
        let daemon = Daemon::spawn(
            &mut command_of(options, &config, &evidence),
            &evidence.file("callcenter.log"),
            Signal::TERM,
        );
        let mut callcenter = CallCenter {
            daemon,
            sip,
            evidence,
        };
        for _ in 0..PROBES {
            if callcenter.log().contains("listening on") {
                return Ok(callcenter);
            }
            if callcenter.daemon.wait(PROBE_PAUSE).is_some() {
                break;
            }
        }
        Err(callcenter.evidence.ends_of_logs())
    }
}

fn command_of(options: &CallCenterOptions<'_>, config: &Path, evidence: &Evidence) -> Command {
    let mut command = pinned(options.cpu, binary());
    command.env("NO_COLOR", "1");
    command.arg("callcenter").arg("--config").arg(config);
    if let Some(database) = options.database {
        command.arg("--db").arg(database);
    }
    if options.capture {
        command.arg("--capture").arg(evidence.file("calls.pcapng"));
    }
    command
}
