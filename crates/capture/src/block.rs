//! Blocks of pcapng (draft-ietf-opsawg-pcapng), little-endian.

use std::io::{self, Write};

/// Ethernet: the one link type that every reader knows. All interfaces have the same: libpcap takes no mixture.
const LINKTYPE_ETHERNET: u16 = 1;
/// Longer than any packet here; the same for all interfaces, for the same reason.
const SNAPLEN: u32 = 262_144;
/// Timestamps count 10^-9 seconds (§4.2, if_tsresol).
const NANOSECONDS: u8 = 9;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;

/// Which way a packet went, seen from its interface (§4.3, epb_flags).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Received.
    Inbound,
    /// Sent.
    Outbound,
}

/// Starts the one section of a file (§4.1).
pub(crate) fn section(out: &mut impl Write, application: &str) -> io::Result<()> {
    let mut body = Vec::new();
    body.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
    body.extend_from_slice(&1_u16.to_le_bytes());
    body.extend_from_slice(&0_u16.to_le_bytes());
    // The section's length is not known while it is written.
    body.extend_from_slice(&(-1_i64).to_le_bytes());
    option(&mut body, SHB_USERAPPL, application.as_bytes());
    end_of_options(&mut body);
    block(out, SECTION_HEADER, &body)
}

/// Describes an interface (§4.2); they are numbered from 0 in the order of being described.
pub(crate) fn interface(out: &mut impl Write, name: &str) -> io::Result<()> {
    let mut body = Vec::new();
    body.extend_from_slice(&LINKTYPE_ETHERNET.to_le_bytes());
    body.extend_from_slice(&0_u16.to_le_bytes());
    body.extend_from_slice(&SNAPLEN.to_le_bytes());
    option(&mut body, IF_NAME, name.as_bytes());
    option(&mut body, IF_TSRESOL, &[NANOSECONDS]);
    end_of_options(&mut body);
    block(out, INTERFACE_DESCRIPTION, &body)
}

/// One packet (§4.3), at `unix_nanos`; without a direction where it was made up.
pub(crate) fn packet(
    out: &mut impl Write,
    interface: u32,
    unix_nanos: u64,
    frame: &[u8],
    direction: Option<Direction>,
    comment: &str,
) -> io::Result<()> {
    let mut body = Vec::with_capacity(frame.len() + comment.len() + 64);
    let length = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    body.extend_from_slice(&interface.to_le_bytes());
    body.extend_from_slice(&((unix_nanos >> 32) as u32).to_le_bytes());
    body.extend_from_slice(&(unix_nanos as u32).to_le_bytes());
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(frame);
    pad(&mut body);
    if !comment.is_empty() {
        option(&mut body, OPT_COMMENT, comment.as_bytes());
    }
    if let Some(direction) = direction {
        let flags: u32 = match direction {
            Direction::Inbound => 0b01,
            Direction::Outbound => 0b10,
        };
        option(&mut body, EPB_FLAGS, &flags.to_le_bytes());
    }
    end_of_options(&mut body);
    block(out, ENHANCED_PACKET, &body)
}

/// Frames a body whose length is a multiple of four (§3.1).
fn block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 12).map_err(|_| io::ErrorKind::InvalidInput)?;
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(body)?;
    out.write_all(&length.to_le_bytes())
}

/// An option (§3.5); its length counts in 16 bits, so longer text is cut at a character.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let mut length = value.len().min(usize::from(u16::MAX));
    while length < value.len() && length > 0 && value[length] & 0xc0 == 0x80 {
        length -= 1;
    }
    body.extend_from_slice(&code.to_le_bytes());
    body.extend_from_slice(&(length as u16).to_le_bytes());
    body.extend_from_slice(&value[..length]);
    pad(body);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend_from_slice(&[0; 4]);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}
