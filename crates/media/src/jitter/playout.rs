//! The buffer that puts reordered packets right before anybody listens.
//!
//! It has no playout clock: a packet that is next in sequence is heard at once, so a test sees a tone as early as it can.
//! Only a gap makes it wait, for [`WAIT`] or until [`DEPTH`] packets are held; then what is missing counts as lost.

use std::time::Duration;

use callwright_wire::Time;

use crate::emodel::LossRuns;
use crate::reception::Window;

/// How long a gap may stay open.
pub(crate) const WAIT: Duration = Duration::from_millis(60);
/// How many packets wait behind a gap at most.
const DEPTH: u16 = 8;

/// A packet that is put in, and comes out in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put<'a> {
    /// When it arrived.
    pub arrived: Time,
    /// Its sequence number.
    pub sequence: u16,
    /// Its timestamp.
    pub timestamp: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// Its marker.
    pub marker: bool,
    /// Its payload.
    pub payload: &'a [u8],
}

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// The next packet in sequence.
    Packet(Put<'a>),
    /// So many packets are missing here.
    Lost(u16),
    /// A packet that comes after its place was given up: too late for audio, in time for a digit.
    Late(Put<'a>),
}

/// What was counted on the way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutCounts {
    /// Packets heard in order.
    pub played: u64,
    /// Packets given up.
    pub lost: u64,
    /// The same as runs, in the order in which they were sent.
    pub runs: LossRuns,
    /// Packets that came after later ones, in time to be put right.
    pub reordered: u64,
    /// Packets that came after they had been given up.
    pub late: u64,
}

impl PlayoutCounts {
    /// Packets not heard over all; `None` before the first.
    pub fn loss_ratio(&self) -> Option<f64> {
        let all = self.played + self.lost;
        (all > 0).then(|| self.lost as f64 / all as f64)
    }

    /// The mean length of a gap over the one that random loss would give, at least 1 (ITU-T G.107 §3.5); `None` without loss.
    pub fn burst_ratio(&self) -> Option<f64> {
        (self.lost > 0).then(|| self.runs.burst_ratio())
    }
}

#[derive(Clone, Debug, Default)]
struct Slot {
    full: bool,
    arrived: Time,
    sequence: u16,
    timestamp: u32,
    payload_type: u8,
    marker: bool,
    payload: Vec<u8>,
}

/// The buffer of one source.
#[derive(Clone, Debug, Default)]
pub struct Playout {
    /// The sequence number to be heard next; `None` before the first packet.
    next: Option<u16>,
    /// Which of those before `next` came.
    passed: Window,
    /// Packets ahead of `next`, by sequence number; made when one has to wait for the first time.
    slots: Vec<Slot>,
    held: u16,
    counts: PlayoutCounts,
}

impl Playout {
    /// What was counted since the counts were reset.
    pub fn counts(&self) -> PlayoutCounts {
        self.counts
    }

    /// Counts from zero again.
    pub fn reset_counts(&mut self) {
        self.counts = PlayoutCounts::default();
    }

