//! Whether a window is a mix of a few steady tones.
//!
//! A tone with less than nearly all of the energy can be a harmonic that passes by. What tells a mix of tones from a voice
//! within 100 ms is the rest: that of a mix is tones too. So the strongest peaks of the spectrum, five at most, are taken
//! for sines of constant frequency and level, and fitted together to the samples. In a mix next to nothing is left: what
//! rounding and the codec did, a thousandth. A voice has more harmonics than that, and its pitch and loudness move: a
//! sine whose frequency changes by 5 Hz within the window leaves more than a hundredth of itself already.

use std::f64::consts::TAU;

use super::spectrum::{transform, vertex};
use super::tone::WINDOW_SAMPLES;
use crate::codec::SAMPLE_RATE;
use crate::tone::{COLUMNS_HZ, ROWS_HZ};

/// The most tones of a mix: with more, none has a fifth of the energy.
const MAX_LINES: usize = 5;
/// The share of the energy that the tones may leave.
const MAX_REST: f64 = 0.01;
/// A peak so far below the strongest is no tone of its own: −25 dB, in amplitude. The window that is laid over the samples
/// makes such peaks itself.
const MIN_PEAK: f64 = 0.056;
/// A tone of less than this share has no part in a digit.
const MIN_PART: f64 = 0.02;
/// By how much the frequencies of a digit may be off (ITU-T Q.24).
const MAX_DIGIT_DEVIATION: f64 = 0.018;
/// What the peaks of the spectrum must explain at least to go on: most of what is no mix ends here. Peaks that touch are
/// off by a tenth.
const FOR_A_FIT: f64 = 0.8;
/// What the tones may leave before their frequencies were corrected.
const MAX_FIRST_REST: f64 = 0.1;
/// Points of the spectrum.
const POINTS: usize = 1024;
const LOWEST_HZ: f64 = 50.0;
/// How often frequencies are corrected: the first time by less than 1 Hz, then by hundredths.
const CORRECTIONS: usize = 2;
const MAX_UNKNOWNS: usize = 3 * MAX_LINES;

/// One tone of a mix.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    pub(super) frequency_hz: f64,
    /// Its part of the window's energy, as a sum of squares.
    pub(super) energy: f64,
    cos: f64,
    sin: f64,
}

/// The tones that `samples` consist of; none where they are something else, or a DTMF digit.
pub(super) fn tones(samples: &[i16; WINDOW_SAMPLES]) -> Option<impl Iterator<Item = Line>> {
    let mut lines = [Line::default(); MAX_LINES];
    let count = peaks(samples, &mut lines)?;
    let found = &mut lines[..count];
    let mut rest = fit(samples, found, false).filter(|rest| *rest <= MAX_FIRST_REST)?;
    for _ in 0..CORRECTIONS {
        fit(samples, found, true)?;
        rest = fit(samples, found, false)?;
        if rest <= MAX_REST {
            break;
        }
    }
    (rest <= MAX_REST && !is_digit(found)).then(|| lines.into_iter().take(count))
}

/// The frequencies of the strongest peaks; how many there are. `None` when they are not nearly all.
fn peaks(samples: &[i16; WINDOW_SAMPLES], lines: &mut [Line; MAX_LINES]) -> Option<usize> {
    let mut points = [(0.0, 0.0); POINTS];
    let mut energy = 0.0;
    for (index, (point, sample)) in points.iter_mut().zip(samples).enumerate() {
        // A Hann window: other tones leak little.
        let weight = 0.5 - 0.5 * (TAU * (index as f64 + 0.5) / WINDOW_SAMPLES as f64).cos();
        point.0 = weight * f64::from(*sample);
        energy += point.0 * point.0;
    }
    transform(&mut points);
    let hz_per_point = f64::from(SAMPLE_RATE) / POINTS as f64;
    let size = |index: usize| points[index].0.hypot(points[index].1);
    let lowest = (LOWEST_HZ / hz_per_point) as usize;
    let is_peak = |index: &usize| size(*index) > size(index - 1) && size(*index) >= size(index + 1);
    let mut count = 0;
    let mut strongest = 0.0;
    let mut sizes = [0.0; MAX_LINES];
    for index in (lowest..POINTS / 2).filter(is_peak) {
        let (before, after) = (size(index - 1), size(index + 1));
        let offset = vertex(before, size(index), after);
        let found = size(index) - offset * (before - after) / 4.0;
        strongest = f64::max(strongest, found);
        let place = sizes[..count]
            .iter()
            .position(|other| found > *other)
            .unwrap_or(count);
        if place == MAX_LINES {
            continue;
        }
        count = (count + 1).min(MAX_LINES);
        sizes[place..count].rotate_right(1);
        lines[place..count].rotate_right(1);
        sizes[place] = found;
        lines[place] = Line {
            frequency_hz: hz_per_point * (index as f64 + offset),
            ..Line::default()
        };
    }
    // A sine of amplitude A sums to A·N/4 under this window, and keeps 3/8 of its energy A²·N/2.
    let explained = |size: &f64| 3.0 * size * size / WINDOW_SAMPLES as f64;
    let sizes = &sizes[..count];
    let is_most = sizes.iter().map(explained).sum::<f64>() >= FOR_A_FIT * energy;
    is_most.then(|| sizes.iter().filter(|size| **size >= MIN_PEAK * strongest).count())
}

