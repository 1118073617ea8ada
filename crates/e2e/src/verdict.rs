//! What is demanded of a run, and whether the capture shows it.

mod agreement;
mod audio;
mod shown;

use std::collections::BTreeMap;
use std::path::Path;

use callwright_capture::analysis::{Analysis, Call, FindingKind, Leg, Outcome, Severity};

use crate::observed::Observed;
use crate::plan::{Customers, Plan};
use crate::recorded::{Logged, Recorded};
use crate::results::{CallShown, Criterion, Health, Results, SCHEMA, State, Verdict};
use crate::sipp::{BuiltIn, Scenario};
use crate::tap::Delivery;

/// What is judged.
pub(crate) struct Evidence<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) analysis: &'a Analysis,
    pub(crate) observed: &'a Observed,
    pub(crate) delivery: &'a Delivery,
    /// What the database says.
    pub(crate) recorded: &'a Result<Vec<Recorded>, String>,
    /// What the call center logged: which legs are one call, and who took it.
    pub(crate) logged: &'a Result<Logged, String>,
    /// The folder of recordings.
    pub(crate) recordings: &'a Path,
}

/// What the customers of a run are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Talk to agents.
    Talk,
    /// Talk to agents without audio.
    Silent,
    /// Talk to agents, and transfer them.
    Transfer,
    /// What stands in a scenario that only SIPp knows.
    Own,
}

impl Evidence<'_> {
    fn expected(&self) -> Expected {
        match &self.plan.customers {
            Customers::Embedded | Customers::Sipp(Scenario::BuiltIn(BuiltIn::Queue | BuiltIn::Long)) => {
                Expected::Talk
            }
            Customers::Sipp(Scenario::BuiltIn(BuiltIn::Volume)) => Expected::Silent,
            Customers::Sipp(Scenario::BuiltIn(BuiltIn::Transfer)) => Expected::Transfer,
            Customers::Sipp(Scenario::BuiltIn(BuiltIn::Failed) | Scenario::File(_)) => Expected::Own,
        }
    }

    /// The number that the call center gave a call: that of one of its legs.
    fn number(&self, seen: &Seen<'_>) -> Option<u64> {
        let logged = self.logged.as_ref().ok()?;
        let legs = seen.call.legs.iter();
        legs.filter_map(|leg| logged.call_of(&leg.call_id)).next()
    }

    /// What the database says of a call.
    fn record(&self, seen: &Seen<'_>) -> Option<&Recorded> {
        let number = self.number(seen)?;
        self.recorded.as_ref().ok()?.iter().find(|one| one.call == number)
    }

    fn planned(&self) -> usize {
        usize::try_from(self.plan.calls).unwrap_or(usize::MAX)
    }
}

/// The user of a SIP URI.
pub(crate) fn user(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split_once('@').map_or(rest, |(user, _)| user)
}

/// A call, with the leg on which an agent took it.
struct Seen<'a> {
    place: usize,
    call: &'a Call,
    agent: Option<(usize, &'a Leg)>,
}

impl<'a> Seen<'a> {
    /// The call center keeps the address in To that the customer dialled; whom it called stands in the Request-URI.
    fn agent_name(&self) -> Option<&'a str> {
        self.agent.map(|(_, leg)| user(&leg.dialled))
    }

    fn customer(&self) -> &'a str {
        user(&self.call.caller)
    }
}

/// The calls that came to the call center. One that begins there is a presentation that the analysis joined to none of them.
fn seen<'a>(analysis: &'a Analysis, observed: &Observed) -> Vec<Seen<'a>> {
    let seen = |(place, call)| Seen {
        place,
        call,
        agent: agent_leg(call),
    };
    let is_own = |call: &Call| call.legs.first().map(|leg| leg.client) == observed.server;
    let calls = analysis.calls.iter().enumerate();
    calls.filter(|(_, call)| !is_own(call)).map(seen).collect()
}

/// The first leg from the call center to somebody who answered: who took the call, whomever it was transferred to later.
fn agent_leg(call: &Call) -> Option<(usize, &Leg)> {
    call.legs
        .iter()
        .enumerate()
        .skip(1)
        .find(|(_, leg)| leg.answered.is_some())
}

