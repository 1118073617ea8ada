//! The simulated world: our own user agents and servers in virtual time, on a network that its seed decides.
//!
//! Each phone and each server is on a host of its own. They share their loopback addresses, as the processes of one
//! machine do, so that scenarios written for the real world find each other; what a link does to a packet is decided by who
//! sends it and who receives it. By default a packet takes 10 ms, and nothing is lost.

mod baton;
#[cfg(feature = "fake")]
mod broken;
mod conditions;
mod http;
mod observer;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use callwright_capture::rules::Disturbance;
use callwright_events::Health;
use callwright_sim as sim;
use callwright_ua as ua;
use callwright_wire::link::Link;
use callwright_wire::{Entropy, Epoch, Node as _, Residue, Seed, Tap, Time};

use crate::Interrupt;
use crate::embedded::{
    Changes as _, EmbeddedPhone, Home, PhoneId, Recorder, Routes, account, check_version, started,
};
use crate::member::{Member, MemberEvent};
use crate::phone::{Phone, PhoneSpec};
use crate::world::{NetworkError, STACK, Site, StartError, Task, Topic, Version, Wake, World};

use baton::{Baton, Clockwork, TaskId};
use http::Ports;
use observer::Seen;
use server::Placed;

#[cfg(feature = "fake")]
pub use broken::Breaking;
#[cfg(feature = "fake")]
pub use broken::Broken;
pub(crate) use observer::Observing;
pub use observer::{Episode, SimulatedCapture};
pub use server::{ServerError, ServerPlan};

/// The addresses of hosts begin behind this one: from a range that is private (RFC 1918).
const FIRST_ADDRESS: u32 = u32::from_be_bytes([10, 0, 0, 0]);

/// How long agents may take to hang up and unregister: a request without an answer, and the one behind it (RFC 3261
/// §17.1.2.2: 64·T1 each).
const PATIENCE: Duration = Duration::from_secs(70);

/// Settings of a simulated world.
#[derive(Clone, Debug)]
pub struct SimulatedConfig {
    /// The seed of everything that happens by chance.
    pub seed: Seed,
    /// The calendar time of its beginning.
    pub epoch: Epoch,
    /// Raised from outside: the run is to end.
    pub interrupt: Arc<AtomicBool>,
    /// Its servers.
    pub servers: Vec<ServerPlan>,
    /// What is done to packets from the beginning; `None` does nothing.
    pub link: Option<Link>,
    /// What every phone does wrong.
    #[cfg(feature = "fake")]
    pub broken: Option<Broken>,
}

/// A simulated world. The thread that makes it is its first task.
pub struct SimulatedWorld {
    shared: Arc<Shared>,
}

/// What the world, its phones and its tasks share.
struct Shared {
    core: Mutex<Core>,
    /// Nanoseconds: the clock, to be read without a lock.
    now: AtomicU64,
    epoch: Epoch,
    seed: Seed,
    baton: Arc<Baton>,
    routes: Routes,
    recorder: Recorder,
    ports: Arc<Ports>,
    #[cfg(feature = "fake")]
    broken: Option<Broken>,
    interrupt: Arc<AtomicBool>,
    /// Threads that answer requests.
    answering: Mutex<Vec<(TaskId, JoinHandle<()>)>>,
    /// What looks at every packet.
    seen: Mutex<Option<Arc<Mutex<Seen>>>>,
}

struct Core {
    world: sim::World<Member>,
    random: Entropy,
    hosts: u32,
    /// How many phones of a name there were.
    names: BTreeMap<String, u32>,
    /// Why the world cannot go on.
    trouble: Option<String>,
    /// The interrupt was noticed.
    interrupted: bool,
    on_interrupt: Option<Topic>,
    /// The phones that were started.
    phones: Vec<(sim::PartyId, ua::UserAgentId)>,
    /// The hosts of phones.
    places: BTreeMap<sim::PartyId, sim::HostId>,
    /// How packets travel from the beginning.
    first_link: Link,
    /// How long a packet takes where nothing else was said.
    latency: Duration,
    /// The pairs for which something else was said.
    linked: BTreeSet<(sim::HostId, sim::HostId)>,
    servers: Vec<Placed>,
    /// The last thing that a server could not bind.
    refused: Option<String>,
}

