//! Metrics in the text format of OpenMetrics.

use std::fmt;

use callwright_acd::{AgentState, Fact};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::error::Problem;
use super::live::Live;
use crate::server::Event;

type Labels = Vec<(&'static str, String)>;

/// What is counted as it happens.
#[derive(Default)]
pub(crate) struct Tally {
    queued: Family<Labels, Counter>,
    ended: Family<Labels, Counter>,
    unstored: Counter,
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tally")
    }
}

impl Tally {
    /// Takes note of what a server tells.
    pub(crate) fn note(&self, event: &Event) {
        match event {
            Event::Stored {
                fact: Fact::CallQueued { queue, .. },
            } => {
                self.queued.get_or_create(&vec![("queue", queue.clone())]).inc();
            }
            Event::CallOver { cause, .. } => {
                self.ended.get_or_create(&vec![("cause", cause.clone())]).inc();
            }
            Event::NotStored { .. } => {
                self.unstored.inc();
            }
            Event::Stored { .. }
            | Event::Listening { .. }
            | Event::ListenFailed { .. }
            | Event::Store { .. }
            | Event::CallsLost { .. }
            | Event::CallLegs { .. }
            | Event::Banned(_)
            | Event::BanOver { .. }
            | Event::RecordingBegan { .. }
            | Event::Recorded { .. }
            | Event::Closed => {}
        }
    }
}

/// Everything, now.
pub(super) fn text(live: &Live, tally: &Tally) -> Result<String, Problem> {
    let mut registry = Registry::with_prefix("callwright");
    let (load, counters, agents, queues, health, committed) = live.ask(|server, _| {
        let machine = server.machine();
        (
            server.load(),
            server.counters(),
            machine.agents(),
            machine.queues(),
            server.store().health(),
            server.store().committed(),
        )
    })?;
    let gauge = |registry: &mut Registry, name: &str, help: &str, value: usize| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge(&mut registry, "calls", "Calls in progress", load.calls);
    gauge(
        &mut registry,
        "legs",
        "Legs of calls, ringing ones included",
        load.legs,
    );
    gauge(&mut registry, "bindings", "Registered contacts", load.bindings);
    gauge(
        &mut registry,
        "facts_in_flight",
        "Facts on their way to the database",
        load.facts_in_flight,
    );
    let up = usize::from(health.is_sound());
    gauge(
        &mut registry,
        "database_up",
        "1 when the database can be written",
        up,
    );
    let counter = |registry: &mut Registry, name: &str, help: &str, value: u64| {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    };
    counter(&mut registry, "facts_stored", "Facts that were stored", committed);
    counter(
        &mut registry,
        "over_limit",
        "Requests turned away by a limit",
        counters.over_limit,
    );
    let wrong = counters.wrong_credentials;
    counter(
        &mut registry,
        "wrong_credentials",
        "Credentials that were wrong",
        wrong,
    );
    counter(
        &mut registry,
        "rate_limited",
        "Requests of sources that sent too many",
        counters.rate_limited,
    );
    counter(
        &mut registry,
        "banned",
        "Requests of sources that are banned",
        counters.banned,
    );
    counter(
        &mut registry,
        "replays",
        "Nonce counts that were used before",
        counters.replays,
    );
    counter(
        &mut registry,
        "loops",
        "INVITEs that had come round",
        counters.loops,
    );
    counter(
        &mut registry,
        "malformed",
        "Bytes that were no acceptable message",
        counters.malformed,
    );
    let of_queues = |registry: &mut Registry, name: &str, help: &str, value: &dyn Fn(usize) -> usize| {
        let family = Family::<Labels, Gauge>::default();
        for (at, queue) in queues.iter().enumerate() {
            let labels = vec![("queue", queue.name.clone())];
            family
                .get_or_create(&labels)
                .set(i64::try_from(value(at)).unwrap_or(i64::MAX));
        }
        registry.register(name, help, family);
    };
    of_queues(&mut registry, "queue_waiting", "Calls that wait", &|at| {
        queues[at].waiting
    });
    of_queues(
        &mut registry,
        "queue_talking",
        "Calls that talk to an agent",
        &|at| queues[at].talking,
    );
    of_queues(
        &mut registry,
        "queue_agents_free",
        "Members that are ready and in no call",
        &|at| queues[at].free,
    );
    let states = Family::<Labels, Gauge>::default();
    let all = [
        "logged_out",
        "not_ready",
        "ready",
        "reserved",
        "talking",
        "wrap_up",
    ];
    for state in all {
        let count = agents
            .iter()
            .filter(|agent| AgentState::as_str(&agent.state) == state)
            .count();
        states
            .get_or_create(&vec![("state", state.to_owned())])
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    registry.register("agents", "Agents by state", states);
    registry.register("calls_queued", "Calls that came to a queue", tally.queued.clone());
    registry.register("calls_ended", "Calls that ended, by cause", tally.ended.clone());
    registry.register(
        "facts_refused",
        "Facts that could not be stored",
        tally.unstored.clone(),
    );
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => Ok(text),
        Err(error) => Err(Problem::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            format!("the metrics cannot be written: {error}"),
        )),
    }
}
