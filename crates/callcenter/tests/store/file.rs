//! A database in a file: across restarts, and when the file, the disk or another process stands in the way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::facts::{ALICE, answered, at, bindings, changed, ended, is_awaited, queued};
use callwright_callcenter::{
    AgentState, EndCause, Fact, Health, NotReadyReason, Reader, SqliteStore, Store, StoreError, Thresholds,
    Token, Users,
};
use callwright_wire::{Epoch, Seed, Time};
use rusqlite::Connection;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("calls.db")
    }

    fn open(&self) -> SqliteStore {
        self.open_in(Epoch::SIMULATED)
    }

    fn open_in(&self, epoch: Epoch) -> SqliteStore {
        let mut store = SqliteStore::open(&self.path(), epoch, &Seed::from_number(1)).expect("it opens");
        store.restore(Time::ZERO).expect("it is restored");
        store
    }
}

fn error(path: &Path) -> StoreError {
    SqliteStore::open(path, Epoch::SIMULATED, &Seed::from_number(1)).expect_err("it does not open")
}

fn commit(store: &mut SqliteStore, now: u64, facts: &[Fact]) -> Vec<bool> {
    for (number, fact) in (1..).zip(facts) {
        store.take(Token(number), fact.clone(), is_awaited(fact));
    }
    store.begin(at(now));
    let due = store.next().expect("a commit");
    store
        .finish(due)
        .into_iter()
        .map(|outcome| outcome.stored)
        .collect()
}

fn numbers(store: &SqliteStore) -> Vec<u64> {
    let kept = store.kept().expect("it can be read");
    kept.records.iter().map(|record| record.call.0).collect()
}

fn failing(store: &SqliteStore) -> String {
    match store.health() {
        Health::Failing { reason } => reason,
        Health::Sound => panic!("it works"),
    }
}

