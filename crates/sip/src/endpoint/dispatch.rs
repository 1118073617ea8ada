//! What the core tells, and whom it concerns.

use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::{Flow, Time};

use super::channel::{Owner, Purpose};
use super::pending::{Origin, Stray};
use super::{CallId, Endpoint, UsageTimer};
use crate::core::{ClientId, CoreEvent, ServerId, TransactionId, TransportError};
use crate::event::{EndCause, Event, Failure};
use crate::head::{Head, tag_of};
use crate::timer::TimerName;

impl Endpoint {
    /// Takes an event of the core.
    pub(super) fn on_core_event(&mut self, now: Time, event: CoreEvent) {
        match event {
            CoreEvent::Bound {
                socket,
                transport,
                local,
            } => {
                self.channel.tell(Event::Listening {
                    socket,
                    transport,
                    local,
                });
            }
            CoreEvent::BindFailed {
                socket,
                transport,
                error,
            } => {
                self.channel.tell(Event::ListenFailed {
                    socket,
                    transport,
                    error,
                });
            }
            CoreEvent::Request {
                id,
                message,
                flow,
                merged,
            } => self.on_request(now, id, message, flow, merged),
            CoreEvent::Ack { message, .. } => self.on_ack(now, &message),
            CoreEvent::Cancel { invite, message, .. } => {
                if let Some(call) = self.invites.get(&invite).copied() {
                    self.with_call(call, |call, channel| call.on_cancel(channel, now, &message));
                }
            }
            CoreEvent::Response { id, message, flow } => self.on_response(now, id, message, flow),
            CoreEvent::StrayAnswer { message, flow } => self.on_stray_answer(now, &message, flow),
            CoreEvent::TimedOut { id, timer } => self.on_lost(now, id, true, lost_by_timer(timer)),
            CoreEvent::TransportFailed { id, sent, error } => {
                self.on_lost(now, id, sent, lost_by_transport(&error));
            }
            CoreEvent::Ended { id } => self.on_transaction_ended(now, id),
            CoreEvent::AckFailed { .. } => {}
            CoreEvent::FlowClosed { flow, .. } => {
                self.flow_closed(now, &flow);
                self.channel.tell(Event::FlowClosed { flow });
            }
            CoreEvent::Seen(seen) => {
                self.note_contact(&seen);
                self.channel.tell(Event::Seen(seen));
            }
            CoreEvent::Malformed {
                flow,
                error,
                answered,
            } => {
                self.channel.tell(Event::Malformed {
                    flow,
                    error,
                    answered,
                });
            }
        }
    }

    fn on_ack(&mut self, now: Time, message: &Message) {
        let (Some(tag), Ok(cseq)) = (tag_of(message, HeaderName::To), message.cseq()) else {
            return;
        };
        let Some(Owner::Call(id)) = self.channel.owners.get(tag.as_str()).copied() else {
            return;
        };
        let (Ok(call_id), remote) = (message.call_id(), tag_of(message, HeaderName::From)) else {
            return;
        };
        self.with_call(id, |call, channel| {
            if call
                .fork(call_id.as_str(), remote.as_deref().unwrap_or_default())
                .is_some()
            {
                call.on_ack(channel, now, message, cseq.number);
            }
        });
    }

    fn on_response(&mut self, now: Time, id: ClientId, message: Message, flow: Flow) {
        let status = message.status().unwrap_or_default();
        if matches!(status, 401 | 407) && self.meet_challenge(now, id, &message, flow) {
            return;
        }
        let Some(pending) = self.channel.pending.get(&id) else {
            return;
        };
        let Some(draft) = pending.sent.draft(&message) else {
            return;
        };
        let Origin {
            purpose,
            identity,
            cause,
            ..
        } = pending.origin;
        // A 2xx to INVITE may come again, and from others too.
        if status >= 300 || (status >= 200 && draft.method != Method::Invite) {
            self.channel.pending.remove(&id);
        }
        if (200..300).contains(&status) {
            self.channel.accepted(identity, &message);
            self.channel.slim(id, &message);
        }
        if let Purpose::Invite(call) = purpose {
            if self.calls.get(call).is_none() {
                // The call is over already, yet another party answers.
                if let (200..300, Ok(head)) = (status, Head::of(&message)) {
                    self.channel.end_stray(now, id, &draft, &head, flow);
                }
                return;
            }
            self.with_call(call, |call, channel| {
                call.on_invite_response(channel, now, id, (draft, cause), message, flow);
            });
            return;
        }
        match purpose {
            Purpose::Invite(_) => {}
            Purpose::Reinvite(call) => {
                self.with_call(call, |call, channel| {
                    call.on_change_response(channel, now, &draft, message, cause)
                });
            }
            Purpose::Update(call) => {
                self.with_call(call, |call, channel| {
                    call.on_change_response(channel, now, &draft, message, cause)
                });
            }
            Purpose::Prack(call, _) if status >= 200 => {
                self.with_call(call, |call, channel| call.on_prack_response(channel, message));
            }
            Purpose::Bye(call) if status >= 200 => {
                // RFC 3261 §15.1.1: 481 and 408 are an end too.
                let agreed = status < 300 || crate::dialog::ends_dialog(status);
                let failure = (!agreed).then(|| Failure::Response(message));
                self.with_call(call, |call, channel| call.on_bye_over(channel, failure));
            }
            Purpose::Refer(refer) => self.on_refer_response(now, refer, message),
            Purpose::Notify(refer) if status >= 200 => self.on_notify_response(refer, Some(status)),
            Purpose::Request(request) => self.on_own_response(now, request, message),
            Purpose::Register(registration) => self.on_register_response(now, registration, message, flow),
            Purpose::Subscribe(subscription) => {
                self.on_subscribe_response(now, subscription, &draft, message, flow)
            }
            Purpose::Prack(..) | Purpose::Bye(_) | Purpose::Notify(_) | Purpose::Nobody => {}
        }
    }

