//! The call center as one deterministic machine without IO: registrar, B2BUA, queues and agents.
//!
//! A [`Machine`] is a [`Node`](callwright_wire::Node): a world gives it bytes and the time, and whoever is above it stores
//! the [`Fact`]s that it tells. Nothing that depends on a fact leaves before the fact is stored.
//!
//! RTP never enters its decisions: it commands the media plane, which relays by itself.

mod agent;
mod b2bua;
mod challenger;
mod closing;
mod config;
mod denial;
mod dispatch;
mod fact;
mod guard;
mod journal;
mod limits;
mod machine;
mod media_host;
mod queueing;
mod record;
mod register;
mod registrar;
mod snapshot;
mod staff;
mod statistics;

pub use callwright_media::plane::Piece;

pub use agent::{AgentRequest, AgentState, NotReadyReason};
pub use config::{
    AgentConfig, AnswerWith, Auth, Config, ConfigError, FeatureCodes, Overflow, Prompts, QueueConfig, Sound,
    Strategy, User,
};
pub use fact::{
    Ban, BannedBecause, Binding, CallKey, Command, EndCause, Event, Fact, Parties, PresentationOutcome,
    RefusedBecause, Token,
};
pub use guard::{Protection, Rate, SourceSnapshot};
pub use limits::{Counters, Limits};
pub use machine::{Load, Machine};
pub use record::{
    Answer, CallRecord, Ended, Presentation, Recording, Records, Touched, Transfer, Visit, WrapUp,
};
pub use snapshot::{AgentSnapshot, CallSnapshot, CallState, QueueSnapshot};
pub use statistics::{Refused, Statistics, Thresholds};
