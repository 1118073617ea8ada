//! The media of calls: ports, offers and answers, and what the plane is told about them.

use std::net::SocketAddr;

use bytes::Bytes;
use callwright_media::codec::Codec;
use callwright_media::plane::{Command, SessionId, Start};
use callwright_sdp::negotiation::{
    Capabilities, LocalMedia, Negotiated, NegotiationError, OfferAnswer, RtcpMux, SrtpPolicy,
};
use callwright_sdp::{Crypto, CryptoSuite, Direction, Format, SdpError, Session};
use callwright_wire::{BindError, SocketId, Transport};

use crate::account::{Account, MediaEncryption};
use crate::call::{Call, CallKey, MediaState, Progress, Waiting};

use super::{Context, UserAgent};

/// The payload type that is offered for telephone-event.
const TELEPHONE_EVENT: u8 = 101;
/// The discard port stands in a description until the real one is leased (RFC 863).
const NO_PORT_YET: u16 = 9;

/// Why a session description of this side cannot be made, or one of the peer cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum MediaError {
    /// The peer's description cannot be read.
    #[error("the session description cannot be read: {0}")]
    Unreadable(#[from] SdpError),
    /// A rule of offer and answer was broken, or nothing fits.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
    /// The call has no ports, or is over.
    #[error("the call has no ports for RTP")]
    NoPorts,
}

impl MediaError {
    /// The status to refuse the peer's offer with.
    pub(super) fn status(&self) -> u16 {
        match self {
            MediaError::Unreadable(_) => 400,
            MediaError::Negotiation(error) => error.status().unwrap_or(488),
            MediaError::NoPorts => 503,
        }
    }

    /// What the refusal says about its reason.
    pub(super) fn warning(&self) -> Option<String> {
        match self {
            MediaError::Negotiation(error) => error.warning().map(|warning| warning.to_string()),
            MediaError::Unreadable(_) | MediaError::NoPorts => None,
        }
    }
}

impl UserAgent {
    /// Asks for ports for a call.
    pub(super) fn open_media(&mut self, ctx: &mut Context<'_>, key: CallKey) {
        let ip = self.local_ip();
        let rtp = ctx.media.want((self.id, key), ip);
        if let Some(call) = self.call_mut(key) {
            call.media = MediaState::Opening(rtp);
        }
    }

    /// The ports that were asked for are leased: the session begins.
    pub(crate) fn handle_ports(
        &mut self,
        ctx: &mut Context<'_>,
        key: CallKey,
        socket: SocketId,
        rtp: SocketAddr,
    ) {
        if let Some((_, session)) = ctx.media.bound(socket, &mut self.entropy) {
            self.handle_media_open(ctx, key, session, rtp);
        }
    }

    /// The ports of a call are leased: what waited for them goes on.
    fn handle_media_open(
        &mut self,
        ctx: &mut Context<'_>,
        key: CallKey,
        session: SessionId,
        rtp: SocketAddr,
    ) {
        let Some(call) = self.call_mut(key).filter(|call| call.is_live()) else {
            return;
        };
        call.media = MediaState::Open(session);
        let rtcp = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
        self.tell_address(Transport::Udp, rtp);
        self.tell_address(Transport::Udp, rtcp);
        let Some(call) = self.call_mut(key) else { return };
        let muted = call.muted;
        let local = LocalMedia {
            crypto: call.keys.clone(),
            ..LocalMedia::new(rtp.ip(), rtp.port())
        };
        let fresh = match call.negotiation.is_some() {
            true => None,
            false => Some(Box::new(self.negotiation(local.clone()))),
        };
        let recording = self.recording;
        let audio = self.next_audio.take();
        let Some(call) = self.call_mut(key) else { return };
        match &mut call.negotiation {
            Some(negotiation) => negotiation.set_local_media(local),
            none @ None => *none = fresh,
        }
        let waiting = call.waiting.take();
        if let Some(audio) = audio {
            self.play(ctx, session, &audio);
        }
        if recording {
            self.tell_plane(ctx, session, Command::Record(true));
        }
        if muted {
            self.tell_plane(ctx, session, Command::Mute(true));
        }
        match waiting {
            Some(Waiting::Invite(invite, cause)) => {
                ctx.cause = cause;
                self.send_invite(ctx, key, *invite);
            }
            Some(Waiting::Accept(cause)) => {
                ctx.cause = cause;
                self.answer(ctx, key);
            }
            None => {}
        }
    }

