//! What an offer and its answer mean together.

use std::net::SocketAddr;

use crate::crypto::Crypto;
use crate::format::Format;
use crate::media::{Direction, Media};
use crate::negotiation::choice::Choice;
use crate::negotiation::{NegotiationError, SrtpPolicy};
use crate::session::Session;

/// The agreement on the audio stream, as this end sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Which media description of the session it is.
    pub index: usize,
    /// Where RTP goes; `None` while the peer asks for nothing by giving the address 0.0.0.0 (RFC 3264 §8.4).
    pub remote_rtp: Option<SocketAddr>,
    /// Where RTCP goes; `None` as for RTP, or where the peer's RTP port leaves no next port.
    pub remote_rtcp: Option<SocketAddr>,
    /// Whether RTP and RTCP share the port, both ways (RFC 5761).
    pub rtcp_mux: bool,
    /// The codec to send, with the payload type that the peer wants for it.
    pub send: Format,
    /// The codecs that may arrive, under the payload types that this end gave them.
    pub receive: Vec<Format>,
    /// The payload type to send telephone-events with; `None`: the peer does not take them.
    pub telephone_event_send: Option<u8>,
    /// The payload type under which telephone-events arrive.
    pub telephone_event_receive: Option<u8>,
    /// Milliseconds of audio in each packet sent: the peer's wish, 20 without one, between 10 and 120.
    pub ptime_ms: u32,
    /// What this end said.
    pub local_direction: Direction,
    /// What the peer said; one that gives the address 0.0.0.0 does not receive.
    pub remote_direction: Direction,
    /// The key for what this end sends; present exactly when `remote_crypto` is.
    pub local_crypto: Option<Crypto>,
    /// The key for what arrives.
    pub remote_crypto: Option<Crypto>,
    /// Rules that the peer broke without making the call impossible.
    pub irregularities: Vec<Irregularity>,
}

/// A rule that the peer broke, and that can be lived with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Irregularity {
    /// The answer wants more than the offer leaves, as `sendrecv` to `sendonly` (RFC 3264 §6.1).
    AnswerDirection {
        /// What was offered.
        offered: Direction,
        /// What was answered.
        answered: Direction,
    },
    /// The description changed and its `o=` version did not (RFC 3264 §8).
    VersionNotIncremented,
    /// The answer says `a=rtcp-mux`, the offer did not (RFC 5761 §5.1.1). Not used.
    RtcpMuxNotOffered,
}

impl Negotiated {
    /// Whether this end is to send audio: both directions allow it and there is an address.
    #[must_use]
    pub fn sends(&self) -> bool {
        self.local_direction.sends() && self.remote_direction.receives() && self.remote_rtp.is_some()
    }

    /// Whether audio is to be expected from the peer.
    #[must_use]
    pub fn receives(&self) -> bool {
        self.local_direction.receives() && self.remote_direction.sends()
    }

    /// Whether the peer has put this end on hold: it asks to be sent nothing (RFC 3264 §8.4).
    #[must_use]
    pub fn held_by_peer(&self) -> bool {
        !self.remote_direction.receives()
    }

    /// The codec that arrives under `payload_type`.
    #[must_use]
    pub fn receive_codec(&self, payload_type: u8) -> Option<&Format> {
        self.receive
            .iter()
            .find(|format| format.payload_type == payload_type)
    }
}

/// The direction that a description means: RFC 3264 §8.4 reads the address 0.0.0.0 as "send me nothing".
pub(super) fn effective_direction(session: &Session, index: usize) -> Direction {
    let direction = session.media[index].direction;
    if session.held_by_address(index) {
        Direction::new(direction.sends(), false)
    } else {
        direction
    }
}

/// The meaning of our answer to `offer`.
pub(super) fn as_answerer(answer: &Session, offer: &Session, choice: &Choice) -> Negotiated {
    let index = choice.index;
    let (local, remote) = (&answer.media[index], &offer.media[index]);
    // The answer lists codecs in the offer's order and never without one: the first is the peer's favourite.
    let send = local
        .codecs()
        .next()
        .or(local.formats.first())
        .cloned()
        .unwrap_or_else(Format::pcmu);
    let events = local
        .telephone_event(send.clock_rate)
        .map(|format| format.payload_type);
    Negotiated {
        telephone_event_send: events,
        local_crypto: choice.crypto.as_ref().map(|pair| pair.local.clone()),
        remote_crypto: choice.crypto.as_ref().map(|pair| pair.remote.clone()),
        ..agreement(local, offer, remote, index, send, local.rtcp_mux)
    }
}

