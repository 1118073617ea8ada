//! What goes wrong in a scenario.

use std::fmt;
use std::time::Duration;

use callwright_events::{FailureKind, Observed};
use callwright_wire::Time;

use crate::Position;

/// Why a step failed. It travels up to whoever runs the scenario, and gathers evidence on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault(Box<Parts>);

/// The parts of a [`Fault`].
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// Whose fault it is.
    pub cause: FaultCause,
    /// One sentence: what was wrong. Several lines where a script error is shown in its source.
    pub message: String,
    /// Where.
    pub at: Option<Position>,
    /// True for what may well be otherwise later: `await_until` tries again.
    pub retriable: bool,
    /// Of an assertion: what it is about.
    pub label: Option<String>,
    /// Of an assertion: what it wanted.
    pub expected: Option<String>,
    /// Of an assertion: what was there.
    pub actual: Option<String>,
    /// How long it was waited for.
    pub waited: Option<Duration>,
    /// What was seen while waiting.
    pub history: Vec<Observed>,
    /// What the reader can do.
    pub hints: Vec<String>,
    /// The callers, innermost first.
    pub trace: Vec<Position>,
    /// It was audio that was judged, of this time and later: a generator that was late then makes the judgement worthless.
    pub audio_since: Option<Time>,
}

/// Whose fault it is, and what ends a scenario without being a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultCause {
    /// A failure of this kind.
    Failure(FailureKind),
    /// The scenario skips itself.
    Skip(Option<String>),
}

impl Fault {
    /// A fault of a kind, not to be tried again.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Fault(Box::new(Parts {
            cause: FaultCause::Failure(kind),
            message: message.into(),
            at: None,
            retriable: false,
            label: None,
            expected: None,
            actual: None,
            waited: None,
            history: Vec::new(),
            hints: Vec::new(),
            trace: Vec::new(),
            audio_since: None,
        }))
    }

    /// The script is wrong.
    pub fn script(message: impl Into<String>) -> Self {
        Fault::new(FailureKind::Script, message)
    }

    /// Something is not there yet, and may come.
    pub fn not_yet(message: impl Into<String>) -> Self {
        Fault::new(FailureKind::Script, message).retriable()
    }

    /// A verb could not be carried out.
    pub fn verb(message: impl Into<String>) -> Self {
        Fault::new(FailureKind::Verb, message)
    }

    /// Something outside: a file, a port, the network, a variable.
    pub fn environment(message: impl Into<String>) -> Self {
        Fault::new(FailureKind::Environment, message)
    }

    /// The scenario skips itself.
    pub fn skip(reason: Option<String>) -> Self {
        let mut fault = Fault::script(reason.as_deref().unwrap_or("skipped"));
        fault.0.cause = FaultCause::Skip(reason);
        fault
    }

    /// An interrupt.
    pub fn interrupted() -> Self {
        Fault::new(FailureKind::Interrupted, "interrupted")
    }

    /// `await_until` may try again.
    #[must_use]
    pub fn retriable(mut self) -> Self {
        self.0.retriable = true;
        self
    }

    /// At this place, unless a place is known already.
    #[must_use]
    pub fn at(mut self, at: &Position) -> Self {
        self.0.at.get_or_insert_with(|| at.clone());
        self
    }

    /// With one more thing that the reader can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// The same where no scenario runs: skipping is a mistake there.
    #[must_use]
    pub(crate) fn outside_scenarios(self) -> Self {
        let FaultCause::Skip(_) = self.0.cause else {
            return self;
        };
        let mut fault = Fault::script("skip(…) skips the running scenario, and none runs here")
            .hint("call it in setup or in the scenario, or give the scenario the option `skip`");
        fault.0.at.clone_from(&self.0.at);
        fault
    }

    /// Ends the scenario whatever the script does about errors: skips, timeouts, interrupts.
    pub fn is_final(&self) -> bool {
        match &self.0.cause {
            FaultCause::Skip(_) => true,
            FaultCause::Failure(kind) => matches!(kind, FailureKind::Timeout | FailureKind::Interrupted),
        }
    }

    /// The kind, unless it is a skip.
    pub fn kind(&self) -> Option<FailureKind> {
        match self.0.cause {
            FaultCause::Failure(kind) => Some(kind),
            FaultCause::Skip(_) => None,
        }
    }

    /// Its parts, to be read.
    pub fn parts(&self) -> &Parts {
        &self.0
    }

    /// Its parts, to be added to.
    pub fn parts_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Fault {}
