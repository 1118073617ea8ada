//! The machine and its phones in the simulated world, over any transport.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use callwright_acd::{Command, Config, Event, Fact, Machine, User};
use callwright_sim::{HostId, Link, PartyId, World, WorldConfig};
use callwright_sip_message::Host;
use callwright_ua::{
    Account, Audio, Fleet, FleetConfig, ListenFor, ListenerId, Phase, TraceLimits, UserAgent, UserAgentId,
};
use callwright_wire::{
    ConnectionId, Epoch, Input, Node, Output, PacketNode, Residue, Seed, SocketId, Time, Transport,
};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 250);
/// The domain of everybody.
pub(crate) const DOMAIN: &str = "example.com";

/// Who takes part.
pub(crate) enum Party {
    Server(Box<Server>),
    Phone(Box<Fleet>),
    /// A phone that follows a script, over one connection.
    Script(Script),
}

/// The machine, and a store that is always there.
pub(crate) struct Server {
    pub(crate) machine: Machine,
    pub(crate) facts: Vec<Fact>,
    now: Time,
}

/// A client of one TCP connection that says what it is told.
#[derive(Default)]
pub(crate) struct Script {
    outputs: Vec<Output<Told>>,
    connection: Option<ConnectionId>,
    pub(crate) closed: bool,
    /// The port that it connects from.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) heard: String,
}

impl Script {
    pub(crate) fn say(&mut self, text: String) {
        self.outputs.push(Output::Stream {
            connection: self.connection.expect("it is connected"),
            bytes: text.into(),
            cause: None,
        });
    }

    pub(crate) fn hang_up(&mut self) {
        let connection = self.connection.take().expect("it is connected");
        self.outputs.push(Output::Close { connection });
    }
}

/// What a party told.
#[derive(Debug)]
pub(crate) enum Told {
    Server,
    Phone,
}

impl Node for Party {
    type Command = Command;
    type Event = Told;

    fn handle_input(&mut self, now: Time, input: Input<Command>) {
        match self {
            Party::Server(server) => {
                server.now = now;
                server.machine.handle_input(now, input);
            }
            Party::Phone(fleet) => {
                let input = input.of_world().expect("nobody commands a phone so");
                fleet.handle_input(now, input);
            }
            Party::Script(script) => match input {
                Input::Connected { connection, flow, .. } => {
                    script.connection = Some(connection);
                    script.local = Some(flow.local);
                }
                Input::Stream { bytes, .. } => script.heard += &String::from_utf8_lossy(&bytes),
                Input::Closed { .. } => script.closed = true,
                other => panic!("{other:?}"),
            },
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        match self {
            Party::Server(server) => {
                server.now = now;
                server.machine.handle_timeout(now);
            }
            Party::Phone(fleet) => fleet.handle_timeout(now),
            Party::Script(_) => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output<Told>> {
        match self {
            Party::Server(server) => loop {
                match server.machine.poll_output()? {
                    Output::Event(Event::Persist { token, fact, .. }) => {
                        server.facts.push(fact);
                        let stored = Input::Command(Command::Persisted { token });
                        server.machine.handle_input(server.now, stored);
                    }
                    other => return Some(other.map_event(|_| Told::Server)),
                }
            },
            Party::Phone(fleet) => {
                let output = fleet.poll_output()?;
                Some(output.map_event(|_| Told::Phone))
            }
            Party::Script(script) => (!script.outputs.is_empty()).then(|| script.outputs.remove(0)),
        }
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        match self {
            Party::Server(server) => server.machine.poll_timeout(),
            Party::Phone(fleet) => fleet.poll_timeout(),
            Party::Script(_) => None,
        }
    }

    fn residue(&self) -> Residue {
        match self {
            Party::Server(server) => server.machine.residue(),
            Party::Phone(fleet) => fleet.residue(),
            Party::Script(_) => Residue::default(),
        }
    }
}

impl PacketNode for Party {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        match self {
            Party::Server(server) => server.machine.handle_packet(now, socket, from, packet),
            Party::Phone(fleet) => fleet.handle_packet(now, socket, from, packet),
            Party::Script(_) => {}
        }
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        match self {
            Party::Server(server) => server.machine.poll_transmit(now, buffer),
            Party::Phone(fleet) => fleet.poll_transmit(now, buffer),
            Party::Script(_) => None,
        }
    }

    fn clear_text(&self) -> Option<&[u8]> {
        match self {
            Party::Server(server) => server.machine.clear_text(),
            Party::Phone(fleet) => fleet.clear_text(),
            Party::Script(_) => None,
        }
    }
}

/// A phone in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phone {
    party: PartyId,
    id: UserAgentId,
}

pub(crate) struct Town {
    pub(crate) world: World<Party>,
    server: PartyId,
    hosts: u8,
}

pub(crate) fn config() -> Config {
    let domain = Host::Name(DOMAIN.into());
    let mut config = Config::new(
        domain.clone(),
        Epoch::SIMULATED,
        Seed::from_number(1),
        Seed::from_number(2),
    );
    config.listen = [
        (Transport::Udp, 5060),
        (Transport::Tcp, 5060),
        (Transport::Tls, 5061),
    ]
    .map(|(transport, port)| (transport, SocketAddr::new(SERVER.into(), port)))
    .to_vec();
    config.users = ["alice", "bob", "carol"]
        .map(|name| User::with_password(name, &domain, name))
        .to_vec();
    config
}

fn server(now: Time, config: Config) -> Party {
    Party::Server(Box::new(Server {
        machine: Machine::new(now, config).expect("a configuration that can be"),
        facts: Vec::new(),
        now,
    }))
}

impl Town {
    pub(crate) fn new() -> Town {
        Town::with(|_| {})
    }

