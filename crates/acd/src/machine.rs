//! The machine: registrar and B2BUA around one SIP endpoint and one media plane, as one node.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use callwright_media::plane::{Plane, PlaneConfig};
use callwright_sip::command::{Headers, Identity, Response};
use callwright_sip::digest::Refusal;
use callwright_sip::endpoint::{Endpoint, EndpointConfig, IdentityId, IncomingId};
use callwright_sip_message::{HeaderName, Message, Method, Uri};
use callwright_wire::{
    Entropy, Flow, Input, Node, Output, PacketNode, Residue, SocketId, Time, Timer, TimerQueue,
};

use crate::b2bua::{LegKey, Recordings, Switch};
use crate::challenger::{Challenger, Unproven};
use crate::closing::Life;
use crate::config::{AnswerWith, Config, ConfigError, QueueConfig};
use crate::denial::LateAnswers;
use crate::fact::{Binding, CallKey, Command, Event, Fact};
use crate::guard::{Guard, outside_request};
use crate::journal::{Due, Journal};
use crate::limits::Counters;
use crate::media_host::{MediaHost, PortRequest, is_media};
use crate::queueing::{AgentKey, Floor, QueueKey};
use crate::registrar::{Registrar, UserKey};

/// What can be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Alarm {
    /// A binding has run out (RFC 3261 §10.3).
    BindingExpires(UserKey),
    /// Nobody answered a call.
    NoAnswer(CallKey),
    /// Nobody answered who was to take the place of a party.
    TransferNoAnswer(CallKey),
    /// A party that was transferred away did not hang up by itself.
    Leave(LegKey),
    /// An agent did not answer to whom a call is presented.
    PresentationNoAnswer(AgentKey),
    /// A call may be offered once more to those who did not take it.
    OfferAgain(CallKey),
    /// A call waits as long as it may.
    MaxWait(CallKey),
    /// A caller who waits is told so.
    Announce(CallKey),
    /// What the machine said to a caller is over.
    SpeechOver(CallKey),
    /// An answer that was held back.
    LateAnswer(u64),
    /// The time of an agent after a call is over.
    WrapUp(AgentKey),
    /// Somebody did not answer while the machine closes.
    Close,
}

impl Timer for Alarm {
    fn name(&self) -> &'static str {
        match self {
            Alarm::BindingExpires(_) => "expiration of a binding",
            Alarm::NoAnswer(_) => "no answer",
            Alarm::TransferNoAnswer(_) => "no answer of a transfer target",
            Alarm::Leave(_) => "BYE of a party that was transferred away",
            Alarm::PresentationNoAnswer(_) => "no answer of an agent",
            Alarm::OfferAgain(_) => "another offer of a call that was not taken",
            Alarm::MaxWait(_) => "longest wait in a queue",
            Alarm::Announce(_) => "announcement to a caller who waits",
            Alarm::SpeechOver(_) => "end of a message",
            Alarm::LateAnswer(_) => "answer that was held back",
            Alarm::WrapUp(_) => "end of wrap-up",
            Alarm::Close => "end of closing",
        }
    }
}

/// Registrar and B2BUA as one deterministic value.
///
/// It keeps the contract of [`Node`] and [`PacketNode`]. What it wants stored it tells as [`Event::Persist`], and what
/// depends on that it holds back until it hears [`Command::Persisted`] or [`Command::PersistFailed`].
#[derive(Debug)]
pub struct Machine {
    pub(crate) config: Config,
    pub(crate) endpoint: Endpoint,
    /// The server itself: it speaks for others, each request says for whom.
    pub(crate) identity: IdentityId,
    pub(crate) entropy: Entropy,
    pub(crate) challenger: Challenger,
    pub(crate) registrar: Registrar,
    pub(crate) switch: Switch,
    pub(crate) media: MediaHost,
    pub(crate) recordings: Recordings,
    pub(crate) alarms: TimerQueue<Alarm>,
    pub(crate) counters: Counters,
    pub(crate) life: Life,
    /// Whether the store works, as far as it was told.
    pub(crate) storing: bool,
    /// Whether new calls are refused, and those in progress go on.
    pub(crate) retired: bool,
    pub(crate) floor: Floor,
    /// Something was restored that is to be put into force.
    pub(crate) restored: bool,
    pub(crate) journal: Journal,
    pub(crate) guard: Guard,
    pub(crate) late: LateAnswers,
    listening: Vec<SocketAddr>,
    outputs: VecDeque<Output<Event>>,
    /// The time of the last mutation.
    pub(crate) now: Time,
}

