//! What the sequence numbers of a stream tell (RFC 3550 §A.1, §A.3).

use callwright_media::emodel::LossRuns;

/// A step ahead beyond this is a new start, unless the timestamps say otherwise (RFC 3550 §A.1).
const MAX_DROPOUT: u16 = 3_000;
/// So far behind, a packet is late; farther, the source started anew.
const MAX_MISORDER: u16 = 100;
/// Numbers that are remembered behind the highest one.
const WINDOW: u32 = 64;

/// What a packet is for its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The next, or one ahead with others missing before it.
    Ahead(u16),
    /// Others overtook it.
    Late,
    /// It came before.
    Again,
    /// The source started anew.
    Restart,
}

/// Counts of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    highest: u16,
    /// A bit for each of the last numbers: it came.
    window: u64,
    /// How many of them are numbers of this stream at all.
    filled: u32,
    pub(crate) received: u64,
    pub(crate) expected: u64,
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) restarts: u64,
    pub(crate) runs: LossRuns,
    missing: u64,
}

impl Order {
    /// Just before a first packet.
    pub(crate) fn before(first: u16) -> Self {
        Order {
            highest: first.wrapping_sub(1),
            window: 0,
            filled: 0,
            received: 0,
            expected: 0,
            duplicates: 0,
            late: 0,
            restarts: 0,
            runs: LossRuns::default(),
            missing: 0,
        }
    }

    pub(crate) fn highest(&self) -> u16 {
        self.highest
    }

    /// Counts a packet; `goes_on`: its timestamp is about where its number puts it.
    pub(crate) fn take(&mut self, sequence: u16, goes_on: bool) -> Place {
        self.received += 1;
        let ahead = sequence.wrapping_sub(self.highest);
        let behind = self.highest.wrapping_sub(sequence);
        if (1..MAX_DROPOUT).contains(&ahead) || goes_on && (1..0x8000).contains(&ahead) {
            self.shift(u32::from(ahead));
            self.window |= 1;
            self.highest = sequence;
            self.expected += u64::from(ahead);
            return Place::Ahead(ahead);
        }
        if behind < MAX_MISORDER {
            return self.behind(u32::from(behind));
        }
        self.restarts += 1;
        self.settle();
        self.highest = sequence;
        self.window = 1;
        self.filled = 1;
        self.expected += 1;
        Place::Restart
    }

    fn behind(&mut self, behind: u32) -> Place {
        if behind >= WINDOW {
            // Too old to tell whether it came before; it counts against what is missing.
            self.late += 1;
            self.missing = self.missing.saturating_sub(1);
            return Place::Late;
        }
        let bit = 1u64 << behind;
        if self.window & bit != 0 {
            self.duplicates += 1;
            return Place::Again;
        }
        self.window |= bit;
        if behind >= self.filled {
            // It was sent before the first one that was seen.
            self.expected += u64::from(behind + 1 - self.filled);
            self.filled = behind + 1;
        }
        self.late += 1;
        Place::Late
    }

    /// Moves the window; what falls out of it is lost or not for good.
    fn shift(&mut self, ahead: u32) {
        for done in 0..ahead {
            if self.filled == WINDOW && self.window == 0 {
                // Nothing but what is missing, to the end.
                let rest = ahead - done;
                self.runs.record_lost(u64::from(rest));
                self.missing += u64::from(rest);
                return;
            }
            if self.filled == WINDOW {
                let lost = self.window >> (WINDOW - 1) & 1 == 0;
                self.record(lost);
            } else {
                self.filled += 1;
            }
            self.window <<= 1;
        }
    }

    fn settle(&mut self) {
        for place in (0..self.filled).rev() {
            self.record(self.window >> place & 1 == 0);
        }
        self.filled = 0;
    }

    fn record(&mut self, lost: bool) {
        self.runs.record(lost);
        self.missing += u64::from(lost);
    }

    /// Nothing more comes: how many never came.
    pub(crate) fn finish(&mut self) -> u64 {
        self.settle();
        self.missing
    }
}
