//! Variables: dotenv files, and the order in which a name is looked up.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Settings;

/// A dotenv file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvFile {
    path: PathBuf,
    values: BTreeMap<String, String>,
}

/// Why a dotenv file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A line that is not `KEY=VALUE`.
    #[error("{}:{line}: not KEY=VALUE", path.display())]
    BadLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl EnvFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or has a line that is not `KEY=VALUE`.
    pub fn read(path: &Path) -> Result<Self, EnvFileError> {
        let text = std::fs::read_to_string(path).map_err(|error| EnvFileError::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        EnvFile::parse(path, &text)
    }

    /// Reads the text of a file: literal `KEY=VALUE` lines, `#` lines, `export`, one pair of quotes around a value. No
    /// expansion, no comments behind values.
    ///
    /// # Errors
    /// At a line that is none of these.
    pub fn parse(path: &Path, text: &str) -> Result<Self, EnvFileError> {
        let mut values = BTreeMap::new();
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let pair = line.strip_prefix("export ").unwrap_or(line);
            let (key, value) = pair
                .split_once('=')
                .map(|(key, value)| (key.trim(), value.trim()))
                .filter(|(key, _)| !key.is_empty() && !key.contains(char::is_whitespace))
                .ok_or_else(|| EnvFileError::BadLine {
                    path: path.to_owned(),
                    line: number + 1,
                })?;
            let unquoted = ['"', '\'']
                .into_iter()
                .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
            values.insert(key.to_owned(), unquoted.unwrap_or(value).to_owned());
        }
        Ok(EnvFile {
            path: path.to_owned(),
            values,
        })
    }
}

/// The files that a scenario loaded, and the one beside it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    loaded: Vec<EnvFile>,
    beside: Option<EnvFile>,
    beside_path: PathBuf,
    /// Why the file beside the scenario cannot be used, where it is there.
    beside_error: Option<Arc<EnvFileError>>,
}

impl Environment {
    /// What belongs to a scenario file: `<scenario>.env` beside it, if that is there.
    pub fn of_file(file: &Path) -> Self {
        let beside_path = file.with_extension("env");
        let (beside, beside_error) = match EnvFile::read(&beside_path) {
            Ok(file) => (Some(file), None),
            Err(EnvFileError::Unreadable { error, .. }) if error.kind() == ErrorKind::NotFound => {
                (None, None)
            }
            Err(error) => (None, Some(Arc::new(error))),
        };
        Environment {
            loaded: Vec::new(),
            beside,
            beside_path,
            beside_error,
        }
    }

    /// Why the file beside the scenario cannot be used, where it is there: nothing of the scenario file should run then.
    pub fn error(&self) -> Option<&EnvFileError> {
        self.beside_error.as_deref()
    }

    /// Adds a file of `load_env`: it comes before all others.
    pub fn load(&mut self, file: EnvFile) {
        self.loaded.push(file);
    }

    /// The value of a name, from the first place that has it.
    pub fn lookup(&self, name: &str, settings: &Settings) -> Option<String> {
        let files = self
            .loaded
            .iter()
            .rev()
            .chain(&self.beside)
            .chain(settings.env_files.iter().rev());
        files
            .map(|file| &file.values)
            .chain([&settings.process_env, &settings.project_env])
            .find_map(|values| values.get(name).cloned())
    }

    /// Where names are looked up, in order, for people.
    pub fn places(&self, settings: &Settings) -> Vec<String> {
        let beside = format!(
            "{}{}",
            self.beside_path.display(),
            if self.beside.is_some() { "" } else { " (not there)" }
        );
        let mut places: Vec<String> = self
            .loaded
            .iter()
            .rev()
            .map(|file| file.path.display().to_string())
            .collect();
        places.push(beside);
        places.extend(
            settings
                .env_files
                .iter()
                .rev()
                .map(|file| file.path.display().to_string()),
        );
        places.push("the process environment".to_owned());
        places.push("[env] of callwright.toml".to_owned());
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> EnvFile {
        EnvFile::parse(Path::new(name), text).unwrap()
    }

    #[test]
    fn dotenv_values_are_literal() {
        let file = file(
            "a.env",
            "# note\nexport A=1\nB = \"two words\" \nC='it''s'\nD=x # y\nE=$A\nF=\"\nG=\n\n",
        );
        let value = |key: &str| file.values[key].as_str();
        assert_eq!(value("A"), "1");
        assert_eq!(value("B"), "two words");
        assert_eq!(value("C"), "it''s");
        assert_eq!(value("D"), "x # y");
        assert_eq!(value("E"), "$A");
        assert_eq!(value("F"), "\"");
        assert_eq!(value("G"), "");
    }

    #[test]
    fn a_line_that_is_no_pair_is_named() {
        let error = EnvFile::parse(Path::new("a.env"), "A=1\nnonsense\n").unwrap_err();
        assert_eq!(error.to_string(), "a.env:2: not KEY=VALUE");
    }

    #[test]
    fn the_nearest_place_wins() {
        let mut environment = Environment {
            beside: Some(file("s.env", "A=beside\nB=beside")),
            ..Environment::default()
        };
        let settings = Settings {
            env_files: vec![file("1.env", "A=1\nC=1\nD=1"), file("2.env", "C=2")],
            process_env: [("C", "process"), ("E", "process")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            project_env: [("E", "project"), ("F", "project")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            ..Settings::default()
        };
        environment.load(file("3.env", "B=3"));
        let value = |name: &str| environment.lookup(name, &settings).unwrap_or_default();
        assert_eq!(
            ["A", "B", "C", "D", "E", "F"].map(value),
            ["beside", "3", "2", "1", "process", "project"]
        );
        assert_eq!(environment.lookup("G", &settings), None);
    }
}
