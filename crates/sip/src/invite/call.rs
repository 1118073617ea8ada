//! A call: what one INVITE began.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use callwright_sip_message::{HeaderName, Message};
use callwright_wire::{Cause, Time};

use super::exchange::Exchange;
use super::incoming::Ringing;
use super::modify::Change;
use super::outgoing::Calling;
use super::provisional::Overtaken;
use super::queue::Waiting;
use crate::core::{Outgoing, ServerId, Target};
use crate::dialog::Dialog;
use crate::endpoint::{CallId, Channel, IdentityId, UsageTimer};
use crate::session_timer::Agreed;

/// Who sent the INVITE that began the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Caller,
    Callee,
}

/// Where a call stands.
///
/// ```text
///   invite ──► Calling ──2xx──► Established ──BYE sent──► Leaving ──answered──► Over
///                 │                  ▲  │                                        ▲
///                 │                 ACK └────────────BYE received────────────────┤
///   INVITE ──► Ringing ──2xx──► Answered ──64·T1, then BYE──► Leaving            │
///                 │                                                              │
///                 └───────────refused, cancelled, timed out──────────────────────┘
/// ```
#[derive(Debug)]
pub(crate) enum Phase {
    /// Our INVITE has no final response.
    Calling(Box<Calling>),
    /// The peer's INVITE has no final response.
    Ringing(Box<Ringing>),
    /// Our 2xx has no ACK.
    Answered,
    /// Both sides know.
    Established,
    /// Our BYE has no response, and none of the peer's has crossed it.
    Leaving,
    /// Ended. It is kept while a REFER still uses its dialog (RFC 5057 §2).
    Over,
}

impl Phase {
    /// In words, for `Misuse::State`.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Phase::Calling(_) => "is being placed",
            Phase::Ringing(_) => "rings here and is not answered",
            Phase::Answered => "was answered and waits for its ACK",
            Phase::Established => "is established",
            Phase::Leaving | Phase::Over => "has ended",
        }
    }
}

/// A dialog of a call with what belongs to it alone. A call that was placed has one for each answering party until one of
/// them is chosen (RFC 3261 §13.2.2.4).
#[derive(Debug)]
pub(crate) struct Fork {
    pub(crate) number: u16,
    pub(crate) dialog: Dialog,
    pub(crate) exchange: Exchange,
    /// The RSeq of the last reliable provisional response that was taken.
    pub(crate) rseq: Option<u32>,
    /// The RAck of a PRACK that waits for our answer.
    pub(crate) prack_due: Option<String>,
    /// The peer sent BYE before its 2xx came here.
    pub(crate) left: bool,
    /// We sent BYE while it was early.
    pub(crate) given_up: bool,
}

/// Our 2xx to an INVITE, until its ACK.
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) server: ServerId,
    /// As it left.
    pub(crate) wire: Bytes,
    pub(crate) cseq: u32,
    pub(crate) interval: std::time::Duration,
    pub(crate) cause: Option<Cause>,
}

/// The ACK to a 2xx, while more of that 2xx may come.
#[derive(Debug)]
pub(crate) struct SentAck {
    pub(crate) cseq: u32,
    pub(crate) outgoing: Outgoing,
    pub(crate) target: Target,
    pub(crate) cause: Option<Cause>,
}

/// What is known for the upkeep of the session.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The session timer (RFC 4028).
    pub(crate) timer: Option<Agreed>,
    /// The least interval that the peer has asked for by a 422, which later requests repeat (RFC 4028 §7.4); 0: none.
    pub(crate) min: u32,
    /// True when the peer allows UPDATE: refreshes go by it.
    pub(crate) peer_updates: bool,
    /// Our last description: what a refresh by re-INVITE offers again.
    pub(crate) local: Option<Bytes>,
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) side: Side,
    pub(crate) identity: IdentityId,
    pub(crate) local_tag: Arc<str>,
    pub(crate) phase: Phase,
    /// Whether its peer has answered our INVITE.
    pub(crate) answered: bool,
    /// The first is the dialog of the session once the call is answered.
    pub(crate) forks: Vec<Fork>,
    /// A change of the session that is under way.
    pub(crate) change: Option<Change>,
    /// True after a 491, until our offer may be tried again (RFC 3261 §14.1). The peer's may come meanwhile.
    pub(crate) glare: bool,
    pub(crate) unacked: Option<Box<Unacked>>,
    /// One for each INVITE of ours whose transaction waits for more 2xx.
    pub(crate) acks: Vec<SentAck>,
    pub(crate) overtaken: Option<Box<Overtaken>>,
    pub(crate) queue: VecDeque<Waiting>,
    pub(crate) session: Session,
    /// How many REFERs use the dialog.
    pub(crate) refers: u32,
}

