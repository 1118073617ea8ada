//! What every test of the binary begins with.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a test may leave files, as if it ran for the first time: nothing is there.
pub(crate) fn cleared(tests: &str, name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(tests).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("what an earlier test left can go");
    }
    folder
}

/// The binary, whose output is read, without colours and whatever log the developer wants.
pub(crate) fn callwright() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callwright"));
    command
        .env("NO_COLOR", "1")
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
