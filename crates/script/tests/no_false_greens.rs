//! What must not pass, fails, and for the right reason.

mod support;

use std::time::Duration;

use callwright_events::{ExitCode, FailureKind, Outcome};
use support::{Runner, TWO, in_call, run};

#[test]
fn audio_that_stopped_before_the_check_began() {
    let ran = run(&in_call(
        r#"
        b.send_audio(tone(1000));
        wait(1);
        b.send_audio(silent());
        verify_audio(a, 1000, "2s");
        "#,
    ));
    assert_eq!(
        ran.error(),
        "15:9: A audio: expected to hear 1000 Hz within 2 s, but there was silence (95 RTP packets arrived)"
    );
}

#[test]
fn a_tone_that_only_the_agent_itself_sent() {
    let ran = run(&in_call(
        "a.send_audio(tone(1000));\nverify_audio(a, 1000, \"2s\");",
    ));
    assert!(
        ran.error()
            .contains("A audio: expected to hear 1000 Hz within 2 s, but there was silence"),
        "{}",
        ran.error()
    );
}

#[test]
fn another_tone_is_named() {
    let ran = run(&in_call(
        "b.send_audio(tone(440));\na.verify_audio(1000, \"2s\");",
    ));
    assert!(
        ran.error()
            .contains("the strongest frequency was 440 Hz at -10 dBm0"),
        "{}",
        ran.error()
    );
}

#[test]
fn no_rtp_at_all() {
    let runner = Runner::new();
    runner.world.cut_media();
    let ran = runner.run_text(&in_call(
        "b.send_audio(tone(1000));\nverify_audio(a, 1000, \"2s\");",
    ));
    assert!(ran.error().ends_with("but no RTP arrived"), "{}", ran.error());
    let runner = Runner::new();
    runner.world.cut_media();
    let ran = runner.run_text(&in_call("verify_silence(a, \"2s\");"));
    assert!(
        ran.error()
            .ends_with("expected to hear silence within 2 s, but no RTP arrived"),
        "{}",
        ran.error()
    );
}

#[test]
fn both_directions_are_verified() {
    run(&in_call("verify_audio_connection(a, b);")).passed();
    let runner = Runner::new();
    runner.world.cut_media();
    let ran = runner.run_text(&in_call("verify_audio_connection(a, b);"));
    assert!(
        ran.error().contains(" B audio: expected to hear "),
        "{}",
        ran.error()
    );
}

