//! Commits in virtual time: each takes as long, and fails as often, as it is told.

use std::time::Duration;

use callwright_acd::{Fact, Token};
use callwright_wire::{Entropy, Seed, Time};

use super::group::{Group, Ledger, RETRY};
use super::{Health, Outcome};

/// The pace of a store without a thread.
#[derive(Debug)]
pub(super) struct Pace {
    delay: Duration,
    failures: f64,
    entropy: Entropy,
    group: Group,
    waiting: Vec<(Token, Fact)>,
    commit: Option<Commit>,
}

/// A commit under way.
#[derive(Debug)]
struct Commit {
    done: Time,
    facts: Vec<(Token, Fact)>,
}

impl Pace {
    /// Commits at once, and never fails.
    pub(super) fn new(seed: &Seed) -> Pace {
        Pace {
            delay: Duration::ZERO,
            failures: 0.0,
            entropy: seed.derive("store").stream(),
            group: Group::default(),
            waiting: Vec::new(),
            commit: None,
        }
    }

    pub(super) fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    pub(super) fn set_failures(&mut self, probability: f64) {
        self.failures = probability;
    }

    pub(super) fn take(&mut self, token: Token, fact: Fact) {
        self.waiting.push((token, fact));
    }

    pub(super) fn begin(&mut self, now: Time) {
        if self.commit.is_some() {
            return;
        }
        if !self.waiting.is_empty() {
            self.commit = Some(Commit {
                done: now + self.delay,
                facts: std::mem::take(&mut self.waiting),
            });
        } else if !self.group.health.is_sound() {
            self.commit = Some(Commit {
                done: now + RETRY + self.delay,
                facts: Vec::new(),
            });
        }
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.commit.as_ref().map(|commit| commit.done)
    }

    pub(super) fn finish(&mut self, now: Time, ledger: &mut impl Ledger) -> Vec<Outcome> {
        let Some(commit) = self.commit.take_if(|commit| commit.done <= now) else {
            return Vec::new();
        };
        // Without failures no chance is drawn: to set them later moves nothing before.
        if self.failures > 0.0 && self.entropy.fraction() < self.failures {
            let reason = "the store fails, as it was told to".to_owned();
            return self.group.fail_with(reason, commit.facts);
        }
        self.group.commit(ledger, commit.facts)
    }

    pub(super) fn health(&self) -> Health {
        self.group.health.clone()
    }

    pub(super) fn pending(&self) -> usize {
        let under_way = self.commit.as_ref().map_or(0, |commit| commit.facts.len());
        self.waiting.len() + under_way + self.group.left_over()
    }

    pub(super) fn committed(&self) -> u64 {
        self.group.committed
    }

    pub(super) fn forget(&mut self) {
        self.waiting.clear();
        self.commit = None;
        self.group.forget();
    }

    /// How far it came, and what it did not commit, for whoever commits otherwise from now on.
    pub(super) fn into_parts(self) -> (Group, Vec<(Token, Fact)>) {
        let under_way = self.commit.map(|commit| commit.facts).unwrap_or_default();
        (self.group, under_way.into_iter().chain(self.waiting).collect())
    }
}
