//! How calls end, and what is left of them.

use callwright_sip::endpoint::CallId;
use callwright_sip::event::EndCause;
use callwright_sip_message::Message;

use crate::call::{CallKey, Ended, Progress};

use super::incoming::phrase_of;
use super::{Alarm, Change, Context, UserAgent};

/// How many ended calls a user agent remembers.
const ENDED_CALLS: usize = 64;

impl UserAgent {
    pub(super) fn handle_ended(&mut self, ctx: &mut Context<'_>, sip: CallId, cause: EndCause) {
        let Some(key) = self.key_of(sip) else { return };
        let ended = ended(&cause);
        let (status, reason) = match &cause {
            EndCause::Response(message) => (message.status().unwrap_or(500), phrase_of(message)),
            EndCause::Timeout { .. } => (408, "Request Timeout".to_owned()),
            _ => (503, "Service Unavailable".to_owned()),
        };
        self.report_to_referrer(ctx, key, status, &reason);
        self.end_call(ctx, key, ended);
    }

    pub(super) fn end_call(&mut self, ctx: &mut Context<'_>, key: CallKey, ended: Ended) {
        self.close_media(ctx, key);
        self.alarms.clear(Alarm::AutoAnswer(key));
        self.alarms.clear(Alarm::NextInfoDigit(key));
        if let Some(call) = self.call_mut(key) {
            // A reason that was known before the end says more than `hung up`.
            let ended = call.ended.take().unwrap_or(ended);
            call.progress = Progress::Ended;
            call.sip = None;
            call.waiting = None;
            call.negotiation = None;
            call.offered = None;
            call.remote_offer = None;
            call.early_answers.clear();
            call.info = None;
            call.offer_due = None;
            call.ended = Some(ended.clone());
            self.last_end = Some(ended);
        }
        let ended_calls = self.calls.iter().filter(|call| !call.is_live()).count();
        if ended_calls > ENDED_CALLS
            && let Some(oldest) = self.calls.iter().position(|call| !call.is_live())
        {
            self.calls.remove(oldest);
        }
        self.change(Change::Calls);
    }

    /// This side refuses the call in words of its own: they are what the call ended with.
    pub(super) fn set_own_phrase(&mut self, key: CallKey, status: u16, phrase: Option<String>) {
        if let (Some(call), Some(phrase)) = (self.call_mut(key), phrase) {
            call.ended = Some(Ended {
                status: Some(status),
                reason: format!("{status} {phrase}").trim_end().to_owned(),
            });
        }
    }

    pub(super) fn set_end_reason(&mut self, key: CallKey, reason: String) {
        if let Some(call) = self.call_mut(key) {
            call.ended = Some(Ended { status: None, reason });
        }
    }
}

/// How a call ended, in words for a person.
fn ended(cause: &EndCause) -> Ended {
    let by_response = |message: &Message| Ended {
        status: message.status(),
        reason: format!("{} {}", message.status().unwrap_or_default(), phrase_of(message))
            .trim_end()
            .to_owned(),
    };
    let words = |reason: String| Ended { status: None, reason };
    let because = |reason: &Option<callwright_sip::command::Reason>| match reason {
        Some(reason) => match (&reason.text, reason.cause) {
            (Some(text), _) => format!(": {text}"),
            (None, Some(cause)) => format!(": {} {cause}", reason.protocol),
            (None, None) => String::new(),
        },
        None => String::new(),
    };
    match cause {
        EndCause::Response(message) | EndCause::DialogGone(message) => by_response(message),
        EndCause::Rejected { status } => Ended {
            status: Some(*status),
            reason: format!("{status} {}", callwright_sip::reason_phrase(*status)),
        },
        EndCause::RemoteBye { reason, .. } => words(format!("the peer hung up{}", because(reason))),
        EndCause::LocalBye => words("hung up".into()),
        EndCause::Cancelled { remote: true, reason } => {
            words(format!("cancelled by the caller{}", because(reason)))
        }
        EndCause::Cancelled { remote: false, .. } => words("cancelled".into()),
        EndCause::Timeout { timer } => words(format!("no answer from the peer ({timer})")),
        EndCause::Transport { error } => words(format!("not delivered: {error}")),
        EndCause::SessionExpired => words("the session timer ran out".into()),
        EndCause::Replaced { .. } => words("another call took its place".into()),
        EndCause::Protocol { rule } => words(format!("the peer broke a rule: {rule}")),
    }
}
