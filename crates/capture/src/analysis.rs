//! What a capture shows: calls, registrations, streams of RTP, and what is wrong with them.
//!
//! Memory does not grow with the length of a capture but with what is in it, up to the limits of [`AnalysisConfig`]: no payload is
//! held.

mod addresses;
mod analyzer;
mod call;
mod clock;
mod config;
mod finding;
mod hearing;
mod joins;
mod judgement;
mod legs;
mod metrics;
mod order;
mod prints;
mod protocol;
mod registers;
mod registration;
mod report;
mod said;
mod stream;
mod stream_state;
mod streams;
mod summary;
mod talk;
mod time;

use std::io::Read;

use serde::Serialize;

use crate::read::{ReadError, read_with_facts};

pub use analyzer::Analyzer;
pub use call::{
    Call, Digit, DigitBy, EndedBy, Join, Ladder, LadderParty, Leg, MediaLine, Outcome, Row, RowKind, Side,
};
pub use config::AnalysisConfig;
pub use finding::{Finding, FindingKind, Severity};
pub use metrics::{Delay, Metrics, Ratio};
pub use registration::{Registration, RegistrationAttempt};
pub use stream::{AlsoOf, FoundBy, Gap, Level, Quality, RtcpView, Stream, StreamFormat};
pub use summary::{Dropped, Summary};

/// Analyzes a capture file.
///
/// A file that is damaged or ends in the middle is analyzed up to there: [`Summary::broken`] says so, and so does a finding.
///
/// # Errors
///
/// When it cannot be read, or is no capture.
pub fn analyze(input: impl Read, config: AnalysisConfig) -> Result<Analysis, ReadError> {
    let mut analyzer = Analyzer::new(config);
    let (facts, result) = read_with_facts(input, |facts, packet| {
        let is_ours = facts
            .application
            .as_deref()
            .is_some_and(|application| application.starts_with("callwright"));
        analyzer.packet(packet, is_ours);
    });
    let broken = match result {
        Ok(()) => None,
        Err(error) if error.is_of_capture() => Some(error.to_string()),
        Err(error) => return Err(error),
    };
    analyzer.file(&facts, broken);
    Ok(analyzer.finish())
}

/// The version of the JSON that [`Analysis`] becomes. Fields may be added to it; what is there keeps its meaning.
pub const SCHEMA: u32 = 1;

/// What a capture shows. All times are since its first packet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What the capture holds.
    pub capture: Summary,
    /// The calls, in the order in which they began.
    pub calls: Vec<Call>,
    /// The registrations, in the order in which they began.
    pub registrations: Vec<Registration>,
    /// The RTP streams, in the order in which they began.
    pub streams: Vec<Stream>,
    /// What is wrong or worth a look, in order of time.
    pub findings: Vec<Finding>,
    /// The metrics of RFC 6076.
    pub metrics: Metrics,
}

impl Analysis {
    /// How bad the worst finding is; `None` where there is none.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// The findings about one call.
    pub fn findings_of(&self, call: &Call) -> impl Iterator<Item = &Finding> {
        call.findings.iter().filter_map(|place| self.findings.get(*place))
    }

    /// The streams of one call.
    pub fn streams_of(&self, call: &Call) -> impl Iterator<Item = &Stream> {
        call.streams.iter().filter_map(|place| self.streams.get(*place))
    }
}
