//! The world that a scenario runs in.
//!
//! A world gives time and blocking waits, runs tasks, and holds phones and HTTP servers. The real world has a clock
//! and sockets. A simulated world steps virtual time inside [`World::wait`] and holds a baton over all its tasks:
//! nothing above this trait starts a thread, sleeps or reads a clock by itself.

mod topics;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use callwright_events::Health;
use callwright_wire::link::Link;
use callwright_wire::{BindError, Epoch};

use crate::http;
use crate::phone::{Phone, PhoneSpec};

pub use callwright_wire::Time;
pub(crate) use topics::OwnTouches;
pub use topics::Topics;
pub(crate) use topics::touched;

/// The stack of a task: a script may call its functions 64 deep, and each call takes several frames of the interpreter.
/// Memory that is not touched costs nothing.
pub(crate) const STACK: usize = 24 * 1024 * 1024;

/// Something whose change can end a wait: a phone's calls, its registration, the requests of a mock server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(pub u32);

/// How often a topic changed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A topic that was waited for has another version than the one given.
    Changed,
    /// The time came.
    TimeUp,
}

/// A piece of work for [`World::run_tasks`].
pub type Task<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Why an agent could not be started. Each text says what the reader can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No socket.
    #[error(transparent)]
    Bind(#[from] BindErrorText),
    /// No route to the domain, so no local address to bind.
    #[error("no local address routes to {domain}: {detail}; name one with the key `local`")]
    NoRoute {
        /// The host of the domain.
        domain: String,
        /// What the resolver or the system said.
        detail: String,
    },
    /// A key of the agent that this world cannot honour.
    #[error("`{key}` is not supported {place}")]
    NotSupported {
        /// The key, or the key and its value.
        key: String,
        /// Where it is not: `yet`, `in the simulation`.
        place: &'static str,
    },
    /// A value that cannot be understood: a URI, an address.
    #[error("{key}: {detail}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        detail: String,
    },
    /// The world is shutting down.
    #[error("the run is ending")]
    Ending,
}

/// A [`BindError`] as an error of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BindErrorText(pub BindError);

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        StartError::Bind(BindErrorText(error))
    }
}

/// A side of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// An agent, by the number of its phone ([`Phone::number`]).
    Agent(u32),
    /// A server of this run, by its name.
    Server(String),
}

/// Why something cannot be done to the network. Each text says what the reader can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// What only a simulated world can do.
    #[error("{what} is only possible in a simulated run (--simulate): {why}")]
    OnlySimulated {
        /// The verb.
        what: &'static str,
        /// What stands in its way.
        why: &'static str,
    },
    /// What this world cannot do at all.
    #[error("{what} is not possible here: {why}")]
    NotHere {
        /// The verb.
        what: &'static str,
        /// What stands in its way.
        why: &'static str,
    },
    /// Nobody has the name.
    #[error("there is no server {name:?} in this run{known}")]
    NoServer {
        /// The name.
        name: String,
        /// Those that there are: `; there is "a", "b"`, or nothing.
        known: String,
    },
    /// It is not in a state for that: a server that runs cannot be restarted.
    #[error("{detail}")]
    NotNow {
        /// What is in the way.
        detail: String,
    },
}

const NO_NETWORK: &str = "this world has no network of its own";

/// The surroundings of scenarios. All methods can be called from any task of the world.
pub trait World: Send + Sync {
    /// The time now.
    fn now(&self) -> Time;

    /// The calendar time of [`Time::ZERO`].
    fn epoch(&self) -> Epoch;

    /// 16 random bytes; reproducible in a simulated world.
    fn random(&self) -> [u8; 16];

    /// A new topic, at version 0.
    fn new_topic(&self) -> Topic;

    /// Says that a topic changed: waits for it end.
    fn touch(&self, topic: Topic);

    /// The version of a topic now.
    fn version(&self, topic: Topic) -> Version;

    /// Blocks the calling task until one of the topics has a version other than the one given with it, or until the
    /// time comes. Returns at once when that holds already. With no topics it is a sleep.
    fn wait(&self, reads: &[(Topic, Version)], until: Time) -> Wake;

