//! The contacts of a user ring: all at once, until one answers (RFC 3261 §16.7, as far as it goes for a B2BUA).

use std::net::IpAddr;

use callwright_media::codec::Codec;
use callwright_sdp::Direction;
use callwright_sip::command::{Addressing, Answer, Hangup, Headers, Invite, Progress, Reason, Reject};
use callwright_sip::endpoint::CallId;
use callwright_sip::event::{Description, EndCause as SipEnd};
use callwright_sip_message::{HeaderName, NameAddr, Uri};
use callwright_wire::Time;

use super::presentation::Reached;
use super::{Leg, LegKey, Media, Part, Refusal, Stage};
use crate::fact::{Binding, CallKey, EndCause, Fact, PresentationOutcome};
use crate::journal::Due;
use crate::machine::{Alarm, Machine};
use crate::registrar::UserKey;

/// Ties the leg of a contact to the one that it rings for: the Call-ID of the caller's leg, or of the party that is transferred. Whoever
/// looks at a capture or keeps logs of both sides can join them by it.
pub(super) const CALL_HEADER: &str = "X-Callwright-Call";

impl Machine {
    /// Rings the contacts of a user for the hunt of a call.
    pub(super) fn ring(&mut self, now: Time, call: CallKey, user: UserKey) {
        let part = match self.floor.agent_of(user) {
            Some(agent) => Part::Other(agent),
            None => Part::Outside,
        };
        self.ring_contacts(now, call, user, part);
        self.end_hunt_if_vain(now, call);
    }

    /// Begins to ring the contacts of a user.
    pub(super) fn ring_contacts(&mut self, now: Time, call: CallKey, user: UserKey, part: Part) {
        let account = self.registrar.account(user);
        let address: NameAddr = Uri::sip(self.config.domain.clone())
            .with_user(&account.user.name)
            .into();
        let mut contacts: Vec<Binding> = account.bound(now).cloned().collect();
        let limit = self.config.limits.forks;
        self.counters.contacts_not_rung += contacts.len().saturating_sub(limit) as u64;
        contacts.truncate(limit);
        for binding in contacts {
            let to = Addressing {
                from: None,
                to: None,
                // RFC 3327 §5.3: the way that the REGISTER came.
                routes: binding.path.clone(),
                // A contact that is this machine itself is behind no NAT, wherever its REGISTER came from.
                flow: Some(binding.flow)
                    .filter(|_| binding.needs_flow() || !self.is_own_contact(&binding.contact)),
                only_by_flow: binding.needs_flow(),
            };
            let ip = self.media_ip(binding.flow);
            self.ring_contact(call, &address, (binding.contact, to), ip, part);
        }
    }

    /// Rings somebody outside for the hunt of a call.
    pub(super) fn ring_outside(&mut self, now: Time, call: CallKey, uri: Uri) {
        let caller = self.switch.call(call).map(|call| call.caller);
        let ip = caller.and_then(|leg| self.switch.leg(leg)).map(|leg| leg.ip);
        if let Some(ip) = ip {
            let address = NameAddr::from(uri.clone());
            self.ring_contact(call, &address, (uri, Addressing::default()), ip, Part::Outside);
        }
        self.end_hunt_if_vain(now, call);
    }

    fn ring_contact(
        &mut self,
        key: CallKey,
        address: &NameAddr,
        (contact, addressing): (Uri, Addressing),
        ip: IpAddr,
        part: Part,
    ) {
        let Some((on_behalf, invitation)) = self
            .switch
            .call(key)
            .and_then(|call| Some((call.hunt.as_ref()?.on_behalf, call.invitation.clone())))
        else {
            return;
        };
        let codecs = self
            .switch
            .leg(on_behalf)
            .map(|leg| leg.talk.codecs())
            .unwrap_or_default();
        let sip = self.switch.sip_of(on_behalf);
        let call_id = sip.and_then(|sip| self.endpoint.call_id(sip));
        let mut headers: Headers = call_id
            .map(|call_id| (HeaderName::from(CALL_HEADER), call_id.to_owned()))
            .into_iter()
            .collect();
        headers.extend(invitation.headers);
        headers.push((HeaderName::MaxForwards, invitation.max_forwards.to_string()));
        let invite = Invite {
            session_timer: self.config.session_timer,
            referred_by: invitation.referred_by,
            headers,
            addressing: Addressing {
                from: Some(invitation.from),
                to: Some(invitation.to),
                ..addressing
            },
            ..Invite::new(self.identity, contact)
        };
        let talk = self.new_talk(ip, &codecs);
        let leg = self.switch.next_leg();
        if let Some(hunt) = self.switch.call_mut(key).and_then(|call| call.hunt.as_mut()) {
            hunt.legs.push(leg);
        }
        self.add_leg(Leg {
            key: leg,
            call: key,
            sip: None,
            invite: Some(Box::new(invite)),
            media: Media::Closed,
            talk,
            ip,
            address: address.clone(),
            leaving: false,
            part,
        });
    }

