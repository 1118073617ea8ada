//! WAV files in and out: every width and rate, files that are none, recordings that break off.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use callwright_media::codec::Codec;
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

/// How the samples of a file are written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Unsigned,
    /// So many bits, in the upper part of so many bytes.
    Signed {
        bytes: usize,
        bits: u16,
    },
    Float,
    Double,
    ALaw,
    MuLaw,
}

/// What stands in the header for the size of the audio.
#[derive(Clone, Copy, Debug)]
enum Size {
    Right,
    /// ffmpeg to a pipe.
    AllOnes,
    /// sox to a pipe.
    Sox,
    /// The writer was killed, before it wrote any size or with a size of the file so far.
    Killed {
        file: Option<u32>,
    },
    /// RF64.
    Long,
}

type Chunk = ([u8; 4], Vec<u8>);

/// A file at 8 kHz, written as others write it.
#[derive(Clone, Debug)]
struct Wav {
    kind: Kind,
    channels: u16,
    extensible: bool,
    size: Size,
    /// Before the format, and between it and the audio.
    before: Vec<Chunk>,
    after: Vec<Chunk>,
    /// Behind the audio.
    behind: Vec<Chunk>,
    pads: bool,
    cut_format: Option<usize>,
}

impl Wav {
    fn new(kind: Kind) -> Self {
        Wav {
            kind,
            channels: 1,
            extensible: false,
            size: Size::Right,
            before: Vec::new(),
            after: Vec::new(),
            behind: Vec::new(),
            pads: true,
            cut_format: None,
        }
    }

    fn write(&self, samples: &[i16]) -> Vec<u8> {
        let data: Vec<u8> = samples
            .iter()
            .flat_map(|sample| (0..self.channels).flat_map(|_| self.sample(*sample)))
            .collect();
        let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
        if let Size::Long = self.size {
            file[..4].copy_from_slice(b"RF64");
            let mut sizes = vec![0; 28];
            sizes[8..16].copy_from_slice(&(data.len() as u64).to_le_bytes());
            self.chunk(&mut file, *b"ds64", &sizes);
        }
        for (name, bytes) in &self.before {
            self.chunk(&mut file, *name, bytes);
        }
        let mut format = self.format();
        format.truncate(self.cut_format.unwrap_or(format.len()));
        self.chunk(&mut file, *b"fmt ", &format);
        for (name, bytes) in &self.after {
            self.chunk(&mut file, *name, bytes);
        }
        let size_at = file.len() + 4;
        self.chunk(&mut file, *b"data", &data);
        let is_last = !matches!(self.size, Size::Right | Size::Long);
        if is_last {
            file.truncate(size_at + 4 + data.len());
        } else {
            for (name, bytes) in &self.behind {
                self.chunk(&mut file, *name, bytes);
            }
        }
        let so_far = (size_at + 4 - 8) as u32;
        let (whole, audio) = match self.size {
            Size::Right => (file.len() as u32 - 8, data.len() as u32),
            Size::AllOnes | Size::Long => (u32::MAX, u32::MAX),
            Size::Sox => (0x7fff_f024, 0x7fff_f000),
            Size::Killed { file } => (file.unwrap_or(so_far), 0),
        };
        file[4..8].copy_from_slice(&whole.to_le_bytes());
        file[size_at..size_at + 4].copy_from_slice(&audio.to_le_bytes());
        file
    }

    fn chunk(&self, file: &mut Vec<u8>, name: [u8; 4], bytes: &[u8]) {
        file.extend(name);
        file.extend((bytes.len() as u32).to_le_bytes());
        file.extend(bytes);
        if self.pads && bytes.len() % 2 == 1 {
            file.push(0);
        }
    }

    fn format(&self) -> Vec<u8> {
        let (tag, bytes, bits) = match self.kind {
            Kind::Unsigned => (1u16, 1, 8),
            Kind::Signed { bytes, bits } => (1, bytes, bits),
            Kind::Float => (3, 4, 32),
            Kind::Double => (3, 8, 64),
            Kind::ALaw => (6, 1, 8),
            Kind::MuLaw => (7, 1, 8),
        };
        let frame = bytes as u16 * self.channels;
        let mut format = Vec::new();
        let (outer, room) = if self.extensible {
            (0xfffe, bytes as u16 * 8)
        } else {
            (tag, bits)
        };
        format.extend(outer.to_le_bytes());
        format.extend(self.channels.to_le_bytes());
        format.extend(8_000u32.to_le_bytes());
        format.extend((8_000 * u32::from(frame)).to_le_bytes());
        format.extend(frame.to_le_bytes());
        format.extend(room.to_le_bytes());
        if self.extensible {
            format.extend(22u16.to_le_bytes());
            format.extend(bits.to_le_bytes());
            format.extend(4u32.to_le_bytes());
            format.extend(tag.to_le_bytes());
            format.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
        } else if tag != 1 || bytes == 4 {
            // Formats with the size of an extension, which is none.
            format.extend([0, 0]);
        }
        format
    }

