//! A laboratory: the machine on a host of its own, phones that are real user agents, peers that follow a script, a network
//! of one millisecond, a store that can be slow or broken, and virtual time.

#![expect(dead_code, reason = "each story uses a part of it")]

pub(crate) mod script;
pub(crate) mod store;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use callwright_acd::{
    AgentConfig, AgentRequest, AgentSnapshot, AgentState, CallKey, Command, Config, EndCause, Event, Fact,
    Machine, Piece, QueueConfig, QueueSnapshot, User,
};
use callwright_sip_message::{Host, Message};
use callwright_ua::{
    Account, Audio, Call, Change, Fleet, FleetConfig, ListenFor, ListenerId, Phase, TraceLimits, UserAgent,
    UserAgentId,
};
use callwright_wire::{
    BindError, BindErrorKind, DnsQuery, DnsRecord, Epoch, Flow, Input, Node, Output, PacketNode, Residue,
    Seed, SocketId, SocketUse, Time, Transport,
};

use script::Received;
use store::Store;

pub(crate) const LATENCY: Duration = Duration::from_millis(1);
/// Where the machine is, and the domain of everybody.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 250);

/// A phone of the laboratory: a host with a fleet of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phone(usize);

/// A host: its address and its sockets.
struct Machinery {
    ip: IpAddr,
    sockets: BTreeMap<SocketId, (SocketAddr, SocketUse)>,
    next_port: u16,
}

struct Handset {
    host: Machinery,
    fleet: Fleet,
    id: UserAgentId,
    changes: Vec<Change>,
}

struct Parcel {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Bytes,
    media: bool,
}

/// Decides over each SIP message by its first line: true lets it pass.
pub(crate) type Filter = Box<dyn FnMut(&str) -> bool>;

pub(crate) struct Lab {
    now: Time,
    pub(crate) machine: Machine,
    server: Machinery,
    phones: Vec<Handset>,
    wire: BTreeMap<(Time, u64), Parcel>,
    sent: u64,
    pub(crate) filter: Option<Filter>,
    scripts: BTreeMap<SocketAddr, VecDeque<Received>>,
    /// Nothing passes to or from this host.
    pub(crate) partition: Option<IpAddr>,
    /// So many more ports for RTP can be leased by the machine.
    pub(crate) ports_left: usize,
    pub(crate) store: Store,
    /// What was recorded, by the call, and when that began.
    pub(crate) recordings: BTreeMap<CallKey, (Time, Vec<Piece>)>,
    /// Every fact that was told.
    pub(crate) facts: Vec<Fact>,
    /// Those of them that somebody waits for.
    pub(crate) awaited: Vec<Fact>,
    /// Bans that began and ended, and when that was told.
    pub(crate) bans: Vec<(Time, Event)>,
    /// When the machine told that it is closed.
    pub(crate) closed_at: Option<Time>,
    /// The media packets that the machine sent: when, and where to.
    pub(crate) relayed: Vec<(Time, SocketAddr, Bytes)>,
}

fn host(ip: IpAddr) -> Machinery {
    Machinery {
        ip,
        sockets: BTreeMap::new(),
        next_port: 10_000,
    }
}

impl Machinery {
    fn bind(&mut self, socket: SocketId, local: SocketAddr, usage: SocketUse) -> SocketAddr {
        let port = match local.port() {
            0 => {
                self.next_port += 2;
                self.next_port
            }
            port => port,
        };
        let local = SocketAddr::new(self.ip, port);
        self.sockets.insert(socket, (local, usage));
        local
    }

    fn at(&self, to: SocketAddr) -> Option<SocketId> {
        self.sockets
            .iter()
            .find_map(|(socket, (local, usage))| match usage {
                SocketUse::Signalling(Transport::Udp) if *local == to => Some(*socket),
                SocketUse::Media { .. } if *local == to => Some(*socket),
                SocketUse::Media { rtcp } if local.ip() == to.ip() && local.port() + 1 == to.port() => {
                    Some(*rtcp)
                }
                SocketUse::Signalling(_) | SocketUse::Media { .. } => None,
            })
    }

