//! What the reader can do about causes that a test meets again and again.

use crate::Agent;
use crate::phone::PhoneSnapshot;

/// How many pieces are given: where a thousand agents have one trouble, it is told by the first ones.
const PIECES: usize = 6;

/// Advice for a scenario that failed, from what its agents say; each piece once. `silent_at` is the agent that heard
/// silence, where that was the failure.
pub(super) fn for_all(agents: &[Agent], silent_at: Option<&str>) -> Vec<String> {
    let snapshots: Vec<PhoneSnapshot> = agents.iter().map(|agent| agent.phone().snapshot()).collect();
    let mut advice = Vec::new();
    for (agent, snapshot) in agents.iter().zip(&snapshots) {
        let pieces = [
            credentials(agent, snapshot),
            unregistered_callee(agents, agent, snapshot),
            transport(agent, snapshot),
        ];
        advice.extend(pieces.into_iter().flatten());
    }
    if let Some(listener) = silent_at {
        advice.extend(silent_senders(listener, agents, &snapshots));
    }
    let mut seen = Vec::new();
    advice.retain(|piece| {
        let new = !seen.contains(piece);
        if new {
            seen.push(piece.clone());
        }
        new
    });
    advice.truncate(PIECES);
    advice
}

/// RFC 3261 §22: 401 and 407 that stay say nothing themselves of what was wrong.
fn credentials(agent: &Agent, snapshot: &PhoneSnapshot) -> Option<String> {
    let refused = |status: Option<u16>| matches!(status, Some(401 | 407));
    let registration = &snapshot.registration;
    let concerns =
        (!registration.registered && refused(registration.status_code)) || refused(snapshot.status_code);
    let reason = snapshot.unmet_challenge.as_ref().filter(|_| concerns)?;
    Some(format!("{}: {reason}", agent.name()))
}

/// A 404 from a callee that nobody told to register is the script's own doing.
fn unregistered_callee(agents: &[Agent], caller: &Agent, snapshot: &PhoneSnapshot) -> Option<String> {
    if !matches!(snapshot.status_code, Some(404 | 410 | 480)) {
        return None;
    }
    let dialed = caller.dialed();
    let callee = agents
        .iter()
        .find(|agent| !agent.was_asked_to_register() && dialed.iter().any(|target| target == agent.aor()))?;
    Some(format!(
        "{} was never told to register: call its register() first",
        callee.name()
    ))
}

/// What keeps requests from being delivered or answered at all.
fn transport(agent: &Agent, snapshot: &PhoneSnapshot) -> Option<String> {
    let registration = &snapshot.registration;
    let of_registration = registration
        .reason
        .as_deref()
        .filter(|_| !registration.registered && registration.status_code.is_none());
    let of_call = snapshot
        .reason
        .as_deref()
        .filter(|_| snapshot.status_code.is_none());
    [of_registration, of_call].into_iter().flatten().find_map(|reason| {
        let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        if says(&["certificate"]) {
            Some(format!(
                "{}: to trust the server's certificate, name a file with its CA in SSL_CERT_FILE; `tls_verify: false` \
                 accepts any",
                agent.name()
            ))
        } else if says(&["refused", "unreachable"]) {
            Some(format!(
                "{}: is the server running, and are host, port and transport those of {}?",
                agent.name(),
                agent.aor()
            ))
        } else if says(&["Timer B", "Timer F"]) {
            Some(format!(
                "{}: the request was sent again and again without any answer: look for a firewall, a wrong address, or \
                 a server that drops it",
                agent.name()
            ))
        } else {
            None
        }
    })
}

/// A tone that nobody sends is not heard.
fn silent_senders(listener: &str, agents: &[Agent], snapshots: &[PhoneSnapshot]) -> Vec<String> {
    let in_calls = agents
        .iter()
        .zip(snapshots)
        .filter(|(_, snapshot)| snapshot.live_calls() > 0);
    in_calls
        .filter(|(agent, snapshot)| agent.name() != listener && snapshot.sending == "silence")
        .map(|(agent, _)| {
            format!(
                "{} sends silence: call its send_audio(…) to send something",
                agent.name()
            )
        })
        .collect()
}
