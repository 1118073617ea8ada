//! What a user agent can be told, beside the methods of [`UserAgent`](crate::UserAgent): values and errors.

use std::sync::Arc;

use crate::target::TargetError;

/// What a user agent sends.
#[derive(Clone, Debug, PartialEq)]
pub enum Audio {
    /// Silence.
    Silence,
    /// Sine waves, mixed.
    Tones {
        /// Their frequencies in Hz.
        hz: Vec<f64>,
    },
    /// White noise.
    Noise,
    /// Samples once, then silence.
    Samples {
        /// Mono, 8,000 a second.
        samples: Arc<[i16]>,
    },
}

/// A response that the next incoming call gets by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmedResponse {
    /// 100 to 699, but not 2xx.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
}

/// A request of any method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeRequest {
    /// Its method.
    pub method: String,
    /// Header fields beside those that every request has.
    pub headers: Vec<(String, String)>,
    /// Its body; may be empty.
    pub body: String,
    /// The type of the body.
    pub content_type: Option<String>,
}

/// A verb was carried out, as far as that is up to this side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// What the reader should know, as in `there was no call to hang up`.
    pub note: Option<&'static str>,
}

impl Done {
    pub(crate) const QUIETLY: Done = Done { note: None };

    pub(crate) const fn with_note(note: &'static str) -> Done {
        Done { note: Some(note) }
    }
}

/// Why a verb cannot be carried out. Nothing was sent. What a peer decides is never one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum VerbError {
    /// There is no call that it could mean.
    #[error("there is no {wanted}")]
    NoCall {
        /// What it needs, as in `established call`.
        wanted: &'static str,
    },
    /// The call that was meant has ended.
    #[error("that call has ended")]
    CallEnded,
    /// The target cannot be dialled.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// An argument that cannot be used.
    #[error("{what}: {detail}")]
    BadArgument {
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Not possible as things stand.
    #[error("{0}")]
    NotNow(String),
    /// The media plane refused.
    #[error(transparent)]
    Media(#[from] callwright_media::plane::CommandError),
    /// It was told to close.
    #[error("the user agent is closing")]
    Closing,
}

impl From<callwright_sip::endpoint::Misuse> for VerbError {
    fn from(misuse: callwright_sip::endpoint::Misuse) -> Self {
        match misuse {
            callwright_sip::endpoint::Misuse::Gone { .. } => VerbError::CallEnded,
            other => VerbError::NotNow(other.to_string()),
        }
    }
}
