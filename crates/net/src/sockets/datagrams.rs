//! UDP sockets of the world: signalling and media.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::time::Duration;

use bytes::Bytes;
use callwright_wire::{
    BindError, BindErrorKind, Carrier, Cause, Fate, Flow, Input, SocketId, Time, Transport,
};
use mio::Interest;
use mio::unix::SourceFd;
use rustix::event::epoll;

use super::{Deadline, Kind, Postponed, Sockets};
use crate::PartyId;
use crate::datagram::{Datagrams, Notes, Received, bind_error, is_pending_error};
use crate::health::Counters;
use crate::limits::{SIGNALLING_BUFFER, enlarge_receive_buffer};
use crate::ports::{Pair, bind_pair};

/// How many datagrams wait for a socket whose kernel buffer is full.
const UNSENT: usize = 1_024;
/// A media socket whose peer is gone gets an ICMP error for each packet: one a second is told.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);

/// A UDP socket and what it is for, in the order in which it stands in memory: what every packet needs is in front.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Port {
    socket: Datagrams,
    /// `None` while it rests in the pool.
    pub(super) owner: Option<(PartyId, SocketId)>,
    unsent: VecDeque<Outgoing>,
    media: Option<Media>,
    drops: u32,
    /// An empty datagram came here.
    hollow: bool,
}

/// One of a pair of media sockets.
#[derive(Clone, Copy, Debug)]
struct Media {
    /// The slot of the other one.
    partner: usize,
    /// RTP, not RTCP.
    leads: bool,
    /// Came from the pool and goes back there.
    pooled: bool,
    refused_at: Option<Time>,
}

/// A datagram on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) slot: usize,
    pub(super) party: PartyId,
    pub(super) to: SocketAddr,
    pub(super) bytes: Bytes,
    pub(super) cause: Option<Cause>,
    /// True when the tap saw it already.
    pub(super) shown: bool,
}

/// A datagram that is in the buffer, for a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) party: PartyId,
    pub(crate) socket: SocketId,
    pub(crate) media: bool,
    pub(crate) flow: Flow,
    pub(crate) length: usize,
    /// How long it waited in the kernel, or after its time on a link was over.
    pub(crate) waited: Duration,
    /// What the tap is told of it; `None` when it is the copy of another.
    pub(crate) fate: Option<Fate>,
}

impl Sockets {
    pub(super) fn bind_signalling(
        &mut self,
        party: PartyId,
        socket: SocketId,
        local: SocketAddr,
    ) -> Result<SocketAddr, BindError> {
        let datagrams =
            Datagrams::bind(local, Notes::Full).map_err(|error| bind_error(local, &error, false))?;
        if let Ok(given) = enlarge_receive_buffer(&datagrams, SIGNALLING_BUFFER) {
            self.note_buffer(given as u64);
        }
        let bound = datagrams.local();
        let index = self
            .add_port(datagrams)
            .map_err(|error| bind_error(local, &error, false))?;
        self.own_port(index, party, socket);
        Ok(bound)
    }

    fn note_buffer(&self, given: u64) {
        use std::sync::atomic::Ordering::Relaxed;
        let known = &self.counters.receive_buffer_given;
        if known.load(Relaxed) == 0 {
            known.store(given, Relaxed);
        } else {
            known.fetch_min(given, Relaxed);
        }
    }

    fn add_port(&mut self, datagrams: Datagrams) -> io::Result<usize> {
        let local = datagrams.local();
        let index = self.add(Kind::Port(Port {
            socket: datagrams,
            owner: None,
            media: None,
            drops: 0,
            unsent: VecDeque::new(),
            hollow: false,
        }));
        if let Err(error) = self.watch_port(index) {
            self.take(index);
            return Err(error);
        }
        self.tapping.datagram_socket_opened(local);
        Ok(index)
    }

    /// Has the kernel tell when there is something to receive: once for all that is there, or at each look as long as there is
    /// some. The latter where one datagram is received at a time, and nobody asks whether another one stands behind it.
    fn watch_port(&self, index: usize) -> io::Result<()> {
        let Some(port) = self.port(index) else {
            return Ok(());
        };
        match port.socket.notes() {
            Notes::Full => {
                let fd = port.socket.as_fd().as_raw_fd();
                self.register(&mut SourceFd(&fd), index, Interest::READABLE)
            }
            Notes::None => {
                let token = epoll::EventData::new_u64(index as u64);
                epoll::add(&self.registry, &port.socket, token, epoll::EventFlags::IN)?;
                Ok(())
            }
        }
    }

