//! The server around `acd`: settings from a file, a store, and the command that runs it on real sockets.
//!
//! [`Server`] is a node without IO, which the real world hosts as well as the simulated one.

mod recordings;
mod serve;
mod server;
mod settings;
mod store;

pub use callwright_acd::{
    AgentConfig, AgentRequest, AgentSnapshot, AgentState, AnswerWith, Auth, Binding, CallKey, CallSnapshot,
    CallState, Config, ConfigError, Counters, EndCause, Fact, FeatureCodes, Limits, Load, NotReadyReason,
    Overflow, PresentationOutcome, Prompts, QueueConfig, QueueSnapshot, RefusedBecause, Sound, Strategy,
};
pub use serve::{ServeError, Stop, serve};
pub use server::{Command, Event, Server};
pub use settings::{Http, OpenApi, Service, Settings, SettingsError, TlsFiles};
pub use store::ModelStore;
