//! Digits as events in RTP packets: RFC 4733.

mod receiver;
mod sender;

pub use receiver::{Completed, EventReceiver};
pub use sender::{EventPacket, EventSender};

/// The payload of an event packet (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPayload {
    /// The event: 0–15 are the digits (RFC 4733 §3.2).
    pub event: u8,
    /// This event has ended.
    pub end: bool,
    /// The level of the tone without its sign, in dBm0: 0–63.
    pub volume: u8,
    /// For how long it has sounded, in ticks of the timestamp.
    pub duration: u16,
}

impl EventPayload {
    /// Bytes on the wire.
    pub const LENGTH: usize = 4;

    /// Reads one; `None` when there are fewer than four bytes. Bytes behind them are further events, which no digit is
    /// sent as (RFC 4733 §2.5.1.5 has them for adjacent events of other kinds).
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low, ..] = *payload else {
            return None;
        };
        Some(EventPayload {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The bytes on the wire; the reserved bit is zero.
    pub fn to_bytes(self) -> [u8; EventPayload::LENGTH] {
        let [high, low] = self.duration.to_be_bytes();
        [
            self.event,
            u8::from(self.end) << 7 | self.volume & 0x3f,
            high,
            low,
        ]
    }
}

/// The event of a digit (RFC 4733 §3.2): `0-9 * # A-D a-d`.
pub fn event_of(digit: char) -> Option<u8> {
    let digit = digit.to_ascii_uppercase();
    "0123456789*#ABCD"
        .chars()
        .zip(0u8..)
        .find_map(|(of, event)| (of == digit).then_some(event))
}

/// The digit of an event; `None` for events that are none.
pub fn digit_of(event: u8) -> Option<char> {
    "0123456789*#ABCD".chars().nth(usize::from(event))
}
