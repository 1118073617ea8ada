//! Hosts that share the loopback addresses, as the processes of one machine do.

mod support;

use std::time::Duration;

use callwright_sim::{CrashKind, HostId, Link, Loss, PartyId, WorldConfig};
use callwright_wire::{
    BindErrorKind, ConnectionError, DnsQuery, DnsRecord, Fate, Input, Output, Seed, SocketId, SocketUse,
    Transport,
};
use support::{Heard, Lab, Records, addr, at, ms, rtcp};

const UDP: SocketUse = SocketUse::Signalling(Transport::Udp);
const SERVER: &str = "127.0.0.1:5070";

fn shared() -> WorldConfig {
    WorldConfig {
        shared_loopback: true,
        ..WorldConfig::new(Seed::from_number(1))
    }
}

/// Two peers on hosts of their own, which share their loopback addresses.
fn lab() -> (Lab, PartyId, PartyId) {
    let mut lab = Lab::with(shared());
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    (lab, a, b)
}

#[track_caller]
fn refused(lab: &mut Lab, party: PartyId, local: &str) -> BindErrorKind {
    match lab.bind(party, local, |_| UDP) {
        (_, Heard::Input(Input::BindFailed { error, .. })) => error.kind,
        other => panic!("{other:?}"),
    }
}

fn held_by(name: &str) -> BindErrorKind {
    BindErrorKind::InUse {
        holder: Some(name.to_owned()),
    }
}

#[test]
fn a_datagram_takes_the_link_between_the_two_hosts() {
    let (mut lab, a, b) = lab();
    lab.world.set_link(HostId(0), HostId(1), Link::perfect(ms(35)));
    let (from, source) = lab.udp(a, "127.0.0.1:0");
    let (back, _) = lab.udp(b, SERVER);
    lab.send(a, from, addr(SERVER), "hello");
    lab.pass(ms(34));
    assert!(lab.next(b).is_none(), "it is on its way");
    lab.pass(ms(1));
    let flow = lab.flow(b);
    assert_eq!((flow.local, flow.remote), (addr(SERVER), source));
    lab.send(b, back, source, "you too");
    lab.pass(ms(35));
    assert_eq!(lab.texts(a), [(at(70), "you too".to_owned())]);
}

#[test]
fn what_stays_on_one_host_takes_no_link() {
    let (mut lab, a, _) = lab();
    lab.world.set_default_link(Link {
        loss: Loss::Uniform(1.0),
        ..Link::default()
    });
    let (from, source) = lab.udp(a, "127.0.0.1:0");
    lab.send(a, from, source, "me");
    lab.pass(ms(1));
    assert_eq!(lab.texts(a).len(), 1);
}

#[test]
fn losses_and_partitions_are_those_of_the_link() {
    let (mut lab, a, b) = lab();
    let records = Records::of(&mut lab);
    let (from, _) = lab.udp(a, "127.0.0.1:0");
    lab.udp(b, SERVER);
    lab.world.partition(&[HostId(0)], &[HostId(1)]);
    lab.send(a, from, addr(SERVER), "cut");
    lab.world.heal();
    lab.send(a, from, addr(SERVER), "whole");
    let lossy = Link {
        loss: Loss::Uniform(1.0),
        ..Link::default()
    };
    lab.world.set_link_one_way(HostId(0), HostId(1), lossy);
    lab.send(a, from, addr(SERVER), "lost");
    lab.pass(ms(100));
    assert_eq!(lab.texts(b), [(at(10), "whole".to_owned())]);
    let fates: Vec<_> = records.take().iter().map(|record| record.fate).collect();
    assert_eq!(fates, [Fate::Lost, Fate::Sent, Fate::Lost]);
}

