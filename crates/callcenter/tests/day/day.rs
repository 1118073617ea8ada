//! A day of a call center: Poisson arrivals, exponential talk times, endless patience, agents who answer at once. What callers wait
//! is what Erlang C says.

use std::collections::BTreeMap;
use std::time::Duration;

use callwright_callcenter::{AnswerWith, ModelStore, QueueConfig};
use callwright_sim::Link;
use callwright_wire::{Entropy, Seed, Time};

use crate::erlang::{Interval, mean_wait, waiting_probability};
use crate::phone::{Act, Pickup, Plan, Said};
use crate::sound::Heard;
use crate::town::{News, Plot, Town};

const AGENTS: usize = 60;
/// The mean talk time in seconds.
const TALK: f64 = 120.0;
/// How many calls come in how long.
const CALLS: u32 = 12_000;
const DAY: Duration = Duration::from_secs(8 * 3_600);
/// What is left out of the statistics: the queue begins empty.
const WARM_UP: Duration = Duration::from_secs(3_600);
/// An optimised build plays a day without audio within this time of one core.
const LIMIT: Duration = Duration::from_secs(6);
/// Longer than signalling takes, and shorter than any wait for an agent that can be told from none.
const SIGNALLING: Duration = Duration::from_millis(5);

/// What became of a day.
struct Served {
    /// How long each caller waited who came after the warm-up.
    waits: Vec<Duration>,
    calls: usize,
    /// Of a core.
    spent: Duration,
    /// What callers and agents heard, where there was something to hear.
    heard: Option<Heard>,
}

impl Served {
    fn waiting_probability(&self) -> f64 {
        let waited = self.waits.iter().filter(|wait| **wait > SIGNALLING).count();
        waited as f64 / self.waits.len() as f64
    }

    fn mean_wait(&self) -> f64 {
        self.waits.iter().map(Duration::as_secs_f64).sum::<f64>() / self.waits.len() as f64
    }
}

/// How long this thread has run on a core, whatever else the machine does.
fn time_on_a_core() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel tells");
    let nanos = schedule.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("nanoseconds"))
}

fn exponential(entropy: &mut Entropy, mean: f64) -> Duration {
    Duration::from_secs_f64(-mean * (1.0 - entropy.fraction()).ln())
}

fn town(seed: &Seed, sound: bool) -> Town {
    let queue = QueueConfig {
        answer: AnswerWith::Agent,
        ..QueueConfig::new("support")
    };
    let plot = Plot {
        seed: seed.clone(),
        agents: AGENTS,
        queues: vec![queue],
        link: Link::perfect(Duration::from_micros(100)),
        expires: Duration::from_secs(3_600),
        store: Box::new(ModelStore::new(seed.derive("store"))),
        sound,
    };
    Town::new(plot, |config| config.audio = sound)
}

/// A day of `span`, with every caller served.
fn day(number: u64, span: Duration, warm_up: Duration, sound: bool) -> Served {
    let begun = time_on_a_core();
    let seed = Seed::from_number(number).derive("day");
    let mut town = town(&seed, sound);
    for agent in 0..AGENTS {
        town.register(agent);
    }
    let opens = Time::from_secs(10);
    town.world.run_until(opens).expect("within limits");
    let mut dice = seed.derive("callers").stream();
    let between = DAY.as_secs_f64() / f64::from(CALLS);
    let mut next = opens + exponential(&mut dice, between);
    let closes = opens + span;
    let mut placed = BTreeMap::new();
    let mut waits = Vec::new();
    let mut calls = 0;
    let mut over = 0;
    loop {
        let open = next < closes;
        let until = if open { next } else { closes + span };
        if !town.world.step(until).expect("within limits") {
            if !open {
                break;
            }
            let plan = Plan {
                acts: vec![(exponential(&mut dice, TALK), Act::HangUp)],
                ..Plan::default()
            };
            let call = town.dial(calls, "support", plan).expect("a call");
            placed.insert(call, town.now());
            calls += 1;
            next += exponential(&mut dice, between);
        }
        while let Some((party, at, news)) = town.world.poll_event() {
            match news {
                News::Phone(Said::Rings { call, .. }) => {
                    let plan = Plan {
                        pickup: Some(Pickup::After(Duration::ZERO)),
                        ..Plan::default()
                    };
                    town.with_phone(party, |phone, now| phone.plan(now, call, plan));
                }
                News::Phone(Said::Up { call }) if party == town.crowd => {
                    let came = placed[&call];
                    if came >= opens + warm_up {
                        waits.push(at.since(came));
                    }
                }
                News::Phone(Said::Over { call, status, .. }) if party == town.crowd => {
                    assert_eq!(status, None, "nobody is refused");
                    placed.remove(&call);
                    over += 1;
                }
                News::Phone(_) | News::Server | News::Over(..) => {}
            }
        }
        while town.log.next().is_some() {}
        if !open && over == calls {
            break;
        }
    }
    assert_eq!(over, calls, "every caller is served");
    // The last agents hear of it.
    let end = town.now() + Duration::from_secs(1);
    town.world.run_until(end).expect("within limits");
    let heard = town.heard();
    Served {
        waits,
        calls,
        spent: time_on_a_core() - begun,
        heard,
    }
}

