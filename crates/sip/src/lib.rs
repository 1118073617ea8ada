//! SIP transactions, dialogs, calls, registrations, subscriptions and digest, without IO.
//!
//! An [`Endpoint`] is what user agents are made of: it keeps the contract of [`callwright_wire::Node`], is asked by methods
//! (see [`command`]) and tells by [`Event`]s. Below it lies [`core`]: transports and transactions. Session descriptions are
//! opaque here; the endpoint knows when an offer is legal, not what it says.

mod arena;
mod body;
pub mod command;
pub mod core;
mod dialog;
pub mod digest;
pub mod endpoint;
pub mod event;
mod head;
mod invite;
mod phrase;
mod reason;
mod refer;
mod registration;
mod replaces;
pub mod resolve;
mod session_timer;
mod subscription;
pub mod timer;
pub mod transaction;
mod transport;

pub use endpoint::{Endpoint, EndpointConfig, Misuse};
pub use event::Event;
pub use phrase::reason_phrase;