/// Judges a run.
pub(crate) fn judge(evidence: &Evidence<'_>) -> Results {
    let calls = seen(evidence.analysis, evidence.observed);
    let shown_calls: Vec<CallShown> = calls
        .iter()
        .map(|call| shown::show_call(evidence, call))
        .collect();
    let health = Health {
        lateness_p99_ms: evidence.observed.lateness_p99.as_secs_f64() * 1_000.0,
        packets_skipped: evidence.observed.packets_skipped,
        receive_drops: evidence.observed.receive_drops,
    };
    let criteria = vec![
        lasted(evidence),
        registered(evidence),
        established(evidence, &calls),
        completed(evidence, &calls),
        distributed(evidence, &calls),
        audio::heard(evidence, &calls, &shown_calls),
        delivered(evidence),
        agreement::recorded(evidence, &calls),
        agreement::agreed(evidence, &calls),
    ];
    let failed: Vec<&Criterion> = criteria.iter().filter(|one| one.state == State::Failed).collect();
    let only_audio = !failed.is_empty()
        && failed
            .iter()
            .all(|one| matches!(one.name, "audio" | "delivery" | "recordings"));
    let (verdict, reason) = if evidence.observed.interrupted {
        (
            Verdict::Interrupted,
            Some("the run was interrupted; what is shown is what there was until then".to_owned()),
        )
    } else if let Some(why) = &evidence.observed.server_died {
        (
            Verdict::Invalid,
            Some(format!("the call center ended before it was told to: {why}")),
        )
    } else if only_audio && !health.is_good() {
        let reason = format!(
            "this machine was too slow to judge audio: 99 of 100 packets left {:.0} ms late or less, {} were left out, {} dropped",
            health.lateness_p99_ms, health.packets_skipped, health.receive_drops
        );
        (Verdict::Invalid, Some(reason))
    } else if let Some(first) = failed.first() {
        (Verdict::Failed, first.evidence.first().cloned())
    } else {
        (Verdict::Passed, None)
    };
    let nanos = i128::from(evidence.analysis.capture.started_unix_nanos);
    let started = jiff::Timestamp::from_nanosecond(nanos)
        .map(|at| at.to_string())
        .unwrap_or_default();
    Results {
        schema: SCHEMA,
        version: evidence.plan.version.clone(),
        verdict,
        exit_code: verdict.exit_code().code(),
        reason,
        started,
        duration_s: evidence.analysis.capture.duration_ms / 1_000.0,
        plan: shown::show_plan(evidence.plan),
        agents: shown::show_agents(evidence, &calls),
        calls: shown_calls,
        criteria,
        delivery: evidence.delivery.clone(),
        health,
        findings: shown::show_findings(evidence.analysis),
    }
}

fn criterion(name: &'static str, demands: &'static str, figures: String, evidence: Vec<String>) -> Criterion {
    let state = if evidence.is_empty() {
        State::Passed
    } else {
        State::Failed
    };
    Criterion {
        name,
        demands,
        state,
        figures,
        evidence,
    }
}

fn skipped(name: &'static str, demands: &'static str, why: &str) -> Criterion {
    Criterion {
        name,
        demands,
        state: State::Skipped,
        figures: why.to_owned(),
        evidence: Vec::new(),
    }
}

/// Every part lived until it was ended.
fn lasted(evidence: &Evidence<'_>) -> Criterion {
    let observed = evidence.observed;
    let mut wrong = Vec::new();
    if let Some(why) = &observed.server_died {
        wrong.push(format!("the call center ended before it was told to: {why}"));
    }
    for agent in &observed.agents {
        if agent.died {
            wrong.push(format!(
                "the phone of {} died in a call: no BYE, no unregistration",
                agent.name
            ));
        } else if !agent.closed && agent.registered {
            wrong.push(format!("the phone of {} did not end in order", agent.name));
        }
    }
    for customer in &observed.customers {
        if let Some(failure) = &customer.failure {
            wrong.push(format!("the phone of {} did not start: {failure}", customer.name));
        }
    }
    match &observed.sipp {
        Some((true, _)) | None => {}
        Some((false, why)) => wrong.push(format!("SIPp: {why} (logs/sipp.log)")),
    }
    if observed.late {
        wrong.push(format!(
            "the calls were not over after {:.0} s",
            evidence.plan.limit().as_secs_f64()
        ));
    }
    let customers = match &observed.sipp {
        Some((_, story)) => format!("SIPp: {story}"),
        None => format!("{} customers", observed.customers.len()),
    };
    let figures = format!("call center, {} agents, {customers}", observed.agents.len());
    criterion("parts", "every part lived until its end", figures, wrong)
}

/// Every agent registered, in the capture.
fn registered(evidence: &Evidence<'_>) -> Criterion {
    let mut wrong = Vec::new();
    let mut slowest: f64 = 0.0;
    let mut count = 0;
    for agent in &evidence.observed.agents {
        match registration(evidence.analysis, &agent.name) {
            Registered::Yes(ms) => {
                count += 1;
                slowest = slowest.max(ms);
            }
            Registered::No(status) => wrong.push(format!(
                "{} could not register: {}",
                agent.name,
                agent.failure.as_deref().unwrap_or(&status)
            )),
        }
    }
    let figures = format!(
        "{count} of {} agents, the slowest in {slowest:.1} ms",
        evidence.plan.agents
    );
    criterion("registered", "every agent registered", figures, wrong)
}

