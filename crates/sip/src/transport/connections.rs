//! Stream connections: found by peer, opened on need, cut into messages.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use callwright_sip_message::{Framer, Limits};
use callwright_wire::{ConnectionId, Flow, SocketId, Time, Transport};

/// A connection that is up.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) flow: Flow,
    /// The name in its certificate that was asked for; empty for TCP and for connections that the peer opened.
    pub(crate) name: String,
    pub(crate) framer: Framer,
    pub(crate) last_used: Time,
    /// True while the layer above wants it open.
    pub(crate) kept: bool,
}

impl Connection {
    pub(crate) fn new(flow: Flow, name: String, limits: Limits, now: Time) -> Connection {
        Connection {
            flow,
            name,
            framer: Framer::new(limits),
            last_used: now,
            kept: false,
        }
    }
}

/// A connection that is being opened, and what waits for it.
#[derive(Debug)]
pub(crate) struct Connecting<W> {
    pub(crate) socket: SocketId,
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    pub(crate) name: String,
    pub(crate) waiting: Vec<W>,
    pub(crate) waiting_bytes: usize,
}

/// What there is towards a peer.
pub(crate) enum Lookup {
    /// A connection.
    Up(ConnectionId),
    /// One that is being opened: its place in [`Connections::connecting`].
    Opening(usize),
    /// Nothing.
    Nothing,
}

/// Connections that are up or being opened. `W`: what waits for one.
#[derive(Debug)]
pub(crate) struct Connections<W> {
    up: BTreeMap<ConnectionId, Connection>,
    by_peer: BTreeMap<(Transport, SocketAddr), Vec<ConnectionId>>,
    pub(crate) connecting: Vec<Connecting<W>>,
}

impl<W> Default for Connections<W> {
    fn default() -> Self {
        Connections {
            up: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            connecting: Vec::new(),
        }
    }
}

impl<W> Connections<W> {
    /// Up or being opened.
    pub(crate) fn len(&self) -> usize {
        self.up.len() + self.connecting.len()
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.up.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.up.get_mut(&id)
    }

    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        self.up.keys().copied().collect()
    }

    /// A connection to `remote` for a request. With TLS only one whose server proved `name` will do: a client proves none.
    pub(crate) fn to(&self, transport: Transport, remote: SocketAddr, name: &str) -> Lookup {
        let known = self
            .by_peer
            .get(&(transport, remote))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let fits = |id: &&ConnectionId| self.up.get(id).is_some_and(|connection| connection.name == name);
        if let Some(id) = known.iter().find(fits) {
            return Lookup::Up(*id);
        }
        let opening = |c: &Connecting<W>| c.transport == transport && c.remote == remote && c.name == name;
        self.connecting
            .iter()
            .position(opening)
            .map_or(Lookup::Nothing, Lookup::Opening)
    }

    pub(crate) fn insert(&mut self, id: ConnectionId, connection: Connection) {
        self.by_peer
            .entry((connection.flow.transport, connection.flow.remote))
            .or_default()
            .push(id);
        self.up.insert(id, connection);
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.up.remove(&id)?;
        let peer = (connection.flow.transport, connection.flow.remote);
        if let Some(ids) = self.by_peer.get_mut(&peer) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_peer.remove(&peer);
            }
        }
        Some(connection)
    }

    /// The connection with exactly these addresses.
    pub(crate) fn with_flow(&self, flow: &Flow) -> Option<ConnectionId> {
        let ids = self.by_peer.get(&(flow.transport, flow.remote))?;
        ids.iter()
            .copied()
            .find(|id| self.up.get(id).is_some_and(|connection| connection.flow == *flow))
    }

    /// Takes the entry of a connection that came up or failed.
    pub(crate) fn take_connecting(&mut self, socket: SocketId) -> Option<Connecting<W>> {
        let at = self.connecting.iter().position(|c| c.socket == socket)?;
        Some(self.connecting.remove(at))
    }
}
