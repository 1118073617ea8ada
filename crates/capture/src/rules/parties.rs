//! Who speaks from where, who is exempt, and who cannot be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use callwright_wire::Time;

use super::heard::Passage;

/// Something that was done to the world, and is nobody's fault who has to live with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// A party is gone with all it knew.
    PartyCrashed {
        /// Its number.
        party: u32,
    },
    /// A party that crashed or left is there again.
    PartyRestarted {
        /// Its number.
        party: u32,
    },
    /// A party left in order: it ended what it held, and answers nothing from now on.
    PartyLeft {
        /// Its number.
        party: u32,
    },
    /// Nothing passes between two parties.
    PathCut {
        /// One party.
        a: u32,
        /// The other one.
        b: u32,
    },
    /// Everything passes again.
    PathsHealed,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    party: u32,
    spoke: Time,
}

#[derive(Debug)]
pub(crate) struct Parties {
    exempt: BTreeSet<u32>,
    addresses: BTreeMap<SocketAddr, Known>,
    /// When a message was last sent on a connection, by its direction.
    streams: BTreeMap<(SocketAddr, SocketAddr), Time>,
    limit: usize,
    cuts: BTreeSet<(u32, u32)>,
    down: BTreeSet<u32>,
}

impl Parties {
    pub(crate) fn new(exempt: BTreeSet<u32>, limit: usize) -> Self {
        Parties {
            exempt,
            addresses: BTreeMap::new(),
            streams: BTreeMap::new(),
            limit,
            cuts: BTreeSet::new(),
            down: BTreeSet::new(),
        }
    }

    pub(crate) fn exempt(&mut self, party: u32) {
        self.exempt.insert(party);
    }

    pub(crate) fn is_exempt(&self, party: u32) -> bool {
        self.exempt.contains(&party)
    }

    /// Whether an exempt party was last heard at this address.
    pub(crate) fn is_exempt_at(&self, address: SocketAddr) -> bool {
        self.at(address).is_some_and(|party| self.is_exempt(party))
    }

    /// A party sent a SIP message from this address.
    pub(crate) fn speaks(&mut self, party: u32, address: SocketAddr, now: Time) {
        if self.addresses.len() >= self.limit && !self.addresses.contains_key(&address) {
            let silent = self
                .addresses
                .iter()
                .min_by_key(|(_, known)| known.spoke)
                .map(|(at, _)| *at);
            silent.and_then(|address| self.addresses.remove(&address));
        }
        self.addresses.insert(address, Known { party, spoke: now });
    }

    /// Who was last heard at this address.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<u32> {
        self.addresses.get(&address).map(|known| known.party)
    }

    /// A message passes on a connection.
    pub(crate) fn streams(&mut self, source: SocketAddr, destination: SocketAddr, now: Time) {
        if self.streams.len() >= self.limit && !self.streams.contains_key(&(source, destination)) {
            let silent = self.streams.iter().min_by_key(|(_, spoke)| **spoke);
            let silent = silent.map(|(way, _)| *way);
            silent.and_then(|way| self.streams.remove(&way));
        }
        self.streams.insert((source, destination), now);
    }

    /// Whether the receiver of a message was heard at that time or later: he lives, and what was sent to him well before
    /// reached him. Of a message on a connection it is on that one that he must have been heard: it may have broken.
    pub(crate) fn spoke_since(&self, passage: &Passage, time: Time) -> bool {
        if passage.reliable {
            let back = (passage.destination, passage.source);
            return self.streams.get(&back).is_some_and(|spoke| *spoke >= time);
        }
        self.addresses
            .get(&passage.destination)
            .is_some_and(|known| known.spoke >= time)
    }

    /// Whether nothing of one party reaches another one: the path is cut, or the other one is down.
    pub(crate) fn is_cut(&self, a: u32, b: Option<u32>) -> bool {
        b.is_some_and(|b| self.down.contains(&b) || self.cuts.contains(&(a.min(b), a.max(b))))
    }

    pub(crate) fn cut(&mut self, a: u32, b: u32) {
        self.cuts.insert((a.min(b), a.max(b)));
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(crate) fn is_gone(&mut self, party: u32) {
        self.down.insert(party);
    }

    pub(crate) fn is_back(&mut self, party: u32) {
        self.down.remove(&party);
    }
}
