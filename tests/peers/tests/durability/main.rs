//! What was acknowledged is there: after `kill -9`, on a full disk, beside a lock, without a file. The other side of every
//! comparison is what phones were told on the wire.
//!
//! What takes its time is ignored unless asked for:
//!
//! ```sh
//! cargo test -p callwright-peers --test durability -- --ignored --nocapture --test-threads 1
//! ```

mod heard;
mod phones;
mod restart;
mod tape;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use callwright_peers::{CallCenter, CallCenterOptions, Evidence};
use phones::{Agents, Callers, Story};
use rusqlite::Connection;
use tape::Tape;

/// A call center with a queue, and agents who are registered.
struct Floor {
    server: CallCenter,
    api: String,
    _agents: Agents,
    /// What the callers sent and heard.
    callers: Arc<Tape>,
    /// What the agents did.
    agents: Arc<Tape>,
    _evidence: Evidence,
}

impl Floor {
    fn start(agents: usize, database: Option<&Path>) -> Floor {
        let names: Vec<_> = (1..=agents).map(|number| format!("agent{number}")).collect();
        let mut more = String::from(
            "[http]\nlisten = \"127.0.0.1:0\"\ntoken = false\n[timers]\nfinish_calls = \"0s\"\n[[queue]]\nname = \"support\"\n",
        );
        for name in &names {
            more += &format!("[[user]]\nname = \"{name}\"\nagent = true\n");
        }
        let server = CallCenter::start_with(&CallCenterOptions {
            more: &more,
            database,
            ..CallCenterOptions::default()
        });
        let evidence = Evidence::new("phones");
        let tape = |name| Arc::new(Tape::create(&evidence.file(name)));
        let (callers, tape_of_agents) = (tape("callers.pcap"), tape("agents.pcap"));
        let log = server.log();
        let api = log
            .split("API on http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        Floor {
            api: api.unwrap_or_else(|| panic!("no API in\n{log}")).to_owned(),
            _agents: Agents::start(server.address(), &names, &tape_of_agents),
            server,
            callers,
            agents: tape_of_agents,
            _evidence: evidence,
        }
    }

    fn callers(&self, limit: usize) -> Callers {
        Callers::start(
            self.server.address(),
            "sip:support@callwright.test",
            limit,
            &self.callers,
        )
    }

