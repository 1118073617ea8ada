//! The two formats of capture files: pcap and pcapng (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).

use std::borrow::Cow;
use std::io::{self, Read};

use pcap_parser::nom;
use pcap_parser::traits::PcapNGPacketBlock as _;
use pcap_parser::{
    Block, OptionCode, PcapError, PcapHeader, PcapNGOption, parse_block_be, parse_block_le, parse_pcap_frame,
    parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};

use super::window::{Filled, Window};

/// No block or packet of an honest file is longer.
const LONGEST: usize = 64 << 20;
/// How many interfaces one section may describe.
const INTERFACES: usize = 65_536;

const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const GZIP: [u8; 2] = [0x1f, 0x8b];
const EPB_FLAGS: u16 = 2;
/// The obsolete Packet Block (pcapng appendix A), which old files have.
const PACKET_BLOCK: u32 = 2;

/// Why a file cannot be read, or not beyond some place.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Reading failed.
    #[error("cannot be read at offset {offset}, behind packet {packet}: {error}")]
    Io {
        /// Where in the file.
        offset: u64,
        /// The number of the last packet before it; 0: none.
        packet: u64,
        /// What the system says.
        error: io::Error,
    },
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It starts like neither format.
    #[error("is neither pcap nor pcapng: it starts with {start}")]
    Unknown {
        /// Its first bytes in hexadecimal, and what they look like.
        start: String,
    },
    /// It ends within a packet or block.
    #[error("ends at offset {offset} within the block or packet that begins there, behind packet {packet}")]
    CutShort {
        /// Where the last block or packet starts.
        offset: u64,
        /// The number of the last whole packet; 0: none.
        packet: u64,
    },
    /// A block or packet does not follow its format.
    #[error("is damaged at offset {offset}, behind packet {packet}: {problem}")]
    Damaged {
        /// Where the block or packet starts.
        offset: u64,
        /// The number of the last packet before it; 0: none.
        packet: u64,
        /// What is wrong.
        problem: String,
    },
}

impl ReadError {
    /// Whether packets before that place were handed out, or could have been: the file is a capture.
    pub fn is_of_capture(&self) -> bool {
        match self {
            ReadError::Io { offset, .. } => *offset > 0,
            ReadError::Empty | ReadError::Unknown { .. } => false,
            ReadError::CutShort { .. } | ReadError::Damaged { .. } => true,
        }
    }
}

/// A packet of a capture, over the bytes of the reader.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// Its number, from 1 on, as in Wireshark.
    pub number: u64,
    /// Where its block starts in the file.
    pub offset: u64,
    /// Its time: nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_nanos: u64,
    /// The number of the link type (the LINKTYPE_ registry of tcpdump.org).
    pub link_type: u32,
    /// The number of its interface, over all sections of the file.
    pub interface: u32,
    /// The name of its interface.
    pub interface_name: Option<&'a str>,
    /// The bytes.
    pub data: &'a [u8],
    /// How many bytes it had on the wire.
    pub original_length: u32,
    /// Whether it was sent or received, where the capture says so.
    pub direction: Option<PacketDirection>,
    /// Its comment.
    pub comment: Option<Cow<'a, str>>,
}

/// Which way a packet went, seen from its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketDirection {
    /// Received.
    Inbound,
    /// Sent.
    Outbound,
}

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// `pcap` or `pcapng`.
    pub format: &'static str,
    /// The program that wrote it, where it says so.
    pub application: Option<String>,
    /// The names of the interfaces, in the order of their numbers.
    pub interfaces: Vec<Option<String>>,
    /// How many packets were handed out.
    pub packets: u64,
}

