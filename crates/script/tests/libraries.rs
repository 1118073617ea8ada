//! Files that are imported: what counts as one, and where the errors of their closures stand.

mod support;

use callwright_script::is_library;
use support::{Folder, Runner};

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
