//! One JSON object a line.

use callwright_events::{Location, Record, RunEvent};
use serde::Serialize;

/// A record with the place of its failure beside its error: readers need not know what is inside a failure.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    record: &'a Record,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    failed_at: Option<&'a Location>,
}

/// The record as one line of NDJSON, with its line end.
pub fn line(record: &Record) -> String {
    let shown = Line {
        record,
        failed_at: failed_at(&record.event),
    };
    let mut line = serde_json::to_string(&shown).unwrap_or_else(|error| {
        // Only a number that JSON cannot hold can lead here; a reader of the stream must see that a line is missing.
        format!(
            r#"{{"event":"note","message":"a record could not be written: {error}","ts":"{}"}}"#,
            record.ts
        )
    });
    line.push('\n');
    line
}

fn failed_at(event: &RunEvent) -> Option<&Location> {
    let (RunEvent::ScenarioFinished { failure, .. }
    | RunEvent::SuiteFinished { failure, .. }
    | RunEvent::Finished { failure, .. }) = event
    else {
        return None;
    };
    failure.as_ref()?.location.as_ref()
}
