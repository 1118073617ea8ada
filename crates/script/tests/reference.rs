//! The generated reference.

use callwright_script::{definitions, entries, html, markdown};

#[test]
fn every_entry_says_what_it_does_and_names_its_parameters() {
    for entry in entries() {
        assert!(
            entry.doc.ends_with(['.', '`', ':']) || entry.doc.contains("```"),
            "{}: {:?}",
            entry.signature(),
            entry.doc
        );
        for parameter in &entry.parameters {
            assert!(
                !parameter.name.is_empty() && !parameter.kind.is_empty(),
                "{}",
                entry.signature()
            );
        }
    }
}

#[test]
fn no_two_entries_are_the_same() {
    let mut signatures: Vec<String> = entries().iter().map(|entry| entry.signature()).collect();
    let count = signatures.len();
    signatures.sort();
    signatures.dedup();
    assert_eq!(signatures.len(), count);
}

#[test]
fn the_reference_shows_signatures_and_examples() {
    let text = markdown();
    assert!(text.contains("### `await_until(body: Fn, within: string) -> ?`"));
    assert!(text.contains("### `agent.state -> State`"));
    assert!(text.contains("- `username`: The user part of the address-of-record. Required."));
    let page = html();
    assert!(page.starts_with("<!doctype html>"));
    assert!(page.contains("<h3><code>dial(agent: Agent, target: Agent)</code></h3>"));
}

#[test]
fn definitions_are_rhai_definitions() {
    let text = definitions();
    assert!(text.starts_with("module static;\n"));
    assert!(text.contains(
        "/// Calls another agent at its address-of-record.\nfn dial(agent: Agent, target: Agent) -> ();\n"
    ));
    assert!(text.contains("fn get state(agent: Agent) -> State;\n"));
    assert!(text.contains("const worker: int;\n"));
    assert!(!text.contains("Result<"));
}

#[test]
fn the_contract_is_complete() {
    let names = [
        "abort_transfer",
        "accept",
        "agent",
        "assert",
        "at_least",
        "at_most",
        "attended_transfer",
        "await_until",
        "between",
        "complete_transfer",
        "contains",
        "default_timeout",
        "deflect",
        "describe",
        "dial",
        "dtmf",
        "env",
        "equals",
        "expect_status",
        "file",
        "greater_than",
        "hangup",
        "header",
        "headers",
        "heard",
        "hold",
        "http",
        "info",
        "is_absent",
        "is_empty",
        "is_false",
        "is_not_empty",
        "is_present",
        "is_true",
        "json",
        "json_response",
        "last_request",
        "last_response",
        "less_than",
        "load_env",
        "log",
        "matches",
        "messages",
        "mock_server",
        "mute",
        "noise",
        "not_equals",
        "on",
        "one_of",
        "parallel",
        "query",
        "record",
        "regex",
        "register",
        "reject",
        "request_count",
        "requests",
        "respond",
        "respond_incoming",
        "resume",
        "scenario",
        "scenario_each",
        "send",
        "send_audio",
        "setup",
        "setup_file",
        "silent",
        "skip",
        "starts_with",
        "stop",
        "stop_deflect",
        "teardown",
        "teardown_file",
        "text_response",
        "to_json",
        "tone",
        "tones",
        "transfer",
        "unregister",
        "uuid",
        "value",
        "verify_audio",
        "verify_audio_connection",
        "verify_silence",
        "wait",
        "worker",
        "state",
        "peer",
        "reason",
        "status_code",
        "metadata",
        "contact",
        "received_dtmf",
        "quality",
        "mwi",
        "calls",
        "bye",
        "update",
        "registered",
        "registration",
        "uri",
        "number",
        "name",
        "phase",
        "mos",
        "rtt",
        "jitter",
        "packet_loss",
        "codec",
        "packets_sent",
        "packets_received",
        "waiting",
        "new",
        "old",
        "url",
        "port",
        "status",
        "body",
        "method",
        "path",
        "sdp",
        "raw",
        "direction",
        "time",
        "response",
        "network",
        "partition",
        "heal",
        "crash",
        "restart",
        "advance",
    ];
    for name in names {
        assert!(entries().iter().any(|entry| entry.name == name), "{name}");
    }
}
