//! The chunks of a WAV file up to its audio: RIFF (Microsoft and IBM, 1991), RF64 (EBU Tech 3306).

use std::io::{self, Read, Take};

use super::ReadError;
use super::samples::Format;

/// Chunks before the audio. Real files have a handful.
const MAX_CHUNKS: usize = 1_000;
/// What is read of the format: as much as the extensible one has.
const MAX_FORMAT: usize = 40;
/// What is read of the sizes of RF64.
const SIZES: usize = 16;
/// A size that the writer did not know yet: it wrote to a pipe, or the true one is in `ds64`.
const UNKNOWN_SIZE: u32 = u32::MAX;

/// Reads up to the audio: its format, and the rest of the input, cut where the audio ends.
pub(super) fn find_audio<R: Read>(input: R) -> Result<(Format, Take<R>), ReadError> {
    let mut chunks = Chunks { input, ahead: None };
    let file_size = chunks.header()?;
    let mut at: u64 = 12;
    let mut format = None;
    let mut long_size = None;
    for _ in 0..MAX_CHUNKS {
        let (name, size) = chunks.next()?;
        at += 8;
        match &name {
            b"data" => {
                let format = format.ok_or(ReadError::NotWav("the audio comes before its format"))?;
                let length = match size {
                    UNKNOWN_SIZE => long_size.unwrap_or(u64::MAX),
                    // Whoever was to write the size at the end did not come to it. The file as a whole tells it from one
                    // that has no audio.
                    0 if file_size == UNKNOWN_SIZE || u64::from(file_size) + 8 <= at => u64::MAX,
                    size => u64::from(size),
                };
                // A size beyond the end of the file does no harm: nothing is allocated for it.
                return Ok((format, chunks.input.take(length)));
            }
            b"fmt " => format = Some(Format::parse(chunks.start::<MAX_FORMAT>(size)?.as_slice())?),
            b"ds64" => {
                let sizes = chunks.start::<SIZES>(size)?;
                let data = sizes.get(8..16).and_then(|bytes| bytes.try_into().ok());
                long_size = data.map(u64::from_le_bytes).filter(|size| *size != 0);
            }
            _ => chunks.skip(u64::from(size))?,
        }
        chunks.skip_padding(size)?;
        at += u64::from(size) + u64::from(size % 2);
    }
    Err(ReadError::NotWav("there is no audio among its first chunks"))
}

struct Chunks<R> {
    input: R,
    /// A byte that was read to see whether it is padding, and was none.
    ahead: Option<u8>,
}

impl<R: Read> Chunks<R> {
    /// Reads the header of the file: its size less these first eight bytes.
    fn header(&mut self) -> Result<u32, ReadError> {
        let mut header = [0; 12];
        let read = self.fill(&mut header)?;
        match &header[..4] {
            b"RIFF" | b"RF64" | b"BW64" => {}
            b"RIFX" => {
                return Err(ReadError::NotWav(
                    "its numbers are big-endian (RIFX); convert it to RIFF",
                ));
            }
            _ if read >= 4 => return Err(ReadError::NotWav("no RIFF tag found")),
            _ => return Err(ReadError::NotWav("it ends within the header")),
        }
        if read < header.len() {
            return Err(ReadError::NotWav("it ends within the header"));
        }
        if &header[8..] != b"WAVE" {
            return Err(ReadError::NotWav(
                "it is a RIFF file of another kind (no WAVE tag)",
            ));
        }
        Ok(u32::from_le_bytes([header[4], header[5], header[6], header[7]]))
    }

    /// The name and the size of the next chunk.
    fn next(&mut self) -> Result<([u8; 4], u32), ReadError> {
        let mut header = [0; 8];
        if self.fill(&mut header)? < header.len() {
            return Err(ReadError::NotWav("it ends before the audio"));
        }
        let [a, b, c, d, size @ ..] = header;
        Ok(([a, b, c, d], u32::from_le_bytes(size)))
    }

    /// The first bytes of a chunk of `size`, at most `MOST`; the others are skipped.
    fn start<const MOST: usize>(&mut self, size: u32) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; MOST.min(usize::try_from(size).unwrap_or(MOST))];
        if self.fill(&mut bytes)? < bytes.len() {
            return Err(ReadError::NotWav("it ends before the audio"));
        }
        self.skip(u64::from(size) - bytes.len() as u64)?;
        Ok(bytes)
    }

    fn skip(&mut self, mut count: u64) -> Result<(), ReadError> {
        if count > 0 && self.ahead.take().is_some() {
            count -= 1;
        }
        let skipped =
            io::copy(&mut self.input.by_ref().take(count), &mut io::sink()).map_err(ReadError::Io)?;
        if skipped < count {
            return Err(ReadError::NotWav("it ends before the audio"));
        }
        Ok(())
    }

    /// A chunk of odd size is followed by a zero. Some writers forget it: a name begins with no zero.
    fn skip_padding(&mut self, size: u32) -> Result<(), ReadError> {
        let mut padding = [0];
        if size % 2 == 1 && self.fill(&mut padding)? == 1 && padding != [0] {
            self.ahead = Some(padding[0]);
        }
        Ok(())
    }

    /// Reads until `bytes` is full or the input ends; how many there were.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, ReadError> {
        let mut filled = 0;
        if let (Some(first), Some(byte)) = (bytes.first_mut(), self.ahead) {
            *first = byte;
            self.ahead = None;
            filled = 1;
        }
        Ok(filled + read_up_to(&mut self.input, &mut bytes[filled..])?)
    }
}

/// Reads until `bytes` is full or the input ends; how many there were.
pub(super) fn read_up_to(input: &mut impl Read, bytes: &mut [u8]) -> Result<usize, ReadError> {
    let mut filled = 0;
    while filled < bytes.len() {
        match input.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
    Ok(filled)
}
