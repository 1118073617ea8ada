//! `callwright agent`: the phone of one agent, until it is told to stop.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use callwright_media::wav;
use callwright_net as net;
use callwright_ua as ua;

use crate::account::{Place, PlaceError};
use crate::diary;
use crate::phone_world::PhoneWorld;
use crate::phones::{Duty, Happening, Phone};

/// How long hanging up and unregistering may take.
const CLOSE: Duration = Duration::from_secs(35);

/// The phone of one agent.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Whose it is, and where it registers.
    pub place: Place,
    /// Hangs up so long after a call was answered; `None` waits for the other side.
    pub call_duration: Option<Duration>,
    /// What it says.
    pub says: ua::Audio,
    /// A folder for recordings, one a call: stereo WAV, left said, right heard.
    pub record: Option<PathBuf>,
    /// Whether SIP messages are logged.
    pub verbose: bool,
}

/// Why the phone of an agent did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// What it was told.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The operating system.
    #[error(transparent)]
    World(#[from] net::StartError),
    /// A port, or no way to the server.
    #[error("{username} cannot start: {error}")]
    Start {
        /// Whose phone.
        username: String,
        /// Why.
        error: ua::StartError,
    },
    /// The registrar.
    #[error("{username} could not register at {server}: {reason}{advice}")]
    NotRegistered {
        /// Whose phone.
        username: String,
        /// Where.
        server: String,
        /// The status, where there was one.
        status: Option<u16>,
        /// The status with its phrase, or words.
        reason: String,
        /// What the reader can do.
        advice: &'static str,
    },
    /// It was registered, and is not any more.
    #[error("{username} was not registered at {server} in the end: {reason}")]
    Lost {
        /// Whose phone.
        username: String,
        /// Where.
        server: String,
        /// The status with its phrase, or words.
        reason: String,
    },
    /// It did not hang up or unregister in time.
    #[error("{username} did not end within {} s: a BYE or the unregistration got no answer", CLOSE.as_secs())]
    NotClosed {
        /// Whose phone.
        username: String,
    },
    /// A recording.
    #[error("cannot write {path}: {error}")]
    Record {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The loop ended by itself.
    #[error("the network loop ended: this is a bug of callwright; what stands above in the log says where")]
    Failed,
}

/// What the reader can do about a registration that failed.
pub(crate) fn advice(status: Option<u16>) -> &'static str {
    match status {
        Some(401 | 403 | 407) => " (is the password right? --password)",
        Some(404) => " (the server does not know that user: --username, --domain)",
        Some(408) | None => " (does a server listen there? --server)",
        Some(_) => "",
    }
}

enum News {
    Phone(Happening),
    Stop,
    Lost,
}

/// Asks a phone to stop in order. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Stop(Sender<News>);

impl std::fmt::Debug for News {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("News")
    }
}

impl Stop {
    /// Asks. Nothing happens when it is over already.
    pub fn ask(&self) {
        let _over = self.0.send(News::Stop);
    }
}

/// Runs the phone of one agent until somebody asks it to stop: it registers, answers, hangs up, and unregisters in the end.
/// `ready` is given the handle that stops it, before anything is sent.
///
/// A recording that cannot be written ends it, as an order to stop does.
///
/// # Errors
///
/// When it cannot start or register, when it is not registered any more in the end, when that end gets no answer, or when a
/// recording cannot be written.
pub fn agent(agent: Agent, ready: impl FnOnce(Stop)) -> Result<(), AgentError> {
    let account = agent.place.account()?;
    let tapes = agent
        .record
        .as_deref()
        .map(|folder| Tapes::new(folder, &agent.place.username));
    let mut tapes = tapes.transpose()?;
    let (news, receiver) = channel();
    let world = PhoneWorld::start(news.clone(), |_, event| News::Phone(event.what), || News::Lost)?;
    ready(Stop(news));
    let name = agent.place.username.clone();
    let id = world.with(|phones, now| {
        if agent.verbose {
            phones.tell_messages();
        }
        phones.add(
            now,
            Phone {
                name: name.clone(),
                account,
                duty: Duty::Answer {
                    talk: agent.call_duration,
                },
                says: agent.says,
                partner_hz: None,
                record: tapes.is_some(),
            },
        )
    });
    let ended = serve(&receiver, &agent.place, &mut tapes);
    if let Err(AgentError::Record { .. }) = ended {
        tapes = None;
    }
    world.close(id);
    let closed = close(&receiver, &name, tapes);
    ended.and(closed)
}

