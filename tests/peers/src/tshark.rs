//! tshark as a second reader of our captures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::peer::program;

/// What Wireshark calls a finding that means an error; warnings and notes are below.
const BROKEN: &str = "_ws.malformed || _ws.expert.severity == error";

/// A capture file, read by tshark anew for each question.
#[derive(Debug, Clone)]
pub struct Capture {
    path: PathBuf,
    arguments: Vec<String>,
}

/// A DTMF digit as RFC 4733 events carry it: one, however many packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digit {
    /// The synchronization source that sent it, as tshark writes it: `0x1234abcd`.
    pub ssrc: String,
    /// The RTP timestamp at which it began.
    pub timestamp: u32,
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub digit: char,
    /// How many packets carried its end.
    pub ends: usize,
}

/// A stream of RTP as tshark counts it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// The port that it comes from.
    pub from: u16,
    /// The port that it goes to.
    pub to: u16,
    /// The synchronization source, as tshark writes it: `0x1234ABCD`.
    pub ssrc: String,
    /// How many packets the capture has of it.
    pub packets: i64,
    /// How many are missing from its first to its highest sequence number; a packet that is there twice makes up for one
    /// that is missing.
    pub lost: i64,
    /// The interarrival jitter of RFC 3550 on average and at most, in milliseconds; unlike the other fields to be compared with
    /// tolerance.
    pub jitter_ms: (f64, f64),
}

impl Capture {
    /// A capture at `path`.
    pub fn open(path: &Path) -> Self {
        assert!(path.is_file(), "no capture at {}", path.display());
        Self {
            path: path.to_owned(),
            arguments: Vec::new(),
        }
    }

    /// Reads a port as a protocol where nothing in the capture says so, e.g. `udp.port==40000,rtp`.
    #[must_use]
    pub fn decode_as(mut self, rule: &str) -> Self {
        self.arguments.extend(["-d".to_owned(), rule.to_owned()]);
        self
    }

    /// Finds RTP and RTCP by their looks, not by the descriptions of sessions: for clear text of SRTP, which those
    /// call encrypted.
    #[must_use]
    pub fn without_descriptions(mut self) -> Self {
        let options = [
            "-o",
            "sdp.establish_conversation:FALSE",
            "--enable-heuristic",
            "rtp_udp",
            "--enable-heuristic",
            "rtcp_udp",
        ];
        self.arguments.extend(options.map(str::to_owned));
        self
    }

    /// Puts segments of TCP in order that are not in the file.
    #[must_use]
    pub fn reassembled(mut self) -> Self {
        self.arguments
            .extend(["-o".to_owned(), "tcp.reassemble_out_of_order:TRUE".to_owned()]);
        self
    }

    /// How many packets pass the display filter.
    pub fn count(&self, filter: &str) -> usize {
        self.fields(filter, &["frame.number"]).len()
    }

    /// The values of `fields` in each packet that passes the display filter. A field that occurs several times has
    /// its values joined by `,`; one that is not there is empty.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
        let mut arguments = vec!["-Y", filter, "-T", "fields", "-E", "separator=/t"];
        arguments.extend(fields.iter().flat_map(|field| ["-e", field]));
        let rows = self.tshark(&arguments);
        rows.lines()
            .map(|row| row.split('\t').map(str::to_owned).collect())
            .collect()
    }

    /// The packets that pass the display filter, dissected whole.
    pub fn packets(&self, filter: &str) -> Vec<Value> {
        let text = self.tshark(&["-Y", filter, "-T", "json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("tshark's JSON: {error}"))
    }

    /// Panics when tshark finds a malformed packet or an error, or when one of `protocols` does not occur at all:
    /// then nothing was looked at.
    #[track_caller]
    pub fn assert_sound(&self, protocols: &[&str]) {
        for protocol in protocols {
            assert!(
                self.count(protocol) > 0,
                "no {protocol} in {}",
                self.path.display()
            );
        }
        let broken = self.tshark(&["-Y", BROKEN, "-V"]);
        assert!(
            broken.is_empty(),
            "tshark finds errors in {}:\n{broken}",
            self.path.display()
        );
    }

    /// The DTMF digits in the order in which they were first seen.
    pub fn digits(&self) -> Vec<Digit> {
        let fields = [
            "rtp.ssrc",
            "rtp.timestamp",
            "rtpevent.event_id",
            "rtpevent.end_of_event",
            "rtp.seq",
        ];
        let mut digits: Vec<Digit> = Vec::new();
        // A capture of both ends of a link may hold a packet twice.
        let mut seen = BTreeSet::new();
        for row in self.fields("rtpevent", &fields) {
            let [ssrc, timestamp, event, end, sequence] = row.as_slice() else {
                panic!("tshark's fields of an event: {row:?}");
            };
            if !seen.insert((ssrc.clone(), sequence.clone())) {
                continue;
            }
            let timestamp = timestamp.parse().expect("an RTP timestamp");
            let ends = usize::from(matches!(end.as_str(), "1" | "True"));
            let known = digits
                .iter_mut()
                .find(|known| known.ssrc == *ssrc && known.timestamp == timestamp);
            if let Some(known) = known {
                known.ends += ends;
            } else {
                let digit = event.parse().ok().and_then(digit_of_event);
                let digit = digit.unwrap_or_else(|| panic!("event {event} is no DTMF digit"));
                digits.push(Digit {
                    ssrc: ssrc.clone(),
                    timestamp,
                    digit,
                    ends,
                });
            }
        }
        digits
    }

    /// The streams of RTP.
    pub fn streams(&self) -> Vec<Stream> {
        let table = self.tshark(&["-q", "-z", "rtp,streams"]);
        // Start, end, address, port, address, port, SSRC, codecs with blanks between them, packets, lost, percent in
        // brackets, …
        let streams = table.lines().filter_map(|row| {
            let words: Vec<&str> = row.split_whitespace().collect();
            let percent = words.iter().position(|word| word.ends_with("%)"))?;
            let read = || {
                Some(Stream {
                    from: words.get(3)?.parse().ok()?,
                    to: words.get(5)?.parse().ok()?,
                    ssrc: (*words.get(6)?).to_owned(),
                    packets: words.get(percent.checked_sub(2)?)?.parse().ok()?,
                    lost: words.get(percent.checked_sub(1)?)?.parse().ok()?,
                    // Behind the percentage: three deltas, then the least, the mean and the greatest jitter.
                    jitter_ms: (
                        words.get(percent + 5)?.parse().ok()?,
                        words.get(percent + 6)?.parse().ok()?,
                    ),
                })
            };
            Some(read().unwrap_or_else(|| panic!("tshark's line of a stream: {row}")))
        });
        streams.collect()
    }

    fn tshark(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(program("tshark").expect("require!(Tshark) comes first"));
        command
            // By what a datagram holds, before the games that once had its port: ports are leased, and any may come.
            .args(["-o", "udp.try_heuristic_first:TRUE", "-n", "-r"])
            .arg(&self.path)
            .args(&self.arguments)
            .args(arguments);
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        assert!(
            output.status.success(),
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// RFC 4733 §3.2, table 3.
fn digit_of_event(event: u8) -> Option<char> {
    "0123456789*#ABCD".chars().nth(usize::from(event))
}
