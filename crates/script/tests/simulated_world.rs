//! Scripts in the simulated world.

mod simulated;

use std::path::{Path, PathBuf};

use callwright_scenario::simulated::Broken;
use callwright_scenario::suite::Options;
use simulated::{run, run_files};

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rhai"))
        .collect();
    files.sort();
    files
}

#[test]
fn two_agents_call_each_other_in_virtual_time() {
    run(r#"
        let a = agent("A", #{ username: "alice", domain: "127.0.0.1" });
        let b = agent("B", #{ username: "bob", domain: "127.0.0.1" });
        a.dial(b.contact);
        await_until(|| assert(b.state).equals(State::Ringing));
        b.accept();
        await_until(|| assert(a.state).equals(State::Established));
        wait("10m");
        a.hangup();
        await_until(|| assert(b.state).equals(State::Idle));
    "#)
    .passed();
}

#[test]
fn every_example_passes() {
    run_files(&examples(), &Options::default()).passed();
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let options = Options {
        seed: 7,
        jobs: 4,
        ..Options::default()
    };
    let story = |options: &Options| {
        let ran = run_files(&examples(), options);
        let lines = ran.passed().records.iter().map(|record| format!("{record:?}"));
        lines.skip(1).collect::<Vec<_>>()
    };
    let first = story(&options);
    assert_eq!(first, story(&options));
    let alone = Options { jobs: 1, ..options };
    assert_eq!(first, story(&alone));
}

const TWO: &str = r#"
    let domain = env("SIP_DOMAIN");
    let a = agent("A", #{ username: "alice", domain: domain, password: env("A_PASS") });
    let b = agent("B", #{ username: "bob", domain: domain, password: env("B_PASS") });
    a.register();
    b.register();
    await_until(|| assert(a.registered && b.registered).is_true());
"#;

fn with_two(rest: &str) -> String {
    format!("{TWO}{rest}")
}

#[test]
fn a_mock_server_answers_after_the_latency_of_the_network() {
    run(r#"
        let server = mock_server();
        server.on("GET", "/slow", |request| {
            sleep("2s");
            json_response(#{ path: request.path })
        });
        let answer = http("GET", server.url + "/slow?x=1");
        assert(answer.status).equals(200);
        assert(answer.json("path")).equals("/slow");
        assert(server.request_count("/slow")).equals(1);
        server.stop();
    "#)
    .passed();
}

#[test]
fn nothing_outside_of_the_simulation_can_be_asked() {
    let ran = run(r#"http("GET", "http://api.example.com/status");"#);
    let error = ran.error();
    assert!(
        error.contains("api.example.com is not in the simulation"),
        "{error}"
    );
    assert!(error.contains("mock server"), "{error}");
    let ran = run(r#"http("GET", "http://127.0.0.1:1/");"#);
    let error = ran.error();
    assert!(error.contains("no mock server has that port"), "{error}");
}

#[test]
fn responders_and_branches_take_turns() {
    let text = r#"
        let server = mock_server();
        let seen = [];
        server.on("POST", "/call", |request| {
            sleep("300ms");
            text_response(request.json("name"))
        });
        parallel([
            || { for i in 0..3 { print("first " + http("POST", server.url + "/call", #{ body: #{ name: "a" + i } }).body); } },
            || { for i in 0..3 { print("second " + http("POST", server.url + "/call", #{ body: #{ name: "b" + i } }).body); } },
        ]);
    "#;
    let printed = |text: &str| {
        let ran = run(text);
        let printed = ran
            .passed()
            .records
            .iter()
            .filter_map(|record| match &record.event {
                callwright_events::RunEvent::Print { message } => Some(message.clone()),
                _ => None,
            });
        printed.collect::<Vec<_>>()
    };
    let first = printed(text);
    assert_eq!(first.len(), 6);
    for _ in 0..10 {
        assert_eq!(printed(text), first);
    }
}

#[test]
fn a_call_over_a_line_that_loses_everything_ends_by_itself() {
    let ran = run(&with_two(
        r#"
        network(a, "callcenter", #{ loss: "100%" });
        a.dial(b);
        await_until(|| assert(a.state).equals(State::Idle), "40s");
        assert(a.reason).contains("no answer");
        network(#{});
        a.dial(b);
        await_until(|| assert(b.state).equals(State::Ringing));
        "#,
    ));
    ran.passed();
}

#[test]
fn a_partition_lasts_until_it_is_healed() {
    run(&with_two(
        r#"
        partition(b, "callcenter");
        a.dial(b);
        sleep("3s");
        assert(b.state).equals(State::Idle);
        heal();
        await_until(|| assert(b.state).equals(State::Ringing), "10s");
        b.accept();
        await_until(|| assert(a.state).equals(State::Established));
        "#,
    ))
    .passed();
}

#[test]
fn a_server_that_crashed_comes_back_with_what_it_had_stored() {
    run(&with_two(
        r#"
        crash("callcenter");
        a.dial(b);
        await_until(|| assert(a.state).equals(State::Idle), "40s");
        restart("callcenter");
        a.dial(b);
        await_until(|| assert(b.state).equals(State::Ringing));
        b.accept();
        await_until(|| assert(a.state).equals(State::Established));
        verify_audio_connection(a, b);
        "#,
    ))
    .passed();
}

#[test]
fn a_server_that_is_not_there_is_named_with_those_that_are() {
    let error = run(r#"crash("pbx");"#).error();
    assert!(error.contains("\"pbx\""), "{error}");
    assert!(error.contains("\"callcenter\""), "{error}");
}

#[test]
fn time_passes_on_demand() {
    run(&with_two(
        r#"
        a.dial(b);
        await_until(|| assert(b.state).equals(State::Ringing));
        b.accept();
        await_until(|| assert(a.state).equals(State::Established));
        advance("40m");
        assert(a.state).equals(State::Established);
        assert(a.registered && b.registered).is_true();
        a.hangup();
        await_until(|| assert(b.state).equals(State::Idle));
        "#,
    ))
    .passed();
}

#[test]
fn time_that_passes_on_demand_ends_with_the_time_of_its_scenario() {
    let ran = run(r#"
        scenario("long", #{ timeout: "10s" }, || {
            advance("10000h");
            log("it is over");
        });
        "#);
    let error = ran.error();
    assert!(error.contains("did not end within 10 s"), "{error}");
    let late = ran
        .records
        .iter()
        .filter_map(|record| record.stamp.as_ref().map(|stamp| stamp.t_ms))
        .fold(0.0, f64::max);
    assert!(late < 200_000.0, "{late} ms");
}

#[test]
fn calls_go_over_tcp_and_tls() {
    for (transport, port) in [("tcp", 5060), ("tls", 5061)] {
        run(&format!(
            r#"
            let domain = "127.0.0.1:{port}";
            let a = agent("A", #{{ username: "alice", domain: domain, password: env("A_PASS"), transport: "{transport}" }});
            let b = agent("B", #{{ username: "bob", domain: domain, password: env("B_PASS"), transport: "{transport}" }});
            a.register();
            b.register();
            await_until(|| assert(a.registered && b.registered).is_true());
            a.dial(b);
            await_until(|| assert(b.state).equals(State::Ringing));
            b.accept();
            await_until(|| assert(a.state).equals(State::Established));
            verify_audio_connection(a, b);
            "#
        ))
        .passed();
    }
}

#[test]
fn of_many_seeds_the_first_that_fails_is_told() {
    let text = r#"
        scenario("sometimes", || {
            network(#{ loss: "30%" });
            let a = agent("A", #{ username: "alice", domain: "127.0.0.1" });
            let b = agent("B", #{ username: "bob", domain: "127.0.0.1" });
            a.dial(b.contact);
            await_until(|| assert(b.state).equals(State::Ringing), "400ms");
        });
        scenario("always", || log("fine"));
    "#;
    let options = Options {
        seed: 40,
        repeat: 50,
        jobs: 3,
        ..Options::default()
    };
    let ran = simulated::run_with(text, &options);
    let failures = ran.failures();
    assert_eq!(failures.len(), 1, "{failures:#?}");
    let hint = &failures[0].hints.last().unwrap().0;
    let seed: u64 = hint
        .split_whitespace()
        .find_map(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("{hint}"));
    // Those before it pass, it fails by itself, and again.
    for earlier in 40..seed {
        let options = Options {
            seed: earlier,
            ..Options::default()
        };
        simulated::run_with(text, &options).passed();
    }
    let again = simulated::run_with(
        text,
        &Options {
            seed,
            ..Options::default()
        },
    );
    // Each run has a folder of its own.
    let story = |failures: &[&callwright_events::Failure]| {
        failures
            .iter()
            .map(|failure| format!("{} {:?} {:?}", failure.message, failure.messages, failure.history))
            .collect::<Vec<_>>()
    };
    assert_eq!(story(&again.failures()), story(&failures));
}

#[test]
fn what_a_file_sets_up_is_there_in_every_world() {
    run(r#"
        let hook = mock_server();
        hook.respond("GET", "/", text_response("here"));
        setup_file(|| {
            http("GET", hook.url + "/");
            log("ready");
        });
        scenario("one", || {
            assert(http("GET", hook.url + "/").body).equals("here");
            assert(hook.request_count("/")).equals(2);
        });
        scenario("two", || {
            assert(hook.request_count("/")).equals(1);
        });
    "#)
    .passed();
}

#[test]
fn a_broken_rule_fails_a_scenario_that_passes_otherwise() {
    let example = examples()
        .into_iter()
        .find(|path| path.ends_with("call-quality.rhai"))
        .unwrap();
    let names = [
        (Broken::ForgetsAck, "`ack`", "RFC 3261"),
        (Broken::RepeatsCSeq, "`cseq`", "RFC 3261 §12.2.1.1"),
        (Broken::LeaksDialog, "`nothing-left`", "RFC 3261"),
        (Broken::SkipsSequence, "`rtp-sequence`", "RFC 3550 §5.1"),
    ];
    for (broken, rule, reference) in names {
        let ran = simulated::run_broken(std::slice::from_ref(&example), &Options::default(), Some(broken));
        let failures = ran.failures();
        let told: Vec<String> = failures
            .iter()
            .flat_map(|failure| {
                let hints = failure.hints.iter().map(|hint| hint.0.clone());
                std::iter::once(failure.message.clone()).chain(hints)
            })
            .collect();
        let told = told.join("\n");
        assert!(told.contains(rule), "{broken:?}: {told}");
        assert!(told.contains(reference), "{broken:?}: {told}");
    }
}

#[test]
fn the_races_of_rfc_5407_end_in_the_simulation_as_on_sockets() {
    let races = include_str!("races/rfc5407.rhai");
    let ran = run(races);
    let held = ran.passed().events().filter(|event| {
        matches!(
            event,
            callwright_events::RunEvent::ScenarioFinished { passed: true, .. }
        )
    });
    assert_eq!(held.count(), races.matches("\nscenario(").count());
}

#[test]
fn a_network_of_four_seconds_breaks_no_rule() {
    run(r#"
        network(#{ latency: "4s" });
        let domain = env("SIP_DOMAIN");
        let a = agent("A", #{ username: "alice", domain: domain, password: env("A_PASS") });
        let b = agent("B", #{ username: "bob", domain: domain, password: env("B_PASS") });
        a.register();
        b.register();
        await_until(|| assert(a.registered && b.registered).is_true(), "60s");
        a.dial(b);
        await_until(|| assert(b.state).equals(State::Ringing), "60s");
        b.accept();
        await_until(|| assert(a.state).equals(State::Established), "60s");
        a.hangup();
        await_until(|| assert(b.state).equals(State::Idle), "60s");
    "#)
    .passed();
}
