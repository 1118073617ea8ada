//! Latency, jitter, loss, duplication, reordering and bandwidth: exact for a seed, and bounded for every one.

mod support;

use std::time::Duration;

use callwright_sim::{Bandwidth, GilbertElliott, HostId, Link, Loss, Reordering};
use callwright_wire::{Fate, Time};
use proptest::prelude::*;
use support::{Lab, Records, addr, at, ms};

/// When each of `count` datagrams sent `every` arrives, by number; in order of arrival.
fn arrivals(seed: u64, link: Link, count: usize, every: Duration) -> Vec<(Time, usize)> {
    let mut lab = Lab::linked(seed, link);
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.udp(b, "192.0.2.2:5060");
    for number in 0..count {
        lab.send(a, from, addr("192.0.2.2:5060"), &number.to_string());
        lab.pass(every);
    }
    lab.pass(Duration::from_secs(60));
    lab.texts(b)
        .into_iter()
        .map(|(at, text)| (at, text.parse().expect("a number")))
        .collect()
}

fn numbers(arrivals: &[(Time, usize)]) -> Vec<usize> {
    arrivals.iter().map(|(_, number)| *number).collect()
}

#[test]
fn a_perfect_link_delivers_after_its_latency() {
    let arrived = arrivals(1, Link::perfect(ms(25)), 3, ms(100));
    assert_eq!(arrived, [(at(25), 0), (at(125), 1), (at(225), 2)]);
}

#[test]
fn each_direction_has_a_link_of_its_own() {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    lab.world.set_link(HostId(0), HostId(1), Link::perfect(ms(30)));
    lab.world
        .set_link_one_way(HostId(1), HostId(0), Link::perfect(ms(70)));
    let (there, _) = lab.udp(a, "192.0.2.1:5060");
    let (back, _) = lab.udp(b, "192.0.2.2:5060");
    lab.send(a, there, addr("192.0.2.2:5060"), "there");
    lab.send(b, back, addr("192.0.2.1:5060"), "back");
    lab.pass(ms(100));
    assert_eq!(lab.texts(b), [(at(30), "there".to_owned())]);
    assert_eq!(lab.texts(a), [(at(70), "back".to_owned())]);
}

#[test]
fn what_is_said_of_every_link_counts_for_those_that_were_their_own() {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    lab.world.set_link(HostId(0), HostId(1), Link::perfect(ms(30)));
    lab.world.set_every_link(Link::perfect(ms(5)));
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.udp(b, "192.0.2.2:5060");
    lab.send(a, from, addr("192.0.2.2:5060"), "fast");
    lab.pass(ms(100));
    assert_eq!(lab.texts(b), [(at(5), "fast".to_owned())]);
}

#[test]
fn within_one_host_nothing_is_lost_and_little_time_passes() {
    let mut lab = Lab::linked(
        1,
        Link {
            loss: Loss::Uniform(1.0),
            ..Link::default()
        },
    );
    let host = lab.host("pbx", "192.0.2.1");
    let (a, b) = (lab.peer_on(host, "a"), lab.peer_on(host, "b"));
    let (from, _) = lab.udp(a, "0.0.0.0:5060");
    lab.udp(b, "0.0.0.0:5070");
    lab.send(a, from, addr("192.0.2.1:5070"), "by its address");
    lab.send(a, from, addr("127.0.0.1:5070"), "by loopback");
    lab.pass(ms(1));
    let heard = lab.texts(b);
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|(at, _)| *at == Time::from_nanos(10_000)));
}

#[test]
fn uniform_loss_takes_its_share() {
    let link = Link {
        loss: Loss::Uniform(0.05),
        ..Link::default()
    };
    let arrived = arrivals(11, link, 20_000, ms(1));
    let lost = 20_000 - arrived.len();
    // Three standard deviations around 1,000.
    assert!((907..=1_093).contains(&lost), "{lost} are lost");
}

#[test]
fn bursts_have_the_share_and_the_length_that_was_asked_for() {
    let model = GilbertElliott::bursts(0.1, 4.0);
    assert!((model.mean_loss() - 0.1).abs() < 1e-12);
    let link = Link {
        loss: Loss::Bursts(model),
        ..Link::default()
    };
    let count = 40_000;
    let arrived = numbers(&arrivals(5, link, count, ms(1)));
    let gaps: Vec<usize> = arrived
        .windows(2)
        .map(|pair| pair[1] - pair[0] - 1)
        .filter(|gap| *gap > 0)
        .collect();
    let lost = gaps.iter().sum::<usize>() as f64;
    assert!((lost / count as f64 - 0.1).abs() < 0.01, "{lost} are lost");
    let length = lost / gaps.len() as f64;
    assert!((length - 4.0).abs() < 0.3, "bursts are {length} long");
}

#[test]
fn in_the_good_state_of_a_bursty_link_packets_can_be_lost_too() {
    let model = GilbertElliott {
        good_to_bad: 0.0,
        bad_to_good: 1.0,
        loss_in_good: 0.5,
        loss_in_bad: 1.0,
    };
    assert!((model.mean_loss() - 0.5).abs() < 1e-12);
    let link = Link {
        loss: Loss::Bursts(model),
        ..Link::default()
    };
    let arrived = arrivals(5, link, 2_000, ms(1)).len();
    assert!((900..=1_100).contains(&arrived), "{arrived} arrive");
}

