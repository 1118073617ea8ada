//! What a run showed: the same for the terminal, `results.json` and the report.

use std::fmt::Write as _;

use callwright_events::ExitCode;
use serde::Serialize;

use crate::tap::Delivery;

/// The version of `results.json`. Fields may be added; what is there keeps its meaning.
pub const SCHEMA: u32 = 1;

/// What a run showed.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of the program.
    pub version: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Why the verdict is not `passed`, in one line.
    pub reason: Option<String>,
    /// When it began: RFC 3339.
    pub started: String,
    /// How long packets passed, in seconds.
    pub duration_s: f64,
    /// What was asked for.
    pub plan: PlanShown,
    /// What was judged.
    pub criteria: Vec<Criterion>,
    /// The agents.
    pub agents: Vec<AgentShown>,
    /// The calls, in the order in which they began, as the capture shows them.
    pub calls: Vec<CallShown>,
    /// What became of packets.
    pub delivery: Delivery,
    /// How well this program kept up.
    pub health: Health,
    /// What is wrong or worth a look in the capture.
    pub findings: Vec<FindingShown>,
}

/// What a run is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every criterion holds.
    Passed,
    /// One does not.
    Failed,
    /// It proves nothing.
    Invalid,
    /// A signal ended it.
    Interrupted,
}

impl Verdict {
    /// The exit code.
    pub const fn exit_code(self) -> ExitCode {
        match self {
            Verdict::Passed => ExitCode::Passed,
            Verdict::Failed => ExitCode::Failed,
            Verdict::Invalid => ExitCode::Invalid,
            Verdict::Interrupted => ExitCode::Interrupted,
        }
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Invalid => "invalid",
            Verdict::Interrupted => "interrupted",
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct PlanShown {
    /// How many agents.
    pub agents: usize,
    /// How many calls.
    pub calls: u32,
    /// How many of them begin a second.
    pub rate: f64,
    /// How long a customer and an agent talk, in seconds.
    pub call_duration_s: f64,
    /// `embedded`, or `sipp` with its scenario.
    pub customers: String,
    /// The queue.
    pub queue: &'static str,
    /// Its strategy.
    pub strategy: &'static str,
    /// What was broken on purpose.
    pub faults: Vec<String>,
}

/// What was judged, with its figures.
#[derive(Clone, Debug, Serialize)]
pub struct Criterion {
    /// Its name, one word.
    pub name: &'static str,
    /// What it demands.
    pub demands: &'static str,
    /// Whether it holds.
    pub state: State,
    /// What was found, in one line.
    pub figures: String,
    /// What shows that it does not hold.
    pub evidence: Vec<String>,
}

/// Whether a criterion holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It was not judged; the figures say why.
    Skipped,
}

/// An agent.
#[derive(Clone, Debug, Serialize)]
pub struct AgentShown {
    /// Its name.
    pub name: String,
    /// Whether it was registered.
    pub registered: bool,
    /// From REGISTER to its 2xx, in milliseconds.
    pub registration_ms: Option<f64>,
    /// Calls that it took.
    pub calls: usize,
    /// How long it talked, in seconds.
    pub talk_s: f64,
    /// What became of its phone, where that was not as it should be.
    pub failure: Option<String>,
}

/// A call.
#[derive(Clone, Debug, Serialize)]
pub struct CallShown {
    /// From 1.
    pub number: usize,
    /// Who called.
    pub customer: String,
    /// Who took it.
    pub agent: Option<String>,
    /// `completed`, …
    pub outcome: &'static str,
    /// The status that the caller got last.
    pub status: Option<u16>,
    /// Since the beginning of the capture, in milliseconds.
    pub started_ms: f64,
    /// From INVITE to the first response that the caller sees or hears something of (RFC 6076 §4.3), in milliseconds.
    pub setup_ms: Option<f64>,
    /// From INVITE to the answer of the agent, in milliseconds.
    pub wait_ms: Option<f64>,
    /// From the answer of the agent to the first BYE, in milliseconds.
    pub talk_ms: Option<f64>,
    /// Who ended it.
    pub ended_by: Option<&'static str>,
    /// What was heard on its two legs.
    pub audio: Vec<AudioShown>,
    /// Its recordings, relative to the folder of the run.
    pub recordings: Vec<String>,
}

/// One direction of one leg's audio.
#[derive(Clone, Debug, Serialize)]
pub struct AudioShown {
    /// As in `customer → server`.
    pub direction: String,
    /// Whether it was heard while customer and agent talked.
    pub heard: bool,
    /// The encoding, as in `PCMU/8000`.
    pub codec: Option<String>,
    /// Packets.
    pub packets: u64,
    /// The level while they talked, in dBm0.
    pub level_dbm0: Option<f64>,
    /// The level of each second, in dBm0.
    pub seconds_dbm0: Vec<f32>,
    /// Loss in percent.
    pub loss_percent: f64,
    /// Mean jitter, in milliseconds.
    pub jitter_ms: Option<f64>,
    /// The mean opinion score.
    pub mos: Option<f64>,
}

/// How well this program kept up.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// 99 of 100 media packets of its phones left no later than this, in milliseconds.
    pub lateness_p99_ms: f64,
    /// Media packets that were left out because they would have been more than 60 ms late.
    pub packets_skipped: u64,
    /// Datagrams that the kernel dropped because own sockets were full.
    pub receive_drops: u64,
}

impl Health {
    /// Whether what is heard says something about the call center.
    pub fn is_good(&self) -> bool {
        self.lateness_p99_ms <= 20.0 && self.packets_skipped == 0 && self.receive_drops == 0
    }
}

/// Something in the capture that is wrong, or worth a look.
#[derive(Clone, Debug, Serialize)]
pub struct FindingShown {
    /// `note`, `warning` or `error`.
    pub severity: &'static str,
    /// What kind of thing it is.
    pub name: String,
    /// What was seen.
    pub message: String,
    /// The number of the call.
    pub call: Option<usize>,
    /// The first packets that show it.
    pub packets: Vec<u64>,
}

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const DIM: &str = "\u{1b}[2m";
const BOLD: &str = "\u{1b}[1m";
const PLAIN: &str = "\u{1b}[0m";

impl Results {
    /// Criteria and verdict for a terminal, with styles.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for criterion in &self.criteria {
            let (colour, sign) = match criterion.state {
                State::Passed => (GREEN, '✓'),
                State::Failed => (RED, '✗'),
                State::Skipped => (YELLOW, '–'),
            };
            // Writing to a text does not fail.
            let _ = writeln!(
                out,
                "{colour}{sign}{PLAIN} {:<12} {}",
                criterion.name, criterion.figures
            );
            for line in &criterion.evidence {
                let _ = writeln!(out, "               {DIM}{line}{PLAIN}");
            }
        }
        let colour = match self.verdict {
            Verdict::Passed => GREEN,
            Verdict::Failed => RED,
            Verdict::Invalid | Verdict::Interrupted => YELLOW,
        };
        let verdict = self.verdict.name().to_uppercase();
        let _ = match &self.reason {
            Some(reason) => writeln!(out, "\n{BOLD}{colour}{verdict}{PLAIN} {reason}"),
            None => writeln!(out, "\n{BOLD}{colour}{verdict}{PLAIN}"),
        };
        out
    }
}
