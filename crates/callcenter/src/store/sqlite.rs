//! Facts in a database of SQLite.
//!
//! In the real world one thread writes, and commits what came meanwhile as one group; in a simulation commits take virtual
//! time. Nothing counts as stored before it is on disk.

mod database;
mod event;
mod file;
mod reader;
mod rows;
mod schema;
mod users;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use callwright_acd::{CallKey, Config, Fact, Token};
use callwright_wire::{Epoch, Seed, Time};

use super::paced::Pace;
use super::{Health, Kept, Outcome, Restored, Store};
use database::Database;
pub use reader::{Reader, RecordQuery, RecordRow, StoredQueue};
pub use users::{StoredUser, Users};
use writer::Writer;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("cannot open the database {path}: {error}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        error: rusqlite::Error,
    },
    /// Its folder is not there.
    #[error("cannot open the database {path}: there is no folder {folder}; make it, or name another file", folder = folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// It is not one of a call center.
    #[error("{path} is a database of something else: name another file, and it is made")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// It was made by a newer version.
    #[error(
        "the database {path} has version {found}, and this callwright knows versions up to {known}: use the newer one"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// Another server uses it.
    #[error("the database {path} is in use by another call center: stop that one, or name another file")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be kept from others.
    #[error(
        "the database {path} cannot be locked: {error}; it is to be on a file system of this machine, and readable"
    )]
    Lock {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It cannot be read or written.
    #[error("the database {path}: {error}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        error: rusqlite::Error,
    },
    /// It holds what no call center writes.
    #[error("the database {path} holds what cannot be understood: {what}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What.
        what: String,
    },
}

/// A store in a database of SQLite.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    epoch: Epoch,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    /// Commits when it is driven.
    Paced {
        pace: Box<Pace>,
        database: Box<Database>,
    },
    /// Commits in a thread of its own.
    Threaded(Writer),
}

impl SqliteStore {
    /// Opens a database, and makes it where there is none. It commits when it is driven, until [`Store::wake_by`] gives it
    /// a thread. `epoch` is that of the world whose times its facts have; `seed` is that of failures on demand.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, is not one of a call center, or is in use by another one.
    pub fn open(path: &Path, epoch: Epoch, seed: &Seed) -> Result<SqliteStore, StoreError> {
        SqliteStore::with(Database::open(path, epoch)?, epoch, seed)
    }

    /// A database in memory: for simulations.
    ///
    /// # Errors
    ///
    /// When there is no memory.
    pub fn in_memory(epoch: Epoch, seed: &Seed) -> Result<SqliteStore, StoreError> {
        SqliteStore::with(Database::in_memory(epoch)?, epoch, seed)
    }

