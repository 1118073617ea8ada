//! Every crate without IO carries a `clippy.toml` that bans clocks, threads, sockets and ambient randomness.
//! A `clippy.toml` in a crate's folder replaces the one of the workspace, so each crate needs the whole list.

use toml::{Table, Value};

use super::tree::Tree;
use crate::crate_table::CrateTable;

/// The ban file that a crate without IO carries at least.
pub const CANONICAL: &str = include_str!("sans_io_clippy.toml");

const LISTS: [&str; 2] = ["disallowed-methods", "disallowed-types"];

pub(super) fn check(tree: &Tree, table: &CrateTable) -> Vec<String> {
    let mut findings = Vec::new();
    let required = CANONICAL.parse::<Table>().expect("the canonical file is TOML");
    for row in table.rows.iter().filter(|row| !row.io) {
        if tree.text(&format!("crates/{}/Cargo.toml", row.name)).is_none() {
            continue; // foreseen by the table, not there yet
        }
        let path = format!("crates/{}/clippy.toml", row.name);
        let Some(text) = tree.text(&path) else {
            findings.push(format!(
                "{path}: missing; a crate without IO carries xtask/src/tidy/sans_io_clippy.toml"
            ));
            continue;
        };
        match text.parse::<Table>() {
            Ok(present) => findings.extend(missing_bans(&path, &required, &present)),
            Err(error) => findings.push(format!("{path}: {error}")),
        }
        findings.extend(silenced_bans(tree, &row.name));
    }
    findings
}

fn missing_bans(path: &str, required: &Table, present: &Table) -> Vec<String> {
    let mut findings = Vec::new();
    for list in LISTS {
        let present = banned_paths(present, list);
        for ban in banned_paths(required, list)
            .into_iter()
            .filter(|ban| !present.contains(ban))
        {
            findings.push(format!(
                "{path}: {list} does not name {ban}; copy it from xtask/src/tidy/sans_io_clippy.toml"
            ));
        }
    }
    findings
}

/// A ban holds for the engine itself; its tests may ask the environment.
fn silenced_bans(tree: &Tree, name: &str) -> Vec<String> {
    let sources = format!("crates/{name}/src/");
    let silencers = ["clippy::disallowed_methods", "clippy::disallowed_types"];
    tree.texts()
        .filter(|(path, _)| path.starts_with(&sources))
        .filter(|(_, text)| silencers.iter().any(|lint| text.contains(lint)))
        .map(|(path, _)| {
            format!("{path}: silences the ban of clocks and IO; let time and entropy come in instead")
        })
        .collect()
}

fn banned_paths<'a>(file: &'a Table, list: &str) -> Vec<&'a str> {
    let entries = file
        .get(list)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| entry.get("path").unwrap_or(entry).as_str())
        .collect()
}
