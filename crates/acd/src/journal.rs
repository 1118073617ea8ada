//! Facts on their way to the store, and what waits for each.

use std::collections::BTreeMap;

use crate::fact::{CallKey, Token};
use crate::registrar::UserKey;

/// What goes on when a fact is stored, or is given up when it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The answer to a REGISTER.
    Register(UserKey),
    /// The answer to the caller.
    Answer(CallKey),
    /// Nothing waits: it has happened already.
    Nothing,
}

/// The facts that were told and not yet heard of.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    next: u64,
    waiting: BTreeMap<Token, Due>,
}

impl Journal {
    /// A number for a fact; `None` when there are `limit` under way.
    pub(crate) fn enter(&mut self, due: Due, limit: usize) -> Option<Token> {
        if self.waiting.len() >= limit {
            return None;
        }
        self.next += 1;
        let token = Token(self.next);
        self.waiting.insert(token, due);
        Some(token)
    }

    /// What waited for it; `None` for a number that nothing waits for.
    pub(crate) fn take(&mut self, token: Token) -> Option<Due> {
        self.waiting.remove(&token)
    }

    /// Lets all of them go; their numbers stay used.
    pub(crate) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}
