//! RTP streams: whose they are, and what they suffered.

use callwright_capture::analysis::{Analysis, FindingKind, FoundBy, Side, Stream};

use super::build::{
    ALICE, ALICE_RTP, BOB, BOB_RTP, Pcap, address, call, described, kinds, of_kind, request, response, rtp,
    sdp, tone,
};

/// A call that is set up with these descriptions; the caller's RTP as told, the callee's as it should be.
fn with(offer: &str, answer: &str, packets: impl Iterator<Item = (u64, Vec<u8>)>) -> Analysis {
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, Some(offer)))
        .udp(
            100,
            BOB,
            ALICE,
            &response("200 OK", "INVITE", "x", 1, Some(answer)),
        )
        .udp(110, ALICE, BOB, &request("ACK", "x", 1, None));
    let theirs = (0..250u64).map(|place| {
        let packet = rtp(0, place as u16, place as u32 * 160, 2, &tone());
        (120 + place * 20, BOB_RTP, ALICE_RTP, packet)
    });
    let mut all: Vec<_> = packets
        .map(|(at, packet)| (at, ALICE_RTP, BOB_RTP, packet))
        .chain(theirs)
        .collect();
    all.sort_by_key(|(at, ..)| *at);
    for (at, from, to, packet) in all {
        pcap.udp(at, from, to, &packet);
    }
    pcap.udp(5_200, ALICE, BOB, &request("BYE", "x", 2, None)).udp(
        5_205,
        BOB,
        ALICE,
        &response("200 OK", "BYE", "x", 2, None),
    );
    pcap.analyze()
}

fn usual(packets: impl Iterator<Item = (u64, Vec<u8>)>) -> Analysis {
    with(&sdp(ALICE_RTP), &sdp(BOB_RTP), packets)
}

/// A packet of the caller, at its time.
fn sound(place: u64) -> (u64, Vec<u8>) {
    (
        120 + place * 20,
        rtp(0, place as u16, place as u32 * 160, 1, &tone()),
    )
}

fn of_caller(analysis: &Analysis) -> &Stream {
    let stream = analysis
        .streams
        .iter()
        .find(|stream| stream.from == Some(Side::Caller));
    stream.expect("the caller's stream")
}

#[test]
fn a_good_stream_has_no_findings_and_a_level() {
    let analysis = usual((0..250).map(sound));
    assert_eq!(kinds(&analysis), []);
    let stream = of_caller(&analysis);
    let quality = &stream.quality;
    assert_eq!(
        (
            quality.packets,
            quality.expected,
            quality.lost,
            quality.out_of_order
        ),
        (250, 250, 0, 0)
    );
    assert!(quality.jitter_mean_ms.expect("the clock is known") < 1e-9);
    assert!(quality.mos.expect("of G.711") > 4.3);
    let level = stream.level.as_ref().expect("of G.711");
    assert_eq!((level.per_second_dbm0.len(), level.silent_seconds), (5, 0));
    assert!(level.mean_dbm0 > -10.0);
    assert_eq!(stream.found_by, FoundBy::Description);
    assert_eq!(stream.codec(), Some("PCMU/8000"));
}

#[test]
fn loss_is_counted_and_named_with_the_packets_after_it() {
    let analysis = usual((0..250).filter(|place| place % 25 != 7).map(sound));
    let stream = of_caller(&analysis);
    assert_eq!((stream.quality.expected, stream.quality.lost), (250, 10));
    assert!((stream.quality.loss_percent - 4.0).abs() < 1e-9);
    let [loss] = of_kind(&analysis, FindingKind::Loss)[..] else {
        panic!("{:?}", analysis.findings)
    };
    assert_eq!((loss.count, loss.call), (10, Some(0)));
    assert_eq!(loss.packets.len(), 10);
}

#[test]
fn duplicates_and_late_packets_are_told_apart() {
    let packets = (0..250).flat_map(|place| match place {
        10 => vec![sound(10), (sound(10).0 + 1, sound(10).1)],
        20 => vec![(sound(22).0 + 5, sound(20).1)],
        _ => vec![sound(place)],
    });
    let analysis = usual(packets);
    let quality = &of_caller(&analysis).quality;
    assert_eq!(
        (
            quality.packets,
            quality.expected,
            quality.duplicates,
            quality.out_of_order
        ),
        (251, 250, 1, 1)
    );
    assert_eq!(quality.loss_percent, 0.0);
    assert_eq!(
        kinds(&analysis),
        [FindingKind::Duplicates, FindingKind::OutOfOrder]
    );
}

