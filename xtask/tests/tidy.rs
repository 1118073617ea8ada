//! Each tidy check fails when its rule is broken on purpose.

use std::path::Path;

use tempfile::TempDir;
use xtask::tidy;

const MANIFEST: &str = "[package]\nname = 'callwright-x'\n[lints]\nworkspace = true\n";
const TABLE: &str = "\
| crate | uses | IO | what it is |
| --- | --- | --- | --- |
| `wire` | – | – | the seam |
| `wire-log` | – | – | a name that begins like another |
| `net` | wire | yes | the real world |
";

/// A project without findings; each test breaks one thing.
fn project() -> TempDir {
    let root = TempDir::new().expect("a folder for the project");
    write(root.path(), "ARCHITECTURE.md", TABLE);
    write(
        root.path(),
        "Cargo.toml",
        "[workspace.lints.rust]\nunsafe_code = 'forbid'\n",
    );
    write(root.path(), "crates/wire/Cargo.toml", MANIFEST);
    write(root.path(), "crates/wire/clippy.toml", tidy::CLOCK_BAN);
    write(root.path(), "crates/wire/src/lib.rs", "//! The seam.\n");
    write(
        root.path(),
        "crates/net/Cargo.toml",
        "[package]\nname = 'callwright-net'\n",
    );
    write(
        root.path(),
        "examples/first.rhai",
        "// Two agents.\nagent(\"A\", #{});\n",
    );
    write(
        root.path(),
        "fuzz/Cargo.toml",
        "[package]\nname = 'fuzz'\n[workspace]\n",
    );
    root
}

fn write(root: &Path, path: &str, text: &str) {
    let file = root.join(path);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder of the file");
    std::fs::write(file, text).expect("the file");
}

/// The sound project with one file written anew has exactly one finding, with these words in it.
#[track_caller]
fn assert_breaks(path: &str, text: &str, words: &[&str]) {
    let project = project();
    write(project.path(), path, text);
    let findings = tidy::check(project.path()).expect("the check runs");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    for word in words {
        assert!(
            findings[0].contains(word),
            "{word} is missing in: {}",
            findings[0]
        );
    }
}

#[test]
fn a_sound_project_passes() {
    assert_eq!(tidy::check(project().path()).expect("the check runs"), [""; 0]);
}

#[test]
fn this_project_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    assert_eq!(tidy::check(root).expect("the check runs"), [""; 0]);
}

#[test]
fn a_crate_without_io_needs_its_ban_file() {
    let project = project();
    std::fs::remove_file(project.path().join("crates/wire/clippy.toml")).expect("the ban file was there");
    let findings = tidy::check(project.path()).expect("the check runs");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(
        findings[0].starts_with("crates/wire/clippy.toml: missing"),
        "{}",
        findings[0]
    );
}

#[test]
fn a_ban_file_names_every_banned_method() {
    let without_sleep: String = tidy::CLOCK_BAN
        .lines()
        .filter(|line| !line.contains("thread::sleep"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_breaks(
        "crates/wire/clippy.toml",
        &without_sleep,
        &["crates/wire/clippy.toml", "std::thread::sleep"],
    );
}

#[test]
fn a_crate_may_ban_more() {
    let project = project();
    let more = tidy::CLOCK_BAN.replacen('[', "[ \"std::process::exit\", ", 1);
    write(project.path(), "crates/wire/clippy.toml", &more);
    assert_eq!(tidy::check(project.path()).expect("the check runs"), [""; 0]);
}

#[test]
fn an_engine_cannot_silence_its_ban() {
    let text = "#![expect(clippy::disallowed_methods, reason = \"just once\")]\n";
    assert_breaks(
        "crates/wire/src/lib.rs",
        text,
        &["crates/wire/src/lib.rs", "silences the ban"],
    );
}

#[test]
fn a_package_inherits_the_lints_that_forbid_unsafe_code() {
    let own = "[package]\nname = 'callwright-x'\n[lints.rust]\nunsafe_code = 'warn'\n";
    assert_breaks(
        "crates/wire/Cargo.toml",
        own,
        &["crates/wire/Cargo.toml", "unsafe_code"],
    );
}

#[test]
fn the_workspace_forbids_unsafe_code() {
    assert_breaks(
        "Cargo.toml",
        "[workspace.lints.rust]\nunsafe_code = 'warn'\n",
        &["Cargo.toml", "forbid"],
    );
}

#[test]
fn a_file_of_more_than_a_thousand_lines_is_too_long() {
    assert_breaks(
        "crates/net/src/lib.rs",
        &"//\n".repeat(1_001),
        &["crates/net/src/lib.rs: 1001 lines"],
    );
    let project = project();
    write(project.path(), "crates/net/src/lib.rs", &"//\n".repeat(1_000));
    assert_eq!(tidy::check(project.path()).expect("the check runs"), [""; 0]);
}

#[test]
fn an_example_begins_with_a_comment() {
    assert_breaks(
        "examples/lib/api.rhai",
        "fn start() {}\n",
        &["examples/lib/api.rhai", "begin the example"],
    );
}

#[test]
fn unwanted_words_are_found_with_their_line() {
    for (word, text) in [
        (concat!("to", "do!("), concat!("\nfn later() { to", "do!() }\n")),
        (concat!("/ho", "me/"), concat!("\nsee /ho", "me/somebody/notes\n")),
        (concat!("#[al", "low("), concat!("\n#[al", "low(dead_code)]\n")),
    ] {
        assert_breaks("crates/net/src/lib.rs", text, &["crates/net/src/lib.rs:2:", word]);
    }
}
