//! Requests that are about no session: INFO and MESSAGE pass from leg to leg, a MESSAGE outside calls goes to all contacts of a
//! user, and OPTIONS is answered here (RFC 3261 §11, RFC 3428, RFC 6086).

use std::collections::BTreeMap;

use callwright_sip::command::{Addressing, Body, DialogRequest, Headers, OutsideRequest, Response};
use callwright_sip::endpoint::{CallId, IncomingId, RequestId};
use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::{Flow, Time};

use crate::denial::Asker;
use crate::fact::Binding;
use crate::guard::Kind;
use crate::machine::Machine;

/// What an endpoint understands, for OPTIONS.
const ALLOW: &str =
    "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE, INFO, MESSAGE, OPTIONS, REFER, NOTIFY, REGISTER";

/// Who waits for the answer to a request that was sent on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Relayed {
    /// A request of the other leg.
    Leg(IncomingId),
    /// A MESSAGE that went to all contacts of a user.
    Page(IncomingId),
}

/// MESSAGEs on their way to all contacts of a user: how many have not answered, and the best refusal.
pub(super) type Pages = BTreeMap<IncomingId, (usize, u16)>;

impl Machine {
    /// A request inside a call, or outside any.
    pub(crate) fn on_request(
        &mut self,
        now: Time,
        request: IncomingId,
        call: Option<CallId>,
        message: Message,
        flow: Flow,
    ) {
        if call.is_none()
            && let Err(denial) = self.hear(now, flow, Kind::Other)
        {
            return self.deny(now, Asker::Request(request), flow, denial);
        }
        match (message.method(), call) {
            (Some(Method::Register), _) => self.on_register(now, request, message, flow),
            (Some(Method::Options), call) => self.on_options(now, request, call, &message, flow),
            (Some(Method::Info | Method::Message), Some(call)) => {
                self.pass_request(now, request, call, &message)
            }
            (Some(Method::Message), None) => self.page(now, request, &message, flow),
            // RFC 6086 §4.2.1: INFO belongs into a dialog.
            (Some(Method::Info), None) => self.respond(now, request, 481, Headers::new()),
            // The endpoint asks for no other.
            (Some(_) | None, _) => self.respond(now, request, 405, Headers::new()),
        }
    }

    /// RFC 3261 §11.2: the answer is the one that an INVITE would get.
    fn on_options(
        &mut self,
        now: Time,
        request: IncomingId,
        call: Option<CallId>,
        message: &Message,
        flow: Flow,
    ) {
        let uri = message.request_uri().ok();
        let named = uri.as_ref().filter(|uri| call.is_none() && uri.user().is_some());
        // RFC 3261 §11: who may not call a user may not ask after one either.
        let queue = named.and_then(|uri| self.queue_at(uri));
        if named.is_some()
            && queue.is_none()
            && let Err(denial) = self.admit_sender(now, message, flow)
        {
            return self.deny(now, Asker::Request(request), flow, denial);
        }
        let status = match named.map(|uri| self.user_at(uri)) {
            None => 200,
            Some(None) if queue.is_some() => 200,
            Some(None) => {
                let denial = self.nobody(now, message, flow);
                return self.deny(now, Asker::Request(request), flow, denial);
            }
            Some(Some(user)) => {
                if self.registrar.account(user).bound(now).next().is_none() {
                    let denial = self.absent(now, message, flow);
                    return self.deny(now, Asker::Request(request), flow, denial);
                }
                200
            }
        };
        let headers = if status == 200 {
            vec![
                (HeaderName::Allow, ALLOW.to_owned()),
                (HeaderName::Accept, "application/sdp".to_owned()),
                (
                    HeaderName::Supported,
                    "100rel, replaces, norefersub, timer, path, outbound".to_owned(),
                ),
            ]
        } else {
            Headers::new()
        };
        self.respond(now, request, status, headers);
    }

    /// Hands a request of one leg to the other.
    fn pass_request(&mut self, now: Time, request: IncomingId, call: CallId, message: &Message) {
        let partner = self
            .switch
            .find(call)
            .and_then(|(leg, _)| self.switch.partner(leg))
            .and_then(|partner| self.switch.sip_of(partner));
        let Some(partner) = partner else {
            // Nobody is there yet who could take it.
            return self.respond(now, request, 480, Headers::new());
        };
        if self.switch.relayed.len() >= self.config.limits.relayed_requests {
            return self.respond_over_limit(now, request);
        }
        let passed = DialogRequest {
            method: message.method().unwrap_or(Method::Info),
            body: body_of(message),
            headers: named(
                message,
                &[HeaderName::InfoPackage, HeaderName::ContentDisposition],
            ),
        };
        match self.endpoint.request(now, partner, passed, None) {
            Ok(id) => {
                self.switch.relayed.insert(id, Relayed::Leg(request));
            }
            Err(_) => self.respond(now, request, 480, Headers::new()),
        }
    }