#[test]
fn sequence_numbers_and_timestamps_turn_over() {
    let packets = (0..250).map(|place: u64| {
        let sequence = 65_500u16.wrapping_add(place as u16);
        let timestamp = (u32::MAX - 8_000).wrapping_add(place as u32 * 160);
        (120 + place * 20, rtp(0, sequence, timestamp, 1, &tone()))
    });
    let analysis = usual(packets);
    assert_eq!(kinds(&analysis), []);
    assert_eq!(of_caller(&analysis).quality.expected, 250);
}

#[test]
fn jitter_is_that_of_rfc_3550() {
    // Every other packet 40 ms late: the difference is 40 ms each time, and that is where the jitter goes.
    let packets = (0..250).map(|place| (sound(place).0 + place % 2 * 40, sound(place).1));
    let analysis = usual(packets);
    let quality = &of_caller(&analysis).quality;
    let max = quality.jitter_max_ms.expect("the clock is known");
    assert!((39.0..=40.1).contains(&max), "{max}");
    assert!(kinds(&analysis).contains(&FindingKind::Jitter));
}

#[test]
fn a_pause_of_the_sender_is_no_gap_and_one_of_the_network_is() {
    // Silence suppression: the timestamp goes on with time.
    let pause = (0..200).map(|place: u64| {
        let late = if place >= 100 { 50 } else { 0 };
        (
            120 + (place + late) * 20,
            rtp(0, place as u16, (place + late) as u32 * 160, 1, &tone()),
        )
    });
    let analysis = usual(pause);
    assert_eq!(kinds(&analysis), []);
    // An outage: sequence numbers and timestamps go on, and nothing came.
    let outage = (0..250).filter(|place| !(100..150).contains(place)).map(sound);
    let analysis = usual(outage);
    let [gap] = of_kind(&analysis, FindingKind::Gap)[..] else {
        panic!("{:?}", analysis.findings)
    };
    assert!((of_caller(&analysis).quality.gaps[0].length_ms - 1_020.0).abs() < 0.1);
    assert_eq!(gap.packets.len(), 1);
}

#[test]
fn one_way_and_missing_audio_are_errors() {
    let analysis = usual(std::iter::empty());
    let [one_way] = of_kind(&analysis, FindingKind::OneWayAudio)[..] else {
        panic!("{:?}", analysis.findings)
    };
    assert!(
        one_way.message.contains("no RTP of the caller"),
        "{}",
        one_way.message
    );
    // Who must not send is not missed.
    let offer = sdp(ALICE_RTP) + "a=recvonly\r\n";
    assert_eq!(
        of_kind(
            &with(&offer, &sdp(BOB_RTP), std::iter::empty()),
            FindingKind::OneWayAudio
        )
        .len(),
        0
    );
}

#[test]
fn silence_is_told_from_missing_audio() {
    let silent = (0..250).map(|place: u64| {
        (
            120 + place * 20,
            rtp(0, place as u16, place as u32 * 160, 1, &[0xff; 160]),
        )
    });
    let analysis = usual(silent);
    assert_eq!(kinds(&analysis), [FindingKind::Silence]);
    assert_eq!(
        of_caller(&analysis)
            .level
            .as_ref()
            .expect("decoded")
            .silent_seconds,
        5
    );
}

#[test]
fn a_payload_type_that_the_receiver_did_not_announce_is_an_error() {
    let analysis = usual((0..250).map(|place: u64| {
        (
            120 + place * 20,
            rtp(8, place as u16, place as u32 * 160, 1, &[0xd5; 160]),
        )
    }));
    let found = kinds(&analysis);
    assert!(found.contains(&FindingKind::PayloadTypeUnknown), "{found:?}");
    assert!(found.contains(&FindingKind::CodecMismatch), "{found:?}");
}

