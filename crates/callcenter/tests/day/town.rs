//! The server, the phones of agents and a crowd of callers in a simulated world.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use callwright_callcenter::{
    self as callcenter, AgentConfig, Auth, CallKey, Config, QueueConfig, Server, Store,
};
use callwright_sim::{CrashKind, Link, PartyId, World, WorldConfig};
use callwright_sip::endpoint::CallId;
use callwright_sip_message::Uri;
use callwright_wire::{
    Epoch, Input, Node, Output, PacketNode, Residue, Seed, SocketId, Tap, Time, Transport,
};

use crate::phone::{Phone, Plan, Said};
use crate::sound::Heard;
use crate::watched::{Log, Watched};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 250);
/// Who calls from outside.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 251);
/// How many of them at once can be heard.
const OUTSIDE_LINES: u32 = 500;
/// The same of an agent.
const AGENT_LINES: u32 = 4;
/// An address, so that nothing has to be looked up.
const DOMAIN: &str = "192.0.2.250";

/// Who takes part.
pub(crate) enum Party {
    /// The server, and how often it was touched.
    Server(Box<Server>, u64),
    Phone(Box<Phone>),
}

/// What a party told.
#[derive(Debug)]
pub(crate) enum News {
    /// It told something; what it means is in the log of its store.
    Server,
    /// It told the end of a call, and its cause.
    Over(CallKey, String),
    Phone(Said),
}

/// What a town is built of.
pub(crate) struct Plot {
    pub(crate) seed: Seed,
    pub(crate) agents: usize,
    pub(crate) queues: Vec<QueueConfig>,
    pub(crate) link: Link,
    /// The lifetime of a registration.
    pub(crate) expires: Duration,
    pub(crate) store: Box<dyn Store>,
    /// Whether the phones send and hear audio.
    pub(crate) sound: bool,
}

/// The town.
pub(crate) struct Town {
    pub(crate) world: World<Party>,
    pub(crate) log: Log,
    pub(crate) server: PartyId,
    pub(crate) crowd: PartyId,
    /// The phones of the agents, in their order.
    pub(crate) agents: Vec<PartyId>,
    pub(crate) config: Config,
    expires: Duration,
    seed: Seed,
    lives: u32,
    /// The store of a server that crashed.
    store: Option<Box<dyn Store>>,
    link: Link,
}

/// The name of an agent by its number.
pub(crate) fn agent_name(number: usize) -> String {
    format!("agent{number}")
}

/// The address of a user or queue.
pub(crate) fn address(user: &str) -> Uri {
    format!("sip:{user}@{DOMAIN}").parse().expect("an address")
}

/// The address of a caller from outside.
pub(crate) fn caller(number: usize) -> Uri {
    format!("sip:caller{number}@elsewhere.example.net")
        .parse()
        .expect("an address")
}

impl Town {
    /// A town where everybody is and nobody has registered.
    pub(crate) fn new(plot: Plot, adjust: impl FnOnce(&mut Config)) -> Town {
        let Plot {
            seed,
            agents,
            queues,
            link,
            expires,
            store,
            sound,
        } = plot;
        let mut world = World::new(WorldConfig::new(seed.derive("world")));
        world.set_default_link(link.clone());
        let mut config = Config::new(
            DOMAIN.parse().expect("a host"),
            Epoch::SIMULATED,
            seed.derive("machine"),
            seed.derive("nonces"),
        );
        config.listen = vec![(Transport::Udp, SocketAddr::from((SERVER, 5060)))];
        config.auth = Auth::None;
        let names = (0..agents).map(agent_name);
        config.users = names.clone().map(callwright_acd::User::open).collect();
        config.agents = names.map(AgentConfig::new).collect();
        config.queues = queues;
        adjust(&mut config);
        let log = Log::default();
        let host = world.add_host("server", SERVER).expect("a host");
        let watched: Box<dyn Store> = Box::new(Watched::new(store, log.clone()));
        let server = Server::new(Time::ZERO, config.clone(), watched).expect("settings that agree");
        let server = world.add(host, "server", Party::Server(Box::new(server), 0));
        let phone = |world: &mut World<Party>, name: &str, ip: Ipv4Addr, lines: u32| {
            let host = world.add_host(name, ip).expect("a host");
            let seed = seed.derive(name);
            let mut phone = Phone::new(Time::ZERO, name, DOMAIN, IpAddr::V4(ip), &seed);
            if sound {
                phone = phone.with_lines(lines, &seed);
            }
            world.add(host, name, Party::Phone(Box::new(phone)))
        };
        let crowd = phone(&mut world, "crowd", OUTSIDE, OUTSIDE_LINES);
        let agents = (0..agents)
            .map(|number| {
                let ip = Ipv4Addr::new(10, 0, (number / 200) as u8, (number % 200) as u8 + 1);
                phone(&mut world, &agent_name(number), ip, AGENT_LINES)
            })
            .collect();
        Town {
            world,
            log,
            server,
            crowd,
            agents,
            config,
            expires,
            seed,
            lives: 1,
            store: None,
            link,
        }
    }

    /// Shows every packet to `tap`.
    pub(crate) fn tap(&mut self, tap: Box<dyn Tap>) {
        self.world.set_tap(Some(tap));
    }

    pub(crate) fn now(&self) -> Time {
        self.world.now()
    }

    /// The server, unless it is down.
    pub(crate) fn server(&self) -> Option<&Server> {
        match self.world.node(self.server)? {
            Party::Server(server, _) => Some(server),
            Party::Phone(_) => None,
        }
    }

