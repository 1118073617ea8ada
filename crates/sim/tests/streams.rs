//! TCP: opened in one round trip, in order whatever is lost, closed after what was sent.

mod support;

use std::time::Duration;

use callwright_sim::{Bandwidth, HostId, Link, Loss, WorldConfig};
use callwright_wire::{Carrier, Cause, ConnectionError, Fate, Input, Output, Seed, Time, Transport};
use proptest::prelude::*;
use support::{Heard, Lab, Records, addr, at, ms};

const SERVER: &str = "192.0.2.2:5060";

/// A client, and a server that listens.
fn pair(lab: &mut Lab) -> (callwright_sim::PartyId, callwright_sim::PartyId) {
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    lab.listen(b, Transport::Tcp, SERVER);
    (a, b)
}

#[test]
fn a_connection_is_up_after_one_round_trip() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab);
    let socket = lab.connect(a, addr(SERVER), None);
    lab.pass(ms(100));
    let Some((
        up,
        Heard::Input(Input::Connected {
            socket: number, flow, ..
        }),
    )) = lab.next(a)
    else {
        panic!("it is up");
    };
    assert_eq!((up, number, flow.transport), (at(20), socket, Transport::Tcp));
    let Some((accepted, Heard::Input(Input::Accepted { flow: other, .. }))) = lab.next(b) else {
        panic!("it is accepted");
    };
    assert_eq!(accepted, at(30), "with the third packet");
    assert_eq!((other.local, other.remote), (flow.remote, flow.local));
}

#[test]
fn bytes_arrive_in_order_and_the_end_after_them() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab);
    let (one, other) = lab.connected(a, b, addr(SERVER));
    let start = lab.world.now();
    lab.write(a, one, "INVITE");
    lab.write(a, one, "BYE");
    lab.close(a, one);
    lab.write(a, one, "too late");
    lab.pass(ms(10));
    let arrival = start + ms(10);
    let texts: Vec<_> = (0..2).map(|_| lab.next(b)).collect();
    let [
        Some((
            first,
            Heard::Input(Input::Stream {
                bytes: invite,
                connection,
            }),
        )),
        Some((second, Heard::Input(Input::Stream { bytes: bye, .. }))),
    ] = &texts[..]
    else {
        panic!("{texts:?}");
    };
    assert_eq!((*first, *second, *connection), (arrival, arrival, other));
    assert_eq!((&invite[..], &bye[..]), (&b"INVITE"[..], &b"BYE"[..]));
    assert_eq!(lab.closed(b), (arrival, None));
    lab.pass(ms(10));
    assert_eq!(
        lab.closed(a),
        (start + ms(20), None),
        "the other side closed, too"
    );
}

#[test]
fn what_arrives_after_a_close_goes_nowhere() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab);
    let (one, other) = lab.connected(a, b, addr(SERVER));
    lab.write(b, other, "crossing");
    lab.close(a, one);
    lab.pass(ms(100));
    assert_eq!(lab.closed(a).1, None);
    assert!(lab.next(a).is_none());
    assert_eq!(lab.closed(b).1, None);
}

#[test]
fn what_is_lost_is_sent_again_after_a_fifth_of_a_second_and_a_round_trip() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab);
    let (one, _) = lab.connected(a, b, addr(SERVER));
    let start = lab.world.now();
    lab.world.set_link_one_way(
        HostId(0),
        HostId(1),
        Link {
            loss: Loss::Uniform(1.0),
            ..Link::default()
        },
    );
    lab.write(a, one, "lost at first");
    lab.write(a, one, "behind it");
    lab.pass(ms(100));
    lab.world.set_default_link(Link::default());
    lab.world.set_link_one_way(HostId(0), HostId(1), Link::default());
    lab.pass(ms(500));
    let arrival = start + ms(220) + ms(10);
    let expected = [
        (arrival, "lost at first".to_owned()),
        (arrival, "behind it".to_owned()),
    ];
    assert_eq!(lab.texts(b), expected);
}

