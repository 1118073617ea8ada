//! REFER and its implicit subscription (RFC 3515, RFC 6665), on both sides; without subscription RFC 4488.

mod received;
mod sent;

use std::time::Duration;

use callwright_sip_message::Message;

use crate::core::ServerId;
use crate::dialog::Dialog;
use crate::endpoint::{CallId, Endpoint, IdentityId, ReferId, UsageTimer};

/// How long the subscription of a REFER that we received lives (RFC 3515 §2.4.4): as long as a call may ring.
const SUBSCRIPTION: Duration = Duration::from_secs(180);

/// How long after its expiration a subscription of ours is still believed in: the time of a last NOTIFY on its way.
const GRACE: Duration = Duration::from_secs(32);

/// A REFER, sent or received.
#[derive(Debug)]
pub(crate) struct Refer {
    pub(crate) call: Option<CallId>,
    pub(crate) identity: IdentityId,
    /// The number of the REFER: the `id` of its subscription (RFC 3515 §2.4.6).
    pub(crate) cseq: u32,
    side: Side,
    /// False when no NOTIFYs are wanted.
    subscribe: bool,
}

#[derive(Debug)]
enum Side {
    /// `told` is true once the outcome was told.
    Sent { told: bool },
    /// Received, not answered. `own` is the dialog of a REFER outside any call.
    Asked {
        server: ServerId,
        request: Message,
        own: Option<Box<Dialog>>,
    },
    /// Received and accepted.
    Notifying {
        own: Option<Box<Dialog>>,
        /// True once the last NOTIFY went out.
        last: bool,
        /// What was reported last.
        status: u16,
        reason: String,
    },
}

impl Refer {
    /// The dialog of a REFER outside any call.
    pub(crate) fn own_dialog(&mut self) -> Option<&mut Dialog> {
        match &mut self.side {
            Side::Asked { own, .. } | Side::Notifying { own, .. } => own.as_deref_mut(),
            Side::Sent { .. } => None,
        }
    }

    /// True when it has a dialog of its own.
    pub(crate) fn has_dialog(&self) -> bool {
        matches!(
            &self.side,
            Side::Asked { own: Some(_), .. } | Side::Notifying { own: Some(_), .. }
        )
    }

    /// The request, while it has no answer.
    pub(crate) fn unanswered(self) -> Option<(ServerId, Message)> {
        match self.side {
            Side::Asked { server, request, .. } => Some((server, request)),
            Side::Sent { .. } | Side::Notifying { .. } => None,
        }
    }

    /// True when it keeps the dialog of its call (RFC 5057 §2).
    fn holds_call(&self) -> bool {
        matches!(self.side, Side::Sent { .. } | Side::Notifying { .. })
    }
}

impl Endpoint {
    /// The subscription is over, and its dialog may go.
    pub(crate) fn refer_over(&mut self, id: ReferId) {
        let Some(mut refer) = self.channel.refers.remove(id) else {
            return;
        };
        self.channel.timers.clear(UsageTimer::ReferExpires(id));
        if let Some(own) = refer.own_dialog() {
            self.channel.owners.remove(&own.local_tag);
        }
        if let Some(call) = refer.call.filter(|_| refer.holds_call()) {
            self.with_call(call, |call, _| call.refers = call.refers.saturating_sub(1));
        }
    }

    /// The subscription of a REFER has run out.
    pub(crate) fn refer_expired(&mut self, now: callwright_wire::Time, id: ReferId) {
        let Some(refer) = self.channel.refers.get(id) else {
            return;
        };
        match refer.side {
            Side::Sent { .. } => self.sent_refer_expired(id),
            Side::Notifying { last: false, .. } => self.received_refer_expired(now, id),
            Side::Notifying { last: true, .. } | Side::Asked { .. } => {}
        }
    }
}
