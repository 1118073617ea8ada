//! Endpoints in one small world on virtual time: UDP with a latency, and messages that are lost or late on demand.
//!
//! ```text
//! let mut world = World::of(["alice", "bob"]);
//! let call = world.call(ALICE, BOB);
//! world.lose("ACK", 1);                     the next ACK never arrives
//! world.run(100);                           100 ms pass
//! assert_eq!(world.flow(), ["alice INVITE bob", …]);
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use callwright_sip::command::{Answer, Hangup, Identity, Invite};
use callwright_sip::endpoint::{CallId, IdentityId};
use callwright_sip::event::{EndCause, IncomingCall};
use callwright_sip::{Endpoint, EndpointConfig, Event};
use callwright_sip_message::{Limits, Message, StartLine, Uri};
use callwright_wire::{
    DnsAnswer, DnsError, DnsQuery, DnsRecord, Flow, Input, Node, Output, Residue, Seed, SocketId, Time,
    Transport,
};

/// The places of the parties in `World::of`.
pub(crate) const ALICE: usize = 0;
pub(crate) const BOB: usize = 1;
pub(crate) const CAROL: usize = 2;

/// One way through the network, in ms.
pub(crate) const LATENCY: u64 = 5;

pub(crate) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\n";
pub(crate) const ANSWER: &str = "v=0\r\no=- 2 1 IN IP4 10.0.0.2\r\ns=-\r\n";

pub(crate) struct Party {
    pub(crate) name: &'static str,
    pub(crate) node: Endpoint,
    pub(crate) address: SocketAddr,
    pub(crate) identity: IdentityId,
    pub(crate) events: VecDeque<Event>,
    /// What its socket received.
    pub(crate) received: Vec<Message>,
    socket: SocketId,
}

/// Somebody who is no endpoint: a proxy, a server or a peer that follows the script of a test.
struct Stranger {
    name: &'static str,
    address: SocketAddr,
    arrived: VecDeque<Message>,
}

/// What happens to messages that begin, as `World::flow` shows them, with some text.
struct Rule {
    start: String,
    times: usize,
    fate: Fate,
}

#[derive(Clone, Copy)]
enum Fate {
    Lost,
    Late(u64),
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) parties: Vec<Party>,
    strangers: Vec<Stranger>,
    /// What the resolver knows beside literal addresses.
    pub(crate) zone: BTreeMap<DnsQuery, Vec<DnsRecord>>,
    flying: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Bytes)>,
    rules: Vec<Rule>,
    log: Vec<(Time, String)>,
    sequence: u64,
}

