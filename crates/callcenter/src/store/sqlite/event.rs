//! Facts as rows of `call_events`, and back. Words are those of facts: what a record makes of an end, such as `completed_by_agent`,
//! follows from more than one of them, and stands in `calls`.

use std::borrow::Cow;

use callwright_acd::{
    AgentState, CallKey, EndCause, Fact, NotReadyReason, Parties, PresentationOutcome, RefusedBecause,
};
use callwright_wire::{Epoch, Time};

/// A row of `call_events`. Times are nanoseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EventRow<'a> {
    pub(super) at: i64,
    pub(super) kind: Cow<'a, str>,
    pub(super) call: Option<i64>,
    pub(super) queue: Option<Cow<'a, str>>,
    pub(super) agent: Option<Cow<'a, str>>,
    pub(super) party: Option<Cow<'a, str>>,
    pub(super) target: Option<Cow<'a, str>>,
    pub(super) outcome: Option<Cow<'a, str>>,
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) number: Option<i64>,
}

/// What a world calls a time, as nanoseconds since 1970, and back.
pub(super) trait Calendar {
    fn unix(&self, time: Time) -> i64;
    fn time(&self, unix: i64) -> Time;
}

impl<'a> EventRow<'a> {
    /// `None` for bindings, which have a table of their own, and for the wishes of agents, which stand in theirs.
    pub(super) fn of(fact: &'a Fact, calendar: &impl Calendar) -> Option<EventRow<'a>> {
        let mut row = EventRow {
            at: calendar.unix(fact.at()?),
            call: fact.call().map(|call| signed(call.0)),
            ..EventRow::default()
        };
        let text = |text: &'a str| Some(Cow::Borrowed(text));
        row.kind = Cow::Borrowed(match fact {
            Fact::Bindings { .. } | Fact::AgentWants { .. } => return None,
            Fact::CallQueued {
                queue,
                caller,
                dialled,
                priority,
                ..
            } => {
                row.queue = text(queue);
                row.party = text(caller);
                row.target = text(dialled);
                row.number = Some(i64::from(*priority));
                "queued"
            }
            Fact::CallPresented { agent, attempt, .. } => {
                row.agent = text(agent);
                row.number = Some(i64::from(*attempt));
                "presented"
            }
            Fact::PresentationEnded { agent, outcome, .. } => {
                row.agent = text(agent);
                row.outcome = text(match outcome {
                    PresentationOutcome::NoAnswer => "no_answer",
                    PresentationOutcome::Rejected(status) => {
                        row.number = Some(i64::from(*status));
                        "rejected"
                    }
                    PresentationOutcome::Withdrawn => "withdrawn",
                    PresentationOutcome::AgentGone => "agent_gone",
                });
                "presentation_ended"
            }
            Fact::AgentChanged { agent, state, .. } => {
                let StateRow {
                    state,
                    reason,
                    note,
                    until,
                } = StateRow::of(state, calendar);
                row.agent = text(agent);
                row.outcome = text(state);
                row.reason = reason.map(Cow::Borrowed);
                row.target = note.map(Cow::Borrowed);
                row.number = until;
                "agent_changed"
            }
            Fact::CallAnswered {
                caller,
                callee,
                agent,
                ..
            } => {
                row.party = text(caller);
                row.target = text(callee);
                row.agent = agent.as_deref().map(Cow::Borrowed);
                "answered"
            }
            Fact::CallOverflowed { to, .. } => {
                row.target = text(to);
                "overflowed"
            }
            Fact::CallTransferred { agent, to, .. } => {
                row.agent = agent.as_deref().map(Cow::Borrowed);
                row.target = text(to);
                "transferred"
            }
            Fact::RecordingStarted { file, .. } => {
                row.target = text(file);
                "recording_started"
            }
            Fact::RecordingEnded { file, samples, .. } => {
                row.target = text(file);
                row.number = Some(signed(*samples));
                "recording_ended"
            }
            Fact::CallEnded { cause, parties, .. } => {
                if let Some(Parties { caller, dialled }) = parties {
                    row.party = text(caller);
                    row.target = text(dialled);
                }
                row.outcome = text(match cause {
                    EndCause::CompletedByCaller => "completed_by_caller",
                    EndCause::CompletedByCallee => "completed_by_callee",
                    EndCause::Abandoned => "abandoned",
                    EndCause::TimedOut => "timed_out",
                    EndCause::Overflowed => "overflowed",
                    EndCause::Refused(because) => {
                        row.reason = Some(Cow::Owned(because.to_string()));
                        "refused"
                    }
                    EndCause::Transferred => "transferred",
                    EndCause::Failed(status) => {
                        row.number = Some(i64::from(*status));
                        "failed"
                    }
                    EndCause::Restarted => {
                        row.reason = text("restart");
                        "failed"
                    }
                });
                "ended"
            }
        });
        Some(row)
    }

    /// The fact that it was made of; `None` where it was made of none.
    pub(super) fn fact(self, calendar: &impl Calendar) -> Option<Fact> {
        let at = calendar.time(self.at);
        let call = self.call.map(|call| CallKey(call.unsigned_abs()));
        let owned = |text: Option<Cow<'a, str>>| text.map(Cow::into_owned);
        Some(match &*self.kind {
            "queued" => Fact::CallQueued {
                call: call?,
                queue: owned(self.queue)?,
                caller: owned(self.party)?,
                dialled: owned(self.target)?,
                priority: i32::try_from(self.number?).ok()?,
                at,
            },
            "presented" => Fact::CallPresented {
                call: call?,
                agent: owned(self.agent)?,
                attempt: u32::try_from(self.number?).ok()?,
                at,
            },
            "presentation_ended" => Fact::PresentationEnded {
                call: call?,
                agent: owned(self.agent)?,
                outcome: match self.outcome.as_deref()? {
                    "no_answer" => PresentationOutcome::NoAnswer,
                    "rejected" => PresentationOutcome::Rejected(u16::try_from(self.number?).ok()?),
                    "withdrawn" => PresentationOutcome::Withdrawn,
                    "agent_gone" => PresentationOutcome::AgentGone,
                    _ => return None,
                },
                at,
            },
            "agent_changed" => {
                let state = StateRow {
                    state: self.outcome.as_deref()?,
                    reason: self.reason.as_deref(),
                    note: self.target.as_deref(),
                    until: self.number,
                };
                Fact::AgentChanged {
                    state: state.state(calendar)?,
                    agent: owned(self.agent)?,
                    at,
                }
            }
            "answered" => Fact::CallAnswered {
                call: call?,
                caller: owned(self.party)?,
                callee: owned(self.target)?,
                agent: owned(self.agent),
                at,
            },
            "overflowed" => Fact::CallOverflowed {
                call: call?,
                to: owned(self.target)?,
                at,
            },
            "transferred" => Fact::CallTransferred {
                call: call?,
                agent: owned(self.agent),
                to: owned(self.target)?,
                at,
            },
            "recording_started" => Fact::RecordingStarted {
                call: call?,
                file: owned(self.target)?,
                at,
            },
            "recording_ended" => Fact::RecordingEnded {
                call: call?,
                file: owned(self.target)?,
                samples: self.number?.unsigned_abs(),
                at,
            },
            "ended" => Fact::CallEnded {
                call: call?,
                cause: match self.outcome.as_deref()? {
                    "completed_by_caller" => EndCause::CompletedByCaller,
                    "completed_by_callee" => EndCause::CompletedByCallee,
                    "abandoned" => EndCause::Abandoned,
                    "timed_out" => EndCause::TimedOut,
                    "overflowed" => EndCause::Overflowed,
                    "refused" => EndCause::Refused(match self.reason.as_deref()? {
                        "full" => RefusedBecause::Full,
                        "closed" => RefusedBecause::Closed,
                        "no_agents" => RefusedBecause::NoAgents,
                        _ => return None,
                    }),
                    "transferred" => EndCause::Transferred,
                    "failed" => match self.reason.as_deref() {
                        Some(_) => EndCause::Restarted,
                        None => EndCause::Failed(u16::try_from(self.number?).ok()?),
                    },
                    _ => return None,
                },
                parties: owned(self.party)
                    .zip(owned(self.target))
                    .map(|(caller, dialled)| Parties { caller, dialled }),
                at,
            },
            _ => return None,
        })
    }
}

/// The state of an agent as columns.
pub(super) struct StateRow<'a> {
    pub(super) state: &'a str,
    pub(super) reason: Option<&'a str>,
    pub(super) note: Option<&'a str>,
    pub(super) until: Option<i64>,
}

