//! Provisional responses, reliable ones (RFC 3262) on both sides.

use bytes::Bytes;
use callwright_sip_message::header::RAck;
use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::{Cause, Time};
use std::time::Duration;

use super::call::{Call, Phase};
use super::exchange::{Collision, Exchange};
use super::modify::{Change, Theirs};
use crate::body::description;
use crate::command::{Body, Progress};
use crate::core::ServerId;
use crate::endpoint::{Channel, Misuse, PRACK_WAIT, Purpose, Reply, UsageTimer};
use crate::event::{Description, EndCause, Event, Failure, OfferCarrier};

/// A reliable provisional response that has no PRACK.
#[derive(Debug)]
pub(crate) struct Outstanding {
    rseq: u32,
    wire: Bytes,
    interval: Duration,
    /// True when it carries a description: then the 2xx waits for the PRACK (RFC 3262 §3).
    pub(crate) described: bool,
    cause: Option<Cause>,
}

impl Outstanding {
    /// True for the PRACK that acknowledges it.
    fn is_met_by(&self, cseq: u32, rack: Option<&RAck>) -> bool {
        rack.is_some_and(|rack| rack.rseq == self.rseq && rack.cseq == cseq && rack.method == Method::Invite)
    }
}

/// A reliable provisional response that our 2xx overtook: it is not sent again, yet its PRACK is still taken while the INVITE
/// has its transaction (RFC 3262 §3).
#[derive(Debug)]
pub(crate) struct Overtaken {
    pub(crate) server: ServerId,
    /// The number of the INVITE.
    pub(crate) cseq: u32,
    pub(crate) outstanding: Outstanding,
}

impl Call {
    /// Whether `progress` can be carried out, be it later.
    pub(crate) fn may_progress(&self, progress: &Progress) -> Result<(), Misuse> {
        let Phase::Ringing(ringing) = &self.phase else {
            return Err(Misuse::State {
                operation: "progress",
                state: self.phase.words(),
            });
        };
        if !(101..200).contains(&progress.status) {
            return Err(Misuse::Status {
                operation: "progress",
                status: progress.status,
            });
        }
        let reliable = is_reliable(&ringing.request, progress);
        if progress.description.is_some() && self.exchange() == Exchange::NEW && !reliable {
            return Err(Misuse::DescriptionIllegal {
                operation: "progress",
                why: "an offer in a provisional response must be sent reliably, and the caller does not support that",
            });
        }
        Ok(())
    }

    /// Sends a provisional response.
    pub(crate) fn send_progress(
        &mut self,
        channel: &mut Channel,
        now: Time,
        progress: Progress,
        cause: Option<Cause>,
    ) {
        let Phase::Ringing(ringing) = &mut self.phase else {
            return;
        };
        let reliable = is_reliable(&ringing.request, &progress);
        let Some(fork) = self.forks.first_mut() else {
            return;
        };
        let described = progress.description.is_some();
        if described && reliable {
            match fork.exchange {
                Exchange::RemoteOffer {
                    carrier: OfferCarrier::Invite,
                    ..
                } => fork.exchange.settle(),
                Exchange::Stable { agreed: false } => fork.exchange.offer(),
                Exchange::RemoteOffer { .. }
                | Exchange::Stable { agreed: true }
                | Exchange::LocalOffer { .. } => {}
            }
            self.session.local = progress.description.clone();
        }
        let mut reply = Reply::new(progress.status)
            .with_reason(progress.reason)
            .with_contact()
            .with(HeaderName::Allow, channel.allow())
            .with_extra(progress.headers);
        reply.body = progress
            .description
            .map(|body| Body::new("application/sdp", body));
        let (server, request) = (ringing.server, ringing.request.clone());
        let rseq = if reliable {
            // RFC 3262 §3: the first is chosen at random between 1 and 2^31 - 1, each further one is one more.
            let first = 1 + channel.entropy.below((1 << 31) - 2) as u32;
            ringing.rseq = if ringing.rseq == 0 {
                first
            } else {
                ringing.rseq + 1
            };
            reply = reply
                .with(HeaderName::Require, "100rel")
                .with(HeaderName::RSeq, ringing.rseq);
            Some(ringing.rseq)
        } else {
            None
        };
        let wire = channel.respond(
            now,
            server,
            &request,
            Some(self.identity),
            &self.local_tag,
            &reply,
            cause,
        );
        let Some(rseq) = rseq else {
            self.rang(channel, now, wire);
            return;
        };
        let timers = channel.config.core.timers;
        ringing.last = None;
        ringing.reliable_status = progress.status;
        ringing.outstanding = Some(Outstanding {
            rseq,
            wire,
            interval: timers.t1,
            described,
            cause,
        });
        channel.timers.clear(UsageTimer::RepeatProgress(self.id));
        channel
            .timers
            .set(UsageTimer::RepeatReliable(self.id), now + timers.t1);
        channel
            .timers
            .set(UsageTimer::AwaitPrack(self.id), now + timers.timeout());
    }

    /// The reliable provisional response goes out again: after T1, then twice as long each time (RFC 3262 §3).
    pub(crate) fn repeat_reliable(&mut self, channel: &mut Channel, now: Time) {
        let Phase::Ringing(ringing) = &mut self.phase else {
            return;
        };
        let Some(outstanding) = &mut ringing.outstanding else {
            return;
        };
        channel
            .core
            .resend(now, ringing.server, outstanding.wire.clone(), outstanding.cause);
        outstanding.interval *= 2;
        channel
            .timers
            .set(UsageTimer::RepeatReliable(self.id), now + outstanding.interval);
    }

