//! What a user agent of a fleet can be told.

use std::time::Duration;

use callwright_media::plane::Stats;
use callwright_wire::{Cause, Time};

use super::Fleet;
use crate::call::{Call, CallKey};
use crate::user_agent::{Heard, ListenFor, ListenerId, RequestKey, UserAgentId};
use crate::verb::{ArmedResponse, Audio, Done, FreeRequest, VerbError};

/// What a user agent can be told. `call` is the call that is meant; `None`: the one that the verb means by itself.
/// `cause` is attached to every message that follows.
///
/// Every one of these fails with [`VerbError`] when it cannot be carried out, never for what a peer decides.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
impl Fleet {
    /// Registers, or registers again now.
    pub fn register(&mut self, now: Time, id: UserAgentId, cause: Option<Cause>) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| user_agent.register(ctx))
    }

    /// Takes the binding back.
    pub fn unregister(
        &mut self,
        now: Time,
        id: UserAgentId,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| user_agent.unregister(ctx))
    }

    /// Places a call.
    pub fn dial(
        &mut self,
        now: Time,
        id: UserAgentId,
        target: &str,
        headers: &[(String, String)],
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| {
            user_agent.dial(ctx, target, headers)
        })
    }

    /// Answers the newest incoming call that rings.
    pub fn accept(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| user_agent.accept(ctx, call))
    }

    /// Ends the newest call that rings, else the newest established; passes with a note when there is none.
    pub fn hangup(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| user_agent.hangup(ctx, call))
    }

    /// Ends a call by BYE at once, where [`Fleet::hangup`] would cancel it or wait for the ACK: the newest that was placed
    /// and rings, else the newest that was answered.
    pub fn bye(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| user_agent.bye(ctx, call))
    }

    /// Rejects the newest incoming call that rings: status 400 to 699.
    pub fn reject(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        status: u16,
        reason: Option<String>,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| {
            user_agent.reject(ctx, call, status, reason)
        })
    }

    /// Holds the newest established call.
    pub fn hold(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| user_agent.hold(ctx, call))
    }

    /// Resumes the newest call that this side holds.
    pub fn resume(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| user_agent.resume(ctx, call))
    }

    /// Offers the session of the newest established call again as it is, by UPDATE (RFC 3311).
    pub fn update(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| user_agent.update(ctx, call))
    }

    /// Mutes the newest established call, or ends that.
    pub fn toggle_mute(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| {
            user_agent.toggle_mute(ctx, call)
        })
    }

    /// Asks the peer of the newest established call to call `target` instead.
    pub fn transfer(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        target: &str,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| {
            user_agent.transfer(ctx, call, target)
        })
    }

    /// Holds the newest established call and consults `target`.
    pub fn attended_transfer(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        target: &str,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| {
            user_agent.attended_transfer(ctx, call, target)
        })
    }

    /// Connects the first call with the one that was consulted.
    pub fn complete_transfer(
        &mut self,
        now: Time,
        id: UserAgentId,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| {
            user_agent.complete_transfer(ctx)
        })
    }

    /// Ends the consultation and resumes the first call.
    pub fn abort_transfer(
        &mut self,
        now: Time,
        id: UserAgentId,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| user_agent.abort_transfer(ctx))
    }

    /// Answers calls with 302 to `target` from now on.
    pub fn deflect(&mut self, now: Time, id: UserAgentId, target: &str) -> Result<Done, VerbError> {
        self.verb(now, id, None, |user_agent, _| user_agent.deflect(target))
    }

    /// No longer.
    pub fn stop_deflect(&mut self, now: Time, id: UserAgentId) -> Result<Done, VerbError> {
        self.verb(now, id, None, |user_agent, _| Ok(user_agent.stop_deflect()))
    }

    /// Answers the next incoming call with this response, by itself.
    pub fn respond_incoming(
        &mut self,
        now: Time,
        id: UserAgentId,
        response: ArmedResponse,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, None, |user_agent, _| {
            user_agent.respond_incoming(response)
        })
    }

    /// Sends digits: `0-9 * # A-D a-d`.
    pub fn dtmf(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        digits: &str,
        gap: Option<Duration>,
        cause: Option<Cause>,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, cause, |user_agent, ctx| {
            user_agent.dtmf(ctx, call, digits, gap)
        })
    }

    /// Changes what is sent, now or on the next call.
    pub fn send_audio(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        audio: Audio,
    ) -> Result<Done, VerbError> {
        self.verb(now, id, None, |user_agent, ctx| {
            user_agent.send_audio(ctx, call, audio)
        })
    }

    /// Records what is sent and heard from now on: see [`Change::Recorded`].
    pub fn record(&mut self, now: Time, id: UserAgentId) -> Result<Done, VerbError> {
        self.verb(now, id, None, |user_agent, ctx| Ok(user_agent.record(ctx)))
    }

    /// Sends a request of any method.
    pub fn send(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        request: &FreeRequest,
        cause: Option<Cause>,
    ) -> Result<RequestKey, VerbError> {
        self.with(now, id, cause, |user_agent, ctx| {
            user_agent.send(ctx, call, request)
        })
        .unwrap_or(Err(VerbError::Closing))
    }

    /// Starts to listen, on one call or on all.
    pub fn listen(
        &mut self,
        now: Time,
        id: UserAgentId,
        call: Option<CallKey>,
        what: ListenFor,
    ) -> Result<ListenerId, VerbError> {
        self.with(now, id, None, |user_agent, ctx| {
            user_agent.listen(ctx, call, what)
        })
        .unwrap_or(Err(VerbError::Closing))
    }

    /// What a listener heard so far.
    pub fn heard(&self, id: UserAgentId, listener: ListenerId) -> Option<Heard> {
        self.user_agent(id)?.heard(&self.media, listener)
    }

    /// Ends a listener.
    pub fn unlisten(&mut self, now: Time, id: UserAgentId, listener: ListenerId) {
        self.with(now, id, None, |user_agent, ctx| {
            user_agent.unlisten(ctx, listener)
        });
    }

    /// The figures of a call's audio.
    pub fn stats(&self, id: UserAgentId, call: CallKey) -> Option<Stats> {
        self.user_agent(id)?.stats(&self.media, call)
    }

    /// The last audio heard on a call, or on the newest one that has any: `span` of it and at most 3 s, mono samples at
    /// 8,000 Hz, oldest first. Empty when nothing was heard. It may be long ago that it arrived.
    pub fn recent_audio(&self, id: UserAgentId, call: Option<CallKey>, span: Duration) -> Vec<i16> {
        self.audio_of(id, call, span, None)
    }

    /// The same of what arrives now: nothing of a call on which no audio arrived in the last `span`.
    pub fn audio_now(&self, now: Time, id: UserAgentId, call: Option<CallKey>, span: Duration) -> Vec<i16> {
        self.audio_of(id, call, span, Some(now))
    }

    fn audio_of(
        &self,
        id: UserAgentId,
        call: Option<CallKey>,
        span: Duration,
        fresh: Option<Time>,
    ) -> Vec<i16> {
        let is_fresh = |at: Time| fresh.is_none_or(|now| now.since(at) <= span);
        let calls = self
            .user_agent(id)
            .into_iter()
            .flat_map(|user_agent| user_agent.calls().iter().rev());
        calls
            .filter(|one| call.is_none_or(|call| call == one.key()))
            .filter_map(Call::open_session)
            .filter(|session| self.media.heard_at(*session).is_some_and(is_fresh))
            .map(|session| self.media.recent_audio(session, span))
            .find(|audio| !audio.is_empty())
            .unwrap_or_default()
    }

    /// The same for evidence: of the last call that ended, when none is up that heard anything.
    pub fn last_audio(&self, id: UserAgentId, span: Duration) -> Vec<i16> {
        let present = self.recent_audio(id, None, span);
        if !present.is_empty() {
            return present;
        }
        self.user_agent(id)
            .and_then(crate::UserAgent::last_heard)
            .map(|heard| heard.recent(span))
            .unwrap_or_default()
    }

    /// Begins to hang up everything and to unregister; [`Change::Closed`] follows.
    pub fn close(&mut self, now: Time, id: UserAgentId, cause: Option<Cause>) {
        self.with(now, id, cause, |user_agent, ctx| user_agent.close(ctx));
    }
}
