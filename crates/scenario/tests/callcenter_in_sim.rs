//! The call center in the simulated world: the server as users run it, phones that are real user agents, virtual time.

use std::path::Path;
use std::time::Duration;

use callwright_callcenter::{Event, Fact, Kept, ModelStore, Server, Settings, SqliteStore, Store};
use callwright_scenario::{Member, MemberEvent};
use callwright_sim::{CrashKind, Link, PartyId, World, WorldConfig};
use callwright_ua::{
    Account, Audio, Fleet, FleetConfig, ListenFor, Phase, TraceLimits, UserAgent, UserAgentId,
};
use callwright_wire::{Epoch, Input, Node as _, Residue, Seed, Time, Transport};

const LATENCY: Duration = Duration::from_millis(1);

const SETTINGS: &str = r#"
domain = "callcenter.test"
[listen]
udp = "192.0.2.250:5060"
tcp = "192.0.2.250:5060"
[[user]]
name = "alice"
password = "alicepw"
[[user]]
name = "bob"
password = "bobpw"
"#;

/// The same, with two agents, of whom each takes the calls of a queue.
const QUEUES: &str = r#"
domain = "callcenter.test"
[listen]
udp = "192.0.2.250:5060"
[[user]]
name = "alice"
password = "alicepw"
agent = true
[[user]]
name = "bob"
password = "bobpw"
agent = true
[[queue]]
name = "support"
members = ["alice"]
[[queue]]
name = "second"
members = ["bob"]
"#;

/// A server and phones, each on a host of its own.
struct Lab {
    settings: &'static str,
    /// What a server that crashed had stored.
    store: Option<Box<dyn Store>>,
    world: World<Member>,
    server: PartyId,
    events: Vec<Event>,
}

#[derive(Clone, Copy)]
struct Phone {
    party: PartyId,
    id: UserAgentId,
}

fn server(now: Time, store: impl Into<Box<dyn Store>>) -> Server {
    server_with(SETTINGS, now, store)
}

fn server_with(settings: &str, now: Time, store: impl Into<Box<dyn Store>>) -> Server {
    let settings = Settings::parse(Path::new("callcenter.toml"), settings).expect("settings");
    let seed = Seed::from_number(7);
    let config = settings.config(Epoch::SIMULATED, seed.derive("server"), seed.derive("nonces"));
    Server::new(now, config, store).expect("it agrees with itself")
}

impl Lab {
    fn new() -> Lab {
        Lab::with_store(ModelStore::new(Seed::from_number(7)))
    }

    fn with_store(store: impl Into<Box<dyn Store>>) -> Lab {
        Lab::with(SETTINGS, store)
    }

    fn with(settings: &'static str, store: impl Into<Box<dyn Store>>) -> Lab {
        let mut world = World::new(WorldConfig::new(Seed::from_number(7)));
        world.set_default_link(Link::perfect(LATENCY));
        let host = world.add_host("server", [192, 0, 2, 250]).expect("a host");
        let node = server_with(settings, Time::ZERO, store);
        let server = world.add(host, "callcenter", node.into());
        let mut lab = Lab {
            settings,
            store: None,
            world,
            server,
            events: Vec::new(),
        };
        lab.pass(Duration::from_millis(1));
        lab
    }

    fn phone(&mut self, name: &str, last: u8, password: &str) -> Phone {
        let host = self.world.add_host(name, [192, 0, 2, last]).expect("a host");
        let seed = Seed::from_number(7).derive(name);
        let config = FleetConfig {
            epoch: Epoch::SIMULATED,
            seed: seed.clone(),
            key_seed: seed.derive("keys"),
            trace: TraceLimits::default(),
        };
        let now = self.world.now();
        let mut fleet = Fleet::new(now, config);
        let mut account = Account::new(name, "192.0.2.250".parse().expect("a host"));
        account.password = Some(password.into());
        let id = fleet.start(now, name, account);
        let party = self.world.add(host, name, fleet.into());
        self.pass(LATENCY);
        Phone { party, id }
    }

    fn pass(&mut self, span: Duration) {
        let until = self.world.now() + span;
        self.world.run_until(until).expect("within limits");
        self.take_events();
    }