/// The meaning of the peer's answer to our `offer`; `None` when the answer rejects our stream.
pub(super) fn as_offerer(
    offer: &Session,
    answer: &Session,
    index: usize,
    policy: SrtpPolicy,
) -> Result<Option<Negotiated>, NegotiationError> {
    // RFC 3264 §6: as many, in the same order, of the same kind, over the same transport.
    if answer.media.len() != offer.media.len() {
        return Err(NegotiationError::AnswerMediaCount {
            offered: offer.media.len(),
            answered: answer.media.len(),
        });
    }
    for (index, (offered, answered)) in offer.media.iter().zip(&answer.media).enumerate() {
        if offered.kind != answered.kind {
            return Err(NegotiationError::AnswerMediaKind { index });
        }
        if offered.rejected() && !answered.rejected() {
            return Err(NegotiationError::AnswerToRejected { index });
        }
    }
    let (local, remote) = (&offer.media[index], &answer.media[index]);
    if remote.rejected() {
        return Ok(None);
    }
    if local.protocol != remote.protocol {
        return Err(NegotiationError::AnswerProtocol {
            index,
            answered: remote.protocol.as_str().into(),
        });
    }
    if answer
        .connection_of(index)
        .and_then(|connection| connection.ip())
        .is_none()
    {
        return Err(NegotiationError::AnswerAddress { index });
    }
    // RFC 3264 §6.1: one format of the offer at least; the answer may list others, which are not used. The payload
    // types to send with are the answer's, even where they differ from the offer's.
    let known = |format: &&Format| local.formats.iter().any(|own| own.same_codec(format));
    let send = remote
        .codecs()
        .find(known)
        .cloned()
        .ok_or(NegotiationError::AnswerFormats { index })?;
    let (local_crypto, remote_crypto) = answered_crypto(local, remote, index, policy)?.unzip();
    let events = local
        .telephone_event(send.clock_rate)
        .and(remote.telephone_event(send.clock_rate));
    let mut negotiated = Negotiated {
        telephone_event_send: events.map(|format| format.payload_type),
        local_crypto,
        remote_crypto,
        ..agreement(
            local,
            answer,
            remote,
            index,
            send,
            local.rtcp_mux && remote.rtcp_mux,
        )
    };
    if remote.direction != remote.direction.and(local.direction.reversed()) {
        negotiated.irregularities.push(Irregularity::AnswerDirection {
            offered: local.direction,
            answered: remote.direction,
        });
    }
    if remote.rtcp_mux && !local.rtcp_mux {
        negotiated.irregularities.push(Irregularity::RtcpMuxNotOffered);
    }
    Ok(Some(negotiated))
}

/// What is the same for both roles.
fn agreement(
    local: &Media,
    remote_session: &Session,
    remote: &Media,
    index: usize,
    send: Format,
    rtcp_mux: bool,
) -> Negotiated {
    let reachable = |address: &SocketAddr| !address.ip().is_unspecified();
    let remote_rtp = remote_session.rtp_address(index).filter(reachable);
    let remote_rtcp = if rtcp_mux {
        remote_rtp
    } else {
        remote_session.rtcp_address_without_mux(index)
    };
    Negotiated {
        index,
        remote_rtp,
        remote_rtcp: remote_rtcp.filter(reachable),
        rtcp_mux,
        telephone_event_send: None,
        telephone_event_receive: local
            .telephone_event(send.clock_rate)
            .map(|format| format.payload_type),
        send,
        // The peer may change codecs at will among those listed (RFC 3264 §5.1), under our numbers.
        receive: local.codecs().cloned().collect(),
        ptime_ms: packet_time(remote),
        local_direction: local.direction,
        remote_direction: effective_direction(remote_session, index),
        local_crypto: None,
        remote_crypto: None,
        irregularities: Vec::new(),
    }
}

/// RFC 3264 §5.1, §6.1: `a=ptime` is what its writer wants to receive. 120 ms of G.711 still fit a datagram.
fn packet_time(remote: &Media) -> u32 {
    remote
        .ptime_ms
        .unwrap_or(20)
        .min(remote.max_ptime_ms.unwrap_or(u32::MAX))
        .clamp(10, 120)
}

/// RFC 4568 §5.1.3: an answer to keys has exactly one, under a tag that was offered, with its suite.
fn answered_crypto(
    local: &Media,
    remote: &Media,
    index: usize,
    policy: SrtpPolicy,
) -> Result<Option<(Crypto, Crypto)>, NegotiationError> {
    let [answered] = remote.crypto.as_slice() else {
        let required = policy.is_required() || local.protocol.is_secure();
        return match remote.crypto.len() {
            0 if required => Err(NegotiationError::AnswerNotEncrypted { index }),
            0 => Ok(None),
            _ => Err(NegotiationError::AnswerKeys { index }),
        };
    };
    let offered = local
        .crypto
        .iter()
        .find(|own| own.tag == answered.tag && own.suite == answered.suite);
    match offered {
        Some(offered) if answered.usable() => Ok(Some((offered.clone(), answered.clone()))),
        _ => Err(NegotiationError::AnswerKeys { index }),
    }
}
