//! The contract of every engine.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::{Flow, Time, Transport};

/// A socket, numbered by the node that asked for it; unique within that node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// A stream connection, numbered by the world; unique within the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A question to the resolver, numbered by the node that asks; unique within that node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u32);

/// Why a message was sent: opaque to engines and worlds. Whoever issues commands numbers them, and can tell later, in
/// a capture or a failure, which line of which script caused a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause(pub u32);

/// What a socket is for: worlds treat signalling and media differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketUse {
    /// SIP over this transport; a listener where the transport is a stream.
    Signalling(Transport),
    /// RTP and RTCP: datagrams go to [`PacketNode::handle_packet`], not to [`Node::handle_input`].
    /// The even port is bound, and the odd one above it for RTCP (RFC 3550 §11) as a socket of its own, `rtcp`.
    Media {
        /// The number of the RTCP socket.
        rtcp: SocketId,
    },
}

/// How to be a TLS client on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsClient {
    /// The name that the certificate must carry (RFC 5922 §7.2), and the SNI: the domain that was asked for, not what
    /// it resolved to.
    pub server_name: String,
    /// False accepts any certificate. The world warns about it.
    pub verify: bool,
}

/// What goes into a node.
#[derive(Debug)]
pub enum Input<C> {
    /// The socket is open, at this address. Answers [`Output::Bind`].
    Bound {
        /// The number given in the request.
        socket: SocketId,
        /// Its address, with the real port. For media the RTCP port is the one above.
        local: SocketAddr,
    },
    /// The socket could not be opened. Answers [`Output::Bind`].
    BindFailed {
        /// The number given in the request.
        socket: SocketId,
        /// Why.
        error: BindError,
    },
    /// A datagram arrived on a signalling socket.
    Datagram {
        /// The socket it arrived on.
        socket: SocketId,
        /// From where and to where.
        flow: Flow,
        /// Its payload.
        bytes: Bytes,
    },
    /// An ICMP error came back for a datagram sent to `remote` (port unreachable and the like).
    Unreachable {
        /// The socket it was sent from.
        socket: SocketId,
        /// Where it was sent.
        remote: SocketAddr,
    },
    /// A connection that this node asked for is up, TLS handshake included. Answers [`Output::Connect`].
    Connected {
        /// The number given in the request.
        socket: SocketId,
        /// Its number from now on.
        connection: ConnectionId,
        /// Its addresses.
        flow: Flow,
    },
    /// A connection that this node asked for failed. Answers [`Output::Connect`].
    ConnectFailed {
        /// The number given in the request.
        socket: SocketId,
        /// Where it was to go.
        remote: SocketAddr,
        /// Why.
        error: ConnectionError,
    },
    /// A peer connected to a listener of this node, TLS handshake included.
    Accepted {
        /// The listener.
        listener: SocketId,
        /// The number of the connection.
        connection: ConnectionId,
        /// Its addresses.
        flow: Flow,
    },
    /// Bytes arrived on a connection, in order.
    Stream {
        /// The connection.
        connection: ConnectionId,
        /// Some bytes, cut anywhere.
        bytes: Bytes,
    },
    /// A connection is gone. Nothing more comes from it.
    Closed {
        /// The connection.
        connection: ConnectionId,
        /// Why; `None` when the peer closed it in order.
        error: Option<ConnectionError>,
    },
    /// What the resolver said. Answers [`Output::Resolve`].
    Resolved {
        /// The number given in the request.
        query: QueryId,
        /// The records, or why there are none.
        answer: Result<DnsAnswer, DnsError>,
    },
    /// Somebody above wants something.
    Command(C),
}

impl<C> Input<C> {
    /// What the world says, for a node of any commands.
    ///
    /// # Errors
    /// The command, where it is one.
    pub fn of_world<D>(self) -> Result<Input<D>, C> {
        Ok(match self {
            Input::Bound { socket, local } => Input::Bound { socket, local },
            Input::BindFailed { socket, error } => Input::BindFailed { socket, error },
            Input::Datagram { socket, flow, bytes } => Input::Datagram { socket, flow, bytes },
            Input::Unreachable { socket, remote } => Input::Unreachable { socket, remote },
            Input::Connected {
                socket,
                connection,
                flow,
            } => Input::Connected {
                socket,
                connection,
                flow,
            },
            Input::ConnectFailed {
                socket,
                remote,
                error,
            } => Input::ConnectFailed {
                socket,
                remote,
                error,
            },
            Input::Accepted {
                listener,
                connection,
                flow,
            } => Input::Accepted {
                listener,
                connection,
                flow,
            },
            Input::Stream { connection, bytes } => Input::Stream { connection, bytes },
            Input::Closed { connection, error } => Input::Closed { connection, error },
            Input::Resolved { query, answer } => Input::Resolved { query, answer },
            Input::Command(command) => return Err(command),
        })
    }
}

