//! Listeners and connections of the world.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use callwright_wire::{
    BindError, BindErrorKind, Carrier, Cause, ConnectionError, ConnectionId, Fate, Flow, Input, SocketId,
    Time, TlsClient, Transport,
};
use mio::Interest;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::held::Way;
use super::{Deadline, Kind, Sockets};
use crate::connection::{Connection, Effect, Origin, Phase, Unsent, handshake_timed_out};
use crate::datagram::bind_error;
use crate::health::Counters;
use crate::{PartyId, Warning};

/// How many connections one turn accepts.
const ACCEPTS: usize = 64;
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1_024;
/// When accepting is tried again after the process ran out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How long a closed connection may take to deliver its last bytes.
const CLOSING: Duration = Duration::from_secs(5);
/// How long a silent connection stays unprobed (TCP keep-alive).
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) party: PartyId,
    socket: SocketId,
    transport: Transport,
    local: SocketAddr,
    listener: TcpListener,
}

/// A connection that a node asked for.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) party: PartyId,
    pub(crate) socket: SocketId,
    pub(crate) local: Option<IpAddr>,
    pub(crate) remote: SocketAddr,
    pub(crate) tls: Option<TlsClient>,
}

impl Sockets {
    pub(super) fn listen(
        &mut self,
        party: PartyId,
        socket: SocketId,
        local: SocketAddr,
        transport: Transport,
    ) -> Result<SocketAddr, BindError> {
        if transport == Transport::Tls && !self.tls.can_serve() {
            return Err(BindError {
                local,
                kind: BindErrorKind::Other {
                    detail: "accepting TLS connections takes a certificate, and none is configured".into(),
                },
            });
        }
        let listener = open_listener(local).map_err(|error| bind_error(local, &error, true))?;
        let bound = listener
            .local_addr()
            .map_err(|error| bind_error(local, &error, true))?;
        let index = self.add(Kind::Listener(Listener {
            party,
            socket,
            transport,
            local: bound,
            listener,
        }));
        let Some(Kind::Listener(listener)) = self.slots[index].kind.as_mut() else {
            unreachable!("the slot was filled above");
        };
        if let Err(error) =
            self.registry
                .register(&mut listener.listener, mio::Token(index), Interest::READABLE)
        {
            self.take(index);
            return Err(bind_error(local, &error, true));
        }
        self.owners.insert(party, socket.0, index);
        self.tapping.stream_opened(bound);
        Ok(bound)
    }

    pub(super) fn close_listener(&mut self, now: Time, index: usize) {
        if let Some(Kind::Listener(mut listener)) = self.take(index) {
            let _ = self.registry.deregister(&mut listener.listener);
            self.deadlines.clear(Deadline::Accept { slot: index });
            self.owners.remove(listener.party, listener.socket.0);
            self.tapping.stream_closed(now, listener.local);
        }
    }

