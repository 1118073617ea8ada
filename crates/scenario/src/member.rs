//! What a world of scenarios hosts: the phones of a run, and servers that are tested, side by side.

use std::convert::Infallible;
use std::net::SocketAddr;

#[cfg(feature = "fake")]
use crate::simulated::Breaking;
use callwright_callcenter as callcenter;
use callwright_ua as ua;
use callwright_wire::{Input, Node, Output, PacketNode, Residue, SocketId, Time};

/// A node of a world: its operations are those of the value inside, to be followed by draining.
#[derive(Debug)]
pub enum Member {
    /// User agents.
    Phones(Box<ua::Fleet>),
    /// A call center.
    Server(Box<callcenter::Server>),
    /// A phone that breaks a rule on purpose.
    #[cfg(feature = "fake")]
    Broken(Box<ua::Fleet>, Breaking),
}

/// What a [`Member`] tells.
#[derive(Debug)]
pub enum MemberEvent {
    /// A user agent changed.
    Phones(ua::FleetEvent),
    /// A call center said something.
    Server(callcenter::Event),
}

impl Member {
    /// The user agents, where it is they.
    pub fn phones(&self) -> Option<&ua::Fleet> {
        match self {
            Member::Phones(fleet) => Some(fleet),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, _) => Some(fleet),
            Member::Server(_) => None,
        }
    }

    /// The user agents to be used, where it is they.
    pub fn phones_mut(&mut self) -> Option<&mut ua::Fleet> {
        match self {
            Member::Phones(fleet) => Some(fleet),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, _) => Some(fleet),
            Member::Server(_) => None,
        }
    }

    /// The call center, where it is one.
    pub fn server(&self) -> Option<&callcenter::Server> {
        match self {
            Member::Server(server) => Some(server),
            _ => None,
        }
    }

    /// The call center to be used, where it is one: commands go to its [`Node::handle_input`].
    pub fn server_mut(&mut self) -> Option<&mut callcenter::Server> {
        match self {
            Member::Server(server) => Some(server),
            _ => None,
        }
    }
}

#[cfg(feature = "fake")]
impl Member {
    /// A phone that breaks a rule on purpose.
    pub(crate) fn broken(self, broken: Option<crate::simulated::Broken>) -> Member {
        match (self, broken) {
            (Member::Phones(fleet), Some(broken)) => Member::Broken(fleet, Breaking::new(broken)),
            (member, _) => member,
        }
    }
}

impl From<ua::Fleet> for Member {
    fn from(fleet: ua::Fleet) -> Member {
        Member::Phones(Box::new(fleet))
    }
}

impl From<callcenter::Server> for Member {
    fn from(server: callcenter::Server) -> Member {
        Member::Server(Box::new(server))
    }
}

impl Node for Member {
    type Command = Infallible;
    type Event = MemberEvent;

    fn handle_input(&mut self, now: Time, input: Input<Infallible>) {
        match self {
            Member::Phones(fleet) => fleet.handle_input(now, input),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, _) => fleet.handle_input(now, input),
            Member::Server(server) => server.handle_input(now, input.for_any()),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        match self {
            Member::Phones(fleet) => fleet.handle_timeout(now),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, _) => fleet.handle_timeout(now),
            Member::Server(server) => server.handle_timeout(now),
        }
    }

    fn poll_output(&mut self) -> Option<Output<MemberEvent>> {
        match self {
            Member::Phones(fleet) => Some(fleet.poll_output()?.map_event(MemberEvent::Phones)),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, breaking) => loop {
                let output = fleet.poll_output()?.map_event(MemberEvent::Phones);
                if let Some(output) = breaking.output(output) {
                    return Some(output);
                }
            },
            Member::Server(server) => Some(server.poll_output()?.map_event(MemberEvent::Server)),
        }
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        match self {
            Member::Phones(fleet) => fleet.poll_timeout(),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, _) => fleet.poll_timeout(),
            Member::Server(server) => server.poll_timeout(),
        }
    }

    fn residue(&self) -> Residue {
        match self {
            Member::Phones(fleet) => fleet.residue(),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, breaking) => fleet.residue() + breaking.residue(),
            Member::Server(server) => server.residue(),
        }
    }
}

impl PacketNode for Member {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        match self {
            Member::Phones(fleet) => fleet.handle_packet(now, socket, from, packet),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, _) => fleet.handle_packet(now, socket, from, packet),
            Member::Server(server) => server.handle_packet(now, socket, from, packet),
        }
    }

    fn handle_arrival(
        &mut self,
        now: Time,
        arrived: Time,
        socket: SocketId,
        from: SocketAddr,
        packet: &[u8],
    ) {
        match self {
            Member::Phones(fleet) => fleet.handle_arrival(now, arrived, socket, from, packet),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, _) => fleet.handle_arrival(now, arrived, socket, from, packet),
            Member::Server(server) => server.handle_arrival(now, arrived, socket, from, packet),
        }
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        match self {
            Member::Phones(fleet) => fleet.poll_transmit(now, buffer),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, breaking) => {
                let sent = fleet.poll_transmit(now, buffer)?;
                breaking.packet(buffer.get_mut(..sent.2)?);
                Some(sent)
            }
            Member::Server(server) => server.poll_transmit(now, buffer),
        }
    }

    fn clear_text(&self) -> Option<&[u8]> {
        match self {
            Member::Phones(fleet) => fleet.clear_text(),
            #[cfg(feature = "fake")]
            Member::Broken(fleet, _) => fleet.clear_text(),
            Member::Server(server) => server.clear_text(),
        }
    }
}
