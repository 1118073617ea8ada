//! Assertions: a value, what is expected of it, and what the reader sees when it is otherwise.

use std::cmp::Ordering;

use callwright_events::{FailureKind, RunEvent};

use crate::label::About;
use crate::{Fault, Position, Scene, Value, context, label};

/// A value under assertion. Matchers chain.
#[derive(Clone, Debug)]
pub struct Assertion {
    value: Value,
    about: About,
}

/// What is expected of a value.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// The same value; numbers of either type by their amount.
    Equals(Value),
    /// Another value.
    NotEquals(Value),
    /// `true`.
    IsTrue,
    /// `false`.
    IsFalse,
    /// Anything but nothing.
    IsPresent,
    /// Nothing.
    IsAbsent,
    /// An empty string, array or map.
    IsEmpty,
    /// A string, array or map that is not empty.
    IsNotEmpty,
    /// Its text contains this.
    Contains(String),
    /// Its text has a match of this regular expression, anywhere.
    Matches(String),
    /// Its text starts with this.
    StartsWith(String),
    /// One of these values.
    OneOf(Vec<Value>),
    /// More than this number.
    GreaterThan(Value),
    /// Less than this number.
    LessThan(Value),
    /// This number or more.
    AtLeast(Value),
    /// This number or less.
    AtMost(Value),
    /// From the first number to the second, both included.
    Between(Value, Value),
}

const AT_LEAST: &[Ordering] = &[Ordering::Greater, Ordering::Equal];
const AT_MOST: &[Ordering] = &[Ordering::Less, Ordering::Equal];

enum Outcome {
    Holds,
    Fails,
    /// The question makes no sense for this value, and never will.
    WrongType(&'static str),
}

impl Assertion {
    /// An assertion on a value at `at`; labelled by the getter that was read for it, if one was.
    pub fn new(value: Value, at: &Position) -> Self {
        let about = label::take(&value, at);
        Assertion { value, about }
    }

    /// The same with a label.
    #[must_use]
    pub fn describe(mut self, label: &str) -> Self {
        self.about.label = Some(label.to_owned());
        self
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Checks, and reports what came out.
    ///
    /// # Errors
    /// A mismatch, to be tried again by `await_until`; or a value that cannot be asked that, which is final.
    pub fn check(&self, scene: &Scene, matcher: &Matcher, at: &Position) -> Result<(), Fault> {
        context::asserts();
        // What was read for the expected value is no label of the next one.
        label::forget();
        let expected = matcher.to_string();
        let outcome = matcher.judge(&self.value).map_err(|fault| fault.at(at))?;
        let actual = self.value.to_string();
        let ok = matches!(outcome, Outcome::Holds);
        scene.emit(RunEvent::Assertion {
            label: self.about.label.clone(),
            expect: expected.clone(),
            ok,
            actual: Some(actual.clone()),
            location: at.location(),
        });
        match outcome {
            Outcome::Holds => Ok(()),
            Outcome::Fails => Err(self.mismatch(matcher.wanted(), actual, at)),
            Outcome::WrongType(wanted) => Err(Fault::script(format!(
                "{}`{}` needs {wanted}, and this is {actual} ({})",
                self.prefix(),
                matcher.name(),
                self.value.kind(),
            ))
            .at(at)),
        }
    }

    fn mismatch(&self, expected: String, actual: String, at: &Position) -> Fault {
        let message = format!("{}expected {expected}, but it was {actual}", self.prefix());
        let mut fault = Fault::new(FailureKind::Assertion, message).retriable().at(at);
        let parts = fault.parts_mut();
        parts.label = self.about.label.clone();
        parts.audio_since = self.about.audio_since;
        parts.expected = Some(expected);
        parts.actual = Some(actual);
        fault
    }

    fn prefix(&self) -> String {
        self.about
            .label
            .as_ref()
            .map_or_else(String::new, |label| format!("{label}: "))
    }
}

impl Matcher {
    /// The name that scenarios use.
    pub fn name(&self) -> &'static str {
        match self {
            Matcher::Equals(_) => "equals",
            Matcher::NotEquals(_) => "not_equals",
            Matcher::IsTrue => "is_true",
            Matcher::IsFalse => "is_false",
            Matcher::IsPresent => "is_present",
            Matcher::IsAbsent => "is_absent",
            Matcher::IsEmpty => "is_empty",
            Matcher::IsNotEmpty => "is_not_empty",
            Matcher::Contains(_) => "contains",
            Matcher::Matches(_) => "matches",
            Matcher::StartsWith(_) => "starts_with",
            Matcher::OneOf(_) => "one_of",
            Matcher::GreaterThan(_) => "greater_than",
            Matcher::LessThan(_) => "less_than",
            Matcher::AtLeast(_) => "at_least",
            Matcher::AtMost(_) => "at_most",
            Matcher::Between(..) => "between",
        }
    }

    /// What is wanted, as a noun: `Established`, `at least 200`.
    fn wanted(&self) -> String {
        match self {
            Matcher::Equals(value) => value.to_string(),
            Matcher::NotEquals(value) => format!("anything but {value}"),
            Matcher::IsTrue => "true".to_owned(),
            Matcher::IsFalse => "false".to_owned(),
            Matcher::IsPresent => "a value".to_owned(),
            Matcher::IsAbsent => "no value".to_owned(),
            Matcher::IsEmpty => "nothing in it".to_owned(),
            Matcher::IsNotEmpty => "something in it".to_owned(),
            Matcher::Contains(text) => format!("a text that contains {text:?}"),
            Matcher::Matches(text) => format!("a text that matches {text:?}"),
            Matcher::StartsWith(text) => format!("a text that starts with {text:?}"),
            Matcher::GreaterThan(value) => format!("more than {value}"),
            Matcher::LessThan(_)
            | Matcher::AtLeast(_)
            | Matcher::AtMost(_)
            | Matcher::OneOf(_)
            | Matcher::Between(..) => self.to_string(),
        }
    }

