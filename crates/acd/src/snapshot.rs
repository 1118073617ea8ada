//! What agents, queues and calls look like at a moment: for the API, metrics and tests.

use std::time::Duration;

use callwright_wire::Time;

use crate::agent::AgentState;
use crate::fact::CallKey;

/// An agent at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSnapshot {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: AgentState,
    /// Since when.
    pub since: Time,
    /// How many contacts are registered.
    pub contacts: usize,
    /// The call of a queue that is presented to it, or in which it talks.
    pub call: Option<CallKey>,
    /// In how many calls it is that came from no queue: it is offered none meanwhile, whatever its state.
    pub other_calls: usize,
    /// How many presentations in a row it did not answer.
    pub unanswered: u32,
    /// How many presentations it refused since it answered one.
    pub refused: u32,
    /// How many calls of queues it answered since the start.
    pub answered: u64,
    /// How long it talked in those that are over.
    pub talk_time: Duration,
}

/// A queue at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSnapshot {
    /// Its name.
    pub name: String,
    /// How many calls wait, those included that are presented.
    pub waiting: usize,
    /// How many of them are presented.
    pub presented: usize,
    /// Since when the oldest of them is there.
    pub oldest: Option<Time>,
    /// How many of its calls talk to an agent.
    pub talking: usize,
    /// How many of its members are ready and in no call.
    pub free: usize,
    /// How many of its members are logged in.
    pub logged_in: usize,
}

/// A call at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSnapshot {
    /// Its number.
    pub call: CallKey,
    /// How far it is.
    pub state: CallState,
    /// The address in the caller's From.
    pub caller: String,
    /// The address that the caller asked for.
    pub dialled: String,
    /// The queue that it came to last.
    pub queue: Option<String>,
    /// The agent who took it from there.
    pub agent: Option<String>,
    /// When it came.
    pub arrived: Time,
    /// When it was answered by somebody.
    pub answered: Option<Time>,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// It is being written down that it came to a queue.
    Arriving,
    /// It waits in a queue.
    Queued {
        /// Its place, from 1.
        position: usize,
        /// Its priority.
        priority: i32,
    },
    /// It is presented to one agent, or with `ring_all` to several; or one has answered, and that is being written down.
    Presented {
        /// Which presentation of the call it is, from 1.
        attempt: u32,
    },
    /// Somebody rings for it who is no agent of a queue.
    Ringing,
    /// Its overflow message is played.
    Message,
    /// Two parties talk.
    Connected,
    /// One of them has put the other on hold.
    Held,
}
