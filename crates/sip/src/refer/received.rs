//! The side that receives REFER, and reports by NOTIFY.

use std::sync::Arc;
use std::time::Duration;

use callwright_sip_message::body::Sipfrag;
use callwright_sip_message::header::{ReferSub, ReferTo};
use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::{Cause, Flow, Time};

use super::{Refer, SUBSCRIPTION, Side};
use crate::command::{Body, Reject};
use crate::core::ServerId;
use crate::dialog::{Dialog, ends_dialog};
use crate::endpoint::{CallId, Endpoint, IdentityId, Misuse, Owner, Purpose, ReferId, Reply, UsageTimer};
use crate::event::{Event, Referred};
use crate::head::Head;
use crate::phrase::reason_phrase;

impl Endpoint {
    /// A REFER of the peer; `call` where it came in one.
    pub(crate) fn on_refer(
        &mut self,
        now: Time,
        call: Option<CallId>,
        server: ServerId,
        message: Message,
        flow: Flow,
    ) {
        let target = message.typed::<ReferTo>().ok().flatten();
        let (Some(ReferTo(target)), Ok(head)) = (target, Head::of(&message)) else {
            // RFC 3515 §2.4.2: exactly one Refer-To.
            let reply = Reply::new(400).with_reason(Some("Missing or Broken Refer-To".to_owned()));
            self.refuse_request(now, call, server, &message, &reply);
            return;
        };
        let replaces = target
            .uri
            .header_pairs()
            .find(|(name, _)| name.eq_ignore_ascii_case("Replaces"))
            .and_then(|(_, value)| crate::replaces::parse(&value));
        let subscribe = message
            .typed::<ReferSub>()
            .ok()
            .flatten()
            .is_none_or(|sub| sub.wanted);
        let identity = match call.and_then(|call| self.calls.get(call)) {
            Some(call) => call.identity,
            None => self.identity_for(&message).unwrap_or(IdentityId::NOBODY),
        };
        let own = call.is_none().then(|| {
            let mut dialog = Dialog::as_server(&head, self.channel.tag());
            dialog.flow = Some(flow);
            Box::new(dialog)
        });
        let tag = own.as_ref().map(|own| own.local_tag.clone());
        let side = Side::Asked {
            server,
            request: message.clone(),
            own,
        };
        let refer = self.channel.refers.insert(Refer {
            call,
            identity,
            cseq: head.cseq.number,
            side,
            subscribe,
        });
        if let Some(tag) = tag {
            self.channel.owners.insert(tag, Owner::Refer(refer));
        }
        self.channel.tell(Event::Referred(Box::new(Referred {
            refer,
            call,
            identity: Some(identity).filter(|identity| *identity != IdentityId::NOBODY),
            target: target.uri.without_headers(),
            replaces,
            referred_by: message
                .header(HeaderName::ReferredBy)
                .map(|value| value.into_owned()),
            subscribe,
            message,
        })));
    }

    /// Takes a REFER with 202 (200 where no subscription is wanted) and a first NOTIFY of `100 Trying`.
    ///
    /// # Errors
    ///
    /// When it was answered already, or its call is over.
    pub fn accept_refer(&mut self, now: Time, refer: ReferId, cause: Option<Cause>) -> Result<(), Misuse> {
        let (server, request, own) = self.take_asked(refer)?;
        let entry = self
            .channel
            .refers
            .get_mut(refer)
            .ok_or(Misuse::Gone { what: "REFER" })?;
        let (call, subscribe, identity) = (entry.call, entry.subscribe, entry.identity);
        let tag = own.as_ref().map(|own| own.local_tag.clone());
        entry.side = Side::Notifying {
            own,
            last: false,
            status: 100,
            reason: reason_phrase(100).to_owned(),
        };
        let tag = tag.unwrap_or_else(|| self.tag_of(call));
        let mut reply = Reply::new(if subscribe { 202 } else { 200 }).with_contact();
        if !subscribe {
            reply = reply.with(HeaderName::ReferSub, "false");
        }
        self.channel
            .respond(now, server, &request, Some(identity), &tag, &reply, cause);
        if let Some(call) = call {
            self.with_call(call, |call, _| call.refers += 1);
        }
        if subscribe {
            self.channel
                .timers
                .set(UsageTimer::ReferExpires(refer), now + SUBSCRIPTION);
            self.send_notify(now, refer, 100, reason_phrase(100), None, cause);
        }
        self.settle(now);
        Ok(())
    }

