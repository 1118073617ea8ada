//! DTMF digits heard as sound: the receiver of ITU-T Q.24.
//!
//! Every 5 ms a window of 20 ms is compared with the eight frequencies. A window fits a digit when one row and one
//! column stand out, differ little in level and together are nearly all there is: that keeps voices out (talk-off).
//! A digit is reported once when six windows have fitted it and its frequencies, measured by how the phase moves
//! from window to window, are right. It is over after 25 ms without it, so that a shorter interruption does not
//! double it.
//!
//! | ITU-T Q.24 | here |
//! | --- | --- |
//! | frequencies within ±(1.5 % + 2 Hz) are taken, beyond ±3.5 % refused | limit at ±2.3 % |
//! | levels from 0 to −25 dBm0 are taken, below −55 refused | limit at −30 dBm0 |
//! | columns up to 4 dB stronger and 8 dB weaker than rows are taken | limits at 5.5 and 9.5 dB |
//! | 40 ms are taken, 23 ms refused | limit at about 28 ms |
//! | pauses of 40 ms are seen, interruptions of 10 ms are not | limit at about 25 ms |

use std::f64::consts::{PI, TAU};
use std::sync::LazyLock;

use crate::codec::SAMPLE_RATE;
use crate::level::peak_of;
use crate::tone::{COLUMNS_HZ, DtmfDigit, ROWS_HZ};

const HOP: usize = 40;
const WINDOW: usize = 160;
/// Sum and sum of squares of a Hann window of this length.
const WEIGHT: f64 = WINDOW as f64 / 2.0;
const SQUARED_WEIGHT: f64 = WINDOW as f64 * 3.0 / 8.0;
/// By how much the frequency of a group must exceed the others, as a ratio of energies: 4 dB.
const PROMINENCE: f64 = 2.5;
const MIN_LEVEL_DBM0: f64 = -30.0;
const MAX_COLUMN_STRONGER_DB: f64 = 5.5;
const MAX_COLUMN_WEAKER_DB: f64 = 9.5;
/// The share of all energy that both tones must have. Tones at the edge of the accepted frequencies keep 0.75 under
/// this window.
const MIN_SHARE: f64 = 0.65;
/// The same over all windows of a digit, when its frequencies are known and what the window took is given back.
const MIN_SHARE_OF_DIGIT: f64 = 0.9;
const MAX_DEVIATION: f64 = 0.023;
/// Windows with at least half of the full amplitude are those whose middle is inside the tone.
const WINDOWS_FOR_DIGIT: usize = 6;
const WINDOWS_FOR_PAUSE: usize = 5;

/// A digit that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeardDigit {
    /// Which one.
    pub digit: DtmfDigit,
    /// Where it began, in samples since the first one pushed, give or take 5 ms.
    pub at_sample: u64,
}

/// Listens for digits in a stream of samples.
#[derive(Debug, Clone)]
pub struct InbandDtmf {
    history: [f32; WINDOW],
    new_samples: usize,
    samples_seen: u64,
    run: Option<Run>,
}

/// Windows in a row that fit one digit.
#[derive(Debug, Clone)]
struct Run {
    digit: DtmfDigit,
    at_sample: u64,
    amplitudes: Vec<f64>,
    loudest: f64,
    last: Option<Fit>,
    row: Group,
    column: Group,
    energy: f64,
    windows_without: usize,
    decided: bool,
}

/// What the windows of a run say about the tone of one group.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    /// How far the phase moved from window to window, as a sum of products.
    turn: (f64, f64),
    energy: f64,
}

/// One window that fits a digit.
#[derive(Debug, Clone, Copy)]
struct Fit {
    digit: DtmfDigit,
    row_sum: (f64, f64),
    column_sum: (f64, f64),
    energy: f64,
}

struct Waves {
    hann: [f32; WINDOW],
    /// e^−jωn under the window, sample by sample: the real parts of four rows and four columns, then the imaginary
    /// ones. In this order sixteen sums grow side by side, which the compiler turns into vector instructions.
    waves: [[f32; 16]; WINDOW],
}

