//! What the endpoint tells: calls that come, calls that go on, calls that end.

use callwright_sip::command::{Hangup, Progress as Provisional, Redirect, Reject};
use callwright_sip::core::{Direction as Way, Seen};
use callwright_sip::endpoint::CallId;
use callwright_sip::event::{Description, Event, IncomingCall};
use callwright_sip_message::{Message, NameAddr};

use crate::call::{Call, CallKey, Origin, Peer, Progress};
use crate::trace::{Direction, TracedMessage};

use super::session::MediaError;
use super::{Alarm, Change, Context, UserAgent};

impl UserAgent {
    pub(super) fn handle_event(&mut self, ctx: &mut Context<'_>, event: Event) {
        match event {
            Event::Listening {
                socket,
                transport,
                local,
            } => {
                self.tell_address(transport, local);
                self.handle_listening(ctx, socket, local);
            }
            // A registration over it is made anew by the endpoint.
            Event::FlowClosed { .. } => {}
            Event::ListenFailed { socket, error, .. } => self.handle_listen_failed(socket, error),
            Event::IncomingCall(incoming) => self.handle_incoming_call(ctx, *incoming),
            Event::Progress {
                call,
                fork,
                description,
                message,
                ..
            } => {
                self.handle_progress(ctx, call, fork, description.as_ref(), &message);
            }
            Event::Answered {
                call,
                fork,
                description,
                message,
            } => {
                self.handle_answered(ctx, call, fork, description.as_ref(), &message);
            }
            Event::Confirmed { call, description } => self.handle_confirmed(ctx, call, description.as_ref()),
            Event::Offer { call, offer, .. } => self.handle_offer(ctx, call, offer.as_ref()),
            Event::OfferWithdrawn { call } => self.handle_offer_gone(ctx, call),
            Event::OfferAnswered {
                call,
                description,
                refresh: false,
                ..
            } => self.handle_offer_answered(ctx, call, description.as_ref()),
            Event::OfferRejected {
                call, refresh: false, ..
            } => self.handle_offer_refused(ctx, call),
            // The endpoint asked by itself for what is agreed already.
            Event::OfferAnswered { refresh: true, .. } | Event::OfferRejected { refresh: true, .. } => {
                self.change(Change::Calls);
            }
            Event::Redirected { .. } => self.change(Change::Calls),
            Event::Referred(referred) => self.handle_referred(ctx, *referred),
            Event::ReferProgress { .. } => self.change(Change::Calls),
            Event::ReferEnded { refer, outcome, .. } => self.handle_refer_ended(ctx, refer, &outcome),
            Event::Request { call, message, .. } => self.handle_request(call, &message),
            Event::Response { request, message, .. } => self.handle_response(ctx, request, message),
            Event::RequestFailed { request, failure, .. } => {
                self.handle_request_failed(ctx, request, &failure)
            }
            // What follows from it is told by the events of what it was about; the reason is told by this one alone.
            Event::ChallengeUnmet { error, .. } => {
                self.unmet_challenge = Some(error);
                self.change(Change::Messages);
            }
            // The end of that call was told already; the peer's silence shows in the trace.
            Event::HangupFailed { .. } => self.change(Change::Messages),
            Event::HungUp { .. } => {}
            Event::Ended { call, cause } => self.handle_ended(ctx, call, cause),
            Event::Registration { state, .. } => self.handle_registration(ctx, state),
            Event::Subscription { state, .. } => self.handle_subscription(&state),
            Event::Notify { .. } => {}
            Event::MessageWaiting { summary, .. } => self.handle_message_waiting(&summary),
            Event::Seen(seen) => self.handle_seen(ctx, seen),
            Event::Malformed { .. } => self.malformed += 1,
        }
    }

    fn handle_seen(&mut self, ctx: &Context<'_>, seen: Seen) {
        let direction = match seen.direction {
            Way::Out => Direction::Sent,
            Way::In => Direction::Received,
        };
        self.trace.push(TracedMessage {
            time: ctx.now,
            direction,
            bytes: seen.bytes,
            flow: seen.flow,
            retransmission: seen.retransmission,
            cause: seen.cause,
        });
        self.change(Change::Messages);
    }