#[test]
fn a_header_that_the_asking_agent_sent_itself() {
    let ran = run(&format!(
        r#"{TWO}
        a.dial(b, #{{ "X-Id": "7" }});
        await_until(|| assert(a.header("X-Id")).is_present(), "1s");
        "#
    ));
    assert_eq!(
        ran.error(),
        "9:49: A header X-Id: expected a value, but it was () (waited 1 s)"
    );
}

#[test]
fn wait_holds_without_a_call() {
    let ran = run("wait(3);");
    ran.passed();
    assert_eq!(ran.milliseconds(), 3000.0);
}

#[test]
fn wait_fails_when_a_call_ends_meanwhile() {
    let runner = Runner::new();
    let ran = runner.run_text(&in_call(
        "parallel([|| wait(5), || { wait(\"1500ms\"); }, || { sleep(1.0); b.hangup(); }]);",
    ));
    assert!(
        ran.error()
            .contains("parallel task 1 of 3: wait(5 s): the call of B ended after 1 s (local hangup)"),
        "{}",
        ran.error()
    );
}

#[test]
fn a_verb_that_did_nothing() {
    let ran = run(&format!("{TWO}a.hold();"));
    assert_eq!(ran.failure().kind, FailureKind::Verb);
}

#[test]
fn a_quality_figure_that_was_never_measured() {
    let ran = run(&in_call("assert(a.quality.mos).at_least(1.0);"));
    assert!(
        ran.error()
            .ends_with("A quality mos: expected at least 1.0, but it was ()"),
        "{}",
        ran.error()
    );
    run(&in_call("await_until(|| assert(a.quality.mos).at_least(4.0));")).passed();
}

#[test]
fn a_teardown_that_failed() {
    let ran = run(r#"
        teardown(|| { throw "not cleaned" });
        scenario("fine", || {});
    "#);
    assert_eq!(ran.code, ExitCode::Failed);
    assert_eq!(ran.failure().kind, FailureKind::Teardown);
    assert_eq!(ran.error(), "2:23: teardown: not cleaned");
}

#[test]
fn a_filter_that_selected_nothing() {
    let mut runner = Runner::new();
    runner.options.selection.names.push("absent".parse().unwrap());
    let ran = runner.run_text("scenario(\"here\", || {});");
    assert_eq!(ran.code, ExitCode::Failed);
    let error = ran.events.iter().find_map(|event| match event {
        callwright_events::RunEvent::RunFinished { error, .. } => error.clone(),
        _ => None,
    });
    assert_eq!(
        error.as_deref(),
        Some("--scenario \"absent\" selects none of 1 scenarios")
    );
}

#[test]
fn a_misspelt_function_inside_await_until_fails_at_once() {
    let ran = run("await_until(|| asert(1).equals(1), \"10s\");");
    assert_eq!(
        ran.error(),
        "1:16: unknown function `asert`; did you mean `assert`?"
    );
    assert_eq!(ran.milliseconds(), 0.0);
}

#[test]
fn a_misspelt_property_inside_await_until_fails_at_once() {
    let ran = run(&format!("{TWO}await_until(|| assert(a.registred).is_true());"));
    assert_eq!(
        ran.error(),
        "7:25: unknown property `registred` of Agent; did you mean `registered`?"
    );
}

#[test]
fn an_await_until_whose_closure_asserts_nothing_and_returns_false() {
    let ran = run(&format!(
        "{TWO}await_until(|| a.state == State::Ringing, \"1s\");"
    ));
    assert_eq!(ran.error(), "7:1: the closure returned false (waited 1 s)");
    run(&format!(
        "{TWO}a.dial(b);await_until(|| b.state == State::Ringing, \"1s\");"
    ))
    .passed();
}

#[test]
fn an_assertion_that_nothing_was_asked_of() {
    let said = "the closure gives an assertion without a matcher: it passes whatever the value is";
    let ran =
        run("let check = |x| assert(x);\nlet wrong = || check.call(1 == 2);\nawait_until(wrong, \"10s\");");
    assert_eq!((ran.error(), ran.milliseconds()), (format!("3:1: {said}"), 0.0));
    let ran = run("fn check(x) { assert(x) }\nscenario(\"x\", || check(1 == 2));");
    assert_eq!(ran.error(), format!("2:1: {said}"));
    run("fn check(x) { assert(x) }\nscenario(\"x\", || check(true).is_true());").passed();
}

#[test]
fn two_scenarios_at_once_on_one_account() {
    let mut runner = Runner::new();
    runner.options.jobs = 2;
    let ran = runner.run_text(
        r#"
        scenario("first", || { agent("A", #{ username: "alice", domain: "example.com" }); wait(1); });
        scenario("second", || { agent("B", #{ username: "alice", domain: "example.com" }); wait(1); });
        "#,
    );
    let failed: Vec<_> = ran
        .verdicts()
        .into_iter()
        .filter(|(_, outcome)| *outcome == Outcome::Failed)
        .collect();
    assert_eq!(failed.len(), 1, "{:?}", ran.verdicts());
    assert!(
        ran.error().contains("sip:alice@example.com is in use by agent"),
        "{}",
        ran.error()
    );
}

#[test]
fn an_audio_check_that_failed_while_the_generator_was_late_proves_nothing() {
    let runner = Runner::new();
    runner.world.set_lateness_ms(35.0);
    let ran = runner.run_text(&in_call("verify_audio(a, 1000, \"2s\");"));
    assert_eq!(ran.code, ExitCode::Invalid);
    assert_eq!(ran.failure().kind, FailureKind::Generator);
    let runner = Runner::new();
    runner.world.set_lateness_ms(35.0);
    assert_eq!(runner.run_text("assert(1).equals(2);").code, ExitCode::Failed);
}

#[test]
fn so_do_figures_of_audio_and_what_is_heard_now() {
    for assertion in [
        "assert(a.heard(1000)).is_true();",
        "await_until(|| assert(a.heard(1000)).is_true(), \"1s\");",
        "assert(a.quality.packet_loss).describe(\"loss\").at_most(-1.0);",
        "let quality = a.quality; assert(quality.packets_received).equals(-1);",
    ] {
        let runner = Runner::new();
        runner.world.set_lateness_ms(35.0);
        let ran = runner.run_text(&in_call(assertion));
        assert_eq!(ran.code, ExitCode::Invalid, "{assertion}: {}", ran.error());
        let runner = Runner::new();
        let ran = runner.run_text(&in_call(assertion));
        assert_eq!(ran.code, ExitCode::Failed, "{assertion}");
    }
    let runner = Runner::new();
    runner.world.set_lateness_ms(35.0);
    let ran = runner.run_text(&in_call("assert(a.quality.codec).equals(\"G729\");"));
    assert_eq!(
        ran.code,
        ExitCode::Failed,
        "the codec is no figure of audio: {}",
        ran.error()
    );
}

#[test]
fn an_audio_check_that_failed_while_own_sockets_lost_datagrams_proves_nothing() {
    let runner = Runner::new();
    runner.world.lose_datagrams(5);
    let later = Duration::from_millis(500);
    runner.world.later(later, |world| world.lose_datagrams(12));
    let ran = runner.run_text(&in_call("verify_audio(a, 1000, \"2s\");"));
    assert_eq!(ran.code, ExitCode::Invalid);
    assert!(
        ran.error().contains("no room for 12 datagrams"),
        "{}",
        ran.error()
    );
}

#[test]
fn a_number_is_never_a_string() {
    let ran = run("assert(486).equals(\"486\");");
    assert_eq!(ran.error(), "1:13: expected \"486\", but it was 486");
}

#[test]
fn an_unknown_key_is_an_error_with_the_nearest_one() {
    let ran = run("agent(\"A\", #{ username: \"alice\", domain: \"example.com\", pasword: \"x\" });");
    assert_eq!(
        ran.error(),
        "1:57: unknown key `pasword`; did you mean `password`?"
    );
    assert_eq!(ran.world.phones_started(), 0);
}

#[test]
fn an_audio_connection_without_any_call() {
    let ran = run(&format!("{TWO}verify_audio_connection(a, b);"));
    assert_eq!(
        ran.error(),
        "7:1: verify_audio_connection: neither A nor B has a call"
    );
    assert!(ran.milliseconds() < 100.0, "it fails at once");
}

#[test]
fn a_constant_tone_of_somebody_else_is_no_audio_connection() {
    // The other ends send every tone that a check of before may have had.
    let ran = run(&in_call(
        r#"
        let c = agent("C", #{ username: "carol", domain: "example.com", auto_answer: true });
        c.register();
        await_until(|| assert(c.registered).is_true());
        c.send_audio(tones([400, 520, 560, 660, 1000, 1400]));
        b.send_audio(tone(1000));
        verify_audio_connection(a, c);
        "#,
    ));
    assert!(
        ran.error().contains("C audio: expected to hear"),
        "{}",
        ran.error()
    );
}

#[test]
fn a_verb_inside_await_until_hides_nothing() {
    let ran = run(&in_call(
        r#"
        await_until(|| {
            let state = a.state;
            if state == State::Established { a.hangup(); }
            state == State::Idle
        }, "5s");
        "#,
    ));
    ran.passed();
    assert!(ran.milliseconds() < 1000.0, "{}", ran.milliseconds());
    // What the peer does is seen at once, whatever verb came before.
    let ran = run(&format!(
        r#"{TWO}
        await_until(|| {{
            if a.state == State::Idle {{ a.dial(b); }}
            assert(b.state).equals(State::Ringing);
        }}, "5s");
        "#
    ));
    ran.passed();
    assert!(ran.milliseconds() < 200.0, "{}", ran.milliseconds());
}

#[test]
fn agents_of_a_suites_top_level() {
    let ran = run(
        "let a = agent(\"A\", #{ username: \"a\", domain: \"example.com\" });\nscenario(\"x\", || a.register());",
    );
    assert!(
        ran.error()
            .starts_with("1:9: agent(\"A\", …) at the top level of a suite would be shared"),
        "{}",
        ran.error()
    );
    assert_eq!(
        ran.failure().hints[0].0,
        "make it in setup(|| …), or in the scenario"
    );
    let file = "setup_file(|| agent(\"A\", #{ username: \"a\", domain: \"example.com\" }));";
    run(&format!("{file} scenario(\"x\", || {{}});")).passed();
}

#[test]
fn a_table_without_rows_says_so() {
    let ran = run("scenario_each(\"{} works\", [], |ctx, row| {}); scenario(\"x\", || {});");
    let warned = ran.passed().events.iter().any(|event| {
        matches!(event, callwright_events::RunEvent::Warning { message, .. } if message.contains("there are no rows"))
    });
    assert!(warned, "{:#?}", ran.events);
}

#[test]
fn requests_that_belong_to_verbs() {
    for (method, verb) in [
        ("BYE", "hangup()"),
        ("INVITE", "dial(target)"),
        ("UPDATE", "update()"),
    ] {
        let ran = run(&in_call(&format!("a.send(\"{method}\");")));
        let error = ran.error();
        assert!(
            error.contains(&format!("A: send: {method} is sent by")) && error.contains(verb),
            "{error}"
        );
    }
    run(&in_call("a.send(\"INFO\"); a.send(\"OPTIONS\");")).passed();
}

#[test]
fn accounts_that_differ_by_case_are_two() {
    run(r#"
        agent("A", #{ username: "alice", domain: "example.com" });
        agent("B", #{ username: "Alice", domain: "example.com" });
    "#)
    .passed();
    let ran = run(
        "agent(\"A\", #{ username: \"a\", domain: \"example.com\" });\nagent(\"B\", #{ username: \"a\", domain: \"EXAMPLE.com\" });",
    );
    assert!(ran.error().contains("is in use"), "{}", ran.error());
}

#[test]
fn a_header_of_nothing() {
    for script in [
        "agent(\"A\", #{ username: \"a\", domain: \"x\", headers: #{ \"X-Id\": () } });",
        "http(\"GET\", \"http://127.0.0.1:9/\", #{ headers: #{ \"X-Id\": () } });",
        "mock_server().respond(\"/\", #{ headers: #{ \"X-Id\": () } });",
    ] {
        let error = run(script).error();
        assert!(error.contains("the value of X-Id is ()"), "{error}");
    }
}
