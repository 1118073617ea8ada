//! The file as it is written, and what its keys mean.

use std::path::Path;
use std::time::Duration;

use callwright_acd::{AgentConfig, Auth, Config, ConfigError, QueueConfig, User};
use callwright_sip::command::SessionTimer;
use callwright_sip::digest::{Algorithm, Secret};
use callwright_wire::Transport;
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

use super::place::{SettingsError, Spot, explained};
use super::protection::Protected;
use super::queue::{Queue, Recorded, queues};
use super::secret::Hidden;
use super::service::{Api, Log, Recordings, service};
use super::text::{Addresses, Domain, Interface, Ports, Span, UserName};
use super::{QUEUE, Settings, TlsFiles};

/// The shortest life of a nonce: some retransmissions of a request.
const LEAST_NONCE: Duration = Duration::from_secs(10);

/// `callcenter.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    domain: Option<Domain>,
    #[serde(default)]
    aliases: Vec<Domain>,
    auth: Option<Spanned<Who>>,
    digest: Option<Spanned<Vec<Hash>>>,
    listen: Option<Spanned<Listen>>,
    tls: Option<Tls>,
    #[serde(default)]
    media: Media,
    user: Option<Vec<Spanned<Account>>>,
    queue: Option<Vec<Queue>>,
    #[serde(default)]
    codes: Codes,
    database: Option<Spanned<String>>,
    http: Option<Api>,
    #[serde(default)]
    prompts: Recorded,
    #[serde(default)]
    recordings: Recordings,
    #[serde(default)]
    log: Log,
    #[serde(default)]
    timers: Timers,
    #[serde(default)]
    limits: Bounds,
    #[serde(default)]
    protection: Protected,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Who {
    None,
    Registrations,
    Everything,
}

/// An algorithm of digest, called as in `ha1`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Hash {
    Sha256,
    Md5,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listen {
    #[serde(default)]
    udp: Addresses,
    #[serde(default)]
    tcp: Addresses,
    tls: Option<Spanned<Addresses>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    certificate: std::path::PathBuf,
    key: std::path::PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Media {
    address: Option<Interface>,
    ports: Option<Ports>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    name: UserName,
    password: Option<Hidden>,
    ha1: Option<Hashes>,
    agent: Option<bool>,
    skills: Option<Spanned<std::collections::BTreeMap<String, u32>>>,
    ready_on_register: Option<Spanned<bool>>,
}

/// What agents dial; `false` switches a code off.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Codes {
    ready: Option<Spanned<Code>>,
    not_ready: Option<Spanned<Code>>,
    wrap_up_done: Option<Spanned<Code>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "what is dialled, such as \"*1\", or false")]
enum Code {
    Dialled(String),
    Off(bool),
}

/// H(name:domain:password) for each algorithm.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hashes {
    md5: Option<Hex<32>>,
    sha256: Option<Hex<64>>,
}

/// So many hexadecimal digits.
#[derive(Debug)]
struct Hex<const DIGITS: usize>(Hidden);

impl<'de, const DIGITS: usize> Deserialize<'de> for Hex<DIGITS> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Hidden(text) = Hidden::deserialize(from)?;
        if text.len() != DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(D::Error::custom(format!(
                "a hash of this algorithm has {DIGITS} hexadecimal digits; make it from `name:domain:password`"
            )));
        }
        Ok(Hex(Hidden(text.to_ascii_lowercase())))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Timers {
    ring: Option<Span>,
    session: Option<Spanned<SpanOrOff>>,
    nonce: Option<Spanned<Span>>,
    min_expires: Option<Spanned<Span>>,
    max_expires: Option<Spanned<Span>>,
    default_expires: Option<Spanned<Span>>,
    retry_after: Option<Span>,
    finish_calls: Option<Span>,
}

/// A span of time, or `false`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "a duration such as \"30m\", or false")]
enum SpanOrOff {
    Span(Span),
    Off(bool),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    users: Option<Spanned<usize>>,
    queues: Option<Spanned<usize>>,
    bindings_per_user: Option<usize>,
    path_values: Option<usize>,
    waiting_registers: Option<usize>,
    calls: Option<usize>,
    forks: Option<usize>,
    ring_all: Option<usize>,
    facts_in_flight: Option<usize>,
    nonces: Option<usize>,
    sources: Option<usize>,
    late_answers: Option<usize>,
    relayed_requests: Option<usize>,
    text_message_bytes: Option<usize>,
    connections: Option<usize>,
    sip_message_bytes: Option<usize>,
}