    fn handle_incoming_call(&mut self, ctx: &mut Context<'_>, incoming: IncomingCall) {
        let IncomingCall {
            call: sip,
            offer,
            replaces,
            message,
            ..
        } = incoming;
        if self.closing {
            // It may have been cancelled meanwhile.
            let _ = self.endpoint.reject(ctx.now, sip, Reject::new(480), ctx.cause);
            return;
        }
        let peer = message.from().map(|from| peer_of(&from)).unwrap_or_default();
        let call = self.begin_call(ctx, Origin::Incoming, peer);
        call.sip = Some(sip);
        call.call_id = message.call_id().map(|id| id.to_string()).unwrap_or_default();
        call.invite = Some(message.clone());
        let (key, keys) = (call.key, call.keys.clone());
        self.newest_invite = Some(message);
        self.change(Change::Calls);
        if let Some(target) = self.deflect_to.clone() {
            let redirect = self.deflection(&target);
            // Here and below: it may have been cancelled meanwhile, and its end is told by an event.
            let _ = self.endpoint.redirect(ctx.now, sip, redirect, ctx.cause);
            return;
        }
        if let Some(response) = self.armed.take_if(|response| response.status >= 300) {
            let headers = super::verbs::named(response.headers.iter()).unwrap_or_default();
            self.set_own_phrase(key, response.status, Some(response.reason.clone()));
            if response.status < 400 {
                let redirect = Redirect {
                    status: response.status,
                    reason: Some(response.reason),
                    contacts: Vec::new(),
                    diversion: None,
                    headers,
                };
                let _ = self.endpoint.redirect(ctx.now, sip, redirect, ctx.cause);
                return;
            }
            let reject = Reject {
                status: response.status,
                reason: Some(response.reason),
                headers,
            };
            let _ = self.endpoint.reject(ctx.now, sip, reject, ctx.cause);
            return;
        }
        if let Some(offer) = offer {
            match self.look_at_offer(&offer, keys) {
                Ok(negotiation) => {
                    if let Some(call) = self.call_mut(key) {
                        call.negotiation = Some(negotiation);
                        call.remote_offer = Some(offer);
                    }
                }
                Err(error) => {
                    let mut reject = Reject::new(error.status());
                    if let Some(warning) = error.warning() {
                        reject
                            .headers
                            .push((callwright_sip_message::HeaderName::Warning, warning));
                    }
                    let _ = self.endpoint.reject(ctx.now, sip, reject, ctx.cause);
                    return;
                }
            }
        }
        self.open_media(ctx, key);
        let provisional = match self.armed.take() {
            Some(armed) => Provisional {
                reason: Some(armed.reason),
                headers: super::verbs::named(armed.headers.iter()).unwrap_or_default(),
                ..Provisional::new(armed.status)
            },
            None => Provisional::new(180),
        };
        // A call that takes the place of another is answered by itself (RFC 3891 §3).
        if replaces.is_some() {
            self.accept_call(ctx, key);
            return;
        }
        if self
            .endpoint
            .progress(ctx.now, sip, provisional, ctx.cause)
            .is_ok()
            && let Some(call) = self.call_mut(key)
        {
            call.progress = Progress::Ringing;
        }
        match self.account.auto_answer {
            Some(after) if after.is_zero() => self.accept_call(ctx, key),
            Some(after) => self.alarms.set(Alarm::AutoAnswer(key), ctx.now + after),
            None => {}
        }
    }

    pub(super) fn answer_by_itself(&mut self, ctx: &mut Context<'_>, key: CallKey) {
        if self.call(key).is_some_and(Call::rings_here) {
            self.accept_call(ctx, key);
        }
    }

    fn handle_progress(
        &mut self,
        ctx: &mut Context<'_>,
        sip: CallId,
        fork: u16,
        description: Option<&Description>,
        message: &Message,
    ) {
        let Some(key) = self.key_of(sip) else { return };
        let status = message.status().unwrap_or_default();
        if let Some(Description::Answer(answer) | Description::Preview(answer)) = description {
            match self.take_answer(ctx, key, answer) {
                Ok(()) => {
                    if let Some(call) = self.call_mut(key) {
                        call.early_answers.insert(fork, answer.clone());
                    }
                }
                // What a provisional response gets wrong the final one may put right.
                Err(_) => self.rollback(key),
            }
        }
        // RFC 3262 §5: the PRACK carries our answer to an offer in a reliable provisional response.
        if let Some(Description::Offer(offer)) = description
            && let Err(error) = self.answer_their_offer(ctx, key, sip, offer)
        {
            self.set_end_reason(key, format!("the offer of the peer cannot be used: {error}"));
            self.hangup_call(ctx, key, Hangup::default());
        }
        if let Some(call) = self.call_mut(key)
            && status > 100
            && call.progress < Progress::Ringing
        {
            call.progress = Progress::Ringing;
        }
        if status > 100 {
            let reason = phrase_of(message);
            self.report_to_referrer(ctx, key, status, &reason);
        }
        self.change(Change::Calls);
    }

