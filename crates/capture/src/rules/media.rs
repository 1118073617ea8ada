//! RTP streams: one for each source address and SSRC.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use callwright_media::codec::Codec;
use callwright_media::rtp::{Packet, RtpError};
use callwright_media::telephone_event::EventPayload;
use callwright_sdp::Session;
use callwright_wire::{Carrier, Fate, TapRecord, Time};

use super::config::RulesConfig;
use super::heard::arrives;
use super::ledger::{Blame, Ledger};
use super::rule::Rule;

/// So many packets of a stream are remembered, for streams that are made of it: more than two seconds.
const REMEMBERED: usize = 128;
/// What a relay may hold back a packet, or the network on the way to it.
const RELAY: Duration = Duration::from_secs(5);
/// What a packet may be late that others overtook.
const LATE: Duration = Duration::from_millis(500);
/// A step beyond this begins the stream anew (RFC 3550 §A.1, MAX_DROPOUT).
const LONGEST_STEP: u16 = 3_000;

/// So many bytes of two codecs are compared at once: most sounds differ in the first.
const PIECE: usize = 20;

type Key = (SocketAddr, u32);

/// What a session description says of the address that it names.
#[derive(Clone, Copy, Debug, Default)]
struct Announced {
    payload_types: u128,
    events: u128,
    /// Keys were offered or agreed on: what is not in the clear may be SRTP.
    keyed: bool,
}

#[derive(Clone, Debug)]
struct Seen {
    sequence: u16,
    timestamp: u32,
    payload_type: u8,
    arrives: bool,
    payload: Bytes,
}

/// A packet, as far as its successor needs to know.
#[derive(Clone, Copy, Debug)]
struct Last {
    time: Time,
    sequence: u16,
    timestamp: u32,
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// So many ticks of sound.
    Sound {
        ticks: u32,
        rate: u32,
    },
    Event(EventPayload),
    Unknown,
}

#[derive(Debug)]
struct Stream {
    party: u32,
    destination: SocketAddr,
    last: Last,
    seen: VecDeque<Seen>,
    /// Sequence numbers that a relay left out and that may still come, until when.
    missing: Vec<(Time, u16)>,
}

/// All RTP streams, and what was announced for whom.
#[derive(Debug)]
pub(crate) struct Media {
    streams: BTreeMap<Key, Stream>,
    announced: BTreeMap<SocketAddr, Announced>,
    /// When a session was last described from or to a host: what a relay does around that is not judged.
    described: BTreeMap<std::net::IpAddr, Time>,
    due: BTreeSet<(Time, Key, u16)>,
    /// Who sends from where: packets that go there arrive at the same party.
    owners: BTreeMap<SocketAddr, u32>,
    /// Payload types that were found wrong, by source and destination.
    wrong: BTreeSet<(SocketAddr, SocketAddr, u8)>,
    limit: usize,
}

impl Media {
    pub(crate) fn new(limit: usize) -> Self {
        Media {
            streams: BTreeMap::new(),
            announced: BTreeMap::new(),
            described: BTreeMap::new(),
            due: BTreeSet::new(),
            owners: BTreeMap::new(),
            wrong: BTreeSet::new(),
            limit,
        }
    }

    /// A session description passed.
    pub(crate) fn describe(&mut self, session: &Session, now: Time, from: SocketAddr, to: SocketAddr) {
        if self.described.len() >= self.limit {
            self.described.retain(|_, described| *described + RELAY * 2 > now);
        }
        for ip in [from.ip(), to.ip()] {
            self.described.insert(ip, now);
        }
        for (index, media) in session.media.iter().enumerate() {
            let Some(address) = session.rtp_address(index).filter(|_| media.protocol.is_rtp()) else {
                continue;
            };
            if self.announced.len() >= self.limit && !self.announced.contains_key(&address) {
                self.announced.pop_first();
            }
            // What was announced before may still be on its way.
            let announced = self.announced.entry(address).or_default();
            announced.keyed |= media.protocol.is_secure() || !media.crypto.is_empty();
            for format in &media.formats {
                let bit = 1_u128 << (format.payload_type & 0x7f);
                announced.payload_types |= bit;
                if format.is_telephone_event() {
                    announced.events |= bit;
                }
            }
        }
    }

