//! The folder of a run: logs, capture, database, reports.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a run leaves; nothing else in the folder is touched.
const FILES: [&str; 8] = [
    "callcenter.db",
    "callcenter.db-wal",
    "callcenter.db-shm",
    "report.html",
    "results.json",
    "junit.xml",
    "sipp.xml",
    "tone.ulaw",
];
const FOLDERS: [&str; 3] = ["logs", "pcaps", "recordings"];

/// The folder of a run.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// An empty one: what an earlier run left at `root` goes, or, with `keep`, stays, and a folder with a number is used.
    pub(crate) fn prepare(root: &Path, keep: bool) -> io::Result<Folder> {
        let mut folder = Folder {
            root: root.to_owned(),
        };
        if keep {
            let mut number = 2;
            while folder.is_used() {
                let mut name = root.file_name().unwrap_or_default().to_owned();
                name.push(format!("-{number}"));
                folder.root = root.with_file_name(name);
                number += 1;
            }
        }
        for name in FILES {
            absent(fs::remove_file(folder.root.join(name)))?;
        }
        for name in FOLDERS {
            absent(fs::remove_dir_all(folder.root.join(name)))?;
        }
        fs::create_dir_all(folder.root.join("logs"))?;
        fs::create_dir_all(folder.root.join("pcaps"))?;
        Ok(folder)
    }

    fn is_used(&self) -> bool {
        FILES
            .iter()
            .chain(&FOLDERS)
            .any(|name| self.root.join(name).exists())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    pub(crate) fn capture(&self) -> PathBuf {
        self.root.join("pcaps").join("test_capture.pcapng")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("callcenter.db")
    }

    pub(crate) fn recordings(&self) -> PathBuf {
        self.root.join("recordings")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
