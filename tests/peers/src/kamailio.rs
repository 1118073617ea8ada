//! Kamailio, a registrar and proxy, configured by `kamailio.cfg` beside this crate.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::daemon::{Daemon, pinned};
use crate::evidence::Evidence;
use crate::peer::program;
use crate::ports::Port;

/// Attempts to start on ports that nobody else takes in between.
const ATTEMPTS: usize = 5;
/// Probes before a start counts as failed, and the pause between two: together 20 s, for a machine under load.
const PROBES: u32 = 400;
const PROBE_PAUSE: Duration = Duration::from_millis(50);

/// A running Kamailio on 127.0.0.1, stopped when dropped. Users and special callees: see `kamailio.cfg`.
#[derive(Debug)]
pub struct Kamailio {
    daemon: Daemon,
    sip: Port,
    tls: Port,
    authority: Authority,
    evidence: Evidence,
}

/// How to start it.
#[derive(Clone, Copy)]
struct Start<'a> {
    options: &'a [&'a str],
    cpu: Option<usize>,
    /// The registrar that it is in front of.
    behind: Option<SocketAddr>,
}

impl<'a> Start<'a> {
    fn with(options: &'a [&'a str]) -> Self {
        Start {
            options,
            cpu: None,
            behind: None,
        }
    }
}

impl Kamailio {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with options of `kamailio.cfg`, such as `WITHOUT_INVITE_AUTH`.
    pub fn start_with(options: &[&str]) -> Self {
        for _ in 1..ATTEMPTS {
            if let Ok(kamailio) = Self::try_start(&Start::with(options)) {
                return kamailio;
            }
        }
        Self::try_start(&Start::with(options)).unwrap_or_else(|log| panic!("Kamailio does not start:\n{log}"))
    }

    /// Starts it to be measured: on one CPU, with one worker for UDP and the memory manager that is made for speed.
    pub fn start_on(cpu: usize) -> Self {
        let start = Start {
            cpu: Some(cpu),
            ..Start::with(&["WITHOUT_INVITE_AUTH", "ONE_WORKER"])
        };
        Self::try_start(&start).unwrap_or_else(|log| panic!("Kamailio does not start:\n{log}"))
    }

    /// Starts it as a proxy in front of a registrar, as `front.cfg` describes.
    pub fn in_front_of(registrar: SocketAddr) -> Self {
        let start = Start {
            behind: Some(registrar),
            ..Start::with(&[])
        };
        Self::try_start(&start).unwrap_or_else(|log| panic!("Kamailio does not start:\n{log}"))
    }

    /// The time of the CPU that its processes took so far.
    pub fn cpu_time(&self) -> Duration {
        self.daemon.cpu_time() + self.daemon.cpu_time_of_children()
    }

    /// Where it listens for UDP.
    pub fn udp(&self) -> SocketAddr {
        self.sip.address()
    }

    /// Where it listens for TCP: the same port.
    pub fn tcp(&self) -> SocketAddr {
        self.sip.address()
    }

    /// Where it listens for TLS.
    pub fn tls(&self) -> SocketAddr {
        self.tls.address()
    }

    /// The root certificate by which a client trusts it.
    pub fn root_certificate(&self) -> PathBuf {
        self.authority.root()
    }

    /// Name and password of one of the users `u1`, `u2`, …, of whom there is any number.
    pub fn user(number: u32) -> (String, String) {
        (format!("u{number}"), format!("pw-u{number}"))
    }

    /// The environment by which the examples find this Kamailio and its users, over `udp`, `tcp` or `tls`.
    pub fn environment(&self, transport: &str) -> Vec<(String, String)> {
        let domain = if transport == "tls" {
            self.tls()
        } else {
            self.udp()
        };
        let mut variables = vec![
            ("SIP_DOMAIN".to_owned(), domain.to_string()),
            ("SIP_TRANSPORT".to_owned(), transport.to_owned()),
            (
                "SSL_CERT_FILE".to_owned(),
                self.root_certificate().to_string_lossy().into_owned(),
            ),
        ];
        for (letter, user) in [("A", "alice"), ("B", "bob"), ("C", "carol"), ("D", "dave")] {
            variables.push((format!("{letter}_USER"), user.to_owned()));
            variables.push((format!("{letter}_PASS"), format!("{user}pw")));
        }
        variables
    }

    /// Whether one of its processes ended by a fault of its own, or found its memory freed twice: what failed then says nothing
    /// about anybody else.
    pub fn crashed(&self) -> bool {
        let log = self.evidence.read("kamailio.log");
        log.contains("exited by a signal") || log.contains("freeing already freed pointer")
    }

