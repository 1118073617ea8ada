//! What happens to a phone, as lines of a log.

use crate::phones::{CallEnd, Happening, HungUp};

use callwright_ua::Origin;

/// Logs it. Every line names the phone and, where it is about one, the call.
pub(crate) fn log(phone: &str, what: &Happening) {
    match what {
        Happening::Address { transport, address } => {
            tracing::debug!(phone, %transport, %address, "uses");
        }
        Happening::StartFailed { error } => tracing::error!(phone, %error, "cannot start"),
        Happening::Registered { expires } => {
            tracing::info!(phone, expires_s = expires.as_secs(), "registered");
        }
        Happening::RegistrationFailed { status, reason } => {
            tracing::error!(phone, status, reason, "not registered");
        }
        Happening::RefreshFailed {
            registered: true,
            status,
            reason,
        } => tracing::warn!(phone, status, reason, "could not renew its registration"),
        Happening::RefreshFailed {
            registered: false,
            status,
            reason,
        } => tracing::warn!(
            phone,
            status,
            reason,
            "not registered any more: no call reaches it"
        ),
        Happening::Unregistered { reason } => tracing::info!(phone, reason, "unregistered"),
        Happening::Message { text } => tracing::debug!(phone, "{text}"),
        Happening::CallBegan { call, origin, peer } => {
            let what = match origin {
                Origin::Incoming => "is called",
                Origin::Outgoing => "calls",
            };
            tracing::info!(phone, call = call.0, peer, "{what}");
        }
        Happening::Ringing { call } => tracing::info!(phone, call = call.0, "ringing"),
        Happening::Answered { call, call_id } => {
            tracing::info!(phone, call = call.0, call_id, "answered");
        }
        Happening::PartnerHeard { call } => tracing::info!(phone, call = call.0, "hears the other side"),
        Happening::CallEnded(end) => log_end(phone, end),
        // Sound is no line.
        Happening::Recorded { .. } => {}
        Happening::Closed => tracing::info!(phone, "closed"),
    }
}

fn log_end(phone: &str, end: &CallEnd) {
    let CallEnd {
        call,
        call_id,
        hung_up,
        status,
        reason,
        lasted,
        ..
    } = end;
    let why = match hung_up {
        Some(HungUp::Talked) => "hung up: talked as long as it was to",
        Some(HungUp::OutOfPatience) => "hung up: out of patience",
        Some(HungUp::Closing) => "hung up: closing",
        None => "ended",
    };
    let lasted_s = (lasted.as_secs_f64() * 1_000.0).round() / 1_000.0;
    tracing::info!(phone, call = call.0, call_id, lasted_s, status, reason, "{why}");
}
