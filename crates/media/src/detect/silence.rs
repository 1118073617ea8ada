//! Whether a stream is silent.

use crate::level::{FLOOR_DBM0, LevelMeter, METER_SAMPLES};

/// What counts as silence unless told otherwise: louder than a good line's noise, softer than any speech.
pub const SILENCE_DBM0: f64 = -50.0;

/// Waits for silence that lasts, 20 ms by 20 ms.
#[derive(Debug, Clone)]
pub struct SilenceDetector {
    threshold_dbm0: f64,
    needed_samples: u64,
    meter: LevelMeter,
    quiet_samples: u64,
    loud_samples: u64,
    loudest_dbm0: f64,
}

impl SilenceDetector {
    /// Waits for `needed_ms` in which no 20 ms are louder than `threshold_dbm0` ([`SILENCE_DBM0`]).
    #[must_use]
    pub fn new(threshold_dbm0: f64, needed_ms: u32) -> Self {
        Self {
            threshold_dbm0,
            needed_samples: u64::from(needed_ms) * 8,
            meter: LevelMeter::default(),
            quiet_samples: 0,
            loud_samples: 0,
            loudest_dbm0: FLOOR_DBM0,
        }
    }

    /// Takes the next samples. Returns whether it has been silent for long enough up to now.
    pub fn push(&mut self, samples: &[i16]) -> bool {
        let Self {
            meter,
            threshold_dbm0,
            quiet_samples,
            loud_samples,
            loudest_dbm0,
            ..
        } = self;
        meter.push(samples, |dbm0| {
            *loudest_dbm0 = loudest_dbm0.max(dbm0);
            if dbm0 > *threshold_dbm0 {
                *quiet_samples = 0;
                *loud_samples += METER_SAMPLES as u64;
            } else {
                *quiet_samples += METER_SAMPLES as u64;
            }
        });
        self.is_silent()
    }

    /// Whether it has been silent for long enough up to now.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.quiet_samples >= self.needed_samples.max(METER_SAMPLES as u64)
    }

    /// How long it has been silent up to now, in milliseconds.
    #[must_use]
    pub fn quiet_ms(&self) -> u64 {
        self.quiet_samples / 8
    }

    /// How much was not silence, in milliseconds.
    #[must_use]
    pub fn loud_ms(&self) -> u64 {
        self.loud_samples / 8
    }

    /// The loudest 20 ms so far, in dBm0.
    #[must_use]
    pub fn loudest_dbm0(&self) -> f64 {
        self.loudest_dbm0
    }
}
