//! The simulated world: a clock that jumps from event to event, and a network that delays, loses, duplicates and reorders
//! as its seed says.
//!
//! A [`World`] hosts nodes ([`callwright_wire::PacketNode`]) on hosts, and drives them as the real world does: the same
//! engine, unchanged, runs in either. Like an engine it is a value: it has no thread and no clock of its own, and moves when
//! its owner lets it.
//!
//! ```text
//! loop {
//!     world.with(party, |node, now| …);            // use a node; what comes out of it is done
//!     world.step(until)?;                          // one event, and the clock is there
//!     while let Some((party, at, event)) = world.poll_event() { … }
//! }
//! ```
//!
//! Events happen in order of time, then of being caused. The same seed and the same calls give the same packets at the same
//! nanosecond.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use callwright_sim::{Link, Loss, World, WorldConfig};
//! use callwright_sip_message::Host;
//! use callwright_ua::{Account, Fleet, FleetConfig, Phase, TraceLimits};
//! use callwright_wire::{Epoch, Seed, Time};
//!
//! let seed = Seed::from_number(1);
//! let mut world = World::new(WorldConfig::new(seed.clone()));
//! world.set_default_link(Link { loss: Loss::Uniform(0.05), ..Link::perfect(Duration::from_millis(20)) });
//!
//! let mut phone = |name: &str, ip: [u8; 4]| {
//!     let host = world.add_host(name, ip).unwrap();
//!     let config = FleetConfig {
//!         epoch: Epoch::SIMULATED,
//!         seed: seed.derive(name),
//!         key_seed: seed.derive("keys").derive(name),
//!         trace: TraceLimits::default(),
//!     };
//!     let mut fleet = Fleet::new(Time::ZERO, config);
//!     let id = fleet.start(Time::ZERO, name, Account::new(name, Host::V4(ip.into())));
//!     (world.add(host, name, fleet), id)
//! };
//! let (alice, a) = phone("alice", [192, 0, 2, 1]);
//! let (bob, b) = phone("bob", [192, 0, 2, 2]);
//!
//! let target = world.node(bob).unwrap().user_agent(b).unwrap().contact().unwrap().to_string();
//! world.with(alice, |fleet, now| fleet.dial(now, a, &target, &[], None)).unwrap().unwrap();
//! let phase = |world: &World<Fleet>| world.node(bob)?.user_agent(b)?.calls().last().map(|call| call.phase());
//! while phase(&world) != Some(Phase::Ringing) {
//!     assert!(world.step(Time::from_secs(10))?, "it never rang");
//! }
//! # Ok::<(), callwright_sim::LimitExceeded>(())
//! ```
//!
//! # What the network does
//!
//! - A [`Link`] is one direction between two hosts, whatever NAT lies between. Each has streams of randomness of its own,
//!   derived from the names of its hosts, and within it one for each thing that can happen: a change of one link moves
//!   nothing on another, and more jitter chooses no other losses. Within one host nothing is lost, and takes 10 µs.
//! - A datagram to a port where nobody listens is answered by ICMP ([`callwright_wire::Input::Unreachable`]), which takes its
//!   way back. An address that nobody has, and a host that is down, answer nothing.
//! - A connection is an ordered stream. It takes one round trip to open, and one more for TLS, of which only the verdict on
//!   the [`Certificate`] exists. What is lost of it is sent again, after 200 ms and a round trip at first, and so shows as
//!   delay. Where nothing passes for [`WorldConfig::stream_timeout`], be it for loss, a partition or a host that is
//!   down, both sides hear that it is closed: [`callwright_wire::ConnectionError::TimedOut`].
//! - With [`WorldConfig::shared_loopback`] all hosts share the loopback addresses, as the processes of one machine do, and
//!   still have a link between each two of them.
//! - A [`Nat`] translates where a datagram leaves the private network, and filters where it would enter. Connections are
//!   opened from inside only.
//! - A pair of media ports comes from a pool of its host and rests before it is leased again.
//!
//! # What the tap sees
//!
//! Every datagram, and what a node sends on a stream, once, on its sender's side: addresses are those before translation, the
//! time is virtual, streams are in the clear. The [`callwright_wire::Fate`] is what the link did with a datagram. It is
//! lost, too, when nobody has the address; that a NAT filters it, or that its receiver is down when it arrives, lies in
//! the future then, and it counts as sent. ICMP, acknowledgements and what a stream sends again are not shown.

mod agenda;
mod arena;
mod certificate;
mod config;
mod connection;
mod host;
mod links;
mod nat;
mod network;
mod pace;
mod world;
mod zone;

pub use callwright_wire::link::{Bandwidth, GilbertElliott, Link, Loss, Reordering};
pub use certificate::Certificate;
pub use config::{LimitExceeded, Limits, WorldConfig};
pub use host::{HostError, HostId};
pub use nat::{Nat, NatBehavior, NatId};
pub use world::{CrashKind, PartyId, World};
pub use zone::Zone;
