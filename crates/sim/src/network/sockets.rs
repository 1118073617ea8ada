//! Ports: bound, leased in pairs, given back.

use std::net::{IpAddr, SocketAddr};

use callwright_wire::{BindError, BindErrorKind, Input, SocketId, SocketUse, Time, Transport};

use super::ports::Table;
use super::{Due, Leaving, Network};
use crate::arena::Key;
use crate::{HostId, PartyId};

/// A UDP socket or a listener.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) host: HostId,
    pub(super) local: SocketAddr,
    /// `None` while it rests in a pool.
    pub(super) owner: Option<(PartyId, SocketId)>,
    pub(super) role: Role,
}

impl Socket {
    /// What a listener waits for; `None` for what is no listener.
    pub(super) fn transport(&self) -> Option<Transport> {
        match self.role {
            Role::Listener(transport) => Some(transport),
            Role::Signalling | Role::Media(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// SIP in datagrams.
    Signalling,
    /// Waits for connections of this transport.
    Listener(Transport),
    Media(Media),
}

impl Role {
    fn table(self) -> Table {
        match self {
            Role::Signalling | Role::Media(_) => Table::Udp,
            Role::Listener(_) => Table::Tcp,
        }
    }
}

/// One of a pair of media sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Media {
    /// The other one; `None` only while the pair is being made.
    partner: Option<Key>,
    /// Came from the pool and goes back there.
    pooled: bool,
    /// When an ICMP error was told last.
    pub(super) refused_at: Option<Time>,
}

/// A request for media ports that waits until a pair has rested.
#[derive(Debug)]
pub(super) struct Postponed {
    party: PartyId,
    rtp: SocketId,
    rtcp: SocketId,
    local: SocketAddr,
}

impl Network {
    /// Opens what a node asked for.
    pub(super) fn bind(&mut self, party: PartyId, socket: SocketId, local: SocketAddr, usage: SocketUse) {
        let bound = match usage {
            _ if self.numbers_are_taken(party, socket, usage) => Err(BindErrorKind::Other {
                detail: format!("the node uses socket number {} already", socket.0),
            }),
            _ if !self.is_local(party, local.ip()) => Err(BindErrorKind::NoSuchAddress),
            SocketUse::Signalling(transport) => self.bind_one(party, socket, local, transport).map(Some),
            SocketUse::Media { rtcp } => self.lease(party, socket, rtcp, local),
        };
        let input = match bound {
            Ok(Some(local)) => Input::Bound { socket, local },
            // Answered when a pair has rested.
            Ok(None) => return,
            Err(kind) => Input::BindFailed {
                socket,
                error: BindError { local, kind },
            },
        };
        self.inbox.push_back((party, input));
    }

    /// Closes what a node opened. A pair of media ports rests.
    pub(super) fn unbind(&mut self, party: PartyId, socket: SocketId) {
        self.postponed
            .retain(|wait| (wait.party, wait.rtp) != (party, socket));
        if let Some(key) = self.owners.get(&(party, socket)).copied() {
            self.close_socket(key, Leaving::Orderly);
        }
    }

    /// Closes all sockets of a party. Those of a process that is gone do not rest.
    pub(super) fn close_sockets(&mut self, party: PartyId, leaving: Leaving) {
        self.postponed.retain(|wait| wait.party != party);
        let of_party = (party, SocketId(0))..=(party, SocketId(u32::MAX));
        while let Some((_, key)) = self.owners.range(of_party.clone()).next() {
            self.close_socket(*key, leaving);
        }
    }

    /// Takes the pool of a host away with the host.
    pub(crate) fn close_pool(&mut self, host: HostId) {
        for pool in std::mem::take(&mut self.host_mut(host).media).into_values() {
            for rtp in pool.into_pairs() {
                self.drop_pair(rtp);
            }
        }
    }

    pub(super) fn retry_leases(&mut self) {
        for wait in std::mem::take(&mut self.postponed) {
            self.bind(
                wait.party,
                wait.rtp,
                wait.local,
                SocketUse::Media { rtcp: wait.rtcp },
            );
        }
    }

    fn numbers_are_taken(&self, party: PartyId, socket: SocketId, usage: SocketUse) -> bool {
        let is_taken = |socket| self.owners.contains_key(&(party, socket));
        match usage {
            SocketUse::Signalling(_) => is_taken(socket),
            SocketUse::Media { rtcp } => rtcp == socket || is_taken(socket) || is_taken(rtcp),
        }
    }

    fn is_local(&self, party: PartyId, ip: IpAddr) -> bool {
        ip.is_unspecified() || self.host(self.seat(party).host).has(ip)
    }

    fn bind_one(
        &mut self,
        party: PartyId,
        socket: SocketId,
        local: SocketAddr,
        transport: Transport,
    ) -> Result<SocketAddr, BindErrorKind> {
        let host = self.seat(party).host;
        let role = match transport {
            Transport::Udp => Role::Signalling,
            Transport::Tcp | Transport::Tls => Role::Listener(transport),
        };
        let table = role.table();
        let local = match local.port() {
            0 => {
                let port = self
                    .ephemeral(host, table, local.ip())
                    .ok_or(BindErrorKind::Other {
                        detail: "every ephemeral port of this host is in use".into(),
                    })?;
                SocketAddr::new(local.ip(), port)
            }
            _ => local,
        };
        if let Some(holder) = self.holder(host, table, local) {
            return Err(self.in_use(holder));
        }
        let key = self.open(host, local, role);
        self.own(key, party, socket);
        Ok(local)
    }

    /// Leases a pair of media sockets; `None` when the answer comes later.
    fn lease(
        &mut self,
        party: PartyId,
        rtp: SocketId,
        rtcp: SocketId,
        local: SocketAddr,
    ) -> Result<Option<SocketAddr>, BindErrorKind> {
        let host = self.seat(party).host;
        let pair = if local.port() == 0 {
            match self.pooled_pair(host, local.ip()) {
                Ok(pair) => pair,
                Err(None) => return Err(BindErrorKind::NoMediaPorts),
                Err(Some(rested_at)) => {
                    self.postponed.push_back(Postponed {
                        party,
                        rtp,
                        rtcp,
                        local,
                    });
                    self.agenda.put(rested_at, Due::Lease);
                    return Ok(None);
                }
            }
        } else {
            self.named_pair(host, local)?
        };
        let Some((leader, partner)) = self.pair(pair) else {
            return Err(BindErrorKind::NoMediaPorts);
        };
        self.own(leader, party, rtp);
        self.own(partner, party, rtcp);
        Ok(self.sockets.get(leader).map(|socket| socket.local))
    }

    /// A pair that has rested or is new; else when the next one will have rested.
    fn pooled_pair(&mut self, host: HostId, ip: IpAddr) -> Result<Key, Option<Time>> {
        let now = self.now;
        if let Some(pair) = self.pool(host, ip).lease(now) {
            return Ok(pair);
        }
        match self.new_pair(host, ip) {
            Some(port) => Ok(self.open_pair(host, SocketAddr::new(ip, port), true)),
            None => Err(self.pool(host, ip).rested_at()),
        }
    }

    fn named_pair(&mut self, host: HostId, local: SocketAddr) -> Result<Key, BindErrorKind> {
        let above = local.port().checked_add(1).ok_or(BindErrorKind::NoSuchAddress)?;
        for port in [local.port(), above] {
            if let Some(holder) = self.holder(host, Table::Udp, SocketAddr::new(local.ip(), port)) {
                return Err(self.in_use(holder));
            }
        }
        Ok(self.open_pair(host, local, false))
    }

    fn open_pair(&mut self, host: HostId, local: SocketAddr, pooled: bool) -> Key {
        let single = Media {
            partner: None,
            pooled,
            refused_at: None,
        };
        let rtp = self.open(host, local, Role::Media(single));
        let above = SocketAddr::new(local.ip(), local.port() + 1);
        let rtcp = self.open(host, above, Role::Media(single));
        for (one, other) in [(rtp, rtcp), (rtcp, rtp)] {
            if let Some(socket) = self.sockets.get_mut(one) {
                socket.role = Role::Media(Media {
                    partner: Some(other),
                    ..single
                });
            }
        }
        rtp
    }

    /// The two of a pair, RTP first.
    fn pair(&self, one: Key) -> Option<(Key, Key)> {
        let socket = self.sockets.get(one)?;
        let Role::Media(media) = socket.role else {
            return None;
        };
        let other = media.partner?;
        let leads = self.sockets.get(other)?.local.port() > socket.local.port();
        Some(if leads { (one, other) } else { (other, one) })
    }

    fn close_socket(&mut self, key: Key, leaving: Leaving) {
        let Some(socket) = self.sockets.get(key) else {
            return;
        };
        let (host, ip) = (socket.host, socket.local.ip());
        let pooled = match socket.role {
            Role::Media(media) => media.pooled && leaving == Leaving::Orderly,
            Role::Signalling | Role::Listener(_) => {
                self.drop_socket(key);
                return;
            }
        };
        if !pooled {
            self.drop_pair(key);
            return;
        }
        let Some((rtp, rtcp)) = self.pair(key) else { return };
        self.disown(rtp);
        self.disown(rtcp);
        let until = self.now + self.config.media_port_rest;
        self.pool(host, ip).rest(until, rtp);
    }

    fn drop_pair(&mut self, one: Key) {
        if let Some((rtp, rtcp)) = self.pair(one) {
            self.drop_socket(rtp);
            self.drop_socket(rtcp);
        }
    }

    fn open(&mut self, host: HostId, local: SocketAddr, role: Role) -> Key {
        let key = self.sockets.insert(Socket {
            host,
            local,
            owner: None,
            role,
        });
        self.enter(host, role.table(), local, key);
        key
    }

    fn drop_socket(&mut self, key: Key) {
        self.disown(key);
        if let Some(socket) = self.sockets.remove(key) {
            self.release(socket.host, socket.role.table(), socket.local);
        }
    }

    fn own(&mut self, key: Key, party: PartyId, number: SocketId) {
        let host = self.seat(party).host;
        if let Some(socket) = self.sockets.get_mut(key) {
            socket.owner = Some((party, number));
            // A pair of media ports at a loopback address that is shared may have rested since another host had it.
            socket.host = host;
        }
        self.owners.insert((party, number), key);
    }

    fn disown(&mut self, key: Key) {
        if let Some(owner) = self.sockets.get_mut(key).and_then(|socket| socket.owner.take()) {
            self.owners.remove(&owner);
        }
    }

    fn in_use(&self, holder: Key) -> BindErrorKind {
        let owner = self.sockets.get(holder).and_then(|socket| socket.owner);
        BindErrorKind::InUse {
            holder: Some(match owner {
                Some((party, _)) => self.seat(party).name.to_string(),
                None => "media ports that rest".to_owned(),
            }),
        }
    }
}