#[test]
fn where_nobody_listens_the_connection_is_refused() {
    let mut lab = Lab::new();
    let (a, _) = pair(&mut lab);
    lab.connect(a, addr("192.0.2.2:5070"), None);
    lab.pass(ms(100));
    assert_eq!(lab.connect_failed(a), (at(20), ConnectionError::Refused));
}

#[test]
fn where_nobody_is_connecting_times_out() {
    let mut lab = Lab::new();
    let (a, _) = pair(&mut lab);
    lab.connect(a, addr("192.0.2.99:5060"), None);
    lab.pass(Duration::from_secs(60));
    assert_eq!(lab.connect_failed(a), (at(10_000), ConnectionError::TimedOut));
    assert!(lab.next(a).is_none());
}

#[test]
fn where_no_route_leads_connecting_fails_at_once() {
    let mut lab = Lab::new();
    let (a, _) = pair(&mut lab);
    lab.connect(a, addr("[2001:db8::1]:5060"), None);
    assert_eq!(lab.connect_failed(a), (at(0), ConnectionError::Unreachable));
}

#[test]
fn the_first_packet_is_sent_again_after_a_second() {
    let mut lab = Lab::new();
    let (a, _b) = pair(&mut lab);
    lab.world.partition(&[HostId(0)], &[HostId(1)]);
    lab.connect(a, addr(SERVER), None);
    lab.pass(ms(500));
    lab.world.heal();
    lab.pass(ms(1_000));
    let Some((up, Heard::Input(Input::Connected { .. }))) = lab.next(a) else {
        panic!("it is up");
    };
    assert_eq!(up, at(1_020));
}

#[test]
fn a_connection_across_a_cut_is_closed_on_both_sides_after_a_minute() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab);
    let (one, _) = lab.connected(a, b, addr(SERVER));
    let cut = lab.world.now();
    lab.world.partition(&[HostId(0)], &[HostId(1)]);
    lab.write(a, one, "never arrives");
    lab.pass(Duration::from_secs(120));
    let expected = (cut + Duration::from_secs(60), Some(ConnectionError::TimedOut));
    assert_eq!(lab.closed(a), expected);
    assert_eq!(lab.closed(b), expected);
}

#[test]
fn a_connection_outlives_a_cut_that_is_healed_in_time() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab);
    let (one, _) = lab.connected(a, b, addr(SERVER));
    for _ in 0..3 {
        lab.world.partition(&[HostId(0)], &[HostId(1)]);
        lab.write(a, one, "x");
        lab.pass(Duration::from_secs(40));
        assert!(lab.next(b).is_none());
        lab.world.heal();
        lab.pass(Duration::from_secs(40));
        assert_eq!(lab.texts(b).len(), 1);
    }
    assert!(lab.next(a).is_none());
}

#[test]
fn a_line_that_loses_everything_ends_a_connection_that_is_used() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab);
    let (one, _) = lab.connected(a, b, addr(SERVER));
    let start = lab.world.now();
    let deaf = Link {
        loss: Loss::Uniform(1.0),
        ..Link::default()
    };
    lab.world.set_default_link(deaf);
    lab.write(a, one, "never arrives");
    lab.pass(Duration::from_secs(120));
    let (end, error) = lab.closed(a);
    assert_eq!(error, Some(ConnectionError::TimedOut));
    let after = end.since(start);
    assert!(
        (Duration::from_secs(60)..Duration::from_secs(70)).contains(&after),
        "{after:?}"
    );
    assert_eq!(lab.closed(b).1, Some(ConnectionError::Reset));
}

#[test]
fn a_peer_that_is_not_reached_is_not_waited_for_without_bound() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab);
    let (one, _) = lab.connected(a, b, addr(SERVER));
    lab.world.partition(&[HostId(0)], &[HostId(1)]);
    lab.write(a, one, &"x".repeat((1 << 20) + 1));
    let Some(ConnectionError::Other { detail }) = lab.closed(a).1 else {
        panic!("it is cut");
    };
    assert!(detail.contains("does not read"), "{detail}");
}

