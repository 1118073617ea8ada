//! The NDJSON form of records is a contract with those who read it.

use callwright_events::{Location, Record, RunEvent, ScenarioStamp};

fn action() -> Record {
    Record {
        event: RunEvent::Action {
            agent: "Caller".into(),
            kind: "dial".into(),
            detail: Some("bob".into()),
            location: Some(Location {
                file: "a.rhai".into(),
                line: 3,
                column: 7,
            }),
        },
        ts: "2030-01-01T00:00:00.000Z".into(),
        stamp: Some(ScenarioStamp {
            scenario: "answered call".into(),
            t_ms: 12.5,
        }),
    }
}

#[test]
fn a_record_is_one_flat_object() {
    assert_eq!(
        serde_json::to_string(&action()).unwrap(),
        r#"{"event":"action","agent":"Caller","kind":"dial","detail":"bob","file":"a.rhai","line":3,"column":7,"ts":"2030-01-01T00:00:00.000Z","scenario":"answered call","t_ms":12.5}"#
    );
}

#[test]
fn a_record_is_read_back_from_its_line() {
    let line = serde_json::to_string(&action()).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), action());
}

#[test]
fn what_is_not_known_is_left_out() {
    let record = Record {
        event: RunEvent::Log {
            message: "hello".into(),
            location: None,
        },
        ts: "2030-01-01T00:00:00.000Z".into(),
        stamp: None,
    };
    let line = serde_json::to_string(&record).unwrap();
    assert_eq!(
        line,
        r#"{"event":"log","message":"hello","ts":"2030-01-01T00:00:00.000Z"}"#
    );
    assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
}
