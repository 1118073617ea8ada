//! The calls over time: how long each waited, and with whom it talked.

use serde::Serialize;

use crate::results::{CallShown, Results};

/// How many colours there are for agents.
const COLOURS: usize = 8;

/// The calls over time, in percent of its width.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    bars: Vec<Bar>,
    ticks: Vec<Tick>,
}

#[derive(Debug, Serialize)]
struct Bar {
    number: usize,
    customer: String,
    agent: Option<String>,
    colour: Option<usize>,
    wait_left: f64,
    wait_width: f64,
    talk_left: f64,
    talk_width: f64,
    title: String,
}

#[derive(Debug, Serialize)]
struct Tick {
    left: f64,
    label: String,
}

impl Timeline {
    pub(super) fn of(results: &Results) -> Timeline {
        let begin = results
            .calls
            .iter()
            .map(|call| call.started_ms)
            .fold(f64::INFINITY, f64::min);
        let ends = results.calls.iter().map(|call| {
            call.started_ms + call.wait_ms.unwrap_or_default() + call.talk_ms.unwrap_or_default()
        });
        let span = (ends.fold(0.0, f64::max) - begin).max(1.0);
        let share = |ms: f64| ms / span * 100.0;
        let bar = |call: &CallShown| {
            let wait = call.wait_ms.unwrap_or(0.0);
            let talk = call.talk_ms.unwrap_or(0.0);
            let left = share(call.started_ms - begin);
            let place = |name: &String| results.agents.iter().position(|agent| agent.name == *name);
            Bar {
                number: call.number,
                customer: call.customer.clone(),
                agent: call.agent.clone(),
                colour: call.agent.as_ref().and_then(place).map(|place| place % COLOURS),
                wait_left: left,
                wait_width: share(wait),
                talk_left: left + share(wait),
                talk_width: share(talk),
                title: format!("waited {:.1} s, talked {:.1} s", wait / 1_000.0, talk / 1_000.0),
            }
        };
        let step = step(span / 1_000.0);
        let count = (span / 1_000.0 / step) as usize;
        Timeline {
            bars: results.calls.iter().map(bar).collect(),
            ticks: (0..=count)
                .map(|index| Tick {
                    left: share(index as f64 * step * 1_000.0),
                    label: format!("{} s", index as f64 * step),
                })
                .collect(),
        }
    }
}

/// A distance of ticks, so that there are ten at most.
fn step(seconds: f64) -> f64 {
    let mut step = 1.0;
    for factor in [2.0, 2.5, 2.0].iter().cycle() {
        if seconds / step <= 10.0 {
            break;
        }
        step *= factor;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::step;

    #[test]
    fn there_are_ten_ticks_at_most() {
        for (seconds, expected) in [(0.5, 1.0), (15.0, 2.0), (45.0, 5.0), (90.0, 10.0), (150.0, 20.0)] {
            assert_eq!(step(seconds), expected, "{seconds}");
        }
    }
}
