//! RTP packets (RFC 3550 §5): a checked view over received bytes, and a writer that can be told to be wrong.

use std::fmt;

/// Length of the fixed header in bytes (RFC 3550 §5.1).
pub const FIXED_HEADER: usize = 12;

/// Why bytes are not an RTP packet. The sender is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than the fixed header.
    #[error("{length} bytes are shorter than an RTP header (12 bytes)")]
    TooShort {
        /// Bytes there were.
        length: usize,
    },
    /// The version is not 2.
    #[error("RTP version {version}, not 2")]
    Version {
        /// The version that the first two bits name.
        version: u8,
    },
    /// The list of contributing sources ends behind the packet.
    #[error("{count} contributing sources do not fit into the packet")]
    Csrc {
        /// The CSRC count of the header.
        count: u8,
    },
    /// The header extension ends behind the packet.
    #[error("the header extension does not fit into the packet")]
    Extension,
    /// The padding count is zero, or more than the payload.
    #[error("a padding of {count} bytes does not fit into the payload")]
    Padding {
        /// The last byte of the packet.
        count: u8,
    },
}

/// An RTP packet over somebody else's bytes, checked once (RFC 3550 §A.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    header: usize,
    padding: usize,
}

impl<'a> Packet<'a> {
    /// Checks version, CSRC list, extension and padding.
    ///
    /// # Errors
    /// The rule of RFC 3550 §5.1 or §5.3.1 that the bytes break.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let header = header_length(bytes)?;
        let padding = if bytes[0] & 0x20 != 0 {
            let count = bytes[bytes.len() - 1];
            if count == 0 || usize::from(count) > bytes.len() - header {
                return Err(RtpError::Padding { count });
            }
            usize::from(count)
        } else {
            0
        };
        Ok(Packet {
            bytes,
            header,
            padding,
        })
    }

    /// True for the first packet of a talkspurt or event, by profile (RFC 3551 §4.1, RFC 4733 §2.2).
    pub fn marker(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// The payload type, 0–127.
    pub fn payload_type(&self) -> u8 {
        self.bytes[1] & 0x7f
    }

    /// The sequence number.
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    /// The timestamp, in ticks of the payload's clock.
    pub fn timestamp(&self) -> u32 {
        word(self.bytes, 4)
    }

    /// The synchronization source.
    pub fn ssrc(&self) -> u32 {
        word(self.bytes, 8)
    }

    /// The contributing sources, in order.
    pub fn csrc(&self) -> impl Iterator<Item = u32> + use<'a> {
        let bytes = self.bytes;
        (0..usize::from(bytes[0] & 0x0f)).map(move |i| word(bytes, FIXED_HEADER + 4 * i))
    }

    /// The header extension: the profile's number and its data, without the length word.
    pub fn extension(&self) -> Option<(u16, &'a [u8])> {
        if self.bytes[0] & 0x10 == 0 {
            return None;
        }
        let at = FIXED_HEADER + 4 * usize::from(self.bytes[0] & 0x0f);
        let profile = u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]);
        Some((profile, &self.bytes[at + 4..self.header]))
    }

    /// The payload, without padding.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.header..self.bytes.len() - self.padding]
    }

    /// How many bytes of padding follow the payload, the count itself included.
    pub fn padding(&self) -> usize {
        self.padding
    }

    /// Length of everything before the payload.
    pub fn header_length(&self) -> usize {
        self.header
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RTP pt {}{} seq {} ts {} ssrc {:08x} payload {}",
            self.payload_type(),
            if self.marker() { " M" } else { "" },
            self.sequence(),
            self.timestamp(),
            self.ssrc(),
            self.payload().len()
        )
    }
}

