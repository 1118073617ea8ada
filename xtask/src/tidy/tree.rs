//! The text files of the project.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// Every text file under a root, by its path from there, sorted.
pub(super) struct Tree {
    files: Vec<(String, String)>,
}

impl Tree {
    /// Reads what git tracks or would add; without git (an unpacked archive), every file outside of `target`
    /// and hidden folders. Files that are not UTF-8 are no text and are left out.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut paths = if root.join(".git").exists() {
            listed_by_git(root)?
        } else {
            walked(root)?
        };
        paths.sort();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            // A path that git still lists may be deleted in the work tree.
            let Ok(bytes) = std::fs::read(root.join(&path)) else {
                continue;
            };
            if let Ok(text) = String::from_utf8(bytes) {
                files.push((path.to_string_lossy().into_owned(), text));
            }
        }
        files.sort();
        Ok(Self { files })
    }

    /// All files: path from the root, text.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of the file at `path`.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        let index = self
            .files
            .binary_search_by(|(other, _)| other.as_str().cmp(path))
            .ok()?;
        self.files.get(index).map(|(_, text)| text.as_str())
    }
}

fn listed_by_git(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    anyhow::ensure!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let listing = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    Ok(listing.split_terminator('\0').map(PathBuf::from).collect())
}

fn walked(root: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name();
            let path = folder.join(&name);
            if !entry.file_type()?.is_dir() {
                paths.push(path);
            } else if name != "target" && !name.to_string_lossy().starts_with('.') {
                folders.push(path);
            }
        }
    }
    Ok(paths)
}
