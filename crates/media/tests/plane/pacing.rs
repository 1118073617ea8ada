//! Fifty packets a second, whatever the clock does.

use std::time::Duration;

use callwright_media::plane::Ports;
use callwright_media::{Command, Plane, PlaneConfig};
use callwright_wire::{Epoch, SocketId, Time};

use crate::pair::{Alice, Bob, Pair, entropy, millis, towards};

#[test]
fn ten_minutes_are_thirty_thousand_packets() {
    let mut pair = Pair::call();
    pair.network(|_, _| Vec::new());
    pair.run(Duration::from_secs(600));
    for side in [Alice, Bob] {
        let sent = pair.stats(side).sent.packets;
        assert!((29_998..=30_002).contains(&sent), "{side:?} sent {sent}");
        assert_eq!(pair.stats(side).sent.skipped_packets, 0);
    }
    let times: Vec<u64> = pair.rtp_sent(Alice).map(|sent| sent.time.as_millis()).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 20));
}

#[test]
fn every_wake_up_late_by_less_than_sixty_milliseconds_costs_no_packet() {
    let mut pair = Pair::call();
    pair.network(|_, _| Vec::new());
    for step in 0..6_000u64 {
        pair.sleep(millis([10, 37, 55, 21, 59][step as usize % 5]));
    }
    // 6,000 steps of 36.4 ms on average.
    let expected = 6_000 * 182 / 5 / 20;
    let sent = pair.stats(Alice).sent.packets;
    assert!(
        (expected - 2..=expected + 2).contains(&sent),
        "{sent} packets, not {expected}"
    );
    assert_eq!(pair.stats(Alice).sent.skipped_packets, 0);
}

#[test]
fn a_late_wake_up_skips_samples_and_sends_no_burst() {
    let mut pair = Pair::call();
    pair.run(millis(1_000));
    let before = pair.rtp_sent(Alice).last().expect("a packet").clone();
    pair.sleep(millis(500));
    let at_once = pair.rtp_sent(Alice).filter(|sent| sent.time == pair.now).count();
    assert_eq!(at_once, 1);
    let after = pair.rtp_sent(Alice).last().expect("a packet").clone();
    assert_eq!(after.sequence(), before.sequence().wrapping_add(1));
    let ticks = after.timestamp().wrapping_sub(before.timestamp());
    let elapsed = (after.time - before.time).as_millis() as u32;
    assert!(
        ticks.abs_diff(elapsed * 8) < 160,
        "the timestamps keep to the clock"
    );
    let stats = pair.stats(Alice).sent;
    assert_eq!(u64::from(ticks), 160 + stats.skipped_samples);
    assert_eq!(stats.skipped_samples, 160 * stats.skipped_packets);
    pair.run(millis(1_000));
    let sent = pair.stats(Alice).sent;
    assert!((125 - 2..=125 + 2).contains(&(sent.packets + sent.skipped_packets)));
}

#[test]
fn lateness_is_measured_read_and_reset() {
    let mut pair = Pair::call();
    pair.run(millis(2_000));
    assert_eq!(pair.plane(Alice).lateness().p99(), Duration::ZERO);
    for _ in 0..100 {
        pair.sleep(millis(30));
    }
    let lateness = pair.plane(Alice).take_lateness();
    assert!(lateness.max() >= millis(20), "{lateness:?}");
    assert!(lateness.count() > 200);
    assert_eq!(pair.plane(Alice).lateness().count(), 0);
}

#[test]
fn the_lateness_of_packets_that_are_skipped_is_measured_too() {
    let mut pair = Pair::call();
    pair.run(millis(200));
    pair.plane(Alice).take_lateness();
    let before = pair.stats(Alice).sent;
    // Each wake-up comes 100 ms after the one before: what was due right after it is 100 ms late.
    for _ in 0..50 {
        pair.sleep(millis(100));
    }
    let sent = pair.stats(Alice).sent;
    assert!(
        sent.skipped_packets > 3 * (sent.packets - before.packets),
        "{sent:?}"
    );
    let lateness = pair.plane(Alice).lateness();
    let due = sent.packets - before.packets + sent.skipped_packets;
    assert_eq!(lateness.count(), due, "each packet that was due counts once");
    assert!(lateness.p99() >= millis(79), "{lateness:?}");
    assert!((millis(35)..millis(65)).contains(&lateness.p50()), "{lateness:?}");
}

#[test]
fn a_long_sleep_is_as_many_late_packets() {
    let mut pair = Pair::call();
    pair.run(millis(200));
    pair.plane(Alice).take_lateness();
    pair.sleep(Duration::from_secs(3_600));
    let lateness = pair.plane(Alice).lateness();
    assert_eq!(lateness.count(), 180_000);
    assert!(lateness.p50() >= Duration::from_secs(59), "{lateness:?}");
}