    fn own_port(&mut self, index: usize, party: PartyId, socket: SocketId) {
        if let Some(port) = self.port_mut(index) {
            port.owner = Some((party, socket));
        }
        self.owners.insert(party, socket.0, index);
    }

    /// Leases a pair of media sockets; `None` when the answer comes later.
    pub(super) fn lease(
        &mut self,
        now: Time,
        party: PartyId,
        rtp: SocketId,
        rtcp: SocketId,
        local: SocketAddr,
    ) -> Result<Option<SocketAddr>, BindError> {
        let pair = if local.port() == 0 {
            match self.pool.lease(now, local.ip()) {
                Some(pair) => pair,
                None => match self.grow_pool(local.ip()) {
                    Ok(pair) => pair,
                    Err(error) if error.kind == BindErrorKind::NoMediaPorts => {
                        let Some(at) = self.pool.rested_at(local.ip()) else {
                            return Err(error);
                        };
                        self.postponed.push_back(Postponed {
                            party,
                            rtp,
                            rtcp,
                            ip: local.ip(),
                        });
                        self.deadlines.set(Deadline::Lease, at);
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                },
            }
        } else {
            let notes = super::media_notes(&self.config);
            let pair = bind_pair(local.ip(), local.port(), notes)
                .map_err(|error| bind_error(local, &error, false))?;
            self.add_pair(pair, false)
                .map_err(|error| bind_error(local, &error, false))?
        };
        // What came for the last call is nobody's now.
        self.discard(pair.rtp);
        self.discard(pair.rtcp);
        self.own_port(pair.rtp, party, rtp);
        self.own_port(pair.rtcp, party, rtcp);
        Ok(self.port(pair.rtp).map(|port| port.socket.local()))
    }

    /// Binds `pairs` of media ports at `ip` ahead of their use.
    pub(crate) fn reserve(&mut self, ip: IpAddr, pairs: usize) -> Result<(), BindError> {
        for _ in 0..pairs {
            let pair = self.grow_pool(ip)?;
            self.pool.add(ip, pair);
        }
        Ok(())
    }

    fn grow_pool(&mut self, ip: IpAddr) -> Result<Pair<usize>, BindError> {
        let pair = self.pool.bind(ip)?;
        let local = pair.rtp.local();
        self.add_pair(pair, true)
            .map_err(|error| bind_error(local, &error, false))
    }

    fn add_pair(&mut self, pair: Pair<Datagrams>, pooled: bool) -> io::Result<Pair<usize>> {
        let rtp = self.add_port(pair.rtp)?;
        let rtcp = match self.add_port(pair.rtcp) {
            Ok(rtcp) => rtcp,
            Err(error) => {
                let now = self.clock.now();
                self.drop_port(now, rtp);
                return Err(error);
            }
        };
        for (index, partner, leads) in [(rtp, rtcp, true), (rtcp, rtp, false)] {
            if let Some(port) = self.port_mut(index) {
                port.media = Some(Media {
                    partner,
                    leads,
                    pooled,
                    refused_at: None,
                });
            }
        }
        Ok(Pair { rtp, rtcp })
    }

    pub(super) fn retry_leases(&mut self, now: Time) {
        for wait in std::mem::take(&mut self.postponed) {
            let local = SocketAddr::new(wait.ip, 0);
            let input = match self.lease(now, wait.party, wait.rtp, wait.rtcp, local) {
                Ok(Some(local)) => Input::Bound {
                    socket: wait.rtp,
                    local,
                },
                Ok(None) => continue,
                Err(error) => Input::BindFailed {
                    socket: wait.rtp,
                    error,
                },
            };
            self.inbox.push_back((wait.party, input));
        }
    }

    /// Closes a UDP socket, or puts a pair of media sockets to rest.
    pub(super) fn close_port(&mut self, now: Time, index: usize) {
        let Some(port) = self.port(index) else { return };
        let ip = port.socket.local().ip();
        match port.media {
            None => self.drop_port(now, index),
            Some(media) => {
                let pair = if media.leads {
                    Pair {
                        rtp: index,
                        rtcp: media.partner,
                    }
                } else {
                    Pair {
                        rtp: media.partner,
                        rtcp: index,
                    }
                };
                if !media.pooled {
                    self.drop_port(now, pair.rtp);
                    self.drop_port(now, pair.rtcp);
                    return;
                }
                self.disown(pair.rtp);
                self.disown(pair.rtcp);
                self.pool.release(now, ip, pair);
            }
        }
    }

    fn disown(&mut self, index: usize) {
        let Some(port) = self.port_mut(index) else { return };
        port.unsent.clear();
        if let Some((party, socket)) = port.owner.take() {
            self.owners.remove(party, socket.0);
        }
    }

    fn drop_port(&mut self, now: Time, index: usize) {
        self.release_slot(now, index);
        self.disown(index);
        if let Some(Kind::Port(port)) = self.take(index) {
            let fd = port.socket.as_fd().as_raw_fd();
            // Closing the descriptor deregisters it anyway.
            let _ = self.registry.deregister(&mut SourceFd(&fd));
            self.tapping.datagram_socket_closed(now, port.socket.local());
        }
    }

    /// Queues a signalling datagram; [`Sockets::flush`] sends it.
    pub(crate) fn send_datagram(
        &mut self,
        party: PartyId,
        socket: SocketId,
        to: SocketAddr,
        bytes: Bytes,
        cause: Option<Cause>,
    ) {
        let Some(slot) = self.slot_of(party, socket) else {
            tracing::debug!(
                party = party.0,
                socket = socket.0,
                "datagram for a socket that is not open"
            );
            return;
        };
        if self.is_shaped()
            && let Some(way) = self.passage(slot, to, bytes.len())
        {
            let seen = (Carrier::Udp, bytes.clone());
            return self.send_held(slot, party, false, way, to, bytes, seen, cause);
        }
        self.outbox_push(Outgoing {
            slot,
            party,
            to,
            bytes,
            cause,
            shown: false,
        });
    }

    pub(super) fn outbox_push(&mut self, outgoing: Outgoing) {
        self.outbox.push(outgoing);
    }

    /// How many datagrams are queued.
    pub(crate) fn queued(&self) -> usize {
        self.outbox.len()
    }

    /// Sends what was queued, neighbours of one socket in one system call.
    pub(crate) fn flush(&mut self) {
        let mut outbox = std::mem::take(&mut self.outbox);
        let mut rest = outbox.drain(..).peekable();
        while let Some(first) = rest.next() {
            let slot = first.slot;
            let mut train = VecDeque::from([first]);
            while let Some(next) = rest.next_if(|next| next.slot == slot) {
                train.push_back(next);
            }
            self.send_train(slot, train);
        }
        drop(rest);
        // Keep the allocation.
        self.outbox = outbox;
    }

    fn send_train(&mut self, index: usize, mut train: VecDeque<Outgoing>) {
        let Some(port) = self.port_mut(index) else { return };
        if !port.unsent.is_empty() {
            // Behind what waits already, in order.
            self.keep_unsent(index, train);
            return;
        }
        while !train.is_empty() {
            let Some(port) = self.port(index) else { return };
            let (sent, error) = match train.len() {
                1 => match port.socket.send(train[0].to, &train[0].bytes) {
                    Ok(()) => (1, None),
                    Err(error) => (0, Some(error)),
                },
                _ => {
                    let datagrams: Vec<_> = train.iter().map(|one| (one.to, one.bytes.clone())).collect();
                    port.socket.send_many(&datagrams)
                }
            };
            let local = port.socket.local();
            for one in train.drain(..sent) {
                self.sent(local, one);
            }
            match error {
                None => {}
                Some(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.keep_unsent(index, train);
                    return;
                }
                Some(error) => {
                    if let Some(lost) = train.pop_front() {
                        self.not_sent(index, lost.to, &error);
                    }
                }
            }
        }
    }

    fn sent(&mut self, local: SocketAddr, one: Outgoing) {
        Counters::one(&self.counters.datagrams_sent);
        Counters::add(&self.counters.bytes_sent, one.bytes.len());
        if self.tapping.is_on() && !one.shown {
            let source = self.source(local, one.to);
            self.tap(
                one.party,
                Carrier::Udp,
                Fate::Sent,
                source,
                one.to,
                one.bytes,
                one.cause,
            );
        }
    }

    fn not_sent(&mut self, index: usize, to: SocketAddr, error: &io::Error) {
        Counters::one(&self.counters.send_failures);
        tracing::debug!(%to, %error, "a datagram could not be sent");
        self.tell_unreachable(self.clock.now(), index, to);
    }

    fn keep_unsent(&mut self, index: usize, train: VecDeque<Outgoing>) {
        let counters = self.counters.clone();
        let Some(port) = self.port_mut(index) else { return };
        let room = match port.socket.notes() {
            Notes::Full => UNSENT.saturating_sub(port.unsent.len()),
            // The kernel would tell of room at each look, whether anything waits or not.
            Notes::None => 0,
        };
        Counters::add(&counters.send_drops, train.len().saturating_sub(room));
        if room > 0 {
            port.unsent.extend(train.into_iter().take(room));
            self.watch_room(index, Interest::READABLE | Interest::WRITABLE);
        }
    }

    /// Has the kernel tell when there is something to receive, and whether it has room again.
    fn watch_room(&self, index: usize, interest: Interest) {
        if let Some(port) = self.port(index) {
            let fd = port.socket.as_fd().as_raw_fd();
            let _ = self
                .registry
                .reregister(&mut SourceFd(&fd), mio::Token(index), interest);
        }
    }

    /// Sends what waited for room in the kernel's buffer.
    pub(super) fn retry_unsent(&mut self, index: usize) {
        let Some(port) = self.port_mut(index) else { return };
        if port.unsent.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut port.unsent);
        self.watch_room(index, Interest::READABLE);
        self.send_train(index, waiting);
    }

