//! What is known about a script without a call.

mod support;

use std::path::Path;

use callwright_scenario::Settings;
use callwright_script::{Severity, check, check_all};
use support::Folder;

/// What `check` says about a script, one a line.
fn findings(text: &str) -> Vec<String> {
    let folder = Folder::new();
    let file = folder.file("test.rhai", text);
    let name = format!("{}:", file.display());
    check(&file, &Settings::default())
        .into_iter()
        .map(|found| {
            let word = match found.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let place = found.at.to_string();
            format!(
                "{}: {word}: {}",
                place.strip_prefix(&name).unwrap_or(&place),
                found.message
            )
        })
        .collect()
}

#[test]
fn a_right_script_has_no_findings() {
    let text = r#"
        let domain = env("SIP_DOMAIN", "example.com");
        fn up(a, b) {
            a.dial(b);
            await_until(|| assert(b.state).equals(State::Ringing), "5s");
        }
        setup(|| {
            let caller = agent("Caller", #{ username: "alice" + worker, domain: domain, headers: #{ "X-A": ["1", "2"] } });
            let callee = agent("Callee", #{ username: "bob", domain: domain, auto_answer: "250ms" });
            #{ caller: caller, callee: callee, greet: |name| "hi " + name }
        });
        teardown(|ctx| if ctx != () { ctx.caller.hangup(); });
        scenario("calls", #{ tags: ["smoke"], timeout: "60s" }, |ctx| {
            up(ctx.caller, ctx.callee);
            ctx.callee.accept();
            wait(1.5);
            verify_audio(ctx.caller, 1000, "2s");
            print(ctx.greet("x"));
            for call in [1, 2] { }
        });
    "#;
    assert_eq!(
        findings(&text.replace("for call", "for leg")),
        Vec::<String>::new()
    );
}

#[test]
fn syntax_is_shown_at_its_place() {
    assert_eq!(
        findings("let a = ;"),
        ["1:9: error: syntax error: Unexpected ';'"]
    );
    assert_eq!(
        findings("let a = 1;\nif a {"),
        ["2:7: error: syntax error: Expecting '}' to terminate this block"]
    );
}

#[test]
fn unknown_names_come_with_the_nearest_right_one() {
    assert_eq!(
        findings("asert(1);"),
        ["1:1: error: unknown function `asert`; did you mean `assert`?"]
    );
    assert_eq!(
        findings(
            "let a = agent(\"A\", #{ username: \"a\", domain: \"x\" });\na.dail(\"b\");\nprint(a.stat);"
        ),
        [
            "2:3: error: unknown method `dail` of Agent; did you mean `dial`?",
            "3:9: error: unknown property `stat` of Agent; did you mean `state`?",
        ]
    );
    assert_eq!(
        findings("assert(1).equal(1);"),
        ["1:11: error: unknown matcher `equal` of Assertion; did you mean `equals`?"]
    );
    assert_eq!(
        findings("assert(1).at_least(1).at_moost(2);"),
        ["1:23: error: unknown matcher `at_moost` of Assertion; did you mean `at_most`?"]
    );
    assert_eq!(
        findings("let name = 1;\nprint(nam);"),
        ["2:7: error: unknown variable `nam`; did you mean `name`?"]
    );
}

#[test]
fn the_number_of_arguments_is_counted() {
    assert_eq!(
        findings("default_timeout();"),
        ["1:1: error: `default_timeout` cannot be called with 0 arguments"]
    );
    assert_eq!(
        findings("let a = agent(\"A\", #{ username: \"a\", domain: \"x\" });\na.hangup(1);"),
        ["2:3: error: `hangup` cannot be called with 1 argument"]
    );
}

#[test]
fn keys_and_options_are_known() {
    assert_eq!(
        findings("agent(\"A\", #{ username: \"a\", domian: \"x\" });"),
        ["1:30: error: unknown key `domian`; did you mean `domain`?"]
    );
    assert_eq!(
        findings("agent(\"A\", #{ username: \"a\" });"),
        ["1:1: error: agent \"A\": the key `domain` is missing"]
    );
    assert_eq!(
        findings("agent(\"A\", #{ username: env(\"U\", \"\"), domain: \"x\", transport: \"upd\" });"),
        ["1:52: error: agent \"A\": `transport`: \"upd\" is not one of \"udp\", \"tcp\", \"tls\""]
    );
    assert_eq!(
        findings("scenario(\"x\", #{ tag: \"a\" }, || {});"),
        ["1:18: error: unknown option `tag`; did you mean `tags`?"]
    );
    assert_eq!(
        findings("http(\"GET\", \"http://x\", #{ header: #{} });"),
        ["1:28: error: unknown option `header`; did you mean `headers`?"]
    );
    assert_eq!(
        findings("network(#{ jiter: \"10ms\" });"),
        ["1:12: error: unknown key `jiter`; did you mean `jitter`?"]
    );
    assert_eq!(
        findings("let s = \"callcenter\"; network(s, s, #{ latency: \"40ms\", loss: \"2\" });"),
        ["1:57: error: network: `loss`: expected a share such as \"2%\", from 0% to 100%, not \"2\""]
    );
    assert_eq!(
        findings("advance(\"10\");"),
        ["1:9: error: \"10\" has no unit; write \"10s\" for seconds, or use ms, m or h"]
    );
    assert_eq!(
        findings("mock_server(#{ prt: 1 });"),
        ["1:16: error: unknown key `prt`; did you mean `port`?"]
    );
}

#[test]
fn literals_that_cannot_be_used_are_found() {
    assert_eq!(
        findings("default_timeout(\"10\");"),
        ["1:17: error: \"10\" has no unit; write \"10s\" for seconds, or use ms, m or h"]
    );
    assert!(findings("regex(\"(\");")[0].starts_with("1:7: error: \"(\" is not a regular expression"));
    assert_eq!(
        findings("import \"none\" as n;"),
        ["1:8: error: the module \"none\" is not found"]
    );
}

#[test]
fn variables_that_are_not_set_are_warnings() {
    assert_eq!(
        findings("print(env(\"CALLWRIGHT_NOT_SET\"));"),
        ["1:11: warning: the variable CALLWRIGHT_NOT_SET is not set here"]
    );
    assert_eq!(
        findings("print(env(\"CALLWRIGHT_NOT_SET\", \"x\"));"),
        Vec::<String>::new()
    );
}

#[test]
fn modules_are_checked_too() {
    let folder = Folder::new();
    folder.file("lib/h.rhai", "fn f() {\n  asert(1);\n}");
    let file = folder.file("test.rhai", "import \"lib/h\" as h;\nh::f();");
    let found = check(&file, &Settings::default());
    assert_eq!(found.len(), 1);
    assert!(
        found[0].at.to_string().ends_with("lib/h.rhai:2:3"),
        "{}",
        found[0].at
    );
}

#[test]
fn functions_of_the_script_and_of_its_modules_are_known() {
    assert_eq!(
        findings("fn up(a, b) { a + b }\nup(1);\nup(1, 2);\nlet x = || up(1, 2);"),
        ["2:1: error: `up` cannot be called with 1 argument"]
    );
    let folder = Folder::new();
    folder.file("lib/h.rhai", "fn connect(a, b) { a + b }\nfn twice(x) { x * 2 }");
    let text = "import \"lib/h\" as h;\nh::conect(1, 2);\nh::twice();\nh::connect(1, h::twice(2));\nlet f = || h::twice(1);";
    let file = folder.file("test.rhai", text);
    let found: Vec<_> = check(&file, &Settings::default())
        .into_iter()
        .map(|found| {
            format!(
                "{}:{}: {} {:?}",
                found.at.line, found.at.column, found.message, found.hints
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "2:4: unknown function `h::conect`; did you mean `connect`? []",
            "3:4: `h::twice` cannot be called with 0 arguments [\"it is h::twice(x)\"]",
        ]
    );
}

#[test]
fn states_are_known() {
    assert_eq!(
        findings(
            "let a = [State::Idle, State::Established];\nprint(a == State::Idel);\nfn f() { State::Rining }"
        ),
        [
            "2:19: error: unknown state `State::Idel`; did you mean `Idle`?",
            "3:17: error: unknown state `State::Rining`; did you mean `Ringing`?",
        ]
    );
}

#[test]
fn a_stranger_has_no_nearest_name() {
    assert_eq!(findings("b();"), ["1:1: error: unknown function `b`"]);
    assert_eq!(findings("fn f() {}\ng();"), ["2:1: error: unknown function `g`"]);
}

#[test]
fn a_missing_file_is_a_warning_since_it_may_be_made_meanwhile() {
    assert!(findings("let x = file(\"none.wav\");")[0].starts_with("1:14: warning: there is no file "));
    assert!(findings("load_env(\"none.env\");")[0].starts_with("1:10: warning: cannot read "));
}

#[test]
fn what_is_tried_may_fail() {
    assert_eq!(
        findings("try { agent(\"A\", #{ username: \"a\" }) } catch (e) { print(e) }\nasert(1);"),
        [
            "2:1: error: unknown function `asert`; did you mean `assert`?",
            "1:7: warning: agent \"A\": the key `domain` is missing",
        ]
    );
}

/// Nothing is said about these.
#[track_caller]
fn right(text: &str) {
    assert_eq!(findings(text), Vec::<String>::new(), "{text}");
}

#[test]
fn parameters_and_caught_errors_hide_variables_of_the_same_name() {
    let agent = "agent(\"A\", #{ username: \"a\", domain: \"x\" })";
    right(
        "let r = http(\"GET\", \"http://x\");\nlet m = mock_server();\nm.on(\"GET\", \"/a\", |r| json_response(r.path));",
    );
    right(&format!(
        "setup(|| {{ let ctx = {agent}; #{{ phone: ctx }} }});\nscenario(\"x\", |ctx| {{ ctx.phone.hangup(); }});"
    ));
    right(&format!(
        "let c = {agent};\nprint(c.calls.filter(|c| c.phase == \"held\"));"
    ));
    right(&format!(
        "let e = {agent};\ntry {{ throw #{{ code: 1 }} }} catch (e) {{ print(e.code) }}"
    ));
    right(&format!(
        "let i = {agent};\nfor (x, i) in [#{{ code: 1 }}] {{ print(x.code); print(i.code) }}"
    ));
    assert_eq!(
        findings(&format!("let a = {agent};\nlet f = |x| a.stat;")),
        ["2:15: error: unknown property `stat` of Agent; did you mean `state`?"]
    );
}

#[test]
fn maps_of_closures_have_the_methods_that_they_have() {
    right(
        "let bus = #{ send: |name, data| data, wait: |how| how, on: |n| n, dtmf: |x| x };\n\
        bus.send(\"t\", #{ data: 1 }); bus.wait(\"soon\"); bus.on(3); bus.dtmf(\"xyz\");",
    );
    right("let h = #{};\nh[\"ring\"] = |x| x;\nh.ring(1);");
    right("let h = #{};\nlet name = \"state\";\nh.state = |x| x;\nh.state(1);");
    assert_eq!(
        findings("let h = #{};\nlet name = \"ring\";\nh[name] = |x| x;\nh.ring(1);"),
        ["4:3: warning: unknown function `ring`; did you mean `find`?"]
    );
    let folder = Folder::new();
    folder.file("lib/bus.rhai", "fn make() { #{ publish: |x| x } }");
    let file = folder.file(
        "test.rhai",
        "import \"lib/bus\" as bus;\nlet b = bus::make();\nb.publish(1);",
    );
    assert_eq!(check(&file, &Settings::default()), []);
}

#[test]
fn functions_of_the_script_hide_those_of_the_language() {
    right("fn file(name) { name }\nprint(file(\"x\"));");
    right("fn agent(name) { #{ up: name } }\nlet a = agent(\"x\");\nprint(a.up);");
    right("fn wait(how) { how }\nwait(\"soon\");");
    right("fn scenario(name) { name }\nscenario(\"x\");\nscenario(\"x\");");
}

#[test]
fn what_the_script_asks_for_may_be_there() {
    right("if is_def_var(\"K\") { print(K) }");
    right("if is_def_fn(\"later\", 1) { later(1) }");
}

#[test]
fn two_scenarios_of_one_name_are_wrong_where_both_are_registered() {
    right(
        "let c = env(\"C\", \"\") == \"\";\nif c { scenario(\"x\", || {}) } else { scenario(\"x\", || {}) }",
    );
    assert_eq!(
        findings("scenario(\"x\", || {});\nscenario(\"x\", || {});"),
        ["2:10: error: there are two scenarios with the name \"x\""]
    );
}

#[test]
fn all_unknown_variables_are_shown() {
    assert_eq!(
        findings(
            "let a = State::Idle;\nassert(a).equals(State::Idle);\nprint(misspelt);\nfn f() { print(other) }\n\
             scenario(\"x\", || print(third));\nprint(misspelt);"
        ),
        [
            "3:7: error: unknown variable `misspelt`",
            "4:16: error: unknown variable `other`",
            "5:24: error: unknown variable `third`",
        ]
    );
    assert_eq!(
        findings("import \"x\" as phones;\nphone::make();")[1],
        "2:1: error: unknown module `phone`; did you mean `phones`?"
    );
}

#[test]
fn an_assertion_without_a_matcher_is_wrong() {
    let said = "this assertion has no matcher: it passes whatever the value is";
    assert_eq!(findings("assert(1 == 2);"), [format!("1:1: error: {said}")]);
    assert_eq!(
        findings(
            "fn f() {\n assert(1).describe(\"one\");\n if true { assert(2) }\n for x in [1] { assert(x) }\n assert(3) }"
        ),
        [
            format!("2:2: error: {said}"),
            format!("3:12: error: {said}"),
            format!("4:17: error: {said}"),
        ]
    );
    assert_eq!(
        findings(
            "let a = 1;\nawait_until(|| assert(a == 2));\nscenario(\"x\", || { assert(a == 2) });\nparallel([|| assert(1)]);"
        ),
        [
            format!("2:16: error: {said}"),
            format!("3:20: error: {said}"),
            format!("4:14: error: {said}"),
        ]
    );
    right(
        "fn of(x) { assert(x) }\nof(1).equals(1);\nlet f = |x| assert(x);\nf.call(1).equals(1);\nlet a = assert(2);\na.equals(2);",
    );
}

#[test]
fn a_property_that_is_called_is_told_to_be_one() {
    let agent = "let a = agent(\"A\", #{ username: \"a\", domain: \"x\" });";
    assert_eq!(
        findings(&format!(
            "{agent}\na.state();\na.quality.mos();\na.dial;\nlet b = [a];\nb[0].state();"
        )),
        [
            "2:3: error: `state` is a property: write `a.state`",
            "3:11: error: `mos` is a property: write `.mos`",
            "4:3: error: `dial` is a function of Agent: write `.dial(…)`",
            "6:6: error: `state` is a property: write `.state`",
        ]
    );
    assert_eq!(
        findings(&format!("{agent}\nprint(a.quality.moss);")),
        ["2:17: error: unknown property `moss` of Quality; did you mean `mos`?"]
    );
}

#[test]
fn matchers_are_counted_even_where_rhai_has_a_function_of_the_name() {
    assert_eq!(
        findings(
            "assert(\"x\").contains();\nassert(\"x\").len();\nassert(\"x\").contains(\"x\").contains(1, 2);"
        ),
        [
            "1:13: error: `contains` cannot be called with 0 arguments",
            "2:13: error: unknown matcher `len` of Assertion",
            "3:27: error: `contains` cannot be called with 2 arguments",
        ]
    );
    right("print(assert(\"x\").contains(\"x\").to_string());");
}

#[test]
fn options_of_scenarios_are_checked() {
    assert_eq!(
        findings("scenario(\"a\", #{ timeout: \"5\", retries: -1, skip: 3, only: \"yes\" }, || {});"),
        [
            "1:18: error: \"5\" has no unit; write \"5s\" for seconds, or use ms, m or h",
            "1:32: error: scenario \"a\": `retries` is a number, 0 or more, not -1",
            "1:45: error: scenario \"a\": `skip` is true or a reason, not 3",
            "1:54: error: scenario \"a\": `only` is true or false, not \"yes\"",
        ]
    );
}

#[test]
fn a_literal_for_something_unknown_is_a_warning() {
    assert_eq!(
        findings("scenario(\"x\", |ctx| { ctx.a.dtmf(\"xyz\"); ctx.a.dail(); });"),
        [
            "1:48: error: unknown function `dail`; did you mean `dial`?",
            "1:34: warning: dtmf: 'x' is no digit; digits are 0-9 * # A-D",
        ]
    );
    assert_eq!(
        findings("fn f(a) { dtmf(a, \"xyz\"); }"),
        ["1:19: error: dtmf: 'x' is no digit; digits are 0-9 * # A-D"]
    );
}

#[test]
fn a_library_is_checked_as_a_part_of_what_imports_it() {
    let folder = Folder::new();
    let library = folder.file(
        "lib/audio.rhai",
        "fn ready(a) { a.send_audio(file(\"greeting.wav\")); }\nfn more() { import \"util\" as u; u::x(); asert(1); }",
    );
    folder.file("greeting.wav", "");
    let util = folder.file("util.rhai", "fn x() { 1 }");
    let one = folder.file("one.rhai", "import \"lib/audio\" as audio;\naudio::ready(1);");
    let two = folder.file("two.rhai", "import \"lib/audio\" as audio;\naudio::more();");
    let lonely = folder.file("lonely.rhai", "fn f() { asert(2) }");
    let all = [library.clone(), lonely, one, two, util];
    let found: Vec<_> = check_all(&all, &Settings::default())
        .into_iter()
        .map(|found| {
            let name = Path::new(&*found.at.file).file_name().unwrap().to_owned();
            format!("{}:{}: {}", name.display(), found.at.line, found.message)
        })
        .collect();
    assert_eq!(
        found,
        [
            "lonely.rhai:1: unknown function `asert`; did you mean `assert`?",
            "audio.rhai:2: unknown function `asert`; did you mean `assert`?",
        ]
    );
    let alone = check_all(&[library], &Settings::default());
    assert_eq!(alone.len(), 3, "{alone:#?}");
}

#[test]
fn modules_that_import_each_other_are_checked() {
    let folder = Folder::new();
    let a = folder.file("a.rhai", "import \"b\" as b;\nfn x() { asert(1) }");
    let b = folder.file("b.rhai", "import \"a\" as a;\nfn y() { asert(2) }");
    assert_eq!(check_all(&[a, b], &Settings::default()).len(), 2);
}

#[test]
fn the_text_of_a_file_may_be_unreadable() {
    let folder = Folder::new();
    let file = folder.file("test.rhai", "\u{feff}asert(1);");
    assert_eq!(check(&file, &Settings::default())[0].at.column, 1);
    std::fs::write(&file, b"let a = 1;\n  \xff").unwrap();
    let found = check(&file, &Settings::default());
    assert_eq!(
        (found[0].at.line, found[0].at.column, found[0].message.as_str()),
        (2, 3, "the byte 0xff is not UTF-8; save the file as UTF-8")
    );
}

#[test]
fn variables_beside_a_script_that_cannot_be_read_are_an_error_in_their_file() {
    let folder = Folder::new();
    let script = folder.file("call.rhai", "assert(env(\"A\", \"\")).equals(\"\");");
    folder.file("call.env", "A=1\nnonsense\n");
    let found = check(&script, &Settings::default());
    let [broken] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(broken.severity, Severity::Error);
    assert!(broken.at.file.ends_with("call.env"), "{}", broken.at.file);
    assert_eq!((broken.at.line, &*broken.message), (2, "not KEY=VALUE"));
}

#[test]
fn what_is_not_certain_is_no_error() {
    let folder = Folder::new();
    folder.file(
        "lib/mod.rhai",
        "export const names = [\"x\"];\nfn host() { target_host }",
    );
    let script = folder.file(
        "call.rhai",
        r#"
        import "lib/mod" as h;
        let names = agent("N", #{ username: "n", domain: "127.0.0.1" });
        print(h::names.len());
        // The closure has ended before the call begins.
        names.dial(await_until(|| { assert(names.state).equals(State::Idle); names.contact }));
        "#,
    );
    let found = check(&script, &Settings::default());
    assert!(
        found.iter().all(|found| found.severity == Severity::Warning),
        "{found:?}"
    );
    assert_eq!(found.len(), 1, "{found:?}");
}
