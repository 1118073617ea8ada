//! The SIP messages of a phone.

use std::sync::Arc;

use bytes::Bytes;
use callwright_sip_message::{Limits, Message};
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

impl SipRecord {
    /// The message, parsed; one that is not SIP holds its bytes and nothing else.
    pub fn message(&self) -> Message {
        Message::parse(self.bytes.clone(), &Limits::default())
            .unwrap_or_else(|_| Message::from_raw(self.bytes.clone()))
    }
}

impl MessageFilter {
    /// Whether a message passes: for phones.
    pub fn passes(&self, record: &SipRecord) -> bool {
        if record.retransmission && !self.retransmissions {
            return false;
        }
        if self
            .direction
            .is_some_and(|direction| direction != record.direction)
        {
            return false;
        }
        let message = record.message();
        let method = || message.method().map(|method| method.to_string());
        self.method
            .as_ref()
            .is_none_or(|wanted| method().is_some_and(|method| method.eq_ignore_ascii_case(wanted)))
            && self.status.is_none_or(|status| message.status() == Some(status))
            && self
                .requests
                .is_none_or(|requests| message.is_request() == requests)
            && self.call_id.as_ref().is_none_or(|wanted| {
                message
                    .call_id()
                    .is_ok_and(|call_id| call_id.to_string() == *wanted)
            })
    }
}