#[test]
fn packets_that_were_not_to_be_sent_are_not_late() {
    let mut pair = Pair::opened();
    let mut start = towards(Bob);
    start.direction = callwright_sdp::Direction::RecvOnly;
    pair.command(Alice, Command::Start(Box::new(start)));
    pair.sleep(millis(1_000));
    assert_eq!(pair.plane(Alice).lateness().count(), 0);
}

#[test]
fn a_thousand_sessions_that_start_together_are_spread_over_twenty_milliseconds() {
    let mut plane = Plane::new(
        Time::ZERO,
        PlaneConfig {
            epoch: Epoch::SIMULATED,
        },
    );
    let mut entropy = entropy("many");
    for number in 0..1_000 {
        let ports = Ports {
            rtp: SocketId(2 * number),
            rtcp: SocketId(2 * number + 1),
        };
        let session = plane.open(ports, &mut entropy);
        let started = plane.command(Time::ZERO, session, Command::Start(Box::new(towards(Bob))));
        started.expect("a session that starts");
    }
    let mut buffer = [0; 1_500];
    for _ in 0..200 {
        let (now, _) = plane.poll_timeout().expect("a deadline");
        plane.handle_timeout(now);
        let mut batch = 0;
        while let Some((socket, _, _)) = plane.poll_transmit(now, &mut buffer) {
            batch += u32::from(socket.0.is_multiple_of(2));
        }
        assert_eq!(batch, 50, "at {now}");
    }
}

#[test]
fn nothing_is_sent_before_the_start_and_after_the_end() {
    let mut pair = Pair::opened();
    pair.run(millis(500));
    assert!(pair.sent.is_empty());
    pair.command(Alice, Command::Start(Box::new(towards(Bob))));
    pair.run(millis(500));
    pair.close(Alice);
    let sent = pair.sent.len();
    pair.run(millis(500));
    assert_eq!(pair.sent.len(), sent);
    assert_eq!(pair.plane(Alice).sessions(), 0);
}

#[test]
fn a_place_that_is_taken_again_is_woken_once_each_interval() {
    let mut pair = Pair::call();
    pair.run(millis(110));
    pair.close(Alice);
    let ports = Ports {
        rtp: crate::pair::RTP,
        rtcp: crate::pair::RTCP,
    };
    let session = pair.planes[0].open(ports, &mut entropy("again"));
    assert_ne!(session, pair.sessions[0]);
    pair.sessions[0] = session;
    pair.sent.clear();
    pair.command(Alice, Command::Start(Box::new(towards(Bob))));
    pair.run(millis(1_000));
    let sent = pair.rtp_sent(Alice).count();
    assert!((49..=51).contains(&sent), "{sent}");
}

#[test]
fn one_with_nobody_to_send_to_is_woken_seldom_and_sends_at_once_when_there_is_somebody() {
    let mut pair = Pair::opened();
    let mut rings = towards(Bob);
    rings.remote = None;
    pair.command(Alice, Command::Start(Box::new(rings)));
    let mut wakings = 0;
    let end = pair.now + millis(1_000);
    while let Some((at, _)) = pair.plane(Alice).poll_timeout().filter(|(at, _)| *at <= end) {
        wakings += 1;
        pair.run(at - pair.now);
    }
    assert!((9..=14).contains(&wakings), "{wakings}");
    assert!(pair.sent.is_empty());
    pair.run(millis(7));
    pair.command(Alice, Command::Start(Box::new(towards(Bob))));
    pair.run(millis(100));
    assert_eq!(pair.rtp_sent(Alice).count(), 5);
}

#[test]
fn one_that_starts_when_nothing_was_sent_for_long_sends_all_the_same() {
    let mut pair = Pair::opened();
    pair.run(Duration::from_micros(10_000_300));
    pair.command(Alice, Command::Start(Box::new(towards(Bob))));
    pair.run(millis(1_000));
    let sent = pair.rtp_sent(Alice).count();
    assert!((49..=51).contains(&sent), "{sent}");
}

#[test]
fn one_whose_peer_becomes_known_at_the_end_of_an_interval_sends_in_its_phase_and_nothing_late() {
    for wait in [millis(407), Duration::from_micros(419_400), millis(420)] {
        let mut pair = Pair::opened();
        let mut rings = towards(Bob);
        rings.remote = None;
        pair.command(Alice, Command::Start(Box::new(rings)));
        pair.run(wait);
        pair.command(Alice, Command::Start(Box::new(towards(Bob))));
        pair.run(millis(200));
        let times: Vec<_> = pair.rtp_sent(Alice).map(|sent| sent.time).collect();
        assert!(
            times.windows(2).all(|pair| pair[1] - pair[0] == millis(20)),
            "{times:?}"
        );
        assert!(times.len() >= 10, "{times:?}");
        assert!(pair.plane(Alice).lateness().max() < millis(1), "{wait:?}");
    }
}
