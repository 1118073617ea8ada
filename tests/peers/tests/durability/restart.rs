//! `kill -9` while calls are up. What is stored after each restart is judged by captures that were taken at the phones: it is the
//! sixth invariant of the call center, that a restart finds all that was acknowledged, closes what was up, and counts nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use callwright_peers::{CallCenter, require};
use rusqlite::Connection;

use super::heard::{Heard, Offer, Seconds, Wire};
use super::phones::Story;
use super::{Floor, Row, records};

/// The end of a call is told when it has happened, and whom it was with: nobody waits until that is stored. So long it may take.
const STORED: Seconds = 0.5;
const RESTARTED: &str = "failed(restart)";

fn now() -> Seconds {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs_f64()
}

/// What one record has to say of a call that was answered, and then ended by its caller or by the end of the server at `killed`.
#[track_caller]
fn judge(name: &str, heard: &Heard, record: &Row, killed: Seconds) {
    let context = format!("{name}, killed at {killed}: {record:?}, {heard:?}");
    let long_ago = |at: Seconds| at + STORED < killed;
    let talk = heard.talk();
    let cause = record.cause.as_deref().unwrap_or("none");
    // Whoever hangs up while the answer of an agent is being stored has not talked with anybody.
    let talked = |since: Seconds| heard.bye_sent.is_none_or(|bye| since + STORED < bye);
    let over: &[&str] = match (talk, heard.offers.as_slice()) {
        (Some((_, since)), _) if talked(since) => &["completed_by_caller"],
        (None, []) => &["abandoned"],
        _ => &["abandoned", "completed_by_caller"],
    };
    assert!(heard.hung_up.is_none(), "nobody else ended it: {context}");
    match (heard.bye_sent, heard.bye_answered) {
        (None, _) => assert_eq!(cause, RESTARTED, "it was up: {context}"),
        (Some(_), Some(at)) if long_ago(at) => assert!(over.contains(&cause), "it was over: {context}"),
        (Some(_), _) => assert!(over.contains(&cause) || cause == RESTARTED, "{context}"),
    }
    match talk {
        Some((agent, since)) if long_ago(since) && cause != "abandoned" => {
            assert_eq!(record.agent.as_deref(), Some(agent), "{context}");
            assert_eq!(record.answers, 1, "{context}");
        }
        Some(_) | None => {
            let offered = |agent: &String| heard.offers.iter().any(|offer| offer.agent == *agent);
            assert!(record.agent.as_ref().is_none_or(offered), "{context}");
        }
    }
    assert_eq!(record.presented, record.presentations, "{context}");
    if cause != RESTARTED {
        // The phone of the last agent is not called where its caller has hung up before the ports for RTP are there.
        let last = u32::from(cause == "abandoned" && record.answers == 0);
        let offers = u32::try_from(heard.offers.len()).expect("a few");
        assert!((offers..=offers + last).contains(&record.presented), "{context}");
    }
}

/// How many calls were judged, by how they ended.
#[derive(Debug, Default)]
struct Judged {
    restarted: usize,
    completed: usize,
    abandoned: usize,
}

/// The records of all lives so far against what phones sent and heard.
#[track_caller]
fn compare(wire: &Wire, records: &BTreeMap<String, Row>, kills: &[Seconds]) -> Judged {
    let mut judged = Judged::default();
    let last = *kills.last().expect("it was killed");
    for (name, record) in records {
        let heard = wire.calls.get(name);
        let heard = heard.unwrap_or_else(|| panic!("nobody of the name {name} called: {record:?}"));
        let invited = heard.invited.expect("it called");
        if invited < last {
            assert_eq!(record.ends, 1, "{name}: {record:?}, {heard:?}");
        }
    }
    for (name, heard) in &wire.calls {
        let Some(answered) = heard.answered else { continue };
        // Whoever was answered after the last kill may be up.
        let Some(killed) = kills.iter().find(|killed| **killed >= answered) else {
            continue;
        };
        let record = records.get(name);
        let record = record.unwrap_or_else(|| panic!("{name} was answered and has no record: {heard:?}"));
        judge(name, heard, record, *killed);
        match record.cause.as_deref() {
            Some(RESTARTED) => judged.restarted += 1,
            Some("abandoned") => judged.abandoned += 1,
            Some(_) | None => judged.completed += 1,
        }
    }
    judged
}

/// Agents are registered as they were told, and can take calls.
#[track_caller]
fn compare_agents(wire: &Wire, server: &CallCenter, database: &Path) {
    let answer: serde_json::Value = serde_json::from_str(&server.get("/api/v1/agents")).expect("JSON");
    let database = Connection::open(database).expect("it opens");
    for name in &wire.registered {
        let stored: u32 = database
            .query_row("SELECT count(*) FROM bindings WHERE user = ?", [name], |row| {
                row.get(0)
            })
            .expect("a number");
        assert_eq!(stored, 1, "bindings of {name}");
        let agents = answer["agents"].as_array().expect("a list");
        let agent = agents.iter().find(|agent| agent["name"] == name.as_str());
        let agent = agent.unwrap_or_else(|| panic!("no {name} in {answer}"));
        assert_eq!(agent["contacts"], 1, "{agent}");
        let state = agent["state"].as_str().unwrap_or_default();
        assert!(["ready", "reserved", "talking"].contains(&state), "{agent}");
    }
}

