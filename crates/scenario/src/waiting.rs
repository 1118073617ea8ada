//! Waiting: `await_until`, `wait`, `parallel`.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::time::Duration;

use callwright_events::{Observed, RunEvent};
use callwright_wire::Time;

use crate::context::{self, Context, Try};
use crate::phone::{Aspect, CallRef, Phase};
use crate::scene::millis;
use crate::world::{Task, Topic, Version, Wake};
use crate::{Agent, Fault, Position, Scene, span};

/// How often a try is repeated that looked at something without events.
const POLL: Duration = Duration::from_millis(100);

/// How many of the values seen while waiting are kept: the first ones, and the newest at the end.
const HISTORY_LIMIT: usize = 40;

/// What a closure of `await_until` gave.
#[derive(Clone, Copy, Debug)]
pub struct Tried<T> {
    /// Its value.
    pub value: T,
    /// It is `false`: of a closure without assertions that means not yet.
    pub is_false: bool,
}

impl Scene {
    /// Evaluates `attempt` until it succeeds or the time is up; again after every event that could change its outcome.
    ///
    /// What it reads is recorded during the evaluation: a change of that wakes it, and nothing else, but for HTTP,
    /// clocks and media figures, which are looked at every 100 ms. What failing tries report is dropped; what the last
    /// one reports is kept.
    ///
    /// # Errors
    /// At once for an error that cannot pass by waiting; at the end of the time the error of the last try, with the
    /// values seen on the way.
    pub fn await_until<T>(
        &self,
        within: Option<Duration>,
        at: &Position,
        mut attempt: impl FnMut() -> Result<Tried<T>, Fault>,
    ) -> Result<T, Fault> {
        let world = self.world();
        let began = world.now();
        let until = began + within.unwrap_or_else(|| self.default_timeout());
        let mut history = History::default();
        loop {
            self.check()?;
            let Some((current, entered)) = context::begin_try() else {
                return attempt().map(|tried| tried.value);
            };
            let outcome = attempt();
            drop(entered);
            let fault = match outcome {
                Ok(tried) if tried.is_false && !current.asserted() => {
                    Fault::not_yet("the closure returned false").at(at)
                }
                Ok(tried) => {
                    self.publish(&current);
                    return Ok(tried.value);
                }
                Err(fault) if !fault.parts().retriable => {
                    self.publish(&current);
                    return Err(fault);
                }
                Err(fault) => fault,
            };
            history.add(world.now().since(began), &fault);
            if world.now() >= until {
                self.publish(&current);
                return Err(history.close(fault, began, world.now(), &current));
            }
            let look = if current.polls() {
                until.min(world.now() + POLL)
            } else {
                until
            };
            self.wait_for(&current.reads(), look)
                .map_err(|end| end.at(at).hint(format!("it was waiting here: {fault}")))?;
        }
    }

    /// Holds for `span`, whether or not there is a call.
    ///
    /// # Errors
    /// At once when a call that was established at the start ends.
    pub fn hold(&self, span: Duration, at: &Position) -> Result<(), Fault> {
        self.emit(RunEvent::Wait {
            seconds: span.as_secs_f64(),
            location: at.location(),
        });
        let world = self.world();
        let began = world.now();
        let until = began + span;
        let held: Vec<Held> = self.all_agents().into_iter().flat_map(Held::of).collect();
        loop {
            let reads: Vec<(Topic, Version)> = held
                .iter()
                .map(|held| held.agent.phone().topic(Aspect::Calls))
                .map(|topic| (topic, world.version(topic)))
                .collect();
            if let Some(lost) = held.iter().find(|held| !held.is_up()) {
                let reason = lost
                    .reason()
                    .map_or_else(String::new, |reason| format!(" ({reason})"));
                let message = format!(
                    "wait({}): the call of {} ended after {}{reason}",
                    span::text(span),
                    lost.agent.name(),
                    span::text(world.now().since(began)),
                );
                return Err(Fault::new(callwright_events::FailureKind::Assertion, message).at(at));
            }
            if self.wait_for(&reads, until)? == Wake::TimeUp {
                return Ok(());
            }
        }
    }

    /// Sleeps; for a script's `sleep`.
    ///
    /// # Errors
    /// When the scenario has to end.
    pub fn sleep(&self, span: Duration) -> Result<(), Fault> {
        self.wait_for(&[], self.world().now() + span).map(|_| ())
    }

