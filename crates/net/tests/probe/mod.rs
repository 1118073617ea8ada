//! A node that does what the test says and reports everything it hears, and the world around it.

#![expect(dead_code, reason = "each test file uses its part")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use callwright_net::{EventSink, PartyId, Warning, World, WorldConfig};
use callwright_wire::{
    BindError, Cause, ConnectionError, ConnectionId, DnsAnswer, DnsError, DnsQuery, Flow, Input, Node,
    Output, PacketNode, QueryId, Residue, SocketId, SocketUse, Time, TlsClient, Transport,
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a probe reports.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Bound(SocketId, SocketAddr),
    BindFailed(SocketId, BindError),
    Datagram(SocketId, Flow, Bytes),
    Packet(SocketId, SocketAddr, Vec<u8>),
    Unreachable(SocketId, SocketAddr),
    Connected(SocketId, ConnectionId, Flow),
    ConnectFailed(SocketId, ConnectionError),
    Accepted(SocketId, ConnectionId, Flow),
    Stream(ConnectionId, Bytes),
    Closed(ConnectionId, Option<ConnectionError>),
    Resolved(QueryId, Result<DnsAnswer, DnsError>),
    Due(Time),
    Warned(Warning),
    Failed,
}

#[derive(Default)]
pub(crate) struct Probe {
    pub(crate) outputs: VecDeque<Output<Seen>>,
    pub(crate) packets: VecDeque<(SocketId, SocketAddr, Vec<u8>)>,
    pub(crate) due: Option<Time>,
    /// Sends back what arrives, and reports nothing.
    pub(crate) echo: bool,
    /// What packets contain once decrypted.
    pub(crate) clear: Option<Vec<u8>>,
    pub(crate) panics: bool,
    /// How long the last packet waited for its turn.
    pub(crate) waited: Duration,
}

impl Probe {
    pub(crate) fn bind(&mut self, socket: u32, local: SocketAddr, transport: Transport) {
        self.outputs.push_back(Output::Bind {
            socket: SocketId(socket),
            local,
            usage: SocketUse::Signalling(transport),
        });
    }

    pub(crate) fn bind_media(&mut self, socket: u32, local: SocketAddr) {
        self.outputs.push_back(Output::Bind {
            socket: SocketId(socket),
            local,
            usage: SocketUse::Media {
                rtcp: SocketId(socket + 1),
            },
        });
    }

    pub(crate) fn unbind(&mut self, socket: u32) {
        self.outputs.push_back(Output::Unbind {
            socket: SocketId(socket),
        });
    }

    pub(crate) fn send(&mut self, socket: u32, to: SocketAddr, bytes: impl Into<Bytes>) {
        self.outputs.push_back(Output::Datagram {
            socket: SocketId(socket),
            to,
            bytes: bytes.into(),
            cause: Some(Cause(socket)),
        });
    }

    pub(crate) fn connect(
        &mut self,
        socket: u32,
        local: Option<IpAddr>,
        remote: SocketAddr,
        tls: Option<TlsClient>,
    ) {
        self.outputs.push_back(Output::Connect {
            socket: SocketId(socket),
            local,
            remote,
            tls,
        });
    }

    pub(crate) fn write(&mut self, connection: ConnectionId, bytes: impl Into<Bytes>) {
        self.outputs.push_back(Output::Stream {
            connection,
            bytes: bytes.into(),
            cause: Some(Cause(7)),
        });
    }

    pub(crate) fn close(&mut self, connection: ConnectionId) {
        self.outputs.push_back(Output::Close { connection });
    }

    pub(crate) fn resolve(&mut self, query: u32, question: DnsQuery) {
        self.outputs.push_back(Output::Resolve {
            query: QueryId(query),
            question,
        });
    }

    fn report(&mut self, seen: Seen) {
        self.outputs.push_back(Output::Event(seen));
    }
}

impl Node for Probe {
    type Command = Infallible;
    type Event = Seen;

    fn handle_input(&mut self, _now: Time, input: Input<Infallible>) {
        assert!(!self.panics, "as the test wants it");
        let seen = match input {
            Input::Datagram { socket, flow, bytes } if self.echo => {
                return self.outputs.push_back(Output::Datagram {
                    socket,
                    to: flow.remote,
                    bytes,
                    cause: None,
                });
            }
            Input::Stream { connection, bytes } if self.echo => {
                return self.outputs.push_back(Output::Stream {
                    connection,
                    bytes,
                    cause: None,
                });
            }
            Input::Bound { socket, local } => Seen::Bound(socket, local),
            Input::BindFailed { socket, error } => Seen::BindFailed(socket, error),
            Input::Datagram { socket, flow, bytes } => Seen::Datagram(socket, flow, bytes),
            Input::Unreachable { socket, remote } => Seen::Unreachable(socket, remote),
            Input::Connected {
                socket,
                connection,
                flow,
            } => Seen::Connected(socket, connection, flow),
            Input::ConnectFailed { socket, error, .. } => Seen::ConnectFailed(socket, error),
            Input::Accepted {
                listener,
                connection,
                flow,
            } => Seen::Accepted(listener, connection, flow),
            Input::Stream { connection, bytes } => Seen::Stream(connection, bytes),
            Input::Closed { connection, error } => Seen::Closed(connection, error),
            Input::Resolved { query, answer } => Seen::Resolved(query, answer),
            Input::Command(never) => match never {},
        };
        self.report(seen);
    }

    fn handle_timeout(&mut self, now: Time) {
        if let Some(due) = self.due.filter(|due| *due <= now) {
            self.due = None;
            self.report(Seen::Due(due));
        }
    }

