//! Phones that keep a diary: callers and agents of SIP over UDP without audio, each in a thread, as simple as can be. They know
//! nothing of the server but what it says to them.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::tape::Tape;

/// How long a phone waits for a message before it looks what else there is to do.
const TICK: Duration = Duration::from_millis(2);

/// How many calls are begun at once, and how many messages are heard before the next: there may always be one more.
const CALLS: usize = 4;
const MESSAGES: usize = 32;

/// What a caller knows of its call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    /// Its INVITE was answered with 200.
    pub(crate) answered: Option<Instant>,
    /// It hung up.
    pub(crate) bye_sent: Option<Instant>,
    /// Its BYE was answered with 200.
    pub(crate) bye_answered: Option<Instant>,
    /// The other side hung up.
    pub(crate) hung_up: Option<Instant>,
    /// Its INVITE was refused: the status, and Retry-After.
    pub(crate) refused: Option<(u16, Option<String>)>,
    /// The server was killed meanwhile.
    pub(crate) lost: bool,
    ack: Option<String>,
    bye: Option<String>,
}

type Diary = Arc<Mutex<BTreeMap<String, Story>>>;

/// Callers who call a queue, each once, one after the other.
pub(crate) struct Callers {
    diary: Diary,
    stop: Arc<AtomicBool>,
    /// How many may call at once.
    pub(crate) limit: Arc<AtomicUsize>,
    /// Whether calls that are up are hung up after a while.
    pub(crate) hangs_up: Arc<AtomicBool>,
    /// Calls of a server that is gone are given up.
    pub(crate) generation: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// A field of a message, whole.
fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find(|line| {
        line.split(':')
            .next()
            .is_some_and(|key| key.eq_ignore_ascii_case(name))
    })
}

fn value<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    Some(field(message, name)?.split_once(':')?.1.trim())
}

/// A socket, and what passes it on tape.
struct Line {
    socket: UdpSocket,
    here: SocketAddr,
    tape: Arc<Tape>,
}

impl Line {
    fn new(tape: &Arc<Tape>) -> Line {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(TICK)).expect("a limit");
        Line {
            here: socket.local_addr().expect("its address"),
            socket,
            tape: tape.clone(),
        }
    }

    fn send(&self, text: &str, to: SocketAddr) {
        self.tape.write(self.here, to, text.as_bytes());
        // A server that was killed a moment ago.
        let _gone = self.socket.send_to(text.as_bytes(), to);
    }

    /// A message and whose it is, if one comes soon.
    fn hear(&self) -> Option<(String, SocketAddr)> {
        let mut bytes = [0; 4_096];
        let (length, from) = self.socket.recv_from(&mut bytes).ok()?;
        self.tape.write(from, self.here, &bytes[..length]);
        Some((String::from_utf8_lossy(&bytes[..length]).into_owned(), from))
    }
}

fn description(at: SocketAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=inactive\r\n",
        at.ip()
    )
}

impl Callers {
    /// Calls `uri` of `server`, with `limit` calls at once.
    pub(crate) fn start(server: SocketAddr, uri: &str, limit: usize, tape: &Arc<Tape>) -> Callers {
        let diary = Diary::default();
        let stop = Arc::new(AtomicBool::new(false));
        let limit = Arc::new(AtomicUsize::new(limit));
        let hangs_up = Arc::new(AtomicBool::new(true));
        let generation = Arc::new(AtomicUsize::new(0));
        let mut work = Calling {
            line: Line::new(tape),
            server,
            uri: uri.to_owned(),
            diary: diary.clone(),
            active: BTreeMap::new(),
            started: 0,
        };
        let (over, most, end, lives) = (stop.clone(), limit.clone(), hangs_up.clone(), generation.clone());
        let thread = std::thread::spawn(move || {
            let mut life = 0;
            while !over.load(Relaxed) {
                let now = lives.load(Relaxed);
                if now != life {
                    life = now;
                    work.give_up();
                }
                work.turn(most.load(Relaxed), end.load(Relaxed));
            }
        });
        Callers {
            diary,
            stop,
            limit,
            hangs_up,
            generation,
            thread: Some(thread),
        }
    }

