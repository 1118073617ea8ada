//! RTP, alone and as a stream of datagrams through a session.
#![no_main]

#[expect(dead_code, reason = "each target calls one of the bodies")]
#[path = "../bodies/media.rs"]
mod media;

libfuzzer_sys::fuzz_target!(|data: &[u8]| media::rtp(data));
