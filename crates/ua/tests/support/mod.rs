//! A laboratory: user agents on hosts of their own, a network of one millisecond, and virtual time.

#![expect(dead_code, reason = "each story uses a part of it")]

pub(crate) mod script;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use callwright_media::codec::Codec;
use callwright_media::rtp::Header;
use callwright_sip_message::Host;
use callwright_ua::{
    Account, Call, CallKey, Change, Done, Fleet, FleetConfig, Phase, TraceLimits, UserAgent, UserAgentId,
    VerbError,
};
use callwright_wire::{
    DnsQuery, DnsRecord, Epoch, Flow, Input, Node, Output, PacketNode, Seed, SocketId, SocketUse, Time,
    Transport,
};

use script::Received;

const LATENCY: Duration = Duration::from_millis(1);

/// A user agent of the laboratory: a host with a fleet of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phone(usize);

struct HostNode {
    ip: IpAddr,
    fleet: Fleet,
    id: UserAgentId,
    sockets: BTreeMap<SocketId, (SocketAddr, SocketUse)>,
    next_port: u16,
    changes: Vec<Change>,
    media_numbers: BTreeSet<SocketId>,
}

enum Parcel {
    Signalling {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
    },
    Media {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
    },
}

/// Decides over each datagram: true lets it pass.
pub(crate) type Filter = Box<dyn FnMut(&str) -> bool>;

