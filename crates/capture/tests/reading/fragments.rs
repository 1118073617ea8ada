//! Fragments of IP packets.

use super::build::{ALICE, BOB, Pcap, request, udp};

/// An IPv4 packet in pieces of at most `size` bytes of payload, a multiple of 8.
fn v4(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let payload = &packet[20..];
    let pieces = payload.chunks(size).enumerate();
    pieces
        .map(|(place, piece)| {
            let mut fragment = packet[..20].to_vec();
            let more = (place + 1) * size < payload.len();
            let offset = (place * size / 8) as u16 | u16::from(more) << 13;
            fragment[2..4].copy_from_slice(&(piece.len() as u16 + 20).to_be_bytes());
            fragment[4..6].copy_from_slice(&[0xab, 0xcd]);
            fragment[6..8].copy_from_slice(&offset.to_be_bytes());
            fragment.extend(piece);
            fragment
        })
        .collect()
}

/// The same of IPv6.
fn v6(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let payload = &packet[40..];
    let pieces = payload.chunks(size).enumerate();
    pieces
        .map(|(place, piece)| {
            let mut fragment = packet[..40].to_vec();
            let more = (place + 1) * size < payload.len();
            fragment[4..6].copy_from_slice(&(piece.len() as u16 + 8).to_be_bytes());
            let protocol = std::mem::replace(&mut fragment[6], 44);
            fragment.extend([protocol, 0]);
            fragment.extend(((place * size) as u16 | u16::from(more)).to_be_bytes());
            fragment.extend([0, 0, 0xab, 0xcd]);
            fragment.extend(piece);
            fragment
        })
        .collect()
}

fn invites(fragments: &[&Vec<u8>]) -> (usize, u64) {
    let mut pcap = Pcap::new();
    for (place, fragment) in fragments.iter().enumerate() {
        pcap.frame(place as u64 * 100, fragment);
    }
    let analysis = pcap.analyze();
    (analysis.calls.len(), analysis.capture.dropped.fragments)
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let invite = request("INVITE", "x", 1, None);
    let packets = [
        v4(&udp(ALICE, BOB, &invite), 32),
        v6(&udp("[2001:db8::1]:5060", "[2001:db8::2]:5060", &invite), 32),
    ];
    for fragments in packets {
        assert!(fragments.len() > 4);
        let all: Vec<_> = fragments.iter().collect();
        assert_eq!(invites(&all), (1, 0));
        let back: Vec<_> = fragments.iter().rev().collect();
        assert_eq!(invites(&back), (1, 0));
        // One of them twice.
        let twice = [&all[..2], &all[1..]].concat();
        assert_eq!(invites(&twice), (1, 0));
        // One is missing: nothing comes of it, and what was there is counted.
        assert_eq!(invites(&all[1..]), (0, fragments.len() as u64 - 1));
    }
}

#[test]
fn where_fragments_overlap_what_came_first_stays() {
    let invite = request("INVITE", "x", 1, None);
    let packet = udp(ALICE, BOB, &invite);
    let fragments = v4(&packet, 64);
    // The same place with other bytes, and with more than the one before it left open.
    let mut forged = fragments[1].clone();
    forged[20..].fill(b'?');
    let order: Vec<&Vec<u8>> = [&fragments[0], &fragments[1], &forged]
        .into_iter()
        .chain(&fragments[2..])
        .collect();
    assert_eq!(invites(&order), (1, 0));
}