fn serve(news: &Receiver<News>, place: &Place, tapes: &mut Option<Tapes>) -> Result<(), AgentError> {
    let mut lost = None;
    loop {
        let what = match news.recv() {
            Ok(News::Phone(what)) => what,
            Ok(News::Stop) => return lost.map_or(Ok(()), Err),
            Ok(News::Lost) | Err(_) => return Err(AgentError::Failed),
        };
        diary::log(&place.username, &what);
        match what {
            Happening::StartFailed { error } => {
                let username = place.username.clone();
                return Err(AgentError::Start { username, error });
            }
            Happening::RegistrationFailed { status, reason } => {
                return Err(AgentError::NotRegistered {
                    username: place.username.clone(),
                    server: place.server.clone(),
                    status,
                    reason,
                    advice: advice(status),
                });
            }
            Happening::Registered { .. } => lost = None,
            Happening::RefreshFailed {
                registered: false,
                reason,
                ..
            } => {
                lost = Some(AgentError::Lost {
                    username: place.username.clone(),
                    server: place.server.clone(),
                    reason,
                });
            }
            what => note(tapes, &what)?,
        }
    }
}

/// Waits until everything is hung up and unregistered, whether or not recordings can be written meanwhile.
fn close(news: &Receiver<News>, name: &str, mut tapes: Option<Tapes>) -> Result<(), AgentError> {
    let until = Instant::now() + CLOSE;
    let mut recorded = Ok(());
    loop {
        match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(News::Phone(Happening::Closed)) => return recorded,
            Ok(News::Phone(what)) => {
                diary::log(name, &what);
                if let Err(error) = note(&mut tapes, &what) {
                    tapes = None;
                    recorded = Err(error);
                }
            }
            Ok(News::Stop) => {}
            Ok(News::Lost) | Err(RecvTimeoutError::Disconnected) => return Err(AgentError::Failed),
            Err(RecvTimeoutError::Timeout) => {
                let username = name.to_owned();
                return recorded.and(Err(AgentError::NotClosed { username }));
            }
        }
    }
}

fn note(tapes: &mut Option<Tapes>, what: &Happening) -> Result<(), AgentError> {
    let Some(tapes) = tapes else { return Ok(()) };
    match what {
        Happening::Recorded { call, samples } => tapes.push(*call, samples),
        Happening::CallEnded(end) => tapes.end(end.call),
        _ => Ok(()),
    }
}

/// The recordings of a phone, a file a call.
struct Tapes {
    folder: PathBuf,
    name: String,
    open: BTreeMap<ua::CallKey, (PathBuf, wav::Recorder<BufWriter<File>>)>,
}

impl Tapes {
    fn new(folder: &Path, name: &str) -> Result<Tapes, AgentError> {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        Ok(Tapes {
            folder: folder.to_owned(),
            name: file_name(name),
            open: BTreeMap::new(),
        })
    }

    fn push(&mut self, call: ua::CallKey, samples: &[i16]) -> Result<(), AgentError> {
        if !self.open.contains_key(&call) {
            let created = self.create();
            self.open.insert(call, created?);
        }
        let Some((path, recorder)) = self.open.get_mut(&call) else {
            return Ok(());
        };
        let sent: Vec<i16> = samples.iter().step_by(2).copied().collect();
        let heard: Vec<i16> = samples.iter().skip(1).step_by(2).copied().collect();
        recorder.push(&sent, &heard).map_err(|error| failed(path, error))
    }

