//! The formats of files.

use callwright_capture::analysis::{AnalysisConfig, FindingKind, analyze};
use callwright_capture::read::{PacketDirection, ReadError, read};

use super::build::{ALICE, ALICE_RTP, BOB, Pcap, START, call, kinds, request, sdp, udp};

#[test]
fn pcap_is_read_in_both_byte_orders_and_both_resolutions() {
    for (big_endian, nanos) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut pcap = Pcap::of(101, big_endian, nanos);
        let packet = udp(ALICE, BOB, &request("INVITE", "x", 1, None));
        pcap.frame(1_250_001, &packet);
        let mut seen = Vec::new();
        let facts = read(&pcap.bytes[..], |packet| {
            seen.push((
                packet.number,
                packet.offset,
                packet.unix_nanos,
                packet.data.to_vec(),
            ));
        })
        .expect("a capture");
        assert_eq!(facts.format, "pcap");
        assert_eq!(seen, [(1, 24, START * 1_000_000_000 + 1_250_001_000, packet)]);
    }
}

/// A section of one interface with this resolution, and one block for the packet.
fn pcapng(big_endian: bool, resolution: Option<u8>, block: u32, body: &[u8], link_type: u16) -> Vec<u8> {
    let word = |word: u32| {
        if big_endian {
            word.to_be_bytes()
        } else {
            word.to_le_bytes()
        }
    };
    let half = |half: u16| {
        if big_endian {
            half.to_be_bytes()
        } else {
            half.to_le_bytes()
        }
    };
    let mut file = Vec::new();
    let framed = |file: &mut Vec<u8>, kind: u32, body: &[u8]| {
        let length = body.len() as u32 + 12;
        file.extend(word(kind));
        file.extend(word(length));
        file.extend(body);
        file.extend(word(length));
    };
    let mut section = word(0x1a2b_3c4d).to_vec();
    section.extend([half(1), half(0)].concat());
    section.extend([0xff; 8]);
    framed(&mut file, 0x0a0d_0d0a, &section);
    let mut interface = half(link_type).to_vec();
    interface.extend(half(0));
    interface.extend(word(0));
    if let Some(resolution) = resolution {
        interface.extend(half(9));
        interface.extend(half(1));
        interface.extend([resolution, 0, 0, 0]);
        interface.extend([0; 4]);
    }
    framed(&mut file, 1, &interface);
    framed(&mut file, block, body);
    file
}

#[test]
fn pcapng_is_read_in_both_byte_orders_with_any_resolution() {
    let packet = udp(ALICE, BOB, &request("INVITE", "x", 1, None));
    for big_endian in [false, true] {
        // Microseconds by default, nanoseconds, and 2^-20 seconds.
        for (resolution, ticks, nanos) in [
            (None, 1_500_000u64, 1_500_000_000u64),
            (Some(9), 7, 7),
            (Some(0x94), 3 << 19, 1_500_000_000),
        ] {
            let word = |word: u32| {
                if big_endian {
                    word.to_be_bytes()
                } else {
                    word.to_le_bytes()
                }
            };
            let mut body = Vec::new();
            for value in [
                0,
                (ticks >> 32) as u32,
                ticks as u32,
                packet.len() as u32,
                packet.len() as u32,
            ] {
                body.extend(word(value));
            }
            body.extend(&packet);
            body.resize(body.len().next_multiple_of(4), 0);
            // epb_flags: inbound; a comment.
            let half = |half: u16| {
                if big_endian {
                    half.to_be_bytes()
                } else {
                    half.to_le_bytes()
                }
            };
            body.extend([half(2), half(4)].concat());
            body.extend(word(1));
            body.extend([half(1), half(2)].concat());
            body.extend(b"hi\0\0");
            body.extend([0; 4]);
            let file = pcapng(big_endian, resolution, 6, &body, 101);
            let mut seen = Vec::new();
            let facts = read(&file[..], |packet| {
                let comment = packet.comment.as_deref().map(str::to_owned);
                seen.push((packet.unix_nanos, packet.data.to_vec(), packet.direction, comment));
            })
            .expect("a capture");
            assert_eq!(facts.format, "pcapng");
            let direction = Some(PacketDirection::Inbound);
            assert_eq!(seen, [(nanos, packet.clone(), direction, Some("hi".to_owned()))]);
        }
    }
}

