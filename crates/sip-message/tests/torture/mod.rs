//! Messages in files and what is expected of them.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use callwright_sip_message::{Datagram, Limits, Message, ParseError, classify};

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is parsed, and nothing in it is a reason to refuse it.
    Accepted,
    /// It is parsed, and a server refuses it with this status (a client drops it).
    Refused(u16),
    /// It is not taken for a message.
    Unparsed(ParseError),
}

/// Every file of a directory has a row in the table, and every row its outcome.
pub(crate) fn check(directory: &str, table: &[(&str, Outcome, &str)]) {
    let files = fs::read_dir(path(directory)).expect("the directory");
    let mut files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut names: Vec<_> = files
        .iter()
        .filter_map(|file| file.file_stem()?.to_str())
        .collect();
    let mut rows: Vec<_> = table.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    rows.sort_unstable();
    assert_eq!(names, rows);
    for (name, expected, reason) in table {
        let bytes = read(directory, name);
        assert_eq!(classify(&bytes), Datagram::Sip, "{name}");
        assert_eq!(outcome(bytes), *expected, "{name}: {reason}");
    }
}

fn outcome(bytes: Bytes) -> Outcome {
    let message = match Message::parse(bytes, &Limits::default()) {
        Ok(message) => message,
        Err(error) => return Outcome::Unparsed(error),
    };
    match message.validate() {
        Ok(()) => Outcome::Accepted,
        Err(violations) => violations
            .refusal()
            .map_or(Outcome::Accepted, |(status, _)| Outcome::Refused(status)),
    }
}

/// A message that is parsed, with whatever problems.
pub(crate) fn held(directory: &str, name: &str) -> Message {
    Message::parse(read(directory, name), &Limits::default()).expect("it parses")
}

fn read(directory: &str, name: &str) -> Bytes {
    Bytes::from(fs::read(path(directory).join(format!("{name}.sip"))).expect("the file"))
}

fn path(directory: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/torture")
        .join(directory)
}
