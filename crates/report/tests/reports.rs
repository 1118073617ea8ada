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
                simulated: false,
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
            RunEvent::Network {
                kind: "network".into(),
                detail: Some("Caller ↔ Callee: latency 40ms, loss 2%".into()),
                location: at(4, 3),
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

fn file(path: &str) -> Record {
    record(
        None,
        RunEvent::FileStarted {
            path: path.into(),
            scenarios: Some(1),
        },
    )
}

fn warning(scenario: Option<(&str, f64)>, message: &str) -> Record {
    record(
        scenario,
        RunEvent::Warning {
            message: message.into(),
            location: scenario.and_then(|_| at(2, 1)),
        },
    )
}

fn scenario_end(outcome: Outcome, error: Option<&str>, failure: Option<Failure>) -> Record {
    record(
        Some(("a", 1.0)),
        RunEvent::ScenarioFinished {
            name: "a".into(),
            passed: error.is_none(),
            outcome: Some(outcome),
            attempt: 2,
            error: error.map(Into::into),
            failure: failure.map(Box::new),
            duration_ms: 1.0,
        },
    )
}

fn file_end(path: &str, error: Option<&str>) -> Record {
    record(
        None,
        RunEvent::SuiteFinished {
            path: path.into(),
            total: 1,
            passed: 1,
            skipped: 0,
            duration_ms: 1.0,
            error: error.map(Into::into),
            failure: None,
        },
    )
}

fn run_end(flaky: usize, passed: usize, failed: usize, error: Option<&str>) -> Record {
    record(
        None,
        RunEvent::RunFinished {
            files: 2,
            passed_files: 1,
            failed_files: 1,
            scenarios: 3,
            passed_scenarios: passed,
            skipped_scenarios: 0,
            failed_scenarios: failed,
            flaky_scenarios: flaky,
            invalid_scenarios: 0,
            interrupted_scenarios: 1,
            unrun_scenarios: 1,
            error: error.map(Into::into),
            exit_code: 1,
            health: Health::default(),
            duration_ms: 1.0,
        },
    )
}

fn junit(records: &[Record]) -> String {
    let mut junit = Junit::default();
    records.iter().for_each(|record| junit.take(record));
    junit.xml().unwrap()
}

#[test]
fn warnings_and_what_is_wrong_with_the_run_stand_in_junit() {
    insta::assert_snapshot!(junit(&[
        warning(None, "some scenarios say `only`"),
        file("a.rhai"),
        warning(Some(("a", 1.0)), "agent \"A\" accepts any certificate"),
        warning(Some(("a", 1.0)), "agent \"A\" accepts any certificate"),
        scenario_end(Outcome::Passed, None, None),
        file_end("a.rhai", None),
        file("b.rhai"),
        warning(None, "at the top level"),
        file_end("b.rhai", Some("b.rhai:1:1: syntax error")),
        run_end(
            0,
            1,
            0,
            Some("ended at the first failure (--fail-fast): 1 scenario was not run")
        ),
    ]));
    insta::assert_snapshot!(junit(&[run_end(0, 0, 0, Some("there is no scenario file"))]));
}

#[test]
fn a_flaky_scenario_that_counts_as_failed_is_a_failure_with_its_reason() {
    let reason = "it passed only at attempt 2";
    let failure = Failure {
        message: reason.into(),
        ..Failure::default()
    };
    let records = [
        file("a.rhai"),
        scenario_end(Outcome::Flaky, Some(reason), Some(failure)),
        file_end("a.rhai", None),
        run_end(1, 0, 1, None),
    ];
    insta::assert_snapshot!(junit(&records));
    let mut console = Console::new(Verbosity::Quiet);
    let text: String = records.iter().map(|record| console.render(record)).collect();
    insta::assert_snapshot!(anstyle_free(&text));
}

#[test]
fn a_flaky_scenario_that_passes_is_counted_once() {
    let mut console = Console::new(Verbosity::Quiet);
    console.render(&scenario_end(Outcome::Flaky, None, None));
    let text = anstyle_free(&console.render(&run_end(1, 1, 0, None)));
    assert_eq!(
        text,
        "3 scenarios: 0 passed, 1 flaky, 1 interrupted, 1 not run, 1 file failed (1 ms)\n"
    );
}

#[test]
fn an_escape_character_of_a_peer_takes_nothing_with_it_in_junit() {
    let said = "was \u{1b}]0;title, \u{1b}Pm and \u{1b}[31mred\u{1b}[0m";
    let failure = Failure {
        message: said.into(),
        ..Failure::default()
    };
    let xml = junit(&[
        file("a.rhai"),
        scenario_end(Outcome::Failed, Some(said), Some(failure)),
        file_end("a.rhai", None),
    ]);
    assert_eq!(
        xml.matches("was \u{241b}]0;title, \u{241b}Pm and red").count(),
        2,
        "{xml}"
    );
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
