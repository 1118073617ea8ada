//! Microseconds of a call in the simulated world: two user agents and the call center between them, from INVITE to the 200 of BYE,
//! signalling alone and with three seconds of audio both ways.

use std::path::Path;
use std::time::Duration;

use callwright_callcenter::{ModelStore, Server, Settings};
use callwright_capture::rules::{Rules, RulesConfig};
use callwright_scenario::Member;
use callwright_sim::{PartyId, World, WorldConfig};
use callwright_ua::{Account, Audio, Fleet, FleetConfig, Phase, TraceLimits, UserAgentId};
use callwright_wire::{Epoch, Seed, Tap, TapRecord, Time};
use criterion::{Criterion, criterion_group, criterion_main};

const SETTINGS: &str = r#"
domain = "callcenter.test"
auth = "none"
listen = { udp = "192.0.2.250:5060" }
user = [{ name = "alice" }, { name = "bob" }]
"#;

#[derive(Clone, Copy)]
struct Phone {
    party: PartyId,
    id: UserAgentId,
}

/// The rules, as every simulated run judges them.
struct Judge(Rules);

impl Tap for Judge {
    fn record(&mut self, record: TapRecord) {
        self.0.observe(&record);
    }
}

struct Town {
    world: World<Member>,
    alice: Phone,
    bob: Phone,
}

impl Town {
    fn new(judged: bool) -> Town {
        let seed = Seed::from_number(7);
        let mut world = World::new(WorldConfig::new(seed.clone()));
        if judged {
            world.set_tap(Some(Box::new(Judge(Rules::new(RulesConfig::default())))));
        }
        let host = world.add_host("server", [192, 0, 2, 250]).unwrap();
        let settings = Settings::parse(Path::new("callcenter.toml"), SETTINGS).unwrap();
        let config = settings.config(Epoch::SIMULATED, seed.derive("server"), seed.derive("nonces"));
        let server = Server::new(Time::ZERO, config, ModelStore::new(seed.clone())).unwrap();
        world.add(host, "callcenter", server.into());
        let [alice, bob] = [("alice", 1), ("bob", 2)].map(|(name, last)| {
            let host = world.add_host(name, [192, 0, 2, last]).unwrap();
            let config = FleetConfig {
                epoch: Epoch::SIMULATED,
                seed: seed.derive(name),
                key_seed: seed.derive("keys").derive(name),
                trace: TraceLimits::default(),
            };
            let mut fleet = Fleet::new(Time::ZERO, config);
            let account = Account::new(name, "192.0.2.250".parse().unwrap());
            let id = fleet.start(Time::ZERO, name, account);
            let party = world.add(host, name, fleet.into());
            Phone { party, id }
        });
        let mut town = Town { world, alice, bob };
        for phone in [alice, bob] {
            town.with(phone, |fleet, now, id| fleet.register(now, id, None).unwrap());
            town.until(|town| {
                let fleet = town.world.node(phone.party).and_then(Member::phones);
                fleet.is_some_and(|fleet| fleet.user_agent(phone.id).unwrap().registration().registered)
            });
        }
        town
    }

    fn with<R>(&mut self, phone: Phone, use_it: impl FnOnce(&mut Fleet, Time, UserAgentId) -> R) -> R {
        let used = self.world.with(phone.party, |member, now| {
            member.phones_mut().map(|fleet| use_it(fleet, now, phone.id))
        });
        used.flatten().unwrap()
    }

    fn phase(&self, phone: Phone) -> Option<Phase> {
        let fleet = self.world.node(phone.party).and_then(Member::phones)?;
        Some(fleet.user_agent(phone.id)?.calls().last()?.phase())
    }

    fn until(&mut self, holds: impl Fn(&Town) -> bool) {
        while !holds(self) {
            assert!(self.world.step(Time::NEVER).unwrap());
            while self.world.poll_event().is_some() {}
        }
    }

    /// One call, with so much audio.
    fn call(&mut self, audio: Duration) {
        let (alice, bob) = (self.alice, self.bob);
        self.with(alice, |fleet, now, id| {
            fleet.dial(now, id, "bob", &[], None).unwrap();
            fleet.send_audio(now, id, None, Audio::Tones { hz: vec![440.0] }).unwrap();
        });
        self.until(|town| town.phase(bob) == Some(Phase::Ringing));
        self.with(bob, |fleet, now, id| {
            fleet.accept(now, id, None, None).unwrap();
            fleet.send_audio(now, id, None, Audio::Tones { hz: vec![880.0] }).unwrap();
        });
        self.until(|town| town.phase(alice) == Some(Phase::Established));
        let end = self.world.now() + audio;
        self.world.run_until(end).unwrap();
        self.with(alice, |fleet, now, id| fleet.hangup(now, id, None, None).unwrap());
        self.until(|town| town.phase(bob) == Some(Phase::Ended) && town.phase(alice) == Some(Phase::Ended));
        // What lingers of its transactions ends, too.
        let end = self.world.now() + Duration::from_secs(40);
        self.world.run_until(end).unwrap();
        while self.world.poll_event().is_some() {}
    }
}

fn simulated_call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulated-call");
    for judged in [false, true] {
        let rules = if judged { "judged by the rules" } else { "alone" };
        for (what, audio) in [("signalling", Duration::ZERO), ("3 s of audio", Duration::from_secs(3))] {
            let mut town = Town::new(judged);
            group.bench_function(format!("{what}, {rules}"), |b| b.iter(|| town.call(audio)));
        }
    }
    group.finish();
}

criterion_group!(benches, simulated_call);
criterion_main!(benches);
