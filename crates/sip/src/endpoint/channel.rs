//! What every usage sends through: the core, the timers, the events, the identities.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use callwright_sip_message::{Builder, HeaderName, Host, Message, Method, Scheme, Uri};
use callwright_wire::{Cause, Entropy, Flow, Output, Time, TimerQueue, Transport};

use super::config::EndpointConfig;
use super::id::{CallId, IdentityId, ReferId, RegistrationId, RequestId, SubscriptionId};
use super::identity::Local;
use super::pending::{Origin, Pending};
use super::reply::Reply;
use super::slab::Slab;
use super::strays::GivenUp;
use super::timer::UsageTimer;
use crate::command::Addressing;
use crate::core::{ClientId, Core, CoreEvent, LocalContact, Outgoing, RequestError, ServerId, Target};
use crate::dialog::Draft;
use crate::event::Event;
use crate::invite::Call;
use crate::refer::Refer;

/// Whom the response to a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The INVITE that began a call.
    Invite(CallId),
    /// A re-INVITE.
    Reinvite(CallId),
    Update(CallId),
    /// A PRACK, and which early dialog it was sent in.
    Prack(CallId, u16),
    Bye(CallId),
    Refer(ReferId),
    /// A NOTIFY about a REFER.
    Notify(ReferId),
    Request(RequestId),
    Register(RegistrationId),
    Subscribe(SubscriptionId),
    /// The BYE of a dialog that nobody wanted: a second answer of a forked call.
    Nobody,
}

/// Whose a local tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Call(CallId),
    Refer(ReferId),
    Subscription(SubscriptionId),
}

/// The shared lower side of all usages.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) config: EndpointConfig,
    pub(crate) core: Core,
    pub(crate) timers: TimerQueue<UsageTimer>,
    pub(crate) entropy: Entropy,
    pub(crate) identities: Slab<IdentityId, Local>,
    pub(crate) owners: BTreeMap<Arc<str>, Owner>,
    pub(crate) pending: BTreeMap<ClientId, Pending>,
    pub(super) given_up: GivenUp,
    pub(crate) refers: Slab<ReferId, Refer>,
    /// Requests of the caller of the API, and the call of each.
    pub(crate) requests: Slab<RequestId, Option<CallId>>,
    /// Requests that the core did not take, to be told when the operation is done.
    pub(crate) unsent: Vec<(Purpose, RequestError)>,
    outputs: VecDeque<Output<Event>>,
    allow: String,
    accept: String,
}

/// The option tags of `Supported` in every request and response.
const SUPPORTED: &str = "replaces, norefersub, timer";

/// The same where reliable provisional responses (RFC 3262) may be used.
const SUPPORTED_RELIABLE: &str = "100rel, replaces, norefersub, timer";

impl Channel {
    pub(crate) fn new(config: EndpointConfig, core: Core, entropy: Entropy) -> Channel {
        let allow = config
            .allow
            .iter()
            .map(Method::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let accept = config.accept.join(", ");
        Channel {
            config,
            core,
            timers: TimerQueue::default(),
            entropy,
            identities: Slab::default(),
            owners: BTreeMap::new(),
            pending: BTreeMap::new(),
            given_up: GivenUp::default(),
            refers: Slab::default(),
            requests: Slab::default(),
            unsent: Vec::new(),
            outputs: VecDeque::new(),
            allow,
            accept,
        }
    }

    /// Tells an event.
    pub(crate) fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// The next output.
    pub(crate) fn next_output(&mut self) -> Option<Output<Event>> {
        self.outputs.pop_front()
    }

    /// A tag for a local side, unique in this endpoint.
    pub(crate) fn tag(&mut self) -> Arc<str> {
        // 60 random bits: RFC 3261 §19.3 asks for 32.
        self.entropy.token(12).into()
    }

    /// A Call-ID.
    pub(crate) fn call_id(&mut self) -> Arc<str> {
        self.entropy.token(20).into()
    }

    /// The value of Allow.
    pub(crate) fn allow(&self) -> &str {
        &self.allow
    }

    /// The value of Accept.
    pub(crate) fn accept(&self) -> &str {
        &self.accept
    }

    /// The value of Supported.
    pub(crate) fn supported(&self, reliable: bool) -> &'static str {
        if reliable { SUPPORTED_RELIABLE } else { SUPPORTED }
    }

