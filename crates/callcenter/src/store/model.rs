//! A model of a store: what is kept is kept in memory.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use callwright_acd::{AgentState, Binding, CallKey, CallRecord, Fact, NotReadyReason, Records, Token};
use callwright_wire::{Seed, Time};

use super::group::{Causes, CommitError, Ledger, Taken, cause};
use super::paced::Pace;
use super::{Health, Kept, Outcome, Restored, Store, StoreError, closed_by, cut_off, keeps_wish};

/// How many of the latest facts, and of the latest records, a [`ModelStore`] keeps: it is no archive.
const KEPT: usize = 20_000;

/// A store in memory. It commits at once and never fails, unless it is told otherwise.
#[derive(Debug)]
pub struct ModelStore {
    pace: Pace,
    memory: Memory,
}

impl Default for ModelStore {
    fn default() -> Self {
        ModelStore::new(Seed::from_number(0))
    }
}

impl ModelStore {
    /// An empty store. The seed is that of later failures.
    pub fn new(seed: Seed) -> ModelStore {
        ModelStore {
            pace: Pace::new(&seed),
            memory: Memory::default(),
        }
    }

    /// The latest facts that are stored, those of bindings included, the oldest first: 20,000 at most.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.memory.facts.iter()
    }
}

impl Store for ModelStore {
    fn restore(&mut self, _now: Time) -> Result<Restored, StoreError> {
        self.lose_uncommitted();
        let memory = &mut self.memory;
        let latest = |_| Ok::<_, Infallible>(memory.latest);
        let Ok(cut_off) = cut_off(&memory.records, &memory.wishes, latest);
        let restored = Restored {
            bindings: memory.bindings.clone(),
            agents: memory.agents.clone(),
            wishes: memory.wishes.clone(),
            first_call: memory.last_call + 1,
            closed: closed_by(&cut_off),
        };
        for fact in &cut_off {
            memory.apply(fact);
        }
        Ok(restored)
    }

    fn take(&mut self, token: Token, fact: Fact, awaited: bool) {
        self.pace.take(Taken { token, fact, awaited });
    }

    fn begin(&mut self, now: Time) {
        self.pace.begin(now);
    }

    fn next(&self) -> Option<Time> {
        self.pace.next()
    }

    fn finish(&mut self, now: Time) -> Vec<Outcome> {
        self.pace.finish(now, &mut self.memory)
    }

    fn health(&self) -> Health {
        self.pace.health()
    }

    fn pending(&self) -> usize {
        self.pace.pending()
    }

    fn committed(&self) -> u64 {
        self.pace.committed()
    }

    fn lose_uncommitted(&mut self) {
        self.pace.forget();
    }

    fn set_delay(&mut self, delay: Duration) {
        self.pace.set_delay(delay);
    }

    fn set_failures(&mut self, probability: f64) {
        self.pace.set_failures(probability);
    }

    fn kept(&self) -> Result<Kept, StoreError> {
        let memory = &self.memory;
        let mut records: Vec<_> = memory.over.iter().chain(memory.records.open()).cloned().collect();
        records.sort_by_key(|record| record.call);
        let told = |fact: &&Fact| !matches!(fact, Fact::Bindings { .. } | Fact::AgentWants { .. });
        Ok(Kept {
            bindings: memory.bindings.clone(),
            agents: memory.agents.clone(),
            records,
            facts: memory.facts.iter().filter(told).cloned().collect(),
        })
    }
}

/// What is kept.
#[derive(Debug, Default)]
struct Memory {
    bindings: BTreeMap<String, Vec<Binding>>,
    agents: BTreeMap<String, AgentState>,
    wishes: BTreeMap<String, NotReadyReason>,
    records: Records,
    /// Those to which nothing more is to come.
    over: VecDeque<CallRecord>,
    facts: VecDeque<Fact>,
    last_call: u64,
    /// The time of the latest fact.
    latest: Time,
}

impl Ledger for Memory {
    fn commit(&mut self, facts: &[&Fact]) -> Result<Causes, CommitError> {
        Ok(facts.iter().filter_map(|fact| self.apply(fact)).collect())
    }

    fn probe(&mut self) -> Result<(), CommitError> {
        Ok(())
    }

    fn look(&mut self) -> Result<(), CommitError> {
        Ok(())
    }
}

impl Memory {
    /// Takes a fact; why the call is over that it ends.
    fn apply(&mut self, fact: &Fact) -> Option<(CallKey, String)> {
        match fact {
            Fact::Bindings { user, bindings } if bindings.is_empty() => {
                self.bindings.remove(user);
            }
            Fact::Bindings { user, bindings } => {
                self.bindings.insert(user.clone(), bindings.clone());
            }
            Fact::AgentChanged { agent, state, .. } => {
                self.agents.insert(agent.clone(), state.clone());
                if !keeps_wish(state) {
                    self.wishes.remove(agent);
                }
            }
            Fact::AgentWants {
                agent, afterwards, ..
            } => match afterwards {
                Some(reason) => {
                    self.wishes.insert(agent.clone(), reason.clone());
                }
                None => {
                    self.wishes.remove(agent);
                }
            },
            Fact::RecordingEnded {
                call, file, samples, ..
            } => {
                // The call may be over for long.
                if let Some(record) = self.over.iter_mut().rev().find(|record| record.call == *call) {
                    let of_file = record.recordings.iter_mut().find(|of| of.file == *file);
                    if let Some(recording) = of_file {
                        recording.samples = Some(*samples);
                    }
                }
            }
            Fact::CallQueued { .. }
            | Fact::CallPresented { .. }
            | Fact::PresentationEnded { .. }
            | Fact::CallAnswered { .. }
            | Fact::CallOverflowed { .. }
            | Fact::CallTransferred { .. }
            | Fact::RecordingStarted { .. }
            | Fact::CallEnded { .. } => {}
        }
        let touched = self.records.apply(fact);
        let cause = cause(&self.records, fact);
        for call in touched.into_iter().flatten() {
            self.last_call = self.last_call.max(call.0);
            if let Some(record) = self.records.take_over(call) {
                keep(&mut self.over, record);
            }
        }
        self.latest = fact.at().unwrap_or(self.latest).max(self.latest);
        keep(&mut self.facts, fact.clone());
        cause
    }
}

fn keep<T>(kept: &mut VecDeque<T>, one: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(one);
}
