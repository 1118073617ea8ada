//! WAV files, as they are read for music and prompts.
#![no_main]

#[path = "../bodies/wav.rs"]
mod wav;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wav::wav(data));