    /// The ports of a contact's leg are there: its INVITE goes out, with the direction that the other side wishes.
    pub(super) fn send_invite(&mut self, now: Time, key: LegKey) {
        let Some(call) = self.call_of_leg(key) else { return };
        let wish = self
            .switch
            .call(call)
            .and_then(|call| self.switch.leg(call.hunt.as_ref()?.on_behalf))
            .map(|leg| leg.talk.wish);
        let (Some(wish), Some(leg)) = (wish, self.switch.leg_mut(key)) else {
            return;
        };
        let Some(mut invite) = leg.invite.take() else {
            return;
        };
        let placed = match leg.talk.offer(wish) {
            Ok(offer) => {
                invite.offer = Some(offer);
                self.endpoint.invite(now, *invite, None).ok()
            }
            Err(_) => None,
        };
        match placed {
            Some(sip) => {
                if let Some(leg) = self.switch.leg_mut(key) {
                    leg.sip = Some(sip);
                    self.switch.by_sip.insert(sip, key);
                }
                self.tell_plane(now, key);
            }
            None => {
                self.counters.over_limit += 1;
                self.on_not_rung(now, call, key);
            }
        }
    }

    /// A contact cannot be rung for want of something here.
    pub(super) fn on_not_rung(&mut self, now: Time, call: CallKey, key: LegKey) {
        let waits = self.switch.call(call).is_some_and(|call| call.rings(key));
        if waits {
            self.on_refused(now, call, key, Refusal::new(503), Reached::NotTried);
        }
        self.drop_leg(now, key);
    }

    /// A provisional response of a contact.
    pub(crate) fn on_progress(
        &mut self,
        now: Time,
        sip: CallId,
        fork: u16,
        status: u16,
        description: Option<&Description>,
    ) {
        let Some((key, call)) = self.switch.find(sip) else {
            return;
        };
        let Some((caller, referred)) = self
            .switch
            .call(call)
            .filter(|call| call.rings(key))
            .and_then(|call| call.hunt.as_ref())
            .map(|hunt| (hunt.on_behalf, hunt.referred))
        else {
            return;
        };
        // 100 is about the hop, 199 about one early dialog of several (RFC 6228): neither is about the call.
        if !(180..199).contains(&status) {
            return;
        }
        if let Some((_, refer)) = referred {
            let reason = callwright_sip::reason_phrase(status);
            let _gone = self.endpoint.notify_refer(now, refer, status, reason, None);
            return;
        }
        let heard =
            description.is_some_and(|description| self.hear_early(now, (call, key, fork), description));
        if self.switch.call(call).is_none_or(|call| call.caller_answered) {
            return;
        }
        let leg = self.switch.leg(caller).filter(|_| heard);
        let answer = leg.and_then(|leg| leg.talk.answered());
        let progress = Progress {
            description: answer,
            ..Progress::new(status)
        };
        self.tell_progress(now, caller, progress);
    }

    /// Lets the caller hear a contact before it answers: the first one that has something to say.
    fn hear_early(
        &mut self,
        now: Time,
        (call, key, fork): (CallKey, LegKey, u16),
        description: &Description,
    ) -> bool {
        let Some(leg) = self.switch.leg_mut(key) else {
            return false;
        };
        // What a provisional response gets wrong the final one may put right.
        if leg.talk.take_early_answer(fork, description.bytes()).is_err() {
            return false;
        }
        let (wish, codec) = (leg.talk.wish, leg.talk.codecs().first().copied());
        self.tell_plane(now, key);
        let unanswered = self.switch.call(call).filter(|call| !call.caller_answered);
        let Some((caller, early)) = unanswered.map(|call| (call.caller, call.early)) else {
            return false;
        };
        if early.is_some_and(|early| early != key) {
            return false;
        }
        let Some(leg) = self.switch.leg_mut(caller).filter(|leg| leg.talk.was_offered()) else {
            return false;
        };
        // The offer was looked at when it came.
        if leg.session().is_none() || leg.talk.answer_invite(wish, codec).is_err() {
            return false;
        }
        if let Some(call) = self.switch.call_mut(call) {
            call.early = Some(key);
        }
        self.tell_plane(now, caller);
        self.bridge(caller, key);
        true
    }

