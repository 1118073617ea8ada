//! Recordings: a thread of their own, so that no disk delays a packet.

use std::fs::OpenOptions;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use callwright_media::wav;

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

/// What is to be written.
#[derive(Debug)]
pub(super) enum Piece {
    /// Stereo samples at 8,000 Hz, interleaved.
    Samples(Box<[i16]>),
}

/// A recording under way; the file is complete when this is dropped.
#[derive(Debug)]
pub(super) struct Recording {
    sender: Option<Sender<Piece>>,
    writer: Option<JoinHandle<()>>,
}

/// Begins recordings.
#[derive(Debug, Default)]
pub(super) struct Recorder;

impl Recorder {
    /// Creates the file and a writer for it.
    pub(super) fn begin(&self, path: &Path) -> Result<Recording, RecordError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => RecordError::Exists(path.to_owned()),
                _ => RecordError::Create {
                    path: path.to_owned(),
                    error,
                },
            })?;
        let create = |error| RecordError::Create {
            path: path.to_owned(),
            error,
        };
        let mut wav = wav::Recorder::new(BufWriter::new(file)).map_err(create)?;
        let (sender, pieces) = mpsc::channel();
        let shown = path.display().to_string();
        let writer = std::thread::Builder::new()
            .name("callwright-rec".into())
            .spawn(move || {
                for piece in pieces {
                    let Piece::Samples(samples) = piece;
                    let (sent, heard): (Vec<_>, Vec<_>) =
                        samples.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip();
                    if let Err(error) = wav.push(&sent, &heard) {
                        tracing::error!("the recording {shown} ends early: {error}");
                        return;
                    }
                }
                if let Err(error) = wav.finish() {
                    tracing::error!("the recording {shown} is not complete: {error}");
                }
            })
            .map_err(create)?;
        Ok(Recording {
            sender: Some(sender),
            writer: Some(writer),
        })
    }
}

impl Recording {
    pub(super) fn sender(&self) -> Sender<Piece> {
        // Taken only by `drop`.
        self.sender.clone().unwrap_or_else(|| mpsc::channel().0)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of a recording ended by a panic");
        }
    }
}