impl Call {
    pub(crate) fn new(
        id: CallId,
        side: Side,
        identity: IdentityId,
        local_tag: Arc<str>,
        phase: Phase,
    ) -> Call {
        Call {
            id,
            side,
            identity,
            local_tag,
            phase,
            answered: false,
            forks: Vec::new(),
            change: None,
            glare: false,
            unacked: None,
            acks: Vec::new(),
            overtaken: None,
            queue: VecDeque::new(),
            session: Session::default(),
            refers: 0,
        }
    }

    /// The place of the dialog with this remote tag.
    pub(crate) fn fork(&self, call_id: &str, remote_tag: &str) -> Option<usize> {
        self.forks
            .iter()
            .position(|fork| fork.dialog.is(call_id, &self.local_tag, remote_tag))
    }

    /// The dialog of the session, or the first early one.
    pub(crate) fn main(&self) -> Option<&Fork> {
        self.forks.first()
    }

    pub(crate) fn main_mut(&mut self) -> Option<&mut Fork> {
        self.forks.first_mut()
    }

    /// The dialog with this number.
    pub(crate) fn numbered_mut(&mut self, number: u16) -> Option<&mut Fork> {
        self.forks.iter_mut().find(|fork| fork.number == number)
    }

    /// The exchange of the session.
    pub(crate) fn exchange(&self) -> Exchange {
        self.main().map_or(Exchange::NEW, |fork| fork.exchange)
    }

    /// True until its end was told.
    pub(crate) fn lives(&self) -> bool {
        !matches!(self.phase, Phase::Leaving | Phase::Over)
    }

    /// True when our INVITE is being cancelled, or the call has ended.
    pub(crate) fn is_hanging_up(&self) -> bool {
        match &self.phase {
            Phase::Calling(calling) => calling.hangup.is_some(),
            Phase::Ringing(_) | Phase::Answered | Phase::Established => false,
            Phase::Leaving | Phase::Over => true,
        }
    }

    /// True when nothing holds it any more.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Over) && self.refers == 0
    }

    /// The dialogs that it holds.
    pub(crate) fn dialogs(&self) -> usize {
        self.forks.len()
    }

    /// Notes what a message of the peer says about later requests.
    pub(crate) fn learn(&mut self, message: &Message) {
        let mut said = false;
        let updates = message.headers(HeaderName::Allow).any(|value| {
            said = true;
            value.split(',').any(|method| method.trim() == "UPDATE")
        });
        if said {
            self.session.peer_updates = updates;
        }
    }

    /// Forgets every timer of the call.
    pub(crate) fn clear_timers(&self, channel: &mut Channel) {
        let id = self.id;
        for timer in [
            UsageTimer::RingExpires(id),
            UsageTimer::RepeatProgress(id),
            UsageTimer::RepeatReliable(id),
            UsageTimer::AwaitPrack(id),
            UsageTimer::RepeatAnswer(id),
            UsageTimer::AwaitAck(id),
            UsageTimer::Glare(id),
            UsageTimer::SessionRefresh(id),
            UsageTimer::SessionExpires(id),
        ] {
            channel.timers.clear(timer);
        }
    }

    /// Sets the session timer anew, from `now` on (RFC 4028 §7.2, §9).
    pub(crate) fn restart_session_timer(&mut self, channel: &mut Channel, now: Time, agreed: Option<Agreed>) {
        self.session.timer = agreed;
        channel.timers.clear(UsageTimer::SessionRefresh(self.id));
        channel.timers.clear(UsageTimer::SessionExpires(self.id));
        let Some(agreed) = agreed else { return };
        if agreed.local {
            channel
                .timers
                .set(UsageTimer::SessionRefresh(self.id), now + agreed.refresh_after());
        }
        channel
            .timers
            .set(UsageTimer::SessionExpires(self.id), now + agreed.expire_after());
    }
}
