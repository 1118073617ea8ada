//! The reference in `docs` is what the program prints.

use std::path::Path;

use callwright_peers::callwright;

#[test]
fn the_reference_of_scenarios_is_the_current_one() {
    compare("docs", "scenario-api.md");
}

#[test]
fn the_definitions_for_editors_are_the_current_ones() {
    compare("definitions", "callwright.d.rhai");
}

/// With `CALLWRIGHT_WRITE_DOCS` set, the file is written anew instead.
fn compare(command: &str, name: &str) {
    let output = callwright(&[command]);
    assert!(output.status.success(), "{output:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name);
    if std::env::var_os("CALLWRIGHT_WRITE_DOCS").is_some() {
        std::fs::write(&path, &output.stdout).expect("a file in docs is written");
        return;
    }
    let committed = std::fs::read(&path).unwrap_or_default();
    assert!(
        committed == output.stdout,
        "docs/{name} is not what `callwright {command}` prints: write it anew by `callwright {command} docs/{name}`"
    );
}
