//! What the call center itself says of the calls: in its database, and in its log.

use std::path::Path;

use callwright_callcenter::{CallRecord, SqliteStore, Store as _};
use callwright_wire::{Epoch, Seed};

/// A call in the database.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    /// The address in the caller's From.
    pub(crate) caller: Option<String>,
    /// Who took it.
    pub(crate) agent: Option<String>,
    /// Why it ended: `completed_by_caller`, …; `None` while it has not.
    pub(crate) cause: Option<String>,
    /// How long agent and caller talked, in milliseconds.
    pub(crate) talk_ms: Option<f64>,
    /// The files of its recordings, relative to their folder.
    pub(crate) files: Vec<String>,
}

impl Recorded {
    /// All calls of a database whose call center has stopped.
    pub(crate) fn read(path: &Path) -> Result<Vec<Recorded>, String> {
        let shown = path.display();
        if !path.exists() {
            return Err(format!("{shown} is not there"));
        }
        // Before everything in it: only spans are of interest.
        let store = SqliteStore::open(path, Epoch::from_unix_nanos(0), &Seed::from_number(0));
        let kept = store
            .and_then(|store| store.kept())
            .map_err(|error| format!("{shown}: {error}"))?;
        Ok(kept.records.iter().map(Recorded::of).collect())
    }

    fn of(record: &CallRecord) -> Recorded {
        Recorded {
            caller: record.caller.clone(),
            agent: record.agent().map(str::to_owned),
            cause: record.cause().map(|cause| cause.to_string()),
            files: record.recordings.iter().map(|one| one.file.clone()).collect(),
            talk_ms: record.agent_talk().map(|talk| talk.as_secs_f64() * 1_000.0),
        }
    }
}

/// A call that was answered, in the log of the call center.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    /// The address in the caller's From.
    pub(crate) caller: String,
    /// The address-of-record of who answered.
    pub(crate) callee: String,
}

impl Logged {
    /// All of them.
    pub(crate) fn read(path: &Path) -> Result<Vec<Logged>, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(text.lines().filter_map(Logged::of).collect())
    }

    fn of(line: &str) -> Option<Logged> {
        let (_, fields) = line.split_once(" answered ")?;
        let field = |name: &str| {
            let mut words = fields.split_ascii_whitespace();
            words
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
        };
        Some(Logged {
            caller: field("caller")?,
            callee: field("callee")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_out_of_a_log() {
        let line =
            "2026-01-01T00:00:00Z  INFO answered now=1.5s call=1 caller=sip:c@x.test callee=sip:alice@y.test";
        let expected = Logged {
            caller: "sip:c@x.test".to_owned(),
            callee: "sip:alice@y.test".to_owned(),
        };
        assert_eq!(Logged::of(line), Some(expected));
        assert_eq!(
            Logged::of("2026-01-01T00:00:00Z  INFO queued call=1 caller=sip:c@x.test"),
            None
        );
    }
}
