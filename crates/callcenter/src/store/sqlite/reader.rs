//! Reading a database beside whoever writes it: for the API, and for whoever compares records with something else.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callwright_acd::{CallKey, CallRecord, Fact, Records, Statistics, Thresholds};
use rusqlite::{Connection, OpenFlags, named_params};
use serde::Serialize;

use super::StoreError;
use super::event::{Calendar as _, EventRow, Unix};
use super::rows;

/// A database that is read. Its times are nanoseconds since 1970, as [`Time`](callwright_wire::Time) where a [`CallRecord`] or a [`Fact`] has them.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordQuery {
    /// Those of calls that came at this time or later, in nanoseconds since 1970.
    pub from: Option<i64>,
    /// Those of calls that came before this time.
    pub to: Option<i64>,
    /// Those whose last queue was this one.
    pub queue: Option<String>,
    /// Those that this agent answered.
    pub agent: Option<String>,
    /// Those with a lower number.
    pub before: Option<i64>,
    /// So many at most, the latest first.
    pub limit: usize,
}

/// A row of `calls`: times are nanoseconds since 1970, spans are nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the columns are described in the schema")]
pub struct RecordRow {
    pub number: i64,
    pub caller: Option<String>,
    pub dialled: Option<String>,
    pub queue: Option<String>,
    pub agent: Option<String>,
    pub callee: Option<String>,
    pub arrived_at: i64,
    pub answered_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub cause: Option<String>,
    pub presentations: i64,
    pub transfers: i64,
    pub wait: Option<i64>,
    pub ring: Option<i64>,
    pub talk: Option<i64>,
    pub agent_talk: Option<i64>,
    pub wrap: Option<i64>,
    /// The files of its recordings, relative to the folder of recordings.
    pub recordings: Vec<String>,
}

/// What is known of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredQueue {
    /// Its name.
    pub name: String,
    /// Within which time a call is to be answered.
    pub service_level: Duration,
}

const COLUMNS: &str =
    "number, caller, dialled, queue, agent, callee, arrived_at, answered_at, ended_at, cause,
    presentations, transfers, wait, ring, talk, agent_talk, wrap";

impl Reader {
    /// Opens a database that is there.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Reader, StoreError> {
        let opened = |error| StoreError::Open {
            path: path.to_owned(),
            error,
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(opened)?;
        connection.busy_timeout(Duration::from_secs(1)).map_err(opened)?;
        Ok(Reader {
            connection,
            path: path.to_owned(),
        })
    }

