//! Suites in simulated worlds: each attempt of a scenario in a world of its own, many of them at the same time.
//!
//! The top level of a file is evaluated anew in each world, and `setup_file` and `teardown_file` run around each scenario:
//! nothing that one scenario does is seen by another, and its course depends on its seed alone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use callwright_capture::rules::{Tally, Violation};
use callwright_events::{ExitCode, Failure, FailureKind, Health, Hint, Outcome, Record, RuleCount, RunEvent};
use callwright_wire::{Epoch, Seed};

use super::attempt::{self, Limits, Subject, Trials, first_line};
use super::order::Ordered;
use super::plan::{Content, File, Slot, select, slots};
use super::runner::{is_a_failure, named, not_run, open, report_start, warn_of_only};
use super::totals::Totals;
use super::{Loaded, Options, Program, Registration};
use crate::context::Context;
use crate::simulated::{Episode, Observing, ServerError, ServerPlan, SimulatedConfig, SimulatedWorld};
use crate::world::{STACK, World};
use crate::{Causes, Fault, Interrupt, Run, Scene, Settings, Sink, evidence};

/// How long everything may take to come to its end once a scenario is over: a BYE and then a REGISTER without answers,
/// and the transactions that linger behind them (RFC 3261 §17: 64·T1 each).
const RUN_OUT: Duration = Duration::from_secs(110);

/// How far the calendars of two scenarios are apart, so that one capture can hold them all in order.
const APART: Duration = Duration::from_secs(3_600);

/// How many further violations a failure shows.
const VIOLATIONS_SHOWN: usize = 4;

/// Nobody else is in a scenario's world: it always has the accounts of the first worker.
const WORKER: usize = 0;

/// The command that repeats a scenario, for a seed, a file, and the name of a scenario unless the file is one.
pub type Replay = dyn Fn(u64, &Path, Option<&str>) -> String + Send + Sync;

/// What simulated runs have besides [`Options`].
pub struct Simulation {
    /// The servers of every world.
    pub servers: Vec<ServerPlan>,
    /// Takes the packets of each attempt that is reported, in the order of the plan; `None` keeps none.
    pub capture: Option<Arc<dyn Fn(Episode) + Send + Sync>>,
    /// How to repeat a scenario.
    pub replay: Box<Replay>,
    /// What every phone does wrong.
    #[cfg(feature = "fake")]
    pub broken: Option<crate::simulated::Broken>,
}

impl Simulation {
    /// One without servers that keeps no packets.
    pub fn new(replay: Box<Replay>) -> Self {
        Simulation {
            servers: Vec::new(),
            capture: None,
            replay,
            #[cfg(feature = "fake")]
            broken: None,
        }
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("servers", &self.servers)
            .field("capture", &self.capture.is_some())
            .finish_non_exhaustive()
    }
}

/// Runs files in simulated worlds.
pub struct Simulator {
    /// Of the world in which files are evaluated for their scenarios.
    run: Arc<Run>,
    simulation: Simulation,
}

impl Simulator {
    /// Gets ready: the servers were started once.
    ///
    /// # Errors
    /// When a server does not start.
    pub fn new(
        settings: Settings,
        causes: Arc<Causes>,
        simulation: Simulation,
    ) -> Result<Simulator, ServerError> {
        let world = SimulatedWorld::new(SimulatedConfig {
            seed: Seed::from_number(0),
            epoch: Epoch::SIMULATED,
            interrupt: Arc::default(),
            servers: simulation.servers.clone(),
            #[cfg(feature = "fake")]
            broken: None,
        })?;
        let run = Run::new(world as Arc<dyn World>, settings, causes);
        Ok(Simulator { run, simulation })
    }

    /// The way to interrupt it, from any thread.
    pub fn interrupt(&self) -> &Arc<Interrupt> {
        self.run.interrupt()
    }

