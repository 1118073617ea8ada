//! The timer of all sessions: a wheel of 1 ms slots. Sessions of one slot go out in one batch.

use std::time::Duration;

use callwright_wire::Time;

use super::SessionId;

const SLOTS: u64 = 256;
const WORDS: usize = (SLOTS / 64) as usize;
const SLOT_NANOS: u64 = 1_000_000;
/// The usual packet interval: over this many slots the sessions are spread.
const PHASES: u64 = 20;

/// When each session is due next. Deadlines are at most 255 ms ahead; a packet interval is at most 60, and a nap ends within 160.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<SessionId>>,
    filled: [u64; WORDS],
    /// The first slot that was not taken out yet.
    next: u64,
    load: [u32; PHASES as usize],
}

impl Wheel {
    pub(super) fn new(now: Time) -> Self {
        Wheel {
            slots: vec![Vec::new(); SLOTS as usize],
            filled: [0; WORDS],
            next: now.as_millis(),
            load: [0; PHASES as usize],
        }
    }

    /// The time of the first packet of a session that starts now: within the next 20 ms, where the fewest others are.
    pub(super) fn phase(&mut self, now: Time) -> Time {
        let earliest = now.as_nanos().div_ceil(SLOT_NANOS);
        let slot = (earliest..earliest + PHASES)
            .min_by_key(|slot| self.load[(slot % PHASES) as usize])
            .unwrap_or(earliest);
        self.load[(slot % PHASES) as usize] += 1;
        Time::from_millis(slot)
    }

    /// Gives back what [`Wheel::phase`] took.
    pub(super) fn leave(&mut self, phase: Time) {
        let load = &mut self.load[(phase.as_millis() % PHASES) as usize];
        *load = load.saturating_sub(1);
    }

    /// Makes `session` due at `at`, or in the next slot when that is past; gives the slot. Where the wheel was not turned for long,
    /// that may be one before `at`.
    pub(super) fn set(&mut self, session: SessionId, at: Time) -> u64 {
        let slot = at
            .as_nanos()
            .div_ceil(SLOT_NANOS)
            .clamp(self.next, self.next + SLOTS - 1);
        let index = (slot % SLOTS) as usize;
        self.slots[index].push(session);
        self.filled[index / 64] |= 1 << (index % 64);
        slot
    }

    /// Takes out every session that is due at `now`, in order of time, with its slot.
    pub(super) fn advance(&mut self, now: Time, mut due: impl FnMut(u64, SessionId)) {
        let last = now.as_millis();
        // After a long sleep one turn empties the whole wheel.
        let from = self.next.max((last + 1).saturating_sub(SLOTS));
        for slot in from.min(self.next)..=last.min(self.next.saturating_add(SLOTS - 1)) {
            let index = (slot % SLOTS) as usize;
            if self.filled[index / 64] & 1 << (index % 64) != 0 {
                self.filled[index / 64] &= !(1 << (index % 64));
                self.slots[index].drain(..).for_each(|session| due(slot, session));
            }
        }
        self.next = self.next.max(last + 1);
    }

    /// When the next session is due.
    pub(super) fn next(&self) -> Option<Time> {
        let start = (self.next % SLOTS) as usize;
        let rotated = |step: usize| {
            let word = (start / 64 + step) % WORDS;
            let bits = self.filled[word];
            match step {
                0 => bits & (u64::MAX << (start % 64)),
                // The word that was cut at the start once more, for its lower bits.
                WORDS => bits & !(u64::MAX << (start % 64)),
                _ => bits,
            }
        };
        (0..=WORDS).find_map(|step| {
            let bits = rotated(step);
            (bits != 0).then(|| {
                let index = (start / 64 + step) % WORDS * 64 + bits.trailing_zeros() as usize;
                let ahead = (index + SLOTS as usize - start) as u64 % SLOTS;
                Time::ZERO + Duration::from_millis(self.next + ahead)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(index: u32) -> SessionId {
        SessionId { index, generation: 0 }
    }

    fn drain(wheel: &mut Wheel, millis: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.advance(Time::from_millis(millis), |_, session| due.push(session.index));
        due
    }

    #[test]
    fn sessions_come_out_when_they_are_due_and_not_before() {
        let mut wheel = Wheel::new(Time::from_millis(1_000));
        wheel.set(session(1), Time::from_millis(1_020));
        wheel.set(session(2), Time::from_millis(1_005));
        wheel.set(session(3), Time::from_nanos(1_004_000_001));
        assert_eq!(wheel.next(), Some(Time::from_millis(1_005)));
        assert_eq!(drain(&mut wheel, 1_004), [0u32; 0]);
        assert_eq!(drain(&mut wheel, 1_005), [2, 3]);
        assert_eq!(wheel.next(), Some(Time::from_millis(1_020)));
        assert_eq!(drain(&mut wheel, 5_000), [1]);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn the_next_deadline_is_found_from_every_start_at_every_distance() {
        for start in [0, 1, 63, 64, 65, 191, 255, 256, 1_000_003] {
            for ahead in 0..256 {
                let mut wheel = Wheel::new(Time::from_millis(start));
                wheel.set(session(7), Time::from_millis(start + ahead));
                assert_eq!(
                    wheel.next(),
                    Some(Time::from_millis(start + ahead)),
                    "{start} {ahead}"
                );
                assert_eq!(drain(&mut wheel, start + ahead), [7]);
            }
        }
    }

    #[test]
    fn a_deadline_in_the_past_comes_in_the_next_slot() {
        let mut wheel = Wheel::new(Time::from_millis(100));
        drain(&mut wheel, 150);
        wheel.set(session(1), Time::from_millis(120));
        assert_eq!(wheel.next(), Some(Time::from_millis(151)));
        assert_eq!(drain(&mut wheel, 151), [1]);
    }

    #[test]
    fn sessions_that_start_together_are_spread_over_the_packet_interval() {
        let mut wheel = Wheel::new(Time::ZERO);
        let mut times: Vec<u64> = (0..40).map(|_| wheel.phase(Time::ZERO).as_millis()).collect();
        times.sort_unstable();
        let expected: Vec<u64> = (0..20).flat_map(|ms| [ms, ms]).collect();
        assert_eq!(times, expected);
    }
}
