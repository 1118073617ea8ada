//! Digits as sound, at the limits of ITU-T Q.24, and what must not be taken for a digit.

use callwright_media::codec::Codec;
use callwright_media::dtmf_inband::{HeardDigit, InbandDtmf};
use callwright_media::tone::{DtmfDigit, DtmfGenerator, Noise, Tones};

const SECOND: usize = 8000;

/// Two tones, each with its own level.
fn pair(row_hz: f64, row_dbm0: f64, column_hz: f64, column_dbm0: f64, length: usize) -> Vec<i16> {
    let tone = |hz, dbm0| {
        let mut samples = vec![0; length];
        Tones::single(hz, dbm0).expect("in range").fill(&mut samples);
        samples
    };
    mix(&tone(row_hz, row_dbm0), &tone(column_hz, column_dbm0))
}

fn mix(one: &[i16], other: &[i16]) -> Vec<i16> {
    one.iter()
        .zip(other)
        .map(|(one, other)| one.saturating_add(*other))
        .collect()
}

fn noise(seed: u64, dbm0: f64, length: usize) -> Vec<i16> {
    let mut samples = vec![0; length];
    Noise::new(seed, dbm0).fill(&mut samples);
    samples
}

fn digit(digit: DtmfDigit, dbm0: f64, ms: usize) -> Vec<i16> {
    let (row, column) = digit.frequencies_hz();
    pair(row, dbm0, column, dbm0, ms * 8)
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 8]
}

fn listen(samples: &[i16]) -> Vec<HeardDigit> {
    let mut found = Vec::new();
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut bytes = vec![0; samples.len()];
        codec.encode(samples, &mut bytes);
        let mut decoded = vec![0; samples.len()];
        codec.decode(&bytes, &mut decoded);
        let mut of_this_law = Vec::new();
        let mut receiver = InbandDtmf::default();
        for packet in decoded.chunks(160) {
            receiver.push(packet, |digit| of_this_law.push(digit));
        }
        if codec == Codec::Pcma {
            assert_eq!(text(&found), text(&of_this_law), "both laws hear the same");
        }
        found = of_this_law;
    }
    found
}

fn text(found: &[HeardDigit]) -> String {
    found.iter().map(|heard| heard.digit.as_char()).collect()
}

/// A digit amid silence, beginning at any place within a packet and window.
fn heard_at_any_place(samples: &[i16]) -> Vec<String> {
    [0, 9, 20, 31, 39, 77, 133]
        .map(|start| {
            text(&listen(
                &[vec![0; 800 + start], samples.to_vec(), silence(100)].concat(),
            ))
        })
        .to_vec()
}

#[test]
fn all_digits_are_heard_with_40_ms_on_and_40_ms_off() {
    for lead in [0, 13, 40, 99] {
        let mut samples = vec![0; lead];
        for key in DtmfDigit::all() {
            samples.extend(digit(key, -10.0, 40));
            samples.extend(silence(40));
        }
        assert_eq!(text(&listen(&samples)), "123A456B789C*0#D");
    }
}

#[test]
fn all_digits_are_heard_at_both_ends_of_frequency_level_and_twist() {
    for key in DtmfDigit::all() {
        let (row, column) = key.frequencies_hz();
        for deviation in [-1.0, 1.0] {
            let off = |hz: f64| hz + deviation * (hz * 0.015 + 2.0);
            for (row_dbm0, column_dbm0) in [
                (-3.0, -3.0),
                (-25.0, -25.0),
                (-17.0, -25.0),
                (-6.0, -2.0),
                (-24.0, -20.0),
            ] {
                let samples = pair(off(row), row_dbm0, off(column), column_dbm0, 320);
                let expected = key.as_char().to_string();
                for heard in heard_at_any_place(&samples) {
                    assert_eq!(
                        heard, expected,
                        "{deviation:+}, {row_dbm0} and {column_dbm0} dBm0"
                    );
                }
            }
        }
        for deviation in [(-1.0, 1.0), (1.0, -1.0)] {
            let off = |hz: f64, by: f64| hz + by * (hz * 0.015 + 2.0);
            let samples = pair(off(row, deviation.0), -10.0, off(column, deviation.1), -10.0, 320);
            assert!(
                heard_at_any_place(&samples)
                    .iter()
                    .all(|heard| *heard == key.as_char().to_string())
            );
        }
    }
}

fn assert_none(samples: &[i16], what: &str) {
    for heard in heard_at_any_place(samples) {
        assert_eq!(heard, "", "{what}");
    }
}

#[test]
fn frequencies_that_are_too_far_off_are_refused() {
    for key in DtmfDigit::all() {
        let (row, column) = key.frequencies_hz();
        for factor in [0.965, 1.035] {
            assert_none(
                &pair(row * factor, -10.0, column, -10.0, 800),
                "the row is 3.5 % off",
            );
            assert_none(
                &pair(row, -10.0, column * factor, -10.0, 800),
                "the column is 3.5 % off",
            );
        }
    }
}

