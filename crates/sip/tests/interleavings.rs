//! Two cores, a network that loses, repeats and delays, and users that answer, cancel or keep silent, at random: nothing
//! panics, and once the network is well again everything settles.

mod support;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use callwright_sip::core::{ClientId, Core, CoreConfig, CoreEvent, ServerId, Target, TransactionId};
use callwright_sip_message::{Builder, Message, Method};
use callwright_wire::{ConnectionId, DnsError, Flow, Input, Output, Seed, SocketId, Time, Transport};
use proptest::prelude::*;
use support::core::{incoming, request, uri};

/// What may happen next.
#[derive(Clone, Debug)]
enum Action {
    /// One side sends a request.
    Request {
        side: usize,
        method: usize,
        stream: bool,
    },
    /// It answers one of the requests that wait.
    Answer { side: usize, which: usize, status: u16 },
    /// It cancels one of its INVITEs.
    Cancel { side: usize, which: usize },
    /// The network delivers one of the packets under way; `false` loses it if it may.
    Deliver { which: usize, keep: bool, twice: bool },
    /// Time passes.
    Wait { ms: u64 },
    /// Every connection breaks.
    Break,
}

fn action() -> impl Strategy<Value = Action> {
    let side = 0..2_usize;
    let status = prop_oneof![
        Just(100),
        Just(180),
        Just(200),
        Just(302),
        Just(486),
        Just(503),
        Just(603)
    ];
    prop_oneof![
        3 => (side.clone(), 0..4_usize, any::<bool>()).prop_map(|(side, method, stream)| Action::Request { side, method, stream }),
        4 => (side.clone(), 0..8_usize, status).prop_map(|(side, which, status)| Action::Answer { side, which, status }),
        1 => (side, 0..8_usize).prop_map(|(side, which)| Action::Cancel { side, which }),
        10 => (0..16_usize, prop::bool::weighted(0.8), prop::bool::weighted(0.1))
            .prop_map(|(which, keep, twice)| Action::Deliver { which, keep, twice }),
        4 => prop_oneof![Just(1), Just(199), Just(500), Just(4_000), Just(5_000), Just(32_000)].prop_map(|ms| Action::Wait { ms }),
        1 => Just(Action::Break),
    ]
}

#[derive(Clone, Debug)]
enum Packet {
    Datagram {
        to: usize,
        bytes: Bytes,
    },
    Stream {
        to: usize,
        connection: ConnectionId,
        bytes: Bytes,
    },
}

struct Side {
    core: Core,
    address: SocketAddr,
    socket: SocketId,
    clients: Vec<ClientId>,
    servers: BTreeMap<ServerId, Message>,
    /// Transactions that began and have not ended.
    open: BTreeMap<TransactionId, u32>,
}

