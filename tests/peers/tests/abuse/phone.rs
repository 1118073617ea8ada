//! A phone that sends what it is told, from an address of its own.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// After it a request is sent again (RFC 3261, T1).
const T1: Duration = Duration::from_millis(500);
/// How often.
const SENDINGS: usize = 20;

/// A phone.
pub(crate) struct Phone {
    socket: UdpSocket,
    server: SocketAddr,
}

/// A final response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// Since the request was sent first.
    pub(crate) after: Duration,
}

impl Answer {
    /// The value of the first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.text, name)
    }

    /// Its status and the names of its fields.
    pub(crate) fn shape(&self) -> (u16, Vec<String>) {
        let lines = self.text.lines().skip(1).take_while(|line| !line.is_empty());
        let names = lines.filter_map(|line| line.split_once(':'));
        (self.status, names.map(|(name, _)| name.to_owned()).collect())
    }
}

/// The value of the first field of this name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// A number that no request had before.
pub(crate) fn number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    NUMBER.fetch_add(1, Relaxed)
}

impl Phone {
    /// A phone at an address of loopback.
    pub(crate) fn at(ip: [u8; 4], server: SocketAddr) -> Phone {
        let socket = UdpSocket::bind((Ipv4Addr::from(ip), 0)).expect("an address of loopback");
        Phone { socket, server }
    }

    pub(crate) fn here(&self) -> SocketAddr {
        self.socket.local_addr().expect("its address")
    }

    /// A request with a number of its own, to or of a user.
    pub(crate) fn text(&self, method: &str, user: &str, fields: &str) -> String {
        let id = number();
        self.in_call(method, user, (id, method, 1), "", fields)
    }

    /// A request of a call: its number, its method in CSeq and how manieth it is, and the tag of To.
    fn in_call(
        &self,
        method: &str,
        user: &str,
        (id, of, cseq): (u32, &str, u32),
        tag: &str,
        fields: &str,
    ) -> String {
        let (here, aor) = (self.here(), format!("sip:{user}@callwright.test"));
        let (uri, from) = if method == "REGISTER" {
            ("sip:callwright.test", aor.as_str())
        } else {
            (aor.as_str(), "sip:somebody@elsewhere.example")
        };
        let (kind, body) = if method == "INVITE" {
            ("Content-Type: application/sdp\r\n", description(here))
        } else {
            ("", String::new())
        };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-{of}-{id}-{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <{from}>;tag={id}\r\nTo: <{aor}>{tag}\r\nCall-ID: {id}@{here}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{user}@{here}>\r\n{fields}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Sends it, and does not wait.
    pub(crate) fn send(&self, bytes: &[u8]) {
        // Refused only where nobody listens any more: whoever is asked next does not answer.
        let _refused = self.socket.send_to(bytes, self.server);
    }

    /// Asks, again and again, until there is a final response; nothing where none comes within `patience`.
    pub(crate) fn hears(&self, text: &str, patience: Duration) -> Option<Answer> {
        let began = Instant::now();
        let call_id = field(text, "Call-ID").unwrap_or_default();
        let cseq = field(text, "CSeq").unwrap_or_default();
        let mut buffer = [0; 8_192];
        for _ in 0..SENDINGS {
            self.send(text.as_bytes());
            let until = Instant::now() + T1;
            while began.elapsed() < patience {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                self.socket.set_read_timeout(Some(left)).expect("a limit");
                let Ok(length) = self.socket.recv(&mut buffer) else {
                    break;
                };
                let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let own = field(&answer, "Call-ID") == Some(call_id) && field(&answer, "CSeq") == Some(cseq);
                let status = answer.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
                let Some(status) = status.filter(|_| own).and_then(|status| status.parse().ok()) else {
                    continue;
                };
                if status >= 200 {
                    return Some(Answer {
                        status,
                        text: answer,
                        after: began.elapsed(),
                    });
                }
            }
            if began.elapsed() >= patience {
                break;
            }
        }
        None
    }

    /// The same of a request that has to be answered.
    #[track_caller]
    pub(crate) fn asks(&self, method: &str, user: &str, fields: &str) -> Answer {
        let text = self.text(method, user, fields);
        let answer = self.hears(&text, T1 * 20);
        let answer = answer.unwrap_or_else(|| panic!("no answer to\n{text}"));
        if method == "INVITE" {
            self.acknowledge(user, &answer);
        }
        answer
    }

    /// ACK. The number of the call is that of From's tag.
    fn acknowledge(&self, user: &str, answer: &Answer) {
        self.send(self.after_answer("ACK", user, answer).as_bytes());
    }

    fn after_answer(&self, method: &str, user: &str, answer: &Answer) -> String {
        let call_id = answer.field("Call-ID").unwrap_or_default();
        let id = call_id.split('@').next().and_then(|id| id.parse().ok());
        let to = answer.field("To").unwrap_or_default();
        let tag = to.split_once(";tag=").map_or("", |(_, tag)| tag);
        let call = (
            id.expect("a number of ours"),
            if answer.status < 300 { method } else { "INVITE" },
            if method == "ACK" { 1 } else { 2 },
        );
        self.in_call(method, user, call, &format!(";tag={tag}"), "")
    }

    /// Hangs a call up that was answered.
    #[track_caller]
    pub(crate) fn hangs_up(&self, user: &str, answer: &Answer) {
        let text = self.after_answer("BYE", user, answer);
        let answer = self.hears(&text, T1 * 20);
        assert_eq!(answer.map(|answer| answer.status), Some(200), "to\n{text}");
    }
}

fn description(at: SocketAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
        at.ip(),
        at.port()
    )
}

/// A user who answers every call at once, on a thread.
pub(crate) struct Answering {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answering {
    /// Registers `user`, who needs no password, at 127.0.0.1.
    pub(crate) fn start(server: SocketAddr, user: &'static str) -> Answering {
        let phone = Phone::at([127, 0, 0, 1], server);
        let registered = phone.asks("REGISTER", user, "Expires: 3600\r\n");
        assert_eq!(registered.status, 200, "{}", registered.text);
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let thread = std::thread::spawn(move || {
            while !until.load(Relaxed) {
                phone.answers(user);
            }
        });
        Answering {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Phone {
    /// Answers one request with 200, if one comes soon.
    fn answers(&self, user: &str) {
        let soon = Some(Duration::from_millis(50));
        self.socket.set_read_timeout(soon).expect("a limit");
        let mut buffer = [0; 8_192];
        let Ok((length, from)) = self.socket.recv_from(&mut buffer) else {
            return;
        };
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if request.starts_with("SIP/2.0") || request.starts_with("ACK") {
            return;
        }
        let copied = |name: &str| field(&request, name).unwrap_or_default().to_owned();
        let to = copied("To");
        let tag = if to.contains(";tag=") {
            ""
        } else {
            ";tag=answering"
        };
        let (kind, body) = if request.starts_with("INVITE") {
            ("Content-Type: application/sdp\r\n", description(self.here()))
        } else {
            ("", String::new())
        };
        let answer = format!(
            "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{user}@{}>\r\n\
             {kind}Content-Length: {}\r\n\r\n{body}",
            copied("Via"),
            copied("From"),
            copied("Call-ID"),
            copied("CSeq"),
            self.here(),
            body.len()
        );
        self.socket.send_to(answer.as_bytes(), from).expect("it leaves");
    }
}
