//! Topics and blocking waits for a world whose tasks are threads.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Topic, Version, Wake};

thread_local! {
    static OWN: RefCell<Option<Vec<Topic>>> = const { RefCell::new(None) };
}

/// Notes what the calling task touches until it is asked for: by its own doing, and never by what others do meanwhile.
pub(crate) struct OwnTouches;

impl OwnTouches {
    pub(crate) fn begin() -> Self {
        OWN.set(Some(Vec::new()));
        OwnTouches
    }

    /// The topics, each as often as it was touched.
    pub(crate) fn end(self) -> Vec<Topic> {
        OWN.take().unwrap_or_default()
    }
}

impl Drop for OwnTouches {
    fn drop(&mut self) {
        OWN.set(None);
    }
}

/// Says that the calling task touched a topic, for a world that keeps its topics by itself.
pub(crate) fn touched(topic: Topic) {
    OWN.with_borrow_mut(|own| {
        if let Some(own) = own {
            own.push(topic);
        }
    });
}

/// The versions of all topics, and the threads that wait for them. A change wakes only those that wait for it, so a
/// thousand tasks do not wake each other.
#[derive(Debug, Default)]
pub struct Topics {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    versions: Vec<u64>,
    waiting: BTreeMap<(Topic, u64), Thread>,
    tickets: u64,
}

impl Topics {
    /// A new topic, at version 0.
    pub fn open(&self) -> Topic {
        let mut state = self.lock();
        let topic = Topic(u32::try_from(state.versions.len()).unwrap_or(u32::MAX));
        state.versions.push(0);
        topic
    }

    /// The version of a topic; a topic that was never opened stays at 0.
    pub fn version(&self, topic: Topic) -> Version {
        self.lock().version(topic)
    }

    /// Raises the version of a topic and wakes who waits for it. Never blocks on anything but a short lock.
    pub fn touch(&self, topic: Topic) {
        let mut state = self.lock();
        if let Some(version) = state.versions.get_mut(topic.0 as usize) {
            *version += 1;
            touched(topic);
        }
        for (_, thread) in state.waiting.range((topic, 0)..=(topic, u64::MAX)) {
            thread.unpark();
        }
    }

    /// Blocks until a topic has a version other than the one given, or for at most `span`.
    pub fn wait(&self, reads: &[(Topic, Version)], span: Duration) -> Wake {
        let until = Instant::now().checked_add(span);
        let ticket = {
            let mut state = self.lock();
            if state.changed(reads) {
                return Wake::Changed;
            }
            state.tickets += 1;
            let ticket = state.tickets;
            for (topic, _) in reads {
                state.waiting.insert((*topic, ticket), thread::current());
            }
            ticket
        };
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match left {
                Some(left) if left.is_zero() => break,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
            if self.lock().changed(reads) {
                break;
            }
        }
        let mut state = self.lock();
        for (topic, _) in reads {
            state.waiting.remove(&(*topic, ticket));
        }
        if state.changed(reads) {
            Wake::Changed
        } else {
            Wake::TimeUp
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn version(&self, topic: Topic) -> Version {
        Version(self.versions.get(topic.0 as usize).copied().unwrap_or(0))
    }

    fn changed(&self, reads: &[(Topic, Version)]) -> bool {
        reads
            .iter()
            .any(|(topic, version)| self.version(*topic) != *version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_wait_ends_when_its_topic_changes_and_not_for_another() {
        let topics = Topics::default();
        let (mine, other) = (topics.open(), topics.open());
        let seen = topics.version(mine);
        topics.touch(other);
        assert_eq!(topics.wait(&[(mine, seen)], Duration::ZERO), Wake::TimeUp);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| topics.wait(&[(mine, seen)], LONG));
            topics.touch(mine);
            assert_eq!(waiting.join().unwrap(), Wake::Changed);
        });
    }

    #[test]
    fn a_change_before_the_wait_is_not_missed() {
        let topics = Topics::default();
        let topic = topics.open();
        let seen = topics.version(topic);
        topics.touch(topic);
        assert_eq!(topics.wait(&[(topic, seen)], LONG), Wake::Changed);
    }

    #[test]
    fn own_touches_are_those_of_the_task_alone() {
        let topics = Topics::default();
        let (mine, other) = (topics.open(), topics.open());
        let touches = OwnTouches::begin();
        topics.touch(mine);
        thread::scope(|scope| {
            scope.spawn(|| topics.touch(mine));
            scope.spawn(|| topics.touch(other));
        });
        topics.touch(mine);
        assert_eq!(touches.end(), [mine, mine]);
        topics.touch(mine);
        assert_eq!(OwnTouches::begin().end(), []);
    }
}
