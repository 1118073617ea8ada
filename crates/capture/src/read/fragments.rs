//! Fragments of IP packets, put together (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! Where fragments overlap, what came first stays: nobody sends such ones in good faith (RFC 5722).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use callwright_wire::Time;

use super::link::{Ip, Part};

/// RFC 1122 §3.3.2: a packet that is not whole after this time never will be.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest payload of an IP packet.
const LONGEST: usize = 65_535;
/// What a fragment costs beside its bytes.
const OVERHEAD: usize = 64;

type Key = (IpAddr, IpAddr, u8, u32);

/// Packets of which some fragments came.
#[derive(Debug)]
pub(crate) struct Fragments {
    open: BTreeMap<Key, Assembly>,
    /// By the time of their first fragment.
    order: BTreeMap<(Time, u64), Key>,
    next: u64,
    bytes: usize,
    limit: usize,
    /// Fragments whose packet never became whole.
    pub(crate) dropped: u64,
}

#[derive(Debug)]
struct Assembly {
    place: (Time, u64),
    parts: BTreeMap<usize, Vec<u8>>,
    /// The length of the whole, once its last part came.
    length: Option<usize>,
    /// What the parts cost.
    bytes: usize,
    /// Bytes in all parts.
    held: usize,
    fragments: u64,
}

impl Fragments {
    pub(crate) fn new(limit: usize) -> Self {
        Fragments {
            open: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
            bytes: 0,
            limit,
            dropped: 0,
        }
    }

    /// Takes a fragment; gives the payload of the packet that it completes.
    pub(crate) fn take(&mut self, now: Time, ip: &Ip<'_>, part: Part) -> Option<Vec<u8>> {
        self.expire(now);
        let start = usize::from(part.offset);
        let end = start + ip.payload.len();
        if end > LONGEST || ip.payload.is_empty() || ip.cut_short {
            self.dropped += 1;
            return None;
        }
        let key = (ip.source, ip.destination, ip.protocol, part.identification);
        let assembly = self.open.entry(key).or_insert_with(|| {
            self.next += 1;
            self.order.insert((now, self.next), key);
            Assembly {
                place: (now, self.next),
                parts: BTreeMap::new(),
                length: None,
                bytes: 0,
                held: 0,
                fragments: 0,
            }
        });
        assembly.fragments += 1;
        if !part.more {
            assembly.length.get_or_insert(end);
        }
        let added = assembly.add(start, ip.payload);
        assembly.bytes += added;
        self.bytes += added;
        if let Some(whole) = assembly.whole() {
            self.remove(&key);
            return Some(whole);
        }
        while self.bytes > self.limit {
            let oldest = self.order.first_key_value().map(|(_, key)| *key)?;
            self.drop_one(&oldest);
        }
        None
    }

    /// What is open still never becomes whole.
    pub(crate) fn finish(&mut self) {
        self.dropped += self.open.values().map(|assembly| assembly.fragments).sum::<u64>();
        self.open.clear();
        self.order.clear();
        self.bytes = 0;
    }

    fn expire(&mut self, now: Time) {
        while let Some((place, key)) = self.order.first_key_value().map(|(place, key)| (*place, *key))
            && place.0 + PATIENCE < now
        {
            self.drop_one(&key);
        }
    }

    fn drop_one(&mut self, key: &Key) {
        if let Some(assembly) = self.remove(key) {
            self.dropped += assembly.fragments;
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Assembly> {
        let assembly = self.open.remove(key)?;
        self.order.remove(&assembly.place);
        self.bytes -= assembly.bytes;
        Some(assembly)
    }
}

impl Assembly {
    /// Adds what is new of a part; gives what it costs to hold it.
    fn add(&mut self, start: usize, bytes: &[u8]) -> usize {
        let end = start + bytes.len();
        let mut at = start;
        let mut cost = 0;
        while at < end {
            let before = self.parts.range(..=at).next_back();
            let covered = before.map_or(0, |(start, part)| start + part.len());
            if covered > at {
                at = covered;
                continue;
            }
            let next = self.parts.range(at..).next().map_or(end, |(start, _)| *start);
            let until = next.min(end);
            self.parts.insert(at, bytes[at - start..until - start].to_vec());
            cost += until - at + OVERHEAD;
            self.held += until - at;
            at = until;
        }
        cost
    }

    fn whole(&self) -> Option<Vec<u8>> {
        let length = self.length?;
        if self.held < length {
            return None;
        }
        let mut whole = Vec::with_capacity(length);
        for (start, part) in &self.parts {
            if *start != whole.len() {
                return None;
            }
            whole.extend_from_slice(part);
        }
        whole.truncate(length);
        (whole.len() == length).then_some(whole)
    }
}
