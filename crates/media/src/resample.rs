//! Changing the sample rate to 8 kHz.
//!
//! A polyphase FIR filter under a Kaiser window: flat to 3.4 kHz (42.5 % of the lower rate), 70 dB down from 4 kHz
//! (half of it) on, so that nothing above folds back into the telephone band. Its length follows the rate, which is
//! why the fixed 24 taps of ready-made resamplers do not do here: coming from 48 kHz they would let 4 kHz pass.

use std::f64::consts::PI;

use crate::codec::SAMPLE_RATE;
use crate::tone::to_sample;

/// The lowest rate that is taken, in Hz.
pub const MIN_RATE: u32 = 1000;
/// The highest rate that is taken, in Hz.
pub const MAX_RATE: u32 = 384_000;

/// The middle of the slope and half its width, as parts of the lower rate.
const CUTOFF: f64 = 0.4625;
const HALF_SLOPE: f64 = 0.0375;
/// The shape of a Kaiser window that is 70 dB down.
const KAISER_BETA: f64 = 6.76;
const STOPBAND_DB: f64 = 70.0;
/// Positions between two input samples that have coefficients of their own. Rates that need more take the nearest,
/// which is 65 dB down at worst.
const MAX_PHASES: u64 = 1024;

/// Turns samples of any rate into samples of 8 kHz, without delay: the first one out belongs to the first one in.
#[derive(Debug, Clone)]
pub struct Resampler {
    /// Input samples per output sample, as a fraction.
    step: u64,
    per: u64,
    phases: u64,
    /// Samples on each side that one output sample depends on.
    reach: usize,
    coefficients: Vec<f32>,
    /// Input that is still needed; the first of it is the sample number `first`.
    waiting: Vec<f32>,
    first: u64,
    taken: u64,
    made: u64,
}

impl Resampler {
    /// From `rate` Hz; `None` outside [`MIN_RATE`] to [`MAX_RATE`].
    #[must_use]
    pub fn new(rate: u32) -> Option<Self> {
        if !(MIN_RATE..=MAX_RATE).contains(&rate) {
            return None;
        }
        let (step, per) = reduced(u64::from(rate), u64::from(SAMPLE_RATE));
        let phases = per.min(MAX_PHASES);
        let lower = f64::from(rate.min(SAMPLE_RATE)) / f64::from(rate);
        // Kaiser's estimate of the length.
        let reach = ((STOPBAND_DB - 7.95) / (14.36 * 2.0 * HALF_SLOPE * lower) / 2.0).ceil() as usize;
        let mut coefficients = Vec::with_capacity(phases as usize * 2 * reach);
        for phase in 0..phases {
            let fraction = phase as f64 / phases as f64;
            let taps = (0..2 * reach).map(|tap| tap as f64 - (reach as f64 - 1.0) - fraction);
            let taps: Vec<f64> = taps
                .map(|time| impulse(time, CUTOFF * lower, reach as f64))
                .collect();
            // Each position passes a constant unchanged.
            let sum: f64 = taps.iter().sum();
            coefficients.extend(taps.iter().map(|tap| (tap / sum) as f32));
        }
        Some(Self {
            step,
            per,
            phases,
            reach,
            coefficients,
            waiting: Vec::new(),
            first: 0,
            taken: 0,
            made: 0,
        })
    }

    /// Takes one sample (full scale ±1) and adds to `out` what can be computed now. What is 8 kHz already passes as
    /// it is.
    pub fn push(&mut self, sample: f32, out: &mut Vec<i16>) {
        if self.step == self.per {
            return out.push(to_sample(f64::from(sample) * 32_768.0));
        }
        self.waiting.push(sample);
        self.taken += 1;
        while self.made * self.step / self.per + (self.reach as u64) < self.taken {
            out.push(self.next_sample());
        }
    }

    /// Adds the rest: as many samples in all as the input lasts.
    pub fn finish(mut self, out: &mut Vec<i16>) {
        let samples = if self.step == self.per {
            0
        } else {
            (self.taken * self.per).div_ceil(self.step)
        };
        while self.made < samples {
            out.push(self.next_sample());
        }
    }

    fn next_sample(&mut self) -> i16 {
        let position = self.made * self.step;
        let (whole, part) = (position / self.per, position % self.per);
        self.made += 1;
        // Rounded to the nearest position that has coefficients; the last rounds up into the next sample.
        let phase = (part * self.phases + self.per / 2) / self.per;
        let (whole, phase) = (whole + phase / self.phases, (phase % self.phases) as usize);
        let taps = &self.coefficients[phase * 2 * self.reach..][..2 * self.reach];
        // The first tap is for the sample `whole - reach + 1`; what is before the start or after the end is silence.
        let first_tap = whole as i64 + 1 - self.reach as i64 - self.first as i64;
        let skipped = (-first_tap).max(0) as usize;
        let start = first_tap.max(0) as usize;
        let samples = self.waiting.get(start..).unwrap_or_default();
        let sum: f32 = taps
            .iter()
            .skip(skipped)
            .zip(samples)
            .map(|(tap, sample)| tap * sample)
            .sum();
        // What lies before is never needed again; moved out in large pieces, so that each sample moves once or so.
        if start > 4096.max(4 * self.reach) {
            self.waiting.drain(..start);
            self.first += start as u64;
        }
        to_sample(f64::from(sum) * 32_768.0)
    }
}

/// The ideal low-pass under the window, at `time` in input samples.
fn impulse(time: f64, cutoff: f64, reach: f64) -> f64 {
    let place = time / reach;
    if place.abs() >= 1.0 {
        return 0.0;
    }
    let angle = 2.0 * PI * cutoff * time;
    let sinc = if angle.abs() < 1e-9 {
        1.0
    } else {
        angle.sin() / angle
    };
    sinc * bessel(KAISER_BETA * (1.0 - place * place).sqrt())
}

/// The modified Bessel function of the first kind and order 0.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        let factor = x / 2.0 / f64::from(k);
        term *= factor * factor;
        sum += term;
        if term < 1e-9 * sum {
            break;
        }
    }
    sum
}

fn reduced(numerator: u64, denominator: u64) -> (u64, u64) {
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (numerator / a, denominator / a)
}
