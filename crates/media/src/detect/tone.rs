//! Whether a wanted tone is in a stream.
//!
//! The stream is turned down by the wanted frequency and summed over steps of 10 ms, which leaves what lies within
//! about 50 Hz. Ten steps that are not silent make a window of 100 ms; summed with every offset of a few Hz, they give
//! the one sine that explains most of the window: its frequency to about 0.5 Hz, its level, its share of the energy.
//! (Below 100 Hz its mirror image on the other side of 0 Hz comes too near, and both get less exact.)
//! Silent steps (lost packets) are left out, and the phase goes on under them.
//!
//! | the tone has | it must hold for |
//! | --- | --- |
//! | nearly all of the energy | one window |
//! | a fifth, and the rest is [steady tones](super::mix) too, other than those of a digit | one window |
//! | a fifth, and the rest is anything else: noise, a voice | three windows |

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::sync::LazyLock;

use super::mix;
use super::spectrum::vertex;
use crate::codec::SAMPLE_RATE;
use crate::level::{dbm0_of, sum_of_squares};
use crate::tone::{FrequencyError, checked_frequency};

/// How far from the wanted frequency a tone may be.
pub const TOLERANCE_HZ: f64 = 10.0;
/// How loud the tone must be.
pub const MIN_LEVEL_DBM0: f64 = -40.0;
/// Which share of all energy the tone must have, so that one of five equal voices of a conference counts.
pub const MIN_SHARE: f64 = 0.2;

/// Samples of a step: 10 ms.
const STEP: usize = 80;
/// Steps of a window: 100 ms, the least that counts as hearing.
const WINDOW: usize = 10;
/// The same in samples.
pub(super) const WINDOW_SAMPLES: usize = WINDOW * STEP;
/// The longest that a window may be drawn out by silent steps.
const MAX_SPAN: u64 = 25;
/// A step below this level is silent.
const SILENT_STEP_DBM0: f64 = -50.0;
/// With this share one window is enough. With less there is other sound, which can be a voice with a harmonic that
/// happens to pass by: unless it is a mix of tones, the tone must hold for three windows in a row.
const PURE_SHARE: f64 = 0.95;
const MAX_WINDOWS: usize = 3;
/// By how much frequency and level may differ between windows. The harmonics of a voice wander by more.
const MAX_DRIFT_HZ: f64 = 1.5;
const MAX_DRIFT_DB: f64 = 2.0;
/// What rounding, codecs and noise do to a tone that is just on a limit.
const SHARE_SLACK: f64 = 0.005;
const LEVEL_SLACK_DB: f64 = 0.5;
const FREQUENCY_SLACK_HZ: f64 = 0.5;
/// Other tones of a mix take from what one window says about this one, or add to it. So much of the limits must be there
/// to have a look at the mix as a whole, which tells exactly.
const FOR_A_LOOK: f64 = 0.75;

/// Listens for one frequency.
#[derive(Debug, Clone)]
pub struct ToneDetector {
    frequency_hz: f64,
    /// One step of the wanted frequency, as e^−jωn.
    wave: Box<[(f32, f32); STEP]>,
    partial: [i16; STEP],
    partial_len: usize,
    /// The samples of the last window's time.
    recent: Box<[i16; WINDOW_SAMPLES]>,
    steps_seen: u64,
    /// The last steps that were not silent: as many windows as can be needed.
    steps: VecDeque<Step>,
    heard: Option<Heard>,
}

/// The tone that was heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// Its frequency, to about 1 Hz.
    pub frequency_hz: f64,
    /// Its level, without what else sounded.
    pub level_dbm0: f64,
    /// Its share of all energy, 0 to 1.
    pub share: f64,
    /// How many samples had been pushed when it had been heard for long enough.
    pub at_sample: u64,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    index: u64,
    re: f64,
    im: f64,
    energy: f64,
}

/// The roots of unity by hundredths of a turn: 1 Hz turns by one of them in each step of 10 ms.
static HUNDREDTHS: LazyLock<[(f64, f64); 100]> =
    LazyLock::new(|| std::array::from_fn(|part| (TAU * part as f64 / 100.0).sin_cos()));

