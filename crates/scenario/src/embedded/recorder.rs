//! Recordings: one thread writes them all, so that no disk delays a packet.

mod mix;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use callwright_media::wav;
use callwright_ua::CallKey;
use callwright_wire::Time;

use mix::Mix;

/// How many pieces may wait for the disk: a second of two thousand calls.
const WAITING: usize = 10_000;

/// Why a recording cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// Recordings never overwrite anything.
    #[error("{0} exists already; recordings never overwrite a file")]
    Exists(PathBuf),
    /// The system refused.
    #[error("cannot write {path}: {error}")]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The number of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RecordingId(u64);

/// What the writer is told.
enum Order {
    Begin(RecordingId, Box<Writing>),
    Piece {
        to: RecordingId,
        call: CallKey,
        at: Time,
        samples: Arc<[i16]>,
    },
    /// The file is complete when the sender is dropped.
    End(RecordingId, SyncSender<()>),
}

/// A file under way.
struct Writing {
    shown: String,
    wav: wav::Recorder<BufWriter<File>>,
    mix: Mix,
}

/// Begins recordings.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    writer: Mutex<Option<Writer>>,
    so_far: AtomicU64,
    /// Time stands still while the disk is busy: nothing is left out.
    patient: bool,
}

#[derive(Debug)]
struct Writer {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// A recording under way; the file is complete when this is dropped.
#[derive(Debug)]
pub(crate) struct Recording {
    tape: Tape,
    shown: String,
}

/// Where the audio of a recording goes.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    id: RecordingId,
    orders: SyncSender<Order>,
    lost: Arc<AtomicU64>,
    patient: bool,
}

impl Recorder {
    /// One that waits for the disk rather than leave something out: for a world whose time can stand still.
    pub(crate) fn patient() -> Self {
        Recorder {
            patient: true,
            ..Recorder::default()
        }
    }

    /// Creates the file.
    pub(crate) fn begin(&self, path: &Path) -> Result<Recording, RecordError> {
        let create = |error| RecordError::Create {
            path: path.to_owned(),
            error,
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => RecordError::Exists(path.to_owned()),
                _ => create(error),
            })?;
        let orders = self.orders().map_err(create)?;
        let id = RecordingId(self.so_far.fetch_add(1, Ordering::Relaxed));
        let shown = path.display().to_string();
        let writing = Writing {
            shown: shown.clone(),
            wav: wav::Recorder::new(BufWriter::new(file)).map_err(create)?,
            mix: Mix::default(),
        };
        orders
            .send(Order::Begin(id, Box::new(writing)))
            .map_err(|_| create(io::Error::other("the writer of recordings has ended")))?;
        let lost = Arc::default();
        Ok(Recording {
            tape: Tape {
                id,
                orders,
                lost,
                patient: self.patient,
            },
            shown,
        })
    }

    fn orders(&self) -> io::Result<SyncSender<Order>> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = writer.as_ref().and_then(|writer| writer.orders.clone()) {
            return Ok(orders);
        }
        let (orders, given) = mpsc::sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("callwright-rec".into())
            .spawn(move || write(&given))?;
        *writer = Some(Writer {
            orders: Some(orders.clone()),
            thread: Some(thread),
        });
        Ok(orders)
    }
}

fn write(orders: &Receiver<Order>) {
    let mut files: BTreeMap<RecordingId, Box<Writing>> = BTreeMap::new();
    for order in orders {
        match order {
            Order::Begin(id, writing) => {
                files.insert(id, writing);
            }
            Order::Piece {
                to,
                call,
                at,
                samples,
            } => {
                // One that ended early takes no more.
                if let Some(writing) = files.get_mut(&to) {
                    writing.mix.add(call, at, &samples);
                    let ready = writing.mix.take_ready();
                    if !writing.push(&ready) {
                        files.remove(&to);
                    }
                }
            }
            Order::End(id, done) => {
                if let Some(mut writing) = files.remove(&id) {
                    let rest = writing.mix.take_all();
                    if writing.push(&rest)
                        && let Err(error) = writing.wav.finish()
                    {
                        tracing::error!("the recording {} is not complete: {error}", writing.shown);
                    }
                }
                drop(done);
            }
        }
    }
}

impl Writing {
    fn push(&mut self, frames: &[[i16; 2]]) -> bool {
        let (sent, heard): (Vec<_>, Vec<_>) = frames.iter().map(|[sent, heard]| (*sent, *heard)).unzip();
        match self.wav.push(&sent, &heard) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!("the recording {} ends early: {error}", self.shown);
                false
            }
        }
    }
}

impl Recording {
    pub(crate) fn tape(&self) -> Tape {
        self.tape.clone()
    }
}

impl Tape {
    /// Takes a piece of a call: stereo samples at 8,000 Hz, interleaved. Never blocks, unless it is patient.
    pub(crate) fn take(&self, call: CallKey, at: Time, samples: &Arc<[i16]>) {
        let piece = Order::Piece {
            to: self.id,
            call,
            at,
            samples: samples.clone(),
        };
        let taken = if self.patient {
            self.orders.send(piece).is_ok()
        } else {
            self.orders.try_send(piece).is_ok()
        };
        if !taken {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let (done, ended) = mpsc::sync_channel(0);
        if self.tape.orders.send(Order::End(self.tape.id, done)).is_ok() {
            // Nothing is ever sent: the wait is for the end of the sender.
            let _ = ended.recv();
        }
        let lost = self.tape.lost.load(Ordering::Relaxed);
        if lost > 0 {
            tracing::error!(
                "the recording {} lacks {lost} pieces: they came faster than they could be written",
                self.shown
            );
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of recordings ended by a panic");
        }
    }
}
