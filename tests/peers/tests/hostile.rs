//! A peer that sends what no peer should, to the port of an agent that is in a call.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use callwright_peers::{Port, command};

/// Longer than any answer takes on loopback.
const PATIENCE: Duration = Duration::from_millis(500);
/// What a process may take more than before: a few connections with full buffers, no pile of messages.
const GROWTH: u64 = 16_000_000;

/// A run of `hostile.rhai` whose call is up.
struct Victim {
    process: Child,
    port: Port,
    output: BufReader<ChildStdout>,
    shown: String,
    memory: u64,
}

impl Victim {
    fn start(transport: &str) -> Self {
        let port = Port::lease();
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/hostile.rhai");
        let mut process = command()
            .args(["run", "-v"])
            .arg(scenario)
            .args(["--set", &format!("local={}", port.address())])
            .args(["--set", &format!("transport={transport}")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let shown = read_until(&mut output, "log up");
        let memory = memory(&process);
        Self {
            process,
            port,
            output,
            shown,
            memory,
        }
    }

    /// Has the scenario go on with its call, which must pass, and returns how many messages were counted as malformed.
    fn survives(mut self, say_that_it_is_over: impl FnOnce()) -> u64 {
        let memory = memory(&self.process);
        say_that_it_is_over();
        self.output.read_to_string(&mut self.shown).expect("UTF-8");
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "{status}\n{}", self.shown);
        let malformed = malformed(&self.shown);
        println!(
            "{malformed} malformed, {} bytes before, {memory} after",
            self.memory
        );
        assert!(
            memory < self.memory + GROWTH,
            "{} bytes before, {memory} after",
            self.memory
        );
        malformed
    }
}

#[test]
fn a_call_survives_whatever_is_sent_to_its_port() {
    let victim = Victim::start("udp");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(victim.port.address()).expect("loopback");
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let rejected = send_datagrams(&socket);
    assert!(rejected > 0, "nothing was answered 400");
    let malformed = victim.survives(|| send(&socket, &request("MESSAGE", "over", "1 MESSAGE")));
    assert!(malformed >= 10, "{malformed}");
}

#[test]
fn a_call_survives_whoever_connects_to_its_port() {
    let victim = Victim::start("tcp");
    let target = victim.port.address();
    let held = send_streams(target);
    let mut last = TcpStream::connect(target).expect("the port still takes connections");
    let malformed = victim.survives(|| {
        last.write_all(&request("MESSAGE", "over", "1 MESSAGE"))
            .expect("the connection is open");
    });
    assert!(malformed >= 2, "{malformed}");
    drop(held);
}

/// The messages of RFC 4475 and RFC 5118, noise, and what is nearly a message. Returns how many were answered 400.
fn send_datagrams(socket: &UdpSocket) -> usize {
    for message in torture() {
        send(socket, &message);
    }
    let mut noise = 0x2545_f491_4f6c_dd1d_u64;
    for length in (0..4_000).step_by(40) {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                noise.to_le_bytes()[0]
            })
            .collect();
        send(socket, &bytes);
    }
    let whole = request("OPTIONS", "cut", "1 OPTIONS");
    for length in (0..whole.len()).step_by(7) {
        send(socket, &whole[..length]);
    }
    send(socket, &[b'A'; 65_000]);
    send(socket, &request("OPTIONS", "sequence", "many OPTIONS"));
    send(socket, &request("OPTIONS", "method", "1 REGISTER"));
    let mut rejected = 0;
    let mut answer = vec![0; 65_536];
    while let Ok(length) = socket.recv(&mut answer) {
        rejected += usize::from(answer[..length].starts_with(b"SIP/2.0 400 "));
    }
    rejected
}

/// Connections that never end a line, that announce more than they may, and, returned, that stop within a message.
fn send_streams(target: SocketAddr) -> Vec<TcpStream> {
    let half = request("OPTIONS", "half", "1 OPTIONS");
    let held: Vec<TcpStream> = (0..50)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(target).ok()?;
            stream.write_all(&half[..half.len() / 2]).ok()?;
            Some(stream)
        })
        .collect();
    assert_eq!(held.len(), 50, "the port takes connections");
    for flood in [
        &b"A"[..],
        b"\r\n",
        b"X: y\r\n",
        b"\0",
        b"OPTIONS sip:a SIP/2.0\r\n",
    ] {
        flood_with(target, b"", flood);
    }
    flood_with(
        target,
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 4000000000\r\n\r\n",
        b"body",
    );
    held
}

/// Up to 20 MB of the same; the other side may close whenever it has seen enough.
fn flood_with(target: SocketAddr, start: &[u8], flood: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(target) else {
        panic!("the port takes connections");
    };
    stream.set_write_timeout(Some(PATIENCE)).expect("a limit");
    if stream.write_all(start).is_err() {
        return;
    }
    let block = flood.repeat(100_000 / flood.len());
    for _ in 0..200 {
        if stream.write_all(&block).is_err() {
            return;
        }
    }
}

fn send(socket: &UdpSocket, bytes: &[u8]) {
    // Refused only when nobody listens any more, which the run itself then tells.
    let _refused = socket.send(bytes);
}

fn request(method: &str, branch: &str, cseq: &str) -> Vec<u8> {
    format!(
        "{method} sip:b@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-{branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:x@127.0.0.1>;tag=x\r\nTo: <sip:b@127.0.0.1>\r\n\
         Call-ID: {branch}@127.0.0.1\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn torture() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/sip-message/tests/torture");
    let mut files: Vec<PathBuf> = ["rfc4475", "rfc5118"]
        .iter()
        .flat_map(|rfc| std::fs::read_dir(folder.join(rfc)).expect("the messages"))
        .map(|entry| entry.expect("a message").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    assert!(files.len() >= 49, "{files:?}");
    files
        .iter()
        .map(|path| std::fs::read(path).expect("a message"))
        .collect()
}

fn read_until(output: &mut impl std::io::BufRead, end: &str) -> String {
    let mut shown = String::new();
    while !shown.contains(end) {
        let read = output.read_line(&mut shown).expect("UTF-8");
        assert!(read > 0, "no `{end}`:\n{shown}");
    }
    shown
}

/// What the process has resident now, in bytes.
fn memory(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    1_024 * kibibytes.expect("its memory")
}

/// `generator: …, 12 malformed, …`
fn malformed(shown: &str) -> u64 {
    let count = shown
        .split_once(" malformed")
        .and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok());
    count.unwrap_or_else(|| panic!("no count of malformed messages:\n{shown}"))
}
