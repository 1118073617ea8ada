//! Seeds, not stories: phones do what comes to their mind on a network with faults, and no rule is broken.

use std::time::Duration;

use callwright_capture::rules::{Rules, RulesConfig, Tally};
use callwright_sim::{Link, Nat};
use callwright_ua::{DtmfMode, MediaEncryption, Phase};
use callwright_wire::{Entropy, Seed, Transport};

use crate::town::{Phone, Town, Verdict, account, clean, lossy};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn act(town: &mut Town, phone: Phone, target: &str, entropy: &mut Entropy) {
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

/// What can happen on a walk beside what phones do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terrain {
    /// Nothing.
    Plain,
    /// Some phones are behind a NAT.
    Nat,
    /// Paths are cut and healed, and the call center crashes.
    Rough,
    /// There is no call center: phones call each other.
    Neighbours,
}

fn walk(seed: u64, link: Link, terrain: Terrain) -> Verdict {
    let mut entropy = Seed::from_number(seed).derive("walk").stream();
    let mut town = Town::new(seed, link);
    town.keep_records();
    let alone = terrain == Terrain::Neighbours;
    let server = (!alone).then(|| {
        town.server(&NAMES, |config| {
            config.ring_timeout = Duration::from_secs(20);
            let timer = callwright_sip::command::SessionTimer::new(Duration::from_secs(90));
            config.session_timer = Some(timer);
        })
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
        if entropy.below(4) == 0 {
            account.media_encryption = MediaEncryption::Offered;
        }
        if !alone && entropy.below(4) == 0 {
            let transport = account.transport.uri_param();
            let outbound = format!("sip:{};transport={transport};lr", crate::town::SERVER);
            account.outbound = Some(outbound.parse().unwrap());
        }
        let phone = if terrain == Terrain::Nat && entropy.below(2) == 0 {
            town.phone_at_home(name, account, Nat::default())
        } else {
            town.phone(name, account)
        };
        if !alone {
            town.register(phone);
        }
        town.play(phone, 300.0 + 100.0 * index as f64);
        phones.push(phone);
    }
    for _ in 0..40 {
        let phone = phones[entropy.below(phones.len() as u64) as usize];
        let target = entropy.below(4) as usize;
        let target = if alone {
            town.user_agent(phones[target]).contact().unwrap().to_string()
        } else {
            NAMES[target].to_owned()
        };
        act(&mut town, phone, &target, &mut entropy);
        if let (Terrain::Rough, Some(server)) = (terrain, server) {
            match entropy.below(40) {
                0 => {
                    town.crash_server();
                    for phone in &phones {
                        let _ = town.fleet(*phone, |fleet, now, id| fleet.register(now, id, None));
                    }
                    town.pass(Duration::from_secs(2));
                }
                1 | 2 => town.cut(phone.party, server),
                3..=5 => town.heal(),
                _ => {}
            }
        }
        let pause = [0, 1, 2, 50, 700, 3_000][entropy.below(6) as usize];
        town.pass(Duration::from_millis(pause));
    }
    if terrain == Terrain::Rough {
        town.heal();
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
    // A session that broke while the path was cut is noticed by its timer only.
    town.pass(Duration::from_secs(if terrain == Terrain::Rough {
        130
    } else {
        40
    }));
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

fn walks(few: u64, link: impl Fn() -> Link, terrain: Terrain) -> Vec<Tally> {
    let mut sum = Vec::new();
    let mut found = Vec::new();
    for seed in seeds(few) {
        let verdict = walk(seed, link(), terrain);
        add(&mut sum, &verdict.tally);
        for violation in &verdict.violations {
            found.push(format!("seed {seed}: {violation}"));
        }
    }
    assert!(found.is_empty(), "{terrain:?}:\n{}", found.join("\n"));
    sum
}

#[test]
fn no_rule_is_broken_where_nothing_is_lost() {
    walks(4, clean, Terrain::Plain);
}

#[test]
fn no_rule_is_broken_where_packets_are_lost_doubled_and_overtaken() {
    for tally in walks(8, lossy, Terrain::Plain) {
        println!("{tally}");
        assert!(tally.checks > 0, "{tally}");
    }
}

#[test]
fn no_rule_is_broken_behind_a_nat() {
    walks(4, lossy, Terrain::Nat);
}

#[test]
fn no_rule_is_broken_among_neighbours() {
    walks(4, clean, Terrain::Neighbours);
    walks(4, lossy, Terrain::Neighbours);
}

#[test]
fn no_rule_is_broken_where_paths_are_cut_and_the_server_crashes() {
    walks(4, clean, Terrain::Rough);
    walks(4, lossy, Terrain::Rough);
}

#[test]
fn the_same_packets_give_the_same_verdict() {
    let verdict = walk(3, lossy(), Terrain::Plain);
    let again = || {
        let mut rules = Rules::new(RulesConfig::default());
        verdict.records.iter().for_each(|record| rules.observe(record));
        (rules.take_violations(), rules.tally())
    };
    assert!(!verdict.records.is_empty());
    assert_eq!(again(), again());
}
