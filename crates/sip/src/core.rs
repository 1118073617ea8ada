//! Transport and transactions in one machine: the lower half of a SIP endpoint (RFC 3261 §17, §18, RFC 3263).
//!
//! It keeps the contract of [`wire::Node`](callwright_wire::Node): one input or command, then [`Core::poll_output`] until it is
//! empty, then [`Core::poll_timeout`]. The layer above gives requests and responses as messages and gets [`CoreEvent`]s.
//!
//! Sockets are numbered from [`Core::FIRST_SOCKET`] on, so that its owner can number others below.

mod ack;
mod cancel;
mod client;
mod config;
mod echo;
mod event;
mod failover;
mod inbound;
mod outgoing;
mod repeat;
mod server;
mod streams;
mod timers;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::hash::BuildHasherDefault;
use std::net::SocketAddr;

use bytes::Bytes;
use callwright_wire::{
    Cause, DnsAnswer, DnsError, Entropy, Flow, Input, Node, Output, QueryId, Residue, SocketId, SocketUse,
    Time, Transport,
};

use crate::arena::{Arena, Slot};
use crate::transaction::{Branch, Effect, ServerKeys, Terms};
use crate::transport::{Connections, Exit, Sockets, Way};

use client::Client;
use failover::Refusals;
use server::Server;
use streams::Waiting;
use timers::{Due, Timers};

pub use crate::transaction::RespondError;
pub use config::{CoreConfig, CoreLimits, Counters};
pub use event::{CoreEvent, Direction, Malformed, Seen, TransportError};
pub use outgoing::{LocalContact, Outgoing, Target};

/// A client transaction. It stays the same when a request moves on to another server (RFC 3263 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Slot);

/// A server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(Slot);

/// Either side's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionId {
    /// Of a request of ours.
    Client(ClientId),
    /// Of a request of a peer's.
    Server(ServerId),
}

/// Why a request is not taken: a mistake of the caller, or a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The message is a response, or no message at all.
    #[error("only a request can be sent here")]
    NotARequest,
    /// ACK has no transaction: [`Core::send_ack`] sends it.
    #[error("an ACK is sent by `send_ack`, a CANCEL by `cancel`")]
    NotATransaction,
    /// Too many are under way.
    #[error("the client_transactions limit of {max} is reached: raise it, or start fewer at once")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

/// Keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl std::hash::Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type ByKey<T> = HashMap<u64, T, BuildHasherDefault<AsIs>>;

/// See the module.
#[derive(Debug)]
pub struct Core {
    config: CoreConfig,
    entropy: Entropy,
    sockets: Sockets,
    connections: Connections<Waiting>,
    transactions: Transactions,
    timers: Timers,
    queries: BTreeMap<QueryId, Slot>,
    next_query: u32,
    outputs: VecDeque<Output<CoreEvent>>,
    /// Kept for its memory.
    effects: Vec<Effect>,
    counters: Counters,
    refusals: Refusals,
}

/// The transactions, and how messages find them.
#[derive(Debug)]
struct Transactions {
    clients: Arena<Client>,
    servers: Arena<Server>,
    /// CANCELs that are under way have the branch of their INVITE.
    cancels: BTreeMap<Branch, Slot>,
    /// INVITEs that went on to another server: the ACK to the first one's response, and its way.
    left: BTreeMap<Branch, (Way, Bytes)>,
    by_key: ByKey<Slot>,
    /// How many server transactions are copies of one request.
    merges: ByKey<u32>,
    keys: ServerKeys,
}

impl Transactions {
    fn new(keys: ServerKeys) -> Transactions {
        Transactions {
            clients: Arena::default(),
            servers: Arena::default(),
            cancels: BTreeMap::new(),
            left: BTreeMap::new(),
            by_key: ByKey::default(),
            merges: ByKey::default(),
            keys,
        }
    }

    fn len(&self) -> usize {
        self.clients.len() + self.servers.len() + self.left.len()
    }
}

impl Core {
    /// The least number of a socket of a core.
    pub const FIRST_SOCKET: SocketId = SocketId(0x8000_0000);

