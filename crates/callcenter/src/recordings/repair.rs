//! What a crash left unfinished.

use std::io;
use std::path::Path;

use callwright_acd::{CallKey, Fact};
use callwright_wire::Time;

use super::file::{UNFINISHED, complete};
use super::writer::call_of;

/// Finishes the files of `folder` that a process before this one left unfinished, and tells of each as ended at `now`. One that
/// cannot be finished is logged, and left to the next start.
pub(crate) fn repair(folder: &Path, now: Time) -> Vec<Fact> {
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
    parts.iter().filter_map(|part| repaired(part, now)).collect()
}

fn repaired(part: &Path, now: Time) -> Option<Fact> {
    let file = part.file_stem()?.to_str()?.to_owned();
    // Somebody else's file is left alone.
    let call: CallKey = call_of(&file)?;
    match complete(part) {
        Ok(samples) => {
            tracing::warn!(
                call = call.0,
                file,
                samples,
                "a recording was finished that a crash had left"
            );
            Some(Fact::RecordingEnded {
                call,
                file,
                samples,
                at: now,
            })
        }
        Err(error) => {
            tracing::error!(file = %part.display(), %error, "a recording that a crash left cannot be finished");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recordings::file::{LONGEST, RecordingFile};

    #[test]
    fn what_a_crash_left_is_finished_and_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = ["20300101T000000Z-call-7.wav", "20300101T000000Z-call-12.wav"];
        for (name, frames) in names.into_iter().zip([100, 0]) {
            let mut file = RecordingFile::create(folder.path(), name, LONGEST).expect("it begins");
            file.append(&vec![1; 2 * frames]).expect("there is room");
            drop(file);
        }
        std::fs::write(folder.path().join("notes.part"), "mine").expect("it is written");
        let now = Time::from_secs(3);
        let expected = [(12, 0), (7, 100)].map(|(call, samples)| Fact::RecordingEnded {
            call: CallKey(call),
            file: format!("20300101T000000Z-call-{call}.wav"),
            samples,
            at: now,
        });
        assert_eq!(repair(folder.path(), now), expected);
        assert_eq!(repair(folder.path(), now), []);
        assert!(names.iter().all(|name| folder.path().join(name).exists()));
        assert!(folder.path().join("notes.part").exists());
        assert_eq!(repair(&folder.path().join("nowhere"), now), []);
    }
}
