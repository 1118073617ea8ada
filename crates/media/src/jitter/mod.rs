//! Packets in the order in which they were sent.

mod playout;

pub use playout::{Heard, Playout, PlayoutCounts, Put};
