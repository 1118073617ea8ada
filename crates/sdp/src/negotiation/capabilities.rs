//! What this end can do, and where it is.

use std::net::IpAddr;

use crate::crypto::Crypto;
use crate::format::Format;
use crate::media::{Media, Protocol};

/// What is offered and accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Codecs, the preferred first, each with the payload type for offers. An answer uses those of the offer.
    pub codecs: Vec<Format>,
    /// The payload type for telephone-event in offers; `None`: neither offered nor accepted.
    pub telephone_event: Option<u8>,
    /// Whether media is encrypted with keys in the description (SDES, RFC 4568).
    pub srtp: SrtpPolicy,
    /// Whether RTP and RTCP may share a port (RFC 5761).
    pub rtcp_mux: RtcpMux,
    /// The packet length to ask for, in milliseconds (`a=ptime`); `None`: nothing is asked for.
    pub ptime_ms: Option<u32>,
}

/// Whether RTP and RTCP share a port (RFC 5761).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RtcpMux {
    /// Neither offered nor accepted.
    Never,
    /// Accepted where the peer offers it.
    #[default]
    Accept,
    /// Offered and accepted.
    Offer,
}

/// Whether media is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SrtpPolicy {
    /// Plain RTP only. An offer that demands encryption is refused.
    #[default]
    Never,
    /// Keys are offered on a plain `RTP/AVP` line, and used when the peer answers with its own. An offer with keys is
    /// answered with keys.
    Offer,
    /// `RTP/SAVP` with keys. An offer without usable keys is refused.
    Require,
    /// The same with `RTP/SAVPF`, the profile with feedback (RFC 5124), in offers.
    RequireFeedback,
}

impl SrtpPolicy {
    /// Whether there is no call without keys.
    pub const fn is_required(self) -> bool {
        matches!(self, SrtpPolicy::Require | SrtpPolicy::RequireFeedback)
    }

    /// The profile of an offer.
    pub(super) const fn profile(self) -> Protocol {
        match self {
            SrtpPolicy::Never | SrtpPolicy::Offer => Protocol::RtpAvp,
            SrtpPolicy::Require => Protocol::RtpSavp,
            SrtpPolicy::RequireFeedback => Protocol::RtpSavpf,
        }
    }
}

/// Where this end receives, and its keys. The caller leases the ports and draws the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address for `c=`.
    pub address: IpAddr,
    /// The RTP port.
    pub rtp_port: u16,
    /// The RTCP port; `None` where there is none but the next one.
    pub rtcp_port: Option<u16>,
    /// Keys for what this end sends, one for each suite, the preferred first, with tags that differ.
    pub crypto: Vec<Crypto>,
}

impl Default for Capabilities {
    /// PCMU, PCMA and telephone-event 101, 20 ms, plain RTP.
    fn default() -> Self {
        Self {
            codecs: vec![Format::pcmu(), Format::pcma()],
            telephone_event: Some(101),
            srtp: SrtpPolicy::Never,
            rtcp_mux: RtcpMux::Accept,
            ptime_ms: Some(20),
        }
    }
}

impl LocalMedia {
    /// Plain RTP at `address` and `rtp_port`, RTCP on the next port.
    #[must_use]
    pub fn new(address: IpAddr, rtp_port: u16) -> Self {
        Self {
            address,
            rtp_port,
            rtcp_port: None,
            crypto: Vec::new(),
        }
    }
}

impl Capabilities {
    /// The formats of an offer. `before`: our and the peer's media of the agreement so far, and the codec in use.
    pub(super) fn formats(&self, before: Option<(&Media, &Media, &Format)>) -> Vec<Format> {
        let mut wanted = self.codecs.clone();
        if let Some((_, _, in_use)) = before {
            // A new offer is no reason to change the codec.
            wanted.sort_by_key(|format| !format.same_codec(in_use));
        }
        wanted.extend(self.telephone_event.map(Format::telephone_event));
        let Some((local, remote, _)) = before else {
            return wanted;
        };
        let mut offered: Vec<Format> = Vec::new();
        for format in wanted {
            let number = stable_number(&format, local, remote, &offered);
            offered.extend(number.map(|payload_type| Format {
                payload_type,
                ..format
            }));
        }
        offered
    }
}

/// RFC 3264 §8.3.2: for the life of a session a payload type means one codec. `None` when all numbers are taken.
fn stable_number(format: &Format, local: &Media, remote: &Media, offered: &[Format]) -> Option<u8> {
    if let Some(same) = local.formats.iter().find(|old| old.same_codec(format)) {
        return Some(same.payload_type);
    }
    let is_free = |number: &u8| {
        let taken = |formats: &[Format]| {
            formats
                .iter()
                .any(|other| other.payload_type == *number && !other.same_codec(format))
        };
        !taken(&local.formats) && !taken(&remote.formats) && !taken(offered)
    };
    // RFC 3551 §3: 96 to 127 are for dynamic use.
    std::iter::once(format.payload_type).chain(96..=127).find(is_free)
}
