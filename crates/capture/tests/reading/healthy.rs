//! Captures in which nothing is wrong: no finding accuses anybody.

use callwright_capture::analysis::Outcome;

use super::build::{ALICE, BOB, Pcap, kinds, request, response};

#[test]
fn a_call_that_still_rings_after_a_challenge_has_not_ended() {
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, None))
        .udp(
            5,
            BOB,
            ALICE,
            &response("407 Proxy Authentication Required", "INVITE", "x", 1, None),
        )
        .udp(6, ALICE, BOB, &request("ACK", "x", 1, None))
        .udp(7, ALICE, BOB, &request("INVITE", "x", 2, None))
        .udp(90, BOB, ALICE, &response("180 Ringing", "INVITE", "x", 2, None));
    let analysis = pcap.analyze();
    assert_eq!(kinds(&analysis), []);
    let call = &analysis.calls[0];
    assert_eq!(
        (call.outcome, call.status, call.ended, call.ended_by),
        (Outcome::Unanswered, None, None, None)
    );
    assert_eq!(analysis.metrics.failed_session_request_delay.count, 0);
}
