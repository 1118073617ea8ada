//! What the harness measures of a program is what the program took.

use std::process::Command;
use std::time::Duration;

use callwright_peers::measure;

#[test]
fn the_memory_of_a_program_is_its_peak() {
    let mut copy = Command::new("dd");
    copy.args([
        "if=/dev/zero",
        "of=/dev/null",
        "bs=60000000",
        "count=50",
        "status=none",
    ]);
    let measured = measure(&mut copy, Duration::from_secs(60));
    assert!(measured.status.success(), "{measured:?}");
    assert!(
        (60_000_000..80_000_000).contains(&measured.peak_memory),
        "{measured:?}"
    );
}

#[test]
fn the_output_and_end_of_a_program_are_kept() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo said; echo complained >&2; exit 3"]);
    let measured = measure(&mut shell, Duration::from_secs(60));
    assert_eq!(
        (measured.stdout.as_str(), measured.stderr.as_str()),
        ("said\n", "complained\n")
    );
    assert_eq!(measured.status.code(), Some(3));
}
