//! What could not be stored of callers who were answered before: their calls go on all the same, so the store hears of it when it
//! works again, and of what follows not before.

use std::collections::{BTreeMap, VecDeque};

use callwright_wire::Time;

use crate::fact::{CallKey, Fact};
use crate::journal::Due;
use crate::machine::Machine;

/// The facts of one call, in their order.
#[derive(Debug, Default)]
struct Untold {
    facts: VecDeque<Fact>,
    /// The first of them is on its way to the store.
    told: bool,
}

/// What is to be told when the store works again, by calls.
#[derive(Debug, Default)]
pub(crate) struct UntoldFacts(BTreeMap<CallKey, Untold>);

impl UntoldFacts {
    /// A fact of a call could not be stored.
    pub(crate) fn keep(&mut self, call: CallKey, fact: Fact) {
        self.0.entry(call).or_default().facts.push_back(fact);
    }

    /// Takes a fact that has to wait for others of its call; gives back one that need not.
    pub(crate) fn hold(&mut self, fact: Fact) -> Option<Fact> {
        match fact.call().and_then(|call| self.0.get_mut(&call)) {
            Some(untold) => {
                untold.facts.push_back(fact);
                None
            }
            None => Some(fact),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn next(&mut self, call: CallKey) -> Option<Fact> {
        let untold = self.0.get_mut(&call).filter(|untold| !untold.told)?;
        untold.told = true;
        untold.facts.front().cloned()
    }
}

impl Machine {
    /// The store works again.
    pub(crate) fn tell_untold(&mut self) {
        let calls: Vec<_> = self.untold.0.keys().copied().collect();
        for call in calls {
            self.tell_untold_of(self.now, call);
        }
    }

    fn tell_untold_of(&mut self, now: Time, call: CallKey) {
        if let Some(fact) = self.untold.next(call) {
            self.persist(now, Due::Untold(call), fact);
        }
    }

    /// The store has spoken about a fact that it could not store before.
    pub(crate) fn on_untold_stored(&mut self, now: Time, call: CallKey, stored: bool) {
        let Some(untold) = self.untold.0.get_mut(&call) else {
            return;
        };
        untold.told = false;
        if !stored {
            return;
        }
        untold.facts.pop_front();
        if untold.facts.is_empty() {
            self.untold.0.remove(&call);
        } else {
            self.tell_untold_of(now, call);
        }
    }
}
