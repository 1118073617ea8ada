//! One line of the story of a run.

use serde::{Deserialize, Serialize};

use crate::RunEvent;

/// An event, and when and where in the run it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What happened.
    #[serde(flatten)]
    pub event: RunEvent,
    /// When: RFC 3339 in UTC with milliseconds, of the world's clock.
    pub ts: String,
    /// In which scenario; none between scenarios.
    #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
    pub stamp: Option<ScenarioStamp>,
}

/// The scenario that an event belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioStamp {
    /// Its name; of a file that is itself one scenario, the file's path.
    pub scenario: String,
    /// Milliseconds since this attempt of it started.
    pub t_ms: f64,
}
