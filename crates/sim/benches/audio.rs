//! What the world itself costs a call: two nodes that only send and take packets of audio, every 20 ms, both ways.
//!
//! `cargo bench -p callwright-sim --bench audio [calls]` prints the time for 3 s of one call, and for one packet: once on
//! perfect links, once on bad ones.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use callwright_sim::{Link, Loss, Reordering, World, WorldConfig};
use callwright_wire::{Input, Node, Output, PacketNode, Residue, Seed, SocketId, SocketUse, Time};

const PACING: Duration = Duration::from_millis(20);
const SPAN: Time = Time::from_secs(3);
/// An RTP packet of 20 ms of G.711.
const PACKET: usize = 172;
const RTP: SocketId = SocketId(1);

struct Talker {
    bind: Option<SocketAddr>,
    peer: SocketAddr,
    next: Time,
    heard: usize,
}

impl Node for Talker {
    type Command = ();
    type Event = ();

    fn handle_input(&mut self, _now: Time, _input: Input<()>) {}

    fn handle_timeout(&mut self, _now: Time) {}

    fn poll_output(&mut self) -> Option<Output<()>> {
        let local = self.bind.take()?;
        let usage = SocketUse::Media { rtcp: SocketId(2) };
        Some(Output::Bind {
            socket: RTP,
            local,
            usage,
        })
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        Some((self.next, "packet"))
    }

    fn residue(&self) -> Residue {
        Residue::default()
    }
}

impl PacketNode for Talker {
    fn handle_packet(&mut self, _now: Time, _socket: SocketId, _from: SocketAddr, _packet: &[u8]) {
        self.heard += 1;
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        if now < self.next {
            return None;
        }
        self.next += PACING;
        buffer[..PACKET].fill(0xff);
        Some((RTP, self.peer, PACKET))
    }
}

fn call(seed: u64, link: &Link) -> usize {
    let mut world = World::new(WorldConfig::new(Seed::from_number(seed)));
    world.set_default_link(link.clone());
    let addresses = [1, 2].map(|last| SocketAddr::from(([192, 0, 2, last], 4_000)));
    let parties = [(0, 1), (1, 0)].map(|(this, other)| {
        let name = format!("host {this}");
        let host = world.add_host(&name, addresses[this].ip()).expect("it is free");
        let talker = Talker {
            bind: Some(addresses[this]),
            peer: addresses[other],
            next: Time::ZERO + PACING,
            heard: 0,
        };
        world.add(host, &name, talker)
    });
    world.run_until(SPAN).expect("it goes on");
    parties
        .iter()
        .filter_map(|party| world.node(*party))
        .map(|talker| talker.heard)
        .sum()
}

fn main() {
    let calls = std::env::args()
        .find_map(|word| word.parse().ok())
        .unwrap_or(2_000);
    let bad = Link {
        jitter: Duration::from_millis(10),
        loss: Loss::Uniform(0.05),
        duplication: 0.02,
        reordering: Some(Reordering {
            probability: 0.02,
            delay: Duration::from_millis(40),
        }),
        ..Link::default()
    };
    for (name, link) in [("perfect", Link::default()), ("bad", bad)] {
        let start = Instant::now();
        let packets: usize = (0..calls).map(|seed| call(seed, &link)).sum();
        let spent = start.elapsed();
        println!(
            "{name} links: {:.1} µs for 3 s of a call, {:.0} ns a packet",
            spent.as_secs_f64() * 1e6 / calls as f64,
            spent.as_secs_f64() * 1e9 / packets as f64,
        );
    }
}