    /// A datagram that is no RTCP.
    pub(crate) fn hear(
        &mut self,
        record: &TapRecord,
        config: &RulesConfig,
        exempt: bool,
        ledger: &mut Ledger,
    ) {
        let packet = match Packet::parse(&record.bytes) {
            Ok(packet) => packet,
            Err(error) => {
                blame_packet(ledger, record, error, exempt);
                return;
            }
        };
        self.check_payload_type(record, &packet, exempt, ledger);
        // RFC 3550 §5.1 speaks of what is sent; what came through a network lacks what was lost there.
        if matches!(record.fate, Fate::Received) {
            return;
        }
        let key = (record.source, packet.ssrc());
        let content = self.content(record, &packet);
        let last = Last {
            time: record.time,
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            content,
        };
        if !self.streams.contains_key(&key) {
            self.begin(key, record, last);
        }
        if self.owners.len() < self.limit {
            self.owners.insert(record.source, record.party);
        }
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        stream.destination = record.destination;
        let before = stream.last;
        let step = packet.sequence().wrapping_sub(before.sequence).cast_signed();
        let is_first = stream.seen.is_empty();
        if !is_first && !exempt {
            ledger.subject(Rule::RtpSequence);
            if step == 1 {
                ledger.judge(Rule::RtpSequence, true, || {
                    blame(record, &packet, String::new(), "")
                });
                check_time(ledger, record, &packet, before, last, config);
            } else {
                self.check_step(key, record, &packet, before, step, ledger);
            }
        }
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        if is_first || step > 0 || step.unsigned_abs() > LONGEST_STEP {
            stream.last = last;
        }
        if stream.seen.len() >= REMEMBERED {
            stream.seen.pop_front();
        }
        let payload = packet.payload();
        stream.seen.push_back(Seen {
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            payload_type: packet.payload_type(),
            arrives: arrives(record.fate),
            payload: record.bytes.slice_ref(payload),
        });
    }

    fn begin(&mut self, key: Key, record: &TapRecord, last: Last) {
        if self.streams.len() >= self.limit {
            let silent = self.streams.iter().min_by_key(|(_, stream)| stream.last.time);
            let silent = silent.map(|(key, _)| *key);
            silent.and_then(|key| self.streams.remove(&key));
        }
        self.streams.insert(
            key,
            Stream {
                party: record.party,
                destination: record.destination,
                last,
                seen: VecDeque::new(),
                missing: Vec::new(),
            },
        );
    }

    fn check_payload_type(
        &mut self,
        record: &TapRecord,
        packet: &Packet<'_>,
        exempt: bool,
        ledger: &mut Ledger,
    ) {
        if exempt {
            return;
        }
        let Some(announced) = self.announced.get(&record.destination) else {
            return;
        };
        let known = announced.payload_types & 1 << packet.payload_type() != 0;
        let wrong = (record.source, record.destination, packet.payload_type());
        if !known && self.wrong.len() < self.limit && !self.wrong.insert(wrong) {
            ledger.again(Rule::RtpPayloadType);
            return;
        }
        ledger.check(Rule::RtpPayloadType, known, || {
            let detail = format!(
                "{} announced no payload type {}",
                record.destination,
                packet.payload_type()
            );
            blame(record, packet, detail, "RFC 3264 §5.1, §6.1")
        });
    }

    fn content(&self, record: &TapRecord, packet: &Packet<'_>) -> Content {
        let payload_type = packet.payload_type();
        let announced = self.announced.get(&record.destination);
        let announced = announced.copied().unwrap_or_default();
        if announced.keyed && record.carrier == Carrier::Udp {
            return Content::Unknown;
        }
        if announced.events & 1 << payload_type != 0 {
            return EventPayload::parse(packet.payload()).map_or(Content::Unknown, Content::Event);
        }
        match payload_type {
            // RFC 3551 §4.5.14: one byte is one sample.
            0 | 8 => Content::Sound {
                ticks: packet.payload().len() as u32,
                rate: 8_000,
            },
            _ => Content::Unknown,
        }
    }

    /// A sequence number that does not follow: right where it is that of a stream that is relayed.
    fn check_step(
        &mut self,
        key: Key,
        record: &TapRecord,
        packet: &Packet<'_>,
        before: Last,
        step: i16,
        ledger: &mut Ledger,
    ) {
        let sequence = packet.sequence();
        let Some(open) = self.left_out(key, packet, before.sequence, step) else {
            ledger.judge(Rule::RtpSequence, false, || {
                let detail = format!("sequence number {sequence} follows {}", before.sequence);
                blame(record, packet, detail, "RFC 3550 §5.1")
            });
            return;
        };
        ledger.judge(Rule::RtpSequence, true, || {
            blame(record, packet, String::new(), "")
        });
        let until = record.time + RELAY;
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        stream.missing.retain(|(_, missing)| *missing != sequence);
        for missing in open {
            ledger.subject(Rule::RtpSequence);
            stream.missing.push((until, missing));
            self.due.insert((until, key, missing));
        }
    }

