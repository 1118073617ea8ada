//! Sounds for who waits, where nobody gave any: a melody, and a way to say a number.

use std::f64::consts::TAU;
use std::sync::{Arc, OnceLock};

use crate::codec::SAMPLE_RATE;
use crate::level::peak_of;
use crate::tone::{Rotation, to_sample};

/// 600 ms.
const BEAT: usize = 4_800;
/// How loud a note begins, in dBm0; two or three of them sound at once.
const LEVEL_DBM0: f64 = -21.0;
/// The partials of a note, by their strength: a soft bell.
const PARTIALS: [f64; 3] = [1.0, 0.28, 0.08];
/// A note has lost two thirds of its strength after so many samples: 450 ms.
const DECAY: f64 = 3_600.0;
/// It comes up within 10 ms, goes within the last 100, and is gone after 1.8 s.
const ATTACK: f64 = 80.0;
const RELEASE: f64 = 800.0;
const NOTE: usize = 14_400;

/// No note begins here.
const REST: i32 = i32::MIN;
/// A bass note for each bar, in semitones above A3 (220 Hz), and four beats of melody above it.
const BARS: [(i32, [i32; 4]); 8] = [
    (-9, [7, 10, 15, 10]),
    (-12, [12, 7, 3, 7]),
    (-4, [8, 12, 15, 12]),
    (-2, [10, 5, 14, 10]),
    (-9, [15, 10, 7, 10]),
    (-12, [7, 12, 15, REST]),
    (-4, [15, 12, 8, 5]),
    (-9, [7, 10, 3, 7]),
];

/// A melody of 19 s for who waits, at 8 kHz; played in a loop it goes on without a seam. It is computed, so that nobody has
/// rights in it, and only once: all who hear it share it.
#[must_use]
pub fn melody() -> Arc<[i16]> {
    static MELODY: OnceLock<Arc<[i16]>> = OnceLock::new();
    Arc::clone(MELODY.get_or_init(compose))
}

fn compose() -> Arc<[i16]> {
    let mut sum = vec![0.0; BARS.len() * 4 * BEAT];
    for (start, (bass, notes)) in (0..).step_by(4 * BEAT).zip(BARS) {
        strike(&mut sum, start, bass, 0.8);
        strike(&mut sum, start + 2 * BEAT, bass + 12, 0.5);
        let beats = (start..).step_by(BEAT).zip(notes);
        for (at, note) in beats.filter(|(_, note)| *note != REST) {
            strike(&mut sum, at, note, 1.0);
        }
    }
    sum.into_iter().map(to_sample).collect()
}

/// Adds a note; what rings beyond the end rings at the beginning, which follows it.
fn strike(sum: &mut [f64], start: usize, semitones: i32, strength: f64) {
    let hz = 220.0 * 2f64.powf(f64::from(semitones) / 12.0);
    let peak = peak_of(LEVEL_DBM0) * strength;
    let length = sum.len();
    let mut partials = [1.0, 2.0, 3.0].map(|multiple| Rotation::new(multiple * hz));
    let (mut left, decay) = (peak, (-1.0 / DECAY).exp());
    for at in 0..NOTE {
        let edges = (at as f64 / ATTACK).min((NOTE - at) as f64 / RELEASE).min(1.0);
        let parts = partials.iter_mut().zip(PARTIALS);
        let wave: f64 = parts.map(|(partial, part)| part * partial.step().1).sum();
        sum[(start + at) % length] += left * edges * wave;
        left *= decay;
    }
}

/// The largest number that [`pips`] tells.
pub const MOST_PIPS: u32 = 999;

/// A number told by tones, at 8 kHz: a long low one for each hundred, a middle one for each ten, and a short high one for each
/// unit. Zero is told as one, and more than [`MOST_PIPS`] as that.
#[must_use]
pub fn pips(number: u32) -> Vec<i16> {
    let number = number.clamp(1, MOST_PIPS);
    let mut samples = vec![0; 1_600];
    for (count, hz, millis) in [
        (number / 100, 330.0, 500),
        (number / 10 % 10, 494.0, 300),
        (number % 10, 880.0, 120),
    ] {
        for _ in 0..count {
            pip(&mut samples, hz, millis * 8);
        }
    }
    samples.resize(samples.len() + 1_600, 0);
    samples
}

fn pip(samples: &mut Vec<i16>, hz: f64, length: usize) {
    let peak = peak_of(-12.0);
    samples.extend((0..length).map(|at| {
        let edge = (at.min(length - at) as f64 / 80.0).min(1.0);
        to_sample(peak * edge * (TAU * hz * at as f64 / f64::from(SAMPLE_RATE)).sin())
    }));
    samples.resize(samples.len() + 1_200, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::level;

    #[test]
    fn the_melody_is_as_loud_as_music_on_hold_and_never_clipped() {
        let melody = melody();
        assert_eq!(melody.len(), 153_600);
        let loud = level(&melody);
        assert!((-26.0..=-16.0).contains(&loud), "{loud}");
        assert!(melody.iter().all(|sample| sample.unsigned_abs() < 16_000));
        for second in melody.chunks(8_000) {
            assert!(level(second) > -36.0, "{}", level(second));
        }
    }

    #[test]
    fn the_melody_has_no_seam() {
        let melody = melody();
        let step = |pair: (&i16, &i16)| i32::from(*pair.0).abs_diff(i32::from(*pair.1));
        let within = melody.iter().zip(&melody[1..]).map(step).max();
        let seam = step((&melody[melody.len() - 1], &melody[0]));
        assert!(Some(seam) < within, "{seam} {within:?}");
    }

    #[test]
    fn a_number_is_told_by_its_digits() {
        let bursts = |number| {
            let samples = pips(number);
            let loud: Vec<bool> = samples.chunks(160).map(|part| level(part) > -40.0).collect();
            loud.windows(2).filter(|pair| pair == &[true, false]).count()
        };
        assert_eq!([0, 1, 3, 10, 23, 999, 5_000].map(bursts), [1, 1, 3, 1, 5, 27, 27]);
    }
}