    pub(crate) fn with(adjust: impl FnOnce(&mut Config)) -> Town {
        let mut config = config();
        adjust(&mut config);
        let mut world = World::new(WorldConfig::new(Seed::from_number(7)));
        world.set_default_link(Link::perfect(Duration::from_millis(5)));
        let server_host = world.add_host("server", SERVER).expect("it is free");
        world.zone().add_address(DOMAIN, SERVER);
        let server = world.add(server_host, "server", server(Time::ZERO, config));
        Town {
            world,
            server,
            hosts: 0,
        }
    }

    fn host(&mut self, name: &str) -> HostId {
        self.hosts += 1;
        let ip: IpAddr = Ipv4Addr::new(192, 0, 2, self.hosts).into();
        self.world.add_host(name, ip).expect("it is free")
    }

    /// A phone on a host of its own, that is registered.
    pub(crate) fn registered(&mut self, name: &str, transport: Transport) -> Phone {
        let host = self.host(name);
        let mut account = Account::new(name, Host::Name(DOMAIN.into()));
        account.password = Some(name.into());
        account.transport = transport;
        let seed = u64::from(self.hosts);
        let config = FleetConfig {
            epoch: Epoch::SIMULATED,
            seed: Seed::from_number(100 + seed),
            key_seed: Seed::from_number(200 + seed),
            trace: TraceLimits::default(),
        };
        let fleet = Fleet::new(self.world.now(), config);
        let party = self.world.add(host, name, Party::Phone(Box::new(fleet)));
        let id = self
            .world
            .with(party, |node, now| match node {
                Party::Phone(fleet) => fleet.start(now, name, account),
                Party::Server(_) | Party::Script(_) => unreachable!("it is a phone"),
            })
            .expect("it is there");
        let phone = Phone { party, id };
        self.pass(Duration::from_millis(100));
        self.fleet(phone, |fleet, now, id| fleet.register(now, id, None))
            .expect("it can register");
        self.until(|town| town.is_registered(phone));
        phone
    }

    /// A scripted client, connected to the server by TCP.
    pub(crate) fn script(&mut self, name: &str) -> PartyId {
        let host = self.host(name);
        let mut script = Script::default();
        script.outputs.push(Output::Connect {
            socket: SocketId(1),
            local: None,
            remote: SocketAddr::new(SERVER.into(), 5060),
            tls: None,
        });
        let party = self.world.add(host, name, Party::Script(script));
        self.pass(Duration::from_millis(100));
        party
    }

    pub(crate) fn with_script<R>(&mut self, party: PartyId, use_it: impl FnOnce(&mut Script) -> R) -> R {
        let result = self.world.with(party, |node, _| match node {
            Party::Script(script) => use_it(script),
            Party::Phone(_) | Party::Server(_) => unreachable!("it is a script"),
        });
        result.expect("it is there")
    }

    /// What a scripted client heard, once it has heard `text`.
    #[track_caller]
    pub(crate) fn hears(&mut self, party: PartyId, text: &str) -> String {
        self.until(|town| match town.world.node(party) {
            Some(Party::Script(script)) => script.heard.contains(text),
            _ => false,
        });
        self.with_script(party, |script| std::mem::take(&mut script.heard))
    }

    pub(crate) fn fleet<R>(
        &mut self,
        phone: Phone,
        use_it: impl FnOnce(&mut Fleet, Time, UserAgentId) -> R,
    ) -> R {
        let result = self.world.with(phone.party, |node, now| match node {
            Party::Phone(fleet) => use_it(fleet, now, phone.id),
            Party::Server(_) | Party::Script(_) => unreachable!("it is a phone"),
        });
        result.expect("it is there")
    }

