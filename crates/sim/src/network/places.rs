//! Who has which address, and where packets for an address go.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Network;
use super::ports::{Shared, Table};
use crate::host::{Host, HostError, wildcard};
use crate::nat::{Nat, Translator};
use crate::{HostId, NatId};

/// Who has a public address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Host(HostId),
    Nat(NatId),
}

/// Where a packet goes, as far as can be told when it sets out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To this host, without anybody between.
    Host(HostId),
    /// To this NAT, and if it lets the packet pass, to a host behind it.
    Nat(NatId),
    /// Nobody has the address.
    Nowhere,
    /// The address is there, and nobody listens: that is heard after this time.
    Refused(Duration),
}

impl Network {
    pub(crate) fn add_host(
        &mut self,
        name: &str,
        ip: IpAddr,
        nat: Option<NatId>,
    ) -> Result<HostId, HostError> {
        self.check_name(name)?;
        self.check_address(ip, nat)?;
        let id = HostId(self.hosts.len() as u32);
        self.hosts.push(Host::new(name, ip, nat));
        self.place(ip, nat, id);
        Ok(id)
    }

    pub(crate) fn add_address(&mut self, host: HostId, ip: IpAddr) -> Result<(), HostError> {
        let nat = self.host(host).nat;
        self.check_address(ip, nat)?;
        self.host_mut(host).ips.push(ip);
        self.place(ip, nat, host);
        Ok(())
    }

    pub(crate) fn add_nat(&mut self, name: &str, public: IpAddr, nat: Nat) -> Result<NatId, HostError> {
        self.check_name(name)?;
        self.check_address(public, None)?;
        let id = NatId(self.nats.len() as u32);
        self.nats.push((name.to_owned(), Translator::new(public, nat)));
        self.public.insert(public, Place::Nat(id));
        Ok(id)
    }

    pub(super) fn translator(&self, nat: NatId) -> &Translator {
        &self.nats[nat.0 as usize].1
    }

    pub(super) fn translator_mut(&mut self, nat: NatId) -> &mut Translator {
        &mut self.nats[nat.0 as usize].1
    }

    /// The address that a packet carries as its source; `None` where there is no route.
    pub(super) fn source(&self, host: HostId, local: SocketAddr, to: IpAddr) -> Option<SocketAddr> {
        let host = self.host(host);
        if wildcard(local.ip()) != wildcard(to) {
            return None;
        }
        let ip = if local.ip().is_unspecified() {
            host.source_towards(to)?
        } else {
            local.ip()
        };
        // A loopback address is no source on a network, and nobody outside has one.
        (!ip.is_loopback() || host.has(to)).then(|| SocketAddr::new(ip, local.port()))
    }

    /// Where packets of `host` for `to` go.
    pub(super) fn route(&self, host: HostId, table: Table, to: SocketAddr) -> Route {
        match self.shared_at(table, to) {
            Some(Shared::Host(holder)) => return Route::Host(holder),
            Some(Shared::Nobody) => return Route::Refused(2 * self.links.default_latency()),
            None => {}
        }
        let to = to.ip();
        if self.host(host).has(to) {
            return Route::Host(host);
        }
        if let Some(nat) = self.host(host).nat
            && let Some(neighbour) = self.translator(nat).inside.get(&to)
        {
            return Route::Host(*neighbour);
        }
        match self.public.get(&to) {
            Some(Place::Host(host)) => Route::Host(*host),
            Some(Place::Nat(nat)) => Route::Nat(*nat),
            None => Route::Nowhere,
        }
    }

    /// The NAT that a packet of `host` for `to` leaves through.
    pub(super) fn gateway(&self, host: HostId, to: IpAddr) -> Option<NatId> {
        let nat = self.host(host).nat?;
        let stays = self.host(host).has(to) || self.translator(nat).inside.contains_key(&to);
        (!stays).then_some(nat)
    }

    fn place(&mut self, ip: IpAddr, nat: Option<NatId>, host: HostId) {
        match nat {
            Some(nat) => {
                self.translator_mut(nat).inside.insert(ip, host);
            }
            None => {
                self.public.insert(ip, Place::Host(host));
            }
        }
    }

    fn check_name(&self, name: &str) -> Result<(), HostError> {
        let mut names = self
            .hosts
            .iter()
            .map(|host| &host.name)
            .chain(self.nats.iter().map(|(name, _)| name));
        if names.any(|other| other == name) {
            return Err(HostError::NameInUse {
                name: name.to_owned(),
            });
        }
        Ok(())
    }

    fn check_address(&self, ip: IpAddr, nat: Option<NatId>) -> Result<(), HostError> {
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
            return Err(HostError::NotAnAddress { ip });
        }
        let place = match nat {
            Some(nat) => self.translator(nat).inside.get(&ip).copied().map(Place::Host),
            None => self.public.get(&ip).copied(),
        };
        let holder = match place {
            Some(Place::Host(host)) => self.host(host).name.clone(),
            Some(Place::Nat(nat)) => self.nats[nat.0 as usize].0.clone(),
            None => return Ok(()),
        };
        Err(HostError::AddressInUse { ip, holder })
    }
}
