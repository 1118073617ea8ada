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

/// The rule `rtp-sequence` was broken at the end of this call.
#[test]
fn call_quality_keeps_its_sequence_to_the_end_with_seed_449() {
    run(&["--seed", "449"], "examples/call-quality.rhai");
}
