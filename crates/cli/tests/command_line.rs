//! The command line, through the binary: what it says and how it exits. No call is placed.

use std::path::Path;
use std::process::{Command, Output};

#[test]
fn what_a_person_types_and_reads() {
    trycmd::TestCases::new().case("tests/command_line/*.trycmd");
}

fn callwright(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_callwright"))
        .env("NO_COLOR", "1")
        .current_dir(directory)
        .args(arguments)
        .output()
        .expect("it runs")
}

#[test]
fn a_new_project_is_complete_and_is_never_written_over() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a_new_project");
    if directory.exists() {
        std::fs::remove_dir_all(&directory).expect("what an earlier test left can go");
    }
    std::fs::create_dir_all(&directory).expect("a directory to begin in");
    let begun = callwright(&directory, &["init", "calls"]);
    assert_eq!(begun.status.code(), Some(0));
    for file in [
        "callwright.toml",
        "scenarios/first-call.rhai",
        ".github/workflows/calls.yml",
        ".gitignore",
    ] {
        assert!(directory.join("calls").join(file).is_file(), "{file}");
    }
    let checked = callwright(&directory, &["check", "calls"]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    let listed = callwright(&directory, &["list", "calls"]);
    assert_eq!(listed.status.code(), Some(0), "{listed:?}");

    let own = "# my own\n";
    std::fs::write(directory.join("calls/callwright.toml"), own).expect("the project is there");
    let again = callwright(&directory, &["init", "calls"]);
    assert_eq!(again.status.code(), Some(2));
    let kept = std::fs::read_to_string(directory.join("calls/callwright.toml")).expect("it is there");
    assert_eq!(kept, own);
}

#[test]
fn every_shell_has_a_completion_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = callwright(Path::new("."), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = String::from_utf8_lossy(&output.stdout);
        assert!(script.contains("CALLWRIGHT_COMPLETE"), "{shell}:\n{script}");
    }
}

#[test]
fn the_reference_and_the_definitions_name_what_scenarios_call() {
    for arguments in [&["docs"][..], &["docs", "--format", "html"], &["definitions"]] {
        let output = callwright(Path::new("."), arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        for name in ["agent", "await_until", "verify_audio", "mock_server"] {
            assert!(text.contains(name), "{arguments:?} lacks {name}");
        }
    }
}