    fn address_of(&self, socket: SocketId) -> SocketAddr {
        let own = self.sockets.get(&socket).map(|(local, _)| *local);
        let rtcp = || {
            self.sockets.values().find_map(|(local, usage)| match usage {
                SocketUse::Media { rtcp } if *rtcp == socket => {
                    Some(SocketAddr::new(local.ip(), local.port() + 1))
                }
                SocketUse::Media { .. } | SocketUse::Signalling(_) => None,
            })
        };
        own.or_else(rtcp)
            .unwrap_or_else(|| panic!("{socket:?} sends, and only {:?} are bound", self.sockets))
    }

    fn media_sockets(&self) -> usize {
        let sockets = self.sockets.values();
        sockets
            .filter(|(_, usage)| matches!(usage, SocketUse::Media { .. }))
            .count()
    }
}

/// The configuration of the laboratory: alice, bob, carol and dave, whose passwords are their names backwards.
pub(crate) fn config() -> Config {
    let domain = Host::V4(SERVER);
    let mut config = Config::new(
        domain.clone(),
        Epoch::SIMULATED,
        Seed::from_number(1),
        Seed::from_number(2),
    );
    config.listen = vec![(Transport::Udp, SocketAddr::new(SERVER.into(), 5060))];
    config.users = ["alice", "bob", "carol", "dave"]
        .map(|name| User::with_password(name, &domain, &password(name)))
        .to_vec();
    config
}

fn in_short(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Bindings { .. } | Fact::RecordingStarted { .. } | Fact::RecordingEnded { .. } => return None,
        Fact::CallQueued { call, queue, .. } => format!("{} queued in {queue}", call.0),
        Fact::CallPresented {
            call, agent, attempt, ..
        } => format!("{} presented to {agent}, {attempt}", call.0),
        Fact::PresentationEnded {
            call, agent, outcome, ..
        } => format!("{} not taken by {agent}: {outcome:?}", call.0),
        Fact::AgentChanged { agent, state, .. } => format!("{agent} {state:?}"),
        Fact::AgentWants {
            agent, afterwards, ..
        } => format!("{agent} wants {afterwards:?}"),
        Fact::CallAnswered {
            call, callee, agent, ..
        } => match agent {
            Some(agent) => format!("{} answered by agent {agent}", call.0),
            None => format!("{} answered by {callee}", call.0),
        },
        Fact::CallOverflowed { call, to, .. } => format!("{} overflowed to {to}", call.0),
        Fact::CallTransferred { call, to, .. } => format!("{} transferred to {to}", call.0),
        Fact::CallEnded { call, cause, .. } => format!("{} ended: {cause:?}", call.0),
    })
}

pub(crate) fn password(name: &str) -> String {
    name.chars().rev().collect()
}

impl Phone {
    pub(crate) fn address(self) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, self.0 as u8 + 1).into()
    }
}

impl Lab {
    pub(crate) fn new() -> Lab {
        Lab::with(|_| {})
    }

    pub(crate) fn with(adjust: impl FnOnce(&mut Config)) -> Lab {
        let mut config = config();
        adjust(&mut config);
        let machine = Machine::new(Time::ZERO, config).expect("a configuration that can be");
        let mut lab = Lab {
            now: Time::ZERO,
            machine,
            server: host(SERVER.into()),
            phones: Vec::new(),
            wire: BTreeMap::new(),
            sent: 0,
            filter: None,
            scripts: BTreeMap::new(),
            partition: None,
            ports_left: usize::MAX,
            store: Store::default(),
            facts: Vec::new(),
            awaited: Vec::new(),
            recordings: BTreeMap::new(),
            bans: Vec::new(),
            closed_at: None,
            relayed: Vec::new(),
        };
        lab.drain_machine();
        lab
    }

