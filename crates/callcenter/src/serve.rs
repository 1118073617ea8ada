//! The command: a server on real sockets, until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use callwright_acd::{Config, Fact};
use callwright_net as net;
use callwright_wire::{BindError, Epoch, Input, Node as _, Seed, Tap, Time, Transport};

use crate::server::{Command, Event, Server, ServerError};
use crate::settings::{Settings, SettingsError};
use crate::store::{Health, SqliteStore};

/// How long the system may take to open sockets.
const OPEN: Duration = Duration::from_secs(10);
/// How long calls in progress may take to end in order: the machine lets go of who does not answer, after 33 s.
const CLOSE: Duration = Duration::from_secs(35);

/// Why a call center does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A certificate.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Settings that contradict each other, or a database that cannot be used.
    #[error(transparent)]
    Server(#[from] ServerError),
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
    /// The capture.
    #[error("{0}")]
    Capture(String),
    /// The loop ended by itself.
    #[error("the network loop ended: this is a bug of callwright; what stands above in the log says where")]
    Failed,
}

enum News {
    Of(Time, Event),
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

struct Sink(Sender<News>);

impl net::EventSink<Event> for Sink {
    fn event(&mut self, _party: net::PartyId, now: Time, event: Event) {
        let _over = self.0.send(News::Of(now, event));
    }

    fn failed(&mut self) {
        let _over = self.0.send(News::Failed);
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
        media_notes: false,
        ..net::WorldConfig::default()
    };
    let (news, receiver) = channel();
    let world = Arc::new(net::World::start(world_config, Sink(news.clone()))?);
    world.set_tap(tap(world.epoch()).map_err(ServeError::Capture)?);
    let config = settings.config(world.epoch(), os_seed(), os_seed());
    let store = open_store(settings, world.epoch(), &config)?;
    let server = Server::new(world.now(), config, store)?;
    let party = world.add("callcenter", server);
    wake_by_store(&world, party);
    let stopped = run(settings, &world, party, &receiver, |addresses| {
        ready(addresses, Stop(news));
    });
    // Before the world: it wakes that as long as it writes.
    if let Some(server) = world.remove(party) {
        let counters = server.counters();
        let facts = server.store().committed();
        tracing::info!(facts, ?counters, "stopped");
    }
    drop(world.set_tap(None));
    stopped
}

/// From the opening of the sockets to their end.
fn run(
    settings: &Settings,
    world: &net::World<Server>,
    party: net::PartyId,
    news: &Receiver<News>,
    ready: impl FnOnce(&[(Transport, SocketAddr)]),
) -> Result<(), ServeError> {
    let addresses = opened(news)?;
    for (transport, at) in &addresses {
        tracing::info!(%transport, address = %at, domain = %settings.domain(), "listening");
    }
    ready(&addresses);
    watch(news)?;
    tracing::info!("stopping");
    world.with(party, |server, now| {
        server.handle_input(now, Input::Command(Command::Close));
    });
    close(news);
    Ok(())
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

fn opened(news: &Receiver<News>) -> Result<Vec<(Transport, SocketAddr)>, ServeError> {
    let until = Instant::now() + OPEN;
    loop {
        match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(News::Of(_, Event::Listening { addresses })) => return Ok(addresses),
            Ok(News::Of(_, Event::ListenFailed { transport, error })) => {
                return Err(ServeError::Listen { transport, error });
            }
            Ok(News::Of(now, event)) => log(now, &event),
            Ok(News::Stop) => {}
            Ok(News::Failed) => return Err(ServeError::Failed),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(ServeError::Silent);
            }
        }
    }
}

/// Logs until it is to stop.
fn watch(news: &Receiver<News>) -> Result<(), ServeError> {
    loop {
        match news.recv() {
            Ok(News::Of(now, event)) => log(now, &event),
            Ok(News::Stop) => return Ok(()),
            Ok(News::Failed) | Err(_) => return Err(ServeError::Failed),
        }
    }
}

/// Waits for the calls in progress, for a while.
fn close(news: &Receiver<News>) {
    let until = Instant::now() + CLOSE;
    loop {
        match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(News::Of(_, Event::Closed)) => return,
            Ok(News::Of(now, event)) => log(now, &event),
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
        Event::Store {
            health: Health::Failing { reason },
        } => {
            tracing::error!(%now, %reason, "nothing can be stored: new calls and registrations are refused, calls in progress go on");
        }
        Event::Store {
            health: Health::Sound,
        } => tracing::warn!(%now, "the database works again: calls and registrations are taken"),
        Event::CallsLost { calls } => {
            tracing::warn!(
                ?calls,
                "these calls were up when the server ended without a word: their records are closed"
            );
        }
        Event::Listening { .. } | Event::Closed => {}
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

/// The database that the settings name, with what they say of agents and queues.
fn open_store(settings: &Settings, epoch: Epoch, config: &Config) -> Result<SqliteStore, ServerError> {
    let mut store = SqliteStore::open(&settings.service().database, epoch, &os_seed())?;
    store.configure(config)?;
    Ok(store)
}

/// Lets the store commit in a thread of its own: what it has to say comes through the world's lock, as everything does.
fn wake_by_store(world: &Arc<net::World<Server>>, party: net::PartyId) {
    let weak = Arc::downgrade(world);
    let wake = Box::new(move || {
        if let Some(world) = weak.upgrade() {
            // Whoever uses a node has it say what it has to say.
            world.with(party, |_, _| ());
        }
    });
    world.with(party, |server, _| server.store_mut().wake_by(wake));
}

/// A seed of the operating system's randomness.
fn os_seed() -> Seed {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    bytes[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    Seed::from_bytes(bytes)
}