impl SimulatedWorld {
    /// A world without phones, at time zero; its servers listen.
    ///
    /// # Errors
    /// When a server does not start.
    pub fn new(config: SimulatedConfig) -> Result<Arc<Self>, ServerError> {
        let baton = Arc::new(Baton::new());
        let mut world = sim::World::new(sim::WorldConfig {
            shared_loopback: true,
            ..sim::WorldConfig::new(config.seed.derive("network"))
        });
        let first_link = conditions::of_this_world(config.link.unwrap_or(Link::perfect(Duration::ZERO)));
        world.set_default_link(first_link.clone());
        let core = Core {
            world,
            random: config.seed.derive("random").stream(),
            hosts: 0,
            names: BTreeMap::new(),
            trouble: None,
            interrupted: false,
            on_interrupt: None,
            phones: Vec::new(),
            places: BTreeMap::new(),
            latency: first_link.latency,
            first_link,
            linked: BTreeSet::new(),
            servers: Vec::new(),
            refused: None,
        };
        let servers = config.servers;
        let world = Arc::new(SimulatedWorld {
            shared: Arc::new(Shared {
                core: Mutex::new(core),
                now: AtomicU64::new(0),
                epoch: config.epoch,
                seed: config.seed,
                routes: Routes::new(baton.clone()),
                baton,
                recorder: Recorder::patient(),
                ports: Arc::default(),
                #[cfg(feature = "fake")]
                broken: config.broken,
                interrupt: config.interrupt,
                answering: Mutex::default(),
                seen: Mutex::default(),
            }),
        });
        world.start_servers(servers)?;
        Ok(world)
    }

    /// Shows every packet to `tap` from now on.
    pub fn set_tap(&self, tap: Option<Box<dyn Tap>>) -> Option<Box<dyn Tap>> {
        self.shared.core().world.set_tap(tap)
    }

    /// The name of a party, as taps number them.
    pub fn name(&self, party: u32) -> Option<Arc<str>> {
        self.shared.core().world.name(sim::PartyId(party))
    }

    /// Lets an interrupt of the run end what waits here.
    pub(crate) fn watch(&self, interrupt: &Interrupt) {
        self.shared.core().on_interrupt = Some(interrupt.topic());
    }

    /// How far its clock went.
    pub(crate) fn elapsed(&self) -> Duration {
        self.shared.core().world.now().since(Time::ZERO)
    }

    /// Why the world could not go on: time stands still then, and every wait is over at once.
    pub fn trouble(&self) -> Option<String> {
        self.shared.core().trouble.clone()
    }

    /// Lets time pass until nobody is busy any more, but at most so long; then takes the phones out, and gives back what each
    /// party still holds.
    pub fn run_out(&self, span: Duration) -> Vec<(u32, String, Residue)> {
        let until = self.now() + span;
        loop {
            let left = self.shared.core().residues();
            let now = self.now();
            // A phone keeps its sockets for SIP while it is there.
            let is_busy = left.iter().any(|(_, _, residue)| {
                let beside = Residue {
                    sockets: 0,
                    ..*residue
                };
                beside != Residue::default()
            });
            if !is_busy {
                break;
            }
            if now >= until {
                return left;
            }
            let next = self.shared.core().world.next_event();
            let until = next.map_or(until, |next| next.max(now + Duration::from_millis(1)).min(until));
            self.wait(&[], until);
        }
        self.shared.with(|core| {
            for (party, id) in std::mem::take(&mut core.phones) {
                core.world.with(party, |member, now| {
                    if let Some(fleet) = member.phones_mut() {
                        fleet.remove(now, id);
                    }
                });
            }
        });
        self.shared.core().residues()
    }
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }

    /// Uses the world, and gives on what came out of it.
    fn with<R>(&self, use_it: impl FnOnce(&mut Core) -> R) -> R {
        let mut core = self.core();
        let result = use_it(&mut core);
        self.give_on(&mut core);
        result
    }

    fn give_on(&self, core: &mut Core) {
        while let Some((party, at, event)) = core.world.poll_event() {
            match event {
                MemberEvent::Phones(event) => self.routes.take(at, PhoneId(party.0), event.change),
                MemberEvent::Server(_) => core.hear(event),
            }
        }
    }

    /// Tells what looks at every packet that something was done on purpose.
    fn disturbed(&self, disturbance: Disturbance) {
        if let Some(seen) = &*lock(&self.seen) {
            lock(seen).disturbed(Clockwork::now(self), disturbance);
        }
    }

    fn latency(&self) -> Duration {
        self.core().latency
    }
}

