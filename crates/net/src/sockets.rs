//! All sockets of the world: numbered slots, who owns each, and which of them are ready.

mod datagrams;
mod held;
mod streams;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use callwright_wire::{
    BindError, BindErrorKind, Cause, ConnectionId, Fate, Input, NumberTable, SocketId, SocketUse, TapRecord,
    Time, TimerQueue, Transport,
};
use mio::{Interest, Registry, Token};

use crate::clock::Clock;
use crate::connection::Connection;
use crate::datagram::{LARGEST, Notes};
use crate::health::Counters;
use crate::ports::PortPool;
use crate::route::Routes;
use crate::tapping::Tapping;
use crate::tls::{Tls, Wake};
use crate::{PartyId, Warning, WorldConfig};

pub(crate) use datagrams::Arrival;
use datagrams::{Outgoing, Port};
use held::Holding;
pub(crate) use streams::Dial;
use streams::Listener;

/// One socket. Which of them it is stands in front, in the line of the cache that is read anyway.
#[derive(Debug)]
#[repr(u8)]
enum Kind {
    Port(Port),
    Listener(Listener),
    Connection(Box<Connection>),
}

/// A place for one socket; its index is the token that the kernel's readiness comes with.
///
/// It begins with a line of the cache, in which is all that a media packet needs which is sent. With thousands of sockets nothing
/// of a slot is in the cache when it is needed next.
#[derive(Debug)]
#[repr(C, align(64))]
struct Slot {
    /// Distinguishes connections that had the same slot.
    generation: u32,
    /// True while it waits in the queue of ready slots.
    queued: bool,
    /// True when the kernel has errors for it.
    errored: bool,
    kind: Option<Kind>,
}

/// What this layer itself waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Deadline {
    /// A connection should be up, flushed or busy by then.
    Connection { slot: usize, generation: u32 },
    /// Accepting failed for want of file descriptors: try again.
    Accept { slot: usize },
    /// A pair of ports will have rested.
    Lease,
}

impl callwright_wire::Timer for Deadline {
    fn name(&self) -> &'static str {
        match self {
            Deadline::Connection { .. } => "connection",
            Deadline::Accept { .. } => "accept",
            Deadline::Lease => "port rest",
        }
    }
}

/// A request for media ports that waits until a pair has rested.
#[derive(Debug)]
struct Postponed {
    party: PartyId,
    rtp: SocketId,
    rtcp: SocketId,
    ip: IpAddr,
}

/// What a slot that was ready turned out to hold.
pub(crate) enum Service {
    /// A UDP socket: receive from it.
    Datagrams,
    /// A stream: it was served, and what it said is in the inbox.
    Served,
    /// Nothing any more.
    Gone,
}

/// Every socket, and what passes between them and the nodes.
pub(crate) struct Sockets {
    registry: Registry,
    slots: Vec<Slot>,
    free: Vec<usize>,
    owners: NumberTable<PartyId>,
    ready: VecDeque<usize>,
    deadlines: TimerQueue<Deadline>,
    outbox: Vec<Outgoing>,
    holding: Holding,
    pool: PortPool<usize>,
    postponed: VecDeque<Postponed>,
    /// Connections that wait for the roots to be read.
    dials: VecDeque<Dial>,
    accepted: usize,
    config: WorldConfig,
    tls: Tls,
    clock: Clock,
    counters: Arc<Counters>,
    pub(crate) tapping: Tapping,
    pub(crate) routes: Routes,
    /// What nodes are to be told, in order.
    pub(crate) inbox: VecDeque<(PartyId, Input<Infallible>)>,
    /// What the owner of the world is to be told.
    pub(crate) warnings: Vec<(PartyId, Warning)>,
    /// What was received last.
    pub(crate) buffer: Box<[u8]>,
}

/// What media sockets are to tell.
fn media_notes(config: &WorldConfig) -> Notes {
    if config.media_notes {
        Notes::Full
    } else {
        Notes::None
    }
}

impl Sockets {
    pub(crate) fn new(
        registry: Registry,
        clock: Clock,
        counters: Arc<Counters>,
        config: WorldConfig,
        wake: Wake,
    ) -> Self {
        Sockets {
            registry,
            slots: Vec::new(),
            free: Vec::new(),
            owners: NumberTable::default(),
            ready: VecDeque::new(),
            deadlines: TimerQueue::default(),
            outbox: Vec::new(),
            holding: Holding::default(),
            pool: PortPool::new(
                config.media_ports.clone(),
                config.media_port_rest,
                media_notes(&config),
            ),
            postponed: VecDeque::new(),
            dials: VecDeque::new(),
            accepted: 0,
            tls: Tls::new(config.trust.clone(), config.identity.clone(), wake),
            config,
            clock,
            counters,
            tapping: Tapping::default(),
            routes: Routes::default(),
            inbox: VecDeque::new(),
            warnings: Vec::new(),
            buffer: vec![0; LARGEST].into_boxed_slice(),
        }
    }

    /// Opens what a node asked for; the answer goes to the inbox.
    pub(crate) fn bind(
        &mut self,
        now: Time,
        party: PartyId,
        socket: SocketId,
        local: SocketAddr,
        usage: SocketUse,
    ) {
        let taken = match usage {
            SocketUse::Signalling(_) => self.slot_of(party, socket).is_some(),
            SocketUse::Media { rtcp } => {
                rtcp == socket || self.slot_of(party, socket).is_some() || self.slot_of(party, rtcp).is_some()
            }
        };
        let bound = if taken {
            Err(BindError {
                local,
                kind: BindErrorKind::Other {
                    detail: format!("the node uses socket number {} already", socket.0),
                },
            })
        } else {
            match usage {
                SocketUse::Signalling(Transport::Udp) => self.bind_signalling(party, socket, local).map(Some),
                SocketUse::Signalling(transport) => self.listen(party, socket, local, transport).map(Some),
                SocketUse::Media { rtcp } => self.lease(now, party, socket, rtcp, local),
            }
        };
        let input = match bound {
            Ok(Some(local)) => Input::Bound { socket, local },
            // Answered when a pair has rested.
            Ok(None) => return,
            Err(error) => Input::BindFailed { socket, error },
        };
        self.inbox.push_back((party, input));
    }