    /// Sends a request, and remembers whom its responses are for. `None`: the core is full, which is told later.
    pub(crate) fn send(
        &mut self,
        now: Time,
        identity: IdentityId,
        purpose: Purpose,
        draft: Draft,
        cause: Option<Cause>,
    ) -> Option<ClientId> {
        let origin = Origin {
            purpose,
            identity,
            cause,
            challenges: 0,
        };
        self.send_draft(now, origin, draft, None)
    }

    /// Sends a request, once more where it was challenged.
    pub(super) fn send_draft(
        &mut self,
        now: Time,
        origin: Origin,
        mut draft: Draft,
        challenged_on: Option<Flow>,
    ) -> Option<ClientId> {
        self.authorize(origin.identity, &mut draft);
        let target = self.target(origin.identity, &draft);
        let target = match challenged_on {
            Some(flow) => target.at(flow),
            None => target,
        };
        let outgoing = self.outgoing(origin.identity, &draft);
        match self.core.request(now, outgoing, target, origin.cause) {
            Ok(id) => {
                self.pending.insert(id, Pending::new(origin, draft));
                Some(id)
            }
            Err(error) => {
                self.unsent.push((origin.purpose, error));
                None
            }
        }
    }

    /// Writes a request.
    pub(crate) fn outgoing(&self, identity: IdentityId, draft: &Draft) -> Outgoing {
        let named = draft.extra.iter().any(|(name, _)| *name == HeaderName::Contact);
        let builder = draft.write(self.config.product.as_deref());
        if draft.contact && !named {
            self.with_contact(builder, Some(identity))
        } else {
            builder.finish().into()
        }
    }

    fn with_contact(&self, builder: Builder, identity: Option<IdentityId>) -> Outgoing {
        let local = identity
            .and_then(|identity| self.identities.get(identity))
            .map(|local| &local.identity);
        match local.and_then(|identity| identity.contact.as_ref()) {
            Some(uri) => builder
                .header(HeaderName::Contact, format_args!("<{uri}>"))
                .finish()
                .into(),
            None => {
                let user = local.and_then(|identity| identity.aor.user()).map(str::to_owned);
                // RFC 3261 §8.1.1.8: a sips identity has a sips Contact.
                let secure = local.is_some_and(|identity| *identity.aor.scheme() == Scheme::Sips);
                Outgoing::new(builder.finish()).with_contact(LocalContact {
                    user,
                    secure,
                    ..LocalContact::default()
                })
            }
        }
    }

    /// The next hop of a request (RFC 3261 §8.1.2): its first Route, else its Request-URI.
    pub(crate) fn target(&self, identity: IdentityId, draft: &Draft) -> Target {
        if self.config.symmetric
            && draft.routes.is_empty()
            && let Some(flow) = draft.flow
            && (draft.only_by_flow || is_elsewhere(&draft.uri, flow))
        {
            return Target::new(uri_of(flow))
                .with_transport(Some(flow.transport))
                .with_flow(Some(flow));
        }
        let hop = draft.routes.first().unwrap_or(&draft.uri).clone();
        let transport = self
            .identities
            .get(identity)
            .and_then(|local| local.identity.transport);
        let flow = draft.flow.filter(|flow| {
            // A connection serves the dialog only where it leads to the next hop; of a datagram flow the core takes the
            // local side alone.
            flow.transport == Transport::Udp || hop.host().ip() == Some(flow.remote.ip())
        });
        // What the URI says goes before the identity's habit: `transport=tcp` in a Contact or Route is the peer's wish.
        let transport = if hop.transport().is_some() {
            None
        } else {
            transport
        };
        Target::new(hop).with_transport(transport).with_flow(flow)
    }

