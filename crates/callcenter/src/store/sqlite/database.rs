//! A connection to the database, and what is known of what is in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callwright_acd::{CallKey, Config, EndCause, Fact, Records};
use callwright_wire::{Epoch, Time};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::StoreError;
use super::event::{Calendar as _, EventRow, Unix};
use super::file::{OwnFile, Place, beside};
use super::{rows, schema};
use crate::store::group::{CommitError, Ledger};
use crate::store::{Kept, Restored};

/// How long a commit waits for another process to let go of the database; with trouble at hand a tenth of it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The database, open for writing.
#[derive(Debug)]
pub(super) struct Database {
    /// Closed before the file is.
    connection: Connection,
    own: Option<OwnFile>,
    path: PathBuf,
    epoch: Epoch,
    /// The calls to which something is to come; times count from 1970.
    records: Records,
    troubled: bool,
}

impl Database {
    /// Opens a database, or makes it.
    pub(super) fn open(path: &Path, epoch: Epoch) -> Result<Database, StoreError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(StoreError::NoFolder {
                path: path.to_owned(),
                folder: folder.to_owned(),
            });
        }
        let (connection, own) = connect(path)?;
        Ok(Database {
            connection,
            own: Some(own),
            path: path.to_owned(),
            epoch,
            records: Records::default(),
            troubled: false,
        })
    }

    /// A database that is gone with this value.
    pub(super) fn in_memory(epoch: Epoch) -> Result<Database, StoreError> {
        let path = PathBuf::from(":memory:");
        let mut connection = Connection::open_in_memory().map_err(|error| open_error(&path, error))?;
        prepare(&connection).map_err(|error| open_error(&path, error))?;
        schema::migrate(&mut connection, &path)?;
        Ok(Database {
            connection,
            own: None,
            path,
            epoch,
            records: Records::default(),
            troubled: false,
        })
    }

    /// Opens a database that is there only to read it, whoever writes.
    pub(super) fn read(path: &Path, epoch: Epoch) -> Result<Database, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| open_error(path, error))?;
        connection
            .busy_timeout(PATIENCE)
            .map_err(|error| open_error(path, error))?;
        Ok(Database {
            connection,
            own: None,
            path: path.to_owned(),
            epoch,
            records: Records::default(),
            troubled: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what was stored, and closes the calls that were up.
    pub(super) fn restore(&mut self) -> Result<Restored, StoreError> {
        self.forget();
        let since = rows::first_unsettled(&self.connection).map_err(|error| self.broken(error))?;
        if let Some(since) = since {
            let mut records = Records::default();
            self.each_fact(since, &Unix, |fact| {
                for call in records.apply(&fact).into_iter().flatten() {
                    records.take_over(call);
                }
            })?;
            self.records = records;
        }
        let up = self.records.open().filter(|record| record.ended.is_none());
        let closed: Vec<_> = up.map(|record| record.call).collect();
        let latest = rows::latest(&self.connection).map_err(|error| self.broken(error))?;
        let ends: Vec<_> = closed
            .iter()
            .map(|call| Fact::CallEnded {
                call: *call,
                cause: EndCause::Restarted,
                at: Time::from_nanos(latest.unsigned_abs()),
            })
            .collect();
        if !ends.is_empty() {
            let ends: Vec<_> = ends.iter().collect();
            self.write(&ends, &Unix).map_err(|error| self.broken(error))?;
        }
        let path = &self.path;
        let read = || -> rusqlite::Result<_> {
            Ok((
                rows::bindings(&self.connection, &self.epoch)?,
                rows::agents(&self.connection, &self.epoch)?,
                rows::last_call(&self.connection)?,
            ))
        };
        let (bindings, agents, last_call) = read().map_err(|error| self.broken(error))?;
        let content = |what| StoreError::Content {
            path: path.clone(),
            what,
        };
        Ok(Restored {
            bindings: bindings.map_err(content)?,
            agents: agents.map_err(content)?,
            first_call: last_call.unsigned_abs() + 1,
            closed: closed.into_iter().map(|call| call.0).collect(),
        })
    }

    /// Forgets what it knows; what is stored stays.
    pub(super) fn forget(&mut self) {
        self.records = Records::default();
    }

    /// Everything.
    pub(super) fn kept(&self) -> Result<Kept, StoreError> {
        let (mut records, mut facts) = (Records::default(), Vec::new());
        self.each_fact(0, &self.epoch, |fact| {
            records.apply(&fact);
            facts.push(fact);
        })?;
        let content = |what| StoreError::Content {
            path: self.path.clone(),
            what,
        };
        let bindings = rows::bindings(&self.connection, &self.epoch).map_err(|error| self.broken(error))?;
        let agents = rows::agents(&self.connection, &self.epoch).map_err(|error| self.broken(error))?;
        Ok(Kept {
            bindings: bindings.map_err(content)?,
            agents: agents.map_err(content)?,
            records: records.into_records(),
            facts,
        })
    }

    /// Writes down which agents and queues there are.
    pub(super) fn configure(&mut self, config: &Config) -> Result<(), StoreError> {
        let path = &self.path;
        let broken = |error| StoreError::Broken {
            path: path.clone(),
            error,
        };
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(broken)?;
        let now = self.epoch.unix(Time::ZERO);
        rows::configure(&transaction, config, now).map_err(broken)?;
        transaction.commit().map_err(broken)
    }

    pub(super) fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        let limited = self
            .connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        limited.map_err(|error| self.broken(error))
    }

    fn broken(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Broken {
            path: self.path.clone(),
            error,
        }
    }

    /// Reads facts in their order, from a number on.
    fn each_fact(
        &self,
        since: i64,
        calendar: &impl super::event::Calendar,
        mut take: impl FnMut(Fact),
    ) -> Result<(), StoreError> {
        let mut wrong = None;
        let read = rows::each_event(&self.connection, since, |seq, row| match row.fact(calendar) {
            Some(fact) => take(fact),
            None => wrong = Some(seq),
        });
        read.map_err(|error| self.broken(error))?;
        match wrong {
            None => Ok(()),
            Some(seq) => Err(StoreError::Content {
                path: self.path.clone(),
                what: format!("the event of call_events whose seq is {seq}"),
            }),
        }
    }

    /// Writes facts in one transaction; records follow when it is done.
    fn write(&mut self, facts: &[&Fact], calendar: &impl super::event::Calendar) -> rusqlite::Result<()> {
        self.records.mark();
        let (connection, records) = (&mut self.connection, &mut self.records);
        let written = write(connection, records, facts, calendar);
        match written {
            Ok(touched) => {
                self.records.keep();
                for call in touched {
                    self.records.take_over(call);
                }
                Ok(())
            }
            Err(error) => {
                self.records.undo();
                Err(error)
            }
        }
    }

    /// Sees to it that what is written goes to a file that can be found again.
    fn find_place(&mut self) -> Result<(), CommitError> {
        let Some(own) = &self.own else { return Ok(()) };
        match own.place() {
            Place::Same => Ok(()),
            Place::Replaced => Err(CommitError::Unavailable(format!(
                "another file has taken the place of the database {}: put the right one back, or restart the call center",
                self.path.display()
            ))),
            Place::Gone => self.write_anew(),
        }
    }

    /// The file was deleted, and is open still: all of it is written to a new one.
    fn write_anew(&mut self) -> Result<(), CommitError> {
        let path = self.path.clone();
        let draft = beside(&path, ".new");
        let unavailable = |what: String| {
            CommitError::Unavailable(format!(
                "the database {} was deleted, and cannot be written anew: {what}",
                path.display()
            ))
        };
        // What is left of an attempt before.
        let _none = std::fs::remove_file(&draft);
        let text = draft.to_string_lossy().into_owned();
        self.connection
            .execute("VACUUM INTO ?1", [text])
            .map_err(|error| unavailable(error.to_string()))?;
        // The old connection is closed first: as it ends it removes the journal of this name.
        let spare = Connection::open_in_memory().map_err(|error| unavailable(error.to_string()))?;
        drop(std::mem::replace(&mut self.connection, spare));
        self.own = None;
        for end in ["-wal", "-shm"] {
            let _none = std::fs::remove_file(beside(&path, end));
        }
        let moved = std::fs::rename(&draft, &path).map_err(|error| error.to_string());
        let connected = moved.and_then(|()| connect(&path).map_err(|error| error.to_string()));
        match connected {
            Ok((connection, own)) => {
                self.connection = connection;
                self.own = Some(own);
                tracing::error!(path = %path.display(), "the database was deleted while it was open: it is written anew, nothing is lost");
                Ok(())
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    fn set_patience(&mut self, troubled: bool) {
        if std::mem::replace(&mut self.troubled, troubled) != troubled {
            let patience = if troubled { PATIENCE / 10 } else { PATIENCE };
            if let Err(error) = self.connection.busy_timeout(patience) {
                tracing::warn!(%error, "the patience of the database cannot be set");
            }
        }
    }

    fn spoken(&self, error: &rusqlite::Error) -> CommitError {
        let path = self.path.display();
        let why = match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
                return CommitError::Unacceptable(error.to_string());
            }
            Some(ErrorCode::DiskFull) => "the disk is full: make room".to_owned(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                format!("another process has locked it: `fuser {path}` names it")
            }
            Some(ErrorCode::ReadOnly) => "it may not be written: see to its permissions".to_owned(),
            Some(_) | None => error.to_string(),
        };
        CommitError::Unavailable(format!("the database {path} cannot be written: {why}"))
    }
}

impl Ledger for Database {
    fn commit(&mut self, facts: &[&Fact]) -> Result<(), CommitError> {
        let result = self.find_place().and_then(|()| {
            let epoch = self.epoch;
            self.write(facts, &epoch).map_err(|error| self.spoken(&error))
        });
        self.set_patience(result.is_err());
        result
    }

    fn probe(&mut self) -> Result<(), CommitError> {
        let result = self
            .find_place()
            .and_then(|()| rows::probe(&mut self.connection).map_err(|error| self.spoken(&error)));
        self.set_patience(result.is_err());
        result
    }

    fn look(&mut self) -> Result<(), CommitError> {
        self.find_place()
    }
}

/// Opens a file for writing, in the way of a call center.
fn connect(path: &Path) -> Result<(Connection, OwnFile), StoreError> {
    let mut connection = Connection::open(path).map_err(|error| open_error(path, error))?;
    let own = OwnFile::lock(path)?;
    prepare(&connection).map_err(|error| open_error(path, error))?;
    schema::migrate(&mut connection, path)?;
    Ok((connection, own))
}

fn open_error(path: &Path, error: rusqlite::Error) -> StoreError {
    if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
        return StoreError::NotOurs {
            path: path.to_owned(),
        };
    }
    StoreError::Open {
        path: path.to_owned(),
        error,
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    // What is committed is on disk: each commit is flushed.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Writes facts in one transaction; which calls they touched.
fn write(
    connection: &mut Connection,
    records: &mut Records,
    facts: &[&Fact],
    calendar: &impl super::event::Calendar,
) -> rusqlite::Result<BTreeSet<CallKey>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut touched = BTreeSet::new();
    for fact in facts {
        match fact {
            Fact::Bindings { user, bindings } => {
                rows::put_bindings(&transaction, user, bindings, calendar)?;
            }
            Fact::AgentChanged { agent, state, at } => {
                rows::put_agent(&transaction, agent, state, *at, calendar)?;
            }
            Fact::RecordingStarted { call, file, at } => {
                rows::put_recording(&transaction, *call, file, calendar.unix(*at), None)?;
            }
            Fact::RecordingEnded {
                call,
                file,
                samples,
                at,
            } => {
                rows::put_recording(&transaction, *call, file, calendar.unix(*at), Some(*samples))?;
            }
            Fact::CallQueued { .. }
            | Fact::CallPresented { .. }
            | Fact::PresentationEnded { .. }
            | Fact::CallAnswered { .. }
            | Fact::CallOverflowed { .. }
            | Fact::CallTransferred { .. }
            | Fact::CallEnded { .. } => {}
        }
        if let Some(row) = EventRow::of(fact, calendar) {
            rows::put_event(&transaction, &row)?;
            if let Some(fact) = row.fact(&Unix) {
                touched.extend(records.apply(&fact).into_iter().flatten());
            }
        }
    }
    for call in &touched {
        if let Some(record) = records.get(*call) {
            rows::put_call(&transaction, record, records.is_over(*call))?;
        }
    }
    transaction.commit()?;
    Ok(touched)
}
