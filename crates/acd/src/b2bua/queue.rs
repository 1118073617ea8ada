//! A call comes to a queue, waits there, and leaves it: for an agent, for another queue or address, or for good.

use std::collections::BTreeMap;

use callwright_sdp::Direction;
use callwright_sip::command::{Progress, Reject};
use callwright_sip_message::Uri;
use callwright_wire::Time;

use super::hunt::sip_reason;
use super::presentation::OFFER_AGAIN;
use super::{Hunt, Queued, Stage};
use crate::config::{AnswerWith, Overflow};
use crate::fact::{CallKey, EndCause, Fact, PresentationOutcome, RefusedBecause};
use crate::journal::Due;
use crate::machine::{Alarm, Machine};
use crate::queueing::QueueKey;
use crate::snapshot::QueueSnapshot;

impl Machine {
    /// Every queue, in the order of the configuration.
    pub fn queues(&self) -> Vec<QueueSnapshot> {
        let snapshot = |key| {
            let queue = self.floor.queue(key);
            QueueSnapshot {
                name: queue.config.name.clone(),
                waiting: queue.waiting(),
                presented: queue.presented(),
                oldest: queue.oldest(),
                talking: queue.talking,
                free: queue.free(),
                logged_in: queue.logged_in,
            }
        };
        self.floor.queue_keys().map(snapshot).collect()
    }