    /// Runs files. With [`Options::repeat`] every scenario is run with so many seeds, from [`Options::seed`] on, and what is
    /// reported is the first seed that fails. [`Options::jobs`] says how many run at the same time; what is reported does not
    /// depend on it.
    pub fn run(&self, sink: &Arc<dyn Sink>, files: Vec<Loaded>, options: &Options) -> ExitCode {
        report_start(&self.run, sink, files.len(), options, true);
        let mut files = open(&self.run, files);
        for file in &files {
            file.release();
        }
        let once = Options {
            repeat: 1,
            ..options.clone()
        };
        let selected = select(&mut files, &once);
        if let Some(only) = &selected.only {
            warn_of_only(&self.run, sink, only);
        }
        let slots = slots(&files);
        let scenarios: Vec<usize> = (0..slots.len())
            .filter(|slot| matches!(slots[*slot], Slot::Scenario { .. }))
            .collect();
        let crew = Crew {
            simulator: self,
            files: &files,
            slots: &slots,
            scenarios: &scenarios,
            options,
            repeat: options.repeat.max(1),
            ordered: Ordered::new(Arc::clone(sink), slots.len()),
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            nanos: AtomicU64::new(0),
            board: Mutex::new(Board::default()),
        };
        for (slot, step) in slots.iter().enumerate() {
            if let Slot::Begin { file } = step {
                crew.begin(*file, slot);
            }
        }
        let workers = options.jobs.clamp(1, (scenarios.len() * crew.repeat).max(1));
        thread::scope(|scope| {
            for worker in 0..workers {
                let crew = &crew;
                let work = move || crew.work();
                let spawned = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
                // With fewer threads it takes longer, with none it cannot run.
                if let Err(error) = spawned
                    && worker == 0
                {
                    panic!("the system gives no thread: {error}");
                }
            }
        });
        crew.conclude(sink, selected.before_sharding)
    }
}

/// The workers, and what they share.
struct Crew<'a> {
    simulator: &'a Simulator,
    files: &'a [File],
    slots: &'a [Slot],
    /// The slots of scenarios.
    scenarios: &'a [usize],
    options: &'a Options,
    repeat: usize,
    ordered: Arc<Ordered>,
    /// The next piece of work: all scenarios with the first seed, then with the second.
    next: AtomicUsize,
    stopped: AtomicBool,
    /// How long all attempts took, in virtual time.
    nanos: AtomicU64,
    board: Mutex<Board>,
}

#[derive(Default)]
struct Board {
    /// By the number of the seed and the slot.
    outcomes: BTreeMap<(usize, usize), Outcome>,
    /// The number of the first seed that fails.
    first_failed: Option<usize>,
    /// What there is to report about a seed and a slot.
    told: BTreeMap<(usize, usize), Told>,
    /// The first failure of `teardown_file`, and of a file's top level.
    file_failures: BTreeMap<usize, Box<Failure>>,
    ended: Vec<usize>,
    /// How often each rule was looked at.
    tally: Vec<Tally>,
}

impl Board {
    fn add(&mut self, tally: &[Tally]) {
        if self.tally.is_empty() {
            self.tally = tally.to_vec();
            return;
        }
        for (sum, more) in self.tally.iter_mut().zip(tally) {
            sum.subjects += more.subjects;
            sum.excused += more.excused;
            sum.checks += more.checks;
        }
    }
}

/// What one piece of work has to say.
#[derive(Default)]
struct Told {
    records: Vec<Record>,
    episodes: Vec<Episode>,
}

/// Keeps what a scenario reports until it is known whether anybody wants it.
#[derive(Default)]
struct Kept(Mutex<Vec<Record>>);

impl Sink for Kept {
    fn emit(&self, record: Record) {
        lock(&self.0).push(record);
    }
}

