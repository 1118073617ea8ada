//! Digits through the plane.

use std::time::Duration;

use callwright_media::plane::{CommandError, Dtmf, DtmfMode};
use callwright_media::{Command, Event};
use proptest::prelude::*;

use crate::pair::{Alice, Bob, LATENCY, Pair, millis, tone, towards};

const ALL: &str = "0123456789*#ABCD";

fn send(digits: &str, mode: DtmfMode) -> Command {
    Command::Dtmf(Dtmf::new(digits, mode))
}

#[test]
fn every_digit_arrives_once_in_order_with_its_duration() {
    let mut pair = Pair::call();
    pair.run(millis(200));
    pair.command(Alice, send(ALL, DtmfMode::Rfc4733));
    pair.run(millis(200 * 16 + 300));
    assert_eq!(pair.digits(Bob), ALL);
    for event in pair.events_of(Bob) {
        if let Event::Digit { duration, mode, .. } = event {
            assert_eq!((*duration, *mode), (Some(millis(100)), DtmfMode::Rfc4733));
        }
    }
    assert_eq!(
        pair.events_of(Alice)
            .iter()
            .filter(|event| ***event == Event::DtmfSent)
            .count(),
        1
    );
    assert_eq!(pair.stats(Bob).received.lost, 0);
}

#[test]
fn an_event_is_sent_as_rfc_4733_says() {
    let mut pair = Pair::call();
    pair.command(Alice, tone(1_000.0));
    pair.run(millis(100));
    pair.command(Alice, send("5", DtmfMode::Rfc4733));
    pair.run(millis(400));
    let all: Vec<_> = pair.rtp_sent(Alice).cloned().collect();
    let first = all
        .iter()
        .position(|sent| sent.payload_type() == 101)
        .expect("events");
    let events: Vec<_> = all.iter().filter(|sent| sent.payload_type() == 101).collect();
    // Event, E bit with volume, duration: at 20, 60 and 100 ms, the end three times.
    let payloads: Vec<&[u8]> = events.iter().map(|sent| &sent.bytes[12..]).collect();
    assert_eq!(
        payloads,
        [
            [5, 10, 0, 160],
            [5, 10, 1, 224],
            [5, 0x8a, 3, 32],
            [5, 0x8a, 3, 32],
            [5, 0x8a, 3, 32]
        ]
    );
    assert!(
        events
            .iter()
            .all(|sent| sent.timestamp() == events[0].timestamp())
    );
    let markers: Vec<bool> = events.iter().map(|sent| sent.bytes[1] & 0x80 != 0).collect();
    assert_eq!(markers, [true, false, false, false, false]);
    let start = events[0].time;
    let offsets: Vec<u128> = events
        .iter()
        .map(|sent| (sent.time - start).as_millis())
        .collect();
    assert_eq!(offsets, [0, 40, 80, 100, 120]);
    // Audio pauses for the event and its repeated end, and goes on where the clock is.
    let (before, after) = (&all[first - 1], &all[first + 5]);
    assert_eq!(after.payload_type(), 0);
    assert_eq!(after.timestamp().wrapping_sub(before.timestamp()), 8 * 160);
    assert!(
        all.windows(2)
            .all(|pair| pair[1].sequence() == pair[0].sequence().wrapping_add(1))
    );
}

#[test]
fn no_digits_at_all_are_sent_at_once() {
    let mut pair = Pair::call();
    pair.command(Alice, send("", DtmfMode::Rfc4733));
    assert_eq!(pair.events_of(Alice), [&Event::DtmfSent]);
}

#[test]
fn digits_of_two_commands_do_not_overlap() {
    let mut pair = Pair::call();
    pair.command(Alice, send("12", DtmfMode::Rfc4733));
    pair.command(Alice, send("34", DtmfMode::Rfc4733));
    pair.run(millis(1_500));
    assert_eq!(pair.digits(Bob), "1234");
}

#[test]
fn the_shortest_gap_still_keeps_equal_digits_apart() {
    let mut pair = Pair::call();
    pair.command(
        Alice,
        Command::Dtmf(Dtmf {
            digits: "7777".into(),
            tone: Duration::ZERO,
            gap: Duration::ZERO,
            mode: DtmfMode::Rfc4733,
        }),
    );
    pair.run(millis(1_000));
    assert_eq!(pair.digits(Bob), "7777");
}

#[test]
fn a_tone_of_twenty_seconds_is_one_digit_in_segments() {
    let mut pair = Pair::call();
    pair.command(
        Alice,
        Command::Dtmf(Dtmf {
            digits: "#".into(),
            tone: Duration::from_secs(20),
            gap: millis(100),
            mode: DtmfMode::Rfc4733,
        }),
    );
    pair.run(Duration::from_secs(21));
    assert_eq!(pair.digits(Bob), "#");
    let heard = pair.events_of(Bob).into_iter().find_map(|event| match event {
        Event::Digit { duration, .. } => *duration,
        _ => None,
    });
    assert_eq!(heard, Some(Duration::from_secs(20)));
}

