//! What every usage sends through: the core, the timers, the events, the identities.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use callwright_sip_message::{Builder, HeaderName, Host, Message, Method, Scheme, Uri};
use callwright_wire::{Cause, Entropy, Flow, Output, Time, TimerQueue, Transport};

use super::config::EndpointConfig;
use super::given_up::GivenUp;
use super::id::{CallId, IdentityId, ReferId, RegistrationId, RequestId, SubscriptionId};
use super::identity::Local;
use super::reply::Reply;
use super::slab::Slab;
use super::timer::UsageTimer;
use crate::command::{Addressing, Headers};
use crate::core::{ClientId, Core, CoreEvent, LocalContact, Outgoing, RequestError, ServerId, Target};
use crate::dialog::{Dialog, Draft};
use crate::event::Event;
use crate::head::Head;
use crate::invite::Call;
use crate::refer::Refer;
use crate::transaction::tag;

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

/// A request that is about to leave.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) purpose: Purpose,
    pub(crate) identity: IdentityId,
    pub(crate) draft: Draft,
    pub(crate) cause: Option<Cause>,
    /// How many challenges it has met.
    pub(crate) challenges: u8,
}

impl From<Request> for Pending {
    fn from(request: Request) -> Pending {
        Pending {
            purpose: request.purpose,
            identity: request.identity,
            sent: Sent::Whole(Arc::new(request.draft)),
            cause: request.cause,
            challenges: request.challenges,
            strays: Vec::new(),
        }
    }
}

/// A request that waits for its final response, or (INVITE) for more of them.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) purpose: Purpose,
    pub(crate) identity: IdentityId,
    pub(crate) sent: Sent,
    pub(crate) cause: Option<Cause>,
    /// How many challenges it has met.
    pub(crate) challenges: u8,
    /// Of an INVITE: the dialogs that it made beside the one of the call.
    strays: Vec<Stray>,
}

/// What is known of a request that was sent.
#[derive(Debug)]
pub(crate) enum Sent {
    Whole(Arc<Draft>),
    /// Of an INVITE that has a 2xx: what is not told by each further 2xx, and needed to acknowledge it.
    Accepted {
        cseq: u32,
        only_by_flow: bool,
        credentials: Option<Box<Headers>>,
        /// Of its Call-ID and our tag: a callee that answers with others does not make us speak in another dialog of ours.
        dialog: u64,
    },
}

impl Sent {
    /// Keeps what further 2xx need beside what is in them: `response` is the first.
    fn accepted(draft: &Draft, response: &Message) -> Option<Sent> {
        let from = tag(response.header_bytes(HeaderName::From)?);
        if from != tag(draft.from.as_bytes()) || *response.call_id().ok()?.as_str() != *draft.call_id {
            return None;
        }
        Sent::slim(draft)
    }

    /// What is needed of an INVITE that its answers do not tell.
    fn slim(draft: &Draft) -> Option<Sent> {
        let credentials: Headers = draft.credentials().cloned().collect();
        Some(Sent::Accepted {
            cseq: draft.cseq,
            only_by_flow: draft.only_by_flow,
            credentials: (!credentials.is_empty()).then(|| Box::new(credentials)),
            dialog: key_of(&draft.call_id, draft.from.as_bytes())?,
        })
    }

    pub(crate) fn cseq(&self) -> u32 {
        match self {
            Sent::Whole(draft) => draft.cseq,
            Sent::Accepted { cseq, .. } => *cseq,
        }
    }

    /// The request that `response` answers: all of it before the first 2xx, later what its ACK takes over. `None` when the
    /// response is one to another request.
    pub(crate) fn draft(&self, response: &Message) -> Option<Arc<Draft>> {
        let (cseq, only_by_flow, credentials) = match self {
            Sent::Whole(draft) => return Some(draft.clone()),
            Sent::Accepted { dialog, .. } if dialog_key(response) != Some(*dialog) => return None,
            Sent::Accepted {
                cseq,
                only_by_flow,
                credentials,
                ..
            } => (*cseq, *only_by_flow, credentials),
        };
        Some(Arc::new(Draft {
            method: Method::Invite,
            // Where an ACK goes is said by Contact; this stands in for it where it is missing.
            uri: response.to().ok()?.uri,
            from: response.header(HeaderName::From)?.as_ref().into(),
            to: response.header(HeaderName::To)?.as_ref().into(),
            call_id: response.call_id().ok()?.as_str().into(),
            cseq,
            routes: Arc::new([]),
            flow: None,
            only_by_flow,
            contact: false,
            headers: credentials.as_deref().cloned().unwrap_or_default(),
            extra: Headers::new(),
            body: None,
        }))
    }
}

