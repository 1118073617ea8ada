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
        None => std::io::stdout()
            .write_all(text.as_bytes())
            .context("cannot write to standard output")?,
    }
    Ok(ExitCode::Passed)
}

/// Writes the completion script of a shell.
pub(super) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let script = completion::script(shell).context("cannot make the completion script")?;
    std::io::stdout()
        .write_all(&script)
        .context("cannot write to standard output")?;
    Ok(ExitCode::Passed)
}
