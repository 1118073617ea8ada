//! What can be chosen about a world, and what ends it.

use std::ops::RangeInclusive;
use std::time::Duration;

use callwright_wire::{Seed, Time};

/// What can be chosen about a world. The times are those of the real one.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// The seed of every link.
    pub seed: Seed,
    /// The ports for RTP and RTCP of every host.
    pub media_ports: RangeInclusive<u16>,
    /// How long a pair of media ports rests before its next lease.
    pub media_port_rest: Duration,
    /// How long a TCP connection may take to come up.
    pub connect_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a connection lives while nothing of it passes the network.
    pub stream_timeout: Duration,
    /// True when all hosts share the loopback addresses (127.0.0.0/8 and ::1), as the processes of one machine do; false:
    /// each host has its own.
    ///
    /// A port at such an address, or at a wildcard, then belongs to one host of the whole world, and ephemeral ports and
    /// media ports there are given out once. What is sent to it takes the link between the two hosts. Where nobody
    /// listens, datagrams and connections are refused after the latency of the default link there and back.
    pub shared_loopback: bool,
    /// How much there may be of everything.
    pub limits: Limits,
}

impl WorldConfig {
    /// The usual, with this seed.
    pub fn new(seed: Seed) -> Self {
        WorldConfig {
            seed,
            media_ports: 16_384..=32_767,
            media_port_rest: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            stream_timeout: Duration::from_secs(60),
            shared_loopback: false,
            limits: Limits::default(),
        }
    }
}

/// How much there may be of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Inputs, timeouts and outputs of all nodes while the clock stands still. Above it [`crate::World::step`] fails.
    pub events_per_instant: usize,
    /// Datagrams, pieces of streams and answers on their way. Above it [`crate::World::step`] fails.
    pub in_flight: usize,
    /// Connections, those that are coming up included. One more is not opened.
    pub connections: usize,
    /// Octets that wait on one connection to be sent. With more it is cut.
    pub unsent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            events_per_instant: 1_000_000,
            in_flight: 1_000_000,
            connections: 16_384,
            unsent: 1 << 20,
        }
    }
}

/// A world that cannot go on: every later step fails likewise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// The clock does not get on: most likely a node is due again as soon as it was called.
    #[error(
        "the clock stands still at {at}: more than {limit} things happened there, the last to {party}{}; a node must let \
         time pass before it is due again, and must come to an end of its outputs",
        timer.map(|timer| format!(", whose timer is {timer:?}")).unwrap_or_default()
    )]
    EventsPerInstant {
        /// The instant.
        at: Time,
        /// The name of the party that was busy last.
        party: String,
        /// The timer that its node was woken for, if it was.
        timer: Option<&'static str>,
        /// [`Limits::events_per_instant`].
        limit: usize,
    },
    /// More is sent than arrives.
    #[error(
        "more than {limit} packets are on their way at {at}; shorten the links, or raise `Limits::in_flight`"
    )]
    InFlight {
        /// When.
        at: Time,
        /// [`Limits::in_flight`].
        limit: usize,
    },
}