    fn poll_output(&mut self) -> Option<Output<Seen>> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.due.map(|due| (due, "test"))
    }

    fn residue(&self) -> Residue {
        Residue::default()
    }
}

impl PacketNode for Probe {
    fn handle_packet(&mut self, _now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        if self.echo {
            self.packets.push_back((socket, from, packet.to_vec()));
        } else {
            self.report(Seen::Packet(socket, from, packet.to_vec()));
        }
    }

    fn handle_arrival(
        &mut self,
        now: Time,
        arrived: Time,
        socket: SocketId,
        from: SocketAddr,
        packet: &[u8],
    ) {
        self.waited = now - arrived;
        self.handle_packet(now, socket, from, packet);
    }

    fn poll_transmit(&mut self, _now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        let (socket, to, packet) = self.packets.pop_front()?;
        buffer[..packet.len()].copy_from_slice(&packet);
        Some((socket, to, packet.len()))
    }

    fn clear_text(&self) -> Option<&[u8]> {
        self.clear.as_deref()
    }
}

/// A world of probes whose reports the test reads.
pub(crate) struct Stage {
    pub(crate) world: World<Probe>,
    seen: Receiver<(PartyId, Time, Seen)>,
    kept: VecDeque<(PartyId, Time, Seen)>,
}

struct Reports(std::sync::mpsc::Sender<(PartyId, Time, Seen)>);

impl EventSink<Seen> for Reports {
    fn event(&mut self, party: PartyId, now: Time, event: Seen) {
        let _ = self.0.send((party, now, event));
    }

    fn warning(&mut self, party: PartyId, now: Time, warning: Warning) {
        let _ = self.0.send((party, now, Seen::Warned(warning)));
    }

    fn failed(&mut self) {
        let _ = self.0.send((PartyId(u32::MAX), Time::ZERO, Seen::Failed));
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        Stage::with_config(WorldConfig::default())
    }

    pub(crate) fn with_config(config: WorldConfig) -> Self {
        let (sender, seen) = channel();
        Stage {
            world: World::start(config, Reports(sender)).expect("a world"),
            seen,
            kept: VecDeque::new(),
        }
    }

    pub(crate) fn add(&self) -> PartyId {
        self.world.add("probe", Probe::default())
    }

    pub(crate) fn with<R>(&self, party: PartyId, f: impl FnOnce(&mut Probe) -> R) -> R {
        self.world.with(party, |probe, _| f(probe)).expect("a party")
    }

    /// Waits for the first report of `party` that `pick` takes; others of it and of other parties are kept.
    pub(crate) fn wait<R>(&mut self, party: PartyId, mut pick: impl FnMut(&Seen) -> Option<R>) -> (Time, R) {
        let mut waiting = std::mem::take(&mut self.kept);
        loop {
            while let Some((from, at, seen)) = waiting.pop_front() {
                if from == party
                    && let Some(found) = pick(&seen)
                {
                    self.kept.extend(waiting);
                    return (at, found);
                }
                self.kept.push_back((from, at, seen));
            }
            match self.seen.recv_timeout(PATIENCE) {
                Ok(report) => waiting.push_back(report),
                Err(_) => panic!("nothing fitting came; there was {:#?}", self.kept),
            }
        }
    }

    /// Binds a signalling socket and waits for its address.
    pub(crate) fn bound(
        &mut self,
        party: PartyId,
        socket: u32,
        local: &str,
        transport: Transport,
    ) -> SocketAddr {
        self.with(party, |probe| probe.bind(socket, address(local), transport));
        self.wait_bound(party, socket)
    }

    /// Leases a pair of media ports at `local` and waits for the even one.
    pub(crate) fn leased(&mut self, party: PartyId, socket: u32, local: &str) -> SocketAddr {
        self.with(party, |probe| probe.bind_media(socket, address(local)));
        self.wait_bound(party, socket)
    }

    fn wait_bound(&mut self, party: PartyId, socket: u32) -> SocketAddr {
        self.wait(party, |seen| match seen {
            Seen::Bound(SocketId(bound), local) if *bound == socket => Some(*local),
            Seen::BindFailed(SocketId(bound), error) if *bound == socket => panic!("{error}"),
            _ => None,
        })
        .1
    }

    pub(crate) fn wait_datagram(&mut self, party: PartyId) -> (Flow, Bytes) {
        self.wait(party, |seen| match seen {
            Seen::Datagram(_, flow, bytes) => Some((*flow, bytes.clone())),
            _ => None,
        })
        .1
    }

    pub(crate) fn wait_packet(&mut self, party: PartyId) -> (SocketId, SocketAddr, Vec<u8>) {
        self.wait(party, |seen| match seen {
            Seen::Packet(socket, from, packet) => Some((*socket, *from, packet.clone())),
            _ => None,
        })
        .1
    }

    /// Waits until `length` bytes came on the connection.
    pub(crate) fn wait_stream(&mut self, party: PartyId, connection: ConnectionId, length: usize) -> Vec<u8> {
        let mut read = Vec::new();
        while read.len() < length {
            let (_, bytes) = self.wait(party, |seen| match seen {
                Seen::Stream(from, bytes) if *from == connection => Some(bytes.clone()),
                _ => None,
            });
            read.extend_from_slice(&bytes);
        }
        read
    }

    /// What was reported and not asked for yet.
    pub(crate) fn rest(&mut self) -> Vec<Seen> {
        self.kept.extend(self.seen.try_iter());
        self.kept.drain(..).map(|(_, _, seen)| seen).collect()
    }
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// False, with a message, where this machine has no IPv6.
pub(crate) fn has_ipv6() -> bool {
    let has = std::net::UdpSocket::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("skipped: this machine has no ::1");
    }
    has
}
