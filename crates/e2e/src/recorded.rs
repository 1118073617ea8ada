//! What the database of the call center says of the calls.

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
            talk_ms: record.agent_talk().map(|talk| talk.as_secs_f64() * 1_000.0),
        }
    }
}