impl ToneDetector {
    /// A detector for the tone at `frequency_hz`.
    ///
    /// # Errors
    /// [`FrequencyError`] for what 8 kHz audio does not carry.
    pub fn new(frequency_hz: f64) -> Result<Self, FrequencyError> {
        let omega = TAU * checked_frequency(frequency_hz)? / f64::from(SAMPLE_RATE);
        let wave = std::array::from_fn(|n| {
            let (sin, cos) = (omega * n as f64).sin_cos();
            (cos as f32, -sin as f32)
        });
        Ok(Self {
            frequency_hz,
            wave: Box::new(wave),
            partial: [0; STEP],
            partial_len: 0,
            recent: Box::new([0; WINDOW_SAMPLES]),
            steps_seen: 0,
            steps: VecDeque::with_capacity(MAX_WINDOWS * WINDOW),
            heard: None,
        })
    }

    /// Takes the next samples. Returns what was heard, from the first time on.
    pub fn push(&mut self, mut samples: &[i16]) -> Option<Heard> {
        while self.heard.is_none() && !samples.is_empty() {
            let (part, rest) = samples.split_at(samples.len().min(STEP - self.partial_len));
            samples = rest;
            self.partial[self.partial_len..][..part.len()].copy_from_slice(part);
            self.partial_len += part.len();
            if self.partial_len == STEP {
                self.partial_len = 0;
                self.step();
            }
        }
        self.heard
    }

    /// What was heard first, if anything.
    #[must_use]
    pub fn heard(&self) -> Option<Heard> {
        self.heard
    }

    fn step(&mut self) {
        let index = self.steps_seen;
        self.steps_seen += 1;
        self.recent.copy_within(STEP.., 0);
        self.recent[WINDOW_SAMPLES - STEP..].copy_from_slice(&self.partial);
        let energy = sum_of_squares(&self.partial);
        if dbm0_of(energy / STEP as f64) < SILENT_STEP_DBM0 {
            return;
        }
        let (mut re, mut im) = (0f32, 0f32);
        for (sample, (cos, sin)) in self.partial.iter().zip(self.wave.iter()) {
            re += f32::from(*sample) * cos;
            im += f32::from(*sample) * sin;
        }
        // The phase since the first sample, from the step's number: no error adds up.
        let turns = self.frequency_hz * (STEP as f64 / f64::from(SAMPLE_RATE)) * index as f64;
        let (sin, cos) = (TAU * turns.fract()).sin_cos();
        let (re, im) = (f64::from(re), f64::from(im));
        let (re, im) = (re * cos + im * sin, im * cos - re * sin);
        if self.steps.len() == MAX_WINDOWS * WINDOW {
            self.steps.pop_front();
        }
        self.steps.push_back(Step {
            index,
            re,
            im,
            energy,
        });
        self.heard = self.decide();
    }

    fn decide(&mut self) -> Option<Heard> {
        self.steps.make_contiguous();
        let (steps, _) = self.steps.as_slices();
        let mut windows = steps.rchunks_exact(WINDOW);
        let window = windows.next()?;
        let now = Sine::in_window(window)?;
        let heard = if now.counts() && (now.share >= PURE_SHARE || now.held_in(windows)) {
            now
        } else {
            self.in_mix(window)?
        };
        Some(Heard {
            frequency_hz: self.frequency_hz + heard.offset_hz,
            level_dbm0: heard.level_dbm0,
            share: heard.share,
            at_sample: self.steps_seen * STEP as u64,
        })
    }

    /// The wanted tone in a window without gaps that is nothing but tones.
    fn in_mix(&self, window: &[Step]) -> Option<Sine> {
        if span(window)? > WINDOW as u64 {
            return None;
        }
        let energy: f64 = window.iter().map(|step| step.energy).sum();
        mix::tones(&self.recent)?
            .map(|line| Sine {
                offset_hz: line.frequency_hz - self.frequency_hz,
                level_dbm0: dbm0_of(line.energy / WINDOW_SAMPLES as f64),
                share: (line.energy / energy).min(1.0),
            })
            .find(|sine| sine.is_near() && sine.counts())
    }
}

