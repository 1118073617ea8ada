//! One digit on its way out.

use super::EventPayload;

/// Updates come at most this often in a second: every 50 ms, rounded down to whole packets (RFC 4733 §2.5.1.2).
const UPDATES_A_SECOND: u32 = 20;
/// The end of an event, and of a segment, is sent three times (RFC 4733 §2.5.1.4).
const ENDS: u8 = 3;
/// The level of a digit, −10 dBm0.
const VOLUME: u8 = 10;

/// What goes into one RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// The payload.
    pub payload: EventPayload,
    /// The timestamp: the start of the event, or of its segment.
    pub timestamp: u32,
    /// The marker: the first packet of the event.
    pub marker: bool,
}

/// Sends one event, asked once for every packet interval.
///
/// ```text
///            first interval              updates                 the duration is reached
///   (start) ───────────────► Sounding ◄──────────┐ ─────────────────────────────────────► Ending ──► (done)
///                               │  └─────────────┘                                     3 times the end
///                               │ 65,535 ticks
///                               ▼
///                          SegmentEnding: three times the last packet, then Sounding with a new timestamp
/// ```
#[derive(Clone, Debug)]
pub struct EventSender {
    event: u8,
    /// The start of the segment.
    timestamp: u32,
    /// Ticks of all segments, in all.
    total: u64,
    /// Ticks that sounded in the segments before this one.
    before: u64,
    /// Ticks that have sounded.
    elapsed: u64,
    /// What `elapsed` was when the last packet went out.
    sent_at: Option<u64>,
    update: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sounding,
    SegmentEnding { left: u8 },
    Ending { left: u8 },
    Done,
}

impl EventSender {
    /// An event that starts at `timestamp`, sounds for `ticks`, on a clock of `rate` Hz.
    pub fn new(event: u8, timestamp: u32, ticks: u64, rate: u32) -> Self {
        EventSender {
            event,
            timestamp,
            total: ticks.max(1),
            before: 0,
            elapsed: 0,
            sent_at: None,
            update: rate / UPDATES_A_SECOND,
            state: State::Sounding,
        }
    }

    /// True when the event no longer sounds; its end may still be repeated.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ending { .. } | State::Done)
    }

    /// True when nothing more is to be sent.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Time that passes without a packet: the sender was woken too late.
    pub fn skip(&mut self, ticks: u32) {
        self.elapsed = (self.elapsed + u64::from(ticks)).min(self.total);
    }

    /// An interval of `ticks` goes by: the packet to send at its end, if one is due.
    pub fn interval(&mut self, ticks: u32) -> Option<EventPacket> {
        self.elapsed = (self.elapsed + u64::from(ticks)).min(self.total);
        match self.state {
            State::Sounding => self.sound(ticks),
            State::SegmentEnding { left } => {
                let packet = self.packet(u64::from(u16::MAX), false);
                if left > 1 {
                    self.state = State::SegmentEnding { left: left - 1 };
                } else {
                    self.next_segment();
                }
                Some(packet)
            }
            State::Ending { left } => {
                self.state = if left > 1 {
                    State::Ending { left: left - 1 }
                } else {
                    State::Done
                };
                Some(self.packet(self.total - self.before, true))
            }
            State::Done => None,
        }
    }

    fn sound(&mut self, ticks: u32) -> Option<EventPacket> {
        let segment = self.elapsed - self.before;
        if segment > u64::from(u16::MAX) {
            // RFC 4733 §2.5.1.3: a longer event goes on as another segment, without an end bit.
            let packet = self.packet(u64::from(u16::MAX), false);
            self.state = State::SegmentEnding { left: ENDS - 1 };
            return Some(packet);
        }
        if self.elapsed >= self.total {
            let packet = self.packet(segment, true);
            self.state = State::Ending { left: ENDS - 1 };
            return Some(packet);
        }
        let is_due = match self.sent_at {
            None => true,
            // The next interval would be more than 50 ms after the last packet.
            Some(at) => self.elapsed - at + u64::from(ticks) > u64::from(self.update),
        };
        is_due.then(|| self.packet(segment, false))
    }

    fn next_segment(&mut self) {
        self.before += u64::from(u16::MAX);
        self.timestamp = self.timestamp.wrapping_add(u32::from(u16::MAX));
        self.state = State::Sounding;
    }

    fn packet(&mut self, duration: u64, end: bool) -> EventPacket {
        let marker = self.sent_at.is_none();
        self.sent_at = Some(self.elapsed);
        EventPacket {
            payload: EventPayload {
                event: self.event,
                end,
                volume: VOLUME,
                duration: duration.min(u64::from(u16::MAX)) as u16,
            },
            timestamp: self.timestamp,
            marker,
        }
    }
}
