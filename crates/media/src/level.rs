//! Levels in dBm0.
//!
//! The reference: a sine that just fills 16 bits (peak 32,768) is +3.14 dBm0, the load capacity that G.711 gives for
//! A-law. For µ-law G.711 says +3.17 dBm0 at a peak of 32,636, so that µ-law levels read 0.06 dB too low here.

/// The level of a sine with a peak of 32,768, in dBm0.
#[expect(
    clippy::approx_constant,
    reason = "ITU-T G.711 says 3.14 dBm0; it is no circle"
)]
pub const FULL_SCALE_DBM0: f64 = 3.14;

/// What an empty signal reads: just below one step of 16 bits. No level is lower.
pub const FLOOR_DBM0: f64 = -96.0;

/// Samples of one reading of [`LevelMeter`]: 20 ms.
pub const METER_SAMPLES: usize = 160;

/// The peak of a sine of `dbm0`, in steps of 16-bit samples.
#[must_use]
pub fn peak_of(dbm0: f64) -> f64 {
    32_768.0 * 10f64.powf((dbm0 - FULL_SCALE_DBM0) / 20.0)
}

/// The root mean square of any signal of `dbm0`, in steps of 16-bit samples.
#[must_use]
pub fn rms_of(dbm0: f64) -> f64 {
    peak_of(dbm0) / std::f64::consts::SQRT_2
}

/// The level of a signal with the mean square `mean_square`, at least [`FLOOR_DBM0`].
#[must_use]
pub fn dbm0_of(mean_square: f64) -> f64 {
    let full_scale = 32_768.0 * 32_768.0 / 2.0;
    (10.0 * (mean_square / full_scale).log10() + FULL_SCALE_DBM0).max(FLOOR_DBM0)
}

/// The level of `samples` as a whole, at least [`FLOOR_DBM0`].
#[must_use]
pub fn level(samples: &[i16]) -> f64 {
    dbm0_of(sum_of_squares(samples) / samples.len().max(1) as f64)
}

pub(crate) fn sum_of_squares(samples: &[i16]) -> f64 {
    // A square is below 2^30, so the sum is exact for any slice that fits in memory.
    samples
        .iter()
        .map(|sample| i64::from(*sample) * i64::from(*sample))
        .sum::<i64>() as f64
}

/// The level of a stream, one reading for each 20 ms.
#[derive(Debug, Clone, Default)]
pub struct LevelMeter {
    squares: f64,
    samples: usize,
    last_dbm0: Option<f64>,
}

impl LevelMeter {
    /// Takes samples and calls `reading` with the level of each 20 ms that they complete, in dBm0.
    pub fn push(&mut self, mut samples: &[i16], mut reading: impl FnMut(f64)) {
        while !samples.is_empty() {
            let (part, rest) = samples.split_at(samples.len().min(METER_SAMPLES - self.samples));
            samples = rest;
            self.squares += sum_of_squares(part);
            self.samples += part.len();
            if self.samples == METER_SAMPLES {
                let dbm0 = dbm0_of(self.squares / METER_SAMPLES as f64);
                (self.squares, self.samples, self.last_dbm0) = (0.0, 0, Some(dbm0));
                reading(dbm0);
            }
        }
    }

    /// The last reading; `None` before the first 20 ms.
    #[must_use]
    pub fn last_dbm0(&self) -> Option<f64> {
        self.last_dbm0
    }
}
