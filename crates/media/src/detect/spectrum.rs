//! The spectrum of a piece of audio, and its peaks.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// The most points that are transformed.
const MAX_POINTS: usize = 4096;

/// The roots of unity of the longest transform, half a turn of them.
static TURNS: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| {
    (0..MAX_POINTS / 2)
        .map(|index| (-2.0 * PI * index as f64 / MAX_POINTS as f64).sin_cos())
        .collect()
});

/// The discrete Fourier transform in place, for a power of two of points up to 4096: Cooley and Tukey's, radix 2.
pub(super) fn transform(points: &mut [(f64, f64)]) {
    let bits = points.len().trailing_zeros();
    for index in 0..points.len() {
        let mirrored = index.reverse_bits() >> (usize::BITS - bits);
        if index < mirrored {
            points.swap(index, mirrored);
        }
    }
    let mut half = 1;
    while half < points.len() {
        let turns = TURNS.iter().step_by(MAX_POINTS / (2 * half));
        for group in points.chunks_exact_mut(2 * half) {
            let (even, odd) = group.split_at_mut(half);
            for ((even, odd), (sin, cos)) in even.iter_mut().zip(odd).zip(turns.clone()) {
                let turned = (odd.0 * cos - odd.1 * sin, odd.0 * sin + odd.1 * cos);
                *odd = (even.0 - turned.0, even.1 - turned.1);
                *even = (even.0 + turned.0, even.1 + turned.1);
            }
        }
        half *= 2;
    }
}

/// Where between −0.5 and 0.5 the parabola through three values has its top.
pub(super) fn vertex(before: f64, top: f64, after: f64) -> f64 {
    let curvature = before - 2.0 * top + after;
    if curvature < 0.0 {
        (0.5 * (before - after) / curvature).clamp(-0.5, 0.5)
    } else {
        0.0
    }
}
