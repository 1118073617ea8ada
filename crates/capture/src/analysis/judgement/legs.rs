//! Findings about legs: how they ended, how long that took, and whether both sides were heard.

use callwright_media::detect::SILENCE_DBM0;
use callwright_wire::Time;

use super::{ANSWER_MS, About, Evidence, TIMEOUT_MS, finding};
use crate::analysis::call::{Leg, Outcome, Side};
use crate::analysis::finding::{Finding, FindingKind, Severity};
use crate::analysis::legs::{Answer, LegState};
use crate::analysis::stream::Stream;

pub(super) fn judge_leg(
    found: &mut Vec<Finding>,
    evidence: &Evidence<'_>,
    about: About,
    leg: &Leg,
    state: &LegState,
) {
    let config = evidence.config;
    let age_ms = |since: Time| (evidence.last - since).as_secs_f64() * 1_000.0;
    let mut add = |kind, at, packets, message| found.push(finding(kind, about, at, packets, message));
    let first = vec![state.first_packet];
    let line = |last: &Answer| format!("{} {}", last.status, last.reason);
    match leg.outcome {
        Outcome::Refused => {
            if let Some(last) = &state.last_final {
                let kind = match last.status {
                    // What a user, or the lack of one, says: SEER (RFC 6076 §4.7) and those that mean the same.
                    300..=399 | 404 | 410 | 480 | 484 | 486 | 487 | 488 | 600 | 603 | 604 | 607 => {
                        FindingKind::CallRefused
                    }
                    _ => FindingKind::CallFailed,
                };
                let message = format!("the call to {} ended with {}", leg.dialled, line(last));
                add(kind, last.at, vec![state.first_packet, last.packet], message);
            }
        }
        // One that was sent just before the end may still be answered.
        Outcome::Unanswered if state.responded.is_none() && age_ms(state.started) >= ANSWER_MS => {
            let message = format!(
                "INVITE {} got no response in {:.1} s, sent {}",
                leg.dialled,
                age_ms(state.started).min(TIMEOUT_MS) / 1_000.0,
                match state.again {
                    0 => "once".to_owned(),
                    again => format!("{} times", again + 1),
                }
            );
            add(FindingKind::CallUnanswered, state.started, first, message);
        }
        Outcome::Unanswered if age_ms(state.last) > TIMEOUT_MS => {
            let message = format!("INVITE {} never got a final response", leg.dialled);
            add(FindingKind::CallUnanswered, state.started, first, message);
        }
        Outcome::Up => {
            let message = format!("the call to {} was still up when the capture ended", leg.dialled);
            add(FindingKind::NoBye, evidence.last, first, message);
        }
        Outcome::Unanswered | Outcome::Cancelled | Outcome::Completed => {}
    }
    if let Some(answer) = &state.answered
        && !state.acknowledged
        && !state.begun_before
        && (leg.outcome == Outcome::Completed || age_ms(answer.at) > 1_000.0)
    {
        let message = format!("{} to INVITE was not acknowledged", line(answer));
        add(FindingKind::NoAck, answer.at, vec![answer.packet], message);
    }
    if leg.outcome == Outcome::Completed && leg.session_disconnect_delay_ms.is_none() {
        judge_bye(found, about, state, age_ms);
    }
    let mut slow = |kind, delay: Option<f64>, limit: std::time::Duration, at, packets, what: &str| {
        let limit_ms = limit.as_secs_f64() * 1_000.0;
        if let Some(delay) = delay.filter(|delay| *delay > limit_ms) {
            let message = format!(
                "{what} {:.2} s, more than {:.2} s",
                delay / 1_000.0,
                limit.as_secs_f64()
            );
            found.push(finding(kind, about, at, packets, message));
        }
    };
    let first = vec![state.first_packet];
    slow(
        FindingKind::SlowSetup,
        leg.session_request_delay_ms,
        config.slow_setup,
        state.started,
        first,
        "the caller waited for the first sign of life",
    );
    if let Some(bye) = state.byes.first() {
        slow(
            FindingKind::SlowDisconnect,
            leg.session_disconnect_delay_ms,
            config.slow_disconnect,
            bye.at,
            vec![bye.packet],
            "the answer to BYE took",
        );
    }
    if state.again > 0 {
        let message = format!("{} of {} messages were sent again", state.again, state.messages);
        let mut one = finding(
            FindingKind::Retransmissions,
            about,
            state.started,
            state.again_packets.clone(),
            message,
        );
        one.count = state.again;
        found.push(one);
    }
    judge_audio(found, evidence, about, leg, state);
}

