//! From packets to what is known of them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use callwright_media::rtp::{self, Kind};
use callwright_sip_message::{Datagram, Limits, Message, Method, classify};
use callwright_wire::{Carrier, Fate, TapRecord, Time};

use super::addresses::Addresses;
use super::config::AnalysisConfig;
use super::legs::{EVIDENCE, Legs};
use super::protocol::Protocol;
use super::registers::Registers;
use super::said::{Said, fingerprint};
use super::stream_state::Arrived;
use super::streams::{Known, Streams};
use super::summary::Summary;
use super::talk::{Piece, Talks};
use super::{Analysis, report};
use crate::read::fragments::Fragments;
use crate::read::link::{Carried, Ip, LINUX_SLL, LINUX_SLL2, Link, Segment, carried, ip, ip_of};
use crate::read::segments::{Segments, Way};
use crate::read::{FileFacts, Packet, PacketDirection};
use crate::rules::heard::Passage;

/// Methods and status codes that are counted apart.
const KINDS: usize = 256;
/// Packets that are remembered to find those that were captured twice.
const TWINS: usize = 4_096;
/// So long after the first one, the second capture of a packet is in the file.
const TWIN_NANOS: u64 = 10_000_000;
/// Addresses behind ephemeral ports.
const ALIASES: usize = 65_536;

/// Takes the packets of a capture, one after the other.
///
/// [`analyze`](super::analyze) does this for a file.
#[derive(Debug)]
pub struct Analyzer {
    pub(crate) config: AnalysisConfig,
    pub(crate) summary: Summary,
    pub(crate) legs: Legs,
    pub(crate) registers: Registers,
    pub(crate) addresses: Addresses,
    pub(crate) streams: Streams,
    pub(crate) protocol: Protocol,
    pub(crate) malformed: Malformed,
    pub(crate) aliases: BTreeMap<SocketAddr, SocketAddr>,
    fragments: Fragments,
    segments: Segments,
    talks: Talks,
    twins: Twins,
    pub(crate) last: Time,
    pieces: Vec<Piece>,
}

/// What should be SIP and is not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Malformed {
    pub(crate) count: u64,
    pub(crate) packets: Vec<u64>,
    pub(crate) first: Option<(Time, String)>,
}

/// A packet's place and marks, while what it carries is read.
#[derive(Clone, Copy, Debug)]
struct Context<'a> {
    at: Time,
    packet: u64,
    interface: u32,
    comment: Option<&'a str>,
    /// Of a capture of our own: it was seen where it was sent.
    sent: bool,
    /// Its end is missing.
    cut_short: bool,
}

impl Context<'_> {
    fn says(&self, text: &str) -> bool {
        self.comment.is_some_and(|comment| comment.contains(text))
    }

    /// What our own capture says of the network.
    fn fate(&self) -> Fate {
        match () {
            () if !self.sent => Fate::Received,
            () if self.says("lost on its way") => Fate::Lost,
            () => Fate::Sent,
        }
    }
}

impl Analyzer {
    /// An analysis that has seen nothing yet.
    pub fn new(config: AnalysisConfig) -> Self {
        Analyzer {
            summary: Summary::default(),
            legs: Legs::default(),
            registers: Registers::default(),
            addresses: Addresses::new(config.max_addresses),
            streams: Streams::default(),
            protocol: Protocol::new(&config),
            malformed: Malformed::default(),
            aliases: BTreeMap::new(),
            fragments: Fragments::new(config.max_fragment_bytes),
            segments: Segments::new(config.max_connections, config.max_waiting_bytes),
            talks: Talks::new(config.max_connections),
            twins: Twins::default(),
            last: Time::ZERO,
            pieces: Vec::new(),
            config,
        }
    }

