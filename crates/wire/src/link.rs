//! What a network does to packets between two hosts: [`Link`] says how it behaves, [`Channel`] throws its dice.
//!
//! Both worlds use it: the simulated one for everything, the real one for what a script wants done to its packets.

use std::time::Duration;

pub use crate::channel::{Channel, Passage};

/// One direction between two hosts.
///
/// A packet first waits for its turn ([`Link::bandwidth`]), may then be lost, and arrives after latency and jitter.
/// By default a link is perfect, and 10 ms long.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The least time that a packet is on its way.
    pub latency: Duration,
    /// How much longer it may take: uniform from zero up to this, drawn for each packet.
    ///
    /// Jitter alone does not reorder: a packet that would overtake the one before it arrives right behind it. Over
    /// packets that are closer together than the jitter, delays are therefore longer than uniform.
    pub jitter: Duration,
    /// Which datagrams are lost.
    pub loss: Loss,
    /// The probability, for each datagram that is not lost, of arriving twice. The copy follows directly.
    pub duplication: f64,
    /// Which datagrams others overtake.
    pub reordering: Option<Reordering>,
    /// How much passes in a second; `None`: anything.
    pub bandwidth: Option<Bandwidth>,
}

impl Link {
    /// A perfect link of this length.
    pub const fn perfect(latency: Duration) -> Self {
        Link {
            latency,
            jitter: Duration::ZERO,
            loss: Loss::None,
            duplication: 0.0,
            reordering: None,
            bandwidth: None,
        }
    }
}

impl Default for Link {
    fn default() -> Self {
        Link::perfect(Duration::from_millis(10))
    }
}

/// How packets are lost. Probabilities are from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// None is.
    #[default]
    None,
    /// Each with this probability, whatever happened to the one before.
    Uniform(f64),
    /// In bursts.
    Bursts(GilbertElliott),
}

/// The model of Gilbert and Elliott: a link is in a good or in a bad state. With each packet it may change its state,
/// and then loses the packet with the probability of the state that it is in. It begins in the good one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GilbertElliott {
    /// The probability of going from good to bad.
    pub good_to_bad: f64,
    /// The probability of going from bad to good.
    pub bad_to_good: f64,
    /// The probability of losing a packet in the good state.
    pub loss_in_good: f64,
    /// The probability of losing a packet in the bad state.
    pub loss_in_bad: f64,
}

impl GilbertElliott {
    /// Bursts of `length` packets in the mean (at least 1), in which everything is lost, so that the share `loss` of
    /// all packets (below 1) is lost in the long run.
    pub fn bursts(loss: f64, length: f64) -> Self {
        let bad_to_good = 1.0 / length.max(1.0);
        GilbertElliott {
            good_to_bad: (bad_to_good * loss / (1.0 - loss)).clamp(0.0, 1.0),
            bad_to_good,
            loss_in_good: 0.0,
            loss_in_bad: 1.0,
        }
    }

    /// The share of packets that is lost in the long run.
    pub fn mean_loss(&self) -> f64 {
        let moves = self.good_to_bad + self.bad_to_good;
        let bad = if moves > 0.0 {
            self.good_to_bad / moves
        } else {
            0.0
        };
        bad * self.loss_in_bad + (1.0 - bad) * self.loss_in_good
    }
}

/// Packets that are held back, so that later ones overtake them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reordering {
    /// The probability for each datagram.
    pub probability: f64,
    /// How much longer it takes.
    pub delay: Duration,
}

/// A line that sends one packet after the other, and the queue before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// Of packets with their headers: [`Bandwidth::HEADERS`] octets more than their payload.
    pub bits_per_second: u64,
    /// How many octets may wait, the packet that is being sent included. A datagram that does not fit any more is
    /// lost; a piece of a stream waits all the same, as its sender would send it again.
    pub queue_octets: u64,
}

impl Bandwidth {
    /// Octets of an IPv4 and a UDP header.
    pub const HEADERS: u64 = 28;
}
