//! What packets and sessions take from the allocator.

use std::net::SocketAddr;

use allocation_counter::measure;
use callwright_media::codec::Codec;
use callwright_media::plane::{Ports, Remote, Source, SrtpKeys, Start};
use callwright_media::srtp::{MasterKey, Suite};
use callwright_media::{Command, Plane, PlaneConfig};
use callwright_wire::{Epoch, Seed, SocketId, Time};

fn address(side: u8, socket: SocketId) -> SocketAddr {
    ([192, 0, 2, side + 1], 10_000 + socket.0 as u16).into()
}

fn is_rtcp(datagram: &[u8]) -> bool {
    (192..=223).contains(&datagram[1])
}

/// A plane with sessions that play a tone; `busy` ones are encrypted, and listen for another tone.
fn plane(side: u8, sessions: u32, busy: bool) -> Plane {
    let mut plane = Plane::new(
        Time::ZERO,
        PlaneConfig {
            epoch: Epoch::SIMULATED,
        },
    );
    let mut entropy = Seed::from_number(u64::from(side)).stream();
    for number in 0..sessions {
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
        start.srtp = busy.then(|| SrtpKeys {
            send: key(side),
            receive: Some(key(1 - side)),
        });
        let tone = Source::Tones {
            hz: vec![1_000.0],
            level_dbm0: -10.0,
        };
        let mut commands = vec![Command::Start(Box::new(start)), Command::Play(tone)];
        if busy {
            commands.push(Command::Listen { hz: 400.0 });
        }
        for command in commands {
            plane
                .command(Time::ZERO, session, command)
                .expect("a command that can be carried out");
        }
    }
    plane
}

/// Lets both planes talk until `end`; gives how many RTP packets were sent, and how often the allocator was asked for them.
fn talk(planes: &mut [Plane; 2], end: Time, lost: impl Fn(u64) -> bool) -> (u64, u64) {
    let (mut packets, mut allocations) = (0, 0);
    let mut buffer = [0; 1_500];
    while let Some(now) = planes
        .iter()
        .filter_map(|plane| Some(plane.poll_timeout()?.0))
        .min()
    {
        if now > end {
            break;
        }
        for side in 0..2usize {
            planes[side].handle_timeout(now);
            loop {
                let mut sent = None;
                let cost = measure(|| sent = planes[side].poll_transmit(now, &mut buffer)).count_total;
                let Some((socket, _, length)) = sent else { break };
                let rtp = !is_rtcp(&buffer[..length]);
                packets += u64::from(rtp);
                if rtp && lost(packets) {
                    continue;
                }
                let from = address(side as u8, socket);
                let packet = &buffer[..length];
                let received = measure(|| planes[1 - side].handle_packet(now, socket, from, packet));
                if rtp {
                    allocations += cost + received.count_total;
                }
            }
        }
    }
    (packets, allocations)
}

#[test]
fn a_packet_sent_or_received_allocates_nothing() {
    let mut planes = [plane(0, 20, true), plane(1, 20, true)];
    talk(&mut planes, Time::from_secs(1), |_| false);
    let (packets, allocations) = talk(&mut planes, Time::from_secs(5), |_| false);
    assert_eq!(packets, 2 * 20 * 200);
    assert_eq!(allocations, 0);
}

/// Bytes that a session holds once it has heard three seconds and put reordered packets right.
fn bytes_of_a_session(busy: bool) -> i64 {
    let sessions = 30;
    let mut planes = [plane(0, 0, busy), plane(1, 0, busy)];
    let held = measure(|| {
        planes = [plane(0, sessions, busy), plane(1, sessions, busy)];
        // Now and then a packet is lost, so that others wait.
        talk(&mut planes, Time::from_millis(3_200), |number| number % 97 == 5);
    });
    held.bytes_current / i64::from(2 * sessions)
}

#[test]
fn a_session_takes_less_than_thirty_kilobytes_with_its_evidence() {
    let bytes = bytes_of_a_session(false);
    println!("{bytes} bytes for each session");
    assert!(bytes < 30_000, "{bytes} bytes");
}

#[test]
fn keys_and_a_listener_take_less_than_six_more() {
    let bytes = bytes_of_a_session(true);
    println!("{bytes} bytes for each session with SRTP and a listener");
    assert!(bytes < 36_000, "{bytes} bytes");
}

#[test]
fn a_packet_that_crosses_a_bridge_allocates_nothing() {
    let mut phone = plane(0, 1, false);
    let mut server = plane(1, 0, false);
    let mut entropy = Seed::from_number(9).stream();
    let sessions = [0, 2].map(|socket| {
        let ports = Ports {
            rtp: SocketId(socket),
            rtcp: SocketId(socket + 1),
        };
        let session = server.open(ports, &mut entropy);
        let mut start = Start::new(Codec::Pcmu, 0);
        start.remote = Some(Remote {
            rtp: address(0, ports.rtp),
            rtcp: address(0, ports.rtcp),
        });
        let done = server.command(Time::ZERO, session, Command::Start(Box::new(start)));
        done.expect("it starts");
        session
    });
    server.bridge(sessions[0], sessions[1]).expect("both are open");
    let (mut crossed, mut allocations) = (0, 0);
    let mut buffer = [0; 1_500];
    while let Some((now, _)) = phone.poll_timeout().filter(|(at, _)| *at < Time::from_secs(5)) {
        phone.handle_timeout(now);
        while let Some((socket, _, length)) = phone.poll_transmit(now, &mut buffer) {
            let packet = buffer;
            let cost = measure(|| server.handle_packet(now, socket, address(0, socket), &packet[..length]));
            let sent = measure(|| {
                while let Some((socket, ..)) = server.poll_transmit(now, &mut buffer) {
                    crossed += u64::from(socket == SocketId(2));
                }
            });
            // The first second makes room for what is kept.
            if now > Time::from_secs(1) && !is_rtcp(&packet[..length]) {
                allocations += cost.count_total + sent.count_total;
            }
        }
    }
    assert!(crossed > 240, "{crossed}");
    assert_eq!(allocations, 0);
}
