//! Datagrams: sent, lost, translated, delivered, refused.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use callwright_wire::link::Passage;
use callwright_wire::{Carrier, Cause, Fate, Flow, Input, SocketId, Transport};

use super::places::Route;
use super::ports::{Shared, Table};
use super::sockets::Role;
use super::{Due, Network};
use crate::arena::Key;
use crate::{HostId, NatId, PartyId};

/// A media socket whose peer is gone gets an ICMP error for each packet: one a second is told, as in the real world.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);
/// Octets of an ICMP message: its own header, and the first ones of the datagram that it is about.
const ICMP_OCTETS: usize = 36;
/// How many buffers are kept for packets to come.
const SPARE: usize = 1_024;

/// What a datagram carries.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// Of signalling: shared with whoever sent it.
    Shared(Bytes),
    /// Of media: copied into a buffer that is used again.
    Copied(Vec<u8>),
}

impl Payload {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Payload::Shared(bytes) => bytes,
            Payload::Copied(bytes) => bytes,
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Payload::Shared(bytes) => bytes,
            Payload::Copied(bytes) => bytes.into(),
        }
    }
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    sender: Key,
    sender_host: HostId,
    /// Its source, as seen where it arrives.
    source: SocketAddr,
    /// Where it was sent.
    to: SocketAddr,
    /// Whose address that is.
    place: Arrives,
    payload: Payload,
}

#[derive(Clone, Copy, Debug)]
enum Arrives {
    At(HostId),
    Behind(NatId),
}

/// A packet for a media socket.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) party: PartyId,
    pub(crate) socket: SocketId,
    pub(crate) from: SocketAddr,
    pub(crate) payload: Payload,
}

impl Network {
    /// Sends a datagram. `seen` is what the tap is shown of it.
    pub(crate) fn send_datagram(
        &mut self,
        party: PartyId,
        socket: SocketId,
        to: SocketAddr,
        payload: Payload,
        seen: Option<(Carrier, Bytes)>,
        cause: Option<Cause>,
    ) {
        let Some(sender) = self.owners.get(&(party, socket)).copied() else {
            return self.recycle(payload);
        };
        let Some((host, local)) = self.sockets.get(sender).map(|socket| (socket.host, socket.local)) else {
            return self.recycle(payload);
        };
        let Some(source) = self.source(host, local, to.ip()) else {
            // As the kernel would, which has no route.
            self.tell_unreachable(sender, to);
            return self.recycle(payload);
        };
        let fate = self.dispatch(sender, host, source, to, payload);
        if let Some((carrier, bytes)) = seen
            && self.tap.is_some()
        {
            self.record(party, carrier, fate, source, to, bytes, cause);
        }
    }

    /// Sends a media packet, of which `clear` is the clear text where it goes encrypted.
    pub(crate) fn send_packet(
        &mut self,
        party: PartyId,
        socket: SocketId,
        to: SocketAddr,
        packet: &[u8],
        clear: Option<&[u8]>,
    ) {
        let seen = self.tap.is_some().then(|| match clear {
            Some(clear) => (Carrier::SrtpClear, Bytes::copy_from_slice(clear)),
            None => (Carrier::Udp, Bytes::copy_from_slice(packet)),
        });
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(packet);
        self.send_datagram(party, socket, to, Payload::Copied(buffer), seen, None);
    }

    /// A datagram arrives; given back when it is for a media socket.
    pub(super) fn arrive(&mut self, parcel: Parcel) -> Option<Arrival> {
        let Some((host, destination)) = self.destination(&parcel) else {
            self.recycle(parcel.payload);
            return None;
        };
        let Some(key) = self.listener(host, Table::Udp, destination) else {
            self.refuse(host, &parcel);
            self.recycle(parcel.payload);
            return None;
        };
        let socket = self.sockets.get(key)?;
        let Some((party, number)) = socket.owner else {
            // Meant for the last call: the ports rest.
            self.recycle(parcel.payload);
            return None;
        };
        if matches!(socket.role, Role::Media(_)) {
            return Some(Arrival {
                party,
                socket: number,
                from: parcel.source,
                payload: parcel.payload,
            });
        }
        let input = Input::Datagram {
            socket: number,
            flow: Flow {
                transport: Transport::Udp,
                local: destination,
                remote: parcel.source,
            },
            bytes: parcel.payload.into_bytes(),
        };
        self.inbox.push_back((party, input));
        None
    }

