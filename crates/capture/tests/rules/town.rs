//! A simulated town: real user agents, the real call center, a network with faults, and the rules over all that passes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callwright_acd::{Command, Config, Event, Machine, User};
use callwright_capture::rules::{Disturbance, Rule, Rules, RulesConfig, Tally, Violation};
use callwright_sim::{CrashKind, HostId, Link, Loss, Nat, PartyId, Reordering, World, WorldConfig};
use callwright_sip_message::Host;
use callwright_ua::{
    Account, Audio, Call, Fleet, FleetConfig, FleetEvent, LocalAddress, Phase, TraceLimits, UserAgent,
    UserAgentId,
};
use callwright_wire::{
    Epoch, Input, Node, Output, PacketNode, Residue, Seed, SocketId, Tap, TapRecord, Time, Transport,
};

use crate::mutant::{Fault, Mutant};

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 250);

/// Who takes part.
pub(crate) enum Someone {
    Phone(Box<Fleet>),
    Server(Box<Machine>),
}

pub(crate) enum Told {
    Phone(#[expect(dead_code, reason = "the stories look at phases")] FleetEvent),
    Server(Event),
}

macro_rules! each {
    ($someone:expr, $node:ident => $do:expr) => {
        match $someone {
            Someone::Phone($node) => $do,
            Someone::Server($node) => $do,
        }
    };
}

impl Node for Someone {
    type Command = Command;
    type Event = Told;

    fn handle_input(&mut self, now: Time, input: Input<Command>) {
        match self {
            Someone::Server(machine) => machine.handle_input(now, input),
            Someone::Phone(fleet) => match input.of_world() {
                Ok(input) => fleet.handle_input(now, input),
                Err(command) => panic!("a phone stores nothing: {command:?}"),
            },
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        each!(self, node => node.handle_timeout(now));
    }

    fn poll_output(&mut self) -> Option<Output<Told>> {
        match self {
            Someone::Phone(fleet) => Some(fleet.poll_output()?.map_event(Told::Phone)),
            Someone::Server(machine) => Some(machine.poll_output()?.map_event(Told::Server)),
        }
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        each!(self, node => node.poll_timeout())
    }

    fn residue(&self) -> Residue {
        each!(self, node => node.residue())
    }
}

impl PacketNode for Someone {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        each!(self, node => node.handle_packet(now, socket, from, packet));
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        each!(self, node => node.poll_transmit(now, buffer))
    }

    fn clear_text(&self) -> Option<&[u8]> {
        each!(self, node => node.clear_text())
    }
}

/// A user agent in the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phone {
    pub(crate) party: PartyId,
    pub(crate) id: UserAgentId,
}

/// The rules as a tap.
#[derive(Clone)]
struct Watch {
    rules: Arc<Mutex<Rules>>,
    records: Arc<Mutex<Vec<TapRecord>>>,
    keep: bool,
}

impl Tap for Watch {
    fn record(&mut self, record: TapRecord) {
        self.rules.lock().unwrap().observe(&record);
        if self.keep {
            self.records.lock().unwrap().push(record);
        }
    }
}

pub(crate) struct Town {
    pub(crate) world: World<Mutant<Someone>>,
    seed: Seed,
    watch: Watch,
    phones: Vec<Phone>,
    server: Option<(PartyId, Config)>,
    hosts: Vec<(PartyId, HostId)>,
    next_host: u8,
}

/// What the rules found.
pub(crate) struct Verdict {
    pub(crate) violations: Vec<Violation>,
    pub(crate) tally: Vec<Tally>,
    pub(crate) records: Vec<TapRecord>,
}

pub(crate) fn lossy() -> Link {
    Link {
        jitter: Duration::from_millis(20),
        loss: Loss::Uniform(0.05),
        duplication: 0.02,
        reordering: Some(Reordering {
            probability: 0.02,
            delay: Duration::from_millis(60),
        }),
        ..Link::perfect(Duration::from_millis(40))
    }
}

pub(crate) fn clean() -> Link {
    Link::perfect(Duration::from_millis(5))
}

pub(crate) fn account(name: &str, transport: Transport) -> Account {
    let mut account = Account::new(name, Host::V4(SERVER));
    account.transport = transport;
    account.password = Some(name.chars().rev().collect::<String>().into());
    account
}

impl Town {
    pub(crate) fn new(seed: u64, link: Link) -> Self {
        let seed = Seed::from_number(seed);
        let mut world = World::new(WorldConfig::new(seed.clone()));
        world.set_default_link(link);
        let watch = Watch {
            rules: Arc::new(Mutex::new(Rules::new(RulesConfig::default()))),
            records: Arc::default(),
            keep: false,
        };
        world.set_tap(Some(Box::new(watch.clone())));
        Town {
            world,
            seed,
            watch,
            phones: Vec::new(),
            server: None,
            hosts: Vec::new(),
            next_host: 0,
        }
    }

    pub(crate) fn keep_records(&mut self) {
        self.watch.keep = true;
        self.world.set_tap(Some(Box::new(self.watch.clone())));
    }

