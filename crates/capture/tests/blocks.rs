//! What stands in the file, block by block and header by header, as other parsers read it.

mod story;

use std::time::Duration;

use callwright_wire::{Carrier, Epoch, Fate, TapRecord};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::pcapng::PcapNGOption;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, OptionCode, PcapBlockOwned, PcapError, PcapNGReader};
use story::{ALICE, BOB, capture, caused, record};

#[derive(Debug, Default)]
struct Contents {
    interfaces: Vec<String>,
    packets: Vec<Packet>,
}

#[derive(Debug)]
struct Packet {
    interface: u32,
    nanos: u64,
    comment: Option<String>,
    inbound: Option<bool>,
    frame: Vec<u8>,
}

fn text(options: &[PcapNGOption<'_>], code: OptionCode) -> Option<String> {
    options
        .iter()
        .find(|option| option.code == code)
        .map(|option| String::from_utf8(option.as_bytes().expect("a value").to_vec()).expect("text"))
}

fn contents(capture: &[u8]) -> Contents {
    let mut reader = PcapNGReader::new(1 << 20, capture).expect("a section");
    let mut contents = Contents::default();
    loop {
        match reader.next() {
            Ok((offset, PcapBlockOwned::NG(block))) => {
                match block {
                    Block::SectionHeader(section) => {
                        assert!(
                            text(&section.options, OptionCode(4))
                                .unwrap()
                                .starts_with("callwright ")
                        );
                    }
                    Block::InterfaceDescription(interface) => {
                        assert_eq!((interface.linktype.0, interface.if_tsresol), (1, 9));
                        contents
                            .interfaces
                            .push(text(&interface.options, OptionCode(2)).expect("a name"));
                    }
                    Block::EnhancedPacket(packet) => {
                        assert_eq!(packet.caplen, packet.origlen);
                        contents.packets.push(Packet {
                            interface: packet.if_id,
                            nanos: u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low),
                            comment: text(&packet.options, OptionCode::Comment),
                            inbound: packet
                                .options
                                .iter()
                                .find(|option| option.code == OptionCode(2))
                                .map(|option| option.as_bytes().expect("flags")[0] == 1),
                            frame: packet.packet_data()[..packet.caplen as usize].to_vec(),
                        });
                    }
                    other => panic!("{other:?}"),
                }
                reader.consume(offset);
            }
            Ok((_, PcapBlockOwned::Legacy(_) | PcapBlockOwned::LegacyHeader(_))) => panic!("not pcapng"),
            Err(PcapError::Eof) => return contents,
            Err(PcapError::Incomplete(_)) => reader.refill().expect("more"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// The transport header and payload, all checksums verified.
fn verified(frame: &[u8]) -> TransportSlice<'_> {
    let packet = SlicedPacket::from_ethernet(frame).expect("a packet");
    let transport = packet.transport.expect("a transport header");
    match (packet.net.expect("an IP header"), &transport) {
        (NetSlice::Ipv4(ip), TransportSlice::Udp(udp)) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            let sum = udp
                .to_header()
                .calc_checksum_ipv4(&header, udp.payload())
                .unwrap();
            assert_eq!(udp.checksum(), sum);
        }
        (NetSlice::Ipv4(ip), TransportSlice::Tcp(tcp)) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            let sum = tcp
                .to_header()
                .calc_checksum_ipv4(&header, tcp.payload())
                .unwrap();
            assert_eq!(tcp.checksum(), sum);
        }
        (NetSlice::Ipv6(ip), TransportSlice::Udp(udp)) => {
            let header = ip.header().to_header();
            let sum = udp
                .to_header()
                .calc_checksum_ipv6(&header, udp.payload())
                .unwrap();
            assert_eq!(udp.checksum(), sum);
        }
        (NetSlice::Ipv6(ip), TransportSlice::Tcp(tcp)) => {
            let header = ip.header().to_header();
            let sum = tcp
                .to_header()
                .calc_checksum_ipv6(&header, tcp.payload())
                .unwrap();
            assert_eq!(tcp.checksum(), sum);
        }
        other => panic!("{other:?}"),
    }
    transport
}

fn udp_payload(frame: &[u8]) -> &[u8] {
    let TransportSlice::Udp(udp) = verified(frame) else {
        panic!("not UDP")
    };
    udp.payload()
}

#[test]
fn an_empty_capture_is_readable() {
    let contents = contents(&capture(&[]));
    assert!(contents.interfaces.is_empty() && contents.packets.is_empty());
}

#[test]
fn each_party_is_an_interface_and_each_packet_is_on_its_own() {
    let contents = contents(&capture(&[
        record(1, Carrier::Udp, ALICE, BOB, "one"),
        record(2, Carrier::Udp, BOB, ALICE, "two"),
        TapRecord {
            party: 7,
            ..record(3, Carrier::Udp, BOB, ALICE, "three")
        },
        record(4, Carrier::Udp, ALICE, BOB, "four"),
    ]));
    assert_eq!(contents.interfaces, ["Alice", "Bob", "party 7"]);
    let on: Vec<_> = contents.packets.iter().map(|packet| packet.interface).collect();
    assert_eq!(on, [0, 1, 2, 0]);
    assert_eq!(udp_payload(&contents.packets[3].frame), b"four");
}

#[test]
fn time_is_that_of_the_world_in_nanoseconds() {
    let contents = contents(&capture(&[record(1_500, Carrier::Udp, ALICE, BOB, "x")]));
    assert_eq!(
        contents.packets[0].nanos,
        Epoch::SIMULATED.unix_nanos_at(callwright_wire::Time::ZERO) + 1_500_000_000
    );
}

fn fated(second: u64, fate: Fate) -> TapRecord {
    TapRecord {
        fate,
        ..record(second, Carrier::Udp, ALICE, BOB, "x")
    }
}

#[test]
fn the_cause_the_encryption_and_the_fate_are_in_the_comment() {
    let contents = contents(&capture(&[
        caused(record(1, Carrier::Udp, ALICE, BOB, "x"), 12),
        caused(record(2, Carrier::Udp, ALICE, BOB, "x"), 0),
        caused(record(3, Carrier::SrtpClear, ALICE, BOB, "x"), 13),
        TapRecord {
            fate: Fate::Lost,
            ..record(4, Carrier::Udp, ALICE, BOB, "x")
        },
        fated(
            5,
            Fate::Delayed {
                by: Duration::from_micros(12_345),
            },
        ),
        fated(6, Fate::Duplicated { by: Duration::ZERO }),
        fated(
            7,
            Fate::Duplicated {
                by: Duration::from_millis(3),
            },
        ),
    ]));
    let comments: Vec<_> = contents
        .packets
        .iter()
        .map(|packet| packet.comment.as_deref())
        .collect();
    assert_eq!(
        comments,
        [
            Some("call.rhai:12: alice.dial(bob)"),
            None,
            Some("call.rhai:13: alice.dial(bob); clear text of SRTP"),
            Some("lost on its way"),
            Some("delayed by 12.3 ms"),
            Some("delivered twice"),
            Some("delivered twice, delayed by 3.0 ms"),
        ]
    );
}

#[test]
fn what_was_received_is_told_from_what_was_sent() {
    let contents = contents(&capture(&[
        record(1, Carrier::Udp, ALICE, BOB, "x"),
        TapRecord {
            fate: Fate::Received,
            ..record(2, Carrier::Udp, BOB, ALICE, "x")
        },
    ]));
    let inbound: Vec<_> = contents.packets.iter().map(|packet| packet.inbound).collect();
    assert_eq!(inbound, [Some(false), Some(true)]);
}

#[test]
fn the_largest_datagrams_of_both_families_fit_and_check() {
    let payload: Vec<u8> = (0..65_535_u32).map(|n| (n * 7) as u8).collect();
    let contents = contents(&capture(&[
        record(1, Carrier::Udp, ALICE, BOB, payload[..65_507].to_vec()),
        record(
            2,
            Carrier::Udp,
            "[::1]:5060",
            "[::1]:5062",
            payload[..65_527].to_vec(),
        ),
        // No packet can hold this one; it is cut.
        record(3, Carrier::Udp, ALICE, BOB, payload.clone()),
        record(4, Carrier::Udp, ALICE, BOB, ""),
        record(5, Carrier::Udp, ALICE, BOB, "odd"),
    ]));
    let lengths: Vec<_> = contents
        .packets
        .iter()
        .map(|packet| udp_payload(&packet.frame).len())
        .collect();
    assert_eq!(lengths, [65_507, 65_527, 65_507, 0, 3]);
}

#[test]
fn a_stream_is_a_conversation_with_a_beginning_and_an_end() {
    let long: Vec<u8> = (0..150_000_u32).map(|n| n as u8).collect();
    let contents = contents(&capture(&[
        caused(record(1, Carrier::Tcp, "[::1]:40001", "[::1]:5060", "ping"), 1),
        record(2, Carrier::Tcp, "[::1]:5060", "[::1]:40001", long.clone()),
        record(3, Carrier::Tcp, "[::1]:40001", "[::1]:5060", "bye"),
    ]));
    let mut next = [None, None];
    let mut received = [Vec::new(), Vec::new()];
    let mut flags = String::new();
    for packet in &contents.packets {
        let TransportSlice::Tcp(tcp) = verified(&packet.frame) else {
            panic!("not TCP")
        };
        let side = usize::from(tcp.source_port() == 5060);
        // Each side goes on where it stood, and acknowledges all of the other.
        assert_eq!(tcp.sequence_number(), next[side].unwrap_or(0));
        if tcp.ack() {
            assert_eq!(Some(tcp.acknowledgment_number()), next[1 - side]);
        }
        let counted = tcp.payload().len() as u32 + u32::from(tcp.syn()) + u32::from(tcp.fin());
        next[side] = Some(tcp.sequence_number() + counted);
        received[side].extend_from_slice(tcp.payload());
        flags.push(match (tcp.syn(), tcp.fin(), tcp.payload().len()) {
            (true, false, 0) => 's',
            (false, true, 0) => 'f',
            (false, false, 0) => 'a',
            (false, false, _) => 'd',
            other => panic!("{other:?}"),
        });
        assert_eq!(packet.comment.is_some(), tcp.payload() == b"ping");
    }
    assert_eq!(flags, "ssadddddffa");
    assert_eq!(received[0], b"pingbye");
    assert!(received[1] == long);
}
