//! A run as its results show it.

use callwright_capture::analysis::Analysis;

use crate::plan::{Customers, Fault, Plan, QUEUE};
use crate::results::{AgentShown, CallShown, FindingShown, PlanShown};
use crate::sipp::Scenario;

use super::{Evidence, Registered, Seen, audio, counts, registration};

pub(super) fn show_call(evidence: &Evidence<'_>, seen: &Seen<'_>) -> CallShown {
    let call = seen.call;
    let ms = |at: callwright_wire::Time| at.as_secs_f64() * 1_000.0;
    let agent = seen.agent.map(|(_, leg)| leg);
    CallShown {
        number: call.number,
        customer: seen.customer().to_owned(),
        agent: seen.agent_name().map(str::to_owned),
        outcome: call.outcome.name(),
        status: call.status,
        started_ms: ms(call.started),
        setup_ms: call.legs.first().and_then(|leg| leg.session_request_delay_ms),
        wait_ms: agent
            .and_then(|leg| leg.answered)
            .map(|at| ms(at) - ms(call.started)),
        talk_ms: agent.and_then(|leg| leg.session_duration_ms),
        ended_by: call.ended_by.map(|by| by.name()),
        audio: audio::directions(evidence.analysis, seen),
        recordings: recordings(evidence, seen),
    }
}

fn recordings(evidence: &Evidence<'_>, seen: &Seen<'_>) -> Vec<String> {
    let record = evidence.record(seen);
    let files = record.into_iter().flat_map(|record| &record.files);
    files.map(|file| format!("recordings/{file}")).collect()
}

pub(super) fn show_plan(plan: &Plan) -> PlanShown {
    PlanShown {
        agents: plan.agents,
        calls: plan.calls,
        rate: plan.rate,
        call_duration_s: plan.call_duration.as_secs_f64(),
        customers: match &plan.customers {
            Customers::Embedded => "embedded".to_owned(),
            Customers::Sipp(Scenario::BuiltIn(scenario)) => format!("sipp ({})", scenario.name()),
            Customers::Sipp(Scenario::File(path)) => format!("sipp ({})", path.display()),
        },
        queue: QUEUE,
        strategy: "round_robin",
        faults: plan
            .faults
            .iter()
            .map(|fault| match fault {
                Fault::WrongPassword(agent) => format!("wrong-password={agent}"),
                Fault::Kill(agent) => format!("kill={agent}"),
                Fault::GiveUp(number) => format!("give-up={number}"),
            })
            .collect(),
    }
}

pub(super) fn show_agents(evidence: &Evidence<'_>, calls: &[Seen<'_>]) -> Vec<AgentShown> {
    let counts = counts(evidence, calls);
    let agents = evidence.observed.agents.iter().zip(counts);
    agents
        .map(|(agent, (name, taken))| {
            let own = calls.iter().filter(|seen| seen.agent_name() == Some(name));
            let talk: f64 = own.filter_map(|seen| seen.agent?.1.session_duration_ms).sum();
            let registration = registration(evidence.analysis, name);
            AgentShown {
                name: name.to_owned(),
                registered: matches!(registration, Registered::Yes(_)),
                registration_ms: match registration {
                    Registered::Yes(ms) => Some(ms),
                    Registered::No(_) => None,
                },
                calls: taken,
                talk_s: talk / 1_000.0,
                failure: match (&agent.failure, agent.died) {
                    (Some(failure), _) => Some(failure.clone()),
                    (None, true) => Some("its phone died".to_owned()),
                    (None, false) => None,
                },
            }
        })
        .collect()
}

pub(super) fn show_findings(analysis: &Analysis) -> Vec<FindingShown> {
    let number = |place: usize| analysis.calls.get(place).map(|call| call.number);
    analysis
        .findings
        .iter()
        .map(|finding| FindingShown {
            severity: finding.severity.name(),
            name: finding.kind.name(),
            message: finding.message.clone(),
            call: finding.call.and_then(number),
            packets: finding.packets.clone(),
        })
        .collect()
}
