//! The resolver, against a name server of the test's own.

mod probe;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use callwright_net::WorldConfig;
use callwright_wire::{DnsAnswer, DnsError, DnsQuery, DnsRecord, QueryId};
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use probe::{Seen, Stage};

/// Answers for the zone of `example.com`, until it is dropped.
struct NameServer {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 1_500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                if &buffer[..length] == b"stop" {
                    return;
                }
                let query = Message::from_vec(&buffer[..length]).unwrap();
                socket.send_to(&answer(&query).to_vec().unwrap(), from).unwrap();
            }
        });
        NameServer {
            address,
            thread: Some(thread),
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"stop", self.address).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(query: &Message) -> Message {
    let question = query.queries[0].clone();
    let name = question.name().to_ascii().to_ascii_lowercase();
    let target = Name::from_ascii("pbx.example.com.").unwrap();
    let data = match (name.as_str(), question.query_type()) {
        ("pbx.example.com.", RecordType::A) => vec![RData::A(A(Ipv4Addr::new(192, 0, 2, 7)))],
        ("pbx.example.com.", RecordType::AAAA) => vec![RData::AAAA(AAAA("2001:db8::7".parse().unwrap()))],
        ("_sip._udp.example.com.", RecordType::SRV) => vec![RData::SRV(SRV::new(1, 2, 5062, target))],
        ("example.com.", RecordType::NAPTR) => vec![RData::NAPTR(NAPTR::new(
            10,
            20,
            b"s".to_vec().into(),
            b"SIP+D2U".to_vec().into(),
            Vec::new().into(),
            Name::from_ascii("_sip._udp.example.com.").unwrap(),
        ))],
        _ => Vec::new(),
    };
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata.message_type = MessageType::Response;
    response.metadata.recursion_available = true;
    if name.starts_with("nowhere") {
        response.metadata.response_code = ResponseCode::NXDomain;
    }
    response.add_answers(
        data.into_iter()
            .map(|data| Record::from_rdata(question.name().clone(), 60, data)),
    );
    response.add_query(question);
    response
}

fn ask(stage: &mut Stage, question: DnsQuery) -> Result<DnsAnswer, DnsError> {
    let a = stage.add();
    stage.with(a, |probe| probe.resolve(3, question));
    stage
        .wait(a, |seen| match seen {
            Seen::Resolved(QueryId(3), answer) => Some(answer.clone()),
            _ => None,
        })
        .1
}

fn stage_with(server: &NameServer) -> Stage {
    Stage::with_config(WorldConfig {
        name_server: Some(server.address),
        ..WorldConfig::default()
    })
}

#[test]
fn the_three_steps_of_rfc_3263_are_answered() {
    let server = NameServer::start();
    let mut stage = stage_with(&server);
    assert_eq!(
        ask(&mut stage, DnsQuery::Naptr("example.com".into())),
        Ok(vec![DnsRecord::Naptr {
            order: 10,
            preference: 20,
            flags: "s".into(),
            services: "SIP+D2U".into(),
            replacement: "_sip._udp.example.com".into(),
        }])
    );
    assert_eq!(
        ask(&mut stage, DnsQuery::Srv("_sip._udp.example.com".into())),
        Ok(vec![DnsRecord::Srv {
            priority: 1,
            weight: 2,
            port: 5062,
            target: "pbx.example.com".into(),
        }])
    );
    let mut addresses = ask(&mut stage, DnsQuery::Address("pbx.example.com".into())).unwrap();
    addresses.sort();
    assert_eq!(
        addresses,
        [
            DnsRecord::Address("192.0.2.7".parse().unwrap()),
            DnsRecord::Address("2001:db8::7".parse().unwrap()),
        ]
    );
}

#[test]
fn a_name_without_such_records_is_told_from_no_such_name() {
    let server = NameServer::start();
    let mut stage = stage_with(&server);
    assert_eq!(
        ask(&mut stage, DnsQuery::Srv("_sip._tcp.example.com".into())),
        Ok(Vec::new())
    );
    assert_eq!(
        ask(&mut stage, DnsQuery::Address("nowhere.example.com".into())),
        Err(DnsError::NoSuchName)
    );
}

#[test]
fn a_server_that_is_silent_is_a_timeout() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut stage = Stage::with_config(WorldConfig {
        name_server: Some(silent.local_addr().unwrap()),
        name_timeout: Duration::from_millis(50),
        ..WorldConfig::default()
    });
    let answer = ask(&mut stage, DnsQuery::Address("pbx.example.com".into()));
    assert_eq!(answer, Err(DnsError::Timeout));
}

#[test]
fn literals_and_localhost_never_reach_a_server() {
    // No server would answer here.
    let mut stage = Stage::with_config(WorldConfig {
        name_server: Some("127.0.0.1:9".parse().unwrap()),
        ..WorldConfig::default()
    });
    for (name, ip) in [("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1")] {
        assert_eq!(
            ask(&mut stage, DnsQuery::Address(name.into())),
            Ok(vec![DnsRecord::Address(ip.parse().unwrap())])
        );
    }
    assert_eq!(
        ask(&mut stage, DnsQuery::Address("LocalHost.".into())),
        Ok(vec![
            DnsRecord::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            DnsRecord::Address(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ])
    );
    assert_eq!(
        ask(&mut stage, DnsQuery::Naptr("localhost".into())),
        Ok(Vec::new())
    );
}

#[test]
fn the_route_to_a_peer_names_the_local_address() {
    let mut stage = Stage::new();
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert_eq!(
        ask(&mut stage, DnsQuery::Route(loopback)),
        Ok(vec![DnsRecord::Address(loopback)])
    );
}
