//! Noise.

use crate::level::rms_of;
use crate::tone::to_sample;

/// White noise with a Gaussian distribution: the same samples for the same seed.
#[derive(Debug, Clone)]
pub struct Noise {
    state: u64,
    rms: f64,
}

impl Noise {
    /// Noise of `level_dbm0`. What exceeds 16 bits is clipped, so the level holds up to about −9 dBm0.
    #[must_use]
    pub fn new(seed: u64, level_dbm0: f64) -> Self {
        Self {
            state: seed,
            rms: rms_of(level_dbm0),
        }
    }

    /// The next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            *sample = to_sample(self.rms * self.gaussian());
        }
    }

    /// The sum of twelve even numbers of variance 1/12: near enough to a Gaussian for the ear and for detectors.
    fn gaussian(&mut self) -> f64 {
        // Each 64 random bits make three numbers of 21 bits.
        let mut sum = 0.0;
        for _ in 0..4 {
            let bits = self.next();
            for shift in [0, 21, 42] {
                sum += ((bits >> shift) & 0x1f_ffff) as f64;
            }
        }
        sum / f64::from(1u32 << 21) - 6.0
    }

    /// SplitMix64: short, and good enough for what is only to be heard.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}
