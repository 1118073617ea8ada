//! What the thread does with the pieces of recordings.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callwright_acd::{CallKey, Fact};
use callwright_wire::{Epoch, Time};

use super::Job;
use super::file::RecordingFile;

/// The recordings that are being written.
pub(super) struct Writer<T> {
    folder: PathBuf,
    epoch: Epoch,
    longest: u64,
    open: BTreeMap<CallKey, Open>,
    tell: T,
}

struct Open {
    file: RecordingFile,
    name: String,
    began: Time,
}

impl<T: FnMut(Fact)> Writer<T> {
    pub(super) fn new(folder: &Path, epoch: Epoch, longest: u64, tell: T) -> Writer<T> {
        Writer {
            folder: folder.to_owned(),
            epoch,
            longest,
            open: BTreeMap::new(),
            tell,
        }
    }

    pub(super) fn carry_out(&mut self, job: Job) {
        match job {
            Job::Begin { call, at } => self.begin(call, at),
            Job::Samples { call, samples } => self.write(call, |file| file.append(&samples)),
            Job::Silence { call, frames } => self.write(call, |file| file.be_silent(frames)),
            Job::End { call } => self.end(call),
        }
    }

    /// Finishes all that are open.
    pub(super) fn finish(&mut self) {
        while let Some((&call, _)) = self.open.first_key_value() {
            self.end(call);
        }
    }

    fn begin(&mut self, call: CallKey, at: Time) {
        match self.create(call, at) {
            Ok((file, name)) => {
                (self.tell)(Fact::RecordingStarted {
                    call,
                    file: name.clone(),
                    at,
                });
                let began = at;
                self.open.insert(call, Open { file, name, began });
            }
            Err(error) => {
                let folder = self.folder.display();
                tracing::error!(call = call.0, %folder, %error, "this call is not recorded: no file can be made");
            }
        }
    }

    fn create(&self, call: CallKey, at: Time) -> io::Result<(RecordingFile, String)> {
        std::fs::create_dir_all(&self.folder)?;
        let name = file_name(call, self.epoch.unix_nanos_at(at));
        let file = RecordingFile::create(&self.folder, &name, self.longest)?;
        Ok((file, name))
    }

    /// Writes to the file of a call that has one. When the disk does not take it, the recording ends there, and the call goes on.
    fn write(&mut self, call: CallKey, write: impl FnOnce(&mut RecordingFile) -> io::Result<()>) {
        let Some(open) = self.open.get_mut(&call) else {
            return;
        };
        if let Err(error) = write(&mut open.file) {
            let file = &open.name;
            tracing::error!(call = call.0, %file, %error, "the recording ends here, and the call goes on");
            self.end(call);
        }
    }

    fn end(&mut self, call: CallKey) {
        let Some(Open { file, name, began }) = self.open.remove(&call) else {
            return;
        };
        match file.finish() {
            Ok(samples) => (self.tell)(Fact::RecordingEnded {
                call,
                file: name,
                samples,
                at: began + Duration::from_micros(samples * 125),
            }),
            Err(error) => {
                tracing::error!(
                    call = call.0,
                    file = name,
                    %error,
                    "a recording cannot be finished; that is tried again at the next start"
                );
            }
        }
    }
}

/// When a recording began, in its name.
const BEGAN: &str = "%Y%m%dT%H%M%SZ";

/// What the file of a recording is called: when it began (UTC), and the call.
fn file_name(call: CallKey, unix_nanos: u64) -> String {
    let seconds = i64::try_from(unix_nanos / 1_000_000_000).unwrap_or(0);
    let began = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{}-call-{}.wav", began.strftime(BEGAN), call.0)
}

/// When a recording of such a name began, counted from 1970.
pub(super) fn began(name: &str) -> Option<Time> {
    let (began, _) = name.split_once("-call-")?;
    let began = jiff::civil::DateTime::strptime(BEGAN, began).ok()?;
    let began = began.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Time::from_secs(
        u64::try_from(began.timestamp().as_second()).ok()?,
    ))
}

/// The call of such a name.
pub(super) fn call_of(name: &str) -> Option<CallKey> {
    let (_, call) = name.strip_suffix(".wav")?.rsplit_once("-call-")?;
    call.parse().ok().map(CallKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: CallKey = CallKey(41);

    fn samples(frames: usize) -> Job {
        Job::Samples {
            call: CALL,
            samples: vec![9; 2 * frames].into(),
        }
    }

    fn written(folder: &Path, longest: u64, jobs: Vec<Job>) -> Vec<Fact> {
        let mut facts = Vec::new();
        let mut writer = Writer::new(folder, Epoch::SIMULATED, longest, |fact| facts.push(fact));
        for job in jobs {
            writer.carry_out(job);
        }
        writer.finish();
        facts
    }

    fn told(began: Time, samples: u64) -> [Fact; 2] {
        let file = "20300101T000002Z-call-41.wav".to_owned();
        let started = Fact::RecordingStarted {
            call: CALL,
            file: file.clone(),
            at: began,
        };
        let ended = Fact::RecordingEnded {
            call: CALL,
            file,
            samples,
            at: began + Duration::from_micros(125 * samples),
        };
        [started, ended]
    }

    #[test]
    fn a_recording_is_told_at_its_begin_and_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        // The folder is made.
        let folder = folder.path().join("of/recordings");
        let at = Time::from_secs(2);
        let begin = || Job::Begin { call: CALL, at };
        let silence = Job::Silence {
            call: CALL,
            frames: 300,
        };
        let end = || Job::End { call: CALL };
        let facts = written(
            &folder,
            u64::MAX,
            vec![begin(), samples(500), silence, end(), samples(1)],
        );
        assert_eq!(facts, told(at, 800));
        let name = "20300101T000002Z-call-41.wav";
        assert_eq!(call_of(name), Some(CALL));
        let unix = Time::from_nanos(Epoch::SIMULATED.unix_nanos_at(at));
        assert_eq!(
            (super::began(name), super::began("x-call-1.wav")),
            (Some(unix), None)
        );
        assert!(folder.join(name).exists());
        // The same call cannot be recorded over the file, and nothing is told of it.
        assert_eq!(written(&folder, u64::MAX, vec![begin(), samples(5), end()]), []);
    }

    #[test]
    fn what_was_not_ended_is_finished_with_the_thread() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = Time::from_millis(2_500);
        let facts = written(
            folder.path(),
            u64::MAX,
            vec![Job::Begin { call: CALL, at }, samples(80)],
        );
        assert_eq!(facts, told(at, 80));
    }

    #[test]
    fn a_recording_ends_where_the_disk_is_full_and_says_how_long_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = Time::from_secs(2);
        let end = Job::End { call: CALL };
        let jobs = vec![
            Job::Begin { call: CALL, at },
            samples(60),
            samples(60),
            samples(10),
            end,
        ];
        assert_eq!(written(folder.path(), 100, jobs), told(at, 60));
    }

    #[test]
    fn a_call_is_not_recorded_where_no_file_can_be_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let occupied = folder.path().join("file");
        std::fs::write(&occupied, "").expect("it is written");
        let at = Time::from_secs(2);
        let jobs = vec![
            Job::Begin { call: CALL, at },
            samples(60),
            Job::End { call: CALL },
        ];
        assert_eq!(written(&occupied, u64::MAX, jobs), []);
    }
}
