//! Runs scripts in the fake world.

#![expect(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use callwright_events::{ExitCode, Failure, Outcome, RunEvent};
use callwright_scenario::fake::{FakeWorld, Kept};
use callwright_scenario::suite::{self, Options};
use callwright_scenario::{Causes, Run, Settings, Sink, World};

/// A folder of its own for one test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: ExitCode,
    pub(crate) events: Vec<RunEvent>,
    pub(crate) world: Arc<FakeWorld>,
    folder: String,
}

/// A run to be set up.
pub(crate) struct Runner {
    pub(crate) folder: Folder,
    pub(crate) world: Arc<FakeWorld>,
    pub(crate) options: Options,
    pub(crate) settings: Settings,
}

impl Runner {
    pub(crate) fn new() -> Self {
        Runner {
            folder: Folder::new(),
            world: FakeWorld::new(),
            options: Options::default(),
            settings: Settings::default(),
        }
    }

    pub(crate) fn run(self, files: &[PathBuf]) -> Ran {
        let world: Arc<dyn World> = Arc::clone(&self.world) as _;
        let loaded = files
            .iter()
            .map(|file| callwright_script::load(file, &self.settings))
            .collect();
        let run = Run::new(world, self.settings, Arc::new(Causes::default()));
        let kept = Arc::new(Kept::default());
        let sink: Arc<dyn Sink> = Arc::clone(&kept) as _;
        let code = suite::run(&run, &sink, loaded, &self.options);
        let folder = format!("{}/", self.folder.0.display());
        Ran {
            code,
            events: kept.events(),
            world: self.world,
            folder,
        }
    }

    pub(crate) fn run_text(self, text: &str) -> Ran {
        let file = self.folder.file("test.rhai", text);
        self.run(&[file])
    }
}

/// Runs one file in a fresh world.
pub(crate) fn run(text: &str) -> Ran {
    Runner::new().run_text(text)
}

impl Ran {
    /// The failure of the only thing that failed.
    pub(crate) fn failure(&self) -> Failure {
        let failures: Vec<&Failure> = self
            .events
            .iter()
            .filter_map(|event| match event {
                RunEvent::Finished { failure, .. }
                | RunEvent::ScenarioFinished { failure, .. }
                | RunEvent::SuiteFinished { failure, .. } => failure.as_deref(),
                _ => None,
            })
            .collect();
        assert_eq!(failures.len(), 1, "{failures:#?}");
        failures[0].clone()
    }

    /// `line:column: message` of the only failure.
    pub(crate) fn error(&self) -> String {
        let failure = self.failure();
        let place = failure.location.map_or_else(String::new, |at| {
            let file = at.file.strip_prefix(&self.folder).unwrap_or(&at.file).to_owned();
            let file = if file == "test.rhai" {
                String::new()
            } else {
                format!("{file}:")
            };
            format!("{file}{}:{}: ", at.line, at.column)
        });
        format!("{place}{}", failure.message.replace(&self.folder, ""))
    }

    /// Checks that everything passed, and shows what did not.
    #[track_caller]
    pub(crate) fn passed(&self) -> &Self {
        assert_eq!(self.code, ExitCode::Passed, "{:#?}", self.events);
        self
    }

    /// The verdicts by scenario, in order.
    pub(crate) fn verdicts(&self) -> Vec<(String, Outcome)> {
        self.events
            .iter()
            .filter_map(|event| match event {
                RunEvent::ScenarioFinished {
                    name,
                    outcome: Some(outcome),
                    ..
                } => Some((name.clone(), *outcome)),
                RunEvent::ScenarioSkipped { name, .. } => Some((name.clone(), Outcome::Skipped)),
                _ => None,
            })
            .collect()
    }

    /// What the scripts printed.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                RunEvent::Print { message } => Some(message.clone()),
                _ => None,
            })
            .collect()
    }

    /// The notes.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                RunEvent::Note { message, .. } => Some(message.clone()),
                _ => None,
            })
            .collect()
    }

    /// How long the run took, in milliseconds of the world's time.
    pub(crate) fn milliseconds(&self) -> f64 {
        self.world.now().as_secs_f64() * 1000.0
    }
}

/// Two agents that are registered, as `a` and `b`.
pub(crate) const TWO: &str = r#"
let a = agent("A", #{ username: "alice", domain: "example.com" });
let b = agent("B", #{ username: "bob", domain: "example.com" });
a.register(); b.register();
await_until(|| assert(a.registered).is_true());
await_until(|| assert(b.registered).is_true());
"#;

/// Two agents in a call.
pub(crate) fn in_call(rest: &str) -> String {
    format!(
        "{TWO}a.dial(b);\nawait_until(|| assert(b.state).equals(State::Ringing));\nb.accept();\n\
         await_until(|| assert(b.state).equals(State::Established));\n{rest}"
    )
}

impl Runner {
    /// Runs files, and interrupts after a while.
    pub(crate) fn run_interrupted(self, files: &[PathBuf], after: std::time::Duration) -> Ran {
        let world: Arc<dyn World> = Arc::clone(&self.world) as _;
        let loaded = files
            .iter()
            .map(|file| callwright_script::load(file, &self.settings))
            .collect();
        let run = Run::new(world, self.settings, Arc::new(Causes::default()));
        let interrupt = Arc::clone(run.interrupt());
        self.world.later(after, move |_| interrupt.raise());
        let kept = Arc::new(Kept::default());
        let sink: Arc<dyn Sink> = Arc::clone(&kept) as _;
        let code = suite::run(&run, &sink, loaded, &self.options);
        let folder = format!("{}/", self.folder.0.display());
        Ran {
            code,
            events: kept.events(),
            world: self.world,
            folder,
        }
    }
}