    /// Takes the next packet of a capture. `is_ours`: the capture was written by [`PcapngWriter`](crate::PcapngWriter), so that its
    /// comments tell what the network did.
    pub fn packet(&mut self, packet: &Packet<'_>, is_ours: bool) {
        if self.summary.packets == 0 {
            self.summary.started_unix_nanos = packet.unix_nanos;
        }
        self.summary.packets += 1;
        self.summary.bytes += packet.data.len() as u64;
        if (packet.data.len() as u64) < u64::from(packet.original_length) {
            self.summary.dropped.cut_short += 1;
        }
        let at = Time::from_nanos(packet.unix_nanos.saturating_sub(self.summary.started_unix_nanos));
        self.last = self.last.max(at);
        let context = Context {
            at,
            packet: packet.number,
            interface: packet.interface,
            comment: packet.comment.as_deref(),
            sent: is_ours && packet.direction == Some(PacketDirection::Outbound),
            cut_short: (packet.data.len() as u64) < u64::from(packet.original_length),
        };
        match ip_of(packet.link_type, packet.data) {
            Link::Ip(bytes) => {
                if !is_ours && self.twins.is_twin(packet, bytes) {
                    self.summary.dropped.seen_twice += 1;
                    return;
                }
                match ip(bytes) {
                    Some(ip) => self.ip(context, &ip),
                    None => self.summary.dropped.malformed_packets += 1,
                }
            }
            Link::Other => self.summary.other_packets += 1,
            Link::Unknown => self.summary.dropped.unknown_link_type += 1,
        }
    }

    fn ip(&mut self, context: Context<'_>, ip: &Ip<'_>) {
        let Some(part) = ip.part else {
            self.carried(
                context,
                carried(ip.source, ip.destination, ip.protocol, ip.payload),
            );
            return;
        };
        if let Some(whole) = self.fragments.take(context.at, ip, part) {
            self.carried(context, carried(ip.source, ip.destination, ip.protocol, &whole));
        }
    }

    fn carried(&mut self, context: Context<'_>, carried: Carried<'_>) {
        match carried {
            Carried::Udp {
                source,
                destination,
                payload,
            } => self.datagram(context, (source, destination), payload),
            Carried::Tcp {
                source,
                destination,
                segment,
            } => self.segment(context, (source, destination), &segment),
            Carried::Other => self.summary.other_packets += 1,
            Carried::Malformed => self.summary.dropped.malformed_packets += 1,
        }
    }

    fn datagram(&mut self, context: Context<'_>, way: Way, payload: &[u8]) {
        match rtp::classify(payload) {
            Kind::Rtp => {
                let clear = context.says("clear text of SRTP");
                let arrived = Arrived {
                    at: context.at,
                    packet: context.packet,
                    clear,
                };
                let taken = self.streams.hear(
                    arrived,
                    way,
                    payload,
                    Known {
                        addresses: &self.addresses,
                        legs: &self.legs,
                    },
                    &self.config,
                    &mut self.summary.dropped,
                );
                if taken {
                    self.summary.rtp_packets += 1;
                } else {
                    self.summary.other_packets += 1;
                }
                if taken && context.sent {
                    let carrier = if clear { Carrier::SrtpClear } else { Carrier::Udp };
                    self.observe(context, way, carrier, Bytes::copy_from_slice(payload));
                }
            }
            Kind::Rtcp if self.streams.hear_rtcp(way, payload) => {}
            Kind::Rtcp => self.summary.other_packets += 1,
            Kind::Other => match classify(payload) {
                Datagram::Sip => self.sip_datagram(context, way, payload),
                Datagram::KeepAlive if [way.0.port(), way.1.port()].contains(&5060) => {
                    self.summary.keep_alives += 1;
                }
                Datagram::KeepAlive | Datagram::Stun | Datagram::Garbage => self.summary.other_packets += 1,
            },
        }
    }

    fn sip_datagram(&mut self, context: Context<'_>, way: Way, payload: &[u8]) {
        let bytes = Bytes::copy_from_slice(payload);
        match Message::parse(bytes.clone(), &Limits::default()) {
            // Whoever captured it cut it; what is told of that is `capture-incomplete`.
            Err(_) if context.cut_short => self.summary.other_packets += 1,
            Ok(message) => {
                if !context.cut_short {
                    self.observe(context, way, Carrier::Udp, bytes);
                }
                self.message(context, way, &message, "UDP");
            }
            Err(error) => self.is_malformed(context, error.to_string()),
        }
    }

