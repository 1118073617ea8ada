//! rtpengine, a relay of RTP that is driven by its NG protocol: dictionaries in bencode over UDP.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::{Daemon, pinned};
use crate::evidence::Evidence;
use crate::peer::program;
use crate::ports::Port;

const PROBES: u32 = 200;
const PROBE_PAUSE: Duration = Duration::from_millis(50);

/// A running rtpengine on 127.0.0.1 that relays in user space, stopped when dropped.
#[derive(Debug)]
pub struct Rtpengine {
    daemon: Daemon,
    control: UdpSocket,
    _port: Port,
}

impl Rtpengine {
    /// Starts it on one CPU, with one thread, and waits until it answers.
    pub fn start_on(cpu: usize) -> Self {
        let evidence = Evidence::new("rtpengine");
        let port = Port::lease();
        let rtpengine = program("rtpengine").expect("require!(Rtpengine) comes first");
        let mut command: Command = pinned(Some(cpu), &rtpengine);
        command.args(["--foreground", "--log-stderr", "--log-level=4", "--table=-1"]);
        command.args(["--interface=127.0.0.1", "--num-threads=1", "--delete-delay=0"]);
        command.args(["--port-min=34000", "--port-max=44000"]);
        command.arg(format!("--listen-ng={}", port.address()));
        command.arg(format!("--pidfile={}", evidence.file("pid").display()));
        let mut daemon = Daemon::spawn(&mut command, &evidence.file("rtpengine.log"), Signal::TERM);
        let control = UdpSocket::bind("127.0.0.1:0").expect("a socket for control");
        control.connect(port.address()).expect("an address on loopback");
        control.set_read_timeout(Some(PROBE_PAUSE)).expect("a limit");
        for _ in 0..PROBES {
            assert!(
                daemon.wait(Duration::ZERO).is_none(),
                "rtpengine does not start:\n{}",
                evidence.ends_of_logs()
            );
            let mut answer = [0; 512];
            let asked = control.send(b"0_0 d7:command4:pinge");
            if asked.and_then(|_| control.recv(&mut answer)).is_ok() {
                control
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .expect("a limit");
                return Rtpengine {
                    daemon,
                    control,
                    _port: port,
                };
            }
            // Refused while nobody listens there.
            let _ended = daemon.wait(PROBE_PAUSE);
        }
        panic!("rtpengine does not answer:\n{}", evidence.ends_of_logs());
    }

    /// The time of the CPU that it took so far.
    pub fn cpu_time(&self) -> Duration {
        self.daemon.cpu_time()
    }

    /// Relays audio between two addresses; returns where each of them sends to.
    pub fn relay(&self, number: usize, [caller, callee]: [SocketAddr; 2]) -> [SocketAddr; 2] {
        let call = [
            ("call-id", format!("call-{number}")),
            ("from-tag", "a".to_owned()),
        ];
        let of = |command: &str, at: SocketAddr| {
            let mut entries = call.to_vec();
            entries.push(("command", command.to_owned()));
            entries.push(("ICE", "remove".to_owned()));
            entries.push(("sdp", description(at)));
            entries
        };
        let to_callee = self.ask(2 * number, &of("offer", caller));
        let mut answer = of("answer", callee);
        answer.push(("to-tag", "b".to_owned()));
        let to_caller = self.ask(2 * number + 1, &answer);
        [port_in(&to_caller), port_in(&to_callee)].map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// The answer to a command, as text.
    fn ask(&self, cookie: usize, entries: &[(&str, String)]) -> String {
        let mut text = format!("1_{cookie} d");
        for (key, value) in entries {
            text += &format!("{}:{key}{}:{value}", key.len(), value.len());
        }
        text += "e";
        self.control.send(text.as_bytes()).expect("it takes a command");
        let mut answer = [0; 8_192];
        let length = self.control.recv(&mut answer).expect("it answers a command");
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(answer.contains("6:result2:ok"), "{text}\n{answer}");
        answer
    }
}

/// A description of audio in PCMU at an address.
fn description(at: SocketAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n",
        ip = at.ip(),
        port = at.port()
    )
}

fn port_in(answer: &str) -> u16 {
    let line = answer.split("m=audio ").nth(1).unwrap_or_default();
    let port = line.split(' ').next().and_then(|port| port.parse().ok());
    port.unwrap_or_else(|| panic!("no port in {answer}"))
}
