//! RTP streams while the capture is read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use callwright_media::rtcp::{self, Item};
use callwright_media::rtp::Packet;
use callwright_sdp::Format;
use callwright_wire::Time;

use super::addresses::Addresses;
use super::call::Side;
use super::config::AnalysisConfig;
use super::legs::{LegState, Legs};
use super::stream::{FoundBy, RtcpView};
use super::stream_state::{Arrived, Knowledge, StreamState};
use super::summary::Dropped;

/// So many packets in sequence make RTP of what nobody described (RFC 3550 §A.1 wants two of a known port).
const PROOF: u64 = 4;
/// Streams that are not believed yet.
const CANDIDATES: usize = 4_096;

pub(crate) type Key = (SocketAddr, SocketAddr, u32);

/// Whose stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) leg: usize,
    pub(crate) from: Side,
    pub(crate) found_by: FoundBy,
}

/// Every stream.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    all: BTreeMap<Key, Box<StreamState>>,
    /// Those whose call is over, and whose addresses and source another one uses.
    over: Vec<(Key, Box<StreamState>)>,
    /// Seconds whose level is listed, of all.
    seconds: usize,
    by_ssrc: BTreeSet<(u32, Key)>,
    /// Those that are not believed yet, the oldest first.
    candidates: BTreeMap<u64, Key>,
    next: u64,
    pub(crate) rtcp_packets: u64,
    /// Packets of candidates that were forgotten for newer ones.
    doubted: u64,
}

impl Streams {
    /// Takes a datagram that looks like RTP. False where it cannot be RTP.
    pub(crate) fn hear(
        &mut self,
        arrived: Arrived,
        way: (SocketAddr, SocketAddr),
        datagram: &[u8],
        known: Known<'_>,
        config: &AnalysisConfig,
        dropped: &mut Dropped,
    ) -> bool {
        let Ok(packet) = Packet::parse(datagram) else {
            return false;
        };
        let key = (way.0, way.1, packet.ssrc());
        self.learn(&key, arrived, known);
        if !self.all.contains_key(&key) && !self.begin(key, arrived, &packet, known, config, dropped) {
            return false;
        }
        let Some(stream) = self.all.get_mut(&key) else {
            return false;
        };
        let listed = stream.hearing.listed();
        let spare = config.max_all_seconds.saturating_sub(self.seconds);
        stream.take(
            arrived,
            &packet,
            config.max_seconds.min(listed.saturating_add(spare)),
            config,
        );
        self.seconds += stream.hearing.listed() - listed;
        if let Some(candidate) = stream.candidate
            && (stream.knowledge.owner.is_some() || stream.in_sequence >= PROOF)
        {
            stream.candidate = None;
            self.candidates.remove(&candidate);
        }
        true
    }

    /// What was announced since the last packet of a stream may be of it, or make another one of what comes.
    fn learn(&mut self, key: &Key, arrived: Arrived, known: Known<'_>) {
        let Some(stream) = self.all.get_mut(key) else {
            return;
        };
        if stream.knowledge.version == known.addresses.version() {
            return;
        }
        let way = (key.0, key.1);
        let before = stream.knowledge.owner;
        if before.is_some_and(|before| known.is_over(before.leg, arrived.at))
            && let Some(now) = known.owner(way, arrived.at)
            && before.is_some_and(|before| before.leg != now.leg)
            && !known.is_over(now.leg, arrived.at)
        {
            let over = self.remove(key);
            self.over.extend(over.map(|over| (*key, over)));
            return;
        }
        let owner = before.or_else(|| known.owner(way, arrived.at));
        stream.knowledge = know(way, owner, known.addresses);
        stream.forget_format();
    }

    fn begin(
        &mut self,
        key: Key,
        arrived: Arrived,
        packet: &Packet<'_>,
        known: Known<'_>,
        config: &AnalysisConfig,
        dropped: &mut Dropped,
    ) -> bool {
        let way = (key.0, key.1);
        let owner = known.owner(way, arrived.at);
        if owner.is_none() && !is_plausible(way, packet) {
            return false;
        }
        if self.all.len() + self.over.len() >= config.max_streams {
            dropped.streams += 1;
            return false;
        }
        self.next += 1;
        let mut stream = Box::new(StreamState::begin(
            self.next,
            arrived,
            packet,
            know(way, owner, known.addresses),
        ));
        if owner.is_none() {
            if self.candidates.len() >= CANDIDATES
                && let Some((_, oldest)) = self.candidates.pop_first()
            {
                let forgotten = self.remove(&oldest);
                self.doubted += forgotten.map_or(0, |stream| stream.order.received);
            }
            stream.candidate = Some(self.next);
            self.candidates.insert(self.next, key);
        }
        self.by_ssrc.insert((key.2, key));
        self.all.insert(key, stream);
        true
    }

