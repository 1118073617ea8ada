//! Completion of command lines: names and tags come from the files that are on the line already.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::CompleteEnv;

use callwright_scenario::suite::Registration;

use crate::arguments::{Arguments, Shell};
use crate::commands;

/// The variable by which the script of a shell asks for completions.
const ASKED_BY: &str = "CALLWRIGHT_COMPLETE";

/// What the script for bash sets, and no other.
const SET_BY_BASH: &str = "_CLAP_COMPLETE_COMP_TYPE";

/// Answers a shell that asks for completions, and ends the process then.
pub(crate) fn answer() {
    CompleteEnv::with_factory(Arguments::command)
        .var(ASKED_BY)
        .complete();
}

/// The script that makes a shell ask.
pub(crate) fn script(shell: Shell) -> std::io::Result<Vec<u8>> {
    use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
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
    // Bash inserts what it is given as it is, and gives what was typed as it stands on the line; others quote by themselves.
    let (typed, quote): (String, fn(String) -> String) = if std::env::var_os(SET_BY_BASH).is_some() {
        (typed.replace('\\', ""), quoted)
    } else {
        (typed.into_owned(), |name| name)
    };
    listed()
        .into_iter()
        .map(|listed| listed.name)
        .filter(|name| begins(name, &typed))
        .map(|name| quote(name).into())
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

/// A name as one word of a command line.
fn quoted(name: String) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-.,:/@%+".contains(c);
    let mut word = String::with_capacity(name.len());
    for c in name.chars() {
        if !plain(c) {
            word.push('\\');
        }
        word.push(c);
    }
    word
}

/// What the files on the line that is being completed register. A file that cannot be read completes to nothing.
fn listed() -> Vec<Registration> {
    // The words of the line follow `--`.
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let paths: Vec<_> = words
        .map(PathBuf::from)
        .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "rhai"))
        .collect();
    commands::registered(&paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_is_one_word_for_bash() {
        assert_eq!(quoted("a call (busy)".into()), r"a\ call\ \(busy\)");
        assert_eq!(quoted("code_486".into()), "code_486");
    }
}
