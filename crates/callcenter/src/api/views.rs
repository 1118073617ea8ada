//! What is answered, as JSON: times as in RFC 3339, spans in seconds.

use std::time::Duration;

use callwright_acd::{
    AgentSnapshot, AgentState, CallSnapshot, CallState, Fact, NotReadyReason, PresentationOutcome,
    QueueSnapshot, SourceSnapshot, Statistics,
};
use callwright_wire::{Epoch, Time};
use serde_json::{Value, json};

use crate::store::RecordRow;

/// A time in nanoseconds since 1970.
pub(super) fn time(unix: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(unix)) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => unix.to_string(),
    }
}

fn at(epoch: Epoch, time_of_world: Time) -> String {
    time(i64::try_from(epoch.unix_nanos_at(time_of_world)).unwrap_or(i64::MAX))
}

fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1_000.0).round() / 1_000.0
}

fn spans(nanos: Option<i64>) -> Option<f64> {
    nanos.map(|nanos| seconds(Duration::from_nanos(nanos.unsigned_abs())))
}

pub(super) fn agent(agent: &AgentSnapshot, epoch: Epoch) -> Value {
    let mut view = json!({
        "name": agent.name,
        "since": at(epoch, agent.since),
        "contacts": agent.contacts,
        "call": agent.call.map(|call| call.0),
        "other_calls": agent.other_calls,
        "unanswered": agent.unanswered,
        "refused": agent.refused,
        "answered": agent.answered,
        "talk_s": seconds(agent.talk_time),
    });
    put_state(&mut view, &agent.state, epoch);
    view
}

fn put_state(view: &mut Value, state: &AgentState, epoch: Epoch) {
    view["state"] = json!(state.as_str());
    match state {
        AgentState::NotReady(reason) => put_reason(view, reason),
        AgentState::WrapUp { until } => view["until"] = json!(at(epoch, *until)),
        AgentState::LoggedOut | AgentState::Ready | AgentState::Reserved | AgentState::Talking => {}
    }
}

fn put_reason(view: &mut Value, reason: &NotReadyReason) {
    view["reason"] = json!(reason.as_str());
    if let Some(note) = reason.note() {
        view["note"] = json!(note);
    }
}

pub(super) fn queue(queue: &QueueSnapshot, epoch: Epoch) -> Value {
    json!({
        "name": queue.name,
        "waiting": queue.waiting,
        "presented": queue.presented,
        "oldest": queue.oldest.map(|oldest| at(epoch, oldest)),
        "talking": queue.talking,
        "free": queue.free,
        "logged_in": queue.logged_in,
    })
}

pub(super) fn source(source: &SourceSnapshot, epoch: Epoch) -> Value {
    json!({
        "address": source.address,
        "calls": source.calls,
        "guesses": source.guesses,
        "limited": source.limited,
        "banned_until": source.banned_until.map(|until| at(epoch, until)),
    })
}

pub(super) fn call(call: &CallSnapshot, epoch: Epoch) -> Value {
    let mut view = json!({
        "number": call.call.0,
        "caller": call.caller,
        "dialled": call.dialled,
        "queue": call.queue,
        "agent": call.agent,
        "arrived": at(epoch, call.arrived),
        "answered": call.answered.map(|answered| at(epoch, answered)),
    });
    view["state"] = json!(match call.state {
        CallState::Arriving => "arriving",
        CallState::Queued { position, priority } => {
            view["position"] = json!(position);
            view["priority"] = json!(priority);
            "queued"
        }
        CallState::Presented { attempt } => {
            view["attempt"] = json!(attempt);
            "presented"
        }
        CallState::Ringing => "ringing",
        CallState::Message => "message",
        CallState::Connected => "connected",
        CallState::Held => "held",
    });
    view
}

pub(super) fn record(row: &RecordRow) -> Value {
    json!({
        "number": row.number,
        "caller": row.caller,
        "dialled": row.dialled,
        "queue": row.queue,
        "agent": row.agent,
        "callee": row.callee,
        "arrived": time(row.arrived_at),
        "answered": row.answered_at.map(time),
        "ended": row.ended_at.map(time),
        "cause": row.cause,
        "presentations": row.presentations,
        "transfers": row.transfers,
        "wait_s": spans(row.wait),
        "ring_s": spans(row.ring),
        "talk_s": spans(row.talk),
        "agent_talk_s": spans(row.agent_talk),
        "wrap_s": spans(row.wrap),
        "recordings": row.recordings,
    })
}

