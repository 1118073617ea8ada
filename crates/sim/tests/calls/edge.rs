//! The proxy that user agents reach by TLS: where there is no listener with a certificate at their side, calls come back
//! on the connection that they opened (RFC 5626 §3.1).

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use callwright_wire::{ConnectionId, Input, Output, Residue, SocketId, SocketUse, Time, Transport};

/// A stateless proxy for users who register over TLS.
pub(crate) struct Edge {
    local: SocketAddr,
    /// What came on each connection and is no whole message yet.
    incoming: BTreeMap<ConnectionId, String>,
    users: BTreeMap<String, ConnectionId>,
    pub(crate) outputs: VecDeque<Output<()>>,
}

impl Edge {
    pub(crate) fn new(local: SocketAddr) -> Self {
        let bind = Output::Bind {
            socket: SocketId(0),
            local,
            usage: SocketUse::Signalling(Transport::Tls),
        };
        Edge {
            local,
            incoming: BTreeMap::new(),
            users: BTreeMap::new(),
            outputs: VecDeque::from([bind]),
        }
    }

    pub(crate) fn handle_input<C>(&mut self, _now: Time, input: Input<C>) {
        match input {
            Input::Stream { connection, bytes } => {
                let text = self.incoming.entry(connection).or_default();
                text.push_str(&String::from_utf8_lossy(&bytes));
                while let Some(message) = self.whole_message(connection) {
                    self.take(connection, &message);
                }
            }
            Input::Closed { connection, .. } => {
                self.incoming.remove(&connection);
                self.users.retain(|_, theirs| *theirs != connection);
            }
            _ => {}
        }
    }

    pub(crate) fn residue(&self) -> Residue {
        Residue::default()
    }

    fn whole_message(&mut self, connection: ConnectionId) -> Option<String> {
        let text = self.incoming.get_mut(&connection)?;
        // Keep-alives between messages.
        while text.starts_with("\r\n") {
            text.drain(..2);
        }
        let head = text.find("\r\n\r\n")? + 4;
        let body = header(text, "Content-Length").and_then(|value| value.parse().ok());
        let length = head + body.unwrap_or(0);
        (text.len() >= length).then(|| text.drain(..length).collect())
    }

    fn take(&mut self, from: ConnectionId, message: &str) {
        if message.starts_with("SIP/2.0") {
            self.response(message);
        } else if message.starts_with("REGISTER") {
            self.register(from, message);
        } else {
            self.request(from, message);
        }
    }

    fn register(&mut self, from: ConnectionId, message: &str) {
        let to = header(message, "To").expect("a To");
        self.users.insert(user(to), from);
        let copied: String = ["Via", "From", "Call-ID", "CSeq"]
            .iter()
            .map(|name| format!("{name}: {}\r\n", header(message, name).expect("a header field")))
            .collect();
        let contact = header(message, "Contact").map(|contact| format!("Contact: {contact};expires=600\r\n"));
        let contact = contact.unwrap_or_default();
        let answer =
            format!("SIP/2.0 200 OK\r\n{copied}To: {to};tag=edge\r\n{contact}Content-Length: 0\r\n\r\n");
        self.send(from, answer);
    }

    /// Downstream: another Via, this proxy in the route.
    fn request(&mut self, from: ConnectionId, message: &str) {
        let (line, rest) = message.split_once("\r\n").expect("a line");
        let target = user(line.split(' ').nth(1).expect("a URI"));
        let Some(to) = self.users.get(&target).copied() else {
            return;
        };
        let branch = param(header(message, "Via").expect("a Via"), "branch");
        let local = self.local;
        let via = format!(
            "Via: SIP/2.0/TLS {local};branch=z9hG4bK-{}-{}\r\n",
            from.0,
            &branch["z9hG4bK".len()..]
        );
        let route = format!("Record-Route: <sip:{local};transport=tls;lr>\r\n");
        let own = format!("Route: <sip:{local};transport=tls;lr>\r\n");
        self.send(
            to,
            format!("{line}\r\n{via}{route}{}", rest.replacen(&own, "", 1)),
        );
    }

    /// Upstream: by the connection that is in the branch of our Via.
    fn response(&mut self, message: &str) {
        let via = header(message, "Via").expect("a Via");
        let to = param(via, "branch").split('-').nth(1).expect("a number").parse();
        let without = message.replacen(&format!("Via: {via}\r\n"), "", 1);
        self.send(ConnectionId(to.expect("a number")), without);
    }

    fn send(&mut self, connection: ConnectionId, message: String) {
        self.outputs.push_back(Output::Stream {
            connection,
            bytes: Bytes::from(message),
            cause: None,
        });
    }
}

fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn param<'a>(value: &'a str, name: &str) -> &'a str {
    value
        .split(';')
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        .expect("a parameter")
}

/// The user part of the first URI in it.
fn user(text: &str) -> String {
    let (_, rest) = text.split_once("sip:").expect("a SIP URI");
    let (user, _) = rest.split_once('@').expect("a user part");
    user.to_owned()
}