static WAVES: LazyLock<Box<Waves>> = LazyLock::new(|| {
    let hann = std::array::from_fn(|n| (0.5 - 0.5 * (TAU * (n as f64 + 0.5) / WINDOW as f64).cos()) as f32);
    let wave = |n: usize| {
        std::array::from_fn(|lane| {
            let (sin, cos) = (TAU * frequency(lane % 8) * n as f64 / f64::from(SAMPLE_RATE)).sin_cos();
            hann[n] * if lane < 8 { cos } else { -sin } as f32
        })
    };
    Box::new(Waves {
        hann,
        waves: std::array::from_fn(wave),
    })
});

fn frequency(index: usize) -> f64 {
    if index < 4 {
        ROWS_HZ[index]
    } else {
        COLUMNS_HZ[index - 4]
    }
}

impl Default for InbandDtmf {
    fn default() -> Self {
        Self {
            history: [0.0; WINDOW],
            new_samples: 0,
            samples_seen: 0,
            run: None,
        }
    }
}

impl InbandDtmf {
    /// Takes the next samples and calls `heard` for each digit, once, about 40 ms after it began.
    pub fn push(&mut self, mut samples: &[i16], mut heard: impl FnMut(HeardDigit)) {
        while !samples.is_empty() {
            let (part, rest) = samples.split_at(samples.len().min(HOP - self.new_samples));
            samples = rest;
            let start = WINDOW - HOP + self.new_samples;
            for (slot, sample) in self.history[start..].iter_mut().zip(part) {
                *slot = f32::from(*sample);
            }
            self.new_samples += part.len();
            self.samples_seen += part.len() as u64;
            if self.new_samples == HOP {
                if let Some(digit) = self.window() {
                    heard(digit);
                }
                self.history.copy_within(HOP.., 0);
                self.new_samples = 0;
            }
        }
    }

    fn window(&mut self) -> Option<HeardDigit> {
        let run = match (&mut self.run, Fit::in_window(&self.history)) {
            (None, None) => return None,
            (Some(run), None) => {
                run.skip();
                run
            }
            (Some(run), Some(fit)) if run.digit == fit.digit => {
                run.add(fit);
                run
            }
            (run, Some(fit)) => {
                let middle = self.samples_seen.saturating_sub(WINDOW as u64 / 2);
                run.insert(Run::new(middle, fit))
            }
        };
        if run.windows_without >= WINDOWS_FOR_PAUSE {
            self.run = None;
            return None;
        }
        run.decide().then_some(HeardDigit {
            digit: run.digit,
            at_sample: run.at_sample,
        })
    }
}

impl Run {
    fn new(at_sample: u64, fit: Fit) -> Self {
        let mut run = Self {
            digit: fit.digit,
            at_sample,
            amplitudes: Vec::new(),
            loudest: 0.0,
            last: None,
            row: Group::default(),
            column: Group::default(),
            energy: 0.0,
            windows_without: 0,
            decided: false,
        };
        run.add(fit);
        run
    }

    fn add(&mut self, fit: Fit) {
        let amplitude = fit.row_sum.0.hypot(fit.row_sum.1);
        self.loudest = self.loudest.max(amplitude);
        if amplitude < self.loudest / 2.0 {
            return self.skip();
        }
        self.windows_without = 0;
        if self.decided {
            return;
        }
        self.amplitudes.push(amplitude);
        self.row.add(fit.row_sum, self.last.map(|last| last.row_sum));
        self.column
            .add(fit.column_sum, self.last.map(|last| last.column_sum));
        self.energy += fit.energy;
        self.last = Some(fit);
    }

    fn skip(&mut self) {
        self.windows_without += 1;
        self.last = None;
    }

    /// Whether this window is the one that makes it a digit.
    fn decide(&mut self) -> bool {
        let inside = self
            .amplitudes
            .iter()
            .filter(|amplitude| **amplitude >= self.loudest / 2.0)
            .count();
        if self.decided || inside < WINDOWS_FOR_DIGIT {
            return false;
        }
        self.decided = true;
        let (row_hz, column_hz) = self.digit.frequencies_hz();
        let (row_off, column_off) = (self.row.offset_hz(row_hz), self.column.offset_hz(column_hz));
        let both = self.row.energy / window_loss(row_off) + self.column.energy / window_loss(column_off);
        row_off.abs() <= MAX_DEVIATION * row_hz
            && column_off.abs() <= MAX_DEVIATION * column_hz
            && both >= MIN_SHARE_OF_DIGIT * self.energy
    }
}

