//! What agents, calls and messages are as values: compared, printed, labelled.

mod support;

use callwright_events::RunEvent;
use support::{TWO, in_call, run};

#[test]
fn values_are_compared_by_what_they_say() {
    run(&in_call(
        r#"
        assert(a.peer).not_equals(b.peer);
        assert(a.peer).equals(a.calls[0].peer);
        assert(a.peer).contains("bob@example.com");
        assert(a.peer == a.calls[0].peer).is_true();
        assert(a.registration).equals(b.registration);
        assert(a.last_request("INVITE")).equals(a.messages("INVITE")[0]);
        assert(a.last_request("INVITE")).not_equals(b.header("From"));
        assert(a.last_request("INVITE")).contains("Call-ID: ");
        assert(a.calls[0]).equals(a.calls[0]);
        assert(a.calls[0]).not_equals(b.calls[0]);
        assert(regex("/a")).not_equals(regex("/b"));
        print(`${a.peer}`);
        log(a.peer);
        "#,
    ))
    .passed();
    for wrong in [
        "assert(a.peer).equals(b.peer);",
        "assert(a.peer).contains(\"Peer\");",
        "assert(a.quality).contains(\"Quality\");",
        "assert(a.calls[0].peer).contains(\"callwright\");",
        "a.hangup(); await_until(|| assert(a.state).equals(State::Idle)); assert(a.peer).is_present();",
    ] {
        let error = run(&in_call(wrong)).error();
        assert!(error.contains("expected"), "{wrong}: {error}");
    }
}

#[test]
fn what_says_nothing_cannot_be_compared_or_printed() {
    let error = run("assert(tone(440)).equals(tone(440));").error();
    assert_eq!(
        error,
        "1:19: `equals`: a AudioSpec has no content that could be looked at; assert on one of its properties"
    );
    assert!(
        run("assert([|| 1]).contains(\"anon\");")
            .error()
            .contains("a closure has no content")
    );
    assert_eq!(run("log(|| 1);").error(), "1:1: a closure has no text");
    assert!(
        run("assert(1).one_of([silent()]);")
            .error()
            .contains("a AudioSpec has no content")
    );
    run("assert(silent()).is_present();").passed();
}

#[test]
fn numbers_are_compared_exactly() {
    assert!(
        run("assert(9007199254740993).equals(9007199254740992.0);")
            .error()
            .contains("expected"),
        "they differ by one"
    );
    assert!(
        run("assert(9007199254740993).at_most(9007199254740992);")
            .error()
            .contains("at most")
    );
    run("assert(2).equals(2.0).between(1.5, 2).less_than(2.1);").passed();
}

fn labels(script: &str) -> Vec<Option<String>> {
    run(script)
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Assertion { label, .. } => Some(label.clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn getters_label_assertions_on_what_they_gave() {
    let script = format!(
        r#"{TWO}
        let c = agent("C", #{{ username: "c", domain: "example.com", metadata: #{{ room: 7 }} }});
        assert(a.registration.status_code).equals(200);
        assert(c.metadata.room).equals(7);
        assert(c.calls).is_empty();
        assert(c.calls.len()).equals(0);
        assert(
            c.state
        ).equals(State::Idle);
        assert(c.mwi).is_absent();
        "#
    );
    let labels: Vec<_> = labels(&script).into_iter().skip(2).collect();
    let expected = [
        "A registration status_code",
        "C metadata room",
        "C calls",
        "C calls length",
        "C state",
        "C mwi",
    ];
    assert_eq!(labels, expected.map(|label| Some(label.to_owned())));
}

#[test]
fn a_getter_that_was_read_for_something_else_is_no_label() {
    let agent = "let a = agent(\"A\", #{ username: \"a\", domain: \"example.com\" });";
    assert_eq!(
        labels(&format!(
            "{agent}\nlet x = a.state;\nassert(State::Idle).equals(State::Idle);"
        )),
        [None]
    );
    assert_eq!(
        labels(&format!(
            "{agent}\nlet x = a.state; assert(State::Idle).equals(State::Idle);"
        )),
        [None]
    );
}

#[test]
fn metadata_is_what_was_given() {
    let ran = run(&format!(
        r#"{TWO}
        let c = agent("C", #{{
            username: "c", domain: "example.com",
            metadata: #{{ friend: b, greet: |who| "hello " + who, list: [1, 2] }}
        }});
        a.dial(c.metadata.friend);
        await_until(|| assert(b.state).equals(State::Ringing));
        assert(c.metadata.friend).equals(b);
        let greet = c.metadata.greet;
        print(greet.call("you"));
        assert(a.metadata).is_empty();
        "#
    ));
    assert_eq!(ran.passed().printed(), ["hello you"]);
}

#[test]
fn a_call_has_the_verbs_and_getters_of_an_agent() {
    let ran = run(&in_call(
        r#"
        let leg = a.calls[0];
        b.send_audio(tone(440));
        leg.verify_audio(440, "2s");
        assert(leg.heard(440)).is_true();
        b.send_audio(silent());
        leg.verify_silence("2s");
        assert(leg.last_request("INVITE").method).equals("INVITE");
        assert(leg.messages().len()).equals(a.messages().len());
        assert(leg.messages(#{ direction: "sent" })).is_not_empty();
        assert(leg.info().phase).equals("established");
        print(leg.to_json());
        leg.record("target/none/call.wav");
        let ended = b.calls[0];
        a.hangup();
        await_until(|| assert(ended.phase).equals("ended"));
        assert(ended.reason).equals("nothing");
        "#,
    ));
    assert!(
        ran.error().contains("B call reason: expected \"nothing\""),
        "{}",
        ran.error()
    );
    assert_eq!(
        ran.printed(),
        [
            r#"{"agent":"A","call_id":"call-1","origin":"outgoing","peer":{"name":null,"number":"bob","uri":"sip:bob@example.com"},"phase":"established","reason":null,"received_dtmf":"","state":"Established","status_code":null}"#
        ]
    );
    assert!(
        ran.error().contains("B call reason: expected \"nothing\""),
        "{}",
        ran.error()
    );
    let other = run(&format!(
        "{TWO} a.dial(b); a.dial(\"sip:bob@example.com\"); a.calls[1].last_response(\"INVITE\");"
    ));
    assert!(
        other
            .error()
            .contains("that call of A has no INVITE response yet"),
        "{}",
        other.error()
    );
}