#[test]
fn what_is_soft_short_or_lopsided_is_refused() {
    for key in DtmfDigit::all() {
        let (row, column) = key.frequencies_hz();
        assert_none(&pair(row, -55.0, column, -55.0, 800), "−55 dBm0");
        assert_none(&digit(key, -10.0, 23), "23 ms");
        assert_none(
            &pair(row, -20.0, column, -8.0, 800),
            "the column is 12 dB stronger",
        );
        assert_none(&pair(row, -8.0, column, -23.0, 800), "the column is 15 dB weaker");
    }
}

#[test]
fn one_tone_or_three_are_no_digit() {
    let mut samples = vec![0; 1600];
    for hz in [697.0, 941.0, 1209.0, 1477.0, 440.0, 1100.0, 2100.0] {
        Tones::single(hz, -10.0).expect("in range").fill(&mut samples);
        assert_none(&samples, "one tone");
    }
    for frequencies in [
        [350.0, 440.0],
        [440.0, 480.0],
        [480.0, 620.0],
        [697.0, 770.0],
        [1209.0, 1336.0],
    ] {
        Tones::new(&frequencies, -13.0)
            .expect("in range")
            .fill(&mut samples);
        assert_none(&samples, "tones of the exchange, and two of one group");
    }
    Tones::new(&[697.0, 852.0, 1209.0], -13.0)
        .expect("in range")
        .fill(&mut samples);
    assert_none(&samples, "two rows");
}

#[test]
fn an_interruption_of_10_ms_does_not_double_a_digit() {
    for key in DtmfDigit::all() {
        let samples = [digit(key, -10.0, 60), silence(10), digit(key, -10.0, 60)].concat();
        assert!(
            heard_at_any_place(&samples)
                .iter()
                .all(|heard| *heard == key.as_char().to_string())
        );
    }
}

#[test]
fn a_held_digit_is_one_digit() {
    let key = DtmfDigit::new('5').expect("a key");
    assert_eq!(text(&listen(&digit(key, -10.0, 5000))), "5");
}

#[test]
fn digits_without_a_pause_are_told_apart_when_they_differ() {
    let keys = ['1', '9', '#', '4'].map(|key| DtmfDigit::new(key).expect("a key"));
    let samples = keys.map(|key| digit(key, -10.0, 80)).concat();
    assert_eq!(text(&listen(&[samples, silence(50)].concat())), "19#4");
}

#[test]
fn digits_are_heard_through_noise_15_db_below() {
    for seed in 0..5 {
        let mut samples = Vec::new();
        for key in DtmfDigit::all() {
            samples.extend(digit(key, -20.0, 50));
            samples.extend(silence(50));
        }
        let samples = mix(&samples, &noise(seed, -32.0, samples.len()));
        assert_eq!(text(&listen(&samples)), "123A456B789C*0#D", "seed {seed}");
    }
}

#[test]
fn the_generator_is_understood() {
    for (on_ms, gap_ms) in [(40, 40), (50, 50), (100, 100), (250, 60)] {
        let mut generator = DtmfGenerator::new(on_ms, gap_ms, -8.0);
        DtmfDigit::all().for_each(|digit| generator.press(digit));
        let mut samples = Vec::new();
        while !generator.is_idle() {
            let mut packet = [0; 160];
            generator.fill(&mut packet);
            samples.extend(packet);
        }
        let found = listen(&samples);
        assert_eq!(text(&found), "123A456B789C*0#D");
        for (index, heard) in found.iter().enumerate() {
            let began = index as u64 * u64::from(on_ms + gap_ms) * 8;
            assert!(
                heard.at_sample.abs_diff(began) <= 48,
                "{heard:?} began at {began}"
            );
        }
    }
}

#[test]
fn the_generator_fills_silence_once_idle() {
    let mut generator = DtmfGenerator::new(10, 5, -8.0);
    generator.press(DtmfDigit::new('d').expect("a key"));
    let mut samples = [1; 160];
    assert_eq!(generator.fill(&mut samples), 120);
    assert!(generator.is_idle() && samples[80..] == [0; 80]);
    assert_eq!(generator.fill(&mut samples), 0);
}

#[test]
fn only_keys_of_a_telephone_are_digits() {
    assert_eq!(DtmfDigit::new('a').map(DtmfDigit::as_char), Some('A'));
    assert!(
        ['E', ' ', ',', 'é', '\0']
            .iter()
            .all(|key| DtmfDigit::new(*key).is_none())
    );
    assert_eq!(DtmfDigit::all().count(), 16);
}

#[test]
fn noise_has_no_digits() {
    for seed in 0..10 {
        assert_eq!(text(&listen(&noise(seed, -15.0, 20 * SECOND))), "", "seed {seed}");
    }
}

#[test]
fn a_voice_has_no_digits() {
    for (seed, pitch) in [
        (1, 95.0),
        (2, 120.0),
        (3, 150.0),
        (4, 190.0),
        (5, 220.0),
        (6, 260.0),
    ] {
        assert_eq!(
            text(&listen(&voice::voice(seed, pitch, 20))),
            "",
            "pitch {pitch} Hz"
        );
    }
}

mod voice;
