//! Scenario files and directories, as given on the command line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Why there is nothing to run in a path.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    #[error("{0} does not exist")]
    Missing(PathBuf),
    #[error("cannot read the directory {path}: {error}")]
    Read { path: PathBuf, error: std::io::Error },
}

/// The scenario files behind paths, each once, in the order of the command line, sorted within a directory. In a
/// directory, libraries (files that are only imported) are left out, and symlinks are not followed.
pub(crate) fn scenarios(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FilesError> {
    collect(paths, |file| !callwright_script::is_library(file))
}

/// What [`scenarios`] left out of directories and nothing among `scenarios` imports: perhaps somebody meant it to run.
pub(crate) fn unused(paths: &[PathBuf], scenarios: &[PathBuf]) -> Result<Vec<PathBuf>, FilesError> {
    let mut left_out = scripts(paths)?;
    left_out.retain(|file| !scenarios.contains(file));
    if left_out.is_empty() {
        // Most runs: no script is read again to know what it imports.
        return Ok(left_out);
    }
    Ok(callwright_script::unused(scenarios, &left_out))
}

/// Every script behind paths, libraries too.
pub(crate) fn scripts(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FilesError> {
    collect(paths, |_| true)
}

fn collect(paths: &[PathBuf], wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, FilesError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut found = Vec::new();
            walk(path, &mut found)?;
            files.extend(found.into_iter().filter(|file| wanted(file)));
        } else if path.exists() {
            files.push(path.clone());
        } else {
            return Err(FilesError::Missing(path.clone()));
        }
    }
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert(std::fs::canonicalize(file).unwrap_or_else(|_| file.clone())));
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    let failed = |error| FilesError::Read {
        path: folder.to_owned(),
        error,
    };
    let mut entries = std::fs::read_dir(folder)
        .map_err(failed)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(failed)?;
        let path = entry.path();
        if kind.is_dir() {
            walk(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rhai") {
            files.push(path);
        }
    }
    Ok(())
}
