//! The command: a server on real sockets, until it is told to stop.

mod drift;
mod inbox;
mod keeper;
mod log;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callwright_acd::Fact;
use callwright_net as net;
use callwright_wire::{BindError, Epoch, Input, Node as _, Seed, Tap, Time, Transport};

use crate::api::{Api, ApiError, Tally};
use crate::recordings::{Desk, Recordings, repair};
use crate::server::{Command, Event, Server, ServerError};
use crate::settings::{Settings, SettingsError};
use crate::store::{SqliteStore, Users};
use drift::Drift;
use inbox::{Inbox, News};
use keeper::Keeper;

/// How long the system may take to open sockets.
const OPEN: Duration = Duration::from_secs(10);
/// How often it looks after the clock.
const LOOK: Duration = Duration::from_secs(60);
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
    /// The API.
    #[error(transparent)]
    Api(#[from] ApiError),
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

/// Asks a running server to stop in order. Clones ask the same one.
#[derive(Clone)]
pub struct Stop {
    news: Inbox,
    api: Option<SocketAddr>,
}

impl Stop {
    /// Asks. Nothing happens when it is over already. Who asks once more does not want to wait for calls in progress.
    pub fn ask(&self) {
        self.news.put(News::Stop);
    }

    /// Where the API of that server listens, where it has one.
    pub fn api(&self) -> Option<SocketAddr> {
        self.api
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stop")
    }
}

struct Sink {
    news: Inbox,
    desk: Desk,
    tally: Arc<Tally>,
}

impl net::EventSink<Event> for Sink {
    fn event(&mut self, _party: net::PartyId, now: Time, event: Event) {
        self.tally.note(&event);
        if let Some(event) = self.desk.take(event) {
            self.news.put(News::Of(now, event));
        }
    }

    fn failed(&mut self) {
        self.news.put(News::Failed);
    }
}

/// Runs a call center on real sockets until somebody asks it to stop, and ends it in order: new calls are refused, those in
/// progress may go on for the time of the settings, and then they are hung up.
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
    let mut settings = settings.clone();
    let world_config = net::WorldConfig {
        identity: settings.identity()?,
        media_ports: settings.media_ports(),
        media_notes: false,
        ..net::WorldConfig::default()
    };
    let (news, desk, tally) = (Inbox::default(), Desk::default(), Arc::<Tally>::default());
    let sink = Sink {
        news: news.clone(),
        desk: desk.clone(),
        tally: tally.clone(),
    };
    let world = Arc::new(net::World::start(world_config, sink)?);
    world.set_tap(tap(world.epoch()).map_err(ServeError::Capture)?);
    let mut store = open_store(&settings, world.epoch())?;
    take_users(&mut settings)?;
    warn(&settings);
    let config = settings.config(world.epoch(), os_seed(), os_seed());
    store.configure(&config).map_err(ServerError::from)?;
    let folder = &settings.service().recordings;
    // After a crash: before there are new ones, and after the database was opened, which no other server uses then.
    repair(folder, &mut store).map_err(ServerError::from)?;
    let server = Server::new(world.now(), config, store)?;
    let recorded = news.clone();
    let (intake, recordings) = Recordings::start(folder, world.epoch(), move |fact| {
        recorded.put(News::Fact(fact));
    })
    .map_err(ServeError::Recordings)?;
    desk.open(intake);
    let party = world.add("callcenter", server);
    wake_by_store(&world, party);
    let mut keeper = Keeper::new(|fact| {
        world.with(party, |server, now| {
            server.handle_input(now, Input::Command(Command::Store { fact }));
        });
    });
    let http = settings.service().http.as_ref();
    let api = http.map(|http| {
        let database = settings.service().database.clone();
        Api::start(http, database, &world, party, world.epoch(), tally)
    });
    let stopped = match api.transpose() {
        Ok(api) => {
            let stop = Stop {
                news: news.clone(),
                api: api.as_ref().map(Api::address),
            };
            if let Some(at) = stop.api {
                tracing::info!(%at, "HTTP");
            }
            run(&settings, &world, party, &news, &mut keeper, |addresses| {
                ready(addresses, stop)
            })
        }
        Err(error) => Err(error.into()),
    };
    desk.close();
    recordings.join();
    keeper.settle(&news);
    // Before the world, which its store wakes as long as it writes.
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
    news: &Inbox,
    keeper: &mut Keeper<impl Fn(Fact)>,
    ready: impl FnOnce(&[(Transport, SocketAddr)]),
) -> Result<(), ServeError> {
    let addresses = opened(news, keeper)?;
    for (transport, at) in &addresses {
        tracing::info!(%transport, address = %at, domain = %settings.domain(), "listening");
    }
    ready(&addresses);
    let mut drift = Drift::default();
    let look = || drift.look(world.epoch(), world.now());
    if watch(news, keeper, None, look)? != Over::Stop {
        return Ok(());
    }
    let command = |command| {
        world.with(party, |server, now| {
            server.handle_input(now, Input::Command(command))
        });
    };
    let patience = settings.service().finish_calls;
    if !patience.is_zero() {
        tracing::info!(
            seconds = patience.as_secs(),
            "no new calls: those in progress may end"
        );
        command(Command::Retire);
        if watch(news, keeper, Some(Instant::now() + patience), || ())? == Over::Closed {
            return Ok(());
        }
    }
    tracing::info!("stopping");
    command(Command::Close);
    let until = Instant::now() + CLOSE;
    loop {
        match watch(news, keeper, Some(until), || ())? {
            Over::Closed => return Ok(()),
            Over::Stop => {}
            Over::Time => {
                tracing::warn!("calls did not end within {} s", CLOSE.as_secs());
                return Ok(());
            }
        }
    }
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
    news: &Inbox,
    keeper: &mut Keeper<impl Fn(Fact)>,
) -> Result<Vec<(Transport, SocketAddr)>, ServeError> {
    let until = Instant::now() + OPEN;
    loop {
        match news.take(Some(until)) {
            Some(News::Of(_, Event::Listening { addresses })) => return Ok(addresses),
            Some(News::Of(_, Event::ListenFailed { transport, error })) => {
                return Err(ServeError::Listen { transport, error });
            }
            Some(News::Of(now, event)) => keeper.heard(now, &event),
            Some(News::Fact(fact)) => keeper.keep(fact),
            Some(News::Stop | News::LeftOut(_)) => {}
            Some(News::Failed) => return Err(ServeError::Failed),
            None => return Err(ServeError::Silent),
        }
    }
}