    /// A contact answered.
    pub(crate) fn on_answered(
        &mut self,
        now: Time,
        sip: CallId,
        fork: u16,
        description: Option<&Description>,
    ) {
        let Some((key, call)) = self.switch.find(sip) else {
            return;
        };
        let rings = self.switch.call(call).is_some_and(|call| call.rings(key));
        let Some(leg) = self.switch.leg_mut(key).filter(|leg| rings && !leg.leaving) else {
            return;
        };
        let agreed = match description {
            Some(Description::Answer(answer) | Description::Preview(answer)) => leg.talk.take_answer(answer),
            // All was agreed in provisional responses. Our INVITE had an offer, so an offer is none (RFC 3261 §13.2.1).
            Some(Description::Offer(_)) | None => leg.talk.choose(fork),
        };
        leg.talk.settle();
        if let (Err(error), _) | (Ok(()), Some(error)) = (agreed, leg.talk.lacks_agreement()) {
            // RFC 3261 §13.2.2.4: it was answered, so it is ended by BYE.
            let refusal = Refusal::new(error.status());
            self.hang_up(now, key, Some(sip_reason(488, "Not Acceptable Here")));
            self.on_refused(now, call, key, refusal, Reached::Answered);
            return;
        }
        self.tell_plane(now, key);
        self.cancel_others(now, call, key);
        if self
            .switch
            .call(call)
            .is_some_and(|call| call.stage == Stage::Waiting)
        {
            self.on_agent_answered(now, call, key);
            return;
        }
        let referred = self
            .switch
            .call(call)
            .and_then(|call| call.hunt.as_ref())
            .and_then(|hunt| hunt.referred);
        match referred {
            Some(referred) => self.on_target_answered(now, call, key, referred),
            None => self.store_answer(now, call, key),
        }
    }

    /// RFC 3261 §16.7, 10; RFC 3326: those who rang in vain are told that somebody else answered, so that they show no missed call.
    fn cancel_others(&mut self, now: Time, call: CallKey, winner: LegKey) {
        let others = match self.switch.call_mut(call).and_then(|call| call.hunt.as_mut()) {
            Some(hunt) => std::mem::take(&mut hunt.legs),
            None => return,
        };
        for leg in others.into_iter().filter(|leg| *leg != winner) {
            self.hang_up(now, leg, Some(sip_reason(200, "Call completed elsewhere")));
        }
    }

    pub(super) fn store_answer(&mut self, now: Time, key: CallKey, callee: LegKey) {
        self.alarms.clear(Alarm::NoAnswer(key));
        let agent = self.switch.call(key).and_then(|call| call.service);
        let agent = agent.map(|service| self.floor.agent(service.agent).name.clone());
        let address = self.switch.leg(callee).map(|leg| leg.address.uri.to_string());
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        call.stage = Stage::Storing { callee };
        call.hunt = None;
        let fact = Fact::CallAnswered {
            call: key,
            caller: call.invitation.from.uri.to_string(),
            callee: address.unwrap_or_default(),
            agent,
            at: now,
        };
        call.story.answered = call.story.answered.or(Some(now));
        let unanswered = (!call.caller_answered).then_some(call.caller);
        self.persist(now, Due::Answer(key, callee), fact);
        if let Some(caller) = unanswered {
            // The callee would be sent silence until the caller hears of the answer.
            self.bridge(caller, callee);
        }
    }

    /// The store has spoken about an answer.
    pub(crate) fn on_answer_stored(&mut self, now: Time, key: CallKey, callee: LegKey, stored: bool) {
        let Some(call) = self.switch.call(key) else { return };
        // The caller may have given up meanwhile, or the callee.
        if call.stage != (Stage::Storing { callee }) {
            return;
        }
        let caller = call.caller;
        if call.caller_answered {
            // Who was answered already is not lost, whatever the store says.
            self.connect(now, key, [caller, callee]);
            return;
        }
        if !stored {
            if call.service.is_some() {
                // It was let into its queue, which is stored, and is not lost.
                self.wait_again(now, key, PresentationOutcome::Withdrawn);
            } else {
                let reject = self.unavailable();
                self.fail_call(now, key, reject);
            }
            self.hang_up(now, callee, Some(sip_reason(503, "Service Unavailable")));
            return;
        }
        match self.answer_caller(now, caller, callee) {
            Ok(()) => self.connect(now, key, [caller, callee]),
            Err(reject) => {
                self.fail_call(now, key, reject);
                self.hang_up(now, callee, Some(sip_reason(488, "Not Acceptable Here")));
            }
        }
    }

    /// Both are answered: they talk.
    fn connect(&mut self, now: Time, key: CallKey, ends: [LegKey; 2]) {
        if let Some(call) = self.switch.call_mut(key) {
            call.stage = Stage::Talking { ends };
        }
        self.stop_playing(now, ends[0]);
        self.begin_recording(now, key);
        self.bridge(ends[0], ends[1]);
        self.align_call(now, key);
    }

