//! In which tables a port stands: that of its host, that of the loopback addresses that all hosts share, or both.

use std::net::{IpAddr, SocketAddr};

use super::Network;
use crate::HostId;
use crate::arena::Key;
use crate::host::{Host, Loopback, MediaPool, Ports};

/// Whose ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Udp,
    Tcp,
}

/// Who has a shared loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    /// This host; or it had it, and is down.
    Host(HostId),
    Nobody,
}

impl Table {
    fn of(self, host: &Host) -> &Ports {
        match self {
            Table::Udp => &host.udp,
            Table::Tcp => &host.tcp,
        }
    }

    fn of_mut(self, host: &mut Host) -> &mut Ports {
        match self {
            Table::Udp => &mut host.udp,
            Table::Tcp => &mut host.tcp,
        }
    }

    fn shared(self, loopback: &Loopback) -> &Ports {
        match self {
            Table::Udp => &loopback.udp,
            Table::Tcp => &loopback.tcp,
        }
    }

    fn shared_mut(self, loopback: &mut Loopback) -> &mut Ports {
        match self {
            Table::Udp => &mut loopback.udp,
            Table::Tcp => &mut loopback.tcp,
        }
    }
}

impl Network {
    /// Who holds a port so that nobody else can have `local`.
    pub(super) fn holder(&self, host: HostId, table: Table, local: SocketAddr) -> Option<Key> {
        self.tables(host, table, local.ip())
            .find_map(|ports| ports.holder(local))
    }

    /// Whom a packet that is at `host` reaches there.
    pub(super) fn listener(&self, host: HostId, table: Table, local: SocketAddr) -> Option<Key> {
        self.table(host, table, local.ip()).at(local)
    }

    /// Who has a shared loopback address; `None` for an address that is not shared.
    pub(super) fn shared_at(&self, table: Table, to: SocketAddr) -> Option<Shared> {
        let loopback = self.loopback.as_ref().filter(|_| to.ip().is_loopback())?;
        let ports = table.shared(loopback);
        let holder = ports
            .at(to)
            .and_then(|key| Some(self.sockets.get(key)?.host))
            .or_else(|| ports.silent_at(to));
        Some(holder.map_or(Shared::Nobody, Shared::Host))
    }

    pub(super) fn enter(&mut self, host: HostId, table: Table, local: SocketAddr, socket: Key) {
        self.each_table(host, table, local.ip(), |ports| ports.bind(local, socket));
    }

    pub(super) fn release(&mut self, host: HostId, table: Table, local: SocketAddr) {
        self.each_table(host, table, local.ip(), |ports| ports.release(local));
        if !self.host(host).up
            && let Some(loopback) = &mut self.loopback
            && (local.ip().is_loopback() || local.ip().is_unspecified())
        {
            table.shared_mut(loopback).silence(local, host);
        }
    }

    /// The machine of a host runs again.
    pub(crate) fn start_host(&mut self, host: HostId) {
        self.host_mut(host).up = true;
        if let Some(loopback) = &mut self.loopback {
            loopback.udp.unsilence(host);
            loopback.tcp.unsilence(host);
        }
    }

    /// An ephemeral port that nobody holds.
    pub(super) fn ephemeral(&mut self, host: HostId, table: Table, ip: IpAddr) -> Option<u16> {
        let port = self
            .table(host, table, ip)
            .ephemeral()
            .find(|port| self.is_free(host, table, SocketAddr::new(ip, *port)))?;
        self.table_mut(host, table, ip).count_on(port);
        Some(port)
    }

    /// An ephemeral port for a connection.
    pub(super) fn lend(&mut self, host: HostId, ip: IpAddr) -> Option<u16> {
        let port = self.ephemeral(host, Table::Tcp, ip)?;
        self.table_mut(host, Table::Tcp, ip).lend(port);
        Some(port)
    }

    /// The connection from this address is no more.
    pub(super) fn take_back(&mut self, host: HostId, local: SocketAddr) {
        self.table_mut(host, Table::Tcp, local.ip())
            .take_back(local.port());
    }

    /// The pairs of media ports that rest at an address.
    pub(super) fn pool(&mut self, host: HostId, ip: IpAddr) -> &mut MediaPool {
        let media = match &mut self.loopback {
            Some(loopback) if ip.is_loopback() => &mut loopback.media,
            Some(_) | None => &mut self.hosts[host.0 as usize].media,
        };
        media.entry(ip).or_default()
    }

    /// An even port that is free together with the one above.
    pub(super) fn new_pair(&mut self, host: HostId, ip: IpAddr) -> Option<u16> {
        let range = self.config.media_ports.clone();
        let is_free = |port: u16| self.is_free(host, Table::Udp, SocketAddr::new(ip, port));
        let candidates = {
            let media = match &self.loopback {
                Some(loopback) if ip.is_loopback() => &loopback.media,
                Some(_) | None => &self.host(host).media,
            };
            media.get(&ip).unwrap_or(&MediaPool::default()).new_pairs(&range)
        };
        let port = candidates
            .into_iter()
            .find(|port| is_free(*port) && is_free(*port + 1))?;
        self.pool(host, ip).count_on(port);
        Some(port)
    }

    fn is_free(&self, host: HostId, table: Table, local: SocketAddr) -> bool {
        self.tables(host, table, local.ip())
            .all(|ports| ports.is_free(local))
    }

    /// The table that decides about an address; for a wildcard, that of the host.
    fn table(&self, host: HostId, table: Table, ip: IpAddr) -> &Ports {
        match &self.loopback {
            Some(loopback) if ip.is_loopback() => table.shared(loopback),
            Some(_) | None => table.of(self.host(host)),
        }
    }

    fn table_mut(&mut self, host: HostId, table: Table, ip: IpAddr) -> &mut Ports {
        match &mut self.loopback {
            Some(loopback) if ip.is_loopback() => table.shared_mut(loopback),
            Some(_) | None => table.of_mut(&mut self.hosts[host.0 as usize]),
        }
    }

    /// Every table that a socket at this address stands in.
    fn tables(&self, host: HostId, table: Table, ip: IpAddr) -> impl Iterator<Item = &Ports> {
        let second = self.loopback.as_ref().filter(|_| ip.is_unspecified());
        std::iter::once(self.table(host, table, ip)).chain(second.map(|loopback| table.shared(loopback)))
    }

    fn each_table(&mut self, host: HostId, table: Table, ip: IpAddr, mut act: impl FnMut(&mut Ports)) {
        act(self.table_mut(host, table, ip));
        if let Some(loopback) = self.loopback.as_mut().filter(|_| ip.is_unspecified()) {
            act(table.shared_mut(loopback));
        }
    }
}
