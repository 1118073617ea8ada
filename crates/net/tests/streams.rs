//! TCP: both ways, refusals, slow readers, half-closed and broken connections.

mod probe;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use callwright_net::{PartyId, WorldConfig};
use callwright_wire::{BindErrorKind, ConnectionError, ConnectionId, Flow, SocketId, Transport};
use probe::{Seen, Stage, address, has_ipv6};

fn connected(seen: &Seen) -> Option<(ConnectionId, Flow)> {
    match seen {
        Seen::Connected(_, connection, flow) => Some((*connection, *flow)),
        Seen::ConnectFailed(_, error) => panic!("{error}"),
        _ => None,
    }
}

fn accepted(seen: &Seen) -> Option<(ConnectionId, Flow)> {
    match seen {
        Seen::Accepted(_, connection, flow) => Some((*connection, *flow)),
        _ => None,
    }
}

fn closed(seen: &Seen) -> Option<Option<ConnectionError>> {
    match seen {
        Seen::Closed(_, error) => Some(error.clone()),
        _ => None,
    }
}

/// A connection of `a` to a listener outside of the world.
fn dial(stage: &mut Stage, a: PartyId, remote: SocketAddr) -> ConnectionId {
    stage.with(a, |probe| probe.connect(1, None, remote, None));
    stage.wait(a, connected).1.0
}

#[test]
fn bytes_go_both_ways_and_the_close_is_seen() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let listener = stage.bound(b, 5, "127.0.0.1:0", Transport::Tcp);
    stage.with(a, |probe| probe.connect(1, None, listener, None));
    let (near, flow) = stage.wait(a, connected).1;
    let (far, back) = stage.wait(b, accepted).1;
    assert_eq!((flow.local, flow.remote), (back.remote, back.local));
    assert_eq!(flow.transport, Transport::Tcp);
    stage.with(a, |probe| probe.write(near, "ping"));
    assert_eq!(stage.wait_stream(b, far, 4), b"ping");
    stage.with(b, |probe| probe.write(far, "pong"));
    assert_eq!(stage.wait_stream(a, near, 4), b"pong");
    stage.with(a, |probe| {
        probe.write(near, "bye");
        probe.close(near);
    });
    assert_eq!(stage.wait_stream(b, far, 3), b"bye");
    assert_eq!(stage.wait(b, closed).1, None);
}

#[test]
fn ipv6_streams_work_as_ipv4_ones_do() {
    if !has_ipv6() {
        return;
    }
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let listener = stage.bound(b, 5, "[::1]:0", Transport::Tcp);
    dial(&mut stage, a, listener);
    assert!(stage.wait(b, accepted).1.1.remote.is_ipv6());
}

#[test]
fn the_local_address_can_be_chosen() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let listener = stage.bound(b, 5, "127.0.0.1:0", Transport::Tcp);
    let local = address("127.0.0.7:0").ip();
    stage.with(a, |probe| probe.connect(1, Some(local), listener, None));
    assert_eq!(stage.wait(a, connected).1.1.local.ip(), local);
    assert_eq!(stage.wait(b, accepted).1.1.remote.ip(), local);
}

#[test]
fn a_refused_connection_says_so() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut stage = Stage::new();
    let a = stage.add();
    stage.with(a, |probe| probe.connect(9, None, nobody, None));
    let (_, failure) = stage.wait(a, |seen| match seen {
        Seen::ConnectFailed(socket, error) => Some((*socket, error.clone())),
        _ => None,
    });
    assert_eq!(failure, (SocketId(9), ConnectionError::Refused));
}

#[test]
fn a_connection_that_nobody_answers_times_out() {
    // A listener whose queue is full ignores further requests to connect.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&address("127.0.0.1:0").into()).unwrap();
    socket.listen(0).unwrap();
    let full = socket.local_addr().unwrap().as_socket().unwrap();
    let _first = TcpStream::connect(full).unwrap();
    let mut stage = Stage::with_config(WorldConfig {
        connect_timeout: Duration::from_millis(50),
        ..WorldConfig::default()
    });
    let a = stage.add();
    stage.with(a, |probe| probe.connect(1, None, full, None));
    let (_, error) = stage.wait(a, |seen| match seen {
        Seen::ConnectFailed(_, error) => Some(error.clone()),
        _ => None,
    });
    assert_eq!(error, ConnectionError::TimedOut);
}

