//! How connections come up: one round trip for TCP, one more for TLS.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use callwright_wire::{ConnectionError, Flow, Input, SocketId, TlsClient, Transport};

use super::{StreamDue, connection_id};
use crate::PartyId;
use crate::arena::Key;
use crate::connection::{Connection, End, Phase, Piece, Side};
use crate::host::wildcard;
use crate::network::Network;
use crate::network::places::Route;
use crate::network::ports::Table;

/// When an unanswered first packet is sent again (RFC 6298 §2.1); the wait doubles.
const SYN_RETRANSMISSION: Duration = Duration::from_secs(1);
/// What a listener without TLS hears of a client with it: the beginning of a handshake record (RFC 8446 §5.1).
const HANDSHAKE_RECORD: &[u8] = &[0x16, 0x03, 0x01, 0x01, 0x2c, 0x01, 0x00, 0x01, 0x28, 0x03, 0x03];

impl Network {
    /// Opens a connection; the answer comes later.
    pub(in crate::network) fn connect(
        &mut self,
        party: PartyId,
        socket: SocketId,
        local: Option<IpAddr>,
        remote: SocketAddr,
        tls: Option<TlsClient>,
    ) {
        match self.dial(party, socket, local, remote, tls) {
            Ok(key) => {
                let patience = self.now + self.config.connect_timeout;
                self.put(patience, StreamDue::ConnectTimeout(key));
                self.send_syn(key);
            }
            Err(error) => {
                let input = Input::ConnectFailed {
                    socket,
                    remote,
                    error,
                };
                self.inbox.push_back((party, input));
            }
        }
    }

    fn dial(
        &mut self,
        party: PartyId,
        socket: SocketId,
        local: Option<IpAddr>,
        remote: SocketAddr,
        tls: Option<TlsClient>,
    ) -> Result<Key, ConnectionError> {
        let limit = self.config.limits.connections;
        if self.connections.len() >= limit {
            return Err(other(format!("the world has {limit} connections already")));
        }
        let host = self.seat(party).host;
        if let Some(ip) = local.filter(|ip| !ip.is_unspecified() && !self.host(host).has(*ip)) {
            return Err(other(format!(
                "no interface of this machine has the address {ip}"
            )));
        }
        let any = SocketAddr::new(local.unwrap_or(wildcard(remote.ip())), 0);
        let source = self
            .source(host, any, remote.ip())
            .ok_or(ConnectionError::Unreachable)?;
        let nat = match self.gateway(host, remote.ip()) {
            Some(nat) => {
                let port = self.translator_mut(nat).open_stream();
                Some((nat, port.ok_or(ConnectionError::Unreachable)?))
            }
            None => None,
        };
        let port = self.lend(host, source.ip());
        let port = port.ok_or_else(|| other("every ephemeral port of this host is in use".into()))?;
        let (target, refused) = match self.route(host, Table::Tcp, remote) {
            Route::Host(target) => (Some(target), None),
            Route::Refused(after) => (None, Some(after)),
            // RFC 5382 §4.3: a NAT drops what nobody inside asked for, and says nothing.
            Route::Nat(_) | Route::Nowhere => (None, None),
        };
        let flow = Flow {
            transport: if tls.is_some() {
                Transport::Tls
            } else {
                Transport::Tcp
            },
            local: SocketAddr::new(source.ip(), port),
            remote,
        };
        let key = self.connections.insert(Connection {
            dialler: End::new(party, host, flow, Phase::Connecting),
            acceptor: None,
            socket,
            tls,
            target,
            listener: None,
            nat,
            syns: 0,
            apart_since: None,
        });
        if let Some(after) = refused {
            self.put(self.now + after, StreamDue::Refused(key));
        }
        Ok(key)
    }

    /// Sends the first packet, again and again until it is answered.
    pub(super) fn send_syn(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.dialler.phase != Phase::Connecting {
            return;
        }
        let wait = SYN_RETRANSMISSION.saturating_mul(1 << connection.syns.min(16));
        connection.syns += 1;
        let (from, to) = (connection.dialler.host, connection.target);
        if let Some(at) = to.and_then(|to| self.pass(from, to, 0)) {
            self.put(at, StreamDue::Syn(key));
        }
        self.put(self.now + wait, StreamDue::SynAgain(key));
    }

    pub(super) fn syn_arrives(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let Some(host) = connection.target.filter(|host| self.host(*host).up) else {
            return;
        };
        let back = connection.dialler.host;
        let answer = if connection.acceptor.is_some() || self.begin_to_accept(key) {
            StreamDue::SynAck(key)
        } else {
            StreamDue::Refused(key)
        };
        if let Some(at) = self.pass(host, back, 0) {
            self.put(at, answer);
        }
    }

