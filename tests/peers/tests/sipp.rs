//! SIPp against SIPp: what the harness counts is what happened.

use std::time::Duration;

use callwright_peers::{Sipp, require};

#[test]
fn five_hundred_calls_between_two_sipps_are_clean_on_both_sides() {
    require!(Sipp);
    let callee = Sipp::uas().calls(500).start();
    Sipp::uac(callee.address())
        .calls(500)
        .rate(250)
        .run()
        .assert_clean();
    callee.finish().assert_clean();
}

#[test]
fn a_caller_whom_nobody_answers_counts_failures_and_retransmissions() {
    require!(Sipp);
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket that never answers");
    let address = nobody.local_addr().expect("bound");
    let outcome = Sipp::uac(address).calls(1).argument(&["-max_retrans", "1"]).run();
    assert_eq!((outcome.successful, outcome.failed), (0, 1), "{outcome:?}");
    assert!(outcome.retransmissions > 0, "{outcome:?}");
    assert_eq!(outcome.exit_code, Some(1));
    assert!(!outcome.are_clean());
}

#[test]
fn a_callee_whom_nobody_calls_is_stopped_when_its_time_is_up() {
    require!(Sipp);
    let outcome = Sipp::uas()
        .calls(1)
        .limit(Duration::from_millis(100))
        .start()
        .finish();
    assert_eq!((outcome.successful, outcome.failed), (0, 0), "{outcome:?}");
    assert!(!outcome.are_clean());
}
