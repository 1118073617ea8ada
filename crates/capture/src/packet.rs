//! Headers that nobody sent here but somebody must have: Ethernet, IP, UDP, TCP.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;
const TCP: usize = 20;
const TTL: u8 = 64;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;

/// TCP flags (RFC 9293 §3.1).
pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// What a TCP header says beside the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) sequence: u32,
    pub(crate) acknowledged: u32,
    pub(crate) flags: u8,
}

/// A frame with a UDP datagram. Payload that no IP packet could hold is cut.
pub(crate) fn udp(
    source: SocketAddr,
    destination: SocketAddr,
    identification: u16,
    payload: &[u8],
) -> Vec<u8> {
    let payload = &payload[..payload.len().min(room(source, UDP))];
    let length = (UDP + payload.len()) as u16;
    let mut header = [0; UDP];
    header[0..2].copy_from_slice(&source.port().to_be_bytes());
    header[2..4].copy_from_slice(&destination.port().to_be_bytes());
    header[4..6].copy_from_slice(&length.to_be_bytes());
    let sum = transport_checksum(source.ip(), destination.ip(), PROTOCOL_UDP, &header, payload);
    // RFC 768: a sum of zero goes as all ones; zero itself means that there is none.
    let sum = if sum == 0 { u16::MAX } else { sum };
    header[6..8].copy_from_slice(&sum.to_be_bytes());
    frame(
        source.ip(),
        destination.ip(),
        PROTOCOL_UDP,
        identification,
        &header,
        payload,
    )
}

/// A frame with a TCP segment. Payload that no IP packet could hold is cut.
pub(crate) fn tcp(
    source: SocketAddr,
    destination: SocketAddr,
    identification: u16,
    segment: Segment,
    payload: &[u8],
) -> Vec<u8> {
    let payload = &payload[..payload.len().min(room(source, TCP))];
    let mut header = [0; TCP];
    header[0..2].copy_from_slice(&source.port().to_be_bytes());
    header[2..4].copy_from_slice(&destination.port().to_be_bytes());
    header[4..8].copy_from_slice(&segment.sequence.to_be_bytes());
    header[8..12].copy_from_slice(&segment.acknowledged.to_be_bytes());
    header[12] = (TCP as u8 / 4) << 4;
    header[13] = segment.flags;
    // A window that never looks full.
    header[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
    let sum = transport_checksum(source.ip(), destination.ip(), PROTOCOL_TCP, &header, payload);
    header[16..18].copy_from_slice(&sum.to_be_bytes());
    frame(
        source.ip(),
        destination.ip(),
        PROTOCOL_TCP,
        identification,
        &header,
        payload,
    )
}

/// How many octets of payload one packet of `source`'s family holds behind a transport header.
fn room(source: SocketAddr, header: usize) -> usize {
    match source {
        // The total length counts the IP header in IPv4 and does not in IPv6.
        SocketAddr::V4(_) => usize::from(u16::MAX) - IPV4 - header,
        SocketAddr::V6(_) => usize::from(u16::MAX) - header,
    }
}

fn frame(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    identification: u16,
    header: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ETHERNET + IPV6 + header.len() + payload.len());
    let length = (header.len() + payload.len()) as u16;
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ethernet(&mut frame, 0x0800);
            let mut ip = [0; IPV4];
            ip[0] = 0x45;
            ip[2..4].copy_from_slice(&(length + IPV4 as u16).to_be_bytes());
            ip[4..6].copy_from_slice(&identification.to_be_bytes());
            ip[8] = TTL;
            ip[9] = protocol;
            ip[12..16].copy_from_slice(&source.octets());
            ip[16..20].copy_from_slice(&destination.octets());
            let sum = !folded(sum(0, &ip));
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            frame.extend_from_slice(&ip);
        }
        (source, destination) => {
            ethernet(&mut frame, 0x86dd);
            let mut ip = [0; IPV6];
            ip[0] = 0x60;
            ip[4..6].copy_from_slice(&length.to_be_bytes());
            ip[6] = protocol;
            ip[7] = TTL;
            ip[8..24].copy_from_slice(&as_v6(source).octets());
            ip[24..40].copy_from_slice(&as_v6(destination).octets());
            frame.extend_from_slice(&ip);
        }
    }
    frame.extend_from_slice(header);
    frame.extend_from_slice(payload);
    frame
}

/// Locally administered addresses: nobody's.
fn ethernet(frame: &mut Vec<u8>, kind: u16) {
    frame.extend_from_slice(&[0x02, 0, 0, 0, 0, 0x02]);
    frame.extend_from_slice(&[0x02, 0, 0, 0, 0, 0x01]);
    frame.extend_from_slice(&kind.to_be_bytes());
}

fn as_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// The checksum over pseudo-header, header and payload (RFC 768, RFC 9293 §3.1, RFC 8200 §8.1).
fn transport_checksum(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    header: &[u8],
    payload: &[u8],
) -> u16 {
    let mut total = u64::from(protocol) + (header.len() + payload.len()) as u64;
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            total = sum(sum(total, &source.octets()), &destination.octets());
        }
        (source, destination) => {
            total = sum(sum(total, &as_v6(source).octets()), &as_v6(destination).octets());
        }
    }
    !folded(sum(sum(total, header), payload))
}

/// Adds 16-bit words, the last padded with zero; 64 bits hold the sum of any packet.
fn sum(start: u64, bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(2);
    let last = words.remainder().first().map_or(0, |last| u64::from(*last) << 8);
    start
        + last
        + words
            .map(|word| u64::from(u16::from_be_bytes([word[0], word[1]])))
            .sum::<u64>()
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
