//! The clock ban is more than a file that is there: clippy refuses an engine that reads a clock.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use xtask::tidy;

const MANIFEST: &str = "[package]\nname = 'engine'\nversion = '0.0.0'\nedition = '2024'\n[workspace]\n";
const OBEDIENT: &str = "pub fn deadline(now: u64) -> u64 { now + 500 }\n";

/// One call for each kind of thing that an engine must not reach, and the name that clippy must give.
const FORBIDDEN: [(&str, &str); 6] = [
    (
        "pub fn now() -> std::time::Instant { std::time::Instant::now() }",
        "std::time::Instant::now",
    ),
    (
        "pub fn now() -> std::time::SystemTime { std::time::SystemTime::now() }",
        "std::time::SystemTime::now",
    ),
    (
        "pub fn nap() { std::thread::sleep(std::time::Duration::ZERO) }",
        "std::thread::sleep",
    ),
    (
        "pub fn run() { std::thread::spawn(|| ()); }",
        "std::thread::spawn",
    ),
    (
        "pub fn open() { let _ = std::net::UdpSocket::bind(\"[::1]:0\"); }",
        "std::net::UdpSocket::bind",
    ),
    (
        "pub fn seed() { let _ = std::hash::RandomState::new(); }",
        "std::hash::RandomState",
    ),
];

#[test]
fn clippy_refuses_an_engine_that_reads_a_clock() {
    if !clippy_is_installed() {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "CI needs clippy: rustup component add clippy"
        );
        eprintln!("skipped: clippy is missing (rustup component add clippy)");
        return;
    }
    let engine = TempDir::new().expect("a folder for the engine");
    std::fs::create_dir(engine.path().join("src")).expect("its sources");
    std::fs::write(engine.path().join("Cargo.toml"), MANIFEST).expect("its manifest");
    std::fs::write(engine.path().join("clippy.toml"), tidy::CLOCK_BAN).expect("its ban");

    // First the proof that nothing but the call is what clippy refuses.
    let obedient = clippy(engine.path(), OBEDIENT);
    assert!(
        obedient.status.success(),
        "{}",
        String::from_utf8_lossy(&obedient.stderr)
    );

    for (call, name) in FORBIDDEN {
        let refused = clippy(engine.path(), &format!("{OBEDIENT}{call}\n"));
        let message = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "clippy let `{call}` pass");
        assert!(
            message.contains(&format!("`{name}`")),
            "clippy does not name {name}:\n{message}"
        );
        assert!(
            message.contains("disallowed"),
            "refused for another reason:\n{message}"
        );
    }
}

fn clippy_is_installed() -> bool {
    Command::new("cargo")
        .args(["clippy", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn clippy(engine: &Path, source: &str) -> Output {
    std::fs::write(engine.join("src/lib.rs"), source).expect("the source of the engine");
    Command::new("cargo")
        .args(["clippy", "--offline", "--quiet", "--", "-D", "warnings"])
        .current_dir(engine)
        .env("CARGO_TARGET_DIR", engine.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo runs")
}
