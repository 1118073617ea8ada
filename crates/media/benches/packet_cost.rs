//! What a packet costs: 1,000 sessions in each of two planes send to each other for 5 s of virtual time. Printed are
//! nanoseconds of a core for each packet sent and each packet received, without sockets.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use callwright_media::codec::Codec;
use callwright_media::plane::{Ports, Remote, Source, SrtpKeys, Start};
use callwright_media::srtp::{MasterKey, Suite};
use callwright_media::{Command, Plane, PlaneConfig, SessionId};
use callwright_wire::{Epoch, Seed, SocketId, Time};

const SESSIONS: u32 = 1_000;
const SPAN: Time = Time::from_secs(5);

fn main() {
    let tone = Source::Tones {
        hz: vec![1_000.0],
        level_dbm0: -10.0,
    };
    measure("silence", &Source::Silence, false, false);
    measure("tone", &tone, false, false);
    measure("tone, each side listens for another", &tone, true, false);
    measure("tone, SRTP", &tone, false, true);
}

fn measure(what: &str, source: &Source, listen: bool, secure: bool) {
    let mut planes = [0, 1].map(|side| plane(side, source, listen, secure));
    let (mut sending, mut receiving, mut packets) = (Duration::ZERO, Duration::ZERO, 0u64);
    let mut datagrams = vec![[0u8; 1_500]; 2 * SESSIONS as usize];
    let mut sent = Vec::with_capacity(datagrams.len());
    while let Some(now) = planes
        .iter()
        .filter_map(|(plane, _)| plane.poll_timeout())
        .map(|(at, _)| at)
        .min()
    {
        if now > SPAN {
            break;
        }
        for side in 0..2 {
            let start = processor_time();
            let plane = &mut planes[side].0;
            plane.handle_timeout(now);
            while let Some((socket, _, length)) = plane.poll_transmit(now, &mut datagrams[sent.len()]) {
                sent.push((socket, length));
            }
            sending += processor_time() - start;
            let start = processor_time();
            let plane = &mut planes[1 - side].0;
            for ((socket, length), datagram) in sent.iter().zip(&datagrams) {
                plane.handle_packet(now, *socket, address(side as u8, *socket), &datagram[..*length]);
            }
            receiving += processor_time() - start;
            packets += sent.len() as u64;
            sent.clear();
        }
    }
    for (plane, sessions) in &planes {
        let stats = plane.stats(sessions[0]).expect("an open session");
        assert_eq!((stats.received.lost, stats.refused), (0, Default::default()));
        assert!(stats.received.packets > 240);
    }
    let each = |span: Duration| span.as_nanos() as u64 / packets;
    println!(
        "{what:40} {:6} ns sent, {:6} ns received",
        each(sending),
        each(receiving)
    );
}

fn plane(side: u8, source: &Source, listen: bool, secure: bool) -> (Plane, Vec<SessionId>) {
    let now = Time::ZERO;
    let mut plane = Plane::new(
        now,
        PlaneConfig {
            epoch: Epoch::SIMULATED,
        },
    );
    let mut entropy = Seed::from_number(u64::from(side)).stream();
    let sessions = (0..SESSIONS)
        .map(|number| {
            let ports = Ports {
                rtp: SocketId(2 * number),
                rtcp: SocketId(2 * number + 1),
            };
            let session = plane.open(ports, &mut entropy);
            let mut start = Start::new(Codec::Pcmu, 0);
            start.remote = Some(Remote {
                rtp: address(1 - side, ports.rtp),
                rtcp: address(1 - side, ports.rtcp),
            });
            let key = |side: u8| MasterKey::new(Suite::AesCm128HmacSha1_80, &[side; 30]);
            start.srtp = secure.then(|| SrtpKeys {
                send: key(side),
                receive: Some(key(1 - side)),
            });
            let mut commands = vec![Command::Start(Box::new(start)), Command::Play(source.clone())];
            if listen {
                commands.push(Command::Listen { hz: 440.0 });
            }
            for command in commands {
                plane
                    .command(now, session, command)
                    .expect("a command that can be carried out");
            }
            session
        })
        .collect();
    (plane, sessions)
}

fn address(side: u8, socket: SocketId) -> SocketAddr {
    ([192, 0, 2, side + 1], 10_000 + socket.0 as u16).into()
}

/// The time that this thread had a core, where the kernel tells (Linux); elsewhere the time that went by.
fn processor_time() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_core = schedstat.and_then(|text| text.split(' ').next()?.parse().ok());
    on_core.map_or_else(|| START.elapsed(), Duration::from_nanos)
}
