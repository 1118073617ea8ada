//! Seeded streams of randomness, one for each party, derived by name.

use std::fmt;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// Where streams come from. `Debug` does not show it: keys and nonces come from one.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

impl Seed {
    /// The seed of a run, as a person gives it.
    pub fn from_number(seed: u64) -> Self {
        Seed::hash(b"callwright run", &seed.to_be_bytes())
    }

    /// A seed from the operating system's randomness.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Seed(bytes)
    }

    /// The seed of something inside: the same name gives the same seed, and a change of one name moves no other.
    pub fn derive(&self, name: &str) -> Seed {
        Seed::hash(&self.0, name.as_bytes())
    }

    /// A stream that starts at this seed.
    pub fn stream(&self) -> Entropy {
        Entropy {
            rng: ChaCha20Rng::from_seed(self.0),
        }
    }

    fn hash(key: &[u8], name: &[u8]) -> Seed {
        let mut hasher = Sha256::new();
        hasher.update((key.len() as u64).to_be_bytes());
        hasher.update(key);
        hasher.update(name);
        Seed(hasher.finalize().into())
    }
}

/// A stream of randomness: tags, branches, Call-IDs, SSRCs.
///
/// Keys and nonces that protect anything in the real world come from a stream that the operating system seeded.
#[derive(Clone, Debug)]
pub struct Entropy {
    rng: ChaCha20Rng,
}

impl Entropy {
    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        self.rng.next_u32()
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.rng.fill_bytes(bytes);
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply and shift: the bias is below 2^-32 for every bound that occurs here.
        ((u128::from(self.rng.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `length` characters of `0-9a-z`: for tags, branches and Call-IDs.
    pub fn token(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        (0..length)
            .map(|_| char::from(ALPHABET[(self.rng.next_u32() >> 27) as usize]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_seed_nor_its_stream_shows_what_comes_of_it() {
        let shown = |number| {
            let seed = Seed::from_number(number);
            format!("{seed:?} {:?}", seed.stream())
        };
        assert_eq!(shown(1), shown(2));
    }
}