/// Why watching is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// Somebody asked to stop.
    Stop,
    /// The server closed.
    Closed,
    /// Nothing of that came in time.
    Time,
}

/// Logs until something is to be done, and looks after something now and then.
fn watch(
    news: &Inbox,
    keeper: &mut Keeper<impl Fn(Fact)>,
    until: Option<Instant>,
    mut look: impl FnMut(),
) -> Result<Over, ServeError> {
    let mut next_look = Instant::now() + LOOK;
    loop {
        if Instant::now() >= next_look {
            look();
            next_look = Instant::now() + LOOK;
        }
        let wake = until.map_or(next_look, |until| until.min(next_look));
        match news.take(Some(wake)) {
            Some(News::Of(_, Event::Closed)) => return Ok(Over::Closed),
            Some(News::Of(now, event)) => keeper.heard(now, &event),
            Some(News::LeftOut(events)) => {
                tracing::warn!(events, "left out of the log: whoever reads it is too slow");
            }
            Some(News::Fact(fact)) => keeper.keep(fact),
            Some(News::Stop) => return Ok(Over::Stop),
            Some(News::Failed) => return Err(ServeError::Failed),
            None if until.is_some_and(|until| until <= Instant::now()) => return Ok(Over::Time),
            None => {}
        }
    }
}

/// The database that the settings name.
fn open_store(settings: &Settings, epoch: Epoch) -> Result<SqliteStore, ServerError> {
    Ok(SqliteStore::open(
        &settings.service().database,
        epoch,
        &os_seed(),
    )?)
}

/// Adds the users of the database to those of the settings.
fn take_users(settings: &mut Settings) -> Result<(), ServeError> {
    let users = Users::open(&settings.service().database).and_then(|users| users.list());
    let stored = users.map_err(ServerError::from)?;
    for left_out in settings.add_users(stored)? {
        tracing::warn!("{left_out}");
    }
    Ok(())
}

/// Lets the store commit in a thread of its own. It does not take the world's lock, for which the loop would have to wait while the
/// processor is given back and forth: the loop asks the server.
fn wake_by_store(world: &Arc<net::World<Server>>, party: net::PartyId) {
    let weak = Arc::downgrade(world);
    let wake = Box::new(move || {
        if let Some(world) = weak.upgrade() {
            world.nudge(party);
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