impl Machine {
    /// A machine that listens where the configuration says, as soon as the world binds.
    ///
    /// # Errors
    ///
    /// When the configuration contradicts itself.
    pub fn new(now: Time, config: Config) -> Result<Machine, ConfigError> {
        config.check()?;
        let mut endpoint = Endpoint::new(
            endpoint_config(&config),
            config.seed.derive("signalling").stream(),
        );
        let identity = endpoint.add_identity(Identity::new(Uri::sip(config.domain.clone())));
        // Nobody asks what was heard last: calls are recorded where they are to be.
        let plane = Plane::new(now, PlaneConfig { epoch: config.epoch }).without_recent_audio();
        if config.audio && config.queues.iter().any(|queue| queue.prompts.music.is_none()) {
            // It is computed once, and not while somebody waits for it.
            let _computed = callwright_media::tone::melody();
        }
        let registrar = Registrar::new(&config.users);
        let floor = Floor::new(
            &config.agents,
            &config.queues,
            |name| registrar.find(name),
            config.limits.ring_all,
            config.seed.derive("queues").stream(),
        );
        let mut machine = Machine {
            endpoint,
            identity,
            entropy: config.seed.derive("own").stream(),
            challenger: Challenger::new(&config),
            registrar,
            switch: Switch::new(config.first_call),
            floor,
            restored: false,
            media: MediaHost::new(plane),
            recordings: Recordings::default(),
            alarms: TimerQueue::default(),
            counters: Counters::default(),
            life: Life::Serving,
            storing: true,
            retired: false,
            journal: Journal::default(),
            guard: Guard::new(config.protection, config.limits.sources),
            late: LateAnswers::default(),
            listening: Vec::new(),
            outputs: VecDeque::new(),
            now,
            config,
        };
        for (transport, local) in machine.config.listen.clone() {
            machine.endpoint.listen(now, transport, local);
        }
        machine.settle(now);
        Ok(machine)
    }

    /// Puts bindings in force that were stored before a restart. Those that have run out are left out, and those that
    /// were reached by a connection alone, which the restart closed. Nothing happens when there is no such user.
    pub fn restore(&mut self, now: Time, user: &str, bindings: Vec<Binding>) {
        if let Some(key) = self.registrar.find(user) {
            let alive = |binding: &Binding| {
                let reached = !binding.needs_flow() || self.endpoint.has_flow(&binding.flow);
                binding.expires > now && reached
            };
            let bindings = bindings.into_iter().filter(alive).collect();
            self.bind(key, bindings);
            self.restored = true;
        }
    }

    /// The bindings of a user that are in force; empty also where there is no such user.
    pub fn bindings(&self, now: Time, user: &str) -> Vec<Binding> {
        let key = self.registrar.find(user);
        key.map(|key| self.registrar.account(key).bound(now).cloned().collect())
            .unwrap_or_default()
    }

