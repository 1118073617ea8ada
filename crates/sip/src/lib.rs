//! SIP transactions, dialogs, calls, registrations, subscriptions and digest, without IO.

pub mod command;
pub mod endpoint;
pub mod event;

pub use endpoint::{Endpoint, EndpointConfig, Misuse};
pub use event::Event;
