//! What can be asked of a media session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use callwright_sdp::Direction;
use callwright_wire::SocketId;

use crate::codec::Codec;
use crate::srtp::MasterKey;
use crate::tone::FrequencyError;

/// The sockets of a session, numbered by whoever bound them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// RTP, and RTCP too where both are multiplexed (RFC 5761).
    pub rtp: SocketId,
    /// RTCP.
    pub rtcp: SocketId,
}

/// Where the other side receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// RTP.
    pub rtp: SocketAddr,
    /// RTCP: the port above, or that of `a=rtcp` (RFC 3605); not used with `rtcp_mux`.
    pub rtcp: SocketAddr,
}

/// A payload format that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendFormat {
    /// The codec.
    pub codec: Codec,
    /// The payload type that the other side gave it.
    pub payload_type: u8,
}

/// The keys of a session under SRTP (RFC 3711): what an `a=crypto` of each side said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// Our own: protects what is sent.
    pub send: MasterKey,
    /// The other side's: protects what is received. `None` until its answer is known: what arrives before is counted
    /// and not heard.
    pub receive: Option<MasterKey>,
}

/// What an offer and its answer agreed on.
///
/// The side that offered starts as soon as its offer is out, with `remote: None` and what it offered to receive: early
/// media is then heard (RFC 3264 §5.1). Starting again renegotiates: SSRC, sequence numbers, timestamps, statistics and
/// whatever plays go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Where to send; `None` while that is not known.
    pub remote: Option<Remote>,
    /// Who sends and who receives, from this side's view.
    pub direction: Direction,
    /// The codec to send; `None` sends nothing.
    pub send: Option<SendFormat>,
    /// The codecs that may be received, by payload type.
    pub receive: Vec<(u8, Codec)>,
    /// The payload type of telephone-event (RFC 4733) that the other side receives.
    pub telephone_event_send: Option<u8>,
    /// The payload type of telephone-event that arrives.
    pub telephone_event_receive: Option<u8>,
    /// Milliseconds of audio in each packet sent, 10–60; others are moved to the nearest end, 0 means 20.
    pub ptime_ms: u32,
    /// The keys, where the session is encrypted.
    pub srtp: Option<SrtpKeys>,
    /// RTP and RTCP share one port (RFC 5761).
    pub rtcp_mux: bool,
}

impl Start {
    /// Both directions with one codec and packets of 20 ms, nothing else.
    pub fn new(codec: Codec, payload_type: u8) -> Self {
        Start {
            remote: None,
            direction: Direction::SendRecv,
            send: Some(SendFormat { codec, payload_type }),
            receive: vec![(payload_type, codec)],
            telephone_event_send: None,
            telephone_event_receive: None,
            ptime_ms: 20,
            srtp: None,
            rtcp_mux: false,
        }
    }
}

/// What a session sends.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Nothing but packets of silence, as a phone sends them.
    Silence,
    /// One frequency or several at once.
    Tones {
        /// The frequencies in Hz.
        hz: Vec<f64>,
        /// The level of each in dBm0.
        level_dbm0: f64,
    },
    /// White noise.
    Noise {
        /// Its level in dBm0.
        level_dbm0: f64,
    },
    /// Recorded audio.
    Samples {
        /// Mono samples at the clock rate of the codec that is sent (8,000 Hz for G.711).
        samples: Arc<[i16]>,
        /// Start again at the end; otherwise [`super::Event::PlayEnded`] and silence follow.
        repeat: bool,
    },
}

/// What is said over what plays, once.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// Mono samples at the clock rate of the codec that is sent, one clip after the other; none ends what is being announced.
    /// They are shared: thousands may hear the same ones.
    pub clips: Vec<Arc<[i16]>>,
    /// What becomes of what plays meanwhile.
    pub below: Below,
}

/// What becomes of the music under an announcement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Below {
    /// It waits, and goes on where it was.
    Waits,
    /// It goes on, quieter.
    Quieter {
        /// By so many decibels.
        db: f32,
    },
}

/// How digits are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DtmfMode {
    /// As telephone-events (RFC 4733).
    #[default]
    Rfc4733,
    /// As tones in the audio.
    Inband,
}

