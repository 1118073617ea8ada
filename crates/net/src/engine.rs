//! The nodes of a world, and the loop body that drives them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use callwright_wire::{Input, Output, PacketNode, Residue, Tap, Time};

use crate::clock::Clock;
use crate::health::Counters;
use crate::resolver::{Answer, Resolver};
use crate::sockets::{Arrival, Dial, Service, Sockets};
use crate::{EventSink, PartyId};

/// How long the loop keeps the lock before others may have it.
pub(crate) const HOLD: Duration = Duration::from_micros(300);
/// How many datagrams one socket gets served before others have their turn.
const CHUNK: usize = 32;
/// How many datagrams are gathered before they are sent.
const GATHER: usize = 64;
/// After how many media packets the clock is looked at.
const LOOK: usize = 16;
/// Room for one outgoing media packet.
const PACKET: usize = 65_536;

struct Party<N> {
    name: Arc<str>,
    node: N,
    deadline: Option<Time>,
    /// When the deadline was learned: one that was past by then is late from then on.
    learned: Time,
    dirty: bool,
}

/// Everything behind the world's lock.
pub(crate) struct Engine<N: PacketNode> {
    parties: Vec<Option<Box<Party<N>>>>,
    deadlines: BTreeSet<(Time, u32)>,
    due: VecDeque<(Time, u32)>,
    dirty: Vec<u32>,
    sockets: Sockets,
    resolver: Resolver,
    sink: Box<dyn EventSink<N::Event>>,
    clock: Clock,
    counters: Arc<Counters>,
    packet: Box<[u8]>,
    /// Until when the loop sleeps; earlier deadlines must wake it. `Time::ZERO` while it is awake.
    pub(crate) asleep_until: Time,
    pub(crate) stopping: bool,
}

impl<N: PacketNode> Engine<N> {
    pub(crate) fn new(
        sockets: Sockets,
        resolver: Resolver,
        sink: Box<dyn EventSink<N::Event>>,
        clock: Clock,
        counters: Arc<Counters>,
    ) -> Self {
        Engine {
            parties: Vec::new(),
            deadlines: BTreeSet::new(),
            due: VecDeque::new(),
            dirty: Vec::new(),
            sockets,
            resolver,
            sink,
            clock,
            counters,
            packet: vec![0; PACKET].into_boxed_slice(),
            asleep_until: Time::ZERO,
            stopping: false,
        }
    }

    pub(crate) fn add(&mut self, name: &str, node: N) -> PartyId {
        let index = self.parties.len() as u32;
        let now = self.clock.now();
        self.parties.push(Some(Box::new(Party {
            name: name.into(),
            node,
            deadline: None,
            learned: now,
            dirty: false,
        })));
        self.drain(index, now);
        self.settle(now);
        PartyId(index)
    }

    pub(crate) fn remove(&mut self, party: PartyId) -> Option<N> {
        let now = self.clock.now();
        let removed = self.parties.get_mut(party.0 as usize)?.take()?;
        if let Some(at) = removed.deadline {
            self.deadlines.remove(&(at, party.0));
        }
        self.sockets.forget(now, party);
        Some(removed.node)
    }

    pub(crate) fn with<R>(&mut self, party: PartyId, f: impl FnOnce(&mut N, Time) -> R) -> Option<R> {
        let now = self.clock.now();
        let node = &mut self.parties.get_mut(party.0 as usize)?.as_mut()?.node;
        let result = f(node, now);
        self.drain(party.0, now);
        self.settle(now);
        Some(result)
    }

    /// Takes what a node has to say; [`Engine::settle`] follows.
    pub(crate) fn nudge(&mut self, party: PartyId) {
        let now = self.clock.now();
        self.drain(party.0, now);
    }

    pub(crate) fn name(&self, party: PartyId) -> Option<Arc<str>> {
        let party = self.parties.get(party.0 as usize)?.as_ref()?;
        Some(party.name.clone())
    }

    pub(crate) fn residue(&self) -> Residue {
        self.parties
            .iter()
            .flatten()
            .map(|party| party.node.residue())
            .fold(Residue::default(), |sum, one| sum + one)
    }

    pub(crate) fn replace_tap(&mut self, tap: Option<Box<dyn Tap>>) -> Option<Box<dyn Tap>> {
        self.sockets.tapping.replace(tap)
    }

    /// The loop is gone.
    pub(crate) fn fail(&mut self) {
        self.stopping = true;
        self.sink.failed();
    }

