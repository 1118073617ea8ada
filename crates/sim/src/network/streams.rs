//! Listeners and connections: TCP as an ordered stream of bytes, and TLS as one round trip more.

mod handshake;

use std::time::Duration;

use bytes::Bytes;
use callwright_wire::{Carrier, Cause, ConnectionError, ConnectionId, Fate, Input, Time, Transport};

use super::{Due, Leaving, Network};
use crate::arena::Key;
use crate::connection::{Connection, End, Phase, Piece, Side, Stuck};
use crate::{HostId, PartyId};

/// The most of a stream that one packet carries.
const SEGMENT: usize = 1_460;
/// How long a sender waits for an acknowledgement, beside the round trip itself, before it sends again (as Linux does;
/// RFC 6298 §2.4 would have a second). It doubles with each attempt.
const RETRANSMISSION: Duration = Duration::from_millis(200);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long a closed connection may take to deliver its last bytes.
const CLOSING: Duration = Duration::from_secs(5);

/// What happens to a connection.
#[derive(Debug)]
pub(crate) enum StreamDue {
    /// The first packet reaches the acceptor's host.
    Syn(Key),
    /// The answer reaches the dialler.
    SynAck(Key),
    /// The answer is that nobody listens.
    Refused(Key),
    /// The dialler sends its first packet again.
    SynAgain(Key),
    /// The dialler's patience ends.
    ConnectTimeout(Key),
    HandshakeTimeout(Key),
    /// A piece from this side reaches the other.
    Piece(Key, Side, Piece),
    /// This side sends again what was lost.
    Again(Key, Side),
    /// A reset reaches this side.
    Reset(Key, Side),
    /// This side closed the connection long enough ago.
    Lingered(Key, Side),
    /// Somebody should have heard of the other side by now.
    KeepAlive(Key),
}

impl Network {
    /// Queues bytes on a connection, and sends what the network takes.
    pub(super) fn send_stream(&mut self, id: ConnectionId, bytes: Bytes, cause: Option<Cause>) {
        let Some((key, side)) = self.connection(id) else {
            return;
        };
        let Some(end) = self.open_end(key, side) else {
            return;
        };
        let (party, flow) = (end.party, end.flow);
        if bytes.is_empty() {
            return;
        }
        if self.tap.is_some() {
            let carrier = match flow.transport {
                Transport::Tls => Carrier::TlsClear,
                Transport::Udp | Transport::Tcp => Carrier::Tcp,
            };
            self.record(
                party,
                carrier,
                Fate::Sent,
                flow.local,
                flow.remote,
                bytes.clone(),
                cause,
            );
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let segment = rest.split_to(rest.len().min(SEGMENT));
            self.send_piece(key, side, Piece::Data(segment));
        }
        let waiting = self.open_end(key, side).map_or(0, |end| end.unsent_octets);
        if waiting > self.config.limits.unsent {
            let error = ConnectionError::Other {
                detail: format!("the peer does not read: {waiting} bytes wait to be sent to it"),
            };
            self.abort(key, side, error);
        }
    }

    /// Closes a connection, after what was sent on it.
    pub(super) fn close(&mut self, id: ConnectionId) {
        let Some((key, side)) = self.connection(id) else {
            return;
        };
        let Some(end) = self.open_end(key, side) else {
            return;
        };
        end.phase = Phase::Closing;
        self.send_piece(key, side, Piece::Fin);
        self.put(self.now + CLOSING, StreamDue::Lingered(key, side));
    }

    pub(super) fn stream_due(&mut self, due: StreamDue) {
        match due {
            StreamDue::Syn(key) => self.syn_arrives(key),
            StreamDue::SynAck(key) => self.syn_ack_arrives(key),
            StreamDue::Refused(key) => self.refused(key),
            StreamDue::SynAgain(key) => self.send_syn(key),
            StreamDue::ConnectTimeout(key) => self.connect_timeout(key),
            StreamDue::HandshakeTimeout(key) => self.handshake_timeout(key),
            StreamDue::Piece(key, from, piece) => self.piece_arrives(key, from, piece),
            StreamDue::Again(key, side) => self.send_again(key, side),
            StreamDue::Reset(key, side) => self.end(key, side, Some(ConnectionError::Reset)),
            StreamDue::Lingered(key, side) => self.end(key, side, None),
            StreamDue::KeepAlive(key) => self.keep_alive(key),
        }
    }

    /// The connections of a party go with it.
    pub(super) fn leave_connections(&mut self, party: PartyId, leaving: Leaving) {
        for (key, side) in self.ends(|end| end.party == party) {
            match leaving {
                Leaving::Orderly => self.send_piece(key, side, Piece::Fin),
                Leaving::Killed => self.reset_peer(key, side),
                Leaving::Silent => self.drift_apart(key),
            }
            if let Some(end) = self.connections.get_mut(key).and_then(|it| it.end_mut(side)) {
                end.phase = Phase::Gone;
                if leaving != Leaving::Orderly {
                    end.clear();
                }
            }
            self.tidy(key);
        }
    }