    pub(crate) fn user_agent(&self, phone: Phone) -> &UserAgent {
        match self.world.node(phone.party) {
            Some(Party::Phone(fleet)) => fleet.user_agent(phone.id).expect("nobody removed it"),
            _ => unreachable!("it is a phone"),
        }
    }

    pub(crate) fn server(&self) -> &Server {
        match self.world.node(self.server) {
            Some(Party::Server(server)) => server,
            _ => unreachable!("it is the server"),
        }
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.server().machine
    }

    pub(crate) fn bindings(&self, name: &str) -> Vec<callwright_acd::Binding> {
        self.machine().bindings(self.world.now(), name)
    }

    /// The server dies, and starts again from what it had stored.
    pub(crate) fn restart_server(&mut self) {
        let gone = self.world.crash(self.server, callwright_sim::CrashKind::Process);
        let facts = gone.into_iter().flat_map(|(_, node)| match node {
            Party::Server(server) => server.facts,
            Party::Phone(_) | Party::Script(_) => Vec::new(),
        });
        let facts: Vec<_> = facts.collect();
        let now = self.world.now();
        let mut again = server(now, config());
        if let Party::Server(server) = &mut again {
            for fact in facts {
                if let Fact::Bindings { user, bindings } = fact {
                    server.machine.restore(now, &user, bindings);
                }
            }
        }
        assert!(self.world.restart(self.server, again).is_ok(), "it crashed");
    }

    pub(crate) fn close_server(&mut self) {
        self.world.with(self.server, |node, now| match node {
            Party::Server(server) => server.machine.close(now),
            Party::Phone(_) | Party::Script(_) => unreachable!("it is the server"),
        });
    }

    pub(crate) fn is_registered(&self, phone: Phone) -> bool {
        self.user_agent(phone).registration().registered
    }

    pub(crate) fn phase(&self, phone: Phone) -> Option<Phase> {
        self.user_agent(phone).calls().last().map(|call| call.phase())
    }

    pub(crate) fn ended(&self, phone: Phone) -> Option<u16> {
        self.user_agent(phone).last_end().expect("a call ended").status
    }

    pub(crate) fn dial(&mut self, from: Phone, target: &str) {
        let done = self.fleet(from, |fleet, now, id| fleet.dial(now, id, target, &[], None));
        done.expect("it can dial");
    }

    pub(crate) fn establish(&mut self, a: Phone, b: Phone) {
        let target = self.user_agent(b).account().username.clone();
        self.dial(a, &target);
        self.until(|town| town.phase(b) == Some(Phase::Ringing));
        let done = self.fleet(b, |fleet, now, id| fleet.accept(now, id, None, None));
        done.expect("it rings");
        self.until(|town| {
            [a, b].map(|phone| town.phase(phone)) == [Some(Phase::Established), Some(Phase::Established)]
        });
    }

    pub(crate) fn hang_up(&mut self, phone: Phone) {
        let done = self.fleet(phone, |fleet, now, id| fleet.hangup(now, id, None, None));
        done.expect("there is a call");
    }

    fn play(&mut self, phone: Phone, hz: f64) {
        let tone = Audio::Tones { hz: vec![hz] };
        let done = self.fleet(phone, |fleet, now, id| fleet.send_audio(now, id, None, tone));
        done.expect("it can play");
    }

    fn listen(&mut self, phone: Phone, hz: f64) -> ListenerId {
        let wanted = ListenFor::Tone { hz };
        let done = self.fleet(phone, |fleet, now, id| fleet.listen(now, id, None, wanted));
        done.expect("it can listen")
    }

    /// Both hear each other.
    #[track_caller]
    pub(crate) fn assert_they_talk(&mut self, a: Phone, b: Phone) {
        self.play(a, 440.0);
        self.play(b, 880.0);
        let (at_a, at_b) = (self.listen(a, 880.0), self.listen(b, 440.0));
        self.pass(Duration::from_secs(1));
        for (phone, listener) in [(a, at_a), (b, at_b)] {
            let heard = self.fleet(phone, |fleet, _, id| fleet.heard(id, listener));
            assert!(heard.is_some_and(|heard| heard.done), "{phone:?} hears the other");
        }
    }

    #[track_caller]
    pub(crate) fn until(&mut self, holds: impl Fn(&Town) -> bool) {
        let deadline = self.world.now() + Duration::from_secs(120);
        while !holds(self) {
            let more = self.world.step(deadline).expect("no more than it can bear");
            assert!(more, "it did not happen within two minutes");
        }
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.world.now() + span;
        self.world.run_until(until).expect("no more than it can bear");
    }
}
