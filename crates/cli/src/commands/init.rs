//! `callwright init`: a project that runs as it is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use callwright_events::ExitCode;

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

/// Writes a new project; a file that is there already is never touched.
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
    for (path, text) in files.iter().filter(|(path, _)| !path.exists()) {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        anstream::println!("wrote {}", path.display());
    }
    let scenarios = directory.join("scenarios");
    anstream::println!(
        "\nRun it as it is, without any server: callwright run {}\n\
         Then call through yours: the comments of the scenario say how.",
        scenarios.display()
    );
    Ok(ExitCode::Passed)
}
