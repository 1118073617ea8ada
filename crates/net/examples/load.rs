//! How much one loop carries: a burst of registrations, then 50,000 media packets a second each way.
//!
//! `cargo run --release -p callwright-net --example load [seconds of media, default 5]`
//!
//! Both ends are in the one world, so each datagram is sent *and* received by the measured loop.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use callwright_net::{Health, PartyId, World, WorldConfig};
use callwright_wire::{Input, Node, Output, PacketNode, Residue, SocketId, SocketUse, Time, Transport};

const AGENTS: u32 = 1_000;
const REGISTER: usize = 700;
/// 20 ms of G.711 behind an RTP header.
const PACKET: usize = 172;
const PTIME: Duration = Duration::from_millis(20);
const LOOPBACK: &str = "127.0.0.1:0";

#[derive(Debug)]
enum Told {
    Bound(SocketId, SocketAddr),
    Registered,
    Due,
}

/// A registrar, a phone that registers at it, or a plane of media sessions.
#[derive(Default)]
struct Party {
    outputs: VecDeque<Output<Told>>,
    due: Option<Time>,
    registrar: Option<SocketAddr>,
    answers: u32,
    serves: bool,
    sessions: Vec<(SocketId, SocketAddr, Time)>,
    order: VecDeque<usize>,
    waker: bool,
}

impl Node for Party {
    type Command = Infallible;
    type Event = Told;