#[test]
fn a_port_belongs_to_one_host_which_is_named() {
    let (mut lab, a, b) = lab();
    lab.udp(a, SERVER);
    assert_eq!(refused(&mut lab, b, SERVER), held_by("peer at 192.0.2.1"));
    assert_eq!(refused(&mut lab, b, "0.0.0.0:5070"), held_by("peer at 192.0.2.1"));
    // Another address of the loopback network, another family, another transport, an address of the host's own.
    lab.udp(b, "127.0.0.2:5070");
    lab.udp(b, "[::1]:5070");
    lab.listen(b, Transport::Tcp, SERVER);
    lab.udp(b, "192.0.2.2:5070");
}

#[test]
fn a_wildcard_takes_the_port_from_all() {
    let (mut lab, a, b) = lab();
    let (socket, _) = lab.udp(a, "0.0.0.0:5070");
    assert_eq!(refused(&mut lab, b, SERVER), held_by("peer at 192.0.2.1"));
    lab.udp(b, "192.0.2.2:5070");
    let (from, _) = lab.udp(b, "127.0.0.1:0");
    lab.send(b, from, addr(SERVER), "hello");
    lab.pass(ms(10));
    assert_eq!(lab.flow(a).local, addr(SERVER));
    lab.output(a, Output::Unbind { socket });
    lab.udp(b, SERVER);
}

#[test]
fn no_two_hosts_are_given_the_same_port() {
    let (mut lab, a, b) = lab();
    let mut ports = Vec::new();
    for party in [a, b, a, b] {
        ports.push(lab.udp(party, "127.0.0.1:0").1.port());
    }
    assert_eq!(ports, [49_152, 49_153, 49_154, 49_155]);
    // A wildcard counts for itself, and passes over what is taken.
    assert_eq!(lab.udp(a, "0.0.0.0:0").1.port(), 49_156);
    let pairs: Vec<_> = [a, b, a]
        .into_iter()
        .map(|party| lab.media(party, "127.0.0.1:0").1.port())
        .collect();
    assert_eq!(pairs, [16_384, 16_386, 16_388]);
}

#[test]
fn a_pair_of_media_ports_rests_and_serves_another_host() {
    let config = WorldConfig {
        media_ports: 4_000..=4_001,
        ..shared()
    };
    let mut lab = Lab::with(config);
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (socket, local) = lab.media(a, "127.0.0.1:0");
    lab.output(a, Output::Unbind { socket });
    let (number, wanted) = (SocketId(50), addr("127.0.0.1:0"));
    let usage = SocketUse::Media { rtcp: rtcp(number) };
    lab.output(
        b,
        Output::Bind {
            socket: number,
            local: wanted,
            usage,
        },
    );
    lab.pass(ms(1_000));
    let Some((when, Heard::Input(Input::Bound { local: given, .. }))) = lab.next(b) else {
        panic!("it is bound");
    };
    assert_eq!((when, given), (at(1_000), local));
    let (from, _) = lab.udp(a, "127.0.0.1:0");
    lab.send(a, from, local, "rtp");
    lab.pass(ms(10));
    assert!(matches!(
        lab.next(b),
        Some((when, Heard::Packet { .. })) if when == at(1_010)
    ));
}

#[test]
fn where_nobody_listens_that_is_heard_after_the_default_link_there_and_back() {
    let (mut lab, a, _) = lab();
    lab.world.set_default_link(Link::perfect(ms(30)));
    let (from, _) = lab.udp(a, "127.0.0.1:0");
    lab.send(a, from, addr(SERVER), "hello");
    lab.connect(a, addr(SERVER), None);
    lab.pass(ms(100));
    assert_eq!(lab.unreachable(a), (at(60), addr(SERVER)));
    assert_eq!(lab.connect_failed(a), (at(60), ConnectionError::Refused));
}

