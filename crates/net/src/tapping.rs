//! Which packets the tap sees: each once.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use callwright_wire::{Tap, TapRecord, Time};

use crate::route::Routes;

/// How long a closed socket's address is still known as ours: its last datagrams may be on their way.
const LINGER: Duration = Duration::from_secs(2);

/// The tap, and the addresses that tell own senders from outsiders.
#[derive(Default)]
pub(crate) struct Tapping {
    tap: Option<Box<dyn Tap>>,
    datagrams: Addresses,
    streams: Addresses,
}

impl Tapping {
    /// True when somebody looks: only then records are worth making.
    pub(crate) fn is_on(&self) -> bool {
        self.tap.is_some()
    }

    pub(crate) fn replace(&mut self, tap: Option<Box<dyn Tap>>) -> Option<Box<dyn Tap>> {
        std::mem::replace(&mut self.tap, tap)
    }

    pub(crate) fn record(&mut self, record: TapRecord) {
        if let Some(tap) = self.tap.as_mut() {
            tap.record(record);
        }
    }

    pub(crate) fn datagram_socket_opened(&mut self, local: SocketAddr) {
        self.datagrams.add(local);
    }

    pub(crate) fn datagram_socket_closed(&mut self, now: Time, local: SocketAddr) {
        self.datagrams.retire(now, local);
    }

    /// Notes the local address of a listener or of one end of a connection.
    pub(crate) fn stream_opened(&mut self, local: SocketAddr) {
        self.streams.add(local);
    }

    pub(crate) fn stream_closed(&mut self, now: Time, local: SocketAddr) {
        self.streams.retire(now, local);
    }

    /// True when a datagram from `source` was sent, and so recorded, by a socket of this world.
    pub(crate) fn is_own_datagram(&mut self, now: Time, source: SocketAddr, routes: &mut Routes) -> bool {
        self.datagrams.contain(now, source, routes)
    }

    /// True when the far end of a stream is in this world too, and records what it sends.
    pub(crate) fn is_own_stream(&mut self, now: Time, remote: SocketAddr, routes: &mut Routes) -> bool {
        self.streams.contain(now, remote, routes)
    }
}

/// A multiset of addresses; wildcards count for every address of this machine.
#[derive(Default)]
struct Addresses {
    exact: HashMap<SocketAddr, usize>,
    retired: VecDeque<(Time, SocketAddr)>,
}

impl Addresses {
    fn add(&mut self, address: SocketAddr) {
        *self.exact.entry(address).or_insert(0) += 1;
    }

    fn retire(&mut self, now: Time, address: SocketAddr) {
        self.retired.push_back((now, address));
    }

    /// Forgets what was closed long ago: somebody else may have the port now.
    fn forget_retired(&mut self, now: Time) {
        while let Some((at, address)) = self.retired.front().copied()
            && now.since(at) > LINGER
        {
            self.retired.pop_front();
            if let Some(count) = self.exact.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    self.exact.remove(&address);
                }
            }
        }
    }

    fn contain(&mut self, now: Time, address: SocketAddr, routes: &mut Routes) -> bool {
        self.forget_retired(now);
        if self.exact.contains_key(&address) {
            return true;
        }
        let any: IpAddr = match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        self.exact.contains_key(&SocketAddr::new(any, address.port())) && routes.is_own(now, address.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_port_is_somebody_elses_after_a_while() {
        let mut tapping = Tapping::default();
        let mut routes = Routes::default();
        let port = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let closed = Time::ZERO + Duration::from_secs(10);
        tapping.datagram_socket_opened(port);
        tapping.datagram_socket_closed(closed, port);
        assert!(tapping.is_own_datagram(closed + LINGER, port, &mut routes));
        assert!(!tapping.is_own_datagram(closed + LINGER * 2, port, &mut routes));
    }
}
