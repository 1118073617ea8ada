//! What Wireshark's dissectors make of a capture: SIP, SDP and RTP are decoded, and nothing is malformed.

mod story;

use std::path::PathBuf;
use std::process::Command;

use callwright_wire::{Carrier, TapRecord};
use story::{ALICE, ALICE_RTP, BOB, address, capture, caused, record};

const BOB_RTP: &str = "127.0.0.1:41002";

/// One line for each packet, the fields separated by `|`; `None` where there is no tshark.
fn dissected(name: &str, records: &[TapRecord], fields: &[&str]) -> Option<Vec<String>> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pcapng"));
    std::fs::write(&file, capture(records)).expect("a file");
    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(&file)
        .args(["-T", "fields", "-E", "separator=|"]);
    for protocol in ["ip", "udp", "tcp"] {
        command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    for field in fields {
        command.args(["-e", field]);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "tshark is needed: {error}");
            eprintln!("skipped: tshark cannot be run ({error}); it is in the package tshark");
            return None;
        }
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("text");
    Some(text.lines().map(str::to_owned).collect())
}

/// The fields that show that something is wrong with a packet; checksums are 1 where they are good.
const FAULTS: &[&str] = &[
    "_ws.malformed",
    "_ws.expert.severity",
    "ip.checksum.status",
    "udp.checksum.status",
    "tcp.checksum.status",
];

fn assert_sound(name: &str, records: &[TapRecord]) {
    /// `PI_WARN` of Wireshark; notes and chats are below.
    const WARNING: u32 = 0x0060_0000;
    for line in dissected(name, records, FAULTS).unwrap_or_default() {
        let fields: Vec<_> = line.split('|').collect();
        assert_eq!(fields[0], "", "malformed: {line}");
        let worst = fields[1]
            .split(',')
            .filter_map(|severity| severity.parse().ok())
            .max();
        assert!(worst < Some(WARNING), "warned: {line}");
        let good = ["1||", "1|1|", "1||1", "|1|", "||1"];
        assert!(
            good.contains(&fields[2..].join("|").as_str()),
            "checksums: {line}"
        );
    }
}

fn call(carrier: Carrier, transport: &str) -> Vec<TapRecord> {
    let mut records = vec![
        caused(
            record(
                1,
                carrier,
                ALICE,
                BOB,
                request("INVITE", transport, 1, Some(ALICE_RTP)),
            ),
            12,
        ),
        record(
            2,
            carrier,
            BOB,
            ALICE,
            response("INVITE", transport, 1, Some(BOB_RTP)),
        ),
        record(3, carrier, ALICE, BOB, request("ACK", transport, 1, None)),
    ];
    for sequence in 0..3 {
        let at = 20 * (u64::from(sequence) + 1);
        records.push(record(at, Carrier::Udp, ALICE_RTP, BOB_RTP, rtp(sequence)));
        records.push(record(at, Carrier::Udp, BOB_RTP, ALICE_RTP, rtp(sequence)));
    }
    records.push(record(
        100,
        carrier,
        ALICE,
        BOB,
        request("BYE", transport, 2, None),
    ));
    records.push(record(
        101,
        carrier,
        BOB,
        ALICE,
        response("BYE", transport, 2, None),
    ));
    records
}

const FIELDS: &[&str] = &[
    "frame.interface_name",
    "sip.Method",
    "sip.Status-Code",
    "sdp.media.port",
    "rtp.ssrc",
    "rtp.seq",
    "frame.comment",
];

const CALL: &[&str] = &[
    "Alice|INVITE||41000|||call.rhai:12: alice.dial(bob)",
    "Bob||200|41002|||",
    "Alice|ACK|||||",
    "Alice||||0x0badcafe|0|",
    "Bob||||0x0badcafe|0|",
    "Alice||||0x0badcafe|1|",
    "Bob||||0x0badcafe|1|",
    "Alice||||0x0badcafe|2|",
    "Bob||||0x0badcafe|2|",
    "Alice|BYE|||||",
    "Bob||200||||",
];

#[test]
fn a_call_over_udp_is_decoded_with_its_audio_and_its_comment() {
    let records = call(Carrier::Udp, "UDP");
    if let Some(lines) = dissected("udp", &records, FIELDS) {
        assert_eq!(lines, CALL);
    }
    assert_sound("udp", &records);
}

