//! What is heard in a stream, so far as it takes to recognise it elsewhere.

use super::said::fingerprint;

/// Prints of sound that are kept to recognise a stream on another leg.
const PRINTS: usize = 128;

/// A sample of what is heard in a stream: the same prints in another stream mean the same sound, relayed.
///
/// Which payloads are taken is decided by what they hold, so that two streams take the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prints {
    pub(crate) kept: Vec<u64>,
    level: u32,
}

impl Prints {
    pub(crate) fn take(&mut self, payload: &[u8]) {
        let print = fingerprint(payload);
        if self.takes(print) && !self.kept.contains(&print) {
            self.kept.push(print);
            while self.kept.len() > PRINTS {
                self.level += 1;
                let level = self.level;
                self.kept.retain(|print| print.trailing_zeros() >= level);
            }
        }
    }

    fn takes(&self, print: u64) -> bool {
        print.trailing_zeros() >= self.level
    }

    /// How many prints both have.
    pub(crate) fn common(&self, other: &Prints) -> usize {
        let both = |print: &&u64| other.kept.contains(print);
        self.kept.iter().filter(both).count()
    }
}
