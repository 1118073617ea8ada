//! The command line, through the binary: what it says and how it exits. No call is placed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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

    // As the README runs it in CI.
    let flags = [
        "run",
        "--junit",
        "callwright.xml",
        "--retries",
        "1",
        "--jobs",
        "4",
        "calls",
    ];
    let ran = callwright(&directory, &flags);
    // A machine that is too busy to send audio in time says that.
    assert!(matches!(ran.status.code(), Some(0 | 3)), "{ran:?}");
    assert!(!text(&ran).contains("in use"), "{ran:?}");

    let own = "# my own\n";
    std::fs::write(directory.join("calls/callwright.toml"), own).expect("the project is there");
    let again = callwright(&directory, &["init", "calls"]);
    assert_eq!(again.status.code(), Some(2));
    let kept = std::fs::read_to_string(directory.join("calls/callwright.toml")).expect("it is there");
    assert_eq!(kept, own);
}

/// An empty folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("what an earlier test left can go");
    }
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("it can be written");
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect("it is there")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_new_project_adds_to_what_git_ignores() {
    let folder = folder("ignore");
    write(&folder, ".gitignore", "target\n.env");
    let begun = callwright(&folder, &["init"]);
    assert_eq!(begun.status.code(), Some(0), "{begun:?}");
    assert!(
        text(&begun).contains("added to .gitignore: *.env, callwright.xml, *.pcapng\n"),
        "{begun:?}"
    );
    assert_eq!(
        read(&folder, ".gitignore"),
        "target\n.env\n*.env\ncallwright.xml\n*.pcapng\n"
    );
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_the_run_and_hides_no_verdict() {
    let folder = folder("unwritable");
    write(&folder, "a.rhai", "print(\"ran\"); assert(1).equals(2);");
    let early = callwright(&folder, &["run", "a.rhai", "--junit", "no/such/folder.xml"]);
    assert_eq!(early.status.code(), Some(2), "{early:?}");
    assert!(!text(&early).contains("ran"), "{early:?}");
    assert!(text(&early).contains("no/such/folder.xml"), "{early:?}");

    // Opened before the run, and full at its end.
    let late = callwright(&folder, &["run", "a.rhai", "--junit", "/dev/full"]);
    assert_eq!(late.status.code(), Some(1), "{late:?}");
    assert!(text(&late).contains("1 failed"), "{late:?}");
    assert!(
        text(&late).contains("cannot write the JUnit report /dev/full"),
        "{late:?}"
    );
    write(&folder, "b.rhai", "print(\"ran\");");
    let both = ["run", "b.rhai", "--junit", "/dev/full", "--capture", "/dev/full"];
    let both = callwright(&folder, &both);
    assert_eq!(both.status.code(), Some(1), "{both:?}");
    assert!(text(&both).contains("cannot write the JUnit report"), "{both:?}");
    assert!(text(&both).matches("callwright: ").count() == 2, "{both:?}");
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error_and_a_closed_pipe_is_none() {
    let folder = folder("full");
    write(&folder, "a.rhai", "scenario(\"a\", || {});");
    for command in ["run", "list", "docs"] {
        let mut full = Command::new(env!("CARGO_BIN_EXE_callwright"));
        full.current_dir(&folder).arg(command);
        if command != "docs" {
            full.arg("a.rhai");
        }
        let out = std::fs::File::create("/dev/full").expect("it is there");
        let output = full.stdout(out).stderr(Stdio::piped()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{command}: {output:?}");
        assert!(
            text(&output).contains("cannot write to standard output"),
            "{command}: {output:?}"
        );

        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = full.stdout(writer).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
    }
}

#[test]
fn defaults_of_a_project_hold_for_what_the_command_line_leaves_open() {
    let folder = folder("defaults");
    write(
        &folder,
        "callwright.toml",
        r#"
        [run]
        tag = ["smoke"]
        junit = "out.xml"
        quiet = true
        no-color = true
        logs = true
        save-audio = "audio"
        set = { WHO = "all", WHERE = "here" }

        [profile.slow.run]
        tag = ["slow"]
        verbose = true
        set = { WHO = "slow" }

        [profile.half.run]
        tag = ["smoke", "slow"]
        shard = "2/2"
        "#,
    );
    write(
        &folder,
        "a.rhai",
        r#"
        scenario("one", #{ tags: ["smoke"] }, || print(`${WHO} ${WHERE}`));
        scenario("two", #{ tags: ["slow"] }, || print(`${WHO} ${WHERE}`));
        "#,
    );
    let listed = |flags: &[&str]| {
        let output = callwright(&folder, &[&["list", "a.rhai"], flags].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output)
    };
    assert_eq!(listed(&[]), "a.rhai\n  one  [smoke]\n");
    assert_eq!(listed(&["--tag", "slow"]), "a.rhai\n  two  [slow]\n");
    assert_eq!(listed(&["--profile", "slow"]), "a.rhai\n  two  [slow]\n");
    assert_eq!(listed(&["--profile", "half"]), "a.rhai\n  two  [slow]\n");
    let checked = callwright(&folder, &["check", "a.rhai", "--profile", "slow"]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");

    // Paths are relative to the file that names them, wherever the command runs.
    let file = folder.join("a.rhai");
    let ran = callwright(Path::new("/"), &["run", &file.display().to_string()]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert!(text(&ran).starts_with("1 scenario: 1 passed"), "quiet: {ran:?}");
    assert!(folder.join("out.xml").is_file());
    let ran = callwright(
        &folder,
        &["run", "a.rhai", "--profile", "slow", "--set", "WHERE=there"],
    );
    assert!(text(&ran).contains("slow there\n"), "{ran:?}");
    assert!(text(&ran).contains("generator: "), "verbose: {ran:?}");
}

#[test]
fn an_empty_directory_for_audio_is_the_working_directory() {
    let folder = folder("audio_here");
    write(
        &folder,
        "a.rhai",
        "let a = agent(\"A\", #{ username: \"a\", domain: \"127.0.0.1\" });",
    );
    let ran = callwright(&folder, &["run", "a.rhai", "--save-audio="]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
}

#[test]
fn no_colour_holds_for_what_is_wrong_with_the_command_line() {
    // What a terminal would be told is seen here by forcing colours.
    for flag in ["--no-color", "--no-ansi"] {
        for arguments in [
            &["run", flag][..],
            &[flag, "--help"],
            &[flag, "run", "a.rhai", "--nothing"],
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
                .env("CLICOLOR_FORCE", "1")
                .env_remove("NO_COLOR")
                .args(arguments)
                .output()
                .expect("it runs");
            assert!(!text(&output).contains('\u{1b}'), "{arguments:?}: {output:?}");
        }
    }
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
