//! 800 calls with audio both ways, G.711 in packets of 20 ms, relayed.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use callwright_peers::{CallCenter, CallCenterOptions, Rtpengine, require};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::{GENERATOR, MEASURED, UNPROTECTED};

const CALLS: usize = 800;
/// The sockets of the generator on each side of the calls.
const SOCKETS: usize = 4;
/// A stream has a packet each 20 ms.
const INTERVAL: usize = 20;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);
/// What is on its way when a round ends.
const TAIL: Duration = Duration::from_millis(200);
const HEADER: usize = 12;
const PACKET: usize = HEADER + 160;

/// Where one direction of a call is sent from and to.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    socket: usize,
    to: SocketAddr,
    sequence: u16,
}

/// Whoever makes the calls: sockets on both sides, first those of the callers.
pub(super) struct Generator {
    sockets: Vec<UdpSocket>,
    began: Instant,
}

/// What came of a round.
#[derive(Default)]
pub(super) struct Round {
    pub(super) sent: usize,
    pub(super) received: usize,
    cpu: Duration,
    delays: Vec<Duration>,
}

impl Generator {
    pub(super) fn new() -> Self {
        let socket = |_| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            // What the kernel may drop here is no loss of the relay: as large as it lets us.
            let _small = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 8 << 20);
            socket.set_nonblocking(true).expect("a socket that does not wait");
            socket
        };
        Generator {
            sockets: (0..2 * SOCKETS).map(socket).collect(),
            began: Instant::now(),
        }
    }

    /// The sockets of both sides of a call.
    fn ends(call: usize) -> [usize; 2] {
        [call % SOCKETS, SOCKETS + call % SOCKETS]
    }

    pub(super) fn addresses(&self, call: usize) -> [SocketAddr; 2] {
        Self::ends(call).map(|socket| self.sockets[socket].local_addr().expect("its address"))
    }

    pub(super) fn streams(call: usize, to: [SocketAddr; 2]) -> [Stream; 2] {
        let [one, other] = Self::ends(call);
        [(one, to[0]), (other, to[1])].map(|(socket, to)| Stream {
            socket,
            to,
            sequence: 0,
        })
    }

    /// Sends all streams for a while, and counts what comes back.
    pub(super) fn run(
        &self,
        streams: &mut [Stream],
        span: Duration,
        cpu_time: &dyn Fn() -> Duration,
    ) -> Round {
        let mut round = Round::default();
        let before = cpu_time();
        let start = Instant::now();
        let ticks = span.as_millis() as usize;
        for tick in 0..ticks {
            let due = start + Duration::from_millis(tick as u64);
            self.receive_until(due, &mut round);
            for at in (tick % INTERVAL..streams.len()).step_by(INTERVAL) {
                round.sent += usize::from(self.send(at, &mut streams[at]));
            }
        }
        self.receive_until(Instant::now() + TAIL, &mut round);
        round.cpu = cpu_time() - before;
        round
    }

    fn send(&self, number: usize, stream: &mut Stream) -> bool {
        let mut packet = [0x7f; PACKET];
        stream.sequence = stream.sequence.wrapping_add(1);
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&stream.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(stream.sequence) * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&(number as u32 + 1).to_be_bytes());
        let now = self.began.elapsed().as_nanos() as u64;
        packet[HEADER..HEADER + 8].copy_from_slice(&now.to_be_bytes());
        self.sockets[stream.socket].send_to(&packet, stream.to).is_ok()
    }

    fn receive_until(&self, until: Instant, round: &mut Round) {
        let mut buffer = [0; 2_048];
        loop {
            let mut any = false;
            for socket in &self.sockets {
                while let Ok(length) = socket.recv(&mut buffer) {
                    any = true;
                    if length == PACKET && buffer[1] & 0x7f == 0 {
                        let stamp: [u8; 8] = buffer[HEADER..HEADER + 8].try_into().expect("eight octets");
                        let sent = Duration::from_nanos(u64::from_be_bytes(stamp));
                        round.delays.push(self.began.elapsed().saturating_sub(sent));
                        round.received += 1;
                    }
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if !any {
                let waited: Vec<_> = self
                    .sockets
                    .iter()
                    .map(|socket| PollFd::new(socket, PollFlags::IN))
                    .collect();
                let timeout = Timespec::try_from(left).expect("a short time");
                let _time_up = poll(&mut { waited }, Some(&timeout));
            }
        }
    }
}

impl Round {
    fn print(&mut self, relay: &str) -> f64 {
        self.delays.sort_unstable();
        let quantile = |share: f64| {
            let at = ((self.delays.len() as f64 * share) as usize).min(self.delays.len().saturating_sub(1));
            self.delays.get(at).map_or(0.0, |delay| delay.as_secs_f64() * 1e3)
        };
        let micros = self.cpu.as_secs_f64() * 1e6 / self.received.max(1) as f64;
        println!(
            "{relay:>10}: {micros:.2} µs of CPU per packet; {} sent, {} lost; delay p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
            self.sent,
            self.sent.saturating_sub(self.received),
            quantile(0.5),
            quantile(0.99),
            quantile(1.0),
        );
        micros
    }
}

/// A SIP user agent that does nothing but set calls up: it calls bob, and is bob.
pub(super) struct Setup {
    server: SocketAddr,
    caller: UdpSocket,
    callee: UdpSocket,
}

impl Setup {
    pub(super) fn new(server: SocketAddr) -> Self {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let limit = Some(Duration::from_secs(10));
            socket.set_read_timeout(limit).expect("a limit");
            socket
        };
        let setup = Setup {
            server,
            caller: socket(),
            callee: socket(),
        };
        let here = setup.callee.local_addr().expect("its address");
        let text = format!(
            "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKr\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@{server}>;tag=r\r\nTo: <sip:bob@{server}>\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:bob@{here}>\r\nContent-Length: 0\r\n\r\n"
        );
        setup.callee.send_to(text.as_bytes(), server).expect("it leaves");
        setup.expect(&setup.callee, "SIP/2.0 200");
        setup
    }

    /// Sets a call up between these addresses; returns where each of them sends to.
    pub(super) fn call(&self, number: usize, [from, to]: [SocketAddr; 2]) -> [SocketAddr; 2] {
        let (server, here) = (self.server, self.caller.local_addr().expect("its address"));
        let head = |method: &str, uri: &str, to: &str| {
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{method}{number}\r\nMax-Forwards: 70\r\n\
                 From: <sip:load@{here}>;tag=a\r\nTo: {to}\r\nCall-ID: {number}\r\nCSeq: 1 {method}\r\n\
                 Contact: <sip:load@{here}>\r\n"
            )
        };
        let bob = format!("sip:bob@{server}");
        let invite = head("INVITE", &bob, &format!("<{bob}>"));
        self.caller
            .send_to(with_audio(&invite, from).as_bytes(), server)
            .expect("it leaves");
        let rung = self.expect(&self.callee, "INVITE");
        let field = |text: &str, name: &str| -> String {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let contact = self.callee.local_addr().expect("its address");
        let answer = format!(
            "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:bob@{contact}>\r\n",
            field(&rung, "Via:"),
            field(&rung, "From:"),
            field(&rung, "To:"),
            field(&rung, "Call-ID:"),
            field(&rung, "CSeq:"),
        );
        self.callee
            .send_to(with_audio(&answer, to).as_bytes(), server)
            .expect("it leaves");
        let answered = self.expect(&self.caller, "SIP/2.0 200");
        let target = field(&answered, "Contact:");
        let ack = head("ACK", target.trim_matches(['<', '>']), &field(&answered, "To:"));
        let ack = format!("{ack}Content-Length: 0\r\n\r\n");
        self.caller.send_to(ack.as_bytes(), server).expect("it leaves");
        [&answered, &rung].map(|text| {
            let port = text
                .split("m=audio ")
                .nth(1)
                .and_then(|line| line.split(' ').next());
            let port = port.and_then(|port| port.parse().ok()).expect("a port");
            SocketAddr::from(([127, 0, 0, 1], port))
        })
    }

    fn expect(&self, socket: &UdpSocket, beginning: &str) -> String {
        let mut buffer = [0; 8_192];
        loop {
            let length = socket.recv(&mut buffer).expect("a message");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with(beginning) {
                return text;
            }
        }
    }
}

