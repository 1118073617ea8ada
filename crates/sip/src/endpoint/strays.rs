//! 2xx to INVITEs that make dialogs which nobody wants: of other forks than the one that a call goes on with, and of INVITEs
//! that were given up (RFC 3261 §13.2.2.4).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use callwright_sip_message::{Message, Method};
use callwright_wire::{Flow, Time};

use super::channel::{Channel, Purpose};
use super::pending::{Origin, Parting, Pending, Sent, Stray, dialog_key};
use super::timer::UsageTimer;
use crate::core::ClientId;
use crate::dialog::{Dialog, Draft};
use crate::head::Head;

/// INVITEs that were given up are forgotten at multiples of this: nobody waits for it, and a server that is gone makes many of them.
const TOGETHER: Duration = Duration::from_secs(1);

/// What is known of one of them.
#[derive(Debug)]
pub(super) struct GivenUpInvite {
    invite: Pending,
    /// Its From: what an answer says instead goes into no request of ours.
    from: Arc<str>,
}

/// INVITEs that nobody waits for any more, while a 2xx to them may yet come: each for one span, and at most
/// [`max_given_up`](crate::EndpointConfig::max_given_up) of them, of which the oldest goes first.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    /// By their Call-ID and our tag.
    invites: BTreeMap<u64, GivenUpInvite>,
    /// Until when each is remembered.
    order: VecDeque<(Time, u64)>,
}

impl GivenUp {
    /// Remembers one.
    pub(super) fn note(&mut self, until: Time, dialog: u64, invite: GivenUpInvite, limit: usize) {
        if self.invites.insert(dialog, invite).is_none() {
            self.order.push_back((until, dialog));
        }
        while self.invites.len() > limit
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.invites.remove(&oldest);
        }
    }

    pub(super) fn get_mut(&mut self, dialog: u64) -> Option<&mut GivenUpInvite> {
        self.invites.get_mut(&dialog)
    }

    /// Forgets those whose time is over.
    pub(super) fn forget_until(&mut self, now: Time) {
        while let Some((_, dialog)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            self.invites.remove(&dialog);
        }
    }

    /// When to forget the next ones.
    pub(super) fn next(&self) -> Option<Time> {
        let (until, _) = self.order.front()?;
        Some(until.next_multiple_of(TOGETHER))
    }
}

impl Channel {
    /// After a 2xx to INVITE only what further 2xx and their ACKs need is kept.
    pub(crate) fn slim(&mut self, client: ClientId, response: &Message) {
        if let Some(pending) = self.pending.get_mut(&client)
            && let Sent::Whole(draft) = &pending.sent
            && let Some(accepted) = Sent::accepted(draft, response)
        {
            pending.sent = accepted;
        }
    }

    /// Remembers how far a dialog of an INVITE has counted. `ended`: it needs no BYE from here on.
    pub(crate) fn strand(&mut self, client: ClientId, dialog: &Dialog, ended: bool) {
        if let Some(pending) = self.pending.get_mut(&client) {
            pending.add_stray(Stray::of(dialog, ended));
        }
    }

    /// A 2xx of another party than the one that the call goes on with: acknowledges it each time that it comes, and hangs its
    /// dialog up once (RFC 3261 §13.2.2.4).
    pub(crate) fn end_stray(&mut self, now: Time, client: ClientId, draft: &Draft, head: &Head, flow: Flow) {
        let limit = self.config.max_forks;
        let tag = head.tag_in_to();
        let Some(pending) = self.pending.get_mut(&client) else {
            return;
        };
        let (parting, origin) = (pending.stray(&tag, limit), pending.origin);
        self.part(now, origin, draft, head, flow, parting);
    }

    /// Remembers an INVITE that has left and got no final response: a 2xx may yet come.
    pub(super) fn give_up(&mut self, now: Time, invite: Pending) {
        let Sent::Whole(draft) = &invite.sent else { return };
        let from = draft.from.clone();
        if let Some(sent @ Sent::Accepted { dialog, .. }) = Sent::slim(draft) {
            let invite = Pending { sent, ..invite };
            let until = now + self.config.core.timers.timeout();
            let limit = self.config.max_given_up;
            self.given_up
                .note(until, dialog, GivenUpInvite { invite, from }, limit);
            self.forget_given_up(now);
        }
    }

    /// Forgets the INVITEs that were given up 64·T1 ago.
    pub(super) fn forget_given_up(&mut self, now: Time) {
        self.given_up.forget_until(now);
        match self.given_up.next() {
            Some(next) => self.timers.set(UsageTimer::GivenUp, next),
            None => self.timers.clear(UsageTimer::GivenUp),
        }
    }

    /// A 2xx without a transaction: acknowledges it, and hangs its dialog up once, where it answers an INVITE that was given up.
    pub(crate) fn end_late(&mut self, now: Time, message: &Message, head: &Head, flow: Flow) {
        let limit = self.config.max_forks;
        let given_up = dialog_key(message).and_then(|dialog| self.given_up.get_mut(dialog));
        let Some(GivenUpInvite { invite, from }) = given_up else {
            return;
        };
        let Some(draft) = invite
            .sent
            .draft(message)
            .filter(|draft| draft.cseq == head.cseq.number)
        else {
            return;
        };
        let draft = Draft {
            from: from.clone(),
            ..Arc::unwrap_or_clone(draft)
        };
        let (parting, origin) = (invite.stray(&head.tag_in_to(), limit), invite.origin);
        self.part(now, origin, &draft, head, flow, parting);
    }

    /// Gives a 2xx that makes a dialog which nobody wants what is due to it.
    fn part(&mut self, now: Time, origin: Origin, draft: &Draft, head: &Head, flow: Flow, parting: Parting) {
        if parting == Parting::Nothing {
            return;
        }
        let Origin { identity, cause, .. } = origin;
        let mut dialog = Dialog::as_client(draft, &head.tag_in_from(), head);
        dialog.flow = Some(flow);
        let ack = dialog.ack(draft.cseq).authorized_as(draft);
        let (target, outgoing) = (self.target(identity, &ack), self.outgoing(identity, &ack));
        self.core.send_ack(now, outgoing, target, cause);
        if let Parting::AckAndBye { after } = parting {
            // RFC 3261 §12.2.1.1: the early dialog may have spent numbers already.
            dialog.raise_cseq(after);
            let bye = dialog.draft(Method::Bye);
            self.send(now, identity, Purpose::Nobody, bye, cause);
        }
    }
}
