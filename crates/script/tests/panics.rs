//! A fault of the program itself ends one attempt, not the run.

use std::path::Path;
use std::sync::Arc;

use callwright_events::{ExitCode, RunEvent};
use callwright_scenario::fake::{FakeWorld, Kept};
use callwright_scenario::suite::{self, Options, Program, Suite};
use callwright_scenario::{Agent, Causes, Fault, Position, Run, Scene, Settings, Sink, Value, World};

struct Panics;

impl Program for Panics {
    fn path(&self) -> &Path {
        Path::new("panics")
    }

    fn is_suite(&self) -> bool {
        false
    }

    fn open(&self, _: &Arc<Scene>) -> Result<Arc<dyn Suite>, Fault> {
        Err(Fault::script("it is no suite"))
    }

    fn run(&self, scene: &Arc<Scene>) -> Result<(), Fault> {
        let at = Position::file("panics");
        let text = |text: &str| Value::from(text);
        let config = [("username", text("alice")), ("domain", text("example.com"))];
        let config = Value::Map(config.map(|(key, value)| (key.to_owned(), value)).into());
        Agent::start(scene, "A", &config, &at)?;
        panic!("out of cheese")
    }
}

#[test]
fn a_panic_fails_its_scenario_and_its_agents_are_ended() {
    let world = FakeWorld::new();
    let run = Run::new(
        Arc::clone(&world) as Arc<dyn World>,
        Settings::default(),
        Arc::new(Causes::default()),
    );
    let kept = Arc::new(Kept::default());
    let sink: Arc<dyn Sink> = Arc::clone(&kept) as _;
    let files = vec![Ok(Arc::new(Panics) as Arc<dyn Program>)];
    let code = suite::run(&run, &sink, files, &Options::default());
    assert_eq!(code, ExitCode::Failed);
    let error = kept.events().into_iter().find_map(|event| match event {
        RunEvent::Finished { error, .. } => error,
        _ => None,
    });
    assert_eq!(
        error.as_deref(),
        Some("a fault of callwright itself: out of cheese")
    );
    assert_eq!(world.now().as_millis(), 10, "the agent was closed");
}
