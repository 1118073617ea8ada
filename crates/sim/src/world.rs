//! A world: its nodes, its clock, and what its owner can do to it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use callwright_wire::link::Link;
use callwright_wire::{Epoch, PacketNode, Residue, Tap, Time};

use crate::agenda::Next;
use crate::config::{LimitExceeded, WorldConfig};
use crate::host::{HostError, HostId};
use crate::nat::Nat;
use crate::network::{Arrival, Leaving, Network, Seat};
use crate::pace::Pace;
use crate::zone::Zone;
use crate::{Certificate, NatId};

/// Room for one outgoing media packet.
const PACKET: usize = 65_536;

/// A node's place in a world, numbered in the order of being added; numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(pub u32);

/// How a party crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashKind {
    /// Its process dies. The kernel of its host answers for it: datagrams are refused, connections are reset.
    Process,
    /// Its host stops, and with it every party there. Whoever sends to it hears nothing, until a party is restarted.
    Host,
}

/// A simulated world, hosting nodes of one kind. See the crate documentation for how it is driven.
pub struct World<N: PacketNode> {
    nodes: Vec<Option<N>>,
    network: Network,
    events: VecDeque<(PartyId, Time, N::Event)>,
    pace: Pace,
    packet: Box<[u8]>,
}

impl<N: PacketNode> World<N> {
    /// A world without hosts, at [`Time::ZERO`].
    pub fn new(config: WorldConfig) -> Self {
        World {
            nodes: Vec::new(),
            events: VecDeque::new(),
            pace: Pace::new(&config.limits),
            network: Network::new(config),
            packet: vec![0; PACKET].into_boxed_slice(),
        }
    }

    /// Adds a host to the public network.
    ///
    /// # Errors
    ///
    /// When the name or the address is taken, or is none of a network.
    pub fn add_host(&mut self, name: &str, ip: impl Into<IpAddr>) -> Result<HostId, HostError> {
        self.network.add_host(name, ip.into(), None)
    }

    /// Adds a NAT between the public network and a private one of its own.
    ///
    /// # Errors
    ///
    /// As for [`World::add_host`].
    pub fn add_nat(&mut self, name: &str, public: impl Into<IpAddr>, nat: Nat) -> Result<NatId, HostError> {
        self.network.add_nat(name, public.into(), nat)
    }

    /// Adds a host to the private network behind a NAT. Its address may be in use elsewhere.
    ///
    /// # Errors
    ///
    /// As for [`World::add_host`].
    pub fn add_host_behind(
        &mut self,
        nat: NatId,
        name: &str,
        ip: impl Into<IpAddr>,
    ) -> Result<HostId, HostError> {
        self.network.add_host(name, ip.into(), Some(nat))
    }

    /// Gives a host one more address, on the network that it is on.
    ///
    /// # Errors
    ///
    /// As for [`World::add_host`].
    pub fn add_address(&mut self, host: HostId, ip: impl Into<IpAddr>) -> Result<(), HostError> {
        self.network.add_address(host, ip.into())
    }

    /// Adds a node to a host. The name is for captures and messages.
    pub fn add(&mut self, host: HostId, name: &str, node: N) -> PartyId {
        let party = PartyId(self.nodes.len() as u32);
        self.nodes.push(Some(node));
        self.network.seats.push(Seat {
            name: name.into(),
            host,
            life: 0,
        });
        self.settle(party);
        party
    }

    /// Takes a node out and closes everything that it holds; `None` when there is none of that number.
    pub fn remove(&mut self, party: PartyId) -> Option<N> {
        self.take(party, Leaving::Orderly)
    }

    /// Lets a node be used, then does what came out of it. `None` when there is no such party, or it crashed.
    pub fn with<R>(&mut self, party: PartyId, f: impl FnOnce(&mut N, Time) -> R) -> Option<R> {
        let now = self.network.now;
        let node = self.nodes.get_mut(party.0 as usize)?.as_mut()?;
        let result = f(node, now);
        self.settle(party);
        Some(result)
    }

    /// Looks at a node; `None` when there is no such party, or it crashed.
    pub fn node(&self, party: PartyId) -> Option<&N> {
        self.nodes.get(party.0 as usize)?.as_ref()
    }

