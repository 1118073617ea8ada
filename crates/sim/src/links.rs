//! All links of a world, and where it is cut in two.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use callwright_wire::link::{Channel, Link, Passage};
use callwright_wire::{Seed, Time};

use crate::HostId;
use crate::host::Host;

/// What takes no network, from one socket of a host to another.
pub(crate) const LOOPBACK: Duration = Duration::from_micros(10);

/// From, to.
type Direction = (HostId, HostId);

#[derive(Debug)]
pub(crate) struct Links {
    seed: Seed,
    default: Link,
    own: BTreeMap<Direction, Link>,
    channels: BTreeMap<Direction, Channel>,
    cuts: BTreeSet<Direction>,
}

impl Links {
    pub(crate) fn new(seed: Seed) -> Self {
        Links {
            seed,
            default: Link::default(),
            own: BTreeMap::new(),
            channels: BTreeMap::new(),
            cuts: BTreeSet::new(),
        }
    }

    pub(crate) fn set_default(&mut self, link: Link) {
        for (direction, channel) in &mut self.channels {
            if !self.own.contains_key(direction) {
                channel.set(link.clone());
            }
        }
        self.default = link;
    }

    pub(crate) fn set_every(&mut self, link: Link) {
        self.own.clear();
        self.set_default(link);
    }

    pub(crate) fn set(&mut self, from: HostId, to: HostId, link: Link) {
        if let Some(channel) = self.channels.get_mut(&(from, to)) {
            channel.set(link.clone());
        }
        self.own.insert((from, to), link);
    }

    pub(crate) fn cut(&mut self, a: HostId, b: HostId) {
        if a != b {
            self.cuts.extend([(a, b), (b, a)]);
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(crate) fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// The least time from one host to another.
    pub(crate) fn latency(&self, from: HostId, to: HostId) -> Duration {
        if from == to {
            return LOOPBACK;
        }
        self.own.get(&(from, to)).unwrap_or(&self.default).latency
    }

    /// The least time on a way for which nothing was said.
    pub(crate) fn default_latency(&self) -> Duration {
        self.default.latency
    }

    /// A datagram sets out.
    pub(crate) fn carry_datagram(
        &mut self,
        now: Time,
        hosts: &[Host],
        from: HostId,
        to: HostId,
        octets: usize,
    ) -> Passage {
        if from == to {
            return Passage::Arrives {
                at: now + LOOPBACK,
                late: Duration::ZERO,
                twice: false,
            };
        }
        if self.is_cut(from, to) {
            return Passage::Lost;
        }
        self.channel(hosts, from, to).carry_datagram(now, octets)
    }

    /// A piece of a stream sets out; `None` when it is lost.
    pub(crate) fn carry_piece(
        &mut self,
        now: Time,
        hosts: &[Host],
        from: HostId,
        to: HostId,
        octets: usize,
    ) -> Option<Time> {
        if from == to {
            return Some(now + LOOPBACK);
        }
        if self.is_cut(from, to) {
            return None;
        }
        self.channel(hosts, from, to).carry_piece(now, octets)
    }

    fn channel(&mut self, hosts: &[Host], from: HostId, to: HostId) -> &mut Channel {
        self.channels.entry((from, to)).or_insert_with(|| {
            let name = |host: HostId| &hosts[host.0 as usize].name;
            let seed = self
                .seed
                .derive(&format!("link from {:?} to {:?}", name(from), name(to)));
            let link = self.own.get(&(from, to)).unwrap_or(&self.default);
            Channel::new(link.clone(), seed)
        })
    }
}