enum Registered {
    /// After so many milliseconds.
    Yes(f64),
    /// With this status.
    No(String),
}

fn registration(analysis: &Analysis, name: &str) -> Registered {
    let mut last = "no REGISTER of it is in the capture".to_owned();
    for registration in analysis.registrations.iter().filter(|one| user(&one.aor) == name) {
        for attempt in registration
            .attempts
            .iter()
            .filter(|attempt| !attempt.unregisters)
        {
            if attempt.succeeded() {
                return Registered::Yes(attempt.registration_request_delay_ms.unwrap_or_default());
            }
            last = match (attempt.status, &attempt.reason) {
                (Some(status), Some(reason)) => format!("{status} {reason}"),
                (Some(status), None) => status.to_string(),
                (None, _) => "no answer".to_owned(),
            };
        }
    }
    Registered::No(last)
}

/// Every call that was to be placed reached an agent.
fn established(evidence: &Evidence<'_>, calls: &[Seen<'_>]) -> Criterion {
    const DEMANDS: &str = "every call was established";
    let expected = evidence.expected();
    if expected == Expected::Own {
        return skipped(
            "established",
            DEMANDS,
            "what calls are to become stands in SIPp's scenario",
        );
    }
    let planned = evidence.planned();
    let taken = calls.iter().filter(|seen| seen.agent.is_some()).count();
    let mut wrong = Vec::new();
    for seen in calls.iter().filter(|seen| seen.agent.is_none()) {
        wrong.push(match waited(evidence, seen) {
            Some(story) => format!("{} {story}", seen.customer()),
            None => format!("{} reached no agent: {}", seen.customer(), ending(seen.call)),
        });
    }
    if calls.len() < planned {
        wrong.push(format!(
            "{} of {planned} calls are not in the capture",
            planned - calls.len()
        ));
    }
    let setup: Vec<f64> = calls
        .iter()
        .filter_map(|seen| seen.call.legs.first()?.session_request_delay_ms)
        .collect();
    let slowest = setup.iter().copied().fold(0.0, f64::max);
    let figures = format!("{taken} of {planned} calls, set up in {slowest:.1} ms at most");
    criterion("established", DEMANDS, figures, wrong)
}

/// What a customer of this program said about a call that reached nobody.
fn waited(evidence: &Evidence<'_>, seen: &Seen<'_>) -> Option<String> {
    let customer = evidence
        .observed
        .customers
        .iter()
        .find(|one| one.name == seen.customer())?;
    customer.end.as_ref().map(crate::observed::CustomerSeen::story)
}

fn ending(call: &Call) -> String {
    let by = call
        .ended_by
        .map_or(String::new(), |by| format!(" by the {}", by.name()));
    match (call.status, &call.reason) {
        (Some(status), Some(reason)) if status >= 300 => format!("{status} {reason}"),
        (Some(status), None) if status >= 300 => status.to_string(),
        _ => format!("{}{by}", call.outcome.name()),
    }
}

/// Every call ended in order, and nothing in the capture is an error.
fn completed(evidence: &Evidence<'_>, calls: &[Seen<'_>]) -> Criterion {
    const DEMANDS: &str = "every call was completed without errors";
    if evidence.expected() == Expected::Own {
        return skipped(
            "completed",
            DEMANDS,
            "what calls are to become stands in SIPp's scenario",
        );
    }
    let mut wrong = Vec::new();
    let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
    let mut complete = 0;
    for seen in calls {
        let legs = seen.call.legs.iter().filter(|leg| leg.answered.is_some());
        let open = legs.filter(|leg| leg.outcome != Outcome::Completed).count();
        if seen.call.outcome == Outcome::Completed && open == 0 && seen.agent.is_some() {
            complete += 1;
            *ended
                .entry(seen.call.ended_by.map_or("nobody", |by| by.name()))
                .or_default() += 1;
        } else if seen.agent.is_some() {
            wrong.push(format!(
                "{} and {}: {}",
                seen.customer(),
                seen.agent_name().unwrap_or("nobody"),
                ending(seen.call)
            ));
        }
    }
    let errors = evidence
        .analysis
        .findings
        .iter()
        .filter(|one| one.severity == Severity::Error);
    for finding in errors {
        let call = finding
            .call
            .and_then(|place| calls.iter().find(|seen| seen.place == place));
        let whose = call.map_or(String::new(), |seen| format!("{}: ", seen.customer()));
        let line = format!("{whose}{} ({})", finding.message, finding.kind.name());
        let is_audio = matches!(finding.kind, FindingKind::OneWayAudio | FindingKind::MissingAudio);
        let is_meant = is_audio && evidence.expected() == Expected::Silent;
        if finding.registration.is_none() && !is_meant {
            wrong.push(line);
        }
    }
    let unfinished = calls.iter().filter(|seen| seen.agent.is_none()).count();
    if wrong.is_empty() && unfinished > 0 {
        wrong.push(match unfinished {
            1 => "1 call ended before an agent took it".to_owned(),
            _ => format!("{unfinished} calls ended before an agent took them"),
        });
    }
    let by = |who: &str| ended.get(who).copied().unwrap_or_default();
    let mut by_whom = format!(
        "BYE by the customer {}, by the agent {}",
        by("caller"),
        by("callee")
    );
    if by("server") > 0 {
        by_whom.push_str(&format!(", by the call center {}", by("server")));
    }
    let figures = format!("{complete} of {} calls; {by_whom}", evidence.planned());
    criterion("completed", DEMANDS, figures, wrong)
}

