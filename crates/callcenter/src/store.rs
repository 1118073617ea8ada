//! A model of a store: bindings and facts in memory, committed in groups, with a delay and failures as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use callwright_acd::{Binding, Command, Fact, Token};
use callwright_wire::{Entropy, Seed, Time};

/// How many of the latest facts a [`ModelStore`] shows: it is no archive.
const KEPT_FACTS: usize = 10_000;

/// What a store keeps, and how well it does it.
///
/// Facts are committed in groups, as by a database: while one commit is under way, what comes waits for the next. A commit
/// holds all of its facts, or none. What is not committed is lost with the [`Server`](crate::Server) around it.
#[derive(Debug)]
pub struct ModelStore {
    delay: Duration,
    failures: f64,
    entropy: Entropy,
    bindings: BTreeMap<String, Vec<Binding>>,
    facts: VecDeque<Fact>,
    committed: u64,
    waiting: Vec<(Token, Fact)>,
    commit: Option<Commit>,
}

/// A commit under way.
#[derive(Debug)]
struct Commit {
    done: Time,
    facts: Vec<(Token, Fact)>,
}

/// What became of a fact.
#[derive(Debug)]
pub(crate) struct Outcome {
    token: Token,
    pub(crate) fact: Fact,
    pub(crate) stored: bool,
}

impl Outcome {
    /// What the machine is told.
    pub(crate) fn command(&self) -> Command {
        let token = self.token;
        if self.stored {
            Command::Persisted { token }
        } else {
            Command::PersistFailed { token }
        }
    }
}

impl Default for ModelStore {
    fn default() -> Self {
        ModelStore::new(Seed::from_number(0))
    }
}

impl ModelStore {
    /// An empty store that commits at once and never fails. The seed is that of later failures.
    pub fn new(seed: Seed) -> ModelStore {
        ModelStore {
            delay: Duration::ZERO,
            failures: 0.0,
            entropy: seed.derive("store").stream(),
            bindings: BTreeMap::new(),
            facts: VecDeque::new(),
            committed: 0,
            waiting: Vec::new(),
            commit: None,
        }
    }

    /// How long each commit takes from now on.
    pub fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// With what probability a commit fails from now on, 0 to 1.
    pub fn set_failures(&mut self, probability: f64) {
        self.failures = probability;
    }

    /// The bindings of each user that has some, those that have run out included.
    pub fn bindings(&self) -> impl Iterator<Item = (&str, &[Binding])> {
        self.bindings
            .iter()
            .map(|(user, bindings)| (user.as_str(), bindings.as_slice()))
    }

    /// The latest committed facts, the oldest first: 10,000 at most.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter()
    }

    /// How many facts were committed.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// How many facts are neither committed nor refused.
    pub fn pending(&self) -> usize {
        self.waiting.len() + self.commit.as_ref().map_or(0, |commit| commit.facts.len())
    }

    pub(crate) fn take(&mut self, token: Token, fact: Fact) {
        self.waiting.push((token, fact));
    }

    /// Whoever drives it has nothing more to store for now: a commit begins, where none is under way.
    pub(crate) fn begin(&mut self, now: Time) {
        if self.commit.is_none() && !self.waiting.is_empty() {
            self.commit = Some(Commit {
                done: now + self.delay,
                facts: std::mem::take(&mut self.waiting),
            });
        }
    }

    /// When the commit under way is done.
    pub(crate) fn next(&self) -> Option<Time> {
        self.commit.as_ref().map(|commit| commit.done)
    }

    /// What became of the facts of a commit that is done by now, in their order.
    pub(crate) fn finish(&mut self, now: Time) -> Vec<Outcome> {
        let Some(commit) = self.commit.take_if(|commit| commit.done <= now) else {
            return Vec::new();
        };
        // Without failures no chance is drawn: to set them later moves nothing before.
        let stored = self.failures <= 0.0 || self.entropy.fraction() >= self.failures;
        let mut outcomes = Vec::with_capacity(commit.facts.len());
        for (token, fact) in commit.facts {
            if stored {
                self.apply(&fact);
            }
            outcomes.push(Outcome { token, fact, stored });
        }
        outcomes
    }

    /// The process is gone, and with it what was not committed.
    pub(crate) fn lose_uncommitted(&mut self) {
        self.waiting.clear();
        self.commit = None;
    }

    fn apply(&mut self, fact: &Fact) {
        if let Fact::Bindings { user, bindings } = fact {
            if bindings.is_empty() {
                self.bindings.remove(user);
            } else {
                self.bindings.insert(user.clone(), bindings.clone());
            }
        }
        if self.facts.len() == KEPT_FACTS {
            self.facts.pop_front();
        }
        self.facts.push_back(fact.clone());
        self.committed += 1;
    }
}