    /// The records that a query asks for, the latest first.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn records(&self, query: &RecordQuery) -> Result<Vec<RecordRow>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM calls
                 WHERE (:from IS NULL OR arrived_at >= :from) AND (:to IS NULL OR arrived_at < :to)
                   AND (:queue IS NULL OR queue = :queue) AND (:agent IS NULL OR agent = :agent)
                   AND (:before IS NULL OR number < :before)
                 ORDER BY number DESC LIMIT :limit"
            ))?;
            let rows = statement.query_map(
                named_params! {
                    ":from": query.from,
                    ":to": query.to,
                    ":queue": query.queue,
                    ":agent": query.agent,
                    ":before": query.before,
                    ":limit": query.limit as i64,
                },
                record,
            )?;
            let mut records = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            for record in &mut records {
                record.recordings = recordings(connection, record.number)?;
            }
            Ok(records)
        })
    }

    /// The record of a call, and what was told of it in order.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn record(&self, number: i64) -> Result<Option<(RecordRow, Vec<Fact>)>, StoreError> {
        let found = self.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM calls WHERE number = ?1"))?;
            let mut rows = statement.query_map([number], record)?;
            let Some(record) = rows.next() else {
                return Ok(None);
            };
            let mut record = record?;
            record.recordings = recordings(connection, number)?;
            Ok(Some(record))
        })?;
        let Some(record) = found else { return Ok(None) };
        let mut facts = Vec::new();
        self.read(|connection| rows::each_event_of(connection, number, |row| facts.extend(row.fact(&Unix))))?;
        Ok(Some((record, facts)))
    }

    /// Every record, put together from the facts. It may be much.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn all(&self) -> Result<Vec<CallRecord>, StoreError> {
        let mut records = Records::default();
        self.each_fact(0, |fact| {
            records.apply(&fact);
        })?;
        Ok(records.into_records())
    }

    /// Every fact but those of bindings, in their order. It may be much.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn facts(&self) -> Result<Vec<Fact>, StoreError> {
        let mut facts = Vec::new();
        self.each_fact(0, |fact| facts.push(fact))?;
        Ok(facts)
    }

    /// The queues.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn queues(&self) -> Result<Vec<StoredQueue>, StoreError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT name, service_level FROM queues ORDER BY name")?;
            let rows = statement.query_map([], |row| {
                Ok(StoredQueue {
                    name: row.get(0)?,
                    service_level: Duration::from_nanos(row.get::<_, i64>(1)?.unsigned_abs()),
                })
            })?;
            rows.collect()
        })
    }

    /// The statistics of queues over the calls that came to them between two times, in nanoseconds since 1970, in the order of
    /// `queues`; a queue that is `None` stands for all of them.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn statistics(
        &self,
        from: i64,
        to: i64,
        queues: &[(Option<String>, Thresholds)],
    ) -> Result<Vec<Statistics>, StoreError> {
        let mut sums = vec![Statistics::default(); queues.len()];
        let within = Unix.time(from)..Unix.time(to);
        let mut count = |record: &CallRecord| {
            for ((queue, thresholds), sum) in queues.iter().zip(&mut sums) {
                sum.add_where(record, thresholds, |visit| {
                    let of_queue = queue.as_ref().is_none_or(|queue| *queue == visit.queue);
                    of_queue && within.contains(&visit.entered)
                });
            }
        };
        let events = self.read(|connection| rows::events_within(connection, &(from..to)))?;
        let mut records = Records::default();
        if let Some((first, last)) = events {
            // The calls that go on when that time is over, and are to be counted.
            let mut awaited: Option<BTreeSet<CallKey>> = None;
            self.each_event(first, |seq, fact| {
                if seq > last {
                    let awaited = awaited.get_or_insert_with(|| {
                        let came = |record: &&CallRecord| {
                            record.visits.iter().any(|visit| within.contains(&visit.entered))
                        };
                        records.open().filter(came).map(|record| record.call).collect()
                    });
                    if awaited.is_empty() {
                        return ControlFlow::Break(());
                    }
                }
                // A call that came before is known in part, and none of its visits counts.
                for call in records.apply(&fact).into_iter().flatten() {
                    if let Some(record) = records.take_over(call) {
                        count(&record);
                        if let Some(awaited) = &mut awaited {
                            awaited.remove(&call);
                        }
                    }
                }
                ControlFlow::Continue(())
            })?;
        }
        for record in records.open() {
            count(record);
        }
        Ok(sums)
    }

    fn each_fact(&self, since: i64, mut take: impl FnMut(Fact)) -> Result<(), StoreError> {
        self.each_event(since, |_, fact| {
            take(fact);
            ControlFlow::Continue(())
        })
    }

    /// Reads facts with the numbers of their events, until it is enough.
    fn each_event(
        &self,
        since: i64,
        mut take: impl FnMut(i64, Fact) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut wrong = None;
        self.read(|connection| {
            rows::each_event(connection, since, |seq, row: EventRow<'_>| {
                match row.fact(&Unix) {
                    Some(fact) => take(seq, fact),
                    None => {
                        wrong = Some(seq);
                        ControlFlow::Break(())
                    }
                }
            })
        })?;
        match wrong {
            None => Ok(()),
            Some(seq) => Err(StoreError::Content {
                path: self.path.clone(),
                what: format!("the event of call_events whose seq is {seq}"),
            }),
        }
    }

    fn read<R>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<R>) -> Result<R, StoreError> {
        read(&self.connection).map_err(|error| StoreError::Broken {
            path: self.path.clone(),
            error,
        })
    }
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<RecordRow> {
    Ok(RecordRow {
        number: row.get(0)?,
        caller: row.get(1)?,
        dialled: row.get(2)?,
        queue: row.get(3)?,
        agent: row.get(4)?,
        callee: row.get(5)?,
        arrived_at: row.get(6)?,
        answered_at: row.get(7)?,
        ended_at: row.get(8)?,
        cause: row.get(9)?,
        presentations: row.get(10)?,
        transfers: row.get(11)?,
        wait: row.get(12)?,
        ring: row.get(13)?,
        talk: row.get(14)?,
        agent_talk: row.get(15)?,
        wrap: row.get(16)?,
        recordings: Vec::new(),
    })
}

fn recordings(from: &Connection, call: i64) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        from.prepare_cached("SELECT file FROM recordings WHERE call = ?1 ORDER BY started_at")?;
    let rows = statement.query_map([call], |row| row.get(0))?;
    rows.collect()
}

impl RecordRow {
    /// Its number.
    pub fn call(&self) -> CallKey {
        CallKey(self.number.unsigned_abs())
    }
}
