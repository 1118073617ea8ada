//! Which frequency is the strongest: for the message of a failed check.

use std::f64::consts::TAU;

use crate::codec::SAMPLE_RATE;
use crate::detect::spectrum::{transform, vertex};
use crate::level::{dbm0_of, level};
use crate::tone::MAX_FREQUENCY_HZ;

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
/// Points of the transform: 2 Hz apart, where a peak is 20 Hz wide.
const POINTS: usize = 4096;
const LOWEST_HZ: f64 = 50.0;

/// The strongest frequency in the loudest 200 ms of `samples`. `None` where they are silent or shorter than 20 ms.
///
/// Takes a fraction of a millisecond: it is for reports, not for every packet.
#[must_use]
pub fn strongest(samples: &[i16]) -> Option<Strongest> {
    let piece = loudest(samples);
    let total_dbm0 = level(piece);
    if piece.len() < MIN_PIECE || total_dbm0 < SILENT_DBM0 {
        return None;
    }
    let mut points = vec![(0.0, 0.0); POINTS];
    for (index, (point, sample)) in points.iter_mut().zip(piece).enumerate() {
        // A Hann window: other tones leak little.
        let weight = 0.5 - 0.5 * (TAU * (index as f64 + 0.5) / piece.len() as f64).cos();
        point.0 = weight * f64::from(*sample);
    }
    transform(&mut points);
    let hz_per_point = f64::from(SAMPLE_RATE) / POINTS as f64;
    let point_of = |hz: f64| (hz / hz_per_point) as usize;
    let size = |index: usize| points[index].0.hypot(points[index].1);
    let best = (point_of(LOWEST_HZ)..=point_of(MAX_FREQUENCY_HZ))
        .max_by(|one, other| size(*one).total_cmp(&size(*other)))?;
    let frequency_hz = hz_per_point * (best as f64 + vertex(size(best - 1), size(best), size(best + 1)));
    // A sine of amplitude A sums to A·N/4 under this window; its mean square is A²/2.
    let amplitude = 4.0 * size(best) / piece.len() as f64;
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
