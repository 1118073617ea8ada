//! `callwright run --simulate`, through the binary.

mod support;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

/// An empty folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let folder = support::cleared("simulated", name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("it can be written");
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = support::callwright();
    command.current_dir(folder).args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("it runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn text(output: &Output) -> String {
    stdout(output) + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// NDJSON without the one field that may differ.
fn without_ts(ndjson: &str) -> String {
    let lines = ndjson.lines().map(|line| {
        let (before, after) = line.split_once("\"ts\":\"").expect("every event has a time");
        let (_, after) = after.split_once('"').expect("the end of the time");
        format!("{before}{after}\n")
    });
    lines.collect()
}

/// A profile of the examples.
const BAD_LINE: [&str; 2] = ["--profile", "bad-line"];

/// The examples with this seed and these flags: what was told without times, and the capture.
fn examples(folder: &Path, seed: &str, flags: &[&str]) -> (String, Vec<u8>) {
    let capture = folder.join("calls.pcapng");
    let file = capture.display().to_string();
    let fixed = ["run", "--simulate", "--json", "--seed", seed];
    let arguments = [&fixed, flags, &["--capture", &file, "examples"]].concat();
    let ran = run(&root(), &arguments);
    assert_code(&ran, 0);
    (
        without_ts(&stdout(&ran)),
        std::fs::read(capture).expect("a capture"),
    )
}

#[test]
fn the_examples_pass_and_say_that_they_were_simulated() {
    let ran = run(&root(), &["run", "--simulate", "--json", "examples"]);
    assert_code(&ran, 0);
    let told = stdout(&ran);
    let first = told.lines().next().expect("a first event");
    assert!(first.starts_with(r#"{"event":"run_started""#), "{first}");
    assert!(first.contains(r#""simulated":true"#), "{first}");
    let rules: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with(r#"{"event":"rules""#))
        .collect();
    assert_eq!(rules.len(), 1, "{rules:?}");
    for rule in ["cseq", "dialog-end", "rtp-sequence", "nothing-left"] {
        assert!(
            rules[0].contains(&format!(r#"{{"rule":"{rule}","checks":"#)),
            "{rule}: {rules:?}"
        );
    }

    let shown = text(&run(&root(), &["run", "--simulate", "--seed", "3", "examples"]));
    assert!(shown.starts_with("simulated, seed 3\n"), "{shown}");
    assert!(shown.contains(" of virtual time)"), "{shown}");
}

#[test]
fn the_examples_crash_a_server_in_the_profile_for_that() {
    let example = "examples/bad-network.rhai";
    let ran = run(
        &root(),
        &["run", "--profile", "simulated", "--repeat", "20", example],
    );
    assert_code(&ran, 0);
    assert!(text(&ran).contains("60 scenarios: 60 passed"), "{}", text(&ran));
    let elsewhere = run(&root(), &["run", "--simulate", example]);
    assert_code(&elsewhere, 0);
    assert!(
        text(&elsewhere).contains("2 passed, 1 skipped"),
        "{}",
        text(&elsewhere)
    );
}

#[test]
fn where_nothing_is_on_the_wire_a_run_passes_and_says_so() {
    let folder = folder("no-packet");
    write(
        &folder,
        "a.rhai",
        "let mock = mock_server();\nmock.respond(\"/it\", #{ status: 204 });\nhttp(\"GET\", mock.url + \"/it\").expect_status(204);\n",
    );
    let ran = run(&folder, &["run", "--simulate", "a.rhai"]);
    assert_code(&ran, 0);
    let said = "rules of SIP, SDP and RTP: none judged, there was nothing on the wire\n";
    assert!(stdout(&ran).contains(said), "{}", text(&ran));
}

#[test]
fn the_same_seed_is_the_same_run_byte_for_byte_however_many_run_at_a_time() {
    let folder = folder("same-seed");
    for line in [&[][..], &BAD_LINE] {
        let (told, captured) = examples(&folder, "7", &[&["-j4"], line].concat());
        let again = examples(&folder, "7", &[&["-j4"], line].concat());
        assert!(told == again.0, "{line:?}: the events differ");
        assert!(captured == again.1, "{line:?}: the captures differ");
        let alone = examples(&folder, "7", &[&["-j1"], line].concat());
        // How many ran at a time is told.
        assert_eq!(
            told.replacen(r#""jobs":4"#, r#""jobs":1"#, 1),
            alone.0,
            "{line:?}"
        );
        assert!(captured == alone.1, "{line:?}: the captures differ");
    }
}

#[test]
fn a_scenario_is_the_same_alone_and_among_others() {
    let of = |files: &[&str]| {
        let flags = [
            &["run", "--simulate", "--seed", "7", "--json"],
            &BAD_LINE[..],
            files,
        ]
        .concat();
        let ran = run(&root(), &flags);
        assert_code(&ran, 0);
        let scenario = r#""scenario":"examples/three-party-transfer.rhai""#;
        let told = without_ts(&stdout(&ran));
        told.lines()
            .filter(|line| line.contains(scenario))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let alone = of(&["examples/three-party-transfer.rhai"]);
    assert!(alone.len() > 20, "{alone:#?}");
    assert_eq!(alone, of(&["examples"]));
}

#[test]
fn another_seed_is_another_run_where_chance_has_a_part() {
    let folder = folder("other-seed");
    let line = &[&BAD_LINE[..], &["--network", "loss=5%"]].concat();
    let (_, one) = examples(&folder, "1", line);
    let (_, other) = examples(&folder, "2", line);
    let lost = |capture: &[u8]| {
        let mark = b"lost on its way";
        capture.windows(mark.len()).filter(|part| part == mark).count()
    };
    assert!(lost(&one) > 0 && lost(&other) > 0);
    assert!(one != other);
}

/// Runs what a person pastes into a shell behind `callwright`.
fn pasted(folder: &Path, replay: &str) -> Output {
    Command::new("sh")
        .arg("-c")
        .arg(format!("\"$CALLWRIGHT\" {replay}"))
        .env("CALLWRIGHT", env!("CARGO_BIN_EXE_callwright"))
        .env("NO_COLOR", "1")
        .current_dir(folder)
        .output()
        .expect("a shell")
}

/// Fails with some seeds, and something that never fails beside it.
const SOMETIMES: &str = r#"
    scenario("it's lost at times", || {
        let a = agent("A", #{ username: "alice", domain: "127.0.0.1" });
        let b = agent("B", #{ username: "bob", domain: "127.0.0.1" });
        a.dial(b.contact);
        await_until(|| assert(b.state).equals(State::Ringing), "400ms");
    });
    scenario("always fine", || log("fine"));
"#;

/// The failed scenario as it is shown, from its first event to its last line.
fn story(shown: &str) -> &str {
    let from = shown.find("  it's lost at times\n").expect("it begins");
    let to = shown.find("      hint ").expect("a hint");
    &shown[from..to]
}

#[test]
fn of_many_seeds_the_one_that_fails_is_shown_with_the_command_that_repeats_it() {
    let folder = folder("repeat");
    write(&folder, "lost calls.rhai", SOMETIMES);
    let many = [
        "run",
        "--simulate",
        "--seed",
        "41",
        "--repeat",
        "200",
        "--network",
        "loss=10%",
        "--set",
        "NOTE=a b",
        "lost calls.rhai",
    ];
    let ran = run(&folder, &many);
    assert_code(&ran, 1);
    let shown = stdout(&ran);
    assert_eq!(shown.matches("✗ ").count(), 1, "{shown}");
    // The seed is shown whole: what passed with it, too.
    assert_eq!(shown.matches("✓ ").count(), 1, "{shown}");
    let (_, replay) = shown
        .split_once("hint to see it again: callwright ")
        .unwrap_or_else(|| panic!("{shown}"));
    let replay = replay.lines().next().expect("a command");
    assert!(replay.starts_with("run --simulate --seed "), "{replay}");
    assert!(
        replay.contains(" --set 'NOTE=a b' --network loss=10% 'lost calls.rhai' --scenario "),
        "{replay}"
    );

    let again = pasted(&folder, replay);
    assert_code(&again, 1);
    assert_eq!(story(&stdout(&again)), story(&shown));

    // The seeds before it pass.
    let seed: u64 = replay
        .split_whitespace()
        .nth(3)
        .and_then(|seed| seed.parse().ok())
        .expect("a seed");
    assert!(seed > 41, "another first seed is needed, one that passes");
    let count = (seed - 41).to_string();
    let mut fewer = many;
    fewer[5] = &count;
    assert_code(&run(&folder, &fewer), 0);
}

/// While one fails slowly, more seeds behind it are begun the more run at a time, and nothing is told of them.
#[test]
fn nothing_is_told_of_seeds_behind_the_one_that_fails() {
    let folder = folder("behind");
    write(
        &folder,
        "a.rhai",
        r#"
        scenario("slow to fail", || {
            let a = agent("A", #{ username: "alice", domain: "127.0.0.1" });
            let b = agent("B", #{ username: "bob", domain: "127.0.0.1" });
            a.dial(b.contact);
            sleep("400ms");
            if b.state != State::Ringing {
                for i in 0..200000 {}
                throw "lost";
            }
        });
        "#,
    );
    let events = |jobs: &str| {
        let flags = [
            "run",
            "--simulate",
            "--seed",
            "41",
            "--repeat",
            "200",
            "--network",
            "loss=10%",
            "--json",
            jobs,
            "a.rhai",
        ];
        let ran = run(&folder, &flags);
        assert_code(&ran, 1);
        let told = without_ts(&stdout(&ran));
        told.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(events("-j1"), events("-j4"));
}

#[test]
fn what_made_a_scenario_fail_is_in_the_command_that_repeats_it() {
    let folder = folder("replay");
    write(
        &folder,
        "a.rhai",
        "print(env(\"WHO\")); wait(90); print(\"it is over\");",
    );
    write(&folder, "who.env", "WHO=somebody\n");
    let flags = [
        "--timeout",
        "1500ms",
        "--default-timeout",
        "40s",
        "--env-file",
        "who.env",
    ];
    let ran = run(
        &folder,
        &[&["run", "--simulate", "--seed", "3", "a.rhai"], &flags[..]].concat(),
    );
    assert_code(&ran, 1);
    let shown = stdout(&ran);
    assert!(
        shown.contains("the scenario did not end within 1500 ms")
            || shown.contains("the scenario did not end within 1.5 s"),
        "{shown}"
    );
    let (_, replay) = shown.split_once("see it again: callwright ").expect("a hint");
    let replay: Vec<&str> = replay.lines().next().expect("a command").split(' ').collect();
    let again = run(&folder, &replay);
    assert_code(&again, 1);
    assert_eq!(stdout(&again), shown);
}

/// Fails at the beginning of a file, or at its end, with some seeds.
#[test]
fn what_a_file_does_around_its_scenarios_can_be_repeated_too() {
    let folder = folder("around");
    let call = r#"
        let a = agent("A", #{ username: "alice", domain: "127.0.0.1" });
        let b = agent("B", #{ username: "bob", domain: "127.0.0.1" });
        a.dial(b.contact);
        await_until(|| assert(b.state).equals(State::Ringing), "400ms");
    "#;
    for step in ["setup_file", "teardown_file"] {
        let file =
            format!("{step}(|| {{{call}}});\nscenario(\"one\", || {{}});\nscenario(\"two\", || {{}});\n");
        write(&folder, "a.rhai", &file);
        let shown = |jobs: &str| {
            let ran = run(
                &folder,
                &[
                    "run",
                    "--simulate",
                    "--seed",
                    "41",
                    "--repeat",
                    "50",
                    "--network",
                    "loss=20%",
                    jobs,
                    "a.rhai",
                ],
            );
            assert_code(&ran, 1);
            stdout(&ran)
        };
        let once = shown("-j1");
        let (_, replay) = once
            .split_once("see it again: callwright ")
            .unwrap_or_else(|| panic!("{step}: {once}"));
        let replay = replay.lines().next().expect("a command");
        assert!(shown("-j4").contains(replay), "{step}: {replay}");
        let again = pasted(&folder, replay);
        assert_code(&again, 1);
        assert!(
            text(&again).contains(&format!("{step}: B state")),
            "{}",
            text(&again)
        );
    }
}

#[test]
fn a_server_that_is_a_program_of_its_own_cannot_be_simulated() {
    let folder = folder("program");
    write(
        &folder,
        "callwright.toml",
        "[[server]]\nname = \"pbx\"\ncommand = \"echo started > it; sleep 600\"\nready = \"sip:127.0.0.1:5070\"\n",
    );
    write(&folder, "a.rhai", "print(\"ran\");");
    let ran = run(&folder, &["run", "--simulate", "a.rhai"]);
    assert_code(&ran, 2);
    let said = text(&ran);
    assert!(
        said.contains("the server pbx is a program of its own, which cannot run in a simulation"),
        "{said}"
    );
    assert!(said.contains("--no-servers"), "{said}");
    assert!(!said.contains("ran\n"), "{said}");
    assert!(!folder.join("it").exists());
    assert_code(&run(&folder, &["run", "--simulate", "--no-servers", "a.rhai"]), 0);
}

#[test]
fn a_server_that_is_built_in_says_what_it_has_not_in_either_world() {
    let folder = folder("service");
    write(
        &folder,
        "callwright.toml",
        "[[server]]\ncallcenter = \"callcenter.toml\"\n",
    );
    write(&folder, "a.rhai", "print(\"ran\");");
    let listen = "[listen]\nudp = \"127.0.0.1:0\"\n";
    write(&folder, "callcenter.toml", listen);
    for flags in [&["run", "a.rhai"][..], &["run", "--simulate", "a.rhai"]] {
        let ran = run(&folder, flags);
        assert_code(&ran, 0);
        assert!(!text(&ran).contains("warning"), "{}", text(&ran));
    }
    let asks = "database = \"calls.db\"\n[http]\nlisten = \"127.0.0.1:0\"\ntoken = false\n[[queue]]\nname = \"support\"\nrecord = true\n";
    write(
        &folder,
        "callcenter.toml",
        &asks.replace("[http]", &format!("{listen}[http]")),
    );
    for flags in [&["run", "a.rhai"][..], &["run", "--simulate", "a.rhai"]] {
        let ran = run(&folder, flags);
        assert_code(&ran, 0);
        let warning = "warning: callcenter asks for database, [http], [[queue]] record, which a run has not";
        assert!(text(&ran).contains(warning), "{}", text(&ran));
    }
    assert!(!folder.join("calls.db").exists());
}

#[test]
fn conditions_of_the_network_are_understood_or_refused() {
    let folder = folder("conditions");
    write(&folder, "a.rhai", "print(\"ran\");");
    for (conditions, complaint) in [
        ("los=3%", "--network: unknown key `los`; did you mean `loss`?"),
        ("loss=3%,latency", "--network: \"latency\" is no condition"),
        ("loss=300%", "--network: "),
    ] {
        let ran = run(&folder, &["run", "--simulate", "--network", conditions, "a.rhai"]);
        assert_code(&ran, 2);
        assert!(text(&ran).contains(complaint), "{}", text(&ran));
        assert!(!text(&ran).contains("ran\n"), "{}", text(&ran));
    }
    write(&folder, "callwright.toml", "[run]\nnetwork = \"los=3%\"\n");
    let ran = run(&folder, &["run", "--simulate", "a.rhai"]);
    assert_code(&ran, 2);
    assert!(
        text(&ran).contains("network in callwright.toml: unknown key `los`"),
        "{}",
        text(&ran)
    );
}

#[test]
fn a_project_or_a_profile_of_it_can_ask_for_the_simulation() {
    let folder = folder("project");
    write(
        &folder,
        "callwright.toml",
        r#"
        [run]
        simulate = true
        seed = 5

        [profile.cut.run]
        network = "loss=100%"

        [profile.patient.run]
        network = "loss=100%"
        default-timeout = "50s"

        [profile.real.run]
        simulate = false
        "#,
    );
    // A call that nobody answers ends after 64·T1 (RFC 3261 §17.1.1.2, Timer B).
    write(
        &folder,
        "a.rhai",
        r#"
        let a = agent("A", #{ username: "alice", domain: "127.0.0.1" });
        let b = agent("B", #{ username: "bob", domain: "127.0.0.1" });
        a.dial(b.contact);
        await_until(|| assert(b.state == State::Ringing || a.reason != ()).is_true());
        print(if b.state == State::Ringing { "it rings" } else { "nobody answers" });
        "#,
    );
    let ran = |flags: &[&str], code: i32| {
        let ran = run(&folder, &[&["run", "a.rhai"], flags].concat());
        assert_code(&ran, code);
        text(&ran)
    };
    let shown = ran(&[], 0);
    assert!(shown.starts_with("simulated, seed 5\n"), "{shown}");
    assert!(shown.contains("it rings\n"), "{shown}");
    let shown = ran(&["--profile", "cut"], 1);
    assert!(shown.contains("after waiting 5"), "{shown}");
    let shown = ran(&["--profile", "patient"], 0);
    assert!(shown.contains("nobody answers\n"), "{shown}");
    // The command line counts more.
    let shown = ran(&["--profile", "patient", "--network", "loss=0%"], 0);
    assert!(shown.contains("it rings\n"), "{shown}");
    let shown = ran(&["--profile", "patient", "--default-timeout", "2s"], 1);
    assert!(shown.contains("after waiting 2"), "{shown}");
    let shown = ran(&["--profile", "real"], 0);
    assert!(!shown.contains("simulated"), "{shown}");
}

/// Waits until it prints that.
fn printed(child: &mut Child, wanted: &str) {
    let stdout = child.stdout.as_mut().expect("a pipe");
    let mut seen = String::new();
    while !seen.contains(wanted) {
        let mut piece = [0; 256];
        let length = stdout.read(&mut piece).expect("it prints");
        assert!(length > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
}

#[test]
fn an_interrupt_ends_ten_thousand_hours_of_virtual_time_at_once() {
    let folder = folder("interrupt");
    for (name, wait) in [
        ("advance", "advance(\"10000h\")"),
        ("wait", "wait(36000000)"),
        (
            "await",
            "await_until(|| assert(a.state).equals(State::Idle), \"10000h\")",
        ),
    ] {
        let script = format!(
            r#"
            let a = agent("A", #{{ username: "alice", domain: "127.0.0.1" }});
            let b = agent("B", #{{ username: "bob", domain: "127.0.0.1" }});
            a.dial(b.contact);
            await_until(|| assert(b.state).equals(State::Ringing));
            b.accept();
            await_until(|| assert(a.state).equals(State::Established));
            print("they talk");
            {wait};
            print("it is over");
            "#
        );
        let file = format!("{name}.rhai");
        write(&folder, &file, &script);
        let mut child = command(&folder, &["run", "--simulate", &file])
            .spawn()
            .expect("it runs");
        printed(&mut child, "they talk");
        let pid = child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", "INT", &pid])
            .status()
            .expect("kill");
        assert!(sent.success());
        let ended = child.wait_with_output().expect("it ends");
        assert_code(&ended, 130);
        let shown = text(&ended);
        assert!(shown.contains("1 scenario: 0 passed, 1 interrupted"), "{shown}");
        assert!(!shown.contains("it is over"), "{shown}");
    }
}

#[test]
fn exit_codes_are_those_of_every_run() {
    let folder = folder("codes");
    write(&folder, "good.rhai", "scenario(\"good\", || log(\"fine\"));");
    write(&folder, "bad.rhai", "scenario(\"bad\", || assert(1).equals(2));");
    write(&folder, "broken.rhai", "let x = ;");
    write(
        &folder,
        "flaky.rhai",
        r#"
        scenario("flaky", #{ retries: 200 }, || {
            network(#{ loss: "50%" });
            let a = agent("A", #{ username: "alice", domain: "127.0.0.1" });
            let b = agent("B", #{ username: "bob", domain: "127.0.0.1" });
            a.dial(b.contact);
            await_until(|| assert(b.state).equals(State::Ringing), "100ms");
        });
        "#,
    );
    for (arguments, code) in [
        (&["good.rhai"][..], 0),
        (&["bad.rhai"], 1),
        (&["broken.rhai"], 1),
        (&["--tag", "none", "good.rhai"], 1),
        (&["--repeat", "0", "good.rhai"], 2),
        (&["--seed", "many", "good.rhai"], 2),
        (&["nowhere.rhai"], 2),
        (&["flaky.rhai"], 0),
        (&["--repeat", "20", "--flaky", "fail", "flaky.rhai"], 1),
    ] {
        let ran = run(&folder, &[&["run", "--simulate"], arguments].concat());
        assert_eq!(ran.status.code(), Some(code), "{arguments:?}: {}", text(&ran));
    }
}

#[test]
fn a_server_that_cannot_start_makes_the_run_invalid() {
    let folder = folder("two-on-a-port");
    write(&folder, "callcenter.toml", "[listen]\nudp = \"127.0.0.1:5060\"\n");
    write(
        &folder,
        "callwright.toml",
        "[[server]]\nname = \"first\"\ncallcenter = \"callcenter.toml\"\n\
         [[server]]\nname = \"second\"\ncallcenter = \"callcenter.toml\"\n",
    );
    write(&folder, "a.rhai", "print(\"ran\");");
    let ran = run(&folder, &["run", "--simulate", "a.rhai"]);
    assert_code(&ran, 3);
    let said = text(&ran);
    assert!(said.contains("the server \"second\" does not start"), "{said}");
    assert!(!said.contains("ran\n"), "{said}");
}
