//! WAV files, as bytes: who opens and closes the file is the caller.

mod chunks;
mod read;
mod samples;
mod write;

pub use read::{MAX_SECONDS, ReadError, read};
pub use write::Recorder;
