//! An endpoint against a scripted peer, whose messages are written by hand.

use callwright_sip::command::{Account, Identity, Invite};
use callwright_sip::endpoint::{CallId, IdentityId};
use callwright_sip::{Endpoint, EndpointConfig, Event};
use callwright_sip_message::{Builder, HeaderName, Message, Method};
use callwright_wire::{Node, Residue, Seed, Time, Transport};

use crate::parties::{OFFER, sdp, shown_cause, uri};
use crate::support::{LOCAL, PEER, Peer};

pub(crate) struct Script {
    pub(crate) peer: Peer<Endpoint>,
    pub(crate) identity: IdentityId,
    branches: u32,
}

impl Script {
    /// Alice at `LOCAL`, with an account.
    pub(crate) fn new() -> Script {
        Script::with(EndpointConfig::default())
    }

    pub(crate) fn with(config: EndpointConfig) -> Script {
        let mut node = Endpoint::new(config, Seed::from_number(7).stream());
        let account = Account {
            realm: None,
            username: "alice".to_owned(),
            password: "secret".into(),
        };
        let mut identity = Identity::new(uri("sip:alice@10.0.0.2"));
        identity.accounts = vec![account];
        let identity = node.add_identity(identity);
        let mut peer = Peer::around(node);
        let now = peer.now;
        peer.node
            .listen(now, Transport::Udp, LOCAL.parse().expect("a literal"));
        peer.drain();
        peer.events.clear();
        Script {
            peer,
            identity,
            branches: 0,
        }
    }

    /// Any operation, and what follows at once.
    pub(crate) fn act<R>(&mut self, act: impl FnOnce(&mut Endpoint, Time) -> R) -> R {
        let now = self.peer.now;
        let result = act(&mut self.peer.node, now);
        self.peer.drain();
        result
    }

    pub(crate) fn invitation(&self) -> Invite {
        let invite = Invite::new(self.identity, uri("sip:bob@10.0.0.2"));
        Invite {
            offer: Some(sdp(OFFER)),
            ..invite
        }
    }

    /// Alice calls; the INVITE as the peer sees it.
    pub(crate) fn call(&mut self) -> (CallId, Message) {
        let invite = self.invitation();
        self.place(invite)
    }

    pub(crate) fn place(&mut self, invite: Invite) -> (CallId, Message) {
        let call = self.act(|node, now| node.invite(now, invite, None).expect("the call is placed"));
        (call, self.expect("INVITE "))
    }

    /// Alice calls, the peer answers, the ACK is there.
    pub(crate) fn established(&mut self) -> (CallId, Message) {
        let (call, invite) = self.call();
        self.answer(&invite, "bob", "");
        self.expect("ACK ");
        self.peer.events.clear();
        (call, invite)
    }

    /// A 200 with an answer to an INVITE of alice's. `more`: further header lines.
    pub(crate) fn answer(&mut self, invite: &Message, tag: &str, more: &str) -> Message {
        self.respond(
            invite,
            200,
            tag,
            &format!("Contact: <sip:bob@10.0.0.2>\r\n{more}"),
            Some(crate::parties::ANSWER),
        )
    }

