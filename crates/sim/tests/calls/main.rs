//! Whole calls between real user agents: the engines that also run in the real world.

mod edge;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callwright_sim::{Link, Loss, Nat, PartyId, World, WorldConfig};
use callwright_sip_message::Host;
use callwright_ua::{
    Account, Audio, Call, Fleet, FleetConfig, FleetEvent, ListenFor, LocalAddress, Phase, TraceLimits,
    UserAgent, UserAgentId,
};
use callwright_wire::{
    Carrier, Epoch, Fate, Input, Node, Output, PacketNode, Residue, Seed, SocketId, Tap, TapRecord, Time,
    Transport,
};
use edge::Edge;

/// Who takes part.
enum Someone {
    Phone(Box<Fleet>),
    Edge(Edge),
}

impl Node for Someone {
    type Command = std::convert::Infallible;
    type Event = Option<FleetEvent>;

    fn handle_input(&mut self, now: Time, input: Input<Self::Command>) {
        match self {
            Someone::Phone(fleet) => fleet.handle_input(now, input),
            Someone::Edge(edge) => edge.handle_input(now, input),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        if let Someone::Phone(fleet) = self {
            fleet.handle_timeout(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output<Self::Event>> {
        match self {
            Someone::Phone(fleet) => fleet.poll_output().map(|output| output.map_event(Some)),
            Someone::Edge(edge) => edge.outputs.pop_front().map(|output| output.map_event(|()| None)),
        }
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        match self {
            Someone::Phone(fleet) => fleet.poll_timeout(),
            Someone::Edge(_) => None,
        }
    }

    fn residue(&self) -> Residue {
        match self {
            Someone::Phone(fleet) => fleet.residue(),
            Someone::Edge(edge) => edge.residue(),
        }
    }
}

impl PacketNode for Someone {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        if let Someone::Phone(fleet) = self {
            fleet.handle_packet(now, socket, from, packet);
        }
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        match self {
            Someone::Phone(fleet) => fleet.poll_transmit(now, buffer),
            Someone::Edge(_) => None,
        }
    }

    fn clear_text(&self) -> Option<&[u8]> {
        match self {
            Someone::Phone(fleet) => fleet.clear_text(),
            Someone::Edge(_) => None,
        }
    }
}

/// A user agent in the world.
#[derive(Clone, Copy)]
struct Phone {
    party: PartyId,
    id: UserAgentId,
}

struct Town {
    world: World<Someone>,
    seed: Seed,
}

impl Town {
    fn new(seed: u64, link: Link) -> Self {
        let seed = Seed::from_number(seed);
        let mut world = World::new(WorldConfig::new(seed.clone()));
        world.set_default_link(link);
        Town { world, seed }
    }

    fn phone(&mut self, name: &str, ip: [u8; 4], account: Account) -> Phone {
        let host = self.world.add_host(name, ip).unwrap();
        self.phone_on(host, name, account)
    }

    fn phone_on(&mut self, host: callwright_sim::HostId, name: &str, account: Account) -> Phone {
        let config = FleetConfig {
            epoch: Epoch::SIMULATED,
            seed: self.seed.derive(name),
            key_seed: self.seed.derive("keys").derive(name),
            trace: TraceLimits::default(),
        };
        let mut fleet = Fleet::new(self.world.now(), config);
        let id = fleet.start(self.world.now(), name, account);
        let party = self.world.add(host, name, Someone::Phone(Box::new(fleet)));
        Phone { party, id }
    }

    fn fleet<R>(&mut self, phone: Phone, f: impl FnOnce(&mut Fleet, Time, UserAgentId) -> R) -> R {
        self.world
            .with(phone.party, |someone, now| match someone {
                Someone::Phone(fleet) => f(fleet, now, phone.id),
                Someone::Edge(_) => panic!("it is no phone"),
            })
            .expect("it is there")
    }

    fn user_agent(&self, phone: Phone) -> &UserAgent {
        match self.world.node(phone.party) {
            Some(Someone::Phone(fleet)) => fleet.user_agent(phone.id).expect("nobody removed it"),
            Some(Someone::Edge(_)) | None => panic!("it is no phone"),
        }
    }

    fn phase(&self, phone: Phone) -> Option<Phase> {
        self.user_agent(phone).calls().last().map(Call::phase)
    }

    #[track_caller]
    fn until(&mut self, holds: impl Fn(&Town) -> bool) {
        let deadline = self.world.now() + Duration::from_secs(60);
        while !holds(self) {
            assert!(
                self.world.step(deadline).unwrap(),
                "it did not happen within a minute"
            );
        }
    }

    fn pass(&mut self, span: Duration) {
        let until = self.world.now() + span;
        self.world.run_until(until).unwrap();
    }

    /// `a` calls `b`, both hear each other, and `a` hangs up: nothing is held when it is over.
    fn talk(&mut self, a: Phone, b: Phone, target: &str) {
        for (phone, hz) in [(a, 440.0), (b, 880.0)] {
            let tone = Audio::Tones { hz: vec![hz] };
            self.fleet(phone, |fleet, now, id| fleet.send_audio(now, id, None, tone))
                .unwrap();
        }
        self.fleet(a, |fleet, now, id| fleet.dial(now, id, target, &[], None))
            .unwrap();
        self.until(|town| town.phase(b) == Some(Phase::Ringing));
        self.fleet(b, |fleet, now, id| fleet.accept(now, id, None, None))
            .unwrap();
        let established = |town: &Town, phone| town.phase(phone) == Some(Phase::Established);
        self.until(|town| established(town, a) && established(town, b));
        self.hear(a, 880.0);
        self.hear(b, 440.0);
        self.fleet(a, |fleet, now, id| fleet.hangup(now, id, None, None))
            .unwrap();
        self.until(|town| town.phase(b) == Some(Phase::Ended));
        self.pass(Duration::from_secs(64));
        let residue = self.world.residue();
        let nothing = Residue {
            // What a user agent keeps as long as it lives.
            sockets: residue.sockets,
            connections: residue.connections,
            timers: residue.timers,
            ..Residue::default()
        };
        assert_eq!(residue, nothing);
    }

    #[track_caller]
    fn hear(&mut self, phone: Phone, hz: f64) {
        let what = ListenFor::Tone { hz };
        let listener = self
            .fleet(phone, |fleet, now, id| fleet.listen(now, id, None, what))
            .unwrap();
        self.until(|town| match town.world.node(phone.party) {
            Some(Someone::Phone(fleet)) => fleet.heard(phone.id, listener).is_some_and(|heard| heard.done),
            Some(Someone::Edge(_)) | None => false,
        });
    }
}

fn account(name: &str, transport: Transport) -> Account {
    let mut account = Account::new(name, Host::V4(Ipv4Addr::new(192, 0, 2, 250)));
    account.transport = transport;
    account
}

/// Two phones that call each other without anybody between.
fn neighbours(seed: u64, transport: Transport, link: Link) -> (Town, Phone, Phone) {
    let mut town = Town::new(seed, link);
    let a = town.phone("alice", [192, 0, 2, 1], account("alice", transport));
    let b = town.phone("bob", [192, 0, 2, 2], account("bob", transport));
    (town, a, b)
}

fn lossy() -> Link {
    Link {
        jitter: Duration::from_millis(5),
        loss: Loss::Uniform(0.05),
        ..Link::perfect(Duration::from_millis(20))
    }
}

#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<TapRecord>>>);

impl Tap for Records {
    fn record(&mut self, record: TapRecord) {
        self.0.lock().unwrap().push(record);
    }
}

#[test]
fn two_phones_talk_over_udp() {
    let (mut town, a, b) = neighbours(1, Transport::Udp, Link::default());
    let target = town.user_agent(b).contact().unwrap().to_string();
    town.talk(a, b, &target);
    let residue = town.world.residue();
    let sockets = Residue {
        sockets: residue.sockets,
        ..Residue::default()
    };
    assert_eq!(residue, sockets, "datagrams leave neither connections nor timers");
}

#[test]
fn two_phones_talk_over_a_network_that_loses_five_percent_by_sending_again() {
    let mut lost = 0;
    for seed in 0..20 {
        let (mut town, a, b) = neighbours(seed, Transport::Udp, lossy());
        let records = Records::default();
        town.world.set_tap(Some(Box::new(records.clone())));
        let target = town.user_agent(b).contact().unwrap().to_string();
        town.talk(a, b, &target);
        let records = records.0.lock().unwrap();
        let is_sip = |record: &&TapRecord| record.bytes.windows(7).any(|part| part == b"SIP/2.0");
        lost += records
            .iter()
            .filter(is_sip)
            .filter(|record| record.fate == Fate::Lost)
            .count();
    }
    assert!(lost > 0, "of the signalling, too");
}

#[test]
fn two_phones_talk_over_tcp() {
    let (mut town, a, b) = neighbours(1, Transport::Tcp, lossy());
    let target = town.user_agent(b).contact().unwrap().to_string();
    town.talk(a, b, &target);
}

#[test]
fn two_phones_talk_over_tls_by_way_of_a_proxy_that_they_know_by_name() {
    let mut town = Town::new(1, lossy());
    let host = town.world.add_host("edge", [192, 0, 2, 250]).unwrap();
    town.world.zone().add_address("example.com", [192, 0, 2, 250]);
    let local = SocketAddr::from(([192, 0, 2, 250], 5_061));
    town.world.add(host, "edge", Someone::Edge(Edge::new(local)));
    let account = |name: &str| {
        let mut account = Account::new(name, "example.com".parse().unwrap());
        account.transport = Transport::Tls;
        account
    };
    let a = town.phone("alice", [192, 0, 2, 1], account("alice"));
    let b = town.phone("bob", [192, 0, 2, 2], account("bob"));
    let records = Records::default();
    town.world.set_tap(Some(Box::new(records.clone())));
    // They come up when the name of their domain is resolved.
    town.pass(Duration::from_secs(1));
    for phone in [a, b] {
        town.fleet(phone, |fleet, now, id| fleet.register(now, id, None))
            .unwrap();
        town.until(|town| town.user_agent(phone).registration().registered);
    }
    town.talk(a, b, "bob");
    let records = records.0.lock().unwrap();
    let signalling = records
        .iter()
        .filter(|record| record.bytes.windows(7).any(|part| part == b"SIP/2.0"));
    assert!(
        signalling
            .map(|record| record.carrier)
            .all(|carrier| carrier == Carrier::TlsClear)
    );
}

#[test]
fn a_phone_behind_a_nat_calls_one_outside_and_is_heard() {
    let mut town = Town::new(1, Link::default());
    let nat = town
        .world
        .add_nat("home", [203, 0, 113, 1], Nat::default())
        .unwrap();
    let home = town.world.add_host_behind(nat, "alice", [10, 0, 0, 2]).unwrap();
    let mut alice = account("alice", Transport::Udp);
    alice.local = Some(LocalAddress::Socket(SocketAddr::from(([10, 0, 0, 2], 5_060))));
    let a = town.phone_on(home, "alice", alice);
    let b = town.phone("bob", [192, 0, 2, 2], account("bob", Transport::Udp));
    let target = town.user_agent(b).contact().unwrap().to_string();
    let tone = Audio::Tones { hz: vec![440.0] };
    town.fleet(a, |fleet, now, id| fleet.send_audio(now, id, None, tone))
        .unwrap();
    town.fleet(a, |fleet, now, id| fleet.dial(now, id, &target, &[], None))
        .unwrap();
    town.until(|town| town.phase(b) == Some(Phase::Ringing));
    town.fleet(b, |fleet, now, id| fleet.accept(now, id, None, None))
        .unwrap();
    town.until(|town| town.phase(a) == Some(Phase::Established));
    town.hear(b, 440.0);
}

#[test]
fn the_same_seed_gives_the_same_call() {
    let call = |seed| {
        let (mut town, a, b) = neighbours(seed, Transport::Udp, lossy());
        let records = Records::default();
        town.world.set_tap(Some(Box::new(records.clone())));
        let target = town.user_agent(b).contact().unwrap().to_string();
        town.talk(a, b, &target);
        let records = records.0.lock().unwrap();
        format!("{records:?}")
    };
    assert!(call(5) == call(5));
    assert!(call(5) != call(6));
}