#[test]
fn digits_of_telephone_event_are_read_once_each() {
    let events = (0..250).flat_map(|place: u64| {
        let (at, packet) = sound(place);
        if (100..105).contains(&place) {
            let end = if place >= 102 { 0x8a } else { 0x0a };
            let ticks = ((place - 99) * 160) as u16;
            let payload = [5, end, (ticks >> 8) as u8, ticks as u8];
            return vec![(at, rtp(101, place as u16, 16_000, 1, &payload))];
        }
        vec![(at, packet)]
    });
    let analysis = usual(events);
    assert_eq!(analysis.calls[0].digits_of(Side::Caller), "5");
    assert_eq!(kinds(&analysis), []);
}

#[test]
fn g722_is_decoded_too() {
    let formats = |at| described(address(at), "9", "a=rtpmap:9 G722/8000\r\n");
    let loud = (0..250).map(|place: u64| {
        let payload: Vec<u8> = (0..160u32).map(|at| (at * 37 + place as u32) as u8).collect();
        (
            120 + place * 20,
            rtp(9, place as u16, place as u32 * 160, 1, &payload),
        )
    });
    let analysis = with(&formats(ALICE_RTP), &formats(BOB_RTP), loud);
    let stream = of_caller(&analysis);
    assert_eq!(stream.codec(), Some("G722/8000"));
    assert!(stream.level.as_ref().expect("decoded").mean_dbm0 > -50.0);
    assert_eq!(stream.quality.mos, None, "the model is that of G.711");
}

#[test]
fn the_clock_of_a_sender_is_compared_with_that_of_the_capture() {
    let mut pcap = Pcap::new();
    call(&mut pcap, "x", 1);
    // 40 s at 1,000 parts per million too fast.
    for place in 0..2_000u64 {
        let packet = rtp(0, place as u16, place as u32 * 160, 7, &tone());
        let micros = 2_000_000 + place * 19_980;
        pcap.frame(micros, &super::build::udp(ALICE_RTP, BOB_RTP, &packet));
    }
    let analysis = pcap.analyze();
    let stream = analysis
        .streams
        .iter()
        .find(|stream| stream.ssrc == 7)
        .expect("a stream");
    let ppm = stream.quality.clock_skew_ppm.expect("it is long enough");
    assert!((990.0..=1_012.0).contains(&ppm), "{ppm}");
    assert_eq!(of_kind(&analysis, FindingKind::ClockSkew).len(), 1);
}

#[test]
fn symmetric_rtp_belongs_to_the_call_though_nobody_announced_its_destination() {
    let mut pcap = Pcap::new();
    let (offer, answer) = (sdp("192.168.1.5:40000"), sdp(BOB_RTP));
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, Some(&offer)))
        .udp(
            100,
            BOB,
            ALICE,
            &response("200 OK", "INVITE", "x", 1, Some(&answer)),
        );
    for place in 0..50u64 {
        let (at, packet) = sound(place);
        // Behind a NAT: the caller comes from another address than it announced, and is answered there.
        pcap.udp(at, "203.0.113.1:7777", BOB_RTP, &packet)
            .udp(at, BOB_RTP, "203.0.113.1:7777", &packet);
    }
    let analysis = pcap.analyze();
    let found: Vec<_> = analysis
        .streams
        .iter()
        .map(|stream| (stream.from, stream.found_by))
        .collect();
    assert_eq!(
        found,
        [
            (Some(Side::Caller), FoundBy::Description),
            (Some(Side::Callee), FoundBy::Symmetry)
        ]
    );
}

#[test]
fn rtp_that_nobody_described_is_found_by_its_looks_and_garbage_is_not() {
    let mut pcap = Pcap::new();
    for place in 0..20u64 {
        pcap.udp(place * 20, ALICE_RTP, BOB_RTP, &sound(place).1);
        // Looks like RTP, and never is in sequence.
        pcap.udp(
            place * 20,
            "10.0.0.1:9000",
            "10.0.0.2:9000",
            &rtp(96, (place * 977) as u16, 1, 9, &[1]),
        );
    }
    let analysis = pcap.analyze();
    let [stream] = analysis.streams.as_slice() else {
        panic!("{:?}", analysis.streams)
    };
    assert_eq!((stream.found_by, stream.quality.packets), (FoundBy::Looks, 20));
    assert_eq!(analysis.capture.rtp_packets, 20);
    assert_eq!(analysis.capture.other_packets, 20);
    assert_eq!(kinds(&analysis), [FindingKind::UndescribedStream]);
}
