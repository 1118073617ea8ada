//! A user agent: one account, its registration and its calls.

mod audio;
mod closing;
mod digits;
mod ending;
mod hold;
mod incoming;
mod offers;
mod registration;
mod request;
mod session;
mod start;
mod transfer;
mod verbs;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use callwright_media::plane::LastHeard;
use callwright_sip::command::{self, Identity};
use callwright_sip::digest::AuthError;
use callwright_sip::endpoint::{Endpoint, EndpointConfig, IdentityId, RegistrationId, SubscriptionId};
use callwright_sip_message::{Message, Uri};
use callwright_wire::{Cause, Entropy, Input, Node, Output, Residue, Time, Timer, TimerQueue, Transport};

use crate::account::Account;
use crate::call::{Call, CallKey, Ended};
use crate::media_host::MediaHost;
use crate::trace::{Trace, TraceLimits};
use crate::verb::{ArmedResponse, Audio};

pub use audio::{Heard, ListenFor, ListenerId};
pub use registration::Registration;
pub use request::{RequestKey, RequestState};
pub(crate) use start::OWN_QUERY;
pub use start::StartError;

/// The number of a user agent within its fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserAgentId(pub u32);

/// Something about a user agent changed: whoever waits for it may look again.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is up: its sockets are open.
    Started,
    /// It could not be started.
    StartFailed(StartError),
    /// It sends and receives here, too: told before the first packet.
    Address {
        /// Over datagrams or over a stream: the two number their ports apart.
        transport: Transport,
        /// The local address.
        address: SocketAddr,
    },
    /// The registration.
    Registration,
    /// The calls: their phases, peers and ends.
    Calls,
    /// A message was sent or received, or a request of `send` was answered.
    Messages,
    /// A digit arrived.
    Dtmf,
    /// Message waiting.
    MessageWaiting,
    /// A listener heard what it listens for.
    Audio,
    /// A piece of a recording: stereo samples at 8,000 Hz, interleaved, left sent, right heard.
    Recorded {
        /// Of which call: those of two calls at a time overlap in time.
        call: CallKey,
        /// The samples.
        samples: Box<[i16]>,
    },
    /// Everything was ended: it can be removed.
    Closed,
}

/// What a message-waiting NOTIFY said (RFC 3842).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagesWaiting {
    /// Something waits.
    pub waiting: bool,
    /// New messages, if it said so.
    pub new: Option<u32>,
    /// Old messages, if it said so.
    pub old: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Alarm {
    AutoAnswer(CallKey),
    NextInfoDigit(CallKey),
    Close,
}

impl Timer for Alarm {
    fn name(&self) -> &'static str {
        match self {
            Alarm::AutoAnswer(_) => "auto-answer",
            Alarm::NextInfoDigit(_) => "gap between INFO digits",
            Alarm::Close => "end of closing",
        }
    }
}

/// The streams of randomness of one user agent.
pub(crate) struct Seeds {
    pub(crate) signalling: Entropy,
    pub(crate) own: Entropy,
    pub(crate) keys: Entropy,
}

/// What a mutation of a user agent may touch beside it.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) cause: Option<Cause>,
    pub(crate) media: &'a mut MediaHost,
}

