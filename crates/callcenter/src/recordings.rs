//! Recordings as files: stereo WAV, written by a thread of their own, so that no disk holds up a call.
//!
//! ```text
//!   network loop ──Intake──▶ bounded queue ──▶ writer thread ──▶ <time>-call-<n>.wav.part ──end──▶ <time>-call-<n>.wav
//!                                                   └──▶ RecordingStarted, RecordingEnded
//! ```
//!
//! A file that is not finished has the ending `.part`, and a header that is right for all but its last second. After a crash
//! [`repair`] finishes it, and has it stored that it ended with its last sample.

mod desk;
mod file;
mod repair;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use callwright_acd::{CallKey, Fact, Piece};
use callwright_wire::{Epoch, Time};

pub(crate) use desk::Desk;
pub(crate) use repair::repair;
use writer::Writer;

/// Samples that may wait for the disk: 32 MB, 16 minutes of one call or 10 seconds of 100.
const WAITING_SAMPLES: usize = 16 << 20;

/// Something for the writer to do.
#[derive(Debug)]
enum Job {
    Begin { call: CallKey, at: Time },
    Samples { call: CallKey, samples: Box<[i16]> },
    Silence { call: CallKey, frames: u64 },
    End { call: CallKey },
}

/// Where pieces of recordings go in; it never waits.
#[derive(Debug)]
pub(crate) struct Intake {
    jobs: Sender<Job>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
    /// Frames of each call that were dropped, because the disk is too slow, and that the file is to have as silence.
    dropped: BTreeMap<CallKey, u64>,
}

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Recordings {
    thread: JoinHandle<()>,
}

impl Recordings {
    /// Starts the thread. Files go into `folder`, which is made when the first one begins, and are named by the calendar; `tell` is
    /// given the facts of each, from the thread. It ends when the intake is gone, and finishes then what was not ended.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub(crate) fn start(
        folder: &Path,
        epoch: Epoch,
        tell: impl FnMut(Fact) + Send + 'static,
    ) -> std::io::Result<(Intake, Recordings)> {
        let (jobs, receiver) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut writer = Writer::new(folder, epoch, file::LONGEST, tell);
        let thread = {
            let waiting = Arc::clone(&waiting);
            let name = "recordings".to_owned();
            std::thread::Builder::new().name(name).spawn(move || {
                write(&receiver, &waiting, |job| writer.carry_out(job));
                writer.finish();
            })?
        };
        let intake = Intake {
            jobs,
            waiting,
            limit: WAITING_SAMPLES,
            dropped: BTreeMap::new(),
        };
        Ok((intake, Recordings { thread }))
    }

    /// Waits until everything is written; the intake is to be gone before.
    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!(
                "the thread that writes recordings ended by a bug: the last ones are finished at the next start"
            );
        }
    }
}

fn write(jobs: &Receiver<Job>, waiting: &AtomicUsize, mut carry_out: impl FnMut(Job)) {
    while let Ok(job) = jobs.recv() {
        let samples = if let Job::Samples { samples, .. } = &job {
            samples.len()
        } else {
            0
        };
        carry_out(job);
        waiting.fetch_sub(samples, Ordering::Relaxed);
    }
}

impl Intake {
    /// A recording begins.
    pub(crate) fn began(&self, call: CallKey, at: Time) {
        self.send(Job::Begin { call, at });
    }

    /// A piece of it.
    pub(crate) fn take(&mut self, call: CallKey, piece: Piece) {
        match piece {
            Piece::Samples(samples) => {
                if self.waiting.load(Ordering::Relaxed) + samples.len() > self.limit {
                    return self.drop_frames(call, samples.len() as u64 / 2);
                }
                self.fill_up(call);
                self.waiting.fetch_add(samples.len(), Ordering::Relaxed);
                self.send(Job::Samples { call, samples });
            }
            Piece::Silence { frames } if self.dropped.contains_key(&call) => self.drop_frames(call, frames),
            Piece::Silence { frames } => self.send(Job::Silence { call, frames }),
            Piece::Missing { frames } => self.drop_frames(call, frames),
            Piece::End { frames } => {
                self.fill_up(call);
                self.send(Job::End { call });
                tracing::debug!(call = call.0, frames, "recording ended");
            }
        }
    }

    fn drop_frames(&mut self, call: CallKey, frames: u64) {
        let dropped = self.dropped.entry(call).or_insert(0);
        if *dropped == 0 {
            tracing::warn!(
                call = call.0,
                "the disk is too slow for the recordings: there will be a hole in this one"
            );
        }
        *dropped += frames;
    }

    /// The file is as long as the talk, whatever was dropped.
    fn fill_up(&mut self, call: CallKey) {
        if let Some(frames) = self.dropped.remove(&call) {
            self.send(Job::Silence { call, frames });
        }
    }

    fn send(&self, job: Job) {
        // The thread ended only by a bug, which its end reports.
        let _ended = self.jobs.send(job);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn intake(limit: usize) -> (Intake, mpsc::Receiver<Job>) {
        let (jobs, receiver) = channel();
        let intake = Intake {
            jobs,
            waiting: Arc::default(),
            limit,
            dropped: BTreeMap::new(),
        };
        (intake, receiver)
    }

    #[test]
    fn what_a_slow_disk_cannot_take_is_silence_of_the_same_length() {
        let (mut intake, receiver) = intake(4_000);
        let call = CallKey(3);
        intake.began(call, Time::ZERO);
        for _ in 0..4 {
            intake.take(call, Piece::Samples(vec![1; 2_000].into()));
        }
        intake.take(call, Piece::Silence { frames: 500 });
        intake.take(call, Piece::End { frames: 4_500 });
        let mut frames = 0;
        let mut silent = 0;
        for job in receiver.try_iter() {
            match job {
                Job::Samples { samples, .. } => frames += samples.len() as u64 / 2,
                Job::Silence { frames, .. } => silent += frames,
                Job::Begin { .. } | Job::End { .. } => {}
            }
        }
        assert_eq!((frames, silent), (2_000, 2_500));
    }

    #[test]
    fn room_that_the_disk_makes_is_used_again() {
        let (mut intake, receiver) = intake(2_000);
        let call = CallKey(3);
        for round in 0..5 {
            intake.take(call, Piece::Samples(vec![round; 2_000].into()));
            let job = receiver.try_recv().expect("there was room");
            intake.waiting.store(0, Ordering::Relaxed);
            assert!(matches!(job, Job::Samples { samples, .. } if samples[0] == round));
        }
    }
}