    /// The Call-IDs of a call, as far as its legs have dialogs: that of the caller, then those of who talks with it, or of those who
    /// ring for it.
    pub fn call_ids(&self, call: CallKey) -> Vec<String> {
        let legs = self.switch.legs_of(call);
        let ids = legs.into_iter().filter_map(|leg| {
            let sip = self.switch.sip_of(leg)?;
            self.endpoint.call_id(sip).map(str::to_owned)
        });
        ids.collect()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many bindings, calls and legs there are, and facts on their way to the store.
    pub fn load(&self) -> Load {
        Load {
            bindings: self.registrar.bindings(),
            calls: self.switch.calls(),
            legs: self.switch.legs(),
            facts_in_flight: self.journal.len(),
        }
    }

    /// Tells a fact, and remembers what waits for it. What waits for one that finds no room fails; one that tells what has happened
    /// already finds room always.
    pub(crate) fn persist(&mut self, now: Time, due: Due, fact: Fact) {
        let awaited = self.is_awaited(due);
        if awaited && !self.has_room_for_facts() {
            self.counters.over_limit += 1;
            return self.on_stored(now, due, false);
        }
        let token = self.journal.enter(due);
        self.tell(Event::Persist { token, fact, awaited });
        if !awaited && !self.storing {
            self.go_on(now, due);
        }
    }

    /// Whether there is room for more than the facts that have to be told.
    pub(crate) fn has_room_for_facts(&self) -> bool {
        self.journal.len() < self.config.limits.facts_in_flight
    }

    /// Whether what waits for a fact can be refused: not where the caller was answered before.
    fn is_awaited(&self, due: Due) -> bool {
        match due {
            Due::Register(_) | Due::Speech(_) => true,
            Due::Queue(call) | Due::Answer(call, _) => {
                let call = self.switch.call(call);
                call.is_some_and(|call| !call.caller_answered)
            }
            Due::Nothing => false,
        }
    }

    /// A caller who was answered before does not wait for a store that does not work.
    pub(crate) fn go_on(&mut self, now: Time, due: Due) {
        match due {
            Due::Queue(call) => self.on_queued_stored(now, call, false),
            Due::Answer(call, callee) => self.on_answer_stored(now, call, callee, false),
            Due::Register(_) | Due::Speech(_) | Due::Nothing => {}
        }
    }

    /// Nobody waits any more for what is on its way to the store.
    pub(crate) fn forget_facts(&mut self) {
        self.journal.forget();
    }

    fn on_stored(&mut self, now: Time, due: Due, stored: bool) {
        if !stored {
            self.counters.facts_lost += 1;
        }
        match due {
            Due::Register(user) => self.on_bindings_stored(now, user, stored),
            Due::Queue(call) => self.on_queued_stored(now, call, stored),
            Due::Answer(call, callee) => self.on_answer_stored(now, call, callee, stored),
            Due::Speech(call) => self.on_speech_stored(now, call, stored),
            Due::Nothing => {}
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Whether a URI names this domain: by name, or by an address that is listened at.
    pub(crate) fn is_ours(&self, uri: &Uri) -> bool {
        let host = uri.host();
        let named = *host == self.config.domain || self.config.aliases.contains(host);
        let listens = |ip: IpAddr| self.listening.iter().any(|at| at.ip() == ip);
        named || host.ip().is_some_and(listens)
    }

    /// Whether a contact is this machine itself: one of its sockets, and not another process on the same host.
    pub(crate) fn is_own_contact(&self, contact: &Uri) -> bool {
        let Some(ip) = contact.host().ip() else {
            return self.is_ours(contact);
        };
        let is_at = |at: &SocketAddr| at.ip() == ip && contact.port().is_none_or(|port| port == at.port());
        self.listening.iter().any(is_at)
    }

    /// The user that a URI of this domain names.
    pub(crate) fn user_at(&self, uri: &Uri) -> Option<UserKey> {
        if !self.is_ours(uri) {
            return None;
        }
        self.registrar.find(&uri.user_unescaped()?)
    }

    /// The queue that a URI of this domain names.
    pub(crate) fn queue_at(&self, uri: &Uri) -> Option<QueueKey> {
        if !self.is_ours(uri) {
            return None;
        }
        self.floor.find_queue(&uri.user_unescaped()?)
    }

    /// Asks who a request is from.
    pub(crate) fn prove(&mut self, now: Time, message: &Message, flow: Flow) -> Result<String, Unproven> {
        let registrar = &self.registrar;
        let proved = self
            .challenger
            .user_of(now, message, |name| registrar.secrets_of(name));
        match &proved {
            Ok(_) => self.guard.prove(flow.remote.ip()),
            Err(unproven) => match unproven.refusal {
                Some(Refusal::Wrong) => self.counters.wrong_credentials += 1,
                Some(Refusal::Replayed) => self.counters.replays += 1,
                Some(Refusal::Stale | Refusal::OtherUri | Refusal::NotOurs) | None => {}
            },
        }
        proved
    }

    /// `Retry-After` in whole seconds.
    pub(crate) fn retry_after(&self) -> (HeaderName, String) {
        let seconds = self.config.retry_after.as_secs().max(1);
        (HeaderName::RetryAfter, seconds.to_string())
    }

    /// Answers a request outside the session of a call.
    pub(crate) fn respond(&mut self, now: Time, request: IncomingId, status: u16, headers: Headers) {
        let response = Response {
            headers,
            ..Response::new(status)
        };
        self.respond_with(now, request, response);
    }

    pub(crate) fn respond_with(&mut self, now: Time, request: IncomingId, response: Response) {
        // A request whose call ended was answered by the endpoint.
        let _answered = self.endpoint.respond(now, request, response, None);
    }

    /// A request is turned away by a limit.
    pub(crate) fn respond_over_limit(&mut self, now: Time, request: IncomingId) {
        self.counters.over_limit += 1;
        let headers = vec![self.retry_after()];
        self.respond(now, request, 503, headers);
    }

    /// Takes what endpoint and plane say until they have nothing more to say.
    pub(crate) fn settle(&mut self, now: Time) {
        loop {
            while let Some(output) = self.endpoint.poll_output() {
                match output {
                    Output::Event(event) => self.on_sip_event(now, event),
                    Output::Bind { socket, local, usage } => {
                        self.outputs.push_back(Output::Bind { socket, local, usage });
                    }
                    Output::Unbind { socket } => self.outputs.push_back(Output::Unbind { socket }),
                    Output::Datagram {
                        socket,
                        to,
                        bytes,
                        cause,
                    } => self.outputs.push_back(Output::Datagram {
                        socket,
                        to,
                        bytes,
                        cause,
                    }),
                    Output::Connect {
                        socket,
                        local,
                        remote,
                        tls,
                    } => self.outputs.push_back(Output::Connect {
                        socket,
                        local,
                        remote,
                        tls,
                    }),
                    Output::Stream {
                        connection,
                        bytes,
                        cause,
                    } => self.outputs.push_back(Output::Stream {
                        connection,
                        bytes,
                        cause,
                    }),
                    Output::Close { connection } => self.outputs.push_back(Output::Close { connection }),
                    Output::Resolve { query, question } => {
                        self.outputs.push_back(Output::Resolve { query, question });
                    }
                }
            }
            if let Some((session, event)) = self.media.plane_mut().poll_event() {
                self.on_media_event(now, session, event);
                continue;
            }
            // The last of all: who is free is known when everything else has settled.
            let found = self.has_room_for_facts().then(|| self.floor.next_match());
            match found.flatten() {
                Some(found) => self.present(now, &found),
                None => break,
            }
        }
        self.tell_recorded();
        while let Some(request) = self.media.poll_request() {
            self.outputs.push_back(match request {
                PortRequest::Bind { rtp, local, usage } => Output::Bind {
                    socket: rtp,
                    local,
                    usage,
                },
                PortRequest::Unbind { rtp } => Output::Unbind { socket: rtp },
            });
        }
        if self.life == Life::Closing {
            self.close_if_quiet(now);
        }
    }

    pub(crate) fn on_listening(&mut self, local: SocketAddr) {
        self.listening.push(local);
    }
}

/// How much a [`Machine`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bindings in force.
    pub bindings: usize,
    /// Calls.
    pub calls: usize,
    /// Legs of calls, ringing ones included.
    pub legs: usize,
    /// Facts that were told and neither stored nor refused.
    pub facts_in_flight: usize,
}

/// How long a caller may have to hear ringing: the queues say when that is over.
fn longest_ringing(config: &Config) -> Duration {
    let unanswered = |queue: &&QueueConfig| queue.answer == AnswerWith::Agent;
    let waits = config.queues.iter().filter(unanswered);
    let waits = waits.map(|queue| queue.max_wait.unwrap_or(AS_LONG_AS_ITS_CALLER));
    // It may overflow from each of them to the next.
    waits.fold(config.ring_timeout, |sum, wait| {
        sum.saturating_add(wait).saturating_add(RINGS_OUT)
    })
}

/// Where a queue sets no limit.
const AS_LONG_AS_ITS_CALLER: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What the limits of queues are kept apart by from that of the endpoint.
const RINGS_OUT: Duration = Duration::from_secs(60);

fn endpoint_config(config: &Config) -> EndpointConfig {
    let mut endpoint = EndpointConfig {
        core: config.core.clone(),
        // RFC 3327, RFC 5626: understood by the registrar.
        extensions: vec!["path".to_owned(), "outbound".to_owned()],
        symmetric: true,
        // Each call has a leg for the caller and one for each contact that rings; the limit that counts is that of calls.
        max_calls: config.limits.calls.saturating_mul(config.limits.forks + 2),
        ..EndpointConfig::default()
    };
    endpoint.max_ringing = endpoint.max_ringing.max(longest_ringing(config));
    endpoint.allow.push(Method::Register);
    endpoint.answer_above = vec![Method::Register, Method::Options, Method::Message, Method::Info];
    endpoint
}

impl Node for Machine {
    type Command = Command;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input<Command>) {
        self.now = now;
        self.resume(now);
        match input {
            Input::Command(Command::SetAgent { agent, to }) => self.set_agent(now, &agent, &to),
            Input::Command(Command::Persisted { token }) => {
                if let Some(due) = self.journal.take(token) {
                    self.on_stored(now, due, true);
                }
            }
            Input::Command(Command::PersistFailed { token }) => {
                if let Some(due) = self.journal.take(token) {
                    self.on_stored(now, due, false);
                }
            }
            Input::Datagram { ref bytes, flow, .. }
                if outside_request(bytes).is_some_and(|kind| self.drops(now, flow, kind)) => {}
            Input::Bound { socket, local } if is_media(socket) => self.on_ports(now, socket, local),
            Input::BindFailed { socket, error } if is_media(socket) => {
                self.on_no_ports(now, socket, &error);
            }
            // Whoever hangs up closes the port of its RTCP before our goodbye comes there.
            Input::Unreachable { socket, .. } if is_media(socket) => {}
            other => {
                if let Ok(input) = other.of_world() {
                    self.endpoint.handle_input(now, input);
                }
            }
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.resume(now);
        self.endpoint.handle_timeout(now);
        // Before the alarms: what it tells may take one back.
        self.settle(now);
        while let Some(alarm) = self.alarms.pop(now) {
            match alarm {
                Alarm::BindingExpires(user) => self.expire_bindings(now, user),
                Alarm::NoAnswer(call) => self.on_no_answer(now, call),
                Alarm::TransferNoAnswer(call) => self.on_transfer_unanswered(now, call),
                Alarm::Leave(leg) => self.leave_now(now, leg),
                Alarm::PresentationNoAnswer(agent) => self.on_presentation_unanswered(now, agent),
                Alarm::OfferAgain(call) => self.floor.forgive(call),
                Alarm::MaxWait(call) => self.on_waited_long_enough(now, call),
                Alarm::Announce(call) => self.on_announcement_due(now, call),
                Alarm::SpeechOver(call) => self.on_speech_over(now, call),
                Alarm::LateAnswer(number) => self.on_late_answer(now, number),
                Alarm::WrapUp(agent) => self.on_wrap_up_over(now, agent),
                Alarm::Close => self.end_closing(now),
            }
            self.settle(now);
        }
        self.media.plane_mut().handle_timeout(now);
        self.settle(now);
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        if self.outputs.is_empty() {
            self.settle(self.now);
        }
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        if self.media.has_requests() {
            return Some((Time::ZERO, "ports to give back"));
        }
        if self.restored {
            return Some((Time::ZERO, "what was restored"));
        }
        [
            self.endpoint.poll_timeout(),
            self.alarms.next(),
            self.media.plane().poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn residue(&self) -> Residue {
        let mut residue = self.endpoint.residue();
        residue.timers += self.alarms.len();
        residue.media_sessions += self.media.sessions() + self.media.plane().recordings();
        residue
    }
}

impl PacketNode for Machine {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        self.now = now;
        self.media.plane_mut().handle_packet(now, socket, from, packet);
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        let packet = self.media.plane_mut().poll_transmit(now, buffer);
        if packet.is_none() {
            self.media.let_go();
        }
        packet
    }

    fn clear_text(&self) -> Option<&[u8]> {
        self.media.plane().clear_text()
    }
}
