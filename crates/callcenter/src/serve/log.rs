//! Events as lines of the log.

use callwright_acd::{AgentState, Fact, NotReadyReason};
use callwright_wire::Time;

use crate::server::Event;
use crate::store::Health;

/// An event as a line of the log.
pub(super) fn log(now: Time, event: &Event) {
    match event {
        Event::Stored { fact } => log_fact(now, fact),
        Event::NotStored { fact } => {
            tracing::error!(%now, ?fact, "not stored: what waited for it was refused, and it is missing in the records")
        }
        Event::ListenFailed { transport, error } => {
            tracing::error!(%now, %transport, %error, "not listening")
        }
        Event::Store {
            health: Health::Failing { reason },
        } => {
            tracing::error!(%now, %reason, "nothing can be stored: new calls and registrations are refused, calls in progress go on");
        }
        Event::Store {
            health: Health::Sound,
        } => tracing::warn!(%now, "the database works again: calls and registrations are taken"),
        Event::CallsLost { calls } => {
            tracing::warn!(
                ?calls,
                "these calls were up when the server ended without a word: their records are closed"
            );
        }
        Event::CallLegs { call, call_ids } => {
            tracing::info!(%now, call = call.0, call_ids = call_ids.join(" "), "legs");
        }
        Event::CallOver { call, cause } => tracing::info!(%now, call = call.0, %cause, "ended"),
        Event::Banned(ban) => {
            let seconds = ban.until.since(now).as_secs();
            tracing::warn!(%now, source = %ban.source, why = %ban.because, seconds, "banned: what this address asks for is not heard for so long");
        }
        Event::BanOver { source } => tracing::info!(%now, %source, "heard again after a ban"),
        Event::RecordingBegan { .. } | Event::Recorded { .. } | Event::Listening { .. } | Event::Closed => {}
    }
}

fn log_fact(now: Time, fact: &Fact) {
    match fact {
        Fact::Bindings { user, bindings } if bindings.is_empty() => {
            tracing::info!(%now, %user, "unregistered");
        }
        Fact::Bindings { user, bindings } => {
            let contacts: Vec<_> = bindings
                .iter()
                .map(|binding| binding.contact.to_string())
                .collect();
            tracing::info!(%now, %user, contacts = contacts.join(" "), "registered");
        }
        Fact::CallAnswered {
            call,
            caller,
            callee,
            agent,
            ..
        } => {
            tracing::info!(%now, call = call.0, %caller, %callee, agent, "answered");
        }
        Fact::CallQueued {
            call, queue, caller, ..
        } => tracing::info!(%now, call = call.0, %queue, %caller, "queued"),
        Fact::CallPresented {
            call, agent, attempt, ..
        } => tracing::info!(%now, call = call.0, %agent, attempt, "presented"),
        Fact::PresentationEnded {
            call, agent, outcome, ..
        } => tracing::info!(%now, call = call.0, %agent, ?outcome, "presentation ended"),
        Fact::AgentChanged { agent, state, .. } => {
            let why = match state {
                AgentState::NotReady(reason) => Some(reason),
                AgentState::LoggedOut
                | AgentState::Ready
                | AgentState::Reserved
                | AgentState::Talking
                | AgentState::WrapUp { .. } => None,
            };
            let reason = why.map(NotReadyReason::as_str);
            let note = why.and_then(NotReadyReason::note);
            tracing::info!(%now, %agent, state = state.as_str(), reason, note, "agent");
        }
        Fact::AgentWants {
            agent, afterwards, ..
        } => {
            let reason = afterwards.as_ref().map_or("ready", NotReadyReason::as_str);
            let note = afterwards.as_ref().and_then(NotReadyReason::note);
            tracing::info!(%now, %agent, reason, note, "agent wants to be, when its call is over");
        }
        Fact::RecordingStarted { call, file, .. } => {
            tracing::info!(%now, call = call.0, %file, "recording");
        }
        Fact::RecordingEnded {
            call, file, samples, ..
        } => tracing::info!(%now, call = call.0, %file, samples, "recorded"),
        Fact::CallOverflowed { call, to, .. } => tracing::info!(%now, call = call.0, %to, "overflowed"),
        Fact::CallTransferred { call, to, .. } => tracing::info!(%now, call = call.0, %to, "transferred"),
        // Told as `Event::CallOver`.
        Fact::CallEnded { .. } => {}
    }
}
