//! What crosses a bridge: packets that one session received and another one sends, at once and in the order in which
//! they came.

use std::collections::VecDeque;

use super::SessionId;
use crate::codec::Codec;

/// Packets that wait to be sent; a driver that drains after each datagram leaves one. Beyond, they are dropped and counted.
const LIMIT: usize = 1_024;

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cargo {
    /// Audio in this codec.
    Audio(Codec),
    /// A telephone-event (RFC 4733).
    TelephoneEvent,
}

/// A received packet on its way out.
#[derive(Debug)]
pub(crate) struct Crossing {
    /// The session that sends it.
    pub(crate) to: SessionId,
    pub(crate) cargo: Cargo,
    pub(crate) marker: bool,
    /// The source, sequence number and timestamp as received.
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
}

/// The packets of all bridges.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    waiting: VecDeque<Crossing>,
    /// Buffers of packets that are out: a packet allocates only when more wait than ever before.
    spare: Vec<Vec<u8>>,
    dropped: u64,
}

impl Relay {
    /// An empty buffer for a payload.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Queues a packet.
    pub(crate) fn push(&mut self, crossing: Crossing) {
        if self.waiting.len() < LIMIT {
            self.waiting.push_back(crossing);
        } else {
            self.dropped += 1;
            self.give_back(crossing.payload);
        }
    }

    /// The next packet to send.
    pub(super) fn pop(&mut self) -> Option<Crossing> {
        self.waiting.pop_front()
    }

    /// Keeps a buffer for later.
    pub(crate) fn give_back(&mut self, mut payload: Vec<u8>) {
        payload.clear();
        self.spare.push(payload);
    }

    /// Packets that were dropped because nobody took those before them out.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}
