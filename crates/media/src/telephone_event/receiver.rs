//! Digits on their way in: each exactly once, whatever was lost, doubled or put out of order.

use std::time::Duration;

use callwright_wire::Time;

use super::{EventPayload, digit_of};

/// An event whose end is lost is over when no packet of it came for so long. Senders update every 50 ms (RFC 4733 §2.5.1.2).
const SILENCE: Duration = Duration::from_millis(200);
/// Events are told apart by their timestamps; so many are remembered.
const REMEMBERED: usize = 16;
/// RFC 4733 §2.5.1.3: the next segment of a long event starts where the one before was full.
const SEGMENT: u32 = u16::MAX as u32;

/// A digit that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed {
    /// `0-9 * # A-D`.
    pub digit: char,
    /// For how long it sounded, in ticks, as far as packets told.
    pub ticks: u32,
}

/// What the packets of one event told so far.
#[derive(Clone, Copy, Debug)]
struct Seen {
    event: u8,
    /// The start of the first segment seen.
    start: u32,
    /// From there to the start of the last segment seen.
    segments: u32,
    /// Its end was told: no segment follows.
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    seen: Seen,
    /// From the start to the last duration told.
    ticks: u32,
    heard: Time,
}

/// Receives the events of one source.
///
/// An event is its timestamp and its number: an end that comes three times, and an update that comes late, change
/// nothing (RFC 4733 §2.5.2). A digit is reported at its end, at the start of the next one, or when its packets cease;
/// what still comes of it then, further segments too, belongs to what was reported.
///
/// One thing cannot be told apart: two equal digits of which the second starts a multiple of 65,535 ticks after the first
/// look like one long digit when no end of the first arrives and nothing sounds between them.
#[derive(Clone, Debug, Default)]
pub struct EventReceiver {
    current: Option<Current>,
    /// Events that were reported: their packets may still come.
    past: [Option<Seen>; REMEMBERED],
    oldest: usize,
}

impl EventReceiver {
    /// Takes a packet. What it completes goes to `complete`: nothing, one digit, or two.
    pub fn packet(
        &mut self,
        now: Time,
        timestamp: u32,
        payload: EventPayload,
        mut complete: impl FnMut(Completed),
    ) {
        match self.belongs_to(timestamp, payload) {
            Some(Belongs::Current) => {
                self.go_on(now, timestamp, payload);
                if payload.end {
                    self.finish(&mut complete);
                }
                return;
            }
            Some(Belongs::Past(index)) => {
                if let Some(past) = &mut self.past[index] {
                    past.take(timestamp, payload.end);
                }
                return;
            }
            None => {}
        }
        let seen = Seen {
            event: payload.event,
            start: timestamp,
            segments: 0,
            ended: payload.end,
        };
        if let Some(current) = &self.current {
            if is_before(timestamp, current.seen.last()) {
                // An event from before the one that sounds now, whose packets were all late: it is over for sure.
                self.remember(seen);
                report(payload.event, u32::from(payload.duration), &mut complete);
                return;
            }
            // The end of the one before was lost.
            self.finish(&mut complete);
        }
        self.current = Some(Current {
            seen,
            ticks: u32::from(payload.duration),
            heard: now,
        });
        if payload.end {
            self.finish(&mut complete);
        }
    }

    /// When the event that sounds now is over if nothing more of it comes.
    pub fn deadline(&self) -> Option<Time> {
        self.current.map(|current| current.heard + SILENCE)
    }

    /// Ends an event of which nothing came for too long.
    pub fn expire(&mut self, now: Time, mut complete: impl FnMut(Completed)) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.finish(&mut complete);
        }
    }

    /// Ends the event that sounds now, if any, and forgets the source: its timestamps mean nothing any more.
    pub fn restart(&mut self, mut complete: impl FnMut(Completed)) {
        self.finish(&mut complete);
        self.past = [None; REMEMBERED];
    }

    /// Which event a packet is one of; `None` for a new one. Segments that were seen go before those that may follow.
    fn belongs_to(&self, timestamp: u32, payload: EventPayload) -> Option<Belongs> {
        let known = || {
            let current = self
                .current
                .iter()
                .map(|current| (Belongs::Current, current.seen));
            let past = self.past.iter().enumerate();
            current.chain(past.filter_map(|(index, past)| Some((Belongs::Past(index), (*past)?))))
        };
        let of_event = || known().filter(|(_, seen)| seen.event == payload.event);
        let is_alone = |from: u32, to: u32| {
            let length = to.wrapping_sub(from);
            !known().any(|(_, other)| (1..length).contains(&other.start.wrapping_sub(from)))
        };
        of_event()
            .find(|(_, seen)| timestamp.wrapping_sub(seen.start) <= seen.segments)
            .or_else(|| {
                of_event().find(|(_, seen)| {
                    let follows = !seen.ended && is_segment(seen.last(), timestamp);
                    // A segment whose packets are all late has no end, and others followed it.
                    let precedes = !payload.end && is_segment(timestamp, seen.start);
                    follows && is_alone(seen.last(), timestamp) || precedes && is_alone(timestamp, seen.start)
                })
            })
            .map(|(belongs, _)| belongs)
    }

    fn go_on(&mut self, now: Time, timestamp: u32, payload: EventPayload) {
        let Some(current) = &mut self.current else { return };
        let end = current.seen.start.wrapping_add(current.ticks);
        current.seen.take(timestamp, payload.end);
        let told = timestamp.wrapping_add(u32::from(payload.duration));
        let end = if is_before(end, told) { told } else { end };
        current.ticks = end.wrapping_sub(current.seen.start);
        current.heard = now;
    }

    fn finish(&mut self, complete: &mut impl FnMut(Completed)) {
        if let Some(current) = self.current.take() {
            self.remember(current.seen);
            report(current.seen.event, current.ticks, complete);
        }
    }

    fn remember(&mut self, seen: Seen) {
        self.past[self.oldest] = Some(seen);
        self.oldest = (self.oldest + 1) % REMEMBERED;
    }
}

#[derive(Clone, Copy, Debug)]
enum Belongs {
    Current,
    /// The one at this place of those remembered.
    Past(usize),
}

impl Seen {
    /// The start of the last segment seen.
    fn last(&self) -> u32 {
        self.start.wrapping_add(self.segments)
    }

    /// Takes a packet of the event: of a segment that was seen, or of one before or after those.
    fn take(&mut self, timestamp: u32, end: bool) {
        let last = self.last();
        if is_before(timestamp, self.start) {
            self.start = timestamp;
        }
        let last = if is_before(last, timestamp) {
            timestamp
        } else {
            last
        };
        self.segments = last.wrapping_sub(self.start);
        self.ended |= end;
    }
}

/// Whether `one` is before `other` on a clock that turns over.
fn is_before(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) < 0
}

/// Whether a segment of an event that has one at `start` may begin at `next`.
fn is_segment(start: u32, next: u32) -> bool {
    is_before(start, next) && next.wrapping_sub(start).is_multiple_of(SEGMENT)
}

fn report(event: u8, ticks: u32, complete: &mut impl FnMut(Completed)) {
    if let Some(digit) = digit_of(event) {
        complete(Completed { digit, ticks });
    }
}
