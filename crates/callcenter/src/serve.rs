//! The command: a server on real sockets, until it is told to stop.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use callwright_acd::{ConfigError, Fact};
use callwright_net as net;
use callwright_wire::{BindError, Epoch, Input, Node as _, Seed, Tap, Time, Transport};

use crate::recordings::{Intake, Recordings, repair};
use crate::server::{Command, Event, Server};
use crate::settings::{Settings, SettingsError};
use crate::store::ModelStore;

/// How long the system may take to open sockets.
const OPEN: Duration = Duration::from_secs(10);
/// How long calls in progress may take to end in order: the machine lets go of who does not answer, after 33 s.
const CLOSE: Duration = Duration::from_secs(35);
/// How long the last recordings may take to be stored.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why a call center does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A certificate.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Settings that contradict each other.
    #[error("the settings of the call center: {0}")]
    Config(#[from] ConfigError),
    /// The operating system.
    #[error(transparent)]
    Start(#[from] net::StartError),
    /// A port.
    #[error("no {transport}: {error}")]
    Listen {
        /// What it would have spoken.
        transport: Transport,
        /// Why not.
        error: BindError,
    },
    /// The system did not say whether the sockets are open.
    #[error("the sockets were not opened within {} s", OPEN.as_secs())]
    Silent,
    /// The thread that writes recordings.
    #[error("recordings cannot be written: {0}")]
    Recordings(std::io::Error),
    /// The capture.
    #[error("{0}")]
    Capture(String),
    /// The loop ended by itself.
    #[error("the network loop ended: this is a bug of callwright; what stands above in the log says where")]
    Failed,
}

enum News {
    Of(Time, Event),
    /// About a recording.
    Fact(Fact),
    Stop,
    Failed,
}

/// Asks a running server to stop in order. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Stop(Sender<News>);

impl Stop {
    /// Asks. Nothing happens when it is over already.
    pub fn ask(&self) {
        // Nobody listens any more: it has stopped.
        let _over = self.0.send(News::Stop);
    }
}

/// Where recordings go, once the world is there and as long as it is.
type Desk = Arc<Mutex<Option<Intake>>>;

fn clear(desk: &Desk) -> Option<Intake> {
    desk.lock().unwrap_or_else(PoisonError::into_inner).take()
}

struct Sink {
    news: Sender<News>,
    desk: Desk,
}

impl Sink {
    fn record(&self, record: impl FnOnce(&mut Intake)) {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(intake) = desk.as_mut() {
            record(intake);
        }
    }
}

impl net::EventSink<Event> for Sink {
    fn event(&mut self, _party: net::PartyId, now: Time, event: Event) {
        match event {
            Event::RecordingBegan { call, at } => self.record(|intake| intake.began(call, at)),
            Event::Recorded { call, piece } => self.record(|intake| intake.take(call, piece)),
            other => {
                let _over = self.news.send(News::Of(now, other));
            }
        }
    }

    fn failed(&mut self) {
        let _over = self.news.send(News::Failed);
    }
}

/// Has facts about recordings stored.
struct Keeper<K> {
    keep: K,
    /// How many were neither stored nor refused.
    pending: usize,
}

impl<K: Fn(Fact)> Keeper<K> {
    fn keep(&mut self, fact: Fact) {
        self.pending += 1;
        (self.keep)(fact);
    }

    fn heard(&mut self, now: Time, event: &Event) {
        let (Event::Stored { fact } | Event::NotStored { fact }) = event else {
            return log(now, event);
        };
        if matches!(fact, Fact::RecordingStarted { .. } | Fact::RecordingEnded { .. }) {
            self.pending = self.pending.saturating_sub(1);
        }
        log(now, event);
    }

    /// Has the last ones stored, and waits for that, for a while.
    fn settle(&mut self, news: &Receiver<News>) {
        let until = Instant::now() + LAST_WORDS;
        loop {
            let next = if self.pending > 0 {
                news.recv_timeout(until.saturating_duration_since(Instant::now()))
                    .ok()
            } else {
                news.try_recv().ok()
            };
            match next {
                Some(News::Fact(fact)) => self.keep(fact),
                Some(News::Of(now, event)) => self.heard(now, &event),
                Some(News::Stop) => {}
                Some(News::Failed) => return,
                None if self.pending > 0 => {
                    let facts = self.pending;
                    tracing::error!(
                        facts,
                        "not stored in time: the records miss what was said of recordings"
                    );
                    return;
                }
                None => return,
            }
        }
    }
}

/// Runs a call center on real sockets until somebody asks it to stop, and ends it in order.
///
/// `tap` makes the tap of every packet, where one is wanted; `ready` is given the addresses once all are open, and the
/// handle that stops it.
///
/// # Errors
///
/// When it cannot start, or the network loop ends by itself.
pub fn serve(
    settings: &Settings,
    tap: impl FnOnce(Epoch) -> Result<Option<Box<dyn Tap>>, String>,
    ready: impl FnOnce(&[(Transport, SocketAddr)], Stop),
) -> Result<(), ServeError> {
    warn(settings);
    let world_config = net::WorldConfig {
        identity: settings.identity()?,
        media_ports: settings.media_ports(),
        ..net::WorldConfig::default()
    };
    let (news, receiver) = channel();
    let desk = Desk::default();
    let sink = Sink {
        news: news.clone(),
        desk: Arc::clone(&desk),
    };
    let world = net::World::start(world_config, sink)?;
    world.set_tap(tap(world.epoch()).map_err(ServeError::Capture)?);
    let config = settings.config(world.epoch(), os_seed(), os_seed());
    let server = Server::new(world.now(), config, ModelStore::new(os_seed()))?;
    let folder = &settings.service().recordings;
    // After a crash: before there are new ones, and after the database was opened, which no other server uses then.
    let left = repair(folder, world.now());
    let recorded = news.clone();
    let (intake, recordings) = Recordings::start(folder, world.epoch(), move |fact| {
        // Nobody listens any more: the next start finds the file.
        let _over = recorded.send(News::Fact(fact));
    })
    .map_err(ServeError::Recordings)?;
    *desk.lock().unwrap_or_else(PoisonError::into_inner) = Some(intake);
    let party = world.add("callcenter", server);
    let mut keeper = Keeper {
        keep: |fact| {
            world.with(party, |server, now| {
                server.handle_input(now, Input::Command(Command::Store { fact }));
            });
        },
        pending: 0,
    };
    for fact in left {
        keeper.keep(fact);
    }
    let addresses = opened(&receiver, &mut keeper)?;
    for (transport, at) in &addresses {
        tracing::info!(%transport, address = %at, domain = %settings.domain(), "listening");
    }
    ready(&addresses, Stop(news));

    let stopped = watch(&receiver, &mut keeper);
    if stopped.is_ok() {
        tracing::info!("stopping");
        world.with(party, |server, now| {
            server.handle_input(now, Input::Command(Command::Close));
        });
        close(&receiver, &mut keeper);
    }
    drop(clear(&desk));
    recordings.join();
    keeper.settle(&receiver);
    if let Some(server) = world.remove(party) {
        let counters = server.counters();
        let facts = server.store().committed();
        tracing::info!(facts, ?counters, "stopped");
    }
    drop(world.set_tap(None));
    stopped
}

fn warn(settings: &Settings) {
    if settings.is_open() && settings.is_public() {
        tracing::warn!(
            "auth is \"none\", and others than this machine can reach it: anybody may register and call"
        );
    } else if settings.is_open() {
        tracing::warn!("auth is \"none\": anybody on this machine may register and call");
    }
}

fn opened(
    news: &Receiver<News>,
    keeper: &mut Keeper<impl Fn(Fact)>,
) -> Result<Vec<(Transport, SocketAddr)>, ServeError> {
    let until = Instant::now() + OPEN;
    loop {
        match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(News::Of(_, Event::Listening { addresses })) => return Ok(addresses),
            Ok(News::Of(_, Event::ListenFailed { transport, error })) => {
                return Err(ServeError::Listen { transport, error });
            }
            Ok(News::Of(now, event)) => keeper.heard(now, &event),
            Ok(News::Fact(fact)) => keeper.keep(fact),
            Ok(News::Stop) => {}
            Ok(News::Failed) => return Err(ServeError::Failed),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(ServeError::Silent);
            }
        }
    }
}

