//! What the call center kept of the calls, beside what the capture shows.

use std::collections::BTreeSet;

use callwright_capture::analysis::Outcome;

use crate::plan::QUEUE;
use crate::results::Criterion;
use crate::tape::Tape;

use super::{Evidence, Expected, Seen, criterion, skipped, user};

/// How much a recording may be longer or shorter than the talk in the capture, in milliseconds.
const RECORDED_WITHIN_MS: f64 = 100.0;

/// Each call has a recording as long as its talk, with the customer on the left and the agent on the right.
pub(super) fn recorded(evidence: &Evidence<'_>, calls: &[Seen<'_>]) -> Criterion {
    const DEMANDS: &str = "every talk was recorded";
    if evidence.expected() != Expected::Talk {
        return skipped(
            "recordings",
            DEMANDS,
            "these customers say no tone that could be looked for",
        );
    }
    if evidence.recorded.is_err() {
        return skipped(
            "recordings",
            DEMANDS,
            "the database, which names them, cannot be read",
        );
    }
    let mut wrong = Vec::new();
    let (mut good, mut all): (usize, usize) = (0, 0);
    let mut furthest: f64 = 0.0;
    for seen in calls {
        let Some(talk) = seen.agent.and_then(|(_, leg)| leg.session_duration_ms) else {
            continue;
        };
        all += 1;
        let customer = seen.customer();
        let record = evidence.record(seen);
        let [file] = record.map_or(&[][..], |record| &record.files) else {
            let count = record.map_or(0, |record| record.files.len());
            wrong.push(format!("{customer}: {count} recordings instead of one"));
            continue;
        };
        match Tape::read(&evidence.recordings.join(file)) {
            Err(why) => wrong.push(format!("{customer}: {why}")),
            Ok(tape) => {
                let off = (tape.length_ms - talk).abs();
                furthest = furthest.max(off);
                if off > RECORDED_WITHIN_MS {
                    wrong.push(format!(
                        "{customer}: talked {:.2} s, and {:.2} s of it are in {file}",
                        talk / 1_000.0,
                        tape.length_ms / 1_000.0
                    ));
                } else if !tape.customer_left {
                    wrong.push(format!("{customer}: is not heard in the left channel of {file}"));
                } else if !tape.agent_right {
                    wrong.push(format!(
                        "{customer}: its agent is not heard in the right channel of {file}"
                    ));
                } else {
                    good += 1;
                }
            }
        }
    }
    let figures =
        format!("{good} of {all} talks, each side in its channel, within {furthest:.0} ms of their length");
    criterion("recordings", DEMANDS, figures, wrong)
}

/// Server, database and capture say the same.
pub(super) fn agreed(evidence: &Evidence<'_>, calls: &[Seen<'_>]) -> Criterion {
    const DEMANDS: &str = "call center, capture and database agree";
    let logged = match evidence.logged {
        Ok(logged) => logged,
        Err(why) => {
            let figures = "the log of the call center cannot be read".to_owned();
            return criterion("agreement", DEMANDS, figures, vec![why.clone()]);
        }
    };
    let recorded = match evidence.recorded {
        Ok(recorded) => recorded,
        Err(why) => {
            return criterion(
                "agreement",
                DEMANDS,
                "the database cannot be read".to_owned(),
                vec![why.clone()],
            );
        }
    };
    let mut wrong = Vec::new();
    let is_own = evidence.expected() == Expected::Own;
    // Who called nobody that there is was never let in, and is in no record. With customers who do as they like no call needs
    // to be let in.
    let is_stray = |seen: &Seen<'_>| {
        let call = seen.call;
        let is_nobody = matches!(call.status, Some(404 | 480)) && user(&call.dialled) != QUEUE;
        evidence.number(seen).is_none()
            && seen.agent.is_none()
            && (is_own || call.outcome == Outcome::Refused && is_nobody)
    };
    let (strays, calls): (Vec<_>, Vec<_>) = calls.iter().partition(|seen| is_stray(seen));
    if is_own {
        let numbers: BTreeSet<u64> = calls.iter().filter_map(|seen| evidence.number(seen)).collect();
        for record in recorded.iter().filter(|one| one.caller.is_some()) {
            if !numbers.contains(&record.call) {
                let caller = record.caller.as_deref().unwrap_or("nobody");
                wrong.push(format!(
                    "call {} of {caller} is in the database and not in the capture",
                    record.call
                ));
            }
        }
    } else if recorded.len() != calls.len() {
        wrong.push(format!(
            "the capture has {} calls, the database {}",
            calls.len(),
            recorded.len()
        ));
    }
    for seen in &calls {
        let customer = seen.customer();
        let Some(record) = evidence.record(seen) else {
            wrong.push(format!("{customer}: the database knows nothing of its call"));
            continue;
        };
        // Who was transferred talks on after the customer is gone.
        if evidence.expected() == Expected::Transfer || record.is_transferred {
            continue;
        }
        if record.agent.as_deref() != seen.agent_name() {
            wrong.push(format!(
                "{customer}: taken by {} in the capture, by {} in the database",
                seen.agent_name().unwrap_or("nobody"),
                record.agent.as_deref().unwrap_or("nobody")
            ));
        }
        let took = logged.callee_of(record.call).map(user);
        if took != seen.agent_name() {
            wrong.push(format!(
                "{customer}: taken by {} in the capture, by {} in the log of the call center",
                seen.agent_name().unwrap_or("nobody"),
                took.unwrap_or("nobody")
            ));
        }
        let ended = seen.call.ended_by.map(|by| by.name());
        let cause = record.cause.as_deref();
        let fits = match (seen.agent.is_some(), ended) {
            (true, Some("caller")) => matches!(cause, Some("completed_by_caller" | "transferred")),
            (true, Some("callee")) => matches!(
                cause,
                Some("completed_by_agent" | "completed_by_callee" | "transferred")
            ),
            (false, Some("caller")) if !is_own => cause == Some("abandoned"),
            _ => cause.is_some(),
        };
        if !fits {
            wrong.push(format!(
                "{customer}: ended by the {} in the capture, {} in the database",
                ended.unwrap_or("nobody"),
                cause.unwrap_or("still up")
            ));
        }
        if let (Some(talk), Some((_, leg))) = (record.talk_ms, seen.agent)
            && let Some(measured) = leg.session_duration_ms
            && (talk - measured).abs() > 500.0
        {
            wrong.push(format!(
                "{customer}: talked {:.1} s in the capture, {:.1} s in the database",
                measured / 1_000.0,
                talk / 1_000.0
            ));
        }
    }
    let mut figures = format!(
        "{} calls in the capture, {} in the database; {} answered in the log of the call center",
        calls.len(),
        recorded.len(),
        logged.answered()
    );
    if !strays.is_empty() {
        figures.push_str(&format!("; {} were not let in", strays.len()));
    }
    criterion("agreement", DEMANDS, figures, wrong)
}
