//! How loud a stream is, second by second.

use std::sync::LazyLock;

use audio_codec::Decoder as _;
use audio_codec::g722::G722Decoder;
use callwright_media::codec::Codec;
use callwright_media::detect::SILENCE_DBM0;
use callwright_media::level::{FLOOR_DBM0, dbm0_of};
use callwright_wire::Time;

use super::stream::Level;

const SECOND: u64 = 1_000_000_000;
/// Bytes of one packet that are decoded at once.
const PIECE: usize = 1_024;

/// The squares of what the bytes of G.711 stand for.
static SQUARES: LazyLock<[[f64; 256]; 2]> = LazyLock::new(|| [Codec::Pcmu, Codec::Pcma].map(squares));

fn squares(codec: Codec) -> [f64; 256] {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut samples = [0; 256];
    codec.decode(&bytes, &mut samples);
    samples.map(|sample| f64::from(sample) * f64::from(sample))
}

/// What can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    Pcmu,
    Pcma,
    G722,
}

/// The level of one stream.
#[derive(Default)]
pub(crate) struct Hearing {
    wideband: Option<Box<G722Decoder>>,
    /// Of the second that goes on: its number, the sum of squares, samples.
    second: u64,
    squares: f64,
    samples: u64,
    all_squares: f64,
    all_samples: u64,
    per_second: Vec<f32>,
    seconds_dropped: u64,
    heard: bool,
    max_dbm0: f64,
    silent_seconds: u64,
}

impl std::fmt::Debug for Hearing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hearing")
            .field("samples", &self.all_samples)
            .finish_non_exhaustive()
    }
}

impl Hearing {
    /// Takes the payload of a packet that came `since` after the first one; gives its mean square.
    pub(crate) fn take(&mut self, since: Time, sound: Sound, payload: &[u8], max_seconds: usize) -> f64 {
        let (squares, samples) = match sound {
            Sound::Pcmu | Sound::Pcma => {
                let table = &SQUARES[usize::from(sound == Sound::Pcma)];
                let sum = payload.iter().map(|byte| table[usize::from(*byte)]).sum();
                (sum, payload.len())
            }
            Sound::G722 => self.decode(payload),
        };
        self.move_to(since.as_nanos() / SECOND, max_seconds);
        self.heard = true;
        self.squares += squares;
        self.samples += samples as u64;
        self.all_squares += squares;
        self.all_samples += samples as u64;
        squares / samples.max(1) as f64
    }

    fn decode(&mut self, payload: &[u8]) -> (f64, usize) {
        let decoder = self.wideband.get_or_insert_with(Box::default);
        let mut samples = [0i16; 2 * PIECE];
        let (mut sum, mut count) = (0.0, 0);
        for piece in payload.chunks(PIECE) {
            let decoded = decoder.decode_into(piece, &mut samples).unwrap_or(0);
            sum += samples[..decoded]
                .iter()
                .map(|sample| f64::from(*sample) * f64::from(*sample))
                .sum::<f64>();
            count += decoded;
        }
        (sum, count)
    }

    /// Ends the seconds before this one.
    fn move_to(&mut self, second: u64, max_seconds: usize) {
        while self.second < second {
            if self.per_second.len() >= max_seconds {
                self.end_second(max_seconds);
                // Silence beyond the limit is counted at once, however long it is.
                let skipped = second - self.second - 1;
                self.seconds_dropped += skipped;
                self.silent_seconds += skipped;
                self.second = second;
                return;
            }
            self.end_second(max_seconds);
            self.second += 1;
        }
    }

    fn end_second(&mut self, max_seconds: usize) {
        let dbm0 = if self.samples == 0 {
            FLOOR_DBM0
        } else {
            dbm0_of(self.squares / self.samples as f64)
        };
        self.max_dbm0 = if self.per_second.is_empty() && self.seconds_dropped == 0 {
            dbm0
        } else {
            self.max_dbm0.max(dbm0)
        };
        self.silent_seconds += u64::from(dbm0 <= SILENCE_DBM0);
        if self.per_second.len() < max_seconds {
            self.per_second.push(dbm0 as f32);
        } else {
            self.seconds_dropped += 1;
        }
        (self.squares, self.samples) = (0.0, 0);
    }

    /// Seconds that are listed so far.
    pub(crate) fn listed(&self) -> usize {
        self.per_second.len()
    }

    /// What was heard; `None` when nothing was decoded.
    pub(crate) fn finish(mut self, max_seconds: usize) -> Option<Level> {
        if !self.heard {
            return None;
        }
        if self.samples > 0 {
            self.end_second(max_seconds);
        }
        Some(Level {
            mean_dbm0: dbm0_of(self.all_squares / self.all_samples.max(1) as f64),
            max_dbm0: self.max_dbm0,
            per_second_dbm0: self.per_second,
            silent_seconds: self.silent_seconds,
            seconds_dropped: self.seconds_dropped,
        })
    }
}