/// Fits all lines together, with the least squares; gives the share of the energy that they leave. With `correct` the
/// frequencies move by what a first-order change of them would explain (Gauss and Newton's way).
fn fit(samples: &[i16; WINDOW_SAMPLES], lines: &mut [Line], correct: bool) -> Option<f64> {
    let each = if correct { 3 } else { 2 };
    let unknowns = each * lines.len();
    let mut matrix = [[0.0; MAX_UNKNOWNS]; MAX_UNKNOWNS];
    let mut right = [0.0; MAX_UNKNOWNS];
    let mut energy = 0.0;
    // Time from the middle of the window: frequency and phase are then independent.
    let middle = (WINDOW_SAMPLES as f64 - 1.0) / 2.0;
    let mut waves = [(0.0, 0.0, 0.0, 0.0); MAX_LINES];
    for (wave, line) in waves.iter_mut().zip(&*lines) {
        let turn = TAU * line.frequency_hz / f64::from(SAMPLE_RATE);
        let ((sin, cos), (turn_sin, turn_cos)) = ((-turn * middle).sin_cos(), turn.sin_cos());
        *wave = (cos, sin, turn_cos, turn_sin);
    }
    for (index, sample) in samples.iter().enumerate() {
        let (sample, time) = (f64::from(*sample), index as f64 - middle);
        let mut columns = [0.0; MAX_UNKNOWNS];
        for ((wave, line), columns) in waves.iter_mut().zip(&*lines).zip(columns.chunks_exact_mut(each)) {
            let (cos, sin, turn_cos, turn_sin) = *wave;
            columns[0] = cos;
            columns[1] = sin;
            if let Some(slope) = columns.get_mut(2) {
                *slope = time * (line.sin * cos - line.cos * sin);
            }
            wave.0 = cos * turn_cos - sin * turn_sin;
            wave.1 = sin * turn_cos + cos * turn_sin;
        }
        for (row, column) in columns[..unknowns].iter().enumerate() {
            right[row] += column * sample;
            for (entry, other) in matrix[row][..=row].iter_mut().zip(&columns) {
                *entry += column * other;
            }
        }
        energy += sample * sample;
    }
    let solution = solve(&mut matrix, right, unknowns)?;
    for (line, part) in lines.iter_mut().zip(solution.chunks_exact(each)) {
        (line.cos, line.sin) = (part[0], part[1]);
        line.energy = (part[0] * part[0] + part[1] * part[1]) * WINDOW_SAMPLES as f64 / 2.0;
        if let Some(turn) = part.get(2) {
            line.frequency_hz += turn * f64::from(SAMPLE_RATE) / TAU;
        }
    }
    let explained: f64 = solution
        .iter()
        .zip(&right)
        .map(|(part, right)| part * right)
        .sum();
    Some(1.0 - explained / energy.max(1.0))
}

/// Solves symmetric equations, of which the lower half is given, by Cholesky's way; `None` where two are the same.
fn solve(
    matrix: &mut [[f64; MAX_UNKNOWNS]; MAX_UNKNOWNS],
    mut right: [f64; MAX_UNKNOWNS],
    unknowns: usize,
) -> Option<[f64; MAX_UNKNOWNS]> {
    for row in 0..unknowns {
        for column in 0..=row {
            let known: f64 = (0..column).map(|at| matrix[row][at] * matrix[column][at]).sum();
            let entry = matrix[row][column] - known;
            matrix[row][column] = if row != column {
                entry / matrix[column][column]
            } else if entry > 1e-9 * matrix[row][row] {
                entry.sqrt()
            } else {
                return None;
            };
        }
        let known: f64 = (0..row).map(|at| matrix[row][at] * right[at]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    for row in (0..unknowns).rev() {
        let known: f64 = (row + 1..unknowns).map(|at| matrix[at][row] * right[at]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    Some(right)
}

/// Whether two tones are all there is, and are those of a digit.
fn is_digit(lines: &[Line]) -> bool {
    let energy: f64 = lines.iter().map(|line| line.energy).sum();
    let mut parts = lines.iter().filter(|line| line.energy >= MIN_PART * energy);
    let (Some(one), Some(other), None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_in = |group: &[f64], line: &Line| {
        group
            .iter()
            .any(|hz| (line.frequency_hz / hz - 1.0).abs() <= MAX_DIGIT_DEVIATION)
    };
    is_in(&ROWS_HZ, one) && is_in(&COLUMNS_HZ, other) || is_in(&ROWS_HZ, other) && is_in(&COLUMNS_HZ, one)
}
