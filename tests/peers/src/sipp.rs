//! SIPp, with one of its own scenarios or one from a file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::{Daemon, pinned};
use crate::evidence::Evidence;
use crate::peer::program;
use crate::ports::{Port, is_bound};

const ATTEMPTS: usize = 5;
const PROBES: usize = 400;
const PROBE_PAUSE: Duration = Duration::from_millis(20);

/// What SIPp shall do. The defaults are SIPp's own, except that it stays on 127.0.0.1 and ends after one call.
#[derive(Debug, Clone)]
pub struct Sipp {
    scenario: Vec<String>,
    target: Option<SocketAddr>,
    calls: u32,
    /// Lines for the fields of a scenario, one a call.
    table: Option<String>,
    arguments: Vec<String>,
    cpu: Option<usize>,
    limit: Duration,
}

/// A SIPp at work, stopped when dropped.
#[derive(Debug)]
pub struct RunningSipp {
    daemon: Daemon,
    port: Port,
    _media: Port,
    limit: Duration,
    expected: u32,
    evidence: Evidence,
}

/// What SIPp counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SippCalls {
    /// Calls that it was told to make or take.
    pub expected: u32,
    /// Calls that followed the scenario to its end.
    pub successful: u32,
    /// Calls that did not.
    pub failed: u32,
    /// Messages that it sent again.
    pub retransmissions: u32,
    /// Its error file: unexpected messages, timeouts.
    pub errors: String,
    /// The code of its exit: 0 when all calls succeeded. Nothing when it had to be killed.
    pub exit_code: Option<i32>,
}

impl Sipp {
    /// The stock caller: INVITE, ACK, BYE to `target`.
    pub fn uac(target: SocketAddr) -> Self {
        Self::new(&["-sn", "uac"], Some(target))
    }

    /// The stock callee: 180, 200, and 200 to the BYE.
    pub fn uas() -> Self {
        Self::new(&["-sn", "uas"], None)
    }

    /// A scenario from a file, as caller of `target`.
    pub fn caller(scenario: &Path, target: SocketAddr) -> Self {
        Self::new(&["-sf", &scenario.to_string_lossy()], Some(target))
    }

    /// A scenario from a file, as callee.
    pub fn callee(scenario: &Path) -> Self {
        Self::new(&["-sf", &scenario.to_string_lossy()], None)
    }

    /// Registers each user, by name and password, with the contact `sip:name@contact`.
    pub fn registering(registrar: SocketAddr, users: &[(String, String)], contact: SocketAddr) -> Self {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/register.xml");
        let line = |(name, password): &(String, String)| {
            format!("{name};[authentication username={name} password={password}]\n")
        };
        let mut sipp =
            Self::caller(&scenario, registrar).argument(&["-key", "contact", &contact.to_string()]);
        sipp.table = Some(format!(
            "SEQUENTIAL\n{}",
            users.iter().map(line).collect::<String>()
        ));
        sipp.calls(u32::try_from(users.len()).expect("a number of users"))
    }

    /// How many calls to make or take before it ends.
    #[must_use]
    pub fn calls(mut self, calls: u32) -> Self {
        self.calls = calls;
        self
    }

    /// Calls started per second.
    #[must_use]
    pub fn rate(self, calls_per_second: u32) -> Self {
        self.argument(&["-r", &calls_per_second.to_string()])
    }

    /// The user part of the address called.
    #[must_use]
    pub fn service(self, user: &str) -> Self {
        self.argument(&["-s", user])
    }

    /// How long a caller holds each call.
    #[must_use]
    pub fn hold(self, duration: Duration) -> Self {
        self.argument(&["-d", &duration.as_millis().to_string()])
    }

