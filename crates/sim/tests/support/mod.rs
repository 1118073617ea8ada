//! A world of peers that do what a story tells them, and remember what they hear.

#![expect(dead_code, reason = "each story uses a part of it")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use callwright_sim::{CrashKind, HostId, Link, PartyId, World, WorldConfig};
use callwright_wire::{
    ConnectionError, ConnectionId, DnsQuery, Flow, Input, Node, Output, PacketNode, QueryId, Residue, Seed,
    SocketId, SocketUse, Tap, TapRecord, Time, TlsClient, Transport,
};

/// What a peer heard.
#[derive(Debug)]
pub(crate) enum Heard {
    Input(Input<()>),
    Packet {
        socket: SocketId,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    Timeout,
}

/// A node without a mind of its own.
#[derive(Default)]
pub(crate) struct Peer {
    pub(crate) outputs: VecDeque<Output<Heard>>,
    pub(crate) packets: VecDeque<(SocketId, SocketAddr, Vec<u8>)>,
    /// When it wants to be called; it says so until it is told otherwise.
    pub(crate) due: Option<(Time, &'static str)>,
    /// Called late, it forgets `due`.
    pub(crate) stubborn: bool,
    /// The clear text of what it sends.
    pub(crate) clear: Option<Vec<u8>>,
}

impl Node for Peer {
    type Command = ();
    type Event = Heard;

    fn handle_input(&mut self, _now: Time, input: Input<()>) {
        self.outputs.push_back(Output::Event(Heard::Input(input)));
    }

