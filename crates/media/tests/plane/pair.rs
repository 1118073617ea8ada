//! Two planes and the network between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use callwright_media::codec::Codec;
use callwright_media::plane::{Ports, Remote, Source, Start, Stats};
use callwright_media::{Command, Event, Plane, PlaneConfig, SessionId};
use callwright_wire::{Entropy, Epoch, Seed, SocketId, Time};

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Alice,
    Bob,
}

pub(crate) use Side::{Alice, Bob};

impl Side {
    fn index(self) -> usize {
        match self {
            Alice => 0,
            Bob => 1,
        }
    }
}

/// A datagram that a side handed to the network.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) time: Time,
    pub(crate) by: Side,
    pub(crate) socket: SocketId,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) clear: Option<Vec<u8>>,
}

impl Sent {
    pub(crate) fn is_rtp(&self) -> bool {
        self.socket == RTP && !(192..=223).contains(&self.bytes[1])
    }

    pub(crate) fn payload_type(&self) -> u8 {
        self.bytes[1] & 0x7f
    }

    pub(crate) fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    pub(crate) fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }

    pub(crate) fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]])
    }
}

/// What becomes of a datagram: one entry for each copy that arrives, with its delay. None: it is lost.
pub(crate) type Network = Box<dyn FnMut(&Sent, u64) -> Vec<Duration>>;

pub(crate) const RTP: SocketId = SocketId(0);
pub(crate) const RTCP: SocketId = SocketId(1);
/// The way through the network when nothing else is said.
pub(crate) const LATENCY: Duration = Duration::from_millis(5);

struct Arriving {
    at: Side,
    socket: SocketId,
    from: SocketAddr,
    bytes: Vec<u8>,
}

pub(crate) struct Pair {
    pub(crate) now: Time,
    pub(crate) planes: [Plane; 2],
    pub(crate) sessions: [SessionId; 2],
    pub(crate) events: Vec<(Time, Side, Event)>,
    pub(crate) sent: Vec<Sent>,
    network: Network,
    on_the_way: BTreeMap<(Time, u64), Arriving>,
    count: u64,
    /// RTP packets sent by each side.
    numbers: [u64; 2],
}

pub(crate) fn address(side: Side, socket: SocketId) -> SocketAddr {
    let host = match side {
        Alice => [192, 0, 2, 1],
        Bob => [192, 0, 2, 2],
    };
    (host, 40_000 + socket.0 as u16).into()
}

pub(crate) fn entropy(name: &str) -> Entropy {
    Seed::from_number(7).derive(name).stream()
}

/// G.711 both ways, with telephone-events, to `side`.
pub(crate) fn towards(side: Side) -> Start {
    let mut start = Start::new(Codec::Pcmu, 0);
    start.receive.push((8, Codec::Pcma));
    start.remote = Some(Remote {
        rtp: address(side, RTP),
        rtcp: address(side, RTCP),
    });
    start.telephone_event_send = Some(101);
    start.telephone_event_receive = Some(101);
    start
}

