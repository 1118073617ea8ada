//! The INVITE usage of a dialog (RFC 3261 §13 to §15): calls.

mod call;
mod ending;
mod exchange;
mod incoming;
mod modify;
mod outgoing;
mod provisional;
mod queue;
mod refresh;

pub(crate) use call::{Call, Phase};
pub(crate) use incoming::Arrival;
pub(crate) use queue::Operation;