    fn is_malformed(&mut self, context: Context<'_>, error: String) {
        self.malformed.count += 1;
        self.malformed.first.get_or_insert((context.at, error));
        if self.malformed.packets.len() < EVIDENCE {
            self.malformed.packets.push(context.packet);
        }
    }

    fn segment(&mut self, context: Context<'_>, way: Way, segment: &Segment<'_>) {
        let mut found = std::mem::take(&mut self.pieces);
        let talks = &mut self.talks;
        let mut ways = Vec::new();
        self.segments
            .take(context.at, way, segment, &mut |way, delivery| {
                let before = found.len();
                talks.take(way, &delivery, &mut found);
                ways.extend(std::iter::repeat_n(way, found.len() - before));
            });
        for (way, piece) in ways.into_iter().zip(found.drain(..)) {
            self.piece(context, way, piece);
        }
        self.pieces = found;
    }

    fn piece(&mut self, context: Context<'_>, way: Way, piece: Piece) {
        match piece {
            Piece::Message(message) => {
                let (transport, carrier) = if context.says("clear text of TLS") {
                    ("TLS", Carrier::TlsClear)
                } else {
                    ("TCP", Carrier::Tcp)
                };
                self.observe(context, way, carrier, message.raw().clone());
                self.message(context, way, &message, transport);
            }
            Piece::KeepAlive => self.summary.keep_alives += 1,
            Piece::Broken(error) => self.is_malformed(context, error),
        }
    }

    /// Lets the rules judge it.
    fn observe(&mut self, context: Context<'_>, way: Way, carrier: Carrier, bytes: Bytes) {
        // What a foreign capture has was not seen where it was sent; SIP is judged all the same, since it says itself what it is.
        let fate = match carrier {
            Carrier::Udp | Carrier::SrtpClear if bytes.first().is_some_and(|first| *first >= 0x80) => {
                context.fate()
            }
            _ if context.sent => context.fate(),
            _ => Fate::Sent,
        };
        let record = TapRecord {
            time: self.last,
            source: way.0,
            destination: way.1,
            carrier,
            fate,
            bytes,
            cause: None,
            party: context.interface,
        };
        self.protocol.observe(&record, context.packet);
    }

    fn message(&mut self, context: Context<'_>, way: Way, message: &Message, transport: &'static str) {
        self.summary.sip_messages += 1;
        let passage = Passage {
            time: context.at,
            source: way.0,
            destination: way.1,
            party: context.interface,
            reliable: transport != "UDP",
            secure: transport == "TLS",
            arrives: context.fate() != Fate::Lost,
        };
        let Some(said) = Said::read(message, passage, context.packet, transport, context.comment) else {
            if context.cut_short {
                return;
            }
            self.is_malformed(
                context,
                "a header is missing or malformed without which it belongs nowhere".to_owned(),
            );
            return;
        };
        self.count(&said);
        self.learn_alias(&said);
        if said.heard.method == Method::Register {
            self.registers
                .hear(&said, &self.config, &mut self.summary.dropped);
            return;
        }
        self.legs.hear(
            &said,
            &self.config,
            &mut self.addresses,
            &mut self.summary.dropped,
        );
    }

    fn count(&mut self, said: &Said<'_>) {
        match said.heard.status {
            None => {
                let method = said.heard.method.as_str();
                if let Some(count) = self.summary.requests.get_mut(method) {
                    *count += 1;
                } else if self.summary.requests.len() < KINDS {
                    self.summary.requests.insert(method.to_owned(), 1);
                }
            }
            Some(status)
                if self.summary.responses.len() < KINDS || self.summary.responses.contains_key(&status) =>
            {
                *self.summary.responses.entry(status).or_default() += 1;
            }
            Some(_) => {}
        }
    }

