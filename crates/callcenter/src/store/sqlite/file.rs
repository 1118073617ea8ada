//! The file behind a connection: whether it is still the one with that name, and who may use it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::StoreError;

/// What a database may be when it is made: hashes of passwords are in it, and who called whom.
const MODE: u32 = 0o600;

/// A file that this process alone writes facts to.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    identity: Identity,
    journal: Journal,
    /// Locked as long as it is open. It has to be closed after the connection: SQLite's locks on the file go with any
    /// descriptor of it that this process closes.
    _lock: File,
}

/// The file beside it that holds the latest commits.
#[derive(Debug)]
enum Journal {
    /// No connection was made to the file yet.
    Unconnected,
    /// It is known by this.
    Known(Identity),
    /// There is none in this file system.
    None,
}

/// What stays the same when a file gets another name, and changes when another takes its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// What became of the name of the file.
#[derive(Debug)]
pub(super) enum Place {
    /// The file is where it was.
    Same,
    /// The file is where it is to be, and no connection was made to it yet.
    Unconnected,
    /// Nothing has its name.
    Gone,
    /// The file is where it was, and the journal beside it is not.
    JournalGone,
    /// Something else has its name.
    Replaced,
    /// Nobody can say for now.
    Unknown(io::Error),
}

impl OwnFile {
    /// Takes possession of a file that is there, and is to be called `path`.
    pub(super) fn lock(file: &Path, path: &Path) -> Result<OwnFile, StoreError> {
        let locking = |error: io::Error| StoreError::Lock {
            path: path.to_owned(),
            error,
        };
        let file = File::open(file).map_err(locking)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(locking(error)),
        }
        Ok(OwnFile {
            path: path.to_owned(),
            identity: identity(&file.metadata().map_err(locking)?),
            journal: Journal::Unconnected,
            _lock: file,
        })
    }

    /// A connection was made: its journal is watched from now on.
    pub(super) fn connected(&mut self) {
        self.journal = match std::fs::metadata(self.journal_path()) {
            Ok(found) => Journal::Known(identity(&found)),
            Err(_) => Journal::None,
        };
    }

    /// Looks what became of its name.
    pub(super) fn place(&self) -> Place {
        match std::fs::metadata(&self.path) {
            Ok(found) if identity(&found) != self.identity => return Place::Replaced,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Place::Gone,
            Err(error) => return Place::Unknown(error),
        }
        let known = match self.journal {
            Journal::Unconnected => return Place::Unconnected,
            Journal::None => return Place::Same,
            Journal::Known(known) => known,
        };
        match std::fs::metadata(self.journal_path()) {
            Ok(found) if identity(&found) == known => Place::Same,
            Ok(_) => Place::JournalGone,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Place::JournalGone,
            Err(error) => Place::Unknown(error),
        }
    }

    /// Gives `draft`, a file that is locked already, this one's name. A file that came to have it meanwhile keeps it, but for
    /// this one.
    pub(super) fn give_name(&self, draft: &Path) -> io::Result<()> {
        // What is left beside the name belongs to no file any more.
        let remove_journal = || {
            for end in ["-wal", "-shm"] {
                let _none = std::fs::remove_file(beside(&self.path, end));
            }
        };
        match self.place() {
            Place::Same | Place::Unconnected | Place::JournalGone => {
                remove_journal();
                std::fs::rename(draft, &self.path)?;
            }
            Place::Gone => {
                // It fails where something has the name by now.
                match std::fs::hard_link(draft, &self.path) {
                    Ok(()) => {
                        remove_journal();
                        let _left = std::fs::remove_file(draft);
                    }
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                    // A file system without such links.
                    Err(_) => {
                        remove_journal();
                        std::fs::rename(draft, &self.path)?;
                    }
                }
            }
            Place::Replaced => return Err(io::ErrorKind::AlreadyExists.into()),
            Place::Unknown(error) => return Err(error),
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        if let Err(error) = synced {
            tracing::warn!(path = %self.path.display(), %error, "the folder of the database cannot be flushed");
        }
        Ok(())
    }

    fn journal_path(&self) -> PathBuf {
        beside(&self.path, "-wal")
    }
}

fn identity(metadata: &std::fs::Metadata) -> Identity {
    Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

/// Makes an empty file that nobody else may read; one that is there stays as it is.
pub(super) fn make(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(MODE).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// A name beside a file: with something more at its end.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