    /// The sequence numbers that were left out before a packet although their packets were not lost on the way to the relay;
    /// `None` when the packet is not relayed.
    ///
    /// Sounds repeat themselves, so several places in several streams may be where a packet comes from: the one that explains
    /// most is taken.
    fn left_out(&self, key: Key, packet: &Packet<'_>, before: u16, step: i16) -> Option<Vec<u16>> {
        let previous = self.streams[&key]
            .seen
            .iter()
            .rfind(|seen| seen.sequence == before)?;
        let mut best: Option<Vec<u16>> = None;
        let relay = self.streams[&key].party;
        let candidates = self.streams.iter().filter(|(other, stream)| {
            let there = self.owners.get(&stream.destination);
            **other != key
                && there.is_none_or(|owner| *owner == relay)
                && stream.destination.ip() == key.0.ip()
        });
        for (_, stream) in candidates {
            for seen in stream.seen.iter().rev() {
                if !seen.arrives || !is_same(seen.sound(), (packet.payload(), packet.payload_type())) {
                    continue;
                }
                let shift = packet.sequence().wrapping_sub(seen.sequence);
                let moved = packet.timestamp().wrapping_sub(seen.timestamp);
                let there = before.wrapping_sub(shift);
                let fits = stream.at(there).is_none_or(|seen| {
                    is_same(seen.sound(), previous.sound())
                        && previous.timestamp.wrapping_sub(seen.timestamp) == moved
                });
                if !fits {
                    continue;
                }
                // Of another format, a packet may be one that the next leg has not.
                let passable = |missing: &u16| {
                    stream
                        .at(missing.wrapping_sub(shift))
                        .is_some_and(|other| other.arrives && other.payload_type == seen.payload_type)
                };
                let open: Vec<u16> = (1..step.max(1).unsigned_abs())
                    .map(|missing| before.wrapping_add(missing))
                    .filter(passable)
                    .collect();
                if open.is_empty() {
                    return Some(open);
                }
                if best.as_ref().is_none_or(|best| open.len() < best.len()) {
                    best = Some(open);
                }
            }
        }
        best
    }

    /// Judges what relays left out.
    pub(crate) fn advance(&mut self, now: Time, ledger: &mut Ledger) {
        while let Some((at, key, missing)) = self.due.first().copied().filter(|(at, ..)| *at <= now) {
            self.due.pop_first();
            let Some(stream) = self.streams.get_mut(&key) else {
                ledger.excuse(Rule::RtpSequence);
                continue;
            };
            let before = stream.missing.len();
            stream.missing.retain(|(_, sequence)| *sequence != missing);
            let left_out = stream.missing.len() < before;
            let recently = at - RELAY - RELAY;
            let described = self
                .described
                .get(&key.0.ip())
                .is_some_and(|described| *described >= recently);
            // A packet that others overtook may find the call over when it comes.
            let ended = stream.last.time < at - RELAY + LATE;
            if left_out && (described || ended) {
                ledger.excuse(Rule::RtpSequence);
                continue;
            }
            ledger.judge(Rule::RtpSequence, !left_out, || Blame {
                at,
                party: stream.party,
                message: format!("RTP of SSRC {:08x}, {} → {}", key.1, key.0, stream.destination),
                detail: format!("sequence number {missing} never came, though what it relays was not lost"),
                call_id: None,
                reference: "RFC 3550 §5.1",
            });
        }
    }

    /// What is still open is not judged.
    pub(crate) fn finish(&mut self, ledger: &mut Ledger) {
        self.advance(Time::NEVER, ledger);
        self.streams.clear();
        self.owners.clear();
        self.announced.clear();
        self.described.clear();
        self.wrong.clear();
    }

    pub(crate) fn forget(&mut self, party: u32) {
        self.streams.retain(|_, stream| stream.party != party);
    }
}

impl Seen {
    fn sound(&self) -> (&[u8], u8) {
        (&self.payload, self.payload_type)
    }
}

impl Stream {
    fn at(&self, sequence: u16) -> Option<&Seen> {
        self.seen.iter().rfind(|seen| seen.sequence == sequence)
    }
}