#[test]
fn a_listener_in_use_names_its_holder() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stage = Stage::new();
    let a = stage.add();
    stage.with(a, |probe| {
        probe.bind(1, held.local_addr().unwrap(), Transport::Tcp)
    });
    let (_, error) = stage.wait(a, |seen| match seen {
        Seen::BindFailed(_, error) => Some(error.clone()),
        _ => None,
    });
    let BindErrorKind::InUse { holder: Some(holder) } = &error.kind else {
        panic!("{error:?}");
    };
    assert!(
        holder.ends_with(&format!("(pid {})", std::process::id())),
        "{holder}"
    );
}

#[test]
fn megabytes_arrive_whole_at_a_reader_that_keeps_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stage = Stage::with_config(WorldConfig {
        unsent_limit: 16 << 20,
        ..WorldConfig::default()
    });
    let a = stage.add();
    let connection = dial(&mut stage, a, listener.local_addr().unwrap());
    let payload: Vec<u8> = (0..8 << 20).map(|n: u32| (n % 251) as u8).collect();
    stage.with(a, |probe| {
        probe.write(connection, payload.clone());
        probe.close(connection);
    });
    let mut read = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut read).unwrap();
    assert!(read == payload, "{} of {} bytes", read.len(), payload.len());
}

#[test]
fn a_peer_that_never_reads_is_cut_off_before_it_costs_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stage = Stage::with_config(WorldConfig {
        unsent_limit: 64 << 10,
        ..WorldConfig::default()
    });
    let a = stage.add();
    let connection = dial(&mut stage, a, listener.local_addr().unwrap());
    let (_silent, _) = listener.accept().unwrap();
    // More than the buffers of any kernel; written in pieces, as messages are.
    for _ in 0..4_096 {
        stage.with(a, |probe| probe.write(connection, vec![b'x'; 16 << 10]));
    }
    let (_, error) = stage.wait(a, closed);
    let Some(ConnectionError::Other { detail }) = error else {
        panic!("{error:?}");
    };
    assert!(detail.starts_with("the peer does not read: "), "{detail}");
}

#[test]
fn a_reset_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stage = Stage::new();
    let a = stage.add();
    dial(&mut stage, a, listener.local_addr().unwrap());
    let (peer, _) = listener.accept().unwrap();
    // Closing with a linger of zero sends a reset.
    socket2::SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(peer);
    assert_eq!(stage.wait(a, closed).1, Some(ConnectionError::Reset));
}

#[test]
fn what_came_before_the_end_is_delivered_before_the_end() {
    let mut stage = Stage::new();
    let b = stage.add();
    let listener = stage.bound(b, 5, "127.0.0.1:0", Transport::Tcp);
    let mut peer = TcpStream::connect(listener).unwrap();
    peer.write_all(&[b'x'; 100_000]).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let connection = stage.wait(b, accepted).1.0;
    assert_eq!(stage.wait_stream(b, connection, 100_000).len(), 100_000);
    assert_eq!(stage.wait(b, closed).1, None);
}

#[test]
fn a_silent_connection_is_closed_in_the_end() {
    let mut stage = Stage::with_config(WorldConfig {
        idle_timeout: Duration::from_millis(50),
        ..WorldConfig::default()
    });
    let b = stage.add();
    let listener = stage.bound(b, 5, "127.0.0.1:0", Transport::Tcp);
    let _peer = TcpStream::connect(listener).unwrap();
    assert_eq!(stage.wait(b, closed).1, None);
}

#[test]
fn connections_beyond_the_limit_are_turned_away() {
    let mut stage = Stage::with_config(WorldConfig {
        connection_limit: 1,
        ..WorldConfig::default()
    });
    let b = stage.add();
    let listener = stage.bound(b, 5, "127.0.0.1:0", Transport::Tcp);
    let _first = TcpStream::connect(listener).unwrap();
    let mut second = TcpStream::connect(listener).unwrap();
    // The end of the stream, or a reset.
    assert!(!matches!(second.read(&mut [0]), Ok(1..)));
    stage.wait(b, accepted);
    assert_eq!(stage.world.health().connections_refused, 1);
}

#[test]
fn an_old_number_does_not_reach_a_new_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stage = Stage::new();
    let a = stage.add();
    let first = dial(&mut stage, a, listener.local_addr().unwrap());
    drop(listener.accept().unwrap());
    stage.wait(a, closed);
    let second = dial(&mut stage, a, listener.local_addr().unwrap());
    assert_ne!(first, second);
    let (mut peer, _) = listener.accept().unwrap();
    stage.with(a, |probe| {
        probe.write(first, "stale");
        probe.write(second, "fresh");
        probe.close(second);
    });
    let mut read = String::new();
    peer.read_to_string(&mut read).unwrap();
    assert_eq!(read, "fresh");
}
