//! Servers of a simulated world: started with it, crashed and restarted by scenarios, closed at its end.

use std::collections::BTreeSet;
use std::net::IpAddr;

use callwright_callcenter as callcenter;
use callwright_capture::rules::Disturbance;
use callwright_sim as sim;
use callwright_wire::{Input, Node as _, Time};

use super::{Core, Shared, SimulatedWorld};
use crate::member::{Member, MemberEvent};

/// A server that every world of a run has.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    /// What scenarios and captures call it.
    pub name: String,
    /// What it is told.
    pub settings: callcenter::Settings,
}

/// Why a server cannot be had in a simulated world, or not be crashed or restarted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// It does not start.
    #[error("the server {name:?} does not start: {detail}")]
    Start {
        /// Which.
        name: String,
        /// What keeps it from that.
        detail: String,
    },
    /// There is none of that name.
    #[error("there is no server {name:?} in the simulation{known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are, as the end of a sentence.
        known: String,
    },
    /// It crashed already.
    #[error("the server {name:?} is down already")]
    Down {
        /// Which.
        name: String,
    },
    /// It runs.
    #[error("the server {name:?} runs: it can be restarted after a crash")]
    Up {
        /// Which.
        name: String,
    },
}

/// A server of a world.
pub(super) struct Placed {
    plan: ServerPlan,
    pub(super) party: sim::PartyId,
    pub(super) host: sim::HostId,
    /// How often it was started.
    lives: u32,
    /// What is left of it while it is down.
    store: Option<Box<dyn callcenter::Store>>,
}

impl SimulatedWorld {
    /// Starts the servers: they listen when this returns.
    pub(super) fn start_servers(&self, plans: Vec<ServerPlan>) -> Result<(), ServerError> {
        for plan in plans {
            self.shared.with(|core| core.place(&self.shared, plan))?;
        }
        self.shared.with(|core| core.not_listening())
    }

    /// Lets a server crash: what it had not stored is gone, and whoever sends to it hears that nobody is there.
    ///
    /// # Errors
    /// When there is none of that name, or it is down.
    pub fn crash_server(&self, name: &str) -> Result<(), ServerError> {
        let crashed = self.shared.with(|core| {
            let party = core.server(name)?.party;
            let down = || ServerError::Down {
                name: name.to_owned(),
            };
            let crashed = core.world.crash(party, sim::CrashKind::Process);
            let (_, member) = crashed.into_iter().next().ok_or_else(down)?;
            if let Member::Server(server) = member {
                core.server(name)?.store = Some(server.into_store());
            }
            Ok(party)
        });
        let party = crashed?.0;
        self.shared.disturbed(Disturbance::PartyCrashed { party });
        Ok(())
    }

    /// Starts a server again, with what it had stored.
    ///
    /// # Errors
    /// When there is none of that name, or it runs.
    pub fn restart_server(&self, name: &str) -> Result<(), ServerError> {
        let up = || ServerError::Up {
            name: name.to_owned(),
        };
        let restarted = self.shared.with(|core| {
            let now = core.world.now();
            let placed = core.server(name)?;
            let store = placed.store.take().ok_or_else(up)?;
            placed.lives += 1;
            let (party, plan, lives) = (placed.party, placed.plan.clone(), placed.lives);
            // Its settings were good when it started first.
            let server = plan.server(&self.shared, now, lives, store)?;
            core.world
                .restart(party, server.into())
                .map(|()| party)
                .map_err(|_| up())
        });
        let party = restarted?.0;
        self.shared.disturbed(Disturbance::PartyRestarted { party });
        self.shared.with(|core| core.not_listening())
    }

    /// Lets every server end in order.
    pub(crate) fn close_servers(&self) {
        self.shared.with(|core| {
            let parties: Vec<_> = core.servers.iter().map(|placed| placed.party).collect();
            for party in parties {
                core.world.with(party, |member, now| {
                    if let Some(server) = member.server_mut() {
                        server.handle_input(now, Input::Command(callcenter::Command::Close));
                    }
                });
            }
        });
    }
}

impl ServerPlan {
    fn server(
        &self,
        shared: &Shared,
        now: Time,
        life: u32,
        store: Box<dyn callcenter::Store>,
    ) -> Result<callcenter::Server, ServerError> {
        let seed = shared
            .seed
            .derive("servers")
            .derive(&self.name)
            .derive(&format!("life {life}"));
        let config = self
            .settings
            .config(shared.epoch, seed.derive("signalling"), seed.derive("nonces"));
        callcenter::Server::new(now, config, store).map_err(|error| ServerError::Start {
            name: self.name.clone(),
            detail: error.to_string(),
        })
    }
}

impl Core {
    fn place(&mut self, shared: &Shared, plan: ServerPlan) -> Result<(), ServerError> {
        let failed = |detail: String| ServerError::Start {
            name: plan.name.clone(),
            detail,
        };
        let seed = shared.seed.derive("servers").derive(&plan.name);
        let store = callcenter::ModelStore::new(seed.derive("store"));
        let (name, host) = self
            .add_host(&plan.name)
            .map_err(|error| failed(error.to_string()))?;
        let domain = plan.settings.domain();
        let ips: BTreeSet<IpAddr> = plan.settings.listen().iter().map(|(_, at)| at.ip()).collect();
        for ip in &ips {
            if !ip.is_loopback() && !ip.is_unspecified() {
                self.world
                    .add_address(host, *ip)
                    .map_err(|error| failed(error.to_string()))?;
            }
            if domain.parse::<IpAddr>().is_err() {
                self.world.zone().add_address(&domain, *ip);
            }
        }
        let now = self.world.now();
        let server = plan.server(shared, now, 1, store.into())?;
        let party = self.world.add(host, &name, server.into());
        self.servers.push(Placed {
            plan,
            party,
            host,
            lives: 1,
            store: None,
        });
        Ok(())
    }

    /// The first server that could not listen where it should. Sockets open at once in a simulated world.
    fn not_listening(&mut self) -> Result<(), ServerError> {
        for placed in &self.servers {
            let server = self.world.node(placed.party).and_then(Member::server);
            let wanted = placed.plan.settings.listen().len();
            let open = server.map_or(0, |server| server.addresses().len());
            if open < wanted {
                return Err(ServerError::Start {
                    name: placed.plan.name.clone(),
                    detail: self
                        .refused
                        .take()
                        .unwrap_or_else(|| format!("{open} of its {wanted} addresses could be bound")),
                });
            }
        }
        Ok(())
    }

    pub(super) fn server(&mut self, name: &str) -> Result<&mut Placed, ServerError> {
        let names: Vec<_> = self
            .servers
            .iter()
            .map(|placed| format!("{:?}", placed.plan.name))
            .collect();
        let known = if names.is_empty() {
            ": callwright.toml has no [[server]] with a built-in one".to_owned()
        } else {
            format!("; there is {}", names.join(", "))
        };
        self.servers
            .iter_mut()
            .find(|placed| placed.plan.name == name)
            .ok_or_else(|| ServerError::Unknown {
                name: name.to_owned(),
                known,
            })
    }

    /// What a server says of itself.
    pub(super) fn hear(&mut self, event: MemberEvent) {
        if let MemberEvent::Server(callcenter::Event::ListenFailed { error, .. }) = event {
            self.refused = Some(error.to_string());
        }
    }
}
