//! A scripted peer: it plays the network and the other side against one engine, on virtual time.
//!
//! ```text
//! peer.send(text)                 a datagram from the peer
//! peer.expect("SIP/2.0 200")      the next message of the engine, now
//! peer.expect_retransmit(500)     the same bytes again, exactly 500 ms after the last time, and nothing before
//! peer.wait(32_000)               time passes
//! ```

#![expect(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own and uses its part"
)]

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use callwright_sip_message::{Builder, Limits, Message};
use callwright_wire::{
    ConnectionError, ConnectionId, DnsAnswer, DnsError, DnsQuery, DnsRecord, Flow, Input, Node, Output,
    SocketId, Time, TlsClient, Transport,
};

pub mod core;

/// The engine's address.
pub const LOCAL: &str = "10.0.0.1:5060";
/// The peer's address.
pub const PEER: &str = "10.0.0.2:5060";

/// Something that the engine sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Time,
    pub to: Exit,
    pub bytes: Bytes,
}

/// Where it sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    Datagram(SocketAddr),
    Stream(ConnectionId),
}

/// A connection that the engine asked for.
#[derive(Clone, Debug)]
pub struct Connect {
    pub socket: SocketId,
    pub remote: SocketAddr,
    pub tls: Option<TlsClient>,
}

/// An engine, and the world around it.
pub struct Peer<N: Node<Command = Infallible>> {
    pub node: N,
    pub now: Time,
    pub local: SocketAddr,
    pub address: SocketAddr,
    /// What the resolver knows; anything else is no such name.
    pub zone: BTreeMap<DnsQuery, Result<DnsAnswer, DnsError>>,
    pub asked: Vec<DnsQuery>,
    pub sent: VecDeque<Sent>,
    pub events: VecDeque<N::Event>,
    pub connects: VecDeque<Connect>,
    pub closed: Vec<ConnectionId>,
    /// UDP sockets as bound.
    pub sockets: Vec<(SocketId, SocketAddr)>,
    last: Option<Sent>,
    next_connection: u64,
}

impl<N: Node<Command = Infallible>> Peer<N> {
    /// An engine in an empty world; it has still to listen.
    pub fn around(node: N) -> Peer<N> {
        Peer {
            node,
            now: Time::from_secs(100),
            local: LOCAL.parse().expect("a literal"),
            address: PEER.parse().expect("a literal"),
            zone: BTreeMap::new(),
            asked: Vec::new(),
            sent: VecDeque::new(),
            events: VecDeque::new(),
            connects: VecDeque::new(),
            closed: Vec::new(),
            sockets: Vec::new(),
            last: None,
            next_connection: 1,
        }
    }

    /// `example.com` has a first server (10.0.0.2) and a second (10.0.0.3), by UDP.
    pub fn know_two_servers(&mut self) {
        let srv = |priority, target: &str| DnsRecord::Srv {
            priority,
            weight: 0,
            port: 5060,
            target: target.to_owned(),
        };
        let service = DnsQuery::Srv("_sip._udp.example.com".to_owned());
        self.zone
            .insert(service, Ok(vec![srv(2, "second"), srv(1, "first")]));
        for (name, address) in [("first", "10.0.0.2"), ("second", "10.0.0.3")] {
            let records = vec![DnsRecord::Address(address.parse().expect("a literal"))];
            self.zone.insert(DnsQuery::Address(name.to_owned()), Ok(records));
        }
    }

