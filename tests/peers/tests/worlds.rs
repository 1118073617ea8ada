//! Captures of the examples in both worlds, with the call center that is built in, as tshark reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use callwright_peers::{Capture, Evidence, Port, command, example, require};

/// The name of the server: that of its entry in `callwright.toml`.
const SERVER: &str = "system-under-test";
/// The exit code of a run that proves nothing.
const INVALID: i32 = 3;
/// How often real calls are tried on a machine that is late.
const ATTEMPTS: u32 = 5;

/// A copy of the examples with another port, and a name for the server.
fn copy(folder: &Path, port: &Port) {
    let source = example("callwright.toml");
    let source = source.parent().expect("the folder of the examples");
    std::fs::create_dir(folder.join("lib")).expect("a folder");
    for part in ["", "lib"] {
        for entry in std::fs::read_dir(source.join(part)).expect("the examples") {
            let path = entry.expect("an example").path();
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a text");
            let text = text
                .replace("127.0.0.1:15060", &port.address().to_string())
                .replace("[[server]]", &format!("[[server]]\nname = \"{SERVER}\""));
            let name = path.file_name().expect("a name");
            std::fs::write(folder.join(part).join(name), text).expect("a copy");
        }
    }
}

/// Runs what is in a folder, with its server, and opens the capture of that.
fn captured(evidence: &Evidence, flags: &[&str], files: &[&str]) -> Capture {
    let path = evidence.file("calls.pcapng");
    let mut callwright: Command = command();
    callwright
        .env_remove("CALLWRIGHT_NO_SERVERS")
        .current_dir(evidence.path())
        .arg("run")
        .args(flags)
        .arg("--capture")
        .arg(&path)
        .args(files);
    for attempt in 1.. {
        let output = callwright.output().expect("it runs");
        if output.status.code() == Some(INVALID) && attempt < ATTEMPTS {
            continue;
        }
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        break;
    }
    Capture::open(&path)
}

/// The examples in a folder of their own.
fn examples(name: &str) -> (Evidence, Port) {
    let evidence = Evidence::new(name);
    let port = Port::lease();
    copy(evidence.path(), &port);
    (evidence, port)
}

/// Of each call what its messages were: method and, of a response, status.
fn calls(capture: &Capture) -> BTreeMap<String, Vec<(String, u16)>> {
    let fields = ["sip.Call-ID", "sip.CSeq.method", "sip.Status-Code"];
    let mut calls: BTreeMap<String, Vec<(String, u16)>> = BTreeMap::new();
    for row in capture.fields("sip", &fields) {
        let [call, method, status] = row.as_slice() else {
            panic!("tshark's fields of a message: {row:?}");
        };
        // A request has none.
        let status = status.parse().unwrap_or(0);
        calls
            .entry(call.clone())
            .or_default()
            .push((method.clone(), status));
    }
    calls
}

/// Every INVITE has a final response and its ACK, and every dialog that it made ends by a BYE that is answered.
fn assert_dialogs_are_complete(capture: &Capture) {
    let calls = calls(capture);
    let mut established = 0;
    for (call, messages) in &calls {
        let has = |method: &str, range: std::ops::Range<u16>| {
            messages
                .iter()
                .any(|(its, status)| its == method && range.contains(status))
        };
        if !has("INVITE", 0..1) {
            continue;
        }
        assert!(
            has("INVITE", 200..700),
            "no final response in {call}: {messages:?}"
        );
        assert!(has("ACK", 0..1), "no ACK in {call}: {messages:?}");
        if has("INVITE", 200..300) {
            established += 1;
            assert!(has("BYE", 0..1), "no BYE in {call}: {messages:?}");
            assert!(has("BYE", 200..700), "no answer to BYE in {call}: {messages:?}");
        }
    }
    // Two legs of a call through the server, in more than half of the examples.
    assert!(established > 10, "{established} dialogs in {} calls", calls.len());
}

