//! The real world: our own user agents over real sockets, real HTTP, the real clock.

mod callcenter;
mod capture;
mod network;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use callwright_events::Health;
use callwright_net as net;
use callwright_ua as ua;
use callwright_wire::link::Link;
use callwright_wire::{Epoch, Seed, Tap, Time, Transport};

use crate::embedded::{EmbeddedPhone, Home, PhoneId, Recorder, Routes, account, check_version, started};
use crate::http;
use crate::member::{Member, MemberEvent};
use crate::phone::{Phone, PhoneSpec};
use crate::world::{NetworkError, STACK, Site, StartError, Task, Topic, Topics, Version, Wake, World};

use callcenter::Servers;
pub use callcenter::{Callcenter, CallcenterError};
pub use capture::{Capture, CaptureError};
use network::{Asked, Links};

/// Settings of a real world.
#[derive(Clone, Debug, Default)]
pub struct RealConfig {
    /// The seed of tags, branches, Call-IDs and SSRCs. Keys come from the operating system.
    pub seed: u64,
    /// Settings of the network.
    pub net: net::WorldConfig,
}

/// The real world.
pub struct RealWorld {
    shared: Arc<Shared>,
    links: Arc<Links>,
    /// Whether the network loop asks them.
    asked: Mutex<bool>,
}

/// What the world and its phones share.
pub(crate) struct Shared {
    net: net::World<Member>,
    party: net::PartyId,
    seed: Seed,
    topics: Arc<Topics>,
    routes: Arc<Routes>,
    callcenters: Arc<Servers>,
    recorder: Recorder,
    servers: http::Servers,
    requests: http::Requests,
}

impl Home for Arc<Shared> {
    fn fleet<R>(&self, use_it: impl FnOnce(&mut ua::Fleet, Time) -> R) -> R {
        let used = self.net.with(self.party, |member, now| {
            member.phones_mut().map(|fleet| use_it(fleet, now))
        });
        match used.flatten() {
            Some(result) => result,
            // It was added when the world was made, and nobody takes it out.
            None => unreachable!("the fleet lives as long as its world"),
        }
    }

    fn routes(&self) -> &Routes {
        &self.routes
    }

    fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    fn check_route(&self, from: IpAddr, to: IpAddr) -> Result<(), String> {
        check_version(from, to)?;
        // udp(7): connecting looks up the route and sends nothing.
        UdpSocket::bind((from, 0))
            .and_then(|socket| socket.connect((to, 5060)))
            .map_err(|error| format!("from {from}: {error}"))
    }
}

impl RealWorld {
    /// Starts a world without phones.
    ///
    /// # Errors
    ///
    /// When the system gives no event queue or no thread.
    pub fn start(config: RealConfig) -> Result<Arc<Self>, net::StartError> {
        let topics = Arc::new(Topics::default());
        let routes = Arc::new(Routes::new(topics.clone()));
        let callcenters = Arc::new(Servers::new(topics.clone()));
        let (of_phones, of_servers) = (routes.clone(), callcenters.clone());
        let net = net::World::start(config.net, move |party, now, event| match event {
            MemberEvent::Phones(event) => of_phones.take(now, PhoneId(event.user_agent.0), event.change),
            MemberEvent::Server(event) => of_servers.take(party, now, event),
        })?;
        let seed = Seed::from_number(config.seed);
        let fleet = ua::Fleet::new(
            net.now(),
            ua::FleetConfig {
                epoch: net.epoch(),
                seed: seed.derive("fleet"),
                key_seed: Seed::from_bytes(os_random()),
                trace: ua::TraceLimits::default(),
            },
        );
        let party = net.add("callwright", fleet.into());
        let shared = Shared {
            net,
            party,
            seed,
            topics,
            routes,
            callcenters,
            recorder: Recorder::default(),
            servers: http::Servers::default(),
            requests: http::Requests::default(),
        };
        let links = Links::new(
            Seed::from_number(config.seed).derive("links"),
            shared.routes.addresses().clone(),
        );
        Ok(Arc::new(RealWorld {
            shared: Arc::new(shared),
            links: Arc::new(links),
            asked: Mutex::new(false),
        }))
    }

    /// Shows every packet to `tap` from now on.
    pub fn set_tap(&self, tap: Option<Box<dyn Tap>>) -> Option<Box<dyn Tap>> {
        self.shared.net.set_tap(tap)
    }

    /// A server of this process, by its name, sends from this address and is reached there: links to it are links of its
    /// own ([`Site::Server`]).
    pub fn server_address(&self, name: &str, transport: Transport, address: SocketAddr) {
        self.links.insert_server(name, transport, address);
    }

    /// How well the network loop does, in full.
    pub fn net_health(&self) -> net::Health {
        self.shared.net.health()
    }

    /// Lets the network loop ask for links while there are any: without, packets pass it as ever.
    fn ask_for_links(&self) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = !self.links.is_idle();
        if *asked != wanted {
            let shaper = wanted.then(|| Box::new(Asked(self.links.clone())) as Box<dyn net::Shaper>);
            self.shared.net.set_shaper(shaper);
            *asked = wanted;
        }
    }

    /// Uses the fleet under the world's lock: it must not block.
    pub fn with_fleet<R>(&self, use_it: impl FnOnce(&mut ua::Fleet, Time) -> R) -> R {
        self.shared.fleet(use_it)
    }
}