    /// No PRACK came: the INVITE is refused (RFC 3262 §3).
    pub(crate) fn prack_missing(&mut self, channel: &mut Channel, now: Time) {
        if matches!(self.phase, Phase::Ringing(_)) {
            self.refuse(channel, now, &Reply::new(504), None);
            self.end(channel, now, EndCause::Timeout { timer: PRACK_WAIT });
        }
    }

    /// A PRACK of the caller.
    pub(crate) fn on_prack(&mut self, channel: &mut Channel, now: Time, server: ServerId, message: Message) {
        let rack = message.typed::<RAck>().ok().flatten();
        let matched = match &mut self.phase {
            Phase::Ringing(ringing) => {
                let cseq = ringing.cseq;
                let met = |outstanding: &mut Outstanding| outstanding.is_met_by(cseq, rack.as_ref());
                ringing.outstanding.take_if(met).is_some()
            }
            Phase::Calling(_) | Phase::Answered | Phase::Established | Phase::Leaving | Phase::Over => {
                let met = |overtaken: &mut Box<Overtaken>| {
                    overtaken.outstanding.is_met_by(overtaken.cseq, rack.as_ref())
                };
                self.overtaken.take_if(met).is_some()
            }
        };
        if !matched {
            // RFC 3262 §3: a PRACK that matches no unacknowledged response.
            channel.answer(now, server, &message, self, &Reply::new(481));
            return;
        }
        if !matches!(self.phase, Phase::Ringing(_)) {
            self.on_late_prack(channel, now, server, message);
            return;
        }
        channel.timers.clear(UsageTimer::RepeatReliable(self.id));
        channel.timers.clear(UsageTimer::AwaitPrack(self.id));
        self.progress_later(channel, now);
        let body = description(&message);
        let Some(fork) = self.forks.first_mut() else {
            return;
        };
        match (fork.exchange, body) {
            (Exchange::LocalOffer { .. }, Some(answer)) => {
                fork.exchange.settle();
                channel.answer(now, server, &message, self, &Reply::new(200));
                let description = Some(Description::Answer(answer));
                channel.tell(Event::OfferAnswered {
                    call: self.id,
                    description,
                    message,
                    refresh: false,
                });
            }
            (_, Some(offer)) => match fork.exchange.take_offer(OfferCarrier::Prack) {
                Ok(()) => {
                    let theirs = Theirs {
                        fork: fork.number,
                        server,
                        request: message.clone(),
                        carrier: OfferCarrier::Prack,
                    };
                    self.change = Some(Change::Theirs(Box::new(theirs)));
                    let offer = Some(offer);
                    channel.tell(Event::Offer {
                        call: self.id,
                        offer,
                        carrier: OfferCarrier::Prack,
                        message,
                    });
                }
                Err(Collision::Ours | Collision::Theirs) => {
                    channel.answer(now, server, &message, self, &Reply::new(491));
                }
            },
            (_, None) => channel.answer(now, server, &message, self, &Reply::new(200)),
        }
        self.pump(channel, now);
    }

    /// A PRACK that our 2xx overtook. What was to be agreed by the INVITE is in the 2xx; an offer in the PRACK is one more, where
    /// nothing else is open.
    fn on_late_prack(&mut self, channel: &mut Channel, now: Time, server: ServerId, message: Message) {
        let Some(offer) = description(&message) else {
            channel.answer(now, server, &message, self, &Reply::new(200));
            return;
        };
        let carrier = OfferCarrier::Prack;
        let free = self.change.is_none();
        let taken = self
            .main_mut()
            .filter(|_| free)
            .is_some_and(|fork| fork.exchange.take_offer(carrier).is_ok());
        if !taken {
            channel.answer(now, server, &message, self, &Reply::new(491));
            return;
        }
        let theirs = Theirs {
            // The callee has one dialog.
            fork: 0,
            server,
            request: message.clone(),
            carrier,
        };
        self.change = Some(Change::Theirs(Box::new(theirs)));
        channel.tell(Event::Offer {
            call: self.id,
            offer: Some(offer),
            carrier,
            message,
        });
    }

    /// An INVITE of the peer has no transaction any more.
    pub(crate) fn invite_over(&mut self, server: ServerId) {
        self.overtaken.take_if(|overtaken| overtaken.server == server);
    }

    /// Sends the PRACK to a reliable provisional response.
    pub(crate) fn send_prack(
        &mut self,
        channel: &mut Channel,
        now: Time,
        place: usize,
        rack: String,
        answer: Option<Bytes>,
        cause: Option<Cause>,
    ) {
        let Some(fork) = self.forks.get_mut(place) else {
            return;
        };
        if answer.is_some() {
            fork.exchange.settle();
        }
        let body = answer.map(|answer| Body::new("application/sdp", answer));
        let draft = fork
            .dialog
            .draft(Method::Prack)
            .with(HeaderName::RAck, rack)
            .with_body(body);
        channel.send(
            now,
            self.identity,
            Purpose::Prack(self.id, fork.number),
            draft,
            cause,
        );
    }

    /// The response to a PRACK. A refusal leaves the early dialog to the INVITE's own fate.
    pub(crate) fn on_prack_response(&mut self, channel: &mut Channel, message: Message) {
        let refused = message.status().is_some_and(|status| status >= 300);
        if refused && self.lives() {
            channel.tell(Event::OfferRejected {
                call: self.id,
                failure: Failure::Response(message),
                refresh: false,
            });
        }
    }
}

/// Whether a provisional response goes reliably (RFC 3262 §3): when the caller requires it, or supports it and we want it.
fn is_reliable(request: &Message, progress: &Progress) -> bool {
    let required = request.requires("100rel");
    let supported = required || request.supports("100rel");
    match progress.reliable {
        Some(wanted) => (wanted && supported) || required,
        None => required,
    }
}
