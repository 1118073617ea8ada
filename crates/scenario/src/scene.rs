//! One running attempt of a scenario, or the top level of a file: everything that it may do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use callwright_events::{FailureKind, RunEvent, ScenarioStamp};
use callwright_wire::Time;
use callwright_wire::link::Link;

use crate::agent::AgentParts;
use crate::environment::{EnvFile, Environment};
use crate::mock::MockParts;
use crate::world::World;
use crate::{Fault, Position, Run, Sink, context};

/// The default of `await_until`.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// One running attempt of a scenario, or the top level of a file. It holds its agents and its mock servers, and ends
/// them.
pub struct Scene {
    run: Arc<Run>,
    sink: Arc<dyn Sink>,
    /// The scenario's name; `None` at the top level of a suite.
    name: Option<String>,
    file: PathBuf,
    started: Time,
    /// Datagrams that own sockets had lost by then.
    lost_before: u64,
    worker: usize,
    deadline: Mutex<Option<(Time, Duration)>>,
    state: Mutex<State>,
    ending: AtomicBool,
    /// The scene of the file, for one of its scenarios.
    outer: Option<Arc<Scene>>,
    /// Scenes of scenarios that run inside this one of a file: its mock servers report there.
    inner: Mutex<Vec<Weak<Scene>>>,
}

#[derive(Default)]
struct State {
    agents: Vec<Arc<AgentParts>>,
    mocks: Vec<Arc<MockParts>>,
    environment: Environment,
    default_timeout: Option<Duration>,
    mock_errors: Vec<String>,
    once: BTreeMap<String, ()>,
    /// How the packets of all its agents travel, once it said so.
    link: Option<Link>,
    touched_network: bool,
}

impl Scene {
    /// The scene of a file: of its top level, or of the whole when it is itself one scenario (`name`).
    pub fn of_file(
        run: &Arc<Run>,
        sink: Arc<dyn Sink>,
        file: &Path,
        name: Option<String>,
        worker: usize,
    ) -> Arc<Self> {
        let environment = Environment::of_file(file);
        let state = State {
            environment,
            ..State::default()
        };
        Arc::new(Scene::with(run, sink, file, name, worker, state))
    }

    /// The scene of one attempt of a scenario: it begins with what the file's top level set.
    pub fn of_scenario(self: &Arc<Self>, sink: Arc<dyn Sink>, name: &str, worker: usize) -> Arc<Self> {
        let outer = self.state();
        let state = State {
            environment: outer.environment.clone(),
            default_timeout: outer.default_timeout,
            ..State::default()
        };
        drop(outer);
        let mut scene = Scene::with(&self.run, sink, &self.file, Some(name.to_owned()), worker, state);
        scene.outer = Some(Arc::clone(self));
        let scene = Arc::new(scene);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.retain(|scene| scene.strong_count() > 0);
        inner.push(Arc::downgrade(&scene));
        scene
    }

    fn with(
        run: &Arc<Run>,
        sink: Arc<dyn Sink>,
        file: &Path,
        name: Option<String>,
        worker: usize,
        mut state: State,
    ) -> Self {
        if state.link.is_none() {
            state.link.clone_from(&run.settings().network);
        }
        Scene {
            run: Arc::clone(run),
            sink,
            name,
            file: file.to_owned(),
            started: run.world().now(),
            lost_before: run.world().health().receive_drops,
            worker,
            deadline: Mutex::new(None),
            state: Mutex::new(state),
            ending: AtomicBool::new(false),
            outer: None,
            inner: Mutex::default(),
        }
    }

    /// The run that it is part of.
    pub fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// Its world.
    pub fn world(&self) -> &dyn World {
        &**self.run.world()
    }

    /// The scenario's name, or the file's path.
    pub fn name(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| self.file.display().to_string())
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The number of the worker that runs it, from 0.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// How many datagrams own sockets lost since it started, for want of room.
    pub(crate) fn lost_datagrams(&self) -> u64 {
        self.world()
            .health()
            .receive_drops
            .saturating_sub(self.lost_before)
    }

    /// When it started.
    pub fn started(&self) -> Time {
        self.started
    }

