//! WAV files in and out: every width and rate, files that are none, recordings that break off.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use callwright_media::detect::strongest;
use callwright_media::level::level;
use callwright_media::resample::Resampler;
use callwright_media::wav::{ReadError, Recorder, read};
use hound::{SampleFormat, WavSpec, WavWriter};
use proptest::prelude::*;

fn spec(rate: u32, bits: u16, format: SampleFormat, channels: u16) -> WavSpec {
    WavSpec {
        channels,
        sample_rate: rate,
        bits_per_sample: bits,
        sample_format: format,
    }
}

/// A file with a sine of −13 dBm0 on the left, and silence on the right where there is one.
fn sine(spec: WavSpec, hz: f64, seconds: f64) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).expect("a writer");
    let full_scale = (1i64 << (spec.bits_per_sample - 1)) as f64;
    for n in 0..(seconds * f64::from(spec.sample_rate)) as u64 {
        let value = 0.156 * (std::f64::consts::TAU * hz * n as f64 / f64::from(spec.sample_rate)).sin();
        for channel in 0..spec.channels {
            let value = if channel == 0 { value } else { 0.0 };
            let written = match spec.sample_format {
                SampleFormat::Float => writer.write_sample(value as f32),
                SampleFormat::Int => writer.write_sample((value * full_scale).round() as i32),
            };
            written.expect("a sample");
        }
    }
    writer.finalize().expect("a file");
    file.into_inner()
}

fn assert_tone(samples: &[i16], hz: f64, dbm0: f64, what: &str) {
    let found = strongest(samples).unwrap_or_else(|| panic!("{what}: silence"));
    assert!((found.frequency_hz - hz).abs() < 2.0, "{what}: {found:?}");
    assert!((found.level_dbm0 - dbm0).abs() < 0.2, "{what}: {found:?}");
    assert!((found.total_dbm0 - dbm0).abs() < 0.3, "{what}: {found:?}");
}

#[test]
fn every_width_is_read() {
    for (bits, format) in [
        (8, SampleFormat::Int),
        (16, SampleFormat::Int),
        (24, SampleFormat::Int),
    ]
    .into_iter()
    .chain([(32, SampleFormat::Int), (32, SampleFormat::Float)])
    {
        for (channels, dbm0) in [(1, -13.0), (2, -19.0)] {
            let what = format!("{bits} bits, {format:?}, {channels} channels");
            let samples = read(&sine(spec(8000, bits, format, channels), 440.0, 0.5)[..]).expect(&what);
            assert_eq!(samples.len(), 4000, "{what}");
            assert_tone(&samples, 440.0, dbm0, &what);
        }
    }
}

#[test]
fn every_rate_is_read() {
    let rates = [
        6000, 8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000,
    ];
    for rate in rates.into_iter().chain([8001, 44_056, 47_999]) {
        let what = format!("{rate} Hz");
        for hz in [300.0, 1004.0, f64::from(rate.min(8000)) * 0.42] {
            let samples = read(&sine(spec(rate, 16, SampleFormat::Int, 1), hz, 0.5)[..]).expect(&what);
            assert!(
                samples.len().abs_diff(4000) <= 1,
                "{what}: {} samples",
                samples.len()
            );
            assert_tone(&samples, hz, -13.0, &what);
        }
    }
}

#[test]
fn nothing_folds_back_into_the_telephone_band() {
    for rate in [11_025, 16_000, 44_100, 48_000, 96_000] {
        for hz in [4100.0, 4500.0, 5000.0, 7000.0, 12_100.0, 23_000.0] {
            if hz < f64::from(rate) / 2.0 {
                let samples = read(&sine(spec(rate, 24, SampleFormat::Int, 1), hz, 0.5)[..]).expect("a file");
                // The ends of the file are steps, which hold all frequencies.
                let inner = level(&samples[400..3600]);
                assert!(inner < -13.0 - 65.0, "{hz} Hz at {rate} Hz leaves {inner} dBm0");
            }
        }
    }
}

#[test]
fn a_sample_of_8_khz_is_unchanged() {
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec(8000, 16, SampleFormat::Int, 1)).expect("a writer");
    let samples = [0, 1, -1, 1000, i16::MAX, i16::MIN, 5, 0, -32_000, 32_000];
    samples
        .iter()
        .for_each(|sample| writer.write_sample(*sample).expect("a sample"));
    writer.finalize().expect("a file");
    assert_eq!(read(&file.get_ref()[..]).expect("a file"), samples);
}

#[test]
fn floats_beyond_full_scale_and_beyond_numbers_do_no_harm() {
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec(8000, 32, SampleFormat::Float, 1)).expect("a writer");
    for sample in [0.0f32, 2.0, -2.0, f32::NAN, f32::INFINITY, 0.5] {
        writer.write_sample(sample).expect("a sample");
    }
    writer.finalize().expect("a file");
    assert_eq!(
        read(&file.get_ref()[..]).expect("a file"),
        [0, i16::MAX, i16::MIN, 0, 0, 16_384]
    );
}

