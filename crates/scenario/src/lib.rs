//! Tests without a language: what a scenario does and asserts, on any world and any phone.
//!
//! A [`World`] gives time, waiting, tasks, phones and HTTP; a [`Phone`] is one SIP endpoint in it. Everything above
//! these two traits is the same in the real and in a simulated world: steps with their positions, assertions, waiting
//! on events, suites. A front end (the `script` crate) turns a language into calls on [`Scene`] and [`Agent`], and is
//! run as a [`suite::Program`].

pub mod agent;
mod assertion;
pub mod context;
mod embedded;
pub mod environment;
mod evidence;
mod fault;
pub mod http;
pub mod label;
mod member;
pub mod mock;
pub mod nearest;
pub mod network;
pub mod phone;
pub mod position;
pub mod real;
mod run;
mod scene;
pub mod simulated;
pub mod sound;
pub mod span;
pub mod suite;
mod value;
mod waiting;
pub mod world;

#[cfg(any(test, feature = "fake"))]
pub mod fake;

pub use agent::Agent;
pub use assertion::{Assertion, Matcher};
pub use fault::{Fault, FaultCause};
pub use member::{Member, MemberEvent};
pub use phone::Phone;
pub use position::{Causes, Position};
pub use run::{Interrupt, Run, Settings, Sink};
pub use scene::Scene;
pub use value::Value;
pub use waiting::Tried;
pub use world::World;
