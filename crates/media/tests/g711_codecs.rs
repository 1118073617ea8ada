//! G.711 by both laws, and the levels that go with it.

use callwright_media::codec::Codec;
use callwright_media::level::{FLOOR_DBM0, LevelMeter, level};
use callwright_media::tone::{Noise, Tones};
use callwright_sdp::Format;

const LAWS: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

fn through(codec: Codec, samples: &[i16]) -> Vec<i16> {
    let mut bytes = vec![0; samples.len()];
    assert_eq!(codec.encode(samples, &mut bytes), samples.len());
    let mut decoded = vec![0; bytes.len()];
    assert_eq!(codec.decode(&bytes, &mut decoded), bytes.len());
    decoded
}

/// The value of a µ-law code by ITU-T G.711 table 2, in 14 bits, scaled to 16.
fn by_the_table_of_mu_law(code: u8) -> i16 {
    let inverted = !code;
    let (segment, step) = (i32::from(inverted >> 4 & 7), i32::from(inverted & 15));
    let magnitude = (((2 * step + 33) << segment) - 33) * 4;
    (if inverted & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }) as i16
}

/// The value of an A-law code by ITU-T G.711 table 1, in 13 bits, scaled to 16.
fn by_the_table_of_a_law(code: u8) -> i16 {
    let even = code ^ 0x55;
    let (segment, step) = (i32::from(even >> 4 & 7), i32::from(even & 15));
    let magnitude = if segment == 0 {
        2 * step + 1
    } else {
        (2 * step + 33) << (segment - 1)
    } * 8;
    (if even & 0x80 == 0 { -magnitude } else { magnitude }) as i16
}

#[test]
fn every_code_decodes_as_the_table_says() {
    for code in 0..=255u8 {
        let mut sample = [0];
        Codec::Pcmu.decode(&[code], &mut sample);
        assert_eq!(sample[0], by_the_table_of_mu_law(code), "µ-law {code:#04x}");
        Codec::Pcma.decode(&[code], &mut sample);
        assert_eq!(sample[0], by_the_table_of_a_law(code), "A-law {code:#04x}");
    }
}

#[test]
fn every_value_that_the_codec_has_survives() {
    let codes: Vec<u8> = (0..=255).collect();
    for codec in LAWS {
        let mut values = [0; 256];
        codec.decode(&codes, &mut values);
        assert_eq!(through(codec, &values), values, "{}", codec.name());
    }
}

#[test]
fn every_sample_comes_back_within_half_a_step() {
    for codec in LAWS {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        for (sample, decoded) in samples.iter().zip(through(codec, &samples)) {
            let error = (i32::from(*sample) - i32::from(decoded)).abs();
            let magnitude = i32::from(*sample).abs();
            // A step is a sixteenth of its segment; above the last one everything is the last value.
            let bound = (magnitude / 32 + 9).max(magnitude - 32_124);
            assert!(error <= bound, "{} {sample} became {decoded}", codec.name());
        }
    }
}

#[test]
fn silence_is_silence() {
    for codec in LAWS {
        let mut decoded = [1; 4];
        codec.decode(&[codec.silence(); 4], &mut decoded);
        assert!(decoded.iter().all(|sample| sample.abs() <= 8));
        let mut encoded = [1];
        codec.encode(&[0], &mut encoded);
        assert_eq!(encoded, [codec.silence()]);
    }
}

#[test]
fn a_short_buffer_takes_what_fits() {
    let mut bytes = [0; 2];
    assert_eq!(Codec::Pcmu.encode(&[1, 2, 3], &mut bytes), 2);
    assert_eq!(Codec::Pcma.decode(&[1, 2], &mut [0]), 1);
    assert_eq!(Codec::Pcma.decode(&[], &mut [0]), 0);
}

#[test]
fn formats_name_their_codec() {
    assert_eq!(
        Codec::from_format(&Format::new(96, "pcma", 8000)),
        Some(Codec::Pcma)
    );
    assert_eq!(Codec::from_format(&Format::new(96, "PCMA", 16000)), None);
    assert_eq!(Codec::from_format(&Format::new(18, "G729", 8000)), None);
    for codec in LAWS {
        assert_eq!(Codec::from_format(&codec.format()), Some(codec));
        assert_eq!(codec.format().payload_type, codec.payload_type());
    }
}

#[test]
fn a_tone_has_the_level_that_was_asked_for() {
    for codec in LAWS {
        for wanted in [0.0, -10.0, -20.0, -40.0] {
            let mut samples = vec![0; 8000];
            Tones::single(1004.0, wanted)
                .expect("in range")
                .fill(&mut samples);
            assert!(
                (level(&samples) - wanted).abs() < 0.05,
                "{} dBm0",
                level(&samples)
            );
            let heard = level(&through(codec, &samples));
            assert!(
                (heard - wanted).abs() < 0.35,
                "{wanted} dBm0 reads {heard} through {}",
                codec.name()
            );
        }
    }
}

#[test]
fn g711_table_5_the_digital_milliwatt_is_0_dbm0() {
    // The sequence of codes of a 1 kHz sine of 0 dBm0, ITU-T G.711 tables 5 and 6.
    let a_law = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4];
    let mu_law = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e];
    for (codec, codes, tolerance) in [(Codec::Pcma, a_law, 0.02), (Codec::Pcmu, mu_law, 0.08)] {
        let mut samples = [0; 8];
        codec.decode(&codes, &mut samples);
        assert!(
            level(&samples).abs() < tolerance,
            "{} reads {}",
            codec.name(),
            level(&samples)
        );
    }
}

#[test]
fn tones_go_on_without_a_jump() {
    let mut whole = vec![0; 16_000];
    Tones::new(&[441.7, 1_999.0], -12.0)
        .expect("in range")
        .fill(&mut whole);
    let mut pieces = Tones::new(&[441.7, 1_999.0], -12.0).expect("in range");
    let mut joined = Vec::new();
    for length in [160, 1, 79, 240, 15_520] {
        let mut piece = vec![0; length];
        pieces.fill(&mut piece);
        joined.extend(piece);
    }
    let worst = whole.iter().zip(&joined).map(|(a, b)| (a - b).abs()).max();
    assert!(worst <= Some(1), "rounding may differ by one step, not {worst:?}");
}

#[test]
fn a_frequency_that_a_telephone_does_not_carry_is_refused() {
    for hz in [0.0, -440.0, 4000.0, f64::NAN, f64::INFINITY] {
        assert!(Tones::single(hz, -10.0).is_err(), "{hz} Hz");
    }
}

#[test]
fn noise_has_its_level_and_depends_on_its_seed() {
    let noise = |seed| {
        let mut samples = vec![0; 80_000];
        Noise::new(seed, -20.0).fill(&mut samples);
        samples
    };
    assert!((level(&noise(1)) + 20.0).abs() < 0.2, "{} dBm0", level(&noise(1)));
    assert_eq!(noise(1), noise(1));
    assert_ne!(noise(1), noise(2));
}

#[test]
fn the_meter_reads_every_20_ms_however_samples_come() {
    let mut samples = vec![0; 480];
    Tones::single(1000.0, -10.0)
        .expect("in range")
        .fill(&mut samples[160..320]);
    let mut meter = LevelMeter::default();
    let mut readings = Vec::new();
    for piece in samples.chunks(7) {
        meter.push(piece, |dbm0| readings.push(dbm0.round()));
    }
    assert_eq!(readings, [FLOOR_DBM0, -10.0, FLOOR_DBM0]);
    assert_eq!(meter.last_dbm0(), Some(FLOOR_DBM0));
    assert_eq!(LevelMeter::default().last_dbm0(), None);
}
