//! Commands that write a text.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use callwright_events::ExitCode;

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

/// To standard output. A reader who has seen enough and closed it did nothing wrong.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes the completion script of a shell.
pub(super) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let script = completion::script(shell).context("cannot make the completion script")?;
    print(&script)?;
    Ok(ExitCode::Passed)
}
