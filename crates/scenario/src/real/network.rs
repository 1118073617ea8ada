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

/// One end of a link: an agent, a server of this process by its number, or everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Agent(PhoneId),
    Server(usize),
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
    /// Between two ends, in order.
    pairs: BTreeMap<(End, End), Link>,
    cuts: BTreeSet<(End, End)>,
    /// Names, and which of them is where.
    servers: Vec<String>,
    server_addresses: BTreeMap<(bool, SocketAddr), usize>,
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
        let mut state = self.lock();
        let between = between.map(|(a, b)| state.pair(a, b)).transpose()?;
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
        let mut state = self.lock();
        let pair = state.pair(a, b)?;
        state.cuts.insert(pair);
        Ok(())
    }

    /// A server of this process has this address.
    pub(super) fn insert_server(&self, name: &str, transport: Transport, address: SocketAddr) {
        let mut state = self.lock();
        let known = state.servers.iter().position(|server| server == name);
        let number = known.unwrap_or_else(|| {
            state.servers.push(name.to_owned());
            state.servers.len() - 1
        });
        state
            .server_addresses
            .insert((transport == Transport::Udp, address), number);
    }

    pub(super) fn heal(&self, agents: &[u32]) {
        let agents = numbers(agents);
        self.lock()
            .cuts
            .retain(|pair| !touches(&agents, *pair) && !is_of_servers(*pair));
    }

    /// Forgets all that was said of these agents.
    pub(super) fn forget(&self, agents: &[u32]) {
        let agents = numbers(agents);
        let mut state = self.lock();
        state.own.retain(|agent, _| !agents.contains(agent));
        let stays = |pair: &(End, End)| !touches(&agents, *pair) && !is_of_servers(*pair);
        state.pairs.retain(|pair, _| stays(pair));
        state.cuts.retain(stays);
        state.channels.retain(|direction, _| stays(direction));
    }

    /// What a datagram's or a stream's way is, and the links with it.
    fn on_the_way(
        &self,
        transport: Transport,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> (Direction, MutexGuard<'_, State>) {
        let agent = |address| self.addresses.agent(transport, address).map(End::Agent);
        let agents = (agent(source), agent(destination));
        let state = self.lock();
        let end = |agent: Option<End>, address| {
            let server = || {
                state
                    .server_addresses
                    .get(&(transport == Transport::Udp, address))
            };
            agent
                .or_else(|| server().copied().map(End::Server))
                .unwrap_or(End::Outside)
        };
        let direction = (end(agents.0, source), end(agents.1, destination));
        (direction, state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn link(&self, (from, to): Direction) -> Option<&Link> {
        if from == to {
            return None;
        }
        let own = |end| match end {
            End::Agent(agent) => self.own.get(&agent),
            End::Server(_) | End::Outside => None,
        };
        self.pairs
            .get(&ordered(from, to))
            .or_else(|| own(from))
            .or_else(|| own(to))
    }

    fn is_cut(&self, (from, to): Direction) -> bool {
        self.cuts.contains(&ordered(from, to))
    }

    fn pair(&self, a: &Site, b: &Site) -> Result<(End, End), NetworkError> {
        Ok(ordered(self.end(a)?, self.end(b)?))
    }

    fn end(&self, site: &Site) -> Result<End, NetworkError> {
        let name = match site {
            Site::Agent(number) => return Ok(End::Agent(PhoneId(*number))),
            Site::Server(name) => name,
        };
        let known = self.servers.iter().position(|server| server == name);
        known.map(End::Server).ok_or_else(|| {
            let names: Vec<String> = self.servers.iter().map(|name| format!("{name:?}")).collect();
            NetworkError::NoServer {
                name: name.clone(),
                known: match names.as_slice() {
                    [] => "; over real sockets links are between agents, or all of theirs".to_owned(),
                    names => format!("; there is {}", names.join(", ")),
                },
            }
        })
    }

    fn channel(&mut self, direction: Direction, links: &Links) -> Option<&mut Channel> {
        if !self.channels.contains_key(&direction) {
            let link = self.link(direction)?.clone();
            let name = |end| match end {
                End::Agent(agent) => links.addresses.name_of(agent.0),
                End::Server(number) => self.servers[number].clone(),
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
        let (direction, mut state) = self.0.on_the_way(Transport::Udp, source, destination);
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
        let (direction, mut state) = self.0.on_the_way(Transport::Tcp, source, destination);
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

fn ordered(a: End, b: End) -> (End, End) {
    (a.min(b), a.max(b))
}

fn touches(agents: &BTreeSet<PhoneId>, (a, b): (End, End)) -> bool {
    let is_of = |end| matches!(end, End::Agent(agent) if agents.contains(&agent));
    is_of(a) || is_of(b)
}

fn is_of_servers(pair: (End, End)) -> bool {
    matches!(pair, (End::Server(_), End::Server(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Agents 1, 2 and 3 at the ports of these numbers, a server at 9.
    fn links() -> Arc<Links> {
        let addresses = Arc::new(Addresses::default());
        for number in 1..=3 {
            addresses.insert(Transport::Udp, address(number), PhoneId(number.into()));
        }
        let links = Links::new(Seed::from_number(1), addresses);
        links.insert_server("callcenter", Transport::Udp, address(9));
        Arc::new(links)
    }

    /// How long a datagram is on its way; `None`: as ever.
    fn latency(links: &Arc<Links>, from: u16, to: u16) -> Option<Duration> {
        match Asked(links.clone()).datagram(NOW, address(from), address(to), 100)? {
            Passage::Arrives { at, .. } => Some(at.since(NOW)),
            Passage::Lost => Some(Duration::MAX),
        }
    }

    fn slow(millis: u64) -> Link {
        Link::perfect(Duration::from_millis(millis))
    }

    #[test]
    fn what_one_scenario_says_of_its_agents_leaves_those_of_others_alone() {
        let links = links();
        links.set(&[1], None, slow(20)).unwrap();
        links.set(&[3], None, slow(70)).unwrap();
        assert_eq!(latency(&links, 1, 77), Some(Duration::from_millis(20)));
        assert_eq!(latency(&links, 77, 1), Some(Duration::from_millis(20)));
        assert_eq!(latency(&links, 1, 9), Some(Duration::from_millis(20)));
        assert_eq!(latency(&links, 2, 77), None);
        links.forget(&[1]);
        assert_eq!(latency(&links, 1, 77), None);
        assert_eq!(latency(&links, 3, 77), Some(Duration::from_millis(70)));
        links.forget(&[3]);
        assert!(links.is_idle());
    }

    #[test]
    fn a_pair_has_its_own_link_until_something_is_said_of_all() {
        let links = links();
        links.set(&[1, 2], None, slow(20)).unwrap();
        let between = (&Site::Agent(2), &Site::Agent(1));
        links.set(&[1, 2], Some(between), slow(300)).unwrap();
        assert_eq!(latency(&links, 1, 2), Some(Duration::from_millis(300)));
        assert_eq!(latency(&links, 1, 3), Some(Duration::from_millis(20)));
        links.set(&[1, 2], None, PERFECT).unwrap();
        // The datagram before it is not overtaken.
        assert_eq!(latency(&links, 1, 2), Some(Duration::from_millis(300)));
        assert_eq!(latency(&links, 2, 3), None);
    }

    #[test]
    fn a_cut_is_between_its_two_ends_and_ends_with_heal() {
        let links = links();
        let server = Site::Server("callcenter".into());
        links.cut(&Site::Agent(1), &server).unwrap();
        links.cut(&Site::Agent(2), &Site::Agent(3)).unwrap();
        assert_eq!(latency(&links, 9, 1), Some(Duration::MAX));
        assert_eq!(latency(&links, 1, 2), None);
        links.heal(&[1]);
        assert_eq!(latency(&links, 1, 9), None);
        assert_eq!(latency(&links, 3, 2), Some(Duration::MAX));
        links.heal(&[2]);
        assert!(links.is_idle());
    }

    #[test]
    fn a_server_that_is_not_there_is_named_with_those_that_are() {
        let error = links().cut(&Site::Agent(1), &Site::Server("pbx".into()));
        assert_eq!(
            error.unwrap_err().to_string(),
            "there is no server \"pbx\" in this run; there is \"callcenter\""
        );
    }

    #[test]
    fn a_piece_of_a_stream_that_is_cut_off_is_sent_again_ever_later() {
        let links = links();
        let transport = Transport::Tcp;
        for number in 1..=2 {
            links
                .addresses
                .insert(transport, address(number), PhoneId(number.into()));
        }
        links.cut(&Site::Agent(1), &Site::Agent(2)).unwrap();
        let again = |attempts| match Asked(links.clone()).piece(NOW, address(1), address(2), 100, attempts) {
            Some(PiecePassage::Again(at)) => at.since(NOW),
            other => panic!("{other:?}"),
        };
        assert_eq!(again(0), RETRANSMISSION);
        assert_eq!(again(1), RETRANSMISSION * 2);
        assert_eq!(again(20), LONGEST_WAIT);
    }
}
