//! RFC 3550 §6: RTCP compounds.

use callwright_media::rtcp::{Item, Outgoing, Report, RtcpError, SenderInfo, middle, read};
use proptest::prelude::*;

fn items(bytes: &[u8]) -> Result<Vec<Item>, RtcpError> {
    let mut items = Vec::new();
    read(bytes, |item| items.push(item)).map(|()| items)
}

const INFO: SenderInfo = SenderInfo {
    ntp: 0x0102_0304_0506_0708,
    rtp: 9,
    packets: 10,
    octets: 1_600,
};

#[test]
fn what_is_written_is_read() {
    let report = Report {
        ssrc: 7,
        fraction_lost: 255,
        lost: -3,
        highest: 0x1_0005,
        jitter: 12,
        last_sr: middle(INFO.ntp),
        since_last_sr: 65_536,
    };
    let mut buffer = [0; 200];
    let outgoing = Outgoing {
        ssrc: 5,
        sender: Some(INFO),
        report: Some(report),
        canonical_name: "someone",
        bye: true,
    };
    let length = outgoing.write(&mut buffer).expect("room");
    assert_eq!(length % 4, 0);
    let expected = [
        Item::Sender { ssrc: 5, info: INFO },
        Item::Report { by: 5, report },
        Item::CanonicalName {
            ssrc: 5,
            name: b"someone".to_vec(),
        },
        Item::Bye { ssrc: 5 },
    ];
    assert_eq!(items(&buffer[..length]).expect("a compound"), expected);
    assert_eq!(middle(INFO.ntp), 0x0304_0506);
    assert_eq!(outgoing.write(&mut buffer[..length - 1]), None);
}

#[test]
fn losses_are_cut_to_twenty_four_bits_with_a_sign() {
    for (lost, written) in [
        (0x7f_ffff, 0x7f_ffff),
        (0x80_0000, 0x7f_ffff),
        (-0x90_0000, -0x80_0000),
        (-1, -1),
    ] {
        let mut buffer = [0; 200];
        let outgoing = Outgoing {
            ssrc: 5,
            sender: None,
            report: Some(Report {
                lost,
                ..Report::default()
            }),
            canonical_name: "x",
            bye: false,
        };
        let length = outgoing.write(&mut buffer).expect("room");
        let items = items(&buffer[..length]).expect("a compound");
        assert!(matches!(items[0], Item::Report { report, .. } if report.lost == written));
    }
}

/// RFC 3550 §A.2.
#[test]
fn a_compound_that_breaks_a_rule_is_refused() {
    let mut buffer = [0; 200];
    let outgoing = Outgoing {
        ssrc: 5,
        sender: None,
        report: None,
        canonical_name: "someone",
        bye: false,
    };
    let length = outgoing.write(&mut buffer).expect("room");
    let good = buffer[..length].to_vec();
    items(&good).expect("a compound");
    assert!(matches!(
        items(&good[8..]),
        Err(RtcpError::NoReportFirst { found: 202 })
    ));
    for (at, value) in [(0, 0x40), (0, 0xa0), (3, 200), (10, 255)] {
        let mut bad = good.clone();
        bad[at] = value;
        assert!(items(&bad).is_err(), "byte {at} = {value}");
    }
    assert!(items(&[]).is_err());
    for length in 1..good.len() {
        // Cut between its packets a compound is a shorter one.
        assert_eq!(items(&good[..length]).is_ok(), length == 8, "{length}");
    }
}

#[test]
fn packets_of_other_kinds_are_passed_over() {
    // An empty receiver report, an extended report (RFC 3611), feedback (RFC 4585), a type nobody knows.
    let bytes = [
        0x80, 201, 0, 1, 0, 0, 0, 5, //
        0x80, 207, 0, 1, 0, 0, 0, 5, //
        0x81, 205, 0, 3, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 0, //
        0x80, 210, 0, 0,
    ];
    assert_eq!(items(&bytes).expect("a compound"), []);
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), like_rtcp: bool) {
        if like_rtcp && bytes.len() >= 4 {
            bytes[0] = 0x80 | bytes[0] & 0x1f;
            bytes[1] = 200 + bytes[1] % 8;
            bytes[2] = 0;
            bytes[3] %= 50;
        }
        let _ = items(&bytes);
    }
}
