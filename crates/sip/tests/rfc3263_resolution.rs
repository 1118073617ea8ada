//! Locating servers: RFC 3263 §4, RFC 2782, on literal zones.

use std::collections::BTreeMap;

use callwright_sip::resolve::{Candidate, Destination, Resolution, ResolveError, Step, Supported};
use callwright_wire::{DnsAnswer, DnsError, DnsQuery, DnsRecord, Seed, Transport};

#[derive(Default)]
struct Zone {
    records: BTreeMap<DnsQuery, Result<DnsAnswer, DnsError>>,
}

impl Zone {
    fn address(mut self, name: &str, addresses: &[&str]) -> Zone {
        let records = addresses
            .iter()
            .map(|a| DnsRecord::Address(a.parse().expect("an address")))
            .collect();
        self.records
            .insert(DnsQuery::Address(name.to_owned()), Ok(records));
        self
    }

    fn srv(mut self, name: &str, records: &[(u16, u16, u16, &str)]) -> Zone {
        let record = |(priority, weight, port, target): &(u16, u16, u16, &str)| DnsRecord::Srv {
            priority: *priority,
            weight: *weight,
            port: *port,
            target: (*target).to_owned(),
        };
        self.records.insert(
            DnsQuery::Srv(name.to_owned()),
            Ok(records.iter().map(record).collect()),
        );
        self
    }

    fn naptr(mut self, name: &str, records: &[(u16, u16, &str, &str)]) -> Zone {
        let record = |(order, preference, services, replacement): &(u16, u16, &str, &str)| DnsRecord::Naptr {
            order: *order,
            preference: *preference,
            flags: "s".to_owned(),
            services: (*services).to_owned(),
            replacement: (*replacement).to_owned(),
        };
        self.records.insert(
            DnsQuery::Naptr(name.to_owned()),
            Ok(records.iter().map(record).collect()),
        );
        self
    }

    fn fail(mut self, query: DnsQuery, error: DnsError) -> Zone {
        self.records.insert(query, Err(error));
        self
    }

    /// All candidates in order, the questions asked on the way, and how it ends.
    fn walk(&self, uri: &str, supported: Supported, seed: u64) -> (Vec<String>, Vec<DnsQuery>, ResolveError) {
        let destination = Destination::of(&uri.parse().expect("a URI"), None).expect("a destination");
        let mut entropy = Seed::from_number(seed).stream();
        let mut resolution = Resolution::new(destination, supported);
        let (mut found, mut asked) = (Vec::new(), Vec::new());
        loop {
            match resolution.next() {
                Step::Ask(question) => {
                    let answer = self
                        .records
                        .get(&question)
                        .cloned()
                        .unwrap_or(Err(DnsError::NoSuchName));
                    asked.push(question);
                    resolution.answer(answer, &mut entropy);
                }
                Step::Try(Candidate { transport, remote }) => found.push(format!("{transport} {remote}")),
                Step::Exhausted(error) => return (found, asked, error),
            }
        }
    }

    fn found(&self, uri: &str) -> Vec<String> {
        self.walk(uri, Supported::ALL, 1).0
    }
}

#[test]
fn literals_and_ports_decide_without_the_resolver() {
    let zone = Zone::default();
    for (uri, expected) in [
        ("sip:10.0.0.2", "UDP 10.0.0.2:5060"),
        ("sip:10.0.0.2:5070", "UDP 10.0.0.2:5070"),
        ("sip:alice@10.0.0.2;transport=tcp", "TCP 10.0.0.2:5060"),
        ("sip:10.0.0.2;transport=TLS", "TLS 10.0.0.2:5061"),
        ("sips:10.0.0.2", "TLS 10.0.0.2:5061"),
        ("sips:10.0.0.2;transport=tcp", "TLS 10.0.0.2:5061"),
        ("sip:[2001:db8::1]", "UDP [2001:db8::1]:5060"),
        ("sip:example.com:5080;maddr=10.0.0.3", "UDP 10.0.0.3:5080"),
    ] {
        let (found, asked, end) = zone.walk(uri, Supported::ALL, 1);
        assert_eq!(found, [expected], "{uri}");
        assert!(asked.is_empty(), "{uri} asked {asked:?}");
        assert_eq!(end, ResolveError::AllTried);
    }
}

