//! The real world: one loop on one thread, and a lock that scripts share with it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use callwright_wire::{BindError, Epoch, PacketNode, Residue, Tap, Time};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use parking_lot::{Mutex, MutexGuard};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::clock::Clock;
use crate::engine::{Engine, HOLD};
use crate::health::{Counters, Health};
use crate::limits::{SIGNALLING_BUFFER, raise_open_files};
use crate::resolver::{Answer, Resolver};
use crate::shaper::Shaper;
use crate::sockets::Sockets;
use crate::tls::{Identity, Trust};

const WAKER: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);
/// How many sockets one look at the kernel can name.
const EVENTS: usize = 16_384;
/// For how long sockets that are ready are served at most before the next look at the kernel. That names again each media socket
/// which still waits to be served, for a quarter of a microsecond: a thousand of them cost a twentieth of this. Where the loop is
/// behind, what becomes ready meanwhile, signalling too, is seen so much later, and served after what was ready before it; deadlines
/// are kept all the same.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A node of a world, numbered in the order of being added; numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(pub u32);

/// What the owner of the world should know, and no node can tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A TLS connection is made to whoever answers.
    #[error(
        "the certificate of {server_name} at {remote} is not verified, as the script asks: anybody may answer there"
    )]
    CertificateNotVerified {
        /// The peer.
        remote: SocketAddr,
        /// The name that was not checked.
        server_name: String,
    },
}

/// Where the events of nodes go.
///
/// It is called under the world's lock, by the loop or by a thread inside [`World::with`]: it must be quick, and must
/// not call the world.
pub trait EventSink<E>: Send {
    /// A node said something.
    fn event(&mut self, party: PartyId, now: Time, event: E);

    /// The world has a warning about what a node asked for. Logged unless this is written.
    fn warning(&mut self, party: PartyId, now: Time, warning: Warning) {
        tracing::warn!(party = party.0, %now, "{warning}");
    }

    /// The loop ended, by a panic in a node or in this sink: no event comes any more, whoever waits for one must not.
    fn failed(&mut self) {
        tracing::error!("the network loop ended before its world");
    }
}

impl<E, F: FnMut(PartyId, Time, E) + Send> EventSink<E> for F {
    fn event(&mut self, party: PartyId, now: Time, event: E) {
        self(party, now, event);
    }
}

/// What can be chosen about a world.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// The ports for RTP and RTCP; `None`: wherever the kernel finds a free pair.
    pub media_ports: Option<RangeInclusive<u16>>,
    /// How long a pair of media ports rests before its next lease.
    pub media_port_rest: Duration,
    /// Whether the kernel tells of media packets when they came, and how many it dropped. Without that a packet costs a tenth less:
    /// for a relay. It then counts as arrived when it is read, one at a time from each socket, and [`Health`] knows nothing of drops on
    /// media sockets.
    pub media_notes: bool,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// What TLS listeners show; without one there are no TLS listeners.
    pub identity: Option<Identity>,
    /// How long a TCP connection may take to come up.
    pub connect_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long an accepted connection may stay silent.
    pub idle_timeout: Duration,
    /// How many bytes may wait for a peer that does not read, before its connection is cut.
    pub unsent_limit: usize,
    /// How many accepted connections may be open.
    pub connection_limit: usize,
    /// The name server to ask; `None`: those of the system.
    pub name_server: Option<SocketAddr>,
    /// How long a name server may take to answer one query; a question may take several.
    pub name_timeout: Duration,
}

impl Default for WorldConfig {
    fn default() -> Self {
        WorldConfig {
            media_ports: None,
            media_port_rest: Duration::from_secs(1),
            media_notes: true,
            trust: Trust::System,
            identity: None,
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(3_600),
            unsent_limit: 1 << 20,
            connection_limit: 16_384,
            name_server: None,
            name_timeout: Duration::from_secs(2),
        }
    }
}

