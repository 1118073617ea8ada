//! How a WAV file writes its samples.

use crate::codec::Codec;

use super::ReadError;

/// The format tags that are read.
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The tag is in the subformat (`WAVEFORMATEXTENSIBLE`).
const EXTENSIBLE: u16 = 0xfffe;
/// What follows the tag in a subformat that is one.
const SUBFORMAT: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
/// The widest sample that is read, in bytes.
pub(super) const MAX_BYTES: usize = 8;

/// The format of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    encoding: Encoding,
    pub(super) channels: u16,
    pub(super) rate: u32,
    /// Of one sample of one channel.
    pub(super) bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    /// One byte, 128 is zero.
    Unsigned,
    /// Signed, the lowest byte first. Where fewer bits are used than there are, they are the upper ones.
    Signed,
    Float,
    G711(Codec),
}

impl Format {
    /// Reads the chunk `fmt `.
    pub(super) fn parse(chunk: &[u8]) -> Result<Self, ReadError> {
        let word = |at: usize| -> Option<u16> {
            let bytes = chunk.get(at..at + 2)?.try_into().ok()?;
            Some(u16::from_le_bytes(bytes))
        };
        let needed = |at: usize| word(at).ok_or(ReadError::NotWav("its format is cut short"));
        let (channels, bits) = (needed(2)?, needed(14)?);
        let rate = u32::from(needed(4)?) | u32::from(needed(6)?) << 16;
        let frame = usize::from(needed(12)?);
        let tag = match needed(0)? {
            EXTENSIBLE => match chunk.get(26..40) {
                Some(rest) if rest == SUBFORMAT => needed(24)?,
                Some(_) => EXTENSIBLE,
                None => return Err(ReadError::NotWav("its format is cut short")),
            },
            tag => tag,
        };
        // The room for a sample: as the size of a frame says, unless that is nonsense.
        let least = usize::from(bits).div_ceil(8);
        let room = frame / usize::from(channels.max(1));
        let is_sound = (least..=MAX_BYTES).contains(&room) && room * usize::from(channels) == frame;
        let bytes = if is_sound { room } else { least };
        let width = ReadError::Width { bits, bytes };
        let (encoding, bytes) = match (tag, bytes) {
            (A_LAW, _) => (Encoding::G711(Codec::Pcma), 1),
            (MU_LAW, _) => (Encoding::G711(Codec::Pcmu), 1),
            (PCM | FLOAT, 0) => return Err(width),
            (PCM, 1) => (Encoding::Unsigned, 1),
            (PCM, 2..=MAX_BYTES) => (Encoding::Signed, bytes),
            (FLOAT, 4 | 8) => (Encoding::Float, bytes),
            (PCM | FLOAT, _) => return Err(width),
            (tag, _) => {
                return Err(ReadError::Encoding {
                    tag,
                    name: encoding_name(tag),
                });
            }
        };
        Ok(Format {
            encoding,
            channels,
            rate,
            bytes,
        })
    }

    /// The value of a sample of [`Format::bytes`] bytes; full scale is 1.
    pub(super) fn decode(&self, sample: &[u8]) -> f32 {
        match self.encoding {
            Encoding::Unsigned => (f32::from(sample.first().copied().unwrap_or(128)) - 128.0) / 128.0,
            Encoding::Signed => {
                let mut bytes = [0; MAX_BYTES];
                bytes[MAX_BYTES - sample.len()..].copy_from_slice(sample);
                (i64::from_le_bytes(bytes) as f64 / 9_223_372_036_854_775_808.0) as f32
            }
            Encoding::Float => {
                let value = match *sample {
                    [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
                    _ => sample.try_into().map_or(0.0, f64::from_le_bytes) as f32,
                };
                // A file may hold anything: what is no number is silence.
                if value.is_finite() {
                    value.clamp(-4.0, 4.0)
                } else {
                    0.0
                }
            }
            Encoding::G711(codec) => {
                let mut linear = [0];
                codec.decode(sample, &mut linear);
                f32::from(linear[0]) / 32_768.0
            }
        }
    }
}

/// What a format that is not read is called.
fn encoding_name(tag: u16) -> &'static str {
    match tag {
        0x0002 => "compressed as Microsoft ADPCM",
        0x0011 => "compressed as IMA ADPCM",
        0x0031 => "compressed as GSM 06.10",
        0x0040 | 0x0045 | 0x0064 => "compressed as ADPCM of G.721 or G.726",
        0x0050 | 0x0055 => "compressed as MPEG audio (MP3)",
        0x0083 => "compressed as G.729",
        _ => "in an encoding that is not known here",
    }
}