#[test]
fn a_name_with_a_port_needs_addresses_only() {
    let zone = Zone::default().address(
        "example.com",
        &["10.0.0.3", "2001:db8::1", "10.0.0.2", "10.0.0.2"],
    );
    let (found, asked, _) = zone.walk("sip:example.com:5070", Supported::ALL, 1);
    assert_eq!(
        found,
        ["UDP 10.0.0.2:5070", "UDP 10.0.0.3:5070", "UDP [2001:db8::1]:5070"]
    );
    assert_eq!(asked, [DnsQuery::Address("example.com".to_owned())]);
    let v6 = Supported {
        v4: false,
        ..Supported::ALL
    };
    assert_eq!(
        zone.walk("sip:example.com:5070", v6, 1).0,
        ["UDP [2001:db8::1]:5070"]
    );
}

#[test]
fn naptr_chooses_the_transport_by_order_then_preference() {
    let zone = Zone::default()
        .naptr(
            "example.com",
            &[
                (50, 60, "SIP+D2U", "_sip._udp.example.com"),
                (50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
                (40, 90, "SIP+D2T", "_sip._tcp.example.com"),
                (10, 10, "E2U+sip", "enum.example.com"),
            ],
        )
        .srv("_sip._tcp.example.com", &[(1, 0, 5062, "t.example.com")])
        .srv("_sips._tcp.example.com", &[(1, 0, 5061, "s.example.com")])
        .srv("_sip._udp.example.com", &[(1, 0, 5060, "u.example.com")])
        .address("t.example.com", &["10.0.0.1"])
        .address("s.example.com", &["10.0.0.2"])
        .address("u.example.com", &["10.0.0.3"]);
    assert_eq!(
        zone.found("sip:example.com"),
        ["TCP 10.0.0.1:5062", "TLS 10.0.0.2:5061", "UDP 10.0.0.3:5060"]
    );
    // sips discards all but SIPS.
    assert_eq!(zone.found("sips:example.com"), ["TLS 10.0.0.2:5061"]);
    let udp_only = Supported {
        tcp: false,
        tls: false,
        ..Supported::ALL
    };
    assert_eq!(zone.walk("sip:example.com", udp_only, 1).0, ["UDP 10.0.0.3:5060"]);
    // A transport in the URI means no NAPTR.
    let (found, asked, _) = zone.walk("sip:example.com;transport=udp", Supported::ALL, 1);
    assert_eq!(found, ["UDP 10.0.0.3:5060"]);
    assert_eq!(asked[0], DnsQuery::Srv("_sip._udp.example.com".to_owned()));
}

#[test]
fn without_naptr_srv_is_asked_for_each_transport() {
    let zone = Zone::default()
        .srv("_sip._tcp.example.com", &[(1, 0, 5062, "t.example.com")])
        .address("t.example.com", &["10.0.0.1"]);
    let (found, asked, _) = zone.walk("sip:example.com", Supported::ALL, 1);
    assert_eq!(found, ["TCP 10.0.0.1:5062"]);
    assert_eq!(
        asked,
        [
            DnsQuery::Naptr("example.com".to_owned()),
            DnsQuery::Srv("_sip._udp.example.com".to_owned()),
            DnsQuery::Srv("_sip._tcp.example.com".to_owned()),
            DnsQuery::Address("t.example.com".to_owned()),
            DnsQuery::Srv("_sips._tcp.example.com".to_owned()),
        ],
        "lazily: nothing is asked before it is needed"
    );
}

#[test]
fn without_srv_the_name_itself_is_the_server() {
    let zone = Zone::default().address("example.com", &["10.0.0.1"]);
    assert_eq!(zone.found("sip:example.com"), ["UDP 10.0.0.1:5060"]);
    assert_eq!(zone.found("sips:example.com"), ["TLS 10.0.0.1:5061"]);
    assert_eq!(zone.found("sip:example.com;transport=tcp"), ["TCP 10.0.0.1:5060"]);
}

#[test]
fn srv_targets_go_by_priority_and_share_by_weight() {
    let zone = Zone::default()
        .srv(
            "_sip._udp.example.com",
            &[
                (20, 0, 5060, "backup"),
                (10, 75, 5060, "a"),
                (10, 25, 5060, "b"),
                (10, 0, 5060, "never"),
            ],
        )
        .address("a", &["10.0.0.1"])
        .address("b", &["10.0.0.2"])
        .address("never", &["10.0.0.3"])
        .address("backup", &["10.0.0.9"]);
    let mut first = BTreeMap::new();
    for seed in 0..1_000 {
        let (found, _, _) = zone.walk("sip:example.com;transport=udp", Supported::ALL, seed);
        assert_eq!(found.len(), 4);
        assert_eq!(found[3], "UDP 10.0.0.9:5060");
        *first.entry(found[0].clone()).or_insert(0) += 1;
    }
    let share = |name: &str| first.get(name).copied().unwrap_or(0);
    assert!((700..800).contains(&share("UDP 10.0.0.1:5060")), "{first:?}");
    assert!((200..300).contains(&share("UDP 10.0.0.2:5060")), "{first:?}");
    // RFC 2782: weight 0 has a very small chance.
    assert!(share("UDP 10.0.0.3:5060") < 30, "{first:?}");
}

#[test]
fn the_order_depends_on_the_seed_alone_not_on_the_order_of_the_answer() {
    let records = [(1, 1, 5060, "a"), (1, 1, 5060, "b"), (1, 1, 5060, "c")];
    let turned = [records[2], records[0], records[1]];
    let addresses = |zone: Zone| {
        zone.address("a", &["10.0.0.1"])
            .address("b", &["10.0.0.2"])
            .address("c", &["10.0.0.3"])
    };
    let one = addresses(Zone::default().srv("_sip._udp.example.com", &records));
    let other = addresses(Zone::default().srv("_sip._udp.example.com", &turned));
    for seed in 0..20 {
        let walk = |zone: &Zone| zone.walk("sip:example.com;transport=udp", Supported::ALL, seed).0;
        assert_eq!(walk(&one), walk(&other));
    }
}

#[test]
fn a_service_that_is_decidedly_absent_is_not_asked_for_elsewhere() {
    let zone = Zone::default()
        .srv("_sip._udp.example.com", &[(0, 0, 0, ".")])
        .address("example.com", &["10.0.0.1"]);
    let (found, _, end) = zone.walk("sip:example.com;transport=udp", Supported::ALL, 1);
    assert!(found.is_empty());
    assert_eq!(
        end,
        ResolveError::NoAddress {
            name: "example.com".to_owned()
        }
    );
}

#[test]
fn a_target_without_addresses_is_passed_over() {
    let zone = Zone::default()
        .srv(
            "_sip._udp.example.com",
            &[(1, 0, 5060, "gone"), (2, 0, 5060, "there")],
        )
        .address("there", &["10.0.0.2"]);
    assert_eq!(zone.found("sip:example.com;transport=udp"), ["UDP 10.0.0.2:5060"]);
}

#[test]
fn failures_name_what_was_asked_for() {
    let zone = Zone::default();
    let (_, _, end) = zone.walk("sip:nowhere.example", Supported::ALL, 1);
    assert_eq!(end.to_string(), "nowhere.example: no such name");
    let zone = zone.fail(DnsQuery::Address("slow.example".to_owned()), DnsError::Timeout);
    let (_, _, end) = zone.walk("sip:slow.example:5060", Supported::ALL, 1);
    assert_eq!(end.to_string(), "slow.example: the resolver did not answer");
    let zone = zone.address("empty.example", &[]);
    let (_, _, end) = zone.walk("sip:empty.example:5060", Supported::ALL, 1);
    assert_eq!(end.to_string(), "empty.example has no address");
}

#[test]
fn what_leads_nowhere_is_said_at_once() {
    let of = |uri: &str, preferred| Destination::of(&uri.parse().expect("a URI"), preferred);
    assert_eq!(
        of("tel:+123", None),
        Err(ResolveError::NotSip {
            uri: "tel:+123".to_owned()
        })
    );
    let sctp = Err(ResolveError::UnknownTransport {
        transport: "sctp".to_owned(),
    });
    assert_eq!(of("sip:a;transport=sctp", None), sctp);
    assert_eq!(of("sips:a;transport=udp", None), Err(ResolveError::SecureOverUdp));
    assert_eq!(
        of("sips:a", Some(Transport::Udp)),
        Err(ResolveError::SecureOverUdp)
    );
    let preferred = of("sip:a;transport=udp", Some(Transport::Tcp)).expect("a destination");
    assert_eq!(preferred.transport, Some(Transport::Tcp));
}