#[test]
fn a_new_process_finds_what_was_stored_and_times_are_those_of_its_own_world() {
    let place = Place::new();
    let mut store = place.open();
    let told = [
        bindings("alice", 2),
        queued(1, "support", 10),
        answered(1, Some(ALICE), 12),
        changed(ALICE, AgentState::WrapUp { until: at(500) }, 13),
    ];
    assert_eq!(commit(&mut store, 20, &told), [true; 4]);
    // As after kill -9: what was not committed is nowhere.
    store.take(Token(9), queued(2, "support", 21), true);
    drop(store);
    let later = Epoch::SIMULATED.later(Duration::from_secs(100));
    let seed = Seed::from_number(2);
    let mut store = SqliteStore::open(&place.path(), later, &seed).expect("it opens");
    let restored = store.restore(Time::ZERO).expect("it is restored");
    assert_eq!((restored.first_call, restored.closed), (2, vec![1]));
    assert_eq!(restored.agents[ALICE], AgentState::WrapUp { until: at(400) });
    let expires: Vec<_> = restored.bindings["alice"]
        .iter()
        .map(|binding| binding.expires)
        .collect();
    assert_eq!(expires, [Time::from_nanos(3_500_000_000_001), Time::ZERO]);
    // For who reads it with other tools.
    let other = Connection::open(place.path()).expect("it opens");
    let row: (String, String, String, f64) = other
        .query_row(
            "SELECT arrived, ended, cause, wait_s FROM call_records",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .expect("a row");
    assert_eq!(row.0, "2030-01-01T00:00:10.000Z");
    assert_eq!(
        (row.1.as_str(), row.2.as_str(), row.3),
        ("2030-01-01T00:00:13.000Z", "failed(restart)", 2.0)
    );
}

/// A database as an older version left it: its schema, and what was in it.
#[test]
fn a_database_of_an_older_version_is_brought_up_to_date_with_what_is_in_it() {
    let place = Place::new();
    let old = Connection::open(place.path()).expect("a database");
    old.execute_batch(include_str!("../../src/store/sqlite/migrations/0001.sql"))
        .expect("its schema");
    old.pragma_update(None, "application_id", 0x6361_6c6c)
        .expect("whose it is");
    old.pragma_update(None, "user_version", 1).expect("its version");
    old.execute_batch(
        "INSERT INTO agents (name, state, changed_at) VALUES ('alice', 'talking', 7);
         INSERT INTO calls (number, arrived_at, presentations, transfers, settled) VALUES (41, 7, 0, 0, 0);
         INSERT INTO call_events (at, kind, call, queue, party, target, number)
             VALUES (7, 'queued', 41, 'support', 'sip:carol@example.org', 'sip:support@callcenter.test', 0);",
    )
    .expect("what is in it");
    drop(old);
    let mut store =
        SqliteStore::open(&place.path(), Epoch::SIMULATED, &Seed::from_number(1)).expect("it opens");
    let restored = store.restore(Time::ZERO).expect("it is restored");
    assert_eq!((restored.first_call, restored.closed), (42, vec![41]));
    assert_eq!(restored.agents[ALICE], AgentState::Talking);
    assert!(restored.wishes.is_empty());
    let lunch = NotReadyReason::Manual("lunch".to_owned());
    let wants = Fact::AgentWants {
        agent: ALICE.to_owned(),
        afterwards: Some(lunch.clone()),
        at: at(1),
    };
    commit(&mut store, 1, &[wants]);
    drop(store);
    let mut store =
        SqliteStore::open(&place.path(), Epoch::SIMULATED, &Seed::from_number(1)).expect("it opens");
    let restored = store.restore(Time::ZERO).expect("it is restored");
    assert_eq!(restored.wishes[ALICE], lunch);
}

#[test]
fn what_cannot_be_opened_is_an_error_with_its_path() {
    let place = Place::new();
    let path = place.path();
    let nowhere = place.folder.path().join("nowhere").join("calls.db");
    assert!(matches!(error(&nowhere), StoreError::NoFolder { .. }));
    assert!(matches!(error(place.folder.path()), StoreError::Open { .. }));
    let first = place.open();
    assert!(matches!(error(&path), StoreError::InUse { .. }));
    drop(first);
    let other = Connection::open(&path).expect("it opens");
    other
        .pragma_update(None, "user_version", 99)
        .expect("it can be written");
    let error_text = error(&path).to_string();
    assert!(
        error_text.contains("version 99") && error_text.contains("calls.db"),
        "{error_text}"
    );
    let text = place.folder.path().join("notes.txt");
    std::fs::write(&text, "this is a text of some length and no database at all").expect("written");
    assert!(matches!(error(&text), StoreError::NotOurs { .. }));
    let foreign = place.folder.path().join("foreign.db");
    let other = Connection::open(&foreign).expect("it opens");
    other
        .execute_batch("CREATE TABLE songs (name TEXT)")
        .expect("a table");
    assert!(matches!(error(&foreign), StoreError::NotOurs { .. }));
}

#[test]
fn a_database_that_is_locked_refuses_new_calls_until_it_is_released_and_loses_nothing() {
    let place = Place::new();
    let mut store = place.open();
    commit(&mut store, 1, &[queued(1, "support", 1)]);
    let other = Connection::open(place.path()).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("it is locked");
    let group = [ended(1, EndCause::Abandoned, 2), queued(2, "support", 2)];
    assert_eq!(commit(&mut store, 2, &group), [false], "only the new call");
    let reason = failing(&store);
    assert!(
        reason.contains("another process has locked it") && reason.contains("calls.db"),
        "{reason}"
    );
    assert!(commit(&mut store, 3, &[]).is_empty(), "it tries again, in vain");
    other.execute_batch("COMMIT").expect("it is released");
    assert_eq!(commit(&mut store, 4, &[queued(3, "support", 4)]), [true, true]);
    assert_eq!(store.health(), Health::Sound);
    assert_eq!(numbers(&store), [1, 3]);
}

#[test]
fn what_a_crash_has_cut_off_is_told_whole_or_not_at_all() {
    let place = Place::new();
    let mut store = place.open();
    let told = [
        queued(1, "support", 10),
        answered(1, Some(ALICE), 11),
        changed(ALICE, AgentState::Talking, 11),
        ended(1, EndCause::Transferred, 12),
        queued(2, "support", 13),
    ];
    commit(&mut store, 13, &told);
    drop(store);
    let other = Connection::open(place.path()).expect("it can be opened twice");
    let refuse = "CREATE TRIGGER refused BEFORE INSERT ON call_events WHEN NEW.kind = 'agent_changed' \
                  BEGIN SELECT RAISE(ABORT, 'not that'); END";
    other.execute_batch(refuse).expect("a trigger");
    let open =
        || SqliteStore::open(&place.path(), Epoch::SIMULATED, &Seed::from_number(1)).expect("it opens");
    let mut store = open();
    let error = store.restore(at(100)).expect_err("the second is refused");
    assert!(error.to_string().contains("not that"), "{error}");
    let kept = store.kept().expect("it can be read");
    assert_eq!(kept.facts, told, "nor is the first stored");
    drop(store);
    other.execute_batch("DROP TRIGGER refused").expect("it is there");
    let mut store = open();
    assert_eq!(store.restore(at(100)).expect("it is restored").closed, [2]);
    let kept = store.kept().expect("it can be read");
    let more = [
        ended(2, EndCause::Restarted, 13),
        changed(ALICE, AgentState::Ready, 13),
    ];
    assert_eq!(kept.facts, [&told[..], &more].concat());
    assert_eq!(kept.records[0].agent_talk(), Some(Duration::from_secs(2)));
}

#[test]
fn a_disk_that_is_full_refuses_new_calls_until_there_is_room() {
    let place = Place::new();
    let mut store = place.open();
    commit(&mut store, 1, &[queued(1, "support", 1)]);
    store.limit_pages(1).expect("it can be limited");
    let mut number = 1;
    while store.health() == Health::Sound {
        number += 1;
        commit(&mut store, number, &[queued(number, "support", number)]);
        assert!(number < 10_000, "no limit");
    }
    assert!(
        failing(&store).contains("the disk is full"),
        "{}",
        failing(&store)
    );
    assert!(commit(&mut store, number, &[ended(1, EndCause::Abandoned, number)]).len() <= 1);
    store.limit_pages(1_000_000).expect("it can be limited");
    commit(&mut store, number + 10, &[]);
    assert_eq!(store.health(), Health::Sound);
    let kept = store.kept().expect("it can be read");
    assert_eq!(kept.records.len() as u64, number - 1, "the last one was refused");
    assert_eq!(
        kept.records[0].ended.map(|end| end.cause),
        Some(EndCause::Abandoned)
    );
}

#[test]
fn a_database_that_is_deleted_is_written_anew_with_all_that_was_stored() {
    for wal_too in [false, true] {
        let place = Place::new();
        let mut store = place.open();
        commit(&mut store, 1, &[queued(1, "support", 1), bindings("alice", 1)]);
        std::fs::remove_file(place.path()).expect("it is there");
        if wal_too {
            for end in ["-wal", "-shm"] {
                let mut name = place.path().into_os_string();
                name.push(end);
                std::fs::remove_file(name).expect("it is there");
            }
        }
        assert_eq!(commit(&mut store, 2, &[queued(2, "support", 2)]), [true]);
        assert_eq!(store.health(), Health::Sound);
        drop(store);
        let store = place.open();
        assert_eq!(numbers(&store), [1, 2]);
        assert_eq!(store.kept().expect("it can be read").bindings.len(), 1);
        let files = std::fs::read_dir(place.folder.path()).expect("a folder").count();
        assert!(files <= 3, "nothing is left of it");
    }
}

#[test]
fn a_journal_that_is_deleted_loses_nothing_of_what_was_stored() {
    let place = Place::new();
    let mut store = place.open();
    commit(&mut store, 1, &[queued(1, "support", 1)]);
    let mut journal = place.path().into_os_string();
    journal.push("-wal");
    std::fs::remove_file(&journal).expect("it is there");
    assert_eq!(commit(&mut store, 2, &[queued(2, "support", 2)]), [true]);
    // As after kill -9: the connection is never closed.
    std::mem::forget(store);
    let reader = Reader::open(&place.path()).expect("it opens");
    let records = reader.all().expect("they can be read");
    assert_eq!(records.len(), 2);
}

#[test]
fn a_file_has_its_tables_before_anything_is_stored() {
    let place = Place::new();
    let store = place.open();
    let copy = place.folder.path().join("copy.db");
    std::fs::copy(place.path(), &copy).expect("it is copied");
    drop(store);
    let reader = Reader::open(&copy).expect("it opens");
    assert!(reader.all().expect("it has tables").is_empty());
    let mode = place.path().metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

#[test]
fn a_database_that_cannot_be_written_anew_at_once_is_later_and_loses_nothing() {
    let place = Place::new();
    let mut store = place.open();
    commit(&mut store, 1, &[queued(1, "support", 1)]);
    std::fs::remove_file(place.path()).expect("it is there");
    // The new one cannot be made.
    let mut draft = place.path().into_os_string();
    draft.push(".new");
    std::fs::create_dir(&draft).expect("it is made");
    assert_eq!(
        commit(
            &mut store,
            2,
            &[queued(2, "support", 2), ended(1, EndCause::Abandoned, 2)]
        ),
        [false]
    );
    assert!(
        failing(&store).contains("cannot be written anew"),
        "{}",
        failing(&store)
    );
    assert!(commit(&mut store, 3, &[]).is_empty());
    assert_ne!(store.health(), Health::Sound, "nothing has become better");
    std::fs::remove_dir(&draft).expect("it is there");
    assert_eq!(commit(&mut store, 4, &[queued(3, "support", 4)]), [true, true]);
    assert_eq!(store.health(), Health::Sound);
    assert_eq!(numbers(&store), [1, 3]);
    drop(store);
    assert_eq!(numbers(&place.open()), [1, 3]);
}

#[test]
fn a_database_of_somebody_else_is_left_as_it_is() {
    let place = Place::new();
    let foreign = place.folder.path().join("foreign.db");
    let other = Connection::open(&foreign).expect("it opens");
    other
        .execute_batch("PRAGMA application_id = -5; CREATE TABLE songs (name TEXT)")
        .expect("a table");
    drop(other);
    let before = std::fs::read(&foreign).expect("it is there");
    assert!(matches!(error(&foreign), StoreError::NotOurs { .. }));
    let users = Users::open(&foreign).expect_err("it is not ours");
    assert!(matches!(users, StoreError::NotOurs { .. }));
    assert_eq!(std::fs::read(&foreign).expect("it is there"), before);
    let none = place.folder.path().join("none.db");
    assert!(Users::open_existing(&none).expect("there is none").is_none() && !none.exists());
    let nowhere = place.folder.path().join("nowhere").join("none.db");
    assert!(matches!(
        Users::open(&nowhere).expect_err("there is no folder"),
        StoreError::NoFolder { .. }
    ));
}

#[test]
fn a_database_whose_place_is_taken_is_left_alone_until_it_is_back() {
    let place = Place::new();
    let mut store = place.open();
    commit(&mut store, 1, &[queued(1, "support", 1)]);
    let aside = place.folder.path().join("aside.db");
    std::fs::rename(place.path(), &aside).expect("it is moved");
    std::fs::write(place.path(), "something else").expect("it is written");
    assert_eq!(commit(&mut store, 2, &[queued(2, "support", 2)]), [false]);
    assert!(
        failing(&store).contains("another file has taken the place"),
        "{}",
        failing(&store)
    );
    std::fs::rename(&aside, place.path()).expect("it is moved");
    assert_eq!(commit(&mut store, 3, &[queued(3, "support", 3)]), [true]);
    assert_eq!(numbers(&store), [1, 3]);
}

#[test]
fn a_thread_commits_in_order_and_wakes_whoever_waits() {
    let place = Place::new();
    let mut store = place.open();
    store.take(Token(1), queued(1, "support", 1), true);
    let (wakes, woken) = channel();
    store.wake_by(Box::new(move || {
        let _gone = wakes.send(());
    }));
    let mut heard = Vec::new();
    for number in 2..=1_000 {
        store.take(Token(number), queued(number, "support", number), true);
        if number % 10 == 0 {
            store.begin(Time::ZERO);
        }
    }
    while heard.len() < 1_000 {
        wait(&woken);
        heard.extend(
            store
                .finish(Time::ZERO)
                .into_iter()
                .map(|outcome| outcome.token.0),
        );
    }
    assert_eq!(heard, (1..=1_000).collect::<Vec<_>>());
    assert_eq!((store.pending(), store.committed()), (0, 1_000));
    assert_eq!(numbers(&store).len(), 1_000);
}

#[test]
fn a_thread_goes_on_where_its_store_was() {
    let place = Place::new();
    let mut store = place.open();
    commit(&mut store, 1, &[queued(1, "support", 1)]);
    store.set_failures(1.0);
    assert!(commit(&mut store, 2, &[ended(1, EndCause::Abandoned, 2)]).is_empty());
    let (wakes, woken) = channel();
    store.wake_by(Box::new(move || {
        let _gone = wakes.send(());
    }));
    assert_eq!(store.pending(), 1, "what was left over");
    wait(&woken);
    assert_eq!(store.finish(at(3)).len(), 1);
    assert_eq!((store.pending(), store.committed()), (0, 2));
}

#[test]
fn statistics_of_a_day_read_no_further_than_its_last_call() {
    let place = Place::new();
    let mut store = place.open();
    let day = [
        queued(1, "support", 10),
        // The next day begins at 100, and the first call goes on.
        queued(2, "support", 110),
        ended(1, EndCause::Abandoned, 120),
        ended(2, EndCause::Abandoned, 130),
    ];
    commit(&mut store, 130, &day);
    drop(store);
    // What nobody understands stands behind.
    let other = Connection::open(place.path()).expect("it opens");
    other
        .execute_batch("INSERT INTO call_events (at, kind, call) SELECT at + 1, 'presented', 2 FROM call_events WHERE seq = 4")
        .expect("a row");
    let reader = Reader::open(&place.path()).expect("it opens");
    let unix = |secs| i64::try_from(Epoch::SIMULATED.unix_nanos_at(at(secs))).expect("a time");
    let all = [(None, Thresholds::default())];
    let sums = reader
        .statistics(unix(0), unix(100), &all)
        .expect("they can be read");
    assert_eq!((sums[0].offered, sums[0].abandoned), (1, 1));
    let empty = reader
        .statistics(unix(20), unix(100), &all)
        .expect("they can be read");
    assert_eq!(empty[0].offered, 0);
    assert!(
        reader.statistics(unix(0), unix(200), &all).is_err(),
        "it is there"
    );
}

#[test]
fn a_call_ends_with_the_last_that_is_known_of_its_own_process() {
    let place = Place::new();
    let mut store = place.open();
    commit(
        &mut store,
        5_000,
        &[queued(1, "support", 5_000), ended(1, EndCause::Abandoned, 5_010)],
    );
    drop(store);
    // The clock was set back.
    let mut store = place.open();
    commit(
        &mut store,
        1_000,
        &[
            queued(2, "support", 1_000),
            changed(ALICE, AgentState::Ready, 1_007),
        ],
    );
    drop(store);
    let store = place.open();
    let kept = store.kept().expect("it can be read");
    assert_eq!(kept.records[1].ended.map(|end| end.at), Some(at(1_007)));
}

#[test]
fn a_thread_finds_out_by_itself_that_the_database_is_gone_and_that_it_is_back() {
    let place = Place::new();
    let mut store = place.open();
    let (wakes, woken) = channel();
    store.wake_by(Box::new(move || {
        let _gone = wakes.send(());
    }));
    let aside = place.folder.path().join("aside.db");
    std::fs::rename(place.path(), &aside).expect("it is moved");
    std::fs::write(place.path(), "something else").expect("it is written");
    wait(&woken);
    assert!(matches!(store.health(), Health::Failing { .. }));
    std::fs::rename(&aside, place.path()).expect("it is moved");
    wait(&woken);
    assert_eq!(store.health(), Health::Sound);
}

#[track_caller]
fn wait(woken: &Receiver<()>) {
    let patience = Duration::from_secs(20);
    woken.recv_timeout(patience).expect("it wakes whoever waits");
}