/// The calls of each agent are as many as round robin gives.
fn distributed(evidence: &Evidence<'_>, calls: &[Seen<'_>]) -> Criterion {
    const DEMANDS: &str = "calls were distributed as round robin does it";
    match evidence.expected() {
        Expected::Own => {
            return skipped(
                "distributed",
                DEMANDS,
                "what calls are to become stands in SIPp's scenario",
            );
        }
        Expected::Transfer => return skipped("distributed", DEMANDS, "calls were transferred to one agent"),
        Expected::Talk | Expected::Silent => {}
    }
    let counts = counts(evidence, calls);
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    // Who died or never came cannot have had its share.
    let present: Vec<usize> = evidence
        .observed
        .agents
        .iter()
        .zip(&counts)
        .filter(|(agent, _)| agent.registered && !agent.died)
        .map(|(_, (_, count))| *count)
        .collect();
    let listed: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let mut wrong = Vec::new();
    let (most, least) = (present.iter().max(), present.iter().min());
    if let (Some(most), Some(least)) = (most, least)
        && most - least > 1
    {
        wrong.push(format!(
            "agents who were there throughout differ by {}: {}",
            most - least,
            listed.join(", ")
        ));
    }
    let strangers = calls
        .iter()
        .filter_map(Seen::agent_name)
        .filter(|name| !counts.iter().any(|(agent, _)| agent == name));
    for stranger in strangers {
        wrong.push(format!("a call went to {stranger}, who is no agent"));
    }
    if total == 0 {
        wrong.push("no agent took a call".to_owned());
    } else if present.len() < evidence.plan.agents {
        let missing = evidence.plan.agents - present.len();
        wrong.push(format!(
            "{missing} of {} agents {} not there throughout: {}",
            evidence.plan.agents,
            if missing == 1 { "was" } else { "were" },
            listed.join(", ")
        ));
    }
    criterion("distributed", DEMANDS, listed.join(", "), wrong)
}

fn counts<'a>(evidence: &Evidence<'a>, calls: &[Seen<'_>]) -> Vec<(&'a str, usize)> {
    let agents = evidence.observed.agents.iter();
    agents
        .map(|agent| {
            let taken = calls
                .iter()
                .filter(|seen| seen.agent_name() == Some(agent.name.as_str()));
            (agent.name.as_str(), taken.count())
        })
        .collect()
}

/// What was sent arrived, as its receiver's tap shows.
fn delivered(evidence: &Evidence<'_>) -> Criterion {
    let Delivery {
        delivered,
        lost,
        too_late,
        to_outside,
        from_outside,
        not_captured,
    } = evidence.delivery;
    let mut wrong = Vec::new();
    // To a phone that died is sent on until somebody notices, and its ports may have been leased to another one by then.
    let died = evidence.observed.agents.iter().any(|agent| agent.died);
    if *lost > 0 && !died {
        wrong.push(format!("{lost} packets were sent and did not arrive"));
    }
    if *not_captured > 0 {
        wrong.push(format!(
            "the capture lacks {not_captured} packets: they came faster than they could be written"
        ));
    }
    if let Some(broken) = &evidence.analysis.capture.broken {
        wrong.push(format!("the capture is broken: {broken}"));
    }
    let mut figures = format!("{delivered} packets arrived, {lost} did not");
    if *too_late > 0 {
        figures.push_str(&format!("; {too_late} more when their call was over"));
    }
    if to_outside + from_outside > 0 {
        figures.push_str(&format!("; {from_outside} from outside, {to_outside} to outside"));
    }
    criterion("delivery", "what was sent arrived", figures, wrong)
}
