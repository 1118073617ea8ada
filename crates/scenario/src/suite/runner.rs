//! The run: files, selection, slots, workers, the result.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callwright_events::{ExitCode, FailureKind, Outcome, RunEvent, VOCABULARY_VERSION};
use callwright_wire::Time;

use super::attempt::{self, Limits, Subject, first_line};
use super::order::{Ordered, SlotSink};
use super::plan::{Content, File, Only, Slot, select, slots};
use super::totals::Totals;
use super::{Loaded, Registration, Selection, Shard};
use crate::context::Context;
use crate::scene::millis;
use crate::world::{Task, Topic};
use crate::{Fault, Run, Scene, Sink};

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which scenarios.
    pub selection: Selection,
    /// Which part of them.
    pub shard: Option<Shard>,
    /// Each of them so often; at least once.
    pub repeat: usize,
    /// So many at the same time; at least one.
    pub jobs: usize,
    /// How often a failing scenario is tried again.
    pub retries: u32,
    /// How long a scenario may take.
    pub timeout: Option<Duration>,
    /// Nothing is started after the first failure.
    pub fail_fast: bool,
    /// A scenario that passes only when tried again fails the run.
    pub flaky_fails: bool,
    /// The seed, for the record.
    pub seed: u64,
    /// The version of the program, for the record.
    pub version: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            selection: Selection::default(),
            shard: None,
            repeat: 1,
            jobs: 1,
            retries: 0,
            timeout: None,
            fail_fast: false,
            flaky_fails: false,
            seed: 0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl Options {
    /// Whether an outcome counts as passed in this run.
    pub(super) fn is_pass(&self, outcome: Outcome) -> bool {
        outcome.is_pass() && !(outcome == Outcome::Flaky && self.flaky_fails)
    }

    /// Whether an outcome lets the run pass.
    pub(super) fn is_fine(&self, outcome: Outcome) -> bool {
        self.is_pass(outcome) || outcome == Outcome::Skipped
    }
}

/// A scenario that would run.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its file.
    pub path: PathBuf,
    /// The scenario; `None` for a file that is itself one.
    pub scenario: Option<Registration>,
}

/// What would run, and what is wrong with files.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order of the run.
    pub scenarios: Vec<Listed>,
    /// Files whose top level failed, or that are no programs.
    pub broken: Vec<(PathBuf, Fault)>,
    /// Some scenarios say `only`, so others are left out.
    pub only: Option<Only>,
}