impl World {
    pub(crate) fn of<const N: usize>(names: [&'static str; N]) -> World {
        World::with(names.map(|name| (name, EndpointConfig::default())))
    }

    pub(crate) fn with<const N: usize>(parties: [(&'static str, EndpointConfig); N]) -> World {
        let mut world = World {
            now: Time::from_secs(10),
            parties: Vec::new(),
            strangers: Vec::new(),
            zone: BTreeMap::new(),
            flying: BTreeMap::new(),
            rules: Vec::new(),
            log: Vec::new(),
            sequence: 0,
        };
        for (place, (name, config)) in parties.into_iter().enumerate() {
            let address: SocketAddr = format!("10.0.0.{}:5060", place + 1).parse().expect("a literal");
            let mut node = Endpoint::new(config, Seed::from_number(place as u64 + 1).stream());
            let identity = node.add_identity(Identity::new(uri(&format!("sip:{name}@10.0.0.{}", place + 1))));
            let socket = node.listen(world.now, Transport::Udp, address);
            let (events, received) = (VecDeque::new(), Vec::new());
            world.parties.push(Party {
                name,
                node,
                address,
                identity,
                events,
                received,
                socket,
            });
            world.drain(place);
            world.parties[place].events.clear();
        }
        world
    }

    /// Somebody who follows the script of a test lives at this address from now on.
    pub(crate) fn introduce(&mut self, name: &'static str, address: SocketAddr) {
        self.strangers.push(Stranger {
            name,
            address,
            arrived: VecDeque::new(),
        });
    }

    /// What reached a stranger next.
    pub(crate) fn arrived(&mut self, at: SocketAddr) -> Option<Message> {
        let stranger = self.strangers.iter_mut().find(|one| one.address == at);
        stranger.expect("it was introduced").arrived.pop_front()
    }

    /// A stranger sends something.
    pub(crate) fn send_as(&mut self, from: SocketAddr, to: SocketAddr, message: &Message) {
        self.fly(from, to, message.raw().clone());
    }

    fn name_at(&self, address: SocketAddr) -> &'static str {
        let parties = self.parties.iter().map(|party| (party.address, party.name));
        let strangers = self.strangers.iter().map(|one| (one.address, one.name));
        let found = parties.chain(strangers).find(|(at, _)| *at == address);
        found.map_or("nobody", |(_, name)| name)
    }

    pub(crate) fn node(&mut self, party: usize) -> &mut Endpoint {
        &mut self.parties[party].node
    }

    /// The URI of a party.
    pub(crate) fn uri_of(&self, party: usize) -> Uri {
        let party = &self.parties[party];
        uri(&format!("sip:{}@{}", party.name, party.address.ip()))
    }

    /// An INVITE with an offer.
    pub(crate) fn invitation(&self, from: usize, to: usize) -> Invite {
        let invite = Invite::new(self.parties[from].identity, self.uri_of(to));
        Invite {
            offer: Some(Bytes::from_static(OFFER.as_bytes())),
            ..invite
        }
    }

    /// Places a call with an offer.
    pub(crate) fn call(&mut self, from: usize, to: usize) -> CallId {
        let invite = self.invitation(from, to);
        self.place(from, invite)
    }

    pub(crate) fn place(&mut self, from: usize, invite: Invite) -> CallId {
        let now = self.now;
        let call = self
            .node(from)
            .invite(now, invite, None)
            .expect("the call is placed");
        self.drain(from);
        call
    }

    pub(crate) fn answer(&mut self, party: usize, call: CallId) {
        let answer = Answer {
            description: Some(Bytes::from_static(ANSWER.as_bytes())),
            ..Answer::default()
        };
        self.act(party, |node, now| {
            node.answer(now, call, answer, None).expect("answered")
        });
    }

    pub(crate) fn hangup(&mut self, party: usize, call: CallId) {
        self.act(party, |node, now| {
            node.hangup(now, call, Hangup::default(), None).expect("hung up")
        });
    }

    /// Any operation, and what follows at once.
    pub(crate) fn act<R>(&mut self, party: usize, act: impl FnOnce(&mut Endpoint, Time) -> R) -> R {
        let now = self.now;
        let result = act(&mut self.parties[party].node, now);
        self.drain(party);
        result
    }

    /// Alice calls Bob, Bob answers, the ACK is there. The handles of both sides.
    pub(crate) fn established(&mut self) -> (CallId, CallId) {
        let (alice, bob) = self.connected(ALICE, BOB);
        self.forget();
        (alice, bob)
    }

    pub(crate) fn connected(&mut self, from: usize, to: usize) -> (CallId, CallId) {
        let caller = self.call(from, to);
        self.run(LATENCY);
        let callee = self.incoming(to).call;
        self.answer(to, callee);
        self.run(2 * LATENCY);
        (caller, callee)
    }

    /// Alice calls Bob, and both know that it rings. The handles of both sides.
    pub(crate) fn ringing(&mut self) -> (CallId, CallId) {
        let alice = self.call(ALICE, BOB);
        self.run(LATENCY);
        let bob = self.incoming(BOB).call;
        let ring = callwright_sip::command::Progress::new(180);
        self.act(BOB, |node, now| {
            node.progress(now, bob, ring, None).expect("rings")
        });
        self.run(LATENCY);
        (alice, bob)
    }

    /// Forgets what was told and logged so far.
    pub(crate) fn forget(&mut self) {
        self.log.clear();
        for party in &mut self.parties {
            party.events.clear();
            party.received.clear();
        }
    }

    /// The next `times` messages that begin so in `World::flow` are lost: `"alice ACK"`, `"ACK"` of anybody.
    pub(crate) fn lose(&mut self, start: &str, times: usize) {
        self.rules.push(Rule {
            start: start.to_owned(),
            times,
            fate: Fate::Lost,
        });
    }

    /// The next message that begins so arrives `ms` later than others.
    pub(crate) fn delay(&mut self, start: &str, ms: u64) {
        self.rules.push(Rule {
            start: start.to_owned(),
            times: 1,
            fate: Fate::Late(ms),
        });
    }

    /// From now on every message arrives in time.
    pub(crate) fn heal(&mut self) {
        self.rules.clear();
    }

    /// Time passes.
    pub(crate) fn run(&mut self, ms: u64) {
        self.run_to(self.now + Duration::from_millis(ms));
    }

    pub(crate) fn run_to(&mut self, end: Time) {
        loop {
            let arrival = self.flying.keys().next().map(|(at, _)| *at);
            let timer = self
                .parties
                .iter()
                .filter_map(|party| party.node.poll_timeout())
                .map(|(at, _)| at)
                .min();
            let Some(next) = [arrival, timer]
                .into_iter()
                .flatten()
                .min()
                .filter(|at| *at <= end)
            else {
                break;
            };
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                self.deliver();
            } else {
                for party in 0..self.parties.len() {
                    self.act(party, |node, now| node.handle_timeout(now));
                }
            }
        }
        self.now = end;
    }

    /// Everything settles: all transactions end.
    pub(crate) fn settle(&mut self) {
        self.run(200_000);
    }

    fn deliver(&mut self) {
        let Some((_, (from, to, bytes))) = self.flying.pop_first() else {
            return;
        };
        let message = Message::parse(bytes.clone(), &Limits::default()).expect("endpoints send messages");
        if let Some(stranger) = self.strangers.iter_mut().find(|one| one.address == to) {
            stranger.arrived.push_back(message);
            return;
        }
        let Some(place) = self.parties.iter().position(|party| party.address == to) else {
            return;
        };
        self.parties[place].received.push(message);
        let flow = Flow {
            transport: Transport::Udp,
            local: to,
            remote: from,
        };
        let socket = self.parties[place].socket;
        self.act(place, |node, now| {
            node.handle_input(now, Input::Datagram { socket, flow, bytes })
        });
    }

    fn drain(&mut self, place: usize) {
        while let Some(output) = self.parties[place].node.poll_output() {
            let from = self.parties[place].address;
            match output {
                Output::Datagram { to, bytes, .. } => self.fly(from, to, bytes),
                Output::Event(Event::Seen(_)) => {}
                Output::Event(event) => self.parties[place].events.push_back(event),
                Output::Bind { socket, local, .. } => {
                    self.parties[place].socket = socket;
                    let now = self.now;
                    self.node(place).handle_input(now, Input::Bound { socket, local });
                }
                Output::Resolve { query, question } => {
                    let known = self.zone.get(&question).cloned();
                    let answer = known.map_or_else(|| absent(question, from), Ok);
                    let now = self.now;
                    self.node(place)
                        .handle_input(now, Input::Resolved { query, answer });
                }
                Output::Unbind { .. }
                | Output::Connect { .. }
                | Output::Stream { .. }
                | Output::Close { .. } => {}
            }
        }
    }

    fn fly(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let what = shown(&bytes);
        let line = format!("{} {what} {}", self.name_at(from), self.name_at(to));
        let hit = self
            .rules
            .iter_mut()
            .find(|rule| rule.times > 0 && (line.starts_with(&rule.start) || what.starts_with(&rule.start)));
        let fate = hit.map(|rule| {
            rule.times -= 1;
            rule.fate
        });
        self.log.push((self.now, line));
        let after = match fate {
            Some(Fate::Lost) => return,
            Some(Fate::Late(ms)) => LATENCY + ms,
            None => LATENCY,
        };
        self.sequence += 1;
        self.flying.insert(
            (self.now + Duration::from_millis(after), self.sequence),
            (from, to, bytes),
        );
    }

    /// What was sent since the start, or since `forget`: `alice INVITE bob`, `bob 200 alice`.
    pub(crate) fn flow(&self) -> Vec<&str> {
        self.log.iter().map(|(_, line)| line.as_str()).collect()
    }

    /// When messages that look so were sent, in ms since `since`.
    pub(crate) fn sent_at(&self, line: &str, since: Time) -> Vec<u64> {
        let hits = self.log.iter().filter(|(_, sent)| sent == line);
        hits.map(|(at, _)| at.since(since).as_millis() as u64).collect()
    }

    /// The next event of a party that `pick` takes; those before it are dropped.
    #[track_caller]
    pub(crate) fn expect<R>(&mut self, party: usize, pick: impl Fn(&Event) -> Option<R>) -> R {
        let mut seen = Vec::new();
        while let Some(event) = self.parties[party].events.pop_front() {
            if let Some(found) = pick(&event) {
                return found;
            }
            seen.push(event);
        }
        panic!(
            "{} was not told what was expected, but {seen:#?}",
            self.parties[party].name
        )
    }

    /// True when a party was told such a thing and has not been asked since.
    pub(crate) fn was_told(&self, party: usize, pick: impl Fn(&Event) -> bool) -> bool {
        self.parties[party].events.iter().any(pick)
    }

    #[track_caller]
    pub(crate) fn incoming(&mut self, party: usize) -> IncomingCall {
        while let Some(event) = self.parties[party].events.pop_front() {
            if let Event::IncomingCall(call) = event {
                return *call;
            }
        }
        panic!("no call came to {}", self.parties[party].name)
    }

    /// How a call ended, as text.
    #[track_caller]
    pub(crate) fn ended(&mut self, party: usize, call: CallId) -> String {
        self.expect(party, |event| match event {
            Event::Ended { call: ended, cause } if *ended == call => Some(shown_cause(cause)),
            _ => None,
        })
    }

    /// The newest message that a party received whose start line begins so.
    #[track_caller]
    pub(crate) fn received(&self, party: usize, start: &str) -> Message {
        let found = self.parties[party]
            .received
            .iter()
            .rev()
            .find(|message| message.head().starts_with(start));
        found
            .unwrap_or_else(|| panic!("{} received no {start}", self.parties[party].name))
            .clone()
    }

    /// Nothing is left but the sockets.
    #[track_caller]
    pub(crate) fn assert_clean(&mut self) {
        self.settle();
        for party in &self.parties {
            let left = Residue {
                sockets: 1,
                ..Residue::default()
            };
            assert_eq!(party.node.residue(), left, "{} still holds something", party.name);
        }
    }
}

pub(crate) fn uri(text: &str) -> Uri {
    text.parse().expect("a literal URI")
}

pub(crate) fn sdp(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// What the resolver says to a question about nothing that it knows.
fn absent(question: DnsQuery, local: SocketAddr) -> Result<DnsAnswer, DnsError> {
    match question {
        DnsQuery::Address(name) => Ok(name.parse().map(DnsRecord::Address).into_iter().collect()),
        DnsQuery::Route(_) => Ok(vec![DnsRecord::Address(local.ip())]),
        DnsQuery::Naptr(_) | DnsQuery::Srv(_) => Err(DnsError::NoSuchName),
    }
}

/// The method or the status of a message, as flows show it.
fn shown(bytes: &Bytes) -> String {
    let message = Message::parse(bytes.clone(), &Limits::default()).expect("endpoints send messages");
    match message.start() {
        StartLine::Request { method, .. } => method.to_string(),
        StartLine::Response { status, .. } => status.to_string(),
        StartLine::Neither => "?".to_owned(),
    }
}

pub(crate) fn shown_cause(cause: &EndCause) -> String {
    match cause {
        EndCause::Response(message) => format!("response {}", message.status().unwrap_or_default()),
        EndCause::Rejected { status } => format!("rejected {status}"),
        EndCause::RemoteBye { .. } => "remote bye".to_owned(),
        EndCause::LocalBye => "local bye".to_owned(),
        EndCause::Cancelled { remote: true, .. } => "cancelled by the caller".to_owned(),
        EndCause::Cancelled { remote: false, .. } => "cancelled".to_owned(),
        EndCause::Timeout { timer } => format!("timeout {timer}"),
        EndCause::Transport { error } => format!("transport {error}"),
        EndCause::DialogGone(message) => format!("dialog gone {}", message.status().unwrap_or_default()),
        EndCause::SessionExpired => "session expired".to_owned(),
        EndCause::Replaced { .. } => "replaced".to_owned(),
        EndCause::Protocol { rule } => format!("protocol {rule}"),
    }
}