    /// A laboratory with the queue `support` and the agents alice, bob and carol.
    pub(crate) fn with_queue(adjust: impl FnOnce(&mut Config, &mut QueueConfig)) -> Lab {
        Lab::with(|config| {
            config.agents = ["alice", "bob", "carol"].map(AgentConfig::new).to_vec();
            let mut queue = QueueConfig::new("support");
            adjust(config, &mut queue);
            config.queues.insert(0, queue);
        })
    }

    /// What an agent is doing.
    #[track_caller]
    pub(crate) fn agent(&self, name: &str) -> AgentSnapshot {
        let mut agents = self.machine.agents().into_iter();
        agents.find(|agent| agent.name == name).expect("there is one")
    }

    #[track_caller]
    pub(crate) fn state(&self, name: &str) -> AgentState {
        self.agent(name).state
    }

    /// The queue `support`.
    pub(crate) fn support(&self) -> QueueSnapshot {
        self.machine.queues().swap_remove(0)
    }

    /// The store works, or does not.
    pub(crate) fn set_storing(&mut self, works: bool) {
        self.store.broken = !works;
        self.machine.set_storing(self.now, works);
        self.drain_machine();
    }

    /// Something is asked of an agent.
    pub(crate) fn ask(&mut self, agent: &str, to: AgentRequest) {
        let agent = agent.to_owned();
        let input = Input::Command(Command::SetAgent { agent, to });
        self.machine.handle_input(self.now, input);
        self.drain_machine();
    }

    /// A customer calls the queue and is let in.
    pub(crate) fn customer(&mut self) -> Phone {
        let phone = self.phone("dave");
        self.dial(phone, "support");
        self.pass(Duration::from_millis(10));
        phone
    }

    /// An agent takes what rings.
    pub(crate) fn take(&mut self, agent: Phone) {
        self.until(|lab| lab.phase(agent) == Some(Phase::Ringing));
        self.accept(agent);
        self.until(|lab| lab.phase(agent) == Some(Phase::Established));
        self.pass(Duration::from_millis(10));
    }

    /// An agent refuses what rings.
    pub(crate) fn refuse(&mut self, agent: Phone, status: u16) {
        self.until(|lab| lab.phase(agent) == Some(Phase::Ringing));
        let done = self.fleet(agent, |fleet, now, id| {
            fleet.reject(now, id, None, status, None, None)
        });
        done.expect("it rings");
        self.pass(Duration::from_millis(10));
    }

