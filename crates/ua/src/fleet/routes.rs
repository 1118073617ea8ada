//! Which user agent a socket, a connection or a query belongs to. Every user agent numbers its own; the fleet numbers
//! them anew, so that the world sees one node.

use std::collections::BTreeMap;
use std::convert::Infallible;

use callwright_wire::{ConnectionId, Input, Output, QueryId, SocketId};

use crate::user_agent::{Change, UserAgentId};

use super::FleetEvent;

#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By the fleet's number: whose, and its own number for it.
    sockets: BTreeMap<SocketId, (UserAgentId, SocketId)>,
    by_own: BTreeMap<(UserAgentId, SocketId), SocketId>,
    connections: BTreeMap<ConnectionId, UserAgentId>,
    queries: BTreeMap<QueryId, (UserAgentId, QueryId)>,
    next_socket: u32,
    next_query: u32,
}

impl Routes {
    /// What a user agent puts out, with the fleet's numbers.
    pub(super) fn outward(&mut self, id: UserAgentId, output: Output<Change>) -> Output<FleetEvent> {
        match output {
            Output::Bind { socket, local, usage } => Output::Bind {
                socket: self.open(id, socket),
                local,
                usage,
            },
            Output::Unbind { socket } => Output::Unbind {
                socket: self.forget_socket(id, socket),
            },
            Output::Datagram {
                socket,
                to,
                bytes,
                cause,
            } => Output::Datagram {
                socket: self.fleet_socket(id, socket),
                to,
                bytes,
                cause,
            },
            Output::Connect {
                socket,
                local,
                remote,
                tls,
            } => Output::Connect {
                socket: self.open(id, socket),
                local,
                remote,
                tls,
            },
            Output::Stream {
                connection,
                bytes,
                cause,
            } => Output::Stream {
                connection,
                bytes,
                cause,
            },
            Output::Close { connection } => {
                self.connections.remove(&connection);
                Output::Close { connection }
            }
            Output::Resolve { query, question } => {
                let number = QueryId(self.next_query);
                self.next_query = self.next_query.wrapping_add(1);
                self.queries.insert(number, (id, query));
                Output::Resolve {
                    query: number,
                    question,
                }
            }
            Output::Event(change) => Output::Event(FleetEvent {
                user_agent: id,
                change,
            }),
        }
    }

    /// What the world puts in, with the numbers of the user agent that it belongs to; `None` when that is gone.
    pub(super) fn inward(&mut self, input: Input<Infallible>) -> Option<(UserAgentId, Input<Infallible>)> {
        Some(match input {
            Input::Bound { socket, local } => {
                let (id, own) = *self.sockets.get(&socket)?;
                (id, Input::Bound { socket: own, local })
            }
            Input::BindFailed { socket, error } => {
                let (id, own) = self.close(socket)?;
                (id, Input::BindFailed { socket: own, error })
            }
            Input::Datagram { socket, flow, bytes } => {
                let (id, own) = *self.sockets.get(&socket)?;
                (
                    id,
                    Input::Datagram {
                        socket: own,
                        flow,
                        bytes,
                    },
                )
            }
            Input::Unreachable { socket, remote } => {
                let (id, own) = *self.sockets.get(&socket)?;
                (id, Input::Unreachable { socket: own, remote })
            }
            Input::Connected {
                socket,
                connection,
                flow,
            } => {
                let (id, own) = self.close(socket)?;
                self.connections.insert(connection, id);
                (
                    id,
                    Input::Connected {
                        socket: own,
                        connection,
                        flow,
                    },
                )
            }
            Input::ConnectFailed {
                socket,
                remote,
                error,
            } => {
                let (id, own) = self.close(socket)?;
                (
                    id,
                    Input::ConnectFailed {
                        socket: own,
                        remote,
                        error,
                    },
                )
            }
            Input::Accepted {
                listener,
                connection,
                flow,
            } => {
                let (id, own) = *self.sockets.get(&listener)?;
                self.connections.insert(connection, id);
                (
                    id,
                    Input::Accepted {
                        listener: own,
                        connection,
                        flow,
                    },
                )
            }
            Input::Stream { connection, bytes } => (
                *self.connections.get(&connection)?,
                Input::Stream { connection, bytes },
            ),
            Input::Closed { connection, error } => (
                self.connections.remove(&connection)?,
                Input::Closed { connection, error },
            ),
            Input::Resolved { query, answer } => {
                let (id, own) = self.queries.remove(&query)?;
                (id, Input::Resolved { query: own, answer })
            }
            Input::Command(never) => match never {},
        })
    }

    /// Everything of a user agent, closed.
    pub(super) fn forget(&mut self, id: UserAgentId) -> Vec<Output<FleetEvent>> {
        let sockets: Vec<_> = self
            .by_own
            .range((id, SocketId(0))..=(id, SocketId(u32::MAX)))
            .map(|((_, own), socket)| (*own, *socket))
            .collect();
        let mut outputs = Vec::new();
        for (own, socket) in sockets {
            self.by_own.remove(&(id, own));
            self.sockets.remove(&socket);
            outputs.push(Output::Unbind { socket });
        }
        self.connections.retain(|connection, owner| {
            if *owner == id {
                outputs.push(Output::Close {
                    connection: *connection,
                });
            }
            *owner != id
        });
        self.queries.retain(|_, (owner, _)| *owner != id);
        outputs
    }

    fn open(&mut self, id: UserAgentId, own: SocketId) -> SocketId {
        let socket = SocketId(self.next_socket);
        self.next_socket += 1;
        self.sockets.insert(socket, (id, own));
        self.by_own.insert((id, own), socket);
        socket
    }

    fn close(&mut self, socket: SocketId) -> Option<(UserAgentId, SocketId)> {
        let (id, own) = self.sockets.remove(&socket)?;
        self.by_own.remove(&(id, own));
        Some((id, own))
    }

    fn forget_socket(&mut self, id: UserAgentId, own: SocketId) -> SocketId {
        let socket = self.fleet_socket(id, own);
        self.sockets.remove(&socket);
        self.by_own.remove(&(id, own));
        socket
    }

    /// The fleet's number of a socket; one that nobody has when it was never opened, so that the world ignores it.
    fn fleet_socket(&self, id: UserAgentId, own: SocketId) -> SocketId {
        self.by_own
            .get(&(id, own))
            .copied()
            .unwrap_or(SocketId(super::FIRST_SOCKET - 1))
    }
}
