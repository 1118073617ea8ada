//! The SIP messages of a phone.

use std::sync::Arc;

use bytes::Bytes;
use callwright_wire::{Cause, Flow, Time};

/// Sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By the phone.
    Sent,
    /// By the phone.
    Received,
}

impl Direction {
    /// The word that scenarios see.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::Sent => "sent",
            Direction::Received => "received",
        }
    }
}

/// A SIP message that a phone sent or received.
#[derive(Clone, Debug)]
pub struct SipRecord {
    /// When.
    pub time: Time,
    /// Which way.
    pub direction: Direction,
    /// Between which addresses.
    pub flow: Flow,
    /// The whole message, byte for byte.
    pub bytes: Bytes,
    /// It was seen before.
    pub retransmission: bool,
    /// The step that caused it, as far as known.
    pub cause: Option<Cause>,
}

/// Which messages are wanted. The default lets everything pass that is not a retransmission.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Of this method; responses by the method of their CSeq.
    pub method: Option<String>,
    /// Responses with this status.
    pub status: Option<u16>,
    /// Requests (`true`) or responses (`false`) only.
    pub requests: Option<bool>,
    /// One direction only.
    pub direction: Option<Direction>,
    /// Of the call with this Call-ID.
    pub call_id: Option<String>,
    /// Retransmissions too.
    pub retransmissions: bool,
}

/// Messages, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// Those that pass the filter.
    pub list: Vec<Arc<SipRecord>>,
    /// How many messages of this phone (of any kind) were dropped because it keeps only so many.
    pub dropped: u64,
}
