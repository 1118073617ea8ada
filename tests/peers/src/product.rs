//! The binary under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Runs `callwright` with `arguments` to its end.
pub fn callwright(arguments: &[&str]) -> Output {
    let mut command = command();
    command.args(arguments);
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// A command for `callwright`, to be given arguments, an environment, a folder. It starts no server of a project: here the
/// peers are that.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    command.env("NO_COLOR", "1").env("CALLWRIGHT_NO_SERVERS", "1");
    command
}

/// The path of an example, such as `two-party.rhai`.
pub fn example(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name);
    path.canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The binary: the one that `CALLWRIGHT_BIN` names, else that of the build which this test belongs to. It is built
/// when it is missing or older than its sources, so that a test alone never runs yesterday's program.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("CALLWRIGHT_BIN") {
        Some(named) => PathBuf::from(named),
        None => {
            let built = beside_this_test();
            if !is_current(&built) {
                build();
            }
            built
        }
    })
}

/// A test lies in `target/PROFILE/deps`, the binaries in `target/PROFILE`.
fn beside_this_test() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("a test lies in a folder of a folder");
    profile.join("callwright")
}

/// The sources of a binary stand beside it in a file for make: `binary: source source …`.
fn is_current(binary: &Path) -> bool {
    let modified = |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
    let Some(built) = modified(binary) else {
        return false;
    };
    let Ok(rule) = std::fs::read_to_string(binary.with_extension("d")) else {
        return false;
    };
    let sources = rule.split_once(": ").map_or("", |(_, sources)| sources);
    sources
        .split_whitespace()
        .all(|source| modified(Path::new(source)).is_some_and(|changed| changed <= built))
}

fn build() {
    let mut cargo = Command::new("cargo");
    cargo.args([
        "build",
        "--quiet",
        "--package",
        "callwright-cli",
        "--bin",
        "callwright",
    ]);
    let status = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "{cargo:?}: {status}");
}
