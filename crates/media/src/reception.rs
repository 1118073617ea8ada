//! What a receiver counts about one source: RFC 3550 §6.4.1, §A.1, §A.3, §A.8.

use callwright_wire::Time;

/// A jump ahead by this many is a restart, not a loss (RFC 3550 §A.1), unless the timestamps tell of an outage.
const MAX_DROPOUT: u16 = 3_000;
/// A jump ahead by this many may as well be one back.
const MAX_OUTAGE: u16 = 0x8000;
/// Between two packets in sequence, more samples than this are a pause: half a second at 8 kHz.
const MAX_STEP: u32 = 4_000;
/// So far behind, a packet is late; farther, the source restarted (RFC 3550 §A.1).
const MAX_MISORDER: u16 = 100;
/// In sequence before a source is believed (RFC 3550 §A.1).
const MIN_SEQUENTIAL: u8 = 2;

/// What a packet means for its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Of a source that is believed.
    Valid,
    /// Of a source that must show one more in sequence first.
    Probation,
    /// The sequence numbers jumped: not counted; the next in sequence restarts the source.
    Jump,
    /// The second after a jump: the source restarted, its counters with it.
    Restarted,
}

/// Statistics of one source.
#[derive(Clone, Debug)]
pub struct Reception {
    ssrc: u32,
    base: u16,
    highest: u16,
    cycles: u32,
    after_jump: Option<u16>,
    probation: u8,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Arrival less timestamp of the packet before, in ticks.
    transit: Option<u32>,
    /// Sixteen times the jitter, in ticks.
    jitter: u32,
    timeline: Timeline,
    seen: Window,
    duplicates: u64,
}

impl Reception {
    /// A source that is believed from its first packet on: it sends from where it was expected, or is authenticated.
    pub fn trusted(ssrc: u32, first: u16) -> Self {
        let mut reception = Reception::on_probation(ssrc, first);
        reception.probation = 0;
        reception
    }

    /// A source that must show two packets in sequence (RFC 3550 §A.1). All of them count once it is believed.
    pub fn on_probation(ssrc: u32, first: u16) -> Self {
        Reception {
            ssrc,
            base: first,
            highest: first.wrapping_sub(1),
            cycles: 0,
            after_jump: None,
            probation: MIN_SEQUENTIAL,
            received: 0,
            expected_before: 0,
            received_before: 0,
            transit: None,
            jitter: 0,
            timeline: Timeline::default(),
            seen: Window::default(),
            duplicates: 0,
        }
    }

    /// The source.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Counts a packet (RFC 3550 §A.1).
    pub fn packet(&mut self, sequence: u16) -> Arrival {
        self.count(sequence, false)
    }

    /// Counts a packet of which the timestamp is known too: where it went on as the sequence numbers did, a jump ahead is
    /// an outage, and what is missing is lost. A source that started anew draws another timestamp (RFC 3550 §5.1).
    pub fn packet_at(&mut self, sequence: u16, timestamp: u32) -> Arrival {
        let arrival = self.count(sequence, self.timeline.goes_on(sequence, timestamp));
        self.timeline.sequence = sequence;
        arrival
    }

    fn count(&mut self, sequence: u16, goes_on: bool) -> Arrival {
        if self.probation > 0 {
            return self.prove(sequence);
        }
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead != 0 && (ahead < MAX_DROPOUT || goes_on && ahead < MAX_OUTAGE) {
            if sequence < self.highest && self.received > 0 {
                self.cycles += 1;
            }
            self.highest = sequence;
            self.seen.advance(ahead);
            self.after_jump = None;
        } else if ahead != 0 && ahead <= 0u16.wrapping_sub(MAX_MISORDER) {
            if self.after_jump == Some(sequence) {
                self.restart(sequence);
                return Arrival::Restarted;
            }
            self.after_jump = Some(sequence.wrapping_add(1));
            return Arrival::Jump;
        } else if self.seen.mark(self.highest.wrapping_sub(sequence)) {
            self.duplicates += 1;
        }
        self.received += 1;
        Arrival::Valid
    }

    fn prove(&mut self, sequence: u16) -> Arrival {
        if sequence == self.highest.wrapping_add(1) {
            self.probation -= 1;
            if sequence < self.highest && self.received > 0 {
                self.cycles += 1;
            }
        } else {
            self.probation = MIN_SEQUENTIAL - 1;
            self.base = sequence;
            self.received = 0;
            self.cycles = 0;
        }
        self.highest = sequence;
        self.received += 1;
        self.seen.advance(1);
        if self.probation == 0 {
            Arrival::Valid
        } else {
            Arrival::Probation
        }
    }