    fn remove(&mut self, key: &Key) -> Option<Box<StreamState>> {
        self.by_ssrc.remove(&(key.2, *key));
        self.all.remove(key)
    }

    /// Takes a datagram that looks like RTCP; false where it is none.
    pub(crate) fn hear_rtcp(&mut self, way: (SocketAddr, SocketAddr), datagram: &[u8]) -> bool {
        let mut items = Vec::new();
        if rtcp::read(datagram, |item| items.push(item)).is_err() {
            return false;
        }
        self.rtcp_packets += 1;
        for item in items {
            match item {
                Item::Sender { ssrc, .. } => {
                    self.each_of(
                        ssrc,
                        |key| key.0.ip() == way.0.ip(),
                        |_, view| view.sender_reports += 1,
                    );
                }
                Item::Report { report, .. } => {
                    let its = |key: &Key| key.0.ip() == way.1.ip() && key.1.ip() == way.0.ip();
                    self.each_of(report.ssrc, its, |stream, view| {
                        view.receiver_reports += 1;
                        view.lost = report.lost;
                        let percent = f64::from(report.fraction_lost) * 100.0 / 256.0;
                        view.loss_percent_max = view.loss_percent_max.max(percent);
                        if let Some(rate) = stream {
                            let ms = f64::from(report.jitter) * 1_000.0 / f64::from(rate);
                            view.jitter_max_ms = Some(view.jitter_max_ms.unwrap_or(0.0).max(ms));
                        }
                    });
                }
                Item::Bye { ssrc } => {
                    self.each_of(ssrc, |key| key.0.ip() == way.0.ip(), |_, view| view.bye = true);
                }
                Item::CanonicalName { .. } => {}
            }
        }
        true
    }

    /// The streams of a source that RTCP speaks of, with their clock rates.
    fn each_of(
        &mut self,
        ssrc: u32,
        its: impl Fn(&Key) -> bool,
        mut tell: impl FnMut(Option<u32>, &mut RtcpView),
    ) {
        let first = (
            SocketAddr::from(([0, 0, 0, 0], 0)),
            SocketAddr::from(([0, 0, 0, 0], 0)),
            0,
        );
        let keys = self.by_ssrc.range((ssrc, first)..);
        let keys = keys.take_while(|(of, _)| *of == ssrc).map(|(_, key)| *key);
        for key in keys.filter(|key| its(key)).take(64).collect::<Vec<_>>() {
            if let Some(stream) = self.all.get_mut(&key) {
                let rate = stream.rate();
                tell(rate, stream.rtcp.get_or_insert_default());
            }
        }
    }

    /// Everything that is believed to be RTP, in the order in which it began; and how many packets are not.
    pub(crate) fn finish(mut self, known: Known<'_>) -> (Vec<(Key, StreamState)>, u64) {
        let addresses = known.addresses;
        let mut doubted = self.doubted;
        let mut streams: Vec<(Key, StreamState)> = Vec::new();
        let over = std::mem::take(&mut self.over);
        for (key, mut stream) in over.into_iter().chain(std::mem::take(&mut self.all)) {
            let way = (key.0, key.1);
            if stream.knowledge.owner.is_none()
                && let Some(owner) = known.owner(way, stream.first)
                && addresses
                    .of(key.1, owner.leg)
                    .or(addresses.of(key.0, owner.leg))
                    .is_some_and(|announced| {
                        announced.since <= stream.last + std::time::Duration::from_secs(5)
                    })
            {
                stream.knowledge = know(way, Some(owner), addresses);
                stream.candidate = None;
            }
            stream.others = known.others(&key, &stream);
            if stream.candidate.is_some() {
                doubted += stream.order.received;
                continue;
            }
            streams.push((key, *stream));
        }
        streams.sort_by_key(|(_, stream)| stream.number);
        (streams, doubted)
    }
}

