//! The schema: numbered migrations, and the number in `user_version`.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Says whose database it is (the first four bytes of `callwright`).
const APPLICATION: u32 = 0x6361_6c6c;

/// Each brings the schema from the version before to its own, counted from 1. One that was released does not change any more.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001.sql")];

/// Brings the schema to the newest version.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let broken = |error| StoreError::Broken {
        path: path.to_owned(),
        error,
    };
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(broken)?;
    let found: u32 = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(broken)?;
    let owner: u32 = transaction
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(broken)?;
    let tables: u32 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(broken)?;
    if owner != APPLICATION && (owner != 0 || found != 0 || tables != 0) {
        return Err(StoreError::NotOurs {
            path: path.to_owned(),
        });
    }
    let known = MIGRATIONS.len() as u32;
    if found > known {
        return Err(StoreError::TooNew {
            path: path.to_owned(),
            found,
            known,
        });
    }
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