/// From the first step of a window to the last, in steps.
fn span(window: &[Step]) -> Option<u64> {
    let (first, last) = (window.first()?, window.last()?);
    (window.len() >= WINDOW).then_some(last.index - first.index + 1)
}

/// The sine that explains a window best.
struct Sine {
    offset_hz: f64,
    level_dbm0: f64,
    share: f64,
}

impl Sine {
    fn is_near(&self) -> bool {
        self.offset_hz.abs() <= TOLERANCE_HZ + FREQUENCY_SLACK_HZ
    }

    /// Whether it is loud and prominent enough.
    fn counts(&self) -> bool {
        self.share >= MIN_SHARE - SHARE_SLACK && self.level_dbm0 >= MIN_LEVEL_DBM0 - LEVEL_SLACK_DB
    }

    /// Whether it was the same in the windows before.
    fn held_in<'a>(&self, mut windows: impl Iterator<Item = &'a [Step]>) -> bool {
        (1..MAX_WINDOWS).all(|_| {
            let before = windows.next().and_then(Sine::in_window);
            before.is_some_and(|before| {
                before.counts()
                    && (self.offset_hz - before.offset_hz).abs() <= MAX_DRIFT_HZ
                    && (self.level_dbm0 - before.level_dbm0).abs() <= MAX_DRIFT_DB
            })
        })
    }

    /// The sine in `window`, where it is near and may be loud and prominent enough to count.
    fn in_window(window: &[Step]) -> Option<Self> {
        let span = span(window).filter(|span| *span <= MAX_SPAN)?;
        let energy: f64 = window.iter().map(|step| step.energy).sum();
        let samples = (window.len() * STEP) as f64;
        let wanted = FOR_A_LOOK * MIN_SHARE * energy;
        // What the steps hold when all phases fit bounds what any sine can: most windows end here.
        let bound: f64 = window
            .iter()
            .map(|step| step.re * step.re + step.im * step.im)
            .sum();
        if 2.0 * bound / (STEP as f64) < 0.9 * wanted {
            return None;
        }
        // Gaps fold other frequencies onto the wanted one, so a stronger sine anywhere near then speaks against it.
        // Without gaps only the flank of a neighbour is to be told from a peak.
        let reach = if span == window.len() as u64 { 15 } else { 45 };
        let strongest = |offsets: &mut dyn Iterator<Item = i32>| {
            let tried = offsets.map(|offset| (offset, power_at(window, offset)));
            tried.max_by(|one, other| one.1.total_cmp(&other.1))
        };
        // A peak is 20 Hz wide.
        let (near, _) = strongest(&mut (-reach..=reach).step_by(3))?;
        let (offset, power) = strongest(&mut (near - 2..=near + 2))?;
        let offset_hz =
            f64::from(offset) + vertex(power_at(window, offset - 1), power, power_at(window, offset + 1));
        // The sum over a step loses what the offset turns within it.
        let turn = std::f64::consts::PI * offset_hz * STEP as f64 / f64::from(SAMPLE_RATE);
        let loss = if turn.abs() < 1e-6 { 1.0 } else { turn.sin() / turn };
        // A sine of amplitude A sums to A·N/2 and has the energy A²·N/2.
        let sine_energy = 2.0 * power / samples / (loss * loss);
        let found = Self {
            offset_hz,
            level_dbm0: dbm0_of(sine_energy / samples),
            share: (sine_energy / energy).min(1.0),
        };
        (found.is_near() && sine_energy >= wanted).then_some(found)
    }
}

/// The squared sum of all steps, turned back by `offset_hz`.
fn power_at(window: &[Step], offset_hz: i32) -> f64 {
    let start = window.first().map_or(0, |step| step.index);
    let hundredths = &*HUNDREDTHS;
    let offset = offset_hz.rem_euclid(100) as u32;
    let (mut re, mut im) = (0.0, 0.0);
    for step in window {
        // A window spans few steps.
        let (sin, cos) = hundredths[(offset * (step.index - start) as u32 % 100) as usize];
        re += step.re * cos + step.im * sin;
        im += step.im * cos - step.re * sin;
    }
    re * re + im * im
}
