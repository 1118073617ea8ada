//! Queues and agents as they are configured.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use callwright_sip_message::Uri;

use super::{Config, ConfigError};

/// A queue: calls to `sip:name@domain` wait in it for an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueConfig {
    /// The user part of its address: no user has the same.
    pub name: String,
    /// Who of the agents that are ready is next. Default round robin.
    pub strategy: Strategy,
    /// Whose turn it can be, in the order that `linear` and `round_robin` follow; `None`: all agents in the order of the configuration.
    pub members: Option<Vec<String>>,
    /// The level that each skill wants at least: who lacks one is not offered its calls.
    pub skills: BTreeMap<String, u32>,
    /// When the caller is answered. Default at once, with music.
    pub answer: AnswerWith,
    /// Where an agent takes calls of several queues, those with the higher priority come first. Default 0.
    pub priority: i32,
    /// How many calls may wait; one beyond overflows, or is refused, unless an agent is free for it. `None`: as many as
    /// [`Limits`](crate::Limits) allow.
    pub max_length: Option<usize>,
    /// How long a call may wait; then it overflows, or ends as timed out. `None`: as long as its caller.
    pub max_wait: Option<Duration>,
    /// Whether calls may come while no member is logged in. Default yes.
    pub join_when_empty: bool,
    /// How long an agent may ring. Default 15 s.
    pub ring: Duration,
    /// After so many presentations in a row that an agent did not answer it is not ready; 0: never. Default 1.
    pub max_no_answer: u32,
    /// After so many presentations that an agent refused, without one that it answered in between, it is not ready; 0: never. Default 3.
    pub max_refused: u32,
    /// How long an agent may take after a call. Default 0.
    pub wrap_up: Duration,
    /// What becomes of a call that may not wait, or no longer.
    pub overflow: Option<Overflow>,
    /// Within which time a call is to be answered: for statistics. Default 20 s.
    pub service_level: Duration,
    /// Whether calls are recorded.
    pub record: bool,
    /// What callers hear.
    pub prompts: Prompts,
}

impl QueueConfig {
    /// A queue with every default.
    pub fn new(name: impl Into<String>) -> QueueConfig {
        QueueConfig {
            name: name.into(),
            strategy: Strategy::default(),
            members: None,
            skills: BTreeMap::new(),
            answer: AnswerWith::default(),
            priority: 0,
            max_length: None,
            max_wait: None,
            join_when_empty: true,
            ring: Duration::from_secs(15),
            max_no_answer: 1,
            max_refused: 3,
            wrap_up: Duration::ZERO,
            overflow: None,
            service_level: Duration::from_secs(20),
            record: false,
            prompts: Prompts::default(),
        }
    }
}

/// Who of the agents that are ready is offered the next call of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The next one in the order of the members after whom it was last.
    #[default]
    RoundRobin,
    /// Whose last call of a queue is over for the longest time.
    LongestIdle,
    /// Who answered the fewest calls of queues.
    FewestCalls,
    /// Who talked the shortest time in calls of queues.
    LeastTalkTime,
    /// The first in the order of the members.
    Linear,
    /// Any.
    Random,
    /// All of them at once; who answers first has it.
    RingAll,
}

/// When a caller is answered (the 200).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerWith {
    /// At once: the caller hears music while waiting.
    #[default]
    Music,
    /// When an agent answers: the caller hears ringing, or what the agent sends before.
    Agent,
}

/// What becomes of a call that may not wait in its queue, or no longer.
#[derive(Clone, Debug, PartialEq)]
pub enum Overflow {
    /// It goes to the end of another queue of this name.
    Queue(String),
    /// It goes to this address: a user, a queue, or somebody outside.
    Uri(Uri),
    /// The caller hears this, and is hung up.
    Message(Sound),
}

/// What callers of a queue hear while they wait.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompts {
    /// Played over and over; `None`: the melody that is built in.
    pub music: Option<Sound>,
    /// Played over the music when a call begins to wait and then periodically.
    pub announce: Option<Sound>,
    /// Whether the position in the queue is told then.
    pub announce_position: bool,
    /// How often, at least a second; `None`: at the beginning only.
    pub announce_every: Option<Duration>,
}

