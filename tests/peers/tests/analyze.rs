//! `callwright analyze` beside tshark: both count the same in our own captures, in those of SIPp's calls, and in mangled ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use callwright_peers::{CallCenter, Capture, Evidence, Sipp, command, example, require};
use serde_json::Value;

#[track_caller]
fn run(arguments: &[&str]) {
    let output = command().args(arguments).output().expect("it runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[track_caller]
fn analyze(path: &Path) -> Value {
    let output = command()
        .args(["analyze", "--json"])
        .arg(path)
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn count(value: &Value) -> usize {
    value
        .as_u64()
        .and_then(|count| usize::try_from(count).ok())
        .expect("a count")
}

/// The same messages and calls in both.
#[track_caller]
fn assert_same_signalling(analysis: &Value, capture: &Capture) {
    let summary = &analysis["capture"];
    // A segment may end two messages: tshark names the method or status of each.
    let names = |field: &str| -> usize {
        let rows = capture.fields("sip", &[field]);
        let words = rows.iter().flat_map(|row| row[0].split(','));
        words.filter(|word| !word.is_empty()).count()
    };
    assert_eq!(
        count(&summary["sip_messages"]),
        names("sip.Method") + names("sip.Status-Code")
    );
    for (method, number) in summary["requests"].as_object().expect("methods") {
        let rows = capture.fields("sip.Method", &["sip.Method"]);
        let theirs = rows
            .iter()
            .flat_map(|row| row[0].split(','))
            .filter(|word| word == method);
        assert_eq!(count(number), theirs.count(), "{method}");
    }
    let rows = capture.fields("sip.Method == \"INVITE\"", &["sip.Call-ID"]);
    let theirs: BTreeSet<&str> = rows.iter().flat_map(|row| row[0].split(',')).collect();
    let calls = analysis["calls"].as_array().expect("calls");
    let ours: BTreeSet<&str> = calls
        .iter()
        .flat_map(|call| call["legs"].as_array().expect("legs"))
        .map(|leg| leg["call_id"].as_str().expect("a Call-ID"))
        .collect();
    assert_eq!(ours, theirs);
}

/// The same streams in both, with packets, loss and jitter: to the digits that tshark prints.
#[track_caller]
fn assert_same_streams(analysis: &Value, capture: &Capture) {
    let streams = analysis["streams"].as_array().expect("streams");
    let theirs = capture.streams();
    assert!(!theirs.is_empty(), "no stream was compared");
    assert_eq!(streams.len(), theirs.len(), "{theirs:?}");
    for their in theirs {
        let ssrc = u64::from_str_radix(their.ssrc.trim_start_matches("0x"), 16).expect("an SSRC");
        let suffix = format!(":{}", their.to);
        let our = streams.iter().find(|our| {
            our["ssrc"] == ssrc
                && our["destination"]
                    .as_str()
                    .is_some_and(|to| to.ends_with(&suffix))
        });
        let our = our.unwrap_or_else(|| panic!("{their:?} is missing"));
        let quality = &our["quality"];
        assert_eq!(quality["packets"], their.packets, "{their:?}");
        assert_eq!(quality["lost"], their.lost, "{their:?}");
        for (name, theirs) in [
            ("jitter_mean_ms", their.jitter_ms.0),
            ("jitter_max_ms", their.jitter_ms.1),
        ] {
            let ours = quality[name].as_f64().expect("the clock is known");
            assert!(
                (ours - theirs).abs() <= 0.001,
                "{name}: {ours}, not {theirs} of {their:?}"
            );
        }
    }
}

#[test]
fn our_own_calls_are_counted_as_tshark_does() {
    require!(Tshark);
    let evidence = Evidence::new("analyze-own");
    let path = evidence.file("calls.pcapng");
    let capture = path.to_string_lossy().into_owned();
    let script = example("direct-call.rhai");
    run(&["run", &script.to_string_lossy(), "--capture", &capture]);
    let analysis = analyze(&path);
    let capture = Capture::open(&path);
    assert_same_signalling(&analysis, &capture);
    assert_same_streams(&analysis, &capture);
    let call = &analysis["calls"][0];
    assert_eq!(
        (&call["outcome"], &call["ended_by"]),
        (&"completed".into(), &"caller".into())
    );
    assert_eq!(call["digits"].as_array().map(Vec::len), Some(0));
    for stream in analysis["streams"].as_array().expect("streams") {
        let level = stream["level"]["max_dbm0"].as_f64().expect("G.711");
        assert!(level > -30.0, "each side sends a tone: {level}");
    }
}

#[test]
fn loss_and_jitter_of_a_bad_network_are_those_of_tshark() {
    require!(Tshark);
    let evidence = Evidence::new("analyze-network");
    let path = evidence.file("calls.pcapng");
    let capture = path.to_string_lossy().into_owned();
    // Whether the scenario likes what the network does to it is not the question here.
    command()
        .env_remove("CALLWRIGHT_NO_SERVERS")
        .args([
            "run",
            "--simulate",
            "--seed",
            "7",
            "--network",
            "loss=3%,latency=20ms,jitter=30ms",
        ])
        .arg(example("call-quality.rhai"))
        .args(["--capture", &capture])
        .output()
        .expect("it runs");
    // What the network did stands in comments: a packet that was lost is left out, as an interface behind it would.
    let lossy = evidence.file("lossy.pcapng");
    let mut drop = Command::new("editcap");
    drop.arg(&path).arg(&lossy);
    let rtp = Capture::open(&path).fields("rtp", &["frame.number"]);
    assert!(rtp.len() > 100, "there is something to lose");
    for (place, row) in rtp.iter().enumerate() {
        if place % 13 == 4 || place % 97 == 5 {
            drop.arg(&row[0]);
        }
    }
    assert!(drop.output().expect("editcap belongs to tshark").status.success());
    for path in [&path, &lossy] {
        let analysis = analyze(path);
        let capture = Capture::open(path);
        assert_same_signalling(&analysis, &capture);
        assert_same_streams(&analysis, &capture);
    }
    let findings = analyze(&lossy)["findings"].to_string();
    assert!(findings.contains("\"loss\""), "{findings}");
}

#[test]
fn calls_of_sipp_are_counted_as_tshark_does_over_udp_and_tcp() {
    require!(Sipp, Tshark);
    for transport in ["u1", "t1"] {
        let mut server = CallCenter::start("none");
        // Nobody is registered: each call is refused, which SIPp calls unexpected, and which is what counts here.
        Sipp::uac(server.address())
            .service("bob")
            .argument(&["-t", transport])
            .calls(5)
            .rate(50)
            .run();
        server.stop();
        let analysis = analyze(&server.capture());
        assert_same_signalling(&analysis, &Capture::open(&server.capture()));
        assert_eq!(analysis["calls"].as_array().map(Vec::len), Some(5), "{transport}");
        for call in analysis["calls"].as_array().expect("calls") {
            assert_eq!(call["outcome"], "refused");
        }
        mangled(&server.capture());
    }
}

/// The packets of a capture in another order, in fragments, some twice: both still read the same.
fn mangled(path: &Path) {
    let evidence = Evidence::new("analyze-mangled");
    let plain = evidence.file("plain.pcap");
    let converted = Command::new("editcap")
        .args(["-F", "pcap"])
        .args([path, &plain])
        .output()
        .expect("editcap belongs to tshark");
    assert!(converted.status.success(), "{converted:?}");
    let mut frames = Frames::read(&plain);
    frames.cut();
    frames.disorder();
    let mangled: PathBuf = evidence.file("mangled.pcap");
    frames.write(&mangled);
    let analysis = analyze(&mangled);
    assert_same_signalling(&analysis, &Capture::open(&mangled).reassembled());
    assert_eq!(analysis["capture"]["dropped"]["fragments"], 0);
    assert_eq!(analysis["capture"]["dropped"]["missing_stream_bytes"], 0);
}

/// The frames of a file in the classic format, little-endian, of Ethernet with IPv4.
struct Frames {
    head: Vec<u8>,
    frames: Vec<Vec<u8>>,
}

impl Frames {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("a capture");
        let (head, mut rest) = bytes.split_at(24);
        let mut frames = Vec::new();
        while rest.len() >= 16 {
            let length = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
            frames.push(rest[16..16 + length].to_vec());
            rest = &rest[16 + length..];
        }
        Frames {
            head: head.to_vec(),
            frames,
        }
    }

    /// Datagrams in fragments of 120 bytes, segments of TCP in shorter ones.
    fn cut(&mut self) {
        let mut identification = 0x4000u16;
        let frames = std::mem::take(&mut self.frames);
        for frame in frames {
            identification += 1;
            let (link, ip) = frame.split_at(14);
            match ip[9] {
                17 if ip.len() > 160 => {
                    let payload = &ip[20..];
                    for (place, piece) in payload.chunks(120).enumerate() {
                        let more = (place + 1) * 120 < payload.len();
                        let offset = (place * 120 / 8) as u16 | u16::from(more) << 13;
                        let head = ip_head(&ip[..20], piece.len(), identification, offset);
                        self.frames.push([link, &head, piece].concat());
                    }
                }
                6 if ip.len() > 160 => {
                    let sequence = u32::from_be_bytes(ip[24..28].try_into().expect("four bytes"));
                    let payload = &ip[40..];
                    for (place, piece) in payload.chunks(130).enumerate() {
                        identification += 1;
                        let mut tcp = ip[20..40].to_vec();
                        let at = sequence.wrapping_add(place as u32 * 130);
                        tcp[4..8].copy_from_slice(&at.to_be_bytes());
                        let head = ip_head(&ip[..20], 20 + piece.len(), identification, 0);
                        self.frames.push([link, &head, &tcp, piece].concat());
                    }
                }
                _ => self.frames.push(frame),
            }
        }
    }

    /// Neighbours change places; of TCP every fifth segment with data comes twice.
    fn disorder(&mut self) {
        let is_tcp_data = |frame: &[u8]| frame[23] == 6 && frame.len() > 54;
        let mut place = 0;
        while place + 1 < self.frames.len() {
            let same_way = self.frames[place][26..34] == self.frames[place + 1][26..34]
                && self.frames[place][34..38] == self.frames[place + 1][34..38];
            let both_data = is_tcp_data(&self.frames[place]) && is_tcp_data(&self.frames[place + 1]);
            let fragments = [place, place + 1]
                .iter()
                .all(|at| self.frames[*at][20..22] != [0, 0]);
            if same_way && both_data || fragments {
                self.frames.swap(place, place + 1);
                place += 2;
            } else {
                place += 1;
            }
        }
        let frames = std::mem::take(&mut self.frames);
        for (place, frame) in frames.into_iter().enumerate() {
            if place % 5 == 0 && is_tcp_data(&frame) {
                self.frames.push(frame.clone());
            }
            self.frames.push(frame);
        }
    }

    fn write(&self, path: &Path) {
        let mut bytes = self.head.clone();
        for (place, frame) in self.frames.iter().enumerate() {
            let length = frame.len() as u32;
            for word in [1_700_000_000, place as u32 * 100, length, length] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(frame);
        }
        std::fs::write(path, bytes).expect("a file");
    }
}

/// A header of IPv4 for so much payload, its checksum left out as network cards do.
fn ip_head(head: &[u8], payload: usize, identification: u16, offset: u16) -> Vec<u8> {
    let mut head = head.to_vec();
    head[2..4].copy_from_slice(&(payload as u16 + 20).to_be_bytes());
    head[4..6].copy_from_slice(&identification.to_be_bytes());
    head[6..8].copy_from_slice(&offset.to_be_bytes());
    head[10..12].copy_from_slice(&[0, 0]);
    head
}
