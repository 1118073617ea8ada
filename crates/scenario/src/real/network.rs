//! What scenarios want done to the packets of their agents, over real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callwright_net::{PiecePassage, Shaper};
use callwright_wire::link::{Channel, Link, Passage};
use callwright_wire::{Seed, Time, Transport};

use crate::embedded::{Addresses, PhoneId};
use crate::world::{NetworkError, Site};

/// How long the sender of a stream waits, beside the round trip, before it sends again what was lost; it doubles.
const RETRANSMISSION: Duration = Duration::from_millis(200);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

const PERFECT: Link = Link::perfect(Duration::ZERO);

/// One end of a link: an agent, or everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Agent(PhoneId),
    Outside,
}

/// From, to.
type Direction = (End, End);

/// The links of all agents. Those of agents of one scenario are theirs, whatever others want at the same time.
pub(super) struct Links {
    seed: Seed,
    addresses: Arc<Addresses>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Between an agent and everybody for whom nothing else was said.
    own: BTreeMap<PhoneId, Link>,
    /// Between two agents, the smaller number first.
    pairs: BTreeMap<(PhoneId, PhoneId), Link>,
    cuts: BTreeSet<(PhoneId, PhoneId)>,
    /// Links at work. One that became perfect again stays: what is still on its way is not overtaken.
    channels: BTreeMap<Direction, Channel>,
}

impl Links {
    pub(super) fn new(seed: Seed, addresses: Arc<Addresses>) -> Self {
        Links {
            seed,
            addresses,
            state: Mutex::default(),
        }
    }

    /// True when nothing is to be done to any packet.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.own.is_empty() && state.pairs.is_empty() && state.cuts.is_empty() && state.channels.is_empty()
    }

    pub(super) fn set(
        &self,
        agents: &[u32],
        between: Option<(&Site, &Site)>,
        link: Link,
    ) -> Result<(), NetworkError> {
        let between = between.map(|(a, b)| pair("network", a, b)).transpose()?;
        let mut state = self.lock();
        match between {
            Some(pair) => {
                state.pairs.insert(pair, link);
            }
            None => {
                let agents = numbers(agents);
                state.pairs.retain(|pair, _| !touches(&agents, *pair));
                for agent in agents {
                    if link == PERFECT {
                        state.own.remove(&agent);
                    } else {
                        state.own.insert(agent, link.clone());
                    }
                }
            }
        }
        state.tell_channels();
        Ok(())
    }

    pub(super) fn cut(&self, a: &Site, b: &Site) -> Result<(), NetworkError> {
        let pair = pair("partition", a, b)?;
        self.lock().cuts.insert(pair);
        Ok(())
    }

    pub(super) fn heal(&self, agents: &[u32]) {
        let agents = numbers(agents);
        self.lock().cuts.retain(|pair| !touches(&agents, *pair));
    }

    /// Forgets all that was said of these agents.
    pub(super) fn forget(&self, agents: &[u32]) {
        let agents = numbers(agents);
        let is_of = |end: &End| matches!(end, End::Agent(agent) if agents.contains(agent));
        let mut state = self.lock();
        state.own.retain(|agent, _| !agents.contains(agent));
        state.pairs.retain(|pair, _| !touches(&agents, *pair));
        state.cuts.retain(|pair| !touches(&agents, *pair));
        state.channels.retain(|(from, to), _| !is_of(from) && !is_of(to));
    }

    fn direction(&self, transport: Transport, source: SocketAddr, destination: SocketAddr) -> Direction {
        let end = |address| {
            self.addresses
                .agent(transport, address)
                .map_or(End::Outside, End::Agent)
        };
        (end(source), end(destination))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn link(&self, (from, to): Direction) -> Option<&Link> {
        match (from, to) {
            (End::Agent(a), End::Agent(b)) if a == b => None,
            (End::Agent(a), End::Agent(b)) => self
                .pairs
                .get(&ordered(a, b))
                .or_else(|| self.own.get(&a))
                .or_else(|| self.own.get(&b)),
            (End::Agent(agent), End::Outside) | (End::Outside, End::Agent(agent)) => self.own.get(&agent),
            (End::Outside, End::Outside) => None,
        }
    }

    fn is_cut(&self, (from, to): Direction) -> bool {
        match (from, to) {
            (End::Agent(a), End::Agent(b)) => self.cuts.contains(&ordered(a, b)),
            (End::Outside, _) | (_, End::Outside) => false,
        }
    }

    fn channel(&mut self, direction: Direction, links: &Links) -> Option<&mut Channel> {
        if !self.channels.contains_key(&direction) {
            let link = self.link(direction)?.clone();
            let name = |end| match end {
                End::Agent(agent) => links.addresses.name_of(agent.0),
                End::Outside => "outside".to_owned(),
            };
            let seed = format!("link from {:?} to {:?}", name(direction.0), name(direction.1));
            let channel = Channel::new(link, links.seed.derive(&seed));
            self.channels.insert(direction, channel);
        }
        self.channels.get_mut(&direction)
    }

    /// Channels that are at work learn what their link is now.
    fn tell_channels(&mut self) {
        let directions: Vec<Direction> = self.channels.keys().copied().collect();
        for direction in directions {
            let link = self.link(direction).unwrap_or(&PERFECT).clone();
            if let Some(channel) = self.channels.get_mut(&direction) {
                channel.set(link);
            }
        }
    }

    fn round_trip(&self, (from, to): Direction) -> Duration {
        let latency = |direction| self.link(direction).unwrap_or(&PERFECT).latency;
        latency((from, to)) + latency((to, from))
    }
}

