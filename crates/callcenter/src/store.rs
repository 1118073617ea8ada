//! What keeps facts: the contract, and whoever fulfils it.
//!
//! | who | where |
//! | --- | --- |
//! | a model in memory, for simulations | [`model`] |
//! | a database of SQLite | [`sqlite`] |
//! | what both do when a commit fails | [`group`] |

mod group;
mod model;
mod paced;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use callwright_acd::{
    AgentState, Binding, CallKey, CallRecord, Command, EndCause, Fact, NotReadyReason, Records, Token,
};
use callwright_wire::Time;

pub use model::ModelStore;
pub use sqlite::{Reader, RecordQuery, RecordRow, SqliteStore, StoreError, StoredQueue, StoredUser, Users};

/// Keeps facts, so that they outlive the process.
///
/// Facts are committed in groups and in the order in which they were taken: a group is stored whole, or not at all. While
/// one commit is under way, what comes waits for the next.
///
/// When a commit fails, facts that somebody waits for (a registration, a call that comes to a queue, an answer that its caller has
/// not heard of) fail with it. Those that tell what has happened already (a call ended, an agent changed) are kept, and stored in
/// their order when the store works again.
/// Until then it is [`Health::Failing`].
pub trait Store: fmt::Debug + Send {
    /// What was stored before. Calls that were up are closed, with the cause [`Restarted`](EndCause::Restarted), and so are the
    /// talks of agents that went on from calls that are over: all of that, or nothing. To be called once, before anything is taken.
    ///
    /// # Errors
    ///
    /// When it cannot be read or written.
    fn restore(&mut self, now: Time) -> Result<Restored, StoreError>;

    /// Takes a fact; whoever drives it calls [`Store::begin`] when it has no more for now. `awaited`: somebody waits for it, and it
    /// is refused when its commit fails.
    fn take(&mut self, token: Token, fact: Fact, awaited: bool);

    /// A commit begins, where none is under way and something waits for one.
    fn begin(&mut self, now: Time);

    /// When [`Store::finish`] has something to say; `None`: not before it is told more, or [`Store::wake_by`] is called.
    fn next(&self) -> Option<Time>;

    /// What became of facts by now, in their order.
    fn finish(&mut self, now: Time) -> Vec<Outcome>;

    /// Whether it works.
    fn health(&self) -> Health;

    /// How many facts are neither stored nor refused.
    fn pending(&self) -> usize;

    /// How many facts were stored since it was made.
    fn committed(&self) -> u64;

    /// The process is gone, and with it what was not stored. Another one may [restore](Store::restore) from it.
    fn lose_uncommitted(&mut self);

    /// Commits in a thread of its own from now on, where it can: `wake` is called when outcomes are there. A store without a
    /// thread does nothing.
    fn wake_by(&mut self, wake: Box<dyn Fn() + Send>) {
        drop(wake);
    }

    /// How long each commit takes from now on. A store of the real world takes as long as it takes.
    fn set_delay(&mut self, delay: Duration);

    /// With what probability a commit fails from now on, 0 to 1. A store of the real world does not fail on demand.
    fn set_failures(&mut self, probability: f64);

    /// Everything that is stored: for tests, since it may be much.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn kept(&self) -> Result<Kept, StoreError>;
}

/// What became of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its number.
    pub token: Token,
    /// The fact.
    pub fact: Fact,
    /// Whether it is stored; if not, it never will be.
    pub stored: bool,
    /// Where it is the stored end of a call: why that is over, [as its record says](CallRecord::cause).
    pub cause: Option<String>,
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

/// Whether a store works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It does.
    #[default]
    Sound,
    /// The last commit failed, and it is being tried again.
    Failing {
        /// Why, and what can be done.
        reason: String,
    },
}

impl Health {
    /// Whether it works.
    pub fn is_sound(&self) -> bool {
        matches!(self, Health::Sound)
    }
}

/// What was stored before a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The bindings of each user that has some, those that have run out included.
    pub bindings: BTreeMap<String, Vec<Binding>>,
    /// What each agent did last: who talked in the crash is told here to talk.
    pub agents: BTreeMap<String, AgentState>,
    /// What agents who were in a call or wrap-up want to be afterwards; ready where there is nothing.
    pub wishes: BTreeMap<String, NotReadyReason>,
    /// The number of the next call.
    pub first_call: u64,
    /// The numbers of the calls that were up, and are closed now.
    pub closed: Vec<u64>,
}

/// Everything that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The bindings of each user that has some.
    pub bindings: BTreeMap<String, Vec<Binding>>,
    /// What each agent does.
    pub agents: BTreeMap<String, AgentState>,
    /// The records of calls, by their numbers.
    pub records: Vec<CallRecord>,
    /// The facts but those of bindings and wishes, in their order.
    pub facts: Vec<Fact>,
}

/// What became of calls and talks when their process died, told when the store is opened again: the calls that were up ended, and who
/// talked on from a call that is over is what a machine lets it be that starts with a call of before. `last_known` says when the
/// process was last heard of, and the call.
fn cut_off<E>(
    records: &Records,
    wishes: &BTreeMap<String, NotReadyReason>,
    last_known: impl Fn(CallKey) -> Result<Time, E>,
) -> Result<Vec<Fact>, E> {
    let up = records.open().filter(|record| record.ended.is_none());
    let ends = up.map(|record| {
        Ok(Fact::CallEnded {
            call: record.call,
            cause: EndCause::Restarted,
            parties: None,
            at: last_known(record.call)?,
        })
    });
    let talks = records.talking_on().map(|(agent, call)| {
        let wish = wishes.get(agent).cloned();
        Ok(Fact::AgentChanged {
            agent: agent.to_owned(),
            state: wish.map_or(AgentState::Ready, AgentState::NotReady),
            at: last_known(call)?,
        })
    });
    ends.chain(talks).collect()
}

/// The numbers of the calls that end by these facts.
fn closed_by(facts: &[Fact]) -> Vec<u64> {
    let ends = facts.iter().filter(|fact| matches!(fact, Fact::CallEnded { .. }));
    ends.filter_map(Fact::call).map(|call| call.0).collect()
}

/// Whether what an agent wants to be afterwards still counts in a state: it is what comes after it.
fn keeps_wish(state: &AgentState) -> bool {
    match state {
        AgentState::Reserved | AgentState::Talking | AgentState::WrapUp { .. } => true,
        AgentState::LoggedOut | AgentState::NotReady(_) | AgentState::Ready => false,
    }
}

impl From<ModelStore> for Box<dyn Store> {
    fn from(store: ModelStore) -> Self {
        Box::new(store)
    }
}

impl From<SqliteStore> for Box<dyn Store> {
    fn from(store: SqliteStore) -> Self {
        Box::new(store)
    }
}
