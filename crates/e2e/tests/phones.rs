//! Phones that act by themselves, on virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use callwright_e2e::{CallEnd, Duty, Happening, HungUp, Phone, PhoneEvent, Phones};
use callwright_sim::{HostId, PartyId, World, WorldConfig};
use callwright_ua as ua;
use callwright_wire::{Epoch, Node as _, Residue, Seed, Time};

const AGENT: [u8; 4] = [192, 0, 2, 1];
const CUSTOMER: [u8; 4] = [192, 0, 2, 2];
const AGENT_HZ: f64 = 1_020.0;
const CUSTOMER_HZ: f64 = 2_040.0;

struct Lab {
    world: World<Phones>,
    agent: PartyId,
    customer: PartyId,
    told: Vec<(PartyId, Time, PhoneEvent)>,
}

fn account(name: &str, ip: [u8; 4]) -> ua::Account {
    let host: String = ip.map(|part| part.to_string()).join(".");
    let mut account = ua::Account::new(name, host.parse().expect("a host"));
    account.local = Some(ua::LocalAddress::Socket(SocketAddr::from((ip, 0))));
    account
}

fn agent(talk: Option<u64>) -> Phone {
    let mut account = account("alice", AGENT);
    account.local = Some(ua::LocalAddress::Socket(SocketAddr::from((AGENT, 5060))));
    account.port = Some(5999);
    account.auto_answer = Some(Duration::from_millis(200));
    Phone {
        name: "alice".to_owned(),
        account,
        duty: Duty::Answer {
            talk: talk.map(Duration::from_secs),
        },
        says: ua::Audio::Tones { hz: vec![AGENT_HZ] },
        partner_hz: Some(CUSTOMER_HZ),
        record: false,
    }
}

fn customer(number: u32, talk: Option<u64>, patience: u64) -> Phone {
    let name = format!("customer-{number}");
    Phone {
        account: account(&name, CUSTOMER),
        name,
        duty: Duty::Call {
            target: "sip:alice@192.0.2.1:5060".to_owned(),
            talk: talk.map(Duration::from_secs),
            patience: Duration::from_secs(patience),
        },
        says: ua::Audio::Tones {
            hz: vec![CUSTOMER_HZ],
        },
        partner_hz: Some(AGENT_HZ),
        record: false,
    }
}

impl Lab {
    fn new() -> Lab {
        let seed = Seed::from_number(1);
        let mut world = World::new(WorldConfig::new(seed.clone()));
        let mut add = |name: &str, ip: [u8; 4]| {
            let host: HostId = world.add_host(name, ip).expect("a host");
            let config = ua::FleetConfig {
                epoch: Epoch::SIMULATED,
                seed: seed.derive(name),
                key_seed: seed.derive("keys").derive(name),
                trace: ua::TraceLimits::default(),
            };
            world.add(host, name, Phones::new(Time::ZERO, config))
        };
        let (agent, customer) = (add("agents", AGENT), add("customers", CUSTOMER));
        Lab {
            world,
            agent,
            customer,
            told: Vec::new(),
        }
    }

    fn add(&mut self, party: PartyId, phone: Phone) -> callwright_e2e::PhoneId {
        self.world
            .with(party, |phones, now| phones.add(now, phone))
            .expect("it is there")
    }

    fn run(&mut self, secs: u64) {
        let until = self.world.now() + Duration::from_secs(secs);
        self.world.run_until(until).expect("within its limits");
        while let Some((party, at, event)) = self.world.poll_event() {
            self.told.push((party, at, event));
        }
    }

    fn ends(&self, party: PartyId) -> Vec<CallEnd> {
        let of = |(of, _, event): &(PartyId, Time, PhoneEvent)| match &event.what {
            Happening::CallEnded(end) if *of == party => Some(end.clone()),
            _ => None,
        };
        self.told.iter().filter_map(of).collect()
    }