    /// The network was cut: connections across notice after a while.
    pub(crate) fn check_connections(&mut self) {
        let cut: Vec<Key> = self
            .connections
            .iter()
            .filter(|(_, it)| it.target.is_some_and(|to| self.links.is_cut(it.dialler.host, to)))
            .map(|(key, _)| key)
            .collect();
        for key in cut {
            self.drift_apart(key);
        }
    }

    /// The network is whole again: only connections whose other end is gone for good still wait to hear of it.
    pub(crate) fn heal_connections(&mut self) {
        let keys: Vec<Key> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            let apart = self.is_apart(key);
            if let Some(connection) = self.connections.get_mut(key)
                && !apart
                && !connection.is_half_open()
            {
                connection.apart_since = None;
            }
        }
    }

    fn put(&mut self, at: Time, due: StreamDue) {
        self.agenda.put(at, Due::Stream(due));
    }

    fn connection(&self, id: ConnectionId) -> Option<(Key, Side)> {
        let side = if id.0 & 1 == 0 {
            Side::Dialler
        } else {
            Side::Acceptor
        };
        let key = Key {
            index: (id.0 >> 1) as u32 & (u32::MAX >> 1),
            generation: (id.0 >> 32) as u32,
        };
        self.connections.get(key).map(|_| (key, side))
    }

    fn open_end(&mut self, key: Key, side: Side) -> Option<&mut End> {
        let end = self.connections.get_mut(key)?.end_mut(side)?;
        (end.phase == Phase::Open).then_some(end)
    }

    /// Ends that somebody still holds.
    fn ends(&self, wanted: impl Fn(&End) -> bool) -> Vec<(Key, Side)> {
        let mut found = Vec::new();
        for (key, connection) in self.connections.iter() {
            let held = Side::BOTH.into_iter().filter(|side| {
                connection
                    .end(*side)
                    .is_some_and(|end| end.phase != Phase::Gone && wanted(end))
            });
            found.extend(held.map(|side| (key, side)));
        }
        found
    }

    /// Queues a piece, behind those that wait already.
    fn send_piece(&mut self, key: Key, side: Side, piece: Piece) {
        let Some(end) = self.connections.get_mut(key).and_then(|it| it.end_mut(side)) else {
            return;
        };
        end.unsent_octets += piece.octets();
        end.unsent.push_back(piece);
        if end.stuck.is_none() {
            self.pump(key, side);
        }
    }

    /// Sends what waits, up to the first piece that is lost.
    fn pump(&mut self, key: Key, side: Side) {
        loop {
            let Some(connection) = self.connections.get(key) else {
                return;
            };
            let (Some(end), Some(to)) = (connection.end(side), connection.peer_host(side)) else {
                return;
            };
            let (from, attempts) = (end.host, end.stuck.map_or(0, |stuck| stuck.attempts));
            let Some(piece) = end.unsent.front() else { return };
            let octets = piece.octets();
            let passed = self.pass(from, to, octets);
            let now = self.now;
            let wait = self.wait(from, to, attempts);
            let Some(end) = self.connections.get_mut(key).and_then(|it| it.end_mut(side)) else {
                return;
            };
            let Some(at) = passed else {
                let since = end.stuck.map_or(now, |stuck| stuck.since);
                end.stuck = Some(Stuck {
                    since,
                    attempts: attempts + 1,
                });
                self.put(now + wait, StreamDue::Again(key, side));
                return;
            };
            let at = at.max(end.last_arrival);
            end.last_arrival = at;
            end.stuck = None;
            end.unsent_octets -= octets;
            if let Some(piece) = end.unsent.pop_front() {
                self.put(at, StreamDue::Piece(key, side, piece));
            }
        }
    }

    /// A packet of a stream sets out; `None` when it does not arrive.
    fn pass(&mut self, from: HostId, to: HostId, octets: usize) -> Option<Time> {
        if !self.host(to).up {
            return None;
        }
        self.links.carry_piece(self.now, &self.hosts, from, to, octets)
    }

    /// How long a sender waits before it sends again.
    fn wait(&self, from: HostId, to: HostId, attempts: u32) -> Duration {
        let round_trip = self.links.latency(from, to) + self.links.latency(to, from);
        (RETRANSMISSION + round_trip)
            .saturating_mul(1 << attempts.min(16))
            .min(LONGEST_WAIT)
    }

    fn send_again(&mut self, key: Key, side: Side) {
        let timeout = self.config.stream_timeout;
        let now = self.now;
        let Some(end) = self.connections.get(key).and_then(|it| it.end(side)) else {
            return;
        };
        match end.stuck {
            Some(stuck) if now.since(stuck.since) >= timeout => {
                self.abort(key, side, ConnectionError::TimedOut);
            }
            Some(_) => self.pump(key, side),
            None => {}
        }
    }

    fn piece_arrives(&mut self, key: Key, from: Side, piece: Piece) {
        let to = from.other();
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let phase = connection.phase(to);
        match piece {
            Piece::Data(bytes) => match phase {
                Phase::Open => self.data_arrives(key, to, bytes),
                // Read, so that no reset overtakes what this side sent last, and thrown away.
                Phase::Closing => {}
                // Nobody has this connection any more.
                Phase::Gone => self.reset_peer(key, to),
                Phase::Connecting | Phase::Handshaking | Phase::Opening => self.clear_text_arrives(key, to),
            },
            Piece::Fin => self.fin_arrives(key, to),
            Piece::Established => self.established(key),
            Piece::ClientHello => self.client_hello_arrives(key),
            Piece::ServerHello => self.server_hello_arrives(key),
            Piece::Finished => self.accept(key),
        }
    }

    fn data_arrives(&mut self, key: Key, side: Side, bytes: Bytes) {
        let Some(end) = self.open_end(key, side) else {
            return;
        };
        let input = Input::Stream {
            connection: connection_id(key, side),
            bytes,
        };
        let party = end.party;
        self.inbox.push_back((party, input));
    }

    /// The other side closed the connection: so does this one.
    fn fin_arrives(&mut self, key: Key, side: Side) {
        if let Some(end) = self.open_end(key, side) {
            end.clear();
            self.send_piece(key, side, Piece::Fin);
        }
        self.end(key, side, None);
    }

    /// Ends one side, and tells its node in the way that its phase asks for.
    fn end(&mut self, key: Key, side: Side, error: Option<ConnectionError>) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let socket = connection.socket;
        let Some(end) = connection.end_mut(side) else {
            return;
        };
        let (party, remote, phase) = (end.party, end.flow.remote, end.phase);
        end.phase = Phase::Gone;
        if error.is_some() {
            end.clear();
        }
        let input = match phase {
            Phase::Connecting | Phase::Handshaking => Some(Input::ConnectFailed {
                socket,
                remote,
                error: error.unwrap_or_else(handshake::broken_off),
            }),
            // The node never heard of it.
            Phase::Opening | Phase::Gone => None,
            Phase::Open => Some(Input::Closed {
                connection: connection_id(key, side),
                error,
            }),
            // What happens to a connection after its node closed it is no fault of anybody.
            Phase::Closing => Some(Input::Closed {
                connection: connection_id(key, side),
                error: None,
            }),
        };
        self.inbox.extend(input.map(|input| (party, input)));
        self.tidy(key);
    }

    /// This side gives up, and says so to the other as far as that can be reached.
    fn abort(&mut self, key: Key, side: Side, error: ConnectionError) {
        self.reset_peer(key, side);
        self.end(key, side, Some(error));
    }

    /// A reset goes to the other side. It is never lost but where nothing passes: then the other side asks again.
    fn reset_peer(&mut self, key: Key, side: Side) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let other = side.other();
        let (Some(from), Some(end)) = (connection.peer_host(other), connection.end(other)) else {
            return;
        };
        let to = end.host;
        if end.phase == Phase::Gone || !self.reaches(from, to) {
            return;
        }
        let at = self.now + self.links.latency(from, to);
        self.put(at, StreamDue::Reset(key, other));
    }

    fn reaches(&self, from: HostId, to: HostId) -> bool {
        self.host(to).up && !self.links.is_cut(from, to)
    }

    fn is_apart(&self, key: Key) -> bool {
        self.connections.get(key).is_some_and(|connection| {
            let from = connection.dialler.host;
            connection
                .target
                .is_some_and(|to| !self.reaches(from, to) || !self.host(from).up)
        })
    }

    /// From now on nothing passes: unless that changes, both sides give up in a while.
    fn drift_apart(&mut self, key: Key) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.apart_since.is_none() {
            connection.apart_since = Some(now);
            let at = now + self.config.stream_timeout;
            self.put(at, StreamDue::KeepAlive(key));
        }
    }

    fn keep_alive(&mut self, key: Key) {
        let (now, timeout) = (self.now, self.config.stream_timeout);
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        if connection.apart_since.is_none_or(|at| now.since(at) < timeout) {
            return;
        }
        // Where the other side is back without its connections, it says so.
        let error = if self.is_apart(key) {
            ConnectionError::TimedOut
        } else {
            ConnectionError::Reset
        };
        for side in Side::BOTH {
            self.end(key, side, Some(error.clone()));
        }
    }

    /// Forgets a connection that nobody holds: what of it is still on its way finds nobody.
    fn tidy(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        if Side::BOTH
            .into_iter()
            .any(|side| connection.phase(side) != Phase::Gone)
        {
            return;
        }
        if let Some(Connection { dialler, nat, .. }) = self.connections.remove(key) {
            self.take_back(dialler.host, dialler.flow.local);
            if let Some((nat, port)) = nat {
                self.translator_mut(nat).close_stream(port);
            }
        }
    }
}

fn connection_id(key: Key, side: Side) -> ConnectionId {
    let side = match side {
        Side::Dialler => 0,
        Side::Acceptor => 1,
    };
    ConnectionId(u64::from(key.generation) << 32 | u64::from(key.index) << 1 | side)
}
