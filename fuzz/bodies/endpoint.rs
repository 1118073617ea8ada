//! An endpoint with calls, a registration, a subscription and a transfer under way, against a peer that answers and asks what it
//! likes: nothing panics, and once everything was hung up and time has passed nothing is left.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use callwright_sip::command::{
    Account, Answer, Hangup, Identity, Invite, Progress, Refer, Registration, Reject, Subscribe,
};
use callwright_sip::core::Direction;
use callwright_sip::endpoint::{CallId, IdentityId, ReferId, RegistrationId, SubscriptionId};
use callwright_sip::{Endpoint, EndpointConfig, Event};
use callwright_sip_message::{Builder, HeaderName, Limits, Message, Method, Uri};
use callwright_wire::{
    ConnectionError, DnsError, Flow, Input, Node, Output, Residue, Seed, SocketId, Time, Transport,
};

/// One step: what happens, to which of the messages, with which status or method, and the length of what it takes with it.
const HEAD: usize = 4;

/// How many messages of the endpoint are remembered: any of them may be answered, or continued.
const REMEMBERED: usize = 32;

/// More timers than any schedule of the endpoint has: who passes them repeats something for ever.
const MOST_TIMERS: usize = 100_000;

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\n";

const METHODS: [Method; 10] = [
    Method::Bye,
    Method::Notify,
    Method::Update,
    Method::Invite,
    Method::Ack,
    Method::Prack,
    Method::Refer,
    Method::Info,
    Method::Cancel,
    Method::Subscribe,
];

const STATUSES: [u16; 16] = [
    200, 180, 183, 202, 401, 407, 408, 422, 423, 481, 486, 491, 500, 503, 302, 100,
];

/// Steps, one after the other.
pub(crate) fn endpoint(data: &[u8]) {
    let mut world = World::new();
    let mut rest = data;
    while let Some((&[kind, which, what, length], after)) = rest.split_first_chunk::<HEAD>() {
        let (bytes, after) = after.split_at(usize::from(length).min(after.len()));
        world.step(kind, which, what, bytes);
        rest = after;
    }
    world.finish();
}

/// Everything as one datagram, among the calls that are under way.
pub(crate) fn endpoint_whole(data: &[u8]) {
    let mut world = World::new();
    world.datagram(Bytes::copy_from_slice(data));
    world.pass(Duration::from_secs(1));
    world.datagram(Bytes::copy_from_slice(data));
    world.finish();
}

struct World {
    node: Endpoint,
    now: Time,
    socket: SocketId,
    identity: IdentityId,
    registration: RegistrationId,
    subscription: SubscriptionId,
    /// Calls whose end was not told.
    calls: Vec<CallId>,
    refers: Vec<ReferId>,
    sent: Vec<Message>,
    branches: u32,
}

impl World {
    fn new() -> World {
        let mut node = Endpoint::new(EndpointConfig::default(), Seed::from_number(1).stream());
        let socket = node.listen(Time::ZERO, Transport::Udp, ([10, 0, 0, 1], 5060).into());
        let mut identity = Identity::new(uri("sip:alice@10.0.0.2"));
        identity.accounts = vec![Account {
            realm: None,
            username: "alice".to_owned(),
            password: "secret".into(),
        }];
        let identity = node.add_identity(identity);
        let registration = node
            .register(Time::ZERO, Registration::new(identity), None)
            .expect("it registers");
        let mailbox = Subscribe::message_waiting(identity, uri("sip:alice@10.0.0.2"));
        let subscription = node.subscribe(Time::ZERO, mailbox, None).expect("it subscribes");
        let mut world = World {
            node,
            now: Time::ZERO,
            socket,
            identity,
            registration,
            subscription,
            calls: Vec::new(),
            refers: Vec::new(),
            sent: Vec::new(),
            branches: 0,
        };
        world.drain();
        // One call that is up, with a transfer; one that rings here; one that rings there.
        world.call();
        let invite = world.newest("INVITE ");
        world.answer(&invite, 200, Some(SDP), Change::None);
        let up = world.calls[0];
        let _ = world
            .node
            .refer(world.now, up, Refer::to(uri("sip:carol@10.0.0.3")), None);
        world.drain();
        world.ask(None, &Method::Invite, Change::None);
        world.call();
        world
    }