/// Runs files in order. Events go to `sink` in the order of the plan, whatever runs at the same time.
pub fn run(run: &Arc<Run>, sink: &Arc<dyn Sink>, files: Vec<Loaded>, options: &Options) -> ExitCode {
    let started = run.world().now();
    report_start(run, sink, files.len(), options, false);
    let mut files = open(run, files);
    let selected = select(&mut files, options);
    if let Some(only) = &selected.only {
        warn_of_only(run, sink, only);
    }
    let slots = slots(&files);
    let ordered = Ordered::new(Arc::clone(sink), slots.len());
    let crew = Crew {
        run: Arc::clone(run),
        files: &files,
        slots: &slots,
        options,
        selected_before_sharding: selected.before_sharding,
        ordered: Arc::clone(&ordered),
        board: Mutex::new(Board::new(slots.len(), files.len())),
        moved: run.world().new_topic(),
    };
    let scenarios = slots
        .iter()
        .filter(|slot| matches!(slot, Slot::Scenario { .. }))
        .count();
    let workers = options.jobs.clamp(1, scenarios.max(1));
    let tasks = {
        let crew = &crew;
        (0..workers)
            .map(|worker| -> Task<'_> { Box::new(move || crew.work(worker)) })
            .collect()
    };
    run.world().run_tasks(tasks);
    crew.conclude(sink, started)
}

pub(super) fn report_start(
    run: &Run,
    sink: &Arc<dyn Sink>,
    files: usize,
    options: &Options,
    simulated: bool,
) {
    let event = RunEvent::RunStarted {
        version: options.version.clone(),
        vocabulary: VOCABULARY_VERSION,
        seed: options.seed,
        simulated,
        jobs: options.jobs.max(1),
        files,
    };
    sink.emit(run.record(event, None));
}

pub(super) fn warn_of_only(run: &Run, sink: &Arc<dyn Sink>, only: &Only) {
    let warning = RunEvent::Warning {
        message: only.to_string(),
        location: only.at.location(),
    };
    sink.emit(run.record(warning, None));
}

/// Evaluates the top level of all suites, one after the other.
pub(super) fn open(run: &Arc<Run>, files: Vec<Loaded>) -> Vec<File> {
    let alone = files.len() == 1;
    let files = files.into_iter().map(|loaded| File::open(run, loaded, alone));
    files.collect()
}

/// What would run. The top level of suites is evaluated for that: nothing else is.
pub fn list(run: &Arc<Run>, files: Vec<Loaded>, options: &Options) -> Plan {
    let mut files = open(run, files);
    let only = select(&mut files, options).only;
    let mut plan = Plan {
        only,
        ..Plan::default()
    };
    for file in files {
        match file.opened().content {
            Content::Broken(broken) => plan.broken.push((file.path.clone(), broken.fault)),
            Content::Single(_) => {
                plan.scenarios.extend(file.selected.iter().map(|_| Listed {
                    path: file.path.clone(),
                    scenario: None,
                }));
            }
            Content::Suite(suite) => plan.scenarios.extend(file.selected.iter().map(|index| Listed {
                path: file.path.clone(),
                scenario: suite.registrations().get(*index).cloned(),
            })),
        }
    }
    plan
}

/// The workers, and what they share.
struct Crew<'a> {
    run: Arc<Run>,
    files: &'a [File],
    slots: &'a [Slot],
    options: &'a Options,
    /// How many scenarios were selected before they were divided among machines.
    selected_before_sharding: usize,
    ordered: Arc<Ordered>,
    board: Mutex<Board>,
    moved: Topic,
}

/// What was done so far.
struct Board {
    taken: Vec<bool>,
    done: Vec<bool>,
    outcomes: Vec<Option<Outcome>>,
    /// When files began; those that never did are neither set up nor torn down nor reported.
    began: Vec<Option<Time>>,
    /// Why the scenarios of a file cannot run.
    setup_faults: Vec<Option<Fault>>,
    /// What went wrong in files outside their scenarios.
    file_failed: Vec<bool>,
    /// Nothing more is started, after the first failure.
    stopped: bool,
}

impl Board {
    fn new(slots: usize, files: usize) -> Self {
        Board {
            taken: vec![false; slots],
            done: vec![false; slots],
            outcomes: vec![None; slots],
            began: vec![None; files],
            setup_faults: vec![None; files],
            file_failed: vec![false; files],
            stopped: false,
        }
    }
}