    /// A core without sockets.
    pub fn new(config: CoreConfig, mut entropy: Entropy) -> Core {
        let keys = ServerKeys {
            secret: entropy.next_u64(),
        };
        Core {
            config,
            entropy,
            sockets: Sockets::new(Core::FIRST_SOCKET.0),
            connections: Connections::default(),
            transactions: Transactions::new(keys),
            timers: Timers::default(),
            queries: BTreeMap::new(),
            next_query: 0,
            outputs: VecDeque::new(),
            effects: Vec::new(),
            counters: Counters::default(),
            refusals: Refusals::default(),
        }
    }

    /// Opens a UDP socket, or listens for TCP or TLS. Port 0 is any. [`CoreEvent::Bound`] or [`CoreEvent::BindFailed`] follows;
    /// requests find a UDP socket only after that.
    pub fn listen(&mut self, transport: Transport, local: SocketAddr) -> SocketId {
        let socket = self.sockets.listen(transport);
        self.outputs.push_back(Output::Bind {
            socket,
            local,
            usage: SocketUse::Signalling(transport),
        });
        socket
    }

    /// Closes a socket. Connections that came by a listener stay.
    pub fn unlisten(&mut self, socket: SocketId) {
        if self.sockets.remove(socket).is_some() {
            self.outputs.push_back(Output::Unbind { socket });
        }
    }

    /// The open sockets: number, transport, address.
    pub fn listening(&self) -> impl Iterator<Item = (SocketId, Transport, SocketAddr)> {
        self.sockets.open()
    }

    /// What was counted since the start.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// True while a client transaction has no final response, or an INVITE that was refused has no ACK.
    pub fn awaits_peer(&self) -> bool {
        let Transactions { clients, servers, .. } = &self.transactions;
        clients.iter().any(|(_, client)| client.is_pending())
            || servers.iter().any(|(_, server)| server.awaits_ack())
    }

    /// The settings.
    pub const fn config(&self) -> &CoreConfig {
        &self.config
    }

    /// How a server transaction's request came; `None` once its final response needs no way any more.
    pub fn flow_of_server(&self, id: ServerId) -> Option<Flow> {
        self.transactions.servers.get(id.0)?.live().map(|live| live.flow)
    }

    /// Between which addresses a request went last; `None` before it left, and once a 2xx has come.
    pub fn flow_of_client(&self, id: ClientId) -> Option<Flow> {
        self.transactions.clients.get(id.0)?.way().map(|way| way.flow)
    }

    /// Takes one input.
    pub fn handle_input(&mut self, now: Time, input: Input<Infallible>) {
        match input {
            Input::Bound { socket, local } => {
                if let Some(transport) = self.sockets.bound(socket, local) {
                    self.tell(CoreEvent::Bound {
                        socket,
                        transport,
                        local,
                    });
                }
            }
            Input::BindFailed { socket, error } => {
                if let Some(transport) = self.sockets.remove(socket) {
                    self.tell(CoreEvent::BindFailed {
                        socket,
                        transport,
                        error,
                    });
                }
            }
            Input::Datagram { socket, flow, bytes } => self.datagram(now, socket, flow, bytes),
            Input::Unreachable { socket, remote } => self.unreachable(now, socket, remote),
            Input::Connected {
                socket,
                connection,
                flow,
            } => self.connected(now, socket, connection, flow),
            Input::ConnectFailed { socket, error, .. } => self.connect_failed(now, socket, error),
            Input::Accepted { connection, flow, .. } => self.accepted(now, connection, flow),
            Input::Stream { connection, bytes } => self.stream(now, connection, &bytes),
            Input::Closed { connection, error } => self.closed(now, connection, error),
            Input::Resolved { query, answer } => self.resolved(now, query, answer),
            Input::Command(never) => match never {},
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(due) = self.timers.pop(now) {
            match due {
                Due::Client(slot, timer) => self.client_timer(now, slot, timer),
                Due::Server(slot, timer) => self.server_timer(now, slot, timer),
                Due::Left(branch) => {
                    self.transactions.left.remove(&branch);
                }
                Due::Idle(connection) => self.idle(now, connection),
            }
        }
    }

    /// The next thing to do; drain it after each input, timeout and command.
    pub fn poll_output(&mut self) -> Option<Output<CoreEvent>> {
        self.outputs.pop_front()
    }

    /// When to call [`Core::handle_timeout`], and the name of the timer.
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.timers.next()
    }

