//! What must never be green: each scenario fails, and for the right reason.

use std::path::Path;
use std::process::Command;

/// Runs a scenario that must fail, and returns everything it printed.
fn fails(name: &str, flags: &[&str]) -> String {
    let (code, text) = run(name, flags);
    assert_eq!(code, Some(1), "{name}:\n{text}");
    text
}

/// The same for a check of audio. On a machine that is too busy to send in time the run proves nothing, and says that
/// (exit 3) beside what it did not hear.
fn hears_nothing(name: &str) -> String {
    let (code, text) = run(name, &[]);
    assert!(matches!(code, Some(1 | 3)), "{name}: {code:?}\n{text}");
    text
}

fn run(name: &str, flags: &[&str]) -> (Option<i32>, String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/false_greens")
        .join(name)
        .with_extension("rhai");
    let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .env("NO_COLOR", "1")
        .arg("run")
        .arg(&file)
        .args(flags)
        .output()
        .expect("it runs");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code(), text)
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in:\n{text}");
    }
}

#[test]
fn audio_that_stopped_before_the_check_began() {
    says(
        &hears_nothing("audio-that-stopped"),
        &[":11:", "440 Hz", "there was silence"],
    );
}

#[test]
fn a_tone_that_only_the_agent_itself_sent() {
    says(
        &hears_nothing("own-tone"),
        &[":9:", "440 Hz", "there was silence"],
    );
}

#[test]
fn no_rtp_at_all() {
    says(&hears_nothing("no-rtp"), &[":10:", "no RTP"]);
}

#[test]
fn a_header_that_the_asking_agent_sent_itself() {
    says(&fails("own-header", &[]), &[":6:", "42"]);
}

#[test]
fn a_wait_with_no_call() {
    says(
        &fails("wait-without-call", &[]),
        &[":4:", "A state", "Established", "Idle"],
    );
}

#[test]
fn a_verb_that_did_nothing() {
    says(
        &fails("verb-without-effect", &[]),
        &[":3:", "accept", "no incoming call that rings"],
    );
}

#[test]
fn a_quality_figure_that_was_never_measured() {
    says(&fails("quality-never-measured", &[]), &[":3:", "()"]);
}

#[test]
fn a_teardown_that_failed() {
    says(&fails("failing-teardown", &[]), &[":3:", "teardown", "1 failed"]);
}

#[test]
fn a_filter_that_selected_nothing() {
    says(
        &fails("selected-nothing", &["--scenario", "nobody"]),
        &["\"nobody\" selects none of 1 scenarios"],
    );
}

#[test]
fn a_misspelt_function_in_await_until_fails_at_once() {
    says(&fails("misspelt-function", &[]), &[":3:", "asert", "assert"]);
}

#[test]
fn a_misspelt_getter_in_await_until_fails_at_once() {
    says(
        &fails("misspelt-getter", &[]),
        &[":3:", "registred", "registered"],
    );
}

#[test]
fn an_await_until_whose_closure_asserts_nothing_and_returns_false() {
    says(&fails("closure-returns-false", &[]), &[":3:", "false"]);
}

#[test]
fn two_scenarios_at_once_on_one_account() {
    says(
        &fails("one-account-twice", &["--jobs", "2"]),
        &["a@127.0.0.1", "in use", "1 failed"],
    );
}
