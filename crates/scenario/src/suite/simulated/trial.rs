//! One attempt of a scenario, in a world that is made for it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callwright_capture::rules::{Tally, Violation};
use callwright_events::{Failure, FailureKind, Hint, Outcome};
use callwright_wire::{Epoch, Seed};

use super::{Simulation, lock};
use crate::context::Context;
use crate::simulated::{Episode, Observing, SimulatedConfig, SimulatedWorld};
use crate::suite::attempt::{self, Subject, Trials};
use crate::suite::runner::{named, not_run};
use crate::suite::{Program, Registration};
use crate::world::World;
use crate::{Fault, Run, Scene, Sink, evidence};

/// How long everything may take to come to its end once a scenario is over: a BYE and then a REGISTER without answers,
/// and the transactions that linger behind them (RFC 3261 §17: 64·T1 each).
const RUN_OUT: Duration = Duration::from_secs(110);

/// How many further violations a failure shows.
const VIOLATIONS_SHOWN: usize = 4;

/// Nobody else is in a scenario's world: it always has the accounts of the first worker.
pub(super) const WORKER: usize = 0;

/// One attempt.
pub(super) struct Trial<'a> {
    pub(super) run: &'a Arc<Run>,
    pub(super) simulation: &'a Simulation,
    pub(super) path: &'a Path,
    pub(super) program: &'a Arc<dyn Program>,
    /// Of a scenario of a suite; none of a file that is itself one.
    pub(super) registration: Option<&'a Registration>,
    /// Its number in the suite.
    pub(super) scenario: usize,
    pub(super) sink: &'a Arc<dyn Sink>,
    /// Where to record agents, instead of where the settings say.
    pub(super) recordings: Option<PathBuf>,
    /// How to see it again.
    pub(super) hint: &'a str,
}

/// What an attempt left beside its outcome.
#[derive(Default)]
pub(super) struct Left {
    pub(super) duration: Duration,
    pub(super) tally: Vec<Tally>,
    pub(super) episode: Option<Episode>,
    /// What went wrong in `setup_file` or `teardown_file`.
    pub(super) file_failure: Option<Box<Failure>>,
}

