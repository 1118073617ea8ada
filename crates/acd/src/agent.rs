//! What an agent is doing, and what can be asked of one.

use callwright_wire::Time;

/// What an agent is doing.
///
/// ```text
///   LoggedOut ──REGISTER──▶ Ready ◀──asked──▶ NotReady
///       ▲                    │  ▲                ▲
///       │                 presented              │
///       │                    ▼  └──withdrawn     │
///       │                Reserved ──no answer────┤   or refused, as often as allowed
///       │                    │ answered          │
///       │                    ▼                   │
///       │                 Talking ──over──▶ WrapUp ──time, or asked──▶ Ready, or NotReady where that was asked for
///       │
///       └── no registration is left: from every state, from Talking when the call is over
/// ```
///
/// Whoever would be ready while a phone still holds the call before is reserved until it lets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// No contact is registered.
    LoggedOut,
    /// Registered, and takes no calls of queues.
    NotReady(NotReadyReason),
    /// Takes the next call.
    Ready,
    /// A call is presented, or one that was is being taken back from its phone.
    Reserved,
    /// In a call of a queue, until its phone knows that it is over.
    Talking,
    /// A call of a queue is over, and the agent writes down what it was about.
    WrapUp {
        /// When that is over unless the agent says so before.
        until: Time,
    },
}

/// Why an agent takes no calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReadyReason {
    /// It registered, and is to say by itself when it is ready.
    Login,
    /// It was asked for, with a reason in somebody's own words, which may be empty.
    Manual(String),
    /// It did not answer as often as its queue allows.
    NoAnswer,
    /// Its phone could not be reached, or failed: nothing came back, or 404, 408, 410 or a 5xx. Or it refused as often as its queue
    /// allows.
    Rejected,
}

impl NotReadyReason {
    /// The word for it in logs, records and the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            NotReadyReason::Login => "login",
            NotReadyReason::Manual(_) => "manual",
            NotReadyReason::NoAnswer => "no_answer",
            NotReadyReason::Rejected => "rejected",
        }
    }

    /// Somebody's own words, where there are any.
    pub fn note(&self) -> Option<&str> {
        match self {
            NotReadyReason::Manual(note) => Some(note),
            NotReadyReason::Login | NotReadyReason::NoAnswer | NotReadyReason::Rejected => None,
        }
    }
}

impl AgentState {
    /// The word for it in logs, records and the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            AgentState::LoggedOut => "logged_out",
            AgentState::NotReady(_) => "not_ready",
            AgentState::Ready => "ready",
            AgentState::Reserved => "reserved",
            AgentState::Talking => "talking",
            AgentState::WrapUp { .. } => "wrap_up",
        }
    }
}

/// What is asked of an agent: by its phone, by the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentRequest {
    /// Take calls: at once, which ends a wrap-up; during a call, when that is over.
    Ready,
    /// Take none, with a reason in one's own words. What is presented is taken back; during a call: when that is over.
    NotReady(String),
    /// The wrap-up is over; nothing happens where there is none.
    WrapUpDone,
}
