//! Where reports go: the terminal, and files.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

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
}

enum Form {
    Console(Console),
    Ndjson,
}

impl Output {
    /// Reports to standard output, and to a file when one is given.
    pub(crate) fn new(json: bool, verbosity: Verbosity, junit: Option<PathBuf>) -> Self {
        let form = if json {
            Form::Ndjson
        } else {
            Form::Console(Console::new(verbosity))
        };
        Output {
            state: Mutex::new(State {
                form,
                junit: junit.map(|path| (Junit::default(), path)),
            }),
        }
    }

    /// Writes the files, after the last event.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub(crate) fn finish(&self) -> anyhow::Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((junit, path)) = &state.junit {
            std::fs::write(path, junit.xml()?).map_err(|error| {
                anyhow::anyhow!("cannot write the JUnit report {}: {error}", path.display())
            })?;
        }
        Ok(())
    }
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
            // Whoever read standard output has gone: the run goes on for its exit code and its files.
            let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        }
    }
}
