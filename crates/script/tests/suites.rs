//! Suites: isolation, hooks, selection, retries, order.

mod support;

use std::time::Duration;

use callwright_events::{ExitCode, FailureKind, Outcome, RunEvent};
use support::{Runner, run};

fn verdicts(ran: &support::Ran) -> Vec<(String, Outcome)> {
    ran.verdicts()
}

fn named(names: &[(&str, Outcome)]) -> Vec<(String, Outcome)> {
    names
        .iter()
        .map(|(name, outcome)| ((*name).to_owned(), *outcome))
        .collect()
}

#[test]
fn each_scenario_has_fresh_agents_and_a_copy_of_the_variables() {
    let ran = run(r#"
        let count = 0;
        setup(|| {
            count += 1;
            let caller = agent("Caller", #{ username: "alice", domain: "example.com" });
            caller.register();
            await_until(|| assert(caller.registered).is_true());
            #{ caller: caller }
        });
        teardown(|ctx| {
            count += 10;
            print(`${count} ${ctx.caller.name}`);
        });
        scenario("one", |ctx| { count += 100; assert(ctx.caller.registered).is_true(); });
        scenario("two", |ctx| { count += 1000; });
        scenario("three", || {});
    "#);
    assert_eq!(ran.passed().printed(), ["111 Caller", "1011 Caller", "11 Caller"]);
    assert_eq!(ran.world.phones_started(), 3);
    assert_eq!(ran.world.registered(), Vec::<String>::new());
}

#[test]
fn a_failed_setup_runs_teardown_with_nothing_and_its_errors_are_notes() {
    let ran = run(r#"
        setup(|| { throw "no" });
        teardown(|ctx| { print(`ctx is ${type_of(ctx)}`); ctx.caller.hangup(); });
        scenario("one", |ctx| { print("never") });
    "#);
    assert_eq!(ran.printed(), ["ctx is ()"]);
    assert_eq!(ran.error(), "2:20: no");
    assert_eq!(ran.notes().len(), 1, "{:?}", ran.notes());
    assert!(
        ran.notes()[0].starts_with("teardown after the failed setup failed: `.caller` was read from `()`")
    );
}

#[test]
fn scenarios_are_skipped_before_and_while_they_run() {
    let ran = run(r#"
        setup(|| { if worker == 7 { skip("never") } });
        teardown(|| print("teardown"));
        scenario("static", #{ skip: "needs a fix" }, || { throw "not run" });
        scenario("dynamic", || { skip("not here"); throw "not run" });
        scenario("caught", || { try { skip() } catch { throw "skip cannot be caught" } });
    "#);
    let skipped: Vec<_> = ran
        .passed()
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::ScenarioSkipped { name, reason } => Some((name.as_str(), reason.as_deref())),
            _ => None,
        })
        .collect();
    assert_eq!(
        skipped,
        [
            ("static", Some("needs a fix")),
            ("dynamic", Some("not here")),
            ("caught", None)
        ]
    );
    assert_eq!(ran.printed(), ["teardown", "teardown"]);
}

#[test]
fn a_skip_where_no_scenario_runs_is_a_mistake() {
    let said = "skip(…) skips the running scenario, and none runs here";
    let ran = run("skip(\"all\");\nscenario(\"one\", || {});");
    assert_eq!(
        (ran.code, ran.error()),
        (ExitCode::Failed, format!("1:1: {said}"))
    );
    let ran = run("setup_file(|| skip());\nscenario(\"one\", || {});");
    assert_eq!(ran.code, ExitCode::Failed);
}

#[test]
fn a_skip_in_setup_is_without_teardown() {
    let ran = run(r#"
        setup(|| skip("prod only"));
        teardown(|| print("teardown"));
        scenario("one", || {});
    "#);
    assert_eq!(verdicts(ran.passed()), named(&[("one", Outcome::Skipped)]));
    assert_eq!(ran.printed(), Vec::<String>::new());
}

#[test]
fn only_holds_across_the_whole_run_with_a_warning() {
    let runner = Runner::new();
    let first = runner.folder.file("a.rhai", "scenario(\"a\", || {});");
    let second = runner.folder.file(
        "b.rhai",
        "scenario(\"b\", #{ only: true }, || {}); scenario(\"c\", || {});",
    );
    let ran = runner.run(&[first, second]);
    assert_eq!(verdicts(ran.passed()), named(&[("b", Outcome::Passed)]));
    assert!(
        ran.events
            .iter()
            .any(|event| matches!(event, RunEvent::Warning { message, .. } if message.contains("only")))
    );
}

#[test]
fn the_warning_of_only_knows_that_files_that_are_one_scenario_run() {
    let runner = Runner::new();
    let files = [
        runner.folder.file("single.rhai", "print(\"ran\");"),
        runner
            .folder
            .file("suite.rhai", "scenario(\"a\", #{ only: true }, || {});"),
    ];
    let ran = runner.run(&files);
    assert_eq!(ran.passed().printed(), ["ran"]);
    let warning = ran.events.iter().find_map(|event| match event {
        RunEvent::Warning { message, location } => Some((message.clone(), location.clone())),
        _ => None,
    });
    let (message, location) = warning.expect("a warning");
    assert_eq!(
        message,
        "some scenarios say `only`: all others that are registered are left out; files that are themselves one scenario \
         run nevertheless"
    );
    assert_eq!(location.expect("where").line, 1);
}

#[test]
fn a_part_of_the_work_that_is_empty_says_so() {
    let mut runner = Runner::new();
    runner.options.shard = Some("2/2".parse().unwrap());
    runner.options.selection.tags.push("smoke".to_owned());
    let ran = runner.run_text("scenario(\"a\", #{ tags: [\"smoke\"] }, || {}); scenario(\"b\", || {});");
    assert_eq!(ran.code, ExitCode::Failed);
    let RunEvent::RunFinished { error, .. } = finished(&ran) else {
        unreachable!("it is one");
    };
    assert_eq!(
        error.as_deref(),
        Some("part 2 of 2 has none of the selected scenarios: there is 1")
    );
}

#[test]
fn filters_do_not_apply_to_files_that_are_one_scenario() {
    let mut runner = Runner::new();
    runner.options.selection.tags.push("smoke".to_owned());
    let single = runner.folder.file("single.rhai", "print(\"ran\");");
    let suite = runner.folder.file(
        "suite.rhai",
        "scenario(\"x\", #{ tags: [\"smoke\"] }, || {}); scenario(\"y\", || {});",
    );
    let ran = runner.run(&[single, suite]);
    assert_eq!(verdicts(ran.passed()), named(&[("x", Outcome::Passed)]));
    assert_eq!(ran.printed(), ["ran"]);
}

#[test]
fn two_scenarios_of_one_name_are_an_error_before_anything_runs() {
    let ran = run("scenario(\"x\", || {});\nscenario(\"x\", || {});");
    assert_eq!(ran.error(), "2:10: there are two scenarios with the name \"x\"");
    let ran = run("let name = \"x\";\nscenario(name, || {});\nscenario(name, || {});");
    assert!(
        ran.error()
            .starts_with("3:1: there are two scenarios with the name \"x\"; the first is at "),
        "{}",
        ran.error()
    );
}

#[test]
fn rows_make_scenarios() {
    let ran = run(r#"
        scenario_each("code {code} of {name}", [#{ code: 486, name: "busy" }, #{ code: 603, name: "no" }], |ctx, row| {
            print(row.code);
        });
        scenario_each("number {}", [1, 2], |ctx, row| print(row));
    "#);
    let names: Vec<_> = ran
        .passed()
        .verdicts()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        ["code 486 of busy", "code 603 of no", "number 1", "number 2"]
    );
    assert_eq!(ran.printed(), ["486", "603", "1", "2"]);
}

#[test]
fn a_scenario_that_passes_only_when_tried_again_is_flaky() {
    let mut runner = Runner::new();
    runner.options.retries = 2;
    let ran = runner.run_text(
        r#"
        let hooks = mock_server();
        scenario("shaky", || {
            http("GET", hooks.url + "/try");
            assert(hooks.request_count("/try")).at_least(2);
        });
        scenario("firm", #{ retries: 0 }, || assert(1).equals(2));
        "#,
    );
    assert_eq!(
        verdicts(&ran),
        named(&[("shaky", Outcome::Flaky), ("firm", Outcome::Failed)])
    );
    let attempts: Vec<_> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::ScenarioFinished {
                name,
                attempt,
                passed,
                ..
            } => Some((name.as_str(), *attempt, *passed)),
            _ => None,
        })
        .collect();
    assert_eq!(
        attempts,
        [("shaky", 1, false), ("shaky", 2, true), ("firm", 1, false)]
    );
}

/// Passes at the second attempt.
const SHAKY: &str = r#"
let hooks = mock_server();
scenario("shaky", || {
    http("GET", hooks.url + "/try");
    assert(hooks.request_count("/try")).at_least(2);
});
"#;

#[test]
fn a_flaky_scenario_counts_as_passed_or_as_failed() {
    for flaky_fails in [false, true] {
        let mut runner = Runner::new();
        runner.options.retries = 1;
        runner.options.flaky_fails = flaky_fails;
        let ran = runner.run_text(SHAKY);
        assert_eq!(verdicts(&ran), named(&[("shaky", Outcome::Flaky)]));
        let last = ran
            .events
            .iter()
            .rev()
            .find_map(|event| match event {
                RunEvent::ScenarioFinished { passed, error, .. } => Some((*passed, error.clone())),
                _ => None,
            })
            .expect("it ended");
        let RunEvent::RunFinished {
            passed_files,
            passed_scenarios,
            failed_scenarios,
            flaky_scenarios,
            ..
        } = finished(&ran)
        else {
            unreachable!("it is one");
        };
        let counts = (
            *passed_files,
            *passed_scenarios,
            *failed_scenarios,
            *flaky_scenarios,
        );
        if flaky_fails {
            assert_eq!(ran.code, ExitCode::Failed);
            assert_eq!(counts, (0, 0, 1, 1));
            let error = last.1.expect("a reason");
            assert!(
                error.contains("only at attempt 2") && error.contains("--flaky fail"),
                "{error}"
            );
            assert!(error.contains("test.rhai:5:"), "the first failure: {error}");
            assert!(!last.0);
        } else {
            assert_eq!(ran.code, ExitCode::Passed);
            assert_eq!(counts, (1, 1, 0, 1));
            assert_eq!(last, (true, None));
        }
        let passed = ran.events.iter().find_map(|event| match event {
            RunEvent::SuiteFinished { passed, .. } => Some(*passed),
            _ => None,
        });
        assert_eq!(passed, Some(usize::from(!flaky_fails)));
    }
}

#[test]
fn fail_fast_ends_after_a_flaky_scenario_that_counts_as_failed() {
    let mut runner = Runner::new();
    runner.options.retries = 1;
    runner.options.flaky_fails = true;
    stopped_by(SHAKY, runner);
}

#[test]
fn an_expected_failure_passes_and_an_unexpected_pass_fails() {
    let ran = run(r#"
        scenario("known", #{ expect_fail: "bug 7" }, || assert(1).equals(2));
        scenario("fixed", #{ expect_fail: "bug 8" }, || assert(1).equals(1));
        scenario("broken", #{ expect_fail: "bug 9" }, || { let x = "a"; x.nothing });
    "#);
    assert_eq!(
        verdicts(&ran),
        named(&[
            ("known", Outcome::ExpectedFailure),
            ("fixed", Outcome::Failed),
            ("broken", Outcome::Failed)
        ])
    );
}

#[test]
fn only_what_the_scenario_itself_finds_is_an_expected_failure() {
    let ran = run(r#"
        setup(|| assert(1).equals(2));
        scenario("a", #{ expect_fail: "bug 7" }, || assert(1).equals(2));
    "#);
    assert_eq!(verdicts(&ran), named(&[("a", Outcome::Failed)]));
    let ran = run(r#"
        teardown(|| assert("down").equals("up"));
        scenario("holds", #{ expect_fail: "bug 7" }, || {});
        scenario("fails", #{ expect_fail: "bug 7" }, || assert(1).equals(2));
    "#);
    assert_eq!(
        verdicts(&ran),
        named(&[("holds", Outcome::Failed), ("fails", Outcome::Failed)])
    );
    let kinds: Vec<_> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::ScenarioFinished { failure, .. } => failure.as_ref().map(|failure| failure.kind),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [FailureKind::Teardown, FailureKind::Teardown]);
}

#[test]
fn a_failure_that_is_no_expected_one_says_so() {
    let ran = run(r#"
        scenario("broken", #{ expect_fail: "bug 9" }, || { let x = "a"; x.nothing });
    "#);
    let hints = ran.failure().hints;
    assert!(
        hints.iter().any(|hint| hint.0.contains("expect_fail (bug 9)")),
        "{hints:?}"
    );
}

#[test]
fn a_scenario_has_its_time_and_teardown_is_not_cut() {
    let ran = run(r#"
        teardown(|| { wait(2); print("cleaned"); });
        scenario("slow", #{ timeout: "3s" }, || { try { wait(60) } catch { print("caught") } });
    "#);
    assert_eq!(ran.failure().kind, FailureKind::Timeout);
    assert_eq!(ran.error(), "3:57: the scenario did not end within 3 s");
    assert_eq!(ran.printed(), ["cleaned"]);
    assert_eq!(ran.milliseconds(), 5000.0);
}

#[test]
fn an_endless_loop_ends_with_the_time_of_its_scenario() {
    let ran = run("scenario(\"loop\", #{ timeout: \"1s\" }, || { loop { sleep(0.1); } });");
    assert_eq!(ran.failure().kind, FailureKind::Timeout);
}

#[test]
fn a_body_that_ends_after_its_time_without_looking_at_it_fails() {
    let ran = run(r#"
        let hooks = mock_server();
        hooks.on("GET", "/slow", |request| { sleep(0.3); text_response("late") });
        scenario("slow", #{ timeout: "100ms" }, || { http("GET", hooks.url + "/slow"); });
    "#);
    assert_eq!(ran.failure().kind, FailureKind::Timeout);
}

#[test]
fn fail_fast_starts_nothing_more() {
    let mut runner = Runner::new();
    runner.options.fail_fast = true;
    let ran = runner.run_text("scenario(\"a\", || assert(1).equals(2)); scenario(\"b\", || {});");
    assert_eq!(verdicts(&ran), named(&[("a", Outcome::Failed)]));
    assert_eq!(ran.code, ExitCode::Failed);
}

const FINE: &str = r#"
setup_file(|| print("set up"));
teardown_file(|| print("torn down"));
scenario("fine", || {});
"#;

/// Runs a file that fails and then one that would pass; what the second one did.
fn stopped_by(first: &str, mut runner: Runner) -> support::Ran {
    runner.options.fail_fast = true;
    let first = runner.folder.file("a.rhai", first);
    let second = runner.folder.file("b.rhai", FINE);
    let ran = runner.run(&[first, second]);
    assert_eq!(ran.code, ExitCode::Failed);
    assert_eq!(ran.printed(), Vec::<String>::new());
    assert!(ran.verdicts().iter().all(|(name, _)| name != "fine"));
    ran
}

fn finished(ran: &support::Ran) -> &RunEvent {
    let last = ran.events.last().expect("events");
    assert!(matches!(last, RunEvent::RunFinished { .. }), "{last:?}");
    last
}

#[test]
fn fail_fast_ends_after_whatever_failed_and_sets_nothing_up_any_more() {
    for first in [
        "scenario(\"a\", || assert(1).equals(2));",
        "let broken = ;",
        "scenario(\"a\", || {}); throw \"top level\";",
        "setup_file(|| throw \"no\"); scenario(\"a\", || {});",
        "teardown_file(|| throw \"no\"); scenario(\"a\", || {});",
    ] {
        let ran = stopped_by(first, Runner::new());
        let RunEvent::RunFinished { files, error, .. } = finished(&ran) else {
            unreachable!("it is one");
        };
        assert_eq!(*files, 1, "{first}");
        let error = error.as_deref().unwrap_or_default();
        assert!(
            error.starts_with("ended at the first failure (--fail-fast): "),
            "{first}: {error}"
        );
        assert!(error.ends_with("not run"), "{first}: {error}");
    }
}

#[test]
fn a_broken_file_counts_beside_failed_scenarios() {
    let runner = Runner::new();
    let first = runner.folder.file("a.rhai", "let broken = ;");
    let second = runner
        .folder
        .file("b.rhai", "scenario(\"b\", || assert(1).equals(2));");
    let ran = runner.run(&[first, second]);
    assert!(
        matches!(
            finished(&ran),
            RunEvent::RunFinished {
                failed_files: 1,
                failed_scenarios: 1,
                ..
            }
        ),
        "{:?}",
        finished(&ran)
    );
}

#[test]
fn an_interrupted_run_leaves_alone_what_it_did_not_begin() {
    let runner = Runner::new();
    let first = runner.folder.file(
        "a.rhai",
        "scenario(\"a\", || wait(60)); scenario(\"rest\", || {});",
    );
    let second = runner.folder.file("b.rhai", FINE);
    let ran = runner.run_interrupted(&[first, second], Duration::from_secs(5));
    assert_eq!(ran.code, ExitCode::Interrupted);
    assert_eq!(ran.printed(), Vec::<String>::new());
    let begun = ran
        .events
        .iter()
        .filter(|event| matches!(event, RunEvent::FileStarted { .. }));
    assert_eq!(begun.count(), 1);
    let RunEvent::RunFinished {
        files,
        failed_files,
        failed_scenarios,
        interrupted_scenarios,
        unrun_scenarios,
        error,
        ..
    } = finished(&ran)
    else {
        unreachable!("it is one");
    };
    assert_eq!((*files, *failed_files, *failed_scenarios), (1, 0, 0));
    assert_eq!((*interrupted_scenarios, *unrun_scenarios), (1, 2));
    assert_eq!(error.as_deref(), Some("interrupted: 2 scenarios were not run"));
}

#[test]
fn an_interrupt_while_a_file_is_set_up_is_no_failure_of_the_file() {
    let runner = Runner::new();
    let file = runner.folder.file(
        "a.rhai",
        "setup_file(|| wait(60)); teardown_file(|| print(\"torn down\")); scenario(\"a\", || {});",
    );
    let ran = runner.run_interrupted(&[file], Duration::from_secs(5));
    assert_eq!(ran.printed(), ["torn down"]);
    assert!(
        matches!(
            finished(&ran),
            RunEvent::RunFinished {
                failed_files: 0,
                unrun_scenarios: 1,
                ..
            }
        ),
        "{:?}",
        finished(&ran)
    );
    assert_eq!(ran.code, ExitCode::Interrupted);
}

/// A file whose top level takes a port, and says how often it was evaluated; its scenario takes an account.
fn greedy(port: u16, name: &str) -> String {
    format!(
        r#"
        let hooks = mock_server(#{{ port: {port} }});
        print("{name} is open");
        scenario("{name}", || {{
            let a = agent("A", #{{ username: "alice", domain: "example.com" }});
            assert(http("GET", hooks.url + "/x").status).equals(404);
            a.register();
            await_until(|| assert(a.registered).is_true());
            wait(1);
        }});
        "#
    )
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("its address").port()
}

#[test]
fn files_that_take_the_same_account_and_port_run_one_after_the_other() {
    for jobs in [1, 2] {
        let mut runner = Runner::new();
        runner.options.jobs = jobs;
        let port = free_port();
        let files = [
            runner.folder.file("a.rhai", &greedy(port, "a")),
            runner.folder.file("b.rhai", &greedy(port, "b")),
        ];
        let ran = runner.run(&files);
        assert_eq!(
            verdicts(ran.passed()),
            named(&[("a", Outcome::Passed), ("b", Outcome::Passed)])
        );
        assert_eq!(ran.printed(), ["a is open", "b is open"]);
        assert_eq!(ran.world.registered(), Vec::<String>::new());
    }
}

#[test]
fn a_top_level_that_registers_other_scenarios_the_second_time_is_a_mistake() {
    let runner = Runner::new();
    let first = runner.folder.file(
        "a.rhai",
        r#"
        scenario(mock_server().url, || {});
        "#,
    );
    let second = runner.folder.file("b.rhai", "scenario(\"b\", || {});");
    let ran = runner.run(&[first, second]);
    let failed = ran.events.iter().find_map(|event| match event {
        RunEvent::SuiteFinished {
            error: Some(error), ..
        } => Some(error.clone()),
        _ => None,
    });
    assert_eq!(
        failed.as_deref(),
        Some("the top level registers other scenarios each time it is evaluated")
    );
    assert_eq!(ran.code, ExitCode::Failed);
}

#[test]
fn events_come_in_the_order_of_the_plan_whatever_runs_at_the_same_time() {
    let mut runner = Runner::new();
    runner.options.jobs = 3;
    let ran = runner.run_text(
        r#"
        setup_file(|| print("file up"));
        teardown_file(|| print("file down"));
        scenario("a", || { wait(3); print("a"); });
        scenario("b", || { wait(2); print("b"); });
        scenario("c", || { wait(1); print("c"); });
        "#,
    );
    assert_eq!(ran.passed().printed(), ["file up", "a", "b", "c", "file down"]);
    assert_eq!(ran.milliseconds(), 3000.0);
}

#[test]
fn workers_are_numbered() {
    let mut runner = Runner::new();
    runner.options.jobs = 2;
    let ran = runner.run_text(
        r#"
        fn account() { "user" + worker }
        scenario("a", || { wait(1); print(account()); });
        scenario("b", || { wait(1); print(account()); });
        "#,
    );
    let mut printed = ran.passed().printed();
    printed.sort();
    assert_eq!(printed, ["user0", "user1"]);
}

#[test]
fn shards_and_repetitions_count() {
    let mut runner = Runner::new();
    runner.options.shard = Some("2/2".parse().unwrap());
    runner.options.repeat = 2;
    let ran = runner.run_text("scenario(\"a\", || {}); scenario(\"b\", || {}); scenario(\"c\", || {});");
    assert_eq!(
        verdicts(ran.passed()),
        named(&[("b", Outcome::Passed), ("b", Outcome::Passed)])
    );
}

#[test]
fn a_failed_setup_of_the_file_fails_its_scenarios() {
    let ran = run(r#"
        setup_file(|| throw "no");
        scenario("a", || print("never"));
    "#);
    assert_eq!(verdicts(&ran), named(&[("a", Outcome::Failed)]));
    assert_eq!(ran.printed(), Vec::<String>::new());
    assert_eq!(ran.code, ExitCode::Failed);
}

#[test]
fn the_default_timeout_does_not_leak_into_the_next_scenario() {
    let ran = run(r#"
        default_timeout("2s");
        scenario("a", || { default_timeout("1s"); await_until(|| assert(1).equals(2)); });
        scenario("b", || await_until(|| assert(1).equals(2)));
    "#);
    let waited: Vec<_> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::ScenarioFinished {
                failure: Some(failure),
                ..
            } => failure.waited_ms,
            _ => None,
        })
        .collect();
    assert_eq!(waited, [1000.0, 2000.0]);
}

#[test]
fn an_interrupt_ends_what_runs_and_starts_nothing_more() {
    let runner = Runner::new();
    let file = runner.folder.file(
        "test.rhai",
        r#"
        scenario("a", || {
            let a = agent("A", #{ username: "alice", domain: "example.com" });
            a.register();
            wait(60);
        });
        scenario("b", || {});
        "#,
    );
    let ran = runner.run_interrupted(&[file], Duration::from_secs(5));
    assert_eq!(ran.code, ExitCode::Interrupted);
    assert_eq!(verdicts(&ran), named(&[("a", Outcome::Interrupted)]));
    assert_eq!(ran.world.registered(), Vec::<String>::new());
    assert_eq!(ran.milliseconds(), 5010.0);
}

#[test]
fn a_bad_line_in_the_variables_beside_a_file_is_named_before_anything_runs() {
    for text in ["print(env(\"A\"));", "scenario(\"a\", || print(env(\"A\")));"] {
        let runner = Runner::new();
        runner.folder.file("test.env", "A=1\nnonsense\n");
        let ran = runner.run_text(text);
        assert_eq!(ran.code, ExitCode::Failed);
        assert_eq!(ran.error(), "test.env:2:1: not KEY=VALUE");
        assert_eq!(ran.printed(), Vec::<String>::new());
    }
}

#[test]
fn a_library_is_recognized() {
    let runner = Runner::new();
    let library = |name: &str, text: &str| callwright_script::is_library(&runner.folder.file(name, text));
    assert!(library("a.rhai", "fn two() { agent(\"A\", #{}) }"));
    assert!(library("b.rhai", "const X = 1;"));
    assert!(!library("c.rhai", "fn two() { agent(\"A\", #{}) } two();"));
    assert!(!library("d.rhai", "scenario(\"x\", || {});"));
    assert!(!library("e.rhai", "let broken = ;"));
    runner
        .folder
        .file("lib/h.rhai", "fn both() { agent(\"A\", #{}) }");
    assert!(!library("f.rhai", "import \"lib/h\" as h; h::both();"));
}
