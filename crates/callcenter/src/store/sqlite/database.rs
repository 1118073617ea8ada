//! A connection to the database, and what is known of what is in it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callwright_acd::{CallKey, Config, Fact, Records};
use callwright_wire::{Epoch, Time};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::StoreError;
use super::event::{Calendar as _, EventRow, Unix};
use super::file::{self, OwnFile, Place, beside};
use super::{rows, schema};
use crate::store::group::{Causes, CommitError, Ledger, cause};
use crate::store::{Kept, Restored, closed_by, cut_off};

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
        // Locked before anything is written to it.
        drop(open_ours(path)?);
        let mut own = OwnFile::lock(path, path)?;
        let connection = connect(path)?;
        own.connected();
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

    /// Reads what was stored, and closes the calls and talks that the last process left behind.
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
        let read = || -> rusqlite::Result<_> {
            Ok((
                rows::bindings(&self.connection, &self.epoch)?,
                rows::agents(&self.connection, &self.epoch)?,
                rows::wishes(&self.connection)?,
                rows::last_call(&self.connection)?,
            ))
        };
        let (bindings, agents, wishes, last_call) = read().map_err(|error| self.broken(error))?;
        let content = |what| StoreError::Content {
            path: self.path.clone(),
            what,
        };
        let wishes = wishes.map_err(content)?;
        let last_known = |call| Ok(Unix.time(rows::last_known(&self.connection, call)?));
        let cut_off = cut_off(&self.records, &wishes, last_known).map_err(|error| self.broken(error))?;
        let restored = Restored {
            bindings: bindings.map_err(content)?,
            agents: agents.map_err(content)?,
            wishes,
            first_call: last_call.unsigned_abs() + 1,
            closed: closed_by(&cut_off),
        };
        self.write_down(&cut_off)?;
        Ok(restored)
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

    /// The recordings whose end was not stored.
    pub(super) fn unfinished_recordings(&self) -> Result<Vec<(CallKey, String)>, StoreError> {
        rows::unfinished_recordings(&self.connection).map_err(|error| self.broken(error))
    }

    /// When a recording began, counted from 1970; `None` where it is not known.
    pub(super) fn recording_started(&self, call: CallKey, file: &str) -> Result<Option<Time>, StoreError> {
        let started = rows::recording_started(&self.connection, call, file);
        let started = started.map_err(|error| self.broken(error))?;
        Ok(started.map(|at| Unix.time(at)))
    }

    /// Whether there is a record of a call.
    pub(super) fn knows_call(&self, call: CallKey) -> Result<bool, StoreError> {
        rows::knows_call(&self.connection, call).map_err(|error| self.broken(error))
    }

    /// Stores facts of a process before this one, whose times count from 1970.
    pub(super) fn write_down(&mut self, facts: &[Fact]) -> Result<(), StoreError> {
        if facts.is_empty() {
            return Ok(());
        }
        let facts: Vec<_> = facts.iter().collect();
        let written = self.write(&facts, &Unix);
        written.map(drop).map_err(|error| self.broken(error))
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
            Some(fact) => {
                take(fact);
                ControlFlow::Continue(())
            }
            None => {
                wrong = Some(seq);
                ControlFlow::Break(())
            }
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

    /// Writes facts in one transaction; records follow when it is done. Why the calls are over that end by them.
    fn write(&mut self, facts: &[&Fact], calendar: &impl super::event::Calendar) -> rusqlite::Result<Causes> {
        self.records.mark();
        let (connection, records) = (&mut self.connection, &mut self.records);
        let written = write(connection, records, facts, calendar);
        match written {
            Ok(touched) => {
                self.records.keep();
                let ended = facts.iter().filter_map(|fact| cause(&self.records, fact));
                let causes = ended.collect();
                for call in touched {
                    self.records.take_over(call);
                }
                Ok(causes)
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
        let path = self.path.display();
        match own.place() {
            Place::Same => Ok(()),
            Place::Replaced => Err(CommitError::Unavailable(format!(
                "another file has taken the place of the database {path}: put the right one back, or restart the call center"
            ))),
            Place::Unknown(error) => Err(CommitError::Unavailable(format!(
                "the database {path} cannot be found: {error}"
            ))),
            Place::Gone => self.write_anew("was deleted"),
            Place::JournalGone => self.write_anew("has lost the journal beside it"),
            Place::Unconnected => self.connect_again(),
        }
    }

    /// The file was deleted, or its journal was, and is open still: all of it is written to a new one.
    fn write_anew(&mut self, why: &str) -> Result<(), CommitError> {
        let written = self.replacement().and_then(|(draft, own)| {
            if let Some(old) = &self.own {
                old.give_name(&draft).map_err(|error| error.to_string())?;
            }
            Ok(own)
        });
        match written {
            Ok(own) => {
                let path = self.path.display();
                tracing::error!(%path, "the database {why} while it was open: it is written anew, nothing is lost");
                self.own = Some(own);
                self.connect_again()
            }
            Err(what) => Err(CommitError::Unavailable(format!(
                "the database {} {why}, and cannot be written anew: {what}",
                self.path.display()
            ))),
        }
    }

    /// Everything, in a file beside the one that it is to replace, on disk and locked.
    fn replacement(&self) -> Result<(PathBuf, OwnFile), String> {
        let draft = beside(&self.path, ".new");
        let Some(name) = draft.to_str() else {
            return Err("its name is not UTF-8".to_owned());
        };
        // What is left of an attempt before.
        let _none = std::fs::remove_file(&draft);
        file::make(&draft).map_err(|error| error.to_string())?;
        let copied = self.connection.execute("VACUUM INTO ?1", [name]);
        copied.map_err(|error| error.to_string())?;
        let own = OwnFile::lock(&draft, &self.path).map_err(|error| error.to_string())?;
        let synced = std::fs::File::open(&draft).and_then(|file| file.sync_all());
        synced.map_err(|error| error.to_string())?;
        Ok((draft, own))
    }

    /// Goes over to a file that has everything. Until that is done nothing is written, and the connection to the old one is kept.
    fn connect_again(&mut self) -> Result<(), CommitError> {
        match connect(&self.path) {
            Ok(connection) => {
                let old = std::mem::replace(&mut self.connection, connection);
                // As it ends it would remove the journal of this name, which is the new one's.
                let kept = old.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
                if let Err(error) = kept {
                    tracing::error!(%error, "the old database cannot be let go of, and stays open");
                    std::mem::forget(old);
                }
                self.troubled = false;
                if let Some(own) = &mut self.own {
                    own.connected();
                }
                Ok(())
            }
            Err(error) => Err(CommitError::Unavailable(error.to_string())),
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
    fn commit(&mut self, facts: &[&Fact]) -> Result<Causes, CommitError> {
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
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = open_ours(path)?;
    prepare(&connection).map_err(|error| open_error(path, error))?;
    schema::migrate(&mut connection, path)?;
    // So that the file itself has its tables; whoever reads it may be in the way, and it is done later.
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    checkpoint.map_err(|error| open_error(path, error))?;
    Ok(connection)
}

/// Opens a file of a call center, and makes it where there is none. Nothing is written to one of somebody else.
pub(super) fn open_ours(path: &Path) -> Result<Connection, StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(StoreError::NoFolder {
            path: path.to_owned(),
            folder: folder.to_owned(),
        });
    }
    // Where it cannot be made SQLite says why.
    let _error = file::make(path);
    let connection = Connection::open(path).map_err(|error| open_error(path, error))?;
    connection
        .busy_timeout(PATIENCE)
        .map_err(|error| open_error(path, error))?;
    let version = schema::version(&connection).map_err(|error| open_error(path, error))?;
    schema::check(version, path)?;
    Ok(connection)
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
            Fact::AgentWants {
                agent, afterwards, ..
            } => rows::put_wish(&transaction, agent, afterwards.as_ref())?,
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