    /// A call comes to a queue, from outside or from somewhere else here.
    pub(super) fn come_to_queue(&mut self, now: Time, key: CallKey, queue: QueueKey) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let before = call.queued.take();
        let attempts = before.as_ref().map_or(0, |queued| queued.attempts);
        let mut visited = before.map(|queued| queued.visited).unwrap_or_default();
        visited.push(queue);
        call.queued = Some(Queued {
            queue,
            since: now,
            attempts,
            presented: Vec::new(),
            reached: BTreeMap::new(),
            visited,
        });
        call.stage = Stage::Arriving { stored: false };
        let answered = call.caller_answered;
        let config = &self.floor.queue(queue).config;
        let overflow = config.overflow.clone();
        let fact = Fact::CallQueued {
            call: key,
            queue: config.name.clone(),
            caller: call.invitation.from.uri.to_string(),
            dialled: call.story.dialled.clone(),
            priority: config.priority,
            at: now,
        };
        let Some(because) = self.obstacle(queue) else {
            self.floor.arrive(key, queue);
            self.persist(now, Due::Queue(key), fact);
            return self.record_ends(key);
        };
        if let (Some(Overflow::Message(sound)), false) = (overflow, answered) {
            // The message is an answer: it waits for the store as any other.
            self.prepare_speech(key, sound, EndCause::Overflowed);
            self.persist(now, Due::Speech(key), fact);
            return self.record_ends(key);
        }
        self.persist(now, Due::Nothing, fact);
        self.record_ends(key);
        self.overflow(now, key, status_of(because), EndCause::Refused(because));
    }

    /// With what a queue would turn a call away that came now; `None`: it may wait, or overflows to where it is taken.
    pub(super) fn refuses(&self, now: Time, queue: QueueKey) -> Option<u16> {
        let mut visited = vec![queue];
        loop {
            let queue = *visited.last()?;
            let status = status_of(self.obstacle(queue)?);
            let next = match &self.floor.queue(queue).config.overflow {
                None => return Some(status),
                Some(Overflow::Message(_)) => return None,
                Some(Overflow::Queue(name)) => self.floor.find_queue(name),
                Some(Overflow::Uri(uri)) => match (self.queue_at(uri), self.user_at(uri)) {
                    (Some(queue), _) => Some(queue),
                    (None, Some(user)) => {
                        let reachable = self.registrar.account(user).bound(now).next().is_some();
                        return (!reachable).then_some(480);
                    }
                    (None, None) => return self.is_ours(uri).then_some(404),
                },
            };
            match next.filter(|next| !visited.contains(next)) {
                Some(next) => visited.push(next),
                None => return Some(status),
            }
        }
    }

    /// Why a call may not wait in a queue.
    fn obstacle(&self, key: QueueKey) -> Option<RefusedBecause> {
        let queue = self.floor.queue(key);
        if !queue.config.join_when_empty && queue.logged_in == 0 {
            Some(RefusedBecause::NoAgents)
        } else {
            queue.is_full().then_some(RefusedBecause::Full)
        }
    }

    /// The store has spoken about a call that came to a queue.
    pub(crate) fn on_queued_stored(&mut self, now: Time, key: CallKey, stored: bool) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        // It may be over, or have left.
        if call.stage != (Stage::Arriving { stored: false }) {
            return;
        }
        if !stored && !call.caller_answered {
            let reject = self.unavailable();
            return self.fail_call(now, key, reject);
        }
        call.stage = Stage::Arriving { stored: true };
        call.story.told = true;
        self.let_in(now, key);
    }

    /// The ports of a caller are there.
    pub(super) fn on_caller_ports(&mut self, now: Time, key: CallKey) {
        match self.switch.call(key).map(|call| call.stage) {
            Some(Stage::Arriving { stored: true }) => self.let_in(now, key),
            Some(Stage::Speaking { began: false }) => self.begin_speech(now, key),
            Some(
                Stage::Arriving { stored: false }
                | Stage::Speaking { began: true }
                | Stage::Waiting
                | Stage::Ringing
                | Stage::Storing { .. }
                | Stage::Talking { .. }
                | Stage::Over,
            )
            | None => {}
        }
    }

    /// A call begins to wait, as soon as its caller can be answered.
    fn let_in(&mut self, now: Time, key: CallKey) {
        let Some(call) = self.switch.call(key) else { return };
        let (caller, answered) = (call.caller, call.caller_answered);
        let Some(queued) = &call.queued else { return };
        let (queue, since) = (queued.queue, queued.since);
        let config = &self.floor.queue(queue).config;
        let (priority, max_wait) = (config.priority, config.max_wait);
        let (answer, music) = (config.answer, config.prompts.music.clone());
        if self.switch.leg(caller).is_none_or(|leg| leg.session().is_none()) {
            return;
        }
        match (answer, answered) {
            (_, true) => {
                self.open_caller(now, key);
                self.play_music(now, caller, music.as_ref());
            }
            (AnswerWith::Music, false) => {
                if let Err(reject) = self.answer_with(now, caller, Direction::SendRecv, None) {
                    return self.fail_call(now, key, reject);
                }
                self.play_music(now, caller, music.as_ref());
            }
            (AnswerWith::Agent, false) => self.tell_progress(now, caller, Progress::new(180)),
        }
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        call.stage = Stage::Waiting;
        self.floor.wait(key, queue, priority, since);
        if !call.caller_answered {
            self.floor.wait_unanswered(key);
        }
        if let Some(longest) = max_wait {
            self.alarms.set(Alarm::MaxWait(key), since + longest);
        }
        self.begin_announcements(now, key);
    }

    /// An agent answered, and the caller did not hear of it: the call stands where it stood.
    pub(super) fn wait_again(&mut self, now: Time, key: CallKey, outcome: PresentationOutcome) {
        self.take_answer_back(now, key, outcome);
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        call.stage = Stage::Waiting;
        call.early = None;
        let service = call.service;
        let answered = call.caller_answered;
        let Some(queued) = &call.queued else { return };
        let (queue, since) = (queued.queue, queued.since);
        let config = &self.floor.queue(queue).config;
        let (priority, max_wait) = (config.priority, config.max_wait);
        self.floor.wait(key, queue, priority, since);
        if !answered {
            self.floor.wait_unanswered(key);
        }
        if let Some(service) = service {
            self.floor.pass_over(key, service.agent);
        }
        self.end_service(now, key, false);
        if let Some(longest) = max_wait {
            self.alarms.set(Alarm::MaxWait(key), (since + longest).max(now));
        }
        self.alarms.set(Alarm::OfferAgain(key), now + OFFER_AGAIN);
        self.begin_announcements(now, key);
    }

    /// The answer of an agent comes to nothing.
    pub(super) fn take_answer_back(&mut self, now: Time, key: CallKey, outcome: PresentationOutcome) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let Some(service) = call.service else { return };
        call.story.answered = None;
        self.floor.change(service.agent, |agent| {
            agent.standing.answered = agent.standing.answered.saturating_sub(1);
        });
        let fact = Fact::PresentationEnded {
            call: key,
            agent: self.floor.agent(service.agent).name.clone(),
            outcome,
            at: now,
        };
        self.persist(now, Due::Nothing, fact);
    }

    /// A call waits no more.
    pub(super) fn leave_queue(&mut self, key: CallKey) {
        self.floor.leave(key);
        for alarm in [Alarm::OfferAgain(key), Alarm::MaxWait(key), Alarm::Announce(key)] {
            self.alarms.clear(alarm);
        }
    }

    /// A call has waited as long as its queue allows.
    pub(crate) fn on_waited_long_enough(&mut self, now: Time, key: CallKey) {
        let reason = sip_reason(480, "Waited Long Enough");
        self.withdraw(now, key, Some(reason));
        self.leave_queue(key);
        self.overflow(now, key, 480, EndCause::TimedOut);
    }

    /// A call leaves its queue, or does not come into it: where that sends it, or else turned away.
    fn overflow(&mut self, now: Time, key: CallKey, status: u16, cause: EndCause) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        call.hunt = None;
        let queue = call.queued.as_ref().map(|queued| queued.queue);
        let overflow = queue.and_then(|queue| self.floor.queue(queue).config.overflow.clone());
        let to = match overflow {
            Some(Overflow::Message(sound)) => return self.speak(now, key, sound, EndCause::Overflowed),
            Some(Overflow::Queue(name)) => self.floor.find_queue(&name).map(Ok),
            Some(Overflow::Uri(uri)) => match self.queue_at(&uri) {
                Some(queue) => Some(Ok(queue)),
                None => Some(Err(uri)),
            },
            None => None,
        };
        match to {
            Some(Ok(queue)) if !self.has_visited(key, queue) => self.come_to_queue(now, key, queue),
            Some(Err(uri)) => self.overflow_to(now, key, uri),
            Some(Ok(_)) | None => self.turn_away(now, key, Reject::new(status), cause),
        }
    }

    fn has_visited(&self, key: CallKey, queue: QueueKey) -> bool {
        let queued = self.switch.call(key).and_then(|call| call.queued.as_ref());
        queued.is_some_and(|queued| queued.visited.contains(&queue))
    }

    /// A call goes on to an address that is no queue.
    fn overflow_to(&mut self, now: Time, key: CallKey, uri: Uri) {
        let fact = Fact::CallOverflowed {
            call: key,
            to: uri.to_string(),
            at: now,
        };
        self.persist(now, Due::Nothing, fact);
        if let Some(user) = self.user_at(&uri) {
            return self.ring_user(now, key, user);
        }
        if self.is_ours(&uri) {
            return self.turn_away(now, key, Reject::new(404), EndCause::Failed(404));
        }
        if let Some(call) = self.switch.call_mut(key) {
            call.stage = Stage::Ringing;
            call.hunt = Some(Hunt::new(call.caller, None));
        }
        self.alarms
            .set(Alarm::NoAnswer(key), now + self.config.ring_timeout);
        self.ring_outside(now, key, uri);
    }

    fn begin_announcements(&mut self, now: Time, key: CallKey) {
        let queued = self.switch.call(key).and_then(|call| call.queued.as_ref());
        let Some(queue) = queued.map(|queued| queued.queue) else {
            return;
        };
        let prompts = &self.floor.queue(queue).config.prompts;
        if prompts.announce.is_some() || prompts.announce_position {
            self.alarms.set(Alarm::Announce(key), now);
        }
    }

    /// A caller who waits is told so, and how many are before it.
    pub(crate) fn on_announcement_due(&mut self, now: Time, key: CallKey) {
        let Some(call) = self.switch.call(key).filter(|call| call.caller_answered) else {
            return;
        };
        let caller = call.caller;
        let Some(queue) = call.queued.as_ref().map(|queued| queued.queue) else {
            return;
        };
        let Some((position, _)) = self.floor.position(key) else {
            return;
        };
        let prompts = self.floor.queue(queue).config.prompts.clone();
        let length = self.announce(now, caller, &prompts, position);
        if let Some(every) = prompts.announce_every {
            self.alarms.set(Alarm::Announce(key), now + every.max(length));
        }
    }
}

/// How a caller is turned away.
fn status_of(because: RefusedBecause) -> u16 {
    match because {
        RefusedBecause::Full => 486,
        RefusedBecause::NoAgents | RefusedBecause::Closed => 480,
    }
}