    fn sample(&self, sample: i16) -> Vec<u8> {
        let code = |codec: Codec| {
            let mut code = [0];
            codec.encode(&[sample], &mut code);
            code.to_vec()
        };
        match self.kind {
            Kind::Unsigned => vec![((sample >> 8) as u8) ^ 0x80],
            Kind::Signed { bytes, .. } => {
                let mut wide = vec![0; bytes - 2];
                wide.extend(sample.to_le_bytes());
                wide
            }
            Kind::Float => (f32::from(sample) / 32_768.0).to_le_bytes().to_vec(),
            Kind::Double => (f64::from(sample) / 32_768.0).to_le_bytes().to_vec(),
            Kind::ALaw => code(Codec::Pcma),
            Kind::MuLaw => code(Codec::Pcmu),
        }
    }

    /// What reading gives for samples of full width.
    fn expected(&self, samples: &[i16]) -> Vec<i16> {
        let through = |codec: Codec| {
            let (mut codes, mut decoded) = (vec![0; samples.len()], vec![0; samples.len()]);
            codec.encode(samples, &mut codes);
            codec.decode(&codes, &mut decoded);
            decoded
        };
        match self.kind {
            Kind::Unsigned => samples.iter().map(|sample| sample & !0xff).collect(),
            Kind::Signed { .. } | Kind::Float | Kind::Double => samples.to_vec(),
            Kind::ALaw => through(Codec::Pcma),
            Kind::MuLaw => through(Codec::Pcmu),
        }
    }
}

const KINDS: [Kind; 11] = [
    Kind::Unsigned,
    Kind::Signed { bytes: 2, bits: 16 },
    Kind::Signed { bytes: 3, bits: 24 },
    Kind::Signed { bytes: 3, bits: 20 },
    Kind::Signed { bytes: 4, bits: 24 },
    Kind::Signed { bytes: 4, bits: 32 },
    Kind::Signed { bytes: 8, bits: 64 },
    Kind::Float,
    Kind::Double,
    Kind::ALaw,
    Kind::MuLaw,
];
const SOME: [i16; 9] = [0, 1, -1, 1_000, -1_000, 12_345, i16::MAX, i16::MIN, 7];

#[test]
fn every_encoding_is_read_in_either_kind_of_format() {
    for kind in KINDS {
        for (channels, extensible) in [(1, false), (2, false), (1, true), (2, true)] {
            let wav = Wav {
                channels,
                extensible,
                ..Wav::new(kind)
            };
            let read = read(&wav.write(&SOME)[..]).unwrap_or_else(|error| panic!("{wav:?}: {error}"));
            assert_eq!(read, wav.expected(&SOME), "{wav:?}");
        }
    }
}

#[test]
fn a_chunk_of_odd_size_before_the_audio_is_stepped_over() {
    for pads in [true, false] {
        let wav = Wav {
            before: vec![(*b"JUNK", vec![1; 27])],
            after: vec![(*b"LIST", vec![2; 5]), (*b"bext", vec![3; 1])],
            pads,
            ..Wav::new(Kind::Signed { bytes: 2, bits: 16 })
        };
        assert_eq!(read(&wav.write(&SOME)[..]).expect("a file"), SOME, "pads: {pads}");
    }
}

#[test]
fn what_is_behind_the_audio_is_not_heard() {
    for size in [Size::Right, Size::Long] {
        let wav = Wav {
            size,
            behind: vec![(*b"LIST", vec![0x55; 400])],
            ..Wav::new(Kind::Signed { bytes: 2, bits: 16 })
        };
        assert_eq!(read(&wav.write(&SOME)[..]).expect("a file"), SOME);
        let empty = wav.write(&[]);
        if let Size::Right = size {
            assert!(matches!(read(&empty[..]), Err(ReadError::Empty)));
        }
    }
}

