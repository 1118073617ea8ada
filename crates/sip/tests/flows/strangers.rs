//! Proxies, servers and peers in a [`World`] of endpoints, whose every step is told to them.
//!
//! ```text
//! let proxy = world.stranger("proxy", "10.0.0.11:5060");
//! let invite = proxy.takes(&mut world, "INVITE ");               what reaches it next
//! proxy.answers(&mut world, &invite, 100, "", None);             a response of its own
//! let onward = proxy.forwards(&mut world, &invite, BOB_AT);      Via, Record-Route, one hop less
//! proxy.returns(&mut world, &ringing);                           a response, by the next Via
//! ```

use std::net::SocketAddr;

use callwright_sip::command::Identity;
use callwright_sip_message::{Builder, HeaderName, Message, Method, Uri};

use crate::parties::{LATENCY, World, uri};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger {
    name: &'static str,
    /// The local tag of its dialogs.
    tag: &'static str,
    pub(crate) address: SocketAddr,
}

impl World {
    pub(crate) fn stranger(&mut self, name: &'static str, address: &str) -> Stranger {
        let address = address.parse().expect("a literal");
        self.introduce(name, address);
        Stranger {
            name,
            tag: name,
            address,
        }
    }

    /// Gives a party accounts, an outbound proxy, a contact.
    pub(crate) fn equip(&mut self, party: usize, change: impl FnOnce(&mut Identity)) {
        let id = self.parties[party].identity;
        let mut identity = self.node(party).identity(id).expect("it has one").clone();
        change(&mut identity);
        self.node(party).change_identity(id, identity).expect("changes");
    }

    /// A request goes along proxies, the first of which it has reached or soon will. Gives what the last of them sent.
    #[track_caller]
    pub(crate) fn carry(&mut self, path: &[Stranger], start: &str, to: SocketAddr) -> Message {
        let mut sent = None;
        for (place, proxy) in path.iter().enumerate() {
            let message = proxy.takes(self, start);
            let next = path.get(place + 1).map_or(to, |next| next.address);
            sent = Some(proxy.forwards(self, &message, next));
        }
        self.run(LATENCY);
        sent.expect("a path has proxies")
    }

    /// A response goes back along proxies.
    #[track_caller]
    pub(crate) fn carry_back(&mut self, path: &[Stranger], start: &str) {
        for proxy in path {
            let message = proxy.takes(self, start);
            proxy.returns(self, &message);
        }
        self.run(LATENCY);
    }

    pub(crate) fn address_of(&self, party: usize) -> SocketAddr {
        self.parties[party].address
    }
}

impl Stranger {
    /// It goes on with its dialogs at another address.
    pub(crate) fn moves(self, world: &mut World, name: &'static str, address: &str) -> Stranger {
        let tag = self.tag;
        Stranger {
            tag,
            ..world.stranger(name, address)
        }
    }

    /// The message that reaches it next: now, or after something has gone there and back.
    #[track_caller]
    pub(crate) fn takes(self, world: &mut World, start: &str) -> Message {
        let mut message = world.arrived(self.address);
        for _ in 0..2 {
            if message.is_none() {
                world.run(LATENCY);
                message = world.arrived(self.address);
            }
        }
        let message = message.unwrap_or_else(|| panic!("{} waits for {start}, nothing came", self.name));
        let text = message.to_string();
        assert!(
            text.starts_with(start),
            "{} waits for {start}, got:\n{text}",
            self.name
        );
        message
    }

    /// Nothing more came.
    #[track_caller]
    pub(crate) fn takes_nothing(self, world: &mut World) {
        world.run(2 * LATENCY);
        let more = world.arrived(self.address);
        assert!(
            more.is_none(),
            "{} got {}",
            self.name,
            more.map(|m| m.to_string()).unwrap_or_default()
        );
    }

    /// A response of its own, with its name as the To tag. `more`: further header lines.
    pub(crate) fn answers(
        self,
        world: &mut World,
        request: &Message,
        status: u16,
        more: &str,
        body: Option<&'static str>,
    ) -> Message {
        let phrase = callwright_sip::reason_phrase(status);
        let mut builder = Builder::response_to(request, status, phrase);
        if status > 100 {
            builder = builder.to_tag(self.tag);
        }
        let message = finished(builder, more, body.map(|body| ("application/sdp", body)));
        self.replies(world, &message);
        message
    }

    /// A response that another made for it, by its top Via.
    pub(crate) fn replies(self, world: &mut World, response: &Message) {
        let via = response.via().expect("a Via");
        let host = via.host.ip().expect("an address");
        let to = SocketAddr::new(host, via.port.unwrap_or(5060));
        world.send_as(self.address, to, response);
    }

    /// A request of its own outside dialogs. `more`: further header lines; one of them names the Contact.
    pub(crate) fn asks(
        self,
        world: &mut World,
        method: &str,
        to: usize,
        more: &str,
        body: Option<(&str, &str)>,
    ) -> Message {
        let target = world.uri_of(to);
        let builder = Builder::request(Method::from(method), &target)
            .header(HeaderName::Via, self.via(method))
            .header(HeaderName::MaxForwards, 70)
            .header(
                HeaderName::From,
                format_args!("<{}>;tag={}", self.uri(), self.tag),
            )
            .header(HeaderName::To, format_args!("<{target}>"))
            .header(HeaderName::CallId, format_args!("{}-{method}", self.name))
            .header(HeaderName::CSeq, format_args!("1 {method}"));
        let message = finished(builder, more, body);
        world.send_as(self.address, world.address_of(to), &message);
        message
    }

