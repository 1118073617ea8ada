//! Captures in which nothing is wrong: no finding accuses anybody.

use callwright_capture::analysis::{Analysis, FindingKind, Outcome};

use super::build::{ALICE, ALICE_RTP, BOB, BOB_RTP, Pcap, kinds, of_kind, request, response, rtp, sdp, tone};

/// Speech of the caller, and what `silence` makes of the rest; the callee talks all the time.
fn suppressed(silence: impl Fn(&mut Pcap)) -> Analysis {
    let mut pcap = Pcap::new();
    let (offer, answer) = (sdp(ALICE_RTP), sdp(BOB_RTP));
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, Some(&offer)))
        .udp(
            10,
            BOB,
            ALICE,
            &response("200 OK", "INVITE", "x", 1, Some(&answer)),
        )
        .udp(11, ALICE, BOB, &request("ACK", "x", 1, None));
    for place in 0..100u64 {
        let packet = rtp(0, place as u16, place as u32 * 160, 1, &tone());
        pcap.udp(20 + place * 20, ALICE_RTP, BOB_RTP, &packet);
    }
    silence(&mut pcap);
    pcap.analyze()
}

fn mos(analysis: &Analysis) -> f64 {
    analysis.streams[0].quality.mos.expect("of G.711")
}

#[test]
fn silence_suppression_is_no_long_packet() {
    // RFC 3389: a description of the silence every half second.
    let noise = suppressed(|pcap| {
        for place in 0..8u64 {
            let at = 2_020 + place * 500;
            let packet = rtp(13, 100 + place as u16, 16_000 + place as u32 * 4_000, 1, &[60]);
            pcap.udp(at, ALICE_RTP, BOB_RTP, &packet);
        }
    });
    assert!(mos(&noise) > 4.3, "{}", mos(&noise));
    // Nothing at all, and a last word.
    let pause = suppressed(|pcap| {
        pcap.udp(
            6_520,
            ALICE_RTP,
            BOB_RTP,
            &rtp(0, 100, 16_000 + 4_500 * 8, 1, &tone()),
        );
    });
    assert!(mos(&pause) > 4.3, "{}", mos(&pause));
}

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

/// The caller's packets, at these times, with the timestamps going on by one packet each.
fn standing_still(times: impl Iterator<Item = u64>) -> Analysis {
    let mut pcap = Pcap::new();
    let (offer, answer) = (sdp(ALICE_RTP), sdp(BOB_RTP));
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, Some(&offer)))
        .udp(
            10,
            BOB,
            ALICE,
            &response("200 OK", "INVITE", "x", 1, Some(&answer)),
        )
        .udp(11, ALICE, BOB, &request("ACK", "x", 1, None));
    for (place, at) in times.enumerate() {
        pcap.udp(
            at,
            ALICE_RTP,
            BOB_RTP,
            &rtp(0, place as u16, place as u32 * 160, 1, &tone()),
        );
    }
    pcap.analyze()
}

#[test]
fn a_pause_in_which_the_timestamp_stood_still_is_no_gap_and_no_skew() {
    let held =
        standing_still((0..2_000u64).map(|place| 20 + place * 20 + if place >= 500 { 10_000 } else { 0 }));
    assert_eq!(of_kind(&held, FindingKind::Gap).len(), 0);
    let skew = held.streams[0].quality.clock_skew_ppm.expect("long enough");
    assert!(skew.abs() < 50.0, "{skew}");
    // The network held them back: what waited comes at once.
    let late = standing_still((0..250u64).map(|place| match place {
        100..130 => 20 + 130 * 20,
        _ => 20 + place * 20,
    }));
    assert_eq!(of_kind(&late, FindingKind::Gap).len(), 1);
}