    /// Runs tasks at the same time and waits for all of them; the results in order.
    ///
    /// # Errors
    /// The first failure in order, with the number of its task in the text.
    pub fn parallel<T: Send>(
        &self,
        tasks: Vec<Box<dyn FnOnce() -> Result<T, Fault> + Send + '_>>,
    ) -> Result<Vec<T>, Fault> {
        let count = tasks.len();
        self.together(tasks).map_err(|(number, mut fault)| {
            if !fault.is_final() {
                let parts = fault.parts_mut();
                parts.message = format!("parallel task {} of {count}: {}", number + 1, parts.message);
            }
            fault
        })
    }

    /// Runs tasks at the same time; of the failures the first in order, and the number of its task from 0.
    pub(crate) fn together<T: Send>(
        &self,
        tasks: Vec<Box<dyn FnOnce() -> Result<T, Fault> + Send + '_>>,
    ) -> Result<Vec<T>, (usize, Fault)> {
        let count = tasks.len();
        let results: Vec<Mutex<Option<Result<T, Fault>>>> = (0..count).map(|_| Mutex::new(None)).collect();
        let context = Context::current();
        let running: Vec<Task<'_>> = tasks
            .into_iter()
            .zip(&results)
            .map(|(task, result)| {
                let context = context.clone();
                let task: Task<'_> = Box::new(move || {
                    let _entered = context.map(Context::enter);
                    let outcome = task();
                    if let Ok(mut result) = result.lock() {
                        *result = Some(outcome);
                    }
                });
                task
            })
            .collect();
        self.world().run_tasks(running);
        let mut values = Vec::with_capacity(count);
        let mut failed = None;
        for (number, result) in results.into_iter().enumerate() {
            match result.into_inner().ok().flatten() {
                Some(Ok(value)) => values.push(value),
                Some(Err(fault)) => {
                    // An interrupt or a skip of one task ends the scenario, whatever the others say.
                    if failed.is_none() || fault.is_final() {
                        failed = Some((number, fault));
                    }
                }
                None => resume_unwind(Box::new("a parallel task did not end")),
            }
        }
        failed.map_or(Ok(values), Err)
    }

    /// Waits for a change of what was read, an interrupt, or the time, be it the scenario's own.
    ///
    /// # Errors
    /// When the scenario has to end.
    pub(crate) fn wait_for(&self, reads: &[(Topic, Version)], until: Time) -> Result<Wake, Fault> {
        let mut reads = reads.to_vec();
        let mut limit = until;
        if !self.is_ending() {
            reads.push(self.run().interrupt().watch());
            limit = until.min(self.deadline());
        }
        let wake = self.world().wait(&reads, limit);
        if self.world().is_over() {
            return Err(Fault::interrupted());
        }
        self.check()?;
        Ok(wake)
    }

    fn publish(&self, attempt: &Try) {
        for event in attempt.take_events() {
            self.emit(event);
        }
    }
}

/// A call that was established when a wait began.
struct Held {
    agent: Agent,
    call: CallRef,
}

impl Held {
    fn of(agent: Agent) -> Vec<Held> {
        let calls = agent.phone().snapshot().calls;
        calls
            .iter()
            .filter(|call| call.phase.is_established())
            .map(|call| Held {
                agent: agent.clone(),
                call: call.id,
            })
            .collect()
    }

    fn is_up(&self) -> bool {
        let snapshot = self.agent.phone().snapshot();
        snapshot
            .call(self.call)
            .is_some_and(|call| call.phase != Phase::Ended)
    }

    fn reason(&self) -> Option<String> {
        let snapshot = self.agent.phone().snapshot();
        snapshot
            .call(self.call)
            .map_or(snapshot.reason.clone(), |call| call.reason.clone())
    }
}

/// The values seen while waiting; equal neighbours once.
#[derive(Default)]
struct History {
    seen: Vec<Observed>,
}

impl History {
    fn add(&mut self, since: Duration, fault: &Fault) {
        let parts = fault.parts();
        let value = parts.actual.clone().unwrap_or_else(|| parts.message.clone());
        if self.seen.last().is_some_and(|last| last.value == value) {
            return;
        }
        if self.seen.len() == HISTORY_LIMIT {
            self.seen.remove(HISTORY_LIMIT / 2);
        }
        self.seen.push(Observed {
            t_ms: millis(since),
            value,
        });
    }

    fn close(self, mut fault: Fault, began: Time, now: Time, last: &Try) -> Fault {
        let waited = now.since(began);
        let idle = last.reads().is_empty() && !last.polls();
        let parts = fault.parts_mut();
        parts.waited = Some(waited);
        // Every try failed, the first one too.
        parts.audio_since = parts.audio_since.map(|since| since.min(began));
        parts.history = self.seen;
        parts.message = format!("{} (waited {})", parts.message, span::text(waited));
        parts.retriable = true;
        if idle {
            parts
                .hints
                .push("nothing that the closure looks at can change by waiting".to_owned());
        }
        fault
    }
}
