//! Network address translation: RFC 4787 (UDP), and of RFC 5382 (TCP) what a client sees.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use callwright_wire::Time;

use crate::HostId;

/// Where external ports begin.
const FIRST_PORT: u16 = 20_000;
/// How many peers a mapping remembers before it forgets those that timed out.
const CONTACTS: usize = 1_024;

/// A NAT and the private network behind it, numbered in the order of being added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatId(pub u32);

/// How a NAT behaves. The default is what RFC 4787 recommends to one that wants to be transparent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat {
    /// When an external port is used again (RFC 4787 §4.1).
    pub mapping: NatBehavior,
    /// Whose datagrams pass from outside (RFC 4787 §5).
    pub filtering: NatBehavior,
    /// How long a mapping lives after the last datagram from inside; what comes from outside does not refresh it.
    pub mapping_timeout: Duration,
    /// True when hosts inside reach each other by their external addresses (RFC 4787 §6).
    pub hairpinning: bool,
}

impl Default for Nat {
    fn default() -> Self {
        Nat {
            mapping: NatBehavior::EndpointIndependent,
            filtering: NatBehavior::EndpointIndependent,
            // RFC 4787 §4.3 REQ-5: a value of 5 minutes or more is recommended.
            mapping_timeout: Duration::from_secs(300),
            hairpinning: true,
        }
    }
}

/// What a mapping or a filter depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatBehavior {
    /// On the address inside alone.
    EndpointIndependent,
    /// Also on the peer's IP address.
    AddressDependent,
    /// Also on the peer's IP address and port.
    AddressAndPortDependent,
}

/// What a mapping is for: the address inside, and as much of the peer's as the behaviour looks at.
type Key = (SocketAddr, Option<IpAddr>, Option<u16>);

#[derive(Debug)]
struct Mapping {
    key: Key,
    used_at: Time,
    /// To whom the inside sent, and when last.
    contacts: BTreeMap<SocketAddr, Time>,
}

/// A NAT at work, and the private network behind it.
#[derive(Debug)]
pub(crate) struct Translator {
    pub(crate) public: IpAddr,
    pub(crate) inside: BTreeMap<IpAddr, HostId>,
    behavior: Nat,
    mappings: BTreeMap<u16, Mapping>,
    ports: BTreeMap<Key, u16>,
    next_port: u16,
    /// External ports of connections.
    streams: BTreeSet<u16>,
    next_stream: u16,
}

impl Translator {
    pub(crate) fn new(public: IpAddr, behavior: Nat) -> Self {
        Translator {
            public,
            inside: BTreeMap::new(),
            behavior,
            mappings: BTreeMap::new(),
            ports: BTreeMap::new(),
            next_port: FIRST_PORT,
            streams: BTreeSet::new(),
            next_stream: FIRST_PORT,
        }
    }

    pub(crate) fn hairpinning(&self) -> bool {
        self.behavior.hairpinning
    }

    /// A datagram leaves: its external source; `None` when all ports are taken.
    pub(crate) fn outward(&mut self, now: Time, inner: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        let key = match self.behavior.mapping {
            NatBehavior::EndpointIndependent => (inner, None, None),
            NatBehavior::AddressDependent => (inner, Some(to.ip()), None),
            NatBehavior::AddressAndPortDependent => (inner, Some(to.ip()), Some(to.port())),
        };
        let timeout = self.behavior.mapping_timeout;
        let known = self.ports.get(&key).copied().filter(|port| {
            self.mappings
                .get(port)
                .is_some_and(|mapping| is_fresh(now, mapping.used_at, timeout))
        });
        let port = match known {
            Some(port) => port,
            None => self.new_port(now, key)?,
        };
        let mapping = self.mappings.get_mut(&port)?;
        mapping.used_at = now;
        if mapping.contacts.len() >= CONTACTS {
            mapping.contacts.retain(|_, at| is_fresh(now, *at, timeout));
        }
        mapping.contacts.insert(to, now);
        Some(SocketAddr::new(self.public, port))
    }

    /// Who is behind an external port, whether or not the filter lets anybody through.
    pub(crate) fn behind(&self, port: u16) -> Option<HostId> {
        let mapping = self.mappings.get(&port)?;
        self.inside.get(&mapping.key.0.ip()).copied()
    }

    /// A datagram from `from` arrives at an external port: the address inside, if it passes.
    pub(crate) fn inward(&self, now: Time, port: u16, from: SocketAddr) -> Option<SocketAddr> {
        let timeout = self.behavior.mapping_timeout;
        let mapping = self.mappings.get(&port)?;
        if !is_fresh(now, mapping.used_at, timeout) {
            return None;
        }
        let passes = match self.behavior.filtering {
            NatBehavior::EndpointIndependent => true,
            NatBehavior::AddressDependent => {
                let whole = SocketAddr::new(from.ip(), 0)..=SocketAddr::new(from.ip(), u16::MAX);
                let mut contacts = mapping.contacts.range(whole);
                contacts.any(|(_, at)| is_fresh(now, *at, timeout))
            }
            NatBehavior::AddressAndPortDependent => mapping
                .contacts
                .get(&from)
                .is_some_and(|at| is_fresh(now, *at, timeout)),
        };
        passes.then_some(mapping.key.0)
    }

    /// The external port of a new connection; `None` when all are taken.
    pub(crate) fn open_stream(&mut self) -> Option<u16> {
        let port = ports_from(self.next_stream, 1).find(|port| !self.streams.contains(port))?;
        self.streams.insert(port);
        self.next_stream = after(port);
        Some(port)
    }

    pub(crate) fn close_stream(&mut self, port: u16) {
        self.streams.remove(&port);
    }

    fn new_port(&mut self, now: Time, key: Key) -> Option<u16> {
        let timeout = self.behavior.mapping_timeout;
        // RFC 4787 §4.2.2: an even port stays even, for the sake of RTP.
        let first = if self.next_port % 2 == key.0.port() % 2 {
            self.next_port
        } else {
            after(self.next_port)
        };
        let port = ports_from(first, 2).find(|port| {
            self.mappings
                .get(port)
                .is_none_or(|mapping| !is_fresh(now, mapping.used_at, timeout))
        })?;
        let mapping = Mapping {
            key,
            used_at: now,
            contacts: BTreeMap::new(),
        };
        if let Some(expired) = self.mappings.insert(port, mapping)
            && self.ports.get(&expired.key) == Some(&port)
        {
            self.ports.remove(&expired.key);
        }
        self.ports.insert(key, port);
        self.next_port = after(port);
        Some(port)
    }
}

/// Every `step`th port once, from `first` on and around.
fn ports_from(first: u16, step: u16) -> impl Iterator<Item = u16> {
    let low = FIRST_PORT + first % step;
    (first..=u16::MAX)
        .step_by(usize::from(step))
        .chain((low..first).step_by(usize::from(step)))
}

fn after(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(FIRST_PORT)
}

fn is_fresh(now: Time, used_at: Time, timeout: Duration) -> bool {
    now.since(used_at) < timeout
}
