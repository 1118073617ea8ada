//! The descriptions of one leg: what this machine says to its peer, and what the peer wants (RFC 3264).
//!
//! Each leg negotiates for itself. What binds the two together is the direction: what is offered to one peer is what the
//! other one wishes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use callwright_media::codec::Codec;
use callwright_media::plane::Start;
use callwright_sdp::negotiation::{
    Capabilities, LocalMedia, NegotiationError, OfferAnswer, RtcpMux, SrtpPolicy, State,
};
use callwright_sdp::{Direction, MediaKind, SdpError, Session};

/// The payload type that is offered for telephone-event.
const TELEPHONE_EVENT: u8 = 101;
/// The discard port stands in a description until the real one is leased (RFC 863).
const NO_PORT_YET: u16 = 9;

/// Why a description of ours cannot be made, or one of the peer cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TalkError {
    /// The peer's cannot be read.
    #[error("the session description cannot be read: {0}")]
    Unreadable(#[from] SdpError),
    /// A rule of offer and answer was broken, or nothing fits.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
    /// The peer refused the audio.
    #[error("the peer refused the audio stream")]
    NoAudio,
}

impl TalkError {
    /// The status to refuse the peer's offer with.
    pub(crate) fn status(&self) -> u16 {
        match self {
            TalkError::Unreadable(_) => 400,
            TalkError::Negotiation(error) => error.status().unwrap_or(488),
            TalkError::NoAudio => 488,
        }
    }

    /// What the refusal says about its reason.
    pub(crate) fn warning(&self) -> Option<String> {
        match self {
            TalkError::Negotiation(error) => error.warning().map(|warning| warning.to_string()),
            TalkError::Unreadable(_) | TalkError::NoAudio => None,
        }
    }
}

/// The descriptions of a leg.
#[derive(Debug)]
pub(crate) struct Talk {
    negotiation: OfferAnswer,
    session_id: u64,
    local: LocalMedia,
    /// Our first offer, which each early dialog of a forked call answers for itself.
    offered: Option<Box<OfferAnswer>>,
    /// What each of those dialogs answered before one was chosen.
    early: BTreeMap<u16, Bytes>,
    /// The offer in the peer's INVITE, until it is answered.
    invited: Option<Arc<Session>>,
    /// Our answer to it, once given: it stays the same in whatever response it stands (RFC 3261 §13.2.1).
    answered: Option<Bytes>,
    /// What the peer wants, from its view.
    pub(crate) wish: Direction,
    /// What it wanted before the offer that is open.
    wished: Direction,
    /// What it was told before the offer that is open.
    said_before: Direction,
    /// What it was offered last, or what its offer was answered with.
    pub(crate) said: Direction,
    /// A direction that it refused: it is not offered again.
    pub(crate) refused: Option<Direction>,
    /// What the plane was told last.
    pub(crate) agreed: Option<Start>,
}

impl Talk {
    pub(crate) fn new(ip: IpAddr, session_id: u64, first: &[Codec]) -> Talk {
        let local = LocalMedia::new(ip, NO_PORT_YET);
        Talk {
            negotiation: OfferAnswer::new(capabilities(first, true), local.clone(), session_id),
            session_id,
            local,
            offered: None,
            early: BTreeMap::new(),
            invited: None,
            answered: None,
            wish: Direction::SendRecv,
            wished: Direction::SendRecv,
            said_before: Direction::SendRecv,
            said: Direction::SendRecv,
            refused: None,
            agreed: None,
        }
    }

    /// Looks at the offer of an INVITE, so that a call that cannot be taken rings nobody.
    pub(crate) fn invite(&mut self, offer: &Bytes) -> Result<(), TalkError> {
        let offer = Session::parse(offer)?;
        // Only looked at: it is answered when somebody answers the call. What it wishes counts from now on.
        self.negotiation.examine_offer(&offer)?;
        self.wish = wish_of(&offer).unwrap_or(self.wish);
        self.wished = self.wish;
        self.invited = Some(Arc::new(offer));
        Ok(())
    }

    pub(crate) fn was_offered(&self) -> bool {
        self.invited.is_some() || self.answered.is_some()
    }

