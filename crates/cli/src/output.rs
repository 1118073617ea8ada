//! Where reports go: the terminal, and files.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;
use callwright_events::Record;
use callwright_report::{Console, Junit, Verbosity};
use callwright_scenario::Sink;

/// The reports of a run.
pub(crate) struct Output {
    state: Mutex<State>,
}

struct State {
    form: Form,
    junit: Option<(Junit, PathBuf)>,
    /// The first event that could not be written to standard output.
    unwritten: Option<io::Error>,
}

enum Form {
    Console(Console),
    Ndjson,
}

impl Output {
    /// Reports to standard output, and to a file when one is given.
    ///
    /// # Errors
    ///
    /// When the file cannot be written. What is in it stays until the run has ended.
    pub(crate) fn new(json: bool, verbosity: Verbosity, junit: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = &junit {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.map_err(|error| unwritable(path, &error))?;
        }
        let form = if json {
            Form::Ndjson
        } else {
            Form::Console(Console::new(verbosity))
        };
        Ok(Output {
            state: Mutex::new(State {
                form,
                junit: junit.map(|path| (Junit::default(), path)),
                unwritten: None,
            }),
        })
    }

    /// Writes the files, after the last event; what could not be written.
    pub(crate) fn finish(&self) -> Vec<anyhow::Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut errors = Vec::new();
        if let Some(error) = state.unwritten.take() {
            errors.push(anyhow!("cannot write to standard output: {error}"));
        }
        if let Some((junit, path)) = &state.junit {
            let written = junit
                .xml()
                .map_err(Into::into)
                .and_then(|xml| std::fs::write(path, xml).map_err(|error| unwritable(path, &error)));
            errors.extend(written.err());
        }
        errors
    }
}

fn unwritable(path: &Path, error: &io::Error) -> anyhow::Error {
    anyhow!("cannot write the JUnit report {}: {error}", path.display())
}

impl Sink for Output {
    fn emit(&self, record: Record) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((junit, _)) = &mut state.junit {
            junit.take(&record);
        }
        let text = match &mut state.form {
            Form::Console(console) => console.render(&record),
            Form::Ndjson => callwright_report::line(&record),
        };
        if !text.is_empty() {
            let mut stdout = anstream::stdout().lock();
            // Whoever read standard output may go: the run goes on for its exit code and its files.
            if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                state.unwritten.get_or_insert(error);
            }
        }
    }
}