    /// Takes a packet; what can be heard now goes to `hear`, in order. A duplicate goes nowhere.
    pub fn put(&mut self, packet: Put<'_>, mut hear: impl FnMut(Heard<'_>)) {
        let next = *self.next.get_or_insert(packet.sequence);
        let ahead = packet.sequence.wrapping_sub(next);
        if ahead == 0 {
            self.counts.reordered += u64::from(self.held > 0);
            self.play(packet, &mut hear);
            self.drain(&mut hear);
        } else if ahead >= 0x8000 {
            if !self
                .passed
                .mark(next.wrapping_sub(1).wrapping_sub(packet.sequence))
            {
                self.counts.late += 1;
                hear(Heard::Late(packet));
            }
        } else {
            while packet.sequence.wrapping_sub(self.next.unwrap_or(packet.sequence)) >= DEPTH {
                if self.held == 0 {
                    let next = self.next.unwrap_or(packet.sequence);
                    self.give_up(packet.sequence.wrapping_sub(next), &mut hear);
                } else {
                    self.skip_gap(&mut hear);
                }
            }
            if self.next == Some(packet.sequence) {
                self.play(packet, &mut hear);
                self.drain(&mut hear);
            } else {
                self.hold(packet);
            }
        }
    }

    /// Gives up on gaps that have been open for too long at `now`.
    pub fn expire(&mut self, now: Time, mut hear: impl FnMut(Heard<'_>)) {
        while self.held > 0 && self.first_held().is_some_and(|slot| now >= slot.arrived + WAIT) {
            self.skip_gap(&mut hear);
        }
    }

    /// True while a packet waits for an earlier one.
    pub fn is_waiting(&self) -> bool {
        self.held > 0
    }

    /// Lets everything go that waits, and forgets the source; the counts stay.
    pub fn restart(&mut self, mut hear: impl FnMut(Heard<'_>)) {
        while self.held > 0 {
            self.skip_gap(&mut hear);
        }
        self.next = None;
        self.passed = Window::default();
    }

    fn slot_of(sequence: u16) -> usize {
        usize::from(sequence % DEPTH)
    }

    fn hold(&mut self, packet: Put<'_>) {
        if self.slots.is_empty() {
            self.slots.resize_with(usize::from(DEPTH), Slot::default);
        }
        let is_later = |slot: &Slot| slot.full && (slot.sequence.wrapping_sub(packet.sequence) as i16) > 0;
        let comes_after_later = self.slots.iter().any(is_later);
        let slot = &mut self.slots[Self::slot_of(packet.sequence)];
        if slot.full {
            return;
        }
        self.counts.reordered += u64::from(comes_after_later);
        slot.full = true;
        slot.arrived = packet.arrived;
        slot.sequence = packet.sequence;
        slot.timestamp = packet.timestamp;
        slot.payload_type = packet.payload_type;
        slot.marker = packet.marker;
        slot.payload.clear();
        slot.payload.extend_from_slice(packet.payload);
        self.held += 1;
    }

    /// The one that came first of those that wait: its arrival opened the gap.
    fn first_held(&self) -> Option<&Slot> {
        self.slots
            .iter()
            .filter(|slot| slot.full)
            .min_by_key(|slot| slot.arrived)
    }

    fn play(&mut self, packet: Put<'_>, hear: &mut impl FnMut(Heard<'_>)) {
        self.counts.played += 1;
        self.counts.runs.record(false);
        self.next = Some(packet.sequence.wrapping_add(1));
        self.passed.advance(1);
        hear(Heard::Packet(packet));
    }

    fn drain(&mut self, hear: &mut impl FnMut(Heard<'_>)) {
        while self.held > 0 {
            let Some(next) = self.next else { return };
            let index = Self::slot_of(next);
            if !self.slots[index].full {
                return;
            }
            let mut slot = std::mem::take(&mut self.slots[index]);
            self.held -= 1;
            self.play(
                Put {
                    arrived: slot.arrived,
                    sequence: slot.sequence,
                    timestamp: slot.timestamp,
                    payload_type: slot.payload_type,
                    marker: slot.marker,
                    payload: &slot.payload,
                },
                hear,
            );
            slot.full = false;
            self.slots[index] = slot;
        }
    }

    /// Counts what is missing before the first packet held as lost, and goes on there.
    fn skip_gap(&mut self, hear: &mut impl FnMut(Heard<'_>)) {
        let Some(next) = self.next else { return };
        let missing = (0..DEPTH)
            .find(|&ahead| self.slots[Self::slot_of(next.wrapping_add(ahead))].full)
            .unwrap_or(0);
        self.give_up(missing, hear);
        self.drain(hear);
    }

    fn give_up(&mut self, missing: u16, hear: &mut impl FnMut(Heard<'_>)) {
        if missing == 0 {
            return;
        }
        self.counts.lost += u64::from(missing);
        (0..missing).for_each(|_| self.counts.runs.record(true));
        self.next = self.next.map(|next| next.wrapping_add(missing));
        // None of them came: the window moves by as many zeros.
        self.passed.skip(missing);
        hear(Heard::Lost(missing));
    }
}
