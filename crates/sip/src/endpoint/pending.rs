//! Requests that were sent, and what is kept of them for their responses.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::Cause;

use super::channel::Purpose;
use super::id::IdentityId;
use crate::command::Headers;
use crate::dialog::{Dialog, Draft};
use crate::transaction::tag;

/// The longest tag of a dialog that nobody wants and that is remembered.
const LONGEST_TAG: usize = 256;

/// Where a request comes from, and how far it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) purpose: Purpose,
    pub(crate) identity: IdentityId,
    pub(crate) cause: Option<Cause>,
    /// How many challenges it has met.
    pub(crate) challenges: u8,
}

/// A request that waits for its final response, or (INVITE) for more of them.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) origin: Origin,
    pub(crate) sent: Sent,
    /// Of an INVITE: the dialogs that it made beside the one of the call.
    pub(super) strays: Vec<Stray>,
}

/// What is known of a request that was sent.
#[derive(Debug)]
pub(crate) enum Sent {
    Whole(Arc<Draft>),
    /// Of an INVITE that has a 2xx, or was given up: what is not told by each further 2xx, and needed to acknowledge it.
    Accepted {
        cseq: u32,
        only_by_flow: bool,
        credentials: Option<Box<Headers>>,
        /// Of its Call-ID and our tag: a callee that answers with others does not make us speak in another dialog of ours.
        dialog: u64,
    },
}

impl Sent {
    /// Keeps what further 2xx need beside what is in them: `response` is the first.
    pub(super) fn accepted(draft: &Draft, response: &Message) -> Option<Sent> {
        let from = tag(response.header_bytes(HeaderName::From)?);
        if from != tag(draft.from.as_bytes()) || *response.call_id().ok()?.as_str() != *draft.call_id {
            return None;
        }
        Sent::slim(draft)
    }

    /// What is needed of an INVITE that its answers do not tell.
    pub(super) fn slim(draft: &Draft) -> Option<Sent> {
        let credentials: Headers = draft.credentials().cloned().collect();
        Some(Sent::Accepted {
            cseq: draft.cseq,
            only_by_flow: draft.only_by_flow,
            credentials: (!credentials.is_empty()).then(|| Box::new(credentials)),
            dialog: key_of(&draft.call_id, draft.from.as_bytes())?,
        })
    }

    pub(crate) fn cseq(&self) -> u32 {
        match self {
            Sent::Whole(draft) => draft.cseq,
            Sent::Accepted { cseq, .. } => *cseq,
        }
    }

    /// The request that `response` answers: all of it before the first 2xx, later what its ACK takes over. `None` when the
    /// response is one to another request.
    pub(crate) fn draft(&self, response: &Message) -> Option<Arc<Draft>> {
        let (cseq, only_by_flow, credentials) = match self {
            Sent::Whole(draft) => return Some(draft.clone()),
            Sent::Accepted { dialog, .. } if dialog_key(response) != Some(*dialog) => return None,
            Sent::Accepted {
                cseq,
                only_by_flow,
                credentials,
                ..
            } => (*cseq, *only_by_flow, credentials),
        };
        Some(Arc::new(Draft {
            method: Method::Invite,
            // Where an ACK goes is said by Contact; this stands in for it where it is missing.
            uri: response.to().ok()?.uri,
            from: response.header(HeaderName::From)?.as_ref().into(),
            to: response.header(HeaderName::To)?.as_ref().into(),
            call_id: response.call_id().ok()?.as_str().into(),
            cseq,
            routes: Arc::new([]),
            flow: None,
            only_by_flow,
            contact: false,
            headers: credentials.as_deref().cloned().unwrap_or_default(),
            extra: Headers::new(),
            body: None,
        }))
    }
}

/// What tells which INVITE of ours a response belongs to.
pub(super) fn dialog_key(message: &Message) -> Option<u64> {
    key_of(
        message.call_id().ok()?.as_str(),
        message.header_bytes(HeaderName::From)?,
    )
}

/// Of the Call-ID and the tag in From: both are random, and of our own making where they are compared.
fn key_of(call_id: &str, from: &[u8]) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    call_id.hash(&mut hasher);
    tag(from)?.hash(&mut hasher);
    Some(hasher.finish())
}

/// A dialog that a forked INVITE made, and that the call does not go on in.
#[derive(Debug)]
pub(crate) struct Stray {
    pub(crate) remote_tag: Arc<str>,
    /// The last number of ours in it.
    pub(crate) cseq: u32,
    /// True once it was answered, and hung up.
    pub(crate) ended: bool,
}

/// What an answer gets whose dialog nobody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    /// ACK alone: its dialog was hung up before.
    Ack,
    /// ACK and BYE, whose number counts on from this one.
    AckAndBye { after: u32 },
    /// Nothing: who answers with ever new tags does not make us send to whomever it names.
    Nothing,
}

impl Stray {
    /// How far a dialog of an INVITE has counted. `ended`: it needs no BYE from here on.
    pub(super) fn of(dialog: &Dialog, ended: bool) -> Stray {
        Stray {
            remote_tag: dialog.remote_tag.clone(),
            cseq: dialog.last_cseq(),
            ended,
        }
    }
}

impl Pending {
    pub(super) fn new(origin: Origin, draft: Draft) -> Pending {
        Pending {
            origin,
            sent: Sent::Whole(Arc::new(draft)),
            strays: Vec::new(),
        }
    }

    /// What is due to a further answer with this tag.
    pub(super) fn stray(&mut self, tag: &Arc<str>, limit: usize) -> Parting {
        if let Some(stray) = self.strays.iter_mut().find(|stray| stray.remote_tag == *tag) {
            return match std::mem::replace(&mut stray.ended, true) {
                true => Parting::Ack,
                false => Parting::AckAndBye { after: stray.cseq },
            };
        }
        let ended = self.strays.iter().filter(|stray| stray.ended).count();
        if ended >= limit || tag.len() > LONGEST_TAG {
            return Parting::Nothing;
        }
        let cseq = self.sent.cseq();
        self.add_stray(Stray {
            remote_tag: tag.clone(),
            cseq,
            ended: true,
        });
        Parting::AckAndBye { after: cseq }
    }

    pub(super) fn add_stray(&mut self, stray: Stray) {
        // Nearly all have one: `push` would make room for four.
        self.strays.reserve_exact(1);
        self.strays.push(stray);
    }
}
