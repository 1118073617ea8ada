//! SIP transactions, dialogs, calls, registrations, subscriptions and digest, without IO.

mod arena;
pub mod command;
pub mod core;
pub mod digest;
pub mod endpoint;
pub mod event;
pub mod resolve;
pub mod timer;
pub mod transaction;
mod transport;

pub use endpoint::{Endpoint, EndpointConfig, Misuse};
pub use event::Event;