/// The links as the network loop asks them.
pub(super) struct Asked(pub(super) Arc<Links>);

impl Shaper for Asked {
    fn datagram(
        &mut self,
        now: Time,
        source: SocketAddr,
        destination: SocketAddr,
        octets: usize,
    ) -> Option<Passage> {
        let direction = self.0.direction(Transport::Udp, source, destination);
        let mut state = self.0.lock();
        if state.is_cut(direction) {
            return Some(Passage::Lost);
        }
        let channel = state.channel(direction, &self.0)?;
        Some(channel.carry_datagram(now, octets))
    }

    fn piece(
        &mut self,
        now: Time,
        source: SocketAddr,
        destination: SocketAddr,
        octets: usize,
        attempts: u32,
    ) -> Option<PiecePassage> {
        let direction = self.0.direction(Transport::Tcp, source, destination);
        let mut state = self.0.lock();
        let arrives = if state.is_cut(direction) {
            None
        } else {
            state.channel(direction, &self.0)?.carry_piece(now, octets)
        };
        Some(match arrives {
            Some(at) => PiecePassage::Arrives(at),
            None => {
                let wait = RETRANSMISSION + state.round_trip(direction);
                let wait = wait.saturating_mul(1 << attempts.min(16)).min(LONGEST_WAIT);
                PiecePassage::Again(now + wait)
            }
        })
    }
}

fn numbers(agents: &[u32]) -> BTreeSet<PhoneId> {
    agents.iter().copied().map(PhoneId).collect()
}

fn ordered(a: PhoneId, b: PhoneId) -> (PhoneId, PhoneId) {
    (a.min(b), a.max(b))
}

fn touches(agents: &BTreeSet<PhoneId>, (a, b): (PhoneId, PhoneId)) -> bool {
    agents.contains(&a) || agents.contains(&b)
}

fn pair(what: &'static str, a: &Site, b: &Site) -> Result<(PhoneId, PhoneId), NetworkError> {
    let agent = |site: &Site| match site {
        Site::Agent(number) => Ok(PhoneId(*number)),
        Site::Server(_) => Err(NetworkError::OnlySimulated {
            what,
            why: "over real sockets, links are between agents of the scenario, or all of theirs",
        }),
    };
    Ok(ordered(agent(a)?, agent(b)?))
}
