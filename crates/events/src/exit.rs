//! Exit codes of the command.

/// What the process says when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitCode {
    /// Everything passed; skipped scenarios are allowed.
    Passed,
    /// Something failed, or nothing was selected.
    Failed,
    /// The command line was wrong. Never a script's fault.
    Usage,
    /// The run itself proves nothing: the generator was late or overloaded, or a server under test did not start.
    Invalid,
    /// Interrupted by a signal.
    Interrupted,
}

impl ExitCode {
    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            ExitCode::Passed => 0,
            ExitCode::Failed => 1,
            ExitCode::Usage => 2,
            ExitCode::Invalid => 3,
            ExitCode::Interrupted => 130,
        }
    }
}
