//! What is written about the database, held against a database.

use crate::facts;
use callwright_callcenter::{EndCause, Fact, SqliteStore, Store as _, Token};
use callwright_wire::{Epoch, Seed, Time};
use rusqlite::Connection;

const PAGE: &str = include_str!("../../../../docs/database.md");

/// The words in code that a text has.
fn words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A database with these facts, in a folder that goes with the first value.
fn database(told: Vec<Fact>) -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("callcenter.db");
    let mut store = SqliteStore::open(&path, Epoch::SIMULATED, &Seed::from_number(1)).expect("it opens");
    store.restore(Time::ZERO).expect("it is restored");
    for (number, fact) in (1..).zip(told) {
        store.take(Token(number), fact, false);
    }
    store.begin(Time::ZERO);
    store.finish(Time::ZERO);
    let connection = Connection::open(&path).expect("it opens");
    (folder, connection)
}

/// A call that its agent ends.
fn ended_by_agent() -> Vec<Fact> {
    vec![
        facts::queued(1, "support", 1),
        facts::answered(1, Some(facts::ALICE), 2),
        facts::ended(1, EndCause::CompletedByCallee, 3),
    ]
}

fn column(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(query).expect("a statement");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("text")
}

#[test]
fn every_table_every_column_of_a_call_and_every_kind_of_event_is_described() {
    let (_folder, connection) = database(facts::every_other_kind());
    let known = words(PAGE);
    let mut names = column(
        &connection,
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')",
    );
    names.extend(column(&connection, "SELECT name FROM pragma_table_info('calls')"));
    names.extend(column(&connection, "SELECT DISTINCT kind FROM call_events"));
    names.extend(column(
        &connection,
        "SELECT DISTINCT cause FROM calls WHERE cause IS NOT NULL",
    ));
    assert!(names.len() > 30, "{names:?}");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "docs/database.md says nothing of {missing:?}");
}

#[test]
fn its_statements_can_be_asked() {
    let (_folder, connection) = database(ended_by_agent());
    let statements: Vec<_> = PAGE.split("```sql\n").skip(1).collect();
    assert_eq!(statements.len(), 2);
    for statement in statements {
        let (statement, _) = statement.split_once("```").expect("its end");
        let mut statement = connection
            .prepare(statement)
            .unwrap_or_else(|error| panic!("{error}: {statement}"));
        let mut rows = statement.query([]).expect("rows");
        assert!(
            rows.next().expect("it is asked").is_some(),
            "there is something to see"
        );
    }
}

#[test]
fn a_fact_says_who_hung_up_and_the_record_that_it_was_the_agent() {
    let (_folder, connection) = database(ended_by_agent());
    let cause = column(&connection, "SELECT cause FROM calls");
    let outcome = column(
        &connection,
        "SELECT outcome FROM call_events WHERE kind = 'ended'",
    );
    assert_eq!(
        (cause, outcome),
        (
            vec!["completed_by_agent".into()],
            vec!["completed_by_callee".into()]
        )
    );
    let row = "| `completed_by_agent` | `completed_by_callee` |";
    assert!(PAGE.contains(row), "it is written so");
}