/// The length of the header with CSRC list and extension; the payload (perhaps encrypted) and its padding are not
/// looked at.
pub(crate) fn header_length(bytes: &[u8]) -> Result<usize, RtpError> {
    if bytes.len() < FIXED_HEADER {
        return Err(RtpError::TooShort { length: bytes.len() });
    }
    let version = bytes[0] >> 6;
    if version != 2 {
        return Err(RtpError::Version { version });
    }
    let count = bytes[0] & 0x0f;
    let mut header = FIXED_HEADER + 4 * usize::from(count);
    if header > bytes.len() {
        return Err(RtpError::Csrc { count });
    }
    if bytes[0] & 0x10 != 0 {
        // RFC 3550 §5.3.1: the length counts 32-bit words after the first one.
        let Some(word) = bytes.get(header..header + 4) else {
            return Err(RtpError::Extension);
        };
        header += 4 + 4 * usize::from(u16::from_be_bytes([word[2], word[3]]));
        if header > bytes.len() {
            return Err(RtpError::Extension);
        }
    }
    Ok(header)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// What a packet that is about to be written says. The defaults are legal; every field can be made illegal on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The version, of which two bits are written: 2 in RTP.
    pub version: u8,
    /// The marker bit.
    pub marker: bool,
    /// The payload type, of which seven bits are written.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp, in ticks of the payload's clock.
    pub timestamp: u32,
    /// The synchronization source.
    pub ssrc: u32,
    /// Contributing sources; all are written, the count says how many modulo 16.
    pub csrc: &'a [u32],
    /// A header extension: the profile's number and its data, filled up with zeros to whole words.
    pub extension: Option<(u16, &'a [u8])>,
    /// Bytes of padding after the payload; 0: none, and no padding bit.
    pub padding: u8,
}

impl Default for Header<'_> {
    fn default() -> Self {
        Header {
            version: 2,
            marker: false,
            payload_type: 0,
            sequence: 0,
            timestamp: 0,
            ssrc: 0,
            csrc: &[],
            extension: None,
            padding: 0,
        }
    }
}

impl Header<'_> {
    /// How many bytes [`Header::write`] needs for a payload of `payload` bytes.
    pub fn packet_length(&self, payload: usize) -> usize {
        let extension = self
            .extension
            .map_or(0, |(_, data)| 4 + data.len().div_ceil(4) * 4);
        FIXED_HEADER + 4 * self.csrc.len() + extension + payload + usize::from(self.padding)
    }

    /// Writes the packet to the start of `buffer` and gives its length; `None` when it does not fit.
    pub fn write(&self, payload: &[u8], buffer: &mut [u8]) -> Option<usize> {
        let length = self.packet_length(payload.len());
        let out = buffer.get_mut(..length)?;
        out[0] = self.version << 6
            | u8::from(self.padding > 0) << 5
            | u8::from(self.extension.is_some()) << 4
            | (self.csrc.len() & 0x0f) as u8;
        out[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        let mut at = FIXED_HEADER;
        for source in self.csrc {
            out[at..at + 4].copy_from_slice(&source.to_be_bytes());
            at += 4;
        }
        if let Some((profile, data)) = self.extension {
            let words = data.len().div_ceil(4);
            out[at..at + 2].copy_from_slice(&profile.to_be_bytes());
            out[at + 2..at + 4].copy_from_slice(&(words as u16).to_be_bytes());
            at += 4;
            out[at..at + data.len()].copy_from_slice(data);
            out[at + data.len()..at + 4 * words].fill(0);
            at += 4 * words;
        }
        out[at..at + payload.len()].copy_from_slice(payload);
        at += payload.len();
        if self.padding > 0 {
            out[at..length].fill(0);
            out[length - 1] = self.padding;
        }
        Some(length)
    }
}

/// What a datagram on a port shared by RTP and RTCP is, by its first two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Version 2, a payload type outside of the range that belongs to RTCP.
    Rtp,
    /// Version 2, and a packet type of RTCP (RFC 5761 §4).
    Rtcp,
    /// STUN, DTLS or anything else (RFC 7983 §7).
    Other,
}

/// Tells RTP from RTCP on one port (RFC 5761 §4) and both from everything else (RFC 7983 §7).
pub fn classify(datagram: &[u8]) -> Kind {
    match datagram {
        // RFC 5761 §4: payload types 64–95 with the marker bit would look like RTCP's 192–223.
        [first, 192..=223, ..] if first >> 6 == 2 => Kind::Rtcp,
        [first, _, ..] if first >> 6 == 2 => Kind::Rtp,
        _ => Kind::Other,
    }
}
