//! `callcenter.toml`: every key has a default, and what is wrong is found before a port is opened.

mod file;
mod place;
mod protection;
mod queue;
mod secret;
mod service;
mod text;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::store::StoredUser;
use callwright_acd::{AgentConfig, Auth, Config, QueueConfig, User};
use callwright_net as net;
use callwright_wire::{Epoch, Seed, Transport};

use file::File;
pub use place::SettingsError;
use place::Spot;
pub use service::{DatabaseName, Http, OpenApi, Service};

/// What a call center is told by its file.
#[derive(Clone, Debug)]
pub struct Settings {
    /// With another epoch and other seeds in each world.
    template: Config,
    service: Service,
    tls: Option<TlsFiles>,
    media_ports: Option<RangeInclusive<u16>>,
    /// Whether it names a database.
    own_database: bool,
    /// Whether it says who the users are.
    own_users: bool,
    /// Whether it says who has to prove who it is.
    own_auth: bool,
    /// Members of queues that are no agents of the file: those of the database may be.
    unknown_members: Vec<(String, Spot)>,
}

/// Where the certificate of TLS listeners is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain as PEM, leaf first.
    pub certificate: PathBuf,
    /// Its key as PEM.
    pub key: PathBuf,
}

/// Why a user of the database is not one of the call center.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeftOut {
    /// The configuration has one of that name.
    #[error(
        "the user {name} of the database is left out: the configuration has one of that name, which counts"
    )]
    InFile {
        /// The name.
        name: String,
    },
    /// Its hashes are good for another domain.
    #[error(
        "the user {name} of the database is left out: its password was given for the domain {of}; add it again"
    )]
    OtherDomain {
        /// The name.
        name: String,
        /// The domain.
        of: String,
    },
}

/// The name of its domain without a file.
const DOMAIN: &str = "callcenter.example.com";
/// Its users without a file.
const USERS: [&str; 3] = ["alice", "bob", "charlie"];
/// Its queue without a file.
const QUEUE: &str = "support";
/// The port of UDP and TCP without a file.
const PORT: u16 = 5060;

impl Default for Settings {
    /// A closed test on this machine: UDP and TCP at 127.0.0.1:5060, users without passwords, no authentication. All of them
    /// are agents of one queue, `support`.
    fn default() -> Self {
        let mut template = template();
        template.listen = default_listen();
        template.users = USERS.map(User::open).to_vec();
        template.agents = USERS.map(AgentConfig::new).to_vec();
        template.queues = vec![QueueConfig::new(QUEUE)];
        template.auth = Auth::None;
        Settings {
            template,
            service: Service::default(),
            tls: None,
            media_ports: None,
            own_database: false,
            own_users: false,
            own_auth: false,
            unknown_members: Vec::new(),
        }
    }
}

/// A configuration without users or sockets; epoch and seeds are put in by [`Settings::config`].
fn template() -> Config {
    let nothing = Seed::from_number(0);
    let domain = DOMAIN
        .parse()
        .unwrap_or_else(|_| unreachable!("a name of a host"));
    Config::new(domain, Epoch::SIMULATED, nothing.clone(), nothing)
}

fn default_listen() -> Vec<(Transport, SocketAddr)> {
    let at = SocketAddr::from(([127, 0, 0, 1], PORT));
    vec![(Transport::Udp, at), (Transport::Tcp, at)]
}

