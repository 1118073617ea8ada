//! The scripted peer around a [`Core`].

use callwright_sip::core::{
    ClientId, Core, CoreConfig, CoreEvent, Outgoing, ServerId, Target, TransactionId,
};
use callwright_sip_message::{Builder, HeaderName, Message, Method, Uri};
use callwright_wire::{Residue, Seed, Transport};

use super::{LOCAL, PEER, Peer};

/// A core with UDP at [`LOCAL`].
pub fn udp() -> Peer<Core> {
    with(CoreConfig::default())
}

/// A core with UDP at [`LOCAL`] and these settings.
pub fn with(config: CoreConfig) -> Peer<Core> {
    let mut peer = Peer::around(Core::new(config, Seed::from_number(1).stream()));
    peer.node
        .listen(Transport::Udp, LOCAL.parse().expect("a literal"));
    peer.drain();
    peer.events.clear();
    peer
}

/// A core with UDP and TCP at [`LOCAL`].
pub fn udp_and_tcp() -> Peer<Core> {
    let mut peer = udp();
    peer.node
        .listen(Transport::Tcp, LOCAL.parse().expect("a literal"));
    peer.drain();
    peer.events.clear();
    peer
}

pub fn uri(text: &str) -> Uri {
    text.parse().expect("a literal URI")
}

/// A request of ours, as the layer above builds it.
pub fn request(method: Method) -> Outgoing {
    sized_request(method, 0)
}

/// A request of ours with a body of this size.
pub fn sized_request(method: Method, body: usize) -> Outgoing {
    let builder = Builder::request(method.clone(), &uri("sip:bob@10.0.0.2"))
        .header(HeaderName::MaxForwards, 70)
        .header(HeaderName::From, "<sip:alice@10.0.0.1>;tag=alice")
        .header(HeaderName::To, "<sip:bob@10.0.0.2>")
        .header(HeaderName::CallId, "call-1")
        .header(HeaderName::CSeq, format_args!("7 {method}"));
    let builder = if body > 0 {
        builder.body("text/plain", "x".repeat(body))
    } else {
        builder
    };
    builder.finish().into()
}

/// A request of the peer's, as bytes.
pub fn incoming(method: &str, branch: &str) -> String {
    format!(
        "{method} sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};branch={branch};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@10.0.0.2>;tag=bob\r\nTo: <sip:alice@10.0.0.1>\r\nCall-ID: call-2\r\nCSeq: 3 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

impl Peer<Core> {
    /// A request to [`PEER`] by its address.
    #[track_caller]
    pub fn request(&mut self, method: Method) -> ClientId {
        self.request_to(request(method), "sip:10.0.0.2")
    }

    #[track_caller]
    pub fn request_to(&mut self, request: Outgoing, target: &str) -> ClientId {
        let id = self
            .node
            .request(self.now, request, Target::new(uri(target)), None)
            .expect("it is a request");
        self.drain();
        id
    }

    /// Answers with a To tag.
    #[track_caller]
    pub fn respond(&mut self, id: ServerId, request: &Message, status: u16) -> bytes::Bytes {
        let response = Builder::response_to(request, status, "Reason")
            .to_tag("alice")
            .finish();
        let bytes = self
            .node
            .respond(self.now, id, response, None)
            .expect("the transaction takes it");
        self.drain();
        bytes
    }

    /// What happened next, but for [`CoreEvent::Seen`].
    pub fn next_event(&mut self) -> Option<CoreEvent> {
        loop {
            match self.events.pop_front()? {
                CoreEvent::Seen(_) => {}
                event => return Some(event),
            }
        }
    }

    #[track_caller]
    pub fn expect_request(&mut self) -> (ServerId, Message) {
        match self.next_event() {
            Some(CoreEvent::Request { id, message, .. }) => (id, message),
            other => panic!("expected a request, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn expect_response(&mut self, id: ClientId, status: u16) -> Message {
        match self.next_event() {
            Some(CoreEvent::Response { id: of, message, .. })
                if of == id && message.status() == Some(status) =>
            {
                message
            }
            other => panic!("expected {status}, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn expect_timeout(&mut self, id: TransactionId, name: &str) {
        match self.next_event() {
            Some(CoreEvent::TimedOut { id: of, timer }) if of == id => assert_eq!(timer.as_str(), name),
            other => panic!("expected {name}, got {other:?}"),
        }
        self.expect_ended(id);
    }

    #[track_caller]
    pub fn expect_ended(&mut self, id: TransactionId) {
        match self.next_event() {
            Some(CoreEvent::Ended { id: of }) if of == id => {}
            other => panic!("expected the end, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn expect_no_event(&mut self) {
        let event = self.next_event();
        assert!(event.is_none(), "expected no event, got {event:?}");
    }

    /// No transaction and no timer is left, but those of connections.
    #[track_caller]
    pub fn expect_settled(&mut self) {
        let Residue {
            transactions,
            timers,
            connections,
            ..
        } = self.node.residue();
        assert_eq!(transactions, 0, "transactions are left");
        assert!(
            timers <= connections,
            "timers are left: {:?}",
            self.node.poll_timeout()
        );
    }
}
