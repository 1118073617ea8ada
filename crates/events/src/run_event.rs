//! The kinds of events.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ExitCode, Failure};

/// The version of this vocabulary, in `run_started`. It grows when a kind or a field is added.
pub const VOCABULARY_VERSION: u32 = 1;

/// A place in a script. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The file, as named on the command line or by the import.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Which way a SIP message went, seen from the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SipDirection {
    /// Sent by the agent.
    Sent,
    /// Received by the agent.
    Received,
}

/// How a scenario ended, all its attempts taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It held at the first attempt.
    Passed,
    /// It held only when it was tried again. That counts as passed, or, with `--flaky fail`, as failed.
    Flaky,
    /// It failed, as it was expected to.
    ExpectedFailure,
    /// It failed.
    Failed,
    /// It was not run, or stopped itself.
    Skipped,
    /// It failed while the generator itself was too late to judge.
    Invalid,
    /// A signal ended it.
    Interrupted,
}

impl Outcome {
    /// True for what counts as passed: a flaky scenario does, unless the run says otherwise.
    pub const fn is_pass(self) -> bool {
        matches!(self, Outcome::Passed | Outcome::Flaky | Outcome::ExpectedFailure)
    }
}

/// How well the generator itself did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Own lateness of media packets, 99th percentile, in milliseconds; none when nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lateness_p99_ms: Option<f64>,
    /// The largest lateness, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lateness_max_ms: Option<f64>,
    /// Datagrams that the kernel dropped because own sockets were full.
    pub receive_drops: u64,
    /// Media packets that were skipped because they would have been more than 60 ms late.
    pub packets_skipped: u64,
    /// Malformed messages received.
    pub malformed_messages: u64,
    /// Receive buffer that the kernel gave a signalling socket, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub receive_buffer_bytes: Option<u64>,
    /// Limit of open files.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub open_file_limit: Option<u64>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The first event of a run.
    RunStarted {
        /// Version of the program.
        version: String,
        /// [`VOCABULARY_VERSION`].
        vocabulary: u32,
        /// The seed that repeats every choice made by chance.
        seed: u64,
        /// In virtual time, on a simulated network.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        simulated: bool,
        /// How many scenarios run at the same time.
        jobs: usize,
        /// How many files were given.
        files: usize,
    },
    /// A file begins.
    FileStarted {
        /// Its path.
        path: String,
        /// How many scenarios of it were selected; none when the file is itself one scenario.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        scenarios: Option<usize>,
    },
    /// A scenario begins, or is tried again.
    ScenarioStarted {
        /// Its name.
        name: String,
        /// 1, or more when it is tried again.
        attempt: u32,
        /// Its tags.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        tags: Vec<String>,
        /// Where it stands.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// A user agent came up.
    AgentStarted {
        /// Its name in the script.
        name: String,
        /// Its address-of-record.
        aor: String,
        /// Where it stands in the script.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// A verb was carried out.
    Action {
        /// Which agent.
        agent: String,
        /// `register`, `dial`, `accept`, …
        kind: String,
        /// Its argument, as in the target of `dial`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        detail: Option<String>,
        /// Where it stands.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// Something was done to the network, to a server, or to the time.
    Network {
        /// `network`, `partition`, `heal`, `crash`, `restart` or `advance`.
        kind: String,
        /// What, as in `alice ↔ bob: latency 40ms`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        detail: Option<String>,
        /// Where it stands.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// `wait` begins.
    Wait {
        /// How long.
        seconds: f64,
        /// Where it stands.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// The script's note.
    Log {
        /// Its text.
        message: String,
        /// Where it stands.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// The script's bare line.
    Print {
        /// Its text.
        message: String,
    },
    /// Something that a reader should know and that fails nothing.
    Note {
        /// Its text.
        message: String,
        /// Where it stands.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// Something that weakens what the run proves: `only`, `tls_verify: false`, small buffers.
    Warning {
        /// Its text.
        message: String,
        /// Where it stands.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// A request of the script was answered.
    Http {
        /// `GET` and so on.
        method: String,
        /// Where to.
        url: String,
        /// The status of the response.
        status: u16,
        /// Where it stands.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// A mock server was asked.
    MockRequest {
        /// `GET` and so on.
        method: String,
        /// The path, without query.
        path: String,
        /// False when no route matched: answered 404.
        matched: bool,
    },
    /// The responder of a mock server failed: answered 500.
    MockError {
        /// `GET` and so on.
        method: String,
        /// The path, without query.
        path: String,
        /// What the script said.
        error: String,
        /// Where.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// An assertion held, or failed. Failing tries inside `await_until` are not reported, the last is.
    Assertion {
        /// What it is about.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        label: Option<String>,
        /// What it wants, as in `equals Established`.
        expect: String,
        /// Whether it held.
        ok: bool,
        /// What was there.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        actual: Option<String>,
        /// Where it stands.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// A SIP message of an agent.
    Sip {
        /// Whose message.
        agent: String,
        /// Sent or received.
        direction: SipDirection,
        /// The transport and the other side, as in `UDP 192.0.2.1:5060`.
        peer: String,
        /// The first line in short.
        summary: String,
        /// The whole message, where asked for; bytes that are not UTF-8 are replaced.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        raw: Option<String>,
        /// True when it was sent or received again.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        retransmission: bool,
        /// The line of the script that caused it, as far as known.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        location: Option<Location>,
    },
    /// What was measured of an agent's audio, when its scenario ends.
    Metric {
        /// Which agent.
        agent: String,
        /// Mean opinion score, 1 to 4.5.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mos: Option<f64>,
        /// Interarrival jitter, ms.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        jitter_ms: Option<f64>,
        /// Loss, percent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        packet_loss_pct: Option<f64>,
        /// Round trip, ms.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rtt_ms: Option<f64>,
        /// Packets sent.
        packets_sent: u64,
        /// Packets received.
        packets_received: u64,
    },
    /// A scenario ended: this attempt, and the verdict when it was the last.
    ScenarioFinished {
        /// Its name.
        name: String,
        /// Whether this attempt passed; false also for a flaky scenario that the run counts as failed.
        passed: bool,
        /// The verdict over all attempts; none while it will be tried again.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        outcome: Option<Outcome>,
        /// 1, or more.
        attempt: u32,
        /// One line: why it failed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        error: Option<String>,
        /// The whole story of a failure.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        failure: Option<Box<Failure>>,
        /// How long this attempt took, in milliseconds of the world's time.
        duration_ms: f64,
    },
    /// A scenario was not run, or stopped itself.
    ScenarioSkipped {
        /// Its name.
        name: String,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// A file with scenarios ended.
    SuiteFinished {
        /// Its path.
        path: String,
        /// How many scenarios were selected.
        total: usize,
        /// How many passed, flaky ones among them unless the run counts those as failed.
        passed: usize,
        /// How many were skipped.
        skipped: usize,
        /// In milliseconds.
        duration_ms: f64,
        /// What went wrong outside its scenarios: a syntax error, a failed `setup_file`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        error: Option<String>,
        /// The whole story of that.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        failure: Option<Box<Failure>>,
    },
    /// A file that is itself one scenario ended.
    Finished {
        /// Its path.
        path: String,
        /// Whether this attempt passed.
        passed: bool,
        /// The verdict over all attempts; none while it will be tried again.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        outcome: Option<Outcome>,
        /// 1, or more.
        attempt: u32,
        /// One line: why it failed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        error: Option<String>,
        /// The whole story of a failure.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        failure: Option<Box<Failure>>,
        /// How long this attempt took, in milliseconds of the world's time.
        duration_ms: f64,
    },
    /// How often each rule of the protocols was judged, in a simulated run.
    Rules {
        /// All of them, in the same order in every run.
        rules: Vec<RuleCount>,
    },
    /// The last event of a run.
    RunFinished {
        /// How many files ran.
        files: usize,
        /// How many of them passed whole.
        passed_files: usize,
        /// How many failed outside their scenarios: with a syntax error, in `setup_file`, in `teardown_file`.
        #[serde(default)]
        failed_files: usize,
        /// How many scenarios were selected, single-scenario files included.
        scenarios: usize,
        /// How many passed, flaky ones among them unless the run counts those as failed.
        passed_scenarios: usize,
        /// How many were skipped.
        skipped_scenarios: usize,
        /// How many failed, flaky ones among them where the run counts those as failed.
        failed_scenarios: usize,
        /// How many passed only when tried again, however they count.
        flaky_scenarios: usize,
        /// How many proved nothing because the generator was late.
        invalid_scenarios: usize,
        /// How many an interrupt ended.
        #[serde(default)]
        interrupted_scenarios: usize,
        /// How many were selected and not begun.
        #[serde(default)]
        unrun_scenarios: usize,
        /// Why nothing ran, or what ended the run early.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        error: Option<String>,
        /// The exit code of the process.
        exit_code: u8,
        /// How well the generator did.
        health: Health,
        /// In milliseconds.
        duration_ms: f64,
    },
}

/// How often a rule of a protocol was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    /// Its name.
    pub rule: String,
    /// How often it was judged.
    pub checks: u64,
    /// How often its precondition did not hold: nothing was judged then.
    pub excused: u64,
    /// How often what it speaks of occurred.
    pub subjects: u64,
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> u8 {
        code.code()
    }
}