fn kill_at_random_moments(kills: u64, calls: usize, agents: usize) {
    let mut floor = Floor::start(agents, None);
    let database = floor.server.file("callcenter.db");
    let callers = floor.callers(calls);
    let is_up = |story: &&Story| story.answered.is_some() && story.bye_sent.is_none() && !story.lost;
    let up = |stories: &BTreeMap<String, Story>| stories.values().filter(is_up).count();
    let mut killed = Vec::new();
    let mut closed = BTreeMap::new();
    for kill in 0..kills {
        callers.limit.store(calls, Relaxed);
        callers.until("calls that are up", |stories| up(stories) > calls / 2);
        std::thread::park_timeout(Duration::from_millis(kill * 379 % 1_000));
        // Not just where many have ended at once.
        callers.until("calls that are up", |stories| up(stories) > calls / 2);
        let were_up = up(&callers.stories());
        killed.push(now());
        floor.server.crash_and_start_again();
        callers.limit.store(0, Relaxed);
        // In this order: who has a record, and for whom an agent is called, has called before.
        let records = records(&database);
        let of_agents = floor.agents.copied();
        let wire = Wire::read(&floor.callers.copied(), &of_agents);
        assert_eq!(wire.registered.len(), agents);
        let judged = compare(&wire, &records, &killed);
        compare_agents(&wire, &floor.server, &database);
        println!(
            "kill {kill} under {were_up} calls: {} records, {judged:?}",
            records.len()
        );
        // What was closed once stays as it was.
        for (name, row) in closed {
            assert_eq!(records.get(&name), Some(&row), "{name}");
        }
        closed = records
            .into_iter()
            .filter(|(_, row)| row.ended_at.is_some())
            .collect();
        // Those of the dead are given up, and new calls begin.
        callers.generation.fetch_add(1, Relaxed);
    }
    callers.limit.store(0, Relaxed);
    // While they are there to answer its BYEs.
    floor.server.stop();
    drop(callers);
}

#[test]
fn after_kill_9_the_records_are_those_of_the_captures_at_the_phones() {
    require!(Tshark);
    kill_at_random_moments(3, 24, 8);
}

#[test]
#[ignore = "takes minutes: 20 kills under 200 calls"]
fn after_twenty_times_kill_9_under_200_calls_nothing_is_lost_or_counted_twice() {
    require!(Tshark);
    kill_at_random_moments(20, 200, 60);
}

#[test]
fn a_record_that_says_something_else_than_the_captures_is_noticed() {
    let offer = Offer {
        agent: "anna".to_owned(),
        call_id: "leg".to_owned(),
        connected: Some(2.0),
    };
    let heard = Heard {
        invited: Some(1.0),
        answered: Some(1.0),
        bye_sent: Some(3.0),
        bye_answered: Some(3.1),
        hung_up: None,
        offers: vec![offer],
    };
    let row = Row {
        agent: Some("anna".to_owned()),
        cause: Some("completed_by_caller".to_owned()),
        ended_at: Some(3),
        presentations: 1,
        ends: 1,
        presented: 1,
        answers: 1,
    };
    let fits = |change: fn(&mut Heard), row: Option<Row>| {
        let mut heard = heard.clone();
        change(&mut heard);
        let wire = Wire {
            calls: [("carl".to_owned(), heard)].into(),
            registered: BTreeSet::new(),
        };
        let records = row.map(|row| ("carl".to_owned(), row)).into_iter().collect();
        std::panic::catch_unwind(|| compare(&wire, &records, &[4.0])).is_ok()
    };
    let with = |change: fn(&mut Row)| {
        let mut row = row.clone();
        change(&mut row);
        Some(row)
    };
    assert!(fits(|_| {}, Some(row.clone())));
    assert!(!fits(|_| {}, None), "it is missing");
    assert!(!fits(|_| {}, with(|row| row.ends = 0)), "it has no end");
    assert!(!fits(|_| {}, with(|row| row.ends = 2)), "it ends twice");
    assert!(!fits(|_| {}, with(|row| row.agent = Some("bert".to_owned()))));
    assert!(
        !fits(|_| {}, with(|row| row.presented = 2)),
        "it was presented once"
    );
    let abandoned = with(|row| row.cause = Some("abandoned".to_owned()));
    assert!(!fits(|_| {}, abandoned.clone()), "it talked");
    assert!(fits(|heard| heard.bye_sent = Some(2.1), abandoned));
    let restarted = with(|row| row.cause = Some(RESTARTED.to_owned()));
    assert!(!fits(|_| {}, restarted.clone()), "it was over");
    let is_up = |heard: &mut Heard| (heard.bye_sent, heard.bye_answered) = (None, None);
    assert!(fits(is_up, restarted));
    assert!(!fits(is_up, Some(row.clone())), "it was up");
}