impl Crew<'_> {
    fn work(&self) {
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            let (seed, scenario) = (
                piece / self.scenarios.len().max(1),
                piece % self.scenarios.len().max(1),
            );
            if seed >= self.repeat || self.scenarios.is_empty() {
                return;
            }
            let is_late = lock(&self.board).first_failed.is_some_and(|first| seed > first);
            if is_late || self.stopped.load(Ordering::Relaxed) || self.interrupt().is_raised() {
                return;
            }
            self.perform(seed, self.scenarios[scenario]);
        }
    }

    fn interrupt(&self) -> &Arc<Interrupt> {
        self.simulator.run.interrupt()
    }

    fn perform(&self, seed: usize, slot: usize) {
        let Slot::Scenario { file, index } = self.slots[slot] else {
            return;
        };
        let kept = Arc::new(Kept::default());
        let sink: Arc<dyn Sink> = if self.repeat == 1 {
            self.ordered.slot(slot)
        } else {
            kept.clone()
        };
        let mut episodes = Vec::new();
        let outcome = self.scenario(seed, slot, file, index, &sink, &mut episodes);
        let mut board = lock(&self.board);
        board.outcomes.insert((seed, slot), outcome);
        let failed = !self.options.is_fine(outcome);
        if failed {
            board.first_failed = Some(board.first_failed.map_or(seed, |first| first.min(seed)));
            if self.options.fail_fast {
                self.stopped.store(true, Ordering::Relaxed);
            }
        }
        // Of many seeds the first is shown where all pass.
        if self.repeat == 1 || failed || seed == 0 {
            let records = std::mem::take(&mut *lock(&kept.0));
            board.told.insert((seed, slot), Told { records, episodes });
        }
        drop(board);
        if self.repeat == 1 {
            self.ordered.done(slot);
            self.end_when_done(file);
        }
    }

    /// One scenario, with all its attempts.
    fn scenario(
        &self,
        seed: usize,
        slot: usize,
        index: usize,
        scenario: usize,
        sink: &Arc<dyn Sink>,
        episodes: &mut Vec<Episode>,
    ) -> Outcome {
        let file = &self.files[index];
        let opened = file.opened();
        let (program, registration) = match &opened.content {
            Content::Single(program) => (Arc::clone(program), None),
            Content::Suite(_) | Content::Broken(_) => {
                let program = file.program().cloned();
                match (program, file.registrations().get(scenario)) {
                    (Some(program), Some(registration)) => (program, Some(registration)),
                    _ => return Outcome::Failed,
                }
            }
        };
        if let Some(registration) = registration
            && let Some(reason) = &registration.skip
        {
            let scene = opened
                .scene
                .of_scenario(Arc::clone(sink), &registration.name, WORKER);
            scene.report(RunEvent::ScenarioSkipped {
                name: registration.name.clone(),
                reason: reason.clone(),
            });
            return Outcome::Skipped;
        }
        let number = self.options.seed.wrapping_add(seed as u64);
        let name = registration.map(|registration| registration.name.as_str());
        let limits = Limits {
            retries: self.options.retries,
            timeout: self.options.timeout,
            flaky_fails: self.options.flaky_fails,
        };
        let replay = (self.simulator.simulation.replay)(number, &file.path, name);
        let mut trials = Trials::new(registration, limits).with_hint(format!("to see it again: {replay}"));
        let seed = scenario_seed(number, &file.path, name);
        loop {
            let trial = Trial {
                crew: self,
                file: index,
                program: &program,
                registration,
                scenario,
                sink,
            };
            let attempt = trials.number();
            let epoch = epoch_of(slot, attempt);
            let ended = trial.run(
                &mut trials,
                seed.derive(&format!("attempt {attempt}")),
                epoch,
                episodes,
            );
            if let Some(outcome) = ended {
                return outcome;
            }
        }
    }

    fn begin(&self, index: usize, slot: usize) {
        let file = &self.files[index];
        let scenarios = match &file.opened().content {
            Content::Single(_) => None,
            Content::Suite(_) | Content::Broken(_) => Some(file.selected.len() * self.repeat),
        };
        let path = file.path.display().to_string();
        let event = RunEvent::FileStarted { path, scenarios };
        self.ordered
            .slot(slot)
            .emit(self.simulator.run.record(event, None));
        self.ordered.done(slot);
        if file.selected.is_empty() {
            self.end_when_done(index);
        }
    }

    /// Ends a file when its last scenario has ended.
    fn end_when_done(&self, file: usize) {
        let of_file = |slot: &&usize| self.slots[**slot].file() == file;
        let mut board = lock(&self.board);
        let done = self
            .scenarios
            .iter()
            .filter(of_file)
            .all(|slot| board.outcomes.contains_key(&(0, *slot)));
        if done && !board.ended.contains(&file) {
            board.ended.push(file);
            drop(board);
            self.end(file);
        }
    }

    fn end(&self, index: usize) {
        let is_end = |slot: &usize| matches!(self.slots[*slot], Slot::End { file } if file == index);
        let Some(slot) = (0..self.slots.len()).find(is_end) else {
            return;
        };
        let file = &self.files[index];
        let opened = file.opened();
        let sink = self.ordered.slot(slot);
        let mut board = lock(&self.board);
        let failure = match &opened.content {
            Content::Single(_) => {
                drop(board);
                self.ordered.done(slot);
                return;
            }
            Content::Broken(broken) => {
                opened.early.go_on(Arc::clone(&sink));
                let failure = is_a_failure(&broken.fault).then(|| broken.failure.clone());
                board
                    .file_failures
                    .extend(failure.iter().map(|failure| (index, failure.clone())));
                failure
            }
            Content::Suite(_) => board.file_failures.get(&index).cloned(),
        };
        let outcomes: Vec<Outcome> = board
            .outcomes
            .iter()
            .filter(|((_, slot), _)| self.slots[*slot].file() == index)
            .map(|(_, outcome)| *outcome)
            .collect();
        drop(board);
        let event = RunEvent::SuiteFinished {
            path: file.path.display().to_string(),
            total: outcomes.len(),
            passed: outcomes
                .iter()
                .filter(|outcome| self.options.is_pass(**outcome))
                .count(),
            skipped: outcomes
                .iter()
                .filter(|outcome| **outcome == Outcome::Skipped)
                .count(),
            duration_ms: 0.0,
            error: failure.as_deref().map(first_line),
            failure,
        };
        sink.emit(self.simulator.run.record(event, None));
        self.ordered.done(slot);
    }

    fn conclude(&self, sink: &Arc<dyn Sink>, selected_before_sharding: usize) -> ExitCode {
        let (last, shown) = {
            let board = lock(&self.board);
            let last = board.first_failed.unwrap_or(self.repeat - 1);
            (last, board.first_failed.unwrap_or(0))
        };
        for slot in 0..self.slots.len() {
            match self.slots[slot] {
                Slot::Begin { .. } => {}
                Slot::Scenario { .. } => {
                    let told = lock(&self.board).told.remove(&(shown, slot)).unwrap_or_default();
                    if self.repeat > 1 && shown == last {
                        let to = self.ordered.slot(slot);
                        told.records.into_iter().for_each(|record| to.emit(record));
                    }
                    if let Some(capture) = &self.simulator.simulation.capture {
                        told.episodes.into_iter().for_each(|episode| capture(episode));
                    }
                    self.ordered.done(slot);
                }
                Slot::End { file } => {
                    let ended = lock(&self.board).ended.contains(&file);
                    if !ended {
                        lock(&self.board).ended.push(file);
                        self.end(file);
                    }
                }
            }
        }
        let board = lock(&self.board);
        let outcomes = (0..=last)
            .flat_map(|seed| self.scenarios.iter().map(move |slot| (seed, *slot)))
            .map(|(seed, slot)| {
                (
                    self.slots[slot].file(),
                    board.outcomes.get(&(seed, slot)).copied(),
                )
            })
            .collect();
        let totals = Totals {
            options: self.options,
            files: self.files,
            slots: self.slots,
            outcomes,
            began: (0..self.files.len())
                .map(|file| self.slots.iter().any(|slot| slot.file() == file))
                .collect(),
            file_failed: (0..self.files.len())
                .map(|file| board.file_failures.contains_key(&file))
                .collect(),
            stopped: self.stopped.load(Ordering::Relaxed),
            interrupted: self.interrupt().is_raised(),
            selected_before_sharding,
            idle_rules: board
                .tally
                .iter()
                .filter(|tally| tally.is_idle())
                .map(|tally| tally.rule.name())
                .collect(),
        };
        let rules = board
            .tally
            .iter()
            .map(|tally| RuleCount {
                rule: tally.rule.name().to_owned(),
                checks: tally.checks,
                excused: tally.excused,
                subjects: tally.subjects,
            })
            .collect();
        drop(board);
        sink.emit(self.simulator.run.record(RunEvent::Rules { rules }, None));
        let duration = Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        let (event, code) = totals.conclude(Health::default(), duration);
        sink.emit(self.simulator.run.record(event, None));
        code
    }
}