    fn step(&mut self, kind: u8, which: u8, what: u8, bytes: &[u8]) {
        match kind % 8 {
            0 => self.datagram(Bytes::copy_from_slice(bytes)),
            1 | 2 => {
                let Some(request) = self.pick(which, Message::is_request) else {
                    return;
                };
                let status = STATUSES[usize::from(what) % STATUSES.len()];
                let body = (kind & 8 > 0).then_some(SDP);
                self.answer(&request, status, body, Change::read(kind >> 4, bytes));
            }
            3 | 4 => {
                let ours = self.pick(which, |message| message.to_tag().is_some());
                let method = &METHODS[usize::from(what) % METHODS.len()];
                self.ask(ours.as_ref(), method, Change::read(kind >> 4, bytes));
            }
            5 => self.pass(Duration::from_millis(10 << (which % 16))),
            _ => self.act(which, what),
        }
    }

    /// What the owner of the endpoint may want meanwhile; what a state forbids is refused.
    fn act(&mut self, which: u8, what: u8) {
        let now = self.now;
        let Some(call) = self
            .calls
            .get(usize::from(which) % self.calls.len().max(1))
            .copied()
        else {
            return self.call();
        };
        let sdp = Bytes::from_static(SDP);
        let node = &mut self.node;
        let _refused = match what % 10 {
            0 => node.offer(now, call, Some(sdp), vec![], None),
            1 => node.offer(now, call, None, vec![], None),
            2 => node.update(now, call, None, vec![], None),
            3 => node.answer_offer(now, call, sdp, None),
            4 => node.progress(
                now,
                call,
                Progress {
                    reliable: Some(true),
                    ..Progress::new(180)
                },
                None,
            ),
            5 => node.answer(
                now,
                call,
                Answer {
                    description: Some(sdp),
                    ..Answer::default()
                },
                None,
            ),
            6 => node.hangup(now, call, Hangup::default(), None),
            7 => node
                .refer(now, call, Refer::to(uri("sip:carol@10.0.0.3")), None)
                .map(drop),
            8 => match self.refers.pop() {
                Some(refer) => node.accept_refer(now, refer, None),
                None => node.reregister(now, self.registration, None),
            },
            _ => {
                self.call();
                Ok(())
            }
        };
        self.drain();
    }

    fn call(&mut self) {
        let invite = Invite {
            offer: Some(Bytes::from_static(SDP)),
            ..Invite::new(self.identity, uri("sip:bob@10.0.0.2"))
        };
        if let Ok(call) = self.node.invite(self.now, invite, None) {
            self.calls.push(call);
        }
        self.drain();
    }

    /// A response of the peer.
    fn answer(&mut self, request: &Message, status: u16, body: Option<&'static [u8]>, change: Change<'_>) {
        let mut builder = Builder::response_to(request, status, "Fuzz")
            .to_tag("bob")
            .header(HeaderName::Contact, "<sip:bob@10.0.0.2>");
        if let Some(body) = body {
            builder = builder.body("application/sdp", body);
        }
        let bytes = change.apply(builder.finish().raw());
        self.datagram(bytes);
    }

    /// A request of the peer, in the dialog of a message of ours or outside any.
    fn ask(&mut self, ours: Option<&Message>, method: &Method, change: Change<'_>) {
        self.branches += 1;
        let (mut local, mut remote) = (
            String::from("<sip:alice@10.0.0.1>"),
            String::from("<sip:bob@10.0.0.2>;tag=bob"),
        );
        let mut call_id = format!("fuzz{}", self.branches);
        if let Some(ours) = ours {
            let header = |name| ours.header(name).unwrap_or_default().into_owned();
            (local, remote) = (header(HeaderName::From), header(HeaderName::To));
            if ours.is_response() {
                (local, remote) = (remote, local);
            }
            call_id = header(HeaderName::CallId);
        }
        let builder = Builder::request(method.clone(), &uri("sip:alice@10.0.0.1"))
            .header(
                HeaderName::Via,
                format_args!("SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK{}", self.branches),
            )
            .header(HeaderName::From, remote)
            .header(HeaderName::To, local)
            .header(HeaderName::CallId, call_id)
            .header(HeaderName::CSeq, format_args!("{} {method}", self.branches))
            .header(HeaderName::Contact, "<sip:bob@10.0.0.2>");
        let builder = match method {
            Method::Invite | Method::Update => builder.body("application/sdp", SDP),
            Method::Refer => builder.header(HeaderName::ReferTo, "<sip:carol@10.0.0.3>"),
            Method::Notify => builder
                .header(HeaderName::Event, "message-summary")
                .header(HeaderName::SubscriptionState, "active"),
            _ => builder,
        };
        let bytes = change.apply(builder.finish().raw());
        self.datagram(bytes);
    }

    fn pick(&self, which: u8, fits: impl Fn(&Message) -> bool) -> Option<Message> {
        let fitting: Vec<_> = self.sent.iter().rev().filter(|message| fits(message)).collect();
        fitting
            .get(usize::from(which) % fitting.len().max(1))
            .map(|message| (*message).clone())
    }