impl Group {
    fn add(&mut self, now: (f64, f64), before: Option<(f64, f64)>) {
        self.energy += energy_of(now.0 * now.0 + now.1 * now.1);
        if let Some(before) = before {
            self.turn.0 += now.0 * before.0 + now.1 * before.1;
            self.turn.1 += now.1 * before.0 - now.0 * before.1;
        }
    }

    /// How far the frequency is from `nominal_hz`.
    fn offset_hz(self, nominal_hz: f64) -> f64 {
        let hop_seconds = HOP as f64 / f64::from(SAMPLE_RATE);
        let excess = self.turn.1.atan2(self.turn.0) - TAU * nominal_hz * hop_seconds;
        ((excess + PI).rem_euclid(TAU) - PI) / TAU / hop_seconds
    }
}

impl Fit {
    fn in_window(history: &[f32; WINDOW]) -> Option<Self> {
        let Waves { hann, waves } = &**WAVES;
        let energy: f32 = history
            .iter()
            .zip(hann)
            .map(|(sample, weight)| (sample * weight) * (sample * weight))
            .sum();
        let energy = f64::from(energy);
        let min_amplitude = peak_of(MIN_LEVEL_DBM0);
        // Most of a call is silence, or too soft.
        if energy < min_amplitude * min_amplitude / 2.0 * SQUARED_WEIGHT {
            return None;
        }
        let sums = sums(history, waves);
        let powers = sums.map(|(re, im)| re * re + im * im);
        let (row, column) = (prominent(&powers[..4])?, prominent(&powers[4..])?);
        // A sine of amplitude A sums to A·WEIGHT/2.
        let (row_power, column_power) = (powers[row], powers[column + 4]);
        let least = (min_amplitude * WEIGHT / 2.0).powi(2);
        let twist_db = 10.0 * (column_power / row_power).log10();
        let fits = row_power >= least
            && column_power >= least
            && (-MAX_COLUMN_WEAKER_DB..=MAX_COLUMN_STRONGER_DB).contains(&twist_db)
            && energy_of(row_power) + energy_of(column_power) >= MIN_SHARE * energy;
        let digit = DtmfDigit::at(row, column);
        fits.then_some(Self {
            digit,
            row_sum: sums[row],
            column_sum: sums[column + 4],
            energy,
        })
    }
}

fn sums(history: &[f32; WINDOW], waves: &[[f32; 16]; WINDOW]) -> [(f64, f64); 8] {
    let mut sums = [0f32; 16];
    for (sample, wave) in history.iter().zip(waves) {
        for (sum, part) in sums.iter_mut().zip(wave) {
            *sum += sample * part;
        }
    }
    std::array::from_fn(|index| (f64::from(sums[index]), f64::from(sums[index + 8])))
}

/// The index of the value that exceeds all others clearly.
fn prominent(powers: &[f64]) -> Option<usize> {
    let (index, power) = powers
        .iter()
        .enumerate()
        .max_by(|one, other| one.1.total_cmp(other.1))?;
    let alone = powers
        .iter()
        .enumerate()
        .all(|(other, value)| other == index || value * PROMINENCE <= *power);
    alone.then_some(index)
}

/// The energy under the window of a sine whose squared sum is `power`.
fn energy_of(power: f64) -> f64 {
    let amplitude = 2.0 * power.sqrt() / WEIGHT;
    amplitude * amplitude / 2.0 * SQUARED_WEIGHT
}

/// The part of a tone's energy that remains in the sum under a Hann window when its frequency is off. 45 Hz is beyond
/// any accepted deviation.
fn window_loss(offset_hz: f64) -> f64 {
    let bins = offset_hz.abs().min(45.0) * WINDOW as f64 / f64::from(SAMPLE_RATE);
    let sinc = if bins < 1e-6 {
        1.0
    } else {
        (PI * bins).sin() / (PI * bins)
    };
    (sinc / (1.0 - bins * bins)).powi(2)
}