    /// Refuses a REFER with 400 to 699.
    ///
    /// # Errors
    ///
    /// When it was answered already, or its call is over.
    pub fn reject_refer(
        &mut self,
        now: Time,
        refer: ReferId,
        reject: Reject,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        let (server, request, own) = self.take_asked(refer)?;
        let entry = self
            .channel
            .refers
            .remove(refer)
            .ok_or(Misuse::Gone { what: "REFER" })?;
        let reply = Reply::new(reject.status)
            .with_reason(reject.reason)
            .with_extra(reject.headers);
        let tag = match &own {
            Some(own) => own.local_tag.clone(),
            None => self.tag_of(entry.call),
        };
        self.channel
            .respond(now, server, &request, Some(entry.identity), &tag, &reply, cause);
        if let Some(own) = own {
            self.channel.owners.remove(&own.local_tag);
        }
        self.settle(now);
        Ok(())
    }

    /// Reports how far the call that a REFER asked for has got: its last status. From 200 on the report is the last
    /// one, and the handle is gone. Where no reports are wanted nothing is sent.
    ///
    /// # Errors
    ///
    /// When the REFER was not accepted, or is over.
    pub fn notify_refer(
        &mut self,
        now: Time,
        refer: ReferId,
        status: u16,
        reason: &str,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        let entry = self
            .channel
            .refers
            .get(refer)
            .ok_or(Misuse::Gone { what: "REFER" })?;
        match entry.side {
            Side::Notifying { last: false, .. } => {}
            Side::Notifying { last: true, .. } | Side::Sent { .. } => {
                return Err(Misuse::Gone { what: "REFER" });
            }
            Side::Asked { .. } => {
                return Err(Misuse::State {
                    operation: "notify_refer",
                    state: "has a REFER that was not accepted",
                });
            }
        }
        if entry.subscribe {
            let end = (status >= 200).then_some("noresource");
            self.send_notify(now, refer, status, reason, end, cause);
        } else if status >= 200 {
            self.refer_over(refer);
        }
        self.settle(now);
        Ok(())
    }

    /// RFC 6665 §4.2.2: the last NOTIFY says why.
    pub(super) fn received_refer_expired(&mut self, now: Time, id: ReferId) {
        self.repeat_notify(now, id, Some("timeout"));
    }

    /// Reports what was reported last.
    fn repeat_notify(&mut self, now: Time, id: ReferId, end: Option<&str>) {
        let told = self.channel.refers.get(id).and_then(|refer| match &refer.side {
            Side::Notifying { status, reason, .. } => Some((*status, reason.clone())),
            Side::Sent { .. } | Side::Asked { .. } => None,
        });
        if let Some((status, reason)) = told {
            self.send_notify(now, id, status, &reason, end, None);
        }
    }

    /// A SUBSCRIBE to the subscription that a REFER made (RFC 3515 §2.4.4), in the dialog of a call.
    pub(crate) fn on_refer_subscribe(
        &mut self,
        now: Time,
        call: CallId,
        server: ServerId,
        message: &Message,
    ) {
        let number = message
            .event()
            .ok()
            .flatten()
            .and_then(|event| event.id().and_then(|id| id.parse::<u32>().ok()));
        let found = self
            .channel
            .refers
            .iter()
            .find(|(_, refer)| {
                refer.call == Some(call)
                    && matches!(refer.side, Side::Notifying { last: false, .. })
                    // RFC 3515 §2.4.6: the id may be missing for the first REFER of a dialog.
                    && number.is_none_or(|number| number == refer.cseq)
            })
            .map(|(id, _)| id);
        match found {
            Some(id) => {
                let tag = self.tag_of(Some(call));
                self.resubscribe(now, id, server, message, &tag);
            }
            // Only a REFER makes such a subscription.
            None => self.refuse_request(now, Some(call), server, message, &Reply::new(481)),
        }
    }

    /// The same in the dialog that a REFER has for itself.
    pub(crate) fn on_own_refer_subscribe(
        &mut self,
        now: Time,
        id: ReferId,
        server: ServerId,
        message: &Message,
        flow: Flow,
    ) {
        let taken = self.channel.refers.get_mut(id).and_then(|refer| {
            let notifying = matches!(refer.side, Side::Notifying { last: false, .. });
            let own = refer.own_dialog().filter(|_| notifying)?;
            let head = Head::of(message).ok()?;
            if !own.is(&head.call_id, &head.tag_in_to(), &head.tag_in_from()) {
                return None;
            }
            own.flow = Some(flow);
            own.refresh_target(&head);
            Some(own.take_cseq(head.cseq.number).map(|()| own.local_tag.clone()))
        });
        match taken {
            Some(Ok(tag)) => self.resubscribe(now, id, server, message, &tag),
            Some(Err(_)) => self.refuse_request(now, None, server, message, &Reply::new(500)),
            None => self.refuse_request(now, None, server, message, &Reply::new(481)),
        }
    }

