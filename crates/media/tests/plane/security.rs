//! SRTP through the plane.

use std::time::Duration;

use callwright_media::Command;
use callwright_media::plane::{Dtmf, DtmfMode, Remote, SrtpKeys};
use callwright_media::srtp::{MasterKey, Suite};

use crate::pair::{Alice, Bob, LATENCY, Pair, Side, millis, tone, towards};

fn key(byte: u8, suite: Suite) -> MasterKey {
    MasterKey::new(suite, &[byte; 30])
}

fn start(pair: &mut Pair, side: Side, keys: SrtpKeys) {
    let mut start = towards(if side == Alice { Bob } else { Alice });
    start.srtp = Some(keys);
    pair.command(side, Command::Start(Box::new(start)));
}

fn secured(suite: Suite) -> Pair {
    let mut pair = Pair::opened();
    for (side, own, other) in [(Alice, 1, 2), (Bob, 2, 1)] {
        let keys = SrtpKeys {
            send: key(own, suite),
            receive: Some(key(other, suite)),
        };
        start(&mut pair, side, keys);
    }
    pair
}

#[test]
fn both_sides_hear_each_other_under_either_suite() {
    for (suite, overhead) in [(Suite::AesCm128HmacSha1_80, 10), (Suite::AesCm128HmacSha1_32, 4)] {
        let mut pair = secured(suite);
        for (side, hz) in [(Alice, 500.0), (Bob, 900.0)] {
            pair.command(side, tone(hz));
        }
        pair.command(Alice, Command::Listen { hz: 900.0 });
        pair.command(Bob, Command::Listen { hz: 500.0 });
        pair.command(Alice, Command::Dtmf(Dtmf::new("123", DtmfMode::Rfc4733)));
        pair.run(millis(3_000));
        assert!(pair.heard_at(Alice, 900.0).is_some());
        assert!(pair.heard_at(Bob, 500.0).is_some());
        assert_eq!(pair.digits(Bob), "123");
        for side in [Alice, Bob] {
            let stats = pair.stats(side);
            assert!(stats.round_trip.is_some(), "SRTCP works too");
            assert_eq!(
                (
                    stats.refused.unauthentic,
                    stats.refused.replayed,
                    stats.received.lost
                ),
                (0, 0, 0)
            );
        }
        for sent in pair.rtp_sent(Bob) {
            assert_eq!(sent.bytes.len(), 172 + overhead);
            let clear = sent.clear.as_ref().expect("the clear text for captures");
            assert_eq!(clear.len(), 172);
            assert_eq!(clear[..12], sent.bytes[..12]);
            assert_ne!(clear[12..], sent.bytes[12..172]);
        }
    }
}

#[test]
fn with_a_wrong_key_nothing_is_heard_and_all_is_counted() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut pair = Pair::opened();
    for side in [Alice, Bob] {
        let keys = SrtpKeys {
            send: key(1, suite),
            receive: Some(key(9, suite)),
        };
        start(&mut pair, side, keys);
    }
    pair.command(Alice, tone(1_000.0));
    pair.command(Bob, Command::Listen { hz: 1_000.0 });
    pair.run(millis(2_000));
    let stats = pair.stats(Bob);
    assert_eq!(pair.heard_at(Bob, 1_000.0), None);
    assert_eq!(stats.received.packets, 0);
    assert!(stats.refused.unauthentic >= 99, "{:?}", stats.refused);
    assert_eq!((stats.round_trip, stats.mos), (None, None));
    assert!(
        pair.planes[1]
            .recent_audio(pair.sessions[1], Duration::from_secs(3))
            .is_empty()
    );
}

#[test]
fn media_before_the_key_is_counted_and_heard_once_the_key_is_there() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut pair = Pair::opened();
    let mut keys = SrtpKeys {
        send: key(1, suite),
        receive: None,
    };
    start(&mut pair, Alice, keys.clone());
    let answer = SrtpKeys {
        send: key(2, suite),
        receive: Some(key(1, suite)),
    };
    start(&mut pair, Bob, answer);
    pair.run(millis(400));
    let early = pair.stats(Alice);
    assert_eq!(early.received.packets, 0);
    assert!(early.refused.unauthentic >= 15);
    keys.receive = Some(key(2, suite));
    start(&mut pair, Alice, keys);
    pair.run(millis(400));
    assert!(pair.stats(Alice).received.packets >= 19);
}

#[test]
fn renegotiating_with_the_same_keys_keeps_the_stream_and_with_new_ones_too() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut pair = secured(suite);
    pair.run(millis(500));
    for (alice, bob) in [(1, 2), (3, 4)] {
        pair.run(LATENCY * 2);
        for (side, own, other) in [(Alice, alice, bob), (Bob, bob, alice)] {
            let keys = SrtpKeys {
                send: key(own, suite),
                receive: Some(key(other, suite)),
            };
            start(&mut pair, side, keys);
        }
        pair.run(millis(500));
    }
    let stats = pair.stats(Bob);
    // At most one packet of the old key is on its way when the keys change.
    assert!(stats.refused.unauthentic <= 1, "{:?}", stats.refused);
    assert!(stats.received.lost.abs() <= 1);
    assert!(stats.received.packets > 70);
}

#[test]
fn replayed_packets_are_not_heard_again() {
    let mut pair = secured(Suite::AesCm128HmacSha1_80);
    pair.network(|_, _| vec![LATENCY, millis(300)]);
    pair.run(millis(2_000));
    let stats = pair.stats(Bob);
    assert_eq!(stats.received.duplicates, 0);
    assert!(stats.refused.replayed >= 80, "{:?}", stats.refused);
}

#[test]
fn the_goodbye_of_a_session_is_shown_in_clear_text() {
    let mut pair = secured(Suite::AesCm128HmacSha1_80);
    pair.run(millis(200));
    let before = pair.sent.len();
    pair.close(Alice);
    let [goodbye] = &pair.sent[before..] else {
        panic!("{} datagrams instead of a goodbye", pair.sent.len() - before)
    };
    let clear = goodbye.clear.as_ref().expect("the clear text for captures");
    // The index and the tag of SRTCP are gone.
    assert_eq!(clear.len() + 14, goodbye.bytes.len());
    assert_ne!(clear[8..], goodbye.bytes[8..clear.len()]);
    // RFC 3550 §6.6: the BYE is the last packet of the compound.
    assert_eq!(clear[clear.len() - 8..clear.len() - 4], [0x81, 203, 0, 1]);
}

#[test]
fn one_authentic_packet_from_where_the_peer_was_does_not_call_the_stream_back() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut pair = secured(suite);
    pair.run(millis(200));
    let mut moved = towards(Alice);
    let elsewhere = ([203, 0, 113, 9], 9_000);
    moved.remote = Some(Remote {
        rtp: elsewhere.into(),
        rtcp: (elsewhere.0, elsewhere.1 + 1).into(),
    });
    moved.srtp = Some(SrtpKeys {
        send: key(2, suite),
        receive: Some(key(1, suite)),
    });
    pair.command(Bob, Command::Start(Box::new(moved)));
    // Alice goes on sending.
    pair.run(millis(200));
    let last = pair.rtp_sent(Bob).last().expect("a packet");
    assert_eq!(last.to, elsewhere.into());
}
