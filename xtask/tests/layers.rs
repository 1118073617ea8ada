//! The layer check fails when the rule is broken on purpose, and names the crate and the edge.

use std::path::Path;

use tempfile::TempDir;
use xtask::crate_table::CrateTable;
use xtask::layers;

const TABLE: &str = "\
# Architecture

| not | the | table |
| --- | --- | --- |
| a | b | c |

| crate | uses | IO | what it is |
| --- | --- | --- | --- |
| `events` | – | – | what happens |
| `wire` | – | – | the seam |
| `sip` | wire | – | transactions |
| `sim` | wire | – | not there yet |
| `scenario` | events, wire, sip, sim | yes | tests |
| `cli` | everything | yes | the binary |

Text below it.
";

/// A project of five crates that agrees with `TABLE`; each test breaks one thing.
fn project() -> TempDir {
    let root = TempDir::new().expect("a folder for the project");
    std::fs::write(root.path().join("ARCHITECTURE.md"), TABLE).expect("the table");
    write_crate(root.path(), "events", "[dependencies]\nserde.workspace = true");
    write_crate(root.path(), "wire", "");
    write_crate(
        root.path(),
        "sip",
        "[dependencies]\ncallwright-wire.workspace = true\n[dev-dependencies]\nproptest = '1'",
    );
    write_crate(
        root.path(),
        "scenario",
        "[dependencies]\ncallwright-events = { path = '../events' }\ncallwright-sip = '0.1'\n\
         [target.'cfg(unix)'.dependencies]\nseam = { package = 'callwright-wire', path = '../wire' }",
    );
    write_crate(
        root.path(),
        "cli",
        "[dependencies]\ncallwright-scenario.workspace = true",
    );
    root
}

fn write_crate(root: &Path, name: &str, dependencies: &str) {
    let folder = root.join("crates").join(name);
    std::fs::create_dir_all(&folder).expect("the folder of the crate");
    let manifest = format!("[package]\nname = 'callwright-{name}'\n{dependencies}\n");
    std::fs::write(folder.join("Cargo.toml"), manifest).expect("its manifest");
}

#[track_caller]
fn assert_one_finding(root: &Path, words: &[&str]) {
    let findings = layers::check(root).expect("the check runs");
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
fn a_project_that_agrees_with_its_table_passes() {
    assert_eq!(layers::check(project().path()).expect("the check runs"), [""; 0]);
}

#[test]
fn this_project_agrees_with_its_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    assert_eq!(layers::check(root).expect("the check runs"), [""; 0]);
}

#[test]
fn an_edge_that_the_table_does_not_grant_is_found() {
    let project = project();
    write_crate(
        project.path(),
        "sip",
        "[dependencies]\ncallwright-wire.workspace = true\ncallwright-events.workspace = true",
    );
    assert_one_finding(
        project.path(),
        &["crate `sip`", "depends on `events`", "does not grant"],
    );
}

#[test]
fn an_edge_upwards_is_found() {
    let project = project();
    write_crate(
        project.path(),
        "wire",
        "[dependencies]\ncallwright-sip.workspace = true",
    );
    assert_one_finding(project.path(), &["crate `wire`", "depends on `sip`"]);
}

#[test]
fn an_edge_for_one_target_or_under_another_name_is_found() {
    let project = project();
    write_crate(
        project.path(),
        "wire",
        "[target.'cfg(windows)'.build-dependencies]\nother = { package = 'callwright-events' }",
    );
    assert_one_finding(project.path(), &["crate `wire`", "depends on `events`"]);
}

#[test]
fn an_edge_of_the_table_that_is_not_used_is_found() {
    let project = project();
    write_crate(project.path(), "sip", "");
    assert_one_finding(project.path(), &["crate `sip`", "does not depend on `wire`"]);
}

#[test]
fn a_crate_without_a_row_is_found() {
    let project = project();
    write_crate(
        project.path(),
        "misc",
        "[dependencies]\ncallwright-wire.workspace = true",
    );
    assert_one_finding(project.path(), &["crate `misc`", "not in the table"]);
}

#[test]
fn the_binary_may_not_use_what_the_table_does_not_know() {
    let project = project();
    write_crate(
        project.path(),
        "cli",
        "[dependencies]\ncallwright-peers.workspace = true",
    );
    assert_one_finding(project.path(), &["crate `cli`", "depends on `peers`"]);
}

#[test]
fn tests_may_use_any_crate_above_and_none_below() {
    let project = project();
    let dependencies = "[dependencies]\ncallwright-wire.workspace = true\n[dev-dependencies]\n";
    write_crate(
        project.path(),
        "sip",
        &format!("{dependencies}callwright-events.workspace = true"),
    );
    assert_eq!(layers::check(project.path()).expect("the check runs"), [""; 0]);
    write_crate(
        project.path(),
        "sip",
        &format!("{dependencies}callwright-scenario.workspace = true"),
    );
    assert_one_finding(
        project.path(),
        &["crate `sip`", "depends on `scenario` in its tests"],
    );
}

#[test]
fn a_table_that_points_downwards_is_refused() {
    let broken = TABLE.replace("| `events` | – |", "| `events` | wire |");
    let error = CrateTable::parse(&broken).expect_err("`wire` stands below `events`");
    assert_eq!(
        error.to_string(),
        "`events` uses `wire`, which does not stand above it"
    );
}

#[test]
fn a_document_without_the_table_is_refused() {
    let error = CrateTable::parse("# Architecture\n").expect_err("no table");
    assert_eq!(
        error.to_string(),
        "no table with the columns crate | uses | IO | what it is"
    );
}
