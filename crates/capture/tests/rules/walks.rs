//! Seeds, not stories: phones do what comes to their mind on a network with faults, and no rule is broken.

use std::time::Duration;

use callwright_capture::rules::{Rule, Tally};
use callwright_sim::Link;
use callwright_ua::{DtmfMode, Phase};
use callwright_wire::{Entropy, Seed, Transport};

use crate::town::{Phone, Town, Verdict, account, clean, lossy};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn act(town: &mut Town, phone: Phone, entropy: &mut Entropy) {
    let target = NAMES[entropy.below(4) as usize];
    let live = town
        .user_agent(phone)
        .calls()
        .iter()
        .filter(|call| call.phase() != Phase::Ended)
        .count();
    let what = entropy.below(14);
    // What is not possible now is refused, and that is fine.
    let _ = town.fleet(phone, |fleet, now, id| match what {
        0 | 1 if live < 3 => fleet.dial(now, id, target, &[], None),
        2..=4 => fleet.accept(now, id, None, None),
        5 => fleet.hold(now, id, None, None),
        6 => fleet.resume(now, id, None, None),
        7 => fleet.transfer(now, id, None, target, None),
        8 if live < 3 => fleet.attended_transfer(now, id, None, target, None),
        9 => fleet.complete_transfer(now, id, None),
        10 => fleet.reject(now, id, None, 486, None, None),
        11 | 12 => fleet.dtmf(now, id, None, "19#", None, None),
        _ => fleet.hangup(now, id, None, None),
    });
}

/// Phones at the call center.
fn walk(seed: u64, link: Link) -> Verdict {
    let mut entropy = Seed::from_number(seed).derive("walk").stream();
    let mut town = Town::new(seed, link);
    town.server(&NAMES, |config| {
        config.ring_timeout = Duration::from_secs(20);
        config.session_timer = Some(callwright_sip::command::SessionTimer::new(Duration::from_secs(
            90,
        )));
    });
    let mut phones = Vec::new();
    for (index, name) in NAMES.iter().chain(["bob"].iter()).enumerate() {
        let transport = if entropy.below(4) == 0 {
            Transport::Tcp
        } else {
            Transport::Udp
        };
        let mut account = account(name, transport);
        if entropy.below(4) == 0 {
            account.dtmf = DtmfMode::Info;
        }
        if entropy.below(3) == 0 {
            account.codecs.reverse();
        }
        let phone = town.phone(name, account);
        town.register(phone);
        town.play(phone, 300.0 + 100.0 * index as f64);
        phones.push(phone);
    }
    for _ in 0..40 {
        let phone = phones[entropy.below(phones.len() as u64) as usize];
        act(&mut town, phone, &mut entropy);
        let pause = [0, 1, 2, 50, 700, 3_000][entropy.below(6) as usize];
        town.pass(Duration::from_millis(pause));
    }
    for phone in &phones {
        while town
            .user_agent(*phone)
            .calls()
            .iter()
            .any(|call| call.phase() != Phase::Ended)
            && town
                .fleet(*phone, |fleet, now, id| fleet.hangup(now, id, None, None))
                .is_ok()
        {
            town.pass(Duration::from_millis(200));
        }
    }
    town.pass(Duration::from_secs(40));
    town.finish()
}

fn add(sum: &mut Vec<Tally>, tally: &[Tally]) {
    if sum.is_empty() {
        *sum = tally.to_vec();
        return;
    }
    for (sum, tally) in sum.iter_mut().zip(tally) {
        sum.subjects += tally.subjects;
        sum.excused += tally.excused;
        sum.checks += tally.checks;
    }
}

/// How many seeds: `RULES_SEEDS` at build time for a long run.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let first = option_env!("RULES_FIRST")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let count = option_env!("RULES_SEEDS")
        .and_then(|text| text.parse().ok())
        .unwrap_or(few);
    first..first + count
}

#[test]
fn no_rule_is_broken_where_nothing_is_lost() {
    for seed in seeds(4) {
        walk(seed, clean()).assert_sound(&format!("seed {seed}"));
    }
}

#[test]
fn no_rule_is_broken_where_packets_are_lost_doubled_and_overtaken() {
    let mut sum = Vec::new();
    let mut bad = Vec::new();
    for seed in seeds(8) {
        let verdict = walk(seed, lossy());
        add(&mut sum, &verdict.tally);
        for violation in &verdict.violations {
            bad.push(format!("seed {seed}: {violation}"));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    for tally in &sum {
        println!("{tally}");
        let rare = matches!(tally.rule, Rule::OneOffer);
        assert!(!tally.is_idle(), "{tally}");
        assert!(tally.checks > 0 || rare, "{tally}");
    }
}

#[test]
#[ignore = "debug"]
fn debug() {
    let seed = option_env!("RULES_FIRST")
        .and_then(|text| text.parse().ok())
        .unwrap_or(7);
    let verdict = walk(seed, lossy());
    for record in &verdict.records {
        let b = &record.bytes;
        if b[0] >= 0x80 && !(192..=223).contains(&b[1]) {
            println!(
                "{} {} -> {} {:?} pt {} seq {} ts {} ssrc {:08x} len {}",
                record.time,
                record.source,
                record.destination,
                record.fate,
                b[1] & 0x7f,
                u16::from_be_bytes([b[2], b[3]]),
                u32::from_be_bytes([b[4], b[5], b[6], b[7]]),
                u32::from_be_bytes([b[8], b[9], b[10], b[11]]),
                b.len()
            );
        } else if b[0] < 0x80 {
            println!(
                "{} {} -> {} {:?} {}",
                record.time,
                record.source,
                record.destination,
                record.fate,
                String::from_utf8_lossy(b).replace("\r\n", "\n    ")
            );
        }
    }
    for violation in &verdict.violations {
        println!("VIOLATION {violation}");
    }
}