    /// A request in the dialog that `seen` made or belongs to: a request that it got, or a response to one of its own.
    pub(crate) fn continues(
        self,
        world: &mut World,
        seen: &Message,
        method: &str,
        cseq: u32,
        more: &str,
        body: Option<(&str, &str)>,
    ) -> Message {
        let (mut local, mut remote) = (seen.to().expect("To"), seen.from().expect("From"));
        if seen.is_response() {
            std::mem::swap(&mut local, &mut remote);
        }
        if local.tag().is_none() {
            local.set_tag(self.tag);
        }
        let target = seen
            .contact()
            .map_or_else(|| remote.uri.clone(), |contact| contact.uri);
        let host = target.host().ip().expect("an address");
        let to = SocketAddr::new(host, target.port().unwrap_or(5060));
        let builder = Builder::request(Method::from(method), &target)
            .header(HeaderName::Via, self.via(&format!("{method}{cseq}{}", world.now)))
            .header(HeaderName::MaxForwards, 70)
            .header(HeaderName::From, local)
            .header(HeaderName::To, remote)
            .header(HeaderName::CallId, seen.call_id().expect("Call-ID"))
            .header(HeaderName::CSeq, format_args!("{cseq} {method}"));
        let message = finished(builder, more, body);
        world.send_as(self.address, to, &message);
        message
    }

    /// Forwards a request as a proxy that stays on the way does (RFC 3261 §16.6).
    pub(crate) fn forwards(self, world: &mut World, request: &Message, to: SocketAddr) -> Message {
        let target = request.request_uri().expect("a URI");
        self.retargets(world, request, &target, to)
    }

    /// The same, with another Request-URI.
    pub(crate) fn retargets(
        self,
        world: &mut World,
        request: &Message,
        target: &Uri,
        to: SocketAddr,
    ) -> Message {
        let hops = request.max_forwards().expect("Max-Forwards").expect("some");
        // The branch of a CANCEL is that of its INVITE, and both came with one.
        let branch = request
            .via()
            .expect("a Via")
            .branch()
            .expect("a branch")
            .to_owned();
        let mut builder = request
            .to_builder()
            .push_front(
                HeaderName::Via,
                format_args!(
                    "SIP/2.0/UDP {};branch={branch}.{}.{}",
                    self.address,
                    self.name,
                    to.ip()
                ),
            )
            .set(HeaderName::MaxForwards, hops - 1)
            .request_uri(target);
        let first = request.routes().next().and_then(Result::ok);
        if first.is_some_and(|route| route.uri == self.route()) {
            builder = builder.remove_first(HeaderName::Route);
        }
        // RFC 3261 §16.6 step 4: in what makes a dialog.
        if request.method() == Some(Method::Invite) && request.to_tag().is_none() {
            builder = builder.push_front(HeaderName::RecordRoute, format_args!("<{}>", self.route()));
        }
        let message = builder.finish();
        world.send_as(self.address, to, &message);
        message
    }

    /// Sends a response back on its way (RFC 3261 §16.7).
    pub(crate) fn returns(self, world: &mut World, response: &Message) -> Message {
        let message = response.to_builder().remove_first(HeaderName::Via).finish();
        self.replies(world, &message);
        message
    }

    /// Acknowledges a final response other than 2xx to an INVITE that it forwarded, hop by hop.
    pub(crate) fn acknowledges(
        self,
        world: &mut World,
        forwarded: &Message,
        response: &Message,
        to: SocketAddr,
    ) {
        let ack = self
            .hop(forwarded, Method::Ack)
            .set(HeaderName::To, response.to().expect("To"));
        world.send_as(self.address, to, &ack.finish());
    }

    /// Cancels an INVITE that it forwarded.
    pub(crate) fn cancels(self, world: &mut World, forwarded: &Message, to: SocketAddr) {
        let cancel = self.hop(forwarded, Method::Cancel).finish();
        world.send_as(self.address, to, &cancel);
    }

    /// A request of one hop: Via, To, From, Call-ID and number are those of the INVITE (RFC 3261 §9.1, §17.1.1.3).
    fn hop(self, forwarded: &Message, method: Method) -> Builder {
        let number = forwarded.cseq().expect("CSeq").number;
        Builder::request(method.clone(), &forwarded.request_uri().expect("a URI"))
            .header(HeaderName::Via, forwarded.via().expect("a Via"))
            .header(HeaderName::MaxForwards, 70)
            .copy_from(forwarded, HeaderName::From)
            .copy_from(forwarded, HeaderName::To)
            .copy_from(forwarded, HeaderName::CallId)
            .header(HeaderName::CSeq, format_args!("{number} {method}"))
    }

    /// What stands in Route and Record-Route for it.
    pub(crate) fn route(self) -> Uri {
        uri(&format!("sip:{};lr", self.address.ip()))
    }

    /// Its URI where it is a user or a service.
    pub(crate) fn uri(self) -> Uri {
        uri(&format!("sip:{}@{}", self.name, self.address.ip()))
    }

    /// Its Contact as a header line.
    pub(crate) fn contact(self) -> String {
        format!("Contact: <{}>\r\n", self.uri())
    }

    fn via(self, of: &str) -> String {
        let of: String = of.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("SIP/2.0/UDP {};branch=z9hG4bK{}{of}", self.address, self.name)
    }
}

fn finished(mut builder: Builder, more: &str, body: Option<(&str, &str)>) -> Message {
    for line in more.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").expect("a header line");
        builder = builder.header(name, value);
    }
    if let Some((kind, body)) = body {
        builder = builder.body(kind, body.to_owned());
    }
    builder.finish()
}

/// The URIs in Route, or Record-Route.
pub(crate) fn routes(message: &Message, name: HeaderName) -> Vec<String> {
    let routes = message.addresses(name);
    routes
        .map(|route| route.expect("an address").uri.to_string())
        .collect()
}
