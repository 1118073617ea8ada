//! The end-to-end run of the call center, and the phone of one agent.
//!
//! [`Phones`] is what both are made of: any number of phones that act by themselves, as one node without IO. [`agent`] puts one of
//! them on real sockets.

mod account;
mod agent;
mod diary;
mod phone_world;
mod phones;

pub use account::{Place, PlaceError};
pub use agent::{Agent, AgentError, Stop, agent};
pub use phones::{CallEnd, Duty, Happening, HungUp, Phone, PhoneEvent, PhoneId, Phones};
