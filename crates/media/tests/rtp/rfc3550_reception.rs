//! RFC 3550 §A.1, §A.3, §A.8: what a receiver counts.

use callwright_media::reception::{Arrival, Reception};
use callwright_wire::Time;

fn receive(reception: &mut Reception, sequences: impl IntoIterator<Item = u16>) {
    for sequence in sequences {
        reception.packet(sequence);
    }
}

#[test]
fn a_source_on_probation_counts_once_two_came_in_sequence() {
    let mut reception = Reception::on_probation(1, 10);
    assert_eq!(reception.packet(10), Arrival::Probation);
    assert_eq!((reception.expected(), reception.received()), (0, 0));
    assert_eq!(reception.packet(12), Arrival::Probation);
    assert_eq!(reception.packet(13), Arrival::Valid);
    assert_eq!(
        (reception.expected(), reception.received(), reception.lost()),
        (2, 2, 0)
    );
}

#[test]
fn a_trusted_source_counts_from_its_first_packet() {
    for first in [0, 1, 0x7fff, 0x8000, 0xffff] {
        let mut reception = Reception::trusted(1, first);
        assert_eq!(reception.packet(first), Arrival::Valid);
        assert_eq!(
            (reception.expected(), reception.received(), reception.lost()),
            (1, 1, 0),
            "{first}"
        );
        assert_eq!(reception.extended_highest(), u32::from(first));
    }
}

#[test]
fn cycles_are_counted_through_loss_and_reordering() {
    let mut reception = Reception::trusted(1, 65_530);
    receive(
        &mut reception,
        [65_530, 65_531, 65_533, 65_532, 65_535, 2, 1, 0, 65_534, 5],
    );
    assert_eq!(reception.extended_highest(), 0x1_0005);
    assert_eq!(
        (reception.expected(), reception.received(), reception.lost()),
        (12, 10, 2)
    );
    // All the way around once more.
    receive(&mut reception, (6..=65_535).chain(0..=5));
    assert_eq!(reception.extended_highest(), 0x2_0005);
    assert_eq!(reception.lost(), 2);
}

#[test]
fn probation_across_the_turn_counts_a_cycle() {
    let mut reception = Reception::on_probation(1, 65_535);
    receive(&mut reception, [65_535, 0, 1]);
    assert_eq!((reception.expected(), reception.lost()), (3, 0));
}

#[test]
fn duplicates_make_the_loss_smaller_and_are_counted() {
    let mut reception = Reception::trusted(1, 1);
    receive(&mut reception, [1, 2, 2, 5, 5, 5, 4, 4]);
    assert_eq!(reception.duplicates(), 4);
    assert_eq!(
        (reception.expected(), reception.received(), reception.lost()),
        (5, 8, -3)
    );
}

/// RFC 3550 §A.1: MAX_DROPOUT is 3,000, MAX_MISORDER 100.
#[test]
fn the_boundaries_between_loss_lateness_and_a_restart() {
    let fresh = || {
        let mut reception = Reception::trusted(1, 10_000);
        reception.packet(10_000);
        reception
    };
    assert_eq!(fresh().packet(12_999), Arrival::Valid);
    assert_eq!(fresh().packet(13_000), Arrival::Jump);
    assert_eq!(fresh().packet(9_901), Arrival::Valid);
    assert_eq!(fresh().packet(9_900), Arrival::Jump);
    let mut restarted = fresh();
    assert_eq!(restarted.packet(30_000), Arrival::Jump);
    assert_eq!(restarted.packet(10_001), Arrival::Valid);
    assert_eq!(restarted.packet(30_000), Arrival::Jump);
    assert_eq!(restarted.packet(30_001), Arrival::Restarted);
    assert_eq!(
        (restarted.expected(), restarted.received(), restarted.lost()),
        (2, 2, 0)
    );
}

/// A stream of 20 ms packets up to number 100.
fn streaming() -> Reception {
    let mut reception = Reception::trusted(1, 1);
    for number in 1..=100u16 {
        let timestamp = u32::from(number) * 160;
        assert_eq!(reception.packet_at(number, timestamp), Arrival::Valid);
        reception.arrival(Time::from_millis(u64::from(number) * 20), timestamp, 8_000);
    }
    reception
}

#[test]
fn a_jump_that_the_timestamps_make_too_is_loss() {
    for missing in [2_998u16, 2_999, 3_000, 9_000, 32_000] {
        let mut reception = streaming();
        let number = 100 + missing + 1;
        let timestamp = u32::from(number) * 160;
        assert_eq!(
            reception.packet_at(number, timestamp),
            Arrival::Valid,
            "{missing} lost"
        );
        assert_eq!(reception.packet_at(number + 1, timestamp + 160), Arrival::Valid);
        assert_eq!(
            (reception.lost(), reception.received()),
            (i64::from(missing), 102)
        );
    }
}

#[test]
fn a_jump_that_the_timestamps_do_not_make_is_a_restart() {
    for timestamp in [0, 100 * 160, 200 * 160, 60_000 * 160, 0xffff_0000] {
        let mut reception = streaming();
        assert_eq!(
            reception.packet_at(9_000, timestamp),
            Arrival::Jump,
            "{timestamp}"
        );
        assert_eq!(reception.packet_at(9_001, timestamp + 160), Arrival::Restarted);
        assert_eq!(reception.lost(), 0);
    }
    let mut unknown = Reception::trusted(1, 1);
    assert_eq!(unknown.packet_at(1, 160), Arrival::Valid);
    assert_eq!(
        unknown.packet_at(9_000, 9_000 * 160),
        Arrival::Jump,
        "nothing tells how long its packets are"
    );
}

#[test]
fn the_fraction_lost_is_that_since_the_last_report() {
    let mut reception = Reception::trusted(1, 0);
    receive(&mut reception, (0..100).filter(|sequence| sequence % 4 != 1));
    assert_eq!(reception.fraction_lost(), 64);
    receive(&mut reception, 100..200);
    assert_eq!(reception.fraction_lost(), 0);
    receive(&mut reception, [399]);
    assert_eq!(reception.fraction_lost(), 254);
    receive(&mut reception, [399, 399]);
    assert_eq!(reception.fraction_lost(), 0, "a negative loss is none");
}

#[test]
fn jitter_follows_the_formula_of_the_appendix() {
    let mut reception = Reception::trusted(1, 0);
    let mut exact = 0.0_f64;
    let mut before: Option<i64> = None;
    for number in 0..500u32 {
        let late_ms = u64::from(number * 7 % 23);
        let arrival = Time::from_millis(1_000 + u64::from(number) * 20 + late_ms);
        reception.arrival(arrival, number.wrapping_mul(160).wrapping_add(0xffff_f000), 8_000);
        let transit = late_ms as i64 * 8;
        if let Some(before) = before {
            exact += ((transit - before).abs() as f64 - exact) / 16.0;
        }
        before = Some(transit);
    }
    assert!(
        (f64::from(reception.jitter()) - exact).abs() <= 1.0,
        "{} {exact}",
        reception.jitter()
    );
}

#[test]
fn a_new_timeline_is_no_jitter() {
    let mut reception = Reception::trusted(1, 0);
    for number in 0..50u64 {
        let base = if number < 25 { 0 } else { 3_000_000_000 };
        reception.arrival(
            Time::from_millis(number * 20),
            (base + number * 160) as u32,
            8_000,
        );
    }
    assert_eq!(reception.jitter(), 0);
}
