//! Captures made byte by byte.

use std::net::SocketAddr;

use callwright_capture::analysis::{Analysis, AnalysisConfig, Finding, FindingKind, analyze};
use etherparse::PacketBuilder;

pub(crate) const ALICE: &str = "10.0.0.1:5060";
pub(crate) const BOB: &str = "10.0.0.2:5060";
pub(crate) const ALICE_RTP: &str = "10.0.0.1:40000";
pub(crate) const BOB_RTP: &str = "10.0.0.2:50000";

/// 2026-01-01T00:00:00Z.
pub(crate) const START: u64 = 1_767_225_600;

/// A file in the classic format: packets of raw IP, times in microseconds, little-endian.
#[derive(Clone, Debug)]
pub(crate) struct Pcap {
    pub(crate) bytes: Vec<u8>,
    pub(crate) big_endian: bool,
    pub(crate) nanos: bool,
}

impl Pcap {
    pub(crate) fn new() -> Self {
        Pcap::of(101, false, false)
    }

    pub(crate) fn of(link_type: u32, big_endian: bool, nanos: bool) -> Self {
        let magic = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut pcap = Pcap {
            bytes: Vec::new(),
            big_endian,
            nanos,
        };
        pcap.word(magic);
        for half in [2u16, 4] {
            let bytes = if big_endian {
                half.to_be_bytes()
            } else {
                half.to_le_bytes()
            };
            pcap.bytes.extend(bytes);
        }
        for word in [0, 0, 65_535, link_type] {
            pcap.word(word);
        }
        pcap
    }

    fn word(&mut self, word: u32) {
        let bytes = if self.big_endian {
            word.to_be_bytes()
        } else {
            word.to_le_bytes()
        };
        self.bytes.extend(bytes);
    }

    /// A packet at so many microseconds.
    pub(crate) fn frame(&mut self, micros: u64, frame: &[u8]) -> &mut Self {
        let fraction = micros % 1_000_000 * if self.nanos { 1_000 } else { 1 };
        self.word((START + micros / 1_000_000) as u32);
        self.word(fraction as u32);
        self.word(frame.len() as u32);
        self.word(frame.len() as u32);
        self.bytes.extend(frame);
        self
    }

    /// A datagram at so many milliseconds.
    pub(crate) fn udp(&mut self, ms: u64, from: &str, to: &str, payload: &[u8]) -> &mut Self {
        self.frame(ms * 1_000, &udp(from, to, payload))
    }

    /// A segment at so many milliseconds.
    pub(crate) fn tcp(&mut self, ms: u64, from: &str, to: &str, sequence: u32, payload: &[u8]) -> &mut Self {
        self.frame(ms * 1_000, &tcp(from, to, sequence, "A", payload))
    }

