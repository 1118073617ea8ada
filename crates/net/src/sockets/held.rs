//! Packets that a link of the script's holds back, and when they go on.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use callwright_wire::link::Passage;
use callwright_wire::{Carrier, Cause, ConnectionError, Fate, Input, Time};

use super::Sockets;
use super::datagrams::{Arrival, Outgoing};
use crate::PartyId;
use crate::connection::{Lane, Phase};
use crate::health::Counters;
use crate::shaper::{PiecePassage, Shaper};

/// How many packets may be on their way: a second of ten thousand calls. More are dropped.
const HELD: usize = 1 << 20;
/// How long nothing of a stream may pass before both sides of it would give up.
const STREAM_TIMEOUT: Duration = Duration::from_secs(60);

/// A slot while the same socket is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    slot: usize,
    generation: u32,
}

/// Which way along a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// What our node wrote.
    Out,
    /// What came from a peer outside.
    In,
}

/// What is on its way.
#[derive(Debug)]
enum Held {
    /// To the kernel.
    Datagram {
        place: Place,
        party: PartyId,
        media: bool,
        to: SocketAddr,
        bytes: Bytes,
    },
    /// To a node.
    Arrival { place: Place, arrived: Arrived },
    /// The next piece of a stream.
    Piece { place: Place, way: Way },
    /// A piece that was lost is sent again.
    Again { place: Place, way: Way },
}

/// A datagram from outside that was held back.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) arrival: Arrival,
    pub(crate) bytes: Bytes,
}

/// What links hold back, in order of time and then of being sent.
#[derive(Default)]
pub(super) struct Holding {
    shaper: Option<Box<dyn Shaper>>,
    queue: BTreeMap<(Time, u64), Held>,
    next: u64,
    /// What goes to nodes now.
    arrived: VecDeque<Arrived>,
}

impl Holding {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn is_shaped(&self) -> bool {
        self.shaper.is_some()
    }

    fn hold(&mut self, at: Time, held: Held) {
        self.queue.insert((at, self.next), held);
        self.next += 1;
    }
}

impl Sockets {
    pub(crate) fn replace_shaper(&mut self, shaper: Option<Box<dyn Shaper>>) -> Option<Box<dyn Shaper>> {
        std::mem::replace(&mut self.holding.shaper, shaper)
    }

    /// True when somebody says what becomes of packets.
    pub(crate) fn is_shaped(&self) -> bool {
        self.holding.is_shaped()
    }

    /// What a link does to a datagram that a socket of ours sends; `None` when there is no link on its way.
    pub(super) fn passage(
        &mut self,
        slot: usize,
        to: SocketAddr,
        octets: usize,
    ) -> Option<(SocketAddr, Passage)> {
        let local = self.port_address(slot)?;
        let source = self.source(local, to);
        let now = self.clock.now();
        let passage = self.holding.shaper.as_mut()?.datagram(now, source, to, octets)?;
        Some((source, passage))
    }

    /// Puts a datagram on the way that a link has for it, and shows it to the tap.
    #[expect(clippy::too_many_arguments, reason = "the fields of a record, once")]
    pub(super) fn send_held(
        &mut self,
        slot: usize,
        party: PartyId,
        media: bool,
        (source, passage): (SocketAddr, Passage),
        to: SocketAddr,
        bytes: Bytes,
        seen: (Carrier, Bytes),
        cause: Option<Cause>,
    ) {
        if self.tapping.is_on() {
            self.tap(party, seen.0, passage.fate(), source, to, seen.1, cause);
        }
        let Passage::Arrives { at, twice, .. } = passage else {
            return;
        };
        let place = self.place(slot);
        for _ in 0..if twice { 2 } else { 1 } {
            if self.holding.queue.len() >= HELD {
                Counters::one(&self.counters.send_drops);
                return;
            }
            let held = Held::Datagram {
                place,
                party,
                media,
                to,
                bytes: bytes.clone(),
            };
            self.holding.hold(at, held);
        }
    }