/// Digits to send, behind those that are still being sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dtmf {
    /// `0-9 * # A-D a-d`.
    pub digits: String,
    /// How long each sounds; [`Dtmf::TONE`] unless told.
    pub tone: Duration,
    /// The pause after each; at least [`Dtmf::LEAST_GAP`], [`Dtmf::GAP`] unless told.
    pub gap: Duration,
    /// How.
    pub mode: DtmfMode,
}

impl Dtmf {
    /// How long a digit sounds unless told otherwise.
    pub const TONE: Duration = Duration::from_millis(100);
    /// The pause after a digit unless told otherwise.
    pub const GAP: Duration = Duration::from_millis(100);
    /// Shorter pauses are lengthened to this: receivers need not tell digits apart below 40 ms (ITU-T Q.24), and the
    /// repeated end of an event takes two packets (RFC 4733 §2.5.1.4).
    pub const LEAST_GAP: Duration = Duration::from_millis(60);
    /// Shorter tones are lengthened to this (ITU-T Q.24).
    pub const LEAST_TONE: Duration = Duration::from_millis(40);

    /// Digits with the usual tone and gap.
    pub fn new(digits: &str, mode: DtmfMode) -> Self {
        Dtmf {
            digits: digits.to_owned(),
            tone: Dtmf::TONE,
            gap: Dtmf::GAP,
            mode,
        }
    }
}

/// What can be asked of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Start sending and hearing as negotiated, or go on as negotiated anew.
    Start(Box<Start>),
    /// Send this from the next packet on, until told otherwise. Before `Start`: from the first packet on.
    Play(Source),
    /// Say this over what plays, from the next packet on, instead of what is being announced. What plays goes on afterwards, and
    /// [`super::Event::Announced`] tells when.
    Announce(Announcement),
    /// Send silence whatever plays, or end that. What plays goes on unheard.
    Mute(bool),
    /// Send nothing and hear nothing until the next [`Command::Start`]: the stream was refused, or is not there for now.
    /// SSRC, sequence numbers, keys and statistics stay.
    Stop,
    /// Send digits, one after the other.
    Dtmf(Dtmf),
    /// Listen for a tone in what arrives from now on; [`super::Event::ToneHeard`] comes at most once. Asking again for the same
    /// frequency starts anew.
    Listen {
        /// The frequency in Hz.
        hz: f64,
    },
    /// Stop listening for a tone; fine where nobody listens.
    Unlisten {
        /// The frequency as it was given.
        hz: f64,
    },
    /// Listen for silence in what arrives from now on; [`super::Event::SilenceHeard`] comes at most once. Packets must
    /// arrive: a line without any is dead, not silent.
    ListenSilence {
        /// For how long nothing may be louder than the threshold.
        at_least: Duration,
        /// The threshold in dBm0.
        below_dbm0: f64,
    },
    /// Stop listening for silence.
    UnlistenSilence,
    /// Listen for DTMF tones in the audio, or stop. Telephone-events are always heard.
    ListenDtmf(bool),
    /// Record what is sent and heard, or stop: see [`super::Event::Recorded`].
    Record(bool),
}

/// Why a command cannot be carried out. Whoever gave it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// The session was closed, or never opened here.
    #[error("there is no such media session (was it closed?)")]
    NoSuchSession,
    /// The recording was ended, or never begun here.
    #[error("there is no such recording (was it ended?)")]
    NoSuchRecording,
    /// A character that is no DTMF digit; nothing is sent.
    #[error("{character:?} is not a DTMF digit; use 0-9 * # A-D")]
    NotADigit {
        /// The first such character.
        character: char,
    },
    /// Telephone-events were not negotiated: send the digits in band, or by INFO.
    #[error("the other side does not take telephone-events (RFC 4733); send the digits in band or by INFO")]
    NoTelephoneEvent,
    /// More digits wait than a session holds.
    #[error("more than {limit} digits wait to be sent")]
    TooManyDigits {
        /// The limit.
        limit: usize,
    },
    /// More tones are listened for than a session holds.
    #[error("more than {limit} tones are listened for at once; stop listening for some")]
    TooManyTones {
        /// The limit.
        limit: usize,
    },
    /// A frequency that telephone audio does not carry.
    #[error(transparent)]
    Frequency(#[from] FrequencyError),
    /// A session cannot send to itself what it receives.
    #[error("a session cannot be joined to itself; name two")]
    BridgeToItself,
    /// A source without samples.
    #[error("there is no audio to play: it has no samples")]
    NoSamples,
}