    /// Sends a media packet at once; what the kernel does not take is lost, as on any network.
    pub(crate) fn send_packet(
        &mut self,
        party: PartyId,
        socket: SocketId,
        to: SocketAddr,
        packet: &[u8],
        clear: Option<&[u8]>,
    ) {
        let Some(index) = self.slot_of(party, socket) else {
            return;
        };
        if self.is_shaped()
            && let Some(way) = self.passage(index, to, packet.len())
        {
            let bytes = Bytes::copy_from_slice(packet);
            let seen = clear_or(packet, clear);
            return self.send_held(index, party, true, way, to, bytes, seen, None);
        }
        let Some(local) = self.port_address(index) else {
            return;
        };
        if self.put_packet(index, to, packet) && self.tapping.is_on() {
            let source = self.source(local, to);
            let (carrier, bytes) = clear_or(packet, clear);
            self.tap(party, carrier, Fate::Sent, source, to, bytes, None);
        }
    }

    /// Gives a media packet to the kernel; false when that did not take it.
    pub(super) fn put_packet(&mut self, index: usize, to: SocketAddr, packet: &[u8]) -> bool {
        let Some(port) = self.port(index) else {
            return false;
        };
        match port.socket.send(to, packet) {
            Ok(()) => {
                Counters::one(&self.counters.packets_sent);
                Counters::add(&self.counters.bytes_sent, packet.len());
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Counters::one(&self.counters.send_drops);
            }
            Err(error) => self.not_sent(index, to, &error),
        }
        false
    }

