//! The server around `acd`: settings from a file, a store, and the command that runs it on real sockets.
//!
//! [`Server`] is a node without IO, which the real world hosts as well as the simulated one.

mod server;
mod store;

pub use callwright_acd::{
    Auth, Binding, CallKey, Config, ConfigError, Counters, EndCause, Fact, Limits, Load,
};
pub use server::{Command, Event, Server};
pub use store::ModelStore;
