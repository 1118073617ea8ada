//! The SRTP of a session, both ways.

use crate::plane::{Refused, SrtpKeys};
use crate::srtp::{Inbound, Outbound, SrtpError};

/// The clear text of the last packet that went or came encrypted: what captures show.
#[derive(Debug)]
pub(crate) struct Clear {
    bytes: Box<[u8]>,
    length: Option<usize>,
}

impl Clear {
    pub(crate) fn new() -> Self {
        Clear {
            bytes: vec![0; 2_048].into_boxed_slice(),
            length: None,
        }
    }

    /// The clear text, where there was encryption.
    pub(crate) fn get(&self) -> Option<&[u8]> {
        self.length.map(|length| &self.bytes[..length])
    }

    pub(crate) fn forget(&mut self) {
        self.length = None;
    }

    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        let length = bytes.len().min(self.bytes.len());
        self.bytes[..length].copy_from_slice(&bytes[..length]);
        self.length = Some(length);
    }
}

/// Why a packet was not opened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// The other side's key is not known yet.
    NoKey,
    /// SRTP refused it.
    Srtp(SrtpError),
}

impl Failure {
    pub(crate) fn count(self, refused: &mut Refused) {
        match self {
            Failure::NoKey | Failure::Srtp(SrtpError::Unauthentic) => refused.unauthentic += 1,
            Failure::Srtp(SrtpError::Replayed) => refused.replayed += 1,
            Failure::Srtp(SrtpError::Malformed | SrtpError::NoRoom | SrtpError::KeyExhausted) => {
                refused.malformed += 1;
            }
        }
    }
}

/// Both directions of a session's SRTP.
#[derive(Debug)]
pub(crate) struct Security {
    keys: SrtpKeys,
    outbound: Outbound,
    inbound: Option<Inbound>,
}

impl Security {
    /// Puts new keys in place. A key that stays keeps its rollover counters. Under a new one this side starts at zero, as
    /// the other side must assume that learns no counter with it (RFC 4568); for what arrives see [`Inbound::renewed`].
    pub(crate) fn renew(security: &mut Option<Box<Security>>, keys: Option<&SrtpKeys>) {
        let Some(keys) = keys else {
            *security = None;
            return;
        };
        match security {
            Some(security) => {
                if security.keys.send != keys.send {
                    security.outbound = Outbound::new(&keys.send);
                }
                if security.keys.receive != keys.receive {
                    let before = security.inbound.take();
                    security.inbound = keys.receive.as_ref().map(|key| match before {
                        Some(before) => before.renewed(key),
                        None => Inbound::new(key),
                    });
                }
                security.keys = keys.clone();
            }
            None => {
                *security = Some(Box::new(Security {
                    keys: keys.clone(),
                    outbound: Outbound::new(&keys.send),
                    inbound: keys.receive.as_ref().map(Inbound::new),
                }));
            }
        }
    }

    /// Encrypts the packet at the start of `buffer`; gives its new length, or `None` when it cannot be sent.
    pub(crate) fn seal_rtp(&mut self, buffer: &mut [u8], length: usize, clear: &mut Clear) -> Option<usize> {
        clear.keep(&buffer[..length]);
        self.outbound.seal_rtp(buffer, length).ok()
    }

    /// The same for RTCP.
    pub(crate) fn seal_rtcp(&mut self, buffer: &mut [u8], length: usize, clear: &mut Clear) -> Option<usize> {
        clear.keep(&buffer[..length]);
        self.outbound.seal_rtcp(buffer, length).ok()
    }

    /// Checks and decrypts a packet; the clear text is kept in `clear`.
    pub(crate) fn open_rtp<'a>(&mut self, packet: &[u8], clear: &'a mut Clear) -> Result<&'a [u8], Failure> {
        let inbound = self.inbound.as_mut().ok_or(Failure::NoKey)?;
        let length = inbound
            .open_rtp(packet, &mut clear.bytes)
            .map_err(Failure::Srtp)?;
        clear.length = Some(length);
        Ok(&clear.bytes[..length])
    }

    /// The same for RTCP.
    pub(crate) fn open_rtcp<'a>(&mut self, packet: &[u8], clear: &'a mut Clear) -> Result<&'a [u8], Failure> {
        let inbound = self.inbound.as_mut().ok_or(Failure::NoKey)?;
        let length = inbound
            .open_rtcp(packet, &mut clear.bytes)
            .map_err(Failure::Srtp)?;
        clear.length = Some(length);
        Ok(&clear.bytes[..length])
    }
}
