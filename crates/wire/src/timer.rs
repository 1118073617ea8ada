//! The one queue of timers inside an engine.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::Time;

/// Something that can be due: a small value that says what, and for whom.
pub trait Timer: Copy + Ord + Hash {
    /// The RFC's name of the timer, as in `Timer B`.
    fn name(&self) -> &'static str;
}

/// Timers in order of their time, then of being set. One key is set at most once: setting it again moves it.
///
/// A binary heap that knows the place of each key: most timers are cleared or moved before they are due, and that must cost
/// no more than setting them.
#[derive(Debug)]
pub struct TimerQueue<K> {
    heap: Vec<Entry>,
    slots: Vec<Slot<K>>,
    free: Vec<u32>,
    set: HashMap<K, u32, BuildHasherDefault<KeyHasher>>,
    sequence: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Time,
    sequence: u64,
    slot: u32,
}

impl Entry {
    fn is_before(&self, other: &Entry) -> bool {
        (self.at, self.sequence) < (other.at, other.sequence)
    }
}

#[derive(Debug)]
struct Slot<K> {
    key: K,
    /// Where in the heap its entry is.
    place: u32,
}

impl<K: Timer> Default for TimerQueue<K> {
    fn default() -> Self {
        TimerQueue {
            heap: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            set: HashMap::default(),
            sequence: 0,
        }
    }
}

impl<K: Timer> TimerQueue<K> {
    /// Sets `key` to `at`, or moves it there.
    pub fn set(&mut self, key: K, at: Time) {
        self.sequence += 1;
        let sequence = self.sequence;
        if let Some(slot) = self.set.get(&key) {
            let place = self.slots[*slot as usize].place as usize;
            (self.heap[place].at, self.heap[place].sequence) = (at, sequence);
            self.settle(place);
            return;
        }
        let place = self.heap.len();
        let new = Slot {
            key,
            place: place as u32,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = new;
                slot
            }
            None => {
                self.slots.push(new);
                (self.slots.len() - 1) as u32
            }
        };
        self.set.insert(key, slot);
        self.heap.push(Entry { at, sequence, slot });
        self.rise(place);
    }

    /// Forgets `key`; nothing happens when it is not set.
    pub fn clear(&mut self, key: K) {
        let Some(slot) = self.set.remove(&key) else { return };
        self.free.push(slot);
        let place = self.slots[slot as usize].place as usize;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.settle(place);
        }
    }

    /// When `key` is due, if it is set.
    pub fn at(&self, key: K) -> Option<Time> {
        let slot = self.set.get(&key)?;
        Some(self.heap[self.slots[*slot as usize].place as usize].at)
    }

    /// Takes the next timer that is due at `now`.
    pub fn pop(&mut self, now: Time) -> Option<K> {
        let first = self.heap.first().filter(|first| first.at <= now)?;
        let key = self.slots[first.slot as usize].key;
        self.clear(key);
        Some(key)
    }

    /// The next deadline and the name of its timer.
    pub fn next(&self) -> Option<(Time, &'static str)> {
        let first = self.heap.first()?;
        Some((first.at, self.slots[first.slot as usize].key.name()))
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// True when none is set.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Moves the entry at `place`, whose time may be any, to where it belongs.
    fn settle(&mut self, place: usize) {
        let place = self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) -> usize {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / 2;
            if !entry.is_before(&self.heap[parent]) {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, entry);
        place
    }

    fn sink(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let left = 2 * place + 1;
            let right = left + 1;
            let Some(mut child) = self.heap.get(left).map(|_| left) else {
                break;
            };
            if self
                .heap
                .get(right)
                .is_some_and(|r| r.is_before(&self.heap[left]))
            {
                child = right;
            }
            if !self.heap[child].is_before(&entry) {
                break;
            }
            self.put(place, self.heap[child]);
            place = child;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.slots[entry.slot as usize].place = place as u32;
    }
}

/// Mixes the few small numbers of a key. They are of this side's own making: nobody can choose them so that they meet.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl KeyHasher {
    fn mix(&mut self, value: u64) {
        // The fraction of the golden ratio, odd: it spreads neighbours widest.
        self.0 = (self.0.rotate_left(26) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        // The low bits choose the bucket, and the high ones are mixed best.
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_isize(&mut self, value: isize) {
        self.mix(value as u64);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
}
