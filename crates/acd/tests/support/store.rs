//! A store as a model: it takes its time, and fails when it is told to.

use std::collections::VecDeque;
use std::time::Duration;

use callwright_acd::{Command, Token};
use callwright_wire::Time;

#[derive(Default)]
pub(crate) struct Store {
    /// How long a fact takes.
    pub(crate) delay: Duration,
    /// Every fact fails.
    pub(crate) broken: bool,
    /// Facts stay where they are.
    pub(crate) stuck: bool,
    queue: VecDeque<(Time, Token, bool)>,
}

impl Store {
    pub(crate) fn persist(&mut self, now: Time, token: Token) {
        self.queue.push_back((now + self.delay, token, !self.broken));
    }

    /// When the next fact is stored, or not.
    pub(crate) fn next(&self) -> Option<Time> {
        self.queue.front().filter(|_| !self.stuck).map(|(at, ..)| *at)
    }

    /// The next fact is stored, or not.
    pub(crate) fn take(&mut self) -> Command {
        let (_, token, stored) = self.queue.pop_front().expect("it has a fact");
        if stored {
            Command::Persisted { token }
        } else {
            Command::PersistFailed { token }
        }
    }

    /// The token that waits longest.
    pub(crate) fn oldest(&self) -> Option<Token> {
        self.queue.front().map(|(_, token, _)| *token)
    }
}
