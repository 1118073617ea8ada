//! What a phone can be told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::SipRecord;

/// What a phone can be told. Targets are complete URIs.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// Register, or register again.
    Register,
    /// Take the binding back.
    Unregister,
    /// Place a call.
    Dial {
        /// The URI to call.
        target: String,
        /// Header fields of this INVITE, after the phone's own.
        headers: Vec<(String, String)>,
    },
    /// Answer the newest incoming call that rings.
    Accept,
    /// End the newest call that rings (cancel, or reject with 486), else the newest established.
    Hangup,
    /// End by BYE at once the newest call that was placed and rings, else the newest established.
    Bye,
    /// Reject the newest incoming call that rings.
    Reject {
        /// 300 to 699.
        code: u16,
        /// The reason phrase; `None` for the usual one.
        reason: Option<String>,
    },
    /// Offer sendonly.
    Hold,
    /// Offer sendrecv on the newest held call.
    Resume,
    /// Offer the session again as it is, by UPDATE.
    Update,
    /// Send silence, or audio again.
    Mute,
    /// Blind transfer: REFER.
    Transfer {
        /// The URI to refer to.
        target: String,
    },
    /// Hold the call and place a consultation call.
    AttendedTransfer {
        /// The URI to consult.
        target: String,
    },
    /// REFER with Replaces.
    CompleteTransfer,
    /// End the consultation call and resume the first one.
    AbortTransfer,
    /// Answer the calls that come with 302.
    Deflect {
        /// The URI for the Contact of the 302.
        target: String,
    },
    /// No longer.
    StopDeflect,
    /// Answer the next incoming call with this response, by itself.
    RespondIncoming {
        /// 100 to 699.
        code: u16,
        /// The reason phrase.
        reason: String,
        /// Header fields of the response.
        headers: Vec<(String, String)>,
    },
    /// Send digits.
    Dtmf {
        /// `0-9 * # A-D`, checked, without blanks.
        digits: String,
        /// The pause between two digits; `None` for the usual one.
        gap: Option<Duration>,
    },
    /// Change what is sent; before a call: for the next one.
    SendAudio(Audio),
    /// A request of any method, in the newest established call, or outside of any when idle.
    Send {
        /// Its method.
        method: String,
        /// Header fields.
        headers: Vec<(String, String)>,
        /// Its body; may be empty.
        body: String,
        /// The type of the body.
        content_type: Option<String>,
    },
    /// Record to this WAV file (left: sent, right: heard), which must not exist yet; calls at the same time are mixed.
    Record {
        /// The file.
        path: PathBuf,
    },
}

impl Verb {
    /// The kind of the `action` event: the name that consumers of the founding tool know, where it has one.
    pub fn kind(&self) -> &'static str {
        match self {
            Verb::Register => "register",
            Verb::Unregister => "unregister",
            Verb::Dial { .. } => "dial",
            Verb::Accept => "accept",
            Verb::Hangup => "hangup",
            Verb::Bye => "bye",
            Verb::Reject { .. } => "reject",
            Verb::Hold => "hold",
            Verb::Resume => "resume",
            Verb::Update => "update",
            Verb::Mute => "mute",
            Verb::Transfer { .. } => "transfer",
            Verb::AttendedTransfer { .. } => "attended-transfer",
            Verb::CompleteTransfer => "complete-transfer",
            Verb::AbortTransfer => "abort-transfer",
            Verb::Deflect { .. } => "deflect",
            Verb::StopDeflect => "stop-deflect",
            Verb::RespondIncoming { .. } => "respond-incoming",
            Verb::Dtmf { .. } => "dtmf",
            Verb::SendAudio(_) => "send-audio",
            Verb::Send { .. } => "send",
            Verb::Record { .. } => "record",
        }
    }
}

/// What a phone sends.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Audio {
    /// Silence.
    #[default]
    Silence,
    /// Sine waves, mixed.
    Tones {
        /// Their frequencies.
        hz: Vec<f64>,
    },
    /// White noise.
    Noise,
    /// Samples, once; then silence.
    Samples {
        /// Where they came from, for reports.
        name: String,
        /// Mono, 8,000 a second.
        samples: Arc<[i16]>,
    },
}

/// A verb was carried out, as far as that is up to the phone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Performed {
    /// What the reader should know, as in `there was no call to hang up`.
    pub notes: Vec<String>,
    /// The request that [`Verb::Send`] made.
    pub request: Option<RequestId>,
}

/// A request of [`Verb::Send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

/// How a request stands.
#[derive(Clone, Debug, Default)]
pub struct RequestState {
    /// The status of the final response, or 408 and 503 as RFC 3261 §8.1.3.1 has it; `None` while it is awaited.
    pub status: Option<u16>,
    /// The final response, if one came.
    pub response: Option<Arc<SipRecord>>,
}

/// Why a verb cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerbError {
    /// There is no call that it could mean.
    #[error("there is no {wanted} (the agent is {state})")]
    NoCall {
        /// What it needs, as in `established call`, `incoming call that rings`.
        wanted: &'static str,
        /// What the agent is, as in `idle`.
        state: String,
    },
    /// The call that was meant has ended.
    #[error("that call has ended")]
    CallEnded,
    /// There is no way to the target.
    #[error("no route to {target}: {detail}")]
    NoRoute {
        /// The URI.
        target: String,
        /// Why not.
        detail: String,
    },
    /// An argument that cannot be used.
    #[error("{what}: {detail}")]
    BadArgument {
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Not possible as things stand, as in a second attended transfer.
    #[error("{detail}")]
    NotNow {
        /// Why not, and what to do.
        detail: String,
    },
    /// A verb that does not exist yet.
    #[error("{what} is not supported yet")]
    NotSupported {
        /// Which.
        what: String,
    },
    /// The agent was ended with its scenario.
    #[error("the agent has ended with its scenario")]
    Closed,
}
