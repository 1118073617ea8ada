//! What the call center itself says of the calls: in its database, and in its log.

use std::collections::BTreeMap;
use std::path::Path;

use callwright_callcenter::{CallRecord, SqliteStore, Store as _};
use callwright_wire::{Epoch, Seed};

use crate::verdict::user;

/// A call in the database.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    /// Its number.
    pub(crate) call: u64,
    /// The address in the caller's From.
    pub(crate) caller: Option<String>,
    /// The user who took it: the agent, where it came to a queue.
    pub(crate) agent: Option<String>,
    /// Whether somebody took the place of a party.
    pub(crate) is_transferred: bool,
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
        let callee = || record.answered().map(|answer| user(&answer.callee));
        Recorded {
            call: record.call.0,
            caller: record.caller.clone(),
            agent: record.agent().or_else(callee).map(str::to_owned),
            is_transferred: !record.transfers.is_empty(),
            cause: record.cause().map(|cause| cause.to_string()),
            files: record.recordings.iter().map(|one| one.file.clone()).collect(),
            talk_ms: record.agent_talk().map(|talk| talk.as_secs_f64() * 1_000.0),
        }
    }
}

/// What the call center logged of its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logged {
    /// The numbers of calls, by the Call-IDs of their legs.
    calls: BTreeMap<String, u64>,
    /// The address-of-record of who answered, by the number of the call.
    answers: BTreeMap<u64, String>,
}

impl Logged {
    /// All of it.
    pub(crate) fn read(path: &Path) -> Result<Logged, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Logged::of(&text))
    }

    fn of(text: &str) -> Logged {
        let mut logged = Logged::default();
        for line in text.lines() {
            if let Some((_, fields)) = line.split_once(" legs ") {
                let ids = field(fields, "call_ids").unwrap_or_default();
                let call = field(fields, "call").and_then(|call| call.parse().ok());
                let legs = ids.split(' ').filter(|id| !id.is_empty());
                logged
                    .calls
                    .extend(legs.filter_map(|leg| Some((leg.to_owned(), call?))));
            } else if let Some((_, fields)) = line.split_once(" answered ")
                && let Some(call) = field(fields, "call").and_then(|call| call.parse().ok())
                && let Some(callee) = field(fields, "callee")
            {
                logged.answers.entry(call).or_insert_with(|| callee.to_owned());
            }
        }
        logged
    }

    /// The number of the call with such a leg.
    pub(crate) fn call_of(&self, call_id: &str) -> Option<u64> {
        self.calls.get(call_id).copied()
    }

    /// The address-of-record of who answered it.
    pub(crate) fn callee_of(&self, call: u64) -> Option<&str> {
        self.answers.get(&call).map(String::as_str)
    }

    /// How many calls were answered.
    pub(crate) fn answered(&self) -> usize {
        self.answers.len()
    }
}

/// A field of a line: `name=value`, or `name="a value"`.
fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = format!(" {fields}")
        .find(&format!(" {name}="))
        .and_then(|at| fields.get(at..))?
        .split_once('=')?;
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split(' ').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_legs_are_read_out_of_a_log() {
        let text = "2026-01-01T00:00:00Z  INFO queued now=1s call=1 caller=sip:c@x.test\n\
            2026-01-01T00:00:00Z  INFO legs now=1s call=1 call_ids=\"a@x\"\n\
            2026-01-01T00:00:00Z  INFO answered now=1.5s call=1 caller=sip:c@x.test callee=sip:alice@y.test agent=\"alice\"\n\
            2026-01-01T00:00:00Z  INFO legs now=1.5s call=1 call_ids=\"a@x b@y\"\n";
        let logged = Logged::of(text);
        let calls = ["a@x", "b@y", "c@x"].map(|id| logged.call_of(id));
        assert_eq!(calls, [Some(1), Some(1), None]);
        assert_eq!(logged.callee_of(1), Some("sip:alice@y.test"));
        assert_eq!((logged.callee_of(2), logged.answered()), (None, 1));
    }
}