    pub(crate) fn with_server<R>(&mut self, use_it: impl FnOnce(&mut Server, Time) -> R) -> Option<R> {
        let used = self.world.with(self.server, |party, now| match party {
            Party::Server(server, moves) => {
                *moves += 1;
                Some(use_it(server, now))
            }
            Party::Phone(_) => None,
        });
        used.flatten()
    }

    /// How often anything was done with the server of this life, told by lives.
    pub(crate) fn moves(&self) -> u64 {
        let touched = match self.world.node(self.server) {
            Some(Party::Server(_, moves)) => *moves,
            Some(Party::Phone(_)) | None => 0,
        };
        u64::from(self.lives) << 40 | touched
    }

    /// Asks something of the server.
    pub(crate) fn command(&mut self, command: callcenter::Command) {
        self.with_server(|server, now| server.handle_input(now, Input::Command(command)));
    }

    pub(crate) fn phone(&self, party: PartyId) -> &Phone {
        match self.world.node(party) {
            Some(Party::Phone(phone)) => phone,
            Some(Party::Server(..)) | None => panic!("{party:?} is no phone"),
        }
    }

    pub(crate) fn with_phone<R>(&mut self, party: PartyId, use_it: impl FnOnce(&mut Phone, Time) -> R) -> R {
        let used = self.world.with(party, |party, now| match party {
            Party::Phone(phone) => Some(use_it(phone, now)),
            Party::Server(..) => None,
        });
        used.flatten().expect("a phone")
    }

    pub(crate) fn register(&mut self, agent: usize) {
        let expires = self.expires;
        self.with_phone(self.agents[agent], |phone, now| phone.register(now, expires));
    }

    pub(crate) fn unregister(&mut self, agent: usize) {
        self.with_phone(self.agents[agent], |phone, now| phone.unregister(now));
    }

    /// A caller from outside dials a queue or user.
    pub(crate) fn dial(&mut self, number: usize, to: &str, plan: Plan) -> Option<CallId> {
        self.with_phone(self.crowd, |phone, now| {
            phone.dial(now, &caller(number), &address(to), plan)
        })
    }

    /// What callers and agents heard in calls that are over; `None` in a town without audio.
    pub(crate) fn heard(&self) -> Option<Heard> {
        let phones = self.agents.iter().chain([&self.crowd]);
        let mut sum = Heard::default();
        for phone in phones {
            let heard = self.phone(*phone).heard()?;
            sum.span += heard.span;
            sum.packets += heard.packets;
            sum.lost += heard.lost;
        }
        Some(sum)
    }

    /// The server's process dies.
    pub(crate) fn crash(&mut self) {
        for (_, party) in self.world.crash(self.server, CrashKind::Process) {
            if let Party::Server(server, _) = party {
                self.store = Some(server.into_store());
            }
        }
    }

    /// It starts again, with what it had stored.
    pub(crate) fn restart(&mut self) {
        let Some(store) = self.store.take() else { return };
        self.lives += 1;
        let mut config = self.config.clone();
        let seed = self.seed.derive(&format!("life {}", self.lives));
        config.seed = seed.derive("machine");
        config.nonce_seed = seed.derive("nonces");
        let server = Server::new(self.now(), config, store).expect("it started before");
        let restarted = self
            .world
            .restart(self.server, Party::Server(Box::new(server), 0));
        assert!(restarted.is_ok(), "it was down");
    }

    /// From now on nothing is lost.
    pub(crate) fn heal(&mut self) {
        let link = Link::perfect(self.link.latency);
        self.world.set_every_link(link);
    }
}

impl Node for Party {
    type Command = callcenter::Command;
    type Event = News;

    fn handle_input(&mut self, now: Time, input: Input<callcenter::Command>) {
        match self {
            Party::Server(server, moves) => {
                *moves += 1;
                server.handle_input(now, input);
            }
            Party::Phone(phone) => {
                if let Ok(input) = input.of_world() {
                    phone.handle_input(now, input);
                }
            }
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        match self {
            Party::Server(server, moves) => {
                // Audio changes nothing that is decided.
                let audio = server
                    .poll_timeout()
                    .is_some_and(|(_, timer)| timer == "RTP packet interval");
                *moves += u64::from(!audio);
                server.handle_timeout(now);
            }
            Party::Phone(phone) => phone.handle_timeout(now),
        }
    }

    fn poll_output(&mut self) -> Option<Output<News>> {
        match self {
            Party::Server(server, _) => Some(server.poll_output()?.map_event(|event| match event {
                callcenter::Event::CallOver { call, cause } => News::Over(call, cause),
                _ => News::Server,
            })),
            Party::Phone(phone) => Some(phone.poll_output()?.map_event(News::Phone)),
        }
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        match self {
            Party::Server(server, _) => server.poll_timeout(),
            Party::Phone(phone) => phone.poll_timeout(),
        }
    }

    fn residue(&self) -> Residue {
        match self {
            Party::Server(server, _) => server.residue(),
            Party::Phone(phone) => phone.residue(),
        }
    }
}

impl PacketNode for Party {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        match self {
            Party::Server(server, _) => server.handle_packet(now, socket, from, packet),
            Party::Phone(phone) => phone.handle_packet(now, socket, from, packet),
        }
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        match self {
            Party::Server(server, _) => server.poll_transmit(now, buffer),
            Party::Phone(phone) => phone.poll_transmit(now, buffer),
        }
    }
}