struct World {
    now: Time,
    sides: Vec<Side>,
    wire: Vec<Packet>,
    next_connection: u64,
    /// Which side each end of a connection belongs to, and the other end.
    ends: BTreeMap<ConnectionId, (usize, ConnectionId)>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            now: Time::ZERO,
            sides: Vec::new(),
            wire: Vec::new(),
            next_connection: 0,
            ends: BTreeMap::new(),
        };
        for (at, address) in [support::LOCAL, support::PEER].into_iter().enumerate() {
            let mut core = Core::new(
                CoreConfig::default(),
                Seed::from_number(seed + at as u64).stream(),
            );
            let address = address.parse().expect("a literal");
            let socket = core.listen(Transport::Udp, address);
            core.listen(Transport::Tcp, address);
            world.sides.push(Side {
                core,
                address,
                socket,
                clients: Vec::new(),
                servers: BTreeMap::new(),
                open: BTreeMap::new(),
            });
            world.drain(at);
        }
        world
    }

    fn input(&mut self, side: usize, input: Input<Infallible>) {
        self.sides[side].core.handle_input(self.now, input);
        self.drain(side);
    }

    fn drain(&mut self, side: usize) {
        while let Some(output) = self.sides[side].core.poll_output() {
            match output {
                Output::Bind { socket, local, .. } => {
                    self.sides[side]
                        .core
                        .handle_input(self.now, Input::Bound { socket, local });
                }
                Output::Datagram { bytes, .. } => self.wire.push(Packet::Datagram { to: 1 - side, bytes }),
                Output::Stream {
                    connection, bytes, ..
                } => {
                    if let Some((to, other)) = self.ends.get(&connection) {
                        self.wire.push(Packet::Stream {
                            to: *to,
                            connection: *other,
                            bytes,
                        });
                    }
                }
                Output::Connect { socket, remote, .. } => self.connect(side, socket, remote),
                Output::Close { connection } => {
                    if let Some((to, other)) = self.ends.remove(&connection) {
                        self.ends.remove(&other);
                        self.input(
                            to,
                            Input::Closed {
                                connection: other,
                                error: None,
                            },
                        );
                    }
                }
                Output::Resolve { query, .. } => {
                    self.input(
                        side,
                        Input::Resolved {
                            query,
                            answer: Err(DnsError::NoSuchName),
                        },
                    );
                }
                Output::Unbind { .. } => {}
                Output::Event(event) => self.event(side, event),
            }
        }
    }

    fn connect(&mut self, side: usize, socket: SocketId, remote: SocketAddr) {
        let (near, far) = (
            ConnectionId(self.next_connection),
            ConnectionId(self.next_connection + 1),
        );
        self.next_connection += 2;
        let other = 1 - side;
        let local = SocketAddr::new(self.sides[side].address.ip(), 20_000 + (near.0 % 40_000) as u16);
        if remote != self.sides[other].address {
            // A response to a connection that is gone: nobody listens on that port.
            let error = callwright_wire::ConnectionError::Refused;
            return self.input(
                side,
                Input::ConnectFailed {
                    socket,
                    remote,
                    error,
                },
            );
        }
        self.ends.insert(near, (other, far));
        self.ends.insert(far, (side, near));
        let flow = Flow {
            transport: Transport::Tcp,
            local: remote,
            remote: local,
        };
        self.input(
            other,
            Input::Accepted {
                listener: SocketId(0),
                connection: far,
                flow,
            },
        );
        let flow = Flow {
            transport: Transport::Tcp,
            local,
            remote,
        };
        self.input(
            side,
            Input::Connected {
                socket,
                connection: near,
                flow,
            },
        );
    }

    fn event(&mut self, at: usize, event: CoreEvent) {
        let side = &mut self.sides[at];
        match event {
            CoreEvent::Request { id, message, .. } => {
                assert!(
                    side.servers.insert(id, message).is_none(),
                    "a request came up twice"
                );
                *side.open.entry(TransactionId::Server(id)).or_default() += 1;
            }
            CoreEvent::Ended { id } => {
                // A CANCEL's server transaction is not announced; everything else ends once.
                side.open.remove(&id);
                if let TransactionId::Server(id) = id {
                    side.servers.remove(&id);
                }
                if let TransactionId::Client(id) = id {
                    side.clients.retain(|client| *client != id);
                }
            }
            _ => {}
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Request { side, method, stream } => self.request(side, method, stream),
            Action::Answer { side, which, status } => self.answer(side, which, status),
            Action::Cancel { side, which } => {
                let clients = &self.sides[side].clients;
                if let Some(id) = clients.get(which % clients.len().max(1)).copied() {
                    if let Some(cancel) = self.sides[side].core.cancel(self.now, id, &[], None) {
                        self.sides[side].open.insert(TransactionId::Client(cancel), 1);
                    }
                    self.drain(side);
                }
            }
            Action::Deliver { which, keep, twice } => {
                if self.wire.is_empty() {
                    return;
                }
                // Streams keep their order, and lose nothing.
                let at = which % self.wire.len();
                let at = match &self.wire[at] {
                    Packet::Datagram { .. } => at,
                    Packet::Stream { connection, .. } => {
                        let first =
                            |p: &Packet| matches!(p, Packet::Stream { connection: c, .. } if c == connection);
                        self.wire.iter().position(first).unwrap_or(at)
                    }
                };
                let packet = self.wire.remove(at);
                let datagram = matches!(packet, Packet::Datagram { .. });
                if datagram && twice {
                    self.deliver(packet.clone());
                }
                if keep || !datagram {
                    self.deliver(packet);
                }
            }
            Action::Wait { ms } => self.wait(ms),
            Action::Break => {
                let ends: Vec<_> = self.ends.keys().copied().collect();
                for end in ends {
                    if let Some((side, other)) = self.ends.remove(&end) {
                        let error = Some(callwright_wire::ConnectionError::Reset);
                        self.input(
                            side,
                            Input::Closed {
                                connection: other,
                                error,
                            },
                        );
                    }
                }
            }
        }
    }

    fn request(&mut self, side: usize, method: usize, stream: bool) {
        let method = [Method::Invite, Method::Options, Method::Bye, Method::Message][method].clone();
        let remote = self.sides[1 - side].address;
        let target = if stream {
            format!("sip:{remote};transport=tcp")
        } else {
            format!("sip:{remote}")
        };
        let id = self.sides[side]
            .core
            .request(self.now, request(method), Target::new(uri(&target)), None);
        let id = id.expect("it is a request");
        self.sides[side].open.insert(TransactionId::Client(id), 1);
        self.sides[side].clients.push(id);
        self.drain(side);
    }

    fn answer(&mut self, at: usize, which: usize, status: u16) {
        let side = &mut self.sides[at];
        let Some((id, request)) = side.servers.iter().nth(which % side.servers.len().max(1)) else {
            return;
        };
        let (id, response) = (
            *id,
            Builder::response_to(request, status, "Random")
                .to_tag("tag")
                .finish(),
        );
        // It may have its final response, or not take a provisional one.
        let _ = side.core.respond(self.now, id, response, None);
        self.drain(at);
    }

    fn deliver(&mut self, packet: Packet) {
        match packet {
            Packet::Datagram { to, bytes } => {
                let (local, remote) = (self.sides[to].address, self.sides[1 - to].address);
                let flow = Flow {
                    transport: Transport::Udp,
                    local,
                    remote,
                };
                let socket = self.sides[to].socket;
                self.input(to, Input::Datagram { socket, flow, bytes });
            }
            Packet::Stream {
                to,
                connection,
                bytes,
            } => {
                if self.ends.contains_key(&connection) {
                    self.input(to, Input::Stream { connection, bytes });
                }
            }
        }
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some((at, side)) = self.next_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.sides[side].core.handle_timeout(self.now);
            self.drain(side);
        }
        self.now = end;
    }

    fn next_timeout(&self) -> Option<(Time, usize)> {
        let due = |(at, side): (usize, &Side)| Some((side.core.poll_timeout()?.0, at));
        self.sides.iter().enumerate().filter_map(due).min()
    }

    /// The network is well, everybody answers and cancels.
    fn settle(&mut self) {
        for round in 0..60 {
            if self
                .sides
                .iter()
                .all(|side| side.core.residue().transactions == 0)
            {
                return;
            }
            for side in 0..2 {
                for id in self.sides[side].clients.clone() {
                    if let Some(cancel) = self.sides[side].core.cancel(self.now, id, &[], None) {
                        self.sides[side].open.insert(TransactionId::Client(cancel), 1);
                    }
                }
                self.drain(side);
                for which in 0..self.sides[side].servers.len() {
                    self.answer(side, which, 487);
                }
            }
            while !self.wire.is_empty() {
                let packet = self.wire.remove(0);
                self.deliver(packet);
            }
            // First the messages, then the waiting times of 32 s.
            self.wait(if round < 10 { 500 } else { 10_000 });
        }
    }
}