    /// Finds the listener; false when there is none.
    fn begin_to_accept(&mut self, key: Key) -> bool {
        let Some(connection) = self.connections.get(key) else {
            return false;
        };
        let (Some(host), Flow { local, remote, .. }) = (connection.target, connection.dialler.flow) else {
            return false;
        };
        let source = match connection.nat {
            Some((nat, port)) => SocketAddr::new(self.translator(nat).public, port),
            None => local,
        };
        let listener = self.listener(host, Table::Tcp, remote);
        let found = listener
            .and_then(|listener| Some((listener, self.sockets.get(listener)?)))
            .filter(|(_, socket)| socket.host == host);
        let Some((listener, socket)) = found else {
            return false;
        };
        let (Some((party, _)), Some(transport)) = (socket.owner, socket.transport()) else {
            return false;
        };
        let flow = Flow {
            transport,
            local: remote,
            remote: source,
        };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.listener = Some(listener);
            connection.acceptor = Some(End::new(party, host, flow, Phase::Opening));
        }
        true
    }

    pub(super) fn syn_ack_arrives(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.dialler.phase != Phase::Connecting {
            return;
        }
        if connection.tls.is_none() {
            self.connected(key);
            self.send_piece(key, Side::Dialler, Piece::Established);
            return;
        }
        connection.dialler.phase = Phase::Handshaking;
        let patience = self.now + self.config.handshake_timeout;
        self.put(patience, StreamDue::HandshakeTimeout(key));
        self.send_piece(key, Side::Dialler, Piece::Established);
        self.send_piece(key, Side::Dialler, Piece::ClientHello);
    }

    pub(super) fn refused(&mut self, key: Key) {
        self.fail_in(key, Phase::Connecting, ConnectionError::Refused);
    }

    pub(super) fn connect_timeout(&mut self, key: Key) {
        self.fail_in(key, Phase::Connecting, ConnectionError::TimedOut);
    }

    pub(super) fn handshake_timeout(&mut self, key: Key) {
        let seconds = self.config.handshake_timeout.as_secs();
        let detail = format!("the peer did not finish the handshake within {seconds} s");
        self.fail_in(key, Phase::Handshaking, ConnectionError::Tls { detail });
    }

    /// The dialler gives up, if it is in this phase.
    fn fail_in(&mut self, key: Key, phase: Phase, error: ConnectionError) {
        if self
            .connections
            .get(key)
            .is_some_and(|it| it.dialler.phase == phase)
        {
            self.abort(key, Side::Dialler, error);
        }
    }

    pub(super) fn established(&mut self, key: Key) {
        if self.acceptor_speaks(key) == Some(Transport::Tcp) {
            self.accept(key);
        }
    }

    pub(super) fn client_hello_arrives(&mut self, key: Key) {
        match self.acceptor_speaks(key) {
            Some(Transport::Tls) => self.send_piece(key, Side::Acceptor, Piece::ServerHello),
            Some(Transport::Udp | Transport::Tcp) => {
                self.data_arrives(key, Side::Acceptor, Bytes::from_static(HANDSHAKE_RECORD));
            }
            None => {}
        }
    }

    pub(super) fn server_hello_arrives(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        if connection.dialler.phase != Phase::Handshaking {
            return;
        }
        let certificate = connection.target.map(|host| &self.host(host).certificate);
        let refusal = connection
            .tls
            .as_ref()
            .filter(|tls| tls.verify)
            .and_then(|tls| certificate?.refusal(&tls.server_name));
        match refusal {
            Some(detail) => self.abort(key, Side::Dialler, ConnectionError::Tls { detail }),
            None => {
                self.connected(key);
                self.send_piece(key, Side::Dialler, Piece::Finished);
            }
        }
    }

    /// One side speaks in the clear where the other expects TLS.
    pub(super) fn clear_text_arrives(&mut self, key: Key, side: Side) {
        let detail = "the peer does not speak TLS".into();
        self.abort(key, side, ConnectionError::Tls { detail });
    }

    /// The acceptor's node hears of the connection, if its listener is still there.
    pub(super) fn accept(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let Some(end) = connection
            .acceptor
            .as_mut()
            .filter(|end| end.phase == Phase::Opening)
        else {
            return;
        };
        let listener = connection.listener.and_then(|key| self.sockets.get(key)?.owner);
        let Some((party, listener)) = listener else {
            self.abort(key, Side::Acceptor, ConnectionError::Reset);
            return;
        };
        end.phase = Phase::Open;
        let input = Input::Accepted {
            listener,
            connection: connection_id(key, Side::Acceptor),
            flow: end.flow,
        };
        self.inbox.push_back((party, input));
    }

    fn connected(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.dialler.phase = Phase::Open;
        let input = Input::Connected {
            socket: connection.socket,
            connection: connection_id(key, Side::Dialler),
            flow: connection.dialler.flow,
        };
        self.inbox.push_back((connection.dialler.party, input));
    }

    /// The transport of an acceptor that is there.
    fn acceptor_speaks(&self, key: Key) -> Option<Transport> {
        let end = self.connections.get(key)?.acceptor.as_ref()?;
        (end.phase != Phase::Gone).then_some(end.flow.transport)
    }
}

/// What a client says whose peer closes the connection too early.
pub(super) fn broken_off() -> ConnectionError {
    ConnectionError::Tls {
        detail: "the peer closed the connection during the handshake".into(),
    }
}

fn other(detail: String) -> ConnectionError {
    ConnectionError::Other { detail }
}
