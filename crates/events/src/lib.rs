//! What happens in a run: the versioned vocabulary that every report is made from, and the exit codes.
//!
//! The runner emits [`Record`]s; console, NDJSON and JUnit are pure functions of them, and can be made again from a
//! recorded NDJSON. Names of kinds and fields are a contract with those who read the NDJSON: they are added to, never
//! changed.

mod exit;
mod failure;
mod record;
mod run_event;

pub use exit::ExitCode;
pub use failure::{AgentLine, Failure, FailureKind, Hint, Observed, SipLine};
pub use record::{Record, ScenarioStamp};
pub use run_event::{Health, Location, Outcome, RuleCount, RunEvent, SipDirection, VOCABULARY_VERSION};