    pub(crate) fn rules<R>(&mut self, use_them: impl FnOnce(&mut Rules) -> R) -> R {
        use_them(&mut self.watch.rules.lock().unwrap())
    }

    /// The call center, with users whose passwords are their names backwards.
    pub(crate) fn server(&mut self, names: &[&str], adjust: impl FnOnce(&mut Config)) -> PartyId {
        let domain = Host::V4(SERVER);
        let seed = self.seed.derive("server");
        let mut config = Config::new(
            domain.clone(),
            Epoch::SIMULATED,
            seed.clone(),
            seed.derive("nonces"),
        );
        config.listen = [Transport::Udp, Transport::Tcp]
            .map(|transport| (transport, SocketAddr::new(SERVER.into(), 5060)))
            .to_vec();
        config.users = names
            .iter()
            .map(|name| User::with_password(*name, &domain, &name.chars().rev().collect::<String>()))
            .collect();
        adjust(&mut config);
        let machine = Machine::new(self.world.now(), config.clone()).unwrap();
        let host = self.world.add_host("server", SERVER).unwrap();
        let node = Mutant::new(Someone::Server(Box::new(machine)));
        let party = self.world.add(host, "server", node);
        self.server = Some((party, config));
        self.hosts.push((party, host));
        party
    }

    /// The process of the call center dies, and is started again: it knows nobody any more.
    pub(crate) fn crash_server(&mut self) {
        let (party, mut config) = self.server.clone().unwrap();
        let now = self.world.now();
        self.rules(|rules| rules.disturbed(now, Disturbance::PartyCrashed { party: party.0 }));
        self.world.crash(party, CrashKind::Process);
        self.pass(Duration::from_millis(500));
        config.seed = config.seed.derive("again");
        config.nonce_seed = config.nonce_seed.derive("again");
        let now = self.world.now();
        let machine = Machine::new(now, config.clone()).unwrap();
        let node = Mutant::new(Someone::Server(Box::new(machine)));
        assert!(self.world.restart(party, node).is_ok());
        self.rules(|rules| rules.disturbed(now, Disturbance::PartyRestarted { party: party.0 }));
        self.server = Some((party, config));
    }

    /// Nothing passes between two parties.
    pub(crate) fn cut(&mut self, a: PartyId, b: PartyId) {
        let host = |party| self.hosts.iter().find(|(of, _)| *of == party).unwrap().1;
        let (at_a, at_b) = (host(a), host(b));
        self.world.partition(&[at_a], &[at_b]);
        let now = self.world.now();
        self.rules(|rules| rules.disturbed(now, Disturbance::PathCut { a: a.0, b: b.0 }));
    }

    pub(crate) fn heal(&mut self) {
        self.world.heal();
        let now = self.world.now();
        self.rules(|rules| rules.disturbed(now, Disturbance::PathsHealed));
    }

    pub(crate) fn phone(&mut self, name: &str, account: Account) -> Phone {
        self.next_host += 1;
        let host = format!("{name}-{}", self.next_host);
        let host = self.world.add_host(&host, [192, 0, 2, self.next_host]).unwrap();
        self.phone_on(host, name, account)
    }

    /// A phone in a network of its own, behind a NAT.
    pub(crate) fn phone_at_home(&mut self, name: &str, mut account: Account, nat: Nat) -> Phone {
        self.next_host += 1;
        let at = format!("{name}-{}", self.next_host);
        let nat = self
            .world
            .add_nat(&at, [203, 0, 113, self.next_host], nat)
            .unwrap();
        let ip = [10, 0, self.next_host, 2];
        let host = self
            .world
            .add_host_behind(nat, &format!("{at} home"), ip)
            .unwrap();
        account.local = Some(LocalAddress::Socket(SocketAddr::from((ip, 5_060))));
        self.phone_on(host, name, account)
    }

    fn phone_on(&mut self, host: HostId, name: &str, account: Account) -> Phone {
        let seed = self.seed.derive(name).derive(&self.next_host.to_string());
        let config = FleetConfig {
            epoch: Epoch::SIMULATED,
            key_seed: seed.derive("keys"),
            seed,
            trace: TraceLimits::default(),
        };
        let mut fleet = Fleet::new(self.world.now(), config);
        let id = fleet.start(self.world.now(), name, account);
        let node = Mutant::new(Someone::Phone(Box::new(fleet)));
        let party = self.world.add(host, name, node);
        self.hosts.push((party, host));
        let phone = Phone { party, id };
        self.phones.push(phone);
        phone
    }

    pub(crate) fn break_rule(&mut self, party: PartyId, fault: Fault) {
        self.world.with(party, |node, _| node.fault = fault);
    }

    pub(crate) fn fleet<R>(
        &mut self,
        phone: Phone,
        use_it: impl FnOnce(&mut Fleet, Time, UserAgentId) -> R,
    ) -> R {
        let done = self.world.with(phone.party, |node, now| match &mut node.node {
            Someone::Phone(fleet) => use_it(fleet, now, phone.id),
            Someone::Server(_) => panic!("it is no phone"),
        });
        done.expect("it is there")
    }