impl Crew<'_> {
    /// Takes slots in order until none is left.
    fn work(&self, worker: usize) {
        loop {
            let seen = self.run.world().version(self.moved);
            let Some(slot) = self.take() else {
                if self.board().taken.iter().all(|taken| *taken) {
                    return;
                }
                self.run.world().wait(&[(self.moved, seen)], Time::NEVER);
                continue;
            };
            self.perform(slot, worker);
            self.board().done[slot] = true;
            self.ordered.done(slot);
            self.run.world().touch(self.moved);
        }
    }

    /// The first slot that nobody has taken and that may begin.
    fn take(&self) -> Option<usize> {
        let mut board = self.board();
        let done = |file: usize, wanted: fn(&Slot) -> bool| {
            self.slots
                .iter()
                .zip(&board.done)
                .filter(|(slot, _)| slot.file() == file && wanted(slot))
                .all(|(_, done)| *done)
        };
        let free = |file: usize| {
            let mut before = (0..file).filter(|other| self.files[file].excludes(&self.files[*other]));
            before.all(|other| done(other, |_| true))
        };
        let ready = |slot: &Slot| match slot {
            Slot::Begin { file } => free(*file),
            Slot::Scenario { file, .. } => done(*file, |slot| matches!(slot, Slot::Begin { .. })),
            Slot::End { file } => done(*file, |slot| !matches!(slot, Slot::End { .. })),
        };
        let next = (0..self.slots.len()).find(|slot| !board.taken[*slot] && ready(&self.slots[*slot]))?;
        board.taken[next] = true;
        Some(next)
    }

    fn perform(&self, slot: usize, worker: usize) {
        let sink = self.ordered.slot(slot);
        match self.slots[slot] {
            Slot::Begin { file } => {
                if !self.is_over() {
                    self.begin(file, &sink);
                }
            }
            Slot::Scenario { file, index } => {
                if self.is_over() {
                    return;
                }
                let outcome = self.scenario(file, index, &sink, worker);
                let mut board = self.board();
                board.outcomes[slot] = Some(outcome);
                board.stopped |= self.options.fail_fast && !self.options.is_fine(outcome);
            }
            Slot::End { file } => {
                let began = self.board().began[file];
                if let Some(began) = began {
                    self.end(file, began, &sink);
                }
            }
        }
    }

    /// Whether nothing more is started.
    fn is_over(&self) -> bool {
        self.board().stopped || self.run.interrupt().is_raised()
    }

    fn begin(&self, index: usize, sink: &Arc<SlotSink>) {
        let file = &self.files[index];
        let scenarios = match &file.opened().content {
            Content::Single(_) => None,
            Content::Suite(_) | Content::Broken(_) => Some(file.selected.len()),
        };
        self.board().began[index] = Some(self.run.world().now());
        let path = file.path.display().to_string();
        sink.emit(self.run.record(RunEvent::FileStarted { path, scenarios }, None));
        let opened = file.begin(&self.run, sink);
        let fault = match &opened.content {
            Content::Single(_) => None,
            Content::Broken(broken) => Some(broken.fault.clone()),
            Content::Suite(suite) => {
                let _entered = Context::new(&opened.scene).enter();
                let fault = suite.setup_file(&opened.scene).err();
                fault.map(|fault| named("setup_file", fault.outside_scenarios()))
            }
        };
        let mut board = self.board();
        board.stopped |= self.options.fail_fast && fault.is_some();
        board.setup_faults[index] = fault;
    }

    fn scenario(&self, index: usize, scenario: usize, sink: &Arc<SlotSink>, worker: usize) -> Outcome {
        let file = &self.files[index];
        let opened = file.opened();
        let limits = Limits {
            retries: self.options.retries,
            timeout: self.options.timeout,
            flaky_fails: self.options.flaky_fails,
        };
        match &opened.content {
            Content::Single(program) => {
                let name = file.path.display().to_string();
                let open = || {
                    Scene::of_file(
                        &self.run,
                        Arc::clone(sink) as _,
                        &file.path,
                        Some(name.clone()),
                        worker,
                    )
                };
                attempt::run(&Subject::File { program: &**program }, limits, &open)
            }
            Content::Broken(_) | Content::Suite(_) => {
                let Some(registration) = file.registrations().get(scenario) else {
                    return Outcome::Failed;
                };
                let open = || {
                    opened
                        .scene
                        .of_scenario(Arc::clone(sink) as _, &registration.name, worker)
                };
                if let Some(reason) = &registration.skip {
                    let name = registration.name.clone();
                    open().report(RunEvent::ScenarioSkipped {
                        name,
                        reason: reason.clone(),
                    });
                    return Outcome::Skipped;
                }
                let setup_fault = self.board().setup_faults[index].clone();
                let suite = match (&opened.content, setup_fault) {
                    (Content::Suite(suite), None) => suite,
                    (_, Some(fault)) => return not_run(&open(), registration, &fault),
                    (Content::Broken(broken), None) => return not_run(&open(), registration, &broken.fault),
                    (Content::Single(_), None) => return Outcome::Failed,
                };
                attempt::run(
                    &Subject::Scenario {
                        suite: &**suite,
                        index: scenario,
                        registration,
                    },
                    limits,
                    &open,
                )
            }
        }
    }

    fn end(&self, index: usize, began: Time, sink: &Arc<SlotSink>) {
        let file = &self.files[index];
        let opened = file.opened();
        opened.early.go_on(Arc::clone(sink));
        let failure = match &opened.content {
            Content::Broken(broken) => Some(&broken.fault)
                .filter(|fault| is_a_failure(fault))
                .map(|_| broken.failure.clone()),
            Content::Single(_) => None,
            Content::Suite(suite) => {
                let _entered = Context::new(&opened.scene).enter();
                opened.scene.begin_end();
                let teardown = suite.teardown_file(&opened.scene).err();
                let teardown = teardown.map(|fault| named("teardown_file", fault.outside_scenarios()));
                let setup = self.board().setup_faults[index].clone();
                let fault = setup.filter(is_a_failure).or(teardown);
                fault.map(|fault| Box::new(attempt::failure(&opened.scene, &fault)))
            }
        };
        opened.scene.end();
        {
            let mut board = self.board();
            board.file_failed[index] = failure.is_some();
            board.stopped |= self.options.fail_fast && failure.is_some();
        }
        if matches!(opened.content, Content::Single(_)) {
            return;
        }
        let outcomes = self.outcomes_of(index);
        let event = RunEvent::SuiteFinished {
            path: file.path.display().to_string(),
            total: file.selected.len(),
            passed: outcomes
                .iter()
                .filter(|outcome| self.options.is_pass(**outcome))
                .count(),
            skipped: outcomes
                .iter()
                .filter(|outcome| **outcome == Outcome::Skipped)
                .count(),
            duration_ms: millis(self.run.world().now().since(began)),
            error: failure.as_deref().map(first_line),
            failure,
        };
        sink.emit(self.run.record(event, None));
    }

    fn outcomes_of(&self, file: usize) -> Vec<Outcome> {
        let board = self.board();
        let of_file = self
            .slots
            .iter()
            .zip(&board.outcomes)
            .filter(|(slot, _)| slot.file() == file);
        of_file.filter_map(|(_, outcome)| *outcome).collect()
    }

    /// The last event, and the exit code.
    fn conclude(&self, sink: &Arc<dyn Sink>, started: Time) -> ExitCode {
        let board = self.board();
        let scenarios = self
            .slots
            .iter()
            .zip(&board.outcomes)
            .filter(|(slot, _)| matches!(slot, Slot::Scenario { .. }));
        let totals = Totals {
            options: self.options,
            files: self.files,
            slots: self.slots,
            outcomes: scenarios.map(|(slot, outcome)| (slot.file(), *outcome)).collect(),
            began: board.began.iter().map(Option::is_some).collect(),
            file_failed: board.file_failed.clone(),
            stopped: board.stopped,
            interrupted: self.run.interrupt().is_raised(),
            selected_before_sharding: self.selected_before_sharding,
            idle_rules: Vec::new(),
        };
        drop(board);
        let world = self.run.world();
        let (event, code) = totals.conclude(world.health(), world.now().since(started));
        sink.emit(self.run.record(event, None));
        code
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An interrupt ends a hook, and is nobody's failure.
pub(super) fn is_a_failure(fault: &Fault) -> bool {
    fault.kind() != Some(FailureKind::Interrupted)
}

pub(super) fn named(hook: &str, mut fault: Fault) -> Fault {
    let parts = fault.parts_mut();
    parts.message = format!("{hook}: {}", parts.message);
    fault
}

/// A scenario whose file could not be set up.
pub(super) fn not_run(scene: &Scene, registration: &Registration, fault: &Fault) -> Outcome {
    let name = registration.name.clone();
    scene.report(RunEvent::ScenarioStarted {
        name: name.clone(),
        attempt: 1,
        tags: registration.tags.clone(),
        location: registration.at.location(),
    });
    let failure = attempt::failure(scene, fault);
    scene.report(RunEvent::ScenarioFinished {
        name,
        passed: false,
        outcome: Some(Outcome::Failed),
        attempt: 1,
        error: Some(first_line(&failure)),
        failure: Some(Box::new(failure)),
        duration_ms: 0.0,
    });
    Outcome::Failed
}