    /// Any response of the peer.
    pub(crate) fn respond(
        &mut self,
        request: &Message,
        status: u16,
        tag: &str,
        more: &str,
        body: Option<&'static str>,
    ) -> Message {
        let mut builder = Builder::response_to(request, status, callwright_sip::reason_phrase(status));
        if !tag.is_empty() {
            builder = builder.to_tag(tag);
        }
        for line in more.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").expect("a header line");
            builder = builder.header(name, value);
        }
        if let Some(body) = body {
            builder = builder.body("application/sdp", sdp(body));
        }
        let message = builder.finish();
        self.peer.send(message.raw().clone());
        message
    }

    /// A request of the peer outside any dialog.
    pub(crate) fn request(
        &mut self,
        method: &str,
        cseq: u32,
        more: &str,
        body: Option<(&str, &str)>,
    ) -> Message {
        self.branches += 1;
        let builder = Builder::request(Method::from(method), &uri("sip:alice@10.0.0.1"))
            .header(
                HeaderName::Via,
                format_args!("SIP/2.0/UDP {PEER};branch=z9hG4bKscript{};rport", self.branches),
            )
            .header(HeaderName::MaxForwards, 70)
            .header(HeaderName::From, "<sip:bob@10.0.0.2>;tag=bob")
            .header(HeaderName::To, "<sip:alice@10.0.0.2>")
            .header(HeaderName::CallId, "script")
            .header(HeaderName::CSeq, format_args!("{cseq} {method}"));
        self.send(builder, more, body)
    }

    /// A request of the peer in the dialog that `ours` (a request or response of alice's with both tags) belongs to.
    pub(crate) fn in_dialog(
        &mut self,
        ours: &Message,
        method: &str,
        cseq: u32,
        more: &str,
        body: Option<(&str, &str)>,
    ) -> Message {
        self.branches += 1;
        let (mut local, mut remote) = (ours.to().expect("To"), ours.from().expect("From"));
        if ours.is_response() {
            std::mem::swap(&mut local, &mut remote);
        }
        if local.tag().is_none() {
            local.set_tag("bob");
        }
        let builder = Builder::request(Method::from(method), &uri("sip:alice@10.0.0.1"))
            .header(
                HeaderName::Via,
                format_args!("SIP/2.0/UDP {PEER};branch=z9hG4bKscript{};rport", self.branches),
            )
            .header(HeaderName::MaxForwards, 70)
            .header(HeaderName::From, local)
            .header(HeaderName::To, remote)
            .header(HeaderName::CallId, ours.call_id().expect("Call-ID"))
            .header(HeaderName::CSeq, format_args!("{cseq} {method}"));
        self.send(builder, more, body)
    }

    fn send(&mut self, mut builder: Builder, more: &str, body: Option<(&str, &str)>) -> Message {
        for line in more.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").expect("a header line");
            builder = builder.header(name, value);
        }
        if let Some((kind, body)) = body {
            builder = builder.body(kind, body.to_owned());
        }
        let message = builder.finish();
        self.peer.send(message.raw().clone());
        message
    }

    /// An INVITE of the peer with an offer; its call.
    pub(crate) fn invited(&mut self, more: &str) -> (CallId, Message) {
        let more = format!("Contact: <sip:bob@10.0.0.2>\r\n{more}");
        let invite = self.request("INVITE", 1, &more, Some(("application/sdp", OFFER)));
        let call = self.told(|event| match event {
            Event::IncomingCall(incoming) => Some(incoming.call),
            _ => None,
        });
        (call, invite)
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, start: &str) -> Message {
        self.peer.expect(start)
    }

    /// The next event that `pick` takes; those before it are dropped.
    #[track_caller]
    pub(crate) fn told<R>(&mut self, pick: impl Fn(&Event) -> Option<R>) -> R {
        let mut seen = Vec::new();
        while let Some(event) = self.peer.events.pop_front() {
            if let Some(found) = pick(&event) {
                return found;
            }
            if !matches!(event, Event::Seen(_)) {
                seen.push(event);
            }
        }
        panic!("not told, but {seen:#?}")
    }

    pub(crate) fn is_told(&self, pick: impl Fn(&Event) -> bool) -> bool {
        self.peer.events.iter().any(pick)
    }

    #[track_caller]
    pub(crate) fn ended(&mut self, call: CallId) -> String {
        self.told(|event| match event {
            Event::Ended { call: ended, cause } if *ended == call => Some(shown_cause(cause)),
            _ => None,
        })
    }

    /// After all timers nothing is left but the socket.
    #[track_caller]
    pub(crate) fn assert_clean(&mut self) {
        self.peer.wait(300_000);
        assert_eq!(
            self.peer.node.residue(),
            Residue {
                sockets: 1,
                ..Residue::default()
            }
        );
    }
}

/// The value of a header field.
pub(crate) fn header(message: &Message, name: &str) -> String {
    message
        .header(name)
        .map(|value| value.into_owned())
        .unwrap_or_default()
}