impl Input<Infallible> {
    /// The same for a node of any commands.
    pub fn for_any<D>(self) -> Input<D> {
        match self.of_world() {
            Ok(input) => input,
            Err(never) => match never {},
        }
    }
}

/// What comes out of a node.
#[derive(Debug)]
pub enum Output<E> {
    /// Open a socket; answered by [`Input::Bound`] or [`Input::BindFailed`].
    Bind {
        /// The number that it shall have.
        socket: SocketId,
        /// Where. Port 0: any. For media an even port of a pre-bound pool is leased.
        local: SocketAddr,
        /// What for.
        usage: SocketUse,
    },
    /// Close a socket (for media: both, and the ports rest before they are leased again).
    Unbind {
        /// The socket.
        socket: SocketId,
    },
    /// Send a datagram.
    Datagram {
        /// From this socket.
        socket: SocketId,
        /// To this address.
        to: SocketAddr,
        /// This payload.
        bytes: Bytes,
        /// Because of this command, as far as known.
        cause: Option<Cause>,
    },
    /// Open a connection; answered by [`Input::Connected`] or [`Input::ConnectFailed`].
    Connect {
        /// A number for the answer to refer to.
        socket: SocketId,
        /// The local address to connect from, with port 0; `None`: any.
        local: Option<IpAddr>,
        /// The peer.
        remote: SocketAddr,
        /// TLS, where the transport is TLS.
        tls: Option<TlsClient>,
    },
    /// Send bytes on a connection.
    Stream {
        /// The connection.
        connection: ConnectionId,
        /// These bytes.
        bytes: Bytes,
        /// Because of this command, as far as known.
        cause: Option<Cause>,
    },
    /// Close a connection, after what was sent on it.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// Ask the resolver; answered by [`Input::Resolved`].
    Resolve {
        /// A number for the answer to refer to.
        query: QueryId,
        /// The question.
        question: DnsQuery,
    },
    /// Something happened that somebody above wants to know.
    Event(E),
}

impl<E> Output<E> {
    /// What is asked of the world, for a node of any events.
    ///
    /// # Errors
    /// The event, where it is one.
    pub fn into_world<F>(self) -> Result<Output<F>, E> {
        Ok(match self {
            Output::Bind { socket, local, usage } => Output::Bind { socket, local, usage },
            Output::Unbind { socket } => Output::Unbind { socket },
            Output::Datagram {
                socket,
                to,
                bytes,
                cause,
            } => Output::Datagram {
                socket,
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
                socket,
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
            Output::Close { connection } => Output::Close { connection },
            Output::Resolve { query, question } => Output::Resolve { query, question },
            Output::Event(event) => return Err(event),
        })
    }

    /// The same with another event.
    pub fn map_event<F>(self, map: impl FnOnce(E) -> F) -> Output<F> {
        self.into_world()
            .unwrap_or_else(|event| Output::Event(map(event)))
    }
}

/// A question of RFC 3263.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DnsQuery {
    /// Naming authority pointers of a domain (RFC 3263 §4.1).
    Naptr(String),
    /// Services, as in `_sip._udp.example.com` (RFC 3263 §4.2).
    Srv(String),
    /// Addresses of both families.
    Address(String),
    /// The local address from which packets to this one leave: asked to fill in Via and Contact.
    Route(IpAddr),
}

/// An answer: the records, in no particular order; none when the name exists without such records.
pub type DnsAnswer = Vec<DnsRecord>;

/// A record that the resolver found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DnsRecord {
    /// RFC 3403.
    Naptr {
        /// Lower first; all of one order are considered together.
        order: u16,
        /// Lower first within an order.
        preference: u16,
        /// `s` leads to SRV.
        flags: String,
        /// As in `SIP+D2U`.
        services: String,
        /// The next name.
        replacement: String,
    },
    /// RFC 2782.
    Srv {
        /// Lower first.
        priority: u16,
        /// The share within a priority.
        weight: u16,
        /// The port of the service.
        port: u16,
        /// The host.
        target: String,
    },
    /// An address.
    Address(IpAddr),
}

/// Why a name was not resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// There is no such name.
    #[error("no such name")]
    NoSuchName,
    /// The resolver did not answer in time.
    #[error("the resolver did not answer")]
    Timeout,
    /// The resolver failed otherwise.
    #[error("the resolver failed: {detail}")]
    Failed {
        /// What it said.
        detail: String,
    },
}

/// Why a socket could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot bind {local}: {kind}")]
pub struct BindError {
    /// The address that was asked for.
    pub local: SocketAddr,
    /// What was wrong.
    pub kind: BindErrorKind,
}

