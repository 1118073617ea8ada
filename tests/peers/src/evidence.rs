//! The folder of one peer: its configuration, its logs, whatever it wrote.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

const SHOWN_LINES: usize = 40;

/// A folder that is removed with the peer, unless the test fails: then it stays, and the ends of its logs are
/// printed with its path.
#[derive(Debug)]
pub struct Evidence {
    folder: Option<TempDir>,
    path: PathBuf,
}

impl Evidence {
    /// A new folder whose name begins with `peer`. Its path is short: sockets in it have at most 107 bytes.
    pub fn new(peer: &str) -> Self {
        let folder = TempDir::with_prefix(format!("{peer}-")).expect("a folder for the peer's files");
        Self {
            path: folder.path().to_owned(),
            folder: Some(folder),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The text of a file in the folder, empty when it does not exist.
    pub fn read(&self, name: &str) -> String {
        std::fs::read(self.file(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines of each log in the folder, as printed when a test fails.
    pub fn ends_of_logs(&self) -> String {
        let entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.retain(|name| name.ends_with(".log"));
        names.sort();
        names
            .iter()
            .map(|name| format!("--- {name}\n{}", end_of(&self.read(name))))
            .collect()
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}--- all of it: {}", self.ends_of_logs(), self.path.display());
            if let Some(folder) = self.folder.take() {
                let _kept = folder.keep();
            }
        }
    }
}

fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(SHOWN_LINES);
    lines[start..].iter().map(|line| format!("{line}\n")).collect()
}
