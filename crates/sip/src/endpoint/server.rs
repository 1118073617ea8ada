//! Requests that come in: what every server checks (RFC 3261 §8.2), and which usage takes them.

use callwright_sip_message::header::Accept;
use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::{Flow, Time};

use super::channel::Owner;
use super::{CallId, Endpoint, IdentityId, Reply};
use crate::core::ServerId;
use crate::head::{Head, tag_of};
use crate::invite::{Arrival, Call, Phase};
use crate::session_timer::Asked;

/// Extensions that may be required of us.
const EXTENSIONS: [&str; 4] = ["100rel", "replaces", "timer", "norefersub"];

/// What a Replaces found (RFC 3891 §3).
enum Replaced {
    Call(CallId),
    Refused(u16),
}

impl Endpoint {
    /// Takes a request.
    pub(super) fn on_request(
        &mut self,
        now: Time,
        server: ServerId,
        message: Message,
        flow: Flow,
        merged: bool,
    ) {
        let Some(method) = message.method() else { return };
        let owner = self.owner_of(&message);
        // RFC 3515 §2.4.4: the one package that may be subscribed to here, by who sent the REFER.
        let known = owner.is_some() && method == Method::Subscribe && is_of_refer(&message);
        if let Some(reply) = self.objection(&message, &method, known) {
            let call = owner.and_then(|owner| match owner {
                Owner::Call(call) => Some(call),
                Owner::Refer(_) | Owner::Subscription(_) => None,
            });
            self.refuse_request(now, call, server, &message, &reply);
            return;
        }
        match owner {
            Some(Owner::Call(call)) => self.on_call_request(now, call, server, message, method, flow),
            Some(Owner::Subscription(id)) if method == Method::Notify => {
                self.on_notify(now, id, server, message, flow);
            }
            Some(Owner::Refer(id)) if method == Method::Subscribe => {
                self.on_own_refer_subscribe(now, id, server, &message, flow);
            }
            // RFC 3261 §12.2.2: a tag that is not known here.
            Some(Owner::Subscription(_) | Owner::Refer(_)) => self.refuse_outside(now, server, &message, 481),
            None if tag_of(&message, HeaderName::To).is_some() => {
                self.refuse_outside(now, server, &message, 481)
            }
            // RFC 3261 §8.2.2.2.
            None if merged => self.refuse_outside(now, server, &message, 482),
            None => self.on_outside_request(now, server, message, method, flow),
        }
    }

    fn owner_of(&self, message: &Message) -> Option<Owner> {
        let tag = tag_of(message, HeaderName::To)?;
        self.channel.owners.get(tag.as_str()).copied()
    }

    fn refuse_outside(&mut self, now: Time, server: ServerId, message: &Message, status: u16) {
        self.channel
            .answer_outside(now, server, message, &Reply::new(status));
    }

    /// What every request is checked for (RFC 3261 §8.2.1 to §8.2.3). `known`: its method is fine already.
    fn objection(&self, message: &Message, method: &Method, known: bool) -> Option<Reply> {
        let config = &self.channel.config;
        if !known && !config.allow.contains(method) && !config.answer_above.contains(method) {
            let known = !matches!(method, Method::Other(_));
            // SUBSCRIBE is understood, but there is no package here to subscribe to (RFC 6665 §4.2.1.1).
            if *method == Method::Subscribe {
                return Some(Reply::new(489).with(HeaderName::AllowEvents, "refer"));
            }
            let reply = Reply::new(if known { 405 } else { 501 });
            return Some(reply.with(HeaderName::Allow, self.channel.allow()));
        }
        if *method != Method::Invite && message.has_header(HeaderName::Replaces) {
            // RFC 3891 §3.
            return Some(Reply::new(400).with_reason(Some("Replaces belongs into INVITE".to_owned())));
        }
        let unsupported: Vec<_> = message
            .values(HeaderName::Require)
            .filter(|option| {
                let further = config.extensions.iter().map(String::as_str);
                !EXTENSIONS
                    .into_iter()
                    .chain(further)
                    .any(|known| known.eq_ignore_ascii_case(option))
            })
            .map(|option| option.into_owned())
            .collect();
        if !unsupported.is_empty() {
            return Some(Reply::new(420).with(HeaderName::Unsupported, unsupported.join(", ")));
        }
        // What a NOTIFY may carry its SUBSCRIBE said, or its event package (RFC 6665 §4.1.3); it is handed over as it is.
        let free = *method == Method::Notify;
        if !free && !message.body().is_empty() && !self.understands_body(message) {
            return Some(Reply::new(415).with(HeaderName::Accept, self.channel.accept()));
        }
        if *method == Method::Invite
            && let Ok(Some(accept)) = message.typed::<Accept>()
            && !accept.allows("application", "sdp")
        {
            // RFC 3261 §21.4.7: the answer could be nothing but SDP.
            return Some(Reply::new(406));
        }
        None
    }

