//! One stream connection between two hosts: both ends, and what is on its way between them.

use std::collections::VecDeque;

use bytes::Bytes;
use callwright_wire::{Flow, SocketId, Time, TlsClient};

use crate::arena::Key;
use crate::{HostId, NatId, PartyId};

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Dialler,
    Acceptor,
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::Dialler, Side::Acceptor];

    pub(crate) const fn other(self) -> Side {
        match self {
            Side::Dialler => Side::Acceptor,
            Side::Acceptor => Side::Dialler,
        }
    }
}

/// What passes from one end to the other, in order, once the acceptor answered.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// The last of the three packets that open a TCP connection.
    Established,
    /// TLS: the client's first flight.
    ClientHello,
    /// TLS: what the server answers, its certificate included.
    ServerHello,
    /// TLS: the client's last flight.
    Finished,
    /// What the node sent.
    Data(Bytes),
    /// Nothing follows.
    Fin,
}

impl Piece {
    /// Octets of payload. Those of a handshake are what a certificate chain of two usually takes.
    pub(crate) fn octets(&self) -> usize {
        match self {
            Piece::Established | Piece::Fin => 0,
            Piece::ClientHello => 300,
            Piece::ServerHello => 2_500,
            Piece::Finished => 80,
            Piece::Data(bytes) => bytes.len(),
        }
    }
}

/// ```text
///   dialler:   Connecting ──▶ Handshaking ──▶ Open ──▶ Closing ──▶ Gone
///                   └───────(no TLS)───────────▲
///   acceptor:  Gone ──▶ Opening ──▶ Open ──▶ Closing ──▶ Gone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The SYN is out.
    Connecting,
    /// TLS is being agreed on.
    Handshaking,
    /// The SYN was answered; the node does not know yet.
    Opening,
    /// The node has it.
    Open,
    /// The node closed it; what was sent before still goes out.
    Closing,
    /// Nothing comes from it any more; what was sent before may still go out.
    Gone,
}

/// A piece that the network does not take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stuck {
    pub(crate) since: Time,
    /// How often it was sent.
    pub(crate) attempts: u32,
}

/// One end.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) party: PartyId,
    pub(crate) host: HostId,
    pub(crate) flow: Flow,
    pub(crate) phase: Phase,
    /// What the network did not take yet.
    pub(crate) unsent: VecDeque<Piece>,
    pub(crate) unsent_octets: usize,
    pub(crate) stuck: Option<Stuck>,
    /// When the last piece arrives at the other end.
    pub(crate) last_arrival: Time,
}

impl End {
    pub(crate) fn new(party: PartyId, host: HostId, flow: Flow, phase: Phase) -> Self {
        End {
            party,
            host,
            flow,
            phase,
            unsent: VecDeque::new(),
            unsent_octets: 0,
            stuck: None,
            last_arrival: Time::ZERO,
        }
    }

    /// Forgets what was not sent.
    pub(crate) fn clear(&mut self) {
        self.unsent.clear();
        self.unsent_octets = 0;
        self.stuck = None;
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) dialler: End,
    pub(crate) acceptor: Option<End>,
    /// The dialling node's number for it.
    pub(crate) socket: SocketId,
    pub(crate) tls: Option<TlsClient>,
    /// Where its packets go; `None`: nowhere.
    pub(crate) target: Option<HostId>,
    pub(crate) listener: Option<Key>,
    /// The external port that it uses.
    pub(crate) nat: Option<(NatId, u16)>,
    /// How often the SYN was sent.
    pub(crate) syns: u32,
    /// Since when nothing passes between its hosts.
    pub(crate) apart_since: Option<Time>,
}

impl Connection {
    pub(crate) fn end(&self, side: Side) -> Option<&End> {
        match side {
            Side::Dialler => Some(&self.dialler),
            Side::Acceptor => self.acceptor.as_ref(),
        }
    }

    pub(crate) fn end_mut(&mut self, side: Side) -> Option<&mut End> {
        match side {
            Side::Dialler => Some(&mut self.dialler),
            Side::Acceptor => self.acceptor.as_mut(),
        }
    }

    /// [`Phase::Gone`] for an end that there is none of yet.
    pub(crate) fn phase(&self, side: Side) -> Phase {
        self.end(side).map_or(Phase::Gone, |end| end.phase)
    }

    /// True when it was accepted, and one end is gone.
    pub(crate) fn is_half_open(&self) -> bool {
        let is_gone = |side| self.phase(side) == Phase::Gone;
        self.acceptor.is_some() && Side::BOTH.into_iter().any(is_gone)
    }

    /// The other host of an end.
    pub(crate) fn peer_host(&self, side: Side) -> Option<HostId> {
        match side {
            Side::Dialler => self.target,
            Side::Acceptor => Some(self.dialler.host),
        }
    }
}
