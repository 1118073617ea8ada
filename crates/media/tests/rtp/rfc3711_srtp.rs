//! RFC 3711: SRTP and SRTCP.

use callwright_media::rtp::Header;
use callwright_media::srtp::{Inbound, MasterKey, Outbound, SrtpError, Suite};
use proptest::prelude::*;

const SUITES: [Suite; 2] = [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32];

fn key(suite: Suite) -> MasterKey {
    let mut bytes = [0; 30];
    for (number, byte) in bytes.iter_mut().enumerate() {
        *byte = number as u8;
    }
    MasterKey::new(suite, &bytes)
}

fn packet(sequence: u16, ssrc: u32) -> Vec<u8> {
    let header = Header {
        sequence,
        ssrc,
        csrc: &[1, 2],
        extension: Some((0xbede, &[1, 2, 3, 4])),
        ..Header::default()
    };
    let mut buffer = [0; 200];
    let length = header.write(&[0x55; 100], &mut buffer).expect("room");
    buffer[..length].to_vec()
}

fn seal(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 300];
    buffer[..packet.len()].copy_from_slice(packet);
    let length = outbound.seal_rtp(&mut buffer, packet.len()).expect("room");
    buffer[..length].to_vec()
}

fn open(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut out = [0; 300];
    let length = inbound.open_rtp(packet, &mut out)?;
    Ok(out[..length].to_vec())
}

/// Made with libsrtp's test key, as other implementations test themselves.
#[test]
fn a_packet_is_sealed_as_by_others() {
    let master: [u8; 30] = [
        0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde, 0x41, 0x39, 0x0e,
        0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6,
    ];
    let clear: [u8; 28] = [
        0x80, 0x0f, 0x12, 0x34, 0xde, 0xca, 0xfb, 0xad, 0xca, 0xfe, 0xba, 0xbe, 0xab, 0xab, 0xab, 0xab, 0xab,
        0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab,
    ];
    let sealed: [u8; 38] = [
        0x80, 0x0f, 0x12, 0x34, 0xde, 0xca, 0xfb, 0xad, 0xca, 0xfe, 0xba, 0xbe, 0x4e, 0x55, 0xdc, 0x4c, 0xe7,
        0x99, 0x78, 0xd8, 0x8c, 0xa4, 0xd2, 0x15, 0x94, 0x9d, 0x24, 0x02, 0xb7, 0x8d, 0x6a, 0xcc, 0x99, 0xea,
        0x17, 0x9b, 0x8d, 0xbb,
    ];
    let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &master);
    assert_eq!(seal(&mut Outbound::new(&key), &clear), sealed);
    assert_eq!(open(&mut Inbound::new(&key), &sealed), Ok(clear.to_vec()));
}

#[test]
fn header_stays_payload_is_hidden_and_comes_back() {
    for suite in SUITES {
        let clear = packet(1, 7);
        let sealed = seal(&mut Outbound::new(&key(suite)), &clear);
        assert_eq!(sealed.len(), clear.len() + suite.rtp_tag());
        assert_eq!(sealed[..28], clear[..28]);
        assert_ne!(sealed[28..clear.len()], clear[28..]);
        assert_eq!(open(&mut Inbound::new(&key(suite)), &sealed), Ok(clear));
    }
}

#[test]
fn every_changed_bit_is_noticed_and_leaves_no_trace() {
    for suite in SUITES {
        let mut inbound = Inbound::new(&key(suite));
        let sealed = seal(&mut Outbound::new(&key(suite)), &packet(1, 7));
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&mut inbound, &changed).is_err(), "bit {bit}");
        }
        assert!(open(&mut inbound, &sealed).is_ok());
        assert_eq!(open(&mut inbound, &sealed), Err(SrtpError::Replayed));
    }
}

#[test]
fn another_key_opens_nothing() {
    let suite = Suite::AesCm128HmacSha1_80;
    let sealed = seal(&mut Outbound::new(&key(suite)), &packet(1, 7));
    let other = MasterKey::new(suite, &[9; 30]);
    assert_eq!(
        open(&mut Inbound::new(&other), &sealed),
        Err(SrtpError::Unauthentic)
    );
}

/// RFC 3711 §3.3.1: the rollover counter is guessed from the sequence number, through loss and reordering.
#[test]
fn the_rollover_counter_is_followed_both_ways() {
    for suite in SUITES {
        let (mut outbound, mut inbound) = (Outbound::new(&key(suite)), Inbound::new(&key(suite)));
        let mut kept = Vec::new();
        for number in 65_000..140_000u32 {
            let clear = packet(number as u16, 7);
            let sealed = seal(&mut outbound, &clear);
            // Of every thousand the first is kept back and comes later; around the turns more of them do.
            if number % 1_000 == 0 || (number + 3) % 65_536 < 3 {
                kept.push((sealed, clear));
            } else if number % 997 < 500 || number % 65_536 < 20 {
                assert_eq!(open(&mut inbound, &sealed).as_ref(), Ok(&clear), "{number}");
            }
            if (number + 60_000) % 1_000 == 50 || number % 65_536 == 10 {
                for (sealed, clear) in kept.drain(..) {
                    assert_eq!(open(&mut inbound, &sealed), Ok(clear), "late at {number}");
                }
            }
        }
    }
}

