//! NAT: RFC 4787, one test a section.

mod support;

use std::time::Duration;

use callwright_sim::{Nat, NatBehavior, NatId, PartyId};
use callwright_wire::{ConnectionError, DnsQuery, DnsRecord, Fate, Input, SocketId, Transport};
use std::net::{IpAddr, SocketAddr};
use support::{Heard, Lab, Records, addr, at, ms};

use NatBehavior::{AddressAndPortDependent, AddressDependent, EndpointIndependent};

const PUBLIC: [u8; 4] = [203, 0, 113, 1];

/// A phone behind a NAT, and two servers with two ports each.
struct Home {
    lab: Lab,
    nat: NatId,
    phone: PartyId,
    socket: SocketId,
    servers: [(PartyId, [SocketId; 2]); 2],
}

fn server(number: usize, port: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + number as u8], 5_060 + port as u16))
}

impl Home {
    fn new(nat: Nat) -> Self {
        let mut lab = Lab::new();
        let nat = lab.world.add_nat("home", PUBLIC, nat).unwrap();
        let host = lab.world.add_host_behind(nat, "phone", [10, 0, 0, 2]).unwrap();
        let phone = lab.peer_on(host, "phone");
        let (socket, _) = lab.udp(phone, "10.0.0.2:5060");
        let servers = [0, 1].map(|number| {
            let party = lab.peer(&server(number, 0).ip().to_string());
            let sockets = [0, 1].map(|port| lab.udp(party, &server(number, port).to_string()).0);
            (party, sockets)
        });
        Home {
            lab,
            nat,
            phone,
            socket,
            servers,
        }
    }

    /// The phone sends to a server, which sees this source.
    fn seen_from(&mut self, number: usize, port: usize) -> SocketAddr {
        self.lab
            .send(self.phone, self.socket, server(number, port), "out");
        self.lab.pass(ms(50));
        self.lab.flow(self.servers[number].0).remote
    }

    /// A server sends to an external address: true when the phone hears it.
    fn passes(&mut self, number: usize, port: usize, to: SocketAddr) -> bool {
        let (party, sockets) = self.servers[number];
        self.lab.send(party, sockets[port], to, "in");
        self.lab.pass(ms(50));
        self.lab.next(self.phone).is_some()
    }
}

#[test]
fn mappings_depend_on_what_they_are_said_to_depend_on() {
    // RFC 4787 §4.1: is the external port the same for another port of the peer, and for another peer?
    for (mapping, same_for_port, same_for_peer) in [
        (EndpointIndependent, true, true),
        (AddressDependent, true, false),
        (AddressAndPortDependent, false, false),
    ] {
        let mut home = Home::new(Nat {
            mapping,
            ..Nat::default()
        });
        let first = home.seen_from(0, 0);
        assert_eq!(first.ip(), IpAddr::from(PUBLIC));
        assert_eq!(home.seen_from(0, 1) == first, same_for_port, "{mapping:?}");
        assert_eq!(home.seen_from(1, 0) == first, same_for_peer, "{mapping:?}");
        assert_eq!(
            home.seen_from(0, 0),
            first,
            "{mapping:?}: the first one is still there"
        );
    }
}

#[test]
fn filters_let_through_whom_they_are_said_to() {
    // RFC 4787 §5: the phone sent to port 0 of server 0. Who else may answer?
    for (filtering, other_port, other_peer) in [
        (EndpointIndependent, true, true),
        (AddressDependent, true, false),
        (AddressAndPortDependent, false, false),
    ] {
        let mut home = Home::new(Nat {
            filtering,
            ..Nat::default()
        });
        let external = home.seen_from(0, 0);
        assert!(home.passes(0, 0, external), "{filtering:?}");
        assert_eq!(home.passes(0, 1, external), other_port, "{filtering:?}");
        assert_eq!(home.passes(1, 0, external), other_peer, "{filtering:?}");
    }
}

#[test]
fn a_mapping_times_out_unless_the_inside_uses_it() {
    // RFC 4787 §4.3: outbound refresh; what comes from outside refreshes nothing.
    let mut home = Home::new(Nat {
        mapping_timeout: Duration::from_secs(30),
        ..Nat::default()
    });
    let external = home.seen_from(0, 0);
    home.lab.pass(Duration::from_secs(20));
    assert_eq!(home.seen_from(0, 0), external);
    home.lab.pass(Duration::from_secs(20));
    assert!(home.passes(0, 0, external), "it was refreshed");
    home.lab.pass(Duration::from_secs(10));
    assert!(!home.passes(0, 0, external));
    assert_ne!(home.seen_from(0, 0), external, "a new mapping has a new port");
}

#[test]
fn an_even_port_stays_even() {
    // RFC 4787 §4.2.2
    let mut home = Home::new(Nat::default());
    assert_eq!(home.seen_from(0, 0).port() % 2, 0);
    let (odd, _) = home.lab.udp(home.phone, "10.0.0.2:5061");
    home.socket = odd;
    assert_eq!(home.seen_from(0, 0).port() % 2, 1);
}

