//! The file behind a connection: whether it is still the one with that name, and who may use it.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::StoreError;

/// A file that this process alone writes facts to.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    identity: Identity,
    /// Locked as long as it is open. It has to be closed after the connection: SQLite's locks on the file go with any
    /// descriptor of it that this process closes.
    _lock: File,
}

/// What stays the same when a file gets another name, and changes when another takes its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// What became of the name of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The file is where it was.
    Same,
    /// Nothing has its name.
    Gone,
    /// Something else has its name.
    Replaced,
}

impl OwnFile {
    /// Takes possession of a file that is there.
    pub(super) fn lock(path: &Path) -> Result<OwnFile, StoreError> {
        let broken = |error: io::Error| StoreError::Content {
            path: path.to_owned(),
            what: error.to_string(),
        };
        let file = File::open(path).map_err(broken)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(broken(error)),
        }
        Ok(OwnFile {
            path: path.to_owned(),
            identity: identity(&file.metadata().map_err(broken)?),
            _lock: file,
        })
    }

    /// Looks what became of its name.
    pub(super) fn place(&self) -> Place {
        match std::fs::metadata(&self.path) {
            Ok(found) if identity(&found) == self.identity => Place::Same,
            Ok(_) => Place::Replaced,
            Err(_) => Place::Gone,
        }
    }
}

fn identity(metadata: &std::fs::Metadata) -> Identity {
    Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

/// A name beside a file: with something more at its end.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