    /// The address that a UDP socket is bound to.
    pub(super) fn port_address(&self, index: usize) -> Option<SocketAddr> {
        self.port(index).map(|port| port.socket.local())
    }

    /// Receives one datagram into the buffer; `None` when the socket is empty.
    pub(crate) fn receive(&mut self, now: Time, index: usize) -> Option<Arrival> {
        loop {
            let Some(Kind::Port(port)) = self.slots[index].kind.as_mut() else {
                return None;
            };
            let got = match port.socket.notes() {
                Notes::None => port.socket.receive_plain(&mut self.buffer),
                Notes::Full => port.socket.receive(&mut self.buffer),
            };
            let received = match got {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_pending_error(&error) => {
                    self.collect_unreachable(now, index);
                    continue;
                }
                Err(_) => return None,
            };
            if let Some(drops) = received.drops {
                let new = drops.wrapping_sub(port.drops);
                port.drops = drops;
                Counters::add(&self.counters.receive_drops, new as usize);
            }
            Counters::add(&self.counters.bytes_received, received.length);
            match port.owner {
                Some((party, socket)) => {
                    let (local, media) = (port.socket.local(), port.media.is_some());
                    return Some(self.arrival(party, socket, media, local, received));
                }
                None => {
                    Counters::one(&self.counters.stray_packets);
                    // The next look tells of more: a flood of strays must not hold up the others.
                    if port.socket.notes() == Notes::None {
                        return None;
                    }
                }
            }
        }
    }