    /// The facts about queues, agents and calls, in short: one line each.
    pub(crate) fn story(&self) -> Vec<String> {
        self.facts.iter().filter_map(in_short).collect()
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn server(&self) -> SocketAddr {
        SocketAddr::new(SERVER.into(), 5060)
    }

    /// A phone with an account, up but not registered.
    pub(crate) fn phone(&mut self, name: &str) -> Phone {
        self.phone_with(name, |_| {})
    }

    pub(crate) fn phone_with(&mut self, name: &str, adjust: impl FnOnce(&mut Account)) -> Phone {
        let index = self.phones.len();
        let ip = Phone(index).address();
        let mut account = Account::new(name, Host::V4(SERVER));
        account.password = Some(password(name).into());
        adjust(&mut account);
        let config = FleetConfig {
            epoch: Epoch::SIMULATED,
            seed: Seed::from_number(100 + index as u64),
            key_seed: Seed::from_number(1_000 + index as u64),
            trace: TraceLimits::default(),
        };
        let mut fleet = Fleet::new(self.now, config);
        let id = fleet.start(self.now, name, account);
        self.phones.push(Handset {
            host: host(ip),
            fleet,
            id,
            changes: Vec::new(),
        });
        self.drain_phone(index);
        assert!(
            self.phones[index].changes.contains(&Change::Started),
            "{name} came up"
        );
        Phone(index)
    }

    /// A phone that is registered.
    pub(crate) fn registered(&mut self, name: &str) -> Phone {
        self.registered_with(name, |_| {})
    }

    pub(crate) fn registered_with(&mut self, name: &str, adjust: impl FnOnce(&mut Account)) -> Phone {
        let phone = self.phone_with(name, adjust);
        self.register(phone);
        self.until(|lab| lab.is_registered(phone));
        phone
    }

    pub(crate) fn register(&mut self, phone: Phone) {
        let done = self.fleet(phone, |fleet, now, id| fleet.register(now, id, None));
        done.expect("it can register");
    }

    pub(crate) fn is_registered(&self, phone: Phone) -> bool {
        self.user_agent(phone).registration().registered
    }

    /// A scripted peer at this address.
    pub(crate) fn script(&mut self, address: &str) -> SocketAddr {
        let address = address.parse().expect("an address and port");
        self.scripts.insert(address, VecDeque::new());
        address
    }

    /// The next message that a scripted peer hears whose first line begins so; others are let pass.
    #[track_caller]
    pub(crate) fn expect(&mut self, at: SocketAddr, beginning: &str) -> Received {
        let deadline = self.now + Duration::from_secs(120);
        loop {
            while let Some(received) = self.heard(at) {
                if received.text.starts_with(beginning) {
                    return received;
                }
            }
            assert!(self.step(deadline), "no {beginning} came within two minutes");
        }
    }

    /// What a scripted peer heard and nobody looked at yet.
    pub(crate) fn heard(&mut self, at: SocketAddr) -> Option<Received> {
        self.scripts.get_mut(&at)?.pop_front()
    }

    /// True when a scripted peer heard a message whose first line begins so, among those nobody looked at yet.
    pub(crate) fn has_heard(&self, at: SocketAddr, beginning: &str) -> bool {
        self.scripts[&at]
            .iter()
            .any(|heard| heard.text.starts_with(beginning))
    }

    /// A scripted peer says something to the machine.
    pub(crate) fn say(&mut self, from: SocketAddr, text: String) {
        let to = self.server();
        self.send(Parcel {
            from,
            to,
            bytes: text.into(),
            media: false,
        });
    }

    /// Somebody sends a media packet to a port of the machine.
    pub(crate) fn say_media(&mut self, from: SocketAddr, port: u16, bytes: Vec<u8>) {
        self.send(Parcel {
            from,
            to: SocketAddr::new(SERVER.into(), port),
            bytes: bytes.into(),
            media: true,
        });
    }

    pub(crate) fn fleet<R>(
        &mut self,
        phone: Phone,
        use_it: impl FnOnce(&mut Fleet, Time, UserAgentId) -> R,
    ) -> R {
        let handset = &mut self.phones[phone.0];
        let result = use_it(&mut handset.fleet, self.now, handset.id);
        self.drain_phone(phone.0);
        result
    }

    pub(crate) fn user_agent(&self, phone: Phone) -> &UserAgent {
        let handset = &self.phones[phone.0];
        handset.fleet.user_agent(handset.id).expect("nobody removed it")
    }

    pub(crate) fn dial(&mut self, from: Phone, target: &str) {
        let done = self.fleet(from, |fleet, now, id| fleet.dial(now, id, target, &[], None));
        done.expect("it can dial");
    }

    pub(crate) fn accept(&mut self, phone: Phone) {
        let done = self.fleet(phone, |fleet, now, id| fleet.accept(now, id, None, None));
        done.expect("it rings");
    }

    pub(crate) fn hangup(&mut self, phone: Phone) {
        let done = self.fleet(phone, |fleet, now, id| fleet.hangup(now, id, None, None));
        done.expect("there is a call");
    }

    pub(crate) fn calls(&self, phone: Phone) -> &[Call] {
        self.user_agent(phone).calls()
    }

    /// The last message that a phone received and that begins so.
    #[track_caller]
    pub(crate) fn last_received(&self, phone: Phone, beginning: &str) -> Message {
        let trace = self.user_agent(phone).trace();
        let last = trace
            .messages()
            .filter(|message| message.direction == callwright_ua::Direction::Received)
            .rfind(|message| message.bytes.starts_with(beginning.as_bytes()));
        let last = last.expect("it received such a message");
        Message::from_raw(last.bytes.clone())
    }

    pub(crate) fn phase(&self, phone: Phone) -> Option<Phase> {
        self.calls(phone).last().map(Call::phase)
    }

    pub(crate) fn ended(&self, phone: Phone) -> (Option<u16>, String) {
        let end = self.user_agent(phone).last_end().expect("a call ended");
        (end.status, end.reason.clone())
    }

    /// A call from `a` to `b` through the machine, established on both sides.
    pub(crate) fn establish(&mut self, a: Phone, b: Phone) {
        let target = self.user_agent(b).account().username.clone();
        self.dial(a, &target);
        self.until(|lab| lab.phase(b) == Some(Phase::Ringing));
        self.accept(b);
        self.until(|lab| {
            lab.phase(a) == Some(Phase::Established) && lab.phase(b) == Some(Phase::Established)
        });
    }

    pub(crate) fn play(&mut self, phone: Phone, hz: f64) {
        let tone = Audio::Tones { hz: vec![hz] };
        let done = self.fleet(phone, |fleet, now, id| fleet.send_audio(now, id, None, tone));
        done.expect("it can play");
    }

    pub(crate) fn listen(&mut self, phone: Phone, hz: f64) -> ListenerId {
        let done = self.fleet(phone, |fleet, now, id| {
            fleet.listen(now, id, None, ListenFor::Tone { hz })
        });
        done.expect("it can listen")
    }

    pub(crate) fn has_tone(&self, phone: Phone, listener: ListenerId) -> bool {
        let handset = &self.phones[phone.0];
        let heard = handset.fleet.heard(handset.id, listener);
        heard.is_some_and(|heard| heard.done)
    }

    /// Closes the machine.
    pub(crate) fn close(&mut self) {
        self.machine.close(self.now);
        self.drain_machine();
    }

    /// Why calls ended, in order.
    pub(crate) fn ends(&self) -> Vec<EndCause> {
        let mut ends = Vec::new();
        for fact in &self.facts {
            if let Fact::CallEnded { cause, .. } = fact {
                ends.push(*cause);
            }
        }
        ends
    }

    /// The sockets of the machine.
    pub(crate) fn server_sockets(&self) -> usize {
        self.server.sockets.len()
    }

    /// Both hear each other, and not themselves: `a` plays 440 Hz, `b` 880 Hz.
    #[track_caller]
    pub(crate) fn assert_they_talk(&mut self, a: Phone, b: Phone) {
        self.play(a, 440.0);
        self.play(b, 880.0);
        // What was on the way before is over.
        self.pass(Duration::from_millis(300));
        let (at_a, at_b) = (self.listen(a, 880.0), self.listen(b, 440.0));
        let (echo_a, echo_b) = (self.listen(a, 440.0), self.listen(b, 880.0));
        self.pass(Duration::from_millis(600));
        assert!(self.has_tone(a, at_a), "the first hears the second");
        assert!(self.has_tone(b, at_b), "the second hears the first");
        assert!(
            !self.has_tone(a, echo_a) && !self.has_tone(b, echo_b),
            "nobody hears himself"
        );
    }

    /// Nothing of any call is left in the machine: once its transactions are over.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&mut self) {
        self.pass(Duration::from_secs(64));
        let load = self.machine.load();
        assert_eq!((load.calls, load.legs, load.facts_in_flight), (0, 0, 0));
        let residue = self.machine.residue();
        let expiries = usize::from(load.bindings > 0) * residue.timers;
        assert_eq!(
            Residue {
                sockets: 0,
                timers: residue.timers - expiries,
                ..residue
            },
            Residue::default()
        );
        assert_eq!(self.server.media_sockets(), 0);
    }