/// The operating system did not give what a world needs.
#[derive(Debug, thiserror::Error)]
#[error("the network loop cannot start: {0}")]
pub struct StartError(#[from] io::Error);

/// The real world, hosting nodes of one kind. Dropping it ends its threads and closes everything.
pub struct World<N: PacketNode> {
    shared: Arc<Shared<N>>,
    thread: Option<JoinHandle<()>>,
}

/// What the loop and everybody else share.
struct Shared<N: PacketNode> {
    engine: Mutex<Engine<N>>,
    /// Answers of the resolver: its thread does not wait for the engine's lock.
    answers: Mutex<Vec<Answer>>,
    /// Nodes that have something to say, from threads that do not wait for the engine's lock either.
    nudged: Mutex<Vec<PartyId>>,
    waker: Waker,
    clock: Clock,
    counters: Arc<Counters>,
}

impl<N> World<N>
where
    N: PacketNode + Send + 'static,
{
    /// Starts an empty world and its loop.
    ///
    /// # Errors
    ///
    /// When the system gives no event queue, no timer or no thread.
    pub fn start(config: WorldConfig, sink: impl EventSink<N::Event> + 'static) -> Result<Self, StartError> {
        let clock = Clock::start();
        let counters = Arc::new(Counters::new());
        counters.open_files_limit.store(raise_open_files(), Relaxed);
        counters
            .receive_buffer_asked
            .store(SIGNALLING_BUFFER as u64, Relaxed);
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let alarm = Alarm::new(&poll)?;
        let (name_server, name_timeout) = (config.name_server, config.name_timeout);
        let registry = poll.registry().try_clone()?;
        let shared = Arc::new_cyclic(|weak: &Weak<Shared<N>>| {
            let sleeper = weak.clone();
            let wake = Arc::new(move || {
                if let Some(shared) = sleeper.upgrade() {
                    shared.wake();
                }
            });
            let sockets = Sockets::new(registry, clock, counters.clone(), config, wake);
            let weak = weak.clone();
            let resolver = Resolver::new(
                name_server,
                name_timeout,
                Arc::new(move |answer| {
                    if let Some(shared) = weak.upgrade() {
                        shared.answer(answer);
                    }
                }),
            );
            Shared {
                engine: Mutex::new(Engine::new(
                    sockets,
                    resolver,
                    Box::new(sink),
                    clock,
                    counters.clone(),
                )),
                answers: Mutex::new(Vec::new()),
                nudged: Mutex::new(Vec::new()),
                waker,
                clock,
                counters,
            }
        });
        let looped = shared.clone();
        let thread = std::thread::Builder::new()
            .name("callwright-net".into())
            .spawn(move || {
                // The lock is not poisoned: whoever waits for events is told instead.
                let end = catch_unwind(AssertUnwindSafe(|| run(poll, alarm, &looped)));
                if let Ok(Err(error)) = &end {
                    tracing::error!(%error, "the network loop cannot wait for the kernel");
                }
                if !matches!(end, Ok(Ok(()))) {
                    looped.engine.lock().fail();
                }
            })?;
        Ok(World {
            shared,
            thread: Some(thread),
        })
    }

    /// Adds a node. The name is for captures and messages.
    pub fn add(&self, name: &str, node: N) -> PartyId {
        self.locked(|engine| engine.add(name, node))
    }

    /// Takes a node out and closes everything that it holds; `None` when there is none of that number.
    pub fn remove(&self, party: PartyId) -> Option<N> {
        self.locked(|engine| engine.remove(party))
    }

    /// Lets a thread use a node: calls `f` under the lock, then does what came out of the node. `None` when there is
    /// no such party.
    ///
    /// The loop waits meanwhile, and with it every other node: `f` must not block.
    pub fn with<R>(&self, party: PartyId, f: impl FnOnce(&mut N, Time) -> R) -> Option<R> {
        self.locked(|engine| engine.with(party, f))
    }

    /// Has the loop ask a node what it has to say, soon. Waits for nothing: for threads whose results a node fetches by itself. Where
    /// the loop has ended before its world, the node is asked here: not for use inside [`World::with`].
    pub fn nudge(&self, party: PartyId) {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            self.with(party, |_, _| ());
            return;
        }
        let first = {
            let mut nudged = self.shared.nudged.lock();
            nudged.push(party);
            nudged.len() == 1
        };
        if first {
            self.shared.wake();
        }
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.shared.clock.now()
    }

    /// When the world started.
    pub fn epoch(&self) -> Epoch {
        self.shared.clock.epoch()
    }

    /// How well the world keeps up. Takes no lock.
    pub fn health(&self) -> Health {
        self.shared.counters.health()
    }

    /// The name of a party.
    pub fn name(&self, party: PartyId) -> Option<Arc<str>> {
        self.shared.engine.lock().name(party)
    }

    /// What all nodes together still hold.
    pub fn residue(&self) -> Residue {
        self.shared.engine.lock().residue()
    }

    /// Shows every packet to `tap` from now on; returns the tap before it. Without one, packets cost nothing more.
    pub fn set_tap(&self, tap: Option<Box<dyn Tap>>) -> Option<Box<dyn Tap>> {
        self.shared.engine.lock().replace_tap(tap)
    }

    /// Lets `shaper` say what becomes of every packet from now on; returns the one before it. Without one, packets cost
    /// nothing more. What is on its way already stays there.
    ///
    /// A packet that is lost or held back is shown to the tap at the time when its node sent it, with its fate; one from
    /// outside that is held back, when its node hears it. What jitter and round trips a node measures includes what the
    /// link did; opening a connection, and its TLS handshake, take no link. A datagram that is still on its way when its
    /// socket closes goes at once.
    pub fn set_shaper(&self, shaper: Option<Box<dyn Shaper>>) -> Option<Box<dyn Shaper>> {
        self.locked(|engine| engine.sockets().replace_shaper(shaper))
    }

    /// Binds `pairs` of media ports at `ip` ahead of their use, so that calls do not wait for it.
    ///
    /// # Errors
    ///
    /// When there are not that many ports or file descriptors; what was bound until then stays.
    pub fn reserve_media_ports(&self, ip: IpAddr, pairs: usize) -> Result<(), BindError> {
        self.shared.engine.lock().sockets().reserve(ip, pairs)
    }

    fn locked<R>(&self, f: impl FnOnce(&mut Engine<N>) -> R) -> R {
        let mut engine = self.shared.engine.lock();
        let result = f(&mut engine);
        let wake = engine.takes_waking();
        drop(engine);
        if wake {
            self.shared.wake();
        }
        result
    }
}