#[test]
fn a_node_that_leaves_closes_its_connections_in_order() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab);
    let (one, _) = lab.connected(a, b, addr(SERVER));
    lab.write(a, one, "goodbye");
    assert!(lab.world.remove(a).is_some());
    lab.pass(ms(100));
    assert!(matches!(
        lab.next(b),
        Some((_, Heard::Input(Input::Stream { .. })))
    ));
    assert_eq!(lab.closed(b).1, None);
}

#[test]
fn more_connections_than_the_limit_are_not_opened() {
    let mut config = WorldConfig::new(Seed::from_number(1));
    config.limits.connections = 2;
    let mut lab = Lab::with(config);
    let (a, b) = pair(&mut lab);
    let (one, _) = lab.connected(a, b, addr(SERVER));
    lab.connected(a, b, addr(SERVER));
    lab.connect(a, addr(SERVER), None);
    let ConnectionError::Other { detail } = lab.connect_failed(a).1 else {
        panic!("it is one too many");
    };
    assert!(detail.contains("2 connections"), "{detail}");
    lab.close(a, one);
    lab.pass(ms(100));
    lab.closed(a);
    lab.closed(b);
    lab.connected(a, b, addr(SERVER));
}

#[test]
fn a_listener_that_is_gone_when_the_third_packet_comes_resets() {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (socket, _) = lab.listen(b, Transport::Tcp, SERVER);
    lab.connect(a, addr(SERVER), None);
    lab.pass(ms(25));
    assert!(matches!(
        lab.next(a),
        Some((_, Heard::Input(Input::Connected { .. })))
    ));
    lab.output(b, Output::Unbind { socket });
    lab.pass(ms(100));
    assert_eq!(lab.closed(a), (at(40), Some(ConnectionError::Reset)));
    assert!(lab.next(b).is_none());
}

#[test]
fn the_tap_sees_what_was_sent_once_with_its_cause() {
    let mut lab = Lab::linked(
        3,
        Link {
            loss: Loss::Uniform(0.3),
            ..Link::default()
        },
    );
    let (a, b) = pair(&mut lab);
    let (connection, _) = lab.connected(a, b, addr(SERVER));
    let records = Records::of(&mut lab);
    let bytes = bytes::Bytes::from(vec![b'x'; 5_000]);
    let cause = Some(Cause(42));
    lab.output(
        a,
        Output::Stream {
            connection,
            bytes,
            cause,
        },
    );
    lab.pass(Duration::from_secs(30));
    let seen = records.take();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].carrier, seen[0].fate, seen[0].cause),
        (Carrier::Tcp, Fate::Sent, cause)
    );
    assert_eq!((seen[0].bytes.len(), seen[0].party), (5_000, a.0));
    assert_eq!(seen[0].destination, addr(SERVER));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_lost_and_delayed_the_stream_is_what_was_sent(
        seed: u64,
        loss in 0.0f64..0.6,
        jitter in 0u64..100,
        narrow: bool,
        pieces in proptest::collection::vec((1usize..4_000, 0u64..50), 1..30),
    ) {
        let bandwidth = narrow.then_some(Bandwidth { bits_per_second: 256_000, queue_octets: 3_000 });
        let link = Link { jitter: ms(jitter), loss: Loss::Uniform(loss), bandwidth, ..Link::default() };
        let mut lab = Lab::seeded(seed);
        let (a, b) = pair(&mut lab);
        let (one, _) = lab.connected(a, b, addr(SERVER));
        lab.world.set_default_link(link);
        let mut sent = String::new();
        for (index, (length, pause)) in pieces.into_iter().enumerate() {
            let text: String = (0..length).map(|at| char::from(b'a' + ((index * 7 + at) % 26) as u8)).collect();
            lab.write(a, one, &text);
            lab.pass(ms(pause));
            sent += &text;
        }
        // Short of the time after which a connection is given up.
        lab.pass(Duration::from_secs(59));
        let arrived = lab.texts(b);
        prop_assert!(arrived.is_sorted_by_key(|(at, _): &(Time, String)| *at));
        let text: String = arrived.into_iter().map(|(_, text)| text).collect();
        prop_assert!(sent.starts_with(&text));
        if loss < 0.1 {
            prop_assert_eq!(text.len(), sent.len());
        }
    }
}