    /// RFC 3550 §A.1: two in sequence after a jump mean that the other side started anew without saying so.
    fn restart(&mut self, sequence: u16) {
        let ssrc = self.ssrc;
        *self = Reception::trusted(ssrc, sequence.wrapping_sub(1));
        // The first of the two was the one before.
        self.packet(sequence.wrapping_sub(1));
        self.packet(sequence);
    }

    /// Takes the arrival time of an audio packet (RFC 3550 §A.8). `rate` is the clock rate in Hz. Packets whose
    /// timestamp stands still (telephone-events) do not belong here.
    pub fn arrival(&mut self, now: Time, timestamp: u32, rate: u32) {
        self.timeline.audio(timestamp);
        let arrived = (now.as_nanos() / 1_000).wrapping_mul(u64::from(rate)) / 1_000_000;
        let transit = (arrived as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // More than a second is a new timeline (a bridge put in another source), not jitter.
            if difference <= rate {
                self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
            }
        }
        self.transit = Some(transit);
    }

    /// Interarrival jitter in ticks (RFC 3550 §A.8).
    pub fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// The highest sequence number, with the count of its cycles in the upper half (RFC 3550 §6.4.1).
    pub fn extended_highest(&self) -> u32 {
        self.cycles << 16 | u32::from(self.highest)
    }

    /// Packets expected so far (RFC 3550 §A.3).
    pub fn expected(&self) -> u64 {
        if self.probation > 0 || self.received == 0 {
            return 0;
        }
        (u64::from(self.cycles) << 16) + u64::from(self.highest) + 1 - u64::from(self.base)
    }

    /// Packets received so far, duplicates included.
    pub fn received(&self) -> u64 {
        if self.probation > 0 { 0 } else { self.received }
    }

    /// Packets that came again within the last 64.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Expected less received: negative when duplicates arrived (RFC 3550 §6.4.1).
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.received() as i64
    }

    /// The fraction lost since this was asked last, in 256ths (RFC 3550 §A.3).
    pub fn fraction_lost(&mut self) -> u8 {
        let expected = self.expected() - self.expected_before.min(self.expected());
        let received = self.received() - self.received_before.min(self.received());
        self.expected_before = self.expected();
        self.received_before = self.received();
        match expected.checked_sub(received) {
            Some(lost) if lost > 0 => (lost * 256 / expected).min(255) as u8,
            _ => 0,
        }
    }
}

/// How sequence numbers and timestamps of audio go together.
#[derive(Clone, Copy, Debug, Default)]
struct Timeline {
    /// Of the packet that came last.
    sequence: u16,
    /// Of the audio packet that came last.
    audio: Option<(u16, u32)>,
    /// Ticks from one audio packet to the next.
    step: Option<u32>,
}

impl Timeline {
    /// The packet that came last is audio.
    fn audio(&mut self, timestamp: u32) {
        if let Some((sequence, before)) = self.audio
            && self.sequence == sequence.wrapping_add(1)
        {
            let step = timestamp.wrapping_sub(before);
            if (1..=MAX_STEP).contains(&step) {
                self.step = Some(step);
            }
        }
        self.audio = Some((self.sequence, timestamp));
    }

    /// Whether the timestamp of a packet is about where its sequence number puts it. Events and pauses, of which there may
    /// have been some meanwhile, take other steps than audio: an eighth is left to them.
    fn goes_on(&self, sequence: u16, timestamp: u32) -> bool {
        let (Some((last, before)), Some(step)) = (self.audio, self.step) else {
            return false;
        };
        let expected = u32::from(sequence.wrapping_sub(last)).saturating_mul(step);
        timestamp.wrapping_sub(before).abs_diff(expected) <= expected / 8
    }
}

/// Which of the last 64 sequence numbers came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window(u64);

impl Window {
    /// The highest number moved up by `ahead`, and came.
    pub(crate) fn advance(&mut self, ahead: u16) {
        self.0 = self.0.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
    }

    /// The highest number moved up by `missing`, and none of those came.
    pub(crate) fn skip(&mut self, missing: u16) {
        self.0 = self.0.checked_shl(u32::from(missing)).unwrap_or(0);
    }

    /// Marks the number `behind` the highest; true when it had come before. What is too old to tell did not.
    pub(crate) fn mark(&mut self, behind: u16) -> bool {
        let Some(bit) = 1u64.checked_shl(u32::from(behind)) else {
            return false;
        };
        let before = self.0 & bit != 0;
        self.0 |= bit;
        before
    }
}
