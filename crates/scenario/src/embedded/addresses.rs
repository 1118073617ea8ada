//! Who sends from where.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use callwright_wire::{Carrier, Fate, TapRecord, Transport};

use super::PhoneId;

/// Who sends from where, and what it is called.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// A datagram socket and a stream of one number may belong to two agents.
    datagrams: BTreeMap<SocketAddr, PhoneId>,
    streams: BTreeMap<SocketAddr, PhoneId>,
    names: BTreeMap<PhoneId, String>,
    /// By the number of their party.
    servers: BTreeMap<u32, String>,
}

impl Table {
    fn agent(&self, transport: Transport, address: SocketAddr) -> Option<PhoneId> {
        let agents = match transport {
            Transport::Udp => &self.datagrams,
            Transport::Tcp | Transport::Tls => &self.streams,
        };
        agents.get(&address).copied()
    }
}

/// The numbers of servers in a capture stand above those of agents.
const SERVERS: u32 = 1 << 31;

impl Addresses {
    pub(crate) fn insert(&self, transport: Transport, address: SocketAddr, agent: PhoneId) {
        let mut table = self.lock();
        match transport {
            Transport::Udp => table.datagrams.insert(address, agent),
            Transport::Tcp | Transport::Tls => table.streams.insert(address, agent),
        };
    }

    pub(crate) fn name(&self, agent: PhoneId, name: String) {
        self.lock().names.insert(agent, name);
    }

    /// A server is a party of its own in the world.
    pub(crate) fn name_server(&self, party: u32, name: String) {
        self.lock().servers.insert(party, name);
    }

    /// The agent that has an address now.
    pub(crate) fn agent(&self, transport: Transport, address: SocketAddr) -> Option<PhoneId> {
        self.lock().agent(transport, address)
    }

    /// The agent or server whose packet it is: its sender, or who received it from an outsider.
    pub(crate) fn party(&self, record: &TapRecord) -> u32 {
        let transport = match record.carrier {
            Carrier::Udp | Carrier::SrtpClear => Transport::Udp,
            Carrier::Tcp | Carrier::TlsClear => Transport::Tcp,
        };
        let table = self.lock();
        if table.servers.contains_key(&record.party) {
            return SERVERS | record.party;
        }
        let receiver = table.agent(transport, record.destination);
        let agent = match record.fate {
            Fate::Received => receiver,
            // What an outsider sent may have been lost or held back on a link of ours, too.
            Fate::Sent | Fate::Lost | Fate::Delayed { .. } | Fate::Duplicated { .. } => {
                table.agent(transport, record.source).or(receiver)
            }
        };
        agent.map_or(u32::MAX, |agent| agent.0)
    }

    /// The name of an agent or server.
    pub(crate) fn name_of(&self, party: u32) -> String {
        let table = self.lock();
        let name = if party & SERVERS == 0 {
            table.names.get(&PhoneId(party))
        } else {
            table.servers.get(&(party & !SERVERS))
        };
        name.cloned().unwrap_or_else(|| "callwright".into())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
