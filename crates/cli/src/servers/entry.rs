//! The entries of `[[server]]` in `callwright.toml`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callwright_callcenter::Settings;
use callwright_scenario::span;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::ready::Ready;

/// How long a server may take to become ready.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server to start before a run.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// What messages and captures call it.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// What answers when it is ready; a server that is built in knows by itself.
    pub(crate) ready: Option<Ready>,
    /// How long that may take.
    pub(crate) timeout: Duration,
}

/// What is started.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A program of its own.
    Command {
        program: OsString,
        arguments: Vec<OsString>,
        /// Variables beside those of this process.
        env: BTreeMap<String, String>,
        /// The directory that it starts in.
        directory: PathBuf,
    },
    /// The call center, in the world of the run.
    Callcenter(Box<Settings>),
}

/// An entry as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    command: Option<CommandLine>,
    callcenter: Option<Spanned<PathBuf>>,
    name: Option<Spanned<String>>,
    ready: Option<Ready>,
    timeout: Option<Timeout>,
    env: Option<Spanned<BTreeMap<String, String>>>,
    cwd: Option<Spanned<PathBuf>>,
}

/// A line for the shell, or a program with its arguments.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a command line, or a list of a program and its arguments"
)]
enum CommandLine {
    Shell(String),
    Words(Vec<String>),
}

#[derive(Debug)]
struct Timeout(Duration);

impl<'de> Deserialize<'de> for Timeout {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        span::parse(&text).map(Timeout).map_err(D::Error::custom)
    }
}

/// What is wrong with an entry, and where in the file.
pub(crate) type Wrong = (Range<usize>, String);

impl Entry {
    /// The server that an entry in the file of this folder means.
    pub(crate) fn server(entry: Spanned<Entry>, folder: &Path) -> Result<Server, EntryError> {
        let whole = entry.span();
        let entry = entry.into_inner();
        let at = |span: Range<usize>, message: &str| EntryError::Wrong((span, message.to_owned()));
        let (kind, usual_name) = match (entry.command, entry.callcenter) {
            (Some(_), Some(callcenter)) => {
                return Err(at(
                    callcenter.span(),
                    "a server is a command or the callcenter, not both",
                ));
            }
            (None, None) => {
                let message = "a server needs `command = \"…\"`, or `callcenter = \"callcenter.toml\"`";
                return Err(at(whole, message));
            }
            (Some(command), None) => {
                let (program, arguments) = command
                    .words()
                    .ok_or_else(|| at(whole.clone(), "the command is empty"))?;
                let usual_name = match (&*program, arguments.last()) {
                    ("sh", Some(line)) => line.split_whitespace().next().unwrap_or("sh").to_owned(),
                    _ => program.clone(),
                };
                let directory = entry.cwd.map_or_else(
                    || folder.to_owned(),
                    |directory| folder.join(directory.into_inner()),
                );
                // A program in a folder is relative to the file; one without is looked for in PATH.
                let program = if program.contains('/') {
                    folder.join(program).into_os_string()
                } else {
                    program.into()
                };
                let kind = Kind::Command {
                    program,
                    arguments: arguments.into_iter().map(OsString::from).collect(),
                    env: entry.env.map(Spanned::into_inner).unwrap_or_default(),
                    directory,
                };
                (kind, usual_name)
            }
            (None, Some(callcenter)) => {
                for span in [entry.env.map(|env| env.span()), entry.cwd.map(|cwd| cwd.span())]
                    .into_iter()
                    .flatten()
                {
                    let message =
                        "`env` and `cwd` are for a command: the callcenter is no process of its own";
                    return Err(at(span, message));
                }
                let settings = Settings::read(&folder.join(callcenter.get_ref())).map_err(|error| {
                    match error {
                        // The name stands in this file, the mistake in that one.
                        callwright_callcenter::SettingsError::Read { .. } => {
                            EntryError::Wrong((callcenter.span(), error.to_string()))
                        }
                        other => EntryError::Settings(other),
                    }
                })?;
                (Kind::Callcenter(Box::new(settings)), "callcenter".to_owned())
            }
        };
        if matches!(kind, Kind::Command { .. }) && entry.ready.is_none() {
            let message = "a command needs `ready = \"sip:127.0.0.1:5060\"` or a URL of HTTP: what answers when it is up";
            return Err(at(whole, message));
        }
        let name = match entry.name {
            Some(name) if name.get_ref().trim().is_empty() => {
                return Err(at(name.span(), "a name that is empty"));
            }
            Some(name) => name.into_inner(),
            None => Path::new(&usual_name)
                .file_name()
                .map_or(usual_name.clone(), |name| name.to_string_lossy().into_owned()),
        };
        Ok(Server {
            name,
            kind,
            ready: entry.ready,
            timeout: entry.timeout.map_or(TIMEOUT, |Timeout(span)| span),
        })
    }
}

/// Why an entry is not taken.
#[derive(Debug)]
pub(crate) enum EntryError {
    /// Something in `callwright.toml`.
    Wrong(Wrong),
    /// Something in the file of the call center.
    Settings(callwright_callcenter::SettingsError),
}

impl CommandLine {
    fn words(self) -> Option<(String, Vec<String>)> {
        match self {
            CommandLine::Shell(line) if line.trim().is_empty() => None,
            CommandLine::Shell(line) => Some(("sh".to_owned(), vec!["-c".to_owned(), line])),
            CommandLine::Words(words) => {
                let mut words = words.into_iter();
                let program = words.next().filter(|program| !program.is_empty())?;
                Some((program, words.collect()))
            }
        }
    }
}
