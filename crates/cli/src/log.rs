//! Lines of the log on their way to standard error: whoever writes one never waits for whoever reads it.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait; beyond, they are left out and counted.
const WAITING: usize = 8_192;
/// How long the last lines may take at the end.
const LAST_LINES: Duration = Duration::from_millis(500);
/// How long lines are gathered after others were written: one write of many costs what one of one costs.
const GATHER: Duration = Duration::from_millis(10);

static LOG: OnceLock<Lossy> = OnceLock::new();

/// The log, for tracing.
#[derive(Clone, Default)]
pub(crate) struct Lossy(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Lines wait where there were none.
    begun: Condvar,
    /// All lines are written.
    over: Condvar,
    /// The process ends, and nothing is gathered any more.
    ends: Condvar,
}

#[derive(Default)]
struct State {
    text: Vec<u8>,
    lines: usize,
    left_out: u64,
    writing: bool,
    ends: bool,
}

impl State {
    fn is_over(&self) -> bool {
        self.lines == 0 && self.left_out == 0 && !self.writing
    }
}

impl Lossy {
    /// Starts the thread that writes; where there can be none, nothing is logged.
    pub(crate) fn start() -> Lossy {
        let log = Lossy::default();
        let shared = log.0.clone();
        let thread = std::thread::Builder::new().name("callwright-log".to_owned());
        let started = thread.spawn(move || write_lines(&shared));
        drop(started);
        LOG.get_or_init(|| log.clone());
        log
    }

    fn put(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.lines >= WAITING {
            state.left_out += 1;
            return;
        }
        state.text.extend_from_slice(line);
        state.lines += 1;
        if state.lines == 1 {
            self.0.begun.notify_one();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_lines(shared: &Shared) {
    let mut text = Vec::new();
    loop {
        let mut state = shared
            .begun
            .wait_while(shared.lock(), |state| state.lines == 0)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut text, &mut state.text);
        state.lines = 0;
        let left_out = std::mem::take(&mut state.left_out);
        state.writing = true;
        drop(state);
        let mut out = io::stderr().lock();
        // Nobody could be told that nobody is told.
        let _gone = out.write_all(&text);
        if left_out > 0 {
            let _gone = writeln!(
                out,
                "{left_out} lines of the log were left out: they are not read fast enough"
            );
        }
        drop(out);
        text.clear();
        let mut state = shared.lock();
        state.writing = false;
        shared.over.notify_all();
        drop(shared.ends.wait_timeout_while(state, GATHER, |state| !state.ends));
    }
}

/// Waits for the last lines, for a moment: before the process ends.
pub(crate) fn finish() {
    let Some(Lossy(shared)) = LOG.get() else { return };
    let mut state = shared.lock();
    state.ends = true;
    shared.ends.notify_one();
    let waited = shared
        .over
        .wait_timeout_while(state, LAST_LINES, |state| !state.is_over());
    drop(waited);
}

/// One line.
pub(crate) struct Line {
    log: Lossy,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.log.put(&self.bytes);
        }
    }
}

impl<'a> MakeWriter<'a> for Lossy {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            log: self.clone(),
            bytes: Vec::new(),
        }
    }
}
