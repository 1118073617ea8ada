//! The text of a script file.

use std::fmt;
use std::path::Path;

use callwright_scenario::{Fault, Position};

use crate::diagnostic::{Diagnostic, Severity};

/// Why a file has no text.
#[derive(Debug)]
pub enum SourceError {
    /// It cannot be read.
    Read {
        /// The file.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// It is not UTF-8.
    Encoding {
        /// The first byte that is wrong.
        at: Position,
        /// That byte.
        byte: u8,
    },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Read { path, error } => write!(f, "cannot read {path}: {error}"),
            SourceError::Encoding { byte, .. } => {
                write!(f, "the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8")
            }
        }
    }
}

impl std::error::Error for SourceError {}

impl SourceError {
    /// Where it is.
    pub fn at(&self) -> Position {
        match self {
            SourceError::Read { path, .. } => Position::file(path.as_str()),
            SourceError::Encoding { at, .. } => at.clone(),
        }
    }

    pub(crate) fn diagnostic(&self) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            at: self.at(),
            length: 1,
            message: self.to_string(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        let text = self.to_string();
        let fault = match self {
            SourceError::Read { .. } => Fault::environment(text),
            SourceError::Encoding { .. } => Fault::script(text),
        };
        fault.at(&self.at())
    }
}

/// Reads a script. A byte order mark, as editors of Windows put it, is not part of the text.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub fn source(path: &Path) -> Result<String, SourceError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| SourceError::Read {
        path: name.clone(),
        error,
    })?;
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(wrong(&name, text, error.valid_up_to())),
    }
}

fn wrong(name: &str, text: &[u8], valid: usize) -> SourceError {
    let before = String::from_utf8_lossy(&text[..valid]);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    SourceError::Encoding {
        at: Position::new(name, number(line), number(column)),
        byte: text[valid],
    }
}
