//! The examples on a bad line, with many seeds: 5 % loss, 2 % duplicates, 2 % reordering, 20 ms to 60 ms each way.

use std::path::Path;
use std::process::Command;

fn run(flags: &[&str], file: &str) {
    let ran = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .env("NO_COLOR", "1")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .args(["run", "--simulate", "--profile", "bad-line", "--quiet"])
        .args(flags)
        .arg(file)
        .output()
        .expect("it runs");
    assert!(
        ran.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[test]
fn twenty_seeds_of_every_example_pass_on_a_bad_line() {
    run(&["--seed", "1", "--repeat", "20"], "examples");
}

#[test]
#[ignore = "takes minutes; cargo test -p callwright-cli --test seeds -- --ignored"]
fn a_thousand_seeds_of_every_example_pass_on_a_bad_line() {
    run(&["--seed", "1", "--repeat", "1000"], "examples");
}

/// The last packets of a call were numbered anew, and the rule `rtp-sequence` said so.
#[test]
fn call_quality_with_seed_449_ends_its_audio_in_order() {
    run(&["--seed", "449"], "examples/call-quality.rhai");
}
