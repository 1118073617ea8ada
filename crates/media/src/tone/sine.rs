//! Sines without jumps in phase.

use std::f64::consts::TAU;

use thiserror::Error;

use crate::codec::SAMPLE_RATE;
use crate::level::peak_of;
use crate::tone::to_sample;

/// The lowest frequency that can be made or looked for.
pub const MIN_FREQUENCY_HZ: f64 = 20.0;
/// The highest frequency that can be made or looked for: what 8,000 samples a second can carry, and a little less.
pub const MAX_FREQUENCY_HZ: f64 = 3950.0;

/// A frequency that 8 kHz audio does not carry. The fault is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error(
    "{0} Hz is not between {MIN_FREQUENCY_HZ} and {MAX_FREQUENCY_HZ} Hz, which is what a telephone carries"
)]
pub struct FrequencyError(pub f64);

/// One or more sines, each at the same level, going on as long as samples are asked for.
#[derive(Debug, Clone)]
pub struct Tones {
    sines: Vec<Rotation>,
    peak: f64,
}

impl Tones {
    /// One sine.
    ///
    /// # Errors
    /// [`FrequencyError`] outside [`MIN_FREQUENCY_HZ`] to [`MAX_FREQUENCY_HZ`].
    pub fn single(frequency_hz: f64, level_dbm0: f64) -> Result<Self, FrequencyError> {
        Self::new(&[frequency_hz], level_dbm0)
    }

    /// The sum of sines, each at `level_dbm0`; silence for an empty list. What exceeds 16 bits is clipped: two
    /// tones fit up to −2.9 dBm0 each.
    ///
    /// # Errors
    /// [`FrequencyError`] for the first frequency that is out of range.
    pub fn new(frequencies_hz: &[f64], level_dbm0: f64) -> Result<Self, FrequencyError> {
        let sine = |hz: &f64| Ok(Rotation::new(checked_frequency(*hz)?));
        let sines = frequencies_hz.iter().map(sine).collect::<Result<_, _>>()?;
        Ok(Self {
            sines,
            peak: peak_of(level_dbm0),
        })
    }

    /// The next samples, without a jump from those before.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out.iter_mut() {
            let sum: f64 = self.sines.iter_mut().map(|sine| sine.step().1).sum();
            *sample = to_sample(self.peak * sum);
        }
        self.sines.iter_mut().for_each(Rotation::straighten);
    }
}

pub(crate) fn checked_frequency(hz: f64) -> Result<f64, FrequencyError> {
    if (MIN_FREQUENCY_HZ..=MAX_FREQUENCY_HZ).contains(&hz) {
        Ok(hz)
    } else {
        Err(FrequencyError(hz))
    }
}

/// A unit vector that turns by the same angle with each sample: sine and cosine for four multiplications.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation {
    now: (f64, f64),
    turn: (f64, f64),
}

impl Rotation {
    pub(crate) fn new(frequency_hz: f64) -> Self {
        let (sin, cos) = (TAU * frequency_hz / f64::from(SAMPLE_RATE)).sin_cos();
        Self {
            now: (1.0, 0.0),
            turn: (cos, sin),
        }
    }

    /// Cosine and sine of this sample; moves on to the next.
    pub(crate) fn step(&mut self) -> (f64, f64) {
        let (cos, sin) = self.now;
        self.now = (
            cos * self.turn.0 - sin * self.turn.1,
            sin * self.turn.0 + cos * self.turn.1,
        );
        (cos, sin)
    }

    /// Takes out what rounding did to the length; to be called now and then.
    pub(crate) fn straighten(&mut self) {
        let length = self.now.0.hypot(self.now.1);
        self.now = (self.now.0 / length, self.now.1 / length);
    }
}
