//! The bodies of the fuzz targets, over a few captures and what becomes of them when bytes change.

#[path = "../../../fuzz/bodies/capture.rs"]
mod bodies;
#[expect(dead_code, reason = "no packet here has a cause")]
mod story;

use callwright_wire::Carrier;
use proptest::prelude::*;
use story::{ALICE, ALICE_RTP, BOB, capture, record};

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:40001;branch=z9hG4bK1\r\n\
    Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
    Contact: <sip:alice@127.0.0.1:40001>\r\nContent-Type: application/sdp\r\nContent-Length: 107\r\n\r\n\
    v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 41000 RTP/AVP 0 9 101\r\na=rtpmap:9 G722/8000\r\n";

fn seed() -> Vec<u8> {
    let ok = INVITE
        .replace("INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK")
        .replace("<sip:bob@example.com>\r\n", "<sip:bob@example.com>;tag=b\r\n");
    let mut records = vec![
        record(1, Carrier::Udp, ALICE, BOB, INVITE),
        record(2, Carrier::Udp, BOB, ALICE, ok.clone()),
        record(3, Carrier::Tcp, ALICE, BOB, INVITE),
        record(4, Carrier::TlsClear, BOB, ALICE, ok),
    ];
    for sequence in 0..20u8 {
        for payload_type in [0, 9, 101] {
            let mut rtp = vec![
                0x80,
                payload_type,
                0,
                sequence,
                0,
                0,
                sequence,
                0,
                0,
                0,
                0,
                payload_type,
            ];
            rtp.extend([5, 0x8a, 1, 64].repeat(40));
            let at = 10 + u64::from(sequence) * 20;
            records.push(record(at, Carrier::Udp, BOB, ALICE_RTP, rtp));
        }
    }
    capture(&records)
}

/// The packets of the seed as the other body wants them.
fn packets() -> Vec<u8> {
    let mut data = Vec::new();
    callwright_capture::read::read(&seed()[..], |packet| {
        data.push(8);
        data.extend((packet.data.len() as u16).to_be_bytes());
        data.extend(packet.data);
    })
    .expect("a capture");
    data
}

#[test]
fn the_seeds_are_what_they_should_be() {
    bodies::file(&seed());
    bodies::packets(&packets());
    bodies::file(b"");
    bodies::packets(b"");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_told_of_changed_captures_agrees_with_itself(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..16),
        cut in any::<prop::sample::Index>(),
    ) {
        for (mut data, body) in [(seed(), bodies::file as fn(&[u8])), (packets(), bodies::packets)] {
            for (place, value) in &changes {
                let place = place.index(data.len());
                data[place] = *value;
            }
            data.truncate(cut.index(data.len()) + data.len() / 2);
            body(&data);
        }
    }
}
