//! Digits on their way in: each exactly once, whatever was lost, doubled or put out of order.

use std::time::Duration;

use callwright_wire::Time;

use super::{EventPayload, digit_of};

/// An event whose end is lost is over when no packet of it came for so long. Senders update every 50 ms (RFC 4733 §2.5.1.2).
const SILENCE: Duration = Duration::from_millis(200);
/// Events are told apart by their timestamps; so many are remembered.
const REMEMBERED: usize = 16;

/// A digit that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed {
    /// `0-9 * # A-D`.
    pub digit: char,
    /// For how long it sounded, in ticks, as far as packets told.
    pub ticks: u32,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    event: u8,
    /// The start of the first segment seen.
    start: u32,
    /// The start of the segment that sounds now.
    segment: u32,
    /// From `start` to the last duration told.
    ticks: u32,
    heard: Time,
}

/// An event that was reported: its packets may still come.
#[derive(Clone, Copy, Debug)]
struct Past {
    event: u8,
    start: u32,
    /// From the start of the first segment to that of the last one seen.
    segments: u32,
}

/// Receives the events of one source.
///
/// An event is its timestamp and its number: an end that comes three times, and an update that comes late, change
/// nothing (RFC 4733 §2.5.2). A digit is reported at its end, at the start of the next one, or when its packets cease.
#[derive(Clone, Debug, Default)]
pub struct EventReceiver {
    current: Option<Current>,
    past: [Option<Past>; REMEMBERED],
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
        if self.is_past(payload.event, timestamp) {
            return;
        }
        if let Some(current) = &mut self.current {
            let into_segment = timestamp.wrapping_sub(current.segment);
            let same = current.event == payload.event
                && (into_segment == 0
                    // RFC 4733 §2.5.1.3: the next segment of a long event starts where the last one was full.
                    || into_segment == u32::from(u16::MAX));
            if same {
                current.segment = timestamp;
                let ticks = timestamp
                    .wrapping_sub(current.start)
                    .wrapping_add(u32::from(payload.duration));
                current.ticks = current.ticks.max(ticks);
                current.heard = now;
                if payload.end {
                    self.finish(&mut complete);
                }
                return;
            }
            if (into_segment as i32) < 0 {
                // An event from before the one that sounds now, whose packets were all late: it is over for sure.
                self.remember(Past {
                    event: payload.event,
                    start: timestamp,
                    segments: 0,
                });
                report(payload.event, u32::from(payload.duration), &mut complete);
                return;
            }
            // The end of the one before was lost.
            self.finish(&mut complete);
        }
        self.current = Some(Current {
            event: payload.event,
            start: timestamp,
            segment: timestamp,
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

    fn finish(&mut self, complete: &mut impl FnMut(Completed)) {
        if let Some(current) = self.current.take() {
            self.remember(Past {
                event: current.event,
                start: current.start,
                segments: current.segment.wrapping_sub(current.start),
            });
            report(current.event, current.ticks, complete);
        }
    }

    fn is_past(&self, event: u8, timestamp: u32) -> bool {
        self.past.iter().flatten().any(|past| {
            let into = timestamp.wrapping_sub(past.start);
            // One segment more than was seen: the event had been given up before it was over.
            event == past.event && (into <= past.segments || into == past.segments + u32::from(u16::MAX))
        })
    }

    fn remember(&mut self, past: Past) {
        self.past[self.oldest] = Some(past);
        self.oldest = (self.oldest + 1) % REMEMBERED;
    }
}

fn report(event: u8, ticks: u32, complete: &mut impl FnMut(Completed)) {
    if let Some(digit) = digit_of(event) {
        complete(Completed { digit, ticks });
    }
}
