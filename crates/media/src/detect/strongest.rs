//! Which frequency is the strongest: for the message of a failed check.

use std::f64::consts::TAU;

use crate::detect::tone::vertex;
use crate::level::{dbm0_of, level};
use crate::tone::{MAX_FREQUENCY_HZ, Rotation};

/// The strongest frequency of a piece of audio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strongest {
    /// Its frequency, to about 1 Hz for a tone.
    pub frequency_hz: f64,
    /// The level of this frequency alone.
    pub level_dbm0: f64,
    /// The level of all sound in the piece that was looked at.
    pub total_dbm0: f64,
}

/// Samples that are looked at: 200 ms, which tells frequencies 10 Hz apart.
const PIECE: usize = 1600;
const MIN_PIECE: usize = 160;
/// Below this all is silence, and a frequency would be one of rounding.
const SILENT_DBM0: f64 = -60.0;
/// The distance of the frequencies tried first; a peak is about 20 Hz wide.
const GRID_HZ: f64 = 4.0;

/// The strongest frequency in the loudest 200 ms of `samples`. `None` where they are silent or shorter than 20 ms.
///
/// Takes some milliseconds: it is for reports, not for every packet.
#[must_use]
pub fn strongest(samples: &[i16]) -> Option<Strongest> {
    let piece = loudest(samples);
    let total_dbm0 = level(piece);
    if piece.len() < MIN_PIECE || total_dbm0 < SILENT_DBM0 {
        return None;
    }
    let windowed = hann(piece);
    let power = |hz: f64| power_at(&windowed, hz);
    let on_grid = |index: u32| 50.0 + GRID_HZ * f64::from(index);
    let steps = ((MAX_FREQUENCY_HZ - 50.0) / GRID_HZ) as u32;
    let (mut best_hz, mut best) = (0..=steps)
        .map(|index| (on_grid(index), power(on_grid(index))))
        .max_by(|one, other| one.1.total_cmp(&other.1))?;
    for step in [GRID_HZ / 2.0, GRID_HZ / 4.0, GRID_HZ / 8.0] {
        for hz in [best_hz - step, best_hz + step] {
            let found = power(hz);
            if found > best {
                (best_hz, best) = (hz, found);
            }
        }
    }
    let step = GRID_HZ / 8.0;
    let frequency_hz = best_hz + step * vertex(power(best_hz - step), best, power(best_hz + step));
    // A sine of amplitude A sums to A·N/4 under this window; its mean square is A²/2.
    let amplitude = 4.0 * best.sqrt() / windowed.len() as f64;
    Some(Strongest {
        frequency_hz,
        level_dbm0: dbm0_of(amplitude * amplitude / 2.0),
        total_dbm0,
    })
}

fn loudest(samples: &[i16]) -> &[i16] {
    let pieces = samples.windows(PIECE).step_by(PIECE / 4);
    pieces
        .max_by(|one, other| level(one).total_cmp(&level(other)))
        .unwrap_or(samples)
}

fn hann(piece: &[i16]) -> Vec<f64> {
    let weight = |index: usize| 0.5 - 0.5 * (TAU * (index as f64 + 0.5) / piece.len() as f64).cos();
    piece
        .iter()
        .enumerate()
        .map(|(index, sample)| weight(index) * f64::from(*sample))
        .collect()
}

fn power_at(windowed: &[f64], hz: f64) -> f64 {
    let mut rotation = Rotation::new(hz);
    let (mut re, mut im) = (0.0, 0.0);
    for sample in windowed {
        let (cos, sin) = rotation.step();
        re += sample * cos;
        im += sample * sin;
    }
    re * re + im * im
}
