//! `--capture`: every packet of a run in one pcapng file, an interface for each agent.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callwright_capture::PcapngWriter;
use callwright_net::{BufferedTap, TapDrain};
use callwright_ua::UserAgentId;
use callwright_wire::{Carrier, Fate, Tap, TapRecord, Transport};

use crate::position::Causes;
use crate::world::World as _;

use super::RealWorld;

/// How many packets may wait for the disk: four seconds of a thousand calls.
const WAITING: usize = 400_000;

/// Who sends from where, and what it is called.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// A datagram socket and a stream of one number may belong to two agents.
    datagrams: BTreeMap<SocketAddr, UserAgentId>,
    streams: BTreeMap<SocketAddr, UserAgentId>,
    names: BTreeMap<UserAgentId, String>,
}

impl Table {
    fn agent(&self, transport: Transport, address: SocketAddr) -> Option<UserAgentId> {
        let agents = match transport {
            Transport::Udp => &self.datagrams,
            Transport::Tcp | Transport::Tls => &self.streams,
        };
        agents.get(&address).copied()
    }
}

impl Addresses {
    pub(super) fn insert(&self, transport: Transport, address: SocketAddr, agent: UserAgentId) {
        let mut table = self.lock();
        match transport {
            Transport::Udp => table.datagrams.insert(address, agent),
            Transport::Tcp | Transport::Tls => table.streams.insert(address, agent),
        };
    }

    pub(super) fn name(&self, agent: UserAgentId, name: String) {
        self.lock().names.insert(agent, name);
    }

    /// The agent that has an address now.
    pub(super) fn agent(&self, transport: Transport, address: SocketAddr) -> Option<UserAgentId> {
        self.lock().agent(transport, address)
    }

    /// The agent whose packet it is: its sender, or who received it from an outsider.
    fn party(&self, record: &TapRecord) -> u32 {
        let transport = match record.carrier {
            Carrier::Udp | Carrier::SrtpClear => Transport::Udp,
            Carrier::Tcp | Carrier::TlsClear => Transport::Tcp,
        };
        let table = self.lock();
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

    /// The name of an agent in its scenario.
    pub(super) fn name_of(&self, party: u32) -> String {
        self.lock()
            .names
            .get(&UserAgentId(party))
            .cloned()
            .unwrap_or_else(|| "callwright".into())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names the agent of each record while its address is still that agent's.
struct Attributing {
    addresses: Arc<Addresses>,
    tap: BufferedTap,
}

impl Tap for Attributing {
    fn record(&mut self, mut record: TapRecord) {
        record.party = self.addresses.party(&record);
        self.tap.record(record);
    }
}

/// Why a capture cannot be made, or is not complete.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file.
    #[error("cannot write the capture {path}: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The disk was too slow.
    #[error("the capture {path} lacks {packets} packets: they came faster than they could be written")]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// How many.
        packets: u64,
    },
}

/// A capture under way.
pub struct Capture {
    path: PathBuf,
    drain: TapDrain<Writing>,
}

/// The file as the tap's thread holds it: until the end, or until writing fails.
type Writing = io::Result<PcapngWriter<BufWriter<File>>>;

impl Capture {
    /// Writes every packet of the world from now on to a new file, or over an old one. `causes` tells which line of the
    /// script led to a message.
    ///
    /// # Errors
    ///
    /// When the file cannot be created.
    pub fn start(world: &RealWorld, path: &Path, causes: Arc<Causes>) -> Result<Self, CaptureError> {
        let failed = |error| CaptureError::Write {
            path: path.to_owned(),
            error,
        };
        let out = BufWriter::new(File::create(path).map_err(failed)?);
        let addresses = world.shared.routes.addresses().clone();
        let names = addresses.clone();
        let writer = PcapngWriter::new(
            out,
            world.epoch(),
            move |party| Some(names.name_of(party)),
            move |cause| causes.step(cause).map(|step| step.to_string()),
        )
        .map_err(failed)?;
        let (tap, drain) = BufferedTap::start(WAITING, Ok(writer), |writing: &mut Writing, record| {
            let Ok(open) = writing else { return };
            let written = match record {
                Some(record) => open.write(&record),
                None => open.flush(),
            };
            if let Err(error) = written {
                *writing = Err(error);
            }
        })
        .map_err(failed)?;
        world.set_tap(Some(Box::new(Attributing { addresses, tap })));
        Ok(Capture {
            path: path.to_owned(),
            drain,
        })
    }

    /// Writes what is still waiting and closes the file.
    ///
    /// # Errors
    ///
    /// When it could not be written whole.
    pub fn finish(self, world: &RealWorld) -> Result<(), CaptureError> {
        drop(world.set_tap(None));
        let (writing, dropped) = self.drain.finish();
        if let Err(error) = writing.and_then(PcapngWriter::finish) {
            return Err(CaptureError::Write {
                path: self.path,
                error,
            });
        }
        match dropped {
            0 => Ok(()),
            packets => Err(CaptureError::Incomplete {
                path: self.path,
                packets,
            }),
        }
    }
}
