//! Log files, one for each part of a run.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use tracing::{Dispatch, Level};

/// A log file: what is logged within [`Log::write`] goes there.
#[derive(Clone, Debug)]
pub(crate) struct Log(Dispatch);

impl Log {
    /// A new file, or more of one that is there.
    pub(crate) fn open(path: &Path) -> io::Result<Log> {
        let file: File = OpenOptions::new().create(true).append(true).open(path)?;
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_target(false)
            .with_max_level(Level::DEBUG)
            .with_writer(Mutex::new(file))
            .finish();
        Ok(Log(Dispatch::new(subscriber)))
    }

    /// What this thread logs meanwhile goes to the file.
    pub(crate) fn write<R>(&self, log: impl FnOnce() -> R) -> R {
        tracing::dispatcher::with_default(&self.0, log)
    }
}