fn dialog_key(message: &Message) -> Option<u64> {
    key_of(
        message.call_id().ok()?.as_str(),
        message.header_bytes(HeaderName::From)?,
    )
}

/// Of the Call-ID and the tag in From: both are random, and of our own making where they are compared.
fn key_of(call_id: &str, from: &[u8]) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    call_id.hash(&mut hasher);
    tag(from)?.hash(&mut hasher);
    Some(hasher.finish())
}

/// A dialog that a forked INVITE made, and that the call does not go on in.
#[derive(Debug)]
pub(crate) struct Stray {
    pub(crate) remote_tag: Arc<str>,
    /// The last number of ours in it.
    pub(crate) cseq: u32,
    /// True once it was answered, and hung up.
    pub(crate) ended: bool,
}

impl Stray {
    /// How far a dialog of an INVITE has counted. `ended`: it needs no BYE from here on.
    pub(super) fn of(dialog: &Dialog, ended: bool) -> Stray {
        Stray {
            remote_tag: dialog.remote_tag.clone(),
            cseq: dialog.last_cseq(),
            ended,
        }
    }
}

impl Pending {
    /// Which number the BYE of a further answer with this tag counts on from; `None` when it went out already, or there are too
    /// many.
    fn stray(&mut self, tag: &Arc<str>, limit: usize) -> Option<u32> {
        if let Some(stray) = self.strays.iter_mut().find(|stray| stray.remote_tag == *tag) {
            return (!std::mem::replace(&mut stray.ended, true)).then_some(stray.cseq);
        }
        if self.strays.iter().filter(|stray| stray.ended).count() >= limit {
            return None;
        }
        let cseq = self.sent.cseq();
        self.add_stray(Stray {
            remote_tag: tag.clone(),
            cseq,
            ended: true,
        });
        Some(cseq)
    }

