//! Figures that are exact, and figures that are not there before they were measured.

use std::time::Duration;

use callwright_media::rtp::Header;
use callwright_media::{Command, Event};

use crate::pair::{Alice, Bob, LATENCY, Pair, RTP, address, millis, towards};

#[test]
fn a_clean_call_has_no_loss_and_no_jitter_and_good_quality() {
    let mut pair = Pair::call();
    pair.run(Duration::from_secs(20));
    let stats = pair.stats(Bob);
    let on_the_way = pair.stats(Alice).sent.packets - stats.received.packets;
    assert!(on_the_way <= 1);
    assert_eq!(stats.received.octets, stats.received.packets * 160);
    assert_eq!(stats.received.expected, stats.received.packets);
    assert_eq!(
        (stats.received.lost, stats.received.late, stats.received.reordered),
        (0, 0, 0)
    );
    assert_eq!(stats.received.loss_ratio, Some(0.0));
    assert_eq!(stats.received.burst_ratio, None);
    assert_eq!(stats.received.jitter, Some(Duration::ZERO));
    let mos = stats.mos.expect("quality");
    assert!((4.3..=4.5).contains(&mos), "{mos}");
}

#[test]
fn an_outage_of_minutes_is_loss() {
    let mut pair = Pair::call();
    pair.network(|sent, number| {
        let is_out = sent.by == Alice && (100..15_100).contains(&number);
        if is_out { Vec::new() } else { vec![LATENCY] }
    });
    pair.run(Duration::from_secs(310));
    let stats = pair.stats(Bob);
    assert_eq!(stats.received.lost, 15_000);
    let ratio = stats.received.loss_ratio.expect("more than a second of audio");
    assert!((0.95..0.98).contains(&ratio), "{ratio}");
    assert_eq!(stats.refused.other_ssrc, 0);
}

#[test]
fn nothing_is_said_about_quality_before_a_second_of_audio() {
    let mut pair = Pair::call();
    pair.run(millis(900));
    let stats = pair.stats(Bob);
    assert_eq!(
        (stats.mos, stats.received.jitter, stats.received.loss_ratio),
        (None, None, None)
    );
    pair.run(millis(200));
    let stats = pair.stats(Bob);
    assert!(stats.mos.is_some() && stats.received.jitter.is_some() && stats.received.loss_ratio.is_some());
}

#[test]
fn without_packets_there_is_no_quality_at_all() {
    let mut pair = Pair::call();
    pair.network(|_, _| Vec::new());
    pair.run(Duration::from_secs(20));
    let stats = pair.stats(Bob);
    assert_eq!(
        (stats.mos, stats.received.jitter, stats.received.first),
        (None, None, None)
    );
    assert_eq!(
        (
            stats.received.packets,
            stats.received.expected,
            stats.received.lost
        ),
        (0, 0, 0)
    );
}

#[test]
fn loss_duplication_and_reordering_are_counted_exactly() {
    let mut pair = Pair::call();
    pair.network(|sent, number| {
        if sent.by == Bob || !sent.is_rtp() || number < 10 {
            return vec![LATENCY];
        }
        match number % 20 {
            3 | 4 => Vec::new(),
            8 => vec![LATENCY, millis(6)],
            12 => vec![millis(30)],
            16 => vec![millis(300)],
            _ => vec![LATENCY],
        }
    });
    pair.run(Duration::from_secs(10));
    // The network from here on is clean, and what was on its way arrives.
    pair.network(|_, _| vec![LATENCY]);
    pair.run(millis(400));
    let numbers = 10..500u64;
    let of = |kind: u64| numbers.clone().filter(|number| number % 20 == kind).count() as u64;
    let stats = pair.stats(Bob).received;
    assert_eq!(stats.duplicates, of(8));
    assert_eq!(stats.reordered, of(12));
    assert_eq!(stats.late, of(16));
    assert_eq!(stats.lost, (of(3) + of(4)) as i64 - of(8) as i64);
    let sent = stats.expected;
    let unheard = of(3) + of(4) + of(16);
    assert_eq!(stats.loss_ratio, Some(unheard as f64 / sent as f64));
    let gaps = of(3) + of(16);
    let random = 1.0 / (1.0 - unheard as f64 / sent as f64);
    assert_eq!(stats.burst_ratio, Some(unheard as f64 / gaps as f64 / random));
}

