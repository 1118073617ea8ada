//! What the transactions of a whole call cost: INVITE 180 200 ACK BYE 200, both sides together, bytes to bytes, without dialogs.
//!
//! `cargo bench -p callwright-sip --bench transactions [calls]` prints nanoseconds a call, for each tenth of the calls: there
//! is no growth. Time passes as at 1,000 calls a second, so that the transactions of 32 s of calls are there at once.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use callwright_sip::core::{ClientId, Core, CoreConfig, CoreEvent, LocalContact, Outgoing, ServerId, Target};
use callwright_sip_message::{Builder, HeaderName, Message, Method, Uri};
use callwright_wire::{Flow, Input, Output, Seed, SocketId, Time, Transport};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n\
                   a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
                   a=ptime:20\r\na=sendrecv\r\n";

struct Side {
    core: Core,
    socket: SocketId,
    flow: Flow,
}

impl Side {
    fn new(seed: u64, local: &str, remote: &str) -> Side {
        let (local, remote) = (
            local.parse().expect("a literal"),
            remote.parse().expect("a literal"),
        );
        let mut core = Core::new(CoreConfig::default(), Seed::from_number(seed).stream());
        let socket = core.listen(Transport::Udp, local);
        core.handle_input(Time::ZERO, Input::Bound { socket, local });
        while core.poll_output().is_some() {}
        Side {
            core,
            socket,
            flow: Flow {
                transport: Transport::Udp,
                local,
                remote,
            },
        }
    }

    /// Takes a datagram in, and gives what came out.
    fn take(&mut self, now: Time, bytes: Bytes) -> (Vec<Bytes>, Vec<CoreEvent>) {
        let input: Input<Infallible> = Input::Datagram {
            socket: self.socket,
            flow: self.flow,
            bytes,
        };
        self.core.handle_input(now, input);
        self.out()
    }

    fn out(&mut self) -> (Vec<Bytes>, Vec<CoreEvent>) {
        let (mut sent, mut events) = (Vec::new(), Vec::new());
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Datagram { bytes, .. } => sent.push(bytes),
                Output::Event(CoreEvent::Seen(_) | CoreEvent::Ended { .. }) => {}
                Output::Event(event) => events.push(event),
                _ => {}
            }
        }
        (sent, events)
    }
}

fn request(method: Method, call: u64, cseq: u32, to: &str) -> Builder {
    let uri: Uri = "sip:bob@10.0.0.2".parse().expect("a literal");
    Builder::request(method.clone(), &uri)
        .header(HeaderName::MaxForwards, 70)
        .header(HeaderName::From, "\"Alice\" <sip:alice@10.0.0.1>;tag=a7364hf")
        .header(HeaderName::To, to)
        .header(HeaderName::CallId, format_args!("{call}@10.0.0.1"))
        .header(HeaderName::CSeq, format_args!("{cseq} {method}"))
        .header(
            HeaderName::Allow,
            "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY",
        )
}

fn contact() -> LocalContact {
    LocalContact {
        user: Some("alice".to_owned()),
        ..LocalContact::default()
    }
}

fn answer(request: &Message, status: u16) -> Builder {
    Builder::response_to(request, status, "OK").to_tag("b834hf")
}

fn request_of(events: &mut Vec<CoreEvent>) -> (ServerId, Message) {
    match events.pop() {
        Some(CoreEvent::Request { id, message, .. }) => (id, message),
        other => panic!("{other:?}"),
    }
}

fn one(mut sent: Vec<Bytes>) -> Bytes {
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

fn call(now: Time, number: u64, a: &mut Side, b: &mut Side) {
    let target = || Target::new("sip:10.0.0.2".parse().expect("a literal"));
    let start = |a: &mut Side, request: Outgoing| -> (ClientId, Bytes) {
        let id = a.core.request(now, request, target(), None).expect("a request");
        (id, one(a.out().0))
    };
    let invite = request(Method::Invite, number, 1, "<sip:bob@10.0.0.2>")
        .body("application/sdp", SDP)
        .finish();
    let (_, invite) = start(a, Outgoing::new(invite).with_contact(contact()));
    let (_, mut events) = b.take(now, invite);
    let (server, invite) = request_of(&mut events);
    b.core
        .respond(now, server, answer(&invite, 180).finish(), None)
        .expect("pending");
    let ringing = one(b.out().0);
    a.take(now, ringing);
    let ok =
        Outgoing::new(answer(&invite, 200).body("application/sdp", SDP).finish()).with_contact(contact());
    b.core.respond(now, server, ok, None).expect("pending");
    let ok = one(b.out().0);
    a.take(now, ok);
    let to = "<sip:bob@10.0.0.2>;tag=b834hf";
    a.core
        .send_ack(now, request(Method::Ack, number, 1, to).finish(), target(), None);
    let ack = one(a.out().0);
    b.take(now, ack);
    let (_, bye) = start(a, request(Method::Bye, number, 2, to).finish().into());
    let (_, mut events) = b.take(now, bye);
    let (server, bye) = request_of(&mut events);
    b.core
        .respond(now, server, answer(&bye, 200).finish(), None)
        .expect("pending");
    let ok = one(b.out().0);
    a.take(now, ok);
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn main() {
    let calls: u64 = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(100_000);
    let mut a = Side::new(1, "10.0.0.1:5060", "10.0.0.2:5060");
    let mut b = Side::new(2, "10.0.0.2:5060", "10.0.0.1:5060");
    let mut now = Time::from_secs(1);
    for tenth in 0..10 {
        let start = std::time::Instant::now();
        for number in 0..calls / 10 {
            now += Duration::from_millis(1);
            a.core.handle_timeout(now);
            b.core.handle_timeout(now);
            call(now, tenth * calls + number, &mut a, &mut b);
        }
        let each = start.elapsed().as_nanos() / u128::from(calls / 10);
        let held = a.core.residue().transactions + b.core.residue().transactions;
        println!("{each} ns a call, {held} transactions held");
    }
}