    /// A file that was not there.
    fn create(&self) -> Result<(PathBuf, wav::Recorder<BufWriter<File>>), AgentError> {
        let mut number = 1;
        loop {
            let path = self.folder.join(format!("{}-{number}.wav", self.name));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    let recorder = wav::Recorder::new(BufWriter::new(file));
                    let recorder = recorder.map_err(|error| failed(&path, error))?;
                    return Ok((path, recorder));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(failed(&path, error)),
            }
        }
    }

    fn end(&mut self, call: ua::CallKey) -> Result<(), AgentError> {
        match self.open.remove(&call) {
            Some((path, recorder)) => {
                recorder.finish().map_err(|error| failed(&path, error))?;
                tracing::info!(phone = self.name, call = call.0, file = %path.display(), "recorded");
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// A user as part of the name of a file: what else than letters, digits, `_`, `-` and inner dots stands in it is
/// percent-encoded.
fn file_name(user: &str) -> String {
    let mut name = String::with_capacity(user.len());
    for (place, byte) in user.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            b'.' if place > 0 => name.push('.'),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

fn failed(path: &Path, error: io::Error) -> AgentError {
    AgentError::Record {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recordings that cannot be written.
    fn nowhere() -> Tapes {
        Tapes {
            folder: PathBuf::from("/dev/null/recordings"),
            name: "alice".to_owned(),
            open: BTreeMap::new(),
        }
    }

    #[test]
    fn no_user_leaves_the_folder_of_recordings() {
        let names = [
            "alice",
            "a.b-c_1",
            "../../escaped",
            "/etc/x",
            "a/b",
            ".hidden",
            "ä",
        ];
        let expected = [
            "alice",
            "a.b-c_1",
            "%2E.%2F..%2Fescaped",
            "%2Fetc%2Fx",
            "a%2Fb",
            "%2Ehidden",
            "%C3%A4",
        ];
        assert_eq!(names.map(file_name), expected);
    }

    #[test]
    fn a_recording_that_cannot_be_written_waits_for_the_end_all_the_same() {
        let (news, receiver) = channel();
        let piece = Happening::Recorded {
            call: ua::CallKey(1),
            samples: vec![1; 320].into(),
        };
        for what in [piece.clone(), piece, Happening::Closed] {
            news.send(News::Phone(what)).expect("there is a receiver");
        }
        let closed = close(&receiver, "alice", Some(nowhere()));
        assert!(matches!(closed, Err(AgentError::Record { .. })), "{closed:?}");
        assert!(receiver.try_recv().is_err(), "everything was waited for");
    }

    #[test]
    fn a_phone_that_lost_its_registration_fails() {
        let place = Place {
            username: "alice".to_owned(),
            server: "127.0.0.1:5060".to_owned(),
            domain: None,
            password: None,
            port: None,
            answer_after: Duration::ZERO,
        };
        let refused = |registered| Happening::RefreshFailed {
            registered,
            status: Some(503),
            reason: "503 Service Unavailable".to_owned(),
        };
        let registered = || Happening::Registered {
            expires: Duration::from_secs(60),
        };
        let end = |happenings: Vec<Happening>| {
            let (news, receiver) = channel();
            for what in happenings {
                news.send(News::Phone(what)).expect("there is a receiver");
            }
            news.send(News::Stop).expect("there is a receiver");
            serve(&receiver, &place, &mut None)
        };
        let lost = end(vec![registered(), refused(true), refused(false)]);
        assert!(matches!(lost, Err(AgentError::Lost { .. })), "{lost:?}");
        assert!(end(vec![registered(), refused(false), registered()]).is_ok());
        assert!(end(vec![registered(), refused(true)]).is_ok());
    }
}