    /// Takes everything that the engine wants done. Sockets open at once, at the address asked for.
    pub fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Datagram { to, bytes, .. } => {
                    self.sent.push_back(Sent {
                        at: self.now,
                        to: Exit::Datagram(to),
                        bytes,
                    });
                }
                Output::Stream {
                    connection, bytes, ..
                } => {
                    self.sent.push_back(Sent {
                        at: self.now,
                        to: Exit::Stream(connection),
                        bytes,
                    });
                }
                Output::Event(event) => self.events.push_back(event),
                Output::Bind { socket, local, .. } => {
                    self.sockets.push((socket, local));
                    self.node.handle_input(self.now, Input::Bound { socket, local });
                }
                Output::Unbind { socket } => self.sockets.retain(|(id, _)| *id != socket),
                Output::Connect {
                    socket, remote, tls, ..
                } => self.connects.push_back(Connect { socket, remote, tls }),
                Output::Close { connection } => self.closed.push(connection),
                Output::Resolve { query, question } => {
                    let answer = self
                        .zone
                        .get(&question)
                        .cloned()
                        .unwrap_or(Err(DnsError::NoSuchName));
                    self.asked.push(question);
                    self.node
                        .handle_input(self.now, Input::Resolved { query, answer });
                }
            }
        }
    }

    /// One input, and what follows.
    pub fn input(&mut self, input: Input<Infallible>) {
        self.node.handle_input(self.now, input);
        self.drain();
    }

    /// A datagram from the peer.
    pub fn send(&mut self, bytes: impl Into<Bytes>) {
        self.send_from(self.address, bytes);
    }

    /// A datagram from anywhere.
    pub fn send_from(&mut self, from: SocketAddr, bytes: impl Into<Bytes>) {
        let (socket, local) = *self.sockets.first().expect("the engine has a socket");
        let flow = Flow {
            transport: Transport::Udp,
            local,
            remote: from,
        };
        self.input(Input::Datagram {
            socket,
            flow,
            bytes: bytes.into(),
        });
    }

    /// A response to a request of the engine's, with a To tag.
    pub fn reply(&mut self, request: &Message, status: u16) -> Message {
        let response = Builder::response_to(request, status, "Whatever")
            .to_tag("peer")
            .finish();
        self.send(response.raw().clone());
        response
    }

    /// Time passes; what is due happens at its time.
    pub fn wait(&mut self, ms: u64) {
        self.run_to(self.now + Duration::from_millis(ms));
    }

    pub fn run_to(&mut self, end: Time) {
        while self.step(end) {}
        self.now = end;
    }

    /// The next timer until `end`; false when there is none.
    fn step(&mut self, end: Time) -> bool {
        let Some((at, _)) = self.node.poll_timeout().filter(|(at, _)| *at <= end) else {
            return false;
        };
        self.now = self.now.max(at);
        self.node.handle_timeout(self.now);
        self.drain();
        true
    }

    /// The message that the engine sent next, without any time passing.
    #[track_caller]
    pub fn expect(&mut self, start: &str) -> Message {
        let Some(sent) = self.sent.pop_front() else {
            panic!("{} expected `{start}`, nothing was sent", self.now)
        };
        let message = parse(&sent.bytes);
        let text = message.to_string();
        assert!(
            text.starts_with(start),
            "{} expected `{start}`, got:\n{text}",
            self.now
        );
        self.last = Some(sent);
        message
    }

    /// Where the message that was expected last went.
    pub fn last_exit(&self) -> Option<Exit> {
        self.last.as_ref().map(|sent| sent.to.clone())
    }

    /// The last message again, exactly `ms` after it was sent last.
    #[track_caller]
    pub fn expect_retransmit(&mut self, ms: u64) {
        let last = self.last.clone().expect("a message was expected before");
        let due = last.at + Duration::from_millis(ms);
        while self.sent.is_empty() && self.step(due) {}
        let Some(sent) = self.sent.pop_front() else {
            panic!("no retransmission within {ms} ms of {}", last.at)
        };
        assert_eq!(sent.at, due, "a retransmission at the wrong time");
        assert_eq!(parse(&sent.bytes), parse(&last.bytes), "a retransmission changed");
        self.last = Some(sent);
    }

    /// Nothing was sent.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        let sent: Vec<_> = self
            .sent
            .iter()
            .map(|sent| String::from_utf8_lossy(&sent.bytes).into_owned())
            .collect();
        assert!(sent.is_empty(), "{} expected nothing, got {sent:?}", self.now);
    }

    /// Time passes, and nothing is sent.
    #[track_caller]
    pub fn expect_silence(&mut self, ms: u64) {
        self.expect_nothing();
        self.wait(ms);
        self.expect_nothing();
    }

    /// The connection that the engine asked for comes up.
    #[track_caller]
    pub fn accept(&mut self) -> ConnectionId {
        let Some(connect) = self.connects.pop_front() else {
            panic!("no connection was asked for")
        };
        let connection = self.connection();
        let transport = if connect.tls.is_some() {
            Transport::Tls
        } else {
            Transport::Tcp
        };
        let local = SocketAddr::new(self.local.ip(), 40_000 + connection.0 as u16);
        let flow = Flow {
            transport,
            local,
            remote: connect.remote,
        };
        self.input(Input::Connected {
            socket: connect.socket,
            connection,
            flow,
        });
        connection
    }

    /// The connection that the engine asked for is refused.
    #[track_caller]
    pub fn refuse(&mut self, error: ConnectionError) {
        let Some(connect) = self.connects.pop_front() else {
            panic!("no connection was asked for")
        };
        self.input(Input::ConnectFailed {
            socket: connect.socket,
            remote: connect.remote,
            error,
        });
    }

    /// The peer connects.
    pub fn connect(&mut self, transport: Transport) -> ConnectionId {
        let connection = self.connection();
        let remote = SocketAddr::new(self.address.ip(), 50_000 + connection.0 as u16);
        let flow = Flow {
            transport,
            local: self.local,
            remote,
        };
        self.input(Input::Accepted {
            listener: SocketId(0),
            connection,
            flow,
        });
        connection
    }

    fn connection(&mut self) -> ConnectionId {
        self.next_connection += 1;
        ConnectionId(self.next_connection)
    }

    /// Bytes from the peer on a connection.
    pub fn write(&mut self, connection: ConnectionId, bytes: impl Into<Bytes>) {
        self.input(Input::Stream {
            connection,
            bytes: bytes.into(),
        });
    }
}

#[track_caller]
pub fn parse(bytes: &Bytes) -> Message {
    match Message::parse(bytes.clone(), &Limits::default()) {
        Ok(message) => message,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(bytes)),
    }
}
