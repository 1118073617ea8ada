//! What the caller of the API did wrong.

/// An operation that cannot be carried out: nothing was sent and nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// The handle is of something that ended, or of another endpoint.
    #[error("that {what} is over: its end was told by an event, its handle is of no more use")]
    Gone {
        /// What the handle is of: `call`, `REFER`, …
        what: &'static str,
    },
    /// The call is not in a state that allows it.
    #[error("{operation} is not possible now: the call {state}")]
    State {
        /// The operation.
        operation: &'static str,
        /// What the call does: `is being placed`, `is established`, …
        state: &'static str,
    },
    /// There is no offer to answer or reject, or none of ours to take back.
    #[error("there is no offer that waits")]
    NoOffer,
    /// A description is needed, and none was given.
    #[error("{operation} needs a session description: {why}")]
    DescriptionNeeded {
        /// The operation.
        operation: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A description was given where none is legal (RFC 6337 §2.1).
    #[error("{operation} cannot carry a session description: {why}")]
    DescriptionIllegal {
        /// The operation.
        operation: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A status outside the range that the operation sends.
    #[error("{status} is not a status that {operation} can send")]
    Status {
        /// The operation.
        operation: &'static str,
        /// The status.
        status: u16,
    },
    /// A method that the endpoint sends by itself, by another operation.
    #[error("that method has an operation of its own, or is sent by the endpoint itself")]
    Method,
    /// There are as many calls as may be.
    #[error("there are {limit} calls already: end some, or raise `EndpointConfig::max_calls`")]
    TooManyCalls {
        /// The limit.
        limit: usize,
    },
    /// Too many operations of the call wait already.
    #[error("{limit} operations of the call wait already: the peer answers none of them")]
    QueueFull {
        /// The limit.
        limit: usize,
    },
}