pub(crate) struct Lab {
    now: Time,
    hosts: Vec<HostNode>,
    wire: BTreeMap<(Time, u64), Parcel>,
    sent: u64,
    /// Looks at the first line of every SIP message.
    pub(crate) filter: Option<Filter>,
    /// Loses every RTP packet.
    pub(crate) deaf: bool,
    pub(crate) media_packets: u64,
    /// Those of RTCP among them.
    pub(crate) reports: u64,
    /// Where the last media packet went.
    pub(crate) last_media_to: Option<SocketAddr>,
    /// What scripted peers heard and no story has looked at yet.
    scripts: BTreeMap<SocketAddr, VecDeque<Received>>,
    /// How much the phones that come up from now on keep of their messages.
    pub(crate) trace: TraceLimits,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Lab {
            now: Time::ZERO,
            hosts: Vec::new(),
            wire: BTreeMap::new(),
            sent: 0,
            filter: None,
            deaf: false,
            media_packets: 0,
            reports: 0,
            last_media_to: None,
            scripts: BTreeMap::new(),
            trace: TraceLimits::default(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// A user agent on a host of its own, up and listening.
    pub(crate) fn phone(&mut self, name: &str) -> Phone {
        self.phone_with(name, |_| {})
    }

    pub(crate) fn phone_with(&mut self, name: &str, adjust: impl FnOnce(&mut Account)) -> Phone {
        let index = self.hosts.len();
        let ip = Ipv4Addr::new(10, 0, 0, index as u8 + 1);
        let mut account = Account::new(name, Host::V4(Ipv4Addr::new(10, 0, 0, 250)));
        adjust(&mut account);
        let config = FleetConfig {
            epoch: Epoch::SIMULATED,
            seed: Seed::from_number(index as u64),
            key_seed: Seed::from_number(1_000 + index as u64),
            trace: self.trace,
        };
        let mut fleet = Fleet::new(self.now, config);
        let id = fleet.start(self.now, name, account);
        let host = HostNode {
            ip: ip.into(),
            fleet,
            id,
            sockets: BTreeMap::new(),
            next_port: 10_000,
            changes: Vec::new(),
            media_numbers: BTreeSet::new(),
        };
        self.hosts.push(host);
        self.drain(index);
        assert!(
            self.hosts[index].changes.contains(&Change::Started),
            "{name} did not come up"
        );
        Phone(index)
    }

    /// A scripted peer at this address.
    pub(crate) fn script(&mut self, address: &str) -> SocketAddr {
        let address = address.parse().expect("an address and port");
        self.scripts.insert(address, VecDeque::new());
        address
    }

    /// The scripted peer that stands for the domain of every account.
    pub(crate) fn domain(&mut self) -> SocketAddr {
        self.script("10.0.0.250:5060")
    }

    /// The next message that a scripted peer hears whose first line begins so; others are let pass.
    #[track_caller]
    pub(crate) fn expect(&mut self, at: SocketAddr, beginning: &str) -> Received {
        let deadline = self.now + Duration::from_secs(120);
        loop {
            while let Some(received) = self.heard(at) {
                if received.text.starts_with(beginning) {
                    return received;
                }
            }
            assert!(self.step(deadline), "no {beginning} came within two minutes");
        }
    }

    /// What a scripted peer heard and nobody looked at yet.
    pub(crate) fn heard(&mut self, at: SocketAddr) -> Option<Received> {
        self.scripts.get_mut(&at)?.pop_front()
    }

    /// A scripted peer says something.
    pub(crate) fn say(&mut self, from: SocketAddr, to: SocketAddr, text: String) {
        let bytes = Bytes::from(text);
        self.send(Parcel::Signalling { from, to, bytes });
    }

    /// A scripted peer sends this audio as PCMU, in packets of 20 ms; time passes meanwhile.
    pub(crate) fn play(&mut self, from: SocketAddr, to: SocketAddr, samples: &[i16]) {
        for (number, frame) in (0_u16..).zip(samples.chunks_exact(160)) {
            let mut payload = [0; 160];
            Codec::Pcmu.encode(frame, &mut payload);
            let header = Header {
                sequence: number,
                timestamp: u32::from(number) * 160,
                ssrc: 7,
                ..Header::default()
            };
            let mut packet = vec![0; header.packet_length(payload.len())];
            header.write(&payload, &mut packet).expect("there is room");
            let bytes = packet.into();
            self.send(Parcel::Media { from, to, bytes });
            self.pass(Duration::from_millis(20));
        }
    }

    pub(crate) fn fleet<R>(
        &mut self,
        phone: Phone,
        use_it: impl FnOnce(&mut Fleet, Time, UserAgentId) -> R,
    ) -> R {
        let host = &mut self.hosts[phone.0];
        let result = use_it(&mut host.fleet, self.now, host.id);
        self.drain(phone.0);
        result
    }

    pub(crate) fn user_agent(&self, phone: Phone) -> &UserAgent {
        let host = &self.hosts[phone.0];
        host.fleet.user_agent(host.id).expect("nobody removed it")
    }

    pub(crate) fn peek<R>(&self, phone: Phone, look: impl FnOnce(&Fleet, UserAgentId) -> R) -> R {
        let host = &self.hosts[phone.0];
        look(&host.fleet, host.id)
    }

    /// What changed so far, in order.
    pub(crate) fn changes(&self, phone: Phone) -> &[Change] {
        &self.hosts[phone.0].changes
    }

    /// How many media sockets a user agent has open.
    pub(crate) fn open_media(&self, phone: Phone) -> usize {
        let sockets = self.hosts[phone.0].sockets.values();
        sockets
            .filter(|(_, usage)| matches!(usage, SocketUse::Media { .. }))
            .count()
    }

    /// How many numbers of media sockets were ever used.
    pub(crate) fn media_numbers(&self, phone: Phone) -> usize {
        self.hosts[phone.0].media_numbers.len()
    }

    pub(crate) fn contact(&self, phone: Phone) -> String {
        self.user_agent(phone).contact().expect("it is up").to_string()
    }

    pub(crate) fn dial(&mut self, from: Phone, to: Phone) {
        let target = self.contact(to);
        let done = self.fleet(from, |fleet, now, id| fleet.dial(now, id, &target, &[], None));
        assert_eq!(done, Ok(Done::default()));
    }

    pub(crate) fn accept(&mut self, phone: Phone) {
        let done = self.fleet(phone, |fleet, now, id| fleet.accept(now, id, None, None));
        assert_eq!(done, Ok(Done::default()));
    }

    pub(crate) fn hangup(&mut self, phone: Phone) -> Result<Done, VerbError> {
        self.fleet(phone, |fleet, now, id| fleet.hangup(now, id, None, None))
    }

    pub(crate) fn phase(&self, phone: Phone) -> Option<Phase> {
        self.user_agent(phone).calls().last().map(Call::phase)
    }

    pub(crate) fn newest(&self, phone: Phone) -> CallKey {
        self.user_agent(phone)
            .calls()
            .last()
            .expect("there is a call")
            .key()
    }

    pub(crate) fn reason(&self, phone: Phone) -> String {
        self.user_agent(phone)
            .last_end()
            .map(|end| end.reason.clone())
            .unwrap_or_default()
    }

    /// A call from `a` to `b`, established on both sides.
    pub(crate) fn establish(&mut self, a: Phone, b: Phone) {
        self.dial(a, b);
        self.until(|lab| lab.phase(b) == Some(Phase::Ringing));
        self.accept(b);
        self.until(|lab| {
            lab.phase(a) == Some(Phase::Established) && lab.phase(b) == Some(Phase::Established)
        });
    }

    /// Lets time pass until it holds; a minute at most.
    pub(crate) fn until(&mut self, holds: impl Fn(&Lab) -> bool) {
        let deadline = self.now + Duration::from_secs(60);
        while !holds(self) {
            assert!(self.step(deadline), "it did not happen within a minute");
        }
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        let deadline = self.now + span;
        while self.step(deadline) {}
        self.now = deadline;
    }

    /// Does what is due next, unless that is after `deadline`.
    fn step(&mut self, deadline: Time) -> bool {
        let parcel = self.wire.keys().next().map(|(at, _)| *at);
        let timer = self
            .hosts
            .iter()
            .enumerate()
            .filter_map(|(index, host)| Some((host.fleet.poll_timeout()?.0.max(self.now), index)))
            .min();
        let next = [parcel, timer.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(at) = next.filter(|at| *at <= deadline) else {
            return false;
        };
        self.now = self.now.max(at);
        if parcel == Some(at) {
            if let Some((_, parcel)) = self.wire.pop_first() {
                self.deliver(parcel);
            }
        } else if let Some((_, index)) = timer {
            self.hosts[index].fleet.handle_timeout(self.now);
            self.drain(index);
        }
        true
    }

    fn deliver(&mut self, parcel: Parcel) {
        let to = match &parcel {
            Parcel::Signalling { to, .. } | Parcel::Media { to, .. } => *to,
        };
        let found = self.hosts.iter().enumerate().find_map(|(index, host)| {
            host.sockets
                .iter()
                .find_map(|(socket, (local, usage))| match usage {
                    SocketUse::Signalling(Transport::Udp) if *local == to => Some((index, *socket)),
                    SocketUse::Media { .. } if *local == to => Some((index, *socket)),
                    SocketUse::Media { rtcp } if local.ip() == to.ip() && local.port() + 1 == to.port() => {
                        Some((index, *rtcp))
                    }
                    SocketUse::Signalling(_) | SocketUse::Media { .. } => None,
                })
        });
        if let (Some(heard), Parcel::Signalling { from, bytes, .. }) = (self.scripts.get_mut(&to), &parcel) {
            heard.push_back(Received {
                from: *from,
                text: String::from_utf8_lossy(bytes).into_owned(),
            });
            return;
        }
        let Some((index, socket)) = found else { return };
        let fleet = &mut self.hosts[index].fleet;
        match parcel {
            Parcel::Signalling { from, to, bytes } => {
                let flow = Flow {
                    transport: Transport::Udp,
                    local: to,
                    remote: from,
                };
                fleet.handle_input(self.now, Input::Datagram { socket, flow, bytes });
            }
            Parcel::Media { from, bytes, .. } => fleet.handle_packet(self.now, socket, from, &bytes),
        }
        self.drain(index);
    }

    fn send(&mut self, parcel: Parcel) {
        self.sent += 1;
        self.wire.insert((self.now + LATENCY, self.sent), parcel);
    }

    fn drain(&mut self, index: usize) {
        let mut buffer = [0; 1_500];
        loop {
            let mut moved = false;
            while let Some(output) = self.hosts[index].fleet.poll_output() {
                moved = true;
                self.perform(index, output);
            }
            while let Some((socket, to, length)) =
                self.hosts[index].fleet.poll_transmit(self.now, &mut buffer)
            {
                moved = true;
                self.media_packets += 1;
                self.reports += u64::from(to.port() % 2 == 1);
                self.last_media_to = Some(to);
                if self.deaf {
                    continue;
                }
                let sockets = &self.hosts[index].sockets;
                let from = sockets.get(&socket).map(|(local, _)| *local).or_else(|| {
                    sockets.values().find_map(|(local, usage)| match usage {
                        SocketUse::Media { rtcp } if *rtcp == socket => {
                            Some(SocketAddr::new(local.ip(), local.port() + 1))
                        }
                        SocketUse::Media { .. } | SocketUse::Signalling(_) => None,
                    })
                });
                let from = from.expect("media is sent from sockets that are bound");
                let bytes = Bytes::copy_from_slice(&buffer[..length]);
                self.send(Parcel::Media { from, to, bytes });
            }
            if !moved {
                return;
            }
        }
    }

    fn perform(&mut self, index: usize, output: Output<callwright_ua::FleetEvent>) {
        let now = self.now;
        let host = &mut self.hosts[index];
        match output {
            Output::Bind { socket, local, usage } => {
                let port = match (local.port(), usage) {
                    (0, _) => {
                        host.next_port += 2;
                        host.next_port
                    }
                    (port, _) => port,
                };
                let local = SocketAddr::new(host.ip, port);
                if matches!(usage, SocketUse::Media { .. }) {
                    host.media_numbers.insert(socket);
                }
                host.sockets.insert(socket, (local, usage));
                host.fleet.handle_input(now, Input::Bound { socket, local });
            }
            Output::Unbind { socket } => {
                host.sockets.remove(&socket);
            }
            Output::Datagram {
                socket, to, bytes, ..
            } => {
                let from = host.sockets[&socket].0;
                let first = String::from_utf8_lossy(bytes.split(|b| *b == b'\r').next().unwrap_or_default())
                    .into_owned();
                if self.filter.as_mut().is_none_or(|filter| filter(&first)) {
                    self.send(Parcel::Signalling { from, to, bytes });
                }
            }
            Output::Resolve { query, question } => {
                let answer = match question {
                    DnsQuery::Route(_) => Ok(vec![DnsRecord::Address(host.ip)]),
                    _ => Ok(Vec::new()),
                };
                host.fleet.handle_input(now, Input::Resolved { query, answer });
            }
            Output::Event(event) => host.changes.push(event.change),
            Output::Connect { .. } | Output::Stream { .. } | Output::Close { .. } => {
                panic!("the laboratory has no streams")
            }
        }
    }
}