#[test]
fn hosts_inside_reach_each_other_by_their_external_addresses_where_hairpinning_is_allowed() {
    // RFC 4787 §6
    for hairpinning in [true, false] {
        let mut home = Home::new(Nat {
            hairpinning,
            ..Nat::default()
        });
        let external = home.seen_from(0, 0);
        let other = home
            .lab
            .world
            .add_host_behind(home.nat, "other", [10, 0, 0, 3])
            .unwrap();
        let other = home.lab.peer_on(other, "other");
        let (from, _) = home.lab.udp(other, "10.0.0.3:5060");
        home.lab.send(other, from, external, "hello");
        home.lab.pass(ms(50));
        if hairpinning {
            let flow = home.lab.flow(home.phone);
            assert_eq!(flow.remote.ip(), IpAddr::from(PUBLIC), "the external source");
            assert_eq!(flow.local, addr("10.0.0.2:5060"));
        } else {
            assert!(home.lab.next(home.phone).is_none());
        }
        home.lab.send(other, from, addr("10.0.0.2:5060"), "direct");
        home.lab.pass(ms(50));
        assert_eq!(home.lab.flow(home.phone).remote, addr("10.0.0.3:5060"));
    }
}

#[test]
fn a_hole_is_open_when_the_packet_arrives_not_when_it_is_sent() {
    let mut home = Home::new(Nat {
        filtering: AddressAndPortDependent,
        ..Nat::default()
    });
    let external = home.seen_from(0, 0);
    let (party, sockets) = home.servers[1];
    home.lab.send(party, sockets[0], external, "in");
    home.lab.pass(ms(1));
    home.lab.send(home.phone, home.socket, server(1, 0), "out");
    home.lab.pass(ms(50));
    assert_eq!(home.lab.flow(home.phone).remote, server(1, 0));
}

#[test]
fn a_private_address_is_nobody_outside_and_may_be_used_twice() {
    let mut home = Home::new(Nat::default());
    let records = Records::of(&mut home.lab);
    assert!(!home.passes(0, 0, addr("10.0.0.2:5060")));
    assert_eq!(records.take()[0].fate, Fate::Lost);
    let office = home.lab.world.add_nat("office", [203, 0, 113, 2], Nat::default());
    let twin = home
        .lab
        .world
        .add_host_behind(office.unwrap(), "twin", [10, 0, 0, 2])
        .unwrap();
    let twin = home.lab.peer_on(twin, "twin");
    let (from, _) = home.lab.udp(twin, "10.0.0.2:5060");
    home.lab.send(twin, from, server(0, 0), "out");
    home.lab.pass(ms(50));
    let seen = home.lab.flow(home.servers[0].0);
    assert_eq!(seen.remote.ip(), IpAddr::from([203, 0, 113, 2]));
}

#[test]
fn the_tap_sees_the_inner_address() {
    let mut home = Home::new(Nat::default());
    let records = Records::of(&mut home.lab);
    home.seen_from(0, 0);
    let seen = records.take();
    assert_eq!(
        (seen[0].source, seen[0].destination),
        (addr("10.0.0.2:5060"), server(0, 0))
    );
}

#[test]
fn a_phone_behind_a_nat_knows_its_private_address_only() {
    let mut home = Home::new(Nat::default());
    home.lab.ask(home.phone, DnsQuery::Route(server(0, 0).ip()));
    let Some((_, Heard::Input(Input::Resolved { answer, .. }))) = home.lab.next(home.phone) else {
        panic!("it is known at once");
    };
    assert_eq!(answer, Ok(vec![DnsRecord::Address([10, 0, 0, 2].into())]));
}

#[test]
fn icmp_finds_its_way_back_inside() {
    let mut home = Home::new(Nat::default());
    home.lab.send(home.phone, home.socket, server(0, 7), "out");
    home.lab.pass(ms(50));
    assert_eq!(home.lab.unreachable(home.phone), (at(20), server(0, 7)));
}

#[test]
fn connections_are_opened_from_inside_only() {
    let mut home = Home::new(Nat::default());
    let (party, _) = home.servers[0];
    home.lab.listen(party, Transport::Tcp, "192.0.2.1:5060");
    home.lab.listen(home.phone, Transport::Tcp, "10.0.0.2:5060");
    let (inner, outer) = home.lab.connected(home.phone, party, server(0, 0));
    home.lab.write(home.phone, inner, "out");
    home.lab.write(party, outer, "in");
    home.lab.pass(ms(50));
    assert_eq!(home.lab.texts(party).len(), 1);
    assert_eq!(home.lab.texts(home.phone).len(), 1);
    home.lab.connect(party, SocketAddr::from((PUBLIC, 5_060)), None);
    home.lab.pass(Duration::from_secs(20));
    assert_eq!(home.lab.connect_failed(party).1, ConnectionError::TimedOut);
}

#[test]
fn the_far_end_of_a_connection_sees_the_external_address() {
    let mut home = Home::new(Nat::default());
    let (party, _) = home.servers[0];
    home.lab.listen(party, Transport::Tcp, "192.0.2.1:5060");
    home.lab.connect(home.phone, server(0, 0), None);
    home.lab.pass(ms(50));
    let Some((_, Heard::Input(Input::Accepted { flow, .. }))) = home.lab.next(party) else {
        panic!("it is accepted");
    };
    assert_eq!(flow.remote, SocketAddr::from((PUBLIC, 20_000)));
}