#[test]
fn a_connection_takes_the_link_between_the_two_hosts() {
    let (mut lab, a, b) = lab();
    lab.world.set_link(HostId(0), HostId(1), Link::perfect(ms(35)));
    lab.listen(b, Transport::Tcp, SERVER);
    let (one, _) = lab.connected(a, b, addr(SERVER));
    let start = lab.world.now();
    lab.write(a, one, "hello");
    lab.pass(ms(100));
    assert_eq!(lab.texts(b), [(start + ms(35), "hello".to_owned())]);
    lab.world.partition(&[HostId(0)], &[HostId(1)]);
    lab.write(a, one, "lost");
    lab.pass(Duration::from_secs(100));
    assert_eq!(lab.closed(a).1, Some(ConnectionError::TimedOut));
    assert_eq!(lab.closed(b).1, Some(ConnectionError::TimedOut));
}

#[test]
fn connections_of_two_hosts_have_ports_of_their_own() {
    let (mut lab, a, b) = lab();
    let c = lab.peer("192.0.2.3");
    lab.listen(c, Transport::Tcp, SERVER);
    lab.connect(a, addr(SERVER), None);
    lab.connect(b, addr(SERVER), None);
    lab.pass(ms(100));
    let mut local = |party| match lab.next(party) {
        Some((_, Heard::Input(Input::Connected { flow, .. }))) => flow.local,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (local(a), local(b)),
        (addr("127.0.0.1:49152"), addr("127.0.0.1:49153"))
    );
}

#[test]
fn a_host_that_stopped_is_silent_at_its_loopback_ports_until_it_is_back() {
    let (mut lab, a, b) = lab();
    let (from, _) = lab.udp(a, "127.0.0.1:0");
    lab.udp(b, SERVER);
    lab.crash(b, CrashKind::Host);
    lab.send(a, from, addr(SERVER), "are you there?");
    lab.pass(ms(1_000));
    assert!(lab.next(a).is_none(), "silence");
    lab.restart(b);
    lab.send(a, from, addr(SERVER), "and now?");
    lab.pass(ms(1_000));
    lab.unreachable(a);
    lab.udp(b, SERVER);
    lab.send(a, from, addr(SERVER), "hello");
    lab.pass(ms(10));
    assert_eq!(lab.texts(b).len(), 1);
}

#[test]
fn a_process_that_crashed_is_refused_at_its_loopback_ports() {
    let (mut lab, a, b) = lab();
    let (from, _) = lab.udp(a, "127.0.0.1:0");
    lab.udp(b, SERVER);
    lab.listen(b, Transport::Tcp, SERVER);
    lab.crash(b, CrashKind::Process);
    lab.send(a, from, addr(SERVER), "are you there?");
    lab.connect(a, addr(SERVER), None);
    lab.pass(ms(100));
    lab.unreachable(a);
    assert_eq!(lab.connect_failed(a).1, ConnectionError::Refused);
}

#[test]
fn a_host_that_stops_takes_what_is_on_its_way() {
    let (mut lab, a, b) = lab();
    let (from, _) = lab.udp(a, "127.0.0.1:0");
    lab.udp(b, SERVER);
    lab.send(a, from, addr(SERVER), "hello");
    lab.crash(b, CrashKind::Host);
    lab.pass(ms(1_000));
    assert!(lab.next(a).is_none());
}

#[test]
fn names_and_routes_are_those_of_one_machine() {
    let (mut lab, a, _) = lab();
    lab.ask(a, DnsQuery::Route([127, 0, 0, 1].into()));
    lab.ask(a, DnsQuery::Address("localhost".into()));
    let mut first = || match lab.next(a) {
        Some((_, Heard::Input(Input::Resolved { answer, .. }))) => answer.expect("it is known")[0].clone(),
        other => panic!("{other:?}"),
    };
    let loopback = DnsRecord::Address([127, 0, 0, 1].into());
    assert_eq!((first(), first()), (loopback.clone(), loopback));
}

#[test]
fn each_host_has_its_own_loopback_by_default() {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    lab.udp(a, SERVER);
    lab.udp(b, SERVER);
}
