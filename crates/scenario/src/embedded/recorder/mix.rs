//! The calls of one recording on a common time line.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use callwright_ua::CallKey;
use callwright_wire::Time;

/// A call of which nothing came for so long has ended, or sends nothing: pieces are of 200 ms.
const GONE: Duration = Duration::from_millis(500);

/// Held back, because the first piece of another call tells of the 200 ms before it came.
const HELD_BACK: u64 = 300 * FRAMES_A_MS;

/// Frames a millisecond.
const FRAMES_A_MS: u64 = 8;

/// Left what was sent, right what was heard, of all calls that go on at a time together. A call that begins when there
/// is no other follows the one before without a pause: nobody wants an hour of silence in a file.
#[derive(Debug, Default)]
pub(super) struct Mix {
    /// Frames that were taken.
    taken: u64,
    /// What follows them.
    waiting: VecDeque<[i32; 2]>,
    calls: BTreeMap<CallKey, Track>,
}

#[derive(Clone, Copy, Debug)]
struct Track {
    /// Where its next piece begins, in frames from the start of the file.
    end: u64,
    /// When its last piece came.
    last: Time,
}

impl Mix {
    /// Adds a piece of a call that was complete at `at`: stereo samples, interleaved.
    pub(super) fn add(&mut self, call: CallKey, at: Time, samples: &[i16]) {
        self.calls.retain(|_, track| at.since(track.last) <= GONE);
        let frames = samples.len() as u64 / 2;
        let start = match self.calls.get(&call) {
            Some(track) => track.end,
            None => self.start_of_new(at, frames),
        };
        let first = usize::try_from(start.saturating_sub(self.taken)).unwrap_or(usize::MAX);
        let end = first + samples.len() / 2;
        if self.waiting.len() < end {
            self.waiting.resize(end, [0; 2]);
        }
        for (mixed, frame) in self.waiting.iter_mut().skip(first).zip(samples.chunks_exact(2)) {
            mixed[0] += i32::from(frame[0]);
            mixed[1] += i32::from(frame[1]);
        }
        let end = start.max(self.taken) + frames;
        self.calls.insert(call, Track { end, last: at });
    }

    /// Where a call's first piece begins: beside what the others sent at that time.
    fn start_of_new(&self, at: Time, frames: u64) -> u64 {
        match self.calls.values().max_by_key(|track| track.last) {
            Some(other) => {
                let since = u64::try_from(at.since(other.last).as_millis()).unwrap_or(u64::MAX);
                let now = other.end.saturating_add(since.saturating_mul(FRAMES_A_MS));
                now.saturating_sub(frames).max(self.taken)
            }
            None => self.taken + self.waiting.len() as u64,
        }
    }

    /// What no call that goes on will add to.
    pub(super) fn take_ready(&mut self) -> Vec<[i16; 2]> {
        let until = self.calls.values().map(|track| track.end).min();
        let ready = until.map_or(0, |until| until.saturating_sub(self.taken + HELD_BACK));
        self.take(usize::try_from(ready).unwrap_or(usize::MAX))
    }

    /// Everything that is left.
    pub(super) fn take_all(&mut self) -> Vec<[i16; 2]> {
        self.take(usize::MAX)
    }

    fn take(&mut self, frames: usize) -> Vec<[i16; 2]> {
        let frames = frames.min(self.waiting.len());
        self.taken += frames as u64;
        let clipped = |sample: i32| {
            let sample = sample.clamp(i16::MIN.into(), i16::MAX.into());
            i16::try_from(sample).unwrap_or_default()
        };
        self.waiting
            .drain(..frames)
            .map(|frame| frame.map(clipped))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 1_600;

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    /// Two calls of which each second piece comes a little later than the other's.
    #[test]
    fn calls_at_the_same_time_are_mixed_and_last_as_long_as_they_did() {
        let mut mix = Mix::default();
        let mut file = Vec::new();
        for number in 1..=15 {
            mix.add(CallKey(1), at(200 * number), &[100, 1].repeat(PIECE));
            file.extend(mix.take_ready());
            if number > 5 {
                mix.add(CallKey(2), at(200 * number + 50), &[2_000, 20].repeat(PIECE));
                file.extend(mix.take_ready());
            }
        }
        file.extend(mix.take_all());
        assert_eq!(
            file.len(),
            15 * PIECE + 400,
            "the second one began and ended 50 ms later"
        );
        assert_eq!(file[0], [100, 1]);
        assert_eq!(file[5 * PIECE + 399], [100, 1]);
        assert_eq!(file[5 * PIECE + 400], [2_100, 21]);
        assert_eq!(file[file.len() - 1], [2_000, 20]);
    }

    #[test]
    fn a_later_call_follows_the_one_before() {
        let mut mix = Mix::default();
        mix.add(CallKey(1), at(200), &[1, 1].repeat(PIECE));
        mix.add(CallKey(2), at(60_000), &[2, 2].repeat(PIECE));
        assert_eq!(mix.take_ready().len(), 2 * PIECE - 2_400);
        assert_eq!(mix.take_all().len(), 2_400);
    }

    #[test]
    fn a_call_that_ended_holds_back_nothing_of_another() {
        let mut mix = Mix::default();
        mix.add(CallKey(1), at(200), &[1, 1].repeat(PIECE));
        let mut taken = 0;
        for number in 1..=10 {
            mix.add(CallKey(2), at(200 * number), &[2, 2].repeat(PIECE));
            taken += mix.take_ready().len();
        }
        assert_eq!(taken, 10 * PIECE - 2_400);
    }

    #[test]
    fn what_is_too_loud_is_clipped() {
        let mut mix = Mix::default();
        mix.add(CallKey(1), at(200), &[30_000, -30_000]);
        mix.add(CallKey(2), at(200), &[30_000, -30_000]);
        assert_eq!(mix.take_all(), [[i16::MAX, i16::MIN]]);
    }
}