    /// Ends a party, or all of its host, without warning. Returns the nodes that are gone, in the order of their
    /// numbers; none when the party was gone already.
    pub fn crash(&mut self, party: PartyId, kind: CrashKind) -> Vec<(PartyId, N)> {
        let Some(seat) = self.network.seats.get(party.0 as usize) else {
            return Vec::new();
        };
        let host = seat.host;
        match kind {
            CrashKind::Process => self
                .take(party, Leaving::Killed)
                .map(|node| (party, node))
                .into_iter()
                .collect(),
            CrashKind::Host => {
                self.network.host_mut(host).up = false;
                let there = (0..self.nodes.len() as u32)
                    .map(PartyId)
                    .filter(|other| self.network.seat(*other).host == host)
                    .collect::<Vec<_>>();
                let nodes = there
                    .into_iter()
                    .filter_map(|other| Some((other, self.take(other, Leaving::Silent)?)))
                    .collect();
                self.network.close_pool(host);
                nodes
            }
        }
    }

    /// Puts a new node into the place of one that crashed or was removed, and starts its host where that is down.
    ///
    /// # Errors
    ///
    /// Gives the node back when there is no such party, or its node still runs.
    pub fn restart(&mut self, party: PartyId, node: N) -> Result<(), N> {
        match self.nodes.get_mut(party.0 as usize) {
            Some(place @ None) => *place = Some(node),
            Some(Some(_)) | None => return Err(node),
        }
        let host = self.network.seat(party).host;
        self.network.start_host(host);
        self.settle(party);
        Ok(())
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.network.now
    }

    /// When the world started: the same for all simulated worlds.
    pub fn epoch(&self) -> Epoch {
        Epoch::SIMULATED
    }

    /// The name of a party.
    pub fn name(&self, party: PartyId) -> Option<Arc<str>> {
        let seat = self.network.seats.get(party.0 as usize)?;
        Some(seat.name.clone())
    }

    /// When something happens next without anybody's doing.
    pub fn next_event(&self) -> Option<Time> {
        self.network.agenda.next()
    }

    /// Lets the next thing happen, unless that is after `until`, and moves the clock there. When there is nothing, moves
    /// the clock to `until` and returns false: [`Time::NEVER`] is the end of the world.
    ///
    /// # Errors
    ///
    /// When the world has more to do than its limits let it.
    pub fn step(&mut self, until: Time) -> Result<bool, LimitExceeded> {
        self.pace.check()?;
        let Some(at) = self.network.agenda.next().filter(|at| *at <= until) else {
            self.pass_to(until);
            return Ok(false);
        };
        self.pass_to(at);
        match self.network.agenda.pop() {
            Some(Next::Wake(party)) => self.wake(party),
            Some(Next::Due(due)) => {
                if let Some(arrival) = self.network.happen(due) {
                    self.hand_over(arrival);
                }
            }
            None => {}
        }
        self.deliver();
        if self.network.agenda.len() > self.network.config.limits.in_flight {
            self.pace.overloaded(&self.network);
        }
        self.pace.check().map(|()| true)
    }

    /// Steps until nothing is left to happen at `until` or before; the clock is there then.
    ///
    /// # Errors
    ///
    /// As for [`World::step`].
    pub fn run_until(&mut self, until: Time) -> Result<(), LimitExceeded> {
        while self.step(until)? {}
        Ok(())
    }

    /// What a node told, and when, in order; `None` when there is nothing more for now.
    pub fn poll_event(&mut self) -> Option<(PartyId, Time, N::Event)> {
        self.events.pop_front()
    }

    /// What all nodes together still hold.
    pub fn residue(&self) -> Residue {
        self.nodes
            .iter()
            .flatten()
            .map(|node| node.residue())
            .fold(Residue::default(), |sum, one| sum + one)
    }

    /// Shows every packet to `tap` from now on; returns the tap before it.
    pub fn set_tap(&mut self, tap: Option<Box<dyn Tap>>) -> Option<Box<dyn Tap>> {
        std::mem::replace(&mut self.network.tap, tap)
    }

    /// How packets travel between two hosts for which nothing else was said. The time that something is on its way is
    /// fixed when it sets out.
    pub fn set_default_link(&mut self, link: Link) {
        self.network.links.set_default(link);
    }

