//! Seeds, not stories: phones do what comes to their mind while messages get lost and the store is slow or broken. Then the
//! faults end, everybody hangs up, and nothing may be left.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use callwright_acd::{CallKey, Fact};
use callwright_ua::Phase;
use callwright_wire::{Entropy, Seed};
use support::{Lab, Phone};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn act(lab: &mut Lab, phone: Phone, entropy: &mut Entropy) {
    let target = NAMES[entropy.below(4) as usize];
    let live = lab
        .calls(phone)
        .iter()
        .filter(|call| call.phase() != Phase::Ended)
        .count();
    let what = entropy.below(12);
    // What is not possible now is refused, and that is fine.
    let _ = lab.fleet(phone, |fleet, now, id| match what {
        0 | 1 if live < 3 => fleet.dial(now, id, target, &[], None),
        2..=4 => fleet.accept(now, id, None, None),
        5 => fleet.hold(now, id, None, None),
        6 => fleet.resume(now, id, None, None),
        7 => fleet.transfer(now, id, None, target, None),
        8 if live < 3 => fleet.attended_transfer(now, id, None, target, None),
        9 => fleet.complete_transfer(now, id, None),
        10 => fleet.reject(now, id, None, 486, None, None),
        _ => fleet.hangup(now, id, None, None),
    });
}

fn walk(seed: u64, faults: bool) {
    let mut entropy = Seed::from_number(seed).derive("walk").stream();
    let mut lab = Lab::with(|config| {
        config.ring_timeout = Duration::from_secs(20);
        config.session_timer = Some(callwright_sip::command::SessionTimer::new(Duration::from_secs(
            90,
        )));
    });
    let mut phones: Vec<_> = NAMES.iter().map(|name| lab.registered(name)).collect();
    phones.push(lab.registered("bob"));
    if faults {
        let mut dice = Seed::from_number(seed).derive("loss").stream();
        lab.filter = Some(Box::new(move |_| dice.below(10) > 0));
    }
    for _ in 0..60 {
        let phone = phones[entropy.below(phones.len() as u64) as usize];
        act(&mut lab, phone, &mut entropy);
        if faults {
            lab.store.broken = entropy.below(10) == 0;
            lab.store.delay = Duration::from_millis(entropy.below(400));
        }
        let pause = [0, 1, 2, 50, 700, 3_000][entropy.below(6) as usize];
        lab.pass(Duration::from_millis(pause));
    }
    lab.filter = None;
    lab.store.broken = false;
    // What was under way (a transfer, somebody who rings) may still become a call.
    lab.pass(Duration::from_secs(70));
    let load = lab.machine.load();
    assert_eq!(load.legs, 2 * load.calls, "seed {seed}: nobody talks to nobody");
    for _ in 0..8 {
        for phone in &phones {
            let _ = lab.fleet(*phone, |fleet, now, id| fleet.hangup(now, id, None, None));
        }
        lab.pass(Duration::from_secs(5));
    }
    lab.pass(Duration::from_secs(40));
    for phone in &phones {
        assert!(
            lab.calls(*phone).iter().all(|call| call.phase() == Phase::Ended),
            "seed {seed}: {phone:?} has {:?}",
            lab.calls(*phone)
                .iter()
                .map(|call| call.phase())
                .collect::<Vec<_>>()
        );
    }
    lab.assert_nothing_left();
    let mut ends: BTreeMap<CallKey, u32> = BTreeMap::new();
    for fact in &lab.facts {
        if let Fact::CallEnded { call, .. } = fact {
            *ends.entry(*call).or_default() += 1;
        }
    }
    assert!(ends.values().all(|count| *count == 1), "seed {seed}: {ends:?}");
    for fact in &lab.facts {
        if let Fact::CallAnswered { call, .. } | Fact::CallTransferred { call, .. } = fact {
            assert!(ends.contains_key(call), "seed {seed}: {call:?} never ended");
        }
    }
}

#[test]
fn calls_settle_when_all_goes_well() {
    (0..6).for_each(|seed| walk(seed, false));
}

#[test]
fn calls_settle_after_losses_and_a_broken_store() {
    (100..106).for_each(|seed| walk(seed, true));
}
