//! The one queue of timers inside an engine.

use std::collections::{BTreeMap, BTreeSet};

use crate::Time;

/// Something that can be due: a small value that says what, and for whom.
pub trait Timer: Copy + Ord {
    /// The RFC's name of the timer, as in `Timer B`.
    fn name(&self) -> &'static str;
}

/// Timers in order of their time, then of being set. One key is set at most once: setting it again moves it.
#[derive(Debug)]
pub struct TimerQueue<K> {
    due: BTreeSet<(Time, u64, K)>,
    set: BTreeMap<K, (Time, u64)>,
    sequence: u64,
}

impl<K: Timer> Default for TimerQueue<K> {
    fn default() -> Self {
        TimerQueue {
            due: BTreeSet::new(),
            set: BTreeMap::new(),
            sequence: 0,
        }
    }
}

impl<K: Timer> TimerQueue<K> {
    /// Sets `key` to `at`, or moves it there.
    pub fn set(&mut self, key: K, at: Time) {
        self.clear(key);
        self.sequence += 1;
        self.due.insert((at, self.sequence, key));
        self.set.insert(key, (at, self.sequence));
    }

    /// Forgets `key`; nothing happens when it is not set.
    pub fn clear(&mut self, key: K) {
        if let Some((at, sequence)) = self.set.remove(&key) {
            self.due.remove(&(at, sequence, key));
        }
    }

    /// When `key` is due, if it is set.
    pub fn at(&self, key: K) -> Option<Time> {
        self.set.get(&key).map(|(at, _)| *at)
    }

    /// Takes the next timer that is due at `now`.
    pub fn pop(&mut self, now: Time) -> Option<K> {
        let (at, _, key) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.clear(key);
        Some(key)
    }

    /// The next deadline and the name of its timer.
    pub fn next(&self) -> Option<(Time, &'static str)> {
        self.due.first().map(|(at, _, key)| (*at, key.name()))
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// True when none is set.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }
}