    fn answer_caller(&mut self, now: Time, caller: LegKey, callee: LegKey) -> Result<(), Reject> {
        let callee = self.switch.leg(callee).ok_or(Reject::new(480))?;
        let (wish, codec) = (callee.talk.wish, callee.talk.codecs().first().copied());
        self.answer_with(now, caller, wish, codec)
    }

    /// Answers who called, with a direction, and one codec alone where the peer offered it.
    pub(super) fn answer_with(
        &mut self,
        now: Time,
        caller: LegKey,
        wish: Direction,
        codec: Option<Codec>,
    ) -> Result<(), Reject> {
        let leg = self.switch.leg_mut(caller).ok_or(Reject::new(480))?;
        let description = if leg.talk.was_offered() {
            leg.talk.answer_invite(wish, codec)
        } else {
            // RFC 3261 §13.3.1: without an offer in the INVITE the 200 has it.
            leg.talk.offer(wish)
        };
        let description = description.map_err(|error| super::arrival::refusal_of(&error))?;
        let sip = leg.sip.ok_or(Reject::new(480))?;
        if leg.session().is_none() {
            // Its ports were asked for before those of the callee, and are not there.
            return Err(self.unavailable());
        }
        self.tell_plane(now, caller);
        let answer = Answer {
            description: Some(description),
            session_timer: self.config.session_timer,
            headers: Headers::new(),
        };
        self.endpoint
            .answer(now, sip, answer, None)
            .map_err(|_| Reject::new(500))?;
        let call = self.call_of_leg(caller);
        if let Some(call) = call.and_then(|call| self.switch.call_mut(call)) {
            call.caller_answered = true;
        }
        Ok(())
    }

    /// The caller acknowledged.
    pub(crate) fn on_confirmed(&mut self, now: Time, sip: CallId, description: Option<&Description>) {
        let Some((key, call)) = self.switch.find(sip) else {
            return;
        };
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        if let Some(description) = description {
            let taken = leg.talk.take_answer(description.bytes());
            leg.talk.settle();
            if taken.is_err() {
                // Whom it talks to hears of it as if it had hung up.
                let end = SipEnd::Protocol {
                    rule: "RFC 3264 §6: an answer fits its offer",
                };
                self.on_leg_lost(now, call, key, end);
                self.hang_up(now, key, Some(sip_reason(488, "Not Acceptable Here")));
                return;
            }
            self.tell_plane(now, key);
        }
        self.align_call_of(now, key);
    }

    /// A contact refused, or cannot be reached.
    pub(super) fn on_refused(
        &mut self,
        now: Time,
        key: CallKey,
        leg: LegKey,
        refusal: Refusal,
        reached: Reached,
    ) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        if call.early == Some(leg) {
            call.early = None;
        }
        if call.stage == Stage::Waiting {
            self.on_presentation_refused(now, key, leg, refusal.status, reached);
            return;
        }
        let Some(hunt) = &mut call.hunt else { return };
        hunt.legs.retain(|other| *other != leg);
        let everywhere = refusal.status >= 600;
        hunt.note(refusal);
        if everywhere {
            // RFC 3261 §16.7, 5: nobody else needs to be asked.
            for other in std::mem::take(&mut hunt.legs) {
                self.hang_up(now, other, None);
            }
        }
        self.end_hunt_if_vain(now, key);
    }

    /// Nobody is left who could answer.
    pub(super) fn end_hunt_if_vain(&mut self, now: Time, key: CallKey) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let Some(hunt) = call.hunt.take_if(|hunt| hunt.legs.is_empty()) else {
            return;
        };
        let best = hunt.best.unwrap_or(Refusal::new(480));
        if let Some((_, refer)) = hunt.referred {
            self.on_transfer_failed(now, key, refer, best.status);
            return;
        }
        let reject = Reject {
            status: best.status,
            reason: best.reason,
            headers: best.headers,
        };
        self.fail_call(now, key, reject);
    }

    /// Nobody answered in time.
    pub(crate) fn on_no_answer(&mut self, now: Time, key: CallKey) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let Some(hunt) = call.hunt.take() else { return };
        call.end = Some(EndCause::TimedOut);
        for leg in hunt.legs {
            self.hang_up(now, leg, Some(sip_reason(480, "No Answer")));
        }
        self.fail_call(now, key, Reject::new(480));
    }
}

/// A reason by status (RFC 3326).
pub(super) fn sip_reason(status: u16, text: &str) -> Reason {
    Reason {
        protocol: "SIP".to_owned(),
        cause: Some(status),
        text: Some(text.to_owned()),
    }
}

/// How to hang up with a reason.
pub(super) fn hangup(reason: Option<Reason>) -> Hangup {
    Hangup {
        reason,
        ..Hangup::default()
    }
}
