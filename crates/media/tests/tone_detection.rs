//! What is heard and what is not: frequency, level, share, duration, gaps, noise, voice.

use callwright_media::codec::Codec;
use callwright_media::detect::{Heard, SilenceDetector, ToneDetector, strongest};
use callwright_media::level::level;
use callwright_media::tone::{Noise, Tones};

mod voice;
use voice::voice;

const SECOND: usize = 8000;

fn tones(frequencies_hz: &[f64], level_dbm0: f64, length: usize) -> Vec<i16> {
    let mut samples = vec![0; length];
    Tones::new(frequencies_hz, level_dbm0)
        .expect("in range")
        .fill(&mut samples);
    samples
}

fn noise(seed: u64, level_dbm0: f64, length: usize) -> Vec<i16> {
    let mut samples = vec![0; length];
    Noise::new(seed, level_dbm0).fill(&mut samples);
    samples
}

fn mix(one: &[i16], other: &[i16]) -> Vec<i16> {
    one.iter()
        .zip(other)
        .map(|(one, other)| one.saturating_add(*other))
        .collect()
}

fn through(codec: Codec, samples: &[i16]) -> Vec<i16> {
    let mut bytes = vec![0; samples.len()];
    codec.encode(samples, &mut bytes);
    let mut decoded = vec![0; samples.len()];
    codec.decode(&bytes, &mut decoded);
    decoded
}

/// Listens to packets of 20 ms.
fn listen(wanted_hz: f64, samples: &[i16]) -> Option<Heard> {
    let mut detector = ToneDetector::new(wanted_hz).expect("in range");
    samples.chunks(160).find_map(|packet| detector.push(packet))
}

#[test]
fn a_tone_is_heard_on_every_frequency_level_and_law() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        for wanted in [100.0, 300.0, 425.0, 440.0, 1004.0, 2100.0, 3400.0, 3900.0] {
            for offset in [-10.0, -5.0, 0.0, 3.3, 10.0] {
                for dbm0 in [3.0, -10.0, -25.0, -40.0] {
                    let samples = through(codec, &tones(&[wanted + offset], dbm0, 1600));
                    let heard = listen(wanted, &samples)
                        .unwrap_or_else(|| panic!("{wanted} {offset:+} Hz at {dbm0} dBm0, {}", codec.name()));
                    assert!((heard.frequency_hz - wanted - offset).abs() < 1.0, "{heard:?}");
                    assert!((heard.level_dbm0 - dbm0).abs() < 0.6, "{heard:?}");
                    assert!(heard.share > 0.95, "{heard:?}");
                }
            }
        }
    }
}

#[test]
fn a_tone_beside_it_is_not_heard() {
    for wanted in [300.0, 440.0, 1004.0, 3400.0] {
        for offset in [
            12.0, 15.0, 20.0, 30.0, 40.0, 45.0, 50.0, 60.0, 80.0, 95.0, 100.0, 110.0, 200.0,
        ] {
            for offset in [-offset, offset] {
                let samples = tones(&[wanted + offset], -10.0, 2 * SECOND);
                assert_eq!(
                    listen(wanted, &samples),
                    None,
                    "{wanted} Hz, {offset:+} Hz beside"
                );
            }
        }
    }
}

#[test]
fn a_tone_that_is_too_soft_is_not_heard() {
    for dbm0 in [-41.0, -45.0, -55.0, -70.0] {
        assert_eq!(listen(440.0, &tones(&[440.0], dbm0, SECOND)), None, "{dbm0} dBm0");
    }
    assert_eq!(listen(440.0, &vec![0; SECOND]), None);
}

#[test]
fn a_tone_must_last_100_ms() {
    for start in [0, 13, 40, 79, 80, 155] {
        let burst = |ms: usize| {
            let mut samples = vec![0; start];
            samples.extend(tones(&[440.0], -10.0, ms * 8));
            samples.resize(SECOND, 0);
            listen(440.0, &samples)
        };
        assert_eq!(burst(80), None, "80 ms after {start} samples");
        assert!(burst(110).is_some(), "110 ms after {start} samples");
    }
    let heard = listen(440.0, &tones(&[440.0], -10.0, SECOND)).expect("a tone");
    assert_eq!(heard.at_sample, 800);
}

