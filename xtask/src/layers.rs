//! The layer check: the dependencies between the project's crates are those of the table, no more and no fewer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use crate::crate_table::{CrateTable, Uses};

const PACKAGE_PREFIX: &str = "callwright-";

/// Compares every `crates/*/Cargo.toml` under `root` with the table in ARCHITECTURE.md. Returns one finding
/// for each edge or crate that disagrees; none means that they agree.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let table = CrateTable::read(root)?;
    let manifests = read_manifests(root)?;
    let mut findings = Vec::new();
    for (name, manifest) in &manifests {
        if table.row(name).is_none() {
            findings.push(format!(
                "crate `{name}` is not in the table of ARCHITECTURE.md: give it a row"
            ));
            continue;
        }
        compare_dependencies(&table, &manifests, name, manifest, &mut findings);
        compare_dev_dependencies(&table, name, manifest, &mut findings);
    }
    Ok(findings)
}

fn read_manifests(root: &Path) -> Result<BTreeMap<String, Table>> {
    let crates = root.join("crates");
    let mut manifests = BTreeMap::new();
    for entry in std::fs::read_dir(&crates).with_context(|| format!("cannot list {}", crates.display()))? {
        let path = entry?.path().join("Cargo.toml");
        let Some(name) = path.parent().and_then(Path::file_name) else {
            continue;
        };
        if path.is_file() {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let manifest = text.parse().with_context(|| format!("in {}", path.display()))?;
            manifests.insert(name.to_string_lossy().into_owned(), manifest);
        }
    }
    Ok(manifests)
}

/// A crate that the table foresees and that does not exist yet is no edge that could be missing.
fn compare_dependencies(
    table: &CrateTable,
    existing: &BTreeMap<String, Table>,
    name: &str,
    manifest: &Table,
    findings: &mut Vec<String>,
) {
    let declared = own_dependencies(manifest, &["dependencies", "build-dependencies"]);
    let granted = match table.row(name).map(|row| &row.uses) {
        Some(Uses::Exactly(uses)) => uses.iter().cloned().collect(),
        Some(Uses::Everything) | None => BTreeSet::new(),
    };
    let everything = table.row(name).is_some_and(|row| row.uses == Uses::Everything);
    for used in &declared {
        let allowed = if everything {
            table.is_above(used, name)
        } else {
            granted.contains(used)
        };
        if !allowed {
            findings.push(format!(
                "crate `{name}` depends on `{used}`, which the table of ARCHITECTURE.md does not grant: \
                 remove the dependency, or change the table in a commit of its own"
            ));
        }
    }
    for unused in granted
        .difference(&declared)
        .filter(|granted| existing.contains_key(*granted))
    {
        findings.push(format!(
            "crate `{name}` does not depend on `{unused}`, which the table of ARCHITECTURE.md says it uses: \
             change the table in a commit of its own"
        ));
    }
}

fn compare_dev_dependencies(table: &CrateTable, name: &str, manifest: &Table, findings: &mut Vec<String>) {
    for used in own_dependencies(manifest, &["dev-dependencies"]) {
        if !table.is_above(&used, name) {
            findings.push(format!(
                "crate `{name}` depends on `{used}` in its tests, which does not stand above it in the table of \
                 ARCHITECTURE.md: move the test up, to the crate that uses both"
            ));
        }
    }
}

/// The project's own crates among the dependencies of the given kinds, for all targets, by folder name.
fn own_dependencies(manifest: &Table, kinds: &[&str]) -> BTreeSet<String> {
    let targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::values);
    let sections = std::iter::once(manifest).chain(targets.filter_map(Value::as_table));
    sections
        .flat_map(|section| {
            kinds
                .iter()
                .filter_map(|kind| section.get(*kind).and_then(Value::as_table))
        })
        .flatten()
        .filter_map(|(key, value)| {
            // A dependency may be renamed: `x = { package = "callwright-sip" }`.
            let package = value.get("package").and_then(Value::as_str).unwrap_or(key);
            package.strip_prefix(PACKAGE_PREFIX).map(str::to_owned)
        })
        .collect()
}
