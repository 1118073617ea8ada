//! Packets in and out of SRTP: RFC 3711 §3.3, §3.4.

use super::key::{MasterKey, Suite};
use super::replay::ReplayWindow;
use super::transform::Transform;
use crate::rtp;

/// Sources whose rollover counters one direction keeps. A session has one at a time, two while it changes.
const SOURCES: usize = 4;
/// The E bit and 31 bits of index that follow an SRTCP packet (RFC 3711 §3.4).
const SRTCP_INDEX: usize = 4;
/// The header of RTCP that stays in the clear.
const RTCP_CLEAR: usize = 8;
const ENCRYPTED: u32 = 1 << 31;
/// One key protects so many RTP packets (RFC 3711 §9.2).
const RTP_PACKETS: u64 = 1 << 48;

/// Why a packet was not taken or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// Its authentication tag is not that of our key: somebody else sent it, or the keys differ.
    #[error("the authentication tag is wrong: the keys of both sides differ, or somebody else sent this")]
    Unauthentic,
    /// It was received before, or is too old to tell.
    #[error("the packet was received before, or is too old to tell")]
    Replayed,
    /// Too short, or no RTP or RTCP.
    #[error("the packet is too short for SRTP")]
    Malformed,
    /// The buffer is too small.
    #[error("the buffer is too small for the packet and its tag")]
    NoRoom,
    /// The key has protected all packets that it may (RFC 3711 §9.2).
    #[error("the key has protected all packets that it may; negotiate a new one")]
    KeyExhausted,
}

/// The sending direction: one source.
#[derive(Clone, Debug)]
pub struct Outbound {
    suite: Suite,
    rtp: Transform,
    rtcp: Transform,
    /// The index of the last RTP packet: the rollover counter and its sequence number.
    last: Option<u64>,
    rtcp_index: u32,
}

impl Outbound {
    /// Starts under a master key, with a rollover counter of zero.
    pub fn new(master: &MasterKey) -> Self {
        Outbound {
            suite: master.suite,
            rtp: Transform::rtp(master),
            rtcp: Transform::rtcp(master),
            last: None,
            rtcp_index: 0,
        }
    }

    /// Encrypts the RTP packet in the first `length` bytes of `buffer` in place, adds its tag, and gives the new length.
    ///
    /// # Errors
    /// [`SrtpError::Malformed`] for what is no RTP, [`SrtpError::NoRoom`], [`SrtpError::KeyExhausted`].
    pub fn seal_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let tag_length = self.suite.rtp_tag();
        if buffer.len() < length + tag_length {
            return Err(SrtpError::NoRoom);
        }
        let (packet, rest) = buffer.split_at_mut(length);
        let header = rtp::header_length(packet).map_err(|_| SrtpError::Malformed)?;
        let index = match self.last {
            None => u64::from(sequence(packet)),
            Some(last) => estimate(last, sequence(packet)),
        };
        if index >= RTP_PACKETS {
            return Err(SrtpError::KeyExhausted);
        }
        self.last = Some(self.last.map_or(index, |last| last.max(index)));
        self.rtp.crypt(word(packet, 8), index, &mut packet[header..]);
        let rollover = ((index >> 16) as u32).to_be_bytes();
        let tag = self.rtp.tag(packet, &rollover);
        rest[..tag_length].copy_from_slice(&tag[..tag_length]);
        Ok(length + tag_length)
    }

    /// Encrypts the RTCP compound in the first `length` bytes of `buffer` in place, adds index and tag, and gives the
    /// new length.
    ///
    /// # Errors
    /// As [`Outbound::seal_rtp`].
    pub fn seal_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let tag_length = self.suite.rtcp_tag();
        let protected = length + SRTCP_INDEX;
        if buffer.len() < protected + tag_length {
            return Err(SrtpError::NoRoom);
        }
        if length < RTCP_CLEAR {
            return Err(SrtpError::Malformed);
        }
        // RFC 3711 §3.2.1: the index starts at one.
        let index = self.rtcp_index + 1;
        if index >= ENCRYPTED {
            return Err(SrtpError::KeyExhausted);
        }
        self.rtcp_index = index;
        let ssrc = word(buffer, 4);
        self.rtcp
            .crypt(ssrc, u64::from(index), &mut buffer[RTCP_CLEAR..length]);
        buffer[length..protected].copy_from_slice(&(ENCRYPTED | index).to_be_bytes());
        let tag = self.rtcp.tag(&buffer[..protected], &[]);
        buffer[protected..protected + tag_length].copy_from_slice(&tag[..tag_length]);
        Ok(protected + tag_length)
    }
}

