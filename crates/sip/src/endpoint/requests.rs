//! Requests that are about no session: INFO, MESSAGE, OPTIONS and others, both ways.

use callwright_sip_message::{Message, Method};
use callwright_wire::{Cause, Flow, Time};

use super::channel::Purpose;
use super::{CallId, Endpoint, IncomingId, Misuse, Reply, RequestId};
use crate::command::{Hangup, OutsideRequest, Response};
use crate::core::ServerId;
use crate::dialog::ends_dialog;
use crate::event::{EndCause, Event, Failure};
use crate::refer::Refer;

/// A request that waits for `respond`.
#[derive(Debug)]
pub(super) struct Received {
    server: ServerId,
    request: Message,
    call: Option<CallId>,
}

impl Endpoint {
    /// Sends a request outside any call.
    ///
    /// # Errors
    ///
    /// When the method is INVITE, ACK or CANCEL, or the identity is gone.
    pub fn send_request(
        &mut self,
        now: Time,
        request: OutsideRequest,
        cause: Option<Cause>,
    ) -> Result<RequestId, Misuse> {
        if matches!(request.method, Method::Invite | Method::Ack | Method::Cancel) {
            return Err(Misuse::Method);
        }
        let drafted = self.channel.outside(
            request.identity,
            request.method,
            &request.target,
            &request.addressing,
        );
        let (draft, _) = drafted.ok_or(Misuse::Gone { what: "identity" })?;
        let draft = draft.with_extra(request.headers).with_body(request.body);
        let id = self.channel.requests.insert(None);
        self.channel
            .send(now, request.identity, Purpose::Request(id), draft, cause);
        self.settle(now);
        Ok(id)
    }

    /// A response to a request of the caller of the API.
    pub(super) fn on_own_response(&mut self, now: Time, request: RequestId, message: Message) {
        let Some(call) = self.channel.requests.get(request).copied() else {
            return;
        };
        let status = message.status().unwrap_or_default();
        if status >= 200 {
            self.channel.request_over(request);
        }
        let gone = call
            .filter(|_| ends_dialog(status))
            .map(|call| (call, message.clone()));
        self.channel.tell(Event::Response {
            request,
            call,
            message,
        });
        if let Some((call, message)) = gone {
            self.with_call(call, |call, channel| call.dialog_gone(channel, now, message));
        }
    }

    /// A request of the caller of the API got no response. Inside a dialog that ends the dialog (RFC 3261 §12.2.1.2).
    pub(super) fn on_own_failure(&mut self, now: Time, request: RequestId, end: EndCause) {
        let Some(call) = self.channel.requests.remove(request) else {
            return;
        };
        let failure = match &end {
            EndCause::Timeout { timer } => Failure::Timeout { timer },
            EndCause::Transport { error } => Failure::Transport { error: error.clone() },
            _ => Failure::CallEnded,
        };
        self.channel.tell(Event::RequestFailed {
            request,
            call,
            failure,
        });
        if let Some(call) = call {
            self.with_call(call, |call, channel| {
                call.leave(channel, now, end, Hangup::default(), None)
            });
        }
    }

    /// Takes a request that is about no session: tells it, and answers it unless that is for the layer above.
    pub(super) fn take_request(
        &mut self,
        now: Time,
        call: Option<CallId>,
        server: ServerId,
        message: Message,
        method: &Method,
        flow: Flow,
    ) {
        let identity = if call.is_none() {
            self.identity_for(&message)
        } else {
            None
        };
        let above = self.channel.config.answer_above.contains(method);
        let request = if above {
            Some(self.incoming.insert(Received {
                server,
                request: message.clone(),
                call,
            }))
        } else {
            let reply = match method {
                // RFC 3261 §11.2.
                Method::Options => self.channel.capabilities(),
                _ => Reply::new(200),
            };
            self.refuse_request(now, call, server, &message, &reply);
            None
        };
        self.channel.tell(Event::Request {
            request,
            call,
            identity,
            message,
            flow,
        });
    }

    /// Answers a request of [`Event::Request`].
    ///
    /// # Errors
    ///
    /// When it was answered already, or the status is provisional.
    pub fn respond(
        &mut self,
        now: Time,
        request: IncomingId,
        response: Response,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        if !(200..700).contains(&response.status) {
            return Err(Misuse::Status {
                operation: "respond",
                status: response.status,
            });
        }
        let received = self
            .incoming
            .remove(request)
            .ok_or(Misuse::Gone { what: "request" })?;
        let reply = Reply::new(response.status)
            .with_reason(response.reason)
            .with_extra(response.headers)
            .with_body(response.body);
        let tag = match received.call.and_then(|call| self.calls.get(call)) {
            Some(call) => call.local_tag.clone(),
            None => self.channel.tag(),
        };
        self.channel
            .respond(now, received.server, &received.request, None, &tag, &reply, cause);
        self.settle(now);
        Ok(())
    }

    /// Answers what a call that is gone left unanswered: requests and REFERs of the peer. The transactions would wait for ever.
    pub(super) fn abandon_requests_of(&mut self, now: Time, call: CallId, tag: &str) {
        if self.incoming.len() + self.channel.refers.len() == 0 {
            return;
        }
        let waiting: Vec<_> = self
            .incoming
            .iter()
            .filter(|(_, received)| received.call == Some(call))
            .map(|(id, _)| id)
            .collect();
        for received in waiting.into_iter().filter_map(|id| self.incoming.remove(id)) {
            let reply = Reply::new(481);
            self.channel
                .respond(now, received.server, &received.request, None, tag, &reply, None);
        }
        let refers: Vec<_> = self
            .channel
            .refers
            .iter()
            .filter(|(_, refer)| refer.call == Some(call))
            .map(|(id, _)| id)
            .collect();
        for id in refers {
            if let Some((server, request)) = self.channel.refers.remove(id).and_then(Refer::unanswered) {
                self.channel
                    .respond(now, server, &request, None, tag, &Reply::new(481), None);
            }
        }
    }

    /// Answers a request at once, inside a call or outside.
    pub(crate) fn refuse_request(
        &mut self,
        now: Time,
        call: Option<CallId>,
        server: ServerId,
        message: &Message,
        reply: &Reply,
    ) {
        match call.and_then(|call| self.calls.get(call)) {
            Some(call) => self.channel.answer(now, server, message, call, reply),
            None => self.channel.answer_outside(now, server, message, reply),
        }
    }
}
