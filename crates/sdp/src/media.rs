//! One media description: RFC 8866 §5.14 and the attributes under it.

use std::fmt;

use crate::crypto::Crypto;
use crate::format::Format;
use crate::session::{Attribute, Bandwidth, Connection};

/// An `m=` line and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Audio, video, …
    pub kind: MediaKind,
    /// The port for RTP; 0 means rejected or switched off (RFC 3264 §5.1, §6).
    pub port: u16,
    /// The number of ports where the line gives one (`m=audio 49170/2 …`).
    pub port_count: Option<u16>,
    /// The transport protocol, which is the RTP profile.
    pub protocol: Protocol,
    /// The RTP payload types, the best first, each once, with what `a=rtpmap` and `a=fmtp` say of it.
    pub formats: Vec<Format>,
    /// Formats that are not RTP payload types (`t38`, `*`, …), in order; written after [`Media::formats`].
    pub other_formats: Vec<String>,
    /// The address for this media alone (`c=`).
    pub connection: Option<Connection>,
    /// Bandwidths (`b=`).
    pub bandwidths: Vec<Bandwidth>,
    /// Who sends: its own attribute, or that of the session, or `sendrecv` (RFC 8866 §6.7).
    pub direction: Direction,
    /// Milliseconds of media in a packet (`a=ptime`, RFC 8866 §6.4).
    pub ptime_ms: Option<u32>,
    /// The most milliseconds in a packet (`a=maxptime`, RFC 8866 §6.5).
    pub max_ptime_ms: Option<u32>,
    /// Where RTCP goes when that is not the next port (`a=rtcp`, RFC 3605).
    pub rtcp: Option<RtcpAddress>,
    /// RTP and RTCP on one port (`a=rtcp-mux`, RFC 5761 §5.1.1).
    pub rtcp_mux: bool,
    /// Keys for SRTP, the best first (`a=crypto`, RFC 4568).
    pub crypto: Vec<Crypto>,
    /// Attributes that have no field of their own, in order, broken ones included.
    pub attributes: Vec<Attribute>,
}

/// What kind of media an `m=` line describes (RFC 8866 §5.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaKind {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `text`
    Text,
    /// `application`
    Application,
    /// `message`
    Message,
    /// `image`, as T.38 fax uses it
    Image,
    /// Any other word.
    Other(String),
}

/// The transport protocol of an `m=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// `RTP/AVP`: plain RTP (RFC 3551).
    RtpAvp,
    /// `RTP/SAVP`: SRTP (RFC 3711).
    RtpSavp,
    /// `RTP/AVPF`: plain RTP with feedback (RFC 4585).
    RtpAvpf,
    /// `RTP/SAVPF`: SRTP with feedback (RFC 5124).
    RtpSavpf,
    /// `UDP/TLS/RTP/SAVP`: SRTP keyed by DTLS (RFC 5764).
    UdpTlsRtpSavp,
    /// `UDP/TLS/RTP/SAVPF`: SRTP keyed by DTLS, with feedback.
    UdpTlsRtpSavpf,
    /// Any other word.
    Other(String),
}

/// Who sends, as the writer of the description sees it (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Direction {
    /// Both send.
    #[default]
    SendRecv,
    /// Only the writer sends.
    SendOnly,
    /// Only the reader sends.
    RecvOnly,
    /// Nobody sends.
    Inactive,
}

/// `a=rtcp`: RFC 3605 §2.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtcpAddress {
    /// The port for RTCP.
    pub port: u16,
    /// The address, where it is not that of RTP.
    pub connection: Option<Connection>,
}

impl Media {
    /// A media description of `kind` with nothing in it.
    #[must_use]
    pub fn new(kind: MediaKind, port: u16, protocol: Protocol) -> Self {
        Self {
            kind,
            port,
            port_count: None,
            protocol,
            formats: Vec::new(),
            other_formats: Vec::new(),
            connection: None,
            bandwidths: Vec::new(),
            direction: Direction::SendRecv,
            ptime_ms: None,
            max_ptime_ms: None,
            rtcp: None,
            rtcp_mux: false,
            crypto: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// Whether the port is 0: in an offer the stream is switched off, in an answer it is rejected.
    #[must_use]
    pub fn rejected(&self) -> bool {
        self.port == 0
    }

    /// The format of `payload_type`.
    #[must_use]
    pub fn format(&self, payload_type: u8) -> Option<&Format> {
        self.formats
            .iter()
            .find(|format| format.payload_type == payload_type)
    }

    /// The formats that carry sound: neither telephone-event nor comfort noise.
    pub fn codecs(&self) -> impl Iterator<Item = &Format> {
        self.formats
            .iter()
            .filter(|format| !format.is_telephone_event() && !format.is_comfort_noise())
    }

    /// The telephone-event format that goes with a codec of `clock_rate` (RFC 4733 §2.1: the rates should be equal).
    #[must_use]
    pub fn telephone_event(&self, clock_rate: u32) -> Option<&Format> {
        self.formats
            .iter()
            .find(|format| format.is_telephone_event() && format.clock_rate == clock_rate)
    }
}

impl MediaKind {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Text => "text",
            Self::Application => "application",
            Self::Message => "message",
            Self::Image => "image",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for MediaKind {
    fn from(word: &str) -> Self {
        let known = [
            Self::Audio,
            Self::Video,
            Self::Text,
            Self::Application,
            Self::Message,
            Self::Image,
        ];
        known
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .unwrap_or_else(|| Self::Other(word.into()))
    }
}

impl Protocol {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::RtpAvp => "RTP/AVP",
            Self::RtpSavp => "RTP/SAVP",
            Self::RtpAvpf => "RTP/AVPF",
            Self::RtpSavpf => "RTP/SAVPF",
            Self::UdpTlsRtpSavp => "UDP/TLS/RTP/SAVP",
            Self::UdpTlsRtpSavpf => "UDP/TLS/RTP/SAVPF",
            Self::Other(word) => word,
        }
    }

    /// Whether formats are RTP payload types.
    #[must_use]
    pub fn is_rtp(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Whether the profile demands SRTP, keyed by `a=crypto` or by DTLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        matches!(self, Self::RtpSavp | Self::RtpSavpf) || self.is_dtls()
    }

    /// Whether the keys come from a DTLS handshake.
    #[must_use]
    pub fn is_dtls(&self) -> bool {
        matches!(self, Self::UdpTlsRtpSavp | Self::UdpTlsRtpSavpf)
    }
}

impl From<&str> for Protocol {
    fn from(word: &str) -> Self {
        let known = [
            Self::RtpAvp,
            Self::RtpSavp,
            Self::RtpAvpf,
            Self::RtpSavpf,
            Self::UdpTlsRtpSavp,
            Self::UdpTlsRtpSavpf,
        ];
        known
            .into_iter()
            .find(|protocol| protocol.as_str() == word)
            .unwrap_or_else(|| Self::Other(word.into()))
    }
}

impl Direction {
    /// The direction of a writer that sends, or not, and receives, or not.
    #[must_use]
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the writer of the description sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer of the description receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same, seen from the other end.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What remains when both `self` and `other` must allow it.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The attribute name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    pub(crate) fn from_attribute(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|direction| direction.as_str() == name)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
