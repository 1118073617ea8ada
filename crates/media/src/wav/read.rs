//! Reading a WAV of any rate and width.

use std::io::{self, Read};

use hound::{SampleFormat, WavReader};
use thiserror::Error;

use crate::resample::{MAX_RATE, MIN_RATE, Resampler};

/// The longest audio that is read, in seconds; at 8 kHz it takes 58 MB.
pub const MAX_SECONDS: u64 = 3600;

/// Why a file cannot be played.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[source] io::Error),
    /// The file is no WAV, or a damaged one.
    #[error("not a WAV file: {0}")]
    NotWav(&'static str),
    /// A WAV in a format that is not plain samples, such as ADPCM, G.711 or MP3 inside a WAV.
    #[error("the samples are compressed or of an unusual width; convert the file to PCM of 16 bits")]
    Compressed,
    /// More than two channels.
    #[error("the file has {0} channels; one or two can be played")]
    Channels(u16),
    /// A sample rate that nobody uses.
    #[error("the sample rate is {0} Hz; {MIN_RATE} to {MAX_RATE} Hz can be played")]
    Rate(u32),
    /// No samples at all.
    #[error("the file has no audio in it")]
    Empty,
    /// Longer than [`MAX_SECONDS`].
    #[error("the file is longer than {MAX_SECONDS} s")]
    TooLong,
}

/// Reads a WAV of 8, 16, 24 or 32-bit integers or 32-bit floats at any rate, and makes it 8 kHz mono: two channels are
/// averaged, other rates go through [`Resampler`]. A file that breaks off is taken as far as it goes.
///
/// `input` should be buffered.
///
/// # Errors
/// [`ReadError`], each telling what is wrong with the file.
pub fn read(input: impl Read) -> Result<Vec<i16>, ReadError> {
    let reader = WavReader::new(input).map_err(refused)?;
    let spec = reader.spec();
    if !(1..=2).contains(&spec.channels) {
        return Err(ReadError::Channels(spec.channels));
    }
    let frames = u64::from(reader.duration());
    if frames > MAX_SECONDS * u64::from(spec.sample_rate) {
        return Err(ReadError::TooLong);
    }
    let resampler = Resampler::new(spec.sample_rate).ok_or(ReadError::Rate(spec.sample_rate))?;
    let mut audio = Audio {
        resampler,
        channels: spec.channels,
        first: None,
        read: false,
        out: Vec::new(),
    };
    match spec.sample_format {
        SampleFormat::Float => {
            for sample in reader.into_samples::<f32>() {
                let Some(sample) = unless_cut_off(sample)? else {
                    break;
                };
                // A file may hold anything: what is no number is silence.
                audio.push(if sample.is_finite() {
                    sample.clamp(-4.0, 4.0)
                } else {
                    0.0
                });
            }
        }
        SampleFormat::Int => {
            let full_scale = (1i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            for sample in reader.into_samples::<i32>() {
                let Some(sample) = unless_cut_off(sample)? else {
                    break;
                };
                audio.push(sample as f32 / full_scale);
            }
        }
    }
    if !audio.read {
        return Err(ReadError::Empty);
    }
    audio.resampler.finish(&mut audio.out);
    Ok(audio.out)
}

struct Audio {
    resampler: Resampler,
    channels: u16,
    /// The left sample that waits for its right one.
    first: Option<f32>,
    read: bool,
    out: Vec<i16>,
}

impl Audio {
    fn push(&mut self, sample: f32) {
        let mono = match (self.channels, self.first.take()) {
            (1, _) => sample,
            (_, Some(left)) => (left + sample) / 2.0,
            (_, None) => {
                self.first = Some(sample);
                return;
            }
        };
        self.read = true;
        self.resampler.push(mono, &mut self.out);
    }
}

fn unless_cut_off<S>(sample: hound::Result<S>) -> Result<Option<S>, ReadError> {
    match sample {
        Ok(sample) => Ok(Some(sample)),
        Err(hound::Error::IoError(error)) if is_end(&error) => Ok(None),
        Err(hound::Error::FormatError(_)) => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

fn is_end(error: &io::Error) -> bool {
    // hound reports the end with `Other`, and a message of its own.
    let of_hound = error.kind() == io::ErrorKind::Other && error.to_string().contains("enough bytes");
    of_hound || error.kind() == io::ErrorKind::UnexpectedEof
}

fn refused(error: hound::Error) -> ReadError {
    match error {
        hound::Error::IoError(error) if is_end(&error) => ReadError::NotWav("it ends within the header"),
        hound::Error::IoError(error) => ReadError::Io(error),
        hound::Error::FormatError(reason) => ReadError::NotWav(reason),
        hound::Error::UnfinishedSample => ReadError::NotWav("it ends within a sample"),
        hound::Error::TooWide | hound::Error::Unsupported | hound::Error::InvalidSampleFormat => {
            ReadError::Compressed
        }
    }
}
