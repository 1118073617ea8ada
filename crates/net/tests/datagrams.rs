//! UDP signalling sockets: both ways, ICMP errors, conflicts.

mod probe;

use std::net::UdpSocket;

use callwright_wire::{BindErrorKind, SocketId, Transport};
use probe::{Seen, Stage, address, has_ipv6};

#[test]
fn a_datagram_goes_there_and_comes_back() {
    let mut stage = Stage::new();
    let (asker, echo) = (stage.add(), stage.add());
    let to = stage.bound(echo, 1, "127.0.0.1:0", Transport::Udp);
    stage.with(echo, |probe| probe.echo = true);
    let from = stage.bound(asker, 1, "127.0.0.1:0", Transport::Udp);
    stage.with(asker, |probe| probe.send(1, to, "hello"));
    let (flow, bytes) = stage.wait_datagram(asker);
    assert_eq!(
        (flow.local, flow.remote, flow.transport),
        (from, to, Transport::Udp)
    );
    assert_eq!(bytes, "hello");
}

#[test]
fn ipv6_works_as_ipv4_does() {
    if !has_ipv6() {
        return;
    }
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let from = stage.bound(a, 1, "[::1]:0", Transport::Udp);
    let to = stage.bound(b, 1, "[::1]:0", Transport::Udp);
    stage.with(a, |probe| probe.send(1, to, "hello"));
    assert_eq!(stage.wait_datagram(b).0.remote, from);
}

#[test]
fn a_wildcard_socket_knows_the_address_that_was_asked_for() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let mut to = stage.bound(b, 1, "0.0.0.0:0", Transport::Udp);
    to.set_ip(address("127.0.0.9:0").ip());
    stage.with(a, |probe| probe.send(1, to, "hello"));
    assert_eq!(stage.wait_datagram(b).0.local, to);
}

#[test]
fn the_largest_datagram_passes_whole() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let to = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    let payload: Vec<u8> = (0..65_507).map(|n| n as u8).collect();
    stage.with(a, |probe| probe.send(1, to, payload.clone()));
    assert_eq!(stage.wait_datagram(b).1, payload);
}

#[test]
fn a_burst_arrives_complete_and_in_order() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let to = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    stage.with(a, |probe| {
        for n in 0..500 {
            probe.send(1, to, format!("{n}"));
        }
    });
    for n in 0..500 {
        assert_eq!(stage.wait_datagram(b).1, format!("{n}"));
    }
    let health = stage.world.health();
    assert_eq!((health.datagrams_sent, health.datagrams_received), (500, 500));
}

#[test]
fn a_port_where_nobody_listens_is_told() {
    let mut stage = Stage::new();
    let a = stage.add();
    stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let nobody = {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    stage.with(a, |probe| probe.send(1, nobody, "hello"));
    stage.wait(a, |seen| {
        (*seen == Seen::Unreachable(SocketId(1), nobody)).then_some(())
    });
    // The socket is as good as before.
    let b = stage.add();
    let to = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    stage.with(a, |probe| probe.send(1, to, "still here"));
    assert_eq!(stage.wait_datagram(b).1, "still here");
}

#[test]
fn a_port_in_use_names_its_holder() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = held.local_addr().unwrap();
    let mut stage = Stage::new();
    let a = stage.add();
    stage.with(a, |probe| probe.bind(1, local, Transport::Udp));
    let (_, error) = stage.wait(a, |seen| match seen {
        Seen::BindFailed(_, error) => Some(error.clone()),
        _ => None,
    });
    assert_eq!(error.local, local);
    let BindErrorKind::InUse { holder: Some(holder) } = &error.kind else {
        panic!("{error:?}");
    };
    assert!(
        holder.ends_with(&format!("(pid {})", std::process::id())),
        "{holder}"
    );
}

#[test]
fn an_address_of_another_machine_cannot_be_bound() {
    let mut stage = Stage::new();
    let a = stage.add();
    stage.with(a, |probe| probe.bind(1, address("192.0.2.1:0"), Transport::Udp));
    let (_, kind) = stage.wait(a, |seen| match seen {
        Seen::BindFailed(_, error) => Some(error.kind.clone()),
        _ => None,
    });
    assert_eq!(kind, BindErrorKind::NoSuchAddress);
}

#[test]
fn a_closed_socket_frees_its_port_and_its_number() {
    let mut stage = Stage::new();
    let a = stage.add();
    let local = stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    stage.with(a, |probe| probe.unbind(1));
    assert!(UdpSocket::bind(local).is_ok());
    stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
}

#[test]
fn a_removed_party_closes_everything() {
    let mut stage = Stage::new();
    let a = stage.add();
    let local = stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    assert!(stage.world.remove(a).is_some());
    assert!(UdpSocket::bind(local).is_ok());
    assert!(stage.world.with(a, |_, _| ()).is_none());
}