/// What was wrong with a bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindErrorKind {
    /// Somebody holds the port: `holder` names the process, where that could be found out.
    InUse {
        /// As in `kamailio (pid 4711)`.
        holder: Option<String>,
    },
    /// No interface has this address.
    NoSuchAddress,
    /// A privileged port.
    NotPermitted,
    /// No more file descriptors; the limit could not be raised further.
    TooManyOpenFiles,
    /// No free pair of ports for RTP.
    NoMediaPorts,
    /// Anything else the system said.
    Other {
        /// Its words.
        detail: String,
    },
}

impl fmt::Display for BindErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindErrorKind::InUse { holder: Some(holder) } => write!(f, "the port is in use by {holder}"),
            BindErrorKind::InUse { holder: None } => f.write_str("the port is in use"),
            BindErrorKind::NoSuchAddress => f.write_str("no interface of this machine has that address"),
            BindErrorKind::NotPermitted => f.write_str("not permitted; ports below 1024 need privileges"),
            BindErrorKind::TooManyOpenFiles => {
                f.write_str("too many open files; raise the limit (ulimit -n)")
            }
            BindErrorKind::NoMediaPorts => f.write_str("no free pair of ports for RTP"),
            BindErrorKind::Other { detail } => f.write_str(detail),
        }
    }
}

/// Why a connection failed or broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No answer.
    #[error("connection timed out")]
    TimedOut,
    /// The peer, or something between, cut it.
    #[error("connection reset")]
    Reset,
    /// No route.
    #[error("host or network unreachable")]
    Unreachable,
    /// TLS: the certificate or the handshake.
    #[error("TLS: {detail}")]
    Tls {
        /// What was wrong, as the TLS library says it.
        detail: String,
    },
    /// Anything else the system said.
    #[error("{detail}")]
    Other {
        /// Its words.
        detail: String,
    },
}

impl From<&io::Error> for ConnectionError {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => ConnectionError::Refused,
            io::ErrorKind::TimedOut => ConnectionError::TimedOut,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                ConnectionError::Reset
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                ConnectionError::Unreachable
            }
            _ => ConnectionError::Other {
                detail: error.to_string(),
            },
        }
    }
}

/// What a node still holds. All zero when everything was ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Residue {
    /// Dialogs.
    pub dialogs: usize,
    /// Transactions.
    pub transactions: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Open sockets.
    pub sockets: usize,
    /// Open connections.
    pub connections: usize,
    /// Media sessions.
    pub media_sessions: usize,
}

impl std::ops::Add for Residue {
    type Output = Residue;

    fn add(self, other: Residue) -> Residue {
        Residue {
            dialogs: self.dialogs + other.dialogs,
            transactions: self.transactions + other.transactions,
            timers: self.timers + other.timers,
            sockets: self.sockets + other.sockets,
            connections: self.connections + other.connections,
            media_sessions: self.media_sessions + other.media_sessions,
        }
    }
}

/// An engine. See the crate documentation for the contract.
pub trait Node {
    /// What somebody above can ask of it.
    type Command;
    /// What it tells whoever is above.
    type Event;

    /// Takes one input.
    fn handle_input(&mut self, now: Time, input: Input<Self::Command>);

    /// Does what is due at `now`; called too early, it does nothing that anybody would notice.
    fn handle_timeout(&mut self, now: Time);

    /// The next thing to do; `None` when there is nothing more for now. Drain it after each mutation.
    fn poll_output(&mut self) -> Option<Output<Self::Event>>;

    /// When to call [`Node::handle_timeout`] next, and the name of the timer behind it (the RFC's, where it has one). That may be a
    /// little after a deadline for which nobody waits, so that many of them cost one call.
    fn poll_timeout(&self) -> Option<(Time, &'static str)>;

    /// What is still held.
    fn residue(&self) -> Residue;
}

/// An engine that also speaks RTP: packets go by reference, 50 times a second a call, without allocation.
pub trait PacketNode: Node {
    /// A datagram arrived on a media socket (RTP on the leased number, RTCP on its companion).
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]);

    /// The same of a datagram that the kernel had received at `arrived`, before its turn came at `now`: jitter and round
    /// trips are those of the network, not of a busy loop. A world without queues has no difference between the two.
    fn handle_arrival(
        &mut self,
        now: Time,
        arrived: Time,
        socket: SocketId,
        from: SocketAddr,
        packet: &[u8],
    ) {
        let _ = arrived;
        self.handle_packet(now, socket, from, packet);
    }

    /// The next media packet to send, written into `buffer` (at least 1,500 bytes): socket, destination, length.
    /// `None` when there is none for now.
    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)>;

    /// The clear text of the packet that the last `handle_packet` took or `poll_transmit` gave, where that went
    /// encrypted: for captures.
    fn clear_text(&self) -> Option<&[u8]> {
        None
    }
}
