//! From tap records to a capture.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use callwright_wire::{Carrier, Cause, Epoch, Fate, TapRecord, Time};

use crate::block::{self, Direction};
use crate::packet::udp;
use crate::stream::{Streams, next};

/// SIP over TLS (RFC 3261 §19.1.2). Readers take what runs there for TLS, which the clear text is not.
const SIPS_PORT: u16 = 5061;
/// Where readers look for SIP in the clear.
const SIP_PORT: u16 = 5060;

/// Says in words what caused a packet: script line and call.
type CauseText = Box<dyn Fn(Cause) -> Option<String> + Send>;
/// Names a party.
type PartyName = Box<dyn Fn(u32) -> Option<String> + Send>;

/// Writes records as a pcapng file, an interface for each party.
///
/// Timestamps count nanoseconds. Every packet that a command caused carries that command as its comment; what went
/// encrypted stands there in the clear, and its comment says so.
pub struct PcapngWriter<W: Write> {
    out: W,
    epoch: Epoch,
    party_name: PartyName,
    cause_text: CauseText,
    interfaces: BTreeMap<u32, u32>,
    streams: Streams,
    identification: u16,
    last: Time,
}

impl<W: Write> PcapngWriter<W> {
    /// Starts a capture of the world that started at `epoch`. `party_name` gives the names of parties by their number,
    /// `cause_text` the comment for a cause.
    ///
    /// # Errors
    ///
    /// Those of writing to `out`.
    pub fn new(
        mut out: W,
        epoch: Epoch,
        party_name: impl Fn(u32) -> Option<String> + Send + 'static,
        cause_text: impl Fn(Cause) -> Option<String> + Send + 'static,
    ) -> io::Result<Self> {
        block::section(&mut out, concat!("callwright ", env!("CARGO_PKG_VERSION")))?;
        Ok(PcapngWriter {
            out,
            epoch,
            party_name: Box::new(party_name),
            cause_text: Box::new(cause_text),
            interfaces: BTreeMap::new(),
            streams: Streams::default(),
            identification: 0,
            last: Time::ZERO,
        })
    }

    /// Writes one record.
    ///
    /// # Errors
    ///
    /// Those of writing to the output; the capture ends there.
    pub fn write(&mut self, record: &TapRecord) -> io::Result<()> {
        self.last = self.last.max(record.time);
        let interface = self.interface(record.party)?;
        let comment = self.comment(record);
        let at = self.epoch.unix_nanos_at(record.time);
        let direction = match record.fate {
            Fate::Received => Direction::Inbound,
            Fate::Sent | Fate::Lost | Fate::Delayed { .. } | Fate::Duplicated { .. } => Direction::Outbound,
        };
        let (source, destination) = shown(record);
        match record.carrier {
            Carrier::Udp | Carrier::SrtpClear => {
                let identification = next(&mut self.identification);
                let frame = udp(source, destination, identification, &record.bytes);
                block::packet(&mut self.out, interface, at, &frame, Some(direction), &comment)
            }
            Carrier::Tcp | Carrier::TlsClear => {
                let identification = &mut self.identification;
                let frames =
                    self.streams
                        .carry(interface, source, destination, identification, &record.bytes);
                for frame in frames {
                    let (direction, comment) = if frame.is_data {
                        (Some(direction), comment.as_str())
                    } else {
                        (None, "")
                    };
                    block::packet(
                        &mut self.out,
                        frame.interface,
                        at,
                        &frame.bytes,
                        direction,
                        comment,
                    )?;
                }
                Ok(())
            }
        }
    }

    /// Makes everything written so far readable.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the streams and returns the output.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        let at = self.epoch.unix_nanos_at(self.last);
        for frame in self.streams.end_all(&mut self.identification) {
            block::packet(&mut self.out, frame.interface, at, &frame.bytes, None, "")?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn interface(&mut self, party: u32) -> io::Result<u32> {
        if let Some(interface) = self.interfaces.get(&party) {
            return Ok(*interface);
        }
        let interface = self.interfaces.len() as u32;
        let name = (self.party_name)(party).unwrap_or_else(|| format!("party {party}"));
        block::interface(&mut self.out, &name)?;
        self.interfaces.insert(party, interface);
        Ok(interface)
    }

    fn comment(&self, record: &TapRecord) -> String {
        let cause = record.cause.and_then(|cause| (self.cause_text)(cause));
        let carrier = match record.carrier {
            Carrier::Udp | Carrier::Tcp => None,
            Carrier::TlsClear if shown(record) != (record.source, record.destination) => {
                Some("clear text of TLS (port 5061 is shown as 5060, so that it is read as SIP)")
            }
            Carrier::TlsClear => Some("clear text of TLS"),
            Carrier::SrtpClear => Some("clear text of SRTP"),
        };
        let fate = match record.fate {
            Fate::Sent | Fate::Received => None,
            Fate::Lost => Some("lost on its way".to_owned()),
            Fate::Delayed { by } => Some(delayed(by)),
            Fate::Duplicated { by } if by.is_zero() => Some("delivered twice".to_owned()),
            Fate::Duplicated { by } => Some(format!("delivered twice, {}", delayed(by))),
        };
        let parts: Vec<&str> = [cause.as_deref(), carrier, fate.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        parts.join("; ")
    }
}

fn delayed(by: Duration) -> String {
    format!("delayed by {:.1} ms", by.as_secs_f64() * 1_000.0)
}

/// The addresses as the capture shows them.
fn shown(record: &TapRecord) -> (SocketAddr, SocketAddr) {
    let shown = |mut address: SocketAddr| {
        if record.carrier == Carrier::TlsClear && address.port() == SIPS_PORT {
            address.set_port(SIP_PORT);
        }
        address
    };
    (shown(record.source), shown(record.destination))
}
