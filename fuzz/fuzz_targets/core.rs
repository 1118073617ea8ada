//! Transactions and transport under arbitrary steps.
#![no_main]

#[expect(dead_code, reason = "each target calls one of the bodies")]
#[path = "../bodies/core.rs"]
mod core;

libfuzzer_sys::fuzz_target!(|data: &[u8]| core::core(data));