    /// Who sends a request from an ephemeral port says in Via where he listens (RFC 3261 §18.1.1).
    fn learn_alias(&mut self, said: &Said<'_>) {
        let (source, via) = (said.source(), &said.heard.via);
        if said.heard.status.is_some() || !said.heard.passage.reliable || matches!(source.port(), 5060 | 5061)
        {
            return;
        }
        let host = via.host.to_string();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.parse() == Ok(source.ip()) && self.aliases.len() < ALIASES {
            self.aliases
                .insert(source, SocketAddr::new(source.ip(), via.port_or_default()));
        }
    }

    /// Everything was seen.
    pub fn finish(mut self) -> Analysis {
        let mut found = std::mem::take(&mut self.pieces);
        let mut ways = Vec::new();
        let talks = &mut self.talks;
        self.segments.finish(&mut |way, delivery| {
            let before = found.len();
            talks.take(way, &delivery, &mut found);
            ways.extend(std::iter::repeat_n(way, found.len() - before));
        });
        let context = Context {
            at: self.last,
            packet: self.summary.packets,
            interface: 0,
            comment: None,
            sent: false,
            cut_short: false,
        };
        for (way, piece) in ways.into_iter().zip(found) {
            self.piece(context, way, piece);
        }
        self.fragments.finish();
        let talk = self.talks.counts;
        let dropped = &mut self.summary.dropped;
        dropped.fragments = self.fragments.dropped;
        dropped.missing_stream_bytes = talk.missing;
        dropped.unframed_stream_bytes = talk.unframed;
        dropped.connections = talk.forgotten.max(self.segments.forgotten);
        self.summary.tls_connections = talk.tls;
        self.summary.rtcp_packets = self.streams.rtcp_packets;
        self.summary.duration_ms = super::time::of(self.last);
        report::report(self)
    }

    /// What the file says of itself, known when it was read.
    pub(crate) fn file(&mut self, facts: &FileFacts, broken: Option<String>) {
        self.summary.format = facts.format;
        self.summary.application.clone_from(&facts.application);
        self.summary.broken = broken;
    }
}

/// The packet type of a cooked capture: to us, from us, …; 0 elsewhere.
fn cooked_type(packet: &Packet<'_>) -> u16 {
    match (packet.link_type, packet.data) {
        (LINUX_SLL, [high, low, ..]) => u16::from_be_bytes([*high, *low]),
        (LINUX_SLL2, [_, _, _, _, _, _, _, _, _, _, kind, ..]) => u16::from(*kind),
        _ => 0,
    }
}

/// Finds packets that were captured on two interfaces, or twice on one (`tcpdump -i any` on a bridge or loopback).
#[derive(Debug, Default)]
struct Twins {
    recent: VecDeque<(u64, u64, Place)>,
    /// Those in `recent`, with the time of the last one.
    known: BTreeMap<(u64, Place), u64>,
}

/// Where a packet was captured: the interface, and of a cooked capture whether it came or went.
type Place = (u32, u16);

impl Twins {
    /// Whether the same packet was there just before, at another place. What was sent again is seen again at the same places, and later.
    fn is_twin(&mut self, packet: &Packet<'_>, ip: &[u8]) -> bool {
        // Time to live and checksum change on the way from interface to interface.
        let print = match *ip {
            [0x40..=0x4f, _, _, _, high, low, ..] if ip.len() >= 20 => {
                fingerprint(&ip[12..]) ^ u64::from(high) << 8 ^ u64::from(low)
            }
            [0x60..=0x6f, ..] if ip.len() >= 40 => fingerprint(&ip[8..]),
            _ => return false,
        };
        while let Some((at, other, there)) = self.recent.front().copied()
            && (at.saturating_add(TWIN_NANOS) < packet.unix_nanos || self.recent.len() >= TWINS)
        {
            self.recent.pop_front();
            if self.known.get(&(other, there)) == Some(&at) {
                self.known.remove(&(other, there));
            }
        }
        let place = (packet.interface, cooked_type(packet));
        let mut alike = self.known.range((print, (0, 0))..=(print, (u32::MAX, u16::MAX)));
        let is_twin = alike.any(|((_, there), _)| *there != place);
        self.recent.push_back((packet.unix_nanos, print, place));
        self.known.insert((print, place), packet.unix_nanos);
        is_twin
    }
}
