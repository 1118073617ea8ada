//! Calls, registrations and subscriptions under a hostile peer.
#![no_main]

#[expect(dead_code, reason = "each target calls one of the bodies")]
#[path = "../bodies/endpoint.rs"]
mod endpoint;

libfuzzer_sys::fuzz_target!(|data: &[u8]| endpoint::endpoint(data));
