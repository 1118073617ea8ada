//! Names: a zone instead of a resolver.

mod support;

use std::net::IpAddr;
use std::time::Duration;

use callwright_sim::{CrashKind, PartyId};
use callwright_wire::{DnsAnswer, DnsError, DnsQuery, DnsRecord, Input, Time};
use support::{Heard, Lab, at, ms};

fn lab() -> (Lab, PartyId) {
    let mut lab = Lab::new();
    let a = lab.peer("192.0.2.1");
    let zone = lab.world.zone();
    zone.add_address("pbx.Example.com", [192, 0, 2, 2]);
    zone.add_address("pbx.example.com", [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2]);
    zone.add("_sip._udp.example.org", srv());
    zone.add("example.com", naptr());
    (lab, a)
}

fn srv() -> DnsRecord {
    DnsRecord::Srv {
        priority: 1,
        weight: 0,
        port: 5_060,
        target: "pbx.example.com".into(),
    }
}

fn naptr() -> DnsRecord {
    DnsRecord::Naptr {
        order: 1,
        preference: 1,
        flags: "s".into(),
        services: "SIP+D2U".into(),
        replacement: "_sip._udp.example.org".into(),
    }
}

#[track_caller]
fn answer(lab: &mut Lab, party: PartyId, question: DnsQuery) -> (Time, Result<DnsAnswer, DnsError>) {
    let asked = lab.world.now();
    let number = lab.ask(party, question);
    lab.pass(Duration::from_secs(10));
    let Some((at, Heard::Input(Input::Resolved { query, answer }))) = lab.next(party) else {
        panic!("it is answered");
    };
    assert_eq!(query, number);
    (Time::ZERO + at.since(asked), answer)
}

fn addresses(ips: &[&str]) -> Result<DnsAnswer, DnsError> {
    Ok(ips
        .iter()
        .map(|ip| DnsRecord::Address(ip.parse::<IpAddr>().unwrap()))
        .collect())
}

#[test]
fn a_zone_answers_what_it_knows_after_its_time() {
    let (mut lab, a) = lab();
    lab.world.zone().set_answer_time(ms(30));
    let found = answer(&mut lab, a, DnsQuery::Address("PBX.example.com.".into()));
    assert_eq!(found, (at(30), addresses(&["192.0.2.2", "2001:db8::2"])));
    let found = answer(&mut lab, a, DnsQuery::Srv("_sip._udp.example.org".into()));
    assert_eq!(found, (at(30), Ok(vec![srv()])));
    let found = answer(&mut lab, a, DnsQuery::Naptr("example.com".into()));
    assert_eq!(found, (at(30), Ok(vec![naptr()])));
}

#[test]
fn a_name_without_such_records_exists_and_another_does_not() {
    let (mut lab, a) = lab();
    let mut found = |question| answer(&mut lab, a, question).1;
    assert_eq!(found(DnsQuery::Address("example.com".into())), Ok(Vec::new()));
    // It exists, since there are names below it.
    assert_eq!(found(DnsQuery::Address("example.org".into())), Ok(Vec::new()));
    assert_eq!(
        found(DnsQuery::Address("ample.org".into())),
        Err(DnsError::NoSuchName)
    );
    assert_eq!(
        found(DnsQuery::Srv("_sip._tcp.example.org".into())),
        Err(DnsError::NoSuchName)
    );
}

#[test]
fn localhost_and_literal_addresses_are_known_at_once() {
    let (mut lab, a) = lab();
    for (name, expected) in [
        ("localhost", &["127.0.0.1", "::1"][..]),
        ("a.LOCALHOST.", &["127.0.0.1", "::1"]),
        ("192.0.2.7", &["192.0.2.7"]),
        ("[2001:db8::7]", &["2001:db8::7"]),
    ] {
        let found = answer(&mut lab, a, DnsQuery::Address(name.into()));
        assert_eq!(found, (at(0), addresses(expected)), "{name}");
    }
    let none = answer(&mut lab, a, DnsQuery::Srv("_sip._udp.localhost".into()));
    assert_eq!(none, (at(0), Ok(Vec::new())));
}

#[test]
fn a_name_server_can_be_silent_or_fail() {
    let (mut lab, a) = lab();
    let question = || DnsQuery::Address("pbx.example.com".into());
    lab.world.zone().fail("pbx.example.com", DnsError::Timeout);
    assert_eq!(
        answer(&mut lab, a, question()),
        (at(4_000), Err(DnsError::Timeout))
    );
    let failed = DnsError::Failed {
        detail: "SERVFAIL".into(),
    };
    lab.world.zone().fail("pbx.example.com", failed.clone());
    assert_eq!(answer(&mut lab, a, question()), (at(5), Err(failed)));
    lab.world.zone().remove("pbx.example.com");
    assert_eq!(answer(&mut lab, a, question()).1, Err(DnsError::NoSuchName));
}

#[test]
fn the_route_to_an_address_is_this_hosts_own_one_of_its_family() {
    let (mut lab, a) = lab();
    let mut route = |ip: &str| answer(&mut lab, a, DnsQuery::Route(ip.parse().unwrap()));
    assert_eq!(route("198.51.100.7"), (at(0), addresses(&["192.0.2.1"])));
    assert_eq!(route("127.0.0.1"), (at(0), addresses(&["127.0.0.1"])));
    let Err(DnsError::Failed { detail }) = route("2001:db8::1").1 else {
        panic!("there is no route");
    };
    assert_eq!(detail, "no route to 2001:db8::1");
}

#[test]
fn what_a_node_asked_is_not_answered_to_the_next() {
    let (mut lab, a) = lab();
    lab.ask(a, DnsQuery::Address("pbx.example.com".into()));
    lab.crash(a, CrashKind::Process);
    lab.restart(a);
    lab.pass(ms(100));
    assert!(lab.next(a).is_none());
}