    pub(super) fn add_stray(&mut self, stray: Stray) {
        // Nearly all have one: `push` would make room for four.
        self.strays.reserve_exact(1);
        self.strays.push(stray);
    }
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
    given_up: GivenUp,
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
        let request = Request {
            purpose,
            identity,
            draft,
            cause,
            challenges: 0,
        };
        self.send_request(now, request, None)
    }

    /// Sends a request, once more where it was challenged.
    pub(crate) fn send_request(
        &mut self,
        now: Time,
        mut request: Request,
        challenged_on: Option<Flow>,
    ) -> Option<ClientId> {
        self.authorize(request.identity, &mut request.draft);
        let target = self.target(request.identity, &request.draft);
        let target = match challenged_on {
            Some(flow) => target.at(flow),
            None => target,
        };
        let outgoing = self.outgoing(request.identity, &request.draft);
        match self.core.request(now, outgoing, target, request.cause) {
            Ok(id) => {
                self.pending.insert(id, request.into());
                Some(id)
            }
            Err(error) => {
                self.unsent.push((request.purpose, error));
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

    /// After a 2xx to INVITE only what further 2xx and their ACKs need is kept.
    pub(crate) fn slim(&mut self, client: ClientId, response: &Message) {
        if let Some(pending) = self.pending.get_mut(&client)
            && let Sent::Whole(draft) = &pending.sent
            && let Some(accepted) = Sent::accepted(draft, response)
        {
            pending.sent = accepted;
        }
    }

    /// Remembers how far a dialog of an INVITE has counted. `ended`: it needs no BYE from here on.
    pub(crate) fn strand(&mut self, client: ClientId, dialog: &Dialog, ended: bool) {
        if let Some(pending) = self.pending.get_mut(&client) {
            pending.add_stray(Stray::of(dialog, ended));
        }
    }

    /// A 2xx of another party than the one that the call goes on with: acknowledges it each time that it comes, and hangs its
    /// dialog up once (RFC 3261 §13.2.2.4).
    pub(crate) fn end_stray(&mut self, now: Time, client: ClientId, draft: &Draft, head: &Head, flow: Flow) {
        let limit = self.config.max_forks;
        let tag = head.tag_in_to();
        let Some(pending) = self.pending.get_mut(&client) else {
            return;
        };
        let last = pending.stray(&tag, limit);
        let (identity, cause) = (pending.identity, pending.cause);
        self.part(now, (identity, cause), draft, head, flow, last);
    }

    /// Remembers an INVITE that has left and got no final response: a 2xx may yet come.
    pub(super) fn give_up(&mut self, now: Time, invite: Pending) {
        let slim = match &invite.sent {
            Sent::Whole(draft) => Sent::slim(draft),
            Sent::Accepted { .. } => None,
        };
        if let Some(sent) = slim {
            self.note_given_up(now, Pending { sent, ..invite });
        }
    }

    fn note_given_up(&mut self, now: Time, invite: Pending) {
        if let Sent::Accepted { dialog, .. } = invite.sent {
            let until = now + self.config.core.timers.timeout();
            let limit = self.config.max_given_up;
            self.given_up.note(until, dialog, invite, limit);
            self.forget_given_up(now);
        }
    }

    /// Forgets the INVITEs that were given up 64·T1 ago.
    pub(super) fn forget_given_up(&mut self, now: Time) {
        self.given_up.forget_until(now);
        match self.given_up.next() {
            Some(next) => self.timers.set(UsageTimer::GivenUp, next),
            None => self.timers.clear(UsageTimer::GivenUp),
        }
    }

    /// A 2xx without a transaction: acknowledges it, and hangs its dialog up once, where it answers an INVITE that was given up.
    /// False when it does not.
    pub(crate) fn end_late(&mut self, now: Time, message: &Message, head: &Head, flow: Flow) -> bool {
        let limit = self.config.max_forks;
        let Some(invite) = dialog_key(message).and_then(|dialog| self.given_up.get_mut(dialog)) else {
            return false;
        };
        let Some(draft) = invite
            .sent
            .draft(message)
            .filter(|draft| draft.cseq == head.cseq.number)
        else {
            return false;
        };
        let last = invite.stray(&head.tag_in_to(), limit);
        let (identity, cause) = (invite.identity, invite.cause);
        self.part(now, (identity, cause), &draft, head, flow, last);
        true
    }

    /// The same for another party than the one that the call has gone on with in `dialog`, which began with the INVITE `cseq`.
    pub(crate) fn end_late_fork(
        &mut self,
        now: Time,
        identity: IdentityId,
        (dialog, cseq): (&Dialog, u32),
        message: &Message,
        head: &Head,
        flow: Flow,
    ) {
        if let Some(sent) = Sent::slim(&dialog.ack(cseq)) {
            let invite = Pending {
                purpose: Purpose::Nobody,
                identity,
                sent,
                cause: None,
                challenges: 0,
                strays: vec![Stray::of(dialog, true)],
            };
            self.note_given_up(now, invite);
            self.end_late(now, message, head, flow);
        }
    }

    /// Acknowledges a 2xx that makes a dialog which nobody wants. `last`: hangs it up too, counting on from there.
    fn part(
        &mut self,
        now: Time,
        (identity, cause): (IdentityId, Option<Cause>),
        draft: &Draft,
        head: &Head,
        flow: Flow,
        last: Option<u32>,
    ) {
        let mut dialog = Dialog::as_client(draft, &head.tag_in_from(), head);
        dialog.flow = Some(flow);
        let ack = dialog.ack(draft.cseq).authorized_as(draft);
        let (target, outgoing) = (self.target(identity, &ack), self.outgoing(identity, &ack));
        self.core.send_ack(now, outgoing, target, cause);
        if let Some(last) = last {
            // RFC 3261 §12.2.1.1: the early dialog may have spent numbers already.
            dialog.raise_cseq(last);
            let bye = dialog.draft(Method::Bye);
            self.send(now, identity, Purpose::Nobody, bye, cause);
        }
    }

    /// Bounds the wait for the response to the re-INVITE with this number, of a call that ends.
    pub(crate) fn abandon_reinvite(&mut self, now: Time, call: CallId, cseq: u32) {
        let purpose = Purpose::Reinvite(call);
        let found = self
            .pending
            .iter()
            .find(|(_, pending)| pending.purpose == purpose && pending.sent.cseq() == cseq)
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