    fn take_events(&mut self) {
        while let Some((_, _, event)) = self.world.poll_event() {
            if let MemberEvent::Server(event) = event {
                self.events.push(event);
            }
        }
    }

    /// Lets time pass until something holds; how long that took.
    fn until(&mut self, what: &str, holds: impl Fn(&Lab) -> bool) -> Duration {
        let begun = self.world.now();
        while !holds(self) {
            let more = self
                .world
                .step(begun + Duration::from_secs(60))
                .expect("within limits");
            assert!(more, "{what} does not come");
            self.take_events();
        }
        self.world.now().since(begun)
    }

    fn fleet<R>(&mut self, phone: Phone, use_it: impl FnOnce(&mut Fleet, Time) -> R) -> R {
        let used = self.world.with(phone.party, |member, now| {
            member.phones_mut().map(|fleet| use_it(fleet, now))
        });
        used.flatten().expect("a phone")
    }

    fn agent(&self, phone: Phone) -> &UserAgent {
        let fleet = self
            .world
            .node(phone.party)
            .and_then(Member::phones)
            .expect("a phone");
        fleet.user_agent(phone.id).expect("it lives")
    }

    fn with_server<R>(&mut self, use_it: impl FnOnce(&mut Server) -> R) -> R {
        let used = self
            .world
            .with(self.server, |member, _| member.server_mut().map(use_it));
        used.flatten().expect("a server")
    }

    fn server(&self) -> &Server {
        self.world
            .node(self.server)
            .and_then(Member::server)
            .expect("a server")
    }

    fn register(&mut self, phone: Phone) {
        self.fleet(phone, |fleet, now| fleet.register(now, phone.id, None))
            .expect("it can");
    }

    fn registered(&self, phone: Phone) -> bool {
        self.agent(phone).registration().registered
    }

    fn status(&self, phone: Phone) -> Option<u16> {
        self.agent(phone).registration().status
    }

    fn dial(&mut self, phone: Phone, target: &str) {
        self.fleet(phone, |fleet, now| fleet.dial(now, phone.id, target, &[], None))
            .expect("it can");
    }

    fn phase(&self, phone: Phone) -> Option<Phase> {
        self.agent(phone).calls().last().map(|call| call.phase())
    }

    /// Two users that are registered.
    fn with_two() -> (Lab, Phone, Phone) {
        Lab::new().and_two()
    }

    fn and_two(self) -> (Lab, Phone, Phone) {
        let mut lab = self;
        let alice = lab.phone("alice", 1, "alicepw");
        let bob = lab.phone("bob", 2, "bobpw");
        lab.register(alice);
        lab.register(bob);
        lab.until("the registrations", |lab| {
            lab.registered(alice) && lab.registered(bob)
        });
        (lab, alice, bob)
    }

    /// A call that rings here is answered.
    fn take(&mut self, phone: Phone) {
        self.until("ringing", |lab| lab.phase(phone) == Some(Phase::Ringing));
        self.fleet(phone, |fleet, now| fleet.accept(now, phone.id, None, None))
            .expect("it can");
        self.until("the call", |lab| lab.phase(phone) == Some(Phase::Established));
    }

    /// The process of the server dies.
    fn crash_server(&mut self) {
        let crashed = self.world.crash(self.server, CrashKind::Process);
        let [(_, Member::Server(dead))] = <[_; 1]>::try_from(crashed).expect("one party") else {
            panic!("a server");
        };
        self.store = Some(dead.into_store());
    }

    /// It starts again.
    fn restart_server(&mut self) {
        let store = self.store.take().expect("it has crashed");
        let again = server_with(self.settings, self.world.now(), store);
        assert!(self.world.restart(self.server, again.into()).is_ok());
    }

    fn establish(&mut self, alice: Phone, bob: Phone) {
        self.dial(alice, "bob");
        self.until("ringing", |lab| lab.phase(bob) == Some(Phase::Ringing));
        self.fleet(bob, |fleet, now| fleet.accept(now, bob.id, None, None))
            .expect("it can");
        self.until("the call", |lab| {
            lab.phase(alice) == Some(Phase::Established) && lab.phase(bob) == Some(Phase::Established)
        });
    }
}

