//! What a link does to datagrams, and what is said of it.

use std::time::Duration;

use callwright_wire::link::{Channel, Link, Loss, Passage, Reordering};
use callwright_wire::{Fate, Seed, Time};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn channel(link: Link) -> Channel {
    Channel::new(link, Seed::from_number(1))
}

/// The passages of datagrams that set out a second apart, where none meets another.
fn passages(link: Link, count: u64) -> Vec<(Time, Passage)> {
    let mut channel = channel(link);
    (0..count)
        .map(Time::from_secs)
        .map(|now| (now, channel.carry_datagram(now, 100)))
        .collect()
}

#[test]
fn a_perfect_link_takes_its_latency_and_that_is_no_delay() {
    for (now, passage) in passages(Link::perfect(ms(40)), 5) {
        let expected = Passage::Arrives {
            at: now + ms(40),
            late: Duration::ZERO,
            twice: false,
        };
        assert_eq!((passage, passage.fate()), (expected, Fate::Sent));
    }
}

#[test]
fn jitter_is_a_delay_from_nothing_up_to_it() {
    let link = Link {
        jitter: ms(20),
        ..Link::perfect(ms(40))
    };
    let mut delays = Vec::new();
    for (now, passage) in passages(link, 1_000) {
        let Passage::Arrives { at, late, .. } = passage else {
            panic!("it is lost");
        };
        assert_eq!(at, now + ms(40) + late);
        assert_eq!(passage.fate(), Fate::Delayed { by: late });
        delays.push(late);
    }
    assert!(delays.iter().all(|delay| *delay < ms(20)));
    let mean = delays.iter().sum::<Duration>() / 1_000;
    assert!(mean > ms(9) && mean < ms(11), "{mean:?}");
}

#[test]
fn a_datagram_is_late_that_waits_for_the_one_before_it() {
    let mut channel = channel(Link::perfect(ms(100)));
    channel.carry_datagram(Time::ZERO, 100);
    channel.set(Link::perfect(ms(10)));
    let passage = channel.carry_datagram(Time::ZERO, 100);
    assert_eq!(passage.fate(), Fate::Delayed { by: ms(90) });
}

#[test]
fn one_may_come_twice_and_late() {
    let link = Link {
        duplication: 1.0,
        reordering: Some(Reordering {
            probability: 1.0,
            delay: ms(7),
        }),
        ..Link::perfect(ms(1))
    };
    for (_, passage) in passages(link, 5) {
        assert_eq!(passage.fate(), Fate::Duplicated { by: ms(7) });
    }
}

#[test]
fn where_all_is_lost_nothing_arrives() {
    let link = Link {
        loss: Loss::Uniform(1.0),
        ..Link::default()
    };
    for (_, passage) in passages(link, 5) {
        assert_eq!((passage, passage.fate()), (Passage::Lost, Fate::Lost));
    }
}
