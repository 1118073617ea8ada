//! Runs scripts over real sockets of loopback.

#![expect(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use callwright_events::{ExitCode, Failure, Record, RunEvent};
use callwright_scenario::real::{RealConfig, RealWorld};
use callwright_scenario::suite::{self, Options};
use callwright_scenario::{Causes, Run, Settings, Sink, World};

#[derive(Default)]
struct Kept(Mutex<Vec<Record>>);

impl Sink for Kept {
    fn emit(&self, record: Record) {
        self.0.lock().unwrap().push(record);
    }
}

/// What a run left; its folder is `FOLDER` in the script.
pub(crate) struct Ran {
    pub(crate) code: ExitCode,
    pub(crate) events: Vec<RunEvent>,
    pub(crate) folder: PathBuf,
}

/// Runs one file.
pub(crate) fn run(text: &str) -> Ran {
    run_with(text, |_| {})
}

/// The same, with something that is done when the run is ready.
pub(crate) fn run_with(text: &str, begun: impl FnOnce(&Arc<Run>)) -> Ran {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("real-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("test.rhai");
    std::fs::write(&file, text).unwrap();
    let world: Arc<dyn World> = RealWorld::start(RealConfig::default()).unwrap();
    let settings = Settings {
        constants: vec![("FOLDER".to_owned(), format!("{}/", folder.display()))],
        ..Settings::default()
    };
    let files = vec![callwright_script::load(&file, &settings)];
    let run = Run::new(world, settings, Arc::new(Causes::default()));
    begun(&run);
    let kept = Arc::new(Kept::default());
    let sink: Arc<dyn Sink> = Arc::clone(&kept) as _;
    let code = suite::run(&run, &sink, files, &Options::default());
    let events = kept
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|record| record.event.clone())
        .collect();
    Ran { code, events, folder }
}

impl Ran {
    /// Checks that everything passed, and shows what did not.
    #[track_caller]
    pub(crate) fn passed(&self) -> &Self {
        assert_eq!(self.code, ExitCode::Passed, "{:#?}", self.events);
        self
    }

    /// The only failure.
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
        assert_eq!(failures.len(), 1, "{failures:#?}\n{:#?}", self.events);
        failures[0].clone()
    }

    /// `line: message` of the only failure.
    pub(crate) fn error(&self) -> String {
        let failure = self.failure();
        let line = failure.location.map_or(0, |at| at.line);
        format!("{line}: {}", failure.message)
    }

    /// The notes and warnings.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                RunEvent::Note { message, .. } | RunEvent::Warning { message, .. } => Some(message.clone()),
                _ => None,
            })
            .collect()
    }
}

impl Drop for Ran {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
