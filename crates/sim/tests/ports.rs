//! Who gets which port, and who does not.

mod support;

use callwright_sim::{HostError, WorldConfig};
use callwright_wire::{BindErrorKind, Input, Output, Seed, SocketId, SocketUse, Transport};
use support::{Heard, Lab, addr, ms};

const UDP: SocketUse = SocketUse::Signalling(Transport::Udp);
const TCP: SocketUse = SocketUse::Signalling(Transport::Tcp);

#[track_caller]
fn refused(lab: &mut Lab, party: callwright_sim::PartyId, local: &str, usage: SocketUse) -> BindErrorKind {
    match lab.bind(party, local, |_| usage) {
        (_, Heard::Input(Input::BindFailed { error, .. })) => {
            assert_eq!(error.local, addr(local));
            error.kind
        }
        other => panic!("{other:?}"),
    }
}

fn held_by(name: &str) -> BindErrorKind {
    BindErrorKind::InUse {
        holder: Some(name.to_owned()),
    }
}

#[test]
fn a_port_has_one_holder_who_is_named() {
    let mut lab = Lab::new();
    let host = lab.host("pbx", "192.0.2.1");
    let (a, b) = (lab.peer_on(host, "first"), lab.peer_on(host, "second"));
    lab.udp(a, "192.0.2.1:5060");
    assert_eq!(refused(&mut lab, b, "192.0.2.1:5060", UDP), held_by("first"));
    // A wildcard would take this address, too.
    assert_eq!(refused(&mut lab, b, "0.0.0.0:5060", UDP), held_by("first"));
    // Another family, another transport, another host.
    lab.udp(b, "[::]:5060");
    lab.listen(b, Transport::Tcp, "192.0.2.1:5060");
    let c = lab.peer("192.0.2.2");
    lab.udp(c, "192.0.2.2:5060");
}

#[test]
fn of_several_addresses_each_has_its_ports_and_a_wildcard_takes_all() {
    let mut lab = Lab::new();
    let host = lab.host("pbx", "192.0.2.1");
    lab.world
        .add_address(host, "192.0.2.9".parse::<std::net::IpAddr>().unwrap())
        .unwrap();
    let (a, b) = (lab.peer_on(host, "first"), lab.peer_on(host, "second"));
    lab.udp(a, "192.0.2.1:5060");
    lab.udp(b, "192.0.2.9:5060");
    lab.udp(a, "0.0.0.0:5070");
    assert_eq!(refused(&mut lab, b, "192.0.2.9:5070", UDP), held_by("first"));
    let c = lab.peer("192.0.2.2");
    let (from, _) = lab.udp(c, "192.0.2.2:5060");
    lab.send(c, from, addr("192.0.2.9:5070"), "hello");
    lab.pass(ms(10));
    assert_eq!(
        lab.flow(a).local,
        addr("192.0.2.9:5070"),
        "the address that it was sent to"
    );
}

#[test]
fn an_address_of_somebody_else_cannot_be_bound() {
    let mut lab = Lab::new();
    let a = lab.peer("192.0.2.1");
    lab.peer("192.0.2.2");
    for usage in [UDP, TCP, SocketUse::Media { rtcp: SocketId(77) }] {
        assert_eq!(
            refused(&mut lab, a, "192.0.2.2:5060", usage),
            BindErrorKind::NoSuchAddress
        );
    }
}

#[test]
fn port_zero_is_a_port_of_its_own_each_time() {
    let mut lab = Lab::new();
    let a = lab.peer("192.0.2.1");
    let ports: Vec<_> = (0..4).map(|_| lab.udp(a, "192.0.2.1:0").1.port()).collect();
    assert_eq!(ports, [49_152, 49_153, 49_154, 49_155]);
    assert_eq!(lab.listen(a, Transport::Tcp, "192.0.2.1:0").1.port(), 49_152);
}

#[test]
fn a_port_that_was_given_back_is_free() {
    let mut lab = Lab::new();
    let (a, b) = {
        let host = lab.host("pbx", "192.0.2.1");
        (lab.peer_on(host, "first"), lab.peer_on(host, "second"))
    };
    let (socket, _) = lab.udp(a, "192.0.2.1:5060");
    lab.output(a, Output::Unbind { socket });
    lab.udp(b, "192.0.2.1:5060");
}

#[test]
fn a_number_is_used_for_one_socket_at_a_time() {
    let mut lab = Lab::new();
    let a = lab.peer("192.0.2.1");
    let (socket, _) = lab.udp(a, "192.0.2.1:5060");
    let local = addr("192.0.2.1:5070");
    lab.output(
        a,
        Output::Bind {
            socket,
            local,
            usage: UDP,
        },
    );
    let Some((_, Heard::Input(Input::BindFailed { error, .. }))) = lab.next(a) else {
        panic!("it is taken");
    };
    assert!(error.to_string().contains("number 1 already"), "{error}");
}

