//! What the core tells the layer above it.

use bytes::Bytes;
use callwright_sip_message::Message;
use callwright_wire::{BindError, Cause, ConnectionError, Flow, SocketId, Transport};

use super::{ClientId, ServerId, TransactionId};
use crate::resolve::ResolveError;
use crate::timer::TimerName;

/// Something that happened. Every transaction ends with exactly one [`CoreEvent::Ended`], that of a CANCEL too, which is told
/// by [`CoreEvent::Cancel`] at most.
#[derive(Debug)]
pub enum CoreEvent {
    /// A socket that [`Core::listen`](super::Core::listen) asked for is open.
    Bound {
        /// Its number.
        socket: SocketId,
        /// What it speaks.
        transport: Transport,
        /// Its address with the real port.
        local: std::net::SocketAddr,
    },
    /// A socket that [`Core::listen`](super::Core::listen) asked for could not be opened.
    BindFailed {
        /// Its number.
        socket: SocketId,
        /// What it would have spoken.
        transport: Transport,
        /// Why.
        error: BindError,
    },
    /// A new request: never a retransmission, an ACK or a CANCEL. It was validated, but for requests inside dialogs with an
    /// empty body: those have a Request-URI, Via, Call-ID and a CSeq of their own method that parse, tags, and nothing twice that
    /// may be there once.
    Request {
        /// The transaction to answer by [`Core::respond`](super::Core::respond).
        id: ServerId,
        /// The request.
        message: Message,
        /// How it came.
        flow: Flow,
        /// True where the same request is here already by another way (RFC 3261 §8.2.2.2): outside of dialogs, 482 is due.
        merged: bool,
    },
    /// An ACK that belongs to a 2xx, or to nothing that is known here. Those to other responses stay below.
    Ack {
        /// The ACK.
        message: Message,
        /// How it came.
        flow: Flow,
    },
    /// A CANCEL for a pending INVITE. The CANCEL itself has its 200 already; the INVITE waits for its 487 (RFC 3261 §9.2).
    Cancel {
        /// The INVITE to be cancelled.
        invite: ServerId,
        /// The CANCEL.
        message: Message,
        /// How it came.
        flow: Flow,
    },
    /// A response to a request of ours; never a retransmission, except of a 2xx to INVITE. Its From, To, Call-ID and CSeq can be
    /// read, or are as they stand in the request.
    Response {
        /// The transaction.
        id: ClientId,
        /// The response.
        message: Message,
        /// How it came.
        flow: Flow,
    },
    /// A 2xx to INVITE whose transaction has ended, by the look of its Via: its dialog still owes an ACK (RFC 3261 §13.2.2.4).
    StrayAnswer {
        /// The response.
        message: Message,
        /// How it came.
        flow: Flow,
    },
    /// Nobody answered in time, or (Timer H) no ACK came. [`CoreEvent::Ended`] follows.
    TimedOut {
        /// The transaction.
        id: TransactionId,
        /// The timer that fired.
        timer: TimerName,
    },
    /// A message could not be delivered, and no other address is left. [`CoreEvent::Ended`] follows, at once but for an INVITE of the
    /// peer that was accepted: that one is absorbed for its time (RFC 6026 §7.1).
    TransportFailed {
        /// The transaction.
        id: TransactionId,
        /// Whether the request has left, to whichever server: an answer may come all the same. True for requests of the peer.
        sent: bool,
        /// Why.
        error: TransportError,
    },
    /// The transaction is over, and its id means nothing any more.
    Ended {
        /// The transaction.
        id: TransactionId,
    },
    /// An ACK to a 2xx could not be sent.
    AckFailed {
        /// Why.
        error: TransportError,
        /// The command that it belonged to.
        cause: Option<Cause>,
    },
    /// A connection is gone. Its transactions have been told.
    FlowClosed {
        /// Its addresses.
        flow: Flow,
        /// Why; `None` when it was closed in order.
        error: Option<ConnectionError>,
    },
    /// A message went out or came in: everything, retransmissions included. For traces.
    Seen(Seen),
    /// Bytes that are no acceptable message.
    Malformed {
        /// How they came.
        flow: Flow,
        /// What is wrong with them.
        error: Malformed,
        /// The status of the response that was sent, if one was possible.
        answered: Option<u16>,
    },
}

/// One message that passed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Out or in.
    pub direction: Direction,
    /// The whole message.
    pub bytes: Bytes,
    /// Its way.
    pub flow: Flow,
    /// True when the same bytes went or came before.
    pub retransmission: bool,
    /// The transaction that it belongs to, where there is one.
    pub transaction: Option<TransactionId>,
    /// The command that caused it, where one did.
    pub cause: Option<Cause>,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From us.
    Out,
    /// To us.
    In,
}

/// What was wrong with bytes that came in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No start line and header fields could be made out.
    #[error("not a SIP message: {reason}")]
    NotSip {
        /// What the parser met.
        reason: String,
    },
    /// The message lacks what every message must have, or has it broken.
    #[error("{reason}")]
    Invalid {
        /// What the validation met: it stands in the reason phrase of the 400.
        reason: String,
    },
    /// A SIP version other than 2.0.
    #[error("SIP version not supported")]
    Version,
}

/// Why a message was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No address could be found.
    #[error("no address to send to: {0}")]
    Resolve(#[from] ResolveError),
    /// The connection could not be opened, or broke.
    #[error("{remote} over {transport}: {error}")]
    Connection {
        /// The peer.
        remote: std::net::SocketAddr,
        /// TCP or TLS.
        transport: Transport,
        /// What went wrong.
        error: ConnectionError,
    },
    /// ICMP said that nobody listens there.
    #[error("{remote} over UDP: port unreachable; nobody listens there")]
    Unreachable {
        /// The peer.
        remote: std::net::SocketAddr,
    },
    /// There is no socket of this transport and address family.
    #[error("no {transport} socket for {remote}: listen on one first")]
    NoSocket {
        /// The transport that was chosen.
        transport: Transport,
        /// The peer.
        remote: std::net::SocketAddr,
    },
    /// The world knows no local address that leads there.
    #[error("no route to {remote}")]
    NoRoute {
        /// The peer.
        remote: std::net::SocketAddr,
    },
    /// The peer ended the connection before it answered.
    #[error("{remote} closed the connection")]
    Closed {
        /// The peer.
        remote: std::net::SocketAddr,
    },
    /// Too much is waiting for a connection that is not up yet.
    #[error("the {limit} limit of {max} is reached")]
    Limit {
        /// Its name in [`CoreLimits`](super::CoreLimits).
        limit: &'static str,
        /// Its value.
        max: usize,
    },
    /// The request was cancelled before anything was sent.
    #[error("cancelled before it was sent")]
    Cancelled,
}
