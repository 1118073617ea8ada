//! Datagrams that nobody takes: ICMP, or silence.

mod support;

use callwright_sim::{CrashKind, HostId, Link};
use callwright_wire::{Fate, Transport};
use support::{Lab, Records, addr, at, ms};

#[test]
fn a_port_where_nobody_listens_answers_with_icmp_after_the_way_back() {
    let mut lab = Lab::new();
    let (a, _b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    lab.world
        .set_link_one_way(HostId(1), HostId(0), Link::perfect(ms(35)));
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.send(a, from, addr("192.0.2.2:5060"), "hello");
    lab.pass(ms(100));
    assert_eq!(lab.unreachable(a), (at(45), addr("192.0.2.2:5060")));
}

#[test]
fn a_listener_for_tcp_takes_no_datagrams() {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    lab.listen(b, Transport::Tcp, "192.0.2.2:5060");
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.send(a, from, addr("192.0.2.2:5060"), "hello");
    lab.pass(ms(100));
    lab.unreachable(a);
}

#[test]
fn an_address_that_nobody_has_answers_nothing() {
    let mut lab = Lab::new();
    let a = lab.peer("192.0.2.1");
    let records = Records::of(&mut lab);
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.send(a, from, addr("192.0.2.99:5060"), "hello");
    lab.pass(ms(60_000));
    assert!(lab.next(a).is_none());
    assert_eq!(records.take()[0].fate, Fate::Lost);
}

#[test]
fn where_no_route_leads_the_sender_hears_it_at_once() {
    let mut lab = Lab::new();
    let a = lab.peer("192.0.2.1");
    let (v4, _) = lab.udp(a, "0.0.0.0:5060");
    lab.send(a, v4, addr("[2001:db8::1]:5060"), "another family");
    assert_eq!(lab.unreachable(a), (at(0), addr("[2001:db8::1]:5060")));
    let (local, _) = lab.udp(a, "127.0.0.1:5070");
    lab.send(a, local, addr("192.0.2.2:5060"), "from loopback");
    assert_eq!(lab.unreachable(a), (at(0), addr("192.0.2.2:5060")));
}

#[test]
fn a_media_socket_hears_once_a_second_that_its_peer_is_gone() {
    let mut lab = Lab::new();
    let (a, _b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (from, _) = lab.media(a, "192.0.2.1:0");
    for _ in 0..100 {
        lab.send_packet(a, from, addr("192.0.2.2:4000"), b"rtp");
        lab.pass(ms(20));
    }
    lab.pass(ms(100));
    let first = lab.unreachable(a).0;
    let second = lab.unreachable(a).0;
    assert_eq!((first, second), (at(20), at(1_020)));
    assert!(lab.next(a).is_none());
}

#[test]
fn icmp_for_a_socket_that_was_closed_meets_nobody() {
    let mut lab = Lab::new();
    let (a, _b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (socket, _) = lab.udp(a, "192.0.2.1:5060");
    lab.send(a, socket, addr("192.0.2.2:5060"), "hello");
    lab.output(a, callwright_wire::Output::Unbind { socket });
    // The same place in the table, another socket.
    lab.udp(a, "192.0.2.1:5070");
    lab.pass(ms(100));
    assert!(lab.next(a).is_none());
}

#[test]
fn a_process_that_crashed_is_refused_and_a_host_that_crashed_is_silent() {
    for (kind, heard) in [(CrashKind::Process, true), (CrashKind::Host, false)] {
        let mut lab = Lab::new();
        let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
        let (from, _) = lab.udp(a, "192.0.2.1:5060");
        lab.udp(b, "192.0.2.2:5060");
        lab.crash(b, kind);
        lab.send(a, from, addr("192.0.2.2:5060"), "hello");
        lab.pass(ms(100));
        assert_eq!(lab.next(a).is_some(), heard, "{kind:?}");
    }
}
