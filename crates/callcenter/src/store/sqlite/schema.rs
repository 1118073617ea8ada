//! The schema: numbered migrations, and the number in `user_version`.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Says whose database it is (the first four bytes of `callwright`).
const APPLICATION: i32 = 0x6361_6c6c;

/// Each brings the schema from the version before to its own, counted from 1. One that was released does not change any more.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
];

/// Brings the schema to the newest version.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let broken = |error| StoreError::Broken {
        path: path.to_owned(),
        error,
    };
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(broken)?;
    let version = version(&transaction).map_err(broken)?;
    let found = check(version, path)?;
    let known = MIGRATIONS.len() as u32;
    for migration in &MIGRATIONS[found as usize..] {
        transaction.execute_batch(migration).map_err(broken)?;
    }
    if found < known {
        transaction
            .pragma_update(None, "application_id", APPLICATION)
            .map_err(broken)?;
        transaction
            .pragma_update(None, "user_version", known)
            .map_err(broken)?;
    }
    transaction.commit().map_err(broken)
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    owner: i32,
    number: i32,
    empty: bool,
}

/// What a file says of itself; nothing is written.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<Version> {
    Ok(Version {
        owner: connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
        number: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        empty: connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?,
    })
}

/// The number of a version, where it is one of a call center and known.
pub(super) fn check(version: Version, path: &Path) -> Result<u32, StoreError> {
    let Version { owner, number, empty } = version;
    let ours = owner == APPLICATION || (owner == 0 && number == 0 && empty);
    let found = u32::try_from(number).ok().filter(|_| ours);
    let Some(found) = found else {
        return Err(StoreError::NotOurs {
            path: path.to_owned(),
        });
    };
    let known = MIGRATIONS.len() as u32;
    if found > known {
        return Err(StoreError::TooNew {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(found)
}
