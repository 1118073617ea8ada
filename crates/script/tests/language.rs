//! The language: closures, errors, limits, imports, variables.

mod support;

use callwright_events::{FailureKind, RunEvent};
use support::{Runner, TWO, run};

#[test]
fn states_are_visible_inside_functions() {
    run(r#"
        fn is_idle(a) { a.state == State::Idle }
        let a = agent("A", #{ username: "alice", domain: "example.com" });
        assert(is_idle(a)).is_true();
        assert(a.state != State::Ringing).is_true();
    "#)
    .passed();
}

#[test]
fn parallel_tasks_have_their_own_copies_and_return_in_order() {
    let ran = run(r#"
        let x = 1;
        let results = parallel([|| { wait(2); x += 1; x }, || { wait(1); x += 10; x }]);
        print(results);
        print(x);
    "#);
    assert_eq!(ran.passed().printed(), ["[2, 11]", "1"]);
    assert_eq!(ran.milliseconds(), 2000.0);
}

#[test]
fn await_until_inside_parallel_tasks_is_independent() {
    run(&format!(
        "{TWO}parallel([|| {{ a.dial(b); await_until(|| assert(a.state).equals(State::Ringing)); }}, \
         || {{ await_until(|| assert(b.state).equals(State::Ringing)); b.accept(); }}]);\n\
         await_until(|| assert(b.state).equals(State::Established));"
    ))
    .passed();
}

#[test]
fn await_until_returns_the_verified_value() {
    let ran = run(&format!(
        "{TWO}a.dial(b);\nlet number = await_until(|| assert(b.peer.number).is_present().value());\nprint(number);"
    ));
    assert_eq!(ran.passed().printed(), ["alice"]);
}

#[test]
fn await_until_is_not_woken_by_what_it_does_itself() {
    let ran = run(
        "let n = 0;\nlet a = agent(\"A\", #{ username: \"alice\", domain: \"example.com\" });\n\
         await_until(|| { n += 1; assert(a.registered).is_false(); a.register(); assert(a.registered).is_true() }, \"1s\");",
    );
    assert!(
        ran.error()
            .starts_with("3:47: A registered: expected false, but it was true"),
        "{}",
        ran.error()
    );
    let history: Vec<_> = ran
        .failure()
        .history
        .into_iter()
        .map(|seen| (seen.t_ms, seen.value))
        .collect();
    assert_eq!(history, [(0.0, "false".to_owned()), (10.0, "true".to_owned())]);
}

#[test]
fn what_is_not_there_yet_is_tried_again() {
    let tried = |expression: &str| {
        let ran = run(&format!("await_until(|| {expression}, \"300ms\");"));
        let waited = ran.failure().waited_ms;
        assert_eq!(waited, Some(300.0), "{expression}: {}", ran.error());
    };
    tried("throw \"not yet\"");
    tried("().x");
    tried("().dial(\"x\")");
    tried("[][0]");
    tried("assert(1).equals(2)");
    tried("false");
    tried("mock_server().last_request(\"/x\")");
    tried("http(\"GET\", \"http://127.0.0.1:9\")");
}

#[test]
fn what_is_wrong_fails_at_once() {
    let at_once = |expression: &str| {
        let ran = run(&format!("await_until(|| {expression}, \"300ms\");"));
        assert_eq!(ran.milliseconds(), 0.0, "{expression}: {}", ran.error());
        ran.error()
    };
    assert_eq!(at_once("nowhere + 1"), "1:16: unknown variable `nowhere`");
    assert_eq!(
        at_once("env(\"NOT_SET_ANYWHERE\")").split(';').next(),
        Some("1:16: the variable NOT_SET_ANYWHERE is not set")
    );
    assert_eq!(
        at_once("assert(\"x\").greater_than(1)"),
        "1:28: `greater_than` needs a number, and this is \"x\" (string)"
    );
    assert_eq!(at_once("1 + #{}"), "1:18: `+` cannot be applied to int and map");
}

#[test]
fn a_data_race_is_explained_at_its_line() {
    let ran = run("let hooks = mock_server();\nhooks.on(\"/x\", |req| text_response(hooks.url));");
    assert_eq!(
        ran.error(),
        "2:7: hooks is used inside a closure that is handed to a method of hooks itself"
    );
    assert!(
        ran.failure().hints[0].0.contains("on(hooks, …)"),
        "{:?}",
        ran.failure().hints
    );
    run("let hooks = mock_server();\non(hooks, \"/x\", |req| text_response(hooks.url));").passed();
}

#[test]
fn limits_are_named() {
    let ran = run("fn f(x) { f(x + 1) }\nprint(f(0));");
    assert!(
        ran.error()
            .contains("functions call each other too deeply: more than 64 calls"),
        "{}",
        ran.error()
    );
    let ran = run("let s = \"x\"; loop { s += s; print(1); }");
    assert!(ran.error().contains("is too large"), "{}", ran.error());
}

#[test]
fn eval_is_off() {
    let ran = run("eval(\"1\");");
    assert!(ran.error().contains("eval"), "{}", ran.error());
}

#[test]
fn sleep_and_timestamp_follow_the_world() {
    let ran = run("let t = timestamp(); sleep(90); print(t.elapsed); print(timestamp() - t);");
    assert_eq!(ran.passed().printed(), ["90.0", "90.0"]);
}

#[test]
fn timestamps_are_reckoned_with_as_rhai_does() {
    let ran = run("let t = timestamp(); sleep(2);\n\
         print([t.elapsed(), elapsed(t), timestamp() > t, t >= timestamp(), t == t, t != timestamp()]);\n\
         t += 1; t -= 0.5; print([timestamp() - (t + 1), (t - 0.5) < t, t <= t, type_of(t), t + 10 - timestamp()]);");
    assert_eq!(
        ran.passed().printed(),
        [
            "[2.0, 2.0, true, false, true, true]",
            "[0.5, true, true, \"timestamp\", 8.5]"
        ]
    );
}

#[test]
fn who_waits_for_the_clock_is_asked_again() {
    let ran = run("let t = timestamp();\nawait_until(|| timestamp() - t > 1.0, \"5s\");");
    assert_eq!(ran.passed().milliseconds(), 1100.0);
    let ran = run("let t = timestamp();\nawait_until(|| t.elapsed() > 1.0, \"5s\");");
    assert_eq!(ran.passed().milliseconds(), 1100.0);
}

#[test]
fn modules_are_found_beside_the_importing_file_then_beside_the_scenario() {
    let runner = Runner::new();
    runner.folder.file(
        "lib/a.rhai",
        "import \"b\" as b; import \"lib/c\" as c; fn ab() { b::name() + c::name() }",
    );
    runner.folder.file("lib/b.rhai", "fn name() { \"b\" }");
    runner.folder.file("lib/c.rhai", "fn name() { \"c\" }");
    let ran = runner.run_text(
        "import \"lib/a\" as a;\nsetup(|| a::ab());\nscenario(\"x\", |ctx| { print(ctx); print(a::ab()); });",
    );
    assert_eq!(ran.passed().printed(), ["bc", "bc"]);
}

#[test]
fn an_error_in_a_module_names_its_file_and_its_callers() {
    let runner = Runner::new();
    runner
        .folder
        .file("lib/a.rhai", "fn check(x) {\n  assert(x).equals(1);\n}");
    let ran = runner.run_text("import \"lib/a\" as a;\n\na::check(2);");
    assert_eq!(ran.error(), "lib/a.rhai:2:13: expected 1, but it was 2");
    let failure = ran.failure();
    assert_eq!(failure.excerpt.as_deref(), Some("  assert(x).equals(1);"));
    assert_eq!(failure.trace.iter().map(|at| at.line).collect::<Vec<_>>(), [3]);
}

#[test]
fn constants_of_the_command_line_are_visible_everywhere() {
    let mut runner = Runner::new();
    runner
        .settings
        .constants
        .push(("stage".to_owned(), "test".to_owned()));
    let ran = runner.run_text("fn f() { stage }\nlet g = || stage;\nprint(f() + g.call() + stage);");
    assert_eq!(ran.passed().printed(), ["testtesttest"]);
}

#[test]
fn variables_come_from_files() {
    let runner = Runner::new();
    runner.folder.file("test.env", "A=beside\nB=beside\n");
    runner.folder.file("other.env", "B=loaded\n");
    let ran = runner.run_text(
        "load_env(\"other.env\"); print(env(\"A\") + env(\"B\") + env(\"C_NOT_SET\", \"default\"));",
    );
    assert_eq!(ran.passed().printed(), ["besideloadeddefault"]);
}

#[test]
fn errors_of_scripts_can_be_caught_and_read() {
    let ran = run("try { assert(1).equals(2) } catch (e) { print(e) }");
    assert_eq!(ran.passed().printed(), ["expected 2, but it was 1"]);
}

#[test]
fn a_script_error_never_starts_an_agent() {
    let ran = run("agent(\"A\", #{ username: \"a\", domain: \"example.com\" });\nawait_untl(|| true);");
    assert_eq!(ran.world.phones_started(), 0);
    assert_eq!(ran.failure().kind, FailureKind::Script);
    assert_eq!(
        ran.error(),
        "2:1: unknown function `await_untl`; did you mean `await_until`?"
    );
}

#[test]
fn assertions_label_themselves() {
    let ran = run(&format!(
        "{TWO}assert(a.state).equals(State::Idle);\nassert(a.peer.uri).describe(\"who\").is_absent();"
    ));
    let labels: Vec<_> = ran
        .passed()
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Assertion { label, expect, .. } => {
                Some(format!("{}: {expect}", label.as_deref().unwrap_or("-")))
            }
            _ => None,
        })
        .collect();
    assert_eq!(labels[2..], ["A state: equals Idle", "who: is absent"]);
}

#[test]
fn requests_of_any_method_are_awaited() {
    run(&format!("{TWO}let r = a.send(\"OPTIONS\", #{{ headers: #{{ \"X-A\": \"1\" }} }});\nawait_until(|| assert(r.status).equals(200));"))
        .passed();
    let ran = run(&format!(
        "{TWO}a.dial(b); await_until(|| assert(b.state).equals(State::Ringing));\n\
        let m = b.last_request(\"INVITE\"); print(m.direction + \" \" + m.header(\"Call-ID\"));"
    ));
    assert_eq!(ran.passed().printed(), ["received call-1"]);
}

#[test]
fn what_does_not_exist_yet_says_so() {
    let config = |extra: &str| {
        run(&format!("let x = {extra};\nlet c = #{{ username: \"a\", domain: \"example.com\" }};\nc.mixin(x);\nagent(\"A\", c);")).error()
    };
    assert_eq!(
        config("#{ transport: \"ws\" }"),
        "4:1: agent \"A\": transport \"ws\" is not supported yet"
    );
    assert_eq!(
        config("#{ media_enc: \"dtls_srtp\" }"),
        "4:1: agent \"A\": media_enc \"dtls_srtp\" is not supported yet"
    );
    assert_eq!(
        config("#{ stun_server: \"stun:x\" }"),
        "4:1: agent \"A\": `stun_server` is not supported yet"
    );
    assert_eq!(
        config("#{ backend: \"baresip\" }"),
        "4:1: agent \"A\": backend \"baresip\" is not supported yet"
    );
    assert_eq!(
        config("#{ codecs: [\"opus\"] }"),
        "4:1: agent \"A\": codec \"opus\" is not supported yet"
    );
    assert!(config("#{ media_enc: \"zrtp\" }").contains("\"zrtp\" is not supported; use \"srtp-mand\""));
    assert_eq!(
        run("network(#{ loss: \"2%\" });").error(),
        "1:1: network is not possible here: this world has no network of its own"
    );
}
