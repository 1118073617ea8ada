//! Offer and answer for one audio stream: RFC 3264, with the states of RFC 6337.
//!
//! A pure state machine: descriptions go in, descriptions and a [`Negotiated`] come out. It does not know whether an
//! offer travelled in an INVITE, a 200, an UPDATE or a PRACK; `sip` knows when one is legal (RFC 6337 §2).
//!
//! ```text
//!                    create_offer                receive_answer
//!        ┌──────────────────────────▶ LocalOffer ───────────────┐
//!     Stable ◀──────────────────────── rollback ────────────────┤
//!        └──────────────────────────▶ RemoteOffer ──────────────┘
//!                    receive_offer                create_answer
//! ```
//!
//! A forked INVITE has one machine for each early dialog: clone it before the first answer comes.

mod capabilities;
mod choice;
mod error;
mod outcome;

pub use capabilities::{Capabilities, LocalMedia, RtcpMux, SrtpPolicy};
pub use error::{NegotiationError, Refusal, Warning};
pub use outcome::{Irregularity, Negotiated};

use std::sync::Arc;

use bytes::Bytes;
use smol_str::ToSmolStr as _;

use crate::format::Format;
use crate::media::{Direction, Media, MediaKind, RtcpAddress};
use crate::session::{Connection, Origin, Session};
use choice::{Choice, choose};

/// Where an offer/answer exchange stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No offer is out.
    Stable,
    /// Our offer is out; the peer's answer is awaited.
    LocalOffer,
    /// The peer's offer is here; our answer is awaited.
    RemoteOffer,
}

/// The offer/answer machine of one dialog.
#[derive(Debug, Clone)]
pub struct OfferAnswer {
    capabilities: Capabilities,
    local: LocalMedia,
    /// The `o=` of the next description that differs from the one sent last.
    origin: Origin,
    phase: Phase,
    agreed: Option<Agreed>,
    /// The description that went out last, agreed or not: its version is used up.
    last_sent: Option<Arc<Session>>,
}

#[derive(Debug, Clone)]
enum Phase {
    Stable,
    LocalOffer {
        offer: Arc<Session>,
        index: usize,
    },
    RemoteOffer {
        offer: Arc<Session>,
        choice: Option<Choice>,
    },
}

#[derive(Debug, Clone)]
struct Agreed {
    /// Mostly the one that went out last.
    local: Arc<Session>,
    remote: Arc<Session>,
    /// `None` while no stream is in use.
    negotiated: Option<Negotiated>,
}

impl OfferAnswer {
    /// A machine that has exchanged nothing yet. `session_id` must be unique for this host (RFC 8866 §5.2); it
    /// becomes the `o=` line together with the address of `local`, and the first version is 1.
    #[must_use]
    pub fn new(capabilities: Capabilities, local: LocalMedia, session_id: u64) -> Self {
        let origin = Origin {
            username: "-".into(),
            session_id: session_id.to_smolstr(),
            version: 1,
            address: Connection::new(local.address),
        };
        Self {
            capabilities,
            local,
            origin,
            phase: Phase::Stable,
            agreed: None,
            last_sent: None,
        }
    }

