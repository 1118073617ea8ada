//! `callwright init`: a project that runs as it is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use callwright_events::ExitCode;

use super::write;

/// The files of a new project, by their paths in it.
const FILES: [(&str, &str); 4] = [
    ("callwright.toml", include_str!("../../template/callwright.toml")),
    (
        "scenarios/first-call.rhai",
        include_str!("../../template/first-call.rhai"),
    ),
    (
        ".github/workflows/calls.yml",
        include_str!("../../template/calls.yml"),
    ),
    (".gitignore", include_str!("../../template/gitignore")),
];

/// Writes a new project; a file that is there already is never written over. What git must ignore is added to the list of
/// what it ignores: secrets are among it.
pub(super) fn init(directory: &Path) -> anyhow::Result<ExitCode> {
    // Paths as a person writes them: `scenarios/…`, not `./scenarios/…`.
    let directory = directory.strip_prefix(".").unwrap_or(directory);
    let files: Vec<(PathBuf, &str)> = FILES
        .iter()
        .map(|(path, text)| (directory.join(path), *text))
        .collect();
    let there: Vec<_> = files
        .iter()
        .filter(|(path, _)| path.exists() && !path.ends_with(".gitignore"))
        .collect();
    if let Some((path, _)) = there.first() {
        bail!(
            "{} is there already, and nothing was written; name another directory: callwright init DIR",
            path.display()
        );
    }
    for (path, text) in &files {
        if path.exists() {
            ignore(path, text)?;
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        write::line(&format!("wrote {}\n", path.display()))?;
    }
    let scenarios = directory.join("scenarios");
    write::line(&format!(
        "\nRun it as it is, without any server: callwright run {}\n\
         Then call through yours: the comments of the scenario say how.\n",
        scenarios.display()
    ))?;
    Ok(ExitCode::Passed)
}

/// Adds what is missing in a list of what git ignores.
fn ignore(path: &Path, wanted: &str) -> anyhow::Result<()> {
    let mut text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let there: Vec<_> = text.lines().map(str::trim).collect();
    let missing: Vec<_> = wanted.lines().filter(|line| !there.contains(line)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(", ");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in missing {
        text += &format!("{line}\n");
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    write::line(&format!("added to {}: {list}\n", path.display()))
}