#[test]
fn digits_in_band_are_heard_by_who_listens_for_them() {
    let mut pair = Pair::call();
    pair.command(Bob, Command::ListenDtmf(true));
    pair.run(millis(100));
    pair.command(Alice, send(ALL, DtmfMode::Inband));
    pair.run(millis(200 * 16 + 300));
    assert_eq!(pair.digits(Bob), ALL);
    assert!(pair.rtp_sent(Alice).all(|sent| sent.payload_type() == 0));
    assert!(pair.events_of(Alice).contains(&&Event::DtmfSent));
}

#[test]
fn a_side_that_does_not_listen_hears_no_digits_in_band() {
    let mut pair = Pair::call();
    pair.command(Alice, send("123", DtmfMode::Inband));
    pair.run(millis(1_000));
    assert_eq!(pair.digits(Bob), "");
}

#[test]
fn a_bad_digit_is_refused_before_anything_is_sent() {
    let mut pair = Pair::call();
    let (now, session) = (pair.now, pair.session(Alice));
    let refused = pair
        .plane(Alice)
        .command(now, session, send("12x4", DtmfMode::Rfc4733));
    assert_eq!(refused, Err(CommandError::NotADigit { character: 'x' }));
    pair.run(millis(1_000));
    assert_eq!(pair.digits(Bob), "");
}

#[test]
fn telephone_events_that_were_not_agreed_on_are_refused() {
    let mut pair = Pair::opened();
    let mut start = towards(Bob);
    start.telephone_event_send = None;
    pair.command(Alice, Command::Start(Box::new(start)));
    let (now, session) = (pair.now, pair.session(Alice));
    let refused = pair
        .plane(Alice)
        .command(now, session, send("1", DtmfMode::Rfc4733));
    assert_eq!(refused, Err(CommandError::NoTelephoneEvent));
}

#[test]
fn digits_wait_while_events_are_not_agreed_on() {
    let mut pair = Pair::call();
    pair.command(Alice, send("12", DtmfMode::Rfc4733));
    let mut without = towards(Bob);
    without.telephone_event_send = None;
    pair.command(Alice, Command::Start(Box::new(without)));
    pair.run(millis(1_000));
    assert!(pair.rtp_sent(Alice).skip(1).all(|sent| sent.payload_type() == 0));
    assert!(!pair.events_of(Alice).contains(&&Event::DtmfSent));
    pair.command(Alice, Command::Start(Box::new(towards(Bob))));
    pair.run(millis(1_000));
    assert_eq!(pair.digits(Bob), "12");
}

#[test]
fn a_digit_whose_end_is_lost_is_over_when_nothing_more_comes() {
    let mut pair = Pair::call();
    pair.network(|sent, _| {
        let is_end = sent.is_rtp() && sent.payload_type() == 101 && sent.bytes[13] & 0x80 != 0;
        if is_end { Vec::new() } else { vec![LATENCY] }
    });
    pair.command(Alice, send("9", DtmfMode::Rfc4733));
    pair.run(millis(1_000));
    assert_eq!(pair.digits(Bob), "9");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// One packet of each event gets through, everything else is lost, doubled or late at random.
    #[test]
    fn every_digit_of_a_burst_arrives_once_while_one_packet_of_each_event_does(
        digits in "[0-9*#A-D]{1,12}",
        fates in proptest::collection::vec(0u8..6, 96),
        survivors in proptest::collection::vec(0usize..5, 12),
    ) {
        let mut pair = Pair::call();
        pair.run(millis(100));
        let mut event = None;
        let mut number = 0;
        let mut packet = 0;
        pair.network(move |sent, count| {
            if sent.by == Bob || !sent.is_rtp() {
                return vec![LATENCY];
            }
            if sent.payload_type() == 101 {
                if event != Some(sent.timestamp()) {
                    number = if event.is_some() { number + 1 } else { 0 };
                    event = Some(sent.timestamp());
                    packet = 0;
                }
                packet += 1;
                if packet - 1 == survivors[number % survivors.len()] {
                    return vec![LATENCY];
                }
            }
            match fates[count as usize % fates.len()] {
                0 | 1 => Vec::new(),
                2 => vec![LATENCY, millis(25)],
                3 => vec![millis(45)],
                _ => vec![LATENCY],
            }
        });
        pair.command(Alice, send(&digits, DtmfMode::Rfc4733));
        pair.run(millis(200 * digits.len() as u64 + 800));
        prop_assert_eq!(pair.digits(Bob), digits);
    }
}
