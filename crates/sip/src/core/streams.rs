//! Connections: opened on need, shared, closed when idle (RFC 3261 §18, RFC 5923).

use std::net::SocketAddr;

use bytes::Bytes;
use callwright_sip_message::{Frame, FrameError};
use callwright_wire::{
    Cause, ConnectionError, ConnectionId, Flow, Output, SocketId, Time, TlsClient, Transport,
};

use super::failover::Failure;
use super::server::Server;
use super::{Core, CoreEvent, Due, Malformed, Note, ServerId, TransactionId, TransportError};
use crate::arena::Slot;
use crate::resolve::Candidate;
use crate::transport::{Connecting, Connection, Exit, Lookup, Way};

/// What waits for a connection to come up.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A request: it is written when the local address is known.
    Client(Slot),
    /// A response whose connection is gone.
    Response {
        server: Slot,
        bytes: Bytes,
        cause: Option<Cause>,
    },
}

impl Core {
    /// Keeps a connection open although nothing uses it, as a registration over it needs; `false` lets it go again. Nothing
    /// happens for UDP, or when it is gone.
    pub fn keep_open(&mut self, flow: &Flow, keep: bool) {
        if let Some(id) = self.connections.with_flow(flow)
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.kept = keep;
        }
    }

    /// Whether a connection with these addresses is up.
    pub fn has_flow(&self, flow: &Flow) -> bool {
        self.connections.with_flow(flow).is_some()
    }

    /// A client goes over a stream: an open connection, or a new one.
    pub(super) fn use_connection(
        &mut self,
        now: Time,
        slot: Slot,
        to: Candidate,
        name: String,
        bytes: usize,
    ) {
        match self.connections.to(to.transport, to.remote, &name) {
            Lookup::Up(id) => self.start_on(now, slot, id),
            Lookup::Opening(at) => {
                let limits = self.config.limits;
                let connecting = &mut self.connections.connecting[at];
                let over = if connecting.waiting.len() >= limits.queued_messages {
                    Some(("queued_messages", limits.queued_messages))
                } else if connecting.waiting_bytes + bytes > limits.queued_bytes {
                    Some(("queued_bytes", limits.queued_bytes))
                } else {
                    None
                };
                if let Some((limit, max)) = over {
                    self.counters.over_limit += 1;
                    return self.fail_client(
                        now,
                        slot,
                        Failure::Transport(TransportError::Limit { limit, max }),
                    );
                }
                connecting.waiting_bytes += bytes;
                connecting.waiting.push(Waiting::Client(slot));
            }
            Lookup::Nothing => {
                let max = self.config.limits.connections;
                if self.connections.len() >= max {
                    self.counters.over_limit += 1;
                    let error = TransportError::Limit {
                        limit: "connections",
                        max,
                    };
                    return self.fail_client(now, slot, Failure::Transport(error));
                }
                self.open(to, name, Waiting::Client(slot), bytes);
            }
        }
    }

    fn open(&mut self, to: Candidate, name: String, first: Waiting, bytes: usize) {
        let socket = self.sockets.number();
        let tls = (to.transport == Transport::Tls).then(|| TlsClient {
            server_name: name.clone(),
            verify: self.config.tls_verify,
        });
        let local = self.sockets.connect_from(to.transport, to.remote);
        self.outputs.push_back(Output::Connect {
            socket,
            local,
            remote: to.remote,
            tls,
        });
        self.connections.connecting.push(Connecting {
            socket,
            transport: to.transport,
            remote: to.remote,
            name,
            waiting: vec![first],
            waiting_bytes: bytes,
        });
    }

    fn start_on(&mut self, now: Time, slot: Slot, id: ConnectionId) {
        let Some(flow) = self.connections.get(id).map(|connection| connection.flow) else {
            return;
        };
        let local = self.sockets.stream_address(flow.transport, flow.local);
        self.start_client(
            now,
            slot,
            Way {
                exit: Exit::Connection(id),
                flow,
            },
            local,
        );
    }

    pub(super) fn connected(&mut self, now: Time, socket: SocketId, id: ConnectionId, flow: Flow) {
        let Some(connecting) = self.connections.take_connecting(socket) else {
            // Nobody waits for it any more.
            self.outputs.push_back(Output::Close { connection: id });
            return;
        };
        self.add_connection(
            now,
            id,
            Connection::new(flow, connecting.name, self.config.message_limits, now),
        );
        for waiting in connecting.waiting {
            match waiting {
                Waiting::Client(slot) => self.start_on(now, slot, id),
                Waiting::Response { server, bytes, cause } => {
                    let way = Way {
                        exit: Exit::Connection(id),
                        flow,
                    };
                    self.respond_by(server, way);
                    let transaction = Some(TransactionId::Server(ServerId(server)));
                    self.transmit(
                        now,
                        &way,
                        &bytes,
                        Note {
                            transaction,
                            cause,
                            again: false,
                        },
                    );
                }
            }
        }
    }

    fn add_connection(&mut self, now: Time, id: ConnectionId, connection: Connection) {
        self.connections.insert(id, connection);
        self.timers.set(Due::Idle(id), now + self.config.idle_connection);
    }

    pub(super) fn connect_failed(&mut self, now: Time, socket: SocketId, error: ConnectionError) {
        let Some(connecting) = self.connections.take_connecting(socket) else {
            return;
        };
        let (remote, transport) = (connecting.remote, connecting.transport);
        for waiting in connecting.waiting {
            let error = TransportError::Connection {
                remote,
                transport,
                error: error.clone(),
            };
            match waiting {
                Waiting::Client(slot) => self.next_server(now, slot, Failure::Transport(error)),
                Waiting::Response { server, .. } => self.server_transport_failed(now, server, error),
            }
        }
    }

    pub(super) fn accepted(&mut self, now: Time, id: ConnectionId, flow: Flow) {
        if self.connections.len() >= self.config.limits.connections {
            self.counters.over_limit += 1;
            self.outputs.push_back(Output::Close { connection: id });
            return;
        }
        self.add_connection(
            now,
            id,
            Connection::new(flow, String::new(), self.config.message_limits, now),
        );
    }

    pub(super) fn stream(&mut self, now: Time, id: ConnectionId, bytes: &Bytes) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.last_used = now;
        connection.framer.push(bytes);
        let mut pings = 0;
        // What a message sets off can end the connection.
        while let Some(connection) = self.connections.get_mut(id)
            && let Some(frame) = connection.framer.next()
        {
            let way = Way {
                exit: Exit::Connection(id),
                flow: connection.flow,
            };
            match frame {
                Ok(Frame::Message(message)) => self.message(now, way, message),
                Ok(Frame::Ping) => {
                    self.counters.keep_alives += 1;
                    pings += 1;
                }
                Ok(Frame::Pong) => self.counters.keep_alives += 1,
                Err(error) => {
                    self.unframed(now, way, error);
                    self.close(
                        now,
                        id,
                        ConnectionError::Other {
                            detail: "the peer sent no SIP".to_owned(),
                        },
                    );
                }
            }
        }
        if pings > 0 && self.connections.get_mut(id).is_some() {
            // RFC 5626 §4.4.1: a CRLF back for each, together: a flood of pings must not become a flood of writes.
            self.outputs.push_back(Output::Stream {
                connection: id,
                bytes: Bytes::from(b"\r\n".repeat(pings)),
                cause: None,
            });
        }
    }

    /// What stands in the stream is no message, or has no end (RFC 3261 §18.3): the connection cannot go on.
    fn unframed(&mut self, now: Time, way: Way, error: FrameError) {
        match error {
            FrameError::ContentLength(message) => {
                self.counters.malformed += 1;
                let answered = self.refuse(now, &way, &message, 400, "Bad Request: Content-Length");
                let error = Malformed::Invalid {
                    reason: "no readable Content-Length in a stream".to_owned(),
                };
                self.tell(CoreEvent::Malformed {
                    flow: way.flow,
                    error,
                    answered,
                });
            }
            error => {
                self.counters.garbage += 1;
                let error = Malformed::NotSip {
                    reason: error.to_string(),
                };
                self.tell(CoreEvent::Malformed {
                    flow: way.flow,
                    error,
                    answered: None,
                });
            }
        }
    }

    /// Closes a connection from this side.
    fn close(&mut self, now: Time, id: ConnectionId, error: ConnectionError) {
        self.outputs.push_back(Output::Close { connection: id });
        self.closed(now, id, Some(error));
    }

    /// A connection is gone: what ran over it has failed.
    pub(super) fn closed(&mut self, now: Time, id: ConnectionId, error: Option<ConnectionError>) {
        let Some(connection) = self.connections.remove(id) else {
            return;
        };
        self.timers.clear(Due::Idle(id));
        let (remote, transport) = (connection.flow.remote, connection.flow.transport);
        let exit = Exit::Connection(id);
        let hit: Vec<Slot> = self
            .transactions
            .clients
            .iter()
            .filter(|(_, client)| client.is_pending() && client.way().is_some_and(|way| way.exit == exit))
            .map(|(slot, _)| slot)
            .collect();
        for slot in hit {
            let error = match error.clone() {
                Some(error) => TransportError::Connection {
                    remote,
                    transport,
                    error,
                },
                None => TransportError::Closed { remote },
            };
            self.client_transport_failed(now, slot, error);
        }
        self.tell(CoreEvent::FlowClosed {
            flow: connection.flow,
            error,
        });
    }

    /// The idle timer of a connection.
    pub(super) fn idle(&mut self, now: Time, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else {
            return;
        };
        let exit = Exit::Connection(id);
        let until = connection.last_used + self.config.idle_connection;
        if until > now {
            return self.timers.set(Due::Idle(id), until);
        }
        let in_use = connection.kept
            || self
                .transactions
                .clients
                .iter()
                .any(|(_, client)| client.way().is_some_and(|way| way.exit == exit))
            || self
                .transactions
                .servers
                .iter()
                .any(|(_, server)| server.live().is_some_and(|live| live.way.exit == exit));
        if in_use {
            self.timers.set(Due::Idle(id), now + self.config.idle_connection);
        } else if let Some(connection) = self.connections.remove(id) {
            self.outputs.push_back(Output::Close { connection: id });
            self.tell(CoreEvent::FlowClosed {
                flow: connection.flow,
                error: None,
            });
        }
    }

    /// Further responses of this transaction go this way.
    fn respond_by(&mut self, server: Slot, way: Way) {
        if let Some(live) = self
            .transactions
            .servers
            .get_mut(server)
            .and_then(Server::live_mut)
        {
            live.way = way;
        }
    }

    /// A response whose connection is gone goes to the source's address and the port of sent-by, over a new one (RFC 3261
    /// §18.2.2). False when that cannot be.
    pub(super) fn reconnect_for(
        &mut self,
        now: Time,
        server: Slot,
        to: SocketAddr,
        bytes: Bytes,
        cause: Option<Cause>,
    ) -> bool {
        let live = self.transactions.servers.get(server).and_then(Server::live);
        let Some(transport) = live.map(|live| live.way.flow.transport) else {
            return false;
        };
        let size = bytes.len();
        let waiting = Waiting::Response { server, bytes, cause };
        match self.connections.to(transport, to, "") {
            Lookup::Up(id) => {
                let Some(flow) = self.connections.get(id).map(|connection| connection.flow) else {
                    return false;
                };
                let way = Way {
                    exit: Exit::Connection(id),
                    flow,
                };
                self.respond_by(server, way);
                let Waiting::Response { bytes, .. } = waiting else {
                    return false;
                };
                let transaction = Some(TransactionId::Server(ServerId(server)));
                self.transmit(
                    now,
                    &way,
                    &bytes,
                    Note {
                        transaction,
                        cause,
                        again: false,
                    },
                )
            }
            Lookup::Opening(at) => {
                let connecting = &mut self.connections.connecting[at];
                let limits = self.config.limits;
                if connecting.waiting.len() >= limits.queued_messages
                    || connecting.waiting_bytes + size > limits.queued_bytes
                {
                    self.counters.over_limit += 1;
                    return false;
                }
                connecting.waiting_bytes += size;
                connecting.waiting.push(waiting);
                true
            }
            // A TLS client proved no name that could be asked for again.
            Lookup::Nothing
                if transport == Transport::Tls
                    || self.connections.len() >= self.config.limits.connections =>
            {
                false
            }
            Lookup::Nothing => {
                self.open(
                    Candidate {
                        transport,
                        remote: to,
                    },
                    String::new(),
                    waiting,
                    size,
                );
                true
            }
        }
    }
}
