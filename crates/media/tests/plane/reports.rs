//! RTCP between the two.

use std::time::Duration;

use callwright_media::{Command, Event};
use rtcp_types::{Compound, Packet};

use crate::pair::{Alice, Bob, LATENCY, Pair, RTCP, RTP, address, millis, towards};

#[test]
fn the_round_trip_is_measured_within_three_seconds() {
    let mut pair = Pair::call();
    pair.network(|_, _| vec![millis(40)]);
    pair.run(millis(3_000));
    for side in [Alice, Bob] {
        let round_trip = pair.stats(side).round_trip.expect("a round trip");
        assert!(round_trip.abs_diff(millis(80)) < millis(1), "{round_trip:?}");
    }
}

#[test]
fn no_round_trip_is_made_up_without_reports() {
    let mut pair = Pair::call();
    pair.network(|sent, _| if sent.is_rtp() { vec![LATENCY] } else { Vec::new() });
    pair.run(Duration::from_secs(30));
    let stats = pair.stats(Alice);
    assert_eq!(
        (stats.round_trip, stats.remote, stats.received.rtcp_packets),
        (None, None, 0)
    );
}

#[test]
fn reports_are_compounds_that_a_library_reads_as_they_were_meant() {
    let mut pair = Pair::call();
    pair.run(Duration::from_secs(12));
    let reports: Vec<_> = pair
        .sent
        .iter()
        .filter(|sent| sent.by == Alice && !sent.is_rtp())
        .collect();
    assert!(
        (3..=6).contains(&reports.len()),
        "{} reports in 12 s",
        reports.len()
    );
    assert!(
        reports
            .iter()
            .all(|sent| sent.socket == RTCP && sent.to == address(Bob, RTCP))
    );
    let last = reports.last().expect("a report");
    let packets: Vec<_> = Compound::parse(&last.bytes)
        .expect("a compound")
        .collect::<Result<_, _>>()
        .expect("packets");
    let [Packet::Sr(sender), Packet::Sdes(names)] = packets.as_slice() else {
        panic!("{packets:?}");
    };
    let own = pair.rtp_sent(Alice).filter(|sent| sent.time <= last.time).count() as u32;
    assert_eq!(
        sender.ssrc(),
        pair.rtp_sent(Alice).next().expect("a packet").ssrc()
    );
    assert_eq!((sender.packet_count(), sender.octet_count()), (own, own * 160));
    // 2030-01-01 and the time of the simulation, in seconds since 1900.
    let expected = 1_893_456_000 + 2_208_988_800 + last.time.as_millis() / 1_000;
    assert_eq!(sender.ntp_timestamp() >> 32, expected);
    let block = sender
        .report_blocks()
        .next()
        .expect("a block about the other side");
    assert_eq!((block.fraction_lost(), block.cumulative_lost()), (0, 0));
    let name = names.chunks().next().and_then(|chunk| {
        let item = chunk.items().next()?;
        Some((item.type_(), item.length()))
    });
    assert_eq!(name, Some((1, 20)));
}

#[test]
fn what_the_other_side_lost_is_known() {
    let mut pair = Pair::call();
    // One in four of what Alice sends is lost.
    pair.network(|sent, number| {
        let lost = sent.by == Alice && sent.is_rtp() && number % 4 == 2;
        if lost { Vec::new() } else { vec![LATENCY] }
    });
    pair.run(Duration::from_secs(10));
    let remote = pair.stats(Alice).remote.expect("a report");
    assert!((remote.fraction_lost - 0.25).abs() < 0.01, "{remote:?}");
    assert!(remote.lost > 30);
    assert_eq!(pair.stats(Bob).remote.expect("a report").lost, 0);
}

#[test]
fn a_side_that_only_listens_sends_receiver_reports() {
    let mut pair = Pair::opened();
    let mut listening = towards(Alice);
    listening.direction = callwright_sdp::Direction::RecvOnly;
    pair.command(Alice, Command::Start(Box::new(towards(Bob))));
    pair.command(Bob, Command::Start(Box::new(listening)));
    pair.run(Duration::from_secs(10));
    let report = pair.sent.iter().find(|sent| sent.by == Bob).expect("a report");
    assert_eq!(report.bytes[1], 201);
    assert!(pair.stats(Alice).round_trip.is_some());
}

#[test]
fn one_port_is_enough_when_both_agree() {
    let mut pair = Pair::opened();
    for (side, other) in [(Alice, Bob), (Bob, Alice)] {
        let mut start = towards(other);
        start.rtcp_mux = true;
        pair.command(side, Command::Start(Box::new(start)));
    }
    pair.run(millis(3_000));
    assert!(pair.sent.iter().all(|sent| sent.socket == RTP));
    for side in [Alice, Bob] {
        let stats = pair.stats(side);
        assert!(stats.round_trip.is_some());
        assert_eq!((stats.refused.malformed, stats.received.lost), (0, 0));
    }
}

#[test]
fn a_session_that_ends_says_goodbye() {
    let mut pair = Pair::call();
    pair.run(millis(500));
    pair.close(Alice);
    pair.run(millis(100));
    let events = pair.events_of(Bob);
    assert_eq!(
        events.iter().filter(|event| ***event == Event::RemoteBye).count(),
        1
    );
}

#[test]
fn a_session_that_never_said_anything_ends_silently() {
    let mut pair = Pair::opened();
    pair.close(Alice);
    assert!(pair.sent.is_empty());
}