fn with_audio(head: &str, at: SocketAddr) -> String {
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\n",
        ip = at.ip(),
        port = at.port()
    );
    format!(
        "{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
#[ignore = "measures a release build on an idle machine"]
fn a_packet_costs_less_than_it_costs_rtpengine() {
    require!(Rtpengine);
    let mut cpus = CpuSet::new();
    cpus.set(GENERATOR);
    sched_setaffinity(None, &cpus).expect("two CPUs");
    let generator = Generator::new();

    let server = CallCenter::start_with(&CallCenterOptions {
        more: UNPROTECTED,
        cpu: Some(MEASURED),
        ..CallCenterOptions::default()
    });
    let setup = Setup::new(server.address());
    let mut ours: Vec<Stream> = (0..CALLS)
        .flat_map(|call| Generator::streams(call, setup.call(call, generator.addresses(call))))
        .collect();
    let rtpengine = Rtpengine::start_on(MEASURED);
    let mut theirs: Vec<Stream> = (0..CALLS)
        .flat_map(|call| Generator::streams(call, rtpengine.relay(call, generator.addresses(call))))
        .collect();

    // Both have to find out first where packets come from.
    generator.run(&mut ours, Duration::from_secs(1), &|| Duration::ZERO);
    generator.run(&mut theirs, Duration::from_secs(4), &|| Duration::ZERO);
    for _ in 0..ROUNDS {
        let theirs = generator
            .run(&mut theirs, ROUND, &|| rtpengine.cpu_time())
            .print("rtpengine");
        let ours = generator
            .run(&mut ours, ROUND, &|| server.cpu_time())
            .print("Callwright");
        println!("{:>10}  {:.2} times rtpengine's", "", ours / theirs);
    }
}