#[test]
fn jitter_is_uniform_where_packets_are_far_enough_apart() {
    let link = Link {
        jitter: ms(10),
        ..Link::perfect(ms(20))
    };
    let arrived = arrivals(3, link, 10_000, ms(20));
    assert_eq!(arrived.len(), 10_000);
    let mut tenths = [0; 10];
    for (arrival, number) in &arrived {
        let delay = arrival.since(at(20 * *number as u64));
        assert!((ms(20)..ms(30)).contains(&delay), "{delay:?}");
        tenths[(delay - ms(20)).as_millis() as usize] += 1;
    }
    assert!(
        tenths.iter().all(|count| (900..=1_100).contains(count)),
        "{tenths:?}"
    );
}

#[test]
fn a_duplicate_follows_directly() {
    let link = Link {
        duplication: 0.25,
        ..Link::default()
    };
    let arrived = arrivals(9, link, 4_000, ms(1));
    let twice = arrived.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(arrived.len(), 4_000 + twice, "all come, and some a second time");
    assert!((900..=1_100).contains(&twice), "{twice} come twice");
}

#[test]
fn a_packet_that_is_held_back_is_overtaken_and_the_others_keep_their_order() {
    let link = Link {
        reordering: Some(Reordering {
            probability: 0.1,
            delay: ms(50),
        }),
        ..Link::default()
    };
    let arrived = arrivals(4, link, 2_000, ms(20));
    let late: Vec<_> = arrived
        .iter()
        .filter(|(arrival, number)| arrival.since(at(20 * *number as u64)) == ms(60))
        .map(|(_, number)| *number)
        .collect();
    assert!((150..=250).contains(&late.len()), "{} are late", late.len());
    let mut others = numbers(&arrived);
    others.retain(|number| !late.contains(number));
    assert!(others.is_sorted());
    assert!(!numbers(&arrived).is_sorted());
}

#[test]
fn a_narrow_line_sends_one_packet_after_the_other_and_drops_what_does_not_fit() {
    // 100 octets with headers take 100 ms.
    let link = Link {
        bandwidth: Some(Bandwidth {
            bits_per_second: 8_000,
            queue_octets: 300,
        }),
        ..Link::perfect(ms(10))
    };
    let mut lab = Lab::linked(1, link);
    let records = Records::of(&mut lab);
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.udp(b, "192.0.2.2:5060");
    let payload = "x".repeat(100 - Bandwidth::HEADERS as usize);
    for _ in 0..5 {
        lab.send(a, from, addr("192.0.2.2:5060"), &payload);
    }
    lab.pass(ms(150));
    lab.send(a, from, addr("192.0.2.2:5060"), &payload);
    lab.pass(ms(1_000));
    let times: Vec<_> = lab.texts(b).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [at(110), at(210), at(310), at(410)]);
    let fates: Vec<_> = records.take().iter().map(|record| record.fate).collect();
    use Fate::{Lost, Sent};
    let waits = |millis| Fate::Delayed { by: ms(millis) };
    assert_eq!(fates, [Sent, waits(100), waits(200), Lost, Lost, waits(150)]);
}

#[test]
fn the_fate_of_each_datagram_is_what_the_tap_says() {
    let link = Link {
        loss: Loss::Uniform(0.2),
        duplication: 0.2,
        ..Link::default()
    };
    let mut lab = Lab::linked(6, link);
    let records = Records::of(&mut lab);
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.udp(b, "192.0.2.2:5060");
    for number in 0..200 {
        lab.send(a, from, addr("192.0.2.2:5060"), &number.to_string());
        lab.pass(ms(1));
    }
    lab.pass(ms(100));
    let heard = lab.texts(b);
    for (number, record) in records.take().into_iter().enumerate() {
        assert_eq!(record.time, at(number as u64));
        assert_eq!(record.party, a.0);
        let count = heard
            .iter()
            .filter(|(_, text)| *text == number.to_string())
            .count();
        let fate = match count {
            0 => Fate::Lost,
            1 => Fate::Sent,
            _ => Fate::Duplicated { by: ms(0) },
        };
        assert_eq!(record.fate, fate, "number {number}");
    }
}

#[test]
fn a_link_that_changes_is_another_from_then_on() {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.udp(b, "192.0.2.2:5060");
    lab.send(a, from, addr("192.0.2.2:5060"), "slow");
    lab.world.set_default_link(Link::perfect(ms(100)));
    lab.send(a, from, addr("192.0.2.2:5060"), "slower");
    lab.pass(ms(200));
    let expected = [(at(10), "slow".to_owned()), (at(100), "slower".to_owned())];
    assert_eq!(lab.texts(b), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn jitter_alone_never_reorders(seed: u64, jitter in 0u64..200, every in 0u64..40) {
        let link = Link { jitter: ms(jitter), ..Link::default() };
        let arrived = arrivals(seed, link, 100, ms(every));
        prop_assert_eq!(numbers(&arrived), (0..100).collect::<Vec<_>>());
        prop_assert!(arrived.is_sorted());
    }

    #[test]
    fn whatever_a_link_does_it_makes_nothing_up(
        seed: u64,
        loss in 0.0f64..=1.0,
        duplication in 0.0f64..=1.0,
        held_back in 0.0f64..=1.0,
        jitter in 0u64..100,
    ) {
        let link = Link {
            jitter: ms(jitter),
            loss: Loss::Uniform(loss),
            duplication,
            reordering: Some(Reordering { probability: held_back, delay: ms(30) }),
            ..Link::perfect(ms(5))
        };
        let arrived = arrivals(seed, link, 60, ms(3));
        for (arrival, number) in &arrived {
            let delay = arrival.since(at(3 * *number as u64));
            prop_assert!(delay >= ms(5));
            // Each may wait for those before it.
            prop_assert!(delay <= ms(5 + 30 + jitter + 1));
        }
        for number in 0..60 {
            prop_assert!(arrived.iter().filter(|(_, other)| *other == number).count() <= 2);
        }
    }
}
