//! One call of a user agent: its signalling, its media, and what is left of it when it is over.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use callwright_media::plane::{SessionId, Stats};
use callwright_sdp::negotiation::OfferAnswer;
use callwright_sdp::{Crypto, Direction};
use callwright_sip::command::Invite;
use callwright_sip::endpoint::{CallId, ReferId, RequestId};
use callwright_sip_message::Message;
use callwright_wire::{Cause, SocketId, Time};

use crate::verb::Audio;

/// The number of a call: unique within its user agent, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u32);

/// Who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This side.
    Outgoing,
    /// The peer.
    Incoming,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Nobody rings yet.
    Trying,
    /// It rings, here or there.
    Ringing,
    /// It rings, and audio was agreed on already.
    Early,
    /// Answered; an incoming call: and acknowledged.
    Established,
    /// On hold, by either side.
    Held,
    /// Over.
    Ended,
}

/// The other side of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its URI.
    pub uri: String,
    /// Its display name.
    pub name: Option<String>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The status, when a SIP response ended it.
    pub status: Option<u16>,
    /// `486 Busy Here`, or words.
    pub reason: String,
}

/// How far the signalling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    Trying,
    Ringing,
    /// Answered by this side; the ACK is awaited.
    Answered,
    Established,
    Ended,
}

/// The media of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaState {
    /// Ports were asked for.
    Opening(SocketId),
    /// Ports are leased.
    Open(SessionId),
    /// Given back, or never had.
    Closed,
}

/// What waits until the ports are leased.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// The INVITE.
    Invite(Box<Invite>, Option<Cause>),
    /// The answer.
    Accept(Option<Cause>),
}

/// A transfer that this side asked for, kept with the call that is transferred.
#[derive(Debug)]
pub(crate) enum Transfer {
    /// The REFER is out.
    Referred(ReferId),
    /// The call is held while this other call consults the target.
    Consulting(CallKey),
    /// The REFER with Replaces is out; the other call consulted the target.
    Completing(ReferId, CallKey),
}

/// Digits that go out as INFO requests, one after the other.
#[derive(Debug, Default)]
pub(crate) struct InfoDigits {
    pub(crate) waiting: VecDeque<char>,
    pub(crate) gap: Duration,
    pub(crate) in_flight: Option<RequestId>,
    pub(crate) cause: Option<Cause>,
}

/// A call.
#[derive(Debug)]
pub struct Call {
    pub(crate) key: CallKey,
    pub(crate) origin: Origin,
    pub(crate) sip: Option<CallId>,
    pub(crate) progress: Progress,
    pub(crate) peer: Peer,
    pub(crate) call_id: String,
    pub(crate) started: Time,
    pub(crate) media: MediaState,
    pub(crate) waiting: Option<Waiting>,
    /// Our SRTP keys for it; empty without SRTP.
    pub(crate) keys: Vec<Crypto>,
    /// Offer and answer as they stand.
    pub(crate) negotiation: Option<Box<OfferAnswer>>,
    /// The machine as it was when our first offer went out: each early dialog answers it anew.
    pub(crate) offered: Option<Box<OfferAnswer>>,
    /// What each early dialog answered reliably or not, until one of them is the call.
    pub(crate) early_answers: BTreeMap<u16, Bytes>,
    /// The offer of an incoming call, until it is answered.
    pub(crate) remote_offer: Option<Bytes>,
    /// The INVITE of an incoming call.
    pub(crate) invite: Option<Message>,
    pub(crate) audio_agreed: bool,
    /// An offer of ours that waits for the end of another exchange, and the command behind it.
    pub(crate) offer_due: Option<Option<Cause>>,
    /// Our offers within the call go by UPDATE (RFC 3311), as the last verb about them wants it.
    pub(crate) by_update: bool,
    /// This side wants it held.
    pub(crate) hold: bool,
    /// The same as the description that went out last has it.
    pub(crate) hold_described: bool,
    /// The same as it was agreed on last.
    pub(crate) hold_agreed: bool,
    /// What the agreement says from this side's view.
    pub(crate) direction: Direction,
    pub(crate) muted: bool,
    /// What it sends; `None` for the silence that it began with.
    pub(crate) playing: Option<Box<Audio>>,
    pub(crate) digits: String,
    pub(crate) info: Option<Box<InfoDigits>>,
    /// The REFER that made this side place the call.
    pub(crate) referred: Option<ReferId>,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) stats: Option<Box<Stats>>,
    pub(crate) ended: Option<Ended>,
}

impl Call {
    pub(crate) fn new(key: CallKey, origin: Origin, peer: Peer, started: Time) -> Self {
        Call {
            key,
            origin,
            sip: None,
            progress: Progress::Trying,
            peer,
            call_id: String::new(),
            started,
            media: MediaState::Closed,
            waiting: None,
            keys: Vec::new(),
            negotiation: None,
            offered: None,
            early_answers: BTreeMap::new(),
            remote_offer: None,
            invite: None,
            audio_agreed: false,
            offer_due: None,
            by_update: false,
            hold: false,
            hold_described: false,
            hold_agreed: false,
            direction: Direction::SendRecv,
            muted: false,
            playing: None,
            digits: String::new(),
            info: None,
            referred: None,
            transfer: None,
            stats: None,
            ended: None,
        }
    }

    /// Its number.
    pub fn key(&self) -> CallKey {
        self.key
    }

    /// Who called.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        match self.progress {
            Progress::Ended => Phase::Ended,
            Progress::Established if self.is_held() => Phase::Held,
            Progress::Established => Phase::Established,
            Progress::Ringing | Progress::Answered if self.audio_agreed => Phase::Early,
            Progress::Ringing | Progress::Answered => Phase::Ringing,
            Progress::Trying => Phase::Trying,
        }
    }

    /// The other side.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Its Call-ID (RFC 3261 §8.1.1.4); empty before the INVITE is out.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// When it began.
    pub fn started(&self) -> Time {
        self.started
    }

    /// True while own audio is muted.
    pub fn is_muted(&self) -> bool {
        self.muted
    }

    /// What it was last told to send.
    pub fn playing(&self) -> &Audio {
        self.playing.as_deref().unwrap_or(&Audio::Silence)
    }

    /// Digits received.
    pub fn received_dtmf(&self) -> &str {
        &self.digits
    }

    /// How it ended; `None` while it has not.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The INVITE of an incoming call.
    pub fn invite(&self) -> Option<&Message> {
        self.invite.as_ref()
    }

    pub(crate) fn is_live(&self) -> bool {
        self.progress != Progress::Ended
    }

    /// An incoming call that nobody has answered.
    pub(crate) fn rings_here(&self) -> bool {
        self.origin == Origin::Incoming && self.progress <= Progress::Ringing && !self.is_accepting()
    }

    pub(crate) fn is_accepting(&self) -> bool {
        matches!(self.waiting, Some(Waiting::Accept(_)))
    }

    pub(crate) fn is_unanswered(&self) -> bool {
        self.progress <= Progress::Ringing
    }

    /// Answered, by whichever side: verbs are accepted, the endpoint holds them back until the ACK.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.progress, Progress::Answered | Progress::Established)
    }

    pub(crate) fn is_held(&self) -> bool {
        self.direction != Direction::SendRecv
    }

    /// Established on both sides.
    pub(crate) fn is_up(&self) -> bool {
        self.progress == Progress::Established
    }

    pub(crate) fn open_session(&self) -> Option<SessionId> {
        match self.media {
            MediaState::Open(session) => Some(session),
            MediaState::Opening(_) | MediaState::Closed => None,
        }
    }
}
