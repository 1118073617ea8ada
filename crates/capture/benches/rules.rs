//! What the rules cost: nanoseconds for each SIP message and each RTP packet of calls through the call center.
//!
//! `cargo bench -p callwright-capture --bench rules`

#[expect(dead_code, reason = "the bench breaks no rule")]
#[path = "../tests/rules/mutant.rs"]
mod mutant;
#[expect(dead_code, reason = "the bench tells one story")]
#[path = "../tests/rules/town.rs"]
mod town;

use std::hint::black_box;
use std::time::Duration;

use callwright_capture::rules::{Rules, RulesConfig};
use callwright_wire::{TapRecord, Transport};
use town::{Town, account, clean};

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// The least time of several passes, divided by the number of records.
fn measure(what: &str, records: &[&TapRecord]) {
    let mut least = Duration::MAX;
    for _ in 0..20 {
        let mut rules = Rules::new(RulesConfig::default());
        let start = now();
        for record in records {
            rules.observe(black_box(record));
        }
        least = least.min(start.elapsed());
        assert!(black_box(rules.violations()).is_empty());
    }
    let each = least.as_nanos() as f64 / records.len() as f64;
    println!("{what}: {each:.0} ns each of {}", records.len());
}

fn main() {
    let mut town = Town::new(1, clean());
    town.keep_records();
    town.server(&["alice", "bob"], |_| {});
    let a = town.phone("alice", account("alice", Transport::Udp));
    let b = town.phone("bob", account("bob", Transport::Udp));
    for phone in [a, b] {
        town.register(phone);
        town.play(phone, 437.0);
    }
    for _ in 0..50 {
        town.establish(a, b, "bob");
        town.pass(Duration::from_secs(3));
        town.hangup(a);
        town.pass(Duration::from_secs(1));
    }
    let verdict = town.finish();
    let (rtp, sip): (Vec<_>, Vec<_>) = verdict.records.iter().partition(|record| record.bytes[0] >= 0x80);
    measure("SIP", &sip);
    measure("RTP", &rtp);
    measure("both", &verdict.records.iter().collect::<Vec<_>>());
}
