//! What can go wrong between an offer and its answer, and how to say so to the peer.

use std::fmt;

use thiserror::Error;

use crate::negotiation::State;

/// A rule of offer/answer that was broken. `index` counts media descriptions from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NegotiationError {
    /// Caller: an offer was to be made while another one is unanswered.
    #[error("no offer can be made now ({state:?}): answer, take the answer or roll back first")]
    NotStable {
        /// Where the machine stands.
        state: State,
    },
    /// Caller: an answer was to be made and no offer waits for one.
    #[error("there is no offer to answer ({state:?})")]
    NoOffer {
        /// Where the machine stands.
        state: State,
    },
    /// Caller: SRTP is required, and no key was given.
    #[error("SRTP is required, but no key was given")]
    NoLocalKeys,
    /// Caller: there is no codec to offer.
    #[error("there is no codec to offer")]
    NoCodecs,

    /// Peer: an offer while ours is unanswered (RFC 3261 §14.2).
    #[error("the peer made an offer while ours is unanswered")]
    Glare,
    /// Peer: a second offer before the first is answered (RFC 3264 §4).
    #[error("the peer made a second offer before its first was answered")]
    OfferPending,
    /// Peer: a later offer has fewer media descriptions (RFC 3264 §8).
    #[error(
        "the offer has {offered} media descriptions, the agreement before it {before}: none may go (RFC 3264 §8)"
    )]
    MediaRemoved {
        /// Media descriptions so far.
        before: usize,
        /// Media descriptions in the offer.
        offered: usize,
    },
    /// The offer is legal, and nothing in it can be accepted.
    #[error("the offer cannot be accepted: {0}")]
    Refused(Refusal),

    /// Peer: an answer while no offer of ours is out.
    #[error("an answer came, but no offer is out ({state:?})")]
    UnexpectedAnswer {
        /// Where the machine stands.
        state: State,
    },
    /// Peer: the answer has more or fewer media descriptions than the offer (RFC 3264 §6).
    #[error("the answer has {answered} media descriptions, the offer {offered} (RFC 3264 §6)")]
    AnswerMediaCount {
        /// Media descriptions in the offer.
        offered: usize,
        /// Media descriptions in the answer.
        answered: usize,
    },
    /// Peer: a media description of the answer is of another kind than offered (RFC 3264 §6).
    #[error("media description {index} of the answer is of another kind than offered (RFC 3264 §6)")]
    AnswerMediaKind {
        /// Which media description.
        index: usize,
    },
    /// Peer: the answer gives a port to a stream that was offered switched off (RFC 3264 §6).
    #[error("the answer accepts media description {index}, which the offer switched off (RFC 3264 §6)")]
    AnswerToRejected {
        /// Which media description.
        index: usize,
    },
    /// Peer: the answer changes the transport (RFC 3264 §6).
    #[error("the answer changes the transport of media description {index} to {answered} (RFC 3264 §6)")]
    AnswerProtocol {
        /// Which media description.
        index: usize,
        /// The transport of the answer.
        answered: String,
    },
    /// Peer: the answer gives no IP address to send to.
    #[error("the answer gives no IP address for media description {index}")]
    AnswerAddress {
        /// Which media description.
        index: usize,
    },
    /// Peer: no format of the answer was offered (RFC 3264 §6.1).
    #[error("no codec in the answer's media description {index} was offered (RFC 3264 §6.1)")]
    AnswerFormats {
        /// Which media description.
        index: usize,
    },
    /// Peer: encryption was required and the answer has no key.
    #[error("encryption is required, but the answer's media description {index} has no key")]
    AnswerNotEncrypted {
        /// Which media description.
        index: usize,
    },
    /// Peer: the keys of the answer do not fit those of the offer (RFC 4568 §5.1.3).
    #[error(
        "the key in the answer's media description {index} fits no tag and suite of the offer, or cannot be used (RFC 4568 §5.1.3)"
    )]
    AnswerKeys {
        /// Which media description.
        index: usize,
    },
}

/// Why no stream of an offer can be accepted. Of several streams, the reason of the first audio stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No audio among the media.
    #[error("no audio stream is offered")]
    NoAudio,
    /// No codec in common.
    #[error("no offered codec is supported")]
    NoCommonCodec,
    /// A transport that is not supported.
    #[error("the transport {0} is not supported")]
    Transport(String),
    /// No `c=` line, or one without an IP address.
    #[error("no IP address is given for the audio stream")]
    NoAddress,
    /// Encryption is demanded, and switched off here.
    #[error("encryption is demanded, and not enabled here")]
    EncryptionNotSupported,
    /// Encryption is required here, and not offered.
    #[error("encryption is required here, and no key is offered")]
    EncryptionRequired,
    /// None of the offered keys can be used.
    #[error("no offered key has a supported suite and parameters")]
    NoUsableKeys,
}

/// A `Warning` of RFC 3261 §20.43, without the agent that gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// The code, 300 to 399.
    pub code: u16,
    /// The text.
    pub text: &'static str,
}

impl NegotiationError {
    /// The status to answer the offer with. `None` where nothing can be answered: the fault is the caller's, or the
    /// answer is broken (then acknowledge it and end the call).
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            // RFC 3261 §14.2: 491 against an offer of ours, 500 with Retry-After against a second one of the peer.
            Self::Glare => Some(491),
            Self::OfferPending => Some(500),
            Self::MediaRemoved { .. } | Self::Refused(_) => Some(488),
            Self::NotStable { .. }
            | Self::NoOffer { .. }
            | Self::NoLocalKeys
            | Self::NoCodecs
            | Self::UnexpectedAnswer { .. }
            | Self::AnswerMediaCount { .. }
            | Self::AnswerMediaKind { .. }
            | Self::AnswerToRejected { .. }
            | Self::AnswerProtocol { .. }
            | Self::AnswerAddress { .. }
            | Self::AnswerFormats { .. }
            | Self::AnswerNotEncrypted { .. }
            | Self::AnswerKeys { .. } => None,
        }
    }

    /// The `Warning` that goes with a 488 (RFC 3261 §21.4.26).
    #[must_use]
    pub fn warning(&self) -> Option<Warning> {
        let Self::Refused(refusal) = self else {
            let text = "Media descriptions may not be removed";
            return (self.status() == Some(488)).then_some(Warning { code: 399, text });
        };
        let (code, text) = match refusal {
            Refusal::NoAudio => (304, "Media type not available"),
            Refusal::NoCommonCodec => (305, "Incompatible media format"),
            Refusal::Transport(_) => (302, "Incompatible transport protocol"),
            Refusal::NoAddress => (301, "Incompatible network address formats"),
            Refusal::EncryptionNotSupported => (302, "Incompatible transport protocol: SRTP not enabled"),
            Refusal::EncryptionRequired => (302, "Incompatible transport protocol: SRTP required"),
            Refusal::NoUsableKeys => (306, "Attribute not understood: no usable crypto suite"),
        };
        Some(Warning { code, text })
    }
}

impl fmt::Display for Warning {
    /// Code and text, without the agent between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\"", self.code, self.text)
    }
}
