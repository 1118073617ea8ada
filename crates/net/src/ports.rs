//! The pool of port pairs for RTP and RTCP.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use callwright_wire::{BindError, BindErrorKind, Time};

use crate::datagram::{Datagrams, Notes, bind_error};

/// How often a pair is looked for among ports that the kernel chooses.
const ATTEMPTS: usize = 64;

/// An even port and the odd one above it (RFC 3550 §11).
#[derive(Debug)]
pub(crate) struct Pair<S> {
    pub(crate) rtp: S,
    pub(crate) rtcp: S,
}

/// Pairs that were bound before and wait to be leased again, by local address. What a pair is to the loop, `S`, stays
/// open the whole time: nobody else gets the port meanwhile, and packets meant for the last call find nobody.
#[derive(Debug)]
pub(crate) struct PortPool<S> {
    ports: Option<RangeInclusive<u16>>,
    rest: Duration,
    notes: Notes,
    idle: BTreeMap<IpAddr, VecDeque<(Time, Pair<S>)>>,
    next: BTreeMap<IpAddr, u16>,
}

impl<S> PortPool<S> {
    /// Pairs within `ports`, or wherever the kernel finds free ones; each rests before its next lease.
    pub(crate) fn new(ports: Option<RangeInclusive<u16>>, rest: Duration, notes: Notes) -> Self {
        PortPool {
            ports,
            rest,
            notes,
            idle: BTreeMap::new(),
            next: BTreeMap::new(),
        }
    }

    /// A pair that has rested, if there is one.
    pub(crate) fn lease(&mut self, now: Time, ip: IpAddr) -> Option<Pair<S>> {
        let idle = self.idle.get_mut(&ip)?;
        if idle.front()?.0 > now {
            return None;
        }
        idle.pop_front().map(|(_, pair)| pair)
    }

    /// Takes a pair back.
    pub(crate) fn release(&mut self, now: Time, ip: IpAddr, pair: Pair<S>) {
        self.idle
            .entry(ip)
            .or_default()
            .push_back((now + self.rest, pair));
    }

    /// Adds a pair that may be leased at once.
    pub(crate) fn add(&mut self, ip: IpAddr, pair: Pair<S>) {
        self.idle.entry(ip).or_default().push_front((Time::ZERO, pair));
    }

    /// Binds a new pair.
    pub(crate) fn bind(&mut self, ip: IpAddr) -> Result<Pair<Datagrams>, BindError> {
        match self.ports.clone() {
            Some(ports) => self.bind_in(ip, &ports),
            None => bind_anywhere(ip, self.notes),
        }
    }

    /// When the next pair at `ip` will have rested.
    pub(crate) fn rested_at(&self, ip: IpAddr) -> Option<Time> {
        self.idle.get(&ip)?.front().map(|(at, _)| *at)
    }

    fn bind_in(&mut self, ip: IpAddr, ports: &RangeInclusive<u16>) -> Result<Pair<Datagrams>, BindError> {
        let first = ports.start().next_multiple_of(2);
        let pairs = usize::from(ports.end().saturating_sub(first).saturating_add(1) / 2);
        let next = self.next.entry(ip).or_insert(first);
        for _ in 0..pairs {
            let port = *next;
            *next = match port.checked_add(2) {
                Some(port) if port < *ports.end() => port,
                _ => first,
            };
            match bind_pair(ip, port, self.notes) {
                Ok(pair) => return Ok(pair),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(bind_error(SocketAddr::new(ip, port), &error, false)),
            }
        }
        Err(no_ports(ip))
    }
}

/// The pair whose even port is `port`.
pub(crate) fn bind_pair(ip: IpAddr, port: u16, notes: Notes) -> io::Result<Pair<Datagrams>> {
    let odd = port.checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(Pair {
        rtp: Datagrams::bind(SocketAddr::new(ip, port), notes)?,
        rtcp: Datagrams::bind(SocketAddr::new(ip, odd), notes)?,
    })
}

fn bind_anywhere(ip: IpAddr, notes: Notes) -> Result<Pair<Datagrams>, BindError> {
    let any = SocketAddr::new(ip, 0);
    for _ in 0..ATTEMPTS {
        let one = Datagrams::bind(any, notes).map_err(|error| bind_error(any, &error, false))?;
        let port = one.local().port();
        // The other of the pair is below an odd port, above an even one.
        match Datagrams::bind(SocketAddr::new(ip, port ^ 1), notes) {
            Ok(other) if port % 2 == 0 => {
                return Ok(Pair {
                    rtp: one,
                    rtcp: other,
                });
            }
            Ok(other) => {
                return Ok(Pair {
                    rtp: other,
                    rtcp: one,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(bind_error(any, &error, false)),
        }
    }
    Err(no_ports(ip))
}

fn no_ports(ip: IpAddr) -> BindError {
    BindError {
        local: SocketAddr::new(ip, 0),
        kind: BindErrorKind::NoMediaPorts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_pair_rests_before_it_is_leased_again() {
        let mut pool = PortPool::new(None, Duration::from_secs(1), Notes::Full);
        pool.release(Time::from_millis(500), HERE, Pair { rtp: 1, rtcp: 2 });
        assert!(pool.lease(Time::from_millis(1_499), HERE).is_none());
        assert_eq!(pool.rested_at(HERE), Some(Time::from_millis(1_500)));
        assert_eq!(
            pool.lease(Time::from_millis(1_500), HERE).map(|pair| pair.rtp),
            Some(1)
        );
    }

    #[test]
    fn the_pair_that_rested_longest_comes_first() {
        let mut pool = PortPool::new(None, Duration::ZERO, Notes::Full);
        pool.release(Time::from_millis(1), HERE, Pair { rtp: 1, rtcp: 2 });
        pool.release(Time::from_millis(2), HERE, Pair { rtp: 3, rtcp: 4 });
        assert_eq!(pool.lease(Time::from_secs(1), HERE).map(|pair| pair.rtp), Some(1));
    }

    #[test]
    fn a_bound_pair_is_an_even_port_and_the_next() {
        let mut pool = PortPool::<()>::new(None, Duration::ZERO, Notes::Full);
        for _ in 0..16 {
            let pair = pool.bind(HERE).unwrap();
            assert_eq!(pair.rtp.local().port() % 2, 0);
            assert_eq!(pair.rtp.local().port() + 1, pair.rtcp.local().port());
        }
    }

    #[test]
    fn a_range_that_is_used_up_says_so() {
        // A range of one pair, at ports that were free a moment ago.
        let free = bind_anywhere(HERE, Notes::Full).unwrap().rtp.local().port();
        let mut pool = PortPool::<()>::new(Some(free..=free + 1), Duration::ZERO, Notes::Full);
        let _held = pool.bind(HERE).unwrap();
        assert_eq!(pool.bind(HERE).unwrap_err().kind, BindErrorKind::NoMediaPorts);
    }
}
