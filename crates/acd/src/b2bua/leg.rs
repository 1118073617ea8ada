//! A leg: one side of a call, a dialog with its audio.

use std::net::IpAddr;

use callwright_media::plane::SessionId;
use callwright_sip::command::Invite;
use callwright_sip::endpoint::CallId;
use callwright_sip_message::NameAddr;
use callwright_wire::SocketId;

use super::talk::Talk;
use crate::fact::CallKey;
use crate::queueing::AgentKey;

/// The number of a leg: never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LegKey(pub(crate) u64);

/// The audio of a leg.
///
/// ```text
///   Opening ──ports leased──▶ Open ──the leg ends──▶ Closed
///      └──────no ports, or the leg ends──────────────▲
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// Ports were asked for.
    Opening(SocketId),
    /// The session is there.
    Open(SessionId),
    /// There is none any more.
    Closed,
}

/// What an agent has to do with a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is nobody's who takes calls of queues.
    Outside,
    /// The agent's, in a call of a queue: presented, or taken.
    Queue(AgentKey),
    /// The agent's, in another call.
    Other(AgentKey),
}

/// One side of a call.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) key: LegKey,
    pub(crate) call: CallKey,
    /// Its dialog; `None` until its INVITE is out.
    pub(crate) sip: Option<CallId>,
    /// An INVITE that waits for ports.
    pub(crate) invite: Option<Box<Invite>>,
    pub(crate) media: Media,
    pub(crate) talk: Talk,
    /// The address at which this machine meets the peer.
    pub(crate) ip: IpAddr,
    /// Who it is: the caller's From, or the address-of-record of a user.
    pub(crate) address: NameAddr,
    /// It was told to end, or is transferred away: what it says is of no interest any more.
    pub(crate) leaving: bool,
    /// Whose it is.
    pub(crate) part: Part,
}

impl Leg {
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self.media {
            Media::Open(session) => Some(session),
            Media::Opening(_) | Media::Closed => None,
        }
    }
}
