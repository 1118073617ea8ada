//! Captures that were made to hurt: memory stays within the limits, and what is left out is counted.

use callwright_capture::analysis::{AnalysisConfig, FindingKind, analyze};

use super::build::{ALICE, ALICE_RTP, BOB, BOB_RTP, Pcap, kinds, message, request, rtp, sdp, tcp, udp};

#[test]
fn limits_hold_and_what_is_beyond_is_counted() {
    let mut pcap = Pcap::new();
    let offer = sdp(ALICE_RTP);
    for number in 0..50u32 {
        pcap.udp(
            0,
            ALICE,
            BOB,
            &request("INVITE", &format!("call-{number}"), 1, Some(&offer)),
        );
        pcap.udp(0, ALICE_RTP, BOB_RTP, &rtp(0, 1, 1, number, &[0; 160]));
        let register = message(
            "REGISTER sip:x SIP/2.0",
            "REGISTER",
            &format!("r{number}"),
            1,
            "",
            None,
            "",
        );
        pcap.udp(0, ALICE, BOB, &register);
    }
    for again in 0..30 {
        pcap.udp(
            1_000 + again,
            ALICE,
            BOB,
            &request("INVITE", "call-1", 1, Some(&offer)),
        );
    }
    let config = AnalysisConfig {
        max_legs: 10,
        max_rows: 5,
        max_streams: 7,
        max_registrations: 3,
        max_findings: 4,
        ..AnalysisConfig::default()
    };
    let analysis = analyze(&pcap.bytes[..], config).expect("a capture");
    let dropped = analysis.capture.dropped;
    assert_eq!((analysis.calls.len(), dropped.legs), (10, 40));
    assert_eq!((analysis.streams.len(), dropped.streams), (7, 43));
    assert_eq!((analysis.registrations.len(), dropped.registrations), (3, 47));
    assert_eq!(analysis.calls[1].ladder.rows_dropped, 26);
    assert_eq!(analysis.findings.len(), 4);
    assert!(dropped.findings > 0);
}

#[test]
fn connections_and_fragments_without_end_are_forgotten() {
    let mut pcap = Pcap::new();
    for port in 20_000..20_100 {
        // Each waits for a byte that never comes.
        let from = format!("10.0.0.1:{port}");
        pcap.frame(0, &tcp(&from, BOB, 0, "S", b""))
            .tcp(1, &from, BOB, 2, &[b'x'; 1_000]);
    }
    for number in 0..200u16 {
        let mut fragment = udp(ALICE, BOB, &[b'y'; 1_000]);
        fragment[4..6].copy_from_slice(&number.to_be_bytes());
        fragment[6..8].copy_from_slice(&0x2000u16.to_be_bytes());
        pcap.frame(2_000, &fragment);
    }
    let config = AnalysisConfig {
        max_connections: 16,
        max_fragment_bytes: 20_000,
        ..AnalysisConfig::default()
    };
    let analysis = analyze(&pcap.bytes[..], config).expect("a capture");
    assert_eq!(analysis.capture.dropped.connections, 84);
    assert_eq!(analysis.capture.dropped.fragments, 200);
    assert!(kinds(&analysis).contains(&FindingKind::Dropped));
}

/// A fork without end: each response has a tag of its own.
#[test]
fn one_call_with_very_many_tags_costs_little() {
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, None));
    for tag in 0..20_000u64 {
        let ringing = message(
            "SIP/2.0 180 Ringing",
            "INVITE",
            "x",
            1,
            &format!(";tag=t{tag}"),
            None,
            "",
        );
        pcap.udp(1 + tag / 100, BOB, ALICE, &ringing);
        let update = message(
            "UPDATE sip:b SIP/2.0",
            "UPDATE",
            "x",
            2 + tag as u32,
            &format!(";tag=t{tag}"),
            None,
            "",
        );
        pcap.udp(1 + tag / 100, ALICE, BOB, &update);
    }
    let analysis = pcap.analyze();
    assert_eq!(analysis.calls.len(), 1);
    assert_eq!(analysis.capture.sip_messages, 40_001);
}
