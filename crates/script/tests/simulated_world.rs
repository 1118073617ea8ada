//! Scripts in the simulated world.

mod simulated;

use std::path::{Path, PathBuf};

use callwright_scenario::suite::Options;
use simulated::{run, run_files};

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rhai"))
        .collect();
    files.sort();
    files
}

#[test]
fn two_agents_call_each_other_in_virtual_time() {
    run(r#"
        let a = agent("A", #{ username: "alice", domain: "127.0.0.1" });
        let b = agent("B", #{ username: "bob", domain: "127.0.0.1" });
        a.dial(b.contact);
        await_until(|| assert(b.state).equals(State::Ringing));
        b.accept();
        await_until(|| assert(a.state).equals(State::Established));
        wait("10m");
        a.hangup();
        await_until(|| assert(b.state).equals(State::Idle));
    "#)
    .passed();
}

#[test]
fn every_example_passes() {
    run_files(&examples(), &Options::default()).passed();
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let options = Options {
        seed: 7,
        jobs: 4,
        ..Options::default()
    };
    let story = |options: &Options| {
        let ran = run_files(&examples(), options);
        let lines = ran.passed().records.iter().map(|record| format!("{record:?}"));
        lines.skip(1).collect::<Vec<_>>()
    };
    let first = story(&options);
    assert_eq!(first, story(&options));
    let alone = Options { jobs: 1, ..options };
    assert_eq!(first, story(&alone));
}