/// Hands out every packet of a file, in order.
///
/// `facts` of the result are known up to the place of an error, too: ask [`read_with_facts`] for both.
///
/// # Errors
///
/// Why the file cannot be read, or not beyond some place; the packets before it were handed out.
pub fn read(input: impl Read, mut each: impl FnMut(&Packet<'_>)) -> Result<FileFacts, ReadError> {
    let (facts, result) = read_with_facts(input, |_, packet| each(packet));
    result.map(|()| facts)
}

/// As [`read`]; the closure sees the facts as they are known so far, and they are given back whatever becomes of the rest.
pub(crate) fn read_with_facts(
    input: impl Read,
    each: impl FnMut(&FileFacts, &Packet<'_>),
) -> (FileFacts, Result<(), ReadError>) {
    let mut file = File {
        window: Window::new(input, LONGEST),
        facts: FileFacts::default(),
        each,
    };
    let result = file.read();
    (file.facts, result)
}

struct File<R, F> {
    window: Window<R>,
    facts: FileFacts,
    each: F,
}

/// An interface of the section that is read.
#[derive(Clone, Copy, Debug)]
struct Interface {
    number: u32,
    link_type: u32,
    snap_length: u32,
    ticks: Ticks,
}

/// How an interface counts time.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    per_second: u128,
    /// Seconds to add.
    offset: i64,
}

impl Ticks {
    /// pcapng §4.2, if_tsresol: a power of ten, or with the high bit a power of two.
    fn new(resolution: u8, offset: i64) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        let per_second = if resolution & 0x80 == 0 {
            10u128.checked_pow(exponent)
        } else {
            1u128.checked_shl(exponent)
        };
        Ticks {
            per_second: per_second.unwrap_or(u128::MAX),
            offset,
        }
    }

    fn unix_nanos(self, ticks: u64) -> u64 {
        let nanos = u128::from(ticks).saturating_mul(1_000_000_000) / self.per_second.max(1);
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX);
        let offset = i128::from(self.offset) * 1_000_000_000;
        u64::try_from(nanos.saturating_add(offset).max(0)).unwrap_or(u64::MAX)
    }
}

/// What was read of the pcapng section so far.
#[derive(Debug, Default)]
struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// The time of the last packet, for those that have none.
    last: u64,
}