#[test]
fn loss_costs_quality_and_bursts_cost_more() {
    let quality = |fate: fn(u64) -> bool| {
        let mut pair = Pair::call();
        pair.network(move |_, number| if fate(number) { Vec::new() } else { vec![LATENCY] });
        pair.run(Duration::from_secs(30));
        pair.stats(Bob).mos.expect("quality")
    };
    let clean = quality(|_| false);
    let random = quality(|number| number % 20 == 7);
    let bursty = quality(|number| number % 100 >= 95);
    assert!(clean > random && random > bursty, "{clean} {random} {bursty}");
    assert!(bursty > 1.0);
}

#[test]
fn jitter_is_that_of_rfc_3550() {
    let mut pair = Pair::call();
    // Every other packet comes 8 ms later: each difference is 8 ms, and the mean goes there.
    pair.network(|_, number| vec![millis(5 + 8 * (number % 2))]);
    pair.run(Duration::from_secs(10));
    let jitter = pair.stats(Bob).received.jitter.expect("jitter");
    assert!(
        jitter.abs_diff(millis(8)) < Duration::from_micros(200),
        "{jitter:?}"
    );
}

#[test]
fn another_source_starts_the_statistics_anew() {
    let mut pair = Pair::call();
    pair.network(|sent, number| {
        if sent.by == Alice && number % 5 == 4 {
            Vec::new()
        } else {
            vec![LATENCY]
        }
    });
    pair.run(millis(2_000));
    let before = pair.stats(Bob).received;
    assert!(before.lost > 15);
    let old = pair.rtp_sent(Alice).next().expect("a packet").ssrc();
    pair.close(Alice);
    let mut packet = [0; 172];
    for number in 0..100u16 {
        pair.run(millis(20));
        let header = Header {
            sequence: 5_000 + number,
            timestamp: u32::from(number) * 160,
            ssrc: 77,
            ..Header::default()
        };
        header.write(&[0xff; 160], &mut packet);
        pair.inject(Bob, RTP, address(Alice, RTP), &packet);
    }
    let stats = pair.stats(Bob);
    let expected = Event::SsrcChanged { before: old, now: 77 };
    assert!(pair.events_of(Bob).contains(&&expected));
    assert_eq!((stats.received.lost, stats.received.expected), (0, 100));
    assert_eq!(stats.received.loss_ratio, Some(0.0));
    assert_eq!((stats.received.source_changes, stats.refused.other_ssrc), (1, 1));
}

#[test]
fn a_stray_packet_of_another_source_changes_nothing() {
    let mut pair = Pair::call();
    pair.run(millis(500));
    for number in 0..3 {
        let mut packet = [0; 172];
        let header = Header {
            sequence: 100 + 7 * number,
            ssrc: 77,
            ..Header::default()
        };
        header.write(&[0xff; 160], &mut packet);
        pair.inject(Bob, RTP, address(Alice, RTP), &packet);
        pair.run(millis(100));
    }
    let stats = pair.stats(Bob);
    assert_eq!((stats.received.source_changes, stats.refused.other_ssrc), (0, 3));
    assert_eq!(stats.received.lost, 0);
}

#[test]
fn payload_types_nobody_agreed_on_are_counted_and_not_heard() {
    let mut pair = Pair::opened();
    let mut start = towards(Bob);
    start.send.as_mut().expect("a format").payload_type = 96;
    pair.command(Alice, Command::Start(Box::new(start)));
    pair.command(Bob, Command::Start(Box::new(towards(Alice))));
    pair.run(millis(1_000));
    let stats = pair.stats(Bob);
    assert!(stats.refused.unknown_payload_type >= 49);
    assert_eq!(stats.received.packets, 0);
    assert!(
        !pair
            .events_of(Bob)
            .iter()
            .any(|event| matches!(event, Event::FirstPacket { .. }))
    );
    assert!(
        pair.planes[1]
            .recent_audio(pair.sessions[1], Duration::from_secs(1))
            .is_empty()
    );
}

#[test]
fn garbage_is_counted() {
    let mut pair = Pair::call();
    pair.run(millis(100));
    let from = address(Alice, RTP);
    // Nothing, one byte, STUN, DTLS, version 1, a CSRC list and padding that do not fit, 3,000 bytes.
    let stun = [
        0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let mut csrc = [0; 20];
    csrc[0] = 0x8f;
    let mut padding = [0; 20];
    padding[0] = 0xa0;
    padding[19] = 200;
    let before = pair.stats(Bob).received.packets;
    let garbage: [&[u8]; 8] = [
        &[],
        &[0x80],
        &stun,
        &[22; 40],
        &[0x40; 40],
        &csrc,
        &padding,
        &[0x80; 3_000],
    ];
    for bytes in garbage {
        pair.inject(Bob, RTP, from, bytes);
    }
    let stats = pair.stats(Bob);
    assert_eq!((stats.refused.malformed, stats.received.packets), (8, before));
}
