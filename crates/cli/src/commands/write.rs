//! Commands that write a text.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use callwright_events::ExitCode;

use super::Wrong;
use crate::arguments::Shell;
use crate::completion;

/// Writes a text to a file, or to standard output.
pub(super) fn text(out: Option<&Path>, text: &str) -> anyhow::Result<ExitCode> {
    match out {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?
        }
        None => print(text.as_bytes())?,
    }
    Ok(ExitCode::Passed)
}

/// Lines for a person to standard output, with styles where it takes them.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    forgive(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// A text as it is to standard output.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    forgive(out.write_all(bytes).and_then(|()| out.flush()))
}

/// A reader who has seen enough and closed standard output did nothing wrong.
fn forgive(written: std::io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Wrong {
            message: format!("cannot write to standard output: {error}"),
            exit_code: ExitCode::Failed,
        }
        .into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes the completion script of a shell.
pub(super) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let script = completion::script(shell).context("cannot make the completion script")?;
    print(&script)?;
    Ok(ExitCode::Passed)
}