    /// Whether no more needs to be received from a media socket after a datagram of so many octets: it is empty, as most are that
    /// have one packet at a time, or the next look at the kernel tells that it is not. One that received an empty datagram is not
    /// asked any more: such a one may hide what stands behind it.
    pub(crate) fn is_drained(&mut self, index: usize, octets: usize) -> bool {
        let Some(port) = self.port_mut(index) else {
            return false;
        };
        match port.socket.notes() {
            Notes::None => true,
            Notes::Full => {
                port.hollow |= octets == 0;
                !port.hollow && port.socket.is_drained()
            }
        }
    }

    fn arrival(
        &self,
        party: PartyId,
        socket: SocketId,
        media: bool,
        mut local: SocketAddr,
        received: Received,
    ) -> Arrival {
        if let Some(ip) = received.to {
            local.set_ip(ip);
        }
        if media {
            Counters::one(&self.counters.packets_received);
        } else {
            Counters::one(&self.counters.datagrams_received);
        }
        Arrival {
            party,
            socket,
            media,
            flow: Flow {
                transport: Transport::Udp,
                local,
                remote: received.from,
            },
            length: received.length.min(self.buffer.len()),
            waited: received.waited,
            fate: Some(Fate::Received),
        }
    }

    /// Shows the datagram in the buffer to the tap, unless its sender did: `clear` is what was inside, decrypted.
    pub(crate) fn tap_arrival(&mut self, now: Time, arrival: &Arrival, clear: Option<&[u8]>) {
        let Some(fate) = arrival.fate.filter(|_| self.tapping.is_on()) else {
            return;
        };
        if self
            .tapping
            .is_own_datagram(now, arrival.flow.remote, &mut self.routes)
        {
            return;
        }
        let (carrier, bytes) = clear_or(&self.buffer[..arrival.length], clear);
        let (from, to) = (arrival.flow.remote, arrival.flow.local);
        self.tap(arrival.party, carrier, fate, from, to, bytes, None);
    }

    /// Takes ICMP errors off a socket and tells its owner.
    pub(super) fn collect_unreachable(&mut self, now: Time, index: usize) {
        let unreachable = self.port(index).map(|port| port.socket.take_errors());
        for remote in unreachable.into_iter().flatten() {
            self.tell_unreachable(now, index, remote);
        }
    }

    fn tell_unreachable(&mut self, now: Time, index: usize, remote: SocketAddr) {
        let Some(port) = self.port_mut(index) else { return };
        let Some((party, socket)) = port.owner else { return };
        if let Some(media) = port.media.as_mut() {
            if media
                .refused_at
                .is_some_and(|at| now.since(at) < REFUSAL_INTERVAL)
            {
                return;
            }
            media.refused_at = Some(now);
        }
        self.inbox
            .push_back((party, Input::Unreachable { socket, remote }));
    }

    /// Empties a socket of what came before its lease, errors too: most are empty, since the loop took what came while they rested,
    /// and that is asked for less than a try to receive costs.
    fn discard(&mut self, index: usize) {
        if self.port(index).is_some_and(|port| port.socket.has_nothing()) {
            return;
        }
        while let Some(Kind::Port(port)) = self.slots[index].kind.as_ref() {
            match port.socket.receive(&mut self.buffer) {
                Ok(_) => Counters::one(&self.counters.stray_packets),
                Err(error) if is_pending_error(&error) => drop(port.socket.take_errors()),
                Err(_) => {
                    // An error that was told before may still lie in its queue.
                    drop(port.socket.take_errors());
                    return;
                }
            }
        }
    }

    /// The address that a datagram carries as its source.
    pub(super) fn source(&mut self, mut local: SocketAddr, to: SocketAddr) -> SocketAddr {
        if local.ip().is_unspecified()
            && let Some(ip) = self.routes.source(self.clock.now(), to.ip())
        {
            local.set_ip(ip);
        }
        local
    }

    fn port(&self, index: usize) -> Option<&Port> {
        match self.slots.get(index)?.kind.as_ref()? {
            Kind::Port(port) => Some(port),
            Kind::Listener(_) | Kind::Connection(_) => None,
        }
    }

    fn port_mut(&mut self, index: usize) -> Option<&mut Port> {
        match self.slots.get_mut(index)?.kind.as_mut()? {
            Kind::Port(port) => Some(port),
            Kind::Listener(_) | Kind::Connection(_) => None,
        }
    }
}

fn clear_or(packet: &[u8], clear: Option<&[u8]>) -> (Carrier, Bytes) {
    match clear {
        Some(clear) => (Carrier::SrtpClear, Bytes::copy_from_slice(clear)),
        None => (Carrier::Udp, Bytes::copy_from_slice(packet)),
    }
}