    fn judge(&self, value: &Value) -> Result<Outcome, Fault> {
        let looks_inside = !matches!(self, Matcher::IsPresent | Matcher::IsAbsent);
        let other = match self {
            Matcher::Equals(other) | Matcher::NotEquals(other) => other.opaque(),
            Matcher::OneOf(others) => others.iter().find_map(Value::opaque),
            _ => None,
        };
        if let Some(kind) = value.opaque().or(other).filter(|_| looks_inside) {
            return Err(Fault::script(format!(
                "`{}`: a {kind} has no content that could be looked at; assert on one of its properties",
                self.name()
            )));
        }
        Ok(match self {
            Matcher::Equals(wanted) => Outcome::of(value.same(wanted)),
            Matcher::NotEquals(unwanted) => Outcome::of(!value.same(unwanted)),
            Matcher::IsTrue => Outcome::of(*value == Value::Bool(true)),
            Matcher::IsFalse => Outcome::of(*value == Value::Bool(false)),
            Matcher::IsPresent => Outcome::of(*value != Value::Absent),
            Matcher::IsAbsent => Outcome::of(*value == Value::Absent),
            Matcher::IsEmpty => Outcome::of_length(value, |length| length == 0),
            Matcher::IsNotEmpty => Outcome::of_length(value, |length| length > 0),
            Matcher::Contains(part) => Outcome::of_text(value, |text| text.contains(part)),
            Matcher::StartsWith(part) => Outcome::of_text(value, |text| text.starts_with(part)),
            Matcher::Matches(pattern) => {
                let regex = regex::Regex::new(pattern).map_err(|error| {
                    Fault::script(format!("{pattern:?} is not a regular expression: {error}"))
                })?;
                Outcome::of_text(value, |text| regex.is_match(text))
            }
            Matcher::OneOf(wanted) => Outcome::of(wanted.iter().any(|wanted| value.same(wanted))),
            Matcher::GreaterThan(limit) => Outcome::of_numbers(value, &[(limit, &[Ordering::Greater])]),
            Matcher::LessThan(limit) => Outcome::of_numbers(value, &[(limit, &[Ordering::Less])]),
            Matcher::AtLeast(limit) => Outcome::of_numbers(value, &[(limit, AT_LEAST)]),
            Matcher::AtMost(limit) => Outcome::of_numbers(value, &[(limit, AT_MOST)]),
            Matcher::Between(low, high) => Outcome::of_numbers(value, &[(low, AT_LEAST), (high, AT_MOST)]),
        })
    }
}

impl Outcome {
    fn of(holds: bool) -> Outcome {
        if holds { Outcome::Holds } else { Outcome::Fails }
    }

    fn of_length(value: &Value, holds: impl Fn(usize) -> bool) -> Outcome {
        match value {
            Value::Text(text) => Outcome::of(holds(text.len())),
            Value::Array(items) => Outcome::of(holds(items.len())),
            Value::Map(map) => Outcome::of(holds(map.len())),
            Value::Absent => Outcome::Fails,
            _ => Outcome::WrongType("a string, an array or a map"),
        }
    }

    fn of_text(value: &Value, holds: impl Fn(&str) -> bool) -> Outcome {
        match value {
            Value::Absent => Outcome::Fails,
            value => Outcome::of(holds(&value.text())),
        }
    }

    /// Whether the value stands to each limit in one of the ways given.
    fn of_numbers(value: &Value, limits: &[(&Value, &[Ordering])]) -> Outcome {
        if limits.iter().any(|(limit, _)| limit.number().is_none()) {
            return Outcome::WrongType("a number to compare with");
        }
        match value {
            Value::Absent => Outcome::Fails,
            value if value.number().is_none() => Outcome::WrongType("a number"),
            value => Outcome::of(
                limits
                    .iter()
                    .all(|(limit, ways)| value.compare(limit).is_some_and(|way| ways.contains(&way))),
            ),
        }
    }
}

impl std::fmt::Display for Matcher {
    /// What is expected, as a person says it: `equals Established`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Matcher::Equals(value) => write!(f, "equals {value}"),
            Matcher::NotEquals(value) => write!(f, "not equals {value}"),
            Matcher::IsTrue => f.write_str("is true"),
            Matcher::IsFalse => f.write_str("is false"),
            Matcher::IsPresent => f.write_str("is present"),
            Matcher::IsAbsent => f.write_str("is absent"),
            Matcher::IsEmpty => f.write_str("is empty"),
            Matcher::IsNotEmpty => f.write_str("is not empty"),
            Matcher::Contains(text) => write!(f, "contains {text:?}"),
            Matcher::Matches(text) => write!(f, "matches {text:?}"),
            Matcher::StartsWith(text) => write!(f, "starts with {text:?}"),
            Matcher::OneOf(values) => write!(f, "one of {}", Value::Array(values.clone())),
            Matcher::GreaterThan(value) => write!(f, "greater than {value}"),
            Matcher::LessThan(value) => write!(f, "less than {value}"),
            Matcher::AtLeast(value) => write!(f, "at least {value}"),
            Matcher::AtMost(value) => write!(f, "at most {value}"),
            Matcher::Between(low, high) => write!(f, "between {low} and {high}"),
        }
    }
}
