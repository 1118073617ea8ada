//! The thread that writes. What comes while it commits is its next group; a busy server's groups are gathered for a moment, since
//! it is the commit that costs, and not the facts in it.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::database::Database;
use crate::store::group::{Group, RETRY, Taken};
use crate::store::{Health, Outcome};

/// How often it looks after the database when there is nothing to write.
const LOOK: Duration = Duration::from_secs(1);
/// The least time from the beginning of one commit to that of the next: as long may a fact wait that comes right after another.
/// One that comes alone waits for nothing.
const GATHER: Duration = Duration::from_millis(20);

type Facts = Vec<Taken>;

/// The writing thread as its store sees it. The default is one that is not there.
#[derive(Default)]
pub(super) struct Writer {
    waiting: Facts,
    to_thread: Option<Sender<Facts>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Mutex<Shared>>,
    /// How many facts the thread was given and has not spoken about.
    given: usize,
}

/// What the thread tells.
#[derive(Debug, Default)]
struct Shared {
    outcomes: Vec<Outcome>,
    health: Health,
    committed: u64,
}

impl Writer {
    /// Starts the thread, with what was committed and left over so far. `wake` is called after it has told something.
    pub(super) fn start(
        database: Database,
        group: Group,
        waiting: Facts,
        wake: Box<dyn Fn() + Send>,
    ) -> Writer {
        let (to_thread, facts) = channel();
        let given = group.left_over();
        let shared = Arc::new(Mutex::new(Shared {
            outcomes: Vec::new(),
            health: group.health.clone(),
            committed: group.committed,
        }));
        let told = shared.clone();
        let thread = std::thread::Builder::new()
            .name("callwright-store".to_owned())
            .spawn(move || run(database, group, &facts, &told, &*wake));
        if let Err(error) = &thread {
            lock(&shared).health = Health::Failing {
                reason: format!("there is no thread to write the database: {error}"),
            };
        }
        Writer {
            waiting,
            to_thread: Some(to_thread),
            thread: thread.ok(),
            shared,
            given,
        }
    }

    pub(super) fn take(&mut self, taken: Taken) {
        self.waiting.push(taken);
    }

    pub(super) fn begin(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let facts = std::mem::take(&mut self.waiting);
        let count = facts.len();
        match self.to_thread.as_ref().map(|thread| thread.send(facts)) {
            Some(Ok(())) => self.given += count,
            // The thread is gone: nothing is stored any more, and whoever waits is told.
            Some(Err(unsent)) => {
                let mut shared = lock(&self.shared);
                shared.health = Health::Failing {
                    reason: "the thread that writes the database ended: restart the call center".to_owned(),
                };
                let refused = unsent.0.into_iter().map(|taken| taken.outcome(false));
                shared.outcomes.extend(refused);
                self.given += count;
            }
            None => {}
        }
    }

    pub(super) fn finish(&mut self) -> Vec<Outcome> {
        let outcomes = std::mem::take(&mut lock(&self.shared).outcomes);
        self.given -= outcomes.len();
        outcomes
    }

    pub(super) fn health(&self) -> Health {
        lock(&self.shared).health.clone()
    }

    pub(super) fn pending(&self) -> usize {
        self.waiting.len() + self.given
    }

    pub(super) fn committed(&self) -> u64 {
        lock(&self.shared).committed
    }

    /// Ends the thread; what it was given before is written, as far as it can be.
    pub(super) fn lose_uncommitted(&mut self) {
        self.waiting.clear();
        self.to_thread = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the database panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.lose_uncommitted();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

fn run(
    mut database: Database,
    mut group: Group,
    facts: &Receiver<Facts>,
    shared: &Mutex<Shared>,
    wake: &dyn Fn(),
) {
    let mut next_commit = Instant::now();
    loop {
        let patience = if group.health.is_sound() { LOOK } else { RETRY };
        let (mut new, more) = match facts.recv_timeout(patience) {
            Ok(new) => (new, true),
            Err(RecvTimeoutError::Timeout) => (Facts::new(), true),
            Err(RecvTimeoutError::Disconnected) => (Facts::new(), false),
        };
        if !new.is_empty() {
            // Asleep rather than waiting for the channel: each of the facts that are gathered would wake it.
            std::thread::sleep(next_commit.saturating_duration_since(Instant::now()));
            next_commit = Instant::now() + GATHER;
        }
        new.extend(facts.try_iter().flatten());
        if !more && new.is_empty() && group.left_over() == 0 {
            return;
        }
        let was = group.health.clone();
        let outcomes = group.commit(&mut database, new);
        let changed = group.health != was;
        let news = !outcomes.is_empty() || changed;
        {
            let mut shared = lock(shared);
            shared.outcomes.extend(outcomes);
            shared.committed = group.committed;
            shared.health = group.health.clone();
        }
        if news {
            wake();
        }
        if !more {
            if group.left_over() > 0 {
                tracing::error!(
                    facts = group.left_over(),
                    "the server ends, and these facts could not be stored"
                );
            }
            return;
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
