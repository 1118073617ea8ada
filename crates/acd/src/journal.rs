//! Facts on their way to the store, and what waits for each.

use std::collections::BTreeMap;

use crate::b2bua::LegKey;
use crate::fact::{CallKey, Token};
use crate::registrar::UserKey;

/// What goes on when a fact is stored, or is given up when it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The answer to a REGISTER.
    Register(UserKey),
    /// A call that came to a queue waits in it.
    Queue(CallKey),
    /// The answer to the caller, now that this leg answered.
    Answer(CallKey, LegKey),
    /// What the machine has to say to a caller.
    Speech(CallKey),
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
    /// A number for a fact.
    pub(crate) fn enter(&mut self, due: Due) -> Token {
        self.next += 1;
        let token = Token(self.next);
        self.waiting.insert(token, due);
        token
    }

    /// What waited for it; `None` for a number that nothing waits for.
    pub(crate) fn take(&mut self, token: Token) -> Option<Due> {
        self.waiting.remove(&token)
    }

    /// How many facts were told so far.
    pub(crate) fn told(&self) -> u64 {
        self.next
    }

    /// What waits for the fact that was told last, if that is still under way. False when it is not.
    pub(crate) fn redirect_last(&mut self, due: Due) -> bool {
        match self.waiting.get_mut(&Token(self.next)) {
            Some(waits) => {
                *waits = due;
                true
            }
            None => false,
        }
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