pub(crate) fn tone(hz: f64) -> Command {
    Command::Play(Source::Tones {
        hz: vec![hz],
        level_dbm0: -10.0,
    })
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Pair {
    /// Two sessions that were opened and not started.
    pub(crate) fn opened() -> Self {
        let now = Time::from_secs(1);
        let config = PlaneConfig {
            epoch: Epoch::SIMULATED,
        };
        let mut planes = [Plane::new(now, config), Plane::new(now, config)];
        let ports = Ports { rtp: RTP, rtcp: RTCP };
        let sessions = [
            planes[0].open(ports, &mut entropy("alice")),
            planes[1].open(ports, &mut entropy("bob")),
        ];
        Pair {
            now,
            planes,
            sessions,
            events: Vec::new(),
            sent: Vec::new(),
            network: Box::new(|_, _| vec![LATENCY]),
            on_the_way: BTreeMap::new(),
            count: 0,
            numbers: [0; 2],
        }
    }

    /// A call that is up, both ways.
    pub(crate) fn call() -> Self {
        let mut pair = Pair::opened();
        pair.command(Alice, Command::Start(Box::new(towards(Bob))));
        pair.command(Bob, Command::Start(Box::new(towards(Alice))));
        pair
    }

    /// What becomes of the datagrams of both sides; the number counts those of one side, RTP alone, from zero.
    pub(crate) fn network(&mut self, network: impl FnMut(&Sent, u64) -> Vec<Duration> + 'static) {
        self.network = Box::new(network);
    }

    pub(crate) fn command(&mut self, side: Side, command: Command) {
        let now = self.now;
        let session = self.sessions[side.index()];
        let done = self.planes[side.index()].command(now, session, command);
        done.expect("a command that can be carried out");
        self.drain();
    }

    pub(crate) fn inject(&mut self, side: Side, socket: SocketId, from: SocketAddr, bytes: &[u8]) {
        let now = self.now;
        self.planes[side.index()].handle_packet(now, socket, from, bytes);
        self.drain();
    }

    pub(crate) fn plane(&mut self, side: Side) -> &mut Plane {
        &mut self.planes[side.index()]
    }

    pub(crate) fn session(&self, side: Side) -> SessionId {
        self.sessions[side.index()]
    }

    pub(crate) fn stats(&self, side: Side) -> Stats {
        self.planes[side.index()]
            .stats(self.sessions[side.index()])
            .expect("an open session")
    }

    pub(crate) fn close(&mut self, side: Side) -> Stats {
        let now = self.now;
        let session = self.sessions[side.index()];
        let stats = self.planes[side.index()].close(now, session);
        self.drain();
        stats.expect("an open session")
    }

    /// Lets `span` of virtual time go by.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let arrival = self.on_the_way.first_key_value().map(|((time, _), _)| *time);
            let timers = self
                .planes
                .iter()
                .filter_map(|plane| Some(plane.poll_timeout()?.0));
            let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.on_the_way.first_entry()
                && entry.key().0 <= self.now
            {
                let datagram = entry.remove();
                let plane = &mut self.planes[datagram.at.index()];
                plane.handle_packet(self.now, datagram.socket, datagram.from, &datagram.bytes);
            }
            self.wake();
        }
        self.now = end;
    }

    /// The machine sleeps: time goes by and nobody is woken.
    pub(crate) fn sleep(&mut self, span: Duration) {
        self.now += span;
        self.wake();
    }

    fn wake(&mut self) {
        let now = self.now;
        for plane in &mut self.planes {
            plane.handle_timeout(now);
        }
        self.drain();
    }

    fn drain(&mut self) {
        for side in [Alice, Bob] {
            let mut buffer = [0; 1_500];
            let now = self.now;
            while let Some((socket, to, length)) = self.planes[side.index()].poll_transmit(now, &mut buffer) {
                let clear = self.planes[side.index()].clear_text().map(<[u8]>::to_vec);
                let sent = Sent {
                    time: now,
                    by: side,
                    socket,
                    to,
                    bytes: buffer[..length].to_vec(),
                    clear,
                };
                self.deliver(sent);
            }
            while let Some((session, event)) = self.planes[side.index()].poll_event() {
                assert_eq!(session, self.sessions[side.index()]);
                self.events.push((now, side, event));
            }
        }
    }

    fn deliver(&mut self, sent: Sent) {
        let number = self.numbers[sent.by.index()];
        self.numbers[sent.by.index()] += u64::from(sent.is_rtp());
        for delay in (self.network)(&sent, number) {
            let from = address(sent.by, sent.socket);
            let target = [(Alice, RTP), (Alice, RTCP), (Bob, RTP), (Bob, RTCP)]
                .into_iter()
                .find(|(side, socket)| address(*side, *socket) == sent.to);
            if let Some((at, socket)) = target {
                self.count += 1;
                let datagram = Arriving {
                    at,
                    socket,
                    from,
                    bytes: sent.bytes.clone(),
                };
                self.on_the_way.insert((self.now + delay, self.count), datagram);
            }
        }
        self.sent.push(sent);
    }

    /// The RTP packets that a side sent.
    pub(crate) fn rtp_sent(&self, by: Side) -> impl Iterator<Item = &Sent> {
        self.sent
            .iter()
            .filter(move |sent| sent.by == by && sent.is_rtp())
    }

    /// The events of a side.
    pub(crate) fn events_of(&self, side: Side) -> Vec<&Event> {
        let own = self.events.iter().filter(|(_, by, _)| *by == side);
        own.map(|(_, _, event)| event).collect()
    }

    /// The digits that a side received, in order.
    pub(crate) fn digits(&self, side: Side) -> String {
        self.events_of(side)
            .into_iter()
            .filter_map(|event| match event {
                Event::Digit { digit, .. } => Some(*digit),
                _ => None,
            })
            .collect()
    }

    /// When a side heard a tone.
    pub(crate) fn heard_at(&self, side: Side, wanted: f64) -> Option<Time> {
        self.events.iter().find_map(|(time, by, event)| match event {
            Event::ToneHeard { hz, .. } if *by == side && *hz == wanted => Some(*time),
            _ => None,
        })
    }
}
