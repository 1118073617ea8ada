//! Our call center and user agents that others wrote: SIPp and baresip, directly and with Kamailio in front; and what tshark says of
//! the traffic.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use callwright_peers::{Baresip, CallCenter, Capture, Evidence, Kamailio, Sipp, command, power_at, require};

const CALLS: u32 = 20;

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

/// One of our agents at work, with its capture.
struct Agent {
    child: Child,
    evidence: Evidence,
}

impl Agent {
    fn start(name: &str, settings: &[String]) -> Self {
        let evidence = Evidence::new("agent");
        let mut command = command();
        command.arg("run").arg(scenario(name));
        for setting in settings {
            command.args(["--set", setting]);
        }
        let child = command
            .arg("--capture")
            .arg(evidence.file("calls.pcapng"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        Agent { child, evidence }
    }

    /// What its capture holds, once it has passed.
    #[track_caller]
    fn passes(self) -> (Capture, Evidence) {
        let output = self.child.wait_with_output().expect("it ends");
        assert_passes(&output);
        (Capture::open(&self.evidence.file("calls.pcapng")), self.evidence)
    }
}

#[track_caller]
fn assert_passes(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// A request outside a dialog, and the status of its final response.
fn ask(to: SocketAddr, method: &str, uri: &str, fields: &str) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let limit = Some(std::time::Duration::from_secs(10));
    socket.set_read_timeout(limit).expect("a limit");
    let here = socket.local_addr().expect("its address");
    let port = here.port();
    let message = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-{port}\r\nMax-Forwards: 70\r\n\
         From: <sip:test@{here}>;tag=test\r\nTo: <{uri}>\r\nCall-ID: {port}@{here}\r\nCSeq: 1 {method}\r\n\
         {fields}Content-Length: 0\r\n\r\n"
    );
    socket.send_to(message.as_bytes(), to).expect("it leaves");
    let mut answer = [0; 4_096];
    loop {
        let length = socket.recv(&mut answer).expect("an answer");
        let text = String::from_utf8_lossy(&answer[..length]).into_owned();
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
        match status.expect("a response") {
            100..=199 => {}
            status => return status,
        }
    }
}

/// Waits until a user of the call center can be called, by OPTIONS to it.
fn wait_for_user(server: SocketAddr, user: &str) {
    for _ in 0..400 {
        if ask(server, "OPTIONS", &format!("sip:{user}@callwright.test"), "") == 200 {
            return;
        }
        // Nothing tells when somebody registers; ask again a little later.
        std::thread::park_timeout(std::time::Duration::from_millis(25));
    }
    panic!("{user} does not register");
}

/// A sound capture in which nothing was sent twice, and every stream of RTP is whole.
fn assert_clean(capture: &Capture, protocols: &[&str]) {
    capture.assert_sound(protocols);
    assert_eq!(capture.count("sip.resend == 1"), 0, "nothing is sent twice");
    if protocols.contains(&"rtp") {
        let streams = streams(capture);
        for ((ssrc, from, to), sequences) in &streams {
            let missing = sequences
                .windows(2)
                .filter(|pair| pair[1] != pair[0].wrapping_add(1));
            assert_eq!(missing.count(), 0, "{ssrc} from {from} to {to}: {sequences:?}");
        }
    }
}

/// The sequence numbers of each stream of RTP, by SSRC, source and destination.
fn streams(capture: &Capture) -> BTreeMap<(String, String, String), Vec<u16>> {
    let fields = ["rtp.ssrc", "udp.srcport", "udp.dstport", "rtp.seq"];
    let mut streams: BTreeMap<_, Vec<u16>> = BTreeMap::new();
    for row in capture.fields("rtp", &fields) {
        let [ssrc, from, to, sequence] = row.as_slice() else {
            panic!("tshark's fields of RTP: {row:?}");
        };
        let sequence = sequence.parse().expect("a sequence number");
        let key = (ssrc.clone(), from.clone(), to.clone());
        streams.entry(key).or_default().push(sequence);
    }
    streams
}

/// Which of the two tones each stream of G.711 µ-law carries, by source and destination.
fn tones(capture: &Capture) -> Vec<(String, String, u32)> {
    let fields = ["udp.srcport", "udp.dstport", "rtp.payload"];
    let mut audio: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for row in capture.fields("rtp && rtp.p_type == 0", &fields) {
        let [from, to, payload] = row.as_slice() else {
            panic!("tshark's fields of RTP: {row:?}");
        };
        let digits = payload.replace(':', "");
        let octets = (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16));
        let samples = octets.map(|octet| linear(octet.expect("hexadecimal digits")));
        audio
            .entry((from.clone(), to.clone()))
            .or_default()
            .extend(samples);
    }
    let strongest = |samples: &[f64]| {
        let power = |hz: u32| power_at(samples, f64::from(hz));
        if power(440) > power(880) { 440 } else { 880 }
    };
    let heard = audio.into_iter().filter(|(_, samples)| samples.len() > 8_000);
    heard
        .map(|((from, to), samples)| (from, to, strongest(&samples[4_000..])))
        .collect()
}

/// ITU-T G.711, µ-law.
fn linear(octet: u8) -> f64 {
    let octet = !octet;
    let (exponent, mantissa) = (i32::from(octet >> 4 & 7), i32::from(octet & 15));
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    f64::from(if octet & 0x80 == 0 { magnitude } else { -magnitude })
}

