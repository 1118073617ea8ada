//! Deadlines, waking, and the end of the world.

mod probe;

use std::time::Duration;

use callwright_wire::{Time, Transport};
use probe::{Probe, Seen, Stage};

fn due(seen: &Seen) -> Option<Time> {
    match seen {
        Seen::Due(at) => Some(*at),
        _ => None,
    }
}

#[test]
fn a_deadline_set_from_outside_wakes_the_sleeping_loop() {
    let mut stage = Stage::new();
    let a = stage.add();
    // A deadline far away first, so that the loop sleeps towards it.
    stage.with(a, |probe| probe.due = Some(Time::from_secs(3_600)));
    let at = stage.world.now() + Duration::from_millis(20);
    stage.with(a, |probe| probe.due = Some(at));
    let (now, fired) = stage.wait(a, due);
    assert_eq!(fired, at);
    assert!(now >= at);
    // The report came out in the middle of the loop's turn: what it counts at the end is there when the turn is over.
    stage.with(a, |_| ());
    assert_eq!(stage.world.health().lateness.count(), 1);
}

#[test]
fn deadlines_of_many_nodes_come_in_their_order() {
    let mut stage = Stage::new();
    let start = stage.world.now() + Duration::from_millis(20);
    let parties: Vec<_> = (0..100)
        .map(|n: u64| {
            stage.world.add(
                "probe",
                Probe {
                    due: Some(start + Duration::from_micros(100 * (n * 37 % 100))),
                    ..Probe::default()
                },
            )
        })
        .collect();
    let mut fired: Vec<_> = parties.into_iter().map(|party| stage.wait(party, due)).collect();
    fired.sort();
    assert!(fired.is_sorted_by_key(|(_, at)| *at));
    assert!(fired.iter().all(|(now, at)| now >= at));
}

#[test]
fn a_deadline_that_is_past_is_due_at_once() {
    let mut stage = Stage::new();
    let a = stage.add();
    stage.with(a, |probe| probe.due = Some(Time::ZERO));
    assert_eq!(stage.wait(a, due).1, Time::ZERO);
    // It was not late: nobody knew of it before.
    assert!(stage.world.health().lateness.max() < Duration::from_secs(1));
}

#[test]
fn an_idle_world_does_not_turn() {
    let mut stage = Stage::new();
    let a = stage.add();
    stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let before = stage.world.health().turns;
    stage.with(a, |probe| {
        probe.due = Some(stage.world.now() + Duration::from_millis(100))
    });
    stage.wait(a, due);
    let turns = stage.world.health().turns - before;
    assert!(turns <= 6, "{turns} turns to wait for one deadline");
}

#[test]
fn threads_that_never_pause_do_not_keep_the_loop_out() {
    let mut stage = Stage::new();
    let a = stage.add();
    let at = stage.world.now() + Duration::from_millis(50);
    stage.with(a, |probe| probe.due = Some(at));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        let world = &stage.world;
        let stop = &stop;
        for _ in 0..4 {
            scope.spawn(move || {
                while !stop.load(relaxed) {
                    world.with(a, |probe, _| std::hint::black_box(probe.due));
                }
            });
        }
        while world.health().lateness.count() == 0 && world.now() < at + Duration::from_secs(10) {
            std::thread::yield_now();
        }
        stop.store(true, relaxed);
    });
    let (now, fired) = stage.wait(a, due);
    assert!(
        now.since(fired) < Duration::from_secs(1),
        "{:?} late",
        now.since(fired)
    );
}

#[test]
fn a_panic_in_a_node_is_told_to_whoever_waits() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let to = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    stage.with(b, |probe| probe.panics = true);
    stage.with(a, |probe| probe.send(1, to, "hello"));
    stage.wait(callwright_net::PartyId(u32::MAX), |seen| {
        (*seen == Seen::Failed).then_some(())
    });
}
