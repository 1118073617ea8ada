//! A capture file of either format.
#![no_main]

#[expect(dead_code, reason = "each target calls one of the bodies")]
#[path = "../bodies/capture.rs"]
mod capture;

libfuzzer_sys::fuzz_target!(|data: &[u8]| capture::file(data));