#[test]
fn simple_packets_and_the_obsolete_packet_block_are_read() {
    let packet = udp(ALICE, BOB, &request("INVITE", "x", 1, None));
    let mut simple = (packet.len() as u32).to_le_bytes().to_vec();
    simple.extend(&packet);
    simple.resize(simple.len().next_multiple_of(4), 0);
    let mut old = vec![0, 0, 0, 0];
    for word in [0, 5, packet.len() as u32, packet.len() as u32] {
        old.extend(word.to_le_bytes());
    }
    old.extend(&packet);
    old.resize(old.len().next_multiple_of(4), 0);
    for (kind, body) in [(3, simple), (2, old)] {
        let mut seen = Vec::new();
        read(&pcapng(false, None, kind, &body, 101)[..], |packet| {
            seen.push(packet.data.to_vec())
        })
        .expect("a capture");
        assert_eq!(seen, [packet.as_slice()], "block type {kind}");
    }
}

#[test]
fn what_is_no_capture_is_refused_with_its_first_bytes() {
    for (file, text) in [
        (&b""[..], "is empty"),
        (
            b"\x1f\x8b\x08\0\0\0\0\0",
            "1f 8b 08 00 00 00 00 00 (gzip: decompress it first, as with gunzip)",
        ),
        (b"hello world\n", "68 65 6c 6c 6f 20 77 6f (text)"),
        (b"\xa1\xb2", "a1 b2"),
    ] {
        let error = analyze(file, AnalysisConfig::default()).expect_err("no capture");
        assert!(error.to_string().contains(text), "{error}");
        assert!(!error.is_of_capture());
    }
}

#[test]
fn a_capture_that_ends_within_a_packet_is_read_up_to_there() {
    let mut pcap = Pcap::new();
    call(&mut pcap, "x", 2);
    let whole = pcap.analyze();
    pcap.bytes.truncate(pcap.bytes.len() - 3);
    let cut = pcap.analyze();
    assert_eq!(cut.capture.packets, whole.capture.packets - 1);
    let broken = cut.capture.broken.clone().expect("it says so");
    assert!(
        broken.contains("ends at offset")
            && broken.contains(&format!("behind packet {}", cut.capture.packets)),
        "{broken}"
    );
    assert!(kinds(&cut).contains(&FindingKind::Incomplete));
    let error = read(&pcap.bytes[..], |_| {}).expect_err("it is cut short");
    assert!(matches!(error, ReadError::CutShort { packet, .. } if packet == cut.capture.packets));
}

#[test]
fn a_block_with_lengths_that_do_not_agree_is_named_by_its_place() {
    let mut file = pcapng(false, None, 6, &[0; 20], 101);
    let at = file.len() - 4;
    file[at] = 99;
    let error = read(&file[..], |_| {}).expect_err("it is damaged");
    assert!(
        matches!(
            error,
            ReadError::Damaged {
                offset: 48,
                packet: 0,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_packet_of_an_interface_that_nobody_described_is_an_error() {
    let mut body = 7u32.to_le_bytes().to_vec();
    body.extend([0; 16]);
    let error = read(&pcapng(false, None, 6, &body, 101)[..], |_| {}).expect_err("no such interface");
    assert!(error.to_string().contains("interface 7"), "{error}");
}

#[test]
fn packets_cut_by_the_snap_length_are_counted() {
    let mut pcap = Pcap::new();
    let packet = udp(ALICE, BOB, &request("INVITE", "x", 1, None));
    pcap.frame(0, &packet);
    let length = 24 + 12;
    pcap.bytes[length..length + 4].copy_from_slice(&9_000u32.to_le_bytes());
    let analysis = pcap.analyze();
    assert_eq!(analysis.capture.dropped.cut_short, 1);
    assert_eq!(analysis.calls.len(), 1, "what is there is read");
}

#[test]
fn a_message_that_was_cut_is_nobodys_fault() {
    for kept in [150, 320] {
        let mut pcap = Pcap::new();
        let packet = udp(ALICE, BOB, &request("INVITE", "x", 1, Some(&sdp(ALICE_RTP))));
        pcap.frame(0, &packet[..kept]);
        let length = 24 + 12;
        pcap.bytes[length..length + 4].copy_from_slice(&(packet.len() as u32).to_le_bytes());
        let analysis = pcap.analyze();
        let found: Vec<_> = analysis.findings.iter().map(|finding| finding.kind).collect();
        let more = found.iter().find(|kind| **kind != FindingKind::Incomplete);
        assert_eq!(more, None, "{kept} bytes kept: {:?}", analysis.findings);
        assert_eq!(found.len(), 1);
    }
}
