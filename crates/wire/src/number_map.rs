//! Maps by numbers that a program gave out itself: no peer chooses them, so that a cheap hash will do.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by numbers such as [`SocketId`](crate::SocketId).
pub type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Hashes numbers by multiplication. Not for keys that a peer chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberHasher(u64);

/// An odd number whose bits look random: the golden ratio of 2^64.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0.rotate_left(5) ^ number).wrapping_mul(FACTOR);
        // The upper bits know of all of them; a map looks at the lower ones too.
        self.0 = mixed ^ (mixed >> 32);
    }
}
