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

/// A connection of which the beginning is not there, in very small segments that each look like a start.
#[test]
fn what_looks_like_a_start_again_and_again_is_searched_once() {
    let first = request("INVITE", "x", 1, None);
    for before in [&first[..0], &first[..]] {
        let mut pcap = Pcap::new();
        let from = "10.0.0.1:40000";
        if !before.is_empty() {
            pcap.frame(0, &tcp(from, BOB, 99, "S", b""))
                .tcp(0, from, BOB, 100, before);
        }
        let mut sequence = 100 + before.len() as u32;
        for place in 0..20_000u64 {
            pcap.tcp(1 + place / 100, from, BOB, sequence, b"SIP/2.0");
            sequence += 7;
        }
        let analysis = pcap.analyze();
        assert_eq!(analysis.calls.len(), usize::from(!before.is_empty()));
    }
}

/// Start lines without end, none of which begins a message.
#[test]
fn a_segment_full_of_starts_is_given_up() {
    let mut pcap = Pcap::new();
    let from = "10.0.0.1:40000";
    let whole = request("INVITE", "x", 1, None);
    pcap.frame(0, &tcp(from, BOB, 99, "S", b""))
        .tcp(0, from, BOB, 100, &whole);
    let mut sequence = 100 + whole.len() as u32;
    let starts = b"SIP/2.0 200 OK\r\n\r\n".repeat(3_600);
    for place in 0..10 {
        pcap.tcp(1 + place, from, BOB, sequence, &starts);
        sequence += starts.len() as u32;
    }
    // What comes behind is found again.
    pcap.tcp(20, from, BOB, sequence, &request("INVITE", "y", 1, None));
    let analysis = pcap.analyze();
    assert_eq!(analysis.calls.len(), 2);
    assert!(analysis.capture.dropped.unframed_stream_bytes > 500_000);
}

/// Two packets an hour apart are an hour of silence, and very many such streams are no memory.
#[test]
fn silence_takes_no_room_without_end() {
    let mut pcap = Pcap::new();
    for at in [0, 3_600_000] {
        for ssrc in 0..10 {
            for sequence in 0..5u16 {
                let timestamp = u32::from(sequence) * 160;
                let packet = rtp(0, sequence + (at > 0) as u16 * 5, timestamp, ssrc, &[0; 160]);
                pcap.udp(at + u64::from(sequence), ALICE_RTP, BOB_RTP, &packet);
            }
        }
    }
    let config = AnalysisConfig {
        max_all_seconds: 9_000,
        ..AnalysisConfig::default()
    };
    let analysis = analyze(&pcap.bytes[..], config).expect("a capture");
    let levels = || analysis.streams.iter().filter_map(|stream| stream.level.as_ref());
    let listed: usize = levels().map(|level| level.per_second_dbm0.len()).sum();
    let dropped: u64 = levels().map(|level| level.seconds_dropped).sum();
    assert!(listed <= 9_000, "{listed}");
    assert_eq!(listed as u64 + dropped, 36_010);
}

/// The last fragment first, then very many small ones.
#[test]
fn fragments_cost_the_same_however_many_came_before() {
    let mut pcap = Pcap::new();
    for packet in 0..40u16 {
        let payload = vec![b'z'; 65_000];
        let whole = udp(ALICE, BOB, &payload);
        let pieces = whole[20..].chunks(8).collect::<Vec<_>>();
        for (place, piece) in pieces.iter().enumerate().rev() {
            // The first one never comes.
            if place == 0 {
                continue;
            }
            let mut fragment = whole[..20].to_vec();
            let total = (20 + piece.len()) as u16;
            fragment[2..4].copy_from_slice(&total.to_be_bytes());
            fragment[4..6].copy_from_slice(&packet.to_be_bytes());
            let more = if place + 1 == pieces.len() { 0 } else { 0x2000 };
            fragment[6..8].copy_from_slice(&(more | place as u16).to_be_bytes());
            fragment.extend(*piece);
            pcap.frame(u64::from(packet), &fragment);
        }
    }
    let analysis = pcap.analyze();
    assert_eq!(analysis.capture.sip_messages, 0);
}

/// Each packet leaves out as many numbers as it can.
#[test]
fn numbers_that_never_came_cost_nothing() {
    let mut pcap = Pcap::new();
    let offer = sdp(BOB_RTP);
    pcap.udp(0, BOB, ALICE, &request("INVITE", "x", 1, Some(&offer)));
    for place in 0..4_000u64 {
        let sequence = (place * 2_999) as u16;
        pcap.udp(
            place,
            ALICE_RTP,
            BOB_RTP,
            &rtp(0, sequence, place as u32, 1, &[0xff]),
        );
    }
    let analysis = pcap.analyze();
    let quality = &analysis.streams[0].quality;
    assert_eq!(quality.expected, 3_999 * 2_999 + 1);
    assert_eq!(quality.lost as u64, quality.expected - 4_000);
}