/// The same sound, each with its payload type: perhaps in the other G.711 codec.
fn is_same((a, its_type): (&[u8], u8), (b, other_type): (&[u8], u8)) -> bool {
    let (from, to) = match (its_type, other_type) {
        (0, 8) => (Codec::Pcmu, Codec::Pcma),
        (8, 0) => (Codec::Pcma, Codec::Pcmu),
        _ => return a == b,
    };
    if a.len() != b.len() {
        return false;
    }
    let (mut samples, mut bytes) = ([0; PIECE], [0; PIECE]);
    a.chunks(PIECE).zip(b.chunks(PIECE)).all(|(a, b)| {
        from.decode(a, &mut samples[..a.len()]);
        to.encode(&samples[..a.len()], &mut bytes[..a.len()]);
        bytes[..a.len()] == *b
    })
}

/// A packet against its predecessor.
fn check_time(
    ledger: &mut Ledger,
    record: &TapRecord,
    packet: &Packet<'_>,
    before: Last,
    now: Last,
    config: &RulesConfig,
) {
    match (before.content, now.content) {
        (Content::Event(old), Content::Event(new)) if !packet.marker() && old.event == new.event => {
            // RFC 4733 §2.5.1.3: a segment of the longest duration is followed by another one.
            let segment = old.duration == u16::MAX
                && now.timestamp == before.timestamp.wrapping_add(u32::from(u16::MAX));
            let same = now.timestamp == before.timestamp && new.duration >= old.duration;
            ledger.check(Rule::RtpEvent, same || segment, || {
                let detail = format!(
                    "timestamp {} and duration {} follow {} and {} of the same event",
                    now.timestamp, new.duration, before.timestamp, old.duration
                );
                blame(record, packet, detail, "RFC 4733 §2.5.1.1")
            });
        }
        (Content::Event(_), Content::Event(_)) => {
            let rises = ahead(now.timestamp, before.timestamp) > 0;
            ledger.check(Rule::RtpEvent, rises, || {
                let detail = format!(
                    "a new event has timestamp {}, the one before it {}",
                    now.timestamp, before.timestamp
                );
                blame(record, packet, detail, "RFC 4733 §2.5.1.1")
            });
        }
        (Content::Sound { ticks, rate }, Content::Sound { .. } | Content::Event(_)) => {
            let step = ahead(now.timestamp, before.timestamp);
            let held = i64::from(ticks);
            let passed = (now.time - before.time).as_secs_f64() * f64::from(rate);
            let tolerance = config.pause_tolerance.as_secs_f64() * f64::from(rate);
            let pause = step > held && (packet.marker() || (step as f64 - passed).abs() <= tolerance);
            ledger.check(Rule::RtpTimestamp, step == held || pause, || {
                let detail = format!(
                    "the timestamp rises by {step}, the packet before holds {held} ticks, and {:?} passed",
                    now.time - before.time
                );
                blame(record, packet, detail, "RFC 3550 §5.1")
            });
        }
        (Content::Event(_), Content::Sound { rate, .. }) => {
            let step = ahead(now.timestamp, before.timestamp);
            let tolerance = (config.pause_tolerance.as_secs_f64() * f64::from(rate)) as i64;
            ledger.check(Rule::RtpTimestamp, step > 0 || step > -tolerance, || {
                let detail = format!("sound follows an event, and its timestamp rises by {step}");
                blame(record, packet, detail, "RFC 4733 §2.5.1.2")
            });
        }
        (Content::Unknown, _) | (_, Content::Unknown) => {}
    }
}

/// How far a timestamp is ahead of another one.
fn ahead(now: u32, before: u32) -> i64 {
    i64::from(now.wrapping_sub(before).cast_signed())
}

fn blame(record: &TapRecord, packet: &Packet<'_>, detail: String, reference: &'static str) -> Blame {
    Blame {
        at: record.time,
        party: record.party,
        message: format!("{packet:?}, {} → {}", record.source, record.destination),
        detail,
        call_id: None,
        reference,
    }
}

fn blame_packet(ledger: &mut Ledger, record: &TapRecord, error: RtpError, exempt: bool) {
    if exempt {
        return;
    }
    ledger.check(Rule::Legal, false, || Blame {
        at: record.time,
        party: record.party,
        message: format!("a datagram, {} → {}", record.source, record.destination),
        detail: error.to_string(),
        call_id: None,
        reference: "RFC 3550 §5.1, §A.1",
    });
}