    /// How many contacts are registered now.
    pub fn contacts(&self) -> u64 {
        let answer = self.rpc("stats.fetch", &json!(["location_contacts"]));
        let count = &answer["result"]["usrloc.location_contacts"];
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
        count.unwrap_or_else(|| panic!("no count of contacts in {answer}"))
    }

    /// Calls a method of its JSON-RPC interface and returns the whole answer.
    pub fn rpc(&self, method: &str, parameters: &Value) -> Value {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let here = self
            .evidence
            .file(&format!("client-{}", CALLS.fetch_add(1, Ordering::Relaxed)));
        let socket = UnixDatagram::bind(here).expect("a socket for the answer");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a limit for the answer");
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        socket
            .send_to(request.to_string().as_bytes(), self.evidence.file("rpc.sock"))
            .expect("Kamailio takes a request");
        let mut answer = vec![0; 1 << 20];
        let length = socket.recv(&mut answer).expect("Kamailio answers a request");
        serde_json::from_slice(&answer[..length]).expect("the answer is JSON")
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.evidence.read("kamailio.log")
    }

    fn try_start(start: &Start<'_>) -> Result<Self, String> {
        let Start { options, cpu, behind } = *start;
        let evidence = Evidence::new("kamailio");
        let authority = Authority::create(evidence.path());
        let (sip, tls) = (Port::lease(), Port::lease());
        let kamailio = program("kamailio").expect("require!(Kamailio) comes first");
        let mut command = pinned(cpu, &kamailio);
        if cpu.is_some() {
            command.args(["-x", "fm"]);
        }
        let config = if let Some(behind) = behind {
            command.args(["--subst", &format!("!BEHIND!{behind}!g")]);
            "front.cfg"
        } else {
            "kamailio.cfg"
        };
        command
            .args(["-DD", "-E", "-m", "256", "-M", "16"])
            .arg("-f")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(config))
            .arg("-P")
            .arg(evidence.file("pid"))
            .arg("-Y")
            .arg(evidence.path())
            .arg("--subst")
            .arg(format!("!RUN_FOLDER!{}!g", evidence.path().display()));
        for (listener, port) in [("UDP=udp", &sip), ("TCP=tcp", &sip), ("TLS=tls", &tls)] {
            command
                .arg("-A")
                .arg(format!("LISTEN_{listener}:{}", port.address()));
        }
        for option in options {
            command.arg("-A").arg(option);
        }
        let daemon = Daemon::spawn(&mut command, &evidence.file("kamailio.log"), Signal::TERM);
        let mut kamailio = Self {
            daemon,
            sip,
            tls,
            authority,
            evidence,
        };
        if kamailio.becomes_ready() {
            Ok(kamailio)
        } else {
            Err(kamailio.evidence.ends_of_logs())
        }
    }

    /// Asks it by OPTIONS until it answers, over UDP and then over TCP. The process for TCP is the last that it forks:
    /// before that it is in no state to be stopped.
    fn becomes_ready(&mut self) -> bool {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket for the probe");
        socket.connect(self.udp()).expect("an address on loopback");
        socket.set_nonblocking(true).expect("a socket that does not wait");
        let here = socket.local_addr().expect("the address of the probe");
        let mut answer = [0; 2_048];
        for probe in 1..=PROBES {
            // Refused while nobody listens there: the next probe tells.
            let _refused = socket.send(options_probe("UDP", self.udp(), here, probe).as_bytes());
            if self.daemon.wait(PROBE_PAUSE).is_some() {
                return false;
            }
            if socket
                .recv(&mut answer)
                .is_ok_and(|length| answer[..length].starts_with(b"SIP/2.0 200 "))
            {
                return self.becomes_ready_for_tcp();
            }
        }
        false
    }

    /// A connection that was made while it still starts may never be read: each probe has one of its own.
    fn becomes_ready_for_tcp(&mut self) -> bool {
        for _ in 0..PROBES {
            if self.answers_over_tcp().unwrap_or(false) {
                return true;
            }
            if self.daemon.wait(PROBE_PAUSE).is_some() {
                return false;
            }
        }
        false
    }

    fn answers_over_tcp(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(self.tcp())?;
        stream.set_read_timeout(Some(10 * PROBE_PAUSE))?;
        stream.write_all(options_probe("TCP", self.tcp(), stream.local_addr()?, 0).as_bytes())?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start == *b"SIP/2.0 200 ")
    }
}

fn options_probe(transport: &str, to: SocketAddr, from: SocketAddr, number: u32) -> String {
    format!(
        "OPTIONS sip:{to} SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {from};branch=z9hG4bK-probe-{number};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:probe@{from}>;tag=probe\r\n\
         To: <sip:{to}>\r\n\
         Call-ID: probe-{number}@{from}\r\n\
         CSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