    /// Runs all tasks at the same time and returns when every one has ended. A task that panics ends the caller with
    /// that panic, after the others have ended.
    fn run_tasks(&self, tasks: Vec<Task<'_>>);

    /// Starts a phone: its sockets are open when this returns, nothing was sent.
    ///
    /// # Errors
    /// [`StartError`], when it has no socket or no route, or asks for what this world cannot do.
    fn phone(&self, spec: PhoneSpec) -> Result<Arc<dyn Phone>, StartError>;

    /// Starts an HTTP server on loopback that answers with `service`; `None` takes any free port. It ends when the
    /// listener is dropped.
    ///
    /// # Errors
    /// When the port cannot be had.
    fn listen(
        &self,
        port: Option<u16>,
        service: Arc<dyn http::Service>,
    ) -> Result<Box<dyn http::Listener>, http::ListenError>;

    /// Sends an HTTP request and blocks until its response is complete, or one of the topics has a version other than the
    /// one given with it.
    ///
    /// # Errors
    /// [`http::RequestError`]; a response with an error status is none.
    fn http(
        &self,
        request: &http::Request,
        end: &[(Topic, Version)],
    ) -> Result<http::Response, http::RequestError>;

    /// How long the end of a scenario waits for one more of its agents to have hung up and unregistered: a thousand may
    /// take their time, as long as they come to an end.
    fn patience(&self) -> Duration {
        Duration::from_secs(2)
    }

    /// From now on packets travel so: those between two sites, in both directions, or, without `between`, all packets
    /// from and to each of `agents`, whatever was said for two of them before. With a perfect link without latency all
    /// is as in the beginning.
    ///
    /// `agents` are the numbers of the phones of the scenario that asks; it asks again, without `between`, for one that
    /// it starts later. A world that nobody else uses need not tell them apart from all.
    ///
    /// # Errors
    /// [`NetworkError`], when this world cannot do that, or has no such site.
    fn network(
        &self,
        agents: &[u32],
        between: Option<(&Site, &Site)>,
        link: Link,
    ) -> Result<(), NetworkError> {
        let _ = (agents, between, link);
        Err(NetworkError::NotHere {
            what: "network",
            why: NO_NETWORK,
        })
    }

    /// From now on nothing that one of two sites sends to the other arrives, until [`World::heal`].
    ///
    /// # Errors
    /// As [`World::network`].
    fn partition(&self, a: &Site, b: &Site) -> Result<(), NetworkError> {
        let _ = (a, b);
        Err(NetworkError::NotHere {
            what: "partition",
            why: NO_NETWORK,
        })
    }

    /// Ends every partition that one of `agents` is part of, and those between servers; links stay as they are.
    ///
    /// # Errors
    /// As [`World::network`].
    fn heal(&self, agents: &[u32]) -> Result<(), NetworkError> {
        let _ = agents;
        Err(NetworkError::NotHere {
            what: "heal",
            why: NO_NETWORK,
        })
    }

    /// Ends partitions and makes links perfect again, for these agents: their scenario is over.
    fn restore_network(&self, agents: &[u32]) {
        let _ = agents;
    }

    /// Ends the process of a server of this run without warning: what it had not stored is gone, and who sends to it hears
    /// that nobody is there.
    ///
    /// # Errors
    /// As [`World::network`].
    fn crash(&self, server: &str) -> Result<(), NetworkError> {
        let _ = server;
        Err(NetworkError::NotHere {
            what: "crash",
            why: NO_NETWORK,
        })
    }

    /// Starts a server again that crashed: it knows what it had stored.
    ///
    /// # Errors
    /// As [`World::network`].
    fn restart(&self, server: &str) -> Result<(), NetworkError> {
        let _ = server;
        Err(NetworkError::NotHere {
            what: "restart",
            why: NO_NETWORK,
        })
    }

    /// Whether time can be let pass at will, with everything that happens in it; [`World::wait`] does it then.
    ///
    /// # Errors
    /// As [`World::network`].
    fn can_advance(&self) -> Result<(), NetworkError> {
        Err(NetworkError::NotHere {
            what: "advance",
            why: "its time passes by itself",
        })
    }

    /// True when every wait is over at once: the world is about to end, and whoever still runs in it has to.
    fn is_over(&self) -> bool {
        false
    }

    /// How well the generator itself did since the world began.
    fn health(&self) -> Health;

    /// Its lateness from `since` to now, 99th percentile in milliseconds: what a check of audio in that time is judged by.
    fn lateness_p99_ms(&self, since: Time) -> Option<f64> {
        let _ = since;
        self.health().lateness_p99_ms
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "topic {}", self.0)
    }
}
