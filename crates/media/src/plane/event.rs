//! What happened in a media session.

use std::net::SocketAddr;
use std::time::Duration;

use super::command::DtmfMode;

/// Something that happened once.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The first packet of the other side, in a format that was agreed on.
    FirstPacket {
        /// From where.
        from: SocketAddr,
    },
    /// RTP goes to where packets come from, not to where the description said (symmetric RTP, RFC 4961).
    Latched {
        /// The address.
        to: SocketAddr,
    },
    /// The other side sends from another source: its statistics start again.
    SsrcChanged {
        /// The source before.
        before: u32,
        /// The source now.
        now: u32,
    },
    /// A tone that was listened for is there. The listening has ended.
    ToneHeard {
        /// The frequency as it was given.
        hz: f64,
        /// Its level in dBm0.
        level_dbm0: f64,
    },
    /// Silence that was listened for is there. The listening has ended.
    SilenceHeard,
    /// A digit arrived, once however many packets said so.
    Digit {
        /// `0-9 * # A-D`.
        digit: char,
        /// For how long it sounded, as far as packets told; `None` in band, where only its start is heard.
        duration: Option<Duration>,
        /// How it arrived.
        mode: DtmfMode,
    },
    /// All digits that were to be sent are out, the last pause included.
    DtmfSent,
    /// Audio that was to be played once is out.
    PlayEnded,
    /// An announcement is out, to its end.
    Announced,
    /// A piece of a recording: stereo samples at 8,000 Hz, interleaved, left sent, right heard. Whoever records writes
    /// them; nothing is kept here.
    Recorded {
        /// Left, right, left, right, …
        samples: Box<[i16]>,
    },
    /// The recording was ended, and all of it was handed over.
    RecordingEnded,
    /// The other side's RTCP said goodbye (RFC 3550 §6.6).
    RemoteBye,
}