    /// Lets time pass until it holds; two minutes at most.
    #[track_caller]
    pub(crate) fn until(&mut self, holds: impl Fn(&Lab) -> bool) {
        let deadline = self.now + Duration::from_secs(120);
        while !holds(self) {
            assert!(self.step(deadline), "it did not happen within two minutes");
        }
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        let deadline = self.now + span;
        while self.step(deadline) {}
        self.now = deadline;
    }

    /// Does what is due next, unless that is after `deadline`.
    fn step(&mut self, deadline: Time) -> bool {
        let parcel = self.wire.keys().next().map(|(at, _)| *at);
        let machine = self.machine.poll_timeout().map(|(at, _)| at.max(self.now));
        let stored = self.store.next();
        let phone = self
            .phones
            .iter()
            .enumerate()
            .filter_map(|(index, phone)| Some((phone.fleet.poll_timeout()?.0.max(self.now), index)))
            .min();
        let next = [parcel, machine, stored, phone.map(|(at, _)| at)];
        let Some(at) = next.into_iter().flatten().min().filter(|at| *at <= deadline) else {
            return false;
        };
        self.now = self.now.max(at);
        if parcel == Some(at) {
            if let Some((_, parcel)) = self.wire.pop_first() {
                self.deliver(parcel);
            }
        } else if stored == Some(at) {
            let command = self.store.take();
            self.machine.handle_input(self.now, Input::Command(command));
            self.drain_machine();
        } else if machine == Some(at) {
            self.machine.handle_timeout(self.now);
            self.drain_machine();
        } else if let Some((_, index)) = phone {
            self.phones[index].fleet.handle_timeout(self.now);
            self.drain_phone(index);
        }
        true
    }