    /// There are no ports for a call: it cannot be.
    pub(crate) fn handle_media_failed(&mut self, ctx: &mut Context<'_>, key: CallKey, error: &BindError) {
        let reason = format!("no ports for RTP: {error}");
        if let Some(call) = self.call_mut(key) {
            call.media = MediaState::Closed;
            match call.sip {
                Some(sip) => {
                    let hangup = callwright_sip::command::Hangup {
                        status: Some(503),
                        ..Default::default()
                    };
                    // It ended meanwhile: then there is nothing to refuse.
                    let _ = self.endpoint.hangup(ctx.now, sip, hangup, ctx.cause);
                }
                None => self.end_call(ctx, key, crate::call::Ended { status: None, reason }),
            }
        }
    }

    pub(super) fn close_media(&mut self, ctx: &mut Context<'_>, key: CallKey) {
        let Some(call) = self.call_mut(key) else { return };
        match std::mem::replace(&mut call.media, MediaState::Closed) {
            MediaState::Opening(rtp) => ctx.media.unwant(rtp),
            MediaState::Open(session) => {
                let Some(closed) = ctx.media.close(ctx.now, session) else {
                    return;
                };
                call.stats = Some(Box::new(closed.stats));
                if !closed.heard.is_empty() {
                    self.last_heard = Some(closed.heard);
                }
            }
            MediaState::Closed => {}
        }
    }

    /// The sessions that carry audio, of the oldest call first.
    pub(crate) fn sessions(&self) -> impl DoubleEndedIterator<Item = SessionId> {
        self.calls.iter().filter_map(Call::open_session)
    }

    /// Gives all ports back, whatever the calls say.
    pub(crate) fn drop_media(&mut self, ctx: &mut Context<'_>) {
        let keys: Vec<_> = self.calls.iter().map(Call::key).collect();
        for key in keys {
            self.close_media(ctx, key);
        }
    }

    fn negotiation(&mut self, local: LocalMedia) -> OfferAnswer {
        // RFC 8866 §5.2: unique for this host; 62 bits, since some stacks read a signed number.
        OfferAnswer::new(capabilities(&self.account), local, self.entropy.next_u64() >> 2)
    }

    /// Looks at the offer of an incoming call, so that a call that cannot be taken never rings.
    pub(super) fn look_at_offer(
        &mut self,
        offer: &Bytes,
        keys: Vec<Crypto>,
    ) -> Result<Box<OfferAnswer>, MediaError> {
        let session = Session::parse(offer)?;
        let mut negotiation = self.negotiation(LocalMedia {
            crypto: keys,
            ..LocalMedia::new(self.local_ip(), NO_PORT_YET)
        });
        negotiation.receive_offer(session)?;
        Ok(Box::new(negotiation))
    }

    /// Makes our offer and lets the plane hear early media.
    pub(super) fn make_offer(&mut self, ctx: &mut Context<'_>, key: CallKey) -> Result<Bytes, MediaError> {
        let Some(call) = self.call_mut(key) else {
            return Err(MediaError::NoPorts);
        };
        let wanted = call.wanted_direction();
        let Some(negotiation) = &mut call.negotiation else {
            return Err(MediaError::NoPorts);
        };
        let offer = negotiation.create_offer(wanted)?;
        call.hold_described = call.hold;
        if call.progress < Progress::Established && negotiation.negotiated().is_none() {
            call.offered = call.negotiation.clone();
            let early = Start::before_the_answer(&offer);
            if let (Some(session), Some(start)) = (call.open_session(), early) {
                self.tell_plane(ctx, session, Command::Start(Box::new(start)));
            }
        }
        Ok(offer.to_bytes().into())
    }

