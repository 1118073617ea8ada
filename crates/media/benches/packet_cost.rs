//! What a packet costs: 1,000 sessions in each of two planes send to each other for 5 s of virtual time. Printed are
//! nanoseconds of a core for each packet sent and each packet received, without sockets.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use callwright_media::codec::Codec;
use callwright_media::plane::{Ports, Remote, Source, SrtpKeys, Start, Track};
use callwright_media::srtp::{MasterKey, Suite};
use callwright_media::tone::melody;
use callwright_media::{Command, Plane, PlaneConfig, SessionId};
use callwright_wire::{Epoch, Seed, SocketId, Time};

const SESSIONS: u32 = 1_000;
const SPAN: Time = Time::from_secs(5);

fn main() {
    let tone = Source::Tones {
        hz: vec![1_000.0],
        level_dbm0: -10.0,
    };
    let music = Source::Samples {
        samples: melody(),
        repeat: true,
    };
    measure("silence", &Source::Silence, With::Nothing);
    measure("tone", &tone, With::Nothing);
    measure("music", &music, With::Nothing);
    measure("tone, each side listens for another", &tone, With::Listening);
    measure("tone, SRTP", &tone, With::Srtp);
    measure("tone, recorded", &tone, With::Recording);
}

/// What is done beside sending and receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    Nothing,
    Listening,
    Srtp,
    /// Every two sessions are the tracks of a recording.
    Recording,
}

fn measure(what: &str, source: &Source, with: With) {
    let mut planes = [0, 1].map(|side| plane(side, source, with));
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
            while let Some((_, piece)) = plane.poll_recorded() {
                std::hint::black_box(piece);
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

fn plane(side: u8, source: &Source, with: With) -> (Plane, Vec<SessionId>) {
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
            start.srtp = (with == With::Srtp).then(|| SrtpKeys {
                send: key(side),
                receive: Some(key(1 - side)),
            });
            let mut commands = vec![Command::Start(Box::new(start)), Command::Play(source.clone())];
            if with == With::Listening {
                commands.push(Command::Listen { hz: 440.0 });
            }
            for command in commands {
                plane
                    .command(now, session, command)
                    .expect("a command that can be carried out");
            }
            session
        })
        .collect::<Vec<_>>();
    if with == With::Recording {
        for pair in sessions.chunks_exact(2) {
            let recording = plane.begin_recording(now);
            for (track, session) in [Track::Left, Track::Right].into_iter().zip(pair) {
                plane
                    .record_from(recording, track, Some(*session))
                    .expect("both are open");
            }
        }
    }
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