    fn understands_body(&self, message: &Message) -> bool {
        let optional = message
            .header(HeaderName::ContentDisposition)
            .is_some_and(|value| {
                value
                    .to_ascii_lowercase()
                    .replace(' ', "")
                    .contains("handling=optional")
            });
        let encoded = message
            .header(HeaderName::ContentEncoding)
            .is_some_and(|value| !value.is_empty() && !value.eq_ignore_ascii_case("identity"));
        let known = self
            .channel
            .config
            .accept
            .iter()
            .any(|kind| message.has_content_type(kind));
        optional || (known && !encoded)
    }

    fn on_call_request(
        &mut self,
        now: Time,
        id: CallId,
        server: ServerId,
        message: Message,
        method: Method,
        flow: Flow,
    ) {
        let (Ok(call_id), Ok(cseq)) = (message.call_id(), message.cseq()) else {
            return self.refuse_outside(now, server, &message, 400);
        };
        let remote = tag_of(&message, HeaderName::From).unwrap_or_default();
        let found = self
            .calls
            .get(id)
            .and_then(|call| call.fork(call_id.as_str(), &remote));
        let Some(place) = found else {
            self.refuse_outside(now, server, &message, 481);
            return;
        };
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let fork = &mut call.forks[place];
        fork.dialog.flow = Some(flow);
        if fork.dialog.take_cseq(cseq.number).is_err() {
            // RFC 3261 §12.2.2.
            self.refuse_request(now, Some(id), server, &message, &Reply::new(500));
            return;
        }
        let lives = call.lives();
        match method {
            Method::Bye => {
                self.with_call(id, |call, channel| {
                    call.on_bye(channel, now, server, message, place)
                });
            }
            Method::Notify => self.on_call_notify(now, id, server, message),
            // As the NOTIFYs, it may outlive the call (RFC 5057 §2).
            Method::Subscribe if is_of_refer(&message) => self.on_refer_subscribe(now, id, server, &message),
            // RFC 5407 §3.2: after a BYE of either side nothing else is taken.
            _ if !lives => self.refuse_request(now, Some(id), server, &message, &Reply::new(481)),
            Method::Invite => {
                self.note_invite(server, id);
                self.with_call(id, |call, channel| {
                    call.on_reinvite(channel, now, server, message)
                });
            }
            Method::Update => {
                self.with_call(id, |call, channel| {
                    call.on_update(channel, now, server, message, place)
                });
            }
            Method::Prack => {
                self.with_call(id, |call, channel| call.on_prack(channel, now, server, message));
            }
            Method::Refer => self.on_refer(now, Some(id), server, message, flow),
            Method::Register | Method::Publish | Method::Subscribe if !self.above(&method) => {
                self.refuse_request(now, Some(id), server, &message, &Reply::new(405));
            }
            _ => self.take_request(now, Some(id), server, message, &method, flow),
        }
    }

    fn above(&self, method: &Method) -> bool {
        self.channel.config.answer_above.contains(method)
    }

    fn on_call_notify(&mut self, now: Time, call: CallId, server: ServerId, message: Message) {
        let package = message.event().ok().flatten().map(|event| event.package);
        match package.as_deref() {
            Some("refer") => self.on_refer_notify(now, call, server, message),
            Some("message-summary") => {
                self.refuse_request(now, Some(call), server, &message, &Reply::new(200));
                self.tell_message_waiting(None, message);
            }
            // RFC 6665 §4.1.3: no such subscription here.
            Some(_) | None => self.refuse_request(now, Some(call), server, &message, &Reply::new(489)),
        }
    }

    fn on_outside_request(
        &mut self,
        now: Time,
        server: ServerId,
        message: Message,
        method: Method,
        flow: Flow,
    ) {
        match method {
            Method::Invite => self.on_invite(now, server, message, flow),
            Method::Refer => self.on_refer(now, None, server, message, flow),
            Method::Notify => {
                let package = message.event().ok().flatten().map(|event| event.package);
                match package.as_deref() {
                    // Many servers tell message waiting unasked (RFC 3842 §2.1 leaves the way of subscribing open).
                    Some("message-summary") => {
                        self.refuse_outside_ok(now, server, &message);
                        self.tell_message_waiting(None, message);
                    }
                    Some("refer") => self.refuse_outside(now, server, &message, 481),
                    Some(_) | None => self.refuse_outside(now, server, &message, 489),
                }
            }
            // These live in dialogs only.
            Method::Bye | Method::Update | Method::Prack => self.refuse_outside(now, server, &message, 481),
            Method::Info if !self.above(&method) => self.refuse_outside(now, server, &message, 481),
            _ => self.take_request(now, None, server, message, &method, flow),
        }
    }

