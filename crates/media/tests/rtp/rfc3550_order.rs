//! RFC 3550 §5.1: sequence numbers restore the order of packets.

use std::time::Duration;

use callwright_media::jitter::{Heard, Playout, Put};
use callwright_wire::Time;
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Out {
    Packet(u16),
    Lost(u16),
    Late(u16),
}

fn note(out: &mut Vec<Out>) -> impl FnMut(Heard<'_>) {
    |heard| {
        out.push(match heard {
            Heard::Packet(packet) => {
                assert_eq!(packet.payload, packet.sequence.to_be_bytes());
                Out::Packet(packet.sequence)
            }
            Heard::Lost(missing) => Out::Lost(missing),
            Heard::Late(packet) => Out::Late(packet.sequence),
        });
    }
}

fn put(playout: &mut Playout, arrived_ms: u64, sequence: u16, out: &mut Vec<Out>) {
    let packet = Put {
        arrived: Time::from_millis(arrived_ms),
        sequence,
        timestamp: 0,
        payload_type: 0,
        marker: false,
        payload: &sequence.to_be_bytes(),
    };
    playout.put(packet, note(out));
}

fn all(sequences: &[u16]) -> (Vec<Out>, Playout) {
    let (mut playout, mut out) = (Playout::default(), Vec::new());
    for &sequence in sequences {
        put(&mut playout, 0, sequence, &mut out);
    }
    (out, playout)
}

#[test]
fn packets_in_order_are_heard_at_once() {
    let (out, playout) = all(&[65_534, 65_535, 0, 1]);
    assert_eq!(out, [65_534, 65_535, 0, 1].map(Out::Packet));
    assert!(!playout.is_waiting());
}

#[test]
fn packets_out_of_order_are_put_right() {
    let (out, playout) = all(&[9, 12, 11, 10, 13, 12]);
    assert_eq!(out, [9, 10, 11, 12, 13].map(Out::Packet));
    assert_eq!(
        (
            playout.counts().reordered,
            playout.counts().lost,
            playout.counts().late
        ),
        (2, 0, 0)
    );
}

#[test]
fn a_gap_is_given_up_after_sixty_milliseconds() {
    let (mut playout, mut out) = (Playout::default(), Vec::new());
    for (arrived_ms, sequence) in [(0, 1), (40, 3), (60, 4)] {
        put(&mut playout, arrived_ms, sequence, &mut out);
    }
    playout.expire(Time::from_millis(99), note(&mut out));
    assert_eq!(out, [Out::Packet(1)]);
    playout.expire(Time::from_millis(100), note(&mut out));
    assert_eq!(
        out,
        [Out::Packet(1), Out::Lost(1), Out::Packet(3), Out::Packet(4)]
    );
    put(&mut playout, 101, 2, &mut out);
    put(&mut playout, 102, 2, &mut out);
    assert_eq!(out.last(), Some(&Out::Late(2)));
    assert_eq!(out.len(), 5);
    let counts = playout.counts();
    assert_eq!((counts.played, counts.lost, counts.late), (3, 1, 1));
}

#[test]
fn a_gap_is_given_up_when_eight_packets_wait() {
    let (out, _) = all(&[1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(out, [Out::Packet(1)]);
    let (out, _) = all(&[1, 3, 4, 5, 6, 7, 8, 9, 10]);
    let mut expected = vec![Out::Packet(1), Out::Lost(1)];
    expected.extend((3..=10).map(Out::Packet));
    assert_eq!(out, expected);
}

#[test]
fn behind_a_gap_that_no_reordering_makes_the_next_packet_is_heard_at_once() {
    let (out, playout) = all(&[1, 9, 1_001, 1_002]);
    let expected = [
        Out::Packet(1),
        Out::Lost(7),
        Out::Packet(9),
        Out::Lost(991),
        Out::Packet(1_001),
        Out::Packet(1_002),
    ];
    assert_eq!(out, expected);
    assert!(!playout.is_waiting());
    assert_eq!(playout.counts().lost, 998);
}

#[test]
fn a_restart_lets_go_of_what_waits() {
    let (_, mut playout) = all(&[1, 3]);
    let mut out = Vec::new();
    playout.restart(note(&mut out));
    put(&mut playout, 1, 50_000, &mut out);
    assert_eq!(out, [Out::Lost(1), Out::Packet(3), Out::Packet(50_000)]);
}

proptest! {
    /// Whatever comes: nothing is heard twice, order never goes back, and all is accounted for.
    #[test]
    fn nothing_is_heard_twice_or_out_of_order(
        start: u16,
        moves in proptest::collection::vec((0u16..20, 0u64..50), 1..200),
    ) {
        let (mut playout, mut out) = (Playout::default(), Vec::new());
        let mut now = 0;
        for (step, (ahead, wait)) in moves.iter().enumerate() {
            now += wait;
            playout.expire(Time::from_millis(now), note(&mut out));
            let sequence = start.wrapping_add(step as u16).wrapping_add(*ahead).wrapping_sub(10);
            put(&mut playout, now, sequence, &mut out);
        }
        playout.expire(Time::from_millis(now) + Duration::from_secs(1), note(&mut out));
        prop_assert!(!playout.is_waiting());
        let mut next = None;
        let mut played = std::collections::BTreeSet::new();
        for heard in &out {
            match heard {
                Out::Packet(sequence) => {
                    prop_assert_eq!(*sequence, next.unwrap_or(*sequence));
                    next = Some(sequence.wrapping_add(1));
                    prop_assert!(played.insert(*sequence));
                }
                Out::Lost(missing) => next = next.map(|next: u16| next.wrapping_add(*missing)),
                Out::Late(sequence) => prop_assert!(played.insert(*sequence)),
            }
        }
    }
}
