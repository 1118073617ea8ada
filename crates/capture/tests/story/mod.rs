//! Records of a call to write, and how to read the capture of them.

use std::net::SocketAddr;

use bytes::Bytes;
use callwright_capture::PcapngWriter;
use callwright_wire::{Carrier, Cause, Epoch, Fate, TapRecord, Time};

/// A record of party 0 for a source that it owns, of party 1 for others; a millisecond after `at` milliseconds.
pub(crate) fn record(
    at: u64,
    carrier: Carrier,
    source: &str,
    destination: &str,
    bytes: impl Into<Bytes>,
) -> TapRecord {
    TapRecord {
        time: Time::from_millis(at),
        source: address(source),
        destination: address(destination),
        carrier,
        fate: Fate::Sent,
        bytes: bytes.into(),
        cause: None,
        party: u32::from(source != ALICE && source != ALICE_RTP),
    }
}

pub(crate) const ALICE: &str = "127.0.0.1:40001";
pub(crate) const BOB: &str = "127.0.0.1:40002";
pub(crate) const ALICE_RTP: &str = "127.0.0.1:41000";

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The capture of these records.
pub(crate) fn capture(records: &[TapRecord]) -> Vec<u8> {
    let names = |party| {
        ["Alice", "Bob"]
            .get(party as usize)
            .map(|name| (*name).to_owned())
    };
    let causes = |cause: Cause| (cause.0 > 0).then(|| format!("call.rhai:{}: alice.dial(bob)", cause.0));
    let mut writer = PcapngWriter::new(Vec::new(), Epoch::SIMULATED, names, causes).expect("a section");
    for record in records {
        writer.write(record).expect("a packet");
    }
    writer.finish().expect("an end")
}

pub(crate) fn caused(mut record: TapRecord, cause: u32) -> TapRecord {
    record.cause = Some(Cause(cause));
    record
}
