//! The one place that every packet passes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::{Cause, Time};

/// What carried the bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// A UDP datagram.
    Udp,
    /// Bytes of a TCP stream.
    Tcp,
    /// The clear text of bytes of a TLS stream.
    TlsClear,
    /// The clear text of an SRTP or SRTCP datagram.
    SrtpClear,
}

/// What became of a datagram on a link of ours ([`crate::link::Link`]); what else happens to it in a real network is not
/// known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Handed to the network.
    Sent,
    /// Came from somebody whose sending is not seen here.
    Received,
    /// Lost on its way.
    Lost,
    /// Delivered later than the latency of its link, for jitter, reordering or a queue.
    Delayed {
        /// How much later.
        by: Duration,
    },
    /// Delivered twice.
    Duplicated {
        /// How much later than the latency of its link, both times; zero: on time.
        by: Duration,
    },
}

/// One datagram, or a piece of a stream.
///
/// A datagram between two parties of one process appears once: on its sender's side, after the kernel (or the simulated
/// network) took it.
#[derive(Clone, Debug)]
pub struct TapRecord {
    /// When the kernel took it, or gave it.
    pub time: Time,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// What carried it.
    pub carrier: Carrier,
    /// Sent or received by us.
    pub fate: Fate,
    /// The payload, in the clear.
    pub bytes: Bytes,
    /// What caused it, as far as known.
    pub cause: Option<Cause>,
    /// The number of the party of this world that sent or received it.
    pub party: u32,
}

/// Somebody who wants to see every packet.
pub trait Tap: Send {
    /// Takes one record. It must not block for long: packets wait for it.
    fn record(&mut self, record: TapRecord);
}
