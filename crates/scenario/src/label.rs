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
    /// Its length and its elements are labelled by it, too.
    whole: bool,
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
    remember(label.into(), value, at, None, false);
}

/// The same of a map or an array: what is asked of it is usually its length, or one of its elements.
pub fn read_whole(label: impl Into<String>, value: &Value, at: &Position) {
    remember(label.into(), value, at, None, true);
}

/// The same of a getter that says something of audio, of that from `since` on.
pub fn read_of_audio(label: impl Into<String>, value: &Value, at: &Position, since: Time) {
    remember(label.into(), value, at, Some(since), false);
}

fn remember(label: String, value: &Value, at: &Position, audio_since: Option<Time>, whole: bool) {
    let read = Read {
        label,
        value: value.clone(),
        at: at.clone(),
        audio_since,
        whole,
    };
    LAST.with_borrow_mut(|last| *last = Some(read));
}

/// Forgets what was read.
pub(crate) fn forget() {
    LAST.set(None);
}

/// Whether a reading can stand in the parentheses of an assertion: behind its name, on the same line or the next. One
/// that stands before it was for something else, such as a variable.
fn is_inside(read: &Position, assertion: &Position) -> bool {
    match read.line.checked_sub(assertion.line) {
        Some(0) => read.column > assertion.column,
        Some(1) => true,
        _ => false,
    }
}

/// What an assertion on `value` at `at` is about, if the last getter read fits.
pub(crate) fn take(value: &Value, at: &Position) -> About {
    let Some(read) = LAST.with_borrow_mut(Option::take) else {
        return About::default();
    };
    let label = labelled(&read, value).filter(|_| read.at.file == at.file && is_inside(&read.at, at));
    About {
        audio_since: label.as_ref().and(read.audio_since),
        label,
    }
}

/// The label of a value that was read, or of what it is in what was read.
fn labelled(read: &Read, value: &Value) -> Option<String> {
    if read.value == *value {
        return Some(read.label.clone());
    }
    match (&read.value, value) {
        _ if !read.whole => None,
        (Value::Map(map), value) => {
            let mut keys = map.iter().filter(|(_, item)| *item == value);
            match (keys.next(), keys.next()) {
                (Some((key, _)), None) => Some(format!("{} {key}", read.label)),
                (Some(_), Some(_)) => Some(read.label.clone()),
                (None, _) => None,
            }
        }
        (Value::Array(items), Value::Int(length)) => {
            (i64::try_from(items.len()) == Ok(*length)).then(|| format!("{} length", read.label))
        }
        _ => None,
    }
}