    pub(super) fn accept(&mut self, now: Time, index: usize) {
        for _ in 0..ACCEPTS {
            let Some(Kind::Listener(listener)) = self.slots[index].kind.as_ref() else {
                return;
            };
            match listener.listener.accept() {
                Ok((stream, remote)) => {
                    let (party, socket, transport) = (listener.party, listener.socket, listener.transport);
                    self.accepted(now, party, socket, transport, stream, remote);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if no_descriptors(&error) => {
                    tracing::warn!(%error, "a connection waits to be accepted");
                    self.deadlines
                        .set(Deadline::Accept { slot: index }, now + ACCEPT_RETRY);
                    return;
                }
                // accept(2): errors of the connection that was about to be accepted; the next may be well.
                Err(_) => {}
            }
        }
        self.mark_ready(index);
    }

    fn accepted(
        &mut self,
        now: Time,
        party: PartyId,
        listener: SocketId,
        transport: Transport,
        stream: TcpStream,
        remote: SocketAddr,
    ) {
        if self.accepted >= self.config.connection_limit {
            Counters::one(&self.counters.connections_refused);
            return;
        }
        let Ok(local) = stream.local_addr() else { return };
        let tls = match transport {
            Transport::Tls => match self.tls.server() {
                Some(tls) => Some(tls),
                None => return,
            },
            Transport::Udp | Transport::Tcp => None,
        };
        let flow = Flow {
            transport,
            local,
            remote,
        };
        let _ = stream.set_nodelay(true);
        let connection = Connection::new(party, Origin::Accepted(listener), flow, stream, tls);
        let Ok(index) = self.add_connection(connection) else {
            return;
        };
        self.accepted += 1;
        let id = self.connection_id(index);
        self.tapping.stream_opened(local);
        if transport == Transport::Tls {
            self.set_deadline(index, now + self.config.handshake_timeout);
        } else {
            Counters::one(&self.counters.connections_opened);
            self.set_deadline(index, now + self.config.idle_timeout);
            self.inbox.push_back((
                party,
                Input::Accepted {
                    listener,
                    connection: id,
                    flow,
                },
            ));
        }
    }

    /// Opens a connection; the answer goes to the inbox.
    pub(crate) fn connect(&mut self, now: Time, dial: Dial) {
        if let Some(client) = &dial.tls
            && !self.tls.is_ready(client)
        {
            self.dials.push_back(dial);
            return;
        }
        let (party, socket, remote) = (dial.party, dial.socket, dial.remote);
        if let Err(error) = self.dial(now, dial) {
            Counters::one(&self.counters.connections_failed);
            self.inbox.push_back((
                party,
                Input::ConnectFailed {
                    socket,
                    remote,
                    error,
                },
            ));
        }
    }

    /// Opens what waited for the roots.
    pub(super) fn retry_dials(&mut self, now: Time) {
        for dial in std::mem::take(&mut self.dials) {
            self.connect(now, dial);
        }
    }

    fn dial(&mut self, now: Time, dial: Dial) -> Result<(), ConnectionError> {
        let Dial {
            party,
            socket,
            local,
            remote,
            tls,
        } = dial;
        let (transport, session) = match tls {
            None => (Transport::Tcp, None),
            Some(client) => {
                let session = self.tls.client(&client)?;
                if !client.verify {
                    let warning = Warning::CertificateNotVerified {
                        remote,
                        server_name: client.server_name,
                    };
                    self.warnings.push((party, warning));
                }
                (Transport::Tls, Some(session))
            }
        };
        let stream = open_connection(local, remote).map_err(|error| ConnectionError::from(&error))?;
        // Known once the kernel chose it, at the latest when the connection is up.
        let local = stream.local_addr().unwrap_or(SocketAddr::new(remote.ip(), 0));
        let flow = Flow {
            transport,
            local,
            remote,
        };
        let connection = Connection::new(party, Origin::Dialled(socket), flow, stream, session);
        let index = self
            .add_connection(connection)
            .map_err(|error| ConnectionError::from(&error))?;
        self.tapping.stream_opened(local);
        self.set_deadline(index, now + self.config.connect_timeout);
        Ok(())
    }

    fn add_connection(&mut self, connection: Connection) -> io::Result<usize> {
        let _ = SockRef::from(&connection).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        let index = self.add(Kind::Connection(Box::new(connection)));
        let Some(Kind::Connection(connection)) = self.slots[index].kind.as_mut() else {
            unreachable!("the slot was filled above");
        };
        if let Err(error) = self.registry.register(
            connection.stream(),
            mio::Token(index),
            Interest::READABLE | Interest::WRITABLE,
        ) {
            self.take(index);
            return Err(error);
        }
        Ok(index)
    }

    /// Queues bytes on a connection and writes what the kernel takes.
    pub(crate) fn send_stream(&mut self, now: Time, id: ConnectionId, bytes: Bytes, cause: Option<Cause>) {
        let limit = self.config.unsent_limit;
        let Some(index) = self.connection_slot(id) else {
            tracing::debug!(connection = id.0, "bytes for a connection that is gone");
            return;
        };
        let Some(connection) = self.connection(index) else {
            return;
        };
        if connection.phase != Phase::Open {
            return;
        }
        if connection.closes_after {
            return;
        }
        let (party, flow) = (connection.party, connection.flow);
        if self.divert(now, index, Way::Out, bytes.clone(), cause) {
            if self.tapping.is_on() {
                let carrier = carrier(flow.transport);
                self.tap(party, carrier, Fate::Sent, flow.local, flow.remote, bytes, cause);
            }
        } else {
            self.write_stream(now, index, bytes, cause, false);
        }
        // The peer may have ended it.
        if self.connection_slot(id).is_none() {
            return;
        }
        let held = self.diverted(index, Way::Out);
        let waiting = held
            + self
                .connection(index)
                .map_or(0, |connection| connection.unsent_bytes());
        if waiting > limit {
            Counters::one(&self.counters.connections_failed);
            let error = ConnectionError::Other {
                detail: format!("the peer does not read: {waiting} bytes wait to be sent to it"),
            };
            self.ended(now, index, Some(error));
        }
    }

    /// Queues bytes and writes what the kernel takes; `shown`: the tap saw them already.
    pub(super) fn write_stream(
        &mut self,
        now: Time,
        index: usize,
        bytes: Bytes,
        cause: Option<Cause>,
        shown: bool,
    ) {
        let Some(connection) = self.connection(index) else {
            return;
        };
        connection.send(bytes, cause, shown);
        let mut effects = Vec::new();
        connection.write(&mut effects);
        let (party, flow) = (connection.party, connection.flow);
        self.carry_out(now, index, party, flow, effects);
    }

    /// Closes a connection, after what was sent on it.
    pub(crate) fn close(&mut self, now: Time, id: ConnectionId) {
        let Some(index) = self.connection_slot(id) else {
            return;
        };
        let held = self.diverted(index, Way::Out);
        if let Some(connection) = self.connection(index) {
            connection.closes_after = true;
        }
        if held == 0 {
            self.close_if_asked(now, index);
        }
    }

    pub(super) fn close_if_asked(&mut self, now: Time, index: usize) {
        if let Some(connection) = self.connection(index)
            && connection.closes_after
        {
            connection.close();
            self.set_deadline(index, now + CLOSING);
            self.turn(now, index);
        }
    }

    /// Lets a connection do what the kernel is ready for.
    pub(super) fn turn(&mut self, now: Time, index: usize) {
        let Some(Kind::Connection(connection)) = self.slots[index].kind.as_mut() else {
            return;
        };
        let before = connection.phase;
        let mut effects = Vec::new();
        let more = connection.turn(&mut self.buffer, &mut effects);
        let (after, party, flow) = (connection.phase, connection.party, connection.flow);
        if before == Phase::Connecting && after == Phase::Handshaking {
            self.set_deadline(index, now + self.config.handshake_timeout);
        }
        if self.carry_out(now, index, party, flow, effects) && more {
            self.mark_ready(index);
        }
    }

    /// Says what came of a connection's turn. Returns false when the connection is gone.
    fn carry_out(
        &mut self,
        now: Time,
        index: usize,
        party: PartyId,
        flow: Flow,
        effects: Vec<Effect>,
    ) -> bool {
        for effect in effects {
            match effect {
                Effect::Up => self.is_up(now, index),
                Effect::Received(bytes) => self.stream_received(now, index, party, flow, bytes),
                Effect::Sent(Unsent { bytes, cause, shown }) => {
                    Counters::add(&self.counters.bytes_sent, bytes.len());
                    if self.tapping.is_on() && !shown {
                        let carrier = carrier(flow.transport);
                        self.tap(party, carrier, Fate::Sent, flow.local, flow.remote, bytes, cause);
                    }
                }
                Effect::Gone(error) => {
                    self.ended(now, index, error);
                    return false;
                }
            }
        }
        true
    }

    fn is_up(&mut self, now: Time, index: usize) {
        let id = self.connection_id(index);
        let idle_timeout = self.config.idle_timeout;
        let Some(connection) = self.connection(index) else {
            return;
        };
        let (party, flow) = (connection.party, connection.flow);
        let input = match connection.origin {
            Origin::Dialled(socket) => Input::Connected {
                socket,
                connection: id,
                flow,
            },
            Origin::Accepted(listener) => Input::Accepted {
                listener,
                connection: id,
                flow,
            },
        };
        match connection.origin {
            Origin::Dialled(_) => self.clear_deadline(index),
            Origin::Accepted(_) => self.set_deadline(index, now + idle_timeout),
        }
        Counters::one(&self.counters.connections_opened);
        self.inbox.push_back((party, input));
    }

    fn stream_received(&mut self, now: Time, index: usize, party: PartyId, flow: Flow, bytes: Bytes) {
        Counters::add(&self.counters.bytes_received, bytes.len());
        let on_a_link = self.is_shaped() || self.diverted(index, Way::In) > 0;
        let is_outside = (self.tapping.is_on() || on_a_link)
            && !self.tapping.is_own_stream(now, flow.remote, &mut self.routes);
        if self.tapping.is_on() && is_outside {
            let carrier = carrier(flow.transport);
            self.tap(
                party,
                carrier,
                Fate::Received,
                flow.remote,
                flow.local,
                bytes.clone(),
                None,
            );
        }
        let connection = self.connection_id(index);
        let idle_timeout = self.config.idle_timeout;
        let accepted = self
            .connection(index)
            .is_some_and(|connection| matches!(connection.origin, Origin::Accepted(_)));
        if accepted {
            self.set_deadline(index, now + idle_timeout);
        }
        if on_a_link && is_outside && self.divert(now, index, Way::In, bytes.clone(), None) {
            return;
        }
        self.inbox.push_back((party, Input::Stream { connection, bytes }));
    }

    /// Drops a connection and tells its node.
    pub(super) fn ended(&mut self, now: Time, index: usize, error: Option<ConnectionError>) {
        let id = self.connection_id(index);
        let Some(mut connection) = self.drop_connection(now, index) else {
            return;
        };
        if connection.phase == Phase::Open {
            // It came before the end, and would not come after it.
            // What was lost has not come.
            let lane = connection.lane(false);
            let came = lane.scheduled;
            for (bytes, _) in std::mem::take(&mut lane.pieces).into_iter().take(came) {
                let input = Input::Stream {
                    connection: id,
                    bytes,
                };
                self.inbox.push_back((connection.party, input));
            }
        }
        let input = match (connection.phase, connection.origin) {
            (Phase::Connecting | Phase::Handshaking, Origin::Dialled(socket)) => {
                Counters::one(&self.counters.connections_failed);
                Input::ConnectFailed {
                    socket,
                    remote: connection.flow.remote,
                    error: error.unwrap_or(ConnectionError::Reset),
                }
            }
            (Phase::Connecting | Phase::Handshaking, Origin::Accepted(_)) => {
                // The node never heard of it.
                Counters::one(&self.counters.connections_failed);
                tracing::debug!(remote = %connection.flow.remote, ?error, "a peer's TLS handshake failed");
                return;
            }
            (Phase::Open, _) => Input::Closed {
                connection: id,
                error,
            },
            // What happens to a connection after its node closed it is no fault of anybody.
            (Phase::Closing, _) => Input::Closed {
                connection: id,
                error: None,
            },
        };
        self.inbox.push_back((connection.party, input));
    }

    pub(super) fn drop_connection(&mut self, now: Time, index: usize) -> Option<Box<Connection>> {
        self.clear_deadline(index);
        let Some(Kind::Connection(mut connection)) = self.take(index) else {
            return None;
        };
        if matches!(connection.origin, Origin::Accepted(_)) {
            self.accepted -= 1;
        }
        let _ = self.registry.deregister(connection.stream());
        self.tapping.stream_closed(now, connection.flow.local);
        Some(connection)
    }

    pub(super) fn connection_due(&mut self, now: Time, index: usize, generation: u32) {
        if self.slots[index].generation != generation {
            return;
        }
        let handshake = self.config.handshake_timeout;
        let Some(connection) = self.connection(index) else {
            return;
        };
        let error = match connection.phase {
            Phase::Connecting => Some(ConnectionError::TimedOut),
            Phase::Handshaking => Some(handshake_timed_out(handshake)),
            // Idle for long, or closed long enough.
            Phase::Open | Phase::Closing => None,
        };
        self.ended(now, index, error);
    }

    fn set_deadline(&mut self, index: usize, at: Time) {
        let generation = self.slots[index].generation;
        self.deadlines.set(
            Deadline::Connection {
                slot: index,
                generation,
            },
            at,
        );
    }

    fn clear_deadline(&mut self, index: usize) {
        let generation = self.slots[index].generation;
        self.deadlines.clear(Deadline::Connection {
            slot: index,
            generation,
        });
    }

    pub(super) fn connection(&mut self, index: usize) -> Option<&mut Connection> {
        match self.slots.get_mut(index)?.kind.as_mut()? {
            Kind::Connection(connection) => Some(connection),
            Kind::Port(_) | Kind::Listener(_) => None,
        }
    }
}

fn carrier(transport: Transport) -> Carrier {
    match transport {
        Transport::Tls => Carrier::TlsClear,
        Transport::Udp | Transport::Tcp => Carrier::Tcp,
    }
}

fn open_listener(local: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of an earlier run in TIME_WAIT do not keep the port; another listener still does.
    socket.set_reuse_address(true)?;
    socket.bind(&local.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn open_connection(local: Option<IpAddr>, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(remote), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(ip) = local {
        socket.bind(&SocketAddr::new(ip, 0).into())?;
    }
    match socket.connect(&remote.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EINPROGRESS as i32) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

fn no_descriptors(error: &io::Error) -> bool {
    use nix::errno::Errno;
    [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(*errno as i32))
}