fn settles(seed: u32, actions: Vec<Action>) -> Result<(), TestCaseError> {
    let mut world = World::new(u64::from(seed));
    for action in actions {
        world.perform(action);
    }
    world.settle();
    for side in &mut world.sides {
        let residue = side.core.residue();
        prop_assert_eq!(residue.transactions, 0);
        prop_assert!(
            residue.timers <= residue.connections,
            "{:?}",
            side.core.poll_timeout()
        );
        prop_assert!(side.open.is_empty(), "never ended: {:?}", side.open);
        side.core.shut_down();
        prop_assert_eq!(side.core.residue(), callwright_wire::Residue::default());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn datagrams_settle(seed in any::<u32>(), mut actions in prop::collection::vec(action(), 1..60)) {
        for action in &mut actions {
            if let Action::Request { stream, .. } = action {
                *stream = false;
            }
        }
        settles(seed, actions)?;
    }

    #[test]
    fn datagrams_and_streams_settle(seed in any::<u32>(), actions in prop::collection::vec(action(), 1..60)) {
        settles(seed, actions)?;
    }

    #[test]
    fn no_datagram_makes_it_panic(
        method in 0..4_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..12),
    ) {
        let method = ["INVITE", "ACK", "CANCEL", "OPTIONS"][method];
        let mut bytes = incoming(method, "z9hG4bKa").into_bytes();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let mut peer = support::core::udp();
        peer.send(bytes.clone());
        peer.send(bytes);
        peer.wait(200);
    }
}
