//! What a crash left unfinished: files, and what is known of them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callwright_acd::{CallKey, Fact};
use callwright_wire::Time;

use super::file::{UNFINISHED, complete, frames_in};
use super::writer::{began, call_of};
use crate::store::{SqliteStore, StoreError};

/// A file that is whole, and whose end was not stored.
struct Untold {
    call: CallKey,
    file: String,
    samples: u64,
}

/// Finishes the files of `folder` that a process before this one left unfinished, and has the end of each stored, as that of its
/// last sample; so it does with those that were finished, and whose end did not come to be stored. What cannot be finished is
/// logged, and left to the next start. To be called before the calls that were up are closed.
///
/// # Errors
///
/// When the database cannot be read or written.
pub(crate) fn repair(folder: &Path, store: &mut SqliteStore) -> Result<(), StoreError> {
    let mut untold: Vec<_> = parts(folder).iter().filter_map(|part| finished(part)).collect();
    for (call, file) in store.unfinished_recordings()? {
        if untold.iter().any(|other| other.file == file) {
            continue;
        }
        match frames_in(&folder.join(&file)) {
            Ok(samples) => untold.push(Untold { call, file, samples }),
            Err(error) => {
                tracing::warn!(call = call.0, file, %error, "the end of a recording is not known");
            }
        }
    }
    let mut facts = Vec::with_capacity(untold.len());
    for Untold { call, file, samples } in untold {
        if !store.knows_call(call)? {
            tracing::warn!(call = call.0, file, "a recording of a call that was not stored");
            continue;
        }
        let started = match store.recording_started(call, &file)? {
            Some(started) => started,
            None => {
                // The name says it to the second.
                let at = began(&file).unwrap_or(Time::ZERO);
                let file = file.clone();
                facts.push(Fact::RecordingStarted { call, file, at });
                at
            }
        };
        tracing::warn!(
            call = call.0,
            file,
            samples,
            "a recording was finished that a crash had left"
        );
        facts.push(Fact::RecordingEnded {
            call,
            file,
            samples,
            at: started + Duration::from_micros(samples.saturating_mul(125)),
        });
    }
    store.write_down(&facts)
}

/// The files that are not finished.
fn parts(folder: &Path) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::error!(folder = %folder.display(), %error, "the folder of recordings cannot be read");
            return Vec::new();
        }
    };
    let mut parts: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == UNFINISHED))
        .collect();
    parts.sort();
    parts
}

fn finished(part: &Path) -> Option<Untold> {
    let file = part.file_stem()?.to_str()?.to_owned();
    // Somebody else's file is left alone.
    let call: CallKey = call_of(&file)?;
    match complete(part) {
        Ok(samples) => Some(Untold { call, file, samples }),
        Err(error) => {
            tracing::error!(file = %part.display(), %error, "a recording that a crash left cannot be finished");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use callwright_wire::{Epoch, Seed};

    use super::*;
    use crate::recordings::file::{LONGEST, RecordingFile};
    use crate::store::{Reader, Store as _};
    use callwright_acd::Token;

    const CALL: CallKey = CallKey(7);
    const NAME: &str = "20300101T000002Z-call-7.wav";
    /// Times of what is stored count from 1970.
    const BEGAN: u64 = 1_893_456_002;

    fn open(folder: &Path) -> SqliteStore {
        SqliteStore::open(&folder.join("calls.db"), Epoch::SIMULATED, &Seed::from_number(1))
            .expect("it opens")
    }

    /// A call center that was killed: a recording of 8,000 samples, so far on disk, and of its facts those that were committed.
    fn killed(folder: &Path, whole: bool, started_stored: bool) {
        let mut file = RecordingFile::create(folder, NAME, LONGEST).expect("it begins");
        file.append(&[1; 16_000]).expect("there is room");
        if whole {
            file.finish().expect("it ends");
        }
        let mut store = open(folder);
        store.restore(Time::ZERO).expect("it is restored");
        let answered = Fact::CallAnswered {
            call: CALL,
            caller: "sip:carol@example.org".to_owned(),
            callee: "sip:dave@callcenter.test".to_owned(),
            agent: None,
            at: Time::from_secs(1),
        };
        let started = Fact::RecordingStarted {
            call: CALL,
            file: NAME.to_owned(),
            at: Time::from_secs(2),
        };
        store.take(Token(1), answered, true);
        if started_stored {
            store.take(Token(2), started, false);
        }
        store.begin(Time::ZERO);
        assert!(store.finish(Time::ZERO).iter().all(|outcome| outcome.stored));
    }

    /// What its next start finds out.
    fn told(folder: &Path) -> (Vec<Fact>, Vec<(String, Option<u64>)>) {
        let mut store = open(folder);
        repair(folder, &mut store).expect("it is repaired");
        store.restore(Time::ZERO).expect("it is restored");
        drop(store);
        let reader = Reader::open(&folder.join("calls.db")).expect("it opens");
        let facts = reader.facts().expect("they can be read");
        let about = |fact: &Fact| {
            matches!(
                fact,
                Fact::RecordingStarted { .. } | Fact::RecordingEnded { .. } | Fact::CallEnded { .. }
            )
        };
        let records = reader.all().expect("they can be read");
        let recordings = records[0]
            .recordings
            .iter()
            .map(|recording| (recording.file.clone(), recording.samples));
        (facts.into_iter().filter(about).collect(), recordings.collect())
    }

    #[test]
    fn however_far_a_recording_came_before_a_crash_its_record_is_whole() {
        for (whole, started_stored) in [(false, false), (false, true), (true, true)] {
            let folder = tempfile::tempdir().expect("a folder");
            let folder = folder.path();
            killed(folder, whole, started_stored);
            let ends = Time::from_secs(BEGAN + 1);
            let expected = [
                Fact::RecordingStarted {
                    call: CALL,
                    file: NAME.to_owned(),
                    at: Time::from_secs(BEGAN),
                },
                Fact::RecordingEnded {
                    call: CALL,
                    file: NAME.to_owned(),
                    samples: 8_000,
                    at: ends,
                },
                Fact::CallEnded {
                    call: CALL,
                    cause: callwright_acd::EndCause::Restarted,
                    parties: None,
                    at: ends,
                },
            ];
            let recordings = [(NAME.to_owned(), Some(8_000))];
            let (facts, found) = told(folder);
            assert_eq!((&facts[..], &found[..]), (&expected[..], &recordings[..]));
            assert!(folder.join(NAME).exists());
            // Once.
            assert_eq!(told(folder).0, expected);
        }
    }

    #[test]
    fn what_is_not_ours_is_left_alone_and_what_nobody_knows_is_finished_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        std::fs::write(folder.join("notes.part"), "mine").expect("it is written");
        let unknown = "20300101T000002Z-call-9.wav";
        drop(RecordingFile::create(folder, unknown, LONGEST).expect("it begins"));
        let mut store = open(folder);
        repair(folder, &mut store).expect("it is repaired");
        repair(&folder.join("nowhere"), &mut store).expect("there is nothing");
        assert!(folder.join("notes.part").exists() && folder.join(unknown).exists());
        assert_eq!(store.kept().expect("it can be read").facts, []);
    }
}
