//! Captures in which nothing is wrong: no finding accuses anybody.

use callwright_capture::analysis::{Analysis, FindingKind, Outcome, Severity, Side};

use super::build::{
    ALICE, ALICE_RTP, BOB, BOB_RTP, Pcap, call, kinds, of_kind, request, response, rtp, sdp, tone,
};

const SERVER: &str = "10.0.0.9:5060";

/// 20 ms of both directions, from `from` to `until` milliseconds.
fn talk(pcap: &mut Pcap, from: u64, until: u64, ssrc: u32) {
    for (place, at) in (from..until).step_by(20).enumerate() {
        let (sequence, timestamp) = (place as u16, place as u32 * 160);
        pcap.udp(
            at,
            ALICE_RTP,
            BOB_RTP,
            &rtp(0, sequence, timestamp, ssrc, &tone()),
        )
        .udp(
            at,
            BOB_RTP,
            ALICE_RTP,
            &rtp(0, sequence, timestamp, ssrc + 1, &tone()),
        );
    }
}

#[test]
fn a_server_that_media_go_past_has_audio_on_both_legs() {
    let (offer, answer) = (sdp(ALICE_RTP), sdp(BOB_RTP));
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, SERVER, &request("INVITE", "one", 1, Some(&offer)))
        .udp(5, SERVER, BOB, &request("INVITE", "two", 1, Some(&offer)))
        .udp(
            50,
            BOB,
            SERVER,
            &response("200 OK", "INVITE", "two", 1, Some(&answer)),
        )
        .udp(51, SERVER, BOB, &request("ACK", "two", 1, None))
        .udp(
            55,
            SERVER,
            ALICE,
            &response("200 OK", "INVITE", "one", 1, Some(&answer)),
        )
        .udp(56, ALICE, SERVER, &request("ACK", "one", 1, None));
    talk(&mut pcap, 60, 3_060, 1);
    pcap.udp(3_100, ALICE, SERVER, &request("BYE", "one", 2, None))
        .udp(3_101, SERVER, BOB, &request("BYE", "two", 2, None))
        .udp(3_102, BOB, SERVER, &response("200 OK", "BYE", "two", 2, None))
        .udp(3_103, SERVER, ALICE, &response("200 OK", "BYE", "one", 2, None));
    let analysis = pcap.analyze();
    assert_eq!(kinds(&analysis), []);
    let [call] = analysis.calls.as_slice() else {
        panic!("one call: {:?}", analysis.calls)
    };
    for leg in &call.legs {
        assert_eq!(leg.streams, [0, 1], "{}", leg.call_id);
    }
    assert_eq!(call.streams, [0, 1]);
    for (stream, from) in analysis.streams.iter().zip([Side::Caller, Side::Callee]) {
        assert_eq!((stream.leg, stream.from), (Some(0), Some(from)));
        assert_eq!(stream.also.len(), 1);
        assert_eq!((stream.also[0].call, stream.also[0].leg), (0, 1));
        assert_eq!(stream.also[0].from, from);
    }
    // Drawn once, though two legs have it.
    let drawn = call
        .ladder
        .rows
        .iter()
        .filter(|row| row.summary.starts_with("RTP"));
    assert_eq!(drawn.count(), 2);
}

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
fn ports_and_sources_that_are_used_again_belong_to_the_later_call() {
    let mut pcap = Pcap::new();
    let (offer, answer) = (sdp(ALICE_RTP), sdp(BOB_RTP));
    for (id, start) in [("first", 0), ("second", 4_000)] {
        pcap.udp(start, ALICE, BOB, &request("INVITE", id, 1, Some(&offer)))
            .udp(
                start + 10,
                BOB,
                ALICE,
                &response("200 OK", "INVITE", id, 1, Some(&answer)),
            )
            .udp(start + 11, ALICE, BOB, &request("ACK", id, 1, None));
        talk(&mut pcap, start + 20, start + 2_020, 7);
        pcap.udp(start + 2_030, ALICE, BOB, &request("BYE", id, 2, None))
            .udp(start + 2_040, BOB, ALICE, &response("200 OK", "BYE", id, 2, None));
    }
    let analysis = pcap.analyze();
    assert_eq!(kinds(&analysis), []);
    let found: Vec<_> = analysis
        .streams
        .iter()
        .map(|stream| (stream.call, stream.quality.packets, stream.quality.restarts))
        .collect();
    assert_eq!(
        found,
        [
            (Some(0), 100, 0),
            (Some(0), 100, 0),
            (Some(1), 100, 0),
            (Some(1), 100, 0)
        ]
    );
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

#[test]
fn media_that_pass_elsewhere_are_a_note_though_others_are_seen() {
    let mut pcap = Pcap::new();
    call(&mut pcap, "seen", 3);
    let (offer, answer) = (sdp("192.0.2.1:30000"), sdp("192.0.2.2:30000"));
    pcap.udp(200, ALICE, BOB, &request("INVITE", "past", 1, Some(&offer)))
        .udp(
            210,
            BOB,
            ALICE,
            &response("200 OK", "INVITE", "past", 1, Some(&answer)),
        )
        .udp(211, ALICE, BOB, &request("ACK", "past", 1, None))
        .udp(3_000, ALICE, BOB, &request("BYE", "past", 2, None))
        .udp(3_010, BOB, ALICE, &response("200 OK", "BYE", "past", 2, None));
    let analysis = pcap.analyze();
    let [missing] = of_kind(&analysis, FindingKind::MissingAudio)[..] else {
        panic!("{:?}", analysis.findings)
    };
    assert_eq!(missing.severity, Severity::Note, "{}", missing.message);
}