/// The receiving direction: a few sources.
#[derive(Clone, Debug)]
pub struct Inbound {
    suite: Suite,
    rtp: Transform,
    rtcp: Transform,
    sources: Vec<Source>,
    /// The sources under the key before this one, and their newest indexes.
    before: Vec<(u32, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    rtp: ReplayWindow,
    rtcp: ReplayWindow,
}

impl Inbound {
    /// Starts under the other side's master key.
    pub fn new(master: &MasterKey) -> Self {
        Inbound {
            suite: master.suite,
            rtp: Transform::rtp(master),
            rtcp: Transform::rtcp(master),
            sources: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Goes on under another master key.
    ///
    /// RFC 3711 §3.3.1: a new key does not set the rollover counter back. RFC 4568 has no way to tell the counter, so that
    /// peers begin at zero too when an offer brings them a key. Until a packet of a source proves which, both are tried.
    #[must_use]
    pub fn renewed(&self, master: &MasterKey) -> Self {
        let newest = |source: &Source| Some((source.ssrc, source.rtp.newest()?));
        let mut before: Vec<_> = self.sources.iter().filter_map(newest).collect();
        for &(ssrc, index) in &self.before {
            if before.len() < SOURCES && !before.iter().any(|(known, _)| *known == ssrc) {
                before.push((ssrc, index));
            }
        }
        Inbound {
            before,
            ..Inbound::new(master)
        }
    }

    /// Checks an RTP packet and writes its clear text to the start of `out`; gives the length.
    ///
    /// # Errors
    /// Why the packet is not to be trusted; nothing is remembered of it then.
    pub fn open_rtp(&mut self, packet: &[u8], out: &mut [u8]) -> Result<usize, SrtpError> {
        let length = packet
            .len()
            .checked_sub(self.suite.rtp_tag())
            .ok_or(SrtpError::Malformed)?;
        let (packet, tag) = packet.split_at(length);
        let header = rtp::header_length(packet).map_err(|_| SrtpError::Malformed)?;
        let ssrc = word(packet, 8);
        let window = self.source(ssrc).map(|source| source.rtp).unwrap_or_default();
        let index = match window.newest() {
            None => self.first_index(ssrc, packet, tag)?,
            Some(newest) => {
                let index = estimate(newest, sequence(packet));
                if !window.is_fresh(index) {
                    return Err(SrtpError::Replayed);
                }
                if !self.is_authentic(packet, index, tag) {
                    return Err(SrtpError::Unauthentic);
                }
                index
            }
        };
        let clear = out.get_mut(..length).ok_or(SrtpError::NoRoom)?;
        clear.copy_from_slice(packet);
        self.rtp.crypt(ssrc, index, &mut clear[header..]);
        self.remember(ssrc).rtp.receive(index);
        Ok(length)
    }

    /// Checks an RTCP compound and writes its clear text to the start of `out`; gives the length.
    ///
    /// # Errors
    /// As [`Inbound::open_rtp`].
    pub fn open_rtcp(&mut self, packet: &[u8], out: &mut [u8]) -> Result<usize, SrtpError> {
        let protected = packet
            .len()
            .checked_sub(self.suite.rtcp_tag())
            .filter(|&length| length >= RTCP_CLEAR + SRTCP_INDEX)
            .ok_or(SrtpError::Malformed)?;
        let (packet, tag) = packet.split_at(protected);
        let length = protected - SRTCP_INDEX;
        let trailer = word(packet, length);
        let index = u64::from(trailer & !ENCRYPTED);
        let ssrc = word(packet, 4);
        let window = self.source(ssrc).map(|source| source.rtcp).unwrap_or_default();
        if !window.is_fresh(index) {
            return Err(SrtpError::Replayed);
        }
        if !self.rtcp.verify(packet, &[], tag) {
            return Err(SrtpError::Unauthentic);
        }
        let clear = out.get_mut(..length).ok_or(SrtpError::NoRoom)?;
        clear.copy_from_slice(&packet[..length]);
        if trailer & ENCRYPTED != 0 {
            self.rtcp.crypt(ssrc, index, &mut clear[RTCP_CLEAR..]);
        }
        self.remember(ssrc).rtcp.receive(index);
        Ok(length)
    }

    fn is_authentic(&self, packet: &[u8], index: u64, tag: &[u8]) -> bool {
        let rollover = ((index >> 16) as u32).to_be_bytes();
        self.rtp.verify(packet, &rollover, tag)
    }

    /// The index of the first packet of a source under this key.
    fn first_index(&self, ssrc: u32, packet: &[u8], tag: &[u8]) -> Result<u64, SrtpError> {
        let sequence = sequence(packet);
        let before = self.before.iter().find(|(known, _)| *known == ssrc);
        let from_before = before.map(|&(_, newest)| {
            // The counter went on, or was set back when the key changed, and may have turned since.
            [newest, newest & 0xffff].map(|newest| estimate(newest, sequence))
        });
        let mut candidates = from_before.into_iter().flatten().chain([u64::from(sequence)]);
        candidates
            .find(|&index| self.is_authentic(packet, index, tag))
            .ok_or(SrtpError::Unauthentic)
    }

    fn source(&self, ssrc: u32) -> Option<&Source> {
        self.sources.iter().find(|source| source.ssrc == ssrc)
    }

    /// The state of a source that proved itself; the one that was heard first makes room for a fifth.
    fn remember(&mut self, ssrc: u32) -> &mut Source {
        let at = match self.sources.iter().position(|source| source.ssrc == ssrc) {
            Some(at) => at,
            None => {
                if self.sources.len() == SOURCES {
                    self.sources.remove(0);
                }
                self.sources.push(Source {
                    ssrc,
                    rtp: ReplayWindow::default(),
                    rtcp: ReplayWindow::default(),
                });
                self.sources.len() - 1
            }
        };
        &mut self.sources[at]
    }
}

/// The index of a packet from its sequence number and the newest index so far: whichever rollover counter brings it
/// closest (RFC 3711 §3.3.1, §A).
fn estimate(newest: u64, sequence: u16) -> u64 {
    let ahead = sequence.wrapping_sub(newest as u16) as i16;
    match newest.checked_add_signed(i64::from(ahead)) {
        Some(index) => index,
        // Before the very first: the rollover counter is not below zero.
        None => u64::from(sequence),
    }
}

fn sequence(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

fn word(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
}