    /// What the callers know, by the names that they call by.
    pub(crate) fn stories(&self) -> BTreeMap<String, Story> {
        lock(&self.diary).clone()
    }

    /// Waits until something holds of what they know.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&BTreeMap<String, Story>) -> bool) {
        let patience = Instant::now() + Duration::from_secs(30);
        while !holds(&lock(&self.diary)) {
            assert!(
                Instant::now() < patience,
                "{what} does not come: {:?}",
                lock(&self.diary).iter().next_back()
            );
            // Nothing tells when a phone hears something.
            std::thread::park_timeout(TICK);
        }
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _over = thread.join();
        }
    }
}

fn lock(diary: &Diary) -> MutexGuard<'_, BTreeMap<String, Story>> {
    diary.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Calling {
    line: Line,
    server: SocketAddr,
    uri: String,
    diary: Diary,
    /// When each call is hung up: some time after it was answered.
    active: BTreeMap<String, Option<Instant>>,
    started: u64,
}

impl Calling {
    fn turn(&mut self, limit: usize, hangs_up: bool) {
        for _ in self.active.len()..limit.min(self.active.len() + CALLS) {
            self.call();
        }
        for _ in 0..MESSAGES {
            let Some((message, _)) = self.line.hear() else {
                break;
            };
            self.hear(&message);
        }
        let now = Instant::now();
        let due: Vec<_> = self
            .active
            .iter()
            .filter(|(_, at)| hangs_up && at.is_some_and(|at| at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.hang_up(&name, now);
        }
    }

    fn give_up(&mut self) {
        let mut diary = lock(&self.diary);
        for name in std::mem::take(&mut self.active).into_keys() {
            if let Some(story) = diary.get_mut(&name) {
                story.lost = true;
            }
        }
    }

    fn send(&self, text: &str) {
        self.line.send(text, self.server);
    }

    fn head(&self, method: &str, uri: &str, name: &str, to: &str, cseq: u32) -> String {
        let here = self.line.here;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-{name}-{cseq}-{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:{name}@{here}>;tag={name}\r\n{to}\r\nCall-ID: {name}@{here}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{name}@{here}>\r\n"
        )
    }

    fn call(&mut self) {
        self.started += 1;
        let here = self.line.here;
        let name = format!("caller{}p{}", self.started, here.port());
        let to = format!("To: <{}>", self.uri);
        let body = description(here);
        let head = self.head("INVITE", &self.uri, &name, &to, 1);
        let text = format!(
            "{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        lock(&self.diary).insert(name.clone(), Story::default());
        self.active.insert(name, None);
        self.send(&text);
    }

    fn hang_up(&mut self, name: &str, now: Instant) {
        let mut diary = lock(&self.diary);
        let Some(story) = diary.get_mut(name) else { return };
        if let (Some(bye), None) = (&story.bye, story.bye_sent) {
            let bye = bye.clone();
            story.bye_sent = Some(now);
            drop(diary);
            self.send(&bye);
        }
    }

    fn hear(&mut self, message: &str) {
        let now = Instant::now();
        let Some(name) = value(message, "call-id").and_then(|id| id.split('@').next()) else {
            return;
        };
        let name = name.to_owned();
        if !message.starts_with("SIP/2.0 ") {
            return self.serve(message, &name, now);
        }
        let status: u16 = message[8..11].parse().unwrap_or(0);
        let cseq = value(message, "cseq").unwrap_or_default();
        let to = field(message, "to").unwrap_or_default().to_owned();
        let mut diary = lock(&self.diary);
        let Some(story) = diary.get_mut(&name) else { return };
        let mut send = None;
        if cseq.ends_with("INVITE") && (200..300).contains(&status) {
            let contact = value(message, "contact").unwrap_or_default();
            let target = contact.split(['<', '>']).nth(1).unwrap_or(&self.uri).to_owned();
            if story.ack.is_none() {
                let ack = self.head("ACK", &target, &name, &to, 1) + "Content-Length: 0\r\n\r\n";
                let bye = self.head("BYE", &target, &name, &to, 2) + "Content-Length: 0\r\n\r\n";
                (story.ack, story.bye) = (Some(ack), Some(bye));
                story.answered = Some(now);
                // A different time for each, without dice.
                let hold = Duration::from_millis(200 + (name.len() as u64 * 31 + self.started * 137) % 1_100);
                self.active.insert(name.clone(), Some(now + hold));
            }
            send = story.ack.clone();
        } else if cseq.ends_with("INVITE") && status >= 300 {
            story.refused = Some((status, value(message, "retry-after").map(str::to_owned)));
            self.active.remove(&name);
            send = Some(
                self.head("ACK", &self.uri, &name, &to, 1)
                    .replace("-1-ACK", "-1-INVITE")
                    + "Content-Length: 0\r\n\r\n",
            );
        } else if cseq.ends_with("BYE") && status >= 200 {
            story.bye_answered = Some(now);
            self.active.remove(&name);
        }
        drop(diary);
        if let Some(text) = send {
            self.send(&text);
        }
    }

    /// A request of the server: only a BYE matters, all are answered with 200.
    fn serve(&mut self, message: &str, name: &str, now: Instant) {
        if message.starts_with("ACK") {
            return;
        }
        if message.starts_with("BYE")
            && let Some(story) = lock(&self.diary).get_mut(name)
        {
            story.hung_up = Some(now);
            self.active.remove(name);
        }
        self.send(&answer(message, "", ""));
    }
}

/// A 200 to a request.
fn answer(request: &str, contact: &str, body: &str) -> String {
    let line = |name| field(request, name).unwrap_or_default();
    let mut to = line("to").to_owned();
    if !to.contains("tag=") {
        to += ";tag=agent";
    }
    let mut vias = request
        .lines()
        .filter(|line| line.starts_with("Via:"))
        .collect::<Vec<_>>()
        .join("\r\n");
    if vias.is_empty() {
        vias = line("via").to_owned();
    }
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "SIP/2.0 200 OK\r\n{vias}\r\n{}\r\n{to}\r\n{}\r\n{}\r\n{contact}{kind}Content-Length: {}\r\n\r\n{body}",
        line("from"),
        line("call-id"),
        line("cseq"),
        body.len()
    )
}

/// Agents at one socket: they answer at once, and hang up only when they are hung up on.
pub(crate) struct Agents {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Agents {
    /// Registers agents of these names, and lets them answer.
    pub(crate) fn start(server: SocketAddr, names: &[String], tape: &Arc<Tape>) -> Agents {
        let line = Line::new(tape);
        let here = line.here;
        for name in names {
            register(&line, server, name);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let over = stop.clone();
        let thread = std::thread::spawn(move || {
            while !over.load(Relaxed) {
                let Some((message, from)) = line.hear() else {
                    continue;
                };
                let reply = match message.split(' ').next() {
                    Some("INVITE") => {
                        let contact = format!("Contact: <sip:agent@{here}>\r\n");
                        answer(&message, &contact, &description(here))
                    }
                    Some("ACK" | "SIP/2.0") | None => continue,
                    Some(_) => answer(&message, "", ""),
                };
                line.send(&reply, from);
            }
        });
        Agents {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _over = thread.join();
        }
    }
}

fn register(line: &Line, server: SocketAddr, name: &str) {
    let here = line.here;
    let text = format!(
        "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-{name}\r\nMax-Forwards: 70\r\n\
         From: <sip:{name}@{server}>;tag={name}\r\nTo: <sip:{name}@{server}>\r\nCall-ID: {name}@{here}\r\n\
         CSeq: 1 REGISTER\r\nContact: <sip:{name}@{here}>;expires=3600\r\nContent-Length: 0\r\n\r\n"
    );
    let patience = Instant::now() + Duration::from_secs(20);
    while Instant::now() < patience {
        line.send(&text, server);
        let heard = Instant::now() + Duration::from_millis(500);
        while Instant::now() < heard {
            let Some((message, _)) = line.hear() else {
                continue;
            };
            if message.starts_with("SIP/2.0 200") && message.contains(&format!("{name}@{here}")) {
                return;
            }
        }
    }
    panic!("{name} does not register");
}