    pub(crate) fn analyze(&self) -> Analysis {
        analyze(&self.bytes[..], AnalysisConfig::default()).expect("a capture")
    }
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// An IP packet with a datagram.
pub(crate) fn udp(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    let (from, to) = (address(from), address(to));
    let builder = match (from, to) {
        (SocketAddr::V4(a), SocketAddr::V4(b)) => PacketBuilder::ipv4(a.ip().octets(), b.ip().octets(), 64),
        (SocketAddr::V6(a), SocketAddr::V6(b)) => PacketBuilder::ipv6(a.ip().octets(), b.ip().octets(), 64),
        _ => panic!("one family"),
    };
    let builder = builder.udp(from.port(), to.port());
    let mut packet = Vec::new();
    builder.write(&mut packet, payload).expect("a packet");
    packet
}

/// An IP packet with a segment; `flags` of `S`, `A`, `F`, `R`.
pub(crate) fn tcp(from: &str, to: &str, sequence: u32, flags: &str, payload: &[u8]) -> Vec<u8> {
    let (SocketAddr::V4(a), SocketAddr::V4(b)) = (address(from), address(to)) else {
        panic!("IPv4");
    };
    let mut builder =
        PacketBuilder::ipv4(a.ip().octets(), b.ip().octets(), 64).tcp(a.port(), b.port(), sequence, 65_535);
    for flag in flags.chars() {
        builder = match flag {
            'S' => builder.syn(),
            'A' => builder.ack(1),
            'F' => builder.fin(),
            'R' => builder.rst(),
            _ => panic!("a flag"),
        };
    }
    let mut packet = Vec::new();
    builder.write(&mut packet, payload).expect("a packet");
    packet
}

/// A message of the call `id`; a body of SDP where there is a port for RTP.
pub(crate) fn request(method: &str, id: &str, cseq: u32, sdp: Option<&str>) -> Vec<u8> {
    let to_tag = if matches!(method, "ACK" | "BYE" | "INFO") {
        ";tag=b"
    } else {
        ""
    };
    let start = format!("{method} sip:bob@example.com SIP/2.0");
    message(&start, method, id, cseq, to_tag, sdp, "")
}

pub(crate) fn response(status: &str, method: &str, id: &str, cseq: u32, sdp: Option<&str>) -> Vec<u8> {
    let to_tag = if status.starts_with("100") { "" } else { ";tag=b" };
    message(&format!("SIP/2.0 {status}"), method, id, cseq, to_tag, sdp, "")
}

pub(crate) fn message(
    start: &str,
    method: &str,
    id: &str,
    cseq: u32,
    to_tag: &str,
    body: Option<&str>,
    more: &str,
) -> Vec<u8> {
    let body = body.unwrap_or_default();
    let kind = match body {
        "" => "",
        sdp if sdp.starts_with("v=0") => "Content-Type: application/sdp\r\n",
        _ => "Content-Type: application/dtmf-relay\r\n",
    };
    format!(
        "{start}\r\nVia: SIP/2.0/UDP {ALICE};branch=z9hG4bK{id}{cseq}{}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>{to_tag}\r\nCall-ID: {id}\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:a@{ALICE}>\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
        if method == "ACK" { "ack" } else { "" },
        body.len()
    )
    .into_bytes()
}

/// A description of G.711 and telephone-event at this address.
pub(crate) fn sdp(at: &str) -> String {
    let at = address(at);
    described(at, "0 101", "a=rtpmap:101 telephone-event/8000\r\n")
}

pub(crate) fn described(at: SocketAddr, formats: &str, attributes: &str) -> String {
    let ip = at.ip();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP {formats}\r\n{attributes}",
        at.port()
    )
}

/// An RTP packet.
pub(crate) fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// 20 ms of a tone in µ-law, loud enough to be heard.
pub(crate) fn tone() -> Vec<u8> {
    (0..160)
        .map(|place| if place % 16 < 8 { 0x10 } else { 0x90 })
        .collect()
}

/// A whole call with audio both ways: 0 INVITE, 10 ringing, 100 answer, 110 ACK, `seconds` of RTP, BYE.
pub(crate) fn call(pcap: &mut Pcap, id: &str, seconds: u64) {
    let (offer, answer) = (sdp(ALICE_RTP), sdp(BOB_RTP));
    pcap.udp(0, ALICE, BOB, &request("INVITE", id, 1, Some(&offer)))
        .udp(10, BOB, ALICE, &response("180 Ringing", "INVITE", id, 1, None))
        .udp(
            100,
            BOB,
            ALICE,
            &response("200 OK", "INVITE", id, 1, Some(&answer)),
        )
        .udp(110, ALICE, BOB, &request("ACK", id, 1, None));
    for place in 0..seconds * 50 {
        let at = 120 + place * 20;
        let (sequence, timestamp) = (place as u16, place as u32 * 160);
        pcap.udp(at, ALICE_RTP, BOB_RTP, &rtp(0, sequence, timestamp, 1, &tone()))
            .udp(at, BOB_RTP, ALICE_RTP, &rtp(0, sequence, timestamp, 2, &tone()));
    }
    let end = 120 + seconds * 1_000;
    pcap.udp(end, ALICE, BOB, &request("BYE", id, 2, None)).udp(
        end + 15,
        BOB,
        ALICE,
        &response("200 OK", "BYE", id, 2, None),
    );
}

/// The findings of one kind.
pub(crate) fn of_kind(analysis: &Analysis, kind: FindingKind) -> Vec<&Finding> {
    analysis
        .findings
        .iter()
        .filter(|finding| finding.kind == kind)
        .collect()
}

/// The kinds of all findings but those of protocol rules, sorted, once each.
pub(crate) fn kinds(analysis: &Analysis) -> Vec<FindingKind> {
    let mut kinds: Vec<FindingKind> = analysis
        .findings
        .iter()
        .map(|finding| finding.kind)
        .filter(|kind| !matches!(kind, FindingKind::Protocol(_)))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
