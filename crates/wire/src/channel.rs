//! A link at work: its dice, its queue and what it remembers of the packets before.

use std::time::Duration;

use crate::link::{Bandwidth, Link, Loss};
use crate::{Entropy, Fate, Seed, Time};

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It does not arrive.
    Lost,
    /// It arrives.
    Arrives {
        /// When.
        at: Time,
        /// How much later than it would alone on the line, without jitter and reordering.
        late: Duration,
        /// True when a copy follows directly.
        twice: bool,
    },
}

impl Passage {
    /// What the tap says of it.
    pub const fn fate(self) -> Fate {
        match self {
            Passage::Lost => Fate::Lost,
            Passage::Arrives {
                late, twice: true, ..
            } => Fate::Duplicated { by: late },
            Passage::Arrives { late, .. } if late.is_zero() => Fate::Sent,
            Passage::Arrives { late, .. } => Fate::Delayed { by: late },
        }
    }
}

/// What dice are thrown for. Each has a stream of its own: more jitter does not choose other losses, and a stream of
/// bytes beside the datagrams moves none of theirs.
#[derive(Clone, Copy)]
enum Throw {
    DatagramLoss,
    DatagramJitter,
    Duplication,
    Reordering,
    StreamLoss,
    StreamJitter,
}

impl Throw {
    const COUNT: usize = 6;

    const fn name(self) -> &'static str {
        match self {
            Throw::DatagramLoss => "datagram loss",
            Throw::DatagramJitter => "datagram jitter",
            Throw::Duplication => "duplication",
            Throw::Reordering => "reordering",
            Throw::StreamLoss => "stream loss",
            Throw::StreamJitter => "stream jitter",
        }
    }
}

/// The streams of randomness of one link, each begun when it is first needed.
#[derive(Debug)]
struct Dice {
    seed: Seed,
    streams: [Option<Box<Entropy>>; Throw::COUNT],
}

impl Dice {
    fn of(&mut self, throw: Throw) -> &mut Entropy {
        let seed = &self.seed;
        self.streams[throw as usize].get_or_insert_with(|| Box::new(seed.derive(throw.name()).stream()))
    }

    fn chance(&mut self, throw: Throw, probability: f64) -> bool {
        probability > 0.0 && self.of(throw).fraction() < probability
    }

    fn jitter(&mut self, throw: Throw, most: Duration) -> Duration {
        if most.is_zero() {
            return Duration::ZERO;
        }
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.of(throw).below(nanos))
    }
}

/// A [`Link`] at work, in the hands of whoever carries packets: it says when each of them arrives.
///
/// The same seed and the same packets at the same times have the same fates.
#[derive(Debug)]
pub struct Channel {
    link: Link,
    dice: Dice,
    /// The bad state of [`super::GilbertElliott`], for datagrams and for streams.
    bad: bool,
    stream_bad: bool,
    /// When the line is free again.
    free_at: Time,
    /// When the last datagram that keeps its place arrives.
    last_arrival: Time,
}

impl Channel {
    /// A link on which nothing was sent yet.
    pub fn new(link: Link, seed: Seed) -> Self {
        Channel {
            link,
            dice: Dice {
                seed,
                streams: Default::default(),
            },
            bad: false,
            stream_bad: false,
            free_at: Time::ZERO,
            last_arrival: Time::ZERO,
        }
    }

    /// From now on it behaves so; its dice are thrown on.
    pub fn set(&mut self, link: Link) {
        self.link = link;
    }

    /// A datagram of `octets` of payload sets out.
    pub fn carry_datagram(&mut self, now: Time, octets: usize) -> Passage {
        if self.is_full(now, octets) {
            return Passage::Lost;
        }
        let departure = self.depart(now, octets);
        let plain = now + self.time_on_line(octets) + self.link.latency;
        if is_lost(
            &self.link.loss,
            &mut self.bad,
            &mut self.dice,
            Throw::DatagramLoss,
        ) {
            return Passage::Lost;
        }
        let jitter = self.dice.jitter(Throw::DatagramJitter, self.link.jitter);
        let mut arrival = departure + self.link.latency + jitter;
        let held_back = self
            .link
            .reordering
            .filter(|reordering| self.dice.chance(Throw::Reordering, reordering.probability));
        match held_back {
            Some(reordering) => arrival += reordering.delay,
            None => {
                arrival = arrival.max(self.last_arrival);
                self.last_arrival = arrival;
            }
        }
        Passage::Arrives {
            at: arrival,
            late: arrival.since(plain),
            twice: self.dice.chance(Throw::Duplication, self.link.duplication),
        }
    }

    /// A piece of a stream sets out; `None` when it is lost and must be sent again.
    pub fn carry_piece(&mut self, now: Time, octets: usize) -> Option<Time> {
        let departure = self.depart(now, octets);
        if is_lost(
            &self.link.loss,
            &mut self.stream_bad,
            &mut self.dice,
            Throw::StreamLoss,
        ) {
            return None;
        }
        let jitter = self.dice.jitter(Throw::StreamJitter, self.link.jitter);
        Some(departure + self.link.latency + jitter)
    }

    fn is_full(&self, now: Time, octets: usize) -> bool {
        self.link.bandwidth.is_some_and(|bandwidth| {
            let waiting = octets_in(bandwidth, self.free_at.since(now));
            waiting + octets as u64 + Bandwidth::HEADERS > bandwidth.queue_octets
        })
    }

    /// When the last bit of a packet is on the line.
    fn depart(&mut self, now: Time, octets: usize) -> Time {
        if self.link.bandwidth.is_none() {
            return now;
        }
        self.free_at = self.free_at.max(now) + self.time_on_line(octets);
        self.free_at
    }

    /// How long the line takes to send a packet.
    fn time_on_line(&self, octets: usize) -> Duration {
        self.link.bandwidth.map_or(Duration::ZERO, |bandwidth| {
            time_of(bandwidth, octets as u64 + Bandwidth::HEADERS)
        })
    }
}

fn is_lost(loss: &Loss, bad: &mut bool, dice: &mut Dice, throw: Throw) -> bool {
    match loss {
        Loss::None => false,
        Loss::Uniform(probability) => dice.chance(throw, *probability),
        Loss::Bursts(model) => {
            let change = if *bad {
                model.bad_to_good
            } else {
                model.good_to_bad
            };
            *bad ^= dice.chance(throw, change);
            let probability = if *bad {
                model.loss_in_bad
            } else {
                model.loss_in_good
            };
            dice.chance(throw, probability)
        }
    }
}

fn time_of(bandwidth: Bandwidth, octets: u64) -> Duration {
    let nanos = u128::from(octets) * 8_000_000_000 / u128::from(bandwidth.bits_per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn octets_in(bandwidth: Bandwidth, span: Duration) -> u64 {
    let octets = span.as_nanos() * u128::from(bandwidth.bits_per_second) / 8_000_000_000;
    u64::try_from(octets).unwrap_or(u64::MAX / 2)
}
