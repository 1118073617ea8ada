//! The SIP messages that a user agent sent and received, as evidence.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use callwright_wire::{Cause, Flow, Time};

/// Which way a message went, seen from the user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Sent.
    Sent,
    /// Received.
    Received,
}

/// A message, and when and how it passed.
#[derive(Clone, Debug)]
pub struct TracedMessage {
    /// When it passed.
    pub time: Time,
    /// Which way.
    pub direction: Direction,
    /// The whole message, byte for byte.
    pub bytes: Bytes,
    /// Between which addresses.
    pub flow: Flow,
    /// True when the same bytes passed before.
    pub retransmission: bool,
    /// The command that led to it, as far as known.
    pub cause: Option<Cause>,
}

/// How much of its messages a user agent keeps; the oldest go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceLimits {
    /// Messages.
    pub messages: usize,
    /// Bytes of all of them together.
    pub bytes: usize,
}

impl Default for TraceLimits {
    /// 1,000 messages of at most 1 MiB together.
    fn default() -> Self {
        TraceLimits {
            messages: 1_000,
            bytes: 1 << 20,
        }
    }
}

/// The newest messages, oldest first.
#[derive(Debug, Default)]
pub struct Trace {
    limits: TraceLimits,
    messages: VecDeque<Arc<TracedMessage>>,
    bytes: usize,
    dropped: u64,
}

impl Trace {
    /// An empty trace.
    pub fn new(limits: TraceLimits) -> Self {
        Trace {
            limits,
            ..Trace::default()
        }
    }

    /// Takes a message, and drops the oldest ones beyond the limits.
    pub fn push(&mut self, message: TracedMessage) {
        self.bytes += message.bytes.len();
        self.messages.push_back(Arc::new(message));
        while self.messages.len() > self.limits.messages.max(1)
            || (self.bytes > self.limits.bytes && self.messages.len() > 1)
        {
            let Some(oldest) = self.messages.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes.len();
            self.dropped += 1;
        }
    }

    /// The messages that are kept, oldest first.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Arc<TracedMessage>> {
        self.messages.iter()
    }

    /// How many were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