    /// The datagram in the buffer, from outside, takes a link: true when it was lost or is held back.
    pub(crate) fn detain(&mut self, now: Time, slot: usize, arrival: &Arrival) -> bool {
        let (from, to) = (arrival.flow.remote, arrival.flow.local);
        if self.tapping.is_own_datagram(now, from, &mut self.routes) {
            // It took its link as it was sent.
            return false;
        }
        let came = now - arrival.waited;
        let Some(shaper) = self.holding.shaper.as_mut() else {
            return false;
        };
        let Some(passage) = shaper.datagram(came, from, to, arrival.length) else {
            return false;
        };
        let bytes = Bytes::copy_from_slice(&self.buffer[..arrival.length]);
        let Passage::Arrives { at, twice, .. } = passage else {
            self.tap(arrival.party, Carrier::Udp, Fate::Lost, from, to, bytes, None);
            return true;
        };
        let place = self.place(slot);
        let fate = match passage.fate() {
            Fate::Sent => Fate::Received,
            fate => fate,
        };
        let fates = [Some(fate), None];
        for fate in fates.into_iter().take(if twice { 2 } else { 1 }) {
            if self.holding.queue.len() >= HELD {
                Counters::one(&self.counters.receive_drops);
                break;
            }
            let arrived = Arrived {
                arrival: Arrival { fate, ..*arrival },
                bytes: bytes.clone(),
            };
            self.holding.hold(at, Held::Arrival { place, arrived });
        }
        true
    }

    /// A datagram from outside whose time has come; it is in the buffer then.
    pub(crate) fn next_arrived(&mut self) -> Option<Arrival> {
        let Arrived { arrival, bytes } = self.holding.arrived.pop_front()?;
        self.buffer[..bytes.len()].copy_from_slice(&bytes);
        Some(arrival)
    }

    /// Lets everything go on whose time has come.
    pub(super) fn release(&mut self, now: Time) {
        while let Some(entry) = self.holding.queue.first_entry()
            && entry.key().0 <= now
        {
            let at = entry.key().0;
            let held = entry.remove();
            self.go_on(now, at, held);
        }
    }

    /// Lets all go on that waits for a socket which is about to close: later it could not.
    pub(super) fn release_slot(&mut self, now: Time, slot: usize) {
        let place = self.place(slot);
        let waits = |held: &Held| matches!(held, Held::Datagram { place: of, .. } if *of == place);
        if !self.holding.queue.values().any(waits) {
            return;
        }
        let (mine, others) = std::mem::take(&mut self.holding.queue)
            .into_iter()
            .partition(|(_, held)| waits(held));
        self.holding.queue = others;
        let mine: BTreeMap<(Time, u64), Held> = mine;
        for ((at, _), held) in mine {
            self.go_on(now, at, held);
        }
        self.flush();
    }

    fn go_on(&mut self, now: Time, at: Time, held: Held) {
        match held {
            Held::Datagram {
                place,
                party,
                media,
                to,
                bytes,
            } if self.is_there(place) => {
                if media {
                    self.put_packet(place.slot, to, &bytes);
                } else {
                    self.outbox_push(Outgoing {
                        slot: place.slot,
                        party,
                        to,
                        bytes,
                        cause: None,
                        shown: true,
                    });
                }
            }
            Held::Arrival { place, mut arrived } if self.is_there(place) => {
                if self.slot_of(arrived.arrival.party, arrived.arrival.socket) == Some(place.slot) {
                    arrived.arrival.waited = now.since(at);
                    self.holding.arrived.push_back(arrived);
                }
            }
            Held::Piece { place, way } if self.is_there(place) => self.piece_passed(now, place.slot, way),
            Held::Again { place, way } if self.is_there(place) => {
                if let Some(lane) = self.lane(place.slot, way) {
                    lane.waits = false;
                }
                self.pump(now, place.slot, way);
            }
            Held::Datagram { .. } | Held::Arrival { .. } | Held::Piece { .. } | Held::Again { .. } => {}
        }
    }

