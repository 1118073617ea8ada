//! The server's nonces: each says when it was made, and that it was made here; and which counts were seen with it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use callwright_wire::{Entropy, Time};
use sha2::{Digest, Sha256};

use super::computation::hex;

/// Makes nonces and knows its own again.
pub(super) struct Nonces {
    secret: [u8; 32],
    lifetime: Duration,
    /// How many nonces are remembered with their counts.
    limit: usize,
    seen: BTreeMap<(Time, [u8; 8]), Counts>,
}

/// What a nonce is, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ours, and alive.
    Fresh,
    /// Ours, but too old; or older than all that are remembered.
    Expired,
    /// Not ours.
    Foreign,
}

/// The counts that were seen with one nonce: the highest, and those of the 64 below it.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    highest: u32,
    window: u64,
}

impl fmt::Debug for Nonces {
    /// Without the secret: who has it makes nonces that pass for ours.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces")
            .field("lifetime", &self.lifetime)
            .field("limit", &self.limit)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Nonces {
    pub(super) fn new(lifetime: Duration, limit: usize, entropy: &mut Entropy) -> Nonces {
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        Nonces {
            secret,
            lifetime,
            limit,
            seen: BTreeMap::new(),
        }
    }

    /// A new nonce: time, randomness, and a hash of both with the secret, as hex.
    pub(super) fn issue(&self, now: Time, entropy: &mut Entropy) -> String {
        let random = entropy.next_u64().to_be_bytes();
        let time = now.as_nanos().to_be_bytes();
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&time);
        bytes[8..16].copy_from_slice(&random);
        bytes[16..].copy_from_slice(&self.seal(time, random));
        hex(&bytes)
    }

    fn seal(&self, time: [u8; 8], random: [u8; 8]) -> [u8; 16] {
        let mut hasher = Sha256::new();
        hasher.update(self.secret);
        hasher.update(time);
        hasher.update(random);
        let full: [u8; 32] = hasher.finalize().into();
        let mut seal = [0; 16];
        seal.copy_from_slice(&full[..16]);
        seal
    }

    pub(super) fn judge(&self, now: Time, nonce: &str) -> Verdict {
        match self.read(nonce) {
            None => Verdict::Foreign,
            Some((issued, _)) if now.since(issued) > self.lifetime || issued > now => Verdict::Expired,
            Some(_) => Verdict::Fresh,
        }
    }

    /// Notes a count; false when it was there before, or is too old to know (RFC 7616 §3.4, `nc`).
    pub(super) fn count(&mut self, now: Time, nonce: &str, count: u32) -> bool {
        let Some(key) = self.read(nonce) else { return false };
        self.forget_old(now);
        let counts = self.seen.entry(key).or_default();
        if count > counts.highest {
            let shift = count - counts.highest;
            counts.window = counts.window.checked_shl(shift).unwrap_or(0) | 1;
            counts.highest = count;
            return true;
        }
        let bit = 1_u64.checked_shl(counts.highest - count).unwrap_or(0);
        let fresh = count > 0 && bit != 0 && counts.window & bit == 0;
        counts.window |= bit;
        fresh
    }

    fn forget_old(&mut self, now: Time) {
        while let Some(((issued, random), _)) = self.seen.first_key_value() {
            if now.since(*issued) <= self.lifetime && self.seen.len() < self.limit {
                break;
            }
            let key = (*issued, *random);
            self.seen.remove(&key);
        }
    }

    fn read(&self, nonce: &str) -> Option<(Time, [u8; 8])> {
        let nonce = nonce.as_bytes();
        if nonce.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(nonce.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        let (mut time, mut random) = ([0; 8], [0; 8]);
        time.copy_from_slice(&bytes[..8]);
        random.copy_from_slice(&bytes[8..16]);
        (bytes[16..] == self.seal(time, random))
            .then_some((Time::from_nanos(u64::from_be_bytes(time)), random))
    }
}
