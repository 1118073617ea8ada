//! The callee's side of the INVITE that begins a call (RFC 3261 §13.3).

use bytes::Bytes;
use callwright_sip_message::{HeaderName, Message};
use callwright_wire::{Cause, Flow, Time};
use std::time::Duration;

use super::call::{Call, Fork, Phase, Side, Unacked};
use super::exchange::Exchange;
use super::modify::Change;
use super::provisional::{Outstanding, Overtaken};
use crate::body::description;
use crate::command::{Answer, Body, Hangup, Progress, Redirect, Reject};
use crate::core::ServerId;
use crate::dialog::Dialog;
use crate::endpoint::{
    ACK_WAIT, CallId, Channel, INVITE_EXPIRES, IdentityId, Misuse, RING_LIMIT, Reply, UsageTimer,
};
use crate::event::{Description, EndCause, Event, OfferCarrier};
use crate::head::Head;
use crate::session_timer::{Agreed, Asked};

/// How often a provisional response is repeated against proxies that give up a silent INVITE after three minutes
/// (RFC 3261 §13.3.1.1, §16.6 Timer C).
const REPEAT_PROGRESS: Duration = Duration::from_secs(60);

/// What is known while the peer's INVITE has no final response.
#[derive(Debug)]
pub(crate) struct Ringing {
    pub(crate) server: ServerId,
    pub(crate) request: Message,
    /// The call that this one takes the place of.
    pub(crate) replaces: Option<CallId>,
    pub(crate) cseq: u32,
    /// The last provisional response, for its repetition.
    pub(crate) last: Option<Bytes>,
    /// The reliable provisional response that has no PRACK.
    pub(crate) outstanding: Option<Outstanding>,
    /// The RSeq of the last reliable provisional response; 0: none yet.
    pub(crate) rseq: u32,
    /// Its status.
    pub(crate) reliable_status: u16,
    /// True once the final response went out; the call ends then.
    refused: bool,
    /// True when the INVITE itself says how long it may ring.
    expires: bool,
}

impl Ringing {
    /// Whether the caller knows of the dialog: a response with our tag went out.
    pub(crate) fn has_dialog(&self) -> bool {
        self.last.is_some() || self.rseq != 0
    }
}

/// A new INVITE and what was found out about it.
pub(crate) struct Arrival {
    pub(crate) server: ServerId,
    pub(crate) request: Message,
    pub(crate) head: Head,
    pub(crate) flow: Flow,
    pub(crate) replaces: Option<CallId>,
}

impl Call {
    /// Takes an INVITE that begins a call. The dialog gets its tag here.
    pub(crate) fn arrive(
        channel: &mut Channel,
        now: Time,
        id: CallId,
        identity: IdentityId,
        arrival: Arrival,
    ) -> Call {
        let Arrival {
            server,
            request,
            head,
            flow,
            replaces,
        } = arrival;
        let tag = channel.tag();
        let limit = channel.config.max_ringing;
        let wanted = request.expires().ok().flatten();
        let wanted = wanted
            .map(|seconds| Duration::from_secs(seconds.into()))
            .filter(|wanted| *wanted < limit);
        channel
            .timers
            .set(UsageTimer::RingExpires(id), now + wanted.unwrap_or(limit));
        let mut dialog = Dialog::as_server(&head, tag.clone());
        dialog.flow = Some(flow);
        let exchange = if description(&request).is_some() {
            Exchange::RemoteOffer {
                carrier: OfferCarrier::Invite,
                agreed: false,
            }
        } else {
            Exchange::NEW
        };
        let cseq = head.cseq.number;
        let ringing = Ringing {
            server,
            request,
            replaces,
            cseq,
            last: None,
            outstanding: None,
            rseq: 0,
            reliable_status: 0,
            refused: false,
            expires: wanted.is_some(),
        };
        let mut call = Call::new(id, Side::Callee, identity, tag, Phase::Ringing(Box::new(ringing)));
        // The only one it will ever have: `push` would make room for four.
        call.forks = vec![Fork {
            number: 0,
            dialog,
            exchange,
            rseq: None,
            prack_due: None,
            left: false,
            given_up: false,
        }];
        call
    }

