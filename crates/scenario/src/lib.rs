//! Tests without a language: what a scenario does and asserts, on any world and any phone.
//!
//! A [`World`] gives time, waiting, tasks, phones and HTTP; a [`Phone`] is one SIP endpoint in it. Everything above
//! these two traits is the same in the real and in a simulated world: steps with their positions, assertions, waiting
//! on events, suites. A front end (the `script` crate) turns a language into calls on what is here.

pub mod http;
pub mod phone;
pub mod position;
pub mod world;

pub use phone::Phone;
pub use position::{Causes, Position};
pub use world::World;
