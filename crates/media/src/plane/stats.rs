//! Figures of a media session.

use std::time::Duration;

use callwright_wire::Time;

use crate::codec::Codec;

/// What was measured since a session was opened. What was not measured is `None`, never a default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// What was sent.
    pub sent: Sent,
    /// What was received.
    pub received: Received,
    /// What arrived and was not taken.
    pub refused: Refused,
    /// What the other side says about what it received; `None` before its first report.
    pub remote: Option<RemoteReport>,
    /// The round trip, by RTCP (RFC 3550 §6.4.1); `None` before one was measured.
    pub round_trip: Option<Duration>,
    /// Listening quality by the E-model (ITU-T G.107), 1.0–4.5; `None` before one second of RTP was received.
    pub mos: Option<f64>,
}

/// What a session sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// RTP packets.
    pub packets: u64,
    /// Bytes of their payloads.
    pub octets: u64,
    /// RTCP packets (compounds).
    pub rtcp_packets: u64,
    /// The codec in use.
    pub codec: Option<Codec>,
    /// Packets never sent because the session was woken too late for them.
    pub skipped_packets: u64,
    /// The same in samples.
    pub skipped_samples: u64,
    /// Packets of those above that came over a bridge.
    pub relayed: u64,
    /// Packets that came over a bridge and went nowhere: nothing may be sent, or not to this side in that format.
    pub not_relayed: u64,
}

/// What a session received. Where nothing else is said: from the source that sends now, since it began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received {
    /// RTP packets of agreed formats, of all sources, duplicates included.
    pub packets: u64,
    /// Bytes of their payloads.
    pub octets: u64,
    /// RTCP packets (compounds) that were understood.
    pub rtcp_packets: u64,
    /// The codec that arrived last.
    pub codec: Option<Codec>,
    /// Packets expected from the present source, by its sequence numbers (RFC 3550 §A.3).
    pub expected: u64,
    /// Expected less received; negative when duplicates arrived (RFC 3550 §6.4.1).
    pub lost: i64,
    /// Packets of the present source that never arrived in time to be heard, over those expected; duplicates do not
    /// hide a loss. `None` before one second of RTP was received.
    pub loss_ratio: Option<f64>,
    /// How much losses come together: 1 when they are random, more when in bursts (ITU-T G.107 §3.5); `None` without loss.
    pub burst_ratio: Option<f64>,
    /// Interarrival jitter (RFC 3550 §A.8); `None` before one second of RTP was received.
    pub jitter: Option<Duration>,
    /// Packets that arrived a second time.
    pub duplicates: u64,
    /// Packets that arrived after later ones and were put right.
    pub reordered: u64,
    /// Packets that arrived after their gap had been given up.
    pub late: u64,
    /// How often the source changed.
    pub source_changes: u64,
    /// When the first packet of the present source arrived.
    pub first: Option<Time>,
    /// When the last packet arrived.
    pub last: Option<Time>,
}

/// What arrived and was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Neither RTP nor RTCP, or broken.
    pub malformed: u64,
    /// A payload type that was not agreed on.
    pub unknown_payload_type: u64,
    /// From an address that the session does not listen to.
    pub wrong_source: u64,
    /// Of another synchronization source than the present one, or with a sequence number far away, until the packet after it
    /// confirms that.
    pub other_ssrc: u64,
    /// SRTP or SRTCP whose authentication failed, or which came before the key.
    pub unauthentic: u64,
    /// SRTP or SRTCP that was received before, or is too old to tell.
    pub replayed: u64,
    /// While this side did not receive (on hold).
    pub on_hold: u64,
    /// Before the session was started.
    pub before_start: u64,
}

/// What the other side says about what it received (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RemoteReport {
    /// Lost since its report before, as a fraction of 1.
    pub fraction_lost: f64,
    /// Lost in all; negative when duplicates arrived.
    pub lost: i32,
    /// The jitter it saw.
    pub jitter: Duration,
}