impl<N: PacketNode> Shared<N> {
    fn answer(&self, answer: Answer) {
        self.answers.lock().push(answer);
        self.wake();
    }

    fn wake(&self) {
        Counters::one(&self.counters.wakeups);
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the network loop cannot be woken");
        }
    }
}

impl<N: PacketNode> Drop for World<N> {
    fn drop(&mut self) {
        let (resolver, loader) = {
            let mut engine = self.shared.engine.lock();
            engine.stopping = true;
            (engine.resolver().stop(), engine.sockets().stop())
        };
        self.shared.wake();
        for thread in [self.thread.take(), resolver, loader].into_iter().flatten() {
            if thread.join().is_err() {
                tracing::error!("a thread of the network loop panicked");
            }
        }
    }
}

/// The loop: sleeps until the next deadline or until the kernel has something; works in short holds of the lock.
fn run<N: PacketNode>(mut poll: Poll, mut alarm: Alarm, shared: &Shared<N>) -> io::Result<()> {
    let mut events = Events::with_capacity(EVENTS);
    let mut more = true;
    let mut next_look = Time::ZERO;
    loop {
        if shared.clock.now() >= next_look {
            // With work left this only looks what else is ready.
            let patience = if more { Some(Duration::ZERO) } else { None };
            match poll.poll(&mut events, patience) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            next_look = shared.clock.now() + LOOK_INTERVAL;
        } else {
            events.clear();
        }
        Counters::one(&shared.counters.turns);
        let mut engine = shared.engine.lock();
        engine.asleep_until = Time::ZERO;
        if engine.stopping {
            return Ok(());
        }
        for event in &events {
            match event.token() {
                WAKER | TIMER => {}
                Token(index) if event.is_error() => engine.sockets().mark_errored(index),
                Token(index) => engine.sockets().mark_ready(index),
            }
        }
        let answers = std::mem::take(&mut *shared.answers.lock());
        for answer in answers {
            engine.resolved(answer);
        }
        // What a node does when it is asked may nudge another one.
        let nudged = std::mem::take(&mut *shared.nudged.lock());
        for party in nudged {
            engine.nudge(party);
        }
        // Under pressure what arrives gets as much time as what is due: neither starves the other.
        let mut share = engine.fire_due().max(HOLD);
        MutexGuard::bump(&mut engine);
        while engine.has_ready() && share > Duration::ZERO {
            share = share.saturating_sub(engine.serve_ready());
            MutexGuard::bump(&mut engine);
        }
        if !engine.has_ready() {
            next_look = Time::ZERO;
        }
        more = engine.has_more();
        if !more {
            engine.asleep_until = engine.deadline();
            alarm.set(engine.asleep_until, shared.clock.now());
        }
        // To whoever waits longest, rather than to this thread again.
        MutexGuard::unlock_fair(engine);
    }
}

/// A timer of the kernel with microseconds: the event queue itself counts in milliseconds, and packets are due every 20.
struct Alarm {
    timer: OwnedFd,
    set_to: Time,
}

impl Alarm {
    fn new(poll: &Poll) -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Boottime,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        Ok(Alarm {
            timer,
            set_to: Time::NEVER,
        })
    }

    /// Wakes the loop at `at`; `Time::NEVER`: not at all.
    fn set(&mut self, at: Time, now: Time) {
        if at == self.set_to && at > now {
            return;
        }
        self.set_to = at;
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let value = if at == Time::NEVER {
            // timerfd_create(2): zero disarms, so a deadline that is now becomes the shortest span below.
            zero
        } else {
            let wait = at.since(now).max(Duration::from_nanos(1));
            Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(wait.subsec_nanos()),
            }
        };
        let spec = Itimerspec {
            it_interval: zero,
            it_value: value,
        };
        if let Err(error) = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec) {
            tracing::error!(%error, "the network loop cannot set its timer");
        }
    }
}