    /// Answers the offer that was received.
    pub(super) fn make_answer(&mut self, ctx: &mut Context<'_>, key: CallKey) -> Result<Bytes, MediaError> {
        let Some(call) = self.call_mut(key) else {
            return Err(MediaError::NoPorts);
        };
        let wanted = call.wanted_direction();
        let Some(negotiation) = &mut call.negotiation else {
            return Err(MediaError::NoPorts);
        };
        let (answer, negotiated) = negotiation.create_answer(wanted)?;
        call.hold_described = call.hold;
        self.agree(ctx, key, negotiated);
        Ok(answer.to_bytes().into())
    }

    /// Takes the answer to our offer. The first offer may be answered by several forks, each anew.
    pub(super) fn take_answer(
        &mut self,
        ctx: &mut Context<'_>,
        key: CallKey,
        answer: &Bytes,
    ) -> Result<(), MediaError> {
        let session = Session::parse(answer)?;
        let Some(call) = self.call_mut(key) else {
            return Ok(());
        };
        // What another fork answered stays when this answer cannot be used.
        let Some(mut negotiation) = call.offered.clone().or_else(|| call.negotiation.clone()) else {
            return Ok(());
        };
        let negotiated = negotiation.receive_answer(session)?;
        call.negotiation = Some(negotiation);
        self.agree(ctx, key, negotiated);
        Ok(())
    }

    /// Takes an offer of the peer within a call.
    pub(super) fn take_offer(&mut self, key: CallKey, offer: &Bytes) -> Result<(), MediaError> {
        let session = Session::parse(offer)?;
        match self.call_mut(key).and_then(|call| call.negotiation.as_mut()) {
            Some(negotiation) => Ok(negotiation.receive_offer(session)?),
            None => Err(MediaError::NoPorts),
        }
    }

    fn agree(&mut self, ctx: &mut Context<'_>, key: CallKey, negotiated: Option<Negotiated>) {
        let Some(call) = self.call_mut(key) else { return };
        call.audio_agreed = negotiated.is_some();
        call.hold_agreed = call.hold_described;
        let start = negotiated.as_ref().map(Start::as_agreed);
        call.direction = start
            .as_ref()
            .map_or(Direction::Inactive, |start| start.direction);
        let Some(session) = call.open_session() else {
            return;
        };
        let Some(start) = start else {
            // RFC 3264 §8.2: neither side sends on a stream with port zero, or expects anything there.
            self.tell_plane(ctx, session, Command::Stop);
            return;
        };
        // A peer that takes no telephone events (RFC 4733) sends none: its digits come as tones.
        let as_tones = start.telephone_event_send.is_none();
        self.tell_plane(ctx, session, Command::Start(Box::new(start)));
        self.tell_plane(ctx, session, Command::ListenDtmf(as_tones));
        self.start_listening(ctx, session);
    }

    /// Keys for one call: drawn once, so that what was looked at with them is answered with them.
    pub(super) fn draw_keys(&mut self) -> Vec<Crypto> {
        if self.account.media_encryption == MediaEncryption::None {
            return Vec::new();
        }
        [CryptoSuite::AesCm128HmacSha1_80, CryptoSuite::AesCm128HmacSha1_32]
            .into_iter()
            .zip(1..)
            .map(|(suite, tag)| {
                let mut key_and_salt = [0; 30];
                self.keys.fill(&mut key_and_salt);
                Crypto::new(tag, suite, &key_and_salt)
            })
            .collect()
    }
}

impl Call {
    fn wanted_direction(&self) -> Direction {
        if self.hold {
            Direction::SendOnly
        } else {
            Direction::SendRecv
        }
    }
}

fn capabilities(account: &Account) -> Capabilities {
    Capabilities {
        codecs: account
            .codecs
            .iter()
            .map(|codec| match codec {
                Codec::Pcmu => Format::pcmu(),
                Codec::Pcma => Format::pcma(),
            })
            .collect(),
        telephone_event: Some(TELEPHONE_EVENT),
        srtp: match account.media_encryption {
            MediaEncryption::None => SrtpPolicy::Never,
            MediaEncryption::Offered => SrtpPolicy::Offer,
            MediaEncryption::Required => SrtpPolicy::Require,
            MediaEncryption::RequiredWithFeedback => SrtpPolicy::RequireFeedback,
        },
        rtcp_mux: RtcpMux::Accept,
        ptime_ms: Some(20),
    }
}
