//! What is going on, asked of the world.

use std::sync::{Arc, Weak};
use std::time::Duration;

use callwright_acd::{AgentRequest, AgentSnapshot};
use callwright_net as net;
use callwright_wire::{Epoch, Input, Node as _, Time};

use super::error::Problem;
use crate::server::{Command, Server};
use crate::store::Health;

/// How often it is asked whether something is stored.
const POLL: Duration = Duration::from_millis(5);
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The server in its world, as long as there is one.
pub(super) struct Live {
    world: Weak<net::World<Server>>,
    party: net::PartyId,
    epoch: Epoch,
}

impl Live {
    pub(super) fn new(world: &Arc<net::World<Server>>, party: net::PartyId, epoch: Epoch) -> Live {
        Live {
            world: Arc::downgrade(world),
            party,
            epoch,
        }
    }

    /// Uses the server under the world's lock: `ask` must be quick.
    pub(super) fn ask<R>(&self, ask: impl FnOnce(&mut Server, Time) -> R) -> Result<R, Problem> {
        let world = self.world.upgrade().ok_or_else(Problem::ending)?;
        world.with(self.party, ask).ok_or_else(Problem::ending)
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn health(&self) -> Result<Health, Problem> {
        self.ask(|server, _| server.store().health())
    }

    /// The agent of a name.
    pub(super) fn agent(&self, name: &str) -> Result<Option<AgentSnapshot>, Problem> {
        self.ask(|server, _| find(server, name))
    }

    /// Asks something of an agent, and waits until what became of it is stored; whether it is.
    pub(super) async fn set_agent(&self, name: &str, to: AgentRequest) -> Result<bool, Problem> {
        let told = self.ask(|server, now| {
            let command = Command::SetAgent {
                agent: name.to_owned(),
                to,
            };
            server.handle_input(now, Input::Command(command));
        });
        told?;
        // What came of it is on its way to the store when the lock is free.
        let due = self.ask(|server, _| {
            let store = server.store();
            store.committed() + store.pending() as u64
        })?;
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (done, sound) = self.ask(|server, _| {
                let store = server.store();
                (
                    store.pending() == 0 || store.committed() >= due,
                    store.health().is_sound(),
                )
            })?;
            if done {
                return Ok(true);
            }
            if !sound || tokio::time::Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn find(server: &Server, name: &str) -> Option<AgentSnapshot> {
    server
        .machine()
        .agents()
        .into_iter()
        .find(|agent| agent.name == name)
}