    fn newest(&self, start: &str) -> Message {
        self.pick(0, |message| message.head().starts_with(start))
            .expect("it was sent")
    }

    fn datagram(&mut self, bytes: Bytes) {
        let flow = Flow {
            transport: Transport::Udp,
            local: ([10, 0, 0, 1], 5060).into(),
            remote: ([10, 0, 0, 2], 5060).into(),
        };
        let socket = self.socket;
        self.input(Input::Datagram { socket, flow, bytes });
    }

    fn input(&mut self, input: Input<Infallible>) {
        self.node.handle_input(self.now, input);
        self.drain();
    }

    /// Time passes, and what is due happens at its time.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut timers = 0;
        while let Some((at, name)) = self.node.poll_timeout().filter(|(at, _)| *at <= end) {
            timers += 1;
            assert!(timers < MOST_TIMERS, "{name} has no end");
            self.now = self.now.max(at);
            self.node.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// The resolver knows nothing, and nobody accepts connections.
    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            let input = match output {
                Output::Bind { socket, local, .. } => Input::Bound { socket, local },
                Output::Resolve { query, .. } => Input::Resolved {
                    query,
                    answer: Err(DnsError::NoSuchName),
                },
                Output::Connect { socket, remote, .. } => Input::ConnectFailed {
                    socket,
                    remote,
                    error: ConnectionError::Refused,
                },
                Output::Event(event) => {
                    self.told(event);
                    continue;
                }
                Output::Datagram { .. }
                | Output::Unbind { .. }
                | Output::Stream { .. }
                | Output::Close { .. } => {
                    continue;
                }
            };
            self.node.handle_input(self.now, input);
        }
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::IncomingCall(incoming) => self.calls.push(incoming.call),
            Event::Ended { call, .. } => {
                let place = self.calls.iter().position(|living| *living == call);
                self.calls.swap_remove(place.expect("a call ends once"));
            }
            Event::Referred(referred) => self.refers.push(referred.refer),
            Event::Seen(seen) if seen.direction == Direction::Out => {
                if let Ok(message) = Message::parse(seen.bytes, &Limits::default()) {
                    if self.sent.len() == REMEMBERED {
                        self.sent.remove(0);
                    }
                    self.sent.push(message);
                }
            }
            _ => {}
        }
    }

    /// Everything is hung up, and the peer says nothing more.
    fn finish(mut self) {
        for refer in std::mem::take(&mut self.refers) {
            let _over = self.node.reject_refer(self.now, refer, Reject::new(603), None);
        }
        for call in self.calls.clone() {
            let _over = self.node.hangup(self.now, call, Hangup::default(), None);
        }
        let _over = self.node.unregister(self.now, self.registration, None);
        let _over = self.node.unsubscribe(self.now, self.subscription, None);
        self.drain();
        self.pass(Duration::from_secs(3600));
        assert_eq!(self.calls, [], "calls without an end");
        let sockets = Residue {
            sockets: 1,
            ..Residue::default()
        };
        assert_eq!(self.node.residue(), sockets);
    }
}

/// What is wrong with a message of the peer.
enum Change<'a> {
    None,
    /// Bytes at some place.
    Bytes(u16, &'a [u8]),
    /// A line is another one, or none.
    Line(u8, &'a [u8]),
    /// A line more.
    More(u8, &'a [u8]),
}

impl<'a> Change<'a> {
    fn read(kind: u8, bytes: &'a [u8]) -> Change<'a> {
        match (kind % 4, bytes) {
            (1, [high, low, rest @ ..]) => Change::Bytes(u16::from_be_bytes([*high, *low]), rest),
            (2, [line, rest @ ..]) => Change::Line(*line, rest),
            (3, [line, rest @ ..]) => Change::More(*line, rest),
            _ => Change::None,
        }
    }

    fn apply(self, raw: &Bytes) -> Bytes {
        let mut lines: Vec<&[u8]> = raw.split(|byte| *byte == b'\n').collect();
        let place = |line: u8| usize::from(line) % lines.len();
        match self {
            Change::None => return raw.clone(),
            Change::Bytes(at, bytes) => {
                let mut raw = raw.to_vec();
                let at = usize::from(at) % raw.len();
                let end = raw.len().min(at + bytes.len());
                raw[at..end].copy_from_slice(&bytes[..end - at]);
                return raw.into();
            }
            Change::Line(line, []) => {
                lines.remove(place(line));
            }
            Change::Line(line, other) => {
                let line = place(line);
                lines[line] = other;
            }
            Change::More(line, other) => lines.insert(place(line), other),
        }
        lines.join(&b'\n').into()
    }
}

fn uri(text: &str) -> Uri {
    text.parse().expect("a literal")
}
