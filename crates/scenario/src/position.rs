//! Where in a scenario something was asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use callwright_events::Location;
use callwright_wire::Cause;

/// A place in a scenario file. Lines and columns count from 1; a place without a known line has 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl Position {
    /// A place in `file`.
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Position {
            file: file.into(),
            line,
            column,
        }
    }

    /// The place as events have it; none for a file as a whole.
    pub fn location(&self) -> Option<Location> {
        (self.line > 0).then(|| Location {
            file: self.file.to_string(),
            line: self.line as usize,
            column: self.column as usize,
        })
    }

    /// A file as a whole.
    pub fn file(file: impl Into<Arc<str>>) -> Self {
        Position::new(file, 0, 0)
    }
}

impl fmt::Display for Position {
    /// `path:line:column`, as editors and terminals know it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => f.write_str(&self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// What the numbers of [`wire::Cause`](callwright_wire::Cause) mean: one table a run, shared by all its scenarios.
#[derive(Debug, Default)]
pub struct Causes {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    steps: Vec<Step>,
    numbers: BTreeMap<Step, u32>,
}

/// What caused a message: a verb, where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// Where it stands.
    pub at: Position,
    /// What was done, as in `A.dial`.
    pub what: Arc<str>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.what)
    }
}

impl Causes {
    /// The number of a step; the same step has the same number, however often it is taken.
    pub fn number(&self, at: &Position, what: &str) -> Cause {
        let step = Step {
            at: at.clone(),
            what: what.into(),
        };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = table.numbers.get(&step) {
            return Cause(*number);
        }
        let number = u32::try_from(table.steps.len()).unwrap_or(u32::MAX);
        table.steps.push(step.clone());
        table.numbers.insert(step, number);
        Cause(number)
    }

    /// The step behind a number.
    pub fn step(&self, cause: Cause) -> Option<Step> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.steps.get(usize::try_from(cause.0).ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_keeps_its_number_and_a_number_its_step() {
        let causes = Causes::default();
        let at = Position::new("a.rhai", 3, 5);
        let dial = causes.number(&at, "A.dial");
        let accept = causes.number(&Position::new("a.rhai", 4, 5), "B.accept");
        assert_ne!(dial, accept);
        assert_eq!(causes.number(&at, "A.dial"), dial);
        assert_eq!(causes.step(dial).unwrap().to_string(), "a.rhai:3:5 A.dial");
        assert_eq!(causes.step(Cause(7)), None);
    }
}