impl Core {
    fn add_host(&mut self, name: &str) -> Result<(String, sim::HostId), StartError> {
        let count = self.names.entry(name.to_owned()).or_insert(0);
        *count += 1;
        let name = match *count {
            1 => name.to_owned(),
            more => format!("{name} ({more})"),
        };
        self.hosts += 1;
        let ip = Ipv4Addr::from_bits(FIRST_ADDRESS + self.hosts);
        let host = self
            .world
            .add_host(&name, ip)
            .map_err(|error| StartError::BadValue {
                key: "name",
                detail: error.to_string(),
            })?;
        Ok((name, host))
    }

    fn residues(&self) -> Vec<(u32, String, Residue)> {
        (0..)
            .map(sim::PartyId)
            .map_while(|party| Some((party, self.world.name(party)?)))
            .filter_map(|(party, name)| {
                let residue = self.world.node(party)?.residue();
                Some((party.0, name.to_string(), residue))
            })
            .collect()
    }
}

impl Clockwork for Shared {
    fn now(&self) -> Time {
        Time::from_nanos(self.now.load(Ordering::SeqCst))
    }

    fn pass(&self, limit: Time, moved: &AtomicBool) -> bool {
        let mut core = self.core();
        let core = &mut *core;
        loop {
            if !core.interrupted && self.interrupt.load(Ordering::Relaxed) {
                core.interrupted = true;
                if let Some(topic) = core.on_interrupt {
                    self.baton.touch(topic);
                }
            }
            if moved.load(Ordering::SeqCst) {
                return true;
            }
            if core.trouble.is_some() || limit == Time::NEVER && core.world.next_event().is_none() {
                return false;
            }
            match core.world.step(limit) {
                Ok(true) => {
                    self.now.store(core.world.now().as_nanos(), Ordering::SeqCst);
                    self.give_on(core);
                }
                Ok(false) => {
                    self.now.store(core.world.now().as_nanos(), Ordering::SeqCst);
                    return true;
                }
                Err(error) => {
                    core.trouble = Some(error.to_string());
                    self.now.store(Time::NEVER.as_nanos(), Ordering::SeqCst);
                    return false;
                }
            }
        }
    }
}

impl World for SimulatedWorld {
    fn now(&self) -> Time {
        if self.shared.baton.is_closing() {
            return Time::NEVER;
        }
        Clockwork::now(&*self.shared)
    }

    fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.shared.core().random.fill(&mut bytes);
        bytes
    }

    fn new_topic(&self) -> Topic {
        self.shared.baton.open()
    }

    fn touch(&self, topic: Topic) {
        self.shared.baton.touch(topic);
    }

    fn version(&self, topic: Topic) -> Version {
        self.shared.baton.version(topic)
    }

    fn wait(&self, reads: &[(Topic, Version)], until: Time) -> Wake {
        self.shared.baton.wait(reads, until, &*self.shared)
    }

    fn run_tasks(&self, tasks: Vec<Task<'_>>) {
        let shared = &*self.shared;
        let mut tasks = tasks;
        if tasks.len() == 1
            && let Some(task) = tasks.pop()
        {
            task();
            return;
        }
        thread::scope(|scope| {
            let running: Vec<_> = tasks
                .into_iter()
                .map(|task| {
                    let number = shared.baton.number();
                    let body = move || shared.baton.run(number, shared, task);
                    let spawned = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, body);
                    match &spawned {
                        Ok(thread) => {
                            let now = Clockwork::now(shared);
                            shared.baton.started(number, thread.thread(), now);
                        }
                        Err(_) => shared.baton.not_started(number),
                    }
                    (number, spawned)
                })
                .collect();
            let numbers: Vec<TaskId> = running.iter().map(|(number, _)| *number).collect();
            shared.baton.join(&numbers, shared);
            let panics: Vec<_> = running
                .into_iter()
                .filter_map(|(_, task)| match task {
                    Ok(task) => task.join().err(),
                    Err(error) => Some(Box::new(format!("the system gives no thread: {error}")) as _),
                })
                .collect();
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
        let shared = &self.shared;
        let (party, id) = shared.with(|core| {
            let (name, host) = core.add_host(&name)?;
            let now = core.world.now();
            let config = ua::FleetConfig {
                epoch: shared.epoch,
                seed: shared.seed.derive("phones").derive(&name),
                key_seed: shared.seed.derive("keys").derive(&name),
                trace: ua::TraceLimits::default(),
            };
            let mut fleet = ua::Fleet::new(now, config);
            let id = fleet.start(now, &name, account);
            let member = Member::from(fleet);
            #[cfg(feature = "fake")]
            let member = member.broken(shared.broken);
            let party = core.world.add(host, &name, member);
            core.places.insert(party, host);
            core.phones.push((party, id));
            Ok::<_, StartError>((party, id))
        })?;
        let number = PhoneId(party.0);
        let home = Seat {
            shared: shared.clone(),
            party,
        };
        // From here on the phone gives back what it holds, however this ends.
        let phone = Arc::new(EmbeddedPhone::new(home, number, id, proxied));
        started(self, &shared.routes, number, domain)?;
        Ok(phone)
    }

    fn listen(
        &self,
        port: Option<u16>,
        service: Arc<dyn crate::http::Service>,
    ) -> Result<Box<dyn crate::http::Listener>, crate::http::ListenError> {
        self.shared.ports.listen(port, service)
    }

    fn http(
        &self,
        request: &crate::http::Request,
        end: &[(Topic, Version)],
    ) -> Result<crate::http::Response, crate::http::RequestError> {
        let until = self.now() + request.timeout;
        crate::http::follow(request, |request| self.exchange(request, until, end))
    }

    fn network(
        &self,
        agents: &[u32],
        between: Option<(&Site, &Site)>,
        link: Link,
    ) -> Result<(), NetworkError> {
        self.set_links(agents, between, link)
    }

    fn partition(&self, a: &Site, b: &Site) -> Result<(), NetworkError> {
        self.cut(a, b)
    }

    fn heal(&self, _agents: &[u32]) -> Result<(), NetworkError> {
        self.heal_all();
        Ok(())
    }

    fn restore_network(&self, _agents: &[u32]) {
        self.heal_all();
        self.restore_links();
    }

    fn crash(&self, server: &str) -> Result<(), NetworkError> {
        Ok(self.crash_server(server)?)
    }

    fn restart(&self, server: &str) -> Result<(), NetworkError> {
        Ok(self.restart_server(server)?)
    }

    fn can_advance(&self) -> Result<(), NetworkError> {
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.shared.baton.is_closing()
    }

    /// Virtual time costs nothing: everything may take what it takes by the RFCs.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn health(&self) -> Health {
        Health::default()
    }
}

/// Where a phone of this world lives.
struct Seat {
    shared: Arc<Shared>,
    party: sim::PartyId,
}

impl Home for Seat {
    fn fleet<R>(&self, use_it: impl FnOnce(&mut ua::Fleet, Time) -> R) -> R {
        let used = self.shared.with(|core| {
            let used = core
                .world
                .with(self.party, |member, now| Some(use_it(member.phones_mut()?, now)));
            used.flatten()
        });
        match used {
            Some(result) => result,
            // It was added with the phone, and only the phone takes it out.
            None => unreachable!("the fleet lives as long as its phone"),
        }
    }

    fn routes(&self) -> &Routes {
        &self.shared.routes
    }

    fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    fn check_route(&self, from: IpAddr, to: IpAddr) -> Result<(), String> {
        check_version(from, to)
    }

    fn writes_messages(&self) {
        if let Some(seen) = &*lock(&self.shared.seen) {
            lock(seen).exempt(self.party.0);
        }
    }

    /// It stays where it is until its world ends: what it leaves behind is to be seen.
    fn leave(&self, _id: ua::UserAgentId) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