impl File {
    pub(super) fn parse(path: &Path, text: &str) -> Result<File, SettingsError> {
        toml::from_str(text)
            .map_err(|error| SettingsError::at(path, text, error.span(), explained(error.message())))
    }

    /// The settings that it means, as far as its keys agree with each other.
    pub(super) fn settings(self, path: &Path, text: &str) -> Result<Settings, SettingsError> {
        let wrong = |span, message: &str| SettingsError::at(path, text, span, message.to_owned());
        let mut settings = Settings::default();
        let config = &mut settings.template;
        if let Some(Domain(domain)) = self.domain {
            config.domain = domain;
        }
        config.aliases = self.aliases.into_iter().map(|Domain(host)| host).collect();
        if let Some(listen) = self.listen {
            let span = listen.span();
            let listen = listen.into_inner();
            let tls = listen.tls.as_ref().filter(|tls| !tls.get_ref().0.is_empty());
            if let (Some(tls), None) = (tls, &self.tls) {
                let message = "TLS needs a certificate: add [tls] with certificate and key";
                return Err(wrong(Some(tls.span()), message));
            }
            let tls = listen.tls.map(Spanned::into_inner).unwrap_or_default();
            let with = |transport, Addresses(all)| all.into_iter().map(move |at| (transport, at));
            config.listen = with(Transport::Udp, listen.udp)
                .chain(with(Transport::Tcp, listen.tcp))
                .chain(with(Transport::Tls, tls))
                .collect();
            if config.listen.is_empty() {
                let message =
                    "[listen] names no address: add udp, tcp or tls, or leave it out for 127.0.0.1:5060";
                return Err(wrong(Some(span), message));
            }
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        settings.tls = self.tls.map(|tls| TlsFiles {
            certificate: folder.join(tls.certificate),
            key: folder.join(tls.key),
        });
        settings.media_ports = self.media.ports.map(|Ports(range)| range);
        config.media_address = self.media.address.map(|Interface(ip)| ip);
        let user_limit = self.limits.users.as_ref().map(Spanned::span);
        let queue_limit = self.limits.queues.as_ref().map(Spanned::span);
        self.limits.put_into(config);
        self.protection.put_into(config);
        let at = |(span, message): (Option<std::ops::Range<usize>>, String)| {
            SettingsError::at(path, text, span, message)
        };
        let spans: Option<Vec<_>> = self
            .user
            .as_ref()
            .map(|users| users.iter().map(Spanned::span).collect());
        settings.own_database = self.database.is_some();
        settings.own_users = self.user.is_some();
        settings.own_auth = self.auth.is_some();
        if let Some(users) = self.user {
            config.auth = Auth::None;
            config.users = Vec::with_capacity(users.len());
            config.agents = Vec::with_capacity(users.len());
            for account in users {
                let span = account.span();
                let account = account.into_inner();
                config.agents.extend(account.agent().map_err(at)?);
                let user = account.user(config);
                let user = user.map_err(|message| wrong(Some(span), message))?;
                if !user.secrets.is_empty() {
                    config.auth = Auth::Registrations;
                }
                config.users.push(user);
            }
        }
        let users: Vec<_> = config.users.iter().map(|user| user.name.as_str()).collect();
        let agents: Vec<_> = config.agents.iter().map(|agent| agent.name.as_str()).collect();
        let named = match self.queue {
            Some(written) => {
                let (named, unknown) = queues(written, &agents, &users, folder).map_err(at)?;
                settings.unknown_members = unknown
                    .into_iter()
                    .map(|(name, span, message)| (name, Spot::of(path, text, Some(span), message)))
                    .collect();
                named
            }
            // Who has that name already is called by it.
            None if users.contains(&QUEUE) => Vec::new(),
            None => vec![QueueConfig::new(QUEUE)],
        };
        config.queues = named;
        self.codes.put_into(config).map_err(at)?;
        config.positions = self.prompts.positions(folder).map_err(at)?;
        config.record_direct = self.recordings.direct.unwrap_or(config.record_direct);
        settings.service =
            service(self.database, self.http, self.recordings, self.log, folder).map_err(at)?;
        if let Some(Span(patience)) = self.timers.finish_calls {
            settings.service.finish_calls = patience;
        }
        if let Some(who) = &self.auth {
            config.auth = match who.get_ref() {
                Who::None => Auth::None,
                Who::Registrations => Auth::Registrations,
                Who::Everything => Auth::Everything,
            };
        }
        if let Some(digest) = &self.digest {
            let algorithms = digest.get_ref().iter().map(|hash| match hash {
                Hash::Sha256 => Algorithm::Sha256,
                Hash::Md5 => Algorithm::Md5,
            });
            config.digest = algorithms.collect();
        }
        let expires = self.timers.expires().next();
        self.timers
            .put_into(config)
            .map_err(|(span, message)| wrong(Some(span), message))?;
        // Users of the database may be members too, and are not known yet.
        let mut known = config.clone();
        for members in known.queues.iter_mut().filter_map(|queue| queue.members.as_mut()) {
            members.retain(|member| known.agents.iter().any(|agent| agent.name == *member));
        }
        known.check().map_err(|error| {
            let of_user = |name: &str| {
                let at = config.users.iter().rposition(|user| user.name == name)?;
                spans.as_ref()?.get(at).cloned()
            };
            let span = match &error {
                ConfigError::SameUser { name } => of_user(name),
                ConfigError::NoSecret { name } => {
                    of_user(name).or_else(|| self.auth.as_ref().map(Spanned::span))
                }
                ConfigError::Expires => expires,
                ConfigError::NoAlgorithm => self.digest.as_ref().map(Spanned::span),
                ConfigError::TooManyUsers { .. } => user_limit.clone(),
                ConfigError::TooManyQueues { .. } => queue_limit.clone(),
                ConfigError::AnyAddress { .. }
                | ConfigError::NoSuchUser { .. }
                | ConfigError::SameAgent { .. }
                | ConfigError::QueueName { .. }
                | ConfigError::NoSuchMember { .. }
                | ConfigError::NoSuchOverflow { .. }
                | ConfigError::SameMember { .. }
                | ConfigError::OverflowsToItself { .. }
                | ConfigError::AnnouncesAllTheTime { .. }
                | ConfigError::FeatureCode { .. }
                | ConfigError::NoRing { .. } => None,
            };
            let message = match &error {
                ConfigError::TooManyUsers { users, limit } => {
                    format!("there are {users} users, and [limits] users is {limit}: raise it")
                }
                ConfigError::TooManyQueues { queues, limit } => {
                    format!("there are {queues} queues, and [limits] queues is {limit}: raise it")
                }
                error => error.to_string(),
            };
            SettingsError::at(path, text, span, message)
        })?;
        Ok(settings)
    }
}

impl Codes {
    fn put_into(self, config: &mut Config) -> Result<(), (Option<std::ops::Range<usize>>, String)> {
        let codes = &mut config.feature_codes;
        for (to, written) in [
            (&mut codes.ready, self.ready),
            (&mut codes.not_ready, self.not_ready),
            (&mut codes.wrap_up_done, self.wrap_up_done),
        ] {
            let Some(written) = written else { continue };
            let span = written.span();
            let dialled = |text: &str| !text.is_empty() && text.chars().all(|c| "0123456789*#".contains(c));
            *to = match written.into_inner() {
                Code::Dialled(text) if dialled(&text) => Some(text),
                Code::Off(false) => None,
                Code::Dialled(_) | Code::Off(true) => {
                    let message = "a code is dialled: digits, * and #, such as \"*1\"; false switches it off";
                    return Err((Some(span), message.to_owned()));
                }
            };
        }
        Ok(())
    }
}

impl Account {
    /// The agent that it is, where it is one.
    fn agent(&self) -> Result<Option<AgentConfig>, (Option<std::ops::Range<usize>>, String)> {
        let skills = self.skills.as_ref().map(Spanned::span);
        let ready = self.ready_on_register.as_ref().map(Spanned::span);
        match (self.agent.unwrap_or(true), skills.or(ready)) {
            (false, Some(span)) => {
                let message = "only an agent has skills and ready_on_register, and this user is none";
                Err((Some(span), message.to_owned()))
            }
            (false, None) => Ok(None),
            (true, _) => {
                let mut agent = AgentConfig::new(self.name.0.as_str());
                if let Some(skills) = &self.skills {
                    agent.skills = skills.get_ref().clone();
                }
                if let Some(ready) = &self.ready_on_register {
                    agent.ready_on_register = *ready.get_ref();
                }
                Ok(Some(agent))
            }
        }
    }

