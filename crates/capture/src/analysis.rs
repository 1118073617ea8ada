//! What a capture shows: calls, registrations, streams of RTP, and what is wrong with them.
//!
//! Memory does not grow with the length of a capture but with what is in it, up to the limits of [`AnalysisConfig`]: no payload is
//! held.

mod call;
mod config;
mod finding;
mod metrics;
mod registration;
mod stream;
mod summary;
mod time;

use serde::Serialize;

pub use call::{
    Call, Digit, DigitBy, EndedBy, Join, Ladder, LadderParty, Leg, MediaLine, Outcome, Row, RowKind, Side,
};
pub use config::AnalysisConfig;
pub use finding::{Finding, FindingKind, Severity};
pub use metrics::{Delay, Metrics, Ratio};
pub use registration::{Registration, RegistrationAttempt};
pub use stream::{FoundBy, Gap, Level, Quality, RtcpView, Stream, StreamFormat};
pub use summary::{Dropped, Summary};

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