    /// What `/healthz` says.
    fn health(&self) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.api).expect("it listens");
        let request = "GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it leaves");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), answer)
    }

    #[track_caller]
    fn until_health(&self, status: u16) -> String {
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            let (is, answer) = self.health();
            if is == status {
                return answer;
            }
            assert!(Instant::now() < patience, "{is} instead of {status}: {answer}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// The record of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    agent: Option<String>,
    cause: Option<String>,
    ended_at: Option<i64>,
    presentations: u32,
    /// How many events of its end there are, of presentations, and of an answer by an agent.
    ends: u32,
    presented: u32,
    answers: u32,
}

/// The records of a database, by the names of the callers; each caller calls once, and has one record at most.
#[track_caller]
fn records(database: &Path) -> BTreeMap<String, Row> {
    let database = Connection::open(database).expect("it opens");
    let count =
        |kind| format!("(SELECT count(*) FROM call_events WHERE call = calls.number AND kind = '{kind}')");
    // A call that was refused before anything of it could be stored has an end and no caller.
    let query = format!(
        "SELECT caller, agent, cause, ended_at, presentations, {}, {}, {} FROM calls WHERE caller IS NOT NULL",
        count("ended"),
        count("presented"),
        count("answered"),
    );
    let mut statement = database.prepare(&query).expect("a statement");
    let rows = statement
        .query_map([], |row| {
            let caller: String = row.get(0)?;
            let row = Row {
                agent: row.get(1)?,
                cause: row.get(2)?,
                ended_at: row.get(3)?,
                presentations: row.get(4)?,
                ends: row.get(5)?,
                presented: row.get(6)?,
                answers: row.get(7)?,
            };
            Ok((caller, row))
        })
        .expect("rows");
    let mut records = BTreeMap::new();
    for row in rows {
        let (caller, row) = row.expect("a row");
        let name = caller
            .trim_start_matches("sip:")
            .split('@')
            .next()
            .unwrap_or_default()
            .to_owned();
        assert!(
            records.insert(name.clone(), row).is_none(),
            "{name} has two records"
        );
    }
    records
}

/// Calls in progress go on, new ones get 503 with Retry-After, and both are as before when the trouble is over.
fn refuses_and_recovers(
    floor: &Floor,
    database: &Path,
    word: &str,
    begin: impl FnOnce(),
    during: Duration,
    end: impl FnOnce(),
) {
    let callers = floor.callers(4);
    callers.hangs_up.store(false, Relaxed);
    let answered =
        |stories: &BTreeMap<String, Story>| stories.values().filter(|story| story.answered.is_some()).count();
    callers.until("calls that are up", |stories| answered(stories) == 4);
    begin();
    // Somebody has to want something stored before anybody notices.
    callers.limit.store(6, Relaxed);
    let reason = floor.until_health(503);
    assert!(reason.contains(word), "{reason}");
    let refused =
        |stories: &BTreeMap<String, Story>| stories.values().filter(|story| story.refused.is_some()).count();
    callers.until("a refusal", |stories| refused(stories) > 0);
    for story in callers.stories().values() {
        if let Some((status, retry_after)) = &story.refused {
            assert_eq!((*status, retry_after.as_deref()), (503, Some("5")));
        }
        assert!(story.hung_up.is_none(), "calls in progress go on");
    }
    // They can be hung up as always.
    callers.limit.store(0, Relaxed);
    callers.hangs_up.store(true, Relaxed);
    callers.until("the end of calls in progress", |stories| {
        stories
            .values()
            .filter(|story| story.bye_answered.is_some())
            .count()
            >= 4
    });
    std::thread::park_timeout(during);
    end();
    floor.until_health(200);
    let before = answered(&callers.stories());
    callers.limit.store(4, Relaxed);
    callers.until("new calls", |stories| answered(stories) > before + 4);
    callers.limit.store(0, Relaxed);
    let over = |story: &Story| story.answered.is_none() || story.bye_answered.is_some();
    callers.until("the end of all calls", |stories| stories.values().all(over));
    let stories = callers.stories();
    drop(callers);
    // Their ends are stored when nothing is under way: the next answer comes after them.
    let last = floor.callers(1);
    last.until("one more call", |stories| {
        stories.values().any(|story| story.bye_answered.is_some())
    });
    drop(last);
    let records = records(database);
    for (name, story) in stories.iter().filter(|(_, story)| story.answered.is_some()) {
        let record = records
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no record: {story:?}"));
        let cause = record.cause.as_deref().unwrap_or("none");
        assert!(
            ["completed_by_caller", "abandoned"].contains(&cause),
            "{name}: {cause}"
        );
    }
    assert!(
        floor.server.log().contains("nothing can be stored"),
        "it is in the log"
    );
}

fn locked(during: Duration) {
    let floor = Floor::start(4, None);
    let database = floor.server.file("callcenter.db");
    let other = Connection::open(&database).expect("it opens");
    let begin = || other.execute_batch("BEGIN IMMEDIATE").expect("it is locked");
    let end = || other.execute_batch("COMMIT").expect("it is released");
    refuses_and_recovers(
        &floor,
        &database,
        "another process has locked it",
        begin,
        during,
        end,
    );
}

#[test]
fn while_another_process_locks_the_database_calls_in_progress_go_on_and_new_ones_get_503() {
    locked(Duration::from_millis(500));
}

#[test]
#[ignore = "takes its time: the database is locked for 10 s"]
fn a_lock_of_10_seconds_is_survived() {
    locked(Duration::from_secs(10));
}

/// A file system of its own with room for the journal of a database, which grows to 4 MiB before it is written back; it is gone with
/// this value.
struct Small {
    folder: tempfile::TempDir,
}

impl Small {
    /// `None` where this user may not mount one.
    fn mount() -> Option<Small> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "none"])
            .arg(folder.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Small { folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

#[test]
fn on_a_full_disk_calls_in_progress_go_on_and_new_ones_get_503() {
    let Some(small) = Small::mount() else {
        println!("skipped: only root may mount a file system");
        return;
    };
    let database = small.file("calls.db");
    let floor = Floor::start(4, Some(&database));
    let filler = small.file("filler");
    let fill = || {
        // As much as there is room for.
        let _full = std::fs::write(&filler, vec![0; 16 << 20]);
    };
    let free = || std::fs::remove_file(&filler).expect("it is there");
    refuses_and_recovers(&floor, &database, "cannot be written", fill, Duration::ZERO, free);
}

#[test]
fn a_database_that_is_deleted_while_it_runs_is_written_anew() {
    let mut floor = Floor::start(4, None);
    let database = floor.server.file("callcenter.db");
    let callers = floor.callers(4);
    let over = |stories: &BTreeMap<String, Story>| {
        stories
            .values()
            .filter(|story| story.bye_answered.is_some())
            .count()
    };
    callers.until("calls that are over", |stories| over(stories) > 8);
    std::fs::remove_file(&database).expect("it is there");
    let before = over(&callers.stories());
    callers.until("more calls", |stories| over(stories) > before + 8);
    callers.limit.store(0, Relaxed);
    let done = |story: &Story| story.answered.is_none() || story.bye_answered.is_some();
    callers.until("the end of all calls", |stories| stories.values().all(done));
    let stories = callers.stories();
    drop(callers);
    floor.server.stop();
    let records = records(&database);
    for (name, story) in stories.iter().filter(|(_, story)| story.answered.is_some()) {
        let record = records
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no record: {story:?}"));
        assert_eq!(record.ends, 1, "{name}: {record:?}");
    }
    assert!(
        floor.server.log().contains("was deleted while it was open"),
        "it is in the log"
    );
}
