//! The time of a recording, and the part of it that is still open: what may yet arrive has its place there.

use std::time::Duration;

use callwright_wire::Time;

use super::clock::Clock;
use super::{Piece, Track};
use crate::codec::Codec;

/// So long is waited for packets before the time at which they belong is handed over: 400 ms.
const HELD: i64 = 3_200;
/// What is handed over at once: 200 ms.
const PIECE: i64 = 1_600;
/// Frames of the open part: what is held, a piece, and the longest packet.
const OPEN: i64 = 8_192;
/// Samples decoded at once.
const CHUNK: usize = 480;
const NANOS_PER_FRAME: u64 = 125_000;

/// Two tracks.
#[derive(Debug)]
pub(super) struct Timeline {
    start: Time,
    /// The open part as a ring of frames, interleaved; zero where nothing was heard.
    open: Box<[i16]>,
    /// Frames handed over: the open part begins there.
    done: i64,
    /// The end of what was heard.
    heard: i64,
    clocks: [Clock; 2],
}

impl Timeline {
    pub(super) fn new(start: Time) -> Timeline {
        Timeline {
            start,
            open: vec![0; 2 * OPEN as usize].into_boxed_slice(),
            done: 0,
            heard: 0,
            clocks: [Clock::default(); 2],
        }
    }

    /// Somebody else is on a track from now on.
    pub(super) fn change_source(&mut self, track: Track) {
        self.clocks[track.index()] = Clock::default();
    }

    /// Hears a payload: each byte of it is a sample.
    pub(super) fn hear(&mut self, track: Track, arrived: Time, timestamp: u32, codec: Codec, payload: &[u8]) {
        let arrived = self.frame(arrived);
        let Some(mut at) = self.clocks[track.index()].place(timestamp, arrived, self.done) else {
            return;
        };
        let mut samples = [0; CHUNK];
        for bytes in payload.chunks(CHUNK) {
            let decoded = codec.decode(bytes, &mut samples);
            for &sample in &samples[..decoded] {
                if (self.done..self.done + OPEN).contains(&at) {
                    self.open[2 * (at % OPEN) as usize + track.index()] = sample;
                }
                at += 1;
            }
        }
        self.heard = self.heard.max(at.min(self.done + OPEN));
    }

    /// Hands over what is due at `now`.
    pub(super) fn advance(&mut self, now: Time, mut tell: impl FnMut(Piece)) {
        let due = self.frame(now) - HELD;
        while self.done + PIECE <= due {
            let pieces = if self.heard <= self.done {
                (due - self.done) / PIECE
            } else {
                1
            };
            self.hand_over(pieces * PIECE, &mut tell);
        }
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Time {
        let frames = u64::try_from(self.done + PIECE + HELD).unwrap_or(0);
        self.start + Duration::from_nanos(frames.saturating_mul(NANOS_PER_FRAME))
    }

    /// Hands over everything until `now`, and tells how many frames there were in all.
    pub(super) fn finish(&mut self, now: Time, mut tell: impl FnMut(Piece)) -> u64 {
        let end = self.frame(now);
        self.advance(now, &mut tell);
        while self.done < end {
            self.hand_over((end - self.done).min(PIECE), &mut tell);
        }
        u64::try_from(self.done).unwrap_or(0)
    }

    /// Hands over the next frames; more than a piece of them only where nothing was heard.
    fn hand_over(&mut self, frames: i64, tell: &mut impl FnMut(Piece)) {
        let (from, to) = (self.done, self.done + frames);
        self.done = to;
        if self.heard <= from {
            return tell(Piece::Silence {
                frames: frames.unsigned_abs(),
            });
        }
        let mut samples = Vec::with_capacity(2 * frames as usize);
        for at in from..to {
            let frame = 2 * (at % OPEN) as usize;
            samples.extend_from_slice(&self.open[frame..frame + 2]);
            self.open[frame..frame + 2].fill(0);
        }
        tell(if samples.iter().all(|sample| *sample == 0) {
            Piece::Silence {
                frames: frames.unsigned_abs(),
            }
        } else {
            Piece::Samples(samples.into_boxed_slice())
        });
    }

    /// The frame of a moment; negative before the start.
    fn frame(&self, at: Time) -> i64 {
        let frames = |nanos: u64| i64::try_from(nanos / NANOS_PER_FRAME).unwrap_or(i64::MAX);
        if at >= self.start {
            frames(at.as_nanos() - self.start.as_nanos())
        } else {
            -frames(self.start.as_nanos() - at.as_nanos())
        }
    }
}
