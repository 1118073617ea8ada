//! Calls between two agents, as scripts place them.

mod support;

use callwright_events::{FailureKind, RunEvent};
use support::{Folder, TWO, in_call, run};

#[test]
fn a_call_is_placed_answered_and_ended() {
    let ran = run(&in_call(
        r#"
        await_until(|| assert(a.state).equals(State::Established));
        assert(b.peer.number).equals("alice");
        assert(a.peer.uri).equals("sip:bob@example.com");
        a.hangup();
        await_until(|| assert(a.state).equals(State::Idle));
        await_until(|| assert(b.state).equals(State::Idle));
        "#,
    ));
    ran.passed();
    let actions: Vec<_> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Action {
                agent, kind, detail, ..
            } => Some((agent.as_str(), kind.as_str(), detail.as_deref())),
            _ => None,
        })
        .collect();
    assert_eq!(
        actions,
        [
            ("A", "register", None),
            ("B", "register", None),
            ("A", "dial", Some("sip:bob@example.com")),
            ("B", "accept", None),
            ("A", "hangup", None),
        ]
    );
    assert_eq!(
        ran.world.registered(),
        Vec::<String>::new(),
        "agents are unregistered at the end"
    );
}

#[test]
fn a_failed_assertion_shows_what_was_there_and_how_it_changed() {
    let ran = run(&format!(
        "{TWO}a.dial(b);\nawait_until(|| assert(a.state).equals(State::Established), \"2s\");\n"
    ));
    let failure = ran.failure();
    assert_eq!(failure.kind, FailureKind::Assertion);
    assert_eq!(
        failure.message,
        "A state: expected Established, but it was Ringing (waited 2 s)"
    );
    assert_eq!(failure.label.as_deref(), Some("A state"));
    assert_eq!(failure.expected.as_deref(), Some("Established"));
    assert_eq!(failure.actual.as_deref(), Some("Ringing"));
    assert_eq!(failure.waited_ms, Some(2000.0));
    assert_eq!(failure.history.len(), 1);
    assert_eq!(
        failure.excerpt.as_deref(),
        Some("await_until(|| assert(a.state).equals(State::Established), \"2s\");")
    );
    let location = failure.location.unwrap();
    assert_eq!((location.line, location.column), (8, 32));
    let summaries: Vec<_> = failure
        .messages
        .iter()
        .map(|line| (line.agent.as_str(), line.summary.as_str()))
        .collect();
    assert_eq!(
        summaries,
        [
            ("A", "INVITE sip:bob@example.com"),
            ("B", "INVITE sip:bob@example.com")
        ]
    );
}

#[test]
fn failing_tries_are_not_reported_the_last_is() {
    let ran = run(&in_call(""));
    ran.passed();
    let failed = ran
        .events
        .iter()
        .any(|event| matches!(event, RunEvent::Assertion { ok: false, .. }));
    assert!(!failed, "{:#?}", ran.events);
}

#[test]
fn a_rejected_call_says_why() {
    run(&format!(
        r#"{TWO}
        a.dial(b);
        await_until(|| assert(b.state).equals(State::Ringing));
        b.hangup();
        await_until(|| assert(a.state).equals(State::Idle));
        assert(a.reason).equals("486 Busy Here");
        assert(a.status_code).equals(486);
        assert(b.status_code).is_absent();
        "#
    ))
    .passed();
}

#[test]
fn headers_are_those_that_were_received() {
    run(&format!(
        r#"{TWO}
        a.dial(b, #{{ "X-Id": "7" }});
        let id = await_until(|| assert(b.header("x-id")).is_present().value());
        assert(id).equals("7");
        assert(b.headers()["X-Id"]).equals("7");
        "#
    ))
    .passed();
}

#[test]
fn a_verb_without_a_call_fails_at_its_line() {
    let ran = run(&format!("{TWO}b.accept();"));
    assert_eq!(ran.failure().kind, FailureKind::Verb);
    assert_eq!(
        ran.error(),
        "7:3: B: accept: there is no incoming call that rings (the agent is idle)"
    );
    let ran = run(&format!("{TWO}let digits = \"12x\"; a.dtmf(digits);"));
    assert_eq!(
        ran.error(),
        "7:23: A: dtmf: 'x' is no digit; digits are 0-9 * # A-D"
    );
}

#[test]
fn a_verb_with_nothing_to_end_passes_with_a_note() {
    let ran = run(&format!("{TWO}a.hangup();"));
    assert_eq!(ran.passed().notes(), ["A: hangup: there was no call to hang up"]);
}

#[test]
fn a_callee_that_never_registered_is_named() {
    let ran = run(r#"
        let a = agent("A", #{ username: "alice", domain: "example.com" });
        let b = agent("B", #{ username: "bob", domain: "example.com" });
        a.dial(b);
        await_until(|| assert(a.state).equals(State::Established), "1s");
        "#);
    let hints: Vec<_> = ran.failure().hints.into_iter().map(|hint| hint.0).collect();
    assert_eq!(hints, ["B was never told to register: call its register() first"]);
}

#[test]
fn an_agent_is_called_at_its_contact_without_a_registrar() {
    run(r#"
        let a = agent("A", #{ username: "alice", domain: "127.0.0.1" });
        let b = agent("B", #{ username: "bob", domain: "127.0.0.1", auto_answer: true });
        a.dial(b.contact);
        await_until(|| assert(a.state).equals(State::Established));
        let leg = a.calls[0];
        assert(leg.phase).equals("established");
        leg.hangup();
        await_until(|| assert(b.calls[0].phase).equals("ended"));
    "#)
    .passed();
}

#[test]
fn info_and_peer_print() {
    let ran = run(&in_call(
        r#"
        print(a.peer);
        print(a.to_json());
        print(State::Ringing.to_string() + " " + a.state);
        "#,
    ));
    assert_eq!(
        ran.passed().printed(),
        [
            "sip:bob@example.com",
            r#"{"aor":"sip:alice@example.com","calls":1,"name":"A","peer":{"name":null,"number":"bob","uri":"sip:bob@example.com"},"reason":null,"registered":true,"state":"Established","status_code":null}"#,
            "Ringing Established",
        ]
    );
}

#[test]
fn a_failure_names_the_recordings() {
    let ran = run(&in_call(
        "a.record(\"target/none/a.wav\");\nverify_audio(a, 1000, \"1s\");",
    ));
    assert_eq!(ran.failure().files, ["target/none/a.wav"]);
}

#[test]
fn a_recording_never_overwrites_a_file_and_says_where_it_went() {
    let folder = Folder::new();
    let taken = folder.file("call.wav", "somebody's");
    let free = taken.with_file_name("call-2.wav");
    let (taken, free) = (taken.display().to_string(), free.display().to_string());
    let ran = run(&in_call(&format!(
        "a.record(\"{taken}\");\nverify_audio(a, 1000, \"1s\");"
    )));
    assert_eq!(ran.failure().files, [free.as_str()]);
    assert!(
        ran.notes()
            .contains(&format!("A: {taken} exists, so the recording is {free}")),
        "{:?}",
        ran.notes()
    );
}