/// What the server sent is on an interface of its name, and so is what each agent sent.
fn assert_interfaces(capture: &Capture, port: &Port) {
    let of = |filter: &str| -> BTreeSet<String> {
        let rows = capture.fields(filter, &["frame.interface_name"]);
        rows.into_iter().flatten().collect()
    };
    let server = BTreeSet::from([SERVER.to_owned()]);
    assert_eq!(of(&format!("sip && udp.srcport == {}", port.number())), server);
    let agents = of(&format!("sip && udp.srcport != {}", port.number()));
    assert!(!agents.contains(SERVER), "{agents:?}");
    for name in ["Caller", "Callee", "Target", "Customer"] {
        assert!(agents.contains(name), "{name}: {agents:?}");
    }
    assert!(of("rtp").contains(SERVER), "the audio that the server relays");
}

fn assert_clean(capture: &Capture, port: &Port) {
    capture.assert_sound(&["sip", "sdp", "rtp", "rtcp", "rtpevent"]);
    assert_dialogs_are_complete(capture);
    assert_interfaces(capture, port);
    let streams = capture.streams();
    assert!(streams.len() > 20, "{streams:#?}");
    for stream in &streams {
        assert_eq!(stream.lost, 0, "{stream:?}");
    }
}

#[test]
fn the_examples_in_the_real_world_are_read_without_a_gap() {
    require!(Tshark);
    let (evidence, port) = examples("real");
    let capture = captured(&evidence, &[], &["."]);
    assert_clean(&capture, &port);
    // What bad-network.rhai loses on purpose, and nothing else.
    let lost = "frame.comment contains \"on its way\"";
    let meant = capture.count(&format!("{lost} && sip.Method == \"INVITE\""));
    assert!(meant > 0);
    assert_eq!(capture.count(lost), meant);
}

#[test]
fn the_examples_in_the_simulated_world_are_read_without_a_gap() {
    require!(Tshark);
    let (evidence, port) = examples("simulated");
    let capture = captured(&evidence, &["--simulate", "--seed", "1"], &["."]);
    assert_clean(&capture, &port);
    // Virtual time: from the first of January 2030 on, each scenario behind the one before it.
    let times: Vec<f64> = capture
        .fields("frame", &["frame.time_epoch"])
        .iter()
        .map(|row| row[0].parse().expect("seconds"))
        .collect();
    assert!(times.is_sorted());
    let first = times[0] - 1_893_456_000.0;
    assert!((0.0..3_600.0).contains(&first), "{first}");
}

/// What a link did to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lost,
    Once,
    Twice,
}

impl Fate {
    fn read(comment: &str) -> Fate {
        if comment.contains("lost on its way") {
            Fate::Lost
        } else if comment.contains("delivered twice") {
            Fate::Twice
        } else {
            Fate::Once
        }
    }

    fn arrivals(self) -> usize {
        match self {
            Fate::Lost => 0,
            Fate::Once => 1,
            Fate::Twice => 2,
        }
    }
}

/// The RTP that comes from a port: sequence numbers without wrap, and fates, in the order of the capture.
fn sent_from(capture: &Capture, port: u16) -> Vec<(i64, Fate)> {
    let filter = format!("rtp && udp.srcport == {port}");
    let rows = capture.fields(&filter, &["rtp.seq", "frame.comment"]);
    let mut last: Option<i64> = None;
    let mut packets = Vec::new();
    for row in rows {
        let number: i64 = row[0].parse().expect("a sequence number");
        // RFC 3550 §A.1: 16 bits, which begin anywhere.
        let number = last.map_or(number, |last| {
            let step = (number - last).rem_euclid(65_536);
            last + if step < 32_768 { step } else { step - 65_536 }
        });
        last = Some(number);
        packets.push((number, Fate::read(&row[1])));
    }
    packets
}

/// How often each number arrives where it was sent.
fn arrivals(sent: &[(i64, Fate)]) -> BTreeMap<i64, usize> {
    sent.iter()
        .map(|(number, fate)| (*number, fate.arrivals()))
        .collect()
}

