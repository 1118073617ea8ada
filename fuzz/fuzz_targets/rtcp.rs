//! A datagram taken for an RTCP compound.
#![no_main]

#[expect(dead_code, reason = "each target calls one of the bodies")]
#[path = "../bodies/media.rs"]
mod media;

libfuzzer_sys::fuzz_target!(|data: &[u8]| media::rtcp(data));