    /// How packets travel between every two hosts, whatever was said for some of them before.
    pub fn set_every_link(&mut self, link: Link) {
        self.network.links.set_every(link);
    }

    /// How packets travel between these two hosts, in both directions: each has its own dice and its own queue.
    pub fn set_link(&mut self, a: HostId, b: HostId, link: Link) {
        self.set_link_one_way(a, b, link.clone());
        self.set_link_one_way(b, a, link);
    }

    /// How packets travel from one host to another, and not those in return.
    pub fn set_link_one_way(&mut self, from: HostId, to: HostId, link: Link) {
        self.network.links.set(from, to, link);
    }

    /// Cuts the network between every host of `a` and every one of `b`: nothing that is sent from now on arrives. What
    /// is on its way already does.
    pub fn partition(&mut self, a: &[HostId], b: &[HostId]) {
        for one in a {
            for other in b {
                self.network.links.cut(*one, *other);
            }
        }
        self.network.check_connections();
    }

    /// Ends every partition.
    pub fn heal(&mut self) {
        self.network.links.heal();
        self.network.heal_connections();
    }

    /// The names that nodes can resolve.
    pub fn zone(&mut self) -> &mut Zone {
        &mut self.network.zone
    }

    /// What the TLS listeners of a host show from now on.
    pub fn set_certificate(&mut self, host: HostId, certificate: Certificate) {
        self.network.host_mut(host).certificate = certificate;
    }

    fn pass_to(&mut self, at: Time) {
        if at > self.network.now {
            self.network.now = at;
            self.pace.time_passes();
        }
    }

    fn take(&mut self, party: PartyId, leaving: Leaving) -> Option<N> {
        let node = self.nodes.get_mut(party.0 as usize)?.take()?;
        self.network.agenda.set_wake(party, None);
        self.network.forget(party, leaving);
        Some(node)
    }

    fn wake(&mut self, party: PartyId) {
        let now = self.network.now;
        if let Some(Some(node)) = self.nodes.get_mut(party.0 as usize) {
            let timer = node.poll_timeout().map_or("no timer", |(_, timer)| timer);
            self.pace.woken(party, timer);
            self.pace.spend(&self.network, party);
            node.handle_timeout(now);
            self.drain(party);
        }
    }

    fn hand_over(&mut self, arrival: Arrival) {
        let now = self.network.now;
        if let Some(Some(node)) = self.nodes.get_mut(arrival.party.0 as usize) {
            self.pace.spend(&self.network, arrival.party);
            node.handle_packet(now, arrival.socket, arrival.from, arrival.payload.as_slice());
            self.drain(arrival.party);
        }
        self.network.recycle(arrival.payload);
    }

    /// Drains a node that was used, and answers it.
    fn settle(&mut self, party: PartyId) {
        self.drain(party);
        self.deliver();
    }

    /// Gives nodes what the network has for them at once, until there is nothing more.
    fn deliver(&mut self) {
        while self.pace.check().is_ok()
            && let Some((party, input)) = self.network.inbox.pop_front()
        {
            if let Some(Some(node)) = self.nodes.get_mut(party.0 as usize) {
                self.pace.spend(&self.network, party);
                node.handle_input(self.network.now, input.for_any());
                self.drain(party);
            }
        }
    }

    /// Takes everything out of a node, and learns when it wants to be called.
    fn drain(&mut self, party: PartyId) {
        let Some(Some(node)) = self.nodes.get_mut(party.0 as usize) else {
            return;
        };
        let now = self.network.now;
        while self.pace.spend(&self.network, party)
            && let Some(output) = node.poll_output()
        {
            if let Some(event) = self.network.perform(party, output) {
                self.events.push_back((party, now, event));
            }
        }
        while self.pace.spend(&self.network, party)
            && let Some((socket, to, length)) = node.poll_transmit(now, &mut self.packet)
        {
            let packet = &self.packet[..length.min(PACKET)];
            let clear = self.network.tap.as_ref().and_then(|_| node.clear_text());
            self.network.send_packet(party, socket, to, packet, clear);
        }
        let deadline = node.poll_timeout().map(|(at, _)| at.max(now));
        self.network.agenda.set_wake(party, deadline);
    }
}
