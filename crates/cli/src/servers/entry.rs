//! The entries of `[[server]]` in `callwright.toml`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callwright_callcenter::{Settings, SettingsError};
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

impl Entry {
    /// The server that an entry in the file of this folder means.
    pub(crate) fn server(entry: Spanned<Entry>, folder: &Path) -> Result<Server, EntryError> {
        let whole = entry.span();
        let mut entry = entry.into_inner();
        let (kind, usual_name) = match (entry.command.take(), entry.callcenter.take()) {
            (Some(_), Some(callcenter)) => {
                let message = "a server is a command or the callcenter, not both";
                return Err(wrong(callcenter.span(), message));
            }
            (None, None) => {
                let message = "a server needs `command = \"…\"`, or `callcenter = \"callcenter.toml\"`";
                return Err(wrong(whole, message));
            }
            (Some(command), None) => entry.command(command, whole, folder)?,
            (None, Some(callcenter)) => (entry.callcenter(&callcenter, folder)?, "callcenter".to_owned()),
        };
        let name = match entry.name {
            Some(name) if name.get_ref().trim().is_empty() => {
                return Err(wrong(name.span(), "a name that is empty"));
            }
            Some(name) => name.into_inner(),
            None => usual_name,
        };
        Ok(Server {
            name,
            kind,
            ready: entry.ready,
            timeout: entry.timeout.map_or(TIMEOUT, |Timeout(span)| span),
        })
    }

    /// A command, and the name of its program.
    fn command(
        &mut self,
        command: CommandLine,
        whole: Range<usize>,
        folder: &Path,
    ) -> Result<(Kind, String), EntryError> {
        let Some((program, arguments)) = command.words() else {
            return Err(wrong(whole, "the command is empty"));
        };
        if self.ready.is_none() {
            let message = "a command needs `ready = \"sip:127.0.0.1:5060\"` or a URL of HTTP: what answers when it is up";
            return Err(wrong(whole, message));
        }
        let named = match (&*program, arguments.last()) {
            ("sh", Some(line)) => first_word(line),
            _ => &program,
        };
        let name = Path::new(named)
            .file_name()
            .map_or_else(|| named.to_owned(), |name| name.to_string_lossy().into_owned());
        let kind = Kind::Command {
            // A program in a folder is relative to the file; one without is looked for in PATH.
            program: if program.contains('/') {
                folder.join(program).into_os_string()
            } else {
                program.into()
            },
            arguments: arguments.into_iter().map(OsString::from).collect(),
            env: self.env.take().map(Spanned::into_inner).unwrap_or_default(),
            directory: match self.cwd.take() {
                Some(directory) => folder.join(directory.into_inner()),
                None => folder.to_owned(),
            },
        };
        Ok((kind, name))
    }

    fn callcenter(&self, file: &Spanned<PathBuf>, folder: &Path) -> Result<Kind, EntryError> {
        let of_commands = self.env.as_ref().map(Spanned::span);
        if let Some(span) = of_commands.or(self.cwd.as_ref().map(Spanned::span)) {
            let message = "`env` and `cwd` are for a command: the callcenter is no process of its own";
            return Err(wrong(span, message));
        }
        match Settings::read(&folder.join(file.get_ref())) {
            Ok(settings) => Ok(Kind::Callcenter(Box::new(settings))),
            // The name stands in this file, a mistake in that one.
            Err(error @ SettingsError::Read { .. }) => Err(wrong(file.span(), &error.to_string())),
            Err(
                error @ (SettingsError::Wrong { .. } | SettingsError::Users(_) | SettingsError::Tls { .. }),
            ) => Err(EntryError::Settings(error)),
        }
    }
}

fn wrong(span: Range<usize>, message: &str) -> EntryError {
    EntryError::Wrong {
        span,
        message: message.to_owned(),
    }
}

/// The program of a line for the shell.
fn first_word(line: &str) -> &str {
    line.split_whitespace()
        .find(|word| *word != "exec" && !word.contains('='))
        .unwrap_or("sh")
}

/// Why an entry is not taken.
#[derive(Debug)]
pub(crate) enum EntryError {
    /// Something in `callwright.toml`.
    Wrong {
        /// Where.
        span: Range<usize>,
        message: String,
    },
    /// Something in the file of the call center.
    Settings(SettingsError),
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
