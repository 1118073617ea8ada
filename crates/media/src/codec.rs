//! G.711: the codecs that every phone has.

use audio_codec::{Decoder as _, Encoder as _};
use audio_codec::{pcma, pcmu};
use callwright_sdp::Format;

/// Samples per second of both codecs, and of everything in this crate that handles samples.
pub const SAMPLE_RATE: u32 = 8000;

/// G.711 in its two laws: 8 kHz, one byte a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// µ-law: North America, Japan.
    Pcmu,
    /// A-law: the rest of the world.
    Pcma,
}

impl Codec {
    /// The codec of a negotiated format; `None` for one that is not G.711 at 8 kHz mono.
    #[must_use]
    pub fn from_format(format: &Format) -> Option<Self> {
        [Self::Pcmu, Self::Pcma]
            .into_iter()
            .find(|codec| codec.format().same_codec(format))
    }

    /// The format as SDP describes it.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::Pcmu => Format::pcmu(),
            Self::Pcma => Format::pcma(),
        }
    }

    /// The static payload type: RFC 3551 §6.
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The encoding name of RFC 3551 §4.5.14.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The byte of silence: 0 for µ-law; the smallest positive value for A-law, which has no zero.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xff,
            Self::Pcma => 0xd5,
        }
    }

    /// Encodes as many samples as fit into `out`; returns how many.
    pub fn encode(self, samples: &[i16], out: &mut [u8]) -> usize {
        let count = samples.len().min(out.len());
        let (samples, out) = (&samples[..count], &mut out[..count]);
        match self {
            // The only error is a buffer that is too short.
            Self::Pcmu => pcmu::PcmuEncoder::new().encode_into(samples, out).unwrap_or(0),
            Self::Pcma => {
                samples
                    .chunks(160)
                    .zip(out.chunks_mut(160))
                    .for_each(|(part, out)| encode_a_law(part, out));
                count
            }
        }
    }

    /// Decodes as many bytes as fit into `out`; returns how many samples that made.
    pub fn decode(self, bytes: &[u8], out: &mut [i16]) -> usize {
        let count = bytes.len().min(out.len());
        let (bytes, out) = (&bytes[..count], &mut out[..count]);
        let decoded = match self {
            Self::Pcmu => pcmu::PcmuDecoder::new().decode_into(bytes, out),
            Self::Pcma => pcma::PcmaDecoder::new().decode_into(bytes, out),
        };
        decoded.unwrap_or(0)
    }
}

/// The library rounds negative samples half a step towards zero and never yields the code of −8. The law is
/// symmetric, so the magnitude is encoded and the sign put on it (ITU-T G.711 table 1: the sign is the first bit).
fn encode_a_law(samples: &[i16], out: &mut [u8]) {
    let mut magnitudes = [0i16; 160];
    for (magnitude, sample) in magnitudes.iter_mut().zip(samples) {
        *magnitude = sample ^ (sample >> 15);
    }
    let encoded = pcma::PcmaEncoder::new().encode_into(&magnitudes[..samples.len()], out);
    debug_assert!(encoded.is_ok(), "both are {} long", samples.len());
    for (code, sample) in out.iter_mut().zip(samples) {
        *code ^= ((sample >> 15) & 0x80) as u8;
    }
}
