//! What a call through our call center costs, beside what it costs others on the same machine in the same run: Kamailio for the
//! signalling, rtpengine for the audio. Measured is the time of the CPU, which other work on the machine changes little.
//!
//! They are ignored unless asked for, and want a release build and two CPUs, the first for who is measured and the second for who
//! makes the calls:
//!
//! ```sh
//! cargo build --release -p callwright-cli
//! CALLWRIGHT_BIN=$PWD/target/release/callwright \
//!     cargo test -p callwright-peers --test callcenter_figures -- --ignored --nocapture --test-threads 1
//! ```

mod memory;
mod queue;
mod registrations;
mod relay;
mod signalling;

/// All calls come from one address here, and as many as there are.
const UNPROTECTED: &str = "[protection]\ninvites = false\nothers = false\nunanswered = 0\ncalls = 1000000\n";

/// How many calls a second where one rate is measured: 1,000, or what `CALLS_PER_SECOND` says, to see that it works.
fn rate() -> u32 {
    let said = std::env::var("CALLS_PER_SECOND");
    said.map_or(1_000, |said| said.parse().expect("a number of calls a second"))
}

/// Where who is measured runs.
const MEASURED: usize = 0;
/// Where who makes the calls runs.
const GENERATOR: usize = 1;
