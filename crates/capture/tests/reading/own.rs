//! Captures of our own: what was encrypted stands there in the clear, and comments say what the network did.

use callwright_capture::PcapngWriter;
use callwright_capture::analysis::{Analysis, AnalysisConfig, FindingKind, Side, analyze};
use callwright_wire::{Carrier, Cause, Epoch, Fate, TapRecord, Time};

use super::build::{ALICE, ALICE_RTP, BOB, BOB_RTP, address, described, kinds, request, response, rtp, tone};

fn record(ms: u64, carrier: Carrier, from: &str, to: &str, bytes: Vec<u8>) -> TapRecord {
    TapRecord {
        time: Time::from_millis(ms),
        source: address(from),
        destination: address(to),
        carrier,
        fate: Fate::Sent,
        bytes: bytes.into(),
        cause: (ms == 0).then_some(Cause(1)),
        party: u32::from(from != ALICE && from != ALICE_RTP),
    }
}

/// A call over TLS with SRTP; `carrier`: what its RTP is in the capture.
fn secure(carrier: Carrier) -> Analysis {
    let sdp = |at| {
        let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n";
        described(address(at), "0", key).replace("RTP/AVP", "RTP/SAVP")
    };
    let (offer, answer) = (sdp(ALICE_RTP), sdp(BOB_RTP));
    let tls = Carrier::TlsClear;
    let mut records = vec![
        record(0, tls, ALICE, BOB, request("INVITE", "x", 1, Some(&offer))),
        record(
            100,
            tls,
            BOB,
            ALICE,
            response("200 OK", "INVITE", "x", 1, Some(&answer)),
        ),
        record(110, tls, ALICE, BOB, request("ACK", "x", 1, None)),
    ];
    for place in 0..100u64 {
        let packet = |ssrc| rtp(0, place as u16, place as u32 * 160, ssrc, &tone());
        records.push(record(120 + place * 20, carrier, ALICE_RTP, BOB_RTP, packet(1)));
        records.push(record(120 + place * 20, carrier, BOB_RTP, ALICE_RTP, packet(2)));
    }
    records.push(record(2_200, tls, ALICE, BOB, request("BYE", "x", 2, None)));
    records.push(record(
        2_210,
        tls,
        BOB,
        ALICE,
        response("200 OK", "BYE", "x", 2, None),
    ));
    let causes = |_| Some("call.rhai:3:1 Caller.dial".to_owned());
    let mut writer = PcapngWriter::new(Vec::new(), Epoch::SIMULATED, |_| None, causes).expect("a section");
    for record in &records {
        writer.write(record).expect("a packet");
    }
    analyze(&writer.finish().expect("an end")[..], AnalysisConfig::default()).expect("a capture")
}

#[test]
fn the_clear_text_of_tls_and_srtp_is_read_and_the_line_of_the_script_told() {
    let analysis = secure(Carrier::SrtpClear);
    let call = &analysis.calls[0];
    assert_eq!(call.legs[0].transport, "TLS");
    assert!(call.legs[0].media[0].secure);
    let comment = call.ladder.rows[0].comment.as_deref().expect("its cause");
    assert!(
        comment.starts_with("call.rhai:3:1 Caller.dial; clear text of TLS"),
        "{comment}"
    );
    for stream in &analysis.streams {
        assert!(!stream.encrypted);
        assert!(stream.level.as_ref().expect("decoded").mean_dbm0 > -10.0);
    }
    assert_eq!(kinds(&analysis), []);
    assert_eq!(
        analysis
            .capture
            .application
            .as_deref()
            .map(|by| by.starts_with("callwright ")),
        Some(true)
    );
}

#[test]
fn srtp_that_is_encrypted_has_headers_only_and_is_not_called_silent() {
    let analysis = secure(Carrier::Udp);
    for stream in &analysis.streams {
        assert!(stream.encrypted && stream.level.is_none());
        assert_eq!((stream.quality.packets, stream.quality.lost), (100, 0));
    }
    let sides: Vec<_> = analysis.streams.iter().map(|stream| stream.from).collect();
    assert_eq!(sides, [Some(Side::Caller), Some(Side::Callee)]);
    assert!(!kinds(&analysis).contains(&FindingKind::Silence));
}