#[test]
fn a_call_over_tcp_is_decoded_inside_a_whole_conversation() {
    let records = call(Carrier::Tcp, "TCP");
    if let Some(lines) = dissected("tcp", &records, FIELDS) {
        assert_eq!(lines[..3], ["Alice||||||"; 3]);
        assert_eq!(lines[3..14], *CALL);
        assert_eq!(lines[14..], ["Alice||||||"; 3]);
    }
    assert_sound("tcp", &records);
}

#[test]
fn the_clear_text_of_tls_is_decoded_on_any_port_and_says_what_it_is() {
    let mut records = call(Carrier::TlsClear, "TLS");
    for record in &mut records {
        for address in [&mut record.source, &mut record.destination] {
            if address.port() == 40_002 {
                address.set_port(5061);
            }
        }
    }
    if let Some(lines) = dissected("tls", &records, FIELDS) {
        assert_eq!(
            lines[3],
            "Alice|INVITE||41000|||call.rhai:12: alice.dial(bob); \
             clear text of TLS (port 5061 is shown as 5060, so that it is read as SIP)"
        );
        let methods: Vec<_> = lines.iter().filter_map(|line| line.split('|').nth(1)).collect();
        assert_eq!(methods.concat(), "INVITEACKBYE");
    }
    assert_sound("tls", &records);
    let records = call(Carrier::TlsClear, "TLS");
    if let Some(lines) = dissected("tls-any", &records, FIELDS) {
        assert_eq!(
            lines[3],
            "Alice|INVITE||41000|||call.rhai:12: alice.dial(bob); clear text of TLS"
        );
    }
}

#[test]
fn a_message_cut_anywhere_in_its_stream_is_put_together() {
    let message = request("INVITE", "TCP", 1, Some(ALICE_RTP));
    let (head, tail) = message.split_at(100);
    let records = [
        record(1, Carrier::Tcp, ALICE, BOB, head.to_owned()),
        record(2, Carrier::Tcp, ALICE, BOB, tail.to_owned()),
    ];
    if let Some(lines) = dissected("cut", &records, &["sip.Method", "sdp.media.port"]) {
        assert_eq!(lines.concat(), "||||INVITE|41000|||");
    }
    assert_sound("cut", &records);
}

#[test]
fn ipv6_is_decoded_as_ipv4_is() {
    let invite = request("INVITE", "UDP", 1, None);
    let records = [
        record(
            1,
            Carrier::Udp,
            "[::1]:40001",
            "[2001:db8::1]:5060",
            invite.clone(),
        ),
        record(2, Carrier::Tcp, "[::1]:40001", "[2001:db8::1]:5060", invite),
    ];
    if let Some(lines) = dissected("ipv6", &records, &["ipv6.dst", "sip.Method"]) {
        assert_eq!(lines[0], "2001:db8::1|INVITE");
        assert_eq!(lines[4], "2001:db8::1|INVITE");
    }
    assert_sound("ipv6", &records);
}

/// A SIP request between Alice and Bob, with SDP where it offers audio.
fn request(method: &str, transport: &str, sequence: u32, rtp: Option<&str>) -> String {
    let (kind, body) = rtp.map_or(("", String::new()), |rtp| {
        (
            "Content-Type: application/sdp\r\n",
            description(address(rtp).port()),
        )
    });
    format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/{transport} {ALICE};branch=z9hG4bK{sequence}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: c@example.com\r\nCSeq: {sequence} {method}\r\nContact: <sip:alice@{ALICE}>\r\n\
         {kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The 200 to it.
fn response(method: &str, transport: &str, sequence: u32, rtp: Option<&str>) -> String {
    let (kind, body) = rtp.map_or(("", String::new()), |rtp| {
        (
            "Content-Type: application/sdp\r\n",
            description(address(rtp).port()),
        )
    });
    format!(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/{transport} {ALICE};branch=z9hG4bK{sequence}\r\n\
         From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>;tag=b\r\n\
         Call-ID: c@example.com\r\nCSeq: {sequence} {method}\r\nContact: <sip:bob@{BOB}>\r\n\
         {kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn description(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\n"
    )
}

/// An RTP packet of 20 ms of silence.
fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.extend_from_slice(&0x0bad_cafe_u32.to_be_bytes());
    packet.resize(172, 0xff);
    packet
}