impl Settings {
    /// Reads a file. Paths in it are relative to it.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or something in it is wrong: with line and column, and the nearest right key.
    pub fn read(path: &Path) -> Result<Settings, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|error| SettingsError::Read {
            path: path.to_owned(),
            error,
        })?;
        Settings::parse(path, &text)
    }

    /// Reads the text of a file that is called `path`.
    ///
    /// # Errors
    ///
    /// When something in it is wrong: with line and column, and the nearest right key.
    pub fn parse(path: &Path, text: &str) -> Result<Settings, SettingsError> {
        File::parse(path, text)?.settings(path, text)
    }

    /// A file with every key at its default, commented: what `--init` writes.
    pub fn commented() -> &'static str {
        include_str!("settings/commented.toml")
    }

    /// The configuration of a machine in a world. `nonce_seed` is to come from the operating system in the real world.
    pub fn config(&self, epoch: Epoch, seed: Seed, nonce_seed: Seed) -> Config {
        Config {
            epoch,
            seed,
            nonce_seed,
            ..self.template.clone()
        }
    }

    /// Where it listens; port 0 is any.
    pub fn listen(&self) -> &[(Transport, SocketAddr)] {
        &self.template.listen
    }

    /// Listens at these addresses instead.
    pub fn set_listen(&mut self, listen: Vec<(Transport, SocketAddr)>) {
        self.template.listen = listen;
    }

    /// The same addresses with another port: TLS takes the one above, unless it is any.
    pub fn set_port(&mut self, port: u16) {
        for (transport, at) in &mut self.template.listen {
            at.set_port(match transport {
                Transport::Tls if port > 0 => port.saturating_add(1),
                Transport::Udp | Transport::Tcp | Transport::Tls => port,
            });
        }
    }

    /// Who has to prove who it is.
    pub fn auth(&self) -> Auth {
        self.template.auth
    }

    /// The name of the domain.
    pub fn domain(&self) -> String {
        self.template.domain.to_string()
    }

    /// The names of its users.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.template.users.iter().map(|user| user.name.as_str())
    }

    /// The queues.
    pub fn queues(&self) -> &[QueueConfig] {
        &self.template.queues
    }

    /// Which users are agents.
    pub fn agents(&self) -> &[AgentConfig] {
        &self.template.agents
    }

    /// Its database, its API, its recordings, its log.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The same to be changed, as by a command line.
    pub fn service_mut(&mut self) -> &mut Service {
        &mut self.service
    }

    /// What it asks for that only [`serve`](crate::serve) does, by the keys of the file: whoever hosts a [`Server`](crate::Server) in a
    /// world of its own writes no files and serves no API.
    pub fn asks_of_the_service(&self) -> Vec<&'static str> {
        let config = &self.template;
        let asked = [
            ("database", self.own_database),
            ("[http]", self.service.http.is_some()),
            ("[[queue]] record", config.queues.iter().any(|queue| queue.record)),
            ("[recordings] direct", config.record_direct),
        ];
        let asked = asked.into_iter().filter(|(_, asked)| *asked);
        asked.map(|(key, _)| key).collect()
    }

    /// Keeps its database in this file instead: a path, or `sqlite://` and a path.
    ///
    /// # Errors
    ///
    /// When it is no file.
    pub fn set_database(&mut self, name: &str) -> Result<(), DatabaseName> {
        self.service.database = service::database_file(name)?;
        Ok(())
    }

    /// Serves its API here instead, with the token of the file; on loopback it needs none.
    ///
    /// # Errors
    ///
    /// When that is reached from elsewhere, and there is no token.
    pub fn set_http(&mut self, listen: SocketAddr) -> Result<(), OpenApi> {
        let token = self.service.http.take().and_then(|http| http.token);
        let http = Http { listen, token };
        http.check()?;
        self.service.http = Some(http);
        Ok(())
    }

    /// Adds the users of the database. A user of the file of the same name stands above one of them, and one whose hashes are for
    /// another domain is left out; both are named in what is given back. Where the file names no users, they take the place of
    /// those that there are without one.
    ///
    /// # Errors
    ///
    /// When they contradict the rest, or a queue has a member that is neither here nor there.
    pub fn add_users(&mut self, stored: Vec<StoredUser>) -> Result<Vec<LeftOut>, SettingsError> {
        let config = &mut self.template;
        let domain = config.domain.to_string();
        let mut left_out = Vec::new();
        let (mut users, mut agents) = (Vec::new(), Vec::new());
        for StoredUser {
            user,
            domain: of,
            agent,
        } in stored
        {
            if self.own_users && config.users.iter().any(|own| own.name == user.name) {
                left_out.push(LeftOut::InFile { name: user.name });
            } else if of != domain {
                left_out.push(LeftOut::OtherDomain { name: user.name, of });
            } else {
                agents.extend(agent.then(|| AgentConfig::new(user.name.clone())));
                users.push(user);
            }
        }
        if !self.own_users && !users.is_empty() {
            config.users.clear();
            config.agents.clear();
        }
        let added = !users.is_empty();
        config.users.extend(users);
        config.agents.extend(agents);
        if !self.own_auth && config.auth == Auth::None && added {
            config.auth = Auth::Registrations;
        }
        let is_agent = |name: &str| config.agents.iter().any(|agent| agent.name == name);
        if let Some((_, spot)) = self.unknown_members.iter().find(|(name, _)| !is_agent(name)) {
            return Err(spot.clone().into());
        }
        config.check().map_err(SettingsError::Users)?;
        Ok(left_out)
    }

    /// The ports of RTP and RTCP, where they are limited.
    pub fn media_ports(&self) -> Option<RangeInclusive<u16>> {
        self.media_ports.clone()
    }

    /// The address of RTP, where it is not that of the signalling.
    pub fn media_address(&self) -> Option<IpAddr> {
        self.template.media_address
    }

    /// Where the certificate of TLS is.
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }

    /// The certificate of TLS, read now; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or both do not fit together.
    pub fn identity(&self) -> Result<Option<net::Identity>, SettingsError> {
        let Some(TlsFiles { certificate, key }) = &self.tls else {
            return Ok(None);
        };
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| SettingsError::Read {
                path: path.clone(),
                error,
            })
        };
        let identity = net::Identity::from_pem(&read(certificate)?, &read(key)?);
        identity.map(Some).map_err(|error| SettingsError::Tls {
            path: certificate.clone(),
            error,
        })
    }

    /// Whether anybody may register and call.
    pub fn is_open(&self) -> bool {
        self.template.auth == Auth::None
    }

    /// Whether others than this machine reach it.
    pub fn is_public(&self) -> bool {
        self.template.listen.iter().any(|(_, at)| !at.ip().is_loopback())
    }
}
