//! Files that are imported: what counts as one, and where the errors of their closures stand.

mod support;

use callwright_events::{ExitCode, RunEvent};
use callwright_script::{is_library, unused};
use support::{Folder, Runner, run};

const PHONES: &str = r#"
fn make(name) { agent(name, #{ username: name, domain: "example.com" }) }
fn all() { scenario("one", || {}); scenario("two", || {}); }
"#;

#[test]
fn a_file_that_makes_agents_through_a_module_is_no_library() {
    let folder = Folder::new();
    let phones = folder.file("lib/phones.rhai", PHONES);
    assert!(is_library(&phones));
    for text in [
        "let l = [\"r1\", \"r2\"].map(|n| phones::make(n));",
        "fn up(n) { phones::make(n) }\nup(\"x\");",
        "let up = || phones::make(\"x\");\nup.call();",
        "fn up(n) { phones::make(n) }\nlet f = Fn(\"up\");\nf.call(\"x\");",
    ] {
        let file = folder.file("test.rhai", &format!("import \"lib/phones\" as phones;\n{text}"));
        assert!(!is_library(&file), "{text}");
    }
    let file = folder.file(
        "test.rhai",
        "import \"lib/phones\" as phones;\nfn up(n) { phones::make(n) }",
    );
    assert!(is_library(&file), "nothing calls `up`");
}

#[test]
fn scenarios_that_a_module_registers_are_scenarios() {
    let runner = Runner::new();
    runner.folder.file("lib/phones.rhai", PHONES);
    let ran = runner.run_text("import \"lib/phones\" as phones;\nfn reg() { phones::all(); }\nreg();");
    let names: Vec<_> = ran
        .passed()
        .verdicts()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["one", "two"]);
}

const HANDED: &str = r#"
fn wait_for(f) { await_until(f, "100ms"); }
fn reg(name, f) { scenario(name, f); }
fn hook(m, path, f) { m.on(path, f); }
fn par(tasks) { parallel(tasks); }
fn now(f) { f.call(); }
fn each(f) { [1].for_each(f); }
fn inside(x) { assert(x).equals(7); }
"#;

/// Runs a script that hands closures to a module.
fn handed(text: &str) -> support::Ran {
    let runner = Runner::new();
    runner.folder.file("lib/h.rhai", HANDED);
    runner.run_text(&format!("import \"lib/h\" as h;\n\n\n\n\n\n\n\n\n\n{text}"))
}

#[test]
fn a_closure_that_a_module_calls_is_shown_in_its_own_file() {
    for call in [
        "h::wait_for(|| assert(1).equals(2));",
        "h::now(|| assert(1).equals(2));",
        "h::par([|| assert(1).equals(2)]);",
        "h::each(|| assert(1).equals(2));",
        "h::reg(\"x\", || assert(1).equals(2));",
    ] {
        let ran = handed(call);
        let column = call.find(".equals").unwrap() + 2;
        assert!(
            ran.error().starts_with(&format!("11:{column}: ")),
            "{call}: {}",
            ran.error()
        );
        let excerpt = ran.failure().excerpt;
        assert_eq!(excerpt.as_deref(), Some(call), "{call}");
    }
    let ran = handed("h::now(|| h::inside(2));");
    assert_eq!(ran.error(), "lib/h.rhai:8:26: expected 7, but it was 2");
}

#[test]
fn so_are_its_assertions_and_the_responder_of_a_mock_server() {
    let ran = handed("h::now(|| assert(1).equals(1));");
    let file = ran.passed().events.iter().find_map(|event| match event {
        RunEvent::Assertion { location, .. } => location.clone(),
        _ => None,
    });
    assert!(file.unwrap().file.ends_with("test.rhai"));
    let ran =
        handed("let m = mock_server();\nh::hook(m, \"/x\", |r| r.nothing);\nhttp(\"GET\", m.url + \"/x\");");
    let error = ran.events.iter().find_map(|event| match event {
        RunEvent::MockError { error, .. } => Some(error.clone()),
        _ => None,
    });
    let error = error.unwrap();
    assert!(error.contains("test.rhai:12:24"), "{error}");
}

#[test]
fn a_limit_is_reported_where_it_was_exceeded() {
    let ran = run("fn f(x) { f(x + 1) }\nscenario(\"x\", || {\n    f(0);\n});");
    assert!(ran.error().starts_with("3:5: "), "{}", ran.error());
}

#[test]
fn a_closure_that_outlived_its_module_is_explained() {
    let runner = Runner::new();
    runner.folder.file("lib/h.rhai", "fn make() { |x| x + 1 }");
    let ran = runner.run_text("import \"lib/h\" as h;\nlet f = h::make();\nprint(f.call(1));");
    assert_eq!(
        ran.error(),
        "3:9: this closure was made by a module, and is known only while a function of that module runs"
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_script() {
    let runner = Runner::new();
    runner.folder.file("lib/h.rhai", "\u{feff}fn one() { 1 }");
    let ran = runner.run_text("\u{feff}import \"lib/h\" as h;\nprint(h::one());");
    assert_eq!(ran.passed().printed(), ["1"]);
}

#[test]
fn a_file_that_is_not_utf_8_is_shown_at_the_byte() {
    let runner = Runner::new();
    let file = runner.folder.file("test.rhai", "");
    std::fs::write(&file, b"let a = 1;\nlet \xc3\xa4 = \"\xe4\";\n").unwrap();
    let ran = runner.run(&[file]);
    assert_eq!(
        ran.error(),
        "2:10: the byte 0xe4 is not UTF-8; save the file as UTF-8"
    );
}

#[test]
fn a_file_that_does_nothing_fails_when_it_is_run() {
    for text in [
        "",
        "// nothing yet\n",
        "fn helper(x) { assert(x).is_true() }",
        "let a = env(\"A\", \"\");",
    ] {
        let ran = run(text);
        assert_eq!(ran.code, ExitCode::Failed, "{text}");
        assert_eq!(
            ran.error(),
            "1:1: this file does nothing: it calls neither `scenario` nor `agent`, and asserts nothing"
        );
    }
    for text in [
        "assert(1).equals(1);",
        "http(\"GET\", mock_server().url);",
        "if 1 > 2 { throw \"no\" }",
        "fn f() { wait(1) }\nf();",
    ] {
        run(text).passed();
    }
}

#[test]
fn a_file_without_agents_and_scenarios_runs_only_when_it_is_named() {
    let folder = Folder::new();
    let text = "http(\"GET\", mock_server().url).expect_status(404);";
    assert!(is_library(&folder.file("test.rhai", text)));
    run(text).passed();
}

#[test]
fn every_function_of_a_name_is_looked_at() {
    let folder = Folder::new();
    // Which of two functions is met first is chance: many names leave none.
    for number in 0..12 {
        let text = format!(
            "fn phone{number}(n) {{ phone{number}(n, \"x\") }}\nfn phone{number}(n, more) {{ scenario(n + more, || {{}}) }}\n\
             phone{number}(\"s\");"
        );
        assert!(!is_library(&folder.file("test.rhai", &text)), "{text}");
    }
}

#[test]
fn a_file_that_is_neither_run_nor_imported_is_known() {
    let folder = Folder::new();
    let scenario = folder.file(
        "call.rhai",
        "import \"lib/used\" as u;\nscenario(\"x\", || { u::f(); });",
    );
    let used = folder.file("lib/used.rhai", "import \"deeper\" as d;\nfn f() { d::g() }");
    let deeper = folder.file("lib/deeper.rhai", "fn g() { 1 }");
    let misspelt = folder.file("typo.rhai", "scenrio(\"y\", || {});");
    assert_eq!(unused(&[scenario], &[used, deeper, misspelt.clone()]), [misspelt]);
}
