//! Where a user agent sends from is told before anything is sent from there: a capture names the sender of each packet
//! when it sees it, not later.

use std::net::{Ipv4Addr, SocketAddr};

use callwright_sip_message::Host;
use callwright_ua::{Account, Change, Fleet, FleetConfig, LocalAddress, TraceLimits};
use callwright_wire::{ConnectionId, Epoch, Flow, Input, Node, Output, Seed, Time, Transport};

const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// What the world sees of a user agent, in order.
#[derive(Debug, PartialEq)]
enum Seen {
    Address(Transport, SocketAddr),
    Sent,
}

/// A user agent that registers over this transport; every socket is granted, on these ports in turn.
fn register(transport: Transport, ports: impl IntoIterator<Item = u16>) -> Vec<Seen> {
    let mut ports = ports.into_iter().map(|port| SocketAddr::from((HERE, port)));
    let config = FleetConfig {
        epoch: Epoch::SIMULATED,
        seed: Seed::from_number(1),
        key_seed: Seed::from_number(2),
        trace: TraceLimits::default(),
    };
    let mut account = Account::new("alice", Host::V4(Ipv4Addr::new(10, 0, 0, 250)));
    account.transport = transport;
    account.local = Some(LocalAddress::Ip(HERE.into()));
    let mut fleet = Fleet::new(Time::ZERO, config);
    let id = fleet.start(Time::ZERO, "alice", account);
    let mut seen = Vec::new();
    let mut registering = false;
    loop {
        while let Some(output) = fleet.poll_output() {
            match output {
                Output::Bind { socket, local, .. } => {
                    let port = if local.port() == 0 {
                        ports.next()
                    } else {
                        Some(local)
                    };
                    let local = port.expect("a port for each socket");
                    fleet.handle_input(Time::ZERO, Input::Bound { socket, local });
                }
                Output::Connect { socket, remote, .. } => {
                    let flow = Flow {
                        transport,
                        local: ports.next().expect("a port for each connection"),
                        remote,
                    };
                    let connection = ConnectionId(7);
                    fleet.handle_input(
                        Time::ZERO,
                        Input::Connected {
                            socket,
                            connection,
                            flow,
                        },
                    );
                }
                Output::Event(event) => {
                    if let Change::Address { transport, address } = event.change {
                        seen.push(Seen::Address(transport, address));
                    }
                }
                Output::Datagram { .. } | Output::Stream { .. } => seen.push(Seen::Sent),
                Output::Unbind { .. } | Output::Close { .. } | Output::Resolve { .. } => {}
            }
        }
        if std::mem::replace(&mut registering, true) {
            return seen;
        }
        fleet.register(Time::ZERO, id, None).expect("it is up");
    }
}

fn address(transport: Transport, port: u16) -> Seen {
    Seen::Address(transport, SocketAddr::from((HERE, port)))
}

#[test]
fn over_datagrams() {
    let udp = address(Transport::Udp, 5060);
    let companion = address(Transport::Tcp, 5060);
    assert_eq!(register(Transport::Udp, [5060]), [udp, companion, Seen::Sent]);
}

#[test]
fn over_a_connection_of_its_own() {
    let connection = address(Transport::Tls, 49_152);
    assert_eq!(register(Transport::Tls, [49_152]), [connection, Seen::Sent]);
    let listener = address(Transport::Tcp, 5060);
    let connection = address(Transport::Tcp, 49_152);
    assert_eq!(
        register(Transport::Tcp, [5060, 49_152]),
        [listener, connection, Seen::Sent]
    );
}
