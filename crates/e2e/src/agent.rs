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
/// # Errors
///
/// When it cannot start or register, or a recording cannot be written.
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
    world.close(id);
    let closed = close(&receiver, &name, &mut tapes);
    ended.and(closed)
}

fn serve(news: &Receiver<News>, place: &Place, tapes: &mut Option<Tapes>) -> Result<(), AgentError> {
    loop {
        let what = match news.recv() {
            Ok(News::Phone(what)) => what,
            Ok(News::Stop) => return Ok(()),
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
            what => note(tapes, &what)?,
        }
    }
}

/// Waits until everything is hung up and unregistered.
fn close(news: &Receiver<News>, name: &str, tapes: &mut Option<Tapes>) -> Result<(), AgentError> {
    let until = Instant::now() + CLOSE;
    loop {
        match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(News::Phone(Happening::Closed)) => return Ok(()),
            Ok(News::Phone(what)) => {
                diary::log(name, &what);
                note(tapes, &what)?;
            }
            Ok(News::Stop) => {}
            Ok(News::Lost) | Err(RecvTimeoutError::Disconnected) => return Err(AgentError::Failed),
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!(phone = name, "did not end within {} s", CLOSE.as_secs());
                return Ok(());
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
            name: name.to_owned(),
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

fn failed(path: &Path, error: io::Error) -> AgentError {
    AgentError::Record {
        path: path.to_owned(),
        error,
    }
}