    /// The ports are leased.
    pub(crate) fn set_port(&mut self, port: u16) {
        self.local.rtp_port = port;
        self.negotiation.set_local_media(self.local.clone());
    }

    /// The codecs that the peer offered or agreed to, its favourite first.
    pub(crate) fn codecs(&self) -> Vec<Codec> {
        if let Some(agreed) = &self.agreed {
            return agreed.send.iter().map(|format| format.codec).collect();
        }
        let media = self.invited.iter().flat_map(|offer| &offer.media);
        let audio = media.filter(|media| media.kind == MediaKind::Audio && !media.rejected());
        let codecs = audio.take(1).flat_map(|media| media.codecs());
        codecs.filter_map(Codec::from_format).collect()
    }

    /// Answers the offer of the INVITE: once, and the same from then on. With `codec` alone where the peer offered it, so that
    /// nothing needs to be transcoded.
    pub(crate) fn answer_invite(
        &mut self,
        direction: Direction,
        codec: Option<Codec>,
    ) -> Result<Bytes, TalkError> {
        if let Some(answered) = &self.answered {
            return Ok(answered.clone());
        }
        if let Some(codec) = codec {
            let narrow = OfferAnswer::new(capabilities(&[codec], false), self.local.clone(), self.session_id);
            let offer = self.invited.as_ref();
            if offer.is_some_and(|offer| narrow.examine_offer(offer).is_ok()) {
                self.negotiation = narrow;
            }
        }
        if let Some(offer) = self.invited.take() {
            self.negotiation.receive_offer(offer)?;
        }
        let answer = self.answer(direction)?;
        self.negotiation.set_capabilities(capabilities(&[], true));
        self.answered = Some(answer.clone());
        Ok(answer)
    }

    /// The answer to the offer of the INVITE, where it was given.
    pub(crate) fn answered(&self) -> Option<Bytes> {
        self.answered.clone()
    }

    /// Why no session came of a call that was answered.
    pub(crate) fn lacks_agreement(&self) -> Option<TalkError> {
        let agreed = self.agreed.as_ref().and_then(|agreed| agreed.send);
        agreed.is_none().then_some(TalkError::NoAudio)
    }

    /// Makes an offer.
    pub(crate) fn offer(&mut self, direction: Direction) -> Result<Bytes, TalkError> {
        let offer = self.negotiation.create_offer(direction)?;
        self.said_before = self.said;
        self.said = direction;
        if self.agreed.is_none() {
            self.offered = Some(Box::new(self.negotiation.clone()));
            self.agreed = Start::before_the_answer(&offer);
        }
        Ok(offer.to_bytes().into())
    }

    /// Answers the offer that was taken.
    pub(crate) fn answer(&mut self, direction: Direction) -> Result<Bytes, TalkError> {
        let (answer, negotiated) = self.negotiation.create_answer(direction)?;
        self.said = direction;
        match (negotiated, &mut self.agreed) {
            (Some(negotiated), _) => self.agreed = Some(Start::as_agreed(&negotiated)),
            // The peer switched the audio off: the call goes on without.
            (None, Some(agreed)) => agreed.direction = Direction::Inactive,
            (None, None) => return Err(TalkError::NoAudio),
        }
        Ok(answer.to_bytes().into())
    }

    /// Takes an offer of the peer, with what it wants.
    pub(crate) fn take_offer(&mut self, offer: &Bytes) -> Result<(), TalkError> {
        let session = Session::parse(offer)?;
        let wish = wish_of(&session);
        self.negotiation.receive_offer(session)?;
        self.wished = self.wish;
        if let Some(wish) = wish {
            self.wish = wish;
            self.refused = None;
        }
        Ok(())
    }

    /// Whether an offer says nothing new: it refreshes the session (RFC 3264 §8, RFC 4028 §7.4).
    pub(crate) fn is_repeated(&self, offer: &Bytes) -> bool {
        let before = self.negotiation.remote_description();
        let now = Session::parse(offer).ok();
        before
            .zip(now)
            .is_some_and(|(before, now)| before.same_but_for_origin(&now))
    }

