//! A run of a program with what it took.

use std::fs::File;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::evidence::Evidence;

/// The peak that Linux keeps for a process is read this often: what it takes in its last moment may be missed.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a program did and took.
#[derive(Debug)]
pub struct Measured {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// From its start to its end.
    pub elapsed: Duration,
    /// The most memory that it had resident at once, in bytes.
    pub peak_memory: u64,
}

/// Runs a command to its end. Its output goes through files, so that reading it costs the command nothing. It is
/// ended, and the test with it, when it takes longer than `limit`.
pub fn measure(command: &mut Command, limit: Duration) -> Measured {
    let evidence = Evidence::new("measured");
    let output = |name: &str| Stdio::from(File::create(evidence.file(name)).expect("a file for the output"));
    command
        .stdin(Stdio::null())
        .stdout(output("stdout.log"))
        .stderr(output("stderr.log"));
    let began = Instant::now();
    let mut daemon = Daemon::of(command);
    let mut peak_memory = 0;
    let status = loop {
        if let Some(status) = daemon.wait(LOOK_EVERY) {
            break status;
        }
        peak_memory = daemon.peak_memory().unwrap_or(peak_memory);
        assert!(began.elapsed() < limit, "{command:?} takes longer than {limit:?}");
    };
    let elapsed = began.elapsed();
    Measured {
        status,
        stdout: evidence.read("stdout.log"),
        stderr: evidence.read("stderr.log"),
        elapsed,
        peak_memory,
    }
}
