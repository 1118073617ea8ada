//! The real world: the only sockets, the only clock, TLS and the resolver.
//!
//! A [`World`] hosts any number of nodes ([`callwright_wire::PacketNode`]) on one thread. They live behind one lock: the
//! loop takes it in short holds, and a script's thread takes it with [`World::with`] to use a node, whose outputs are
//! performed before the call returns. Events go to an [`EventSink`] under the same lock.
//!
//! ```text
//!   script threads ──with()──▶ ┌────────────── lock ──────────────┐
//!                              │ nodes ⇄ deadlines, dirty list     │ ──▶ EventSink
//!   callwright-net ──turns───▶ │ sockets ⇄ port pool, connections │ ──▶ Tap
//!   callwright-dns ──answers─▶ └──────────────────────────────────┘
//! ```
//!
//! - The loop sleeps until the next deadline (to the microsecond) or until the kernel has something; nothing polls.
//! - Work is per socket that is ready and per node that was touched: thousands of idle ones cost nothing. One node may
//!   own thousands of sockets.
//! - RTP ports come as pairs from a pool, stay bound between calls, and rest before they are leased again.
//! - Nothing a peer does grows memory: what it does not read is bounded ([`WorldConfig::unsent_limit`]), as are the
//!   connections it may open.
//! - Every packet passes the tap once ([`World::set_tap`]): on its sender's side when that is in this world, else on
//!   receipt; TLS and SRTP in the clear.
//! - What a script wants done to packets is done to each once, where the tap would see it ([`World::set_shaper`]): some
//!   are lost, others wait for their time among the deadlines of the loop.
//! - How well all this keeps up is part of every verdict: [`World::health`].
//!
//! Linux only: ICMP errors, drop counters and precise timers are asked of its kernel.

mod buffered_tap;
mod clock;
mod connection;
mod datagram;
mod engine;
mod health;
mod holder;
mod limits;
mod ports;
mod resolver;
mod route;
mod shaper;
mod sockets;
mod tapping;
mod tls;
mod world;

pub use buffered_tap::{BufferedTap, TapDrain};
pub use health::{Health, Lateness};
pub use shaper::{PiecePassage, Shaper};
pub use tls::{Identity, IdentityError, Trust, system_roots};
pub use world::{EventSink, PartyId, StartError, Warning, World, WorldConfig};