/// A user agent. It is driven by the [`Fleet`](crate::Fleet) that it lives in.
#[derive(Debug)]
pub struct UserAgent {
    id: UserAgentId,
    account: Account,
    endpoint: Endpoint,
    identity: Option<IdentityId>,
    entropy: Entropy,
    /// Keys of SRTP; in the real world seeded by the operating system, whatever the seed of the run.
    keys: Entropy,
    start: start::Start,
    calls: Vec<Call>,
    calls_so_far: u32,
    last_end: Option<Ended>,
    unmet_challenge: Option<AuthError>,
    registration: Registration,
    registration_id: Option<RegistrationId>,
    /// A REGISTER that asks for a binding has no final response yet.
    registering: bool,
    /// It closes, and the binding is not gone yet.
    leaving_registrar: bool,
    subscription: Option<SubscriptionId>,
    waiting_messages: Option<MessagesWaiting>,
    deflect_to: Option<Uri>,
    armed: Option<ArmedResponse>,
    next_audio: Option<Audio>,
    recording: bool,
    listeners: audio::Listeners,
    requests: request::Requests,
    newest_invite: Option<Message>,
    trace: Trace,
    /// The end of what the last call that ended heard.
    last_heard: Option<LastHeard>,
    malformed: u64,
    alarms: TimerQueue<Alarm>,
    closing: bool,
    closed: bool,
    outputs: VecDeque<Output<Change>>,
}

impl UserAgent {
    pub(crate) fn new(id: UserAgentId, account: Account, seeds: Seeds, limits: TraceLimits) -> Self {
        let mut config = EndpointConfig::default();
        config.core.tls_verify = account.tls_verify;
        UserAgent {
            id,
            deflect_to: None,
            endpoint: Endpoint::new(config, seeds.signalling),
            account,
            identity: None,
            entropy: seeds.own,
            keys: seeds.keys,
            start: start::Start::default(),
            calls: Vec::new(),
            calls_so_far: 0,
            last_end: None,
            unmet_challenge: None,
            registration: Registration::default(),
            registration_id: None,
            registering: false,
            leaving_registrar: false,
            subscription: None,
            waiting_messages: None,
            armed: None,
            next_audio: None,
            recording: false,
            listeners: audio::Listeners::default(),
            requests: request::Requests::default(),
            newest_invite: None,
            trace: Trace::new(limits),
            last_heard: None,
            malformed: 0,
            alarms: TimerQueue::default(),
            closing: false,
            closed: false,
            outputs: VecDeque::new(),
        }
    }

    /// Its settings.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Its address-of-record.
    pub fn aor(&self) -> Uri {
        Uri::sip(self.account.domain.clone())
            .with_user(&self.account.username)
            .with_port(self.account.port)
    }

    /// All calls, oldest first; of those that ended only the newest ones.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// How many calls that ended are no longer among [`UserAgent::calls`].
    pub fn forgotten_calls(&self) -> usize {
        (self.calls_so_far as usize).saturating_sub(self.calls.len())
    }

    /// A call by its number.
    pub fn call(&self, key: CallKey) -> Option<&Call> {
        self.calls.iter().find(|call| call.key == key)
    }

    /// How the last call that ended did so.
    pub fn last_end(&self) -> Option<&Ended> {
        self.last_end.as_ref()
    }

    /// The registration.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Why the last challenge that was not met was not: wrong credentials, none, or a scheme that is not supported.
    pub fn unmet_challenge(&self) -> Option<&AuthError> {
        self.unmet_challenge.as_ref()
    }

    /// What the last message-waiting NOTIFY said.
    pub fn messages_waiting(&self) -> Option<MessagesWaiting> {
        self.waiting_messages
    }

    /// The newest initial INVITE received, also after its call ended.
    pub fn newest_invite(&self) -> Option<&Message> {
        self.newest_invite.as_ref()
    }

    /// The messages it sent and received.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The end of what the last call that ended heard.
    pub(crate) fn last_heard(&self) -> Option<&LastHeard> {
        self.last_heard.as_ref()
    }

    /// Where it listens itself; `None` before it is up.
    pub fn contact(&self) -> Option<Uri> {
        self.start.contact(&self.account)
    }

