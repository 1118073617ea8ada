//! Runs scripts in simulated worlds, with a call center in each.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use callwright_callcenter as callcenter;
use callwright_events::{ExitCode, Failure, Record, RunEvent};
use callwright_scenario::simulated::{Broken, ServerPlan};
use callwright_scenario::suite::{Options, Simulation, Simulator};
use callwright_scenario::{Causes, Settings, Sink};

/// The users of the examples, with digest.
const CALLCENTER: &str = r#"
domain = "127.0.0.1"
auth = "registrations"
[listen]
udp = "127.0.0.1:5060"
tcp = "127.0.0.1:5060"
tls = "127.0.0.1:5061"
[tls]
certificate = "none.pem"
key = "none.key"
[[user]]
name = "alice"
password = "secret-a"
[[user]]
name = "bob"
password = "secret-b"
[[user]]
name = "carol"
password = "secret-c"
"#;

#[derive(Default)]
struct Kept(Mutex<Vec<Record>>);

impl Sink for Kept {
    fn emit(&self, record: Record) {
        self.0.lock().unwrap().push(record);
    }
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: ExitCode,
    pub(crate) records: Vec<Record>,
}

pub(crate) fn server() -> ServerPlan {
    ServerPlan {
        name: "callcenter".to_owned(),
        settings: callcenter::Settings::parse(Path::new("callcenter.toml"), CALLCENTER).unwrap(),
    }
}

pub(crate) fn environment() -> Settings {
    let env = [
        ("SIP_DOMAIN", "127.0.0.1:5060"),
        ("A_USER", "alice"),
        ("A_PASS", "secret-a"),
        ("B_USER", "bob"),
        ("B_PASS", "secret-b"),
        ("C_USER", "carol"),
        ("C_PASS", "secret-c"),
    ];
    Settings {
        process_env: env
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Settings::default()
    }
}

/// Runs files, with a call center.
pub(crate) fn run_files(files: &[PathBuf], options: &Options) -> Ran {
    run_broken(files, options, None)
}

/// The same with phones that break a rule.
pub(crate) fn run_broken(files: &[PathBuf], options: &Options, broken: Option<Broken>) -> Ran {
    let settings = environment();
    let loaded = files
        .iter()
        .map(|file| callwright_script::load(file, &settings))
        .collect();
    let simulation = Simulation {
        servers: vec![server()],
        capture: None,
        broken,
        replay: Box::new(|seed, file, scenario| format!("{seed} {} {scenario:?}", file.display())),
    };
    let simulator = Simulator::new(settings, Arc::new(Causes::default()), simulation).unwrap();
    let kept = Arc::new(Kept::default());
    let sink: Arc<dyn Sink> = kept.clone();
    let code = simulator.run(&sink, loaded, options);
    drop(simulator);
    let records = std::mem::take(&mut *kept.0.lock().unwrap());
    Ran { code, records }
}

/// Runs a script, with a call center.
pub(crate) fn run(text: &str) -> Ran {
    run_with(text, &Options::default())
}

/// The same with options.
pub(crate) fn run_with(text: &str, options: &Options) -> Ran {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("simulated-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("test.rhai");
    std::fs::write(&file, text).unwrap();
    let ran = run_files(&[file], options);
    let _ = std::fs::remove_dir_all(&folder);
    ran
}

impl Ran {
    pub(crate) fn events(&self) -> impl Iterator<Item = &RunEvent> {
        self.records.iter().map(|record| &record.event)
    }

    /// Checks that everything passed, and shows what did not.
    #[track_caller]
    pub(crate) fn passed(&self) -> &Self {
        let failures = self.failures();
        let told = failures.iter().map(|failure| {
            let line = failure.location.as_ref().map_or(0, |at| at.line);
            format!("{line}: {} {:?}\n", failure.message, failure.hints)
        });
        assert_eq!(self.code, ExitCode::Passed, "{}", told.collect::<String>());
        self
    }

    pub(crate) fn failures(&self) -> Vec<&Failure> {
        self.events()
            .filter_map(|event| match event {
                RunEvent::Finished { failure, .. }
                | RunEvent::ScenarioFinished { failure, .. }
                | RunEvent::SuiteFinished { failure, .. } => failure.as_deref(),
                _ => None,
            })
            .collect()
    }

    /// `line: message` of the only failure.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        let failures = self.failures();
        assert_eq!(failures.len(), 1, "{failures:#?}\n{:#?}", self.records);
        let line = failures[0].location.as_ref().map_or(0, |at| at.line);
        format!("{line}: {}", failures[0].message)
    }
}
