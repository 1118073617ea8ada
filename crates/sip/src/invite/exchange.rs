//! When an offer is legal: the offer/answer model within a dialog (RFC 3264 §4, RFC 3261 §13.2.1, RFC 3262 §5,
//! RFC 3311 §5, and the table of RFC 6337 §2.1).
//!
//! ```text
//!                 local offer                      remote offer
//!              ┌───────────────┐                ┌────────────────┐
//!              ▼               │                │                ▼
//!        LocalOffer ──answer──► Stable ◄──answer── RemoteOffer
//!              └───refused────►        ◄───refused───┘
//! ```
//!
//! | pattern of RFC 6337 | offer in | answer in |
//! | --- | --- | --- |
//! | 1 | INVITE | 2xx to it |
//! | 2 | 2xx to INVITE | ACK |
//! | 3 | INVITE | reliable 1xx |
//! | 4 | reliable 1xx | PRACK |
//! | 5 | PRACK | 2xx to it |
//! | 6 | UPDATE | 2xx to it |

use crate::event::{Description, OfferCarrier};

use bytes::Bytes;

/// Where the exchange of a dialog stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// No offer is open.
    Stable {
        /// True once an offer was answered: only then may UPDATE and PRACK carry one.
        agreed: bool,
    },
    /// Our offer waits for its answer.
    LocalOffer {
        /// Whether something had been agreed before.
        agreed: bool,
    },
    /// The peer's offer waits for our answer.
    RemoteOffer {
        /// What carried it.
        carrier: OfferCarrier,
        /// Whether something had been agreed before.
        agreed: bool,
    },
}

/// Why an offer of the peer cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collision {
    /// Ours is open: 491 (RFC 3261 §14.2, RFC 3311 §5.2).
    Ours,
    /// An earlier one of the peer is open: 500 with Retry-After (RFC 3261 §14.2, RFC 3311 §5.2).
    Theirs,
}

impl Exchange {
    /// Nothing offered, nothing agreed.
    pub(crate) const NEW: Exchange = Exchange::Stable { agreed: false };

    /// True when something is agreed, be it that a change is open.
    pub(crate) fn agreed(self) -> bool {
        match self {
            Exchange::Stable { agreed }
            | Exchange::LocalOffer { agreed }
            | Exchange::RemoteOffer { agreed, .. } => agreed,
        }
    }

    /// True when no offer is open.
    pub(crate) fn is_stable(self) -> bool {
        matches!(self, Exchange::Stable { .. })
    }

    /// True when the peer's offer waits for our answer.
    pub(crate) fn owes_answer(self) -> bool {
        matches!(self, Exchange::RemoteOffer { .. })
    }

    /// True when our offer waits for the peer's answer.
    pub(crate) fn awaits_answer(self) -> bool {
        matches!(self, Exchange::LocalOffer { .. })
    }

    /// Opens an offer of ours; the caller has made sure that it is legal.
    pub(crate) fn offer(&mut self) {
        *self = Exchange::LocalOffer {
            agreed: self.agreed(),
        };
    }

    /// Takes an offer of the peer.
    pub(crate) fn take_offer(&mut self, carrier: OfferCarrier) -> Result<(), Collision> {
        match *self {
            Exchange::Stable { agreed } => {
                *self = Exchange::RemoteOffer { carrier, agreed };
                Ok(())
            }
            Exchange::LocalOffer { .. } => Err(Collision::Ours),
            Exchange::RemoteOffer { .. } => Err(Collision::Theirs),
        }
    }

    /// The open offer, whoever made it, was answered.
    pub(crate) fn settle(&mut self) {
        *self = Exchange::Stable { agreed: true };
    }

    /// The open offer was refused or withdrawn: what was agreed before stays (RFC 3261 §14.1, RFC 6141 §3).
    pub(crate) fn withdraw(&mut self) {
        *self = Exchange::Stable {
            agreed: self.agreed(),
        };
    }

    /// Says what a description in a response to our INVITE is, and moves on by it.
    ///
    /// `reliable`: a 2xx, or a provisional response that is PRACKed. Only these carry offers and answers; in any other
    /// response it is a preview of the answer (RFC 6337 §3.1.1).
    pub(crate) fn take_from_response(
        &mut self,
        body: Bytes,
        reliable: bool,
        carrier: OfferCarrier,
    ) -> Option<Description> {
        match (*self, reliable) {
            (Exchange::LocalOffer { .. }, true) => {
                self.settle();
                Some(Description::Answer(body))
            }
            (Exchange::LocalOffer { .. }, false) => Some(Description::Preview(body)),
            (Exchange::Stable { agreed: false }, true) => {
                *self = Exchange::RemoteOffer {
                    carrier,
                    agreed: false,
                };
                Some(Description::Offer(body))
            }
            // RFC 6337 §3.1.1: what follows the answer within the same INVITE repeats it, and says nothing new.
            (Exchange::Stable { agreed: true }, _) => Some(Description::Preview(body)),
            // An offer in an unreliable response is none (RFC 3261 §13.2.1).
            (Exchange::Stable { agreed: false } | Exchange::RemoteOffer { .. }, _) => None,
        }
    }
}