fn judge_bye(found: &mut Vec<Finding>, about: About, state: &LegState, age_ms: impl Fn(Time) -> f64) {
    let Some(bye) = state.byes.last() else { return };
    let (message, packets) = match &bye.answer {
        Some(answer) => (
            format!("BYE was answered by {} {}", answer.status, answer.reason),
            vec![bye.packet, answer.packet],
        ),
        None if age_ms(bye.at) > 500.0 => ("BYE was not answered".to_owned(), vec![bye.packet]),
        // The capture ends too early to tell.
        None => return,
    };
    found.push(finding(
        FindingKind::DisconnectFailed,
        about,
        bye.at,
        packets,
        message,
    ));
}

/// Whether each side that may send does, and is heard.
fn judge_audio(found: &mut Vec<Finding>, evidence: &Evidence<'_>, about: About, leg: &Leg, state: &LegState) {
    let (Some(answered), Some(call), Some(place)) = (leg.answered, about.call, about.leg) else {
        return;
    };
    let until = leg.ended.unwrap_or(evidence.last);
    let up = until - answered;
    if up < evidence.config.audio_expected {
        return;
    }
    let streams = || leg.streams.iter().map(|place| &evidence.streams[*place]);
    // A call whose media pass elsewhere says nothing; no RTP at all in the capture means that nobody captured it.
    if evidence.streams.is_empty() {
        return;
    }
    let audio: Vec<_> = leg.media.iter().filter(|line| line.kind == "audio").collect();
    let packets = state
        .answered
        .iter()
        .map(|answer| answer.packet)
        .collect::<Vec<_>>();
    let mut missing = Vec::new();
    for side in [Side::Caller, Side::Callee] {
        let may_send = audio.iter().any(|line| match side {
            Side::Caller => line.caller_sends,
            Side::Callee => line.callee_sends,
        });
        if !may_send {
            continue;
        }
        let sent_by = |stream: &Stream| Some(side) == stream.sender_in(call, place);
        let mut theirs = streams().filter(|stream| sent_by(stream)).peekable();
        if theirs.peek().is_none() {
            missing.push(side);
            continue;
        }
        let levels: Vec<_> = theirs.filter_map(|stream| stream.level.as_ref()).collect();
        if !levels.is_empty() && levels.iter().all(|level| level.max_dbm0 <= SILENCE_DBM0) {
            let loudest = levels.iter().map(|level| level.max_dbm0).fold(f64::MIN, f64::max);
            let message = format!(
                "the {} sent audio of at most {loudest:.0} dBm0 for {:.1} s",
                side.name(),
                up.as_secs_f64()
            );
            found.push(finding(
                FindingKind::Silence,
                about,
                answered,
                packets.clone(),
                message,
            ));
        }
    }
    let seconds = up.as_secs_f64();
    match missing.as_slice() {
        [] => {}
        [one] => {
            let message = format!(
                "the call was up for {seconds:.1} s, and no RTP of the {} is there",
                one.name()
            );
            found.push(finding(
                FindingKind::OneWayAudio,
                about,
                answered,
                packets,
                message,
            ));
        }
        _ => {
            let own = audio
                .iter()
                .flat_map(|line| [line.caller_address, line.callee_address]);
            let is_seen = own
                .flatten()
                .any(|address| evidence.hosts.contains(&address.ip()));
            let mut message =
                format!("the call was up for {seconds:.1} s, and no RTP of either side is there");
            if !is_seen {
                message.push_str("; nor is any other of their hosts, so that it may pass elsewhere");
            }
            let mut one = finding(FindingKind::MissingAudio, about, answered, packets, message);
            if !is_seen {
                one.severity = Severity::Note;
            }
            found.push(one);
        }
    }
}
