//! A server that is a process: in a group of its own, with the end of its output kept, ended with everything it started.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::ServersError;

/// How long a server may take to end after SIGTERM.
const TERM: Duration = Duration::from_secs(5);
/// How long what it started may take after its own end. Less: the dead whom no init of a container buries count, too.
const ORPHANS: Duration = Duration::from_secs(1);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);
/// How much of its output is kept.
const KEPT_BYTES: usize = 64 * 1024;
/// How many lines of it are shown.
const SHOWN_LINES: usize = 30;
/// How long its last words may take after its end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The process groups that run, for whoever ends this process at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups(Arc<Mutex<Vec<Pid>>>);

impl Groups {
    /// Kills them all.
    pub(crate) fn kill(&self) {
        for group in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            signal(group, Signal::KILL);
        }
    }

    fn insert(&self, group: Pid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    fn remove(&self, group: Pid) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|other| *other != group);
    }
}

/// A group that is gone needs no signal.
fn signal(group: Pid, signal: Signal) {
    let _gone = kill_process_group(group, signal);
}

/// A process that runs, or did.
pub(super) struct Process {
    name: String,
    child: Child,
    group: Pid,
    log: Arc<Mutex<VecDeque<u8>>>,
    /// Closed when its output is read to the end.
    read: Receiver<()>,
}

impl Process {
    /// Starts a program in a process group of its own, so that all of it can be ended, and a Ctrl-C in the terminal reaches
    /// us alone.
    pub(super) fn start(
        program: &OsStr,
        arguments: &[OsString],
        env: &BTreeMap<String, String>,
        directory: &Path,
        groups: &Groups,
    ) -> io::Result<Process> {
        let (mut reader, writer) = io::pipe()?;
        let child = Command::new(program)
            .args(arguments)
            .envs(env)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()
            .map_err(|error| {
                let text = format!("{}: {error}", program.to_string_lossy());
                io::Error::new(error.kind(), text)
            })?;
        let group = Pid::from_child(&child);
        groups.insert(group);
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let (end, read) = channel::<()>();
        let mut process = Process {
            name: program.to_string_lossy().into_owned(),
            child,
            group,
            log: log.clone(),
            read,
        };
        let reading = std::thread::Builder::new()
            .name("callwright-log".into())
            .spawn(move || {
                let _until_here = end;
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = reader.read(&mut piece) {
                    let mut kept = log.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.extend(&piece[..length]);
                    let surplus = kept.len().saturating_sub(KEPT_BYTES);
                    kept.drain(..surplus);
                }
            });
        if let Err(error) = reading {
            process.stop(groups);
            return Err(error);
        }
        Ok(process)
    }

    pub(super) fn named(mut self, name: &str) -> Process {
        name.clone_into(&mut self.name);
        self
    }

    /// An error when it has ended by itself.
    pub(super) fn ended(&mut self, when: &'static str) -> Option<ServersError> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(ServersError::Ended {
            name: self.name.clone(),
            when,
            status: worded(status),
            log: self.log_end(),
        })
    }

    /// The end of what it wrote, to be shown below a message.
    pub(super) fn log_end(&mut self) -> String {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            // Nothing is sent: this waits for the end of the reader, or not for long.
            let _read = self.read.recv_timeout(LAST_WORDS);
        }
        let bytes: Vec<u8> = {
            let kept = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            kept.iter().copied().collect()
        };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        if lines.is_empty() {
            return "\nit wrote nothing".to_owned();
        }
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        let mut end = format!("\nthe end of what {} wrote:", self.name);
        for line in shown {
            end.push_str("\n  ");
            end.push_str(line);
        }
        end
    }

    /// Ends it and everything that it started: SIGTERM, and SIGKILL when that is not enough.
    pub(super) fn stop(&mut self, groups: &Groups) {
        signal(self.group, Signal::TERM);
        if !within(TERM, || self.has_ended()) {
            tracing::warn!(server = %self.name, "it did not end by SIGTERM, and is killed");
        } else {
            within(ORPHANS, || test_kill_process_group(self.group).is_err());
        }
        signal(self.group, Signal::KILL);
        let _ended = self.child.wait();
        groups.remove(self.group);
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// Looks until it holds, for so long at most; whether it held.
fn within(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(LOOK);
    }
}

fn worded(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("by signal {signal}"),
        (None, None) => status.to_string(),
    }
}
