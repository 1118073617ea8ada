//! SIP over TCP, however its segments come.

use callwright_capture::analysis::FindingKind;
use proptest::prelude::*;

use super::build::{Pcap, kinds, request, response, tcp};

const A: &str = "10.0.0.1:41000";
const B: &str = "10.0.0.2:5060";

/// Several messages, as one side sends them.
fn stream() -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 1..6 {
        bytes.extend(request("INVITE", &format!("call-{number}"), 1, None));
        bytes.extend(b"\r\n\r\n");
    }
    bytes
}

#[test]
fn a_stream_in_order_gives_its_messages_and_keep_alives() {
    let mut pcap = Pcap::new();
    pcap.frame(0, &tcp(A, B, 99, "S", b""))
        .tcp(1, A, B, 100, &stream());
    let analysis = pcap.analyze();
    assert_eq!(analysis.calls.len(), 5);
    assert_eq!(analysis.capture.keep_alives, 5);
    assert_eq!(analysis.calls[0].legs[0].transport, "TCP");
}

#[test]
fn a_hole_is_passed_over_and_the_next_message_found() {
    let bytes = stream();
    let message = bytes.len() / 5;
    // Of the second message, the middle is missing; the third one begins within a segment.
    let (before, hole, behind) = (message + 50, 100, message + 150);
    let mut pcap = Pcap::new();
    pcap.frame(0, &tcp(A, B, 99, "S", b""))
        .tcp(1, A, B, 100, &bytes[..before])
        .tcp(2, A, B, 100 + behind as u32, &bytes[behind..]);
    let analysis = pcap.analyze();
    let found: Vec<&str> = analysis
        .calls
        .iter()
        .map(|call| call.legs[0].call_id.as_str())
        .collect();
    assert_eq!(found, ["call-1", "call-3", "call-4", "call-5"]);
    assert_eq!(analysis.capture.dropped.missing_stream_bytes, hole as u64);
    assert!(kinds(&analysis).contains(&FindingKind::Dropped));
}

#[test]
fn what_the_other_side_acknowledged_is_not_waited_for() {
    let bytes = stream();
    let message = bytes.len() / 5;
    let mut pcap = Pcap::new();
    pcap.frame(0, &tcp(A, B, 99, "S", b""))
        .tcp(1, A, B, 100, &bytes[..message])
        .tcp(2, A, B, 100 + 2 * message as u32, &bytes[2 * message..]);
    // The answer acknowledges everything, and comes later than packets are out of order in a file.
    let mut answer = tcp(
        B,
        A,
        500,
        "A",
        &response("486 Busy Here", "INVITE", "call-5", 1, None),
    );
    let all = 100 + bytes.len() as u32;
    answer[28..32].copy_from_slice(&all.to_be_bytes());
    pcap.frame(400_000, &answer);
    let analysis = pcap.analyze();
    let last = analysis
        .calls
        .iter()
        .find(|call| call.legs[0].call_id == "call-5")
        .expect("it is there");
    assert_eq!(last.status, Some(486), "the INVITE was read before its answer");
}

#[test]
fn a_connection_that_began_before_the_capture_is_read_from_its_next_message_on() {
    let bytes = stream();
    let mut pcap = Pcap::new();
    pcap.tcp(1, A, B, 7_000, &bytes[30..]);
    assert_eq!(pcap.analyze().calls.len(), 4);
}

#[test]
fn a_message_without_a_length_does_not_hide_the_next_one() {
    let whole = String::from_utf8(request("INVITE", "no-length", 1, None)).expect("text");
    let without = whole.replace("Content-Length: 0\r\n", "");
    let mut bytes = without.into_bytes();
    bytes.extend(request("INVITE", "next", 1, None));
    let mut pcap = Pcap::new();
    pcap.frame(0, &tcp(A, B, 99, "S", b"")).tcp(1, A, B, 100, &bytes);
    let analysis = pcap.analyze();
    let found: Vec<&str> = analysis
        .calls
        .iter()
        .map(|call| call.legs[0].call_id.as_str())
        .collect();
    assert_eq!(found, ["no-length", "next"]);
}

#[test]
fn garbage_between_messages_is_counted_and_passed_over() {
    let mut bytes = request("INVITE", "one", 1, None);
    bytes.extend(b"this is no SIP\r\nat all\r\n\r\n");
    bytes.extend(request("INVITE", "two", 1, None));
    let mut pcap = Pcap::new();
    pcap.frame(0, &tcp(A, B, 99, "S", b"")).tcp(1, A, B, 100, &bytes);
    let analysis = pcap.analyze();
    assert_eq!(analysis.calls.len(), 2);
    assert!(analysis.capture.dropped.unframed_stream_bytes > 0);
    assert!(kinds(&analysis).contains(&FindingKind::Malformed));
}

#[test]
fn tls_is_said_to_be_unreadable_once_a_connection() {
    let mut pcap = Pcap::new();
    pcap.frame(0, &tcp(A, B, 99, "S", b""))
        .frame(1, &tcp(B, A, 199, "SA", b""))
        .tcp(2, A, B, 100, &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0])
        .tcp(3, B, A, 200, &[22, 3, 3, 0, 5, 2, 0, 0, 1, 0])
        .tcp(4, A, B, 110, &[23, 3, 3, 0, 2, 9, 9]);
    let analysis = pcap.analyze();
    assert_eq!(analysis.capture.tls_connections, 1);
    assert!(kinds(&analysis).contains(&FindingKind::Unreadable));
}

#[test]
fn other_protocols_on_connections_are_left_alone() {
    let mut pcap = Pcap::new();
    pcap.frame(0, &tcp(A, "10.0.0.2:80", 99, "S", b"")).tcp(
        1,
        A,
        "10.0.0.2:80",
        100,
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    );
    let analysis = pcap.analyze();
    assert_eq!(analysis.capture.sip_messages, 0);
    assert!(analysis.findings.is_empty(), "{:?}", analysis.findings);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Cut anywhere, sent twice, overlapping, in another order: the same messages come out.
    #[test]
    fn the_same_messages_come_of_any_segments(
        cuts in prop::collection::vec(0usize..2_000, 0..20),
        moves in prop::collection::vec((0usize..24, 0usize..24), 0..12),
        again in prop::collection::vec(0usize..24, 0..6),
        grow in 0usize..200,
        first in any::<u32>(),
    ) {
        let bytes = stream();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % bytes.len()).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        // Each segment overlaps the one behind it a little.
        let mut segments: Vec<(usize, usize)> = cuts
            .windows(2)
            .map(|pair| (pair[0], (pair[1] + grow).min(bytes.len())))
            .collect();
        for place in again {
            let segment = segments[place % segments.len()];
            segments.push(segment);
        }
        for (a, b) in moves {
            let length = segments.len();
            segments.swap(a % length, b % length);
        }
        let mut pcap = Pcap::new();
        pcap.frame(0, &tcp(A, B, first.wrapping_sub(1), "S", b""));
        for (place, (start, end)) in segments.into_iter().enumerate() {
            pcap.frame(place as u64 + 1, &tcp(A, B, first.wrapping_add(start as u32), "A", &bytes[start..end]));
        }
        let analysis = pcap.analyze();
        let found: Vec<&str> = analysis.calls.iter().map(|call| call.legs[0].call_id.as_str()).collect();
        prop_assert_eq!(found, ["call-1", "call-2", "call-3", "call-4", "call-5"]);
        prop_assert_eq!(analysis.capture.dropped.missing_stream_bytes, 0);
        // A ping that comes in two halves looks like a pong first.
        prop_assert!((5..=10).contains(&analysis.capture.keep_alives));
    }
}
