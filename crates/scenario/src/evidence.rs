//! What a failure shows: the fault, the source line, and the SIP messages of the agents.

mod advice;

use callwright_events::{AgentLine, Failure, FailureKind, Hint, RunEvent, SipDirection, SipLine};
use callwright_sip_message::StartLine;
use callwright_wire::Time;

use crate::phone::{Direction, MessageFilter, SipRecord};
use crate::scene::millis;
use crate::{Agent, Fault, Scene};

/// How many messages a failure shows at most: the newest.
const MESSAGES_SHOWN: usize = 200;

/// How many agents say what they are: the first ones.
const AGENTS_SHOWN: usize = 20;

/// The story of a fault in a scene.
pub(crate) fn failure(scene: &Scene, fault: &Fault, source_line: Option<String>) -> Failure {
    let parts = fault.parts();
    let agents = scene.all_agents();
    let (messages, messages_dropped) = ladder(scene, &agents);
    let mut hints: Vec<String> = parts.hints.clone();
    hints.extend(advice::for_all(&agents, silent_at(parts)));
    hints.extend(scene.mock_errors());
    Failure {
        kind: fault.kind().unwrap_or_default(),
        message: parts.message.clone(),
        location: parts.at.as_ref().and_then(crate::Position::location),
        excerpt_length: parts
            .at
            .as_ref()
            .and_then(|at| word_length(source_line.as_deref()?, at.column)),
        excerpt: source_line,
        label: parts.label.clone(),
        expected: parts.expected.clone(),
        actual: parts.actual.clone(),
        waited_ms: parts.waited.map(millis),
        history: parts.history.clone(),
        agents: agents.iter().take(AGENTS_SHOWN).map(agent_line).collect(),
        hints: hints.into_iter().map(Hint).collect(),
        messages,
        messages_dropped,
        files: agents
            .iter()
            .flat_map(Agent::recordings)
            .map(|path| path.display().to_string())
            .collect(),
        trace: parts.trace.iter().filter_map(crate::Position::location).collect(),
    }
}

/// The agent that heard silence instead of what it listened for.
fn silent_at(parts: &crate::fault::Parts) -> Option<&str> {
    let silence = parts
        .actual
        .as_ref()
        .is_some_and(|actual| actual.contains("there was silence"));
    let label = parts
        .label
        .as_deref()
        .filter(|_| parts.audio_since.is_some() && silence)?;
    label.strip_suffix(" audio")
}

/// How many characters the word at a column has.
fn word_length(line: &str, column: u32) -> Option<usize> {
    let start = usize::try_from(column).ok()?.checked_sub(1)?;
    let word = line
        .chars()
        .skip(start)
        .take_while(|c| c.is_alphanumeric() || *c == '_');
    Some(word.count()).filter(|length| *length > 0)
}

/// A failure that is nobody's step: an unexpected pass, a late generator.
pub(crate) fn bare(kind: FailureKind, message: &str) -> Failure {
    Failure {
        kind,
        message: message.to_owned(),
        ..Failure::default()
    }
}

/// The SIP messages of all agents in the order of their time, and how many are missing.
fn ladder(scene: &Scene, agents: &[Agent]) -> (Vec<SipLine>, u64) {
    let filter = MessageFilter {
        retransmissions: true,
        ..MessageFilter::default()
    };
    let mut dropped = 0;
    let mut lines = Vec::new();
    for agent in agents {
        let messages = agent.phone().messages(&filter);
        dropped += messages.dropped;
        for record in messages.list {
            lines.push((record.time, line(scene, agent, &record)));
        }
    }
    lines.sort_by_key(|(time, _)| *time);
    let hidden = lines.len().saturating_sub(MESSAGES_SHOWN);
    let shown = lines.split_off(hidden);
    (
        shown.into_iter().map(|(_, line)| line).collect(),
        dropped + hidden as u64,
    )
}

fn line(scene: &Scene, agent: &Agent, record: &SipRecord) -> SipLine {
    let message = record.message();
    SipLine {
        t_ms: millis(record.time.since(scene.started())),
        agent: agent.name().to_owned(),
        direction: direction(record.direction),
        peer: record.flow.remote.to_string(),
        summary: summary(record),
        retransmission: record.retransmission,
        call_id: message.call_id().map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// What an agent says about itself: its registration where it asked for one, its call, the last that ended.
fn agent_line(agent: &Agent) -> AgentLine {
    let snapshot = agent.phone().snapshot();
    let mut summary = String::new();
    let registration = &snapshot.registration;
    if registration.registered {
        summary += "registered, ";
    } else if agent.was_asked_to_register() {
        let reason = registration.reason.as_deref().unwrap_or("no answer yet");
        summary += &format!("not registered ({reason}), ");
    }
    summary += snapshot.state().name();
    if let Some(reason) = &snapshot.reason {
        summary += &format!(", last call: {reason}");
    }
    let quality = &snapshot.quality;
    if quality.packets_sent + quality.packets_received > 0 {
        summary += &format!(
            ", RTP: {} sent ({}), {} received",
            quality.packets_sent, snapshot.sending, quality.packets_received
        );
    }
    AgentLine {
        agent: agent.name().to_owned(),
        summary,
    }
}

/// The SIP messages of an agent as events, for `--logs`, each with the time at which it was sent or received.
pub(crate) fn message_events(scene: &Scene, agent: &Agent) -> Vec<(Time, RunEvent)> {
    let filter = MessageFilter {
        retransmissions: true,
        ..MessageFilter::default()
    };
    let messages = agent.phone().messages(&filter).list;
    messages
        .iter()
        .map(|record| {
            (
                record.time,
                RunEvent::Sip {
                    agent: agent.name().to_owned(),
                    direction: direction(record.direction),
                    peer: format!("{} {}", record.flow.transport, record.flow.remote),
                    summary: summary(record),
                    raw: Some(String::from_utf8_lossy(&record.bytes).into_owned()),
                    retransmission: record.retransmission,
                    location: record
                        .cause
                        .and_then(|cause| scene.run().causes().step(cause))
                        .and_then(|step| step.at.location()),
                },
            )
        })
        .collect()
}

fn direction(direction: Direction) -> SipDirection {
    match direction {
        Direction::Sent => SipDirection::Sent,
        Direction::Received => SipDirection::Received,
    }
}

/// `INVITE sip:bob@example.com` or `486 Busy Here (INVITE)`.
fn summary(record: &SipRecord) -> String {
    let message = record.message();
    match message.start() {
        StartLine::Request { method, uri } => format!("{method} {uri}"),
        StartLine::Response { status, reason } => {
            let method = message
                .method()
                .map_or_else(String::new, |method| format!(" ({method})"));
            format!("{status} {reason}{method}")
        }
        StartLine::Neither => "not SIP".to_owned(),
    }
}
