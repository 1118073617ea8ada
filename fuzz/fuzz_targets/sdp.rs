//! A session description, and what offer and answer make of it.
#![no_main]

#[path = "../bodies/sdp.rs"]
mod sdp;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sdp::session(data));
