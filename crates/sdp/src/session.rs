//! The session level of a description: RFC 8866 §5.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use smol_str::{SmolStr, ToSmolStr as _};

use crate::crypto::HIDDEN;
use crate::media::Media;
use crate::parse::Defect;

/// A session description (RFC 8866 §5).
///
/// Lines that say nothing about media (`i=`, `u=`, `e=`, `p=`, `r=`, `z=`, `k=`) live in [`Session::raw`] alone;
/// [`Session::to_bytes`] does not write them. Equality compares what is said, not `raw` and not `defects`. `Debug` does not show keys,
/// and so nothing of `raw` but its length.
#[derive(Clone, Default)]
pub struct Session {
    /// Who made this description, and which version it is (`o=`).
    pub origin: Origin,
    /// The session name (`s=`); a lone `-` where there is none (RFC 8866 §5.3).
    pub name: SmolStr,
    /// The session-level address (`c=`), for media without one of their own.
    pub connection: Option<Connection>,
    /// The session-level bandwidths (`b=`).
    pub bandwidths: Vec<Bandwidth>,
    /// Start and stop times (`t=`), in NTP seconds; written as `0 0` where empty.
    pub times: Vec<(u64, u64)>,
    /// Session-level attributes that have no field of their own, in order, broken ones included.
    pub attributes: Vec<Attribute>,
    /// The media descriptions, in the order of their `m=` lines.
    pub media: Vec<Media>,
    /// What could not be understood when this was parsed.
    pub defects: Vec<Defect>,
    /// The bytes that this was parsed from; empty for one that was built.
    pub raw: Bytes,
}

/// `o=`: RFC 8866 §5.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The user name; `-` where there is none.
    pub username: SmolStr,
    /// The session id: digits, unique for the host together with the rest of the line.
    pub session_id: SmolStr,
    /// The version, one higher for each change of the description (RFC 3264 §8).
    pub version: u64,
    /// The address of the host that made the session.
    pub address: Connection,
}

/// An address as `c=` and `o=` write it: RFC 8866 §5.7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The network type, `IN` for the Internet.
    pub network: SmolStr,
    /// The address type: `IP4` or `IP6`.
    pub address_type: SmolStr,
    /// The address or host name, with the suffixes of multicast (`/ttl/count`) where it has them.
    pub address: SmolStr,
}

/// `b=`: RFC 8866 §5.8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bandwidth {
    /// `AS`, `CT`, `TIAS`, `RS`, `RR`, …
    pub kind: String,
    /// The value: kilobits per second for `AS` and `CT`, bits per second for the others.
    pub value: u64,
}

/// `a=`: an attribute without a field of its own (RFC 8866 §5.13). `Debug` does not show the value of an `a=crypto` that stands in
/// the wrong place or is broken.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// What stands before the colon.
    pub name: SmolStr,
    /// What stands after the colon; `None` for a flag.
    pub value: Option<SmolStr>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("origin", &self.origin)
            .field("name", &self.name)
            .field("connection", &self.connection)
            .field("bandwidths", &self.bandwidths)
            .field("times", &self.times)
            .field("attributes", &self.attributes)
            .field("media", &self.media)
            .field("defects", &self.defects)
            .field("raw", &format_args!("{} bytes", self.raw.len()))
            .finish()
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Attribute");
        shown.field("name", &self.name);
        match &self.value {
            Some(_) if self.name.eq_ignore_ascii_case("crypto") => shown.field("value", &HIDDEN),
            value => shown.field("value", value),
        };
        shown.finish()
    }
}

impl Session {
    /// Where RTP for the media description at `index` goes. `None` when there is no such description, it is
    /// rejected (port 0), or it has no IP address (a host name, or no `c=` at all).
    #[must_use]
    pub fn rtp_address(&self, index: usize) -> Option<SocketAddr> {
        let media = self.media.get(index)?;
        if media.rejected() {
            return None;
        }
        Some(SocketAddr::new(self.connection_of(index)?.ip()?, media.port))
    }

    /// Where RTCP for the media description at `index` goes: the RTP address with `a=rtcp-mux`
    /// (RFC 5761 §5.1.1), what `a=rtcp` says (RFC 3605), or else the next port (RFC 3550 §11).
    ///
    /// For an answer this is the whole truth; in an offer `a=rtcp-mux` is only a wish, and until the answer agrees
    /// the port without it is [`Session::rtcp_address_without_mux`].
    #[must_use]
    pub fn rtcp_address(&self, index: usize) -> Option<SocketAddr> {
        if self.media.get(index)?.rtcp_mux {
            self.rtp_address(index)
        } else {
            self.rtcp_address_without_mux(index)
        }
    }

    /// Where RTCP goes when `a=rtcp-mux` was not agreed on. `None` as for [`Session::rtp_address`], and where the
    /// RTP port is the last of all ports.
    #[must_use]
    pub fn rtcp_address_without_mux(&self, index: usize) -> Option<SocketAddr> {
        let rtp = self.rtp_address(index)?;
        match &self.media[index].rtcp {
            Some(rtcp) => {
                let ip = rtcp.connection.as_ref().map_or(Some(rtp.ip()), Connection::ip)?;
                Some(SocketAddr::new(ip, rtcp.port))
            }
            None => Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)),
        }
    }

    /// The `c=` that holds for the media description at `index`: its own, or that of the session.
    #[must_use]
    pub fn connection_of(&self, index: usize) -> Option<&Connection> {
        self.media
            .get(index)?
            .connection
            .as_ref()
            .or(self.connection.as_ref())
    }

    /// Whether the address of the media description at `index` is `0.0.0.0` (or `::`): the old way to put a call on
    /// hold, which asks the reader to send neither RTP nor RTCP (RFC 3264 §8.4).
    #[must_use]
    pub fn held_by_address(&self, index: usize) -> bool {
        self.connection_of(index)
            .and_then(Connection::ip)
            .is_some_and(|ip| ip.is_unspecified())
    }
}

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.origin == other.origin && self.same_but_for_origin(other)
    }
}

impl Eq for Session {}

impl Session {
    /// Whether `other` says the same, whatever its `o=` line is. RFC 3264 §8 ties the version to this.
    #[must_use]
    pub fn same_but_for_origin(&self, other: &Self) -> bool {
        self.name == other.name
            && self.connection == other.connection
            && self.bandwidths == other.bandwidths
            && self.times == other.times
            && self.attributes == other.attributes
            && self.media == other.media
    }
}

impl Connection {
    /// An Internet address.
    #[must_use]
    pub fn new(ip: IpAddr) -> Self {
        let address_type = if ip.is_ipv4() { "IP4" } else { "IP6" };
        Self {
            network: "IN".into(),
            address_type: address_type.into(),
            address: ip.to_smolstr(),
        }
    }

    /// The IP address, without the suffixes of multicast. `None` for a host name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        let address = self
            .address
            .split_once('/')
            .map_or(self.address.as_str(), |(address, _)| address);
        address.parse().ok()
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            username: "-".into(),
            session_id: "0".into(),
            version: 0,
            address: Connection::default(),
        }
    }
}