    fn handle_timeout(&mut self, now: Time) {
        if self.due.is_some_and(|(at, _)| at <= now) {
            self.outputs.push_back(Output::Event(Heard::Timeout));
            if !self.stubborn {
                self.due = None;
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output<Heard>> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.due
    }

    fn residue(&self) -> Residue {
        Residue::default()
    }
}

impl PacketNode for Peer {
    fn handle_packet(&mut self, _now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        let bytes = packet.to_vec();
        self.outputs
            .push_back(Output::Event(Heard::Packet { socket, from, bytes }));
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

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// The number that a peer gives to the RTCP socket beside this one.
pub(crate) const fn rtcp(rtp: SocketId) -> SocketId {
    SocketId(rtp.0 + 1_000_000)
}

/// A world of peers, and what they heard.
pub(crate) struct Lab {
    pub(crate) world: World<Peer>,
    heard: Vec<VecDeque<(Time, Heard)>>,
    numbers: u32,
}

impl Lab {
    /// Hosts are 10 ms apart.
    pub(crate) fn new() -> Self {
        Lab::seeded(1)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Lab::with(WorldConfig::new(Seed::from_number(seed)))
    }

    pub(crate) fn with(config: WorldConfig) -> Self {
        Lab {
            world: World::new(config),
            heard: Vec::new(),
            numbers: 0,
        }
    }

    pub(crate) fn linked(seed: u64, link: Link) -> Self {
        let mut lab = Lab::seeded(seed);
        lab.world.set_default_link(link);
        lab
    }

    pub(crate) fn host(&mut self, name: &str, ip: &str) -> HostId {
        let ip: std::net::IpAddr = ip.parse().expect("an address");
        self.world.add_host(name, ip).expect("it is free")
    }

    /// A peer on a host of its own.
    pub(crate) fn peer(&mut self, ip: &str) -> PartyId {
        let host = self.host(ip, ip);
        self.peer_on(host, &format!("peer at {ip}"))
    }

    pub(crate) fn peer_on(&mut self, host: HostId, name: &str) -> PartyId {
        let party = self.world.add(host, name, Peer::default());
        self.heard.push(VecDeque::new());
        party
    }

    pub(crate) fn output(&mut self, party: PartyId, output: Output<Heard>) {
        self.world
            .with(party, |peer, _| peer.outputs.push_back(output))
            .expect("it is there");
    }

    fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// Binds, and says what came of it.
    pub(crate) fn bind(
        &mut self,
        party: PartyId,
        local: &str,
        usage: impl FnOnce(SocketId) -> SocketUse,
    ) -> (SocketId, Heard) {
        let number = self.number();
        let socket = SocketId(number);
        let usage = usage(socket);
        let local = addr(local);
        self.output(party, Output::Bind { socket, local, usage });
        let heard = self.next(party).expect("it is answered at once");
        (socket, heard.1)
    }

    #[track_caller]
    fn bound(
        &mut self,
        party: PartyId,
        local: &str,
        usage: impl FnOnce(SocketId) -> SocketUse,
    ) -> (SocketId, SocketAddr) {
        match self.bind(party, local, usage) {
            (socket, Heard::Input(Input::Bound { local, .. })) => (socket, local),
            (_, other) => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn udp(&mut self, party: PartyId, local: &str) -> (SocketId, SocketAddr) {
        self.bound(party, local, |_| SocketUse::Signalling(Transport::Udp))
    }

    #[track_caller]
    pub(crate) fn listen(
        &mut self,
        party: PartyId,
        transport: Transport,
        local: &str,
    ) -> (SocketId, SocketAddr) {
        self.bound(party, local, |_| SocketUse::Signalling(transport))
    }

    #[track_caller]
    pub(crate) fn media(&mut self, party: PartyId, local: &str) -> (SocketId, SocketAddr) {
        self.bound(party, local, |socket| SocketUse::Media { rtcp: rtcp(socket) })
    }

    pub(crate) fn send(&mut self, party: PartyId, socket: SocketId, to: SocketAddr, text: &str) {
        let output = Output::Datagram {
            socket,
            to,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            cause: None,
        };
        self.output(party, output);
    }

    pub(crate) fn send_packet(&mut self, party: PartyId, socket: SocketId, to: SocketAddr, packet: &[u8]) {
        self.world
            .with(party, |peer, _| {
                peer.packets.push_back((socket, to, packet.to_vec()))
            })
            .expect("it is there");
    }

    pub(crate) fn connect(&mut self, party: PartyId, remote: SocketAddr, tls: Option<TlsClient>) -> SocketId {
        let socket = SocketId(self.number());
        let output = Output::Connect {
            socket,
            local: None,
            remote,
            tls,
        };
        self.output(party, output);
        socket
    }

    /// A connection that is up on both sides.
    #[track_caller]
    pub(crate) fn connected(
        &mut self,
        a: PartyId,
        b: PartyId,
        remote: SocketAddr,
    ) -> (ConnectionId, ConnectionId) {
        self.connect(a, remote, None);
        let deadline = self.world.now() + Duration::from_secs(5);
        self.world.run_until(deadline).expect("it goes on");
        let (
            Some((_, Heard::Input(Input::Connected { connection: one, .. }))),
            Some((
                _,
                Heard::Input(Input::Accepted {
                    connection: other, ..
                }),
            )),
        ) = (self.next(a), self.next(b))
        else {
            panic!("they are not connected");
        };
        (one, other)
    }

    pub(crate) fn write(&mut self, party: PartyId, connection: ConnectionId, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.output(
            party,
            Output::Stream {
                connection,
                bytes,
                cause: None,
            },
        );
    }

    pub(crate) fn close(&mut self, party: PartyId, connection: ConnectionId) {
        self.output(party, Output::Close { connection });
    }

    pub(crate) fn ask(&mut self, party: PartyId, question: DnsQuery) -> QueryId {
        let query = QueryId(self.number());
        self.output(party, Output::Resolve { query, question });
        query
    }

    /// Lets so much time pass.
    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.world.now() + span;
        self.world.run_until(until).expect("it goes on");
    }

    /// What a peer heard next, and when; `None` when there is nothing yet.
    pub(crate) fn next(&mut self, party: PartyId) -> Option<(Time, Heard)> {
        self.collect();
        self.heard[party.0 as usize].pop_front()
    }

    /// The texts of the datagrams and pieces of streams that a peer heard, and when; nothing else must have come.
    #[track_caller]
    pub(crate) fn texts(&mut self, party: PartyId) -> Vec<(Time, String)> {
        let mut texts = Vec::new();
        while let Some((at, heard)) = self.next(party) {
            let bytes = match &heard {
                Heard::Input(Input::Datagram { bytes, .. } | Input::Stream { bytes, .. }) => bytes,
                other => panic!("{other:?}"),
            };
            texts.push((at, String::from_utf8_lossy(bytes).into_owned()));
        }
        texts
    }

    /// How a connection ended, and when; the next thing that the peer heard.
    #[track_caller]
    pub(crate) fn closed(&mut self, party: PartyId) -> (Time, Option<ConnectionError>) {
        match self.next(party) {
            Some((at, Heard::Input(Input::Closed { error, .. }))) => (at, error),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn connect_failed(&mut self, party: PartyId) -> (Time, ConnectionError) {
        match self.next(party) {
            Some((at, Heard::Input(Input::ConnectFailed { error, .. }))) => (at, error),
            other => panic!("{other:?}"),
        }
    }

    /// The flow of the datagram that a peer heard next.
    #[track_caller]
    pub(crate) fn flow(&mut self, party: PartyId) -> Flow {
        match self.next(party) {
            Some((_, Heard::Input(Input::Datagram { flow, .. }))) => flow,
            other => panic!("{other:?}"),
        }
    }

    /// Where datagrams went that nobody took, and when that was heard.
    #[track_caller]
    pub(crate) fn unreachable(&mut self, party: PartyId) -> (Time, SocketAddr) {
        match self.next(party) {
            Some((at, Heard::Input(Input::Unreachable { remote, .. }))) => (at, remote),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn crash(&mut self, party: PartyId, kind: CrashKind) {
        assert!(!self.world.crash(party, kind).is_empty(), "it was there");
    }

    pub(crate) fn restart(&mut self, party: PartyId) {
        assert!(self.world.restart(party, Peer::default()).is_ok(), "it was gone");
    }

    fn collect(&mut self) {
        while let Some((party, at, heard)) = self.world.poll_event() {
            self.heard[party.0 as usize].push_back((at, heard));
        }
    }
}

/// A tap that keeps everything.
#[derive(Clone, Default)]
pub(crate) struct Records(Arc<Mutex<Vec<TapRecord>>>);

impl Records {
    pub(crate) fn of(lab: &mut Lab) -> Self {
        let records = Records::default();
        lab.world.set_tap(Some(Box::new(records.clone())));
        records
    }

    pub(crate) fn take(&self) -> Vec<TapRecord> {
        std::mem::take(&mut *self.0.lock().expect("nobody panicked"))
    }
}

impl Tap for Records {
    fn record(&mut self, record: TapRecord) {
        self.0.lock().expect("nobody panicked").push(record);
    }
}
