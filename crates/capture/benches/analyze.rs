//! What an analysis costs: megabytes and packets a second of a core, and the memory that it takes, over a capture that is made while it is read.
//!
//! `cargo bench -p callwright-capture --bench analyze [-- MEGABYTES]`

use std::io::{self, Read};

use callwright_capture::analysis::{AnalysisConfig, analyze};
use callwright_capture::read::read;

/// Calls at the same time.
const CALLS: u64 = 100;
/// Packets of RTP of each side of a call: 30 s.
const PACKETS: u64 = 1_500;
/// Never more than this at once: 1 µs for each packet.
const PACE: u64 = 1;

/// A pcap of calls without end, until there are so many bytes: always `CALLS` at the same time, 30 s each, audio both ways.
struct Calls {
    buffer: Vec<u8>,
    taken: usize,
    bytes: u64,
    limit: u64,
    round: u64,
    tick: u64,
    micros: u64,
}

impl Calls {
    fn new(limit: u64) -> Self {
        let head = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101];
        Calls {
            buffer: head.iter().flat_map(|word| word.to_le_bytes()).collect(),
            taken: 0,
            bytes: 0,
            limit,
            round: 0,
            tick: 0,
            micros: 0,
        }
    }

    fn packet(&mut self, from: (u8, u16), to: (u8, u16), payload: &[u8]) {
        self.micros += PACE;
        let length = (payload.len() + 28) as u32;
        for word in [
            1_700_000_000 + (self.micros / 1_000_000) as u32,
            (self.micros % 1_000_000) as u32,
            length,
            length,
        ] {
            self.buffer.extend(word.to_le_bytes());
        }
        self.buffer.extend([0x45, 0]);
        self.buffer.extend((length as u16).to_be_bytes());
        self.buffer
            .extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, from.0, 10, 0, 0, to.0]);
        for half in [from.1, to.1, payload.len() as u16 + 8, 0] {
            self.buffer.extend(half.to_be_bytes());
        }
        self.buffer.extend(payload);
    }

    fn message(
        &mut self,
        call: u64,
        start: &str,
        method: &str,
        cseq: u32,
        port: Option<u16>,
        from_caller: bool,
    ) {
        let id = self.round * CALLS + call;
        let body = port.map_or_else(String::new, |port| {
            format!(
                "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.{}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n",
                if from_caller { 1 } else { 2 }
            )
        });
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let tag = if cseq == 1 && from_caller && method == "INVITE" {
            ""
        } else {
            ";tag=b"
        };
        let ack = if start.starts_with("ACK") { "a" } else { "" };
        let text = format!(
            "{start} \r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK{id}-{cseq}{ack}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice{call}@example.com>;tag=a\r\nTo: <sip:bob@example.com>{tag}\r\nCall-ID: {id}@example.com\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:a@10.0.0.1>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let text = text.replace(" \r\n", "\r\n");
        let (from, to) = if from_caller { (1, 2) } else { (2, 1) };
        self.packet((from, 5060), (to, 5060), text.as_bytes());
    }

    fn make(&mut self) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let begun = self.micros;
        for call in 0..CALLS {
            let port = 20_000 + 2 * call as u16;
            match self.tick {
                0 => {
                    self.message(
                        call,
                        "INVITE sip:bob@example.com SIP/2.0",
                        "INVITE",
                        1,
                        Some(port),
                        true,
                    );
                    self.message(call, "SIP/2.0 180 Ringing", "INVITE", 1, None, false);
                    self.message(call, "SIP/2.0 200 OK", "INVITE", 1, Some(port), false);
                    self.message(call, "ACK sip:a@10.0.0.1 SIP/2.0", "ACK", 1, None, true);
                }
                tick if tick > PACKETS => {
                    self.message(call, "BYE sip:a@10.0.0.1 SIP/2.0", "BYE", 2, None, true);
                    self.message(call, "SIP/2.0 200 OK", "BYE", 2, None, false);
                }
                tick => {
                    let mut rtp = vec![0x80, 0];
                    rtp.extend((tick as u16).to_be_bytes());
                    rtp.extend((tick as u32 * 160).to_be_bytes());
                    rtp.extend(((self.round * CALLS + call) as u32).to_be_bytes());
                    rtp.extend((0..160u64).map(|place| (place * 7 + tick * 13 + call) as u8));
                    self.packet((1, port), (2, port), &rtp);
                    rtp[8] ^= 0x80;
                    self.packet((2, port), (1, port), &rtp);
                }
            }
        }
        self.micros = begun + 20_000;
        self.tick += 1;
        if self.tick > PACKETS + 1 {
            self.tick = 0;
            self.round += 1;
        }
    }
}

impl Read for Calls {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.buffer.len() {
            if self.bytes >= self.limit {
                return Ok(0);
            }
            self.make();
        }
        let count = out.len().min(self.buffer.len() - self.taken);
        out[..count].copy_from_slice(&self.buffer[self.taken..self.taken + count]);
        self.taken += count;
        self.bytes += count as u64;
        Ok(count)
    }
}

/// The time that this thread had on a core, in seconds: what else the machine does must not count.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let nanos = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
    nanos.expect("nanoseconds") as f64 / 1e9
}

/// The most memory that this process had so far, in MiB; `None` where the system does not tell.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1_024)
}

fn main() {
    let megabytes: u64 = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(200);
    let limit = megabytes * 1_000_000;
    let start = processor_time();
    let packets = read(Calls::new(limit), |_| {}).expect("a capture").packets;
    let making = processor_time() - start;
    let start = processor_time();
    let analysis = analyze(Calls::new(limit), AnalysisConfig::default()).expect("a capture");
    let seconds = processor_time() - start - making;
    println!(
        "{megabytes} MB, {packets} packets, {} calls, {} streams: {:.0} MB/s, {:.0} packets/s, {:.0} ns a packet; at most {} MiB",
        analysis.calls.len(),
        analysis.streams.len(),
        megabytes as f64 / seconds,
        packets as f64 / seconds,
        seconds * 1e9 / packets as f64,
        peak_memory().map_or_else(|| "?".to_owned(), |peak| peak.to_string())
    );
    println!(
        "making and reading the file alone: {:.0} ns a packet",
        making * 1e9 / packets as f64
    );
    assert!(analysis.capture.broken.is_none());
}