/// Logs until it is to stop.
fn watch(news: &Receiver<News>, keeper: &mut Keeper<impl Fn(Fact)>) -> Result<(), ServeError> {
    loop {
        match news.recv() {
            Ok(News::Of(now, event)) => keeper.heard(now, &event),
            Ok(News::Fact(fact)) => keeper.keep(fact),
            Ok(News::Stop) => return Ok(()),
            Ok(News::Failed) | Err(_) => return Err(ServeError::Failed),
        }
    }
}

/// Waits for the calls in progress, for a while.
fn close(news: &Receiver<News>, keeper: &mut Keeper<impl Fn(Fact)>) {
    let until = Instant::now() + CLOSE;
    loop {
        match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(News::Of(_, Event::Closed)) => return,
            Ok(News::Of(now, event)) => keeper.heard(now, &event),
            Ok(News::Fact(fact)) => keeper.keep(fact),
            Ok(News::Stop) => {}
            Ok(News::Failed) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("calls did not end within {} s", CLOSE.as_secs());
                return;
            }
        }
    }
}

/// An event as a line of the log.
fn log(now: Time, event: &Event) {
    match event {
        Event::Stored { fact } => log_fact(now, fact),
        Event::NotStored { fact } => {
            tracing::error!(%now, ?fact, "not stored, what depends on it was refused")
        }
        Event::ListenFailed { transport, error } => {
            tracing::error!(%now, %transport, %error, "not listening")
        }
        Event::RecordingBegan { .. } | Event::Recorded { .. } | Event::Listening { .. } | Event::Closed => {}
    }
}

