//! A call: who talks, who rings, and what is being changed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use callwright_sip::command::Headers;
use callwright_sip::endpoint::ReferId;
use callwright_sip_message::NameAddr;
use callwright_wire::Time;

use super::LegKey;
use super::presentation::Reached;
use super::speech::Speech;
use crate::fact::EndCause;
use crate::queueing::{AgentKey, QueueKey};

/// How far a call is.
///
/// ```text
///   INVITE ──▶ Ringing ──200 of a contact──▶ Storing ──stored: 200 to the caller──▶ Talking ──BYE──▶ Over
///                 │                             │                                    ▲    │           ▲
///                 │                             └──not stored: 503, BYE──────────────┼────┼───────────┤
///                 │                                              REFER: another end  └────┘           │
///                 └──refused by all, cancelled, not answered──────────────────────────────────────────┘
/// ```
///
/// To a queue:
///
/// ```text
///   INVITE ──▶ Arriving ──stored──▶ Waiting ──200 of an agent──▶ Storing ──▶ Talking, as above
///                                    │  ▲  ▲                        │           │
///            presented, not answered └──┘  └──the agent left at once┘           │
///                                    │     └──────REFER to a queue──────────────┘
///                                    └──overflow──▶ Arriving, Ringing or Speaking ──▶ Over
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It came to a queue.
    Arriving {
        /// That is stored; what is missing are the ports of the caller.
        stored: bool,
    },
    /// The caller waits in a queue; where there is a hunt, the call is presented.
    Waiting,
    /// The caller is to hear what this machine has to say, and is hung up then.
    Speaking {
        /// Whether that began.
        began: bool,
    },
    /// The caller waits, contacts are rung.
    Ringing,
    /// A contact answered; the caller hears of it when that is stored.
    Storing {
        /// The leg that answered.
        callee: LegKey,
    },
    /// Two legs are joined. The first is that of the caller, as long as it takes part.
    Talking {
        /// The legs.
        ends: [LegKey; 2],
    },
    /// It ended, and legs may still say goodbye.
    Over,
}

/// What is known of the caller's INVITE and goes into those of the contacts.
#[derive(Clone, Debug)]
pub(crate) struct Invitation {
    pub(crate) from: NameAddr,
    pub(crate) to: NameAddr,
    pub(crate) max_forwards: u8,
    /// Header fields that are handed on as they are.
    pub(crate) headers: Headers,
    pub(crate) referred_by: Option<String>,
}

/// The search for somebody who answers: for the caller, or for a party whose partner is transferred away.
#[derive(Debug)]
pub(crate) struct Hunt {
    /// For whom.
    pub(crate) on_behalf: LegKey,
    /// The contacts that ring.
    pub(crate) legs: Vec<LegKey>,
    /// The best of the refusals so far (RFC 3261 §16.7, 6).
    pub(crate) best: Option<Refusal>,
    /// The REFER that asked for it, and the leg that it came from.
    pub(crate) referred: Option<(LegKey, ReferId)>,
}

/// Why nobody answers, as it can be handed on.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    pub(crate) headers: Headers,
}

/// A change of the session that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// Whose offer waits for this one; `None` where the machine itself wants the change.
    pub(crate) by: Option<LegKey>,
    /// Who was offered, and has not answered.
    pub(crate) with: LegKey,
}

/// A call's way through queues.
#[derive(Debug)]
pub(crate) struct Queued {
    /// Where it waits, or waited last.
    pub(crate) queue: QueueKey,
    /// Since when.
    pub(crate) since: Time,
    /// How often it was presented.
    pub(crate) attempts: u32,
    /// To whom it is presented now.
    pub(crate) presented: Vec<AgentKey>,
    /// What counts of the contacts that did not take it, of those to whom it is presented.
    pub(crate) reached: BTreeMap<AgentKey, Reached>,
    /// Where it was, so that it does not overflow in circles.
    pub(crate) visited: Vec<QueueKey>,
}

