//! Link types.

use super::build::{ALICE, BOB, Pcap, request, udp};

fn ethernet(kind: u16) -> Vec<u8> {
    let mut header = vec![2; 12];
    header.extend(kind.to_be_bytes());
    header
}

#[test]
fn a_message_is_found_behind_every_kind_of_link() {
    let v4 = udp(ALICE, BOB, &request("INVITE", "x", 1, None));
    let v6 = udp(
        "[2001:db8::1]:5060",
        "[2001:db8::2]:5060",
        &request("INVITE", "x", 1, None),
    );
    let vlan = [ethernet(0x8100), vec![0, 7, 0x08, 0x00]].concat();
    let two_vlans = [ethernet(0x88a8), vec![0, 7, 0x81, 0x00, 0, 9, 0x86, 0xdd]].concat();
    let pppoe = [ethernet(0x8864), vec![0x11, 0, 0, 1, 0, 0, 0, 0x21]].concat();
    let cooked = [vec![0, 4, 0, 1, 0, 6], vec![0; 8], vec![0x08, 0x00]].concat();
    let cooked2 = [vec![0x86, 0xdd, 0, 0, 0, 0, 0, 1, 0, 1, 4, 6], vec![0; 8]].concat();
    let cases: [(&str, u32, Vec<u8>, &[u8]); 14] = [
        ("Ethernet", 1, ethernet(0x0800), &v4),
        ("Ethernet with IPv6", 1, ethernet(0x86dd), &v6),
        ("VLAN", 1, vlan, &v4),
        ("two VLAN tags", 1, two_vlans, &v6),
        ("PPPoE", 1, pppoe, &v4),
        ("Linux cooked", 113, cooked, &v4),
        ("Linux cooked v2", 276, cooked2, &v6),
        ("raw IP", 101, Vec::new(), &v6),
        ("raw IP of OpenBSD", 14, Vec::new(), &v4),
        ("IPv4", 228, Vec::new(), &v4),
        ("IPv6", 229, Vec::new(), &v6),
        ("loopback of BSD", 0, vec![2, 0, 0, 0], &v4),
        ("loopback of OpenBSD", 108, vec![0, 0, 0, 24], &v6),
        ("PPP", 9, vec![0xff, 0x03, 0, 0x21], &v4),
    ];
    for (name, link_type, header, ip) in cases {
        let mut pcap = Pcap::of(link_type, false, false);
        pcap.frame(0, &[&header, ip].concat());
        assert_eq!(pcap.analyze().calls.len(), 1, "{name}");
    }
}

#[test]
fn what_is_no_ip_or_of_an_unknown_link_is_counted() {
    let mut pcap = Pcap::of(1, false, false);
    pcap.frame(0, &[ethernet(0x0806), vec![0; 28]].concat())
        .frame(1, &[1, 2, 3]);
    assert_eq!(pcap.analyze().capture.other_packets, 2);
    let mut pcap = Pcap::of(147, false, false);
    pcap.frame(0, &[0; 40]);
    assert_eq!(pcap.analyze().capture.dropped.unknown_link_type, 1);
}

#[test]
fn a_packet_that_a_cooked_capture_has_twice_counts_once() {
    let mut ip = udp(ALICE, BOB, &request("INVITE", "x", 1, None));
    // An identification, as packets have that were really sent.
    ip[4..6].copy_from_slice(&[0x12, 0x34]);
    let cooked = |kind: u8| {
        [
            vec![0, kind, 3, 4, 0, 6],
            vec![0; 8],
            vec![0x08, 0x00],
            ip.clone(),
        ]
        .concat()
    };
    let mut pcap = Pcap::of(113, false, false);
    pcap.frame(0, &cooked(4)).frame(20, &cooked(0));
    let analysis = pcap.analyze();
    assert_eq!(analysis.capture.dropped.seen_twice, 1);
    assert_eq!(analysis.calls[0].legs[0].retransmissions, 0);
    // Sent again half a second later, it is another packet.
    pcap.frame(500_000, &cooked(4));
    assert_eq!(pcap.analyze().calls[0].legs[0].retransmissions, 1);
}

#[test]
fn packets_without_an_identification_are_found_twice_too() {
    let mut cases = vec![udp(ALICE, BOB, &request("INVITE", "x", 1, None))];
    cases[0][4..6].copy_from_slice(&[0, 0]);
    cases.push(udp(
        "[2001:db8::1]:5060",
        "[2001:db8::2]:5060",
        &request("INVITE", "x", 1, None),
    ));
    for ip in cases {
        let protocol: u16 = if ip[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
        let cooked = |kind: u8, ip: &[u8]| {
            let mut packet = [vec![0, kind, 3, 4, 0, 6], vec![0; 8]].concat();
            packet.extend(protocol.to_be_bytes());
            packet.extend(ip);
            packet
        };
        let mut pcap = Pcap::of(113, false, false);
        pcap.frame(0, &cooked(4, &ip));
        // Many others between the two.
        for other in 0..300u16 {
            let mut ip = udp(ALICE, BOB, b"\r\n\r\n");
            ip[4..6].copy_from_slice(&(other + 1).to_be_bytes());
            let mut packet = [vec![0, 4, 3, 4, 0, 6], vec![0; 8], vec![0x08, 0x00]].concat();
            packet.extend(ip);
            pcap.frame(10, &packet);
        }
        pcap.frame(2_000, &cooked(0, &ip));
        let analysis = pcap.analyze();
        assert_eq!(analysis.capture.dropped.seen_twice, 1);
        assert_eq!(analysis.calls[0].legs[0].retransmissions, 0);
        // One interface has it twice: it was sent again.
        pcap.frame(4_000, &cooked(4, &ip)).frame(500_000, &cooked(4, &ip));
        assert_eq!(pcap.analyze().calls[0].legs[0].retransmissions, 1);
    }
}