    /// Whether `answer` can be carried out, be it later.
    pub(crate) fn may_answer(&self, answer: &Answer) -> Result<(), Misuse> {
        let Phase::Ringing(_) = self.phase else {
            return Err(Misuse::State {
                operation: "answer",
                state: self.phase.words(),
            });
        };
        let waits = self.queue.iter().any(super::queue::Waiting::carries_description);
        match (self.exchange(), &answer.description) {
            (Exchange::RemoteOffer { .. }, None) if !waits => Err(Misuse::DescriptionNeeded {
                operation: "answer",
                why: "the caller's offer waits for it",
            }),
            (Exchange::Stable { agreed: false }, None) if !waits => Err(Misuse::DescriptionNeeded {
                operation: "answer",
                why: "the caller made no offer, so the 200 must",
            }),
            _ => Ok(()),
        }
    }

    /// Sends the 200 (RFC 3261 §13.3.1.4).
    pub(crate) fn send_answer(
        &mut self,
        channel: &mut Channel,
        now: Time,
        answer: Answer,
        cause: Option<Cause>,
    ) {
        let Phase::Ringing(ringing) = std::mem::replace(&mut self.phase, Phase::Answered) else {
            return;
        };
        self.stop_ringing(channel);
        let Ringing {
            server,
            request,
            cseq,
            outstanding,
            ..
        } = *ringing;
        self.overtaken = outstanding.map(|outstanding| {
            Box::new(Overtaken {
                server,
                cseq,
                outstanding,
            })
        });
        let body = self.describe_answer(answer.description);
        let asked = Asked::by(&request);
        let agreed = Agreed::as_server(asked, answer.session_timer);
        let mut reply = self
            .session_reply(channel, 200, asked, agreed)
            .with_extra(answer.headers);
        reply.body = body.map(|body| Body::new("application/sdp", body));
        self.learn(&request);
        let wire = channel.respond(
            now,
            server,
            &request,
            Some(self.identity),
            &self.local_tag,
            &reply,
            cause,
        );
        self.await_ack(channel, now, server, wire, cseq, cause);
        self.restart_session_timer(channel, now, agreed);
    }

    /// What a 2xx to INVITE or UPDATE says about the session: Contact, Allow, Supported, the session timer.
    pub(crate) fn session_reply(
        &self,
        channel: &Channel,
        status: u16,
        asked: Asked,
        agreed: Option<Agreed>,
    ) -> Reply {
        let mut reply = Reply::new(status)
            .with_contact()
            .with(HeaderName::Allow, channel.allow())
            .with(HeaderName::Supported, channel.supported(true));
        if let Some(agreed) = agreed {
            let value = format!("{};refresher={}", agreed.interval, agreed.refresher(false));
            reply = reply.with(HeaderName::SessionExpires, value);
            // RFC 4028 §9: a client that shall refresh must be told so in a way that it cannot overlook.
            if asked.supported && !agreed.local {
                reply = reply.with(HeaderName::Require, "timer");
            }
        }
        reply
    }

    /// Which description goes into the 2xx, and what it is in the exchange.
    fn describe_answer(&mut self, description: Option<Bytes>) -> Option<Bytes> {
        let description = description?;
        let fork = self.forks.first_mut()?;
        match fork.exchange {
            Exchange::RemoteOffer { .. } => fork.exchange.settle(),
            Exchange::Stable { agreed: false } => fork.exchange.offer(),
            // RFC 6337 §3.1.2: agreed by reliable provisional responses already; the 2xx says nothing more.
            Exchange::Stable { agreed: true } | Exchange::LocalOffer { .. } => return None,
        }
        self.session.local = Some(description.clone());
        Some(description)
    }

    /// Our 2xx goes out again until its ACK comes (RFC 3261 §13.3.1.4), also over reliable transports.
    pub(crate) fn await_ack(
        &mut self,
        channel: &mut Channel,
        now: Time,
        server: ServerId,
        wire: Bytes,
        cseq: u32,
        cause: Option<Cause>,
    ) {
        let timers = channel.config.core.timers;
        self.unacked = Some(Box::new(Unacked {
            server,
            wire,
            cseq,
            interval: timers.t1,
            cause,
        }));
        channel
            .timers
            .set(UsageTimer::RepeatAnswer(self.id), now + timers.t1);
        channel
            .timers
            .set(UsageTimer::AwaitAck(self.id), now + timers.timeout());
    }

