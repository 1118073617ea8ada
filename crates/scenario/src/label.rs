//! What an assertion is about when nobody says so: the getter that was read just before it, on the same line.

use std::cell::RefCell;

use crate::{Position, Value};

thread_local! {
    static LAST: RefCell<Option<Read>> = const { RefCell::new(None) };
}

struct Read {
    label: String,
    value: Value,
    at: Position,
}

/// Says that a getter was read at `at` and gave `value`.
pub fn read(label: impl Into<String>, value: &Value, at: &Position) {
    let read = Read {
        label: label.into(),
        value: value.clone(),
        at: at.clone(),
    };
    LAST.with_borrow_mut(|last| *last = Some(read));
}

/// The label for an assertion on `value` at `at`, if the last getter read fits.
pub(crate) fn take(value: &Value, at: &Position) -> Option<String> {
    let read = LAST.with_borrow_mut(Option::take)?;
    let fits = read.value == *value && read.at.file == at.file && read.at.line.abs_diff(at.line) <= 1;
    fits.then_some(read.label)
}