    fn refuse_outside_ok(&mut self, now: Time, server: ServerId, message: &Message) {
        self.channel
            .answer_outside(now, server, message, &Reply::new(200));
    }

    fn on_invite(&mut self, now: Time, server: ServerId, message: Message, flow: Flow) {
        let Ok(head) = Head::of(&message) else {
            return self.refuse_outside(now, server, &message, 400);
        };
        if head.contact.is_none() {
            // RFC 3261 §8.1.1.8: an INVITE has exactly one Contact.
            let reply = Reply::new(400).with_reason(Some("Missing Contact".to_owned()));
            self.channel.answer_outside(now, server, &message, &reply);
            return;
        }
        if self.calls.len() >= self.channel.config.max_calls {
            let reply = Reply::new(503).with(HeaderName::RetryAfter, 10);
            self.channel.answer_outside(now, server, &message, &reply);
            return;
        }
        if let Err(min) = Asked::by(&message).refuse_below(self.channel.config.min_session) {
            // RFC 4028 §9.
            self.channel.answer_outside(
                now,
                server,
                &message,
                &Reply::new(422).with(HeaderName::MinSe, min),
            );
            return;
        }
        let replaces = match self.replaced(&message) {
            None => None,
            Some(Replaced::Call(call)) => Some(call),
            Some(Replaced::Refused(status)) => {
                self.refuse_outside(now, server, &message, status);
                return;
            }
        };
        let identity = match replaces.and_then(|call| self.calls.get(call)) {
            Some(call) => Some(call.identity),
            None => self.identity_for(&message),
        };
        let offer = crate::body::description(&message);
        let reliable = message.supports("100rel") || message.requires("100rel");
        let arrival = Arrival {
            server,
            request: message.clone(),
            head,
            flow,
            replaces,
        };
        let channel = &mut self.channel;
        let owner = identity.unwrap_or(IdentityId::NOBODY);
        let id = self
            .calls
            .try_insert_with(|id| Some(Call::arrive(channel, now, id, owner, arrival)));
        let Some(id) = id else { return };
        if let Some(call) = self.calls.get(id) {
            self.channel.core.expect_tag(server, &call.local_tag);
            self.channel
                .owners
                .insert(call.local_tag.clone(), Owner::Call(id));
        }
        self.note_invite(server, id);
        let incoming = crate::event::IncomingCall {
            call: id,
            identity,
            offer,
            replaces,
            reliable,
            message,
            flow,
        };
        self.channel.tell(crate::Event::IncomingCall(Box::new(incoming)));
    }

    /// Which call a Replaces names (RFC 3891 §3).
    fn replaced(&self, message: &Message) -> Option<Replaced> {
        let mut values = message.headers(HeaderName::Replaces);
        let value = values.next()?;
        if values.next().is_some() {
            return Some(Replaced::Refused(400));
        }
        let Some(replaces) = crate::replaces::parse(&value) else {
            return Some(Replaced::Refused(400));
        };
        let Some(Owner::Call(id)) = self.channel.owners.get(replaces.to_tag.as_str()).copied() else {
            return Some(Replaced::Refused(481));
        };
        let Some(call) = self.calls.get(id) else {
            return Some(Replaced::Refused(481));
        };
        if call.fork(&replaces.call_id, &replaces.from_tag).is_none() {
            return Some(Replaced::Refused(481));
        }
        Some(match call.phase {
            // RFC 3891 §3: "early-only" and the dialog is confirmed.
            Phase::Established | Phase::Answered if replaces.early_only => Replaced::Refused(486),
            Phase::Established | Phase::Answered => Replaced::Call(id),
            // An early dialog that this side began.
            Phase::Calling(_) => Replaced::Call(id),
            // An early dialog that this side did not begin.
            Phase::Ringing(_) => Replaced::Refused(481),
            // A dialog that has ended already.
            Phase::Leaving | Phase::Over => Replaced::Refused(603),
        })
    }
}

fn is_of_refer(message: &Message) -> bool {
    matches!(message.event(), Ok(Some(event)) if event.package.eq_ignore_ascii_case("refer"))
}
