//! tshark over captures made here, byte by byte: what the harness reads is what is in them.

use std::panic::catch_unwind;
use std::path::PathBuf;

use callwright_peers::{Capture, Evidence, require};

const A: u16 = 5_062;
const B: u16 = 5_064;
const A_RTP: u16 = 40_000;
const B_RTP: u16 = 40_002;

/// A capture of UDP datagrams on 127.0.0.1, in the classic format.
struct Recording {
    bytes: Vec<u8>,
    datagrams: u32,
}

impl Recording {
    fn new() -> Self {
        // Magic number, version 2.4, no time zone, longest packet, link type 101: raw IP.
        let header = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 101];
        Self {
            bytes: header.iter().flat_map(|word| word.to_be_bytes()).collect(),
            datagrams: 0,
        }
    }

    fn datagram(&mut self, from: u16, to: u16, payload: &[u8]) -> &mut Self {
        let length = u16::try_from(payload.len()).expect("a datagram");
        let mut packet = vec![0x45, 0];
        packet.extend((length + 28).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        for word in [from, to, length + 8, 0] {
            packet.extend(word.to_be_bytes());
        }
        packet.extend(payload);
        self.datagrams += 1;
        let size = u32::try_from(packet.len()).expect("a packet");
        for word in [1, self.datagrams, size, size] {
            self.bytes.extend(word.to_be_bytes());
        }
        self.bytes.extend(packet);
        self
    }

    /// An offer and its answer, by which tshark knows the RTP that follows.
    fn call(&mut self) -> &mut Self {
        self.datagram(
            A,
            B,
            &message(&format!("INVITE sip:b@127.0.0.1:{B} SIP/2.0"), A_RTP),
        );
        self.datagram(B, A, &message("SIP/2.0 200 OK", B_RTP))
    }

    /// One digit as RFC 4733 sends it: two packets while the key is held, then its end three times.
    fn digit(&mut self, event: u8, timestamp: u32, first: u16) -> &mut Self {
        for (number, end) in [(0, false), (1, false), (2, true), (3, true), (4, true)] {
            let mut rtp = vec![0x80, 101];
            rtp.extend((first + number).to_be_bytes());
            rtp.extend(timestamp.to_be_bytes());
            rtp.extend(0x1234_5678_u32.to_be_bytes());
            rtp.extend([event, if end { 0x8a } else { 0x0a }, 1, 64]);
            self.datagram(A_RTP, B_RTP, &rtp);
        }
        self
    }

    fn write(&self, evidence: &Evidence) -> PathBuf {
        let path = evidence.file("calls.pcap");
        std::fs::write(&path, &self.bytes).expect("the capture");
        path
    }
}

fn message(start_line: &str, rtp_port: u16) -> Vec<u8> {
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {rtp_port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    );
    format!(
        "{start_line}\r\nVia: SIP/2.0/UDP 127.0.0.1:{A};branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:a@127.0.0.1:{A}>;tag=a\r\nTo: <sip:b@127.0.0.1:{B}>;tag=b\r\nCall-ID: 1@127.0.0.1\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
    .into_bytes()
}

#[test]
fn a_sound_capture_is_found_sound_and_its_digits_are_read_once_each() {
    require!(Tshark);
    let evidence = Evidence::new("tshark");
    let path = Recording::new()
        .call()
        .digit(1, 8_000, 1)
        .digit(11, 16_000, 6)
        .digit(1, 24_000, 11)
        .write(&evidence);
    let capture = Capture::open(&path);
    capture.assert_sound(&["sip", "sdp", "rtp", "rtpevent"]);
    let digits: Vec<(char, usize)> = capture
        .digits()
        .iter()
        .map(|digit| (digit.digit, digit.ends))
        .collect();
    assert_eq!(digits, [('1', 3), ('#', 3), ('1', 3)]);
    assert_eq!(capture.count("sip"), 2);
    assert_eq!(
        capture.fields("sip.Method == INVITE", &["sip.Method", "sip.Call-ID"]),
        [["INVITE", "1@127.0.0.1"]]
    );
    assert_eq!(
        capture.packets("sip")[1]["_source"]["layers"]["sip"]["sip.Status-Line_tree"]["sip.Status-Code"],
        "200"
    );
}

#[test]
fn an_event_cut_short_is_an_error() {
    require!(Tshark);
    let evidence = Evidence::new("tshark");
    let cut = [&[0x80, 101, 0, 1, 0, 0, 31, 64, 1, 2, 3, 4][..], &[1, 10]].concat();
    let path = Recording::new()
        .call()
        .datagram(A_RTP, B_RTP, &cut)
        .write(&evidence);
    let verdict = catch_unwind(|| Capture::open(&path).assert_sound(&["sip", "rtp"]));
    assert!(verdict.is_err(), "tshark let an event of two bytes pass");
}

#[test]
fn a_capture_without_the_protocol_in_question_is_an_error() {
    require!(Tshark);
    let evidence = Evidence::new("tshark");
    let path = Recording::new().call().write(&evidence);
    Capture::open(&path).assert_sound(&["sip", "sdp"]);
    let verdict = catch_unwind(|| Capture::open(&path).assert_sound(&["sip", "rtp"]));
    assert!(verdict.is_err(), "no RTP was there to be sound");
}

#[test]
fn a_port_is_read_as_told() {
    require!(Tshark);
    let evidence = Evidence::new("tshark");
    let path = Recording::new().digit(5, 8_000, 1).write(&evidence);
    assert_eq!(Capture::open(&path).count("rtp"), 0);
    assert_eq!(
        Capture::open(&path)
            .decode_as(&format!("udp.port=={A_RTP},rtp"))
            .count("rtp"),
        5
    );
}
