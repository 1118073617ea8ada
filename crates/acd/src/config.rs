//! What a machine is told at its start.

mod queue;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use callwright_sip::command::SessionTimer;
use callwright_sip::core::CoreConfig;
use callwright_sip::digest::{Algorithm, Secret};
use callwright_sip_message::Host;
use callwright_wire::{Epoch, Seed, Transport};

use crate::guard::Protection;
use crate::limits::Limits;

pub use queue::{AgentConfig, AnswerWith, FeatureCodes, Overflow, Prompts, QueueConfig, Sound, Strategy};

/// Settings of a [`Machine`](crate::Machine). They do not change while it lives.
#[derive(Clone, Debug)]
pub struct Config {
    /// The domain of its users, and the realm of its challenges.
    pub domain: Host,
    /// Further names of the domain. The addresses that it listens at count too.
    pub aliases: Vec<Host>,
    /// Where to listen for SIP: addresses of an interface, since they are written into Contact and descriptions.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// The address of RTP; `None`: that at which the signalling of the leg arrives.
    pub media_address: Option<IpAddr>,
    /// The users.
    pub users: Vec<User>,
    /// Which of them are agents.
    pub agents: Vec<AgentConfig>,
    /// The queues.
    pub queues: Vec<QueueConfig>,
    /// What agents dial to say what they do.
    pub feature_codes: FeatureCodes,
    /// The number of the first call: above all that were stored before a restart. Default 1.
    pub first_call: u64,
    /// Who has to prove who it is. Who calls a queue is never asked.
    pub auth: Auth,
    /// The algorithms that challenges offer, the most wanted first (RFC 8760 §2.4): SHA-256 and MD5 by default. Some clients give up
    /// at an algorithm that they do not know, instead of looking at the next one.
    pub digest: Vec<Algorithm>,
    /// How long a nonce serves. Default 5 minutes.
    pub nonce_lifetime: Duration,
    /// The shortest binding; shorter ones are answered 423 (RFC 3261 §10.3). Default 60 s.
    pub min_expires: Duration,
    /// The longest binding; longer ones are shortened. Default 1 hour.
    pub max_expires: Duration,
    /// The binding of a REGISTER that asks for no time. Default 1 hour.
    pub default_expires: Duration,
    /// How long a callee may ring. Default 60 s.
    pub ring_timeout: Duration,
    /// Whether audio is carried. Without it descriptions are exchanged and ports leased as ever, and nothing is played, relayed or
    /// measured: for simulations that are about signalling. Default yes.
    pub audio: bool,
    /// The session timer of each leg (RFC 4028); `None` asks for none, and agrees to one that is asked for. Default 30 minutes.
    pub session_timer: Option<SessionTimer>,
    /// `Retry-After` of a 503. Default 5 s.
    pub retry_after: Duration,
    /// Transport and transactions, with the sizes of messages.
    pub core: CoreConfig,
    /// What one source may ask for.
    pub protection: Protection,
    /// What bounds memory.
    pub limits: Limits,
    /// Whether calls that come from no queue are recorded too. Default no.
    pub record_direct: bool,
    /// What says "you are number …", by the number; where there is nothing, tones tell it.
    pub positions: BTreeMap<u32, Sound>,
    /// When the world started: RTCP carries calendar time.
    pub epoch: Epoch,
    /// The seed of tags, branches, Call-IDs and SSRCs.
    pub seed: Seed,
    /// The seed of nonces: in the real world from the operating system, whatever the seed of a run.
    pub nonce_seed: Seed,
}

/// Who has to prove who it is, by digest (RFC 3261 §22).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody: for closed tests.
    None,
    /// Who registers. Anybody may call.
    #[default]
    Registrations,
    /// Who registers, and who calls or sends a MESSAGE: only users may, each under its own address.
    Everything,
}

/// A user of the domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user part of the address-of-record, and the name in credentials.
    pub name: String,
    /// H(name:domain:password) for each algorithm that the user can be asked for.
    pub secrets: Vec<Secret>,
}

impl User {
    /// A user without a secret: for [`Auth::None`].
    pub fn open(name: impl Into<String>) -> User {
        User {
            name: name.into(),
            secrets: Vec::new(),
        }
    }

    /// A user with this password in `domain`: only its hashes are kept.
    pub fn with_password(name: impl Into<String>, domain: &Host, password: &str) -> User {
        let name = name.into();
        let realm = domain.to_string();
        let secrets = ALGORITHMS
            .map(|algorithm| Secret::ha1(algorithm, &name, &realm, password))
            .to_vec();
        User { name, secrets }
    }
}

/// Whether a secret serves for an algorithm.
pub(crate) fn is_for(secret: &Secret, algorithm: Algorithm) -> bool {
    match secret {
        Secret::Password(_) => true,
        Secret::Ha1 { algorithm: own, .. } => own.base() == algorithm.base(),
    }
}

/// What is offered unless told otherwise.
pub(crate) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];

