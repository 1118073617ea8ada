//! The last seconds heard, kept as they came: encoded, one byte a sample.

use std::time::Duration;

use crate::codec::{Codec, SAMPLE_RATE};

/// Three seconds of G.711.
pub(crate) const CAPACITY: usize = 24_000;

/// A ring of encoded audio of one codec, made at the first packet.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// Nobody will ask: nothing is kept.
    unwanted: bool,
    codec: Option<Codec>,
    ring: Option<Box<[u8]>>,
    /// Bytes ever written.
    written: u64,
}

impl Evidence {
    /// Keeps nothing from now on.
    pub(crate) fn keep_nothing(&mut self) {
        *self = Evidence {
            unwanted: true,
            ..Evidence::default()
        };
    }

    /// Adds a payload; another codec than before starts anew.
    pub(crate) fn add(&mut self, codec: Codec, payload: &[u8]) {
        if self.unwanted {
            return;
        }
        if self.codec != Some(codec) {
            self.codec = Some(codec);
            self.written = 0;
        }
        let ring = self
            .ring
            .get_or_insert_with(|| vec![0; CAPACITY].into_boxed_slice());
        let payload = &payload[payload.len().saturating_sub(CAPACITY)..];
        let at = (self.written % CAPACITY as u64) as usize;
        let first = payload.len().min(CAPACITY - at);
        ring[at..at + first].copy_from_slice(&payload[..first]);
        ring[..payload.len() - first].copy_from_slice(&payload[first..]);
        self.written += payload.len() as u64;
    }

    /// What is kept, in order and without the room around it, for when the session is gone.
    pub(crate) fn into_heard(self) -> LastHeard {
        let (Some(codec), Some(ring)) = (self.codec, self.ring) else {
            return LastHeard::default();
        };
        let mut bytes = ring.into_vec();
        match usize::try_from(self.written) {
            Ok(written) if written < CAPACITY => bytes.truncate(written),
            _ => bytes.rotate_left((self.written % CAPACITY as u64) as usize),
        }
        LastHeard {
            codec: Some(codec),
            bytes: bytes.into(),
        }
    }

    /// The last `samples` samples at most, decoded, oldest first.
    pub(crate) fn last(&self, samples: usize) -> Vec<i16> {
        let (Some(codec), Some(ring)) = (self.codec, &self.ring) else {
            return Vec::new();
        };
        let written = usize::try_from(self.written).unwrap_or(CAPACITY);
        let bytes = samples.min(CAPACITY).min(written);
        let end = (self.written % CAPACITY as u64) as usize;
        let start = (end + CAPACITY - bytes) % CAPACITY;
        let mut audio = vec![0; bytes];
        let (head, tail) = audio.split_at_mut(bytes.min(CAPACITY - start));
        codec.decode(&ring[start..start + head.len()], head);
        codec.decode(&ring[..tail.len()], tail);
        audio
    }
}

/// The last audio heard in a session that was closed: at most three seconds, one byte a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastHeard {
    codec: Option<Codec>,
    bytes: Box<[u8]>,
}

impl LastHeard {
    /// True when nothing was heard.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The last audio heard, `span` of it and at most 3 s, oldest first: 8,000 samples a second.
    pub fn recent(&self, span: Duration) -> Vec<i16> {
        let Some(codec) = self.codec else {
            return Vec::new();
        };
        let bytes = &self.bytes[self.bytes.len().saturating_sub(samples_in(span))..];
        let mut audio = vec![0; bytes.len()];
        codec.decode(bytes, &mut audio);
        audio
    }
}

/// As many as are kept at most.
pub(crate) fn samples_in(span: Duration) -> usize {
    let samples = span.as_millis() * u128::from(SAMPLE_RATE) / 1_000;
    usize::try_from(samples).unwrap_or(CAPACITY).min(CAPACITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asks_for_is_not_kept() {
        let mut evidence = Evidence::default();
        evidence.add(Codec::Pcmu, &[0xff; 160]);
        assert_eq!(evidence.last(1_000).len(), 160);
        evidence.keep_nothing();
        evidence.add(Codec::Pcmu, &[0xff; 160]);
        assert!(evidence.last(1_000).is_empty() && evidence.ring.is_none());
    }
}
