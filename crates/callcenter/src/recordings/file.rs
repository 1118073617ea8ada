//! One file: a WAV whose header is right for what is on disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The ending of a file that is not finished.
pub(super) const UNFINISHED: &str = "part";
/// Bytes before the audio.
const HEADER: u64 = 44;
/// Bytes of a frame: two channels of 16 bits.
const FRAME: u64 = 4;
const RATE: u32 = 8_000;
/// The header is brought up to date after so many frames: a second.
const STALE: u64 = 8_000;
/// The longest recording, in frames: what a WAV can say, 37 hours.
pub(super) const LONGEST: u64 = (u32::MAX as u64 - HEADER) / FRAME;

/// A recording that is being written.
#[derive(Debug)]
pub(super) struct RecordingFile {
    file: File,
    /// Where it is until it is finished.
    part: PathBuf,
    frames: u64,
    frames_in_header: u64,
    longest: u64,
}

impl RecordingFile {
    /// Begins `name` in `folder`, which has to be there; no file is overwritten.
    pub(super) fn create(folder: &Path, name: &str, longest: u64) -> io::Result<RecordingFile> {
        let finished = folder.join(name);
        if finished.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let part = unfinished(&finished);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // What people say is nobody else's business.
        options.mode(0o600);
        let mut file = options.open(&part)?;
        // As long as it is being written; where there are no locks, nobody else looks for them.
        let _locked = file.try_lock();
        if let Err(error) = file.write_all(&header(0)) {
            // Nothing is in it.
            let _left = std::fs::remove_file(&part);
            return Err(error);
        }
        Ok(RecordingFile {
            file,
            part,
            frames: 0,
            frames_in_header: 0,
            longest,
        })
    }

    /// Adds audio, interleaved.
    pub(super) fn append(&mut self, samples: &[i16]) -> io::Result<()> {
        self.check(samples.len() as u64 / 2)?;
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.file.write_all(&bytes)?;
        self.grown(samples.len() as u64 / 2)
    }

    /// Adds silence, which takes no room on disks that know holes.
    pub(super) fn be_silent(&mut self, frames: u64) -> io::Result<()> {
        self.check(frames)?;
        let end = HEADER + (self.frames + frames) * FRAME;
        self.file.set_len(end)?;
        self.file.seek(SeekFrom::Start(end))?;
        self.grown(frames)
    }

    /// Finishes what is on disk, and gives its length in frames.
    pub(super) fn finish(self) -> io::Result<u64> {
        drop(self.file);
        complete(&self.part)
    }

    fn check(&self, frames: u64) -> io::Result<()> {
        if self.frames + frames > self.longest {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(())
    }

    fn grown(&mut self, frames: u64) -> io::Result<()> {
        self.frames += frames;
        if self.frames - self.frames_in_header >= STALE {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&header(self.frames))?;
            self.file.seek(SeekFrom::Start(HEADER + self.frames * FRAME))?;
            self.frames_in_header = self.frames;
        }
        Ok(())
    }
}

/// Finishes a file that was left unfinished: cuts a frame that breaks off, makes the header right, and takes the ending away. Gives
/// its length in frames; one that broke off within its header is removed, and has none.
pub(super) fn complete(part: &Path) -> io::Result<u64> {
    let mut file = OpenOptions::new().write(true).open(part)?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    let Some(bytes) = file.metadata()?.len().checked_sub(HEADER) else {
        drop(file);
        std::fs::remove_file(part)?;
        return Ok(0);
    };
    let frames = (bytes / FRAME).min(LONGEST);
    file.set_len(HEADER + frames * FRAME)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header(frames))?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(part, part.with_extension(""))?;
    Ok(frames)
}

/// The length of a file that is finished, in frames.
pub(super) fn frames_in(finished: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(finished)?.len().saturating_sub(HEADER) / FRAME)
}

/// Where a file is until it is finished.
pub(super) fn unfinished(finished: &Path) -> PathBuf {
    let mut name = finished.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    name.into()
}