    /// How many malformed messages it received.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// True when everything was ended after `close`.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn residue(&self) -> Residue {
        let mut residue = self.endpoint.residue();
        residue.timers += self.alarms.len();
        residue.media_sessions += self
            .calls
            .iter()
            .filter(|call| call.open_session().is_some())
            .count();
        residue
    }

    /// What its next call will send.
    pub fn next_audio(&self) -> &Audio {
        self.next_audio.as_ref().unwrap_or(&Audio::Silence)
    }

    /// The address that it sends from.
    pub fn local_ip(&self) -> IpAddr {
        self.start
            .local()
            .map_or(IpAddr::from([127, 0, 0, 1]), |local: SocketAddr| local.ip())
    }

    fn identity_id(&mut self) -> IdentityId {
        if let Some(identity) = self.identity {
            return identity;
        }
        let identity = Identity {
            aor: self.aor(),
            display_name: self.account.display_name.clone(),
            contact: self.start.registered_contact(&self.account),
            accounts: self
                .account
                .password
                .iter()
                .map(|password| command::Account {
                    realm: None,
                    username: self
                        .account
                        .auth_user
                        .clone()
                        .unwrap_or_else(|| self.account.username.clone()),
                    password: password.clone(),
                })
                .collect(),
            routes: self.account.outbound.iter().map(as_route).collect(),
            transport: Some(self.account.transport),
        };
        *self.identity.insert(self.endpoint.add_identity(identity))
    }

    pub(crate) fn handle_input(&mut self, ctx: &mut Context<'_>, input: Input<std::convert::Infallible>) {
        if let Input::Connected { flow, .. } = &input {
            self.tell_address(flow.transport, flow.local);
        }
        self.endpoint.handle_input(ctx.now, input);
    }

    pub(crate) fn handle_timeout(&mut self, ctx: &mut Context<'_>) {
        self.endpoint.handle_timeout(ctx.now);
        // Before the alarms: what it tells may take one back.
        self.settle(ctx);
        while let Some(alarm) = self.alarms.pop(ctx.now) {
            match alarm {
                Alarm::AutoAnswer(call) => self.answer_by_itself(ctx, call),
                Alarm::NextInfoDigit(call) => self.send_next_info_digit(ctx, call),
                Alarm::Close => self.finish_closing(),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        [self.endpoint.poll_timeout(), self.alarms.next()]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output<Change>> {
        self.outputs.pop_front()
    }

    /// Takes what the endpoint says until it has nothing more to say.
    pub(crate) fn settle(&mut self, ctx: &mut Context<'_>) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Event(event) => self.handle_event(ctx, event),
                Output::Bind { socket, local, usage } => {
                    self.outputs.push_back(Output::Bind { socket, local, usage })
                }
                Output::Unbind { socket } => self.outputs.push_back(Output::Unbind { socket }),
                Output::Datagram {
                    socket,
                    to,
                    bytes,
                    cause,
                } => {
                    self.outputs.push_back(Output::Datagram {
                        socket,
                        to,
                        bytes,
                        cause,
                    });
                }
                Output::Connect {
                    socket,
                    local,
                    remote,
                    tls,
                } => {
                    self.outputs.push_back(Output::Connect {
                        socket,
                        local,
                        remote,
                        tls,
                    });
                }
                Output::Stream {
                    connection,
                    bytes,
                    cause,
                } => {
                    self.outputs.push_back(Output::Stream {
                        connection,
                        bytes,
                        cause,
                    });
                }
                Output::Close { connection } => self.outputs.push_back(Output::Close { connection }),
                Output::Resolve { query, question } => {
                    self.outputs.push_back(Output::Resolve { query, question })
                }
            }
        }
        if self.closing && !self.closed && self.is_quiet() {
            self.finish_closing();
        }
    }

    fn tell_address(&mut self, transport: Transport, address: SocketAddr) {
        self.change(Change::Address { transport, address });
    }

    fn change(&mut self, change: Change) {
        self.outputs.push_back(Output::Event(change));
    }
}

/// An outbound proxy as a route: a loose router, as every proxy since RFC 3261 is (§19.1.1).
fn as_route(proxy: &Uri) -> Uri {
    if proxy.is_loose_router() {
        proxy.clone()
    } else {
        proxy.clone().with_flag("lr")
    }
}
