//! What is wrong with settings, and where.

use std::ops::Range;
use std::path::{Path, PathBuf};

use callwright_acd::ConfigError;
use callwright_net as net;

/// Why settings are not taken.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Something in the file.
    #[error("{path}:{line}:{column}: {message}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character within it, from 1.
        column: usize,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// Users of the file and of the database that contradict each other, or the rest.
    #[error("the settings of the call center, with the users of its database: {0}")]
    Users(ConfigError),
    /// The certificate or its key.
    #[error("{path}: {error}")]
    Tls {
        /// The file of the certificate.
        path: PathBuf,
        /// What is wrong.
        error: net::IdentityError,
    },
}

impl SettingsError {
    /// At a place in the text of a file.
    pub(super) fn at(path: &Path, text: &str, span: Option<Range<usize>>, message: String) -> SettingsError {
        Spot::of(path, text, span, message).into()
    }
}

/// Something that may turn out to be wrong, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    path: PathBuf,
    line: usize,
    column: usize,
    message: String,
}

impl Spot {
    pub(super) fn of(path: &Path, text: &str, span: Option<Range<usize>>, message: String) -> Spot {
        let at = span.map_or(0, |span| span.start).min(text.len());
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Spot {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: text[line_start..at].chars().count() + 1,
            message,
        }
    }
}

impl From<Spot> for SettingsError {
    fn from(spot: Spot) -> SettingsError {
        let Spot {
            path,
            line,
            column,
            message,
        } = spot;
        SettingsError::Wrong {
            path,
            line,
            column,
            message,
        }
    }
}

/// The message of a reader of TOML, with the nearest right name where one was not known.
pub(super) fn explained(message: &str) -> String {
    // As serde words it: unknown field `x`, expected one of `a`, `b`.
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown ").then(|| names.next()).flatten();
    let nearest = unknown.and_then(|unknown| nearest(unknown, names));
    let message = message.replacen("unknown field", "unknown key", 1);
    match nearest {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => message,
    }
}

/// A message about a name that is not known, with the one that was probably meant.
pub(super) fn with_nearest<'a>(
    message: String,
    wanted: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> String {
    match nearest(wanted, candidates) {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => message,
    }
}

/// The candidate that was probably meant.
fn nearest<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (1 + wanted.chars().count() / 4).min(wanted.chars().count() / 2);
    candidates
        .map(|candidate| {
            let edits = strsim::damerau_levenshtein(&wanted.to_lowercase(), candidate);
            // `timeout` for `ring_timeout`, or the other way round.
            let part =
                |whole: &str, part: &str| part.len() >= 4 && whole.split(['_', '-']).any(|word| word == part);
            let related = part(candidate, wanted) || part(wanted, candidate);
            (if related { edits.min(1) } else { edits }, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