    pub(crate) fn sockets(&mut self) -> &mut Sockets {
        &mut self.sockets
    }

    pub(crate) fn resolver(&mut self) -> &mut Resolver {
        &mut self.resolver
    }

    /// The time of the next thing to do without anything arriving.
    pub(crate) fn deadline(&self) -> Time {
        let nodes = self.deadlines.first().map_or(Time::NEVER, |(at, _)| *at);
        nodes.min(self.sockets.deadline().unwrap_or(Time::NEVER))
    }

    /// True when a sleeping loop must be woken, which is asked once.
    pub(crate) fn takes_waking(&mut self) -> bool {
        let wake = self.deadline() < self.asleep_until
            || (self.sockets.has_ready() && self.asleep_until > Time::ZERO);
        if wake {
            self.asleep_until = Time::ZERO;
        }
        wake
    }

    /// Does what is due, for a bounded time; returns what it took.
    pub(crate) fn fire_due(&mut self) -> Duration {
        let start = self.clock.now();
        let mut now = start;
        self.sockets.handle_timeout(now);
        while let Some(arrival) = self.sockets.next_arrived() {
            self.hand_over(&arrival, now);
        }
        self.deliver(now);
        self.collect_due(now);
        while now.since(start) < HOLD
            && let Some((at, index)) = self.due.pop_front()
        {
            self.fire(index, at, now);
            now = self.clock.now();
        }
        self.settle(now);
        now.since(start)
    }

    /// Serves sockets that are ready, for a bounded time; returns what it took.
    pub(crate) fn serve_ready(&mut self) -> Duration {
        let start = self.clock.now();
        let mut now = start;
        while now.since(start) < HOLD
            && let Some(slot) = self.sockets.next_ready()
        {
            self.serve(slot, now);
            now = self.clock.now();
        }
        self.settle(now);
        now.since(start)
    }

    pub(crate) fn has_ready(&self) -> bool {
        self.sockets.has_ready()
    }

    /// True when there is something to do at once.
    pub(crate) fn has_more(&self) -> bool {
        !self.due.is_empty() || self.sockets.has_ready() || self.deadline() <= self.clock.now()
    }

    /// Moves what is due out of the queue, once all that was due before is done: a node that is always due delays
    /// others by one turn, not for ever.
    fn collect_due(&mut self, now: Time) {
        if !self.due.is_empty() {
            return;
        }
        while let Some((at, index)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.pop_first();
            if let Some(Some(party)) = self.parties.get_mut(index as usize) {
                party.deadline = None;
            }
            self.due.push_back((at, index));
        }
    }

    fn fire(&mut self, index: u32, at: Time, now: Time) {
        let Some(Some(party)) = self.parties.get_mut(index as usize) else {
            return;
        };
        let late = now.since(at.max(party.learned));
        party.node.handle_timeout(now);
        let packets = self.drain(index, now);
        let histogram = if packets > 0 {
            &self.counters.media_lateness
        } else {
            &self.counters.lateness
        };
        histogram.record(late);
        self.deliver(now);
        self.gather(now);
    }

    fn serve(&mut self, slot: usize, now: Time) {
        match self.sockets.serve(now, slot) {
            Service::Datagrams => self.receive(slot, now),
            Service::Served | Service::Gone => {}
        }
        self.deliver(now);
        self.gather(now);
    }

    /// Sends what is queued once it makes a good batch.
    fn gather(&mut self, now: Time) {
        if self.sockets.queued() >= GATHER {
            self.sockets.flush();
            self.deliver(now);
        }
    }

    fn receive(&mut self, slot: usize, start: Time) {
        let mut now = start;
        for _ in 0..CHUNK {
            let Some(arrival) = self.sockets.receive(now, slot) else {
                return;
            };
            if !self.sockets.is_shaped() || !self.sockets.detain(now, slot, &arrival) {
                self.hand_over(&arrival, now);
            }
            if arrival.media && self.sockets.is_drained(slot, arrival.length) {
                return;
            }
            now = self.clock.now();
        }
        self.sockets.mark_ready(slot);
    }