/// One attempt, in a world that is made for it.
struct Trial<'a> {
    crew: &'a Crew<'a>,
    file: usize,
    program: &'a Arc<dyn Program>,
    registration: Option<&'a Registration>,
    scenario: usize,
    sink: &'a Arc<dyn Sink>,
}

impl Trial<'_> {
    fn run(
        &self,
        trials: &mut Trials,
        seed: Seed,
        epoch: Epoch,
        episodes: &mut Vec<Episode>,
    ) -> Option<Outcome> {
        let simulator = self.crew.simulator;
        let world = SimulatedWorld::new(SimulatedConfig {
            seed,
            epoch,
            interrupt: Arc::clone(simulator.run.interrupt().flag()),
            servers: simulator.simulation.servers.clone(),
            #[cfg(feature = "fake")]
            broken: simulator.simulation.broken,
        });
        let world = match world {
            Ok(world) => world,
            // It started when the run began.
            Err(error) => panic!("{error}"),
        };
        let run = simulator.run.part(world.clone() as Arc<dyn World>);
        world.watch(run.interrupt());
        let observing = world.observe(simulator.simulation.capture.is_some());
        let outcome = match self.registration {
            None => {
                let path = &self.crew.files[self.file].path;
                let name = path.display().to_string();
                let scene = Scene::of_file(&run, Arc::clone(self.sink), path, Some(name), WORKER);
                let subject = Subject::File {
                    program: &**self.program,
                };
                trials.attempt(&subject, &scene, || self.judge(&world, &observing))
            }
            Some(registration) => self.in_suite(trials, &world, &observing, &run, registration),
        };
        world.close();
        let took = u64::try_from(world.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.crew.nanos.fetch_add(took, Ordering::Relaxed);
        episodes.extend(observing.episode(&world));
        outcome
    }

    /// Lets everything come to its end, and says what is wrong then.
    fn judge(&self, world: &SimulatedWorld, observing: &Observing) -> Option<Failure> {
        world.close_servers();
        let left = world.run_out(RUN_OUT);
        if let Some(trouble) = world.trouble() {
            let text = format!("the simulated world could not go on: {trouble}");
            return Some(evidence::bare(FailureKind::Generator, &text));
        }
        let (violations, tally) = observing.verdict(world.now(), &left);
        lock(&self.crew.board).add(&tally);
        broken(&violations, &|party| {
            world
                .name(party)
                .map_or_else(|| format!("party {party}"), |name| name.to_string())
        })
    }

    /// Evaluates the file up to the scenario, runs that, and tears the file down again.
    fn in_suite(
        &self,
        trials: &mut Trials,
        world: &Arc<SimulatedWorld>,
        observing: &Observing,
        run: &Arc<Run>,
        registration: &Registration,
    ) -> Option<Outcome> {
        let path = &self.crew.files[self.file].path;
        let outer = Scene::of_file(run, Arc::clone(self.sink), path, None, WORKER);
        let opened = {
            let _entered = Context::new(&outer).enter();
            self.program.open(&outer).map_err(Fault::outside_scenarios)
        };
        let suite = opened.and_then(|suite| {
            let name = suite.registrations().get(self.scenario).map(|one| &one.name);
            if name != Some(&registration.name) {
                let text = "the top level registers other scenarios each time it is evaluated";
                return Err(Fault::script(text).hint(
                    "the names of scenarios must not depend on chance, on the time, or on what happened before",
                ));
            }
            let _entered = Context::new(&outer).enter();
            suite
                .setup_file(&outer)
                .map_err(|fault| named("setup_file", fault.outside_scenarios()))?;
            Ok(suite)
        });
        let scene = outer.of_scenario(Arc::clone(self.sink), &registration.name, WORKER);
        let suite = match suite {
            Ok(suite) => suite,
            Err(fault) => {
                let outcome = not_run(&scene, registration, &fault);
                scene.end();
                outer.end();
                return Some(outcome);
            }
        };
        let subject = Subject::Scenario {
            suite: &*suite,
            index: self.scenario,
            registration,
        };
        trials.attempt(&subject, &scene, || {
            let torn_down = {
                let _entered = Context::new(&outer).enter();
                outer.begin_end();
                suite.teardown_file(&outer)
            };
            if let Err(fault) = torn_down {
                let fault = named("teardown_file", fault.outside_scenarios());
                let failure = Box::new(attempt::failure(&outer, &fault));
                lock(&self.crew.board)
                    .file_failures
                    .entry(self.file)
                    .or_insert(failure);
            }
            outer.end();
            self.judge(world, observing)
        })
    }
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

/// Where the file lies has no part in it: a replay from another folder is the same.
fn scenario_seed(seed: u64, file: &Path, scenario: Option<&str>) -> Seed {
    let file = file
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let seed = Seed::from_number(seed).derive(&file);
    scenario.map_or_else(
        || seed.derive("file"),
        |name| seed.derive("scenario").derive(name),
    )
}

fn epoch_of(slot: usize, attempt: u32) -> Epoch {
    let slots = u32::try_from(slot).unwrap_or(u32::MAX);
    Epoch::SIMULATED.later(APART * slots + APART / 64 * (attempt - 1))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