impl<R: Read, F: FnMut(&FileFacts, &Packet<'_>)> File<R, F> {
    fn read(&mut self) -> Result<(), ReadError> {
        self.fill()?;
        if self.window.data().is_empty() {
            return Err(ReadError::Empty);
        }
        if self.window.data().starts_with(&SECTION_HEADER) {
            self.facts.format = "pcapng";
            return self.read_blocks();
        }
        match parse_pcap_header(self.window.data()) {
            Ok((rest, header)) => {
                let length = self.window.data().len() - rest.len();
                self.window.take(length);
                self.facts.format = "pcap";
                self.facts.interfaces.push(None);
                self.read_frames(&header)
            }
            Err(_) => Err(self.unknown()),
        }
    }

    fn unknown(&self) -> ReadError {
        let data = self.window.data();
        let first: Vec<String> = data.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let looks = if data.starts_with(&GZIP) {
            " (gzip: decompress it first, as with gunzip)"
        } else if data
            .iter()
            .take(64)
            .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
        {
            " (text)"
        } else {
            ""
        };
        ReadError::Unknown {
            start: format!("{}{looks}", first.join(" ")),
        }
    }

    fn fill(&mut self) -> Result<Filled, ReadError> {
        self.window.fill().map_err(|error| ReadError::Io {
            offset: self.window.offset(),
            packet: self.facts.packets,
            error,
        })
    }

    /// More is needed for the block at the start of the window; false: there was nothing left at all.
    fn more(&mut self) -> Result<bool, ReadError> {
        match self.fill()? {
            Filled::More => Ok(true),
            Filled::Ended if self.window.data().is_empty() => Ok(false),
            Filled::Ended => Err(ReadError::CutShort {
                offset: self.window.offset(),
                packet: self.facts.packets,
            }),
            Filled::Full => Err(self.damaged(format!("a block or packet of more than {LONGEST} bytes"))),
        }
    }

    fn damaged(&self, problem: String) -> ReadError {
        ReadError::Damaged {
            offset: self.window.offset(),
            packet: self.facts.packets,
            problem,
        }
    }

    /// Whether there is more behind what could not be parsed: not when the file ends, and `problem` ends the reading.
    fn goes_on(&mut self, problem: Option<String>) -> Result<bool, ReadError> {
        match problem {
            None => self.more(),
            Some(problem) => Err(self.damaged(problem)),
        }
    }

    fn read_frames(&mut self, header: &PcapHeader) -> Result<(), ReadError> {
        let parse = match (header.is_bigendian(), header.is_modified_format()) {
            (_, true) => parse_pcap_frame_modified,
            (true, false) => parse_pcap_frame_be,
            (false, false) => parse_pcap_frame,
        };
        let nanos = header.is_nanosecond_precision();
        // The upper bits may say whether frames end with a checksum (pcap §4).
        let link_type = (header.network.0 as u32) & 0xffff;
        loop {
            let data = self.window.data();
            match parse(data) {
                Ok((rest, frame)) => {
                    let length = data.len() - rest.len();
                    let fraction = u64::from(frame.ts_usec) * if nanos { 1 } else { 1_000 };
                    self.facts.packets += 1;
                    let packet = Packet {
                        number: self.facts.packets,
                        offset: self.window.offset(),
                        unix_nanos: u64::from(frame.ts_sec) * 1_000_000_000 + fraction,
                        link_type,
                        interface: 0,
                        interface_name: None,
                        data: &frame.data[..frame.data.len().min(frame.caplen as usize)],
                        original_length: frame.origlen,
                        direction: None,
                        comment: None,
                    };
                    (self.each)(&self.facts, &packet);
                    self.window.take(length);
                }
                Err(error) => {
                    let problem = problem_of(&error);
                    if !self.goes_on(problem)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn read_blocks(&mut self) -> Result<(), ReadError> {
        let mut section = Section::default();
        loop {
            let data = self.window.data();
            if let Some(length) = block_length(data, section.big_endian)
                && data.len() < length
                && length <= LONGEST
            {
                if !self.more()? {
                    return Ok(());
                }
                continue;
            }
            let parsed = if section.big_endian {
                parse_block_be(data)
            } else {
                parse_block_le(data)
            };
            match parsed {
                Ok((rest, block)) => {
                    let length = data.len() - rest.len();
                    let offset = self.window.offset();
                    take_block(&block, offset, &mut section, &mut self.facts, &mut self.each)
                        .map_err(|problem| self.damaged(problem))?;
                    self.window.take(length);
                }
                Err(error) => {
                    let problem = problem_of(&error);
                    if !self.goes_on(problem)? {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// The length that a block gives itself, so that it is parsed once only when all of it is there. The section header has the same
/// type in both byte orders, and says behind its length which one it is.
fn block_length(data: &[u8], big_endian: bool) -> Option<usize> {
    let word = |at: usize| data.get(at..at + 4)?.try_into().ok();
    let big_endian = if data.starts_with(&SECTION_HEADER) {
        word(8)? == [0x1a, 0x2b, 0x3c, 0x4d]
    } else {
        big_endian
    };
    let length = word(4)?;
    let length = if big_endian {
        u32::from_be_bytes(length)
    } else {
        u32::from_le_bytes(length)
    };
    usize::try_from(length).ok()
}

fn take_block(
    block: &Block<'_>,
    offset: u64,
    section: &mut Section,
    facts: &mut FileFacts,
    each: &mut impl FnMut(&FileFacts, &Packet<'_>),
) -> Result<(), String> {
    match block {
        Block::SectionHeader(header) => {
            *section = Section {
                big_endian: header.big_endian(),
                ..Section::default()
            };
            if facts.application.is_none() {
                facts.application = text(&header.options, OptionCode::ShbUserAppl).map(Cow::into_owned);
            }
            Ok(())
        }
        Block::InterfaceDescription(description) => {
            if facts.interfaces.len() >= INTERFACES {
                return Err(format!("a file with more than {INTERFACES} interfaces"));
            }
            section.interfaces.push(Interface {
                number: facts.interfaces.len() as u32,
                link_type: (description.linktype.0 as u32) & 0xffff,
                snap_length: description.snaplen,
                ticks: Ticks::new(description.if_tsresol, description.if_tsoffset),
            });
            facts
                .interfaces
                .push(text(&description.options, OptionCode::IfName).map(Cow::into_owned));
            Ok(())
        }
        Block::EnhancedPacket(packet) => {
            let parts = Parts {
                interface: packet.if_id,
                ticks: Some(u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low)),
                data: packet.packet_data(),
                original_length: packet.origlen,
                direction: direction(&packet.options, section.big_endian),
                comment: text(&packet.options, OptionCode::Comment),
            };
            hand_out(parts, offset, section, facts, each)
        }
        Block::SimplePacket(packet) => {
            let longest = match section.interfaces.first().map(|first| first.snap_length) {
                None | Some(0) => u32::MAX,
                Some(length) => length,
            };
            let length = packet.data.len().min(packet.origlen.min(longest) as usize);
            let parts = Parts {
                interface: 0,
                ticks: None,
                data: &packet.data[..length],
                original_length: packet.origlen,
                direction: None,
                comment: None,
            };
            hand_out(parts, offset, section, facts, each)
        }
        Block::Unknown(unknown) if unknown.block_type == PACKET_BLOCK => {
            match old_packet(unknown.data, section.big_endian) {
                Some(parts) => hand_out(parts, offset, section, facts, each),
                None => Err("a Packet Block that is too short".to_owned()),
            }
        }
        Block::NameResolution(_)
        | Block::InterfaceStatistics(_)
        | Block::SystemdJournalExport(_)
        | Block::DecryptionSecrets(_)
        | Block::ProcessInformation(_)
        | Block::Custom(_)
        | Block::Unknown(_) => Ok(()),
    }
}

/// What a block says of a packet.
struct Parts<'a> {
    interface: u32,
    ticks: Option<u64>,
    data: &'a [u8],
    original_length: u32,
    direction: Option<PacketDirection>,
    comment: Option<Cow<'a, str>>,
}

fn hand_out(
    parts: Parts<'_>,
    offset: u64,
    section: &mut Section,
    facts: &mut FileFacts,
    each: &mut impl FnMut(&FileFacts, &Packet<'_>),
) -> Result<(), String> {
    let Some(interface) = section.interfaces.get(parts.interface as usize).copied() else {
        return Err(format!(
            "a packet of interface {}, of which there is no description",
            parts.interface
        ));
    };
    let unix_nanos = parts
        .ticks
        .map_or(section.last, |ticks| interface.ticks.unix_nanos(ticks));
    section.last = unix_nanos;
    facts.packets += 1;
    let name = facts.interfaces.get(interface.number as usize);
    let packet = Packet {
        number: facts.packets,
        offset,
        unix_nanos,
        link_type: interface.link_type,
        interface: interface.number,
        interface_name: name.and_then(Option::as_deref),
        data: parts.data,
        original_length: parts.original_length,
        direction: parts.direction,
        comment: parts.comment,
    };
    each(facts, &packet);
    Ok(())
}

/// pcapng appendix A: interface, drops, two words of time, two lengths, the packet.
fn old_packet(data: &[u8], big_endian: bool) -> Option<Parts<'_>> {
    let half = |at: usize| {
        let bytes: [u8; 2] = data.get(at..at + 2)?.try_into().ok()?;
        Some(if big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    let word = |at: usize| {
        let bytes: [u8; 4] = data.get(at..at + 4)?.try_into().ok()?;
        Some(if big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    };
    let captured = word(12)? as usize;
    Some(Parts {
        interface: u32::from(half(0)?),
        ticks: Some(u64::from(word(4)?) << 32 | u64::from(word(8)?)),
        data: data.get(20..20usize.checked_add(captured)?)?,
        original_length: word(16)?,
        direction: None,
        comment: None,
    })
}

/// The first option of this kind that is text.
fn text<'a>(options: &'a [PcapNGOption<'_>], code: OptionCode) -> Option<Cow<'a, str>> {
    let option = options.iter().find(|option| option.code == code)?;
    Some(String::from_utf8_lossy(option.as_bytes().ok()?))
}

/// pcapng §4.3, epb_flags: the lowest two bits.
fn direction(options: &[PcapNGOption<'_>], big_endian: bool) -> Option<PacketDirection> {
    let option = options.iter().find(|option| option.code.0 == EPB_FLAGS)?;
    let bytes: [u8; 4] = option.as_bytes().ok()?.try_into().ok()?;
    let flags = if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    };
    match flags & 0b11 {
        0b01 => Some(PacketDirection::Inbound),
        0b10 => Some(PacketDirection::Outbound),
        _ => None,
    }
}

/// What is wrong with bytes that were not parsed; `None` where only more of them are wanted.
fn problem_of(error: &nom::Err<PcapError<&[u8]>>) -> Option<String> {
    match error {
        nom::Err::Incomplete(_) => None,
        nom::Err::Error(error) | nom::Err::Failure(error) => Some(problem(error)),
    }
}

fn problem(error: &PcapError<&[u8]>) -> String {
    match error {
        PcapError::NomError(_, kind) | PcapError::OwnedNomError(_, kind) => {
            format!("a block or packet whose lengths do not agree ({kind:?})")
        }
        PcapError::HeaderNotRecognized => "a section that is none".to_owned(),
        PcapError::Eof
        | PcapError::BufferTooSmall
        | PcapError::UnexpectedEof
        | PcapError::ReadError
        | PcapError::Incomplete(_) => error.to_string(),
    }
}