fn log_fact(now: Time, fact: &Fact) {
    match fact {
        Fact::Bindings { user, bindings } if bindings.is_empty() => {
            tracing::info!(%now, %user, "unregistered");
        }
        Fact::Bindings { user, bindings } => {
            let contacts: Vec<_> = bindings
                .iter()
                .map(|binding| binding.contact.to_string())
                .collect();
            tracing::info!(%now, %user, contacts = contacts.join(" "), "registered");
        }
        Fact::CallAnswered {
            call, caller, callee, ..
        } => {
            tracing::info!(%now, call = call.0, %caller, %callee, "answered");
        }
        Fact::CallQueued {
            call, queue, caller, ..
        } => tracing::info!(%now, call = call.0, %queue, %caller, "queued"),
        Fact::CallPresented {
            call, agent, attempt, ..
        } => tracing::info!(%now, call = call.0, %agent, attempt, "presented"),
        Fact::PresentationEnded {
            call, agent, outcome, ..
        } => tracing::info!(%now, call = call.0, %agent, ?outcome, "presentation ended"),
        Fact::AgentChanged { agent, state, .. } => {
            tracing::info!(%now, %agent, state = state.as_str(), ?state, "agent");
        }
        Fact::RecordingStarted { call, file, .. } => {
            tracing::info!(%now, call = call.0, %file, "recording");
        }
        Fact::RecordingEnded {
            call, file, samples, ..
        } => tracing::info!(%now, call = call.0, %file, samples, "recorded"),
        Fact::CallTransferred { call, to, .. } => tracing::info!(%now, call = call.0, %to, "transferred"),
        Fact::CallEnded { call, cause, .. } => tracing::info!(%now, call = call.0, ?cause, "ended"),
    }
}

/// A seed of the operating system's randomness.
fn os_seed() -> Seed {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    bytes[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    Seed::from_bytes(bytes)
}
