//! The side that sends REFER.

use std::time::Duration;

use callwright_sip_message::body::Sipfrag;
use callwright_sip_message::header::{ReferSub, SubscriptionState};
use callwright_sip_message::{HeaderName, Limits, Message};
use callwright_wire::{Cause, Time};

use super::{GRACE, Refer, SUBSCRIPTION, Side};
use crate::command::{Headers, Refer as Wanted, Replaces};
use crate::core::ServerId;
use crate::dialog::ends_dialog;
use crate::endpoint::{CallId, Endpoint, IdentityId, Misuse, ReferId, Reply, UsageTimer};
use crate::event::{Event, Failure, ReferOutcome};
use crate::invite::Operation;

impl Endpoint {
    /// Asks the peer of an established call to call somebody else (RFC 3515).
    ///
    /// # Errors
    ///
    /// When the call, or the call to be replaced, is over or has no peer yet.
    pub fn refer(
        &mut self,
        now: Time,
        call: CallId,
        refer: Wanted,
        cause: Option<Cause>,
    ) -> Result<ReferId, Misuse> {
        let identity = self.living(call)?.identity;
        let headers = self.refer_headers(identity, &refer)?;
        let side = Side::Sent { told: false };
        let entry = Refer {
            call: Some(call),
            identity,
            cseq: 0,
            side,
            subscribe: refer.subscribe,
        };
        let id = self.channel.refers.insert(entry);
        let operation = Operation::Refer(id, headers);
        let done = self.with_call(call, |call, channel| call.perform(channel, now, operation, cause));
        self.settle(now);
        match done {
            Some(Ok(())) => Ok(id),
            Some(Err(misuse)) => {
                self.channel.refers.remove(id);
                Err(misuse)
            }
            None => Err(Misuse::Gone { what: "call" }),
        }
    }

    fn refer_headers(&self, identity: IdentityId, refer: &Wanted) -> Result<Headers, Misuse> {
        let mut target = refer.target.clone();
        if let Some(other) = refer.replaces {
            let fork = self.living(other)?.main();
            let state = "has no peer yet";
            let dialog = &fork
                .ok_or(Misuse::State {
                    operation: "replacing a call",
                    state,
                })?
                .dialog;
            // RFC 5589 §7.3: the tags as the one sees them who is asked to be called: our remote tag is its local one.
            let replaces = Replaces {
                call_id: dialog.call_id.to_string(),
                to_tag: dialog.remote_tag.to_string(),
                from_tag: dialog.local_tag.to_string(),
                early_only: false,
            };
            target = target.with_header("Replaces", &replaces.to_string());
        }
        let mut headers: Headers = vec![(HeaderName::ReferTo, format!("<{target}>"))];
        if refer.referred_by
            && let Some(local) = self.channel.identities.get(identity)
        {
            headers.push((HeaderName::ReferredBy, format!("<{}>", local.identity.aor)));
        }
        if !refer.subscribe {
            // RFC 4488 §4.
            headers.push((HeaderName::ReferSub, "false".to_owned()));
            headers.push((HeaderName::Supported, "norefersub".to_owned()));
        }
        headers.extend(refer.headers.iter().cloned());
        Ok(headers)
    }

    /// The response to our REFER.
    pub(crate) fn on_refer_response(&mut self, now: Time, id: ReferId, message: Message) {
        let status = message.status().unwrap_or_default();
        let Some(refer) = self.channel.refers.get(id) else {
            return;
        };
        let Some(call) = refer.call else { return };
        let subscribe = refer.subscribe;
        match status {
            ..200 => {}
            200..300 => {
                let reason = message.reason_phrase().unwrap_or_default().into_owned();
                let unsubscribed = message
                    .typed::<ReferSub>()
                    .ok()
                    .flatten()
                    .is_some_and(|sub| !sub.wanted);
                self.channel.tell(Event::ReferProgress {
                    refer: id,
                    call,
                    status,
                    reason,
                    message,
                });
                if unsubscribed || !subscribe {
                    self.refer_told(id, ReferOutcome::Unknown);
                    self.refer_over(id);
                } else if self.channel.timers.at(UsageTimer::ReferExpires(id)).is_none() {
                    // Until a NOTIFY says more: Timer N (RFC 6665 §4.1.2).
                    let wait = self.channel.config.core.timers.timeout();
                    self.channel.timers.set(UsageTimer::ReferExpires(id), now + wait);
                }
            }
            300.. => {
                let gone = ends_dialog(status).then(|| message.clone());
                self.refer_told(id, ReferOutcome::Failed(Failure::Response(message)));
                self.refer_over(id);
                if let Some(message) = gone {
                    self.with_call(call, |call, channel| call.dialog_gone(channel, now, message));
                }
            }
        }
    }

    /// Our REFER got no response.
    pub(crate) fn on_refer_failed(&mut self, id: ReferId, failure: Failure) {
        self.refer_told(id, ReferOutcome::Failed(failure));
        self.refer_over(id);
    }

    /// The subscription ran out without a word.
    pub(super) fn sent_refer_expired(&mut self, id: ReferId) {
        self.refer_told(id, ReferOutcome::Unknown);
        self.refer_over(id);
    }

    /// Tells the outcome, once.
    fn refer_told(&mut self, id: ReferId, outcome: ReferOutcome) {
        let Some(refer) = self.channel.refers.get_mut(id) else {
            return;
        };
        if let (Side::Sent { told }, Some(call)) = (&mut refer.side, refer.call)
            && !std::mem::replace(told, true)
        {
            self.channel.tell(Event::ReferEnded {
                refer: id,
                call,
                outcome,
            });
        }
    }

    /// A NOTIFY about a REFER of ours (RFC 3515 §2.4.4), in the dialog of a call.
    pub(crate) fn on_refer_notify(&mut self, now: Time, call: CallId, server: ServerId, message: Message) {
        let number = message
            .event()
            .ok()
            .flatten()
            .and_then(|event| event.id().and_then(|id| id.parse::<u32>().ok()));
        let fits = |refer: &Refer| {
            let ours = refer.call == Some(call) && matches!(refer.side, Side::Sent { .. });
            // RFC 3515 §2.4.6: the id may be missing for the first REFER of a dialog.
            ours && number.is_none_or(|number| number == refer.cseq)
        };
        let found = self
            .channel
            .refers
            .iter()
            .find(|(_, refer)| fits(refer))
            .map(|(id, _)| id);
        let reply = Reply::new(if found.is_some() { 200 } else { 481 });
        self.with_call(call, |call, channel| {
            channel.answer(now, server, &message, call, &reply)
        });
        let Some(id) = found else { return };
        let state = message.typed::<SubscriptionState>().ok().flatten();
        let terminated = state.as_ref().is_some_and(SubscriptionState::is_terminated);
        let fragment = Sipfrag::parse(&message.body(), &Limits::default()).ok();
        if let Some((status, reason)) = fragment.and_then(|fragment| {
            let reason = fragment.reason_phrase().unwrap_or_default().into_owned();
            fragment.status().map(|status| (status, reason))
        }) {
            self.channel.tell(Event::ReferProgress {
                refer: id,
                call,
                status,
                reason: reason.clone(),
                message,
            });
            if status >= 200 {
                self.refer_told(id, ReferOutcome::Final { status, reason });
            }
        }
        if terminated {
            self.sent_refer_expired(id);
            return;
        }
        let expires = state
            .and_then(|state| state.expires())
            .map_or(SUBSCRIPTION, |s| Duration::from_secs(s.into()));
        self.channel
            .timers
            .set(UsageTimer::ReferExpires(id), now + expires + GRACE);
    }
}