    /// What is still held.
    pub fn residue(&self) -> Residue {
        Residue {
            transactions: self.transactions.len(),
            timers: self.timers.len(),
            sockets: self.sockets.len(),
            connections: self.connections.len(),
            ..Residue::default()
        }
    }

    /// Ends everything at once: transactions without a word, connections and sockets.
    pub fn shut_down(&mut self) {
        for connection in self.connections.ids() {
            self.outputs.push_back(Output::Close { connection });
        }
        for socket in self.sockets.ids() {
            self.outputs.push_back(Output::Unbind { socket });
        }
        self.connections = Connections::default();
        self.sockets.clear();
        self.transactions = Transactions::new(self.transactions.keys);
        self.timers = Timers::default();
        self.queries.clear();
    }

    /// Sends bytes as they are, legal or not, on a flow that is there: by a UDP socket at its local address, or by the
    /// connection with these addresses. No transaction knows of them. False when there is no such flow.
    pub fn send_raw(&mut self, now: Time, bytes: &Bytes, flow: Flow, cause: Option<Cause>) -> bool {
        let exit = match flow.transport {
            Transport::Udp => {
                let socket = self.sockets.datagram_to(flow.remote, Some(flow.local));
                socket.map(|(socket, _)| Exit::Socket(socket))
            }
            Transport::Tcp | Transport::Tls => self.connections.with_flow(&flow).map(Exit::Connection),
        };
        let note = Note {
            cause,
            ..Note::default()
        };
        exit.is_some_and(|exit| self.transmit(now, &Way { exit, flow }, bytes, note))
    }

    fn resolved(&mut self, now: Time, query: QueryId, answer: Result<DnsAnswer, DnsError>) {
        if let Some(slot) = self.queries.remove(&query) {
            self.client_resolved(now, slot, answer);
        }
    }

    fn tell(&mut self, event: CoreEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    const fn terms(config: &CoreConfig, reliable: bool) -> Terms<'_> {
        Terms {
            timers: &config.timers,
            reliable,
        }
    }

    /// Sends a whole message and says so. False when the connection is gone.
    fn transmit(&mut self, now: Time, way: &Way, bytes: &Bytes, note: Note) -> bool {
        match way.exit {
            Exit::Socket(socket) => self.outputs.push_back(Output::Datagram {
                socket,
                to: way.flow.remote,
                bytes: bytes.clone(),
                cause: note.cause,
            }),
            Exit::Connection(connection) => {
                let Some(open) = self.connections.get_mut(connection) else {
                    return false;
                };
                open.last_used = now;
                self.outputs.push_back(Output::Stream {
                    connection,
                    bytes: bytes.clone(),
                    cause: note.cause,
                });
            }
        }
        self.counters.sent += 1;
        self.counters.sent_again += u64::from(note.again);
        self.tell(CoreEvent::Seen(Seen {
            direction: Direction::Out,
            bytes: bytes.clone(),
            flow: way.flow,
            retransmission: note.again,
            transaction: note.transaction,
            cause: note.cause,
        }));
        true
    }
}

impl Node for Core {
    type Command = Infallible;
    type Event = CoreEvent;

    fn handle_input(&mut self, now: Time, input: Input<Infallible>) {
        Core::handle_input(self, now, input);
    }

    fn handle_timeout(&mut self, now: Time) {
        Core::handle_timeout(self, now);
    }

    fn poll_output(&mut self) -> Option<Output<CoreEvent>> {
        Core::poll_output(self)
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        Core::poll_timeout(self)
    }

    fn residue(&self) -> Residue {
        Core::residue(self)
    }
}

/// What is known about a message that leaves.
#[derive(Clone, Copy, Debug, Default)]
struct Note {
    transaction: Option<TransactionId>,
    cause: Option<Cause>,
    again: bool,
}
