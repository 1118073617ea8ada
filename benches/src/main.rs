//! Runs one workload a number of times, for `instructions` to count under callgrind: `callwright-benches WORKLOAD TIMES`.

use std::hint::black_box;
use std::process::ExitCode;

use bytes::Bytes;
use callwright_benches::call::Pair;
use callwright_benches::{INVITE, parse};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let workload = arguments.next().unwrap_or_default();
    let Some(times) = arguments.next().and_then(|times| times.parse::<u32>().ok()) else {
        eprintln!("usage: callwright-benches WORKLOAD TIMES");
        return ExitCode::FAILURE;
    };
    let invite = Bytes::copy_from_slice(INVITE);
    let mut pair = Pair::new();
    let run: &mut dyn FnMut() -> bool = match workload.as_str() {
        "parse-invite" => &mut || black_box(parse(black_box(&invite))).is_some(),
        #[cfg(feature = "compare")]
        "parse-invite-rsipstack" => {
            &mut || black_box(callwright_benches::rsipstack::parse(black_box(&invite))).is_some()
        }
        "whole-call" => &mut || pair.call(),
        other => {
            eprintln!("there is no workload `{other}`");
            return ExitCode::FAILURE;
        }
    };
    for _ in 0..times {
        if !run() {
            eprintln!("the workload `{workload}` failed");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
