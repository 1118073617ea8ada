//! `--capture`: every packet of a run in one pcapng file, an interface for each agent.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use callwright_capture::PcapngWriter;
use callwright_net::{BufferedTap, TapDrain};
use callwright_wire::{Cause, Epoch, Tap, TapRecord};

use crate::embedded::Addresses;
use crate::position::Causes;
use crate::world::World as _;

use super::RealWorld;

/// How many packets may wait for the disk: four seconds of a thousand calls.
const WAITING: usize = 400_000;

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
        let addresses = world.shared.routes.addresses().clone();
        let names = addresses.clone();
        let (capture, tap) = Capture::open(
            path,
            world.epoch(),
            move |party| Some(names.name_of(party)),
            move |cause| causes.step(cause).map(|step| step.to_string()),
        )?;
        world.set_tap(Some(Box::new(Attributing { addresses, tap })));
        Ok(capture)
    }

    /// A new file, or an old one written over, and the tap that fills it: for a world of the caller's own. `name_of` names
    /// the interface of each party, `comment_of` what caused a packet.
    ///
    /// # Errors
    ///
    /// When the file cannot be created.
    pub fn open(
        path: &Path,
        epoch: Epoch,
        name_of: impl Fn(u32) -> Option<String> + Send + 'static,
        comment_of: impl Fn(Cause) -> Option<String> + Send + 'static,
    ) -> Result<(Self, BufferedTap), CaptureError> {
        let failed = |error| CaptureError::Write {
            path: path.to_owned(),
            error,
        };
        let out = BufWriter::new(File::create(path).map_err(failed)?);
        let writer = PcapngWriter::new(out, epoch, name_of, comment_of).map_err(failed)?;
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
        let path = path.to_owned();
        Ok((Capture { path, drain }, tap))
    }

    /// Writes what is still waiting and closes the file.
    ///
    /// # Errors
    ///
    /// When it could not be written whole.
    pub fn finish(self, world: &RealWorld) -> Result<(), CaptureError> {
        drop(world.set_tap(None));
        self.close()
    }

    /// The same of a capture in a world of the caller's own, whose tap is gone.
    ///
    /// # Errors
    ///
    /// When it could not be written whole.
    pub fn close(self) -> Result<(), CaptureError> {
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