/// The header of a stereo WAV at 8 kHz, 16 bits.
fn header(frames: u64) -> [u8; HEADER as usize] {
    let bytes = u32::try_from(frames * FRAME).unwrap_or(u32::MAX);
    let mut header = [0; HEADER as usize];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        header[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&bytes.saturating_add(HEADER as u32 - 8).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16u32.to_le_bytes());
    // PCM, two channels.
    put(&1u16.to_le_bytes());
    put(&2u16.to_le_bytes());
    put(&RATE.to_le_bytes());
    put(&(RATE * FRAME as u32).to_le_bytes());
    put(&(FRAME as u16).to_le_bytes());
    put(&16u16.to_le_bytes());
    put(b"data");
    put(&bytes.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What a reader makes of a file: the mean of both channels.
    fn read(path: &Path) -> Vec<i16> {
        callwright_media::wav::read(std::fs::read(path).expect("it is there").as_slice()).expect("a WAV")
    }

    #[test]
    fn audio_and_silence_come_out_as_they_went_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = RecordingFile::create(folder.path(), "a.wav", LONGEST).expect("it begins");
        file.append(&[1_000, 3_000, -500, -500]).expect("there is room");
        file.be_silent(20_000).expect("there is room");
        file.append(&[8, 8]).expect("there is room");
        assert!(!folder.path().join("a.wav").exists());
        let mode = file.part.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
        assert_eq!(file.finish().expect("it ends"), 20_003);
        let samples = read(&folder.path().join("a.wav"));
        assert_eq!(samples.len(), 20_003);
        assert_eq!((samples[0], samples[1], samples[2]), (2_000, -500, 0));
        assert_eq!(samples[20_002], 8);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn after_a_crash_all_but_the_last_second_is_in_the_header() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = RecordingFile::create(folder.path(), "a.wav", LONGEST).expect("it begins");
        for _ in 0..30 {
            file.append(&[500; 3_200]).expect("there is room");
        }
        // The process is killed.
        drop(file);
        let samples = read(&folder.path().join("a.wav.part"));
        assert!(samples.len() >= 48_000 - 8_000, "{}", samples.len());
        assert!(samples.iter().all(|sample| *sample == 500));
    }

    #[test]
    fn what_another_process_is_writing_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = RecordingFile::create(folder.path(), "a.wav", LONGEST).expect("it begins");
        let error = complete(&file.part).expect_err("it is being written");
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(file.finish().expect("it ends"), 0);
    }

    #[test]
    fn what_breaks_off_is_finished_at_its_last_frame() {
        let folder = tempfile::tempdir().expect("a folder");
        for (cut, frames) in [(0, 100), (1, 99), (5, 98), (400, 0)] {
            let name = format!("{cut}.wav");
            let mut file = RecordingFile::create(folder.path(), &name, LONGEST).expect("it begins");
            file.append(&[7; 200]).expect("there is room");
            let part = file.part.clone();
            drop(file);
            let open = OpenOptions::new().write(true).open(&part).expect("it is there");
            open.set_len(444 - cut).expect("it can be cut");
            assert_eq!(complete(&part).expect("it is finished"), frames, "{cut}");
            let length = folder.path().join(&name).metadata().expect("it is there").len();
            assert_eq!(length, 44 + 4 * frames);
        }
        let short = folder.path().join("short.wav.part");
        std::fs::write(&short, b"RIFF").expect("it is written");
        assert_eq!(complete(&short).expect("it is dealt with"), 0);
        assert!(!short.exists() && !folder.path().join("short.wav").exists());
    }

    #[test]
    fn no_file_is_overwritten_and_none_is_longer_than_it_may() {
        let folder = tempfile::tempdir().expect("a folder");
        let create = || RecordingFile::create(folder.path(), "a.wav", 10);
        let mut file = create().expect("it begins");
        assert_eq!(
            create().expect_err("it is there").kind(),
            io::ErrorKind::AlreadyExists
        );
        file.append(&[1; 20]).expect("there is room");
        assert_eq!(
            file.be_silent(1).expect_err("it is full").kind(),
            io::ErrorKind::FileTooLarge
        );
        assert_eq!(file.finish().expect("it ends"), 10);
        assert_eq!(
            create().expect_err("it is there").kind(),
            io::ErrorKind::AlreadyExists
        );
    }
}
