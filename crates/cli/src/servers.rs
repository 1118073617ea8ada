//! `[[server]]`: what is started before a run, waited for, and stopped after it.

mod entry;
mod process;
mod ready;

use std::sync::Arc;

use callwright_callcenter::Settings;
use callwright_net as net;
use callwright_scenario::real::{Callcenter, RealWorld};
use callwright_scenario::{Interrupt, World};

pub(crate) use entry::{Entry, EntryError, Kind, Server};
pub(crate) use process::Groups;
use process::Process;

/// The servers of a run. Dropping them stops what still runs.
pub(crate) struct Servers {
    world: Arc<RealWorld>,
    groups: Groups,
    running: Vec<Running>,
}

enum Running {
    Process(Process),
    Callcenter(Callcenter),
}

/// Why the servers of a run are not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServersError {
    #[error("the server {name} did not start: {detail}")]
    NotStarted { name: String, detail: String },
    #[error("the server {name} was not ready within {within}: {detail}; `timeout` gives it longer{log}")]
    NotReady {
        name: String,
        within: String,
        detail: String,
        log: String,
    },
    #[error("the server {name} ended {when}: {status}; a server has to stay in the foreground{log}")]
    Ended {
        name: String,
        when: &'static str,
        status: String,
        log: String,
    },
    #[error("interrupted while {name} was starting")]
    Interrupted { name: String },
}

/// What the world of a run needs to host the servers that are built in.
pub(crate) fn world_config(servers: &[Server]) -> anyhow::Result<net::WorldConfig> {
    let mut config = net::WorldConfig::default();
    let settings = servers.iter().filter_map(|server| match &server.kind {
        Kind::Callcenter(settings) => Some((&server.name, settings)),
        Kind::Command { .. } => None,
    });
    let mut showing: Option<&str> = None;
    for (name, settings) in settings {
        if let Some(identity) = settings.identity()? {
            if let Some(other) = showing {
                anyhow::bail!(
                    "{other} and {name} both have a certificate: of the servers in one run one can have TLS; \
                     start the other by command"
                );
            }
            showing = Some(name);
            config.identity = Some(identity);
        }
        match (settings.media_ports(), &config.media_ports) {
            (Some(ports), Some(others)) if ports != *others => anyhow::bail!(
                "{name} and another server have different ranges of ports for RTP: of the servers in one run all share \
                 one; give them the same"
            ),
            (Some(ports), _) => config.media_ports = Some(ports),
            (None, _) => {}
        }
    }
    Ok(config)
}

impl Servers {
    /// Starts them in the order of the file, each when the one before it is ready.
    ///
    /// # Errors
    ///
    /// When one of them does not come up; those before it are stopped.
    pub(crate) fn start(
        world: &Arc<RealWorld>,
        servers: &[Server],
        groups: &Groups,
        interrupt: &Interrupt,
    ) -> Result<Servers, ServersError> {
        let mut started = Servers {
            world: world.clone(),
            groups: groups.clone(),
            running: Vec::new(),
        };
        for server in servers {
            started.start_one(server, interrupt)?;
        }
        Ok(started)
    }

    fn start_one(&mut self, server: &Server, interrupt: &Interrupt) -> Result<(), ServersError> {
        let not_started = |detail: String| ServersError::NotStarted {
            name: server.name.clone(),
            detail,
        };
        match &server.kind {
            Kind::Command {
                program,
                arguments,
                env,
                directory,
            } => {
                let process = Process::start(program, arguments, env, directory, &self.groups)
                    .map_err(|error| not_started(error.to_string()))?;
                self.running.push(Running::Process(process.named(&server.name)));
            }
            Kind::Callcenter(settings) => {
                warn(&server.name, settings);
                let callcenter = self
                    .world
                    .start_callcenter(&server.name, settings)
                    .map_err(|error| not_started(error.to_string()))?;
                self.running.push(Running::Callcenter(callcenter));
            }
        }
        let process = match self.running.last_mut() {
            Some(Running::Process(process)) => Some(process),
            Some(Running::Callcenter(_)) | None => None,
        };
        let world: &dyn World = &*self.world;
        ready::wait(world, server, process, interrupt)
    }

    /// A command that ended by itself although it was to serve the whole run.
    pub(crate) fn ended(&mut self) -> Option<ServersError> {
        self.running.iter_mut().find_map(|running| match running {
            Running::Process(process) => process.ended("before the run did"),
            Running::Callcenter(_) => None,
        })
    }

    /// Stops them in order, the last one first.
    pub(crate) fn stop(&mut self) {
        while let Some(running) = self.running.pop() {
            match running {
                Running::Process(mut process) => process.stop(&self.groups),
                Running::Callcenter(callcenter) => self.world.stop_callcenter(callcenter),
            }
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Says what a server that is built in does not do, though its settings ask for it, and `instead` what does.
pub(crate) fn warn_of_service(name: &str, settings: &Settings, instead: &str) {
    let asked = settings.asks_of_the_service();
    if !asked.is_empty() {
        anstream::eprintln!(
            "warning: {name} asks for {}, which a run has not: what it knows is gone after it, nothing is recorded, and there is no \
             API.{instead}",
            asked.join(", ")
        );
    }
}

fn warn(name: &str, settings: &Settings) {
    let instead = " A [[server]] with command = \"callwright callcenter --config FILE\" does all that";
    warn_of_service(name, settings, instead);
    if settings.is_open() && settings.is_public() {
        anstream::eprintln!(
            "warning: {name} has auth = \"none\", and others than this machine can reach it: anybody may register and call"
        );
    }
}