#[test]
fn a_file_that_breaks_off_is_taken_as_far_as_it_goes() {
    let whole = sine(spec(8000, 16, SampleFormat::Int, 2), 440.0, 0.5);
    let samples = read(&whole[..whole.len() / 2 + 1]).expect("half a file");
    assert!((1900..2100).contains(&samples.len()), "{}", samples.len());
}

fn error(file: &[u8]) -> String {
    read(file).expect_err("no audio").to_string()
}

#[test]
fn what_is_no_audio_says_so() {
    assert!(error(b"").contains("not a WAV file: it ends within the header"));
    assert!(error(b"ID3\x03 an mp3 file").contains("not a WAV file: no RIFF tag found"));
    assert!(error(b"RIFF").contains("not a WAV file"));
    let empty = sine(spec(8000, 16, SampleFormat::Int, 1), 440.0, 0.0);
    assert!(matches!(read(&empty[..]), Err(ReadError::Empty)));
    let mut a_law = sine(spec(8000, 16, SampleFormat::Int, 1), 440.0, 0.1);
    a_law[20] = 6;
    assert!(
        matches!(read(&a_law[..]), Err(ReadError::Compressed)),
        "{}",
        error(&a_law)
    );
    let three = sine(spec(8000, 16, SampleFormat::Int, 3), 440.0, 0.1);
    assert!(matches!(read(&three[..]), Err(ReadError::Channels(3))));
    let slow = sine(spec(100, 16, SampleFormat::Int, 1), 10.0, 1.0);
    assert!(matches!(read(&slow[..]), Err(ReadError::Rate(100))));
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "permission denied",
            ))
        }
    }
    let refused = read(Broken).expect_err("no file");
    assert!(matches!(refused, ReadError::Io(_)) && refused.to_string().contains("permission denied"));
}

/// An output that several can look at.
#[derive(Clone, Default)]
struct Shared(std::rc::Rc<std::cell::RefCell<Cursor<Vec<u8>>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Shared {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.0.borrow_mut().seek(place)
    }
}

impl Shared {
    fn channels(&self) -> [Vec<i16>; 2] {
        let bytes = self.0.borrow().get_ref().clone();
        let mut reader = hound::WavReader::new(&bytes[..]).expect("a valid file");
        let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("a sample")).collect();
        [0, 1].map(|side| samples.iter().skip(side).step_by(2).copied().collect())
    }
}

#[test]
fn a_recording_has_both_sides() {
    let output = Shared::default();
    let mut recorder = Recorder::new(output.clone()).expect("a recorder");
    recorder.push(&[1, 2, 3], &[-1, -2, -3]).expect("written");
    recorder.push(&[4], &[]).expect("written");
    recorder.push(&[], &[-5]).expect("written");
    assert_eq!(recorder.samples(), 5);
    recorder.finish().expect("finished");
    assert_eq!(output.channels(), [vec![1, 2, 3, 4, 0], vec![-1, -2, -3, 0, -5]]);
}

#[test]
fn a_recording_that_is_never_finished_is_valid_but_for_its_last_second() {
    let output = Shared::default();
    let mut recorder = Recorder::new(output.clone()).expect("a recorder");
    assert_eq!(output.channels(), [vec![], vec![]]);
    for _ in 0..120 {
        recorder.push(&[7; 160], &[9; 160]).expect("written");
    }
    let [sent, heard] = output.channels();
    assert_eq!((sent.len(), heard.len()), (16_000, 16_000), "2 of 2.4 seconds");
    drop(recorder);
    assert_eq!(output.channels(), [vec![7; 19_200], vec![9; 19_200]]);
}

#[test]
fn a_full_disk_is_told() {
    struct Full(u64);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            if self.0 > 1000 {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(bytes.len())
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Seek for Full {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }
    let mut recorder = Recorder::new(Full(0)).expect("a recorder");
    let refused = recorder.push(&[1; 8000], &[1; 8000]).expect_err("no room");
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn resampling_makes_as_much_time_as_it_takes(
        rate in prop::sample::select(vec![1000, 7999, 8000, 11_025, 16_000, 22_050, 44_100, 48_000, 384_000]),
        length in 0..3000usize,
    ) {
        let mut resampler = Resampler::new(rate).expect("in range");
        let mut out = Vec::new();
        for _ in 0..length {
            resampler.push(0.25, &mut out);
        }
        resampler.finish(&mut out);
        let expected = length as f64 * 8000.0 / f64::from(rate);
        prop_assert!((out.len() as f64 - expected).abs() <= 1.0);
    }

    #[test]
    fn garbage_never_panics(mut file in proptest::collection::vec(any::<u8>(), 0..200), whole in any::<bool>()) {
        if whole {
            let mut start = sine(spec(8000, 16, SampleFormat::Int, 1), 440.0, 0.001);
            let offset = 20.min(start.len());
            let end = (offset + file.len()).min(start.len());
            start[offset..end].copy_from_slice(&file[..end - offset]);
            file = start;
        }
        let _ = read(&file[..]);
    }
}
