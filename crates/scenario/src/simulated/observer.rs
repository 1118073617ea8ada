//! Who looks at every packet of a simulated world: the rules of the protocols, and a capture.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callwright_capture::PcapngWriter;
use callwright_capture::rules::{Disturbance, Rules, RulesConfig, Tally, Violation};
use callwright_wire::{Epoch, Residue, Tap, TapRecord, Time};

use super::{SimulatedWorld, lock};
use crate::position::Causes;
use crate::real::CaptureError;

/// The packets of one simulated world.
#[derive(Debug)]
pub struct Episode {
    /// The names of its parties.
    names: Vec<String>,
    records: Vec<TapRecord>,
}

/// What looks at a world.
pub(super) struct Seen {
    rules: Rules,
    /// All packets, where somebody wants them.
    records: Option<Vec<TapRecord>>,
}

impl Seen {
    /// Something was done to the world on purpose.
    pub(super) fn disturbed(&mut self, now: Time, disturbance: Disturbance) {
        self.rules.disturbed(now, disturbance);
    }

    /// Packets may take so long.
    pub(super) fn allow_transit(&mut self, transit: Duration) {
        self.rules.allow_transit(transit);
    }

    /// A party may break rules from now on: a script makes its messages.
    pub(super) fn exempt(&mut self, party: u32) {
        self.rules.exempt(party);
    }
}

struct Eye(Arc<Mutex<Seen>>);

impl Tap for Eye {
    fn record(&mut self, record: TapRecord) {
        let mut seen = lock(&self.0);
        seen.rules.observe(&record);
        if let Some(records) = &mut seen.records {
            records.push(record);
        }
    }
}

/// A look at a world.
pub(crate) struct Observing(Arc<Mutex<Seen>>);

impl SimulatedWorld {
    /// Looks at every packet from now on, and keeps them all where `keep` says so.
    pub(crate) fn observe(&self, keep: bool) -> Observing {
        let seen = Arc::new(Mutex::new(Seen {
            rules: Rules::new(RulesConfig::default()),
            records: keep.then(Vec::new),
        }));
        *lock(&self.shared.seen) = Some(seen.clone());
        let link = self.shared.core().first_link.clone();
        self.allow_transit_of(&link);
        self.set_tap(Some(Box::new(Eye(seen.clone()))));
        Observing(seen)
    }
}

impl Observing {
    /// All is over: the rules that were broken, and how often each was looked at.
    pub(crate) fn verdict(&self, now: Time, left: &[(u32, String, Residue)]) -> (Vec<Violation>, Vec<Tally>) {
        let mut seen = lock(&self.0);
        seen.rules.finish(now, left);
        (seen.rules.take_violations(), seen.rules.tally())
    }

    /// What was kept.
    pub(crate) fn episode(&self, world: &SimulatedWorld) -> Option<Episode> {
        let records = lock(&self.0).records.take()?;
        let names = (0..)
            .map_while(|party| world.name(party))
            .map(|name| name.to_string())
            .collect();
        Some(Episode { names, records })
    }
}

/// A capture of a simulated run: one file of all its worlds, one after the other.
pub struct SimulatedCapture {
    path: PathBuf,
    /// Until the end, or until writing fails.
    writer: Mutex<std::io::Result<PcapngWriter<BufWriter<File>>>>,
    /// The names of all parties of all worlds.
    names: Arc<Mutex<Vec<String>>>,
    /// When the next world begins: the file has one calendar, and each world comes after the one before it.
    begins: Mutex<Time>,
}

impl SimulatedCapture {
    /// Begins a new file, or one over an old one. `causes` tells which line of a script led to a message.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn start(path: &Path, causes: Arc<Causes>) -> Result<Arc<Self>, CaptureError> {
        let failed = |error| CaptureError::Write {
            path: path.to_owned(),
            error,
        };
        let names: Arc<Mutex<Vec<String>>> = Arc::default();
        let known = names.clone();
        let writer = PcapngWriter::new(
            BufWriter::new(File::create(path).map_err(failed)?),
            Epoch::SIMULATED,
            move |party| lock(&known).get(party as usize).cloned(),
            move |cause| causes.step(cause).map(|step| step.to_string()),
        )
        .map_err(failed)?;
        Ok(Arc::new(SimulatedCapture {
            path: path.to_owned(),
            writer: Mutex::new(Ok(writer)),
            names,
            begins: Mutex::new(Time::ZERO),
        }))
    }

    /// Writes the packets of a world.
    pub fn take(&self, episode: Episode) {
        let first = {
            let mut names = lock(&self.names);
            let first = u32::try_from(names.len()).unwrap_or(u32::MAX);
            names.extend(episode.names);
            first
        };
        let mut begins = lock(&self.begins);
        let begin = *begins;
        let mut writing = lock(&self.writer);
        for mut record in episode.records {
            record.party = record.party.saturating_add(first);
            record.time = begin + record.time.since(Time::ZERO);
            *begins = record.time;
            if let Ok(writer) = &mut *writing
                && let Err(error) = writer.write(&record)
            {
                *writing = Err(error);
            }
        }
        // At a full second, so that times can be compared with those of the reports.
        *begins = Time::from_secs(begins.as_nanos().div_ceil(1_000_000_000) + 1);
    }

    /// Closes the file.
    ///
    /// # Errors
    /// When it could not be written whole.
    pub fn finish(self: Arc<Self>) -> Result<(), CaptureError> {
        let ended = Err(std::io::Error::other("it was closed"));
        let writing = std::mem::replace(
            &mut *self.writer.lock().unwrap_or_else(PoisonError::into_inner),
            ended,
        );
        writing
            .and_then(PcapngWriter::finish)
            .map(|_| ())
            .map_err(|error| CaptureError::Write {
                path: self.path.clone(),
                error,
            })
    }
}
