//! A world that cannot go on says so, and does not hang.

mod support;

use callwright_sim::{LimitExceeded, Link, WorldConfig};
use callwright_wire::{Input, Node, Output, PacketNode, Residue, Seed, SocketId, Time};
use std::net::SocketAddr;
use support::{Lab, addr, at, ms};

fn limited(events: usize, in_flight: usize) -> Lab {
    let mut config = WorldConfig::new(Seed::from_number(1));
    config.limits.events_per_instant = events;
    config.limits.in_flight = in_flight;
    Lab::with(config)
}

#[test]
fn a_node_that_is_due_again_at_once_is_named_with_its_timer() {
    let mut lab = limited(1_000, 1_000);
    let a = lab.peer("192.0.2.1");
    lab.world.with(a, |peer, _| {
        peer.due = Some((at(50), "Timer K"));
        peer.stubborn = true;
    });
    let error = lab.world.run_until(at(100)).unwrap_err();
    assert_eq!(
        error,
        LimitExceeded::EventsPerInstant {
            at: at(50),
            party: "peer at 192.0.2.1".into(),
            timer: Some("Timer K"),
            limit: 1_000,
        }
    );
    let text = error.to_string();
    assert!(
        text.contains("peer at 192.0.2.1") && text.contains("Timer K"),
        "{text}"
    );
    assert_eq!(lab.world.now(), at(50));
    assert_eq!(lab.world.step(at(200)), Err(error), "it stays so");
}

#[test]
fn what_happens_at_different_times_is_not_counted_together() {
    let mut lab = limited(20, 1_000);
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    lab.pass(ms(1));
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.pass(ms(1));
    lab.udp(b, "192.0.2.2:5060");
    for _ in 0..100 {
        lab.send(a, from, addr("192.0.2.2:5060"), "tick");
        lab.pass(ms(1));
    }
    lab.pass(ms(100));
    assert_eq!(lab.texts(b).len(), 100);
}

#[test]
fn more_packets_on_their_way_than_may_be_end_the_world() {
    let mut lab = limited(1_000_000, 50);
    lab.world.set_default_link(Link::perfect(ms(1_000)));
    let (a, _b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    for _ in 0..60 {
        lab.send(a, from, addr("192.0.2.2:5060"), "tick");
    }
    let error = lab.world.run_until(at(2_000)).unwrap_err();
    assert!(
        matches!(error, LimitExceeded::InFlight { limit: 50, .. }),
        "{error}"
    );
}

/// A node that never comes to an end of its outputs.
struct Chatterbox;

impl Node for Chatterbox {
    type Command = ();
    type Event = ();

    fn handle_input(&mut self, _now: Time, _input: Input<()>) {}

    fn handle_timeout(&mut self, _now: Time) {}

    fn poll_output(&mut self) -> Option<Output<()>> {
        Some(Output::Unbind { socket: SocketId(0) })
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        None
    }

    fn residue(&self) -> Residue {
        Residue::default()
    }
}

impl PacketNode for Chatterbox {
    fn handle_packet(&mut self, _now: Time, _socket: SocketId, _from: SocketAddr, _packet: &[u8]) {}

    fn poll_transmit(&mut self, _now: Time, _buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        None
    }
}

#[test]
fn a_node_that_never_stops_talking_is_named() {
    let mut world = callwright_sim::World::new(WorldConfig::new(Seed::from_number(1)));
    let host = world.add_host("pbx", [192, 0, 2, 1]).unwrap();
    world.add(host, "chatterbox", Chatterbox);
    let text = world.step(at(1)).unwrap_err().to_string();
    assert!(text.contains("the last to chatterbox;"), "{text}");
}