    /// Gives the datagram in the buffer to its node.
    fn hand_over(&mut self, arrival: &Arrival, now: Time) {
        let index = arrival.party.0;
        let Some(Some(party)) = self.parties.get_mut(index as usize) else {
            return;
        };
        let bytes = &self.sockets.buffer[..arrival.length];
        if arrival.media {
            let arrived = now - arrival.waited;
            party
                .node
                .handle_arrival(now, arrived, arrival.socket, arrival.flow.remote, bytes);
            if self.sockets.tapping.is_on() {
                self.sockets.tap_arrival(now, arrival, party.node.clear_text());
            }
        } else {
            let input = Input::Datagram {
                socket: arrival.socket,
                flow: arrival.flow,
                bytes: bytes::Bytes::copy_from_slice(bytes),
            };
            // Before the node answers it.
            self.sockets.tap_arrival(now, arrival, None);
            party.node.handle_input(now, input);
        }
        self.drain(index, now);
    }

    /// Takes everything out of a node; returns how many media packets it sent.
    fn drain(&mut self, index: u32, now: Time) -> usize {
        let mut packets = 0;
        let id = PartyId(index);
        let Some(Some(party)) = self.parties.get_mut(index as usize) else {
            return packets;
        };
        while let Some(output) = party.node.poll_output() {
            match output {
                Output::Event(event) => self.sink.event(id, now, event),
                Output::Datagram {
                    socket,
                    to,
                    bytes,
                    cause,
                } => self.sockets.send_datagram(id, socket, to, bytes, cause),
                Output::Stream {
                    connection,
                    bytes,
                    cause,
                } => self.sockets.send_stream(now, connection, bytes, cause),
                Output::Bind { socket, local, usage } => self.sockets.bind(now, id, socket, local, usage),
                Output::Unbind { socket } => self.sockets.unbind(now, id, socket),
                Output::Connect {
                    socket,
                    local,
                    remote,
                    tls,
                } => {
                    let dial = Dial {
                        party: id,
                        socket,
                        local,
                        remote,
                        tls,
                    };
                    self.sockets.connect(now, dial);
                }
                Output::Close { connection } => self.sockets.close(now, connection),
                Output::Resolve { query, question } => {
                    if let Some(answer) = self.resolver.ask(id, query, question) {
                        self.sockets
                            .inbox
                            .push_back((id, Input::Resolved { query, answer }));
                    }
                }
            }
        }
        let mut now = now;
        let start = now;
        while let Some((socket, to, length)) = party.node.poll_transmit(now, &mut self.packet) {
            let clear = if self.sockets.tapping.is_on() {
                party.node.clear_text()
            } else {
                None
            };
            let packet = &self.packet[..length.min(PACKET)];
            self.sockets.send_packet(id, socket, to, packet, clear);
            packets += 1;
            if packets % LOOK == 0 {
                // Later packets are as late as they are, and what is still due goes on when others had their turn: its
                // deadline is past then.
                now = self.clock.now();
                if now.since(start) >= HOLD {
                    break;
                }
            }
        }
        if !party.dirty {
            party.dirty = true;
            self.dirty.push(index);
        }
        packets
    }

    /// An answer of the resolver.
    pub(crate) fn resolved(&mut self, answer: Answer) {
        let Answer { party, query, answer } = answer;
        self.sockets
            .inbox
            .push_back((party, Input::Resolved { query, answer }));
    }

    /// Gives nodes what the sockets have for them, until there is nothing more.
    fn deliver(&mut self, now: Time) {
        for (party, warning) in std::mem::take(&mut self.sockets.warnings) {
            self.sink.warning(party, now, warning);
        }
        while let Some((party, input)) = self.sockets.inbox.pop_front() {
            if let Some(Some(entry)) = self.parties.get_mut(party.0 as usize) {
                entry.node.handle_input(now, input.for_any());
                self.drain(party.0, now);
            }
        }
    }

    /// Delivers, sends what is queued, and learns the deadlines of every node that was touched.
    pub(crate) fn settle(&mut self, now: Time) {
        loop {
            self.deliver(now);
            self.sockets.flush();
            // Sending may have told that somebody is not there.
            if self.sockets.inbox.is_empty() && self.sockets.warnings.is_empty() {
                break;
            }
        }
        for index in std::mem::take(&mut self.dirty) {
            let Some(Some(party)) = self.parties.get_mut(index as usize) else {
                continue;
            };
            party.dirty = false;
            let deadline = party.node.poll_timeout().map(|(at, _)| at);
            if deadline == party.deadline {
                continue;
            }
            if let Some(at) = party.deadline {
                self.deadlines.remove(&(at, index));
            }
            party.deadline = deadline;
            party.learned = now;
            if let Some(at) = deadline {
                self.deadlines.insert((at, index));
            }
        }
    }
}
