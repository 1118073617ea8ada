//! Why a scenario failed, with the evidence.

use serde::{Deserialize, Serialize};

use crate::{Location, SipDirection};

/// What went wrong, where, and what there is to see of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault it is.
    pub kind: FailureKind,
    /// One sentence: what was wrong.
    pub message: String,
    /// The place in the script.
    #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
    pub location: Option<Location>,
    /// The line of the script at that place, without its line end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub excerpt: Option<String>,
    /// How many characters of the excerpt, from the column on, are meant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub excerpt_length: Option<usize>,
    /// Of an assertion: what it was about, as in `Caller state`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    /// Of an assertion: what it wanted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<String>,
    /// Of an assertion: what was there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actual: Option<String>,
    /// How long it was waited for, in milliseconds of the world's time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub waited_ms: Option<f64>,
    /// What was seen while waiting, in order; equal neighbours once.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub history: Vec<Observed>,
    /// What each agent said about itself in the end.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub agents: Vec<AgentLine>,
    /// What the reader can do.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub hints: Vec<Hint>,
    /// The SIP messages of the agents of the scenario, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub messages: Vec<SipLine>,
    /// How many messages before those were dropped.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub messages_dropped: u64,
    /// Files written as evidence.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub files: Vec<String>,
    /// The call stack of the script, innermost first, beyond the location itself.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub trace: Vec<Location>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// An assertion did not hold: the system under test, as far as the script is right.
    #[default]
    Assertion,
    /// The script threw, or is wrong.
    Script,
    /// A verb could not be carried out.
    Verb,
    /// The scenario took longer than it may.
    Timeout,
    /// Teardown failed.
    Teardown,
    /// A responder of a mock server failed.
    MockServer,
    /// It passed only when it was tried again, and the run counts that as a failure.
    Flaky,
    /// It was expected to fail, and passed.
    UnexpectedPass,
    /// A rule of a protocol was broken by what our own agents or servers sent.
    Protocol,
    /// The generator was too late or lost packets: nothing is proved.
    Generator,
    /// Something outside: a file, a port, the network.
    Environment,
    /// Interrupted.
    Interrupted,
}

/// What the reader can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hint(pub String);

/// A value seen while waiting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Milliseconds since the waiting began.
    pub t_ms: f64,
    /// The value, or the error instead of one.
    pub value: String,
}

/// An agent in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentLine {
    /// Which.
    pub agent: String,
    /// `not registered (401 Unauthorized); Idle, last call: 486 Busy Here`.
    pub summary: String,
}

/// A SIP message in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SipLine {
    /// Milliseconds since the scenario started.
    pub t_ms: f64,
    /// Whose message.
    pub agent: String,
    /// Sent or received.
    pub direction: SipDirection,
    /// The other side: address and port.
    pub peer: String,
    /// `INVITE sip:bob@example.com` or `486 Busy Here (INVITE)`.
    pub summary: String,
    /// True when it was sent again, or came again.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub retransmission: bool,
    /// The Call-ID.
    pub call_id: String,
}