    /// Takes the answer to our offer. The first offer may be answered by several forks, each anew.
    pub(crate) fn take_answer(&mut self, answer: &Bytes) -> Result<(), TalkError> {
        let session = Session::parse(answer)?;
        let mut negotiation = match &self.offered {
            Some(offered) => (**offered).clone(),
            None => self.negotiation.clone(),
        };
        let negotiated = negotiation.receive_answer(session)?;
        self.negotiation = negotiation;
        if let Some(negotiated) = &negotiated {
            // An answer tells the wish only as far as the offer left a choice (RFC 3264 §6.1).
            let (offered, answered) = (negotiated.local_direction, negotiated.remote_direction);
            let sends = if offered.receives() {
                answered.sends()
            } else {
                self.wish.sends()
            };
            let receives = if offered.sends() {
                answered.receives()
            } else {
                self.wish.receives()
            };
            self.wish = Direction::new(sends, receives);
        }
        match (negotiated, &mut self.agreed) {
            (Some(negotiated), _) => self.agreed = Some(Start::as_agreed(&negotiated)),
            (None, Some(agreed)) if agreed.send.is_some() => agreed.direction = Direction::Inactive,
            (None, _) => return Err(TalkError::NoAudio),
        }
        Ok(())
    }

    /// Takes the answer of one early dialog of a forked call.
    pub(crate) fn take_early_answer(&mut self, fork: u16, answer: &Bytes) -> Result<(), TalkError> {
        self.take_answer(answer)?;
        self.early.insert(fork, answer.clone());
        Ok(())
    }

    /// One dialog of a forked call was chosen, and all was agreed with it before: another's answer may have come last.
    pub(crate) fn choose(&mut self, fork: u16) -> Result<(), TalkError> {
        match self.early.remove(&fork) {
            Some(answer) => self.take_answer(&answer),
            None => Ok(()),
        }
    }

    /// The answer counts: no other fork's can come any more.
    pub(crate) fn settle(&mut self) {
        self.offered = None;
        self.early = BTreeMap::new();
    }

    /// The open offer came to nothing: ours, or the peer's with what it wanted by it.
    pub(crate) fn rollback(&mut self) {
        match self.negotiation.state() {
            State::Stable => {}
            State::LocalOffer => self.said = self.said_before,
            State::RemoteOffer => self.wish = self.wished,
        }
        self.negotiation.rollback();
    }

    /// The peer refused the offer that is open: what it proposed is not proposed again.
    pub(crate) fn refuse(&mut self) {
        self.refused = Some(self.said);
        self.rollback();
    }

    pub(crate) fn awaits_answer(&self) -> bool {
        self.negotiation.state() == State::LocalOffer
    }

    /// Whether the peer takes telephone-events (RFC 4733).
    pub(crate) fn takes_events(&self) -> bool {
        let agreed = self.agreed.as_ref();
        agreed.is_some_and(|agreed| agreed.telephone_event_send.is_some())
    }
}

/// G.711 and telephone-event; `first` before the others, or alone.
fn capabilities(first: &[Codec], others: bool) -> Capabilities {
    let mut codecs = first.to_vec();
    if others {
        codecs.extend(
            [Codec::Pcmu, Codec::Pcma]
                .into_iter()
                .filter(|codec| !first.contains(codec)),
        );
    }
    Capabilities {
        codecs: codecs.into_iter().map(Codec::format).collect(),
        telephone_event: Some(TELEPHONE_EVENT),
        srtp: SrtpPolicy::Never,
        rtcp_mux: RtcpMux::Accept,
        ptime_ms: Some(20),
    }
}

/// What an offer says about its audio, from the view of who makes it; `None` where there is none.
fn wish_of(offer: &Session) -> Option<Direction> {
    let mut media = offer.media.iter().enumerate();
    let (index, audio) = media.find(|(_, media)| media.kind == MediaKind::Audio && !media.rejected())?;
    // RFC 3264 §8.4: the address of zeros means the same as not to receive.
    let receives = audio.direction.receives() && !offer.held_by_address(index);
    Some(Direction::new(audio.direction.sends(), receives))
}
