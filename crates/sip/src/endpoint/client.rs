//! Requests that were challenged, and what they are sent again with (RFC 3261 §22).

use std::sync::Arc;

use callwright_sip_message::{HeaderName, Message};
use callwright_wire::{Flow, Time};

use super::channel::{Channel, Purpose};
use super::pending::{Origin, Sent};
use super::{Endpoint, IdentityId};
use crate::core::ClientId;
use crate::dialog::Draft;
use crate::digest::AuthError;
use crate::event::Event;

/// How many challenges one request meets: each proxy on its way may ask, and each nonce may turn out to be stale, but a server
/// that names a new realm each time would be answered for ever.
const MAX_CHALLENGES: u8 = 5;

impl Endpoint {
    /// Sends a request again with credentials. False when it makes no sense, which is told.
    pub(super) fn meet_challenge(&mut self, now: Time, id: ClientId, response: &Message, flow: Flow) -> bool {
        let Some(pending) = self.channel.pending.get(&id) else {
            return false;
        };
        let origin = pending.origin;
        let Origin {
            purpose, identity, ..
        } = origin;
        // RFC 3261 §9.1: a call that is being given up is not tried again.
        if let Purpose::Invite(call) = purpose
            && self.calls.get(call).is_none_or(|call| call.is_hanging_up())
        {
            return false;
        }
        if origin.challenges >= MAX_CHALLENGES {
            let attempts = origin.challenges;
            let error = AuthError::TooMany { attempts };
            self.channel.tell(Event::ChallengeUnmet { identity, error });
            return false;
        }
        let Sent::Whole(draft) = &pending.sent else {
            return false;
        };
        let request = draft.write(None).finish();
        let Channel {
            identities, entropy, ..
        } = &mut self.channel;
        let Some(local) = identities.get_mut(identity) else {
            return false;
        };
        if let Err(error) = local.digest.challenged(&request, response, entropy) {
            self.channel.tell(Event::ChallengeUnmet { identity, error });
            return false;
        }
        let Some(pending) = self.channel.pending.remove(&id) else {
            return false;
        };
        let Sent::Whole(draft) = pending.sent else {
            return false;
        };
        let was = draft.cseq;
        let mut draft = Arc::unwrap_or_clone(draft);
        // RFC 3261 §22.2: the same request with a higher CSeq.
        let cseq = self.next_cseq(purpose).unwrap_or(was + 1);
        draft.cseq = cseq;
        let origin = Origin {
            challenges: origin.challenges + 1,
            ..origin
        };
        // RFC 3263 §4: to the server that challenged it, which may not be the first that is found. Over a stream its
        // transaction is over already, and the response came on the connection of the request.
        let challenged_on = self.channel.core.flow_of_client(id);
        let challenged_on = challenged_on.or(flow.transport.is_reliable().then_some(flow));
        let Some(client) = self.channel.send_draft(now, origin, draft, challenged_on) else {
            return true;
        };
        match purpose {
            Purpose::Invite(call) => {
                self.with_call(call, |call, channel| call.invite_moved(channel, now, client));
            }
            Purpose::Refer(refer) => {
                if let Some(refer) = self.channel.refers.get_mut(refer) {
                    refer.cseq = cseq;
                }
            }
            Purpose::Reinvite(call) | Purpose::Update(call) => {
                self.with_call(call, |call, _| call.change_moved(was, cseq));
            }
            Purpose::Prack(..)
            | Purpose::Bye(_)
            | Purpose::Notify(_)
            | Purpose::Request(_)
            | Purpose::Register(_)
            | Purpose::Subscribe(_)
            | Purpose::Nobody => {}
        }
        true
    }

    /// The next number of the dialog that a request is sent in; `None` outside dialogs.
    fn next_cseq(&mut self, purpose: Purpose) -> Option<u32> {
        let call = match purpose {
            // Early dialogs of a challenged INVITE are over, and the next ones begin at its number.
            Purpose::Invite(_) | Purpose::Nobody => return None,
            Purpose::Register(id) => return self.register_cseq(id),
            Purpose::Subscribe(id) => return self.subscribe_cseq(id),
            Purpose::Reinvite(call) | Purpose::Update(call) | Purpose::Bye(call) => call,
            Purpose::Prack(call, number) => {
                let call = self.calls.get_mut(call)?;
                let fork = call.forks.iter_mut().find(|fork| fork.number == number)?;
                return Some(fork.dialog.next_cseq());
            }
            Purpose::Refer(id) | Purpose::Notify(id) => {
                let refer = self.channel.refers.get_mut(id)?;
                if let Some(own) = refer.own_dialog() {
                    return Some(own.next_cseq());
                }
                refer.call?
            }
            Purpose::Request(id) => self.channel.requests.get(id).copied()??,
        };
        self.calls
            .get_mut(call)?
            .main_mut()
            .map(|fork| fork.dialog.next_cseq())
    }
}

impl Channel {
    /// Writes the credentials that the identity's servers have asked for so far into a request that is about to leave.
    pub(super) fn authorize(&mut self, identity: IdentityId, draft: &mut Draft) {
        if let Some(local) = self.identities.get_mut(identity) {
            let body = draft.body.as_ref().map_or(&[][..], |body| &body.bytes);
            if !local.digest.has_sessions() && draft.credentials().next().is_none() {
                return;
            }
            let credentials = local
                .digest
                .authorize(draft.method.as_str(), &draft.uri.to_string(), body);
            draft.headers.retain(|(name, _)| !Draft::is_credentials(name));
            draft.headers.extend(
                credentials
                    .into_iter()
                    .map(|(name, value)| (name, value.to_string())),
            );
        }
    }

    /// Takes the next nonce that a server gives.
    pub(super) fn accepted(&mut self, identity: IdentityId, response: &Message) {
        if let Some(local) = self.identities.get_mut(identity)
            && response.has_header(HeaderName::AuthenticationInfo)
        {
            local.digest.accepted(response);
        }
    }
}
