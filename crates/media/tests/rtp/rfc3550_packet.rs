//! RFC 3550 §5: packets, beside another library.

use callwright_media::rtp::{Header, Kind, Packet, RtpError, classify};
use proptest::prelude::*;
use rtp_types::{RtpPacket, RtpPacketBuilder};

const PLAIN: [u8; 14] = [0x80, 0x80, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 1, 2];

#[test]
fn a_packet_is_read() {
    let packet = Packet::parse(&PLAIN).expect("a packet");
    assert!(packet.marker());
    assert_eq!((packet.payload_type(), packet.sequence()), (0, 0x1234));
    assert_eq!((packet.timestamp(), packet.ssrc()), (160, 0xdead_beef));
    assert_eq!(
        (packet.payload(), packet.padding(), packet.extension()),
        (&PLAIN[12..], 0, None)
    );
    assert_eq!(packet.csrc().count(), 0);
}

#[test]
fn what_breaks_a_rule_is_named() {
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut bytes = PLAIN.to_vec();
        change(&mut bytes);
        Packet::parse(&bytes).map(|packet| packet.payload().to_vec())
    };
    assert_eq!(
        broken(|bytes| bytes.truncate(11)),
        Err(RtpError::TooShort { length: 11 })
    );
    assert_eq!(
        broken(|bytes| bytes[0] = 0x40),
        Err(RtpError::Version { version: 1 })
    );
    assert_eq!(broken(|bytes| bytes[0] |= 1), Err(RtpError::Csrc { count: 1 }));
    assert_eq!(broken(|bytes| bytes[0] |= 0x10), Err(RtpError::Extension));
    assert_eq!(broken(|bytes| bytes.extend([0, 2, 0])), Ok(vec![1, 2, 0, 2, 0]));
    assert_eq!(broken(|bytes| bytes[0] |= 0x20), Ok(vec![]));
    let too_much = |bytes: &mut Vec<u8>| {
        bytes[0] |= 0x20;
        bytes[13] = 3;
    };
    assert_eq!(broken(too_much), Err(RtpError::Padding { count: 3 }));
    let zero = |bytes: &mut Vec<u8>| {
        bytes[0] |= 0x20;
        bytes[13] = 0;
    };
    assert_eq!(broken(zero), Err(RtpError::Padding { count: 0 }));
    let bare = |bytes: &mut Vec<u8>| {
        bytes[0] |= 0x20;
        bytes.truncate(12);
    };
    // The last byte of the header is no padding count.
    assert_eq!(broken(bare), Err(RtpError::Padding { count: 0xef }));
}

#[test]
fn a_packet_can_be_wrong_on_purpose() {
    let mut buffer = [0; 64];
    let header = Header {
        version: 1,
        csrc: &[7; 3],
        ..Header::default()
    };
    let length = header.write(&[9; 4], &mut buffer).expect("room");
    assert_eq!((length, buffer[0]), (28, 0x43));
    assert_eq!(
        Packet::parse(&buffer[..length]),
        Err(RtpError::Version { version: 1 })
    );
}

#[test]
fn a_packet_that_does_not_fit_is_not_written() {
    let mut buffer = [0; 15];
    assert_eq!(Header::default().write(&[1; 4], &mut buffer), None);
    assert_eq!(Header::default().write(&[1; 3], &mut buffer), Some(15));
}

/// RFC 5761 §4 and RFC 7983 §7.
#[test]
fn rtcp_is_told_from_rtp_and_both_from_the_rest() {
    for second in 0..=255 {
        let expected = if (192..=223).contains(&second) {
            Kind::Rtcp
        } else {
            Kind::Rtp
        };
        assert_eq!(classify(&[0x80, second]), expected, "{second}");
    }
    for first in (0..128).chain(192..=255) {
        assert_eq!(classify(&[first, 200]), Kind::Other, "{first}");
    }
    assert_eq!(classify(&[]), Kind::Other);
    assert_eq!(classify(&[0x80]), Kind::Other);
}

proptest! {
    #[test]
    fn what_is_written_is_read_by_both(
        fixed in any::<(bool, u8, u16, u32, u32)>(),
        csrc in proptest::collection::vec(any::<u32>(), 0..16),
        extension in proptest::option::of((any::<u16>(), proptest::collection::vec(any::<u8>(), 0..20))),
        padding in any::<u8>(),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (marker, payload_type, sequence, timestamp, ssrc) = fixed;
        let payload_type = payload_type & 0x7f;
        let header = Header {
            version: 2,
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
            csrc: &csrc,
            extension: extension.as_ref().map(|(profile, data)| (*profile, data.as_slice())),
            padding,
        };
        let mut buffer = [0; 1_500];
        let length = header.write(&payload, &mut buffer).expect("room");
        prop_assert_eq!(length, header.packet_length(payload.len()));
        let ours = Packet::parse(&buffer[..length]).expect("our own");
        let theirs = RtpPacket::parse(&buffer[..length]).expect("a packet for the other library");
        prop_assert_eq!(ours.payload(), theirs.payload());
        prop_assert_eq!(ours.payload(), payload.as_slice());
        prop_assert_eq!(ours.marker(), theirs.marker_bit());
        prop_assert_eq!(ours.payload_type(), theirs.payload_type());
        prop_assert_eq!(ours.sequence(), theirs.sequence_number());
        prop_assert_eq!(ours.timestamp(), theirs.timestamp());
        prop_assert_eq!(ours.ssrc(), theirs.ssrc());
        prop_assert_eq!(ours.csrc().collect::<Vec<_>>(), csrc);
        prop_assert_eq!(ours.extension(), theirs.extension());
        prop_assert_eq!(ours.padding(), usize::from(padding));
    }

    #[test]
    fn what_the_other_library_writes_is_read(payload in proptest::collection::vec(any::<u8>(), 0..200), sequence: u16) {
        let bytes = RtpPacketBuilder::new()
            .payload_type(8)
            .sequence_number(sequence)
            .ssrc(5)
            .payload(payload.as_slice())
            .write_vec()
            .expect("a packet");
        let packet = Packet::parse(&bytes).expect("a packet");
        prop_assert_eq!((packet.payload(), packet.sequence()), (payload.as_slice(), sequence));
    }

    #[test]
    fn random_bytes_are_judged_as_the_other_library_judges_them(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..80),
        first in prop_oneof![any::<u8>(), 0x80u8..0xc0],
    ) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        let ours = Packet::parse(&bytes);
        let theirs = RtpPacket::parse(&bytes);
        if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
            prop_assert_eq!(ours.payload(), theirs.payload());
        }
        // Where they differ, a padding count of zero is meant: RFC 3550 §5.1 counts the last byte itself.
        if ours.is_err() != theirs.is_err() {
            prop_assert_eq!(ours, Err(RtpError::Padding { count: 0 }));
        }
    }
}
