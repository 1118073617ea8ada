//! Completion of command lines: names and tags come from the files that are on the line already.

mod bash;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::OnceLock;

use clap::CommandFactory;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};

use callwright_scenario::suite::Registration;

use crate::arguments::{Arguments, Shell};
use crate::commands;

/// The variable by which the script of a shell asks for completions.
const ASKED_BY: &str = "CALLWRIGHT_COMPLETE";

/// The words of the line, where they are not what the process was given behind `--`.
static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Answers a shell that asks for completions, and ends the process then.
pub(crate) fn answer() {
    CompleteEnv::with_factory(Arguments::command)
        .var(ASKED_BY)
        .shells(Shells(&[&bash::Bash, &Elvish, &Fish, &Powershell, &Zsh]))
        .complete();
}

/// The script that makes a shell ask.
pub(crate) fn script(shell: Shell) -> std::io::Result<Vec<u8>> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &bash::Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Zsh => &Zsh,
    };
    let mut script = Vec::new();
    completer.write_registration(ASKED_BY, "callwright", "callwright", "callwright", &mut script)?;
    Ok(script)
}

/// Names of scenarios.
pub(crate) fn scenarios(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    listed()
        .into_iter()
        .map(|listed| listed.name)
        .filter(|name| begins(name, &typed))
        .map(Into::into)
        .collect()
}

/// Tags of scenarios; after a comma the next one.
pub(crate) fn tags(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let (before, last) = typed
        .rsplit_once(',')
        .map_or(("", &*typed), |(before, last)| (before, last));
    let mut tags: Vec<_> = listed().into_iter().flat_map(|listed| listed.tags).collect();
    tags.sort();
    tags.dedup();
    tags.into_iter()
        .filter(|tag| tag.starts_with(last))
        .map(|tag| {
            if before.is_empty() {
                tag
            } else {
                format!("{before},{tag}")
            }
        })
        .map(Into::into)
        .collect()
}

fn begins(name: &str, typed: &str) -> bool {
    name.to_lowercase().starts_with(&typed.to_lowercase())
}

/// What the files on the line that is being completed register. A file that cannot be read completes to nothing.
fn listed() -> Vec<Registration> {
    let words = WORDS.get().cloned().unwrap_or_else(|| {
        std::env::args_os()
            .skip_while(|word| word != "--")
            .skip(1)
            .collect()
    });
    let paths: Vec<_> = words
        .into_iter()
        .map(PathBuf::from)
        .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "rhai"))
        .collect();
    commands::registered(&paths)
}