    pub(crate) fn user_agent(&self, phone: Phone) -> &UserAgent {
        match &self.world.node(phone.party).unwrap().node {
            Someone::Phone(fleet) => fleet.user_agent(phone.id).unwrap(),
            Someone::Server(_) => panic!("it is no phone"),
        }
    }

    pub(crate) fn phase(&self, phone: Phone) -> Option<Phase> {
        self.user_agent(phone).calls().last().map(Call::phase)
    }

    /// One event of the world; false when there is none before `until`.
    pub(crate) fn step(&mut self, until: Time) -> bool {
        let moved = self.world.step(until).unwrap();
        while let Some((party, _, told)) = self.world.poll_event() {
            if let Told::Server(Event::Persist { token, .. }) = told {
                let stored = Input::Command(Command::Persisted { token });
                self.world.with(party, |node, now| node.handle_input(now, stored));
            }
        }
        moved
    }

    #[track_caller]
    pub(crate) fn until(&mut self, holds: impl Fn(&Town) -> bool) {
        let deadline = self.world.now() + Duration::from_secs(90);
        while !holds(self) {
            assert!(self.step(deadline), "it did not happen in time");
        }
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.world.now() + span;
        while self.step(until) {}
    }

    /// Registers, and again where a connection could not be opened.
    pub(crate) fn register(&mut self, phone: Phone) {
        for _ in 0..5 {
            self.fleet(phone, |fleet, now, id| fleet.register(now, id, None))
                .unwrap();
            for _ in 0..350 {
                if self.user_agent(phone).registration().registered {
                    return;
                }
                self.pass(Duration::from_millis(100));
            }
        }
        panic!("{:?}", self.user_agent(phone).registration());
    }

    pub(crate) fn play(&mut self, phone: Phone, hz: f64) {
        let tone = Audio::Tones { hz: vec![hz] };
        self.fleet(phone, |fleet, now, id| fleet.send_audio(now, id, None, tone))
            .unwrap();
    }

    pub(crate) fn dial(&mut self, from: Phone, target: &str) {
        self.fleet(from, |fleet, now, id| fleet.dial(now, id, target, &[], None))
            .unwrap();
    }

    pub(crate) fn accept(&mut self, phone: Phone) {
        self.fleet(phone, |fleet, now, id| fleet.accept(now, id, None, None))
            .unwrap();
    }

    pub(crate) fn hangup(&mut self, phone: Phone) {
        self.fleet(phone, |fleet, now, id| fleet.hangup(now, id, None, None))
            .unwrap();
    }

    /// `a` calls `b`: both are established.
    #[track_caller]
    pub(crate) fn establish(&mut self, a: Phone, b: Phone, target: &str) {
        self.dial(a, target);
        self.until(|town| town.phase(b) == Some(Phase::Ringing));
        self.accept(b);
        self.until(|town| {
            town.phase(a) == Some(Phase::Established) && town.phase(b) == Some(Phase::Established)
        });
    }

    /// Everybody closes, and the rules look at what is left.
    pub(crate) fn finish(mut self) -> Verdict {
        for phone in self.phones.clone() {
            self.fleet(phone, |fleet, now, id| fleet.close(now, id, None));
        }
        self.pass(Duration::from_secs(110));
        for phone in self.phones.clone() {
            self.fleet(phone, |fleet, now, id| fleet.remove(now, id));
        }
        self.pass(Duration::from_secs(1));
        let mut residues = Vec::new();
        for phone in self.phones.clone() {
            let name = self.world.name(phone.party).unwrap().to_string();
            let residue = self.world.node(phone.party).unwrap().residue();
            residues.push((phone.party.0, name, residue));
        }
        if let Some((server, _)) = self.server {
            let residue = self.world.node(server).unwrap().residue();
            // It goes on listening, and bindings last until they expire.
            let kept = Residue {
                sockets: 0,
                connections: 0,
                timers: 0,
                ..residue
            };
            residues.push((server.0, "server".into(), kept));
        }
        let now = self.world.now();
        let mut rules = self.watch.rules.lock().unwrap();
        rules.finish(now, &residues);
        let records = std::mem::take(&mut *self.watch.records.lock().unwrap());
        Verdict {
            violations: rules.take_violations(),
            tally: rules.tally(),
            records,
        }
    }
}

impl Verdict {
    #[track_caller]
    pub(crate) fn assert_sound(&self, what: &str) {
        let found: Vec<String> = self
            .violations
            .iter()
            .take(20)
            .map(Violation::to_string)
            .collect();
        assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
    }

    /// The rules that were broken, each once.
    pub(crate) fn broken(&self) -> Vec<Rule> {
        let rules: std::collections::BTreeSet<Rule> =
            self.violations.iter().map(|violation| violation.rule).collect();
        rules.into_iter().collect()
    }

    #[track_caller]
    pub(crate) fn assert_broken(&self, rules: &[Rule]) {
        let found: Vec<String> = self
            .violations
            .iter()
            .take(20)
            .map(Violation::to_string)
            .collect();
        assert_eq!(self.broken(), rules, "{}", found.join("\n"));
    }
}
