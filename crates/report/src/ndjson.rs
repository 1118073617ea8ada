//! One JSON object a line.

use callwright_events::Record;

/// The record as one line of NDJSON, with its line end.
pub fn line(record: &Record) -> String {
    let mut line = serde_json::to_string(record).unwrap_or_else(|error| {
        // Only a number that JSON cannot hold can lead here; a reader of the stream must see that a line is missing.
        format!(
            r#"{{"event":"note","message":"a record could not be written: {error}","ts":"{}"}}"#,
            record.ts
        )
    });
    line.push('\n');
    line
}
