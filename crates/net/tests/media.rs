//! Media sockets: pairs of ports, packets by reference, rest between leases.

mod probe;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use callwright_net::WorldConfig;
use callwright_wire::{BindErrorKind, SocketId, Time, Transport};
use probe::{Seen, Stage, address, has_ipv6};

#[test]
fn a_pair_is_an_even_port_and_the_next_and_both_carry_packets() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let from = stage.leased(a, 10, "127.0.0.1:0");
    let to = stage.leased(b, 20, "127.0.0.1:0");
    assert_eq!((from.port() % 2, to.port() % 2), (0, 0));
    let mut rtcp = to;
    rtcp.set_port(to.port() + 1);
    stage.with(a, |probe| {
        probe.packets.push_back((SocketId(10), to, b"rtp".to_vec()));
        probe.packets.push_back((SocketId(11), rtcp, b"rtcp".to_vec()));
    });
    let mut seen = [stage.wait_packet(b), stage.wait_packet(b)];
    seen.sort();
    let mut rtcp_from = from;
    rtcp_from.set_port(from.port() + 1);
    assert_eq!(seen[0], (SocketId(20), from, b"rtp".to_vec()));
    assert_eq!(seen[1], (SocketId(21), rtcp_from, b"rtcp".to_vec()));
}

#[test]
fn a_packet_has_arrived_when_the_kernel_got_it_not_when_its_turn_came() {
    let busy = Duration::from_millis(30);
    let mut stage = Stage::new();
    let a = stage.add();
    let local = stage.leased(a, 10, "127.0.0.1:0");
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    stage.with(a, |_| {
        // Nothing is received while somebody holds the world.
        peer.send_to(b"rtp", local).unwrap();
        let sent = Instant::now();
        while sent.elapsed() < busy {
            std::hint::spin_loop();
        }
    });
    stage.wait_packet(a);
    let waited = stage.with(a, |probe| probe.waited);
    // The two clocks are read one after the other.
    assert!(waited > busy - Duration::from_millis(1), "{waited:?}");
}

#[test]
fn without_notes_every_packet_of_a_burst_comes_in_order() {
    let mut stage = Stage::with_config(WorldConfig {
        media_notes: false,
        ..WorldConfig::default()
    });
    let a = stage.add();
    let hosts = ["127.0.0.1:0", "[::1]:0"];
    for (at, host) in hosts
        .into_iter()
        .enumerate()
        .filter(|(at, _)| *at == 0 || has_ipv6())
    {
        let socket = 10 + 10 * at as u32;
        let local = stage.leased(a, socket, host);
        let peer = UdpSocket::bind(host).unwrap();
        // More than one turn takes, an odd number, and one that is empty.
        let burst: Vec<Vec<u8>> = (0..77)
            .map(|number| vec![number; usize::from(number) % 5])
            .collect();
        stage.with(a, |_| {
            for packet in &burst {
                peer.send_to(packet, local).unwrap();
            }
        });
        for packet in burst {
            let from = peer.local_addr().unwrap();
            assert_eq!(stage.wait_packet(a), (SocketId(socket), from, packet));
        }
    }
}

#[test]
fn ipv6_pairs_work_as_ipv4_ones_do() {
    if !has_ipv6() {
        return;
    }
    let mut stage = Stage::new();
    let a = stage.add();
    let local = stage.leased(a, 10, "[::1]:0");
    stage.with(a, |probe| {
        probe.packets.push_back((SocketId(10), local, b"self".to_vec()))
    });
    assert_eq!(stage.wait_packet(a).1, local);
}

#[test]
fn a_named_port_is_bound_as_named() {
    // A pair that was free a moment ago.
    let free = {
        let mut stage = Stage::new();
        let a = stage.add();
        stage.leased(a, 10, "127.0.0.1:0")
    };
    let mut stage = Stage::new();
    let a = stage.add();
    assert_eq!(stage.leased(a, 10, &free.to_string()), free);
    stage.with(a, |probe| probe.unbind(10));
    assert!(UdpSocket::bind(free).is_ok());
}

/// A range of two pairs that were free a moment ago.
fn small_range(rest: Duration) -> WorldConfig {
    loop {
        let mut stage = Stage::new();
        let a = stage.add();
        let port = stage.leased(a, 10, "127.0.0.1:0").port();
        let Some(end) = port.checked_add(3) else { continue };
        if (port + 2..=end).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok()) {
            return WorldConfig {
                media_ports: Some(port..=end),
                media_port_rest: rest,
                ..WorldConfig::default()
            };
        }
    }
}

#[test]
fn a_closed_pair_rests_and_a_lease_that_needs_it_waits() {
    let rest = Duration::from_millis(200);
    let mut stage = Stage::with_config(small_range(rest));
    let a = stage.add();
    let first = stage.leased(a, 10, "127.0.0.1:0");
    let second = stage.leased(a, 20, "127.0.0.1:0");
    assert_ne!(first, second);
    stage.with(a, |probe| probe.unbind(10));
    let released = stage.world.now();
    stage.with(a, |probe| probe.bind_media(30, address("127.0.0.1:0")));
    let (at, local) = stage.wait(a, |seen| match seen {
        Seen::Bound(SocketId(30), local) => Some(*local),
        _ => None,
    });
    assert_eq!(local, first);
    assert!(
        at.since(released) > rest / 2,
        "leased again after {:?}",
        at.since(released)
    );
}

