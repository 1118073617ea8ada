//! Sockets and connections, and the header fields that name them: RFC 3261 §18, RFC 3581, RFC 5923 in its simplest form
//! (responses and later requests use the connection that is there).

mod connections;
mod sockets;
mod via;

use callwright_wire::{ConnectionId, Flow, SocketId};

pub(crate) use connections::{Connecting, Connection, Connections, Lookup};
pub(crate) use sockets::{LocalAddress, Sockets};
pub(crate) use via::{Source, request_on_wire, response_on_wire, via_value, write_filled};

/// The end of a flow on this side, by which messages leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Datagrams from this socket.
    Socket(SocketId),
    /// This connection.
    Connection(ConnectionId),
}

/// A flow and how to use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) exit: Exit,
    pub(crate) flow: Flow,
}

impl Way {
    pub(crate) const fn reliable(&self) -> bool {
        self.flow.transport.is_reliable()
    }
}