    /// Arguments as on SIPp's own command line.
    #[must_use]
    pub fn argument(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Keeps it on one CPU.
    #[must_use]
    pub fn on_cpu(mut self, cpu: usize) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// How long all calls together may take: one minute unless told.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it and waits until it listens.
    pub fn start(&self) -> RunningSipp {
        for _ in 1..ATTEMPTS {
            if let Ok(sipp) = self.try_start() {
                return sipp;
            }
        }
        self.try_start()
            .unwrap_or_else(|log| panic!("SIPp does not start:\n{log}"))
    }

    /// Starts it and waits until it is done.
    pub fn run(&self) -> SippCalls {
        self.start().finish()
    }

    fn new(scenario: &[&str], target: Option<SocketAddr>) -> Self {
        Self {
            scenario: scenario.iter().map(|word| (*word).to_owned()).collect(),
            target,
            calls: 1,
            table: None,
            arguments: Vec::new(),
            cpu: None,
            limit: Duration::from_secs(60),
        }
    }

    fn try_start(&self) -> Result<RunningSipp, String> {
        let evidence = Evidence::new("sipp");
        let (port, media) = (Port::lease(), Port::lease());
        let sipp = program("sipp").expect("require!(Sipp) comes first");
        let mut command = pinned(self.cpu, &sipp);
        command
            .current_dir(evidence.path())
            .args(&self.scenario)
            .args(["-i", "127.0.0.1", "-p", &port.number().to_string()])
            .args(["-mi", "127.0.0.1", "-mp", &media.number().to_string()])
            .args(["-m", &self.calls.to_string(), "-nostdin"])
            .args([
                "-trace_err",
                "-error_file",
                "errors.log",
                "-trace_stat",
                "-stf",
                "statistics.csv",
                "-fd",
                "1",
            ])
            .args(&self.arguments)
            .args(self.target.map(|target| target.to_string()));
        if let Some(table) = &self.table {
            std::fs::write(evidence.file("table.csv"), table).expect("the table of fields");
            command.args(["-inf", "table.csv"]);
        }
        let daemon = Daemon::spawn(&mut command, &evidence.file("output.log"), Signal::USR1);
        let mut sipp = RunningSipp {
            daemon,
            port,
            _media: media,
            limit: self.limit,
            expected: self.calls,
            evidence,
        };
        if sipp.becomes_ready() {
            Ok(sipp)
        } else {
            Err(sipp.evidence.ends_of_logs())
        }
    }
}

impl RunningSipp {
    /// Where it listens: UDP, or TCP where it was told so.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where it keeps its files.
    pub fn folder(&self) -> PathBuf {
        self.evidence.path().to_owned()
    }

    /// Waits until it has made or taken all its calls and returns what it counted. When its time is up, it is told
    /// to finish, and the calls that are missing show in the counts.
    pub fn finish(mut self) -> SippCalls {
        let status = self.daemon.wait(self.limit).or_else(|| self.daemon.stop());
        let statistics = self.evidence.read("statistics.csv");
        let last = |column: &str| last_count(&statistics, column);
        SippCalls {
            expected: self.expected,
            successful: last("SuccessfulCall(C)"),
            failed: last("FailedCall(C)"),
            retransmissions: last("Retransmissions(C)"),
            errors: self.evidence.read("errors.log"),
            exit_code: status.and_then(|status| status.code()),
        }
    }

    /// A socket on its port is what shows that it listens: SIPp counts a probe by OPTIONS as a failed call.
    fn becomes_ready(&mut self) -> bool {
        for _ in 0..PROBES {
            if is_bound(self.port.number()) {
                return true;
            }
            if let Some(status) = self.daemon.wait(PROBE_PAUSE) {
                // A caller of few calls may be done before anybody looked.
                return status.success() || !self.evidence.read("statistics.csv").is_empty();
            }
        }
        false
    }
}

impl SippCalls {
    /// All calls succeeded and no message was sent twice.
    pub fn are_clean(&self) -> bool {
        self.successful == self.expected
            && self.failed == 0
            && self.retransmissions == 0
            && self.exit_code == Some(0)
    }

    /// Panics with SIPp's own words unless the calls [are clean](Self::are_clean).
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(
            self.are_clean(),
            "SIPp: {} of {} calls successful, {} failed, {} retransmissions, exit code {:?}\n{}",
            self.successful,
            self.expected,
            self.failed,
            self.retransmissions,
            self.exit_code,
            self.errors
        );
    }
}

/// The value of a column in the last line of SIPp's statistics; 0 when it wrote none.
fn last_count(statistics: &str, column: &str) -> u32 {
    let mut lines = statistics.lines();
    let index = lines
        .next()
        .and_then(|header| header.split(';').position(|name| name == column));
    let value = index.and_then(|index| lines.last()?.split(';').nth(index)?.parse().ok());
    value.unwrap_or(0)
}