    /// The 2xx goes out again: after T1, doubled up to T2.
    pub(crate) fn repeat_answer(&mut self, channel: &mut Channel, now: Time) {
        let Some(unacked) = &mut self.unacked else { return };
        channel
            .core
            .resend(now, unacked.server, unacked.wire.clone(), unacked.cause);
        unacked.interval = (unacked.interval * 2).min(channel.config.core.timers.t2);
        channel
            .timers
            .set(UsageTimer::RepeatAnswer(self.id), now + unacked.interval);
    }

    /// Our 2xx is not sent again.
    pub(crate) fn settle_answer(&mut self, channel: &mut Channel) -> Option<Box<Unacked>> {
        let unacked = self.unacked.take()?;
        channel.core.settle_answer(unacked.server);
        Some(unacked)
    }

    /// No ACK came: the dialog is confirmed, but the session ends with BYE (RFC 3261 §13.3.1.4, §14.2).
    pub(crate) fn ack_missing(&mut self, channel: &mut Channel, now: Time) {
        let Some(unacked) = self.settle_answer(channel) else {
            return;
        };
        channel.timers.clear(UsageTimer::RepeatAnswer(self.id));
        let hangup = self.queued_hangup().unwrap_or_default();
        self.leave(
            channel,
            now,
            EndCause::Timeout { timer: ACK_WAIT },
            hangup,
            unacked.cause,
        );
    }

    /// An ACK to a 2xx.
    pub(crate) fn on_ack(&mut self, channel: &mut Channel, now: Time, message: &Message, cseq: u32) {
        // RFC 3261 §13.2.2.4: the ACK has the number of its INVITE; one that comes again, or late, says nothing.
        if self.unacked.as_ref().is_none_or(|unacked| unacked.cseq != cseq) {
            return;
        }
        self.settle_answer(channel);
        channel.timers.clear(UsageTimer::RepeatAnswer(self.id));
        channel.timers.clear(UsageTimer::AwaitAck(self.id));
        let initial = matches!(self.phase, Phase::Answered);
        if initial {
            self.phase = Phase::Established;
        }
        let Some(fork) = self.forks.first_mut() else {
            return;
        };
        let mut answer = None;
        if fork.exchange.awaits_answer() {
            let Some(body) = description(message) else {
                let end = EndCause::Protocol {
                    rule: "the ACK carries no answer to the offer in the 2xx (RFC 3261 §13.2.2.4)",
                };
                self.leave(channel, now, end, Hangup::default(), None);
                return;
            };
            fork.exchange.settle();
            answer = Some(body);
        }
        if initial {
            channel.tell(Event::Confirmed {
                call: self.id,
                description: answer.map(Description::Answer),
            });
        } else if let Some(answer) = answer {
            let description = Some(Description::Answer(answer));
            channel.tell(Event::OfferAnswered {
                call: self.id,
                description,
                message: message.clone(),
                refresh: false,
            });
        }
        self.pump(channel, now);
    }

    /// Refuses the INVITE.
    pub(crate) fn send_reject(
        &mut self,
        channel: &mut Channel,
        now: Time,
        reject: Reject,
        cause: Option<Cause>,
    ) {
        let status = reject.status;
        let reply = Reply::new(status)
            .with_reason(reject.reason)
            .with_extra(reject.headers);
        self.refuse(channel, now, &reply, cause);
        self.end(channel, now, EndCause::Rejected { status });
    }

    /// Refuses the INVITE with 3xx (RFC 3261 §21.3).
    pub(crate) fn send_redirect(
        &mut self,
        channel: &mut Channel,
        now: Time,
        redirect: Redirect,
        cause: Option<Cause>,
    ) {
        let status = redirect.status;
        let mut reply = Reply::new(status).with_reason(redirect.reason);
        let several = redirect.contacts.len() > 1;
        for (place, contact) in redirect.contacts.iter().enumerate() {
            let q = 1000 - (place * 100).min(900);
            let q = if several {
                format!(";q={}.{:03}", q / 1000, q % 1000)
            } else {
                String::new()
            };
            reply = reply.with(HeaderName::Contact, format_args!("<{contact}>{q}"));
        }
        if let Some((diverter, reason)) = &redirect.diversion {
            // RFC 5806 §4: who diverts, and why.
            reply = reply.with(
                HeaderName::Diversion,
                format_args!("<{diverter}>;reason={reason}"),
            );
        }
        let reply = reply.with_extra(redirect.headers);
        self.refuse(channel, now, &reply, cause);
        self.end(channel, now, EndCause::Rejected { status });
    }

