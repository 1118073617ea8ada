//! Messages on their way out, and where they shall go.

use callwright_sip_message::{Message, Uri};
use callwright_wire::{Flow, Transport};

/// A message as the layer above built it. Cloning is cheap, and the same value can be given again, as after a challenge.
///
/// A request has no Via: the core writes it when the way is known. A response has those of its request, as
/// [`Builder::response_to`](callwright_sip_message::Builder::response_to) copies them, or none, which means the same.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub(crate) message: Message,
    pub(crate) contact: Option<LocalContact>,
}

impl Outgoing {
    /// A message that is complete, but for Via.
    pub const fn new(message: Message) -> Outgoing {
        Outgoing {
            message,
            contact: None,
        }
    }

    /// Lets the core write the Contact header field, with the address that the message leaves from.
    #[must_use]
    pub fn with_contact(mut self, contact: LocalContact) -> Outgoing {
        self.contact = Some(contact);
        self
    }

    /// The message, without what the core writes.
    pub const fn message(&self) -> &Message {
        &self.message
    }
}

impl From<Message> for Outgoing {
    fn from(message: Message) -> Outgoing {
        Outgoing::new(message)
    }
}

/// A Contact whose host, port and transport are filled in when the way is known:
/// `Contact: <sip:user@host:port;transport=tcp;uri-params>;params`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalContact {
    /// The user part, escaped.
    pub user: Option<String>,
    /// True writes `sips`.
    pub secure: bool,
    /// Further parameters of the URI, each with its `;`.
    pub uri_params: String,
    /// Parameters of the header field, each with its `;`.
    pub params: String,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The next hop: the first Route, an outbound proxy, or the Request-URI (RFC 3261 §8.1.2).
    pub uri: Uri,
    /// Goes before the `transport` parameter of the URI.
    pub transport: Option<Transport>,
    /// A flow to use while it exists: the connection over which a dialog runs. With UDP only its local address counts: it
    /// chooses the socket.
    pub flow: Option<Flow>,
}

impl Target {
    /// What the URI says.
    pub const fn new(uri: Uri) -> Target {
        Target {
            uri,
            transport: None,
            flow: None,
        }
    }

    /// With a transport that goes before the URI's.
    #[must_use]
    pub fn with_transport(mut self, transport: Option<Transport>) -> Target {
        self.transport = transport;
        self
    }

    /// To the server at the other end of a flow, whatever else its name resolves to.
    #[must_use]
    pub(crate) fn at(self, flow: Flow) -> Target {
        if flow.transport.is_reliable() {
            return self.with_flow(Some(flow));
        }
        let uri = Uri::sip(flow.remote.ip().into()).with_port(Some(flow.remote.port()));
        let uri = match self.uri.transport() {
            Some(transport) => uri.with_param("transport", transport),
            None => uri,
        };
        Target {
            uri,
            flow: Some(flow),
            ..self
        }
    }

    /// With a flow to use while it exists.
    #[must_use]
    pub fn with_flow(mut self, flow: Option<Flow>) -> Target {
        self.flow = flow;
        self
    }
}
