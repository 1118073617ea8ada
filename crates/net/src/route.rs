//! What the routing table knows: the local address towards a peer, and which addresses are this machine's.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use callwright_wire::Time;

/// How long an answer is believed: interfaces come and go.
const FRESH: Duration = Duration::from_secs(10);
/// How many answers are kept.
const KEPT: usize = 4_096;

/// The local address from which packets to `peer` leave. Sends nothing.
pub(crate) fn source_towards(peer: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match peer {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    // udp(7): connecting looks up the route and sends nothing; the port does not matter.
    socket.connect(SocketAddr::new(peer, 5060))?;
    Ok(socket.local_addr()?.ip())
}

/// The routing table's answers, remembered for a while.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    sources: BTreeMap<IpAddr, (Time, Option<IpAddr>)>,
    own: BTreeMap<IpAddr, (Time, bool)>,
}

impl Routes {
    /// As [`source_towards`]; `None` where there is no route.
    pub(crate) fn source(&mut self, now: Time, peer: IpAddr) -> Option<IpAddr> {
        remember(&mut self.sources, now, peer, || source_towards(peer).ok())
    }

    /// True when `address` is one of this machine's.
    pub(crate) fn is_own(&mut self, now: Time, address: IpAddr) -> bool {
        address.is_loopback()
            || remember(&mut self.own, now, address, || {
                UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
            })
    }
}

fn remember<T: Copy>(
    known: &mut BTreeMap<IpAddr, (Time, T)>,
    now: Time,
    key: IpAddr,
    find: impl FnOnce() -> T,
) -> T {
    if let Some((at, value)) = known.get(&key)
        && now.since(*at) < FRESH
    {
        return *value;
    }
    if known.len() >= KEPT {
        known.clear();
    }
    let value = find();
    known.insert(key, (now, value));
    value
}
