//! Writing a recording while it goes on.

use std::io::{self, Seek, Write};

use hound::{SampleFormat, WavSpec, WavWriter};

use crate::codec::SAMPLE_RATE;

/// A recording of both directions: 8 kHz, 16 bits, left what was sent, right what was heard.
///
/// The lengths in the header are brought up to date each second, so that after a crash all but the last second can be
/// played. Dropping it completes the header too, but hides errors: use [`Recorder::finish`].
pub struct Recorder<W: Write + Seek> {
    writer: WavWriter<W>,
    frames: u64,
    frames_in_header: u64,
}

impl<W: Write + Seek> Recorder<W> {
    /// Starts a recording at the beginning of `output`, which should be buffered.
    ///
    /// # Errors
    /// What `output` says.
    pub fn new(output: W) -> io::Result<Self> {
        let spec = WavSpec {
            channels: 2,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::new(output, spec).map_err(into_io)?;
        writer.flush().map_err(into_io)?;
        Ok(Self {
            writer,
            frames: 0,
            frames_in_header: 0,
        })
    }

    /// Adds samples; where one side has fewer than the other it is silent.
    ///
    /// # Errors
    /// What the output says, a full disk for instance. The recording can go on afterwards, but may have a hole.
    pub fn push(&mut self, sent: &[i16], heard: &[i16]) -> io::Result<()> {
        for index in 0..sent.len().max(heard.len()) {
            for side in [sent, heard] {
                self.writer
                    .write_sample(side.get(index).copied().unwrap_or(0))
                    .map_err(into_io)?;
            }
            self.frames += 1;
        }
        if self.frames - self.frames_in_header >= u64::from(SAMPLE_RATE) {
            self.frames_in_header = self.frames;
            self.writer.flush().map_err(into_io)?;
        }
        Ok(())
    }

    /// Samples on each side so far.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.frames
    }

    /// Completes the header and flushes the output.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(self) -> io::Result<()> {
        self.writer.finalize().map_err(into_io)
    }
}

fn into_io(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other),
    }
}
