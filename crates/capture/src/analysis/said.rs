//! A SIP message on its way, with its place in the capture.

use std::net::SocketAddr;

use callwright_sip_message::{HeaderName, Message, StartLine};
use callwright_wire::Time;

use crate::rules::heard::{Heard, Passage};

/// A message that has every header without which it belongs nowhere.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    pub(crate) heard: Heard<'a>,
    pub(crate) packet: u64,
    pub(crate) transport: &'static str,
    pub(crate) comment: Option<&'a str>,
}

impl<'a> Said<'a> {
    pub(crate) fn read(
        message: &'a Message,
        passage: Passage,
        packet: u64,
        transport: &'static str,
        comment: Option<&'a str>,
    ) -> Option<Self> {
        let heard = Heard::read(message, passage)?;
        Some(Said {
            heard: (heard.call_id.len() <= CALL_ID).then_some(heard)?,
            packet,
            transport,
            comment,
        })
    }

    pub(crate) fn at(&self) -> Time {
        self.heard.passage.time
    }

    pub(crate) fn source(&self) -> SocketAddr {
        self.heard.passage.source
    }

    pub(crate) fn destination(&self) -> SocketAddr {
        self.heard.passage.destination
    }

    pub(crate) fn message(&self) -> &'a Message {
        self.heard.message
    }

    /// The URI in From or To, as a person would say it.
    pub(crate) fn uri(&self, name: HeaderName) -> String {
        let address = match name {
            HeaderName::From => self.message().from(),
            _ => self.message().to(),
        };
        short(match address {
            Ok(address) => address.uri.to_string(),
            Err(_) => self.message().header(name).unwrap_or_default().into_owned(),
        })
    }

    pub(crate) fn reason(&self) -> Option<String> {
        match self.message().start() {
            StartLine::Response { reason, .. } => Some(short(reason.to_string())),
            StartLine::Request { .. } | StartLine::Neither => None,
        }
    }

    /// The first line in short.
    pub(crate) fn summary(&self) -> String {
        let first = match self.message().start() {
            StartLine::Request { method, uri } => format!("{method} {uri}"),
            StartLine::Response { status, reason } => format!("{status} {reason}"),
            StartLine::Neither => String::new(),
        };
        let first = short(first);
        if self.heard.description.is_some() {
            format!("{first} (SDP)")
        } else {
            first
        }
    }

    /// Of its bytes and addresses: what is the same was sent again.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = fingerprint(self.message().raw());
        for address in [self.source(), self.destination()] {
            hash = hash.rotate_left(7) ^ u64::from(address.port());
            hash = match address.ip() {
                std::net::IpAddr::V4(ip) => hash ^ u64::from(ip.to_bits()) << 16,
                std::net::IpAddr::V6(ip) => hash ^ ip.to_bits() as u64 ^ (ip.to_bits() >> 64) as u64,
            };
            hash = hash.wrapping_mul(PRIME);
        }
        hash
    }
}

/// A Call-ID that is longer is none that anybody means.
const CALL_ID: usize = 1_024;
/// What is kept of a text that a peer chose, in characters.
const SHORT: usize = 512;

/// A text that a peer chose, in a length that can be kept of each message.
pub(crate) fn short(text: String) -> String {
    match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a over words of eight bytes: nothing secret depends on it.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    for word in words {
        let word = u64::from_le_bytes([
            word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7],
        ]);
        hash = (hash ^ word).wrapping_mul(PRIME).rotate_left(29);
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    hash ^ hash >> 32
}