    fn user(self, config: &Config) -> Result<User, &'static str> {
        let UserName(name) = self.name;
        match (self.password, self.ha1) {
            (Some(_), Some(_)) => Err("a user has a password or ha1, not both"),
            (Some(Hidden(password)), None) => Ok(User::with_password(name, &config.domain, &password)),
            (None, None) => Ok(User::open(name)),
            (None, Some(hashes)) => {
                let secrets = hashes.secrets();
                if secrets.is_empty() {
                    return Err("ha1 is empty: it has a hash for md5, for sha256, or for both");
                }
                Ok(User { name, secrets })
            }
        }
    }
}

impl Hashes {
    /// In the order in which they are offered.
    fn secrets(self) -> Vec<Secret> {
        let sha256 = self.sha256.map(|Hex(Hidden(hash))| (Algorithm::Sha256, hash));
        let md5 = self.md5.map(|Hex(Hidden(hash))| (Algorithm::Md5, hash));
        let secret = |(algorithm, hash)| Secret::Ha1 { algorithm, hash };
        sha256.into_iter().chain(md5).map(secret).collect()
    }
}

impl Timers {
    /// Where the times of bindings stand.
    fn expires(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        [&self.default_expires, &self.min_expires, &self.max_expires]
            .into_iter()
            .flatten()
            .map(Spanned::span)
    }

