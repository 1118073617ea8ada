//! What an offer and its answer (RFC 3264) mean for a session.

use std::net::SocketAddr;

use callwright_sdp::negotiation::Negotiated;
use callwright_sdp::{Direction, Session};

use super::command::{Remote, SendFormat, SrtpKeys, Start};
use crate::codec::Codec;
use crate::srtp::MasterKey;

impl Start {
    /// What may arrive before an offer of this side is answered (RFC 3264 §5.1); `None` where it offers no codec. With keys in
    /// the offer it may be encrypted: until the answer says with which of the peer's, or that it is not, it is counted and
    /// not heard.
    pub fn before_the_answer(offer: &Session) -> Option<Start> {
        let media = offer.media.first()?;
        let receive: Vec<_> = media
            .codecs()
            .filter_map(|format| Some((format.payload_type, Codec::from_format(format)?)))
            .collect();
        let (payload_type, first) = *receive.first()?;
        Some(Start {
            send: None,
            receive,
            telephone_event_receive: media.telephone_event(8000).map(|format| format.payload_type),
            srtp: media
                .crypto
                .first()
                .and_then(|own| MasterKey::from_crypto(own).ok())
                .map(|send| SrtpKeys { send, receive: None }),
            ..Start::new(first, payload_type)
        })
    }

    /// What both sides agreed on.
    pub fn as_agreed(negotiated: &Negotiated) -> Start {
        let receive: Vec<_> = negotiated
            .receive
            .iter()
            .filter_map(|format| Some((format.payload_type, Codec::from_format(format)?)))
            .collect();
        let send = Codec::from_format(&negotiated.send).map(|codec| SendFormat {
            codec,
            payload_type: negotiated.send.payload_type,
        });
        let next_port = |rtp: SocketAddr| SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
        Start {
            remote: negotiated.remote_rtp.map(|rtp| Remote {
                rtp,
                rtcp: negotiated.remote_rtcp.unwrap_or_else(|| next_port(rtp)),
            }),
            direction: agreed_direction(negotiated),
            send,
            receive,
            telephone_event_send: negotiated.telephone_event_send,
            telephone_event_receive: negotiated.telephone_event_receive,
            ptime_ms: negotiated.ptime_ms,
            srtp: negotiated.local_crypto.as_ref().and_then(|local| {
                Some(SrtpKeys {
                    send: MasterKey::from_crypto(local).ok()?,
                    receive: negotiated
                        .remote_crypto
                        .as_ref()
                        .and_then(|remote| MasterKey::from_crypto(remote).ok()),
                })
            }),
            rtcp_mux: negotiated.rtcp_mux,
        }
    }
}

/// What is left of our wish when the peer has said what it wants: an offer to send and receive that is answered `sendonly`
/// leaves this side to receive (RFC 3264 §6.1).
fn agreed_direction(negotiated: &Negotiated) -> Direction {
    let (local, remote) = (negotiated.local_direction, negotiated.remote_direction);
    Direction::new(
        local.sends() && remote.receives(),
        local.receives() && remote.sends(),
    )
}