#[test]
fn a_size_that_nobody_knew_is_as_far_as_the_file_goes() {
    let killed = [None, Some(0), Some(u32::MAX), Some(36)].map(|file| Size::Killed { file });
    for size in [Size::AllOnes, Size::Sox].into_iter().chain(killed) {
        let wav = Wav {
            size,
            ..Wav::new(Kind::Signed { bytes: 2, bits: 16 })
        };
        let read = read(&wav.write(&SOME)[..]).unwrap_or_else(|error| panic!("{size:?}: {error}"));
        assert_eq!(read, SOME, "{size:?}");
    }
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
    let mut adpcm = sine(spec(8000, 16, SampleFormat::Int, 1), 440.0, 0.1);
    adpcm[20] = 0x11;
    assert_eq!(
        error(&adpcm),
        "the samples are compressed as IMA ADPCM (WAV format 17); convert the file to PCM of 16 bits"
    );
    let mut big_endian = adpcm.clone();
    big_endian[3] = b'X';
    assert!(error(&big_endian).contains("big-endian"));
    let mut picture = adpcm.clone();
    picture[8..12].copy_from_slice(b"WEBP");
    assert!(error(&picture).contains("of another kind"));
    let mut half_float = adpcm.clone();
    half_float[20] = 3;
    assert_eq!(
        error(&half_float),
        "the samples have 16 bits in 2 bytes; convert the file to PCM of 16 bits"
    );
    assert!(error(&empty[..36]).contains("it ends before the audio"));
    let other = Wav::new(Kind::Signed { bytes: 2, bits: 16 });
    let mut headless = other.clone();
    headless.before = vec![(*b"data", vec![0; 4])];
    assert!(error(&headless.write(&[1])).contains("comes before its format"));
    let mut short = other.clone();
    short.cut_format = Some(12);
    assert!(error(&short.write(&[1])).contains("its format is cut short"));
    let mut endless = other;
    endless.after = vec![(*b"LIST", Vec::new()); 2_000];
    assert!(error(&endless.write(&[1])).contains("among its first chunks"));
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
    fn what_is_written_is_read(
        kind in prop::sample::select(KINDS.to_vec()),
        channels in 1..=2u16,
        extensible: bool,
        size in prop::sample::select(vec![
            Size::Right, Size::AllOnes, Size::Sox, Size::Long,
            Size::Killed { file: None }, Size::Killed { file: Some(0) }, Size::Killed { file: Some(u32::MAX) },
        ]),
        before in chunks(),
        after in chunks(),
        behind in chunks(),
        pads: bool,
        samples in proptest::collection::vec(any::<i16>(), 1..2_000),
    ) {
        let wav = Wav { kind, channels, extensible, size, before, after, behind, pads, cut_format: None };
        let file = wav.write(&samples);
        prop_assert_eq!(read(&file[..]).expect("a file"), wav.expected(&samples));
        // In small pieces, and cut anywhere, it is read as far as it goes.
        prop_assert_eq!(read(Pieces(&file)).expect("a file"), wav.expected(&samples));
        let cut = file.len() * usize::from(samples[0] as u16) / 65_536;
        if let Ok(part) = read(&file[..cut]) {
            prop_assert_eq!(&part[..], &wav.expected(&samples)[..part.len()]);
        }
    }

    #[test]
    fn a_damaged_header_never_panics(
        kind in prop::sample::select(KINDS.to_vec()),
        extensible: bool,
        damage in proptest::collection::vec((0..120usize, any::<u8>()), 1..6),
    ) {
        let wav = Wav { extensible, after: vec![(*b"LIST", vec![0; 9])], ..Wav::new(kind) };
        let mut file = wav.write(&SOME);
        for (at, byte) in damage {
            if let Some(damaged) = file.get_mut(at) {
                *damaged = byte;
            }
        }
        let _ = read(&file[..]);
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

fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let name = prop::sample::select(vec![*b"LIST", *b"JUNK", *b"bext", *b"fact", *b"id3 "]);
    proptest::collection::vec((name, proptest::collection::vec(any::<u8>(), 0..40)), 0..4)
}

/// An input that gives three bytes at a time.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let (piece, rest) = self.0.split_at(self.0.len().min(out.len()).min(3));
        out[..piece.len()].copy_from_slice(piece);
        self.0 = rest;
        Ok(piece.len())
    }
}