    /// Where the exchange stands.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Stable => State::Stable,
            Phase::LocalOffer { .. } => State::LocalOffer,
            Phase::RemoteOffer { .. } => State::RemoteOffer,
        }
    }

    /// What both ends agreed on last. `None` before the first agreement and while no stream is in use.
    #[must_use]
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.agreed.as_ref()?.negotiated.as_ref()
    }

    /// Our description of the last agreement.
    #[must_use]
    pub fn local_description(&self) -> Option<&Session> {
        self.agreed.as_ref().map(|agreed| &*agreed.local)
    }

    /// The peer's description of the last agreement.
    #[must_use]
    pub fn remote_description(&self) -> Option<&Session> {
        self.agreed.as_ref().map(|agreed| &*agreed.remote)
    }

    /// The offer of the peer that waits for an answer.
    #[must_use]
    pub fn pending_offer(&self) -> Option<&Session> {
        match &self.phase {
            Phase::RemoteOffer { offer, .. } => Some(offer),
            Phase::Stable | Phase::LocalOffer { .. } => None,
        }
    }

    /// Changes address, ports or keys; the next offer or answer tells the peer.
    pub fn set_local_media(&mut self, local: LocalMedia) {
        self.local = local;
    }

    /// Changes what is offered and accepted from the next offer or answer on.
    pub fn set_capabilities(&mut self, capabilities: Capabilities) {
        self.capabilities = capabilities;
    }

    /// Makes an offer: the first, or one that changes an agreement (hold is `SendOnly` or `Inactive`).
    ///
    /// # Errors
    /// [`NegotiationError::NotStable`] while another offer is unanswered, [`NegotiationError::NoLocalKeys`] when
    /// SRTP is required and no key was given, [`NegotiationError::NoCodecs`] when there is nothing to offer.
    pub fn create_offer(&mut self, direction: Direction) -> Result<Arc<Session>, NegotiationError> {
        if self.state() != State::Stable {
            return Err(NegotiationError::NotStable { state: self.state() });
        }
        if self.capabilities.srtp.is_required() && self.local.crypto.is_empty() {
            return Err(NegotiationError::NoLocalKeys);
        }
        if self.capabilities.codecs.is_empty() {
            return Err(NegotiationError::NoCodecs);
        }
        let (media, index) = self.offered_media(direction);
        let offer = self.describe(media, vec![(0, 0)]);
        self.phase = Phase::LocalOffer {
            offer: Arc::clone(&offer),
            index,
        };
        Ok(offer)
    }

    /// Takes the peer's offer and checks at once whether it can be answered, so that a call that cannot be taken
    /// never rings.
    ///
    /// # Errors
    /// What is wrong with the offer, with the status to answer in [`NegotiationError::status`]. The machine is then
    /// as before, and the agreement before it holds (RFC 3264 §8).
    pub fn receive_offer(&mut self, offer: impl Into<Arc<Session>>) -> Result<(), NegotiationError> {
        let offer = offer.into();
        let choice = self.choose(&offer)?;
        self.phase = Phase::RemoteOffer { offer, choice };
        Ok(())
    }

    /// Whether [`OfferAnswer::receive_offer`] would take an offer.
    ///
    /// # Errors
    /// As there.
    pub fn examine_offer(&self, offer: &Session) -> Result<(), NegotiationError> {
        self.choose(offer).map(drop)
    }

    fn choose(&self, offer: &Session) -> Result<Option<Choice>, NegotiationError> {
        match self.state() {
            State::Stable => {}
            // RFC 3261 §14.2, RFC 6337 §2.3: glare.
            State::LocalOffer => return Err(NegotiationError::Glare),
            State::RemoteOffer => return Err(NegotiationError::OfferPending),
        }
        if let Some(agreed) = &self.agreed {
            check_successor(&agreed.remote, offer)?;
        }
        let preferred = self.negotiated().map(|negotiated| negotiated.index);
        choose(&self.capabilities, &self.local, offer, preferred)
    }

    /// Makes the answer to the offer that was received. `direction` is what this end would like; the answer says
    /// what the offer leaves of it (RFC 3264 §6.1): `sendonly` becomes `recvonly`, `inactive` stays.
    ///
    /// # Errors
    /// [`NegotiationError::NoOffer`] when no offer waits for an answer.
    pub fn create_answer(
        &mut self,
        direction: Direction,
    ) -> Result<(Arc<Session>, Option<Negotiated>), NegotiationError> {
        let (offer, choice) = match std::mem::replace(&mut self.phase, Phase::Stable) {
            Phase::RemoteOffer { offer, choice } => (offer, choice),
            other => {
                self.phase = other;
                return Err(NegotiationError::NoOffer { state: self.state() });
            }
        };
        // RFC 3264 §6: as many media descriptions as in the offer, in its order.
        let media = offer
            .media
            .iter()
            .enumerate()
            .map(|(index, offered)| match &choice {
                Some(choice) if choice.index == index => self.answered_media(&offer, choice, direction),
                _ => rejected(offered),
            });
        let media = media.collect();
        // RFC 3264 §6: the `t=` line of the answer equals that of the offer.
        let answer = self.describe(media, offer.times.clone());
        let mut negotiated = choice
            .as_ref()
            .map(|choice| outcome::as_answerer(&answer, &offer, choice));
        self.note_version(&offer, negotiated.as_mut());
        self.agreed = Some(Agreed {
            local: Arc::clone(&answer),
            remote: offer,
            negotiated: negotiated.clone(),
        });
        Ok((answer, negotiated))
    }

    /// Takes the peer's answer to our offer. `Ok(None)`: the peer answered by rule, and rejected the stream.
    ///
    /// # Errors
    /// [`NegotiationError::UnexpectedAnswer`] when no offer of ours is out; else the rule that the answer broke. The
    /// offer is then still out: take a better answer, or [`OfferAnswer::rollback`] and end the call.
    pub fn receive_answer(
        &mut self,
        answer: impl Into<Arc<Session>>,
    ) -> Result<Option<Negotiated>, NegotiationError> {
        let answer = answer.into();
        let Phase::LocalOffer { offer, index } = &self.phase else {
            return Err(NegotiationError::UnexpectedAnswer { state: self.state() });
        };
        let mut negotiated = outcome::as_offerer(offer, &answer, *index, self.capabilities.srtp)?;
        self.note_version(&answer, negotiated.as_mut());
        self.agreed = Some(Agreed {
            local: Arc::clone(offer),
            remote: answer,
            negotiated: negotiated.clone(),
        });
        self.phase = Phase::Stable;
        Ok(negotiated)
    }

    /// Forgets the unanswered offer, ours or the peer's: it was refused, or the request ended without an answer.
    /// The agreement before it holds (RFC 3264 §8). Does nothing in the stable state.
    pub fn rollback(&mut self) {
        self.phase = Phase::Stable;
    }

    /// RFC 3264 §8: with the version unchanged the peer's description must be the same as before.
    fn note_version(&self, new: &Session, negotiated: Option<&mut Negotiated>) {
        let Some(old) = self.remote_description() else {
            return;
        };
        if let Some(negotiated) = negotiated
            && old.origin == new.origin
            && !old.same_but_for_origin(new)
        {
            negotiated
                .irregularities
                .push(Irregularity::VersionNotIncremented);
        }
    }

    /// Wraps `media` into a description of ours. RFC 3264 §8: the version goes up by one when, and only when,
    /// something changed; the rest of `o=` stays.
    fn describe(&mut self, media: Vec<Media>, times: Vec<(u64, u64)>) -> Arc<Session> {
        let mut session = Session {
            origin: self.origin.clone(),
            name: "-".into(),
            connection: Some(Connection::new(self.local.address)),
            bandwidths: Vec::new(),
            times,
            attributes: Vec::new(),
            media,
            defects: Vec::new(),
            raw: Bytes::new(),
        };
        if let Some(last) = &self.last_sent
            && !last.same_but_for_origin(&session)
        {
            self.origin.version += 1;
            session.origin.version = self.origin.version;
        }
        let session = Arc::new(session);
        self.last_sent = Some(Arc::clone(&session));
        session
    }

    /// All media descriptions of an offer and the index of ours. RFC 3264 §8: an offer has at least as many as the
    /// agreement before it; those not in use stay rejected.
    fn offered_media(&self, direction: Direction) -> (Vec<Media>, usize) {
        let Some(agreed) = &self.agreed else {
            return (vec![self.audio(direction, None)], 0);
        };
        let mut media: Vec<_> = agreed.local.media.iter().map(rejected).collect();
        // A rejected slot may be used again (RFC 3264 §8.1).
        let index = match &agreed.negotiated {
            Some(negotiated) => negotiated.index,
            None => media
                .iter()
                .position(|media| media.kind == MediaKind::Audio)
                .unwrap_or(media.len()),
        };
        let audio = self.audio(
            direction,
            agreed.negotiated.as_ref().map(|negotiated| (agreed, negotiated)),
        );
        if index < media.len() {
            media[index] = audio
        } else {
            media.push(audio)
        }
        (media, index)
    }

    fn audio(&self, direction: Direction, before: Option<(&Agreed, &Negotiated)>) -> Media {
        let encrypted = match before {
            // Mid-call, what was agreed goes on.
            Some((_, negotiated)) => negotiated.local_crypto.is_some(),
            None => self.capabilities.srtp != SrtpPolicy::Never,
        };
        let protocol = match before {
            Some((agreed, negotiated)) => agreed.local.media[negotiated.index].protocol.clone(),
            None => self.capabilities.srtp.profile(),
        };
        let mut media = Media::new(MediaKind::Audio, self.local.rtp_port, protocol);
        media.formats = self.capabilities.formats(before.map(|(agreed, negotiated)| {
            (
                &agreed.local.media[negotiated.index],
                &agreed.remote.media[negotiated.index],
                &negotiated.send,
            )
        }));
        media.direction = direction;
        media.ptime_ms = self.capabilities.ptime_ms;
        // Mid-call, what was agreed goes on: without the attribute it would end (RFC 5761 §5.1.1).
        media.rtcp_mux = match before {
            Some((_, negotiated)) => negotiated.rtcp_mux,
            None => self.capabilities.rtcp_mux == RtcpMux::Offer,
        };
        media.rtcp = self.rtcp_attribute();
        if encrypted {
            media.crypto = self.local.crypto.clone();
        }
        media
    }

    fn answered_media(&self, offer: &Session, choice: &Choice, direction: Direction) -> Media {
        let offered = &offer.media[choice.index];
        let mut media = Media::new(MediaKind::Audio, self.local.rtp_port, offered.protocol.clone());
        media.formats = choice.formats.clone();
        // RFC 3264 §6.1: what both want; §8.4: who gives 0.0.0.0 does not want to receive.
        media.direction = direction.and(outcome::effective_direction(offer, choice.index).reversed());
        media.ptime_ms = self.capabilities.ptime_ms;
        // RFC 5761 §5.1.1: only where it was offered.
        media.rtcp_mux = offered.rtcp_mux && self.capabilities.rtcp_mux != RtcpMux::Never;
        media.rtcp = if media.rtcp_mux {
            None
        } else {
            self.rtcp_attribute()
        };
        media.crypto = choice.crypto.iter().map(|pair| pair.local.clone()).collect();
        media
    }

    /// RFC 3605 §2.1: only where RTCP is not on the next port.
    fn rtcp_attribute(&self) -> Option<RtcpAddress> {
        let next = self.local.rtp_port.checked_add(1);
        self.local
            .rtcp_port
            .filter(|port| Some(*port) != next)
            .map(|port| RtcpAddress {
                port,
                connection: None,
            })
    }
}

/// A media description that says no: RFC 3264 §6. It keeps the formats, of which one at least must be listed.
fn rejected(offered: &Media) -> Media {
    let mut media = Media::new(offered.kind.clone(), 0, offered.protocol.clone());
    media.formats = offered
        .formats
        .iter()
        .map(|format| Format {
            fmtp: None,
            ..format.clone()
        })
        .collect();
    media.other_formats = offered.other_formats.clone();
    media.direction = Direction::Inactive;
    media
}

/// RFC 3264 §8: a later offer keeps the media descriptions and adds at the end. It may change the kind of one
/// (§8.3.3), which is then judged as in a first offer.
fn check_successor(before: &Session, offer: &Session) -> Result<(), NegotiationError> {
    if offer.media.len() < before.media.len() {
        return Err(NegotiationError::MediaRemoved {
            before: before.media.len(),
            offered: offer.media.len(),
        });
    }
    Ok(())
}