    /// A path of the script: relative to its file.
    pub fn path(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// Reports an event; inside a try of `await_until` it is kept back until the last one.
    pub fn emit(&self, event: RunEvent) {
        if let Some(event) = context::hold_event(event) {
            self.report(event);
        }
    }

    /// Reports an event now.
    pub(crate) fn report(&self, event: RunEvent) {
        self.report_of(self.world().now(), event);
    }

    /// Reports an event of a time that has passed.
    pub(crate) fn report_of(&self, time: Time, event: RunEvent) {
        let stamp = self.name.as_ref().map(|name| ScenarioStamp {
            scenario: name.clone(),
            t_ms: millis(time.since(self.started)),
        });
        self.sink.emit(self.run.record_of(time, event, stamp));
    }

    /// Reports a note of the script.
    pub fn log(&self, message: &str, at: &Position) {
        self.emit(RunEvent::Log {
            message: message.to_owned(),
            location: at.location(),
        });
    }

    /// Reports a bare line of the script.
    pub fn print(&self, message: &str) {
        self.emit(RunEvent::Print {
            message: message.to_owned(),
        });
    }

    /// Reports something that fails nothing.
    pub fn note(&self, message: impl Into<String>, at: &Position) {
        self.emit(RunEvent::Note {
            message: message.into(),
            location: at.location(),
        });
    }

    /// Reports something that weakens what the run proves; once a scene for each text.
    pub fn warn(&self, message: impl Into<String>, at: &Position) {
        let message = message.into();
        if self.state().once.insert(message.clone(), ()).is_none() {
            self.report(RunEvent::Warning {
                message,
                location: at.location(),
            });
        }
    }

    /// Sets the default of `await_until`.
    pub fn set_default_timeout(&self, span: Duration) {
        self.state().default_timeout = Some(span);
    }

    /// The default of `await_until`.
    pub fn default_timeout(&self) -> Duration {
        let of_run = self.run.settings().default_timeout;
        let own = self.state().default_timeout;
        own.or(of_run).unwrap_or(DEFAULT_TIMEOUT)
    }

    /// Ends what runs in it after `span` from now, with an error.
    pub fn limit(&self, span: Option<Duration>) {
        let deadline = span.map(|span| (self.world().now() + span, span));
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    /// When it must have ended.
    pub(crate) fn deadline(&self) -> Time {
        let deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.map_or(Time::NEVER, |(at, _)| at)
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// When the run was interrupted, or the time of the scenario is up.
    pub fn check(&self) -> Result<(), Fault> {
        if self.ending.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.run.interrupt().is_raised() {
            return Err(Fault::interrupted());
        }
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        match deadline {
            Some((at, span)) if self.world().now() >= at => Err(Fault::new(
                FailureKind::Timeout,
                format!("the scenario did not end within {}", crate::span::text(span)),
            )),
            _ => Ok(()),
        }
    }

    /// Says that teardown begins: interrupts and the scenario's timeout no longer end what it does.
    pub(crate) fn begin_end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// A variable of the environment.
    ///
    /// # Errors
    /// When it is set nowhere; the text lists where it was looked for.
    pub fn env(&self, name: &str) -> Result<String, Fault> {
        let state = self.state();
        state
            .environment
            .lookup(name, self.run.settings())
            .ok_or_else(|| {
                let places = state.environment.places(self.run.settings()).join(", ");
                Fault::environment(format!("the variable {name} is not set; looked in {places}")).hint(
                    format!("set it in one of these places, or give a default: env({name:?}, \"…\")"),
                )
            })
    }

    /// The same with a default.
    pub fn env_or(&self, name: &str, default: &str) -> String {
        let state = self.state();
        state
            .environment
            .lookup(name, self.run.settings())
            .unwrap_or_else(|| default.to_owned())
    }

    /// Loads a dotenv file, relative to the script.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load_env(&self, path: &str) -> Result<(), Fault> {
        let file = EnvFile::read(&self.path(path)).map_err(|error| Fault::environment(error.to_string()))?;
        self.state().environment.load(file);
        Ok(())
    }

    pub(crate) fn keep_agent(&self, agent: Arc<AgentParts>) {
        self.state().agents.push(agent);
    }

    pub(crate) fn agents(&self) -> Vec<Arc<AgentParts>> {
        self.state().agents.clone()
    }

    /// The scene of the file, for one of its scenarios.
    pub(crate) fn outer(&self) -> Option<&Arc<Scene>> {
        self.outer.as_ref()
    }

    pub(crate) fn keep_link(&self, link: Link) {
        self.state().link = Some(link);
    }

    pub(crate) fn kept_link(&self) -> Option<Link> {
        self.state().link.clone()
    }

    /// It changed its network, or tried to.
    pub(crate) fn touch_network(&self) {
        self.state().touched_network = true;
    }

    pub(crate) fn has_touched_network(&self) -> bool {
        self.state().touched_network
    }

    pub(crate) fn keep_mock(&self, mock: Arc<MockParts>) {
        self.state().mocks.push(mock);
    }

    /// A mock server of this scene has something to report: it goes to the scenarios that run.
    pub(crate) fn report_mock(&self, event: &RunEvent) {
        if let RunEvent::MockError { error, path, .. } = event {
            self.note_mock_error(&format!("the responder for {path} failed: {error}"));
        }
        let inner: Vec<_> = {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner
                .iter()
                .filter_map(Weak::upgrade)
                .filter(|scene| !scene.is_ending())
                .collect()
        };
        for scene in &inner {
            if let RunEvent::MockError { error, path, .. } = event {
                scene.note_mock_error(&format!("the responder for {path} failed: {error}"));
            }
        }
        match inner.first() {
            Some(scene) => scene.report(event.clone()),
            None => self.report(event.clone()),
        }
    }

    /// What it holds and nobody else can have at the same time: accounts, and ports of mock servers.
    pub(crate) fn holds(&self) -> BTreeSet<String> {
        let state = self.state();
        let accounts = state.agents.iter().map(|agent| agent.aor().to_lowercase());
        let ports = state.mocks.iter().map(|mock| format!("port {}", mock.port()));
        accounts.chain(ports).collect()
    }

    fn note_mock_error(&self, text: &str) {
        self.state().mock_errors.push(text.to_owned());
    }

    pub(crate) fn mock_errors(&self) -> Vec<String> {
        self.state().mock_errors.clone()
    }

    /// Makes the network perfect again, stops the mock servers, hangs up and unregisters every agent, and waits for that, but not for long.
    pub fn end(&self) {
        self.begin_end();
        self.restore_network();
        let (agents, mocks) = {
            let mut state = self.state();
            (
                std::mem::take(&mut state.agents),
                std::mem::take(&mut state.mocks),
            )
        };
        crate::agent::end_all(self, &agents);
        for mock in mocks {
            mock.stop();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.end();
    }
}

/// A span in milliseconds, as events have it.
pub(crate) fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}