impl<'a> StateRow<'a> {
    pub(super) fn of(state: &'a AgentState, calendar: &impl Calendar) -> StateRow<'a> {
        let mut row = StateRow {
            state: state.as_str(),
            reason: None,
            note: None,
            until: None,
        };
        match state {
            AgentState::NotReady(reason) => {
                row.reason = Some(reason.as_str());
                row.note = reason.note();
            }
            AgentState::WrapUp { until } => row.until = Some(calendar.unix(*until)),
            AgentState::LoggedOut | AgentState::Ready | AgentState::Reserved | AgentState::Talking => {}
        }
        row
    }

    /// The state that it was made of.
    pub(super) fn state(&self, calendar: &impl Calendar) -> Option<AgentState> {
        Some(match self.state {
            "logged_out" => AgentState::LoggedOut,
            "not_ready" => AgentState::NotReady(reason_of(self.reason?, self.note)?),
            "ready" => AgentState::Ready,
            "reserved" => AgentState::Reserved,
            "talking" => AgentState::Talking,
            "wrap_up" => AgentState::WrapUp {
                until: calendar.time(self.until?),
            },
            _ => return None,
        })
    }
}

/// The reason that columns were made of.
pub(super) fn reason_of(reason: &str, note: Option<&str>) -> Option<NotReadyReason> {
    Some(match reason {
        "login" => NotReadyReason::Login,
        "manual" => NotReadyReason::Manual(note.unwrap_or_default().to_owned()),
        "no_answer" => NotReadyReason::NoAnswer,
        "rejected" => NotReadyReason::Rejected,
        _ => return None,
    })
}

/// SQLite's integers have a sign.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Calendar for Epoch {
    fn unix(&self, time: Time) -> i64 {
        signed(self.unix_nanos_at(time))
    }

    /// What was before the world began was at its beginning.
    fn time(&self, unix: i64) -> Time {
        let start = self.unix_nanos_at(Time::ZERO);
        Time::from_nanos(u64::try_from(unix).unwrap_or(0).saturating_sub(start))
    }
}

/// Times that count from 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unix;

impl Calendar for Unix {
    fn unix(&self, time: Time) -> i64 {
        signed(time.as_nanos())
    }

    fn time(&self, unix: i64) -> Time {
        Time::from_nanos(u64::try_from(unix).unwrap_or(0))
    }
}