    /// Gives the INVITE a final response other than 2xx, unless it has one.
    pub(crate) fn refuse(&mut self, channel: &mut Channel, now: Time, reply: &Reply, cause: Option<Cause>) {
        let Phase::Ringing(ringing) = &mut self.phase else {
            return;
        };
        if std::mem::replace(&mut ringing.refused, true) {
            return;
        }
        let (server, request) = (ringing.server, ringing.request.clone());
        self.stop_ringing(channel);
        channel.respond(
            now,
            server,
            &request,
            Some(self.identity),
            &self.local_tag,
            reply,
            cause,
        );
    }

    /// The caller cancelled (RFC 3261 §9.2): the INVITE gets its 487.
    pub(crate) fn on_cancel(&mut self, channel: &mut Channel, now: Time, message: &Message) {
        let reason = crate::reason::of(message);
        if matches!(self.phase, Phase::Ringing(_)) {
            self.refuse(channel, now, &Reply::new(487), None);
            self.end(channel, now, EndCause::Cancelled { remote: true, reason });
        } else {
            self.withdraw_theirs(channel, now);
        }
    }

    /// The last provisional response goes out again; one like it where that was reliable, since its own repetitions ended with its
    /// PRACK (RFC 3262 §3).
    pub(crate) fn repeat_progress(&mut self, channel: &mut Channel, now: Time) {
        let Phase::Ringing(ringing) = &self.phase else {
            return;
        };
        if let Some(wire) = &ringing.last {
            channel.core.resend(now, ringing.server, wire.clone(), None);
            self.progress_later(channel, now);
        } else if ringing.outstanding.is_none() && ringing.reliable_status > 0 {
            let again = Progress {
                reliable: Some(true),
                ..Progress::new(ringing.reliable_status)
            };
            self.send_progress(channel, now, again, None);
        }
    }

    /// The next repetition, counted from now.
    pub(crate) fn progress_later(&self, channel: &mut Channel, now: Time) {
        channel
            .timers
            .set(UsageTimer::RepeatProgress(self.id), now + REPEAT_PROGRESS);
    }

    /// It rang long enough: 487 where the INVITE's own time is over (RFC 3261 §13.3.1), 480 where ours is.
    pub(crate) fn invitation_expired(&mut self, channel: &mut Channel, now: Time) {
        let Phase::Ringing(ringing) = &self.phase else {
            return;
        };
        let (status, timer) = if ringing.expires {
            (487, INVITE_EXPIRES)
        } else {
            (480, RING_LIMIT)
        };
        self.refuse(channel, now, &Reply::new(status), None);
        self.end(channel, now, EndCause::Timeout { timer });
    }

    /// A request of the peer has lost its way back (RFC 3261 §17.2.4).
    pub(crate) fn request_lost(&mut self, channel: &mut Channel, now: Time, server: ServerId, end: EndCause) {
        if matches!(&self.phase, Phase::Ringing(ringing) if ringing.server == server) {
            self.end(channel, now, end);
        } else if matches!(&self.change, Some(Change::Theirs(theirs)) if theirs.server == server) {
            self.withdraw_theirs(channel, now);
        }
    }

    /// Remembers a provisional response that was sent.
    pub(crate) fn rang(&mut self, channel: &mut Channel, now: Time, wire: Bytes) {
        if let Phase::Ringing(ringing) = &mut self.phase {
            ringing.last = Some(wire);
            self.progress_later(channel, now);
        }
    }

    fn stop_ringing(&self, channel: &mut Channel) {
        for timer in [
            UsageTimer::RepeatProgress(self.id),
            UsageTimer::RepeatReliable(self.id),
            UsageTimer::AwaitPrack(self.id),
            UsageTimer::RingExpires(self.id),
        ] {
            channel.timers.clear(timer);
        }
    }
}