    /// Closes what a node opened.
    pub(crate) fn unbind(&mut self, now: Time, party: PartyId, socket: SocketId) {
        self.flush();
        self.postponed
            .retain(|wait| (wait.party, wait.rtp) != (party, socket));
        let Some(index) = self.slot_of(party, socket) else {
            return;
        };
        match self.slots[index].kind {
            Some(Kind::Port(_)) => self.close_port(now, index),
            Some(Kind::Listener(_)) => self.close_listener(now, index),
            Some(Kind::Connection(_)) | None => {}
        }
    }

    /// Closes everything that a party holds.
    pub(crate) fn forget(&mut self, now: Time, party: PartyId) {
        self.flush();
        self.postponed.retain(|wait| wait.party != party);
        self.dials.retain(|dial| dial.party != party);
        self.inbox.retain(|(to, _)| *to != party);
        for index in 0..self.slots.len() {
            match &self.slots[index].kind {
                Some(Kind::Port(port)) if port.owner.is_some_and(|(owner, _)| owner == party) => {
                    self.close_port(now, index);
                }
                Some(Kind::Listener(listener)) if listener.party == party => self.close_listener(now, index),
                Some(Kind::Connection(connection)) if connection.party == party => {
                    drop(self.drop_connection(now, index));
                }
                _ => {}
            }
        }
    }

    /// Notes that the kernel has something for a slot.
    pub(crate) fn mark_ready(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index)
            && slot.kind.is_some()
            && !slot.queued
        {
            slot.queued = true;
            self.ready.push_back(index);
        }
    }

    /// Notes that the kernel has errors for a slot.
    pub(crate) fn mark_errored(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.errored = true;
        }
        self.mark_ready(index);
    }

    /// The next slot that is ready.
    pub(crate) fn next_ready(&mut self) -> Option<usize> {
        let index = self.ready.pop_front()?;
        self.slots[index].queued = false;
        Some(index)
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Serves a ready slot as far as that needs no node.
    pub(crate) fn serve(&mut self, now: Time, index: usize) -> Service {
        match self.slots[index].kind {
            Some(Kind::Port(_)) => {
                self.retry_unsent(index);
                if std::mem::take(&mut self.slots[index].errored) {
                    self.collect_unreachable(now, index);
                }
                Service::Datagrams
            }
            Some(Kind::Listener(_)) => {
                self.accept(now, index);
                Service::Served
            }
            Some(Kind::Connection(_)) => {
                self.turn(now, index);
                Service::Served
            }
            None => Service::Gone,
        }
    }

    /// The next deadline of this layer.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let own = self.deadlines.next().map(|(at, _)| at);
        own.into_iter().chain(self.holding.deadline()).min()
    }

    /// Does what this layer itself waited for.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.retry_dials(now);
        self.release(now);
        while let Some(deadline) = self.deadlines.pop(now) {
            match deadline {
                Deadline::Connection { slot, generation } => self.connection_due(now, slot, generation),
                Deadline::Accept { slot } => self.mark_ready(slot),
                Deadline::Lease => self.retry_leases(now),
            }
        }
    }

    /// The thread that may be reading roots.
    pub(crate) fn stop(&mut self) -> Option<JoinHandle<()>> {
        self.tls.stop()
    }

    /// The slot of what a node opened under a number.
    fn slot_of(&self, party: PartyId, socket: SocketId) -> Option<usize> {
        self.owners.get(party, socket.0)
    }

    fn add(&mut self, kind: Kind) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                kind: None,
                generation: 0,
                queued: false,
                errored: false,
            });
            self.slots.len() - 1
        });
        self.slots[index].kind = Some(kind);
        index
    }

    /// Empties a slot; what was in it closes when it is dropped.
    fn take(&mut self, index: usize) -> Option<Kind> {
        let slot = self.slots.get_mut(index)?;
        let kind = slot.kind.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        Some(kind)
    }

    fn register(
        &self,
        source: &mut impl mio::event::Source,
        index: usize,
        interest: Interest,
    ) -> io::Result<()> {
        self.registry.register(source, Token(index), interest)
    }

    fn connection_id(&self, index: usize) -> ConnectionId {
        ConnectionId(u64::from(self.slots[index].generation) << 32 | index as u64)
    }

    fn connection_slot(&self, id: ConnectionId) -> Option<usize> {
        let index = (id.0 & u64::from(u32::MAX)) as usize;
        let slot = self.slots.get(index)?;
        let current =
            u64::from(slot.generation) == id.0 >> 32 && matches!(slot.kind, Some(Kind::Connection(_)));
        current.then_some(index)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a record, once")]
    fn tap(
        &mut self,
        party: PartyId,
        carrier: callwright_wire::Carrier,
        fate: Fate,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: Bytes,
        cause: Option<Cause>,
    ) {
        self.tapping.record(TapRecord {
            time: self.clock.now(),
            source,
            destination,
            carrier,
            fate,
            bytes,
            cause,
            party: party.0,
        });
    }
}
