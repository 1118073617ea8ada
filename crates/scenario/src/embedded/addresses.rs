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
}

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

    /// The agent whose packet it is: its sender, or who received it from an outsider.
    pub(crate) fn party(&self, record: &TapRecord) -> u32 {
        let own = match record.fate {
            Fate::Received => record.destination,
            Fate::Sent | Fate::Lost | Fate::Duplicated => record.source,
        };
        let table = self.lock();
        let agent = match record.carrier {
            Carrier::Udp | Carrier::SrtpClear => table.datagrams.get(&own),
            Carrier::Tcp | Carrier::TlsClear => table.streams.get(&own),
        };
        agent.map_or(u32::MAX, |agent| agent.0)
    }

    pub(crate) fn name_of(&self, party: u32) -> String {
        self.lock()
            .names
            .get(&PhoneId(party))
            .cloned()
            .unwrap_or_else(|| "callwright".into())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