#[test]
fn media_ports_are_an_even_one_and_the_next() {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (rtp, first) = lab.media(a, "192.0.2.1:0");
    let (_, second) = lab.media(a, "192.0.2.1:0");
    assert_eq!((first.port(), second.port()), (16_384, 16_386));
    assert_eq!(
        refused(&mut lab, a, "192.0.2.1:16385", UDP),
        held_by("peer at 192.0.2.1")
    );
    let (from, _) = lab.media(b, "192.0.2.2:0");
    lab.send_packet(b, from, addr("192.0.2.1:16384"), b"rtp");
    lab.send_packet(b, from, addr("192.0.2.1:16385"), b"rtcp");
    lab.pass(ms(10));
    for (socket, expected) in [(rtp, "rtp"), (support::rtcp(rtp), "rtcp")] {
        let Some((
            _,
            Heard::Packet {
                socket: on, bytes, ..
            },
        )) = lab.next(a)
        else {
            panic!("it arrives");
        };
        assert_eq!((on, bytes.as_slice()), (socket, expected.as_bytes()));
    }
}

#[test]
fn media_ports_that_are_named_are_just_those() {
    let mut lab = Lab::new();
    let a = lab.peer("192.0.2.1");
    let (_, local) = lab.media(a, "192.0.2.1:4000");
    assert_eq!(local.port(), 4_000);
    let usage = SocketUse::Media { rtcp: SocketId(77) };
    assert_eq!(
        refused(&mut lab, a, "192.0.2.1:4001", usage),
        held_by("peer at 192.0.2.1")
    );
}

/// A world with room for one pair.
fn one_pair() -> Lab {
    let mut config = WorldConfig::new(Seed::from_number(1));
    config.media_ports = 4_000..=4_001;
    Lab::with(config)
}

#[test]
fn a_pair_rests_a_second_and_who_waits_for_it_gets_it_then() {
    let mut lab = one_pair();
    let a = lab.peer("192.0.2.1");
    let (socket, _) = lab.media(a, "192.0.2.1:0");
    lab.pass(ms(500));
    lab.output(a, Output::Unbind { socket });
    let (number, local) = (SocketId(50), addr("192.0.2.1:0"));
    let usage = SocketUse::Media { rtcp: SocketId(51) };
    lab.output(
        a,
        Output::Bind {
            socket: number,
            local,
            usage,
        },
    );
    assert!(lab.next(a).is_none(), "not yet");
    lab.pass(ms(2_000));
    let Some((at, Heard::Input(Input::Bound { socket, local }))) = lab.next(a) else {
        panic!("it is bound");
    };
    assert_eq!(
        (at, socket, local),
        (support::at(1_500), number, addr("192.0.2.1:4000"))
    );
}

#[test]
fn when_no_pair_will_come_back_that_is_said_at_once() {
    let mut lab = one_pair();
    let a = lab.peer("192.0.2.1");
    lab.media(a, "192.0.2.1:0");
    let usage = SocketUse::Media { rtcp: SocketId(77) };
    assert_eq!(
        refused(&mut lab, a, "192.0.2.1:0", usage),
        BindErrorKind::NoMediaPorts
    );
}

#[test]
fn a_packet_for_ports_that_rest_meets_nobody_and_is_not_refused() {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (socket, local) = lab.media(a, "192.0.2.1:0");
    lab.output(a, Output::Unbind { socket });
    let (from, _) = lab.udp(b, "192.0.2.2:5060");
    lab.send(b, from, local, "late");
    lab.pass(ms(100));
    assert!(lab.next(a).is_none() && lab.next(b).is_none());
}

#[test]
fn hosts_have_names_and_addresses_of_their_own() {
    let mut lab = Lab::new();
    lab.host("pbx", "192.0.2.1");
    let add = |lab: &mut Lab, name: &str, ip: [u8; 4]| lab.world.add_host(name, ip).map(drop);
    let name = || "pbx".to_owned();
    assert_eq!(
        add(&mut lab, "pbx", [192, 0, 2, 2]),
        Err(HostError::NameInUse { name: name() })
    );
    let ip = [192, 0, 2, 1].into();
    assert_eq!(
        add(&mut lab, "other", [192, 0, 2, 1]),
        Err(HostError::AddressInUse { ip, holder: name() })
    );
    let ip = [127, 0, 0, 1].into();
    assert_eq!(
        add(&mut lab, "other", [127, 0, 0, 1]),
        Err(HostError::NotAnAddress { ip })
    );
}
