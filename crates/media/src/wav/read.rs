//! Reading a WAV of any rate and width.

use std::io::{self, Read};

use thiserror::Error;

use super::chunks::{find_audio, read_up_to};
use super::samples::{Format, MAX_BYTES};
use crate::resample::{MAX_RATE, MIN_RATE, Resampler};

/// The longest audio that is read, in seconds; at 8 kHz it takes 58 MB.
pub const MAX_SECONDS: u64 = 3600;
/// Channels of a file, at most.
const MAX_CHANNELS: u16 = 2;
/// Frames that are read at once.
const BLOCK: usize = 512;

/// Why a file cannot be played.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[source] io::Error),
    /// The file is no WAV, or a damaged one.
    #[error("not a WAV file: {0}")]
    NotWav(&'static str),
    /// A WAV with samples that are neither plain nor G.711.
    #[error("the samples are {name} (WAV format {tag}); convert the file to PCM of 16 bits")]
    Encoding {
        /// The number of the format.
        tag: u16,
        /// What it is called.
        name: &'static str,
    },
    /// A width that samples of the format do not have.
    #[error("the samples have {bits} bits in {bytes} bytes; convert the file to PCM of 16 bits")]
    Width {
        /// Bits of a sample, as the file says.
        bits: u16,
        /// Bytes that a sample takes.
        bytes: usize,
    },
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

/// Reads a WAV at any rate and makes it 8 kHz mono: integers of up to 64 bits in any room, floats of 32 and 64 bits,
/// A-law and µ-law. Two channels are averaged, other rates go through [`Resampler`].
///
/// A file that breaks off is taken as far as it goes, and so is one whose writer did not know or did not come to write how
/// long it is: through a pipe, or killed.
///
/// `input` should be buffered.
///
/// # Errors
/// [`ReadError`], each telling what is wrong with the file.
pub fn read(input: impl Read) -> Result<Vec<i16>, ReadError> {
    read_at_most(MAX_SECONDS, input)
}

fn read_at_most(seconds: u64, input: impl Read) -> Result<Vec<i16>, ReadError> {
    let (format, mut audio) = find_audio(input)?;
    if !(1..=MAX_CHANNELS).contains(&format.channels) {
        return Err(ReadError::Channels(format.channels));
    }
    let mut resampler = Resampler::new(format.rate).ok_or(ReadError::Rate(format.rate))?;
    let frame_bytes = format.bytes * usize::from(format.channels);
    let mut buffer = [0; BLOCK * MAX_BYTES * MAX_CHANNELS as usize];
    let block = &mut buffer[..BLOCK * frame_bytes];
    let mut out = Vec::new();
    let mut frames: u64 = 0;
    loop {
        let filled = read_up_to(&mut audio, block)?;
        // What is left of a frame that breaks off is no sound.
        for frame in block[..filled].chunks_exact(frame_bytes) {
            frames += 1;
            resampler.push(mono(&format, frame), &mut out);
        }
        if frames > seconds * u64::from(format.rate) {
            return Err(ReadError::TooLong);
        }
        if filled < block.len() {
            break;
        }
    }
    if frames == 0 {
        return Err(ReadError::Empty);
    }
    resampler.finish(&mut out);
    Ok(out)
}

fn mono(format: &Format, frame: &[u8]) -> f32 {
    let channels = frame.chunks_exact(format.bytes);
    channels.map(|sample| format.decode(sample)).sum::<f32>() / f32::from(format.channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_of_the_longest_length_is_read_and_no_more() {
        // A-law at 8 kHz, of a size that its writer did not know.
        let header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x06\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\xff\xff\xff\xff";
        let of = |samples: u64| read_at_most(2, header.chain(io::repeat(0xd5).take(samples)));
        assert_eq!(of(16_000).expect("two seconds").len(), 16_000);
        assert!(matches!(of(16_001), Err(ReadError::TooLong)));
        assert!(matches!(of(u64::MAX), Err(ReadError::TooLong)));
    }
}