impl Config {
    /// Every default, for a domain; it listens nowhere and has no users.
    pub fn new(domain: Host, epoch: Epoch, seed: Seed, nonce_seed: Seed) -> Config {
        Config {
            domain,
            aliases: Vec::new(),
            listen: Vec::new(),
            media_address: None,
            users: Vec::new(),
            agents: Vec::new(),
            queues: Vec::new(),
            feature_codes: FeatureCodes::default(),
            first_call: 1,
            auth: Auth::default(),
            digest: ALGORITHMS.to_vec(),
            nonce_lifetime: Duration::from_secs(300),
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3_600),
            default_expires: Duration::from_secs(3_600),
            ring_timeout: Duration::from_secs(60),
            audio: true,
            session_timer: Some(SessionTimer::new(Duration::from_secs(1_800))),
            retry_after: Duration::from_secs(5),
            core: CoreConfig::default(),
            protection: Protection::default(),
            limits: Limits::default(),
            record_direct: false,
            positions: BTreeMap::new(),
            epoch,
            seed,
            nonce_seed,
        }
    }

    /// Checks what cannot be right.
    ///
    /// # Errors
    ///
    /// What contradicts itself.
    pub fn check(&self) -> Result<(), ConfigError> {
        let limit = self.limits.users;
        if self.users.len() > limit {
            let users = self.users.len();
            return Err(ConfigError::TooManyUsers { users, limit });
        }
        if self.min_expires > self.max_expires || self.default_expires < self.min_expires {
            return Err(ConfigError::Expires);
        }
        let mut names: Vec<_> = self.users.iter().map(|user| user.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::SameUser {
                name: pair[0].to_owned(),
            });
        }
        if self.digest.is_empty() {
            return Err(ConfigError::NoAlgorithm);
        }
        let fits = |secret: &Secret| self.digest.iter().any(|algorithm| is_for(secret, *algorithm));
        let wanting = |user: &&User| self.auth != Auth::None && !user.secrets.iter().any(fits);
        if let Some(user) = self.users.iter().find(wanting) {
            return Err(ConfigError::NoSecret {
                name: user.name.clone(),
            });
        }
        if let Some((_, at)) = self.listen.iter().find(|(_, at)| at.ip().is_unspecified()) {
            return Err(ConfigError::AnyAddress { at: *at });
        }
        queue::check(self, &names)
    }
}

/// What is wrong with a [`Config`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// More users than the limit.
    #[error("there are {users} users, and `Limits::users` is {limit}: raise it")]
    TooManyUsers {
        /// How many there are.
        users: usize,
        /// The limit.
        limit: usize,
    },
    /// The same name twice.
    #[error("there are two users called {name}: give one of them another name")]
    SameUser {
        /// The name.
        name: String,
    },
    /// A user that could never register.
    #[error("{name} has no password or hash, and `auth` asks for one: a hash by an algorithm of `digest`")]
    NoSecret {
        /// The name.
        name: String,
    },
    /// No algorithm to prove anything by.
    #[error("`digest` names no algorithm: name SHA-256, MD5 or both")]
    NoAlgorithm,
    /// The times of bindings contradict each other.
    #[error("min_expires must not be above max_expires or default_expires")]
    Expires,
    /// An agent that is no user.
    #[error("the agent {name} is no user: add a user of that name")]
    NoSuchUser {
        /// The agent.
        name: String,
    },
    /// The same agent twice.
    #[error("{name} is an agent twice: name it once")]
    SameAgent {
        /// The name.
        name: String,
    },
    /// More queues than the limit.
    #[error("there are {queues} queues, and `Limits::queues` is {limit}: raise it")]
    TooManyQueues {
        /// How many there are.
        queues: usize,
        /// The limit.
        limit: usize,
    },
    /// The address of a queue belongs to somebody else.
    #[error("there is more than one queue or user called {name}: give the queue another name")]
    QueueName {
        /// The name.
        name: String,
    },
    /// A member that is no agent.
    #[error("{member} is a member of the queue {queue}, and no agent: make it one, or leave it out")]
    NoSuchMember {
        /// The queue.
        queue: String,
        /// The member.
        member: String,
    },
    /// A queue that overflows to none.
    #[error("the queue {queue} overflows to the queue {to}, which does not exist: name another one")]
    NoSuchOverflow {
        /// The queue.
        queue: String,
        /// Where it overflows to.
        to: String,
    },
    /// A member that would be offered each call twice.
    #[error("{member} is a member of the queue {queue} twice: name it once")]
    SameMember {
        /// The queue.
        queue: String,
        /// The member.
        member: String,
    },
    /// A queue that overflows to itself.
    #[error("the queue {queue} overflows to itself: name another one")]
    OverflowsToItself {
        /// The queue.
        queue: String,
    },
    /// Announcements without a pause.
    #[error(
        "the queue {queue} has less than a second between announcements: set `announce_every` to a second or more"
    )]
    AnnouncesAllTheTime {
        /// The queue.
        queue: String,
    },
    /// A feature code that nobody could dial, or that dials something else.
    #[error("the feature code {code:?} is empty, named twice, or a user or queue: name another one, or none")]
    FeatureCode {
        /// The code.
        code: String,
    },
    /// Agents who could not answer.
    #[error("agents of the queue {queue} ring for no time: set `ring` to some seconds")]
    NoRing {
        /// The queue.
        queue: String,
    },
    /// An address that is none.
    #[error("{at} is no address that a phone could send to: name the address of an interface")]
    AnyAddress {
        /// The address.
        at: SocketAddr,
    },
}