    fn deliver(&mut self, parcel: Parcel) {
        let Parcel {
            from,
            to,
            bytes,
            media,
        } = parcel;
        if let (Some(heard), false) = (self.scripts.get_mut(&to), media) {
            heard.push_back(Received {
                from,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            });
            return;
        }
        let flow = Flow {
            transport: Transport::Udp,
            local: to,
            remote: from,
        };
        if let Some(socket) = self.server.at(to) {
            if media {
                self.machine.handle_packet(self.now, socket, from, &bytes);
            } else {
                let input = Input::Datagram { socket, flow, bytes };
                self.machine.handle_input(self.now, input);
            }
            self.drain_machine();
            return;
        }
        let found = self.phones.iter().enumerate();
        let found = found
            .filter_map(|(index, phone)| Some((index, phone.host.at(to)?)))
            .next();
        let Some((index, socket)) = found else { return };
        let fleet = &mut self.phones[index].fleet;
        if media {
            fleet.handle_packet(self.now, socket, from, &bytes);
        } else {
            fleet.handle_input(self.now, Input::Datagram { socket, flow, bytes });
        }
        self.drain_phone(index);
    }

    fn send(&mut self, parcel: Parcel) {
        let ends = [parcel.from.ip(), parcel.to.ip()];
        if self.partition.is_some_and(|cut| ends.contains(&cut)) {
            return;
        }
        let first = parcel.bytes.split(|b| *b == b'\r').next().unwrap_or_default();
        let first = String::from_utf8_lossy(first).into_owned();
        if !parcel.media && self.filter.as_mut().is_some_and(|filter| !filter(&first)) {
            return;
        }
        self.sent += 1;
        self.wire.insert((self.now + LATENCY, self.sent), parcel);
    }