    /// A MESSAGE to a user (RFC 3428 §7): to all its contacts, and the first who takes it answers for all.
    fn page(&mut self, now: Time, request: IncomingId, message: &Message, flow: Flow) {
        if !self.serves() {
            let headers = vec![self.retry_after()];
            return self.respond(now, request, 503, headers);
        }
        if let Err(denial) = self.admit_sender(now, message, flow) {
            return self.deny(now, Asker::Request(request), flow, denial);
        }
        if message.body().len() > self.config.limits.message_bytes {
            self.counters.over_limit += 1;
            return self.respond(now, request, 413, Headers::new());
        }
        let left = message.max_forwards().ok().flatten().unwrap_or(70);
        if left == 0 {
            return self.respond(now, request, 483, Headers::new());
        }
        let user = message.request_uri().ok().and_then(|uri| self.user_at(&uri));
        let Some(user) = user else {
            let denial = self.nobody(now, message, flow);
            return self.deny(now, Asker::Request(request), flow, denial);
        };
        let limit = self.config.limits.forks;
        let contacts: Vec<Binding> = self
            .registrar
            .account(user)
            .bound(now)
            .take(limit)
            .cloned()
            .collect();
        if contacts.is_empty() {
            let denial = self.absent(now, message, flow);
            return self.deny(now, Asker::Request(request), flow, denial);
        }
        // RFC 3261 §16.3, 4: a user who is bound to this machine itself would be asked again and again.
        if contacts
            .iter()
            .any(|binding| self.is_own_contact(&binding.contact))
        {
            self.counters.loops += 1;
            return self.respond(now, request, 482, Headers::new());
        }
        if self.switch.relayed.len() + contacts.len() > self.config.limits.relayed_requests {
            return self.respond_over_limit(now, request);
        }
        let mut headers = named(message, &[HeaderName::ContentDisposition]);
        headers.push((HeaderName::MaxForwards, (left - 1).to_string()));
        self.switch.pages.insert(request, (contacts.len(), 0));
        for binding in contacts {
            let passed = OutsideRequest {
                identity: self.identity,
                method: Method::Message,
                addressing: Addressing {
                    from: message.from().ok(),
                    to: message.to().ok(),
                    flow: Some(binding.flow),
                    only_by_flow: binding.needs_flow(),
                    routes: binding.path,
                },
                target: binding.contact,
                body: body_of(message),
                headers: headers.clone(),
            };
            match self.endpoint.send_request(now, passed, None) {
                Ok(id) => {
                    self.switch.relayed.insert(id, Relayed::Page(request));
                }
                Err(_) => self.on_page_answered(now, request, 480),
            }
        }
    }

    /// The answer to a request that was sent on; `None`: there was none.
    pub(crate) fn on_response(&mut self, now: Time, id: RequestId, message: Option<&Message>) {
        let status = message.and_then(Message::status).unwrap_or(408);
        if status < 200 {
            return;
        }
        match self.switch.relayed.remove(&id) {
            Some(Relayed::Leg(request)) => {
                let response = Response {
                    body: message.and_then(body_of),
                    ..Response::new(for_the_other_side(status))
                };
                self.respond_with(now, request, response);
            }
            Some(Relayed::Page(request)) => self.on_page_answered(now, request, status),
            None => {}
        }
    }

    fn on_page_answered(&mut self, now: Time, request: IncomingId, status: u16) {
        let Some((waiting, best)) = self.switch.pages.get_mut(&request) else {
            return;
        };
        *waiting -= 1;
        let status = for_the_other_side(status);
        if *best == 0 || status < *best {
            *best = status;
        }
        let (waiting, best) = (*waiting, *best);
        if waiting == 0 || (200..300).contains(&status) {
            self.switch.pages.remove(&request);
            self.respond(now, request, best, Headers::new());
        }
    }
}

/// A status that says something about one dialog says nothing about another: 408 and 481 would end it (RFC 5057 §5.1), and a
/// challenge or a redirection is for somebody else.
fn for_the_other_side(status: u16) -> u16 {
    match status {
        408 | 481 => 500,
        300..=399 | 401 | 407 => 480,
        other => other,
    }
}

fn body_of(message: &Message) -> Option<Body> {
    let content_type = message.header(HeaderName::ContentType)?;
    Some(Body::new(content_type.into_owned(), message.body()))
}

fn named(message: &Message, names: &[HeaderName]) -> Headers {
    let value = |name: &HeaderName| {
        message
            .header(name.clone())
            .map(|value| (name.clone(), value.into_owned()))
    };
    names.iter().filter_map(value).collect()
}
