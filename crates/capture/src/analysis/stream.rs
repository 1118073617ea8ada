//! RTP streams and their quality.

use std::net::SocketAddr;

use callwright_wire::Time;
use serde::Serialize;

use super::call::{Digit, Side};
use super::time;

/// A stream of RTP: one source on its way from one address to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stream {
    /// The synchronization source.
    pub ssrc: u32,
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
    /// The call: its place in [`Analysis::calls`](super::Analysis::calls).
    pub call: Option<usize>,
    /// The leg: its place in [`Call::legs`](super::Call::legs).
    pub leg: Option<usize>,
    /// Who sends it.
    pub from: Option<Side>,
    /// Other legs whose descriptions name the same addresses: signalling goes through a server there, and media go past it.
    pub also: Vec<AlsoOf>,
    /// How it is known to be RTP, and whose it is.
    pub found_by: FoundBy,
    /// The payload types that it has, the most frequent first.
    pub formats: Vec<StreamFormat>,
    /// True when it is SRTP: of what is in it only the headers are known.
    pub encrypted: bool,
    /// The first packet.
    #[serde(rename = "started_ms", serialize_with = "time::ms")]
    pub started: Time,
    /// The last packet.
    #[serde(rename = "ended_ms", serialize_with = "time::ms")]
    pub ended: Time,
    /// The number of the first packet in the capture.
    pub first_packet: u64,
    /// The number of the last packet in the capture.
    pub last_packet: u64,
    /// What its packets tell of the network.
    pub quality: Quality,
    /// What is heard in it; `None` for what is not decoded: other codecs than G.711 and G.722, and SRTP.
    pub level: Option<Level>,
    /// The digits in it.
    pub digits: Vec<Digit>,
    /// What RTCP says of it.
    pub rtcp: Option<RtcpView>,
}

impl Stream {
    /// The encoding that most of it has, as in `PCMU/8000`; `None` where nothing tells.
    pub fn codec(&self) -> Option<&str> {
        let sound = self.formats.iter().filter_map(|format| format.name.as_deref());
        sound
            .clone()
            .find(|name| !name.starts_with("telephone-event") && !name.starts_with("CN/"))
            .or_else(|| sound.clone().next())
    }

    /// Who sends it, as a leg sees it.
    pub fn sender_in(&self, call: usize, leg: usize) -> Option<Side> {
        if (self.call, self.leg) == (Some(call), Some(leg)) {
            return self.from;
        }
        let also = self.also.iter().find(|also| (also.call, also.leg) == (call, leg));
        also.map(|also| also.from)
    }

    /// Whether the ladder of a call has it between the parties of this leg: the first one of the call that it is of.
    pub(crate) fn is_drawn_in(&self, call: usize, leg: usize) -> bool {
        let own = (self.call.zip(self.leg)).into_iter();
        let all = own.chain(self.also.iter().map(|also| (also.call, also.leg)));
        all.filter(|(of, _)| *of == call).map(|(_, leg)| leg).min() == Some(leg)
    }

    /// From the first packet to the last, in milliseconds.
    pub fn duration_ms(&self) -> f64 {
        (self.ended - self.started).as_secs_f64() * 1_000.0
    }
}

/// A further leg that a stream is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AlsoOf {
    /// The call: its place in [`Analysis::calls`](super::Analysis::calls).
    pub call: usize,
    /// The leg: its place in [`Call::legs`](super::Call::legs).
    pub leg: usize,
    /// Who sends it there.
    pub from: Side,
}

/// How a stream was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// A session description names its destination.
    Description,
    /// A session description names its source: it goes back to where the other side sends from (symmetric RTP, RFC 4961).
    Symmetry,
    /// It looks like RTP, packet after packet; no session description speaks of it.
    Looks,
}

/// A payload type of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamFormat {
    /// 0 to 127.
    pub payload_type: u8,
    /// The encoding and its clock rate, as in `PCMU/8000`; `None` for one that nobody described.
    pub name: Option<String>,
    /// How many packets have it.
    pub packets: u64,
}

/// What the packets of a stream tell of the network, at the place of the capture.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Quality {
    /// Packets that the capture has.
    pub packets: u64,
    /// Bytes of their payloads.
    pub octets: u64,
    /// From the first to the highest sequence number (RFC 3550 §A.3).
    pub expected: u64,
    /// Expected less received; negative where duplicates arrived (RFC 3550 §6.4.1).
    pub lost: i64,
    /// Sequence numbers that never came, in percent of those expected.
    pub loss_percent: f64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that others overtook.
    pub out_of_order: u64,
    /// Interarrival jitter (RFC 3550 §6.4.1), its mean, in milliseconds; `None` where the clock rate is not known.
    pub jitter_mean_ms: Option<f64>,
    /// Its maximum.
    pub jitter_max_ms: Option<f64>,
    /// The longest time between two packets, in milliseconds.
    pub delta_max_ms: f64,
    /// Times without a packet that its timestamps do not explain, longest first.
    pub gaps: Vec<Gap>,
    /// How many of them there are.
    pub gap_count: u64,
    /// Mean opinion score by the E-model (ITU-T G.107) from what the capture saw; for G.711 only.
    pub mos: Option<f64>,
    /// How much faster than the capture's clock its own one runs, in parts per million; `None` below 30 s.
    pub clock_skew_ppm: Option<f64>,
    /// How often its sequence numbers started anew.
    pub restarts: u64,
}

/// A time without a packet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gap {
    /// The last packet before it.
    #[serde(rename = "at_ms", serialize_with = "time::ms")]
    pub at: Time,
    /// How long it was, in milliseconds.
    pub length_ms: f64,
    /// The packet that ended it.
    pub packet: u64,
}

/// How loud a stream is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Level {
    /// Of all of it, in dBm0.
    pub mean_dbm0: f64,
    /// Of its loudest second, in dBm0.
    pub max_dbm0: f64,
    /// Of each second since its first packet, in dBm0; one without a packet reads −96.
    pub per_second_dbm0: Vec<f32>,
    /// Seconds in which nothing above −50 dBm0 was heard.
    pub silent_seconds: u64,
    /// Seconds beyond [`AnalysisConfig::max_seconds`](super::AnalysisConfig::max_seconds) that are not listed.
    pub seconds_dropped: u64,
}

/// What RTCP says of a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RtcpView {
    /// Sender reports about it.
    pub sender_reports: u64,
    /// Reports of its receiver.
    pub receiver_reports: u64,
    /// What the receiver says is lost in all.
    pub lost: i32,
    /// The greatest fraction lost between two reports, in percent.
    pub loss_percent_max: f64,
    /// The greatest jitter that the receiver told, in milliseconds; `None` where the clock rate is not known.
    pub jitter_max_ms: Option<f64>,
    /// It was ended by a BYE.
    pub bye: bool,
}
