//! Hosts: addresses, and who holds which port.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use callwright_wire::Time;

use crate::arena::Key;
use crate::{Certificate, NatId};

/// Ports that are given out when none is named (RFC 6335 §6).
const EPHEMERAL: RangeInclusive<u16> = 49_152..=65_535;

/// A machine of the simulated network, numbered in the order of being added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

/// Why a host, a NAT or an address cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Names tell hosts apart in the derivation of randomness.
    #[error("there is a host or NAT named {name} already")]
    NameInUse {
        /// The name.
        name: String,
    },
    /// Somebody on the same network has the address.
    #[error("{ip} belongs to {holder} already")]
    AddressInUse {
        /// The address.
        ip: IpAddr,
        /// Who has it.
        holder: String,
    },
    /// Loopback and wildcard addresses belong to every host.
    #[error("{ip} is no address of a network")]
    NotAnAddress {
        /// The address.
        ip: IpAddr,
    },
}

/// The ports of one transport at one host. The two families are apart.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    bound: BTreeMap<(u16, IpAddr), Key>,
    /// Ports of connections that were opened from here.
    lent: BTreeSet<u16>,
    /// Ports that a host held whose machine stopped: who sends there hears nothing.
    silent: BTreeMap<(u16, IpAddr), HostId>,
    next: u16,
}

impl Ports {
    /// Who holds a port so that nobody else can have `local`: at this address or at the wildcard, either way.
    pub(crate) fn holder(&self, local: SocketAddr) -> Option<Key> {
        let any = wildcard(local.ip());
        self.bound
            .range((local.port(), Ipv4Addr::UNSPECIFIED.into())..)
            .take_while(|((port, _), _)| *port == local.port())
            .find(|((_, ip), _)| {
                wildcard(*ip) == any && (local.ip() == any || *ip == any || *ip == local.ip())
            })
            .map(|(_, socket)| *socket)
    }

    /// Whom a packet to this address reaches.
    pub(crate) fn at(&self, local: SocketAddr) -> Option<Key> {
        let exact = self.bound.get(&(local.port(), local.ip()));
        exact
            .or_else(|| self.bound.get(&(local.port(), wildcard(local.ip()))))
            .copied()
    }

    pub(crate) fn bind(&mut self, local: SocketAddr, socket: Key) {
        self.bound.insert((local.port(), local.ip()), socket);
    }

    pub(crate) fn release(&mut self, local: SocketAddr) {
        self.bound.remove(&(local.port(), local.ip()));
    }

    /// True when `local` may be given to somebody who named no port.
    pub(crate) fn is_free(&self, local: SocketAddr) -> bool {
        !self.lent.contains(&local.port())
            && self.holder(local).is_none()
            && !self.silent.contains_key(&(local.port(), local.ip()))
    }

    /// Ephemeral ports in the order in which they are tried: counted up, so that one is not soon used again.
    pub(crate) fn ephemeral(&self) -> impl Iterator<Item = u16> + use<> {
        let first = self.next.max(*EPHEMERAL.start());
        (first..=*EPHEMERAL.end()).chain(*EPHEMERAL.start()..first)
    }

    /// An ephemeral port was chosen.
    pub(crate) fn count_on(&mut self, port: u16) {
        self.next = port.checked_add(1).unwrap_or(0);
    }

    /// An ephemeral port is that of a connection.
    pub(crate) fn lend(&mut self, port: u16) {
        self.lent.insert(port);
    }

    pub(crate) fn take_back(&mut self, port: u16) {
        self.lent.remove(&port);
    }

    /// Remembers who had the address when its machine stopped.
    pub(crate) fn silence(&mut self, local: SocketAddr, host: HostId) {
        self.silent.insert((local.port(), local.ip()), host);
    }

    /// The host that had this address, and is down.
    pub(crate) fn silent_at(&self, local: SocketAddr) -> Option<HostId> {
        let exact = self.silent.get(&(local.port(), local.ip()));
        exact
            .or_else(|| self.silent.get(&(local.port(), wildcard(local.ip()))))
            .copied()
    }

    /// The machine of a host runs again: its ports are refused until they are bound.
    pub(crate) fn unsilence(&mut self, host: HostId) {
        self.silent.retain(|_, holder| *holder != host);
    }
}

/// The pairs of media ports of one address: those that rest, and where the next new one is looked for.
#[derive(Debug, Default)]
pub(crate) struct MediaPool {
    resting: VecDeque<(Time, Key)>,
    next: u16,
}

impl MediaPool {
    /// A pair that has rested, by the socket that leads it.
    pub(crate) fn lease(&mut self, now: Time) -> Option<Key> {
        let (_, pair) = self.resting.pop_front_if(|(at, _)| *at <= now)?;
        Some(pair)
    }

    pub(crate) fn rest(&mut self, until: Time, pair: Key) {
        self.resting.push_back((until, pair));
    }

    /// When the next pair will have rested.
    pub(crate) fn rested_at(&self) -> Option<Time> {
        self.resting.front().map(|(at, _)| *at)
    }

    pub(crate) fn into_pairs(self) -> impl Iterator<Item = Key> {
        self.resting.into_iter().map(|(_, pair)| pair)
    }

    /// Even ports, each with one above it in `range`, in the order in which they are tried.
    pub(crate) fn new_pairs(&self, range: &RangeInclusive<u16>) -> impl Iterator<Item = u16> + use<> {
        let end = *range.end();
        let low = range.start().checked_next_multiple_of(2).unwrap_or(end);
        let first = self.next.max(low);
        (first..end)
            .step_by(2)
            .chain((low..first).step_by(2))
            .filter(move |port| *port < end)
    }

    /// A new pair was chosen.
    pub(crate) fn count_on(&mut self, port: u16) {
        self.next = port.saturating_add(2);
    }
}

/// The ports of everything at the loopback addresses of a machine that all hosts of a world share, as its processes do.
#[derive(Debug, Default)]
pub(crate) struct Loopback {
    pub(crate) udp: Ports,
    pub(crate) tcp: Ports,
    pub(crate) media: BTreeMap<IpAddr, MediaPool>,
}

/// A machine.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) ips: Vec<IpAddr>,
    /// The NAT that it is behind.
    pub(crate) nat: Option<NatId>,
    pub(crate) up: bool,
    pub(crate) certificate: Certificate,
    pub(crate) udp: Ports,
    pub(crate) tcp: Ports,
    pub(crate) media: BTreeMap<IpAddr, MediaPool>,
}

impl Host {
    pub(crate) fn new(name: &str, ip: IpAddr, nat: Option<NatId>) -> Self {
        Host {
            name: name.to_owned(),
            ips: vec![ip],
            nat,
            up: true,
            certificate: Certificate::default(),
            udp: Ports::default(),
            tcp: Ports::default(),
            media: BTreeMap::new(),
        }
    }

    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.ips.contains(&ip)
    }

    /// The address from which packets to `peer` leave; `None` where there is no route.
    pub(crate) fn source_towards(&self, peer: IpAddr) -> Option<IpAddr> {
        if self.has(peer) {
            return Some(peer);
        }
        let any = wildcard(peer);
        self.ips.iter().copied().find(|ip| wildcard(*ip) == any)
    }
}

/// The wildcard of an address's family.
pub(crate) fn wildcard(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
