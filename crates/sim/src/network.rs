//! Everything between the nodes of a world: the only part that knows who can reach whom, and when.

mod datagrams;
mod places;
mod ports;
mod sockets;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use callwright_wire::{
    Carrier, Cause, DnsAnswer, DnsError, DnsQuery, DnsRecord, Fate, Input, Output, QueryId, SocketId, Tap,
    TapRecord, Time,
};

use crate::agenda::Agenda;
use crate::arena::{Arena, Key};
use crate::connection::Connection;
use crate::host::{Host, Loopback};
use crate::links::Links;
use crate::nat::Translator;
use crate::zone::{Kind, Zone};
use crate::{HostId, PartyId, WorldConfig};

pub(crate) use datagrams::{Arrival, Parcel, Payload};
use places::Place;
use sockets::{Postponed, Socket};
use streams::StreamDue;

/// How a party goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It is taken out: its connections are closed in order.
    Orderly,
    /// Its process is gone: the kernel resets its connections.
    Killed,
    /// Its host is gone, and tells nobody.
    Silent,
}

/// A place for a node.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) name: Arc<str>,
    pub(crate) host: HostId,
    /// Counts the nodes that sat here: what one asked is not answered to the next.
    pub(crate) life: u32,
}

/// What is on its way, or due.
#[derive(Debug)]
pub(crate) enum Due {
    Datagram(Parcel),
    /// An ICMP message to a socket.
    Unreachable {
        socket: Key,
        remote: SocketAddr,
    },
    Answer {
        party: PartyId,
        life: u32,
        query: QueryId,
        answer: Result<DnsAnswer, DnsError>,
    },
    /// A pair of media ports has rested.
    Lease,
    Stream(StreamDue),
}

/// Hosts, links, sockets and connections, and what is on its way between them.
pub(crate) struct Network {
    pub(crate) now: Time,
    pub(crate) config: WorldConfig,
    pub(crate) agenda: Agenda<Due>,
    pub(crate) links: Links,
    pub(crate) hosts: Vec<Host>,
    pub(crate) seats: Vec<Seat>,
    pub(crate) zone: Zone,
    pub(crate) tap: Option<Box<dyn Tap>>,
    /// What nodes are to be told at once, in order.
    pub(crate) inbox: VecDeque<(PartyId, Input<Infallible>)>,
    nats: Vec<(String, Translator)>,
    public: BTreeMap<IpAddr, Place>,
    /// There when hosts share it.
    loopback: Option<Loopback>,
    sockets: Arena<Socket>,
    owners: BTreeMap<(PartyId, SocketId), Key>,
    postponed: VecDeque<Postponed>,
    connections: Arena<Connection>,
    /// Buffers of media packets that arrived.
    spare: Vec<Vec<u8>>,
}

impl Network {
    pub(crate) fn new(config: WorldConfig) -> Self {
        Network {
            now: Time::ZERO,
            links: Links::new(config.seed.derive("links")),
            loopback: config.shared_loopback.then(Loopback::default),
            config,
            agenda: Agenda::default(),
            hosts: Vec::new(),
            seats: Vec::new(),
            zone: Zone::default(),
            tap: None,
            inbox: VecDeque::new(),
            nats: Vec::new(),
            public: BTreeMap::new(),
            sockets: Arena::default(),
            owners: BTreeMap::new(),
            postponed: VecDeque::new(),
            connections: Arena::default(),
            spare: Vec::new(),
        }
    }

    /// Does what a node asks for; gives back what it tells.
    pub(crate) fn perform<E>(&mut self, party: PartyId, output: Output<E>) -> Option<E> {
        match output {
            Output::Event(event) => return Some(event),
            Output::Bind { socket, local, usage } => self.bind(party, socket, local, usage),
            Output::Unbind { socket } => self.unbind(party, socket),
            Output::Datagram {
                socket,
                to,
                bytes,
                cause,
            } => {
                let seen = (Carrier::Udp, bytes.clone());
                self.send_datagram(party, socket, to, Payload::Shared(bytes), Some(seen), cause);
            }
            Output::Connect {
                socket,
                local,
                remote,
                tls,
            } => self.connect(party, socket, local, remote, tls),
            Output::Stream {
                connection,
                bytes,
                cause,
            } => self.send_stream(connection, bytes, cause),
            Output::Close { connection } => self.close(connection),
            Output::Resolve { query, question } => self.resolve(party, query, &question),
        }
        None
    }

    /// Something is due. A media packet is given back: it goes to its node by reference.
    pub(crate) fn happen(&mut self, due: Due) -> Option<Arrival> {
        match due {
            Due::Datagram(parcel) => return self.arrive(parcel),
            Due::Unreachable { socket, remote } => self.tell_unreachable(socket, remote),
            Due::Answer {
                party,
                life,
                query,
                answer,
            } => {
                if self.seat(party).life == life {
                    self.inbox.push_back((party, Input::Resolved { query, answer }));
                }
            }
            Due::Lease => self.retry_leases(),
            Due::Stream(due) => self.stream_due(due),
        }
        None
    }

    /// Takes away everything that a party holds.
    pub(crate) fn forget(&mut self, party: PartyId, leaving: Leaving) {
        self.seats[party.0 as usize].life += 1;
        self.close_sockets(party, leaving);
        self.leave_connections(party, leaving);
        self.inbox.retain(|(to, _)| *to != party);
    }

    pub(crate) fn seat(&self, party: PartyId) -> &Seat {
        &self.seats[party.0 as usize]
    }

    pub(crate) fn host(&self, host: HostId) -> &Host {
        &self.hosts[host.0 as usize]
    }

    pub(crate) fn host_mut(&mut self, host: HostId) -> &mut Host {
        &mut self.hosts[host.0 as usize]
    }

    fn resolve(&mut self, party: PartyId, query: QueryId, question: &DnsQuery) {
        let (after, answer) = match question {
            DnsQuery::Route(peer) => {
                let source = self.host(self.seat(party).host).source_towards(*peer);
                let answer = source
                    .map(|ip| vec![DnsRecord::Address(ip)])
                    .ok_or_else(|| DnsError::Failed {
                        detail: format!("no route to {peer}"),
                    });
                (Duration::ZERO, answer)
            }
            DnsQuery::Naptr(name) => self.zone.answer(name, Kind::Naptr),
            DnsQuery::Srv(name) => self.zone.answer(name, Kind::Srv),
            DnsQuery::Address(name) => self.zone.answer(name, Kind::Address),
        };
        if after.is_zero() {
            self.inbox.push_back((party, Input::Resolved { query, answer }));
            return;
        }
        let life = self.seat(party).life;
        let due = Due::Answer {
            party,
            life,
            query,
            answer,
        };
        self.agenda.put(self.now + after, due);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a record, once")]
    fn record(
        &mut self,
        party: PartyId,
        carrier: Carrier,
        fate: Fate,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: Bytes,
        cause: Option<Cause>,
    ) {
        let time = self.now;
        if let Some(tap) = self.tap.as_mut() {
            tap.record(TapRecord {
                time,
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
}