/// 32 bytes of the operating system's randomness.
fn os_random() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    bytes[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    bytes
}

impl World for RealWorld {
    fn now(&self) -> Time {
        self.shared.net.now()
    }

    fn epoch(&self) -> Epoch {
        self.shared.net.epoch()
    }

    fn random(&self) -> [u8; 16] {
        uuid::Uuid::new_v4().into_bytes()
    }

    fn new_topic(&self) -> Topic {
        self.shared.topics.open()
    }

    fn touch(&self, topic: Topic) {
        self.shared.topics.touch(topic);
    }

    fn version(&self, topic: Topic) -> Version {
        self.shared.topics.version(topic)
    }

    fn wait(&self, reads: &[(Topic, Version)], until: Time) -> Wake {
        self.shared.topics.wait(reads, until.since(self.now()))
    }

    fn run_tasks(&self, tasks: Vec<Task<'_>>) {
        thread::scope(|scope| {
            let running: Vec<_> = tasks
                .into_iter()
                .map(|task| {
                    let spawned = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, task);
                    spawned.expect("the system gives a thread")
                })
                .collect();
            let panics: Vec<_> = running.into_iter().filter_map(|task| task.join().err()).collect();
            if let Some(panic) = panics.into_iter().next() {
                std::panic::resume_unwind(panic);
            }
        });
    }

    fn phone(&self, spec: PhoneSpec) -> Result<Arc<dyn Phone>, StartError> {
        let name = spec.name.clone();
        let account = account(spec)?;
        let domain = account.domain.to_string();
        let proxied = account.outbound.is_some();
        let id = self.shared.fleet(|fleet, now| {
            let id = fleet.start(now, &name, account);
            self.shared.routes.addresses().name(PhoneId(id.0), name);
            id
        });
        let number = PhoneId(id.0);
        // From here on the phone gives back what it holds, however this ends.
        let phone = Arc::new(EmbeddedPhone::new(self.shared.clone(), number, id, proxied));
        started(self, &self.shared.routes, number, domain)?;
        Ok(phone)
    }

    fn listen(
        &self,
        port: Option<u16>,
        service: Arc<dyn http::Service>,
    ) -> Result<Box<dyn http::Listener>, http::ListenError> {
        self.shared.servers.listen(port, service)
    }

    fn http(
        &self,
        request: &http::Request,
        end: &[(Topic, Version)],
    ) -> Result<http::Response, http::RequestError> {
        self.shared.requests.send(request, end, &self.shared.topics)
    }

    fn network(
        &self,
        agents: &[u32],
        between: Option<(&Site, &Site)>,
        link: Link,
    ) -> Result<(), NetworkError> {
        self.links.set(agents, between, link)?;
        self.ask_for_links();
        Ok(())
    }

    fn partition(&self, a: &Site, b: &Site) -> Result<(), NetworkError> {
        self.links.cut(a, b)?;
        self.ask_for_links();
        Ok(())
    }

    fn heal(&self, agents: &[u32]) -> Result<(), NetworkError> {
        self.links.heal(agents);
        self.ask_for_links();
        Ok(())
    }

    fn restore_network(&self, agents: &[u32]) {
        self.links.forget(agents);
        self.ask_for_links();
    }

    fn crash(&self, _server: &str) -> Result<(), NetworkError> {
        Err(NetworkError::OnlySimulated {
            what: "crash",
            why: "a real server is stopped by whoever runs it",
        })
    }

    fn restart(&self, _server: &str) -> Result<(), NetworkError> {
        Err(NetworkError::OnlySimulated {
            what: "restart",
            why: "a real server is started by whoever runs it",
        })
    }

    fn can_advance(&self) -> Result<(), NetworkError> {
        Err(NetworkError::OnlySimulated {
            what: "advance",
            why: "real time passes as it does; wait(…) waits for it",
        })
    }

    fn lateness_p99_ms(&self, since: Time) -> Option<f64> {
        let lateness = self.shared.fleet(|fleet, _| fleet.lateness_since(since));
        (lateness.count() > 0).then(|| lateness.p99().as_secs_f64() * 1000.0)
    }

    fn health(&self) -> Health {
        let ms = |span: Duration| span.as_secs_f64() * 1000.0;
        let net = self.shared.net.health();
        self.shared.fleet(|fleet, _| {
            let lateness = fleet.lateness();
            let sent = lateness.count() > 0;
            Health {
                lateness_p99_ms: sent.then(|| ms(lateness.p99())),
                lateness_max_ms: sent.then(|| ms(lateness.max())),
                receive_drops: net.receive_drops,
                packets_skipped: fleet.skipped_packets(),
                malformed_messages: fleet.malformed_messages(),
                receive_buffer_bytes: (net.receive_buffer_given > 0).then_some(net.receive_buffer_given),
                open_file_limit: Some(net.open_files_limit),
            }
        })
    }
}
