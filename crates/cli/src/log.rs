//! Lines of the log on their way to standard error: whoever writes one never waits for whoever reads it.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait; beyond, they are left out and counted.
const WAITING: usize = 8_192;
/// How long the last lines may take at the end.
const LAST_LINES: Duration = Duration::from_millis(500);

static LOG: OnceLock<Lossy> = OnceLock::new();

/// The log, for tracing.
#[derive(Clone)]
pub(crate) struct Lossy {
    lines: SyncSender<Vec<u8>>,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    waiting: usize,
    left_out: u64,
}

impl Lossy {
    /// Starts the thread that writes; where there can be none, nothing is logged.
    pub(crate) fn start() -> Lossy {
        let (lines, received) = sync_channel::<Vec<u8>>(WAITING);
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = state.clone();
        let thread = std::thread::Builder::new().name("callwright-log".to_owned());
        let started = thread.spawn(move || {
            for line in received {
                let left_out = {
                    let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                    std::mem::take(&mut state.left_out)
                };
                let mut out = io::stderr().lock();
                if left_out > 0 {
                    // Nobody could be told that nobody is told.
                    let _gone = writeln!(
                        out,
                        "{left_out} lines of the log were left out: they are not read fast enough"
                    );
                }
                let _gone = out.write_all(&line);
                drop(out);
                let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
                shared.1.notify_all();
            }
        });
        drop(started);
        let log = Lossy { lines, state };
        LOG.get_or_init(|| log.clone());
        log
    }

    fn put(&self, line: Vec<u8>) {
        let mut state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        match self.lines.try_send(line) {
            Ok(()) => state.waiting += 1,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => state.left_out += 1,
        }
    }
}

/// Waits for the last lines, for a moment: before the process ends.
pub(crate) fn finish() {
    let Some(log) = LOG.get() else { return };
    let state = log.state.0.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = log
        .state
        .1
        .wait_timeout_while(state, LAST_LINES, |state| state.waiting > 0);
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
            self.log.put(std::mem::take(&mut self.bytes));
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
