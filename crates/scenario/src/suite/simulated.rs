//! Suites in simulated worlds: each attempt of a scenario in a world of its own, many of them at the same time.
//!
//! The top level of a file is evaluated anew in each world, and `setup_file` and `teardown_file` run around each scenario:
//! nothing that one scenario does is seen by another, and its course depends on its seed alone.

mod board;
mod trial;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use callwright_events::{ExitCode, Health, Outcome, Record, RuleCount, RunEvent};
use callwright_wire::{Epoch, Seed};

use super::attempt::{Limits, Trials, first_line, own_fault};
use super::order::Ordered;
use super::plan::{Content, File, Slot, select, slots};
use super::runner::{is_a_failure, not_run, open, report_start, warn_of_only};
use super::totals::Totals;
use super::{Loaded, Options, Registration};
use crate::simulated::{Episode, ServerError, ServerPlan, SimulatedConfig, SimulatedWorld};
use crate::world::{STACK, World};
use crate::{Causes, Fault, Interrupt, Run, Scene, Settings, Sink};

use board::{Board, Piece};
use trial::{Trial, WORKER};

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
    world: Arc<SimulatedWorld>,
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
            link: settings.network.clone(),
            #[cfg(feature = "fake")]
            broken: None,
        })?;
        let run = Run::new(world.clone() as Arc<dyn World>, settings, causes);
        world.watch(run.interrupt());
        Ok(Simulator {
            run,
            world,
            simulation,
        })
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
        self.world.close();
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
            board: Mutex::new(Board::default()),
        };
        let broken = files.iter().any(File::is_broken);
        crew.stopped.store(options.fail_fast && broken, Ordering::Relaxed);
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
    board: Mutex<Board>,
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
            if piece >= self.repeat * self.scenarios.len() || self.interrupt().is_raised() {
                return;
            }
            let seed = piece / self.scenarios.len();
            // Of many seeds, those before the first that fails are run to their end.
            let is_late = lock(&self.board).first_failed().is_some_and(|first| seed > first);
            if is_late || self.repeat == 1 && self.stopped.load(Ordering::Relaxed) {
                return;
            }
            self.perform(seed, self.scenarios[piece % self.scenarios.len()]);
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
        let mut piece = Piece::default();
        let ran = catch_unwind(AssertUnwindSafe(|| {
            self.scenario(seed, file, index, &sink, &mut piece)
        }));
        piece.outcome = ran.unwrap_or_else(|panic| self.broke(seed, file, index, &sink, own_fault(&*panic)));
        piece.records = std::mem::take(&mut *lock(&kept.0));
        let failed = !self.options.is_fine(piece.outcome) || piece.file_failure.is_some();
        if failed && self.options.fail_fast {
            self.stopped.store(true, Ordering::Relaxed);
        }
        let mut board = lock(&self.board);
        board.add(seed, slot, piece, failed);
        if self.repeat > 1 {
            board.forget_if_fine(seed, self.scenarios);
            return;
        }
        let ready = board.episodes_in_order(self.scenarios);
        if let Some(capture) = &self.simulator.simulation.capture {
            ready.into_iter().for_each(|episode| capture(episode));
        }
        drop(board);
        self.ordered.done(slot);
        self.end_when_done(file);
    }

    fn registration(&self, file: usize, scenario: usize) -> Option<&Registration> {
        self.files[file].registrations().get(scenario)
    }

    fn seed(&self, seed: usize) -> u64 {
        self.options.seed.wrapping_add(seed as u64)
    }

    fn hint(&self, seed: usize, file: usize, name: Option<&str>) -> String {
        let replay = (self.simulator.simulation.replay)(self.seed(seed), &self.files[file].path, name);
        format!("to see it again: {replay}")
    }

    /// One scenario, with all its attempts.
    fn scenario(
        &self,
        seed: usize,
        index: usize,
        scenario: usize,
        sink: &Arc<dyn Sink>,
        piece: &mut Piece,
    ) -> Outcome {
        let file = &self.files[index];
        let opened = file.opened();
        let registration = match &opened.content {
            Content::Single(_) => None,
            Content::Suite(_) | Content::Broken(_) => self.registration(index, scenario),
        };
        let Some(program) = file.program() else {
            return Outcome::Failed;
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
        let name = registration.map(|registration| registration.name.as_str());
        let limits = Limits {
            retries: self.options.retries,
            timeout: self.options.timeout,
            flaky_fails: self.options.flaky_fails,
        };
        let hint = self.hint(seed, index, name);
        let mut trials = Trials::new(registration, limits).with_hint(hint.clone());
        let trial = Trial {
            run: &self.simulator.run,
            simulation: &self.simulator.simulation,
            path: &file.path,
            program,
            registration,
            scenario,
            sink,
            recordings: self.recordings(seed),
            hint: &hint,
        };
        let root = scenario_seed(self.seed(seed), &file.path, name);
        loop {
            let attempt = trials.number();
            let (outcome, left) = trial.run(&mut trials, root.derive(&format!("attempt {attempt}")));
            piece.add(left);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    /// Where agents are recorded with a seed: of many seeds each has a folder.
    fn recordings(&self, seed: usize) -> Option<PathBuf> {
        let folder = self.simulator.run.settings().save_audio.as_ref()?;
        (self.repeat > 1).then(|| folder.join(format!("seed-{}", self.seed(seed))))
    }

    /// A fault of the program ended a scenario.
    fn broke(
        &self,
        seed: usize,
        file: usize,
        scenario: usize,
        sink: &Arc<dyn Sink>,
        fault: Fault,
    ) -> Outcome {
        let registration = match self.files[file].opened().content {
            Content::Single(_) => None,
            Content::Suite(_) | Content::Broken(_) => self.registration(file, scenario),
        };
        let name = registration.map(|registration| registration.name.as_str());
        let fault = fault
            .hint("please report it, with the script and the seed")
            .hint(self.hint(seed, file, name));
        let path = &self.files[file].path;
        let outer = Scene::of_file(&self.simulator.run, Arc::clone(sink), path, None, WORKER);
        match registration {
            Some(registration) => {
                let scene = outer.of_scenario(Arc::clone(sink), &registration.name, WORKER);
                not_run(&scene, registration, &fault)
            }
            None => {
                let failure = super::attempt::failure(&outer, &fault);
                outer.report(RunEvent::Finished {
                    path: path.display().to_string(),
                    passed: false,
                    outcome: Some(Outcome::Failed),
                    attempt: 1,
                    error: Some(first_line(&failure)),
                    failure: Some(Box::new(failure)),
                    duration_ms: 0.0,
                });
                Outcome::Failed
            }
        }
    }

    fn begin(&self, index: usize, slot: usize) {
        let file = &self.files[index];
        let scenarios = match &file.opened().content {
            Content::Single(_) => None,
            Content::Suite(_) | Content::Broken(_) => Some(file.selected.len()),
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
        let ends = {
            let mut board = lock(&self.board);
            let mut slots = self.scenarios.iter().filter(of_file);
            slots.all(|slot| board.is_done(0, *slot)) && board.ends(file)
        };
        if ends {
            self.end(file, 0);
        }
    }

    /// Reports the end of a file, as it went with one seed.
    fn end(&self, index: usize, seed: usize) {
        let is_end = |slot: &usize| matches!(self.slots[*slot], Slot::End { file } if file == index);
        let Some(slot) = (0..self.slots.len()).find(is_end) else {
            return;
        };
        let file = &self.files[index];
        let opened = file.opened();
        let sink = self.ordered.slot(slot);
        let board = lock(&self.board);
        let of_file = |slot: &usize| self.slots[*slot].file() == index;
        let failure = match &opened.content {
            Content::Single(_) => {
                drop(board);
                self.ordered.done(slot);
                return;
            }
            Content::Broken(broken) => {
                opened.early.go_on(Arc::clone(&sink));
                is_a_failure(&broken.fault).then(|| broken.failure.clone())
            }
            Content::Suite(_) => board.file_failure(seed, self.scenarios.iter().copied().filter(of_file)),
        };
        let slots = self.scenarios.iter().filter(|slot| of_file(slot));
        let outcomes: Vec<Outcome> = slots.filter_map(|slot| board.outcome(seed, *slot)).collect();
        let duration = board.duration(seed, self.scenarios.iter().copied().filter(of_file));
        drop(board);
        let count = |wanted: &dyn Fn(Outcome) -> bool| outcomes.iter().filter(|one| wanted(**one)).count();
        let event = RunEvent::SuiteFinished {
            path: file.path.display().to_string(),
            total: file.selected.len(),
            passed: count(&|outcome| self.options.is_pass(outcome)),
            skipped: count(&|outcome| outcome == Outcome::Skipped),
            duration_ms: crate::scene::millis(duration),
            error: failure.as_deref().map(first_line),
            failure,
        };
        sink.emit(self.simulator.run.record(event, None));
        self.ordered.done(slot);
    }

    /// Reports what was kept back: of many seeds the first that failed, or else the first.
    fn conclude(&self, sink: &Arc<dyn Sink>, selected_before_sharding: usize) -> ExitCode {
        let first_failed = lock(&self.board).first_failed();
        let shown = first_failed.unwrap_or(0);
        let last = first_failed.unwrap_or(self.repeat - 1);
        for slot in 0..self.slots.len() {
            match self.slots[slot] {
                Slot::Begin { .. } => {}
                Slot::Scenario { .. } => {
                    let (records, episodes) = lock(&self.board).take(shown, slot);
                    if self.repeat > 1 {
                        let to = self.ordered.slot(slot);
                        records.into_iter().for_each(|record| to.emit(record));
                    }
                    if let Some(capture) = &self.simulator.simulation.capture {
                        episodes.into_iter().for_each(|episode| capture(episode));
                    }
                    self.ordered.done(slot);
                }
                Slot::End { file } => {
                    if lock(&self.board).ends(file) {
                        self.end(file, shown);
                    }
                }
            }
        }
        self.keep_recordings_of(first_failed);
        let board = lock(&self.board);
        let pieces = (0..=last).flat_map(|seed| self.scenarios.iter().map(move |slot| (seed, *slot)));
        let broken = |file: &usize| self.files[*file].is_broken();
        let failed = |file: usize| {
            let mut of_file = pieces
                .clone()
                .filter(|(_, slot)| self.slots[*slot].file() == file);
            broken(&file) || of_file.any(|(seed, slot)| board.file_failed(seed, slot))
        };
        let tally = board.tally(last);
        let totals = Totals {
            options: self.options,
            files: self.files,
            slots: self.slots,
            outcomes: pieces
                .clone()
                .map(|(seed, slot)| (self.slots[slot].file(), board.outcome(seed, slot)))
                .collect(),
            began: (0..self.files.len())
                .map(|file| {
                    let mut of_file = pieces
                        .clone()
                        .filter(|(_, slot)| self.slots[*slot].file() == file);
                    broken(&file) || of_file.any(|(seed, slot)| board.is_done(seed, slot))
                })
                .collect(),
            file_failed: (0..self.files.len()).map(failed).collect(),
            stopped: self.stopped.load(Ordering::Relaxed),
            interrupted: self.interrupt().is_raised(),
            selected_before_sharding,
            idle_rules: tally
                .iter()
                .filter(|tally| tally.is_idle())
                .map(|tally| tally.rule.name())
                .collect(),
        };
        let duration = pieces
            .clone()
            .map(|(seed, slot)| board.duration(seed, std::iter::once(slot)))
            .sum::<Duration>();
        drop(board);
        let rules = tally
            .iter()
            .map(|tally| RuleCount {
                rule: tally.rule.name().to_owned(),
                checks: tally.checks,
                excused: tally.excused,
                subjects: tally.subjects,
            })
            .collect();
        sink.emit(self.simulator.run.record(RunEvent::Rules { rules }, None));
        let (event, code) = totals.conclude(Health::default(), duration);
        sink.emit(self.simulator.run.record(event, None));
        code
    }

    /// Of many seeds only those recordings stay that belong to what is reported.
    fn keep_recordings_of(&self, first_failed: Option<usize>) {
        for seed in 0..self.repeat {
            if Some(seed) != first_failed
                && let Some(folder) = self.recordings(seed)
                && folder.is_dir()
                && let Err(error) = std::fs::remove_dir_all(&folder)
            {
                tracing::warn!("the recordings in {} stay: {error}", folder.display());
            }
        }
    }
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
