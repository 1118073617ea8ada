//! A whole call between two endpoints in memory: INVITE 180 200 ACK BYE 200, bytes to bytes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use callwright_sip::command::{Answer, Hangup, Identity, Invite, Progress};
use callwright_sip::endpoint::{CallId, IdentityId};
use callwright_sip::{Endpoint, EndpointConfig, Event};
use callwright_wire::{DnsRecord, Flow, Input, Node, Output, Residue, Seed, SocketId, Time, Transport};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n\
                   a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

/// How far the clock goes on after each call: all transactions have ended by then (Timers D, H, J, L, M: 32 s).
const AFTER: Duration = Duration::from_secs(40);

struct Side {
    node: Endpoint,
    identity: IdentityId,
    address: SocketAddr,
    socket: SocketId,
    rings: Option<CallId>,
    ended: u32,
}

/// Two endpoints, and the messages between them.
pub struct Pair {
    now: Time,
    sides: [Side; 2],
}

impl Default for Pair {
    fn default() -> Self {
        Pair::new()
    }
}

impl Pair {
    /// Two endpoints that listen.
    pub fn new() -> Pair {
        let side = |place: u64| {
            let address: SocketAddr = SocketAddr::new([10, 0, 0, place as u8].into(), 5060);
            let mut node = Endpoint::new(EndpointConfig::default(), Seed::from_number(place).stream());
            let identity = node.add_identity(Identity::new(uri(&format!("sip:user{place}@10.0.0.{place}"))));
            let socket = node.listen(Time::ZERO, Transport::Udp, address);
            node.handle_input(Time::ZERO, Input::Bound { socket, local: address });
            while node.poll_output().is_some() {}
            Side { node, identity, address, socket, rings: None, ended: 0 }
        };
        Pair { now: Time::from_secs(1), sides: [side(1), side(2)] }
    }

    /// A call from INVITE to the 200 of its BYE; true when both sides told its end and nothing is left of it.
    pub fn call(&mut self) -> bool {
        let before = [self.sides[0].ended, self.sides[1].ended];
        let Some(call) = self.establish() else { return false };
        if !self.hang_up(call) {
            return false;
        }
        self.now += AFTER;
        for side in &mut self.sides {
            side.node.handle_timeout(self.now);
        }
        self.exchange();
        let left = Residue { sockets: 1, ..Residue::default() };
        let told = self.sides[0].ended == before[0] + 1 && self.sides[1].ended == before[1] + 1;
        told && self.sides.iter().all(|side| side.node.residue() == left)
    }

    /// A call up to its ACK; the caller's handle.
    pub fn establish(&mut self) -> Option<CallId> {
        let invite = Invite::new(self.sides[0].identity, uri("sip:user2@10.0.0.2"));
        let invite = Invite { offer: Some(Bytes::from_static(SDP.as_bytes())), ..invite };
        let call = self.sides[0].node.invite(self.now, invite, None).ok()?;
        self.exchange();
        let rings = self.sides[1].rings.take()?;
        self.sides[1].node.progress(self.now, rings, Progress::new(180), None).ok()?;
        self.exchange();
        let answer = Answer { description: Some(Bytes::from_static(SDP.as_bytes())), ..Answer::default() };
        self.sides[1].node.answer(self.now, rings, answer, None).ok()?;
        self.exchange();
        Some(call)
    }

    /// The caller hangs up; transactions linger.
    pub fn hang_up(&mut self, call: CallId) -> bool {
        let asked = self.sides[0].node.hangup(self.now, call, Hangup::default(), None);
        self.exchange();
        asked.is_ok()
    }

    /// Time passes until all transactions have ended.
    pub fn settle(&mut self) {
        self.now += AFTER;
        for side in &mut self.sides {
            side.node.handle_timeout(self.now);
        }
        self.exchange();
    }

    /// Carries messages until nobody has any.
    fn exchange(&mut self) {
        let mut quiet = 0;
        let mut place = 0;
        while quiet < 2 {
            quiet = if self.deliver(place) { 0 } else { quiet + 1 };
            place = 1 - place;
        }
    }

    fn deliver(&mut self, place: usize) -> bool {
        let mut sent = false;
        while let Some(output) = self.sides[place].node.poll_output() {
            match output {
                Output::Datagram { bytes, .. } => {
                    sent = true;
                    let remote = self.sides[place].address;
                    let other = &mut self.sides[1 - place];
                    let flow = Flow { transport: Transport::Udp, local: other.address, remote };
                    other.node.handle_input(self.now, Input::Datagram { socket: other.socket, flow, bytes });
                }
                Output::Event(Event::IncomingCall(incoming)) => self.sides[place].rings = Some(incoming.call),
                Output::Event(Event::Ended { .. }) => self.sides[place].ended += 1,
                Output::Resolve { query, .. } => {
                    let record = DnsRecord::Address(self.sides[1 - place].address.ip());
                    self.sides[place].node.handle_input(self.now, Input::Resolved { query, answer: Ok(vec![record]) });
                }
                _ => {}
            }
        }
        sent
    }
}

fn uri(text: &str) -> callwright_sip_message::Uri {
    text.parse().unwrap_or_else(|_| callwright_sip_message::Uri::sip(std::net::IpAddr::from([10, 0, 0, 1]).into()))
}