/// RFC 3711 §3.3.1: the rollover counter goes on under a new key; peers that start anew after an offer begin at zero.
#[test]
fn under_a_new_key_the_rollover_counter_goes_on_or_starts_anew() {
    let suite = Suite::AesCm128HmacSha1_32;
    let second = MasterKey::new(suite, &[9; 30]);
    for (keeps, turned) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut first = Outbound::new(&key(suite));
        let mut inbound = Inbound::new(&key(suite));
        for number in (0..131_000u32).step_by(500) {
            let sealed = seal(&mut first, &packet(number as u16, 7));
            assert!(open(&mut inbound, &sealed).is_ok());
        }
        let mut renewed = inbound.renewed(&second);
        // What is still on its way under the old key is not the new one's, and settles nothing.
        let sealed = seal(&mut first, &packet(131_000u32 as u16, 7));
        assert_eq!(open(&mut renewed, &sealed), Err(SrtpError::Unauthentic));
        let mut outbound = Outbound::new(&second);
        let start = if keeps { 0u32 } else { 131_000 };
        // The packets in which a sender that keeps its counter reaches it, or those that were lost.
        let heard_from = if turned { 131_080 } else { 131_000 };
        let ahead = (start..131_000).step_by(1_000);
        for number in ahead
            .chain(131_000..131_300)
            .chain((131_300..198_000).step_by(100))
        {
            let sealed = seal(&mut outbound, &packet(number as u16, 7));
            if number >= heard_from {
                let opened = open(&mut renewed, &sealed);
                assert!(opened.is_ok(), "keeps {keeps}, {number}: {opened:?}");
                assert_eq!(open(&mut renewed, &sealed), Err(SrtpError::Replayed));
            }
        }
    }
}

#[test]
fn under_a_new_key_a_source_may_begin_with_another_sequence_number() {
    let suite = Suite::AesCm128HmacSha1_80;
    let second = MasterKey::new(suite, &[9; 30]);
    let mut inbound = Inbound::new(&key(suite));
    let sealed = seal(&mut Outbound::new(&key(suite)), &packet(60_000, 7));
    assert!(open(&mut inbound, &sealed).is_ok());
    // Renewed twice before anything comes: what the first knew is not forgotten.
    let mut renewed = inbound.renewed(&key(suite)).renewed(&second);
    let sealed = seal(&mut Outbound::new(&second), &packet(5, 7));
    assert!(open(&mut renewed, &sealed).is_ok());
}

#[test]
fn sources_have_counters_of_their_own() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut inbound = Inbound::new(&key(suite));
    for ssrc in 0..8 {
        let mut outbound = Outbound::new(&key(suite));
        let clear = packet(60_000, ssrc);
        assert_eq!(open(&mut inbound, &seal(&mut outbound, &clear)), Ok(clear));
    }
}

/// RFC 3711 §3.4.
#[test]
fn rtcp_is_sealed_with_an_index_and_opened_once() {
    for suite in SUITES {
        let (mut outbound, mut inbound) = (Outbound::new(&key(suite)), Inbound::new(&key(suite)));
        let clear: Vec<u8> = [0x80, 201, 0, 1, 0, 0, 0, 5]
            .into_iter()
            .chain([0x81; 40])
            .collect();
        for index in 1..=3u8 {
            let mut buffer = [0; 100];
            buffer[..48].copy_from_slice(&clear);
            let length = outbound.seal_rtcp(&mut buffer, 48).expect("room");
            assert_eq!(length, 48 + 4 + 10);
            assert_eq!(buffer[48..52], [0x80, 0, 0, index]);
            assert_eq!(buffer[..8], clear[..8]);
            assert_ne!(buffer[8..48], clear[8..]);
            let mut out = [0; 100];
            assert_eq!(inbound.open_rtcp(&buffer[..length], &mut out), Ok(48));
            assert_eq!(out[..48], clear[..]);
            assert_eq!(
                inbound.open_rtcp(&buffer[..length], &mut out),
                Err(SrtpError::Replayed)
            );
            buffer[50] ^= 1;
            assert_eq!(
                inbound.open_rtcp(&buffer[..length], &mut out),
                Err(SrtpError::Unauthentic)
            );
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut outbound = Outbound::new(&key(suite));
    let mut buffer = packet(1, 7);
    let length = buffer.len();
    assert_eq!(outbound.seal_rtp(&mut buffer, length), Err(SrtpError::NoRoom));
    assert_eq!(outbound.seal_rtcp(&mut buffer, length), Err(SrtpError::NoRoom));
    let mut inbound = Inbound::new(&key(suite));
    let sealed = seal(&mut outbound, &buffer);
    assert_eq!(inbound.open_rtp(&sealed, &mut [0; 20]), Err(SrtpError::NoRoom));
    for length in 0..22 {
        assert_eq!(open(&mut inbound, &sealed[..length]), Err(SrtpError::Malformed));
        assert!(inbound.open_rtcp(&sealed[..length], &mut [0; 50]).is_err());
    }
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut inbound = Inbound::new(&key(Suite::AesCm128HmacSha1_32));
        let mut out = [0; 300];
        prop_assert!(inbound.open_rtp(&bytes, &mut out).is_err());
        prop_assert!(inbound.open_rtcp(&bytes, &mut out).is_err());
    }
}