#[test]
fn it_listens_where_its_settings_say_and_tells_it_once() {
    let lab = Lab::new();
    let at = "192.0.2.250:5060".parse().expect("an address");
    match lab.events.as_slice() {
        [Event::Listening { addresses }] => {
            assert_eq!(*addresses, [(Transport::Udp, at), (Transport::Tcp, at)]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_port_that_is_taken_is_told_and_nothing_else() {
    let mut world = World::<Member>::new(WorldConfig::new(Seed::from_number(7)));
    let host = world.add_host("server", [192, 0, 2, 250]).expect("a host");
    world.add(host, "first", server(Time::ZERO, ModelStore::default()).into());
    let second = world.add(host, "second", server(Time::ZERO, ModelStore::default()).into());
    world.run_until(Time::from_millis(10)).expect("within limits");
    let mut told = Vec::new();
    while let Some((party, _, event)) = world.poll_event() {
        if party == second {
            told.push(event);
        }
    }
    assert_eq!(told.len(), 2, "{told:?}");
    for event in told {
        assert!(
            matches!(event, MemberEvent::Server(Event::ListenFailed { .. })),
            "{event:?}"
        );
    }
}

#[test]
fn who_knows_the_password_registers_and_who_does_not_is_refused() {
    let mut lab = Lab::new();
    let alice = lab.phone("alice", 1, "alicepw");
    let bob = lab.phone("bob", 2, "a guess");
    lab.register(alice);
    // The challenge and the answer to it: two round trips of 2 ms.
    let took = lab.until("the registration", |lab| lab.registered(alice));
    assert_eq!(took, 4 * LATENCY);
    lab.register(bob);
    lab.until("a refusal", |lab| lab.status(bob).is_some());
    lab.pass(Duration::from_secs(1));
    assert!(!lab.registered(bob));
    assert_eq!(lab.server().load().bindings, 1);
    assert_eq!(
        lab.server()
            .store()
            .kept()
            .expect("it can be read")
            .bindings
            .len(),
        1
    );
}

#[test]
fn a_call_is_heard_both_ways_and_leaves_nothing_behind() {
    let (mut lab, alice, bob) = Lab::with_two();
    let tone = |hz| Audio::Tones { hz: vec![hz] };
    for (phone, hz) in [(alice, 440.0), (bob, 880.0)] {
        lab.fleet(phone, |fleet, now| {
            fleet.send_audio(now, phone.id, None, tone(hz))
        })
        .expect("it can");
    }
    lab.establish(alice, bob);
    let listen = |lab: &mut Lab, phone: Phone, hz| {
        let what = ListenFor::Tone { hz };
        lab.fleet(phone, |fleet, now| fleet.listen(now, phone.id, None, what))
            .expect("it can")
    };
    let ears = [
        (alice, listen(&mut lab, alice, 880.0)),
        (bob, listen(&mut lab, bob, 440.0)),
    ];
    lab.pass(Duration::from_secs(1));
    for (phone, ear) in ears {
        let heard = lab.fleet(phone, |fleet, _| fleet.heard(phone.id, ear));
        assert!(heard.is_some_and(|heard| heard.done));
    }
    lab.fleet(alice, |fleet, now| fleet.hangup(now, alice.id, None, None))
        .expect("it can");
    lab.until("the end", |lab| lab.phase(bob) == Some(Phase::Ended));
    lab.pass(Duration::from_secs(40));
    assert_eq!(lab.server().load().calls, 0);
    let residue = lab.server().residue();
    // Two sockets to listen at, and the two bindings that will run out.
    let expected = Residue {
        sockets: residue.sockets,
        timers: 2,
        ..Residue::default()
    };
    assert_eq!(residue, expected);
    let ended = lab
        .server()
        .store()
        .kept()
        .expect("it can be read")
        .facts
        .into_iter()
        .filter(|fact| matches!(fact, Fact::CallEnded { .. }));
    assert_eq!(ended.count(), 1);
}

#[test]
fn a_slow_store_delays_the_answer_by_what_a_commit_takes_and_groups_what_comes_meanwhile() {
    let mut lab = Lab::new();
    lab.with_server(|server| server.store_mut().set_delay(Duration::from_millis(500)));
    let alice = lab.phone("alice", 1, "alicepw");
    let bob = lab.phone("bob", 2, "bobpw");
    lab.register(alice);
    lab.pass(Duration::from_millis(100));
    assert_eq!(lab.server().store().pending(), 1);
    lab.register(bob);
    let took = lab.until("the first commit", |lab| lab.registered(alice));
    // It began when the answered challenge was there, 3 ms after the first REGISTER, and the 200 takes 1 ms.
    assert_eq!(took + Duration::from_millis(100), Duration::from_millis(504));
    // The second one waited for the first, and was not part of it.
    assert!(!lab.registered(bob));
    let took = lab.until("the second commit", |lab| lab.registered(bob));
    assert_eq!(took, Duration::from_millis(500));
}

#[test]
fn what_cannot_be_stored_is_refused_and_told() {
    let mut lab = Lab::new();
    lab.with_server(|server| server.store_mut().set_failures(1.0));
    let alice = lab.phone("alice", 1, "alicepw");
    lab.register(alice);
    lab.until("a refusal", |lab| lab.status(alice) == Some(503));
    assert_eq!(
        lab.server()
            .store()
            .kept()
            .expect("it can be read")
            .bindings
            .len(),
        0
    );
    assert!(
        lab.events
            .iter()
            .any(|event| matches!(event, Event::NotStored { .. }))
    );
    lab.with_server(|server| server.store_mut().set_failures(0.0));
    // A quarter of a second after a failure it is tried again.
    lab.pass(Duration::from_millis(300));
    lab.register(alice);
    lab.until("the registration", |lab| lab.registered(alice));
}

#[test]
fn after_a_crash_what_was_acknowledged_is_there_and_what_was_not_is_gone() {
    let (mut lab, alice, bob) = Lab::with_two();
    // Bob takes his binding back, and the crash comes before that is stored.
    lab.with_server(|server| server.store_mut().set_delay(Duration::from_secs(1)));
    lab.fleet(bob, |fleet, now| fleet.unregister(now, bob.id, None))
        .expect("it can");
    lab.pass(Duration::from_millis(100));
    assert_eq!(lab.server().store().pending(), 1);
    let crashed = lab.world.crash(lab.server, CrashKind::Process);
    let [(_, Member::Server(dead))] = <[_; 1]>::try_from(crashed).expect("one party") else {
        panic!("a server");
    };
    let mut store = dead.into_store();
    store.set_delay(Duration::ZERO);
    assert_eq!(store.pending(), 0);
    assert_eq!(store.kept().expect("it can be read").bindings.len(), 2);
    let again = server(lab.world.now(), store);
    assert!(lab.world.restart(lab.server, again.into()).is_ok());
    lab.pass(Duration::from_millis(1));
    assert_eq!(lab.server().load().bindings, 2);
    // Alice is found where she registered, although she did not do so since.
    lab.dial(bob, "alice");
    lab.until("ringing", |lab| lab.phase(alice) == Some(Phase::Ringing));
    // Nobody had answered Bob: he asks again (RFC 3261 §17.1.2.2), and is heard.
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.server().load().bindings, 1);
}

#[test]
fn a_call_that_was_up_in_a_crash_is_closed_in_the_records_once_whatever_keeps_them() {
    let seed = Seed::from_number(7);
    let sqlite = SqliteStore::in_memory(Epoch::SIMULATED, &seed).expect("a database in memory");
    let stores: [Box<dyn Store>; 2] = [ModelStore::new(seed).into(), sqlite.into()];
    let kept = stores.map(|store| {
        let (mut lab, alice, bob) = Lab::with_store(store).and_two();
        lab.with_server(|server| server.store_mut().set_delay(Duration::from_millis(20)));
        lab.establish(alice, bob);
        lab.pass(Duration::from_secs(5));
        lab.crash_server();
        lab.restart_server();
        lab.pass(Duration::from_secs(1));
        assert_eq!(lab.server().load().bindings, 2);
        let lost = lab
            .events
            .iter()
            .filter(|event| matches!(event, Event::CallsLost { .. }));
        assert_eq!(lost.count(), 1);
        let kept = lab.server().store().kept().expect("it can be read");
        assert_eq!(kept.records.len(), 1);
        assert_eq!(kept.records[0].cause().as_deref(), Some("failed(restart)"));
        // Nothing of it is up, and the next call has a number of its own.
        assert_eq!(lab.server().load().calls, 0);
        kept
    });
    assert_eq!(kept[0], kept[1], "both tell the same");
}

/// Where the server dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Crash {
    /// While the agent is consulted.
    Consulted,
    /// While the agent talks to the customer who was transferred to it.
    Transferred,
    /// When the customer has hung up, and the agent's phone has not answered the BYE.
    HungUp,
}

#[test]
fn a_consulted_agent_talks_no_longer_than_is_known_after_a_crash() {
    // Up to the last that was stored.
    for (crash, talked) in [
        (Crash::Consulted, 0),
        (Crash::Transferred, 5),
        (Crash::HungUp, 25),
    ] {
        let seed = Seed::from_number(7);
        let sqlite = SqliteStore::in_memory(Epoch::SIMULATED, &seed).expect("a database in memory");
        let stores: [Box<dyn Store>; 2] = [ModelStore::new(seed).into(), sqlite.into()];
        for store in stores {
            let (mut lab, alice, bob) = Lab::with(QUEUES, store).and_two();
            let customer = lab.phone("customer", 3, "");
            lab.dial(customer, "support");
            lab.take(alice);
            lab.fleet(alice, |fleet, now| {
                fleet.attended_transfer(now, alice.id, None, "second", None)
            })
            .expect("it talks");
            lab.take(bob);
            lab.pass(Duration::from_secs(5));
            if crash != Crash::Consulted {
                lab.fleet(alice, |fleet, now| fleet.complete_transfer(now, alice.id, None))
                    .expect("it consulted");
                lab.until("the transfer", |lab| {
                    lab.agent(alice)
                        .calls()
                        .iter()
                        .all(|call| call.phase() == Phase::Ended)
                });
                lab.pass(Duration::from_secs(20));
            }
            if crash == Crash::HungUp {
                lab.world.crash(bob.party, CrashKind::Host);
                lab.fleet(customer, |fleet, now| fleet.hangup(now, customer.id, None, None))
                    .expect("it talks");
                lab.pass(Duration::from_secs(3));
            }
            let up = lab.server().load().calls;
            assert_eq!(
                up,
                match crash {
                    Crash::Consulted => 2,
                    Crash::Transferred => 1,
                    Crash::HungUp => 0,
                }
            );
            lab.crash_server();
            lab.pass(Duration::from_secs(600));
            lab.restart_server();
            lab.pass(Duration::from_secs(1));
            let kept = lab.server().store().kept().expect("it can be read");
            let consulted = &kept.records[1];
            assert_eq!(consulted.agent(), Some("bob"));
            let talk = consulted.agent_talk().map(|talk| talk.as_secs());
            assert_eq!(talk, Some(talked), "{crash:?}: {consulted:?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_facts() {
    let facts = || {
        let (mut lab, alice, bob) = Lab::with_two();
        lab.establish(alice, bob);
        lab.pass(Duration::from_secs(1));
        let kept: Kept = lab.server().store().kept().expect("it can be read");
        format!("{kept:?}")
    };
    assert_eq!(facts(), facts());
}

#[test]
fn it_closes_in_order_with_a_call_up_and_tells_when_it_is_done() {
    let (mut lab, alice, bob) = Lab::with_two();
    lab.establish(alice, bob);
    lab.world.with(lab.server, |member, now| {
        let command = Input::Command(callwright_callcenter::Command::Close);
        member
            .server_mut()
            .map(|server| server.handle_input(now, command))
    });
    lab.until("the end of the call", |lab| {
        lab.phase(alice) == Some(Phase::Ended) && lab.phase(bob) == Some(Phase::Ended)
    });
    lab.until("the end", |lab| matches!(lab.events.last(), Some(Event::Closed)));
    assert_eq!(lab.server().residue(), Residue::default());
    // Bindings outlive it.
    assert_eq!(
        lab.server()
            .store()
            .kept()
            .expect("it can be read")
            .bindings
            .len(),
        2
    );
}