    /// An ICMP message reaches a socket.
    pub(super) fn tell_unreachable(&mut self, key: Key, remote: SocketAddr) {
        let now = self.now;
        let Some(socket) = self.sockets.get_mut(key) else {
            return;
        };
        let Some((party, number)) = socket.owner else {
            return;
        };
        if let Role::Media(media) = &mut socket.role {
            if media
                .refused_at
                .is_some_and(|at| now.since(at) < REFUSAL_INTERVAL)
            {
                return;
            }
            media.refused_at = Some(now);
        }
        let input = Input::Unreachable {
            socket: number,
            remote,
        };
        self.inbox.push_back((party, input));
    }

    /// Keeps the buffer of a packet that is done with.
    pub(crate) fn recycle(&mut self, payload: Payload) {
        if let Payload::Copied(mut buffer) = payload
            && self.spare.len() < SPARE
        {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Puts a datagram on its way.
    fn dispatch(
        &mut self,
        sender: Key,
        host: HostId,
        source: SocketAddr,
        to: SocketAddr,
        payload: Payload,
    ) -> Fate {
        if let Route::Refused(after) = self.route(host, Table::Udp, to) {
            let due = Due::Unreachable {
                socket: sender,
                remote: to,
            };
            self.agenda.put(self.now + after, due);
            self.recycle(payload);
            return Fate::Sent;
        }
        let Some((source, place, target)) = self.way(host, source, to) else {
            self.recycle(payload);
            return Fate::Lost;
        };
        let octets = payload.as_slice().len();
        let parcel = Parcel {
            sender,
            sender_host: host,
            source,
            to,
            place,
            payload,
        };
        let passage = self
            .links
            .carry_datagram(self.now, &self.hosts, host, target, octets);
        match passage {
            Passage::Lost => self.recycle(parcel.payload),
            Passage::Arrives { at, twice, .. } => {
                if twice {
                    self.agenda.put(at, Due::Datagram(parcel.clone()));
                }
                self.agenda.put(at, Due::Datagram(parcel));
            }
        }
        passage.fate()
    }

    /// The source as it is seen outside, where the datagram arrives, and the host that the link leads to; `None` when
    /// nobody is there.
    fn way(
        &mut self,
        host: HostId,
        source: SocketAddr,
        to: SocketAddr,
    ) -> Option<(SocketAddr, Arrives, HostId)> {
        let gateway = self.gateway(host, to.ip());
        let now = self.now;
        let source = match gateway {
            Some(nat) => self.translator_mut(nat).outward(now, source, to)?,
            None => source,
        };
        match self.route(host, Table::Udp, to) {
            Route::Host(target) => Some((source, Arrives::At(target), target)),
            Route::Nat(nat) if gateway == Some(nat) && !self.translator(nat).hairpinning() => None,
            Route::Nat(nat) => {
                let target = self.translator(nat).behind(to.port())?;
                Some((source, Arrives::Behind(nat), target))
            }
            Route::Nowhere | Route::Refused(_) => None,
        }
    }

    /// The host and its address that a datagram reaches, if any.
    fn destination(&self, parcel: &Parcel) -> Option<(HostId, SocketAddr)> {
        let (host, destination) = match parcel.place {
            // Of a shared loopback address: whoever has it now.
            Arrives::At(host) => match self.shared_at(Table::Udp, parcel.to) {
                Some(Shared::Host(holder)) => (holder, parcel.to),
                Some(Shared::Nobody) | None => (host, parcel.to),
            },
            Arrives::Behind(nat) => {
                let translator = self.translator(nat);
                let inner = translator.inward(self.now, parcel.to.port(), parcel.source)?;
                (*translator.inside.get(&inner.ip())?, inner)
            }
        };
        self.host(host).up.then_some((host, destination))
    }

    /// Nobody listens: ICMP goes back, on the link in the other direction.
    fn refuse(&mut self, host: HostId, parcel: &Parcel) {
        let due = Due::Unreachable {
            socket: parcel.sender,
            remote: parcel.to,
        };
        let back = parcel.sender_host;
        match self
            .links
            .carry_datagram(self.now, &self.hosts, host, back, ICMP_OCTETS)
        {
            Passage::Lost => {}
            Passage::Arrives { at, .. } => self.agenda.put(at, due),
        }
    }
}
