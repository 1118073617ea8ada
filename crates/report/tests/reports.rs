//! The same run in every report.

use callwright_events::{
    AgentLine, Failure, Health, Hint, Location, Observed, Outcome, Record, RunEvent, ScenarioStamp,
    SipDirection, SipLine,
};
use callwright_report::{Console, Junit, Verbosity, line};

fn at(line: usize, column: usize) -> Option<Location> {
    Some(Location {
        file: "calls.rhai".into(),
        line,
        column,
    })
}

fn record(scenario: Option<(&str, f64)>, event: RunEvent) -> Record {
    Record {
        event,
        ts: "2030-01-01T00:00:00.000Z".into(),
        stamp: scenario.map(|(scenario, t_ms)| ScenarioStamp {
            scenario: scenario.into(),
            t_ms,
        }),
    }
}

fn sip(t_ms: f64, agent: &str, direction: SipDirection, summary: &str) -> SipLine {
    SipLine {
        t_ms,
        agent: agent.into(),
        direction,
        peer: "127.0.0.1:5060".into(),
        summary: summary.into(),
        retransmission: false,
        call_id: "c1".into(),
    }
}

fn failure() -> Failure {
    Failure {
        message: "Caller state: expected Established, but it was Ringing (waited 5 s)".into(),
        location: at(14, 24),
        excerpt: Some("    await_until(|| assert(a.state).equals(State::Established));".into()),
        excerpt_length: Some(6),
        label: Some("Caller state".into()),
        expected: Some("Established".into()),
        actual: Some("Ringing".into()),
        waited_ms: Some(5000.0),
        history: vec![
            Observed {
                t_ms: 0.0,
                value: "Idle".into(),
            },
            Observed {
                t_ms: 12.0,
                value: "Ringing".into(),
            },
        ],
        agents: vec![
            AgentLine {
                agent: "Caller".into(),
                summary: "registered, Ringing".into(),
            },
            AgentLine {
                agent: "Bob".into(),
                summary: "not registered (403 Forbidden), Idle".into(),
            },
        ],
        hints: vec![Hint(
            "the callee never registered: call register() on it first".into(),
        )],
        messages: vec![
            sip(1.0, "Caller", SipDirection::Sent, "INVITE sip:bob@example.com"),
            sip(3.0, "Caller", SipDirection::Received, "100 Trying (INVITE)"),
        ],
        ..Failure::default()
    }
}

fn run() -> Vec<Record> {
    let one = Some(("answered call", 1.0));
    let two = Some(("no answer", 5001.0));
    vec![
        record(
            None,
            RunEvent::RunStarted {
                version: "0.1.0".into(),
                vocabulary: 1,
                seed: 7,
                jobs: 1,
                files: 1,
            },
        ),
        record(
            None,
            RunEvent::FileStarted {
                path: "calls.rhai".into(),
                scenarios: Some(3),
            },
        ),
        record(
            one,
            RunEvent::ScenarioStarted {
                name: "answered call".into(),
                attempt: 1,
                tags: vec![],
                location: at(3, 1),
            },
        ),
        record(
            one,
            RunEvent::AgentStarted {
                name: "Caller".into(),
                aor: "sip:alice@example.com".into(),
                location: at(4, 9),
            },
        ),
        record(
            one,
            RunEvent::Action {
                agent: "Caller".into(),
                kind: "dial".into(),
                detail: Some("bob".into()),
                location: at(5, 3),
            },
        ),
        record(
            one,
            RunEvent::Assertion {
                label: Some("Caller state".into()),
                expect: "equals Established".into(),
                ok: true,
                actual: Some("Established".into()),
                location: at(6, 3),
            },
        ),
        record(
            one,
            RunEvent::ScenarioFinished {
                name: "answered call".into(),
                passed: true,
                outcome: Some(Outcome::Passed),
                attempt: 1,
                error: None,
                failure: None,
                duration_ms: 31.0,
            },
        ),
        record(
            two,
            RunEvent::ScenarioStarted {
                name: "no answer".into(),
                attempt: 1,
                tags: vec![],
                location: at(12, 1),
            },
        ),
        record(
            two,
            RunEvent::ScenarioFinished {
                name: "no answer".into(),
                passed: false,
                outcome: Some(Outcome::Failed),
                attempt: 1,
                error: Some("Caller state: expected equals Established, was Ringing".into()),
                failure: Some(Box::new(failure())),
                duration_ms: 5003.0,
            },
        ),
        record(
            None,
            RunEvent::ScenarioSkipped {
                name: "later".into(),
                reason: Some("needs fix".into()),
            },
        ),
        record(
            None,
            RunEvent::SuiteFinished {
                path: "calls.rhai".into(),
                total: 3,
                passed: 1,
                skipped: 1,
                duration_ms: 5034.0,
                error: None,
                failure: None,
            },
        ),
        record(
            None,
            RunEvent::RunFinished {
                files: 1,
                passed_files: 0,
                failed_files: 0,
                scenarios: 3,
                passed_scenarios: 1,
                skipped_scenarios: 1,
                failed_scenarios: 1,
                flaky_scenarios: 0,
                invalid_scenarios: 0,
                interrupted_scenarios: 0,
                unrun_scenarios: 0,
                error: None,
                exit_code: 1,
                health: Health::default(),
                duration_ms: 5040.0,
            },
        ),
    ]
}

fn console(verbosity: Verbosity) -> String {
    let mut console = Console::new(verbosity);
    let text: String = run().iter().map(|record| console.render(record)).collect();
    anstyle_free(&text)
}

/// Styles are left to the eye; the snapshots hold the words.
fn anstyle_free(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for c in chars.by_ref() {
                if c == 'm' {
                    break;
                }
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[test]
fn a_person_reads_what_each_scenario_did_and_why_it_failed() {
    insta::assert_snapshot!(console(Verbosity::Normal));
}

#[test]
fn a_person_in_a_hurry_reads_failures_and_the_result() {
    insta::assert_snapshot!(console(Verbosity::Quiet));
}

#[test]
fn a_person_who_doubts_reads_every_assertion() {
    insta::assert_snapshot!(console(Verbosity::Verbose));
}

#[test]
fn a_ci_server_reads_junit() {
    let mut junit = Junit::default();
    run().iter().for_each(|record| junit.take(record));
    insta::assert_snapshot!(junit.xml().unwrap());
}

#[test]
fn every_report_can_be_made_again_from_its_ndjson() {
    let again: Vec<Record> = run()
        .iter()
        .map(|record| serde_json::from_str(&line(record)).unwrap())
        .collect();
    assert_eq!(again, run());
}

#[test]
fn an_error_has_its_place_beside_it() {
    let lines: Vec<serde_json::Value> = run()
        .iter()
        .map(|record| serde_json::from_str(&line(record)).unwrap())
        .collect();
    let failed = lines
        .iter()
        .find(|line| line["event"] == "scenario_finished" && line["passed"] == false)
        .expect("a failed scenario");
    let at = failure().location.expect("a place");
    assert_eq!(failed["file"], *at.file);
    assert_eq!(failed["line"], at.line);
    assert_eq!(failed["column"], at.column);
}
