//! The examples are right, as far as that can be known without a call.

use std::path::Path;

use callwright_scenario::Settings;
use callwright_script::{Severity, check, is_library};

#[test]
fn the_examples_have_no_errors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rhai") {
            continue;
        }
        count += 1;
        let mut found = check(&path, &Settings::default());
        found.retain(|found| found.severity == Severity::Error);
        assert!(found.is_empty(), "{found:#?}");
        assert!(!is_library(&path), "{}", path.display());
    }
    assert!(count >= 9, "{count} examples");
}