    fn count(&self, party: PartyId, wanted: impl Fn(&Happening) -> bool) -> usize {
        self.told
            .iter()
            .filter(|(of, _, event)| *of == party && wanted(&event.what))
            .count()
    }
}

fn seconds(end: &CallEnd) -> f64 {
    (end.lasted.as_secs_f64() * 10.0).round() / 10.0
}

#[test]
fn an_agent_answers_by_itself_and_hangs_up_after_its_time() {
    let mut lab = Lab::new();
    lab.add(lab.agent, agent(Some(5)));
    lab.add(lab.customer, customer(1, None, 60));
    lab.run(20);
    let [end] = lab.ends(lab.agent).try_into().expect("one call");
    assert_eq!((end.hung_up, seconds(&end)), (Some(HungUp::Talked), 5.0));
    let [end] = lab.ends(lab.customer).try_into().expect("one call");
    assert_eq!((end.hung_up, end.partner_heard, seconds(&end)), (None, true, 5.0));
}

#[test]
fn every_call_of_a_phone_has_its_tone() {
    let mut lab = Lab::new();
    lab.add(lab.agent, agent(Some(2)));
    for number in 1..=3 {
        lab.add(lab.customer, customer(number, None, 60));
        lab.run(10);
    }
    let heard = lab
        .ends(lab.customer)
        .iter()
        .filter(|end| end.partner_heard)
        .count();
    assert_eq!(heard, 3);
    assert_eq!(
        lab.count(lab.agent, |what| matches!(what, Happening::PartnerHeard { .. })),
        3
    );
}

#[test]
fn a_customer_hangs_up_so_long_after_the_agent_was_heard() {
    let mut lab = Lab::new();
    lab.add(lab.agent, agent(None));
    lab.add(lab.customer, customer(1, Some(4), 60));
    lab.run(20);
    let [end] = lab.ends(lab.customer).try_into().expect("one call");
    assert_eq!(end.hung_up, Some(HungUp::Talked));
    assert!((4.0..4.5).contains(&end.lasted.as_secs_f64()), "{end:?}");
    assert_eq!(lab.ends(lab.agent)[0].hung_up, None);
}

#[test]
fn a_customer_who_hears_nobody_gives_up() {
    let mut lab = Lab::new();
    let mut silent = agent(None);
    silent.says = ua::Audio::Silence;
    lab.add(lab.agent, silent);
    lab.add(lab.customer, customer(1, Some(4), 3));
    lab.run(20);
    let [end] = lab.ends(lab.customer).try_into().expect("one call");
    assert_eq!(
        (end.hung_up, end.partner_heard),
        (Some(HungUp::OutOfPatience), false)
    );
    // It rang for 200 ms of them.
    assert_eq!(seconds(&end), 2.8);
}

#[test]
fn a_registration_that_fails_is_told_once() {
    let mut lab = Lab::new();
    lab.add(lab.agent, agent(None));
    lab.run(60);
    assert_eq!(
        lab.count(lab.agent, |what| matches!(
            what,
            Happening::RegistrationFailed { .. }
        )),
        1
    );
    assert_eq!(
        lab.count(lab.agent, |what| matches!(what, Happening::Registered { .. })),
        0
    );
}

#[test]
fn a_phone_that_dies_says_no_word_and_one_that_is_closed_hangs_up() {
    for dies in [true, false] {
        let mut lab = Lab::new();
        let id = lab.add(lab.agent, agent(None));
        lab.add(lab.customer, customer(1, None, 60));
        lab.run(3);
        lab.world.with(lab.agent, |phones, now| {
            if dies {
                phones.kill(now, id)
            } else {
                phones.close(now, id)
            }
        });
        lab.run(40);
        assert_eq!(lab.ends(lab.customer).len(), usize::from(!dies));
        let closed = lab.count(lab.agent, |what| matches!(what, Happening::Closed));
        assert_eq!(closed, usize::from(!dies));
        let left = lab.world.node(lab.agent).expect("it is there").residue();
        assert_eq!(left, Residue::default(), "dies: {dies}");
    }
}