/// A fact of a call, whose times count from 1970, and whose end is called as in its record.
pub(super) fn event(fact: &Fact, ended: Option<&str>) -> Value {
    let unix = Epoch::from_unix_nanos(0);
    let mut view = json!({ "at": fact.at().map(|time| at(unix, time)) });
    match fact {
        Fact::Bindings { user, .. } => {
            view["event"] = json!("bindings");
            view["user"] = json!(user);
        }
        Fact::CallQueued { queue, priority, .. } => {
            view["event"] = json!("queued");
            view["queue"] = json!(queue);
            view["priority"] = json!(priority);
        }
        Fact::CallPresented { agent, attempt, .. } => {
            view["event"] = json!("presented");
            view["agent"] = json!(agent);
            view["attempt"] = json!(attempt);
        }
        Fact::PresentationEnded { agent, outcome, .. } => {
            view["event"] = json!("presentation_ended");
            view["agent"] = json!(agent);
            view["outcome"] = json!(match outcome {
                PresentationOutcome::NoAnswer => "no_answer",
                PresentationOutcome::Rejected(status) => {
                    view["status"] = json!(status);
                    "rejected"
                }
                PresentationOutcome::Withdrawn => "withdrawn",
                PresentationOutcome::AgentGone => "agent_gone",
            });
        }
        Fact::AgentChanged { agent, state, .. } => {
            view["event"] = json!("agent_changed");
            view["agent"] = json!(agent);
            put_state(&mut view, state, unix);
        }
        Fact::AgentWants {
            agent, afterwards, ..
        } => {
            view["event"] = json!("agent_wants");
            view["agent"] = json!(agent);
            view["state"] = json!(if afterwards.is_some() {
                "not_ready"
            } else {
                "ready"
            });
            if let Some(reason) = afterwards {
                put_reason(&mut view, reason);
            }
        }
        Fact::CallAnswered { callee, agent, .. } => {
            view["event"] = json!("answered");
            view["callee"] = json!(callee);
            view["agent"] = json!(agent);
        }
        Fact::CallOverflowed { to, .. } => {
            view["event"] = json!("overflowed");
            view["to"] = json!(to);
        }
        Fact::CallTransferred { agent, to, .. } => {
            view["event"] = json!("transferred");
            view["agent"] = json!(agent);
            view["to"] = json!(to);
        }
        Fact::RecordingStarted { file, .. } => {
            view["event"] = json!("recording_started");
            view["file"] = json!(file);
        }
        Fact::RecordingEnded { file, samples, .. } => {
            view["event"] = json!("recording_ended");
            view["file"] = json!(file);
            view["samples"] = json!(samples);
        }
        Fact::CallEnded { cause, .. } => {
            view["event"] = json!("ended");
            view["cause"] = json!(ended.map_or_else(|| cause.to_string(), str::to_owned));
        }
    }
    view
}

pub(super) fn statistics(queue: Option<&str>, threshold: Duration, sum: &Statistics) -> Value {
    json!({
        "queue": queue,
        "offered": sum.offered,
        "answered": sum.answered,
        "answered_in_time": sum.answered_in_time,
        "abandoned": sum.abandoned,
        "abandoned_quickly": sum.abandoned_quickly,
        "overflowed": sum.overflowed,
        "timed_out": sum.timed_out,
        "refused_full": sum.refused.full,
        "refused_closed": sum.refused.closed,
        "refused_no_agents": sum.refused.no_agents,
        "failed": sum.failed,
        "service_level": sum.service_level(),
        "service_level_without_quick": sum.service_level_without_quick(),
        "service_level_threshold_s": seconds(threshold),
        "abandon_rate": sum.abandon_rate(),
        "average_speed_of_answer_s": sum.average_speed_of_answer().map(seconds),
        "average_handle_time_s": sum.average_handle_time().map(seconds),
        "longest_wait_s": seconds(sum.longest_wait),
    })
}

#[cfg(test)]
mod tests {
    use callwright_acd::{CallKey, EndCause};
    use callwright_wire::Time;

    use super::*;

    #[test]
    fn the_end_of_a_call_is_called_as_in_its_record() {
        let fact = Fact::CallEnded {
            call: CallKey(1),
            cause: EndCause::CompletedByCallee,
            parties: None,
            at: Time::ZERO,
        };
        assert_eq!(
            event(&fact, Some("completed_by_agent"))["cause"],
            "completed_by_agent"
        );
        assert_eq!(event(&fact, None)["cause"], "completed_by_callee");
    }
}
