//! Call centers inside the world of a run: their packets are in its capture, and nothing of them outlives it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callwright_callcenter::{Command, Event, ModelStore, Server, ServerError, Settings};
use callwright_net::PartyId;
use callwright_wire::{BindError, Input, Node as _, Seed, Time, Transport};

use crate::world::{Topic, Topics, Wake, World as _};

use super::{RealWorld, os_random};

/// How long the system may take to open sockets.
const OPEN: Duration = Duration::from_secs(10);
/// How long calls in progress may take to end in order.
const CLOSE: Duration = Duration::from_secs(5);

/// A call center that runs in a world.
#[derive(Debug)]
pub struct Callcenter {
    party: PartyId,
    addresses: Vec<(Transport, SocketAddr)>,
}

impl Callcenter {
    /// Where it listens.
    pub fn addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.addresses
    }
}

/// Why a call center does not run.
#[derive(Debug, thiserror::Error)]
pub enum CallcenterError {
    /// Settings that contradict each other.
    #[error(transparent)]
    Server(#[from] ServerError),
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
}

impl RealWorld {
    /// Starts a call center in this world, and waits until it listens. `name` is what captures call it. The certificate of
    /// its TLS listeners, and the range of ports for RTP, are those of the world.
    ///
    /// # Errors
    ///
    /// When its settings contradict each other, or a port is not to be had; nothing of it is left then.
    pub fn start_callcenter(&self, name: &str, settings: &Settings) -> Result<Callcenter, CallcenterError> {
        let shared = &self.shared;
        let seed = shared.seed.derive("callcenter").derive(name);
        let nonces = Seed::from_bytes(os_random());
        let config = settings.config(shared.net.epoch(), seed.clone(), nonces);
        let server = Server::new(shared.net.now(), config, ModelStore::new(seed))?;
        let party = shared.net.add(name, server.into());
        shared.routes.addresses().name_server(party.0, name.to_owned());
        let listening = self.wait_for(party, OPEN, |entry| entry.listening.take());
        match listening {
            Some(Ok(addresses)) => {
                for (transport, address) in &addresses {
                    self.server_address(name, *transport, *address);
                }
                Ok(Callcenter { party, addresses })
            }
            Some(Err((transport, error))) => {
                self.drop_callcenter(party);
                Err(CallcenterError::Listen { transport, error })
            }
            None => {
                self.drop_callcenter(party);
                Err(CallcenterError::Silent)
            }
        }
    }

    /// Ends a call center in order: calls that are still up get a few seconds.
    pub fn stop_callcenter(&self, callcenter: Callcenter) {
        let party = callcenter.party;
        self.shared.net.with(party, |member, now| {
            if let Some(server) = member.server_mut() {
                server.handle_input(now, Input::Command(Command::Close));
            }
        });
        if self
            .wait_for(party, CLOSE, |entry| entry.closed.then_some(()))
            .is_none()
        {
            tracing::warn!(
                "calls of the call center did not end within {} s",
                CLOSE.as_secs()
            );
        }
        self.drop_callcenter(party);
    }

    fn drop_callcenter(&self, party: PartyId) {
        self.shared.net.remove(party);
        self.shared.callcenters.forget(party);
    }

    /// Waits until something is known of a server; `None` when it is not in time.
    fn wait_for<R>(
        &self,
        party: PartyId,
        patience: Duration,
        mut known: impl FnMut(&mut Entry) -> Option<R>,
    ) -> Option<R> {
        let deadline = self.now() + patience;
        loop {
            let topic = self.shared.callcenters.of(party, |entry| entry.topic);
            let seen = self.version(topic);
            if let Some(known) = self.shared.callcenters.of(party, &mut known) {
                return Some(known);
            }
            if self.wait(&[(topic, seen)], deadline) == Wake::TimeUp {
                return None;
            }
        }
    }
}

/// Sockets that are open, or one that could not be opened.
type Listening = Result<Vec<(Transport, SocketAddr)>, (Transport, BindError)>;

/// What is known of a server outside its world.
#[derive(Debug)]
struct Entry {
    topic: Topic,
    listening: Option<Listening>,
    closed: bool,
}

/// The servers of a world. An entry is there from the first event on, or from the first question.
#[derive(Debug)]
pub(super) struct Servers {
    topics: Arc<Topics>,
    entries: Mutex<BTreeMap<PartyId, Entry>>,
}

impl Servers {
    pub(super) fn new(topics: Arc<Topics>) -> Self {
        Servers {
            topics,
            entries: Mutex::default(),
        }
    }

    /// Takes an event; called under the world's lock, so it only touches topics.
    pub(super) fn take(&self, party: PartyId, now: Time, event: Event) {
        let topic = self.of(party, |entry| {
            match event {
                Event::Listening { addresses } => entry.listening = Some(Ok(addresses)),
                Event::ListenFailed { transport, error } => {
                    // The first is the one to report.
                    entry.listening.get_or_insert(Err((transport, error)));
                }
                Event::Closed => entry.closed = true,
                // Nobody keeps recordings of a server that is built in.
                Event::RecordingBegan { .. } | Event::Recorded { .. } => {}
                Event::Stored { fact } => tracing::debug!(party = party.0, %now, ?fact, "stored"),
                Event::NotStored { fact } => tracing::warn!(party = party.0, %now, ?fact, "not stored"),
                Event::Store { health } => tracing::warn!(party = party.0, %now, ?health, "store"),
                Event::CallLegs { call, call_ids } => {
                    tracing::debug!(party = party.0, %now, call = call.0, ?call_ids, "legs");
                }
                Event::CallOver { call, cause } => {
                    tracing::debug!(party = party.0, %now, call = call.0, %cause, "ended");
                }
                Event::Banned(ban) => {
                    let seconds = ban.until.since(now).as_secs();
                    tracing::warn!(party = party.0, %now, source = %ban.source, why = %ban.because, seconds, "banned");
                }
                Event::BanOver { source } => tracing::info!(party = party.0, %now, %source, "heard again after a ban"),
                Event::CallsLost { calls } => tracing::warn!(party = party.0, ?calls, "calls lost"),
            }
            entry.topic
        });
        self.topics.touch(topic);
    }

    fn of<R>(&self, party: PartyId, use_it: impl FnOnce(&mut Entry) -> R) -> R {
        let mut entries = self.lock();
        let entry = entries.entry(party).or_insert_with(|| Entry {
            topic: self.topics.open(),
            listening: None,
            closed: false,
        });
        use_it(entry)
    }

    fn forget(&self, party: PartyId) {
        self.lock().remove(&party);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartyId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