/// Mono samples at 8,000 Hz.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound(pub Arc<[i16]>);

impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sound({} samples)", self.0.len())
    }
}

/// An agent: a user who takes calls of queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// The name of the user.
    pub name: String,
    /// Skills, each with its level.
    pub skills: BTreeMap<String, u32>,
    /// Whether a registration makes it ready. Default yes.
    pub ready_on_register: bool,
}

impl AgentConfig {
    /// An agent without special skills.
    pub fn new(name: impl Into<String>) -> AgentConfig {
        AgentConfig {
            name: name.into(),
            skills: BTreeMap::new(),
            ready_on_register: true,
        }
    }
}

/// What an agent dials to say what it does. `None` switches a code off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureCodes {
    /// [`AgentRequest::Ready`](crate::AgentRequest::Ready). Default `*1`.
    pub ready: Option<String>,
    /// [`AgentRequest::NotReady`](crate::AgentRequest::NotReady); what is dialled behind it is the reason. Default `*0`.
    pub not_ready: Option<String>,
    /// [`AgentRequest::WrapUpDone`](crate::AgentRequest::WrapUpDone). Default `*2`.
    pub wrap_up_done: Option<String>,
}

impl Default for FeatureCodes {
    fn default() -> Self {
        FeatureCodes {
            ready: Some("*1".to_owned()),
            not_ready: Some("*0".to_owned()),
            wrap_up_done: Some("*2".to_owned()),
        }
    }
}

/// Checks agents and queues; `users` are the names of all users in order.
pub(super) fn check(config: &Config, users: &[&str]) -> Result<(), ConfigError> {
    let mut agents = BTreeSet::new();
    for AgentConfig { name, .. } in &config.agents {
        if users.binary_search(&name.as_str()).is_err() {
            return Err(ConfigError::NoSuchUser { name: name.clone() });
        }
        if !agents.insert(name.as_str()) {
            return Err(ConfigError::SameAgent { name: name.clone() });
        }
    }
    let (queues, limit) = (config.queues.len(), config.limits.queues);
    if queues > limit {
        return Err(ConfigError::TooManyQueues { queues, limit });
    }
    let mut names = BTreeSet::new();
    for QueueConfig { name, .. } in &config.queues {
        if users.binary_search(&name.as_str()).is_ok() || !names.insert(name.as_str()) {
            return Err(ConfigError::QueueName { name: name.clone() });
        }
    }
    for queue in &config.queues {
        let name = || queue.name.clone();
        let mut members = queue.members.iter().flatten();
        if let Some(member) = members.find(|member| !agents.contains(member.as_str())) {
            return Err(ConfigError::NoSuchMember {
                queue: name(),
                member: member.clone(),
            });
        }
        if let Some(Overflow::Queue(to)) = &queue.overflow
            && !names.contains(to.as_str())
        {
            return Err(ConfigError::NoSuchOverflow {
                queue: name(),
                to: to.clone(),
            });
        }
        let mut once = BTreeSet::new();
        let mut members = queue.members.iter().flatten();
        if let Some(member) = members.find(|member| !once.insert(member.as_str())) {
            return Err(ConfigError::SameMember {
                queue: name(),
                member: member.clone(),
            });
        }
        if queue.overflow == Some(Overflow::Queue(name())) {
            return Err(ConfigError::OverflowsToItself { queue: name() });
        }
        if queue
            .prompts
            .announce_every
            .is_some_and(|every| every < LEAST_PAUSE)
        {
            return Err(ConfigError::AnnouncesAllTheTime { queue: name() });
        }
        if queue.ring.is_zero() {
            return Err(ConfigError::NoRing { queue: name() });
        }
    }
    let codes = &config.feature_codes;
    let mut taken = BTreeSet::new();
    for code in [&codes.ready, &codes.not_ready, &codes.wrap_up_done]
        .into_iter()
        .flatten()
    {
        let user = users.binary_search(&code.as_str()).is_ok();
        if code.is_empty() || user || names.contains(code.as_str()) || !taken.insert(code) {
            return Err(ConfigError::FeatureCode { code: code.clone() });
        }
    }
    Ok(())
}

/// The shortest time from one announcement to the next.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
