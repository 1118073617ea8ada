//! Commits of groups, and what becomes of a group that cannot be stored.

use std::collections::BTreeMap;
use std::time::Duration;

use callwright_acd::{CallKey, Fact, Records, Token};

use super::{Health, Outcome};

/// How long after a failure it is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(250);

/// Why calls are over that ended in a commit, as their records say.
pub(super) type Causes = BTreeMap<CallKey, String>;

/// What facts are committed to.
pub(super) trait Ledger {
    /// Stores these facts, all or none.
    fn commit(&mut self, facts: &[&Fact]) -> Result<Causes, CommitError>;

    /// Whether it would store something: writes what changes nothing.
    fn probe(&mut self) -> Result<(), CommitError>;

    /// Whether anything speaks against it: writes nothing.
    fn look(&mut self) -> Result<(), CommitError>;
}

/// Why a group was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CommitError {
    /// It may be stored later: the words say why not now.
    Unavailable(String),
    /// One of the facts cannot be stored, whatever is done.
    Unacceptable(String),
}

/// A fact that was taken.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) token: Token,
    pub(super) fact: Fact,
    /// Whether somebody waits for it, and is better told no than nothing.
    pub(super) awaited: bool,
}

/// The facts of failed commits that have to be stored all the same, and whether all is well.
#[derive(Debug, Default)]
pub(super) struct Group {
    backlog: Vec<Taken>,
    pub(super) health: Health,
    pub(super) committed: u64,
}

impl Group {
    /// Commits what was left over and these; what became of them. Without facts it finds out whether all is well again.
    pub(super) fn commit(
        &mut self,
        ledger: &mut impl Ledger,
        facts: impl IntoIterator<Item = Taken>,
    ) -> Vec<Outcome> {
        self.backlog.extend(facts);
        let group: Vec<_> = self.backlog.iter().map(|taken| &taken.fact).collect();
        let result = match (group.is_empty(), self.health.is_sound()) {
            (true, true) => ledger.look().map(|()| Causes::new()),
            (true, false) => ledger.probe().map(|()| Causes::new()),
            (false, _) => ledger.commit(&group),
        };
        match result {
            Ok(causes) => {
                self.health = Health::Sound;
                self.committed += self.backlog.len() as u64;
                self.backlog
                    .drain(..)
                    .map(|taken| taken.stored(&causes))
                    .collect()
            }
            Err(CommitError::Unavailable(reason)) => self.fail(reason),
            Err(CommitError::Unacceptable(_)) => self.commit_singly(ledger),
        }
    }

    /// A commit fails: what nothing waits for is kept.
    pub(super) fn fail(&mut self, reason: String) -> Vec<Outcome> {
        self.health = Health::Failing { reason };
        let (refused, kept) = std::mem::take(&mut self.backlog)
            .into_iter()
            .partition(|taken| taken.awaited);
        self.backlog = kept;
        let refused: Vec<_> = refused;
        refused.into_iter().map(|taken| taken.outcome(false)).collect()
    }

    /// A commit fails, and these are part of it.
    pub(super) fn fail_with(&mut self, reason: String, facts: Vec<Taken>) -> Vec<Outcome> {
        self.backlog.extend(facts);
        self.fail(reason)
    }

    /// Finds out which fact it is that cannot be stored: the others are.
    fn commit_singly(&mut self, ledger: &mut impl Ledger) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(self.backlog.len());
        let mut group = std::mem::take(&mut self.backlog).into_iter();
        while let Some(taken) = group.next() {
            match ledger.commit(&[&taken.fact]) {
                Ok(causes) => {
                    self.committed += 1;
                    outcomes.push(taken.stored(&causes));
                }
                Err(CommitError::Unacceptable(reason)) => {
                    tracing::error!(%reason, fact = ?taken.fact, "the database refuses a fact: this is a bug of callwright");
                    outcomes.push(taken.outcome(false));
                }
                Err(CommitError::Unavailable(reason)) => {
                    self.backlog.push(taken);
                    outcomes.extend(self.fail_with(reason, group.collect()));
                    return outcomes;
                }
            }
        }
        self.health = Health::Sound;
        outcomes
    }

    /// How many facts are left over.
    pub(super) fn left_over(&self) -> usize {
        self.backlog.len()
    }

    /// Forgets what is left over.
    pub(super) fn forget(&mut self) {
        self.backlog.clear();
        self.health = Health::Sound;
    }
}

impl Taken {
    fn stored(self, causes: &Causes) -> Outcome {
        let ended = matches!(self.fact, Fact::CallEnded { .. });
        let call = self.fact.call().filter(|_| ended);
        Outcome {
            cause: call.and_then(|call| causes.get(&call).cloned()),
            ..self.outcome(true)
        }
    }

    pub(super) fn outcome(self, stored: bool) -> Outcome {
        Outcome {
            token: self.token,
            fact: self.fact,
            stored,
            cause: None,
        }
    }
}

/// Why the call is over that a fact ended, by the records that took it.
pub(super) fn cause(records: &Records, fact: &Fact) -> Option<(CallKey, String)> {
    let Fact::CallEnded { call, .. } = fact else {
        return None;
    };
    Some((*call, records.get(*call)?.cause()?))
}
