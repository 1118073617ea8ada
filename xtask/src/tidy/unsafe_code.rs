//! `unsafe` is forbidden in the whole workspace; a package that needs it is listed here, with the reason.

use toml::{Table, Value};

use super::tree::Tree;

/// Packages that may relax the lint `unsafe_code` in their own manifest: the folder, and what for.
const ALLOWED: [(&str, &str); 1] = [("crates/net", "system calls that no library wraps")];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        let Some(folder) = path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        let allowed = ALLOWED.iter().any(|(package, _)| *package == folder);
        match text.parse::<Table>() {
            Ok(manifest) => {
                if is_member(&manifest) && !allowed && !inherits_workspace_lints(&manifest) {
                    findings.push(format!(
                        "{path}: needs `[lints] workspace = true`, which forbids `unsafe_code`"
                    ));
                }
            }
            Err(error) => findings.push(format!("{path}: {error}")),
        }
    }
    findings.extend(workspace_forbids(tree));
    findings
}

/// A package with a workspace of its own (the fuzz targets) has none to inherit from.
fn is_member(manifest: &Table) -> bool {
    manifest.contains_key("package") && !manifest.contains_key("workspace")
}

/// Cargo refuses a package that both inherits and overrides lints: the one line is proof enough.
fn inherits_workspace_lints(manifest: &Table) -> bool {
    let lints = manifest.get("lints").and_then(Value::as_table);
    lints
        .and_then(|lints| lints.get("workspace"))
        .and_then(Value::as_bool)
        == Some(true)
}

fn workspace_forbids(tree: &Tree) -> Option<String> {
    let manifest = tree
        .text("Cargo.toml")
        .and_then(|text| text.parse::<Table>().ok())?;
    let level = ["workspace", "lints", "rust", "unsafe_code"]
        .iter()
        .try_fold(&Value::Table(manifest), |value, key| value.get(key))
        .and_then(|level| level.as_str().map(str::to_owned));
    (level.as_deref() != Some("forbid"))
        .then(|| "Cargo.toml: [workspace.lints.rust] must say `unsafe_code = \"forbid\"`".to_owned())
}