impl Trial<'_> {
    /// Makes the attempt; gives no outcome when it is to be tried again.
    pub(super) fn run(&self, trials: &mut Trials, seed: Seed) -> (Option<Outcome>, Left) {
        let world = SimulatedWorld::new(SimulatedConfig {
            seed,
            epoch: Epoch::SIMULATED,
            interrupt: Arc::clone(self.run.interrupt().flag()),
            servers: self.simulation.servers.clone(),
            link: self.run.settings().network.clone(),
            #[cfg(feature = "fake")]
            broken: self.simulation.broken,
        });
        let world = match world {
            Ok(world) => world,
            // It started when the run began.
            Err(error) => panic!("{error}"),
        };
        let run = self
            .run
            .part(world.clone() as Arc<dyn World>, self.recordings.clone());
        world.watch(run.interrupt());
        let observing = world.observe(self.simulation.capture.is_some());
        let left = Mutex::new(Left::default());
        let outcome = match self.registration {
            None => {
                let name = self.path.display().to_string();
                let scene = Scene::of_file(&run, Arc::clone(self.sink), self.path, Some(name), WORKER);
                let subject = Subject::File {
                    program: &**self.program,
                };
                trials.attempt(&subject, &scene, || judge(&world, &observing, &left))
            }
            Some(registration) => self.in_suite(trials, &world, &observing, &left, &run, registration),
        };
        let mut left = left
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        left.duration = world.elapsed();
        left.episode = observing.episode(&world);
        (outcome, left)
    }

    /// Evaluates the file up to the scenario, runs that, and tears the file down again.
    fn in_suite(
        &self,
        trials: &mut Trials,
        world: &Arc<SimulatedWorld>,
        observing: &Observing,
        left: &Mutex<Left>,
        run: &Arc<Run>,
        registration: &Registration,
    ) -> Option<Outcome> {
        let outer = Scene::of_file(run, Arc::clone(self.sink), self.path, None, WORKER);
        let opened = {
            let _entered = Context::new(&outer).enter();
            self.program.open(&outer).map_err(Fault::outside_scenarios)
        };
        let suite = opened.and_then(|suite| {
            let name = suite.registrations().get(self.scenario).map(|one| &one.name);
            if name == Some(&registration.name) {
                return Ok(suite);
            }
            let text = "the top level registers other scenarios each time it is evaluated";
            Err(Fault::script(text).hint(
                "the names of scenarios must not depend on chance, on the time, or on what happened before",
            ))
        });
        let set_up = suite.as_ref().map_err(Fault::clone).and_then(|suite| {
            let _entered = Context::new(&outer).enter();
            suite
                .setup_file(&outer)
                .map(|()| suite)
                .map_err(|fault| named("setup_file", fault.outside_scenarios()))
        });
        let conclude = || {
            if let Ok(suite) = &suite {
                let _entered = Context::new(&outer).enter();
                outer.begin_end();
                if let Err(fault) = suite.teardown_file(&outer) {
                    let fault = named("teardown_file", fault.outside_scenarios()).hint(self.hint);
                    let failure = Box::new(attempt::failure(&outer, &fault));
                    lock(left).file_failure.get_or_insert(failure);
                }
            }
            outer.end();
            judge(world, observing, left)
        };
        let scene = outer.of_scenario(Arc::clone(self.sink), &registration.name, WORKER);
        match set_up {
            Ok(suite) => {
                let subject = Subject::Scenario {
                    suite: &**suite,
                    index: self.scenario,
                    registration,
                };
                trials.attempt(&subject, &scene, conclude)
            }
            Err(fault) => {
                let interrupted = fault.kind() == Some(FailureKind::Interrupted);
                let outcome = if interrupted {
                    Outcome::Interrupted
                } else {
                    let fault = fault.hint(self.hint);
                    lock(left).file_failure = Some(Box::new(attempt::failure(&outer, &fault)));
                    not_run(&scene, registration, &fault)
                };
                scene.end();
                conclude();
                Some(outcome)
            }
        }
    }
}

/// Lets everything come to its end, and says what is wrong then.
fn judge(world: &SimulatedWorld, observing: &Observing, left: &Mutex<Left>) -> Option<Failure> {
    world.close();
    world.close_servers();
    let residues = world.run_out(RUN_OUT);
    if let Some(trouble) = world.trouble() {
        let text = format!("the simulated world could not go on: {trouble}");
        return Some(evidence::bare(FailureKind::Generator, &text));
    }
    let (violations, tally) = observing.verdict(world.now(), &residues);
    lock(left).tally = tally;
    broken(&violations, &|party| {
        world
            .name(party)
            .map_or_else(|| format!("party {party}"), |name| name.to_string())
    })
}

/// The first rule that was broken, and the others as hints.
fn broken(violations: &[Violation], names: &dyn Fn(u32) -> String) -> Option<Failure> {
    let (first, others) = violations.split_first()?;
    let text = |violation: &Violation| {
        format!(
            "{} broke the rule `{}` ({}): {}; {}",
            names(violation.party),
            violation.rule.name(),
            violation.reference,
            violation.detail,
            violation.message,
        )
    };
    let mut failure = evidence::bare(FailureKind::Protocol, &text(first));
    failure.expected = Some(first.rule.description().to_owned());
    let shown = others.iter().take(VIOLATIONS_SHOWN);
    failure.hints = shown.map(|violation| Hint(text(violation))).collect();
    if others.len() > VIOLATIONS_SHOWN {
        let more = others.len() - VIOLATIONS_SHOWN;
        failure.hints.push(Hint(format!("and {more} more")));
    }
    Some(failure)
}