#[test]
fn a_range_without_a_free_pair_says_so() {
    let mut stage = Stage::with_config(small_range(Duration::from_secs(1)));
    let a = stage.add();
    stage.leased(a, 10, "127.0.0.1:0");
    stage.leased(a, 20, "127.0.0.1:0");
    stage.with(a, |probe| probe.bind_media(30, address("127.0.0.1:0")));
    let (_, kind) = stage.wait(a, |seen| match seen {
        Seen::BindFailed(SocketId(30), error) => Some(error.kind.clone()),
        _ => None,
    });
    assert_eq!(kind, BindErrorKind::NoMediaPorts);
}

#[test]
fn packets_of_the_last_call_do_not_reach_the_next() {
    let mut config = small_range(Duration::ZERO);
    let ports = config.media_ports.clone().unwrap();
    config.media_ports = Some(*ports.start()..=*ports.start() + 1);
    let mut stage = Stage::with_config(config);
    let (a, b) = (stage.add(), stage.add());
    let from = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    let to = stage.leased(a, 10, "127.0.0.1:0");
    stage.with(a, |probe| probe.unbind(10));
    stage.with(b, |probe| probe.send(1, to, "late"));
    assert_eq!(stage.leased(a, 20, "127.0.0.1:0"), to);
    stage.with(b, |probe| probe.send(1, to, "new"));
    assert_eq!(stage.wait_packet(a), (SocketId(20), from, b"new".to_vec()));
    assert_eq!(stage.world.health().stray_packets, 1);
}

#[test]
fn one_node_may_own_a_thousand_pairs() {
    let mut stage = Stage::new();
    let a = stage.add();
    stage
        .world
        .reserve_media_ports(address("127.0.0.1:0").ip(), 1_000)
        .unwrap();
    stage.with(a, |probe| {
        for n in 0..1_000 {
            probe.bind_media(2 * n, address("127.0.0.1:0"));
        }
    });
    let locals: Vec<_> = (0..1_000)
        .map(|n| {
            stage
                .wait(a, |seen| match seen {
                    Seen::Bound(SocketId(socket), local) if *socket == 2 * n => Some(*local),
                    Seen::BindFailed(_, error) => panic!("{error}"),
                    _ => None,
                })
                .1
        })
        .collect();
    stage.with(a, |probe| {
        for n in 0..1_000u32 {
            let to = locals[(n as usize + 1) % 1_000];
            probe
                .packets
                .push_back((SocketId(2 * n), to, n.to_be_bytes().to_vec()));
        }
    });
    for n in 0..1_000u32 {
        let (_, socket) = stage.wait(a, |seen| match seen {
            Seen::Packet(socket, _, packet) if *packet == n.to_be_bytes() => Some(*socket),
            _ => None,
        });
        assert_eq!(socket, SocketId(2 * ((n + 1) % 1_000)));
    }
}

#[test]
fn a_media_peer_that_is_gone_is_told_once_a_second_not_once_a_packet() {
    let mut stage = Stage::new();
    let a = stage.add();
    stage.leased(a, 10, "127.0.0.1:0");
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut told = 0;
    for _ in 0..20 {
        stage.with(a, |probe| {
            probe.packets.push_back((SocketId(10), nobody, b"rtp".to_vec()))
        });
        if told == 0 {
            stage.wait(a, |seen| matches!(seen, Seen::Unreachable(..)).then_some(()));
            told += 1;
        }
    }
    stage.with(a, |probe| probe.due = Some(Time::ZERO));
    stage.wait(a, |seen| matches!(seen, Seen::Due(_)).then_some(()));
    let again = stage
        .rest()
        .iter()
        .filter(|seen| matches!(seen, Seen::Unreachable(..)))
        .count();
    assert!(again <= 1, "told {again} times more");
}

#[test]
fn without_notes_the_loop_rests_after_what_came_and_what_could_not_be_sent() {
    let mut stage = Stage::with_config(WorldConfig {
        media_notes: false,
        ..WorldConfig::default()
    });
    let a = stage.add();
    let local = stage.leased(a, 10, "127.0.0.1:0");
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for packet in [&b"first"[..], b"", b"last"] {
        peer.send_to(packet, local).unwrap();
        assert_eq!(stage.wait_packet(a).2, packet);
    }
    stage.with(a, |probe| {
        probe.packets.push_back((SocketId(10), nobody, b"rtp".to_vec()))
    });
    stage.wait(a, |seen| matches!(seen, Seen::Unreachable(..)).then_some(()));
    stage.with(a, |probe| probe.unbind(10));
    // It rests in the pool: what comes is nobody's, and not looked at again and again.
    peer.send_to(b"stray", local).unwrap();
    let before = stage.world.health().turns;
    stage.with(a, |probe| {
        probe.due = Some(stage.world.now() + Duration::from_millis(100))
    });
    stage.wait(a, |seen| matches!(seen, Seen::Due(_)).then_some(()));
    let turns = stage.world.health().turns - before;
    assert!(turns <= 8, "{turns} turns to wait for one deadline");
}

#[test]
fn empty_datagrams_hide_nothing_that_stands_behind_them() {
    let mut stage = Stage::new();
    let a = stage.add();
    let local = stage.leased(a, 10, "127.0.0.1:0");
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    // One in front may wait for the next to come; after it nothing does.
    peer.send_to(b"first", local).unwrap();
    stage.wait_packet(a);
    for round in 0..20_u8 {
        stage.with(a, |_| {
            // All of them are there before the first is looked at.
            peer.send_to(b"", local).unwrap();
            peer.send_to(&[1, round], local).unwrap();
            peer.send_to(b"", local).unwrap();
            peer.send_to(&[2, round], local).unwrap();
        });
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let (_, _, packet) = stage.wait_packet(a);
            if !packet.is_empty() {
                heard.push(packet);
            }
        }
        assert_eq!(heard, [vec![1, round], vec![2, round]]);
    }
}
