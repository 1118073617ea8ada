//! A scenario over real sockets of loopback.

use std::path::Path;
use std::sync::{Arc, Mutex};

use callwright_events::{ExitCode, Record};
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

#[test]
fn two_agents_call_each_other_without_a_server() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/direct-call.rhai");
    let world: Arc<dyn World> = RealWorld::start(RealConfig::default()).unwrap();
    let settings = Settings::default();
    let files = vec![callwright_script::load(&example, &settings)];
    let run = Run::new(world, settings, Arc::new(Causes::default()));
    let kept = Arc::new(Kept::default());
    let sink: Arc<dyn Sink> = Arc::clone(&kept) as _;
    let code = suite::run(&run, &sink, files, &Options::default());
    assert_eq!(code, ExitCode::Passed, "{:#?}", kept.0.lock().unwrap());
}