/// On both legs there is audio both ways, and each direction carries the tone of who sends it.
#[track_caller]
fn assert_both_are_heard(capture: &Capture) {
    let tones = tones(capture);
    let count = |hz: u32| tones.iter().filter(|(.., heard)| *heard == hz).count();
    assert_eq!(
        (count(440), count(880)),
        (2, 2),
        "in and out again, both: {tones:?}"
    );
    for hz in [440, 880] {
        let legs: Vec<_> = tones.iter().filter(|(.., heard)| *heard == hz).collect();
        assert_ne!(
            legs[0].0, legs[1].0,
            "the server sends it on from a port of its own"
        );
    }
}

#[test]
fn sipp_calls_an_agent_that_is_registered() {
    require!(Sipp, Tshark);
    let mut server = CallCenter::start("registrations");
    let at = server.address();
    let bob = Agent::start("answer-registered.rhai", &[format!("domain={at}")]);
    wait_for_user(at, "bob");
    Sipp::uac(at)
        .service("bob")
        .calls(CALLS)
        .rate(20)
        .run()
        .assert_clean();
    let bob_uri = format!("sip:bob@{at}");
    assert_eq!(ask(at, "MESSAGE", &bob_uri, ""), 200, "the server passes it on");
    let (capture, _evidence) = bob.passes();
    assert_clean(&capture, &["sip", "sdp"]);
    server.stop();
    let capture = Capture::open(&server.capture());
    assert_clean(&capture, &["sip", "sdp"]);
    // Each call has two legs.
    assert_eq!(capture.count("sip.Method == \"INVITE\""), 2 * CALLS as usize);
    assert_eq!(
        capture.count("sip.Status-Code == 200 && sip.CSeq.method == \"BYE\""),
        2 * CALLS as usize
    );
}

#[test]
fn an_agent_calls_sipp_that_sipp_has_registered() {
    require!(Sipp, Tshark);
    let mut server = CallCenter::start("registrations");
    let at = server.address();
    let callee = Sipp::uas().calls(1).start();
    let bob = ("bob".to_owned(), "bobpw".to_owned());
    Sipp::registering(at, &[bob], callee.address())
        .run()
        .assert_clean();
    let settings = [
        format!("domain={at}"),
        "callee=bob".to_owned(),
        "listens=no".to_owned(),
    ];
    let (capture, _evidence) = Agent::start("call-registered.rhai", &settings).passes();
    assert_clean(&capture, &["sip", "sdp"]);
    callee.finish().assert_clean();
    server.stop();
    assert_clean(&Capture::open(&server.capture()), &["sip", "sdp"]);
}

#[test]
fn baresip_registers_by_digest_and_is_called_with_audio_both_ways() {
    require!(Baresip, Tshark);
    for transport in ["udp", "tcp"] {
        let mut server = CallCenter::start("registrations");
        let at = server.address();
        let mut bob = Baresip::registered("bob", "bobpw", at, transport, 440);
        let settings = [
            format!("domain={at}"),
            "callee=bob".to_owned(),
            "listens=yes".to_owned(),
        ];
        let (capture, _evidence) = Agent::start("call-registered.rhai", &settings).passes();
        assert_clean(&capture, &["sip", "sdp", "rtp"]);
        bob.stop();
        server.stop();
        let capture = Capture::open(&server.capture());
        assert_clean(&capture, &["sip", "sdp", "rtp"]);
        assert!(capture.count("sip.Status-Code == 401") > 0, "it was challenged");
        assert_both_are_heard(&capture);
    }
}

#[test]
fn baresip_calls_an_agent_with_audio_both_ways() {
    require!(Baresip, Tshark);
    let mut server = CallCenter::start("everything");
    let at = server.address();
    let alice = Agent::start("answer-tone.rhai", &[format!("domain={at}")]);
    let mut bob = Baresip::registered("bob", "bobpw", at, "udp", 440);
    // Whoever asks after alice is challenged: bob tries until she is there.
    let up = (0..20).any(|_| {
        bob.dial(&format!("sip:alice@{at}"));
        bob.says("established")
    });
    assert!(up, "{}", bob.log());
    let (capture, _evidence) = alice.passes();
    assert_clean(&capture, &["sip", "sdp", "rtp"]);
    bob.stop();
    server.stop();
    let capture = Capture::open(&server.capture());
    assert_clean(&capture, &["sip", "sdp", "rtp"]);
    assert_both_are_heard(&capture);
}

#[test]
fn everything_goes_through_a_proxy_in_front() {
    require!(Kamailio, Tshark);
    let mut server = CallCenter::start("registrations");
    let proxy = Kamailio::in_front_of(server.address());
    let settings = [format!("domain={}", proxy.udp())];
    let (capture, _evidence) = Agent::start("behind-proxy.rhai", &settings).passes();
    assert_clean(&capture, &["sip", "sdp", "rtp"]);
    server.stop();
    let capture = Capture::open(&server.capture());
    assert_clean(&capture, &["sip", "sdp", "rtp"]);
    let (own, other) = (server.address().port(), proxy.udp().port());
    let sent = format!("sip && udp.srcport == {own}");
    assert!(capture.count(&sent) > 0);
    let elsewhere = format!("{sent} && udp.dstport != {other}");
    assert_eq!(capture.count(&elsewhere), 0, "nothing goes past the proxy");
    // The route set of a dialog, and the Path of a binding.
    for method in ["INVITE", "ACK", "BYE"] {
        let of_ours = format!("{sent} && sip.Method == \"{method}\"");
        let routed = format!("{of_ours} && sip.Route contains \"{other}\"");
        assert!(capture.count(&of_ours) > 0, "{method}");
        assert_eq!(capture.count(&routed), capture.count(&of_ours), "{method}");
    }
    assert!(capture.count("sip.Path") > 0 && capture.count("sip.Record-Route") > 0);
}