    pub(crate) fn drain_machine(&mut self) {
        let mut buffer = [0; 1_500];
        loop {
            let mut moved = false;
            while let Some(output) = self.machine.poll_output() {
                moved = true;
                match output {
                    Output::Bind { socket, local, usage }
                        if self.ports_left == 0 && matches!(usage, SocketUse::Media { .. }) =>
                    {
                        let kind = BindErrorKind::NoMediaPorts;
                        let error = BindError { local, kind };
                        self.machine
                            .handle_input(self.now, Input::BindFailed { socket, error });
                    }
                    Output::Bind { socket, local, usage } => {
                        if matches!(usage, SocketUse::Media { .. }) {
                            self.ports_left -= 1;
                        }
                        let local = self.server.bind(socket, local, usage);
                        self.machine
                            .handle_input(self.now, Input::Bound { socket, local });
                    }
                    Output::Unbind { socket } => {
                        self.server.sockets.remove(&socket);
                    }
                    Output::Datagram {
                        socket, to, bytes, ..
                    } => {
                        let from = self.server.address_of(socket);
                        self.send(Parcel {
                            from,
                            to,
                            bytes,
                            media: false,
                        });
                    }
                    Output::Resolve { query, question } => {
                        let answer = match question {
                            DnsQuery::Route(_) => Ok(vec![DnsRecord::Address(self.server.ip)]),
                            _ => Ok(Vec::new()),
                        };
                        self.machine
                            .handle_input(self.now, Input::Resolved { query, answer });
                    }
                    Output::Event(Event::Persist { token, fact, awaited }) => {
                        if awaited {
                            self.awaited.push(fact.clone());
                        }
                        self.facts.push(fact);
                        self.store.persist(self.now, token);
                    }
                    Output::Event(Event::RecordingBegan { call, at }) => {
                        self.recordings.insert(call, (at, Vec::new()));
                    }
                    Output::Event(Event::Recorded { call, piece }) => {
                        let recording = self.recordings.get_mut(&call);
                        recording.expect("it was told to begin").1.push(piece);
                    }
                    Output::Event(event @ (Event::Banned(_) | Event::BanOver { .. })) => {
                        self.bans.push((self.now, event));
                    }
                    Output::Event(Event::Listening { .. }) => {}
                    Output::Event(Event::Closed) => self.closed_at = Some(self.now),
                    Output::Event(Event::ListenFailed { error, .. }) => panic!("{error}"),
                    Output::Connect { .. } | Output::Stream { .. } | Output::Close { .. } => {
                        panic!("the laboratory has no streams")
                    }
                }
            }
            while let Some((socket, to, length)) = self.machine.poll_transmit(self.now, &mut buffer) {
                moved = true;
                let bytes = Bytes::copy_from_slice(&buffer[..length]);
                self.relayed.push((self.now, to, bytes.clone()));
                let from = self.server.address_of(socket);
                self.send(Parcel {
                    from,
                    to,
                    bytes,
                    media: true,
                });
            }
            if !moved {
                return;
            }
        }
    }

    fn drain_phone(&mut self, index: usize) {
        let mut buffer = [0; 1_500];
        loop {
            let mut moved = false;
            while let Some(output) = self.phones[index].fleet.poll_output() {
                moved = true;
                self.perform(index, output);
            }
            while let Some((socket, to, length)) =
                self.phones[index].fleet.poll_transmit(self.now, &mut buffer)
            {
                moved = true;
                let from = self.phones[index].host.address_of(socket);
                let bytes = Bytes::copy_from_slice(&buffer[..length]);
                self.send(Parcel {
                    from,
                    to,
                    bytes,
                    media: true,
                });
            }
            if !moved {
                return;
            }
        }
    }

    fn perform(&mut self, index: usize, output: Output<callwright_ua::FleetEvent>) {
        let now = self.now;
        let phone = &mut self.phones[index];
        match output {
            Output::Bind { socket, local, usage } => {
                let local = phone.host.bind(socket, local, usage);
                phone.fleet.handle_input(now, Input::Bound { socket, local });
            }
            Output::Unbind { socket } => {
                phone.host.sockets.remove(&socket);
            }
            Output::Datagram {
                socket, to, bytes, ..
            } => {
                let from = phone.host.address_of(socket);
                self.send(Parcel {
                    from,
                    to,
                    bytes,
                    media: false,
                });
            }
            Output::Resolve { query, question } => {
                let answer = match question {
                    DnsQuery::Route(_) => Ok(vec![DnsRecord::Address(phone.host.ip)]),
                    _ => Ok(Vec::new()),
                };
                phone.fleet.handle_input(now, Input::Resolved { query, answer });
            }
            Output::Event(event) => phone.changes.push(event.change),
            Output::Connect { .. } | Output::Stream { .. } | Output::Close { .. } => {
                panic!("the laboratory has no streams")
            }
        }
    }
}