/// What was said of addresses, and what became of the legs that did.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) addresses: &'a Addresses,
    pub(crate) legs: &'a Legs,
}

impl Known<'_> {
    fn is_over(&self, leg: usize, at: Time) -> bool {
        let leg = self.legs.all.get(leg);
        leg.and_then(LegState::ended).is_some_and(|ended| ended < at)
    }

    /// RFC 3264 §5.1: RTP goes where its receiver announced; else it comes from where its sender receives (RFC 4961).
    ///
    /// Of several legs that announced an address: one that is not over, then one that announced the other end too, then the one that
    /// began first, which is the caller's where media go past a server.
    fn owner(&self, way: (SocketAddr, SocketAddr), at: Time) -> Option<Owner> {
        let best = |here: SocketAddr, there: SocketAddr| {
            let all = self.addresses.at(here).iter();
            all.min_by_key(|announced| {
                let is_over = self.is_over(announced.leg, at);
                let has_both = self.addresses.of(there, announced.leg).is_some();
                // Of those that are over the latest one, whose last packets these are.
                (
                    is_over,
                    !has_both,
                    if is_over {
                        usize::MAX - announced.leg
                    } else {
                        announced.leg
                    },
                )
            })
        };
        let to = best(way.1, way.0).map(|to| Owner {
            leg: to.leg,
            from: to.side.other(),
            found_by: FoundBy::Description,
        });
        // So many legs announced it that its own may be forgotten; where it comes from tells more.
        let crowded = self.addresses.is_crowded(way.1);
        let has_both = |to: &Owner| self.addresses.of(way.0, to.leg).is_some();
        let may_be_other = |to: &Owner| crowded && !has_both(to) && !self.addresses.at(way.0).is_empty();
        let to = to.filter(|to| !may_be_other(to));
        to.or_else(|| {
            best(way.0, way.1).map(|from| Owner {
                leg: from.leg,
                from: from.side,
                found_by: FoundBy::Symmetry,
            })
        })
    }

    /// Other legs than the owner's that the stream is of: they announced the same ends, and were there while it was.
    fn others(&self, key: &Key, stream: &StreamState) -> Vec<(usize, Side)> {
        let Some(owner) = stream.knowledge.owner else {
            return Vec::new();
        };
        let has_source = self.addresses.of(key.0, owner.leg).is_some();
        let all = self.addresses.at(key.1).iter();
        let others = all.filter(|announced| {
            announced.leg != owner.leg
                && announced.since <= stream.last
                && !self.is_over(announced.leg, stream.first)
                && has_source == self.addresses.of(key.0, announced.leg).is_some()
        });
        others
            .map(|announced| (announced.leg, announced.side.other()))
            .collect()
    }
}

/// What is known of the formats on a way: first what the receiver announced, whose numbers hold (RFC 3264 §5.1), then what the
/// sender did.
fn know(way: (SocketAddr, SocketAddr), owner: Option<Owner>, addresses: &Addresses) -> Knowledge {
    let of_owner = |address| addresses.of(address, owner?.leg);
    let (to, from) = (of_owner(way.1), of_owner(way.0));
    Knowledge {
        version: addresses.version(),
        owner,
        secure: to.or(from).is_some_and(|announced| announced.secure),
        is_audio: to.or(from).is_some_and(|announced| announced.is_audio),
        announced: to.map(|to| to.payload_types),
        to: to.map(|to| to.formats.clone()),
        from: from.map(|from| from.formats.clone()),
    }
}

/// Whether a datagram of unknown ports may be RTP: no well-known service, and a payload type that is in use.
fn is_plausible(way: (SocketAddr, SocketAddr), packet: &Packet<'_>) -> bool {
    let known = Format::fixed(packet.payload_type()).is_some() || packet.payload_type() >= 96;
    way.0.port() >= 1_024 && way.1.port() >= 1_024 && known && !packet.payload().is_empty()
}

/// How far apart two times are, in seconds; negative when the second one is earlier.
pub(crate) fn seconds_between(before: Time, after: Time) -> f64 {
    if after >= before {
        (after - before).as_secs_f64()
    } else {
        -(before - after).as_secs_f64()
    }
}
