//! The same seed gives the same packets at the same time.

mod support;

use callwright_sim::{Bandwidth, GilbertElliott, Link, Loss, Reordering};
use support::{Lab, Records, addr, at, ms};

/// Everything that can happen.
fn wild() -> Link {
    Link {
        jitter: ms(15),
        loss: Loss::Bursts(GilbertElliott::bursts(0.1, 3.0)),
        duplication: 0.1,
        reordering: Some(Reordering {
            probability: 0.1,
            delay: ms(40),
        }),
        bandwidth: Some(Bandwidth {
            bits_per_second: 1_000_000,
            queue_octets: 10_000,
        }),
        ..Link::perfect(ms(10))
    }
}

/// What the tap and both peers saw of a few hundred datagrams and a stream, to the nanosecond.
fn story(seed: u64) -> String {
    let mut lab = Lab::linked(seed, wild());
    let records = Records::of(&mut lab);
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (from, here) = lab.udp(a, "0.0.0.0:5060");
    let (back, _) = lab.udp(b, "192.0.2.2:5060");
    let (_, listener) = lab.listen(b, callwright_wire::Transport::Tcp, "192.0.2.2:5060");
    let (connection, _) = lab.connected(a, b, listener);
    for number in 0..300 {
        lab.send(a, from, addr("192.0.2.2:5060"), &format!("there {number}"));
        lab.send(
            b,
            back,
            addr(&format!("192.0.2.1:{}", here.port())),
            &format!("back {number}"),
        );
        lab.write(a, connection, &format!("stream {number}"));
        lab.pass(ms(7));
    }
    lab.pass(ms(10_000));
    let mut seen = String::new();
    for record in records.take() {
        seen += &format!("{} {record:?}\n", record.time.as_nanos());
    }
    for party in [a, b] {
        while let Some((at, heard)) = lab.next(party) {
            seen += &format!("{} {heard:?}\n", at.as_nanos());
        }
    }
    seen
}

#[test]
fn the_same_seed_gives_the_same_bytes_at_the_same_nanosecond() {
    assert!(story(7) == story(7));
}

#[test]
fn another_seed_gives_another_story() {
    assert!(story(7) != story(8));
}

/// Which of 200 datagrams, one each 20 ms, arrive from `192.0.2.1`, and when.
fn arrivals(link: Link, others: impl FnOnce(&mut Lab)) -> Vec<(callwright_wire::Time, String)> {
    let mut lab = Lab::seeded(3);
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let hosts = (callwright_sim::HostId(0), callwright_sim::HostId(1));
    lab.world.set_link(hosts.0, hosts.1, link);
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.udp(b, "192.0.2.2:5060");
    others(&mut lab);
    for number in 0..200 {
        lab.send(a, from, addr("192.0.2.2:5060"), &number.to_string());
        lab.pass(ms(20));
    }
    lab.pass(ms(1_000));
    lab.texts(b)
}

#[test]
fn what_happens_on_one_link_does_not_depend_on_another() {
    let link = Link {
        jitter: ms(5),
        loss: Loss::Uniform(0.2),
        ..Link::default()
    };
    let alone = arrivals(link.clone(), |_| {});
    let beside_others = arrivals(link, |lab| {
        let (c, d) = (lab.peer("192.0.2.3"), lab.peer("192.0.2.4"));
        lab.world.set_default_link(wild());
        let (from, _) = lab.udp(c, "192.0.2.3:5060");
        lab.udp(d, "192.0.2.4:5060");
        for _ in 0..100 {
            lab.send(c, from, addr("192.0.2.4:5060"), "noise");
        }
    });
    assert_eq!(alone, beside_others);
}

#[test]
fn jitter_chooses_no_other_losses() {
    let link = Link {
        loss: Loss::Uniform(0.2),
        ..Link::default()
    };
    let numbers = |arrivals: Vec<(_, String)>| arrivals.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    let calm = numbers(arrivals(link.clone(), |_| {}));
    let shaky = Link {
        jitter: ms(15),
        ..link
    };
    assert!(calm.len() < 200, "something is lost");
    assert_eq!(calm, numbers(arrivals(shaky, |_| {})));
}

#[test]
fn the_clock_stands_where_it_was_told_when_nothing_happens() {
    let mut lab = Lab::new();
    assert_eq!(lab.world.next_event(), None);
    assert_eq!(lab.world.step(at(250)), Ok(false));
    assert_eq!(lab.world.now(), at(250));
    assert_eq!(lab.world.step(at(100)), Ok(false));
    assert_eq!(lab.world.now(), at(250), "it never goes back");
}

#[test]
fn a_step_is_one_event_and_the_clock_is_there() {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.udp(b, "192.0.2.2:5060");
    lab.send(a, from, addr("192.0.2.2:5060"), "one");
    lab.world.with(a, |peer, _| peer.due = Some((at(10), "tea")));
    assert_eq!(lab.world.next_event(), Some(at(10)));
    assert_eq!(lab.world.step(at(9)), Ok(false));
    assert_eq!(lab.world.step(at(500)), Ok(true));
    assert_eq!(lab.world.now(), at(10));
    assert_eq!(
        lab.texts(b),
        [(at(10), "one".to_owned())],
        "it set out before the timer was set"
    );
    assert!(lab.next(a).is_none(), "the timer is the next event");
    assert_eq!(lab.world.step(at(500)), Ok(true));
    assert!(lab.next(a).is_some());
}
