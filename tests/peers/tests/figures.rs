//! What the product takes, and what the peers themselves can do on this machine: a figure of ours is worth as much as
//! the peer had in reserve. The figures are printed and kept in `docs/figures.md`; no time is asserted, so that a machine
//! under load fails nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use callwright_peers::{Kamailio, Measured, Sipp, command, example, measure, require};
use serde_json::Value;

/// No run takes as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(240);

/// One test at a time, whoever runs them: they measure the machine.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

/// A run that passed, and the events that it told.
struct Run {
    measured: Measured,
    events: Vec<Value>,
}

impl Run {
    fn of(command: &mut Command) -> Self {
        let measured = measure(command, PATIENCE);
        assert!(
            measured.status.success(),
            "{}\n{}\n{}",
            measured.status,
            measured.stdout,
            measured.stderr
        );
        let events = measured.stdout.lines();
        let events = events
            .map(|line| serde_json::from_str(line).expect("NDJSON"))
            .collect();
        Self { measured, events }
    }

    /// The moments of those events whose `key` has this value, in milliseconds of the scenario.
    fn moments(&self, key: &str, value: &str) -> Vec<f64> {
        let found = self.events.iter().filter(|event| event[key] == value);
        found
            .map(|event| event["t_ms"].as_f64().expect("a moment"))
            .collect()
    }

    fn log(&self, message: &str) -> f64 {
        self.moments("message", message)[0]
    }

    fn finished(&self) -> &Value {
        self.events.last().expect("the end of the run")
    }

    fn lateness_p99_ms(&self) -> f64 {
        self.finished()["health"]["lateness_p99_ms"]
            .as_f64()
            .unwrap_or_default()
    }

    /// How long all scenarios together took, without the start and the end of the program.
    fn duration_ms(&self) -> f64 {
        self.finished()["duration_ms"].as_f64().expect("a duration")
    }
}

fn run_example(kamailio: &Kamailio, name: &str) -> Run {
    let mut callwright = command();
    callwright
        .envs(kamailio.environment("udp"))
        .args(["run", "--json"])
        .arg(example(name));
    Run::of(&mut callwright)
}

#[test]
fn kamailio_registers_a_thousand_users() {
    require!(Kamailio, Sipp);
    let _alone = alone();
    let kamailio = Kamailio::start();
    let users: Vec<_> = (1..=1_000).map(Kamailio::user).collect();
    let began = Instant::now();
    Sipp::registering(kamailio.udp(), &users, kamailio.udp())
        .rate(2_000)
        .run()
        .assert_clean();
    let took = began.elapsed();
    assert_eq!(kamailio.contacts(), 1_000);
    println!("1,000 registrations by SIPp in {} ms", took.as_millis());
}

#[test]
fn scenarios_take_little_beyond_their_own_waits() {
    require!(Kamailio);
    let _alone = alone();
    let kamailio = Kamailio::start();
    for (name, own_waits_ms) in [
        ("two-party.rhai", 0.0),
        ("suite.rhai", 0.0),
        ("three-party-transfer.rhai", 3_000.0),
    ] {
        for _ in 0..5 {
            let run = run_example(&kamailio, name);
            let added_ms = run.duration_ms() - own_waits_ms;
            println!("{name}: {added_ms:.0} ms beyond its own waits");
        }
    }
}

#[test]
fn audio_both_ways_is_verified_at_once() {
    require!(Kamailio);
    let _alone = alone();
    let kamailio = Kamailio::start();
    for _ in 0..5 {
        let run = run_example(&kamailio, "three-party-transfer.rhai");
        // Each check begins with two tones that it sends and ends with the second that is heard.
        let began = run.moments("kind", "send-audio");
        let heard: Vec<f64> = ["Callee audio", "Caller audio", "Target audio"]
            .iter()
            .flat_map(|label| run.moments("label", label))
            .collect();
        assert_eq!(heard.len(), 4, "two checks of two directions");
        let last = heard.iter().copied().fold(0.0, f64::max);
        let before = |moment: &&f64| **moment < last;
        let start = began.iter().filter(before).copied().fold(0.0, f64::max);
        println!("two-way audio verified in {:.0} ms", last - start);
    }
}

#[test]
fn a_thousand_agents_talk_at_once() {
    require!(Kamailio);
    let _alone = alone();
    let kamailio = Kamailio::start();
    let mut callwright = command();
    callwright
        .args(["run", "--json", "--set"])
        .arg(format!("domain={}", kamailio.udp()))
        .arg(scenario("thousand-agents.rhai"));
    let run = Run::of(&mut callwright);
    println!(
        "1,000 agents: registered in {:.0} ms, 500 calls up after {:.0} ms more, all heard after {:.0} ms more",
        run.log("registered") - run.log("registering"),
        run.log("established") - run.log("registered"),
        run.log("all heard") - run.log("established"),
    );
    println!(
        "peak memory {:.1} MB, own lateness p99 {:.1} ms",
        run.measured.peak_memory as f64 / 1e6,
        run.lateness_p99_ms()
    );
    assert_eq!(kamailio.contacts(), 0, "everybody unregistered");
    assert!(run.measured.peak_memory < 200_000_000);
}

#[test]
fn forty_scenarios_pass_twenty_times_in_a_row() {
    require!(Kamailio);
    let _alone = alone();
    let kamailio = Kamailio::start();
    for _ in 0..20 {
        let mut callwright = command();
        callwright
            .args(["run", "--json", "--jobs", "8", "--set"])
            .arg(format!("domain={}", kamailio.udp()))
            .arg(scenario("forty.rhai"));
        let run = Run::of(&mut callwright);
        assert_eq!(run.finished()["passed_scenarios"], 40);
        println!(
            "40 scenarios, 8 at a time: {:.0} ms, own lateness p99 {:.1} ms",
            run.duration_ms(),
            run.lateness_p99_ms()
        );
    }
}