fn judge(days: &[Served]) {
    let load = f64::from(CALLS) / DAY.as_secs_f64() * TALK;
    let agents = AGENTS as u32;
    let of = |figure: fn(&Served) -> f64| Interval::of(&days.iter().map(figure).collect::<Vec<_>>());
    let measured = [
        (
            "waiting probability",
            of(Served::waiting_probability),
            waiting_probability(agents, load),
        ),
        (
            "mean wait in seconds",
            of(Served::mean_wait),
            mean_wait(agents, load, TALK),
        ),
    ];
    let calls: usize = days.iter().map(|day| day.calls).sum();
    let spent: f64 = days.iter().map(|day| day.spent.as_secs_f64()).sum();
    println!(
        "{} days, {calls} calls, {:.2} s each, {:.0} µs a call",
        days.len(),
        spent / days.len() as f64,
        1e6 * spent / calls as f64
    );
    for (what, interval, formula) in measured {
        let Interval { mean, half } = interval;
        println!("{what}: {mean:.4} ± {half:.4}; Erlang C: {formula:.4}");
        assert!(
            interval.holds(formula),
            "{what}: {formula} is not within {mean} ± {half}"
        );
    }
}

#[test]
fn callers_wait_as_erlang_c_says_in_a_short_day() {
    let hour = Duration::from_secs(3_600);
    let days: Vec<_> = (1..=3).map(|number| day(number, hour, hour / 4, false)).collect();
    judge(&days);
}

#[test]
#[ignore = "thirty days of 12,000 calls: minutes"]
fn callers_wait_as_erlang_c_says() {
    let days: Vec<_> = (1..=30).map(|number| day(number, DAY, WARM_UP, false)).collect();
    judge(&days);
}

#[test]
#[ignore = "a day of 12,000 calls: seconds, which are told"]
fn a_day_without_audio_takes_seconds() {
    let served = day(1, DAY, WARM_UP, false);
    println!("{} calls in {:.2} s", served.calls, served.spent.as_secs_f64());
    if !cfg!(debug_assertions) {
        assert!(served.spent <= LIMIT);
    }
}

#[test]
#[ignore = "24 minutes of audio for 60 agents: a minute"]
fn a_twentieth_of_a_day_with_audio() {
    let [without, with] = [false, true].map(|sound| day(1, DAY / 20, Duration::ZERO, sound));
    let times = with.spent.as_secs_f64() / without.spent.as_secs_f64();
    let Heard { span, packets, lost } = with.heard.expect("there is audio");
    println!(
        "{} calls in {:.2} s, with audio in {:.2} s: {times:.0} times slower; {packets} packets of {} s heard, {lost} lost",
        with.calls,
        without.spent.as_secs_f64(),
        with.spent.as_secs_f64(),
        span.as_secs()
    );
    assert_eq!(with.waits, without.waits, "audio decides nothing");
    assert_eq!(lost, 0);
    // Every 20 ms, from when the other one began.
    let expected = span.as_secs_f64() * 50.0;
    assert!((packets as f64 - expected).abs() < 0.01 * expected);
}
