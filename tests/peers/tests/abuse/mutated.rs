//! Mutated SIP and RTP at the ports of a call that is up.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use callwright_peers::{CallCenter, CallCenterOptions};

use super::phone::{Answering, Phone};

const SHORT: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(600);
/// Messages between two looks at the clock.
const BLOCK: usize = 100;
/// What transactions that linger may take: at most 2,000 a second for 32 s (RFC 3261, Timers H and J), 1 KiB each.
const LINGERING: u64 = 64 << 20;
/// What memory may grow by once as many transactions end as begin.
const GROWTH: u64 = 16 << 20;
/// When that is.
const WARM: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);
/// Nobody is kept out: all of it has to be looked at.
const UNPROTECTED: &str =
    "[protection]\ninvites = false\nothers = false\nslow_after = 1000000\nban_after = 0\nunanswered = 0\n";

/// A stream of numbers (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// One of `all` with a few changes: octets, cuts, repetitions, pieces of others.
    fn mutate(&mut self, all: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = all[self.below(all.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(40)).min(bytes.len());
            match self.below(6) {
                0 if !bytes.is_empty() => bytes[at] = self.next() as u8,
                1 => bytes.truncate(at),
                2 => {
                    bytes.drain(at..end);
                }
                3 => {
                    let piece = bytes[at.min(end)..end].to_vec();
                    let piece = piece.repeat(1 + self.below(50));
                    bytes.splice(at..at, piece);
                }
                4 => {
                    let other = &all[self.below(all.len())];
                    let from = self.below(other.len());
                    let to = (from + self.below(200)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
                _ => {
                    let number = self.next().to_string();
                    bytes.splice(at..end.max(at), number.into_bytes());
                }
            }
        }
        bytes.truncate(60_000);
        bytes
    }
}

/// Requests of every kind, answers, and the messages of RFC 4475.
fn sip(phone: &Phone) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/sip-message/tests/torture/rfc4475");
    let files = std::fs::read_dir(folder).expect("the messages");
    let mut all: Vec<_> = files
        .filter_map(|file| std::fs::read(file.ok()?.path()).ok())
        .collect();
    all.sort();
    let methods = [
        "INVITE", "REGISTER", "OPTIONS", "MESSAGE", "BYE", "CANCEL", "ACK", "REFER", "UPDATE", "INFO",
        "PRACK",
    ];
    for method in methods {
        for user in ["alice", "dave", "support"] {
            all.push(phone.text(method, user, "Expires: 60\r\n").into_bytes());
        }
    }
    let answer = phone.text("INVITE", "dave", "");
    all.push(
        answer
            .replacen("INVITE sip:dave@callwright.test SIP/2.0", "SIP/2.0 200 OK", 1)
            .into_bytes(),
    );
    all
}

/// RTP with and without extension, and each kind of RTCP.
fn rtp() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for first in [0x80, 0x90, 0xa0, 0xb3] {
        for kind in [0, 8, 13, 101, 200, 201, 202, 203, 207] {
            let mut packet = vec![first, kind, 0, 40, 0, 0, 0, 160, 0, 0, 0, 1];
            packet.extend((0..160).map(|octet: u8| octet.wrapping_mul(7)));
            all.push(packet);
        }
    }
    all
}

fn whatever_is_sent(span: Duration) {
    let more = format!(
        "{}{UNPROTECTED}[[queue]]\nname = \"support\"\n",
        CallCenter::OPEN_API
    );
    let server = CallCenter::start_with(&CallCenterOptions {
        auth: Some("none"),
        more: &more,
        ..CallCenterOptions::default()
    });
    let _dave = Answering::start(server.address(), "dave");
    let phone = Phone::at([127, 0, 0, 1], server.address());
    let call = phone.asks("INVITE", "dave", "");
    assert_eq!(call.status, 200, "{}", call.text);
    let ports = server.media_ports();
    assert!(ports.len() >= 2, "{ports:?}");

    let strangers: Vec<_> = (1..20)
        .map(|host| Phone::at([127, 0, 1, host], server.address()))
        .collect();
    let sockets: Vec<_> = (1..4)
        .map(|host| UdpSocket::bind(SocketAddr::from(([127, 0, 2, host], 0))).expect("a socket"))
        .collect();
    let (sip, rtp) = (sip(&phone), rtp());
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    let before = server.memory();
    let mut warm = None;
    let mut most = before;
    let mut sent = 0_usize;
    let began = Instant::now();
    while began.elapsed() < span {
        for _ in 0..BLOCK {
            strangers[noise.below(strangers.len())].send(&noise.mutate(&sip));
            let port = ports[noise.below(ports.len())];
            // Refused only when nobody listens any more, which is found out below.
            let _refused = sockets[noise.below(sockets.len())]
                .send_to(&noise.mutate(&rtp), SocketAddr::from(([127, 0, 0, 1], port)));
        }
        let mut stream = TcpStream::connect(server.address()).expect("it takes connections");
        for _ in 0..5 {
            // It may close whenever it has seen enough.
            let _closed = stream.write_all(&noise.mutate(&sip));
        }
        sent += 2 * BLOCK + 5;
        most = most.max(server.memory());
        if began.elapsed() > WARM {
            warm.get_or_insert(server.memory());
        }
        std::thread::park_timeout(PAUSE);
    }
    let after = server.memory();
    let kib = |bytes: u64| bytes / 1_024;
    println!(
        "{sent} messages, {} malformed; resident {} KiB before, {:?} KiB warm, {} KiB at most, {} KiB after",
        server.metric("malformed_total"),
        kib(before),
        warm.map(kib),
        kib(most),
        kib(after)
    );
    assert!(server.metric("malformed_total") > 0);
    assert!(most < before + LINGERING, "{} KiB", kib(most));
    if let Some(warm) = warm {
        assert!(
            after < warm + GROWTH,
            "{} KiB after {} KiB",
            kib(after),
            kib(warm)
        );
    }
    phone.hangs_up("dave", &call);
    let again = phone.asks("REGISTER", "carol", "Expires: 60\r\n");
    assert_eq!(again.status, 200, "{}", again.text);
    let again = phone.asks("OPTIONS", "support", "");
    assert_eq!(again.status, 200, "{}", again.text);
}

#[test]
fn whatever_is_sent_to_its_ports_it_serves_on() {
    whatever_is_sent(SHORT);
}

#[test]
#[ignore = "takes ten minutes"]
fn whatever_is_sent_to_its_ports_for_ten_minutes_it_serves_on() {
    whatever_is_sent(LONG);
}
