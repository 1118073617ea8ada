//! CANCEL as a client (RFC 3261 §9.1).

use callwright_sip_message::{HeaderName, Method};
use callwright_wire::{Cause, Time};

use super::ack::skeleton;
use super::client::{Client, Kind, Live, Stage};
use super::failover::Failure;
use super::{ClientId, Core, Due, TransportError};
use crate::arena::Slot;
use crate::timer::TimerName;
use crate::transaction::{Branch, InviteClient};
use crate::transport::via_value;

impl Core {
    /// Cancels a pending INVITE: `headers` (as `Reason`) go into the CANCEL. It leaves when a provisional response came, as RFC
    /// 3261 §9.1 wants; the INVITE then ends with its final response, or with [`TimerName::Cancelled`] after 64·T1.
    ///
    /// `None`: there is nothing to send. The INVITE has its final response or its CANCEL already, or did not leave yet; in
    /// that case it ends with [`TransportError::Cancelled`].
    pub fn cancel(
        &mut self,
        now: Time,
        invite: ClientId,
        headers: &[(HeaderName, String)],
        cause: Option<Cause>,
    ) -> Option<ClientId> {
        let slot = invite.0;
        let client = self.transactions.clients.get(slot)?;
        let live = client.live.as_ref()?;
        if client.kind != Kind::Invite || live.cancel.is_some() {
            return None;
        }
        let proceeding = match &client.stage {
            Stage::Waiting => {
                self.fail_client(now, slot, Failure::Transport(TransportError::Cancelled));
                return None;
            }
            Stage::Invite(InviteClient::Calling { .. }) => false,
            Stage::Invite(InviteClient::Proceeding) => true,
            Stage::Invite(_) | Stage::NonInvite(_) => return None,
        };
        let way = live.way?;
        let request = live.request.as_ref()?;
        let branch = Branch {
            index: slot.index,
            nonce: client.nonce,
        };
        let local = self.sockets.sent_by(&way);
        let via = via_value(way.flow.transport, local, branch);
        let mut builder =
            skeleton(&request.message, Method::Cancel, &via).copy_from(&request.message, HeaderName::To);
        for (name, value) in headers {
            builder = builder.header(name.clone(), value);
        }
        let message = builder.finish();
        let wire = message.raw().clone();
        let live = Live {
            cause,
            way: Some(way),
            from_at: super::echo::from_at(&message, &wire),
            wire,
            ..Live::default()
        };
        let cancel = self.transactions.clients.insert(Client {
            nonce: branch.nonce,
            ..Client::waiting(Kind::Cancel { invite: slot.index }, live)
        });
        self.transactions.cancels.insert(branch, cancel);
        if let Some(client) = self.transactions.clients.get_mut(slot)
            && let Some(live) = &mut client.live
        {
            live.cancel = Some(cancel);
        }
        if proceeding {
            self.send_cancel(now, slot, cancel);
        }
        Some(ClientId(cancel))
    }

    /// A response to an INVITE with a CANCEL came: a first provisional one lets the CANCEL go.
    pub(super) fn cancel_may_go(&mut self, now: Time, invite: Slot, cancel: Slot, status: u16) {
        if status >= 200 {
            self.timers.clear(Due::Client(invite, TimerName::Cancelled));
            self.drop_waiting_cancel(now, cancel);
        } else if self
            .transactions
            .clients
            .get(cancel)
            .is_some_and(Client::is_waiting)
        {
            self.send_cancel(now, invite, cancel);
        }
    }

    fn send_cancel(&mut self, now: Time, invite: Slot, cancel: Slot) {
        // RFC 3261 §9.1: without a final response within 64·T1 the INVITE counts as cancelled.
        self.timers.set(
            Due::Client(invite, TimerName::Cancelled),
            now + self.config.timers.timeout(),
        );
        self.start_machine(now, cancel);
    }

    /// The INVITE is over: a CANCEL that did not leave yet never will.
    pub(super) fn drop_waiting_cancel(&mut self, now: Time, cancel: Slot) {
        let clients = &self.transactions.clients;
        if clients.get(cancel).is_some_and(Client::is_waiting) {
            self.end_client(now, cancel);
        }
    }
}