    /// Refreshes a subscription, or ends it, and reports as each SUBSCRIBE wants it (RFC 6665 §4.2.1.2).
    fn resubscribe(&mut self, now: Time, id: ReferId, server: ServerId, message: &Message, tag: &str) {
        let wanted = message.expires().ok().flatten();
        let expires = wanted.map_or(SUBSCRIPTION, |seconds| {
            Duration::from_secs(seconds.into()).min(SUBSCRIPTION)
        });
        let identity = self.channel.refers.get(id).map(|refer| refer.identity);
        let reply = Reply::new(200)
            .with_contact()
            .with(HeaderName::Expires, expires.as_secs());
        self.channel
            .respond(now, server, message, identity, tag, &reply, None);
        if expires.is_zero() {
            self.channel.timers.clear(UsageTimer::ReferExpires(id));
            self.repeat_notify(now, id, Some("timeout"));
        } else {
            self.channel
                .timers
                .set(UsageTimer::ReferExpires(id), now + expires);
            self.repeat_notify(now, id, None);
        }
    }

    /// The response to a NOTIFY of ours, or that there is none (`None`).
    pub(crate) fn on_notify_response(&mut self, id: ReferId, status: Option<u16>) {
        let Some(refer) = self.channel.refers.get(id) else {
            return;
        };
        let last = matches!(refer.side, Side::Notifying { last: true, .. });
        // RFC 6665 §4.2.2: a NOTIFY that times out or meets 481 ends the subscription; the call goes on (RFC 5057 §5.1).
        if last || status.is_none_or(ends_dialog) {
            self.refer_over(id);
        }
    }

    fn send_notify(
        &mut self,
        now: Time,
        id: ReferId,
        status: u16,
        reason: &str,
        end: Option<&str>,
        cause: Option<Cause>,
    ) {
        let left = self
            .channel
            .timers
            .at(UsageTimer::ReferExpires(id))
            .map_or(Duration::ZERO, |at| at.since(now));
        let Some(refer) = self.channel.refers.get_mut(id) else {
            return;
        };
        let (cseq, identity, call) = (refer.cseq, refer.identity, refer.call);
        let Side::Notifying {
            own,
            last,
            status: told,
            reason: said,
        } = &mut refer.side
        else {
            return;
        };
        *last = end.is_some();
        *told = status;
        reason.clone_into(said);
        let draft = match own {
            Some(own) => Some(own.draft(Method::Notify)),
            None => call
                .and_then(|call| self.calls.get_mut(call))
                .and_then(|call| call.main_mut().map(|fork| fork.dialog.draft(Method::Notify))),
        };
        let Some(draft) = draft else { return };
        let state = match end {
            Some(why) => format!("terminated;reason={why}"),
            None => format!("active;expires={}", left.as_secs()),
        };
        let fragment = Sipfrag::status_line(status, reason);
        let draft = draft
            .with(HeaderName::Event, format_args!("refer;id={cseq}"))
            .with(HeaderName::SubscriptionState, state)
            .with_body(Some(Body::new("message/sipfrag;version=2.0", fragment)));
        self.channel
            .send(now, identity, Purpose::Notify(id), draft, cause);
    }

    fn take_asked(&mut self, id: ReferId) -> Result<(ServerId, Message, Option<Box<Dialog>>), Misuse> {
        let refer = self
            .channel
            .refers
            .get_mut(id)
            .ok_or(Misuse::Gone { what: "REFER" })?;
        match &mut refer.side {
            Side::Asked { server, request, own } => Ok((*server, request.clone(), own.take())),
            Side::Sent { .. } | Side::Notifying { .. } => Err(Misuse::State {
                operation: "answering a REFER",
                state: "has its REFER answered already",
            }),
        }
    }

    fn tag_of(&self, call: Option<CallId>) -> Arc<str> {
        call.and_then(|call| self.calls.get(call))
            .map_or_else(|| Arc::from(""), |call| call.local_tag.clone())
    }
}