    fn put_into(self, config: &mut Config) -> Result<(), (std::ops::Range<usize>, &'static str)> {
        let set = |to: &mut Duration, span: Option<Span>| {
            if let Some(Span(span)) = span {
                *to = span;
            }
        };
        set(&mut config.ring_timeout, self.ring);
        if let Some(nonce) = self.nonce {
            let (span, Span(lifetime)) = (nonce.span(), nonce.into_inner());
            if lifetime < LEAST_NONCE {
                return Err((
                    span,
                    "a nonce is good for 10s at least: who answers a challenge needs it",
                ));
            }
            config.nonce_lifetime = lifetime;
        }
        set(&mut config.min_expires, self.min_expires.map(Spanned::into_inner));
        set(&mut config.max_expires, self.max_expires.map(Spanned::into_inner));
        set(&mut config.retry_after, self.retry_after);
        match self.default_expires {
            Some(span) => config.default_expires = span.into_inner().0,
            // What is not written follows what is.
            None => {
                config.default_expires = config
                    .default_expires
                    .clamp(config.min_expires.min(config.max_expires), config.max_expires)
            }
        }
        if let Some(session) = self.session {
            let span = session.span();
            config.session_timer = match session.into_inner() {
                // RFC 4028 §5.
                SpanOrOff::Span(Span(interval)) if interval < Duration::from_secs(90) => {
                    return Err((span, "a session timer is 90s at least, or false for none"));
                }
                SpanOrOff::Span(Span(interval)) => Some(SessionTimer::new(interval)),
                SpanOrOff::Off(false) => None,
                SpanOrOff::Off(true) => return Err((span, "a duration such as \"30m\", or false")),
            };
        }
        Ok(())
    }
}

impl Bounds {
    fn put_into(self, config: &mut Config) {
        let set = |to: &mut usize, value: Option<usize>| *to = value.unwrap_or(*to);
        let limits = &mut config.limits;
        set(&mut limits.users, self.users.map(Spanned::into_inner));
        set(&mut limits.queues, self.queues.map(Spanned::into_inner));
        set(&mut limits.bindings_per_user, self.bindings_per_user);
        set(&mut limits.path_values, self.path_values);
        set(&mut limits.waiting_registers, self.waiting_registers);
        set(&mut limits.calls, self.calls);
        set(&mut limits.forks, self.forks);
        set(&mut limits.ring_all, self.ring_all);
        set(&mut limits.facts_in_flight, self.facts_in_flight);
        set(&mut limits.nonces, self.nonces);
        set(&mut limits.sources, self.sources);
        set(&mut limits.late_answers, self.late_answers);
        set(&mut limits.relayed_requests, self.relayed_requests);
        set(&mut limits.message_bytes, self.text_message_bytes);
        set(&mut config.core.limits.connections, self.connections);
        set(&mut config.core.message_limits.message, self.sip_message_bytes);
    }
}