#[test]
fn each_of_five_mixed_tones_is_heard() {
    let frequencies = [350.0, 620.0, 1004.0, 1700.0, 2600.0];
    for count in 2..=5 {
        let samples = through(Codec::Pcma, &tones(&frequencies[..count], -16.0, SECOND));
        for wanted in &frequencies[..count] {
            let heard = listen(*wanted, &samples).unwrap_or_else(|| panic!("{wanted} Hz among {count}"));
            assert!((heard.share - 1.0 / count as f64).abs() < 0.04, "{heard:?}");
            assert!(heard.at_sample <= 3200, "{heard:?}");
        }
        for absent in &frequencies[count..] {
            assert_eq!(
                listen(*absent, &samples),
                None,
                "{absent} Hz is not among {count}"
            );
        }
    }
}

#[test]
fn each_tone_of_a_short_mix_is_heard() {
    // Dial tone, ringing and busy in North America, ringing in the UK, and what a conference mixes.
    let mixes: [&[f64]; 8] = [
        &[350.0, 440.0],
        &[440.0, 480.0],
        &[480.0, 620.0],
        &[400.0, 450.0],
        &[440.0, 620.0],
        &[440.0, 880.0],
        &[440.0, 620.0, 1004.0],
        &[350.0, 620.0, 1004.0, 1700.0, 2600.0],
    ];
    for frequencies in mixes {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for ms in [110, 160, 250] {
                for start in [0, 79, 155] {
                    for dbm0 in [-13.0, -39.5] {
                        let mut samples = vec![0; start];
                        samples.extend(tones(frequencies, dbm0, ms * 8));
                        samples.extend([0; 200]);
                        let samples = through(codec, &samples);
                        for wanted in frequencies {
                            let what =
                                format!("{wanted} Hz of {frequencies:?}, {ms} ms from {start}, {dbm0} dBm0");
                            let heard = listen(*wanted, &samples).unwrap_or_else(|| panic!("{what}"));
                            assert!((heard.frequency_hz - wanted).abs() < 1.0, "{what}: {heard:?}");
                            assert!((heard.level_dbm0 - dbm0).abs() < 0.6, "{what}: {heard:?}");
                        }
                        for absent in [300.0, 400.0, 530.0, 700.0, 1300.0] {
                            if start == 0 && frequencies.iter().all(|hz| (hz - absent).abs() > 15.0) {
                                assert_eq!(
                                    listen(absent, &samples),
                                    None,
                                    "{absent} Hz is not in {frequencies:?}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_mix_must_last_100_ms_and_each_tone_have_its_share_and_place() {
    let listen_to = |wanted: f64, one: Vec<i16>, other: Vec<i16>| {
        let mut samples = mix(&one, &other);
        samples.resize(SECOND, 0);
        listen(wanted, &samples)
    };
    let ms = |hz: f64, dbm0: f64, ms: usize| tones(&[hz], dbm0, ms * 8);
    assert_eq!(listen_to(440.0, ms(440.0, -13.0, 80), ms(350.0, -13.0, 80)), None);
    // A tenth of the energy, too soft, and beside it.
    assert_eq!(
        listen_to(440.0, ms(440.0, -20.0, 250), ms(350.0, -10.5, 250)),
        None
    );
    assert_eq!(
        listen_to(440.0, ms(440.0, -41.5, 250), ms(350.0, -41.5, 250)),
        None
    );
    for offset in [-30.0, -20.0, -12.0, 12.0, 20.0, 30.0] {
        let beside = listen_to(440.0, ms(440.0 + offset, -13.0, 250), ms(620.0, -13.0, 250));
        assert_eq!(beside, None, "{offset:+} Hz beside");
    }
    for offset in [-9.5, 9.5] {
        let near = listen_to(440.0, ms(440.0 + offset, -13.0, 110), ms(620.0, -13.0, 110));
        assert!(near.is_some(), "{offset:+} Hz");
    }
}

#[test]
fn a_digit_is_no_tone() {
    let (rows, columns) = ([697.0, 770.0, 852.0, 941.0], [1209.0, 1336.0, 1477.0, 1633.0]);
    for row in rows {
        for column in columns {
            for error in [0.0, 0.015] {
                let mut samples = tones(&[row * (1.0 + error), column * (1.0 - error)], -9.0, 250 * 8);
                samples.resize(SECOND, 0);
                for wanted in [row, column + 5.0] {
                    assert_eq!(
                        listen(wanted, &samples),
                        None,
                        "{wanted} Hz in {row} + {column} Hz"
                    );
                }
            }
        }
    }
}

#[test]
fn neighbours_are_told_apart() {
    // Ringing in North America, and a pair that is closer still.
    for pair in [[440.0, 480.0], [440.0, 470.0]] {
        let samples = tones(&pair, -13.0, SECOND);
        for wanted in pair {
            let heard = listen(wanted, &samples).unwrap_or_else(|| panic!("{wanted} of {pair:?}"));
            assert!((heard.frequency_hz - wanted).abs() < 3.0, "{heard:?}");
        }
        assert_eq!(listen(pair[1] + 40.0, &samples), None);
    }
}

#[test]
fn a_tenth_of_the_energy_is_not_enough() {
    let samples = mix(&tones(&[440.0], -20.0, SECOND), &tones(&[1004.0], -10.0, SECOND));
    assert_eq!(listen(440.0, &samples), None);
    assert!(listen(1004.0, &samples).is_some());
}

#[test]
fn a_tone_is_heard_through_noise_up_to_four_times_its_energy() {
    for seed in 0..20 {
        for ratio_db in [-5.0, 0.0, 10.0] {
            for offset in [-8.0, 0.0, 8.0] {
                let tone = tones(&[440.0 + offset], -20.0, SECOND);
                let samples = mix(&tone, &noise(seed, -20.0 - ratio_db, SECOND));
                let heard = listen(440.0, &samples)
                    .unwrap_or_else(|| panic!("{offset:+} Hz, {ratio_db} dB above the noise, seed {seed}"));
                assert!((heard.frequency_hz - 440.0 - offset).abs() < 3.0, "{heard:?}");
            }
        }
        let samples = mix(&tones(&[470.0], -20.0, SECOND), &noise(seed, -20.0, SECOND));
        assert_eq!(listen(440.0, &samples), None, "30 Hz beside, seed {seed}");
    }
}

#[test]
fn a_tone_is_heard_through_lost_packets() {
    // Which of each ten packets of 20 ms arrive.
    let patterns = [
        "1111011110",
        "1110111011",
        "1101101101",
        "1010101010",
        "0111100111",
        "1111100000",
        "1100110011",
    ];
    for pattern in patterns {
        for shift in [0, 37, 80, 120] {
            let arrives = |index: usize| pattern.as_bytes()[(index + shift) / 160 % 10] == b'1';
            let lose = |samples: &[i16]| -> Vec<i16> {
                let lost = |(index, sample): (usize, &i16)| if arrives(index) { *sample } else { 0 };
                samples.iter().enumerate().map(lost).collect()
            };
            for offset in [-9.0, 0.0, 9.0] {
                let samples = lose(&tones(&[440.0 + offset], -15.0, SECOND));
                assert!(
                    listen(440.0, &samples).is_some(),
                    "{pattern} from {shift}, {offset:+} Hz"
                );
            }
            for offset in [
                20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 47.0, 50.0, 55.0, 60.0, 75.0, 100.0,
            ] {
                for offset in [-offset, offset] {
                    let samples = lose(&tones(&[440.0 + offset], -15.0, 2 * SECOND));
                    assert_eq!(
                        listen(440.0, &samples),
                        None,
                        "{pattern} from {shift}, {offset:+} Hz beside"
                    );
                }
            }
        }
    }
}

#[test]
fn noise_is_no_tone() {
    for seed in 0..10 {
        let samples = noise(seed, -15.0, 20 * SECOND);
        for wanted in [100.0, 440.0, 1004.0, 2000.0] {
            assert_eq!(listen(wanted, &samples), None, "seed {seed}");
        }
    }
}

#[test]
fn a_voice_is_no_tone() {
    let mut listened = 0;
    for (seed, pitch) in [
        (1, 95.0),
        (2, 120.0),
        (3, 150.0),
        (4, 190.0),
        (5, 220.0),
        (6, 260.0),
    ] {
        let samples = voice(seed, pitch, 20);
        assert!(level(&samples) > -30.0, "{}", level(&samples));
        for wanted in (300..1500).step_by(70) {
            let wanted = f64::from(wanted);
            assert_eq!(
                listen(wanted, &samples),
                None,
                "pitch {pitch} Hz, listening for {wanted} Hz"
            );
            listened += 1;
        }
    }
    assert_eq!(listened, 108);
}

#[test]
fn a_voice_is_none_of_the_tones_that_telephones_know() {
    for (seed, pitch) in [
        (11, 90.0),
        (12, 110.0),
        (13, 135.0),
        (14, 160.0),
        (15, 205.0),
        (16, 240.0),
    ] {
        let samples = voice(seed, pitch, 20);
        for wanted in [350.0, 400.0, 425.0, 440.0, 480.0, 620.0, 1004.0] {
            assert_eq!(
                listen(wanted, &samples),
                None,
                "pitch {pitch} Hz, listening for {wanted} Hz"
            );
        }
    }
}

#[test]
fn a_tone_is_heard_beside_a_voice() {
    let samples = mix(&voice(3, 150.0, 2), &tones(&[1004.0], -18.0, 2 * SECOND));
    assert!(listen(1004.0, &samples).is_some());
}

#[test]
fn what_is_heard_does_not_depend_on_how_samples_come() {
    let samples = mix(&tones(&[440.0], -20.0, SECOND), &noise(3, -18.0, SECOND));
    let whole = ToneDetector::new(440.0).expect("in range").push(&samples);
    assert!(whole.is_some());
    for length in [1, 7, 80, 160, 333] {
        let mut detector = ToneDetector::new(440.0).expect("in range");
        assert_eq!(
            samples.chunks(length).find_map(|piece| detector.push(piece)),
            whole
        );
        assert_eq!(detector.heard(), whole);
    }
}

#[test]
fn the_strongest_frequency_is_named() {
    for hz in [62.0, 440.0, 1003.7, 2998.0, 3800.0] {
        let samples = through(
            Codec::Pcmu,
            &mix(&tones(&[hz], -20.0, SECOND), &noise(1, -30.0, SECOND)),
        );
        let found = strongest(&samples).expect("sound");
        assert!((found.frequency_hz - hz).abs() < 2.0, "{hz} Hz: {found:?}");
        assert!((found.level_dbm0 + 20.0).abs() < 0.5, "{found:?}");
        assert!((found.total_dbm0 + 19.6).abs() < 0.5, "{found:?}");
    }
}

#[test]
fn the_strongest_frequency_is_looked_for_where_it_is_loud() {
    let mut samples = vec![0; 3 * SECOND];
    samples[12_345..14_345].copy_from_slice(&tones(&[620.0], -12.0, 2000));
    let found = strongest(&samples).expect("sound");
    assert!(
        (found.frequency_hz - 620.0).abs() < 2.0 && (found.level_dbm0 + 12.0).abs() < 0.5,
        "{found:?}"
    );
}

#[test]
fn silence_and_too_little_have_no_strongest_frequency() {
    assert_eq!(strongest(&vec![0; SECOND]), None);
    assert_eq!(strongest(&tones(&[440.0], -70.0, SECOND)), None);
    assert_eq!(strongest(&tones(&[440.0], -10.0, 100)), None);
    assert_eq!(strongest(&[]), None);
}

#[test]
fn silence_must_last() {
    let mut detector = SilenceDetector::new(-50.0, 500);
    assert!(!detector.push(&noise(1, -60.0, 3840)));
    assert!(!detector.push(&tones(&[440.0], -45.0, 160)));
    assert!(!detector.push(&[0; 3840]));
    assert_eq!((detector.quiet_ms(), detector.loud_ms()), (480, 20));
    assert!(detector.push(&[0; 160]));
    assert!((detector.loudest_dbm0() + 45.0).abs() < 0.5);
}
