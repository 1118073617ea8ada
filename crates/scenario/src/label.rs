//! What an assertion is about when nobody says so: the getter that was read just before it, on the same line.

use std::cell::RefCell;

use callwright_wire::Time;

use crate::{Position, Value};

thread_local! {
    static LAST: RefCell<Option<Read>> = const { RefCell::new(None) };
}

struct Read {
    label: String,
    value: Value,
    at: Position,
    audio_since: Option<Time>,
}

/// What is known of a value under assertion.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) label: Option<String>,
    /// It is a figure of audio that was sent and heard from this time on.
    pub(crate) audio_since: Option<Time>,
}

/// Says that a getter was read at `at` and gave `value`.
pub fn read(label: impl Into<String>, value: &Value, at: &Position) {
    remember(label.into(), value, at, None);
}

/// The same of a getter that says something of audio, of that from `since` on.
pub fn read_of_audio(label: impl Into<String>, value: &Value, at: &Position, since: Time) {
    remember(label.into(), value, at, Some(since));
}

fn remember(label: String, value: &Value, at: &Position, audio_since: Option<Time>) {
    let read = Read {
        label,
        value: value.clone(),
        at: at.clone(),
        audio_since,
    };
    LAST.with_borrow_mut(|last| *last = Some(read));
}

/// What an assertion on `value` at `at` is about, if the last getter read fits.
pub(crate) fn take(value: &Value, at: &Position) -> About {
    let Some(read) = LAST.with_borrow_mut(Option::take) else {
        return About::default();
    };
    let fits = read.value == *value && read.at.file == at.file && read.at.line.abs_diff(at.line) <= 1;
    if !fits {
        return About::default();
    }
    About {
        label: Some(read.label),
        audio_since: read.audio_since,
    }
}