    /// A 2xx to an INVITE whose transaction has ended, or never was.
    fn on_stray_answer(&mut self, now: Time, message: &Message, flow: Flow) {
        let Ok(head) = Head::of(message) else { return };
        if let Some(Owner::Call(id)) = self.channel.owners.get(&head.tag_in_from()).copied() {
            self.with_call(id, |call, channel| {
                call.on_late_answer(channel, now, message, &head, flow);
            });
        } else {
            self.channel.end_late(now, message, &head, flow);
        }
    }

    /// `sent`: it has left, so that an answer may come all the same.
    fn on_lost(&mut self, now: Time, id: TransactionId, sent: bool, end: EndCause) {
        match id {
            TransactionId::Client(id) => {
                if let Some(mut pending) = self.channel.pending.remove(&id) {
                    let purpose = pending.origin.purpose;
                    if let Purpose::Invite(call) = purpose
                        && sent
                    {
                        let forks = self.calls.get(call).map_or(&[][..], |call| &call.forks);
                        for fork in forks {
                            pending.add_stray(Stray::of(&fork.dialog, fork.left || fork.given_up));
                        }
                        self.channel.give_up(now, pending);
                    }
                    self.on_failure(now, purpose, end);
                }
            }
            // The wait for the ACK to a 2xx has a timer of its own, and a refused call is over already.
            TransactionId::Server(id) => {
                if let Some(call) = self.invites.get(&id).copied() {
                    self.with_call(call, |call, channel| call.request_lost(channel, now, id, end));
                }
            }
        }
    }

    /// A request got no response.
    pub(super) fn on_failure(&mut self, now: Time, purpose: Purpose, end: EndCause) {
        match purpose {
            Purpose::Invite(call) => {
                self.with_call(call, |call, channel| call.end(channel, now, end));
            }
            Purpose::Reinvite(call) | Purpose::Update(call) => {
                self.with_call(call, |call, channel| call.on_change_failed(channel, now, end));
            }
            Purpose::Bye(call) => {
                let failure = failure(end);
                self.with_call(call, |call, channel| call.on_bye_over(channel, Some(failure)));
            }
            Purpose::Refer(refer) => self.on_refer_failed(refer, failure(end)),
            Purpose::Notify(refer) => self.on_notify_response(refer, None),
            Purpose::Request(request) => self.on_own_failure(now, request, end),
            Purpose::Register(registration) => self.on_register_failed(now, registration, &failure(end)),
            Purpose::Subscribe(subscription) => self.on_subscribe_failed(now, subscription, &failure(end)),
            // The INVITE that the PRACK belongs to has timers of its own.
            Purpose::Prack(..) | Purpose::Nobody => {}
        }
    }

    fn on_transaction_ended(&mut self, now: Time, id: TransactionId) {
        match id {
            TransactionId::Client(id) => {
                self.channel.timers.clear(UsageTimer::Abandoned(id));
                if let Some(pending) = self.channel.pending.remove(&id)
                    && let Purpose::Invite(call) | Purpose::Reinvite(call) = pending.origin.purpose
                {
                    // No more 2xx will come by it.
                    let number = pending.sent.cseq();
                    self.with_call(call, |call, channel| {
                        if matches!(pending.origin.purpose, Purpose::Invite(_)) {
                            call.without_dialog(channel, now);
                        }
                        call.acks.retain(|ack| ack.cseq != number);
                        call.acks.shrink_to_fit();
                    });
                }
            }
            TransactionId::Server(id) => {
                if let Some(call) = self.invites.remove(&id) {
                    self.with_call(call, |call, _| call.invite_over(id));
                }
            }
        }
    }

    /// Remembers which call an INVITE belongs to, for its CANCEL.
    pub(super) fn note_invite(&mut self, server: ServerId, call: CallId) {
        self.invites.insert(server, call);
    }
}

fn lost_by_timer(timer: TimerName) -> EndCause {
    EndCause::Timeout {
        timer: timer.as_str(),
    }
}

fn lost_by_transport(error: &TransportError) -> EndCause {
    match error {
        TransportError::Cancelled => EndCause::Cancelled {
            remote: false,
            reason: None,
        },
        TransportError::Resolve(_)
        | TransportError::Connection { .. }
        | TransportError::Unreachable { .. }
        | TransportError::NoSocket { .. }
        | TransportError::NoRoute { .. }
        | TransportError::Closed { .. }
        | TransportError::Limit { .. } => EndCause::Transport {
            error: error.to_string(),
        },
    }
}

/// The same for a request that is no INVITE.
fn failure(end: EndCause) -> Failure {
    match end {
        EndCause::Timeout { timer } => Failure::Timeout { timer },
        EndCause::Transport { error } => Failure::Transport { error },
        EndCause::Response(message) | EndCause::DialogGone(message) => Failure::Response(message),
        EndCause::Rejected { .. }
        | EndCause::RemoteBye { .. }
        | EndCause::LocalBye
        | EndCause::Cancelled { .. }
        | EndCause::SessionExpired
        | EndCause::Replaced { .. }
        | EndCause::Protocol { .. } => Failure::CallEnded,
    }
}
