//! Findings about registrations.

use super::{About, Evidence, TIMEOUT_MS, finding};
use crate::analysis::finding::{Finding, FindingKind};
use crate::analysis::legs::EVIDENCE;
use crate::analysis::registration::Registration;
use crate::analysis::report::is_open_challenge;

pub(super) fn judge_registration(
    found: &mut Vec<Finding>,
    evidence: &Evidence<'_>,
    place: usize,
    registration: &Registration,
) {
    let about = About {
        registration: Some(place),
        ..About::default()
    };
    let mut failed: Option<Finding> = None;
    for attempt in &registration.attempts {
        let age_ms = (evidence.last - attempt.at).as_secs_f64() * 1_000.0;
        let limit = evidence.config.slow_registration;
        if let Some(delay) = attempt.registration_request_delay_ms
            && attempt.succeeded()
            && delay > limit.as_secs_f64() * 1_000.0
        {
            let message = format!(
                "{} was registered after {:.2} s, more than {:.2} s",
                registration.aor,
                delay / 1_000.0,
                limit.as_secs_f64()
            );
            let packets = vec![attempt.packet];
            found.push(finding(
                FindingKind::SlowRegistration,
                about,
                attempt.at,
                packets,
                message,
            ));
        }
        let message = match (attempt.status, &attempt.reason) {
            (Some(..300), _) => continue,
            (Some(status), reason) if is_open_challenge(attempt) => {
                if age_ms < TIMEOUT_MS {
                    continue;
                }
                let reason = reason.as_deref().unwrap_or_default();
                format!(
                    "{}: {status} {reason}, and no credentials followed",
                    registration.aor
                )
            }
            (Some(status), reason) => {
                format!(
                    "{}: {status} {}",
                    registration.aor,
                    reason.as_deref().unwrap_or_default()
                )
            }
            (None, _) if age_ms < TIMEOUT_MS => continue,
            (None, _) => format!("{}: no response", registration.aor),
        };
        match &mut failed {
            Some(before) => {
                before.count += 1;
                if before.packets.len() < EVIDENCE {
                    before.packets.push(attempt.packet);
                }
            }
            None => {
                let packets = [Some(attempt.packet), attempt.answer_packet];
                let packets = packets.into_iter().flatten().collect();
                failed = Some(finding(
                    FindingKind::RegistrationFailed,
                    about,
                    attempt.at,
                    packets,
                    message,
                ));
            }
        }
    }
    found.extend(failed);
}