    fn with(database: Database, epoch: Epoch, seed: &Seed) -> Result<SqliteStore, StoreError> {
        Ok(SqliteStore {
            path: database.path().to_owned(),
            epoch,
            mode: Mode::Paced {
                pace: Box::new(Pace::new(seed)),
                database: Box::new(database),
            },
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down which agents and queues there are.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or has a thread already.
    pub fn configure(&mut self, config: &Config) -> Result<(), StoreError> {
        match &mut self.mode {
            Mode::Paced { database, .. } => database.configure(config),
            Mode::Threaded(_) => Ok(()),
        }
    }

    /// The recordings whose end was not stored; none where it has a thread already, as with all that asks what was before it.
    pub(crate) fn unfinished_recordings(&self) -> Result<Vec<(CallKey, String)>, StoreError> {
        match &self.mode {
            Mode::Paced { database, .. } => database.unfinished_recordings(),
            Mode::Threaded(_) => Ok(Vec::new()),
        }
    }

    /// When a recording began, counted from 1970; `None` where it is not known.
    pub(crate) fn recording_started(&self, call: CallKey, file: &str) -> Result<Option<Time>, StoreError> {
        match &self.mode {
            Mode::Paced { database, .. } => database.recording_started(call, file),
            Mode::Threaded(_) => Ok(None),
        }
    }

    /// Whether there is a record of a call.
    pub(crate) fn knows_call(&self, call: CallKey) -> Result<bool, StoreError> {
        match &self.mode {
            Mode::Paced { database, .. } => database.knows_call(call),
            Mode::Threaded(_) => Ok(false),
        }
    }

    /// Stores facts of a process before this one, whose times count from 1970: before [`Store::restore`].
    pub(crate) fn write_down(&mut self, facts: &[Fact]) -> Result<(), StoreError> {
        match &mut self.mode {
            Mode::Paced { database, .. } => database.write_down(facts),
            Mode::Threaded(_) => Ok(()),
        }
    }

    /// At most so many pages, of 4 KiB each, may be written: a disk that is full, for tests.
    #[doc(hidden)]
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        match &self.mode {
            Mode::Paced { database, .. } => database.limit_pages(pages),
            Mode::Threaded(_) => Ok(()),
        }
    }
}

impl Store for SqliteStore {
    fn restore(&mut self, _now: Time) -> Result<Restored, StoreError> {
        match &mut self.mode {
            Mode::Paced { pace, database } => {
                pace.forget();
                database.restore()
            }
            Mode::Threaded(_) => Ok(Restored::default()),
        }
    }

    fn take(&mut self, token: Token, fact: Fact) {
        match &mut self.mode {
            Mode::Paced { pace, .. } => pace.take(token, fact),
            Mode::Threaded(writer) => writer.take(token, fact),
        }
    }

    fn begin(&mut self, now: Time) {
        match &mut self.mode {
            Mode::Paced { pace, .. } => pace.begin(now),
            Mode::Threaded(writer) => writer.begin(),
        }
    }

    fn next(&self) -> Option<Time> {
        match &self.mode {
            Mode::Paced { pace, .. } => pace.next(),
            Mode::Threaded(_) => None,
        }
    }

    fn finish(&mut self, now: Time) -> Vec<Outcome> {
        match &mut self.mode {
            Mode::Paced { pace, database } => pace.finish(now, database.as_mut()),
            Mode::Threaded(writer) => writer.finish(),
        }
    }

    fn health(&self) -> Health {
        match &self.mode {
            Mode::Paced { pace, .. } => pace.health(),
            Mode::Threaded(writer) => writer.health(),
        }
    }

    fn pending(&self) -> usize {
        match &self.mode {
            Mode::Paced { pace, .. } => pace.pending(),
            Mode::Threaded(writer) => writer.pending(),
        }
    }

    fn committed(&self) -> u64 {
        match &self.mode {
            Mode::Paced { pace, .. } => pace.committed(),
            Mode::Threaded(writer) => writer.committed(),
        }
    }

    fn lose_uncommitted(&mut self) {
        match &mut self.mode {
            Mode::Paced { pace, database } => {
                pace.forget();
                database.forget();
            }
            Mode::Threaded(writer) => writer.lose_uncommitted(),
        }
    }

    fn wake_by(&mut self, wake: Box<dyn Fn() + Send>) {
        // In the meantime it holds nothing.
        let spare = Mode::Threaded(Writer::default());
        self.mode = match std::mem::replace(&mut self.mode, spare) {
            Mode::Paced { pace, database } => {
                let (group, waiting) = pace.into_parts();
                Mode::Threaded(Writer::start(*database, group, waiting, wake))
            }
            Mode::Threaded(writer) => Mode::Threaded(writer),
        };
    }

    fn set_delay(&mut self, delay: Duration) {
        if let Mode::Paced { pace, .. } = &mut self.mode {
            pace.set_delay(delay);
        }
    }

    fn set_failures(&mut self, probability: f64) {
        if let Mode::Paced { pace, .. } = &mut self.mode {
            pace.set_failures(probability);
        }
    }

    fn kept(&self) -> Result<Kept, StoreError> {
        match &self.mode {
            Mode::Paced { database, .. } => database.kept(),
            Mode::Threaded(_) => Database::read(&self.path, self.epoch)?.kept(),
        }
    }
}
