//! Sounds that are computed: tones, noise, DTMF.

mod dtmf;
mod noise;
mod sine;

pub(crate) use dtmf::{COLUMNS_HZ, ROWS_HZ};
pub use dtmf::{DtmfDigit, DtmfGenerator};
pub use noise::Noise;
pub use sine::{FrequencyError, MAX_FREQUENCY_HZ, MIN_FREQUENCY_HZ, Tones};

pub(crate) use sine::{Rotation, checked_frequency};

/// Adds in 16 bits without wrapping: what is too loud is clipped, as a codec would.
pub(crate) fn to_sample(value: f64) -> i16 {
    value.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}