    fn handle_answered(
        &mut self,
        ctx: &mut Context<'_>,
        sip: CallId,
        fork: u16,
        description: Option<&Description>,
        message: &Message,
    ) {
        let Some(key) = self.key_of(sip) else { return };
        let early = self
            .call_mut(key)
            .map(|call| std::mem::take(&mut call.early_answers));
        let agreed = match description {
            Some(Description::Answer(answer) | Description::Preview(answer)) => {
                self.take_answer(ctx, key, answer)
            }
            Some(Description::Offer(offer)) => self.answer_their_offer(ctx, key, sip, offer),
            // All was agreed in provisional responses, and perhaps another fork's came last.
            None => match early.and_then(|mut answers| answers.remove(&fork)) {
                Some(answer) => self.take_answer(ctx, key, &answer),
                None => Ok(()),
            },
        };
        if let Some(call) = self.call_mut(key) {
            call.progress = Progress::Established;
            call.offered = None;
        }
        let (status, reason) = (message.status().unwrap_or(200), phrase_of(message));
        self.report_to_referrer(ctx, key, status, &reason);
        if let Err(error) = agreed {
            // An answer that breaks the rules leaves no session: the call was answered, so it is ended (RFC 3261 §13.2.2.4).
            self.set_end_reason(key, format!("the answer of the peer cannot be used: {error}"));
            self.hangup_call(ctx, key, Hangup::default());
        }
        self.change(Change::Calls);
        self.send_due_offer(ctx, key);
    }

    /// Answers an offer that came in a response.
    fn answer_their_offer(
        &mut self,
        ctx: &mut Context<'_>,
        key: CallKey,
        sip: CallId,
        offer: &bytes::Bytes,
    ) -> Result<(), MediaError> {
        self.take_offer(key, offer)?;
        let answer = self.make_answer(ctx, key)?;
        let _ = self.endpoint.answer_offer(ctx.now, sip, answer, ctx.cause);
        Ok(())
    }

    fn handle_confirmed(&mut self, ctx: &mut Context<'_>, sip: CallId, description: Option<&Description>) {
        let Some(key) = self.key_of(sip) else { return };
        let agreed = match description {
            Some(description) => self.take_answer(ctx, key, description.bytes()),
            None => Ok(()),
        };
        if let Some(call) = self.call_mut(key) {
            call.progress = Progress::Established;
            call.offered = None;
        }
        if let Err(error) = agreed {
            self.set_end_reason(key, format!("the answer of the peer cannot be used: {error}"));
            self.hangup_call(ctx, key, Hangup::default());
        }
        self.change(Change::Calls);
        self.send_due_offer(ctx, key);
    }

    pub(super) fn begin_call(&mut self, ctx: &Context<'_>, origin: Origin, peer: Peer) -> &mut Call {
        self.calls_so_far += 1;
        let mut call = Call::new(CallKey(self.calls_so_far), origin, peer, ctx.now);
        call.keys = self.draw_keys();
        self.calls.push(call);
        let last = self.calls.len() - 1;
        &mut self.calls[last]
    }

    pub(super) fn key_of(&self, sip: CallId) -> Option<CallKey> {
        self.calls
            .iter()
            .find(|call| call.sip == Some(sip))
            .map(Call::key)
    }

    pub(super) fn call_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.key == key)
    }
}

fn peer_of(from: &NameAddr) -> Peer {
    let name = from
        .display
        .as_deref()
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    Peer {
        uri: from.uri.to_string(),
        name,
    }
}

pub(super) fn phrase_of(message: &Message) -> String {
    message
        .reason_phrase()
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default()
}
