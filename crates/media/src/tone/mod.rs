//! Sounds that are computed: tones, noise, DTMF, a melody.

mod dtmf;
mod melody;
mod noise;
mod sine;

pub(crate) use dtmf::{COLUMNS_HZ, ROWS_HZ};
pub use dtmf::{DtmfDigit, DtmfGenerator};
pub use melody::{MOST_PIPS, melody, pips};
pub use noise::Noise;
pub use sine::{FrequencyError, MAX_FREQUENCY_HZ, MIN_FREQUENCY_HZ, Tones};

pub(crate) use sine::{Rotation, checked_frequency};

/// Rounds to 16 bits: what is too loud is clipped, as a codec would, and what is no number is silence.
pub(crate) fn to_sample(value: f64) -> i16 {
    // The cast saturates, and costs no call as `round` and `clamp` do.
    (value + 0.5f64.copysign(value)) as i16
}
