//! The server around `acd`: settings from a file, a store, and the command that runs it on real sockets.
//!
//! [`Server`] is a node without IO, which the real world hosts as well as the simulated one.

mod api;
mod recordings;
mod serve;
mod server;
mod settings;
mod store;

pub use api::ApiError;
pub use callwright_acd::{
    AgentConfig, AgentRequest, AgentSnapshot, AgentState, Answer, AnswerWith, Auth, Binding, CallKey,
    CallRecord, CallSnapshot, CallState, Config, ConfigError, Counters, EndCause, Ended, Fact, FeatureCodes,
    Limits, Load, NotReadyReason, Overflow, Parties, Presentation, PresentationOutcome, Prompts, Protection,
    QueueConfig, QueueSnapshot, Rate, Recording, Records, Refused, RefusedBecause, Sound, SourceSnapshot,
    Statistics, Strategy, Thresholds, Token, Transfer, User, Visit, WrapUp,
};
pub use serve::{ServeError, Stop, serve};
pub use server::{Command, Event, Server, ServerError};
pub use settings::{DatabaseName, Http, LeftOut, OpenApi, Service, Settings, SettingsError, TlsFiles};
pub use store::{
    Health, Kept, ModelStore, Outcome, Reader, RecordQuery, RecordRow, Restored, SqliteStore, Store,
    StoreError, StoredQueue, StoredUser, Users,
};