/// On a bad line every packet is in the capture once, as it was sent, with what became of it: what an agent sent has no gap,
/// and what the server passes on has those gaps and doubles that the fates of the leg before it say.
#[test]
fn what_a_bad_line_did_to_the_audio_is_what_the_comments_say() {
    require!(Tshark);
    let (evidence, _port) = examples("bad-line");
    let mut judged = 0;
    for seed in ["1", "2", "3"] {
        let flags = ["--simulate", "--seed", seed, "--profile", "bad-line"];
        let capture = captured(&evidence, &flags, &["call-quality.rhai"]);
        capture.assert_sound(&["sip", "sdp", "rtp"]);
        let streams = capture.streams();
        assert_eq!(streams.len(), 4, "{streams:#?}");
        for (sender, hearer) in [("Caller", "Callee"), ("Callee", "Caller")] {
            let port_of = |name: &str| -> u16 {
                let filter = format!("rtp && frame.interface_name == \"{name}\"");
                let ports = capture.fields(&filter, &["udp.srcport"]);
                ports[0][0].parse().expect("a port")
            };
            let (from, to) = (port_of(sender), port_of(hearer));
            let sent = streams.iter().find(|stream| stream.from == from);
            let sent = sent.unwrap_or_else(|| panic!("of {sender}: {streams:#?}"));
            assert_eq!(sent.lost, 0, "{sent:?}");
            let relayed = streams.iter().find(|stream| stream.to == to);
            let relayed = relayed.unwrap_or_else(|| panic!("to {hearer}: {streams:#?}"));

            let before = arrivals(&sent_from(&capture, from));
            let mut after: BTreeMap<i64, usize> = BTreeMap::new();
            for (number, _) in sent_from(&capture, relayed.from) {
                *after.entry(number).or_default() += 1;
            }
            let (first, last) = match (after.first_key_value(), after.last_key_value()) {
                (Some((first, _)), Some((last, _))) => (*first, *last),
                _ => panic!("nothing was relayed to {hearer}"),
            };
            // The server counts from a number of its own: at one distance, and at no other, its gaps and doubles are those of
            // the leg before.
            let fits = |distance: &i64| {
                (first..=last).all(|number| {
                    let arrived = before.get(&(number - distance)).copied();
                    arrived.is_some_and(|arrived| arrived == after.get(&number).copied().unwrap_or(0))
                })
            };
            let earliest = before.keys().next().expect("something was sent");
            let latest = before.keys().next_back().expect("something was sent");
            let distances: Vec<i64> = (first - latest..=first - earliest).filter(fits).collect();
            let &[distance] = distances.as_slice() else {
                panic!("from {sender} to {hearer}: {distances:?}\n{before:?}\n{after:?}");
            };
            let within = before.range(first - distance..=last - distance);
            let expected: i64 = within
                .map(|(_, arrived)| 1 - i64::try_from(*arrived).expect("few"))
                .sum();
            assert_eq!(relayed.lost, expected, "{relayed:?}");
            judged += before.values().filter(|arrived| **arrived == 0).count();
        }
    }
    assert!(judged > 20, "{judged} packets were lost");
}

/// SIP survives the same line: requests are sent again, and every dialog ends.
#[test]
fn dialogs_end_on_a_bad_line_and_their_losses_are_in_the_comments() {
    require!(Tshark);
    let (evidence, port) = examples("bad-dialogs");
    let flags = ["--simulate", "--seed", "1", "--profile", "bad-line"];
    let capture = captured(&evidence, &flags, &["."]);
    capture.assert_sound(&["sip", "sdp", "rtp", "rtcp", "rtpevent"]);
    assert_dialogs_are_complete(&capture);
    assert_interfaces(&capture, &port);
    for fate in ["lost on its way", "delivered twice", "delayed by"] {
        for protocol in ["sip", "rtp"] {
            let filter = format!("{protocol} && frame.comment contains \"{fate}\"");
            assert!(capture.count(&filter) > 0, "no {protocol} was {fate}");
        }
    }
}
