//! What is done with arbitrary captures: nothing may panic, hang or grow, and what is told must agree with itself.

use callwright_capture::analysis::{Analysis, AnalysisConfig, Analyzer, Stream, analyze};
use callwright_capture::read::{Packet, read};

fn config() -> AnalysisConfig {
    AnalysisConfig {
        max_legs: 64,
        max_registrations: 64,
        max_streams: 64,
        max_rows: 64,
        max_findings: 64,
        max_connections: 8,
        max_fragment_bytes: 65_536,
        max_waiting_bytes: 8_192,
        max_addresses: 64,
        max_seconds: 64,
        max_all_seconds: 512,
        keep_text: true,
        ..AnalysisConfig::default()
    }
}

/// A file of either format.
pub(crate) fn file(data: &[u8]) {
    let mut packets = 0;
    let mut last = 0;
    let facts = read(data, |packet| {
        packets += 1;
        assert_eq!(packet.number, packets);
        assert!(packet.offset >= last && packet.offset < data.len() as u64);
        last = packet.offset;
    });
    match (facts, analyze(data, config())) {
        (Ok(facts), Ok(analysis)) => {
            assert_eq!(facts.packets, packets);
            assert_eq!(analysis.capture.broken, None);
            check(&analysis, packets);
        }
        (Err(error), Ok(analysis)) => {
            assert!(error.is_of_capture());
            assert_eq!(analysis.capture.broken, Some(error.to_string()));
            check(&analysis, packets);
        }
        (Err(error), Err(_)) => assert!(!error.is_of_capture()),
        (Ok(_), Err(error)) => panic!("it can be read, and not be analyzed: {error}"),
    }
}

/// Packets without a file around them, so that the fuzzer need not find the lengths of blocks: a byte for link type and pause, two for
/// the length, then the packet.
pub(crate) fn packets(data: &[u8]) {
    const LINKS: [u32; 8] = [1, 101, 113, 276, 0, 108, 9, 228];
    let mut analyzer = Analyzer::new(config());
    let (mut rest, mut number, mut unix_nanos) = (data, 0, 1_700_000_000_000_000_000u64);
    while let [kind, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (packet, further) = behind.split_at(length);
        rest = further;
        number += 1;
        unix_nanos += u64::from(kind >> 3) * 20_000_000;
        let packet = Packet {
            number,
            offset: 0,
            unix_nanos,
            link_type: LINKS[usize::from(kind & 7)],
            interface: 0,
            interface_name: None,
            data: packet,
            original_length: length as u32,
            direction: None,
            comment: None,
        };
        analyzer.packet(&packet, false);
    }
    check(&analyzer.finish(), number);
}

fn check(analysis: &Analysis, packets: u64) {
    let summary = &analysis.capture;
    assert_eq!(summary.packets, packets);
    assert!(analysis.findings.len() <= 64 && analysis.streams.len() <= 64);
    let in_capture = |packet: &u64| *packet >= 1 && *packet <= packets;
    for finding in &analysis.findings {
        assert!(finding.packets.iter().all(in_capture), "{finding:?}");
        assert!(finding.call.is_none_or(|call| call < analysis.calls.len()));
        assert!(
            finding
                .stream
                .is_none_or(|stream| stream < analysis.streams.len())
        );
        let of_call = finding.call.map(|call| analysis.calls[call].legs.len());
        assert!(
            finding
                .leg
                .is_none_or(|leg| of_call.is_some_and(|legs| leg < legs))
        );
    }
    for call in &analysis.calls {
        assert_eq!(call.joins.len() + 1, call.legs.len());
        assert!(
            call.joins
                .iter()
                .all(|join| join.leg < call.legs.len() && join.to < join.leg)
        );
        for row in &call.ladder.rows {
            assert!(in_capture(&row.packet) && row.leg < call.legs.len());
            assert!(row.from.max(row.to) < call.ladder.parties.len());
        }
    }
    let of_streams: u64 = analysis.streams.iter().map(|stream| stream.quality.packets).sum();
    assert_eq!(summary.rtp_packets, of_streams);
    for stream in &analysis.streams {
        let quality = &stream.quality;
        assert!((0.0..=100.0).contains(&quality.loss_percent), "{quality:?}");
        assert!(quality.mos.is_none_or(|mos| (1.0..=4.5).contains(&mos)));
        assert!(stream.started <= stream.ended);
    }
    let listed = |stream: &Stream| {
        stream
            .level
            .as_ref()
            .map_or(0, |level| level.per_second_dbm0.len())
    };
    assert!(analysis.streams.iter().map(listed).sum::<usize>() <= 512);
    for (place, stream) in analysis.streams.iter().enumerate() {
        let own = stream.call.zip(stream.leg).into_iter();
        let mut of: Vec<_> = own
            .chain(stream.also.iter().map(|also| (also.call, also.leg)))
            .collect();
        for (call, leg) in &of {
            let call = &analysis.calls[*call];
            assert!(call.legs[*leg].streams.contains(&place) && call.streams.contains(&place));
        }
        let count = of.len();
        of.sort_unstable();
        of.dedup();
        assert_eq!(of.len(), count, "a leg has it twice");
    }
}