    fn handle_input(&mut self, _now: Time, input: Input<Infallible>) {
        match input {
            Input::Bound { socket, local } => {
                self.outputs.push_back(Output::Event(Told::Bound(socket, local)))
            }
            Input::Datagram { socket, flow, .. } if self.serves => self.outputs.push_back(Output::Datagram {
                socket,
                to: flow.remote,
                bytes: Bytes::from_static(&[b'r'; 500]),
                cause: None,
            }),
            Input::Datagram { .. } => {
                self.answers += 1;
                if self.answers == 1 {
                    self.register();
                } else {
                    self.outputs.push_back(Output::Event(Told::Registered));
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        if self.due.is_some_and(|due| due <= now) {
            if self.waker {
                self.outputs.push_back(Output::Event(Told::Due));
            } else {
                self.register();
            }
            self.due = None;
        }
    }

    fn poll_output(&mut self) -> Option<Output<Told>> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let media = self
            .order
            .front()
            .map(|first| (self.sessions[*first].2, "packet"));
        self.due.map(|due| (due, "start")).or(media)
    }

    fn residue(&self) -> Residue {
        Residue::default()
    }
}

impl Party {
    fn register(&mut self) {
        if let Some(to) = self.registrar {
            self.outputs.push_back(Output::Datagram {
                socket: SocketId(0),
                to,
                bytes: Bytes::from_static(&[b'R'; REGISTER]),
                cause: None,
            });
        }
    }
}

impl PacketNode for Party {
    fn handle_packet(&mut self, _now: Time, _socket: SocketId, _from: SocketAddr, packet: &[u8]) {
        assert_eq!(packet.len(), PACKET);
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        let first = *self.order.front()?;
        let session = &mut self.sessions[first];
        if session.2 > now {
            return None;
        }
        session.2 += PTIME;
        self.order.rotate_left(1);
        buffer[..PACKET].fill(0x55);
        Some((session.0, session.1, PACKET))
    }
}

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let (sender, told) = channel();
    let world = World::start(
        WorldConfig::default(),
        move |party: PartyId, _: Time, event: Told| {
            let sender: &Sender<(PartyId, Told)> = &sender;
            let _ = sender.send((party, event));
        },
    )
    .expect("a world");
    let any: SocketAddr = LOOPBACK.parse().expect("an address");
    let signalling = |socket| Output::Bind {
        socket: SocketId(socket),
        local: any,
        usage: SocketUse::Signalling(Transport::Udp),
    };

    println!("== a thread wakes the loop, 10,000 times");
    let waker = world.add(
        "waker",
        Party {
            waker: true,
            ..Party::default()
        },
    );
    let mut waits: Vec<Duration> = (0..10_000)
        .map(|_| {
            let start = Instant::now();
            world.with(waker, |party, now| party.due = Some(now));
            told.recv().expect("the deadline");
            start.elapsed()
        })
        .collect();
    waits.sort();
    println!(
        "   from with() to the event: p50 {:?}, p99 {:?}",
        waits[5_000], waits[9_900]
    );

    println!(
        "== {AGENTS} agents register within a second: {} datagrams",
        4 * AGENTS
    );
    let registrar = world.add(
        "registrar",
        Party {
            serves: true,
            ..Party::default()
        },
    );
    world.with(registrar, |party, _| party.outputs.push_back(signalling(0)));
    let Ok((_, Told::Bound(_, address))) = told.recv() else {
        panic!("no registrar")
    };
    let start = Instant::now();
    let agents: Vec<_> = (0..AGENTS)
        .map(|n| {
            let agent = Party {
                registrar: Some(address),
                outputs: VecDeque::from([signalling(0)]),
                ..Party::default()
            };
            world.add(&format!("agent{n}"), agent)
        })
        .collect();
    for _ in &agents {
        told.recv().expect("an address");
    }
    println!("   sockets opened in {:?}", start.elapsed());
    for (pace, spread) in [
        ("at once", Duration::ZERO),
        ("over a second", Duration::from_secs(1)),
    ] {
        let before = world.health();
        let cpu = loop_cpu();
        let start = Instant::now();
        for (n, agent) in agents.iter().enumerate() {
            world.with(*agent, |party, now| {
                party.answers = 0;
                party.due = Some(now + spread * n as u32 / AGENTS);
            });
        }
        for _ in &agents {
            told.recv().expect("a registration");
        }
        report(
            &format!("{pace}: done in {:?}", start.elapsed()),
            &before,
            &world.health(),
            cpu,
        );
    }

    println!(
        "== {AGENTS} media sessions, {} packets a second each way, {seconds} s",
        AGENTS * 50
    );
    let plane = world.add("plane", Party::default());
    world
        .reserve_media_ports(any.ip(), AGENTS as usize)
        .expect("ports");
    world.with(plane, |party, _| {
        for n in 0..AGENTS {
            party.outputs.push_back(Output::Bind {
                socket: SocketId(2 * n),
                local: any,
                usage: SocketUse::Media {
                    rtcp: SocketId(2 * n + 1),
                },
            });
        }
    });
    let mut locals = Vec::new();
    while locals.len() < AGENTS as usize {
        if let Ok((_, Told::Bound(socket, local))) = told.recv() {
            locals.push((socket, local));
        }
    }
    let before = world.health();
    let cpu = loop_cpu();
    world.with(plane, |party, now| {
        let count = locals.len();
        for n in 0..count {
            // Phases spread over the 20 ms, in 1 ms slots as a plane keeps them.
            let phase = Duration::from_millis((n * 20 / count) as u64);
            party
                .sessions
                .push((locals[n].0, locals[(n + 1) % count].1, now + PTIME + phase));
            party.order.push_back(n);
        }
    });
    // A scripts' thread that asks now and then, as scripts do; it also ends the measurement.
    let end = Instant::now() + Duration::from_secs(seconds);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        world.with(waker, |party, now| {
            party.due = Some(now + Duration::from_millis(5))
        });
        let _ = told.recv_timeout(left);
    }
    world.with(plane, |party, _| party.order.clear());
    let after = world.health();
    report(&format!("{seconds} s"), &before, &after, cpu);
    let sent = after.packets_sent - before.packets_sent;
    println!("   {:.0} packets/s sent", sent as f64 / seconds as f64);
}

fn report(title: &str, before: &Health, after: &Health, cpu: Duration) {
    let media = after.media_lateness.since(&before.media_lateness);
    let other = after.lateness.since(&before.lateness);
    println!("   {title}");
    println!(
        "   loop's CPU {:?}, {} turns",
        loop_cpu().saturating_sub(cpu),
        after.turns - before.turns
    );
    for (name, lateness) in [("deadlines", &other), ("media deadlines", &media)] {
        if lateness.count() > 0 {
            println!(
                "   {} {name}: late p50 {:?}, p99 {:?}, max {:?}",
                lateness.count(),
                lateness.p50(),
                lateness.p99(),
                lateness.max()
            );
        }
    }
    println!(
        "   sent {} + {}, received {} + {}, dropped {} in and {} out",
        after.datagrams_sent - before.datagrams_sent,
        after.packets_sent - before.packets_sent,
        after.datagrams_received - before.datagrams_received,
        after.packets_received - before.packets_received,
        after.receive_drops - before.receive_drops,
        after.send_drops - before.send_drops,
    );
}

/// What the loop's thread has used so far.
fn loop_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
    for task in tasks.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.trim() == "callwright-net" {
            let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let nanos = stat.split(' ').next().and_then(|text| text.parse().ok());
            return Duration::from_nanos(nanos.unwrap_or(0));
        }
    }
    Duration::ZERO
}
