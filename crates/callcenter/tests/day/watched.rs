//! A store that writes down what it is told and what it answers, in one order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callwright_callcenter::{Fact, Health, Kept, Outcome, Restored, Store, StoreError, Token};
use callwright_wire::Time;

/// Something between machine and store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// The machine told a fact.
    Told(Fact),
    /// The store has it: the machine is told so.
    Stored(Fact),
    /// The store does not have it, and never will.
    NotStored(Fact),
    /// The store works again, or does not: the machine is told so.
    Works(bool),
    /// A new machine begins with this.
    Restored(Restored),
}

/// What was written down; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<VecDeque<Entry>>>);

impl Log {
    pub(crate) fn next(&self) -> Option<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn enter(&self, entry: Entry) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(entry);
    }
}

/// The store. It tells its outcomes one at a time, so that what follows from each is written down before the next.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: Box<dyn Store>,
    log: Log,
    /// Outcomes that were not told yet.
    outcomes: VecDeque<Outcome>,
    works: bool,
}

impl Watched {
    pub(crate) fn new(inner: Box<dyn Store>, log: Log) -> Watched {
        Watched {
            inner,
            log,
            outcomes: VecDeque::new(),
            works: true,
        }
    }
}

impl Store for Watched {
    fn restore(&mut self, now: Time) -> Result<Restored, StoreError> {
        let restored = self.inner.restore(now)?;
        self.log.enter(Entry::Restored(restored.clone()));
        Ok(restored)
    }

    fn take(&mut self, token: Token, fact: Fact, awaited: bool) {
        self.log.enter(Entry::Told(fact.clone()));
        self.inner.take(token, fact, awaited);
    }

    fn begin(&mut self, now: Time) {
        if self.outcomes.is_empty() {
            self.inner.begin(now);
        }
    }

    fn next(&self) -> Option<Time> {
        self.inner.next()
    }

    fn finish(&mut self, now: Time) -> Vec<Outcome> {
        if self.outcomes.is_empty() {
            self.outcomes.extend(self.inner.finish(now));
            let works = self.inner.health().is_sound();
            if std::mem::replace(&mut self.works, works) != works {
                // The machine is told of that first.
                self.log.enter(Entry::Works(works));
                return Vec::new();
            }
        }
        let Some(outcome) = self.outcomes.pop_front() else {
            return Vec::new();
        };
        let fact = outcome.fact.clone();
        self.log.enter(if outcome.stored {
            Entry::Stored(fact)
        } else {
            Entry::NotStored(fact)
        });
        vec![outcome]
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn pending(&self) -> usize {
        self.inner.pending() + self.outcomes.len()
    }

    fn committed(&self) -> u64 {
        self.inner.committed()
    }

    fn lose_uncommitted(&mut self) {
        self.outcomes.clear();
        self.works = true;
        self.inner.lose_uncommitted();
    }

    fn set_delay(&mut self, delay: Duration) {
        self.inner.set_delay(delay);
    }

    fn set_failures(&mut self, probability: f64) {
        self.inner.set_failures(probability);
    }

    fn kept(&self) -> Result<Kept, StoreError> {
        self.inner.kept()
    }
}