    /// Bytes of a stream take the link of their way, behind those that do already: true when they do.
    pub(super) fn divert(
        &mut self,
        now: Time,
        index: usize,
        way: Way,
        bytes: Bytes,
        cause: Option<Cause>,
    ) -> bool {
        let is_shaped = self.is_shaped();
        let Some(lane) = self.lane(index, way) else {
            return false;
        };
        if !is_shaped && lane.pieces.is_empty() {
            return false;
        }
        lane.octets += bytes.len();
        lane.pieces.push_back((bytes, cause));
        self.pump(now, index, way);
        true
    }

    /// How many octets of a connection its link holds back.
    pub(super) fn diverted(&mut self, index: usize, way: Way) -> usize {
        self.lane(index, way).map_or(0, |lane| lane.octets)
    }

    /// Sends what waits, up to the first piece that is lost.
    fn pump(&mut self, now: Time, index: usize, way: Way) {
        let place = self.place(index);
        loop {
            let Some(connection) = self.connection(index) else {
                return;
            };
            let flow = connection.flow;
            let lane = connection.lane(way == Way::Out);
            let Some((bytes, _)) = lane.pieces.get(lane.scheduled) else {
                return;
            };
            if lane.waits {
                return;
            }
            let (octets, attempts) = (bytes.len(), lane.attempts);
            let (source, destination) = match way {
                Way::Out => (flow.local, flow.remote),
                Way::In => (flow.remote, flow.local),
            };
            let passage = match self.holding.shaper.as_mut() {
                Some(shaper) => shaper.piece(now, source, destination, octets, attempts),
                None => None,
            };
            let Some(lane) = self.lane(index, way) else { return };
            match passage.unwrap_or(PiecePassage::Arrives(now)) {
                PiecePassage::Arrives(at) => {
                    lane.last = lane.last.max(at);
                    lane.scheduled += 1;
                    lane.attempts = 0;
                    lane.stuck_since = None;
                    let at = lane.last;
                    self.holding.hold(at, Held::Piece { place, way });
                }
                PiecePassage::Again(at) => {
                    let since = *lane.stuck_since.get_or_insert(now);
                    lane.attempts += 1;
                    lane.waits = true;
                    if now.since(since) >= STREAM_TIMEOUT {
                        self.ended(now, index, Some(ConnectionError::TimedOut));
                    } else {
                        self.holding.hold(at, Held::Again { place, way });
                    }
                    return;
                }
            }
        }
    }

    fn piece_passed(&mut self, now: Time, index: usize, way: Way) {
        let Some(lane) = self.lane(index, way) else { return };
        let Some((bytes, cause)) = lane.pieces.pop_front() else {
            return;
        };
        lane.octets -= bytes.len();
        lane.scheduled -= 1;
        let is_last = lane.pieces.is_empty();
        match way {
            Way::In => {
                let connection = self.connection_id(index);
                let is_open = |connection: &crate::connection::Connection| connection.phase == Phase::Open;
                if let Some(party) = self
                    .connection(index)
                    .filter(|connection| is_open(connection))
                    .map(|connection| connection.party)
                {
                    self.inbox.push_back((party, Input::Stream { connection, bytes }));
                }
            }
            Way::Out => {
                let place = self.place(index);
                self.write_stream(now, index, bytes, cause, true);
                if is_last && self.is_there(place) {
                    self.close_if_asked(now, index);
                }
            }
        }
    }

    fn lane(&mut self, index: usize, way: Way) -> Option<&mut Lane> {
        Some(self.connection(index)?.lane(way == Way::Out))
    }

    fn place(&self, slot: usize) -> Place {
        Place {
            slot,
            generation: self.slots[slot].generation,
        }
    }

    fn is_there(&self, place: Place) -> bool {
        self.slots
            .get(place.slot)
            .is_some_and(|slot| slot.generation == place.generation && slot.kind.is_some())
    }
}
