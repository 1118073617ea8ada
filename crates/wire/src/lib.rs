//! The seam between engines and worlds.
//!
//! Every protocol engine of this project is a plain value: bytes, commands and the time go in; bytes, events and the
//! next deadline come out. Around the engines stand worlds: the real one, with sockets and a clock, and a simulated one.
//! This crate holds what both sides must agree on, and nothing else.
//!
//! # The contract
//!
//! An engine implements [`Node`]. Its driver (a world) keeps to this loop:
//!
//! ```text
//! loop {
//!     // 1. one mutation: an input, or a timeout that is due
//!     node.handle_input(now, input);           // or node.handle_timeout(now)
//!     // 2. drain, after each mutation
//!     while let Some(output) = node.poll_output() { perform(output) }
//!     // 3. ask again when it wants to be woken
//!     let deadline = node.poll_timeout();
//! }
//! ```
//!
//! - `now` never goes backwards; it is the only clock an engine knows.
//! - `handle_timeout` before the deadline does nothing.
//! - Nothing that comes from the network makes an engine panic.
//! - An engine holds no reference to its driver: there are no callbacks, handles are integers.

mod channel;
mod entropy;
mod flow;
pub mod link;
mod node;
mod number_map;
mod number_table;
mod tap;
mod time;
mod timer;

pub use entropy::{Entropy, Seed};
pub use flow::{Flow, Transport};
pub use node::{
    BindError, BindErrorKind, Cause, ConnectionError, ConnectionId, DnsAnswer, DnsError, DnsQuery, DnsRecord,
    Input, Node, Output, PacketNode, QueryId, Residue, SocketId, SocketUse, TlsClient,
};
pub use number_map::{NumberHasher, NumberMap};
pub use number_table::NumberTable;
pub use tap::{Carrier, Fate, Tap, TapRecord};
pub use time::{Epoch, Time};
pub use timer::{Timer, TimerQueue};