    /// Answers a request; gives the bytes as they left, none when the transaction is over. `tag` is the local tag.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another thing, and none belongs together"
    )]
    pub(crate) fn respond(
        &mut self,
        now: Time,
        server: ServerId,
        request: &Message,
        identity: Option<IdentityId>,
        tag: &str,
        reply: &Reply,
        cause: Option<Cause>,
    ) -> Bytes {
        let named = reply.extra.iter().any(|(name, _)| *name == HeaderName::Contact);
        let builder = reply.write(request, tag, self.config.product.as_deref());
        let outgoing = if reply.contact && !named {
            self.with_contact(builder, identity)
        } else {
            builder.finish().into()
        };
        self.core
            .respond(now, server, outgoing, cause)
            .unwrap_or_default()
    }

    /// Answers a request inside a call.
    pub(crate) fn answer(
        &mut self,
        now: Time,
        server: ServerId,
        request: &Message,
        call: &Call,
        reply: &Reply,
    ) {
        self.respond(
            now,
            server,
            request,
            Some(call.identity),
            &call.local_tag,
            reply,
            None,
        );
    }

    /// Answers a request outside any dialog.
    pub(crate) fn answer_outside(&mut self, now: Time, server: ServerId, request: &Message, reply: &Reply) {
        let tag = self.tag();
        self.respond(now, server, request, None, &tag, reply, None);
    }

    /// What a server can do, for OPTIONS (RFC 3261 §11.2).
    pub(crate) fn capabilities(&self) -> Reply {
        Reply::new(200)
            .with_contact()
            .with(HeaderName::Allow, self.allow())
            .with(HeaderName::Accept, self.accept())
            .with(HeaderName::Supported, self.supported(true))
            .with(HeaderName::AllowEvents, "refer, message-summary")
    }

    /// Bounds the wait for the response to the re-INVITE with this number, of a call that ends.
    pub(crate) fn abandon_reinvite(&mut self, now: Time, call: CallId, cseq: u32) {
        let purpose = Purpose::Reinvite(call);
        let found = self
            .pending
            .iter()
            .find(|(_, pending)| pending.origin.purpose == purpose && pending.sent.cseq() == cseq)
            .map(|(id, _)| *id);
        if let Some(client) = found {
            self.timers.set(
                UsageTimer::Abandoned(client),
                now + self.config.core.timers.timeout(),
            );
        }
    }

    /// Forgets everything but identities.
    pub(crate) fn forget(&mut self) {
        self.timers = TimerQueue::default();
        self.owners.clear();
        self.pending.clear();
        self.given_up = GivenUp::default();
        self.refers = Slab::default();
        self.requests = Slab::default();
    }

    /// Hands an output of the core on; gives back what is an event of it.
    pub(crate) fn pass(&mut self, output: Output<CoreEvent>) -> Option<CoreEvent> {
        match output.into_world() {
            Ok(output) => self.outputs.push_back(output),
            Err(event) => return Some(event),
        }
        None
    }

    /// A request of the caller of the API has its final response, or never will.
    pub(crate) fn request_over(&mut self, request: RequestId) {
        self.requests.remove(request);
    }

    /// A request outside any dialog (RFC 3261 §8.1.1), and its local tag.
    pub(crate) fn outside(
        &mut self,
        identity: IdentityId,
        method: Method,
        target: &Uri,
        addressing: &Addressing,
    ) -> Option<(Draft, Arc<str>)> {
        let tag = self.tag();
        let call_id = self.call_id();
        let local = self.identities.get(identity)?;
        let uri = target.clone().without_headers();
        let from = match &addressing.from {
            Some(from) => from.clone().with_tag(&tag).to_string(),
            None => local.from(&tag),
        };
        let to = match addressing.to.clone() {
            Some(mut to) => {
                to.params.remove("tag");
                to.to_string()
            }
            None => format!("<{uri}>"),
        };
        let routes = if addressing.routes.is_empty() {
            local.routes()
        } else {
            let first = addressing.routes.iter();
            first.chain(local.routes().iter()).cloned().collect()
        };
        let draft = Draft {
            method,
            uri,
            from: from.into(),
            to: to.into(),
            call_id,
            cseq: 1,
            routes,
            flow: addressing.flow,
            only_by_flow: addressing.only_by_flow,
            contact: false,
            headers: Vec::new(),
            extra: Vec::new(),
            body: None,
        };
        Some((draft, tag))
    }
}

/// True when a peer names an address that is good within its own network alone, and sends from another: a private one
/// (RFC 1918, RFC 6598, RFC 4193), or a name that is none (RFC 2606 §2, as browsers write). One that sends from another port of
/// the same host listens where it says.
pub fn is_elsewhere(uri: &Uri, flow: Flow) -> bool {
    match uri.host() {
        Host::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            let local = ip.is_private() || ip.is_link_local() || ip.is_loopback() || ip.is_unspecified();
            (local || shared) && IpAddr::V4(*ip) != flow.remote.ip()
        }
        Host::V6(ip) => {
            let local = ip.is_unique_local() || ip.is_unicast_link_local();
            let local = local || ip.is_loopback() || ip.is_unspecified();
            local && IpAddr::V6(*ip) != flow.remote.ip()
        }
        Host::Name(name) => name.to_ascii_lowercase().ends_with(".invalid"),
    }
}

/// The far end of a flow as a next hop.
fn uri_of(flow: Flow) -> Uri {
    let host = match flow.remote.ip() {
        IpAddr::V4(ip) => Host::V4(ip),
        IpAddr::V6(ip) => Host::V6(ip),
    };
    Uri::sip(host).with_port(Some(flow.remote.port()))
}
