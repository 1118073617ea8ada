//! From a packet of some link to the IP packet in it, and to what that carries.
//!
//! Link types as tcpdump.org registers them: Ethernet (with VLAN tags and PPPoE), Linux cooked captures in both versions, raw IP, the
//! loopback of BSD, PPP.

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxIpSlice, TcpSlice, UdpSlice};

const NULL: u32 = 0;
const ETHERNET: u32 = 1;
const PPP: u32 = 9;
const RAW: [u32; 3] = [12, 14, 101];
const LOOP: u32 = 108;
pub(crate) const LINUX_SLL: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
pub(crate) const LINUX_SLL2: u32 = 276;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_PPPOE: u16 = 0x8864;
/// IEEE 802.1Q, 802.1ad, and what was used before that.
const ETHERTYPE_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// The IP packet within a packet of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link<'a> {
    /// It is this.
    Ip(&'a [u8]),
    /// Something else: ARP, LLDP, …
    Other,
    /// A link type that is not known here.
    Unknown,
}

/// Takes the header of the link away.
pub(crate) fn ip_of(link_type: u32, data: &[u8]) -> Link<'_> {
    let found = match link_type {
        ETHERNET => be16(data, 12).and_then(|kind| of_ethertype(kind, data.get(14..)?)),
        LINUX_SLL => be16(data, 14).and_then(|kind| of_ethertype(kind, data.get(16..)?)),
        LINUX_SLL2 => be16(data, 0).and_then(|kind| of_ethertype(kind, data.get(20..)?)),
        // The address family is that of the machine that captured; its numbers for IPv6 differ. The IP header tells better.
        NULL | LOOP => data.get(4..),
        PPP => of_ppp(data),
        IPV4 | IPV6 => Some(data),
        raw if RAW.contains(&raw) => Some(data),
        _ => return Link::Unknown,
    };
    match found {
        Some(ip) if matches!(ip.first().map(|first| first >> 4), Some(4 | 6)) => Link::Ip(ip),
        Some(_) | None => Link::Other,
    }
}

fn of_ethertype(mut kind: u16, mut data: &[u8]) -> Option<&[u8]> {
    while ETHERTYPE_VLAN.contains(&kind) {
        kind = be16(data, 2)?;
        data = data.get(4..)?;
    }
    match kind {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => Some(data),
        ETHERTYPE_PPPOE => of_ppp(data.get(6..)?),
        _ => None,
    }
}

/// RFC 1661 §2, RFC 1662 §3.1: perhaps an address and control field, then the protocol.
fn of_ppp(data: &[u8]) -> Option<&[u8]> {
    let data = data.strip_prefix(&[0xff, 0x03]).unwrap_or(data);
    match be16(data, 0)? {
        0x0021 | 0x0057 => data.get(2..),
        _ => None,
    }
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

/// An IP packet, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ip<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// The protocol of the payload.
    pub(crate) protocol: u8,
    pub(crate) payload: &'a [u8],
    /// Of a fragment: which part it is.
    pub(crate) part: Option<Part>,
    /// The identification of IPv4.
    pub(crate) identification: Option<u16>,
    /// Some of it was not captured.
    pub(crate) cut_short: bool,
}

/// Which part of a packet a fragment is (RFC 791 §3.1, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) identification: u32,
    /// In bytes.
    pub(crate) offset: u16,
    /// Others follow.
    pub(crate) more: bool,
}

/// Reads an IP header; `None` where it cannot be.
pub(crate) fn ip(data: &[u8]) -> Option<Ip<'_>> {
    let (slice, _) = LaxIpSlice::from_slice(data).ok()?;
    let payload = slice.payload();
    let (part, identification) = match &slice {
        LaxIpSlice::Ipv4(v4) => {
            let header = v4.header();
            let part = payload.fragmented.then(|| Part {
                identification: u32::from(header.identification()),
                offset: header.fragments_offset().byte_offset(),
                more: header.more_fragments(),
            });
            (part, Some(header.identification()))
        }
        LaxIpSlice::Ipv6(v6) if payload.fragmented => {
            let fragment = v6
                .extensions()
                .clone()
                .into_iter()
                .find_map(|extension| match extension {
                    Ipv6ExtensionSlice::Fragment(fragment) => Some(fragment),
                    _ => None,
                })?;
            let part = Part {
                identification: fragment.identification(),
                offset: fragment.fragment_offset().byte_offset(),
                more: fragment.more_fragments(),
            };
            (Some(part), None)
        }
        LaxIpSlice::Ipv6(_) => (None, None),
    };
    Some(Ip {
        source: slice.source_addr(),
        destination: slice.destination_addr(),
        protocol: payload.ip_number.0,
        payload: payload.payload,
        part,
        identification,
        cut_short: payload.incomplete,
    })
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried<'a> {
    Udp {
        source: SocketAddr,
        destination: SocketAddr,
        payload: &'a [u8],
    },
    Tcp {
        source: SocketAddr,
        destination: SocketAddr,
        segment: Segment<'a>,
    },
    /// Another protocol.
    Other,
    /// A header that cannot be read.
    Malformed,
}

/// A segment of TCP (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) sequence: u32,
    pub(crate) acknowledged: Option<u32>,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) payload: &'a [u8],
}

/// Reads the header of UDP or TCP.
pub(crate) fn carried<'a>(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    payload: &'a [u8],
) -> Carried<'a> {
    match IpNumber(protocol) {
        IpNumber::UDP => match UdpSlice::from_slice_lax(payload) {
            Ok(udp) => Carried::Udp {
                source: SocketAddr::new(source, udp.source_port()),
                destination: SocketAddr::new(destination, udp.destination_port()),
                payload: udp.payload(),
            },
            Err(_) => Carried::Malformed,
        },
        IpNumber::TCP => match TcpSlice::from_slice(payload) {
            Ok(tcp) => Carried::Tcp {
                source: SocketAddr::new(source, tcp.source_port()),
                destination: SocketAddr::new(destination, tcp.destination_port()),
                segment: Segment {
                    sequence: tcp.sequence_number(),
                    acknowledged: tcp.ack().then(|| tcp.acknowledgment_number()),
                    syn: tcp.syn(),
                    fin: tcp.fin(),
                    rst: tcp.rst(),
                    payload: tcp.payload(),
                },
            },
            Err(_) => Carried::Malformed,
        },
        _ => Carried::Other,
    }
}
