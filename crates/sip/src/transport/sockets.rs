//! The sockets that were asked for, and the local addresses behind wildcards.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use callwright_wire::{SocketId, Transport};

use super::{Exit, Way};

/// What stands in Via and Contact when a message leaves by some socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocalAddress {
    /// This.
    Known(SocketAddr),
    /// The socket is bound to a wildcard: the world must say which address leads there.
    AskRoute(IpAddr),
}

#[derive(Debug)]
struct Socket {
    id: SocketId,
    transport: Transport,
    /// Known once it is open.
    local: Option<SocketAddr>,
}

/// How many local addresses behind a wildcard are remembered.
const REMEMBERED_ROUTES: usize = 1024;

/// UDP sockets and stream listeners.
#[derive(Debug)]
pub(crate) struct Sockets {
    sockets: Vec<Socket>,
    next: u32,
    first: u32,
    routes: BTreeMap<IpAddr, IpAddr>,
}

impl Sockets {
    pub(crate) fn new(first: u32) -> Sockets {
        Sockets {
            sockets: Vec::new(),
            next: first,
            first,
            routes: BTreeMap::new(),
        }
    }

    /// A number that no other socket of this node has: for listeners and for connections being opened.
    pub(crate) fn number(&mut self) -> SocketId {
        let id = SocketId(self.next);
        self.next = self.next.checked_add(1).unwrap_or(self.first);
        id
    }

    pub(crate) fn listen(&mut self, transport: Transport) -> SocketId {
        let id = self.number();
        self.sockets.push(Socket {
            id,
            transport,
            local: None,
        });
        id
    }

    /// The socket is open; gives its transport.
    pub(crate) fn bound(&mut self, id: SocketId, local: SocketAddr) -> Option<Transport> {
        let socket = self.sockets.iter_mut().find(|socket| socket.id == id)?;
        socket.local = Some(local);
        Some(socket.transport)
    }

    /// Forgets a socket; gives its transport.
    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Transport> {
        let at = self.sockets.iter().position(|socket| socket.id == id)?;
        Some(self.sockets.remove(at).transport)
    }

    pub(crate) fn ids(&self) -> Vec<SocketId> {
        self.sockets.iter().map(|socket| socket.id).collect()
    }

    /// Those that are open.
    pub(crate) fn open(&self) -> impl Iterator<Item = (SocketId, Transport, SocketAddr)> {
        self.sockets
            .iter()
            .filter_map(|socket| Some((socket.id, socket.transport, socket.local?)))
    }

    pub(crate) fn clear(&mut self) {
        self.sockets.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// An open UDP socket from which `remote` can be reached, that at `preferred` before others.
    pub(crate) fn datagram_to(
        &self,
        remote: SocketAddr,
        preferred: Option<SocketAddr>,
    ) -> Option<(SocketId, SocketAddr)> {
        let mut found = None;
        for socket in self
            .sockets
            .iter()
            .filter(|socket| socket.transport == Transport::Udp)
        {
            let Some(local) = socket.local.filter(|local| local.is_ipv4() == remote.is_ipv4()) else {
                continue;
            };
            let wanted = preferred.is_none_or(|p| {
                p.port() == local.port() && (local.ip().is_unspecified() || p.ip() == local.ip())
            });
            if wanted {
                return Some((socket.id, local));
            }
            found = found.or(Some((socket.id, local)));
        }
        found
    }

    /// Whether addresses of this family may be tried: where there are sockets, those have it; without any, connections can go
    /// anywhere.
    pub(crate) fn has_family(&self, v4: bool) -> bool {
        if self.sockets.is_empty() {
            return true;
        }
        self.sockets
            .iter()
            .any(|socket| socket.local.is_some_and(|local| local.is_ipv4() == v4))
    }

    /// Whether there is an open socket of this transport.
    pub(crate) fn has(&self, transport: Transport) -> bool {
        self.sockets
            .iter()
            .any(|socket| socket.transport == transport && socket.local.is_some())
    }

    /// The address in Via for datagrams that leave a socket bound to `local`.
    pub(crate) fn local_address(&self, local: SocketAddr, remote: IpAddr) -> LocalAddress {
        if !local.ip().is_unspecified() {
            return LocalAddress::Known(local);
        }
        match self.routes.get(&remote) {
            Some(ip) => LocalAddress::Known(SocketAddr::new(*ip, local.port())),
            None => LocalAddress::AskRoute(remote),
        }
    }

    /// The address in the Via of a request that left by `way`.
    pub(crate) fn sent_by(&self, way: &Way) -> SocketAddr {
        match way.exit {
            Exit::Socket(_) => way.flow.local,
            Exit::Connection(_) => self.stream_address(way.flow.transport, way.flow.local),
        }
    }

    /// The address in Via for what leaves by a connection: the port is the listener's, where there is one, so that the peer can
    /// open a connection to it when this one is gone (RFC 3261 §18.1.1).
    pub(crate) fn stream_address(&self, transport: Transport, local: SocketAddr) -> SocketAddr {
        let listener = self
            .sockets
            .iter()
            .filter(|socket| socket.transport == transport)
            .find_map(|socket| {
                socket.local.filter(|l| {
                    l.is_ipv4() == local.is_ipv4() && (l.ip().is_unspecified() || l.ip() == local.ip())
                })
            });
        SocketAddr::new(
            local.ip(),
            listener.map_or(local.port(), |listener| listener.port()),
        )
    }

    /// The address to connect from: that of a listener of the transport, or of any socket of the family.
    pub(crate) fn connect_from(&self, transport: Transport, remote: SocketAddr) -> Option<IpAddr> {
        let of_family = |socket: &&Socket| {
            socket
                .local
                .is_some_and(|local| local.is_ipv4() == remote.is_ipv4())
        };
        let own = self
            .sockets
            .iter()
            .filter(of_family)
            .find(|socket| socket.transport == transport);
        let socket = own.or_else(|| self.sockets.iter().find(of_family))?;
        socket
            .local
            .map(|local| local.ip())
            .filter(|ip| !ip.is_unspecified())
    }

    /// The world said which address leads to `remote`.
    pub(crate) fn learn_route(&mut self, remote: IpAddr, local: IpAddr) {
        if self.routes.len() >= REMEMBERED_ROUTES {
            self.routes.clear();
        }
        self.routes.insert(remote, local);
    }
}
