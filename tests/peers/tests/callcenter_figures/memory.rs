//! What calls hold of memory: those in progress, with audio; those that are over, while their transactions linger; and all of them when
//! those are gone.

use std::time::{Duration, Instant};

use callwright_peers::{CallCenter, CallCenterOptions, Sipp, require};

use super::queue::{many, queue, uas};
use super::relay::{Generator, Setup, Stream};
use super::{MEASURED, UNPROTECTED, rate};

/// Calls in progress, and those before them that fill what is allocated once.
const WITH_MEDIA: usize = 400;
const WARM: usize = 50;
const TALK: Duration = Duration::from_secs(3);
/// Seconds of calls until memory is looked at: no transaction of theirs is over by then.
const LINGERING: u32 = 20;
/// All calls of the last figure, in runs of so many.
const RUNS: u32 = 5;
const CALLS: u32 = 100_000;
/// Longer than any transaction (RFC 3261, Timers B, H and J).
const GONE: Duration = Duration::from_secs(40);
/// What is promised, in KiB.
const PROMISED_IN_PROGRESS: f64 = 40.0;
const PROMISED_LINGERING: f64 = 1.0;

fn kib(from: u64, to: u64, calls: usize) -> f64 {
    (to as f64 - from as f64) / 1_024.0 / calls as f64
}

#[test]
#[ignore = "measures a release build on an idle machine"]
fn a_call_in_progress_with_audio_holds_at_most_40_kib() {
    let server = CallCenter::start_with(&CallCenterOptions {
        more: UNPROTECTED,
        cpu: Some(MEASURED),
        ..CallCenterOptions::default()
    });
    let (generator, setup) = (Generator::new(), Setup::new(server.address()));
    let begin = |calls: std::ops::Range<usize>| -> Vec<Stream> {
        calls
            .flat_map(|call| Generator::streams(call, setup.call(call, generator.addresses(call))))
            .collect()
    };
    let mut streams = begin(0..WARM);
    let cpu = || server.cpu_time();
    generator.run(&mut streams, TALK, &cpu);
    let before = server.memory();
    streams.extend(begin(WARM..WARM + WITH_MEDIA));
    let silent = server.memory();
    let round = generator.run(&mut streams, TALK, &cpu);
    let after = server.memory();
    println!(
        "a call in progress with audio: {:.1} KiB, {PROMISED_IN_PROGRESS} promised ({:.1} KiB before its first packet; {WITH_MEDIA} calls, {} \
         packets sent, {} relayed)",
        kib(before, after, WITH_MEDIA),
        kib(before, silent, WITH_MEDIA),
        round.sent,
        round.received
    );
}

/// Calls to a queue, which all succeed.
fn call(server: &CallCenter, calls: u32) {
    let made = many(Sipp::uac(server.address()), calls)
        .service("support")
        .rate(rate())
        .run();
    // A message that was sent again on a busy machine changes little of what is measured here.
    assert_eq!(made.successful, calls, "{}", made.errors);
}

#[test]
#[ignore = "measures a release build on an idle machine"]
fn calls_that_are_over_hold_at_most_1_kib_and_then_nothing() {
    require!(Sipp);
    // A smaller rate is to see that it works, in a time that is as long as it is.
    let (run, lingering) = (CALLS / RUNS * rate() / 1_000, rate() * LINGERING);
    let callee = uas(2 * rate() + lingering + RUNS * run).start();
    let server = queue(callee.address());
    call(&server, 2 * rate());
    let before = server.memory();
    call(&server, lingering);
    let after = server.memory();
    println!(
        "a call that is over, its transactions lingering: {:.2} KiB, {PROMISED_LINGERING} promised ({lingering} calls; {} KiB \
         before, {} KiB after)",
        kib(before, after, lingering as usize),
        before / 1_024,
        after / 1_024
    );
    let mut resident = Vec::new();
    for number in 1..=RUNS {
        call(&server, run);
        let until = Instant::now() + GONE;
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            // They go by time.
            std::thread::park_timeout(left);
        }
        resident.push(server.memory() / 1_024);
        println!(
            "{:>7} calls, all transactions gone: {} KiB",
            number * run,
            resident[resident.len() - 1]
        );
    }
    println!(
        "from the first {run} calls to the last: {:+} KiB",
        resident[resident.len() - 1] as i64 - resident[0] as i64
    );
    assert_eq!(callee.finish().failed, 0);
}