/// An agent who took a call of a queue, as long as it is in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) agent: AgentKey,
    pub(crate) queue: QueueKey,
    /// The agent's leg.
    pub(crate) leg: LegKey,
    pub(crate) since: Time,
}

/// What is said of a call to others.
#[derive(Debug)]
pub(crate) struct Story {
    /// When it came.
    pub(crate) arrived: Time,
    /// When somebody answered it.
    pub(crate) answered: Option<Time>,
    /// The address in the caller's From.
    pub(crate) caller: String,
    /// The address that the caller asked for.
    pub(crate) dialled: String,
    /// Where it came from.
    pub(crate) source: IpAddr,
    /// A fact that names both is stored, or will be.
    pub(crate) told: bool,
    /// No record is kept of it.
    pub(crate) silent: bool,
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) stage: Stage,
    /// The leg of who called, or of who took the place; in a queue, of who waits.
    pub(crate) caller: LegKey,
    /// Whether that leg has a 200.
    pub(crate) caller_answered: bool,
    pub(crate) story: Story,
    pub(crate) queued: Option<Queued>,
    pub(crate) service: Option<Service>,
    /// What the machine has to say to the caller.
    pub(crate) speech: Option<Speech>,
    pub(crate) invitation: Invitation,
    pub(crate) hunt: Option<Hunt>,
    /// The contact whose early media the caller hears.
    pub(crate) early: Option<LegKey>,
    pub(crate) exchange: Option<Exchange>,
    /// How many legs there are, those that leave included.
    pub(crate) legs: usize,
    /// Why it ends, once that is known.
    pub(crate) end: Option<EndCause>,
}

/// How long a party that was transferred away may take to hang up by itself: it is to see the last NOTIFY first.
pub(crate) const LEAVE_AFTER: Duration = Duration::from_secs(2);

impl Call {
    /// A call of this caller that has just come.
    pub(crate) fn new(stage: Stage, caller: LegKey, invitation: Invitation, story: Story) -> Call {
        Call {
            stage,
            caller,
            caller_answered: false,
            story,
            queued: None,
            service: None,
            speech: None,
            invitation,
            hunt: None,
            early: None,
            exchange: None,
            legs: 0,
            end: None,
        }
    }

    /// The leg at the other end.
    pub(crate) fn partner(&self, leg: LegKey) -> Option<LegKey> {
        match self.stage {
            Stage::Talking { ends: [one, other] } if one == leg => Some(other),
            Stage::Talking { ends: [one, other] } if other == leg => Some(one),
            Stage::Talking { .. }
            | Stage::Arriving { .. }
            | Stage::Waiting
            | Stage::Speaking { .. }
            | Stage::Ringing
            | Stage::Storing { .. }
            | Stage::Over => None,
        }
    }

    /// Whether this leg is being rung.
    pub(crate) fn rings(&self, leg: LegKey) -> bool {
        self.hunt.as_ref().is_some_and(|hunt| hunt.legs.contains(&leg))
    }
}

impl Hunt {
    pub(crate) fn new(on_behalf: LegKey, referred: Option<(LegKey, ReferId)>) -> Hunt {
        Hunt {
            on_behalf,
            legs: Vec::new(),
            best: None,
            referred,
        }
    }

    /// Keeps the better of two refusals (RFC 3261 §16.7, 6): 6xx before all, else the lowest class, and of one class the first.
    pub(crate) fn note(&mut self, refusal: Refusal) {
        let rank = |status: u16| if status >= 600 { 0 } else { status / 100 };
        let better = self
            .best
            .as_ref()
            .is_none_or(|best| rank(refusal.status) < rank(best.status));
        if better {
            self.best = Some(refusal);
        }
    }
}

impl Refusal {
    pub(crate) fn new(status: u16) -> Refusal {
        Refusal {
            status,
            reason: None,
            headers: Headers::new(),
        }
    }
}
