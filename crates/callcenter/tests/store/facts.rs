//! Facts of a small call center: Alice, Bob, a queue, times in whole seconds.

use callwright_callcenter::{
    AgentState, Binding, CallKey, EndCause, Fact, NotReadyReason, Parties, PresentationOutcome,
    RefusedBecause,
};
use callwright_wire::{Flow, Time, Transport};

pub(crate) const ALICE: &str = "alice";
pub(crate) const BOB: &str = "bob";

pub(crate) fn at(secs: u64) -> Time {
    Time::from_secs(secs)
}

pub(crate) fn queued(call: u64, queue: &str, secs: u64) -> Fact {
    Fact::CallQueued {
        call: CallKey(call),
        queue: queue.to_owned(),
        caller: "sip:carol@example.org".to_owned(),
        dialled: format!("sip:{queue}@callcenter.test"),
        priority: -2,
        at: at(secs),
    }
}

pub(crate) fn presented(call: u64, agent: &str, attempt: u32, secs: u64) -> Fact {
    Fact::CallPresented {
        call: CallKey(call),
        agent: agent.to_owned(),
        attempt,
        at: at(secs),
    }
}

pub(crate) fn presentation_ended(call: u64, agent: &str, secs: u64) -> Fact {
    Fact::PresentationEnded {
        call: CallKey(call),
        agent: agent.to_owned(),
        outcome: PresentationOutcome::NoAnswer,
        at: at(secs),
    }
}

pub(crate) fn changed(agent: &str, state: AgentState, secs: u64) -> Fact {
    Fact::AgentChanged {
        agent: agent.to_owned(),
        state,
        at: at(secs),
    }
}

pub(crate) fn no_answer() -> AgentState {
    AgentState::NotReady(NotReadyReason::NoAnswer)
}

pub(crate) fn wrap_up(until: u64) -> AgentState {
    AgentState::WrapUp { until: at(until) }
}

pub(crate) fn answered(call: u64, agent: Option<&str>, secs: u64) -> Fact {
    Fact::CallAnswered {
        call: CallKey(call),
        caller: "sip:carol@example.org".to_owned(),
        callee: format!("sip:{}@callcenter.test", agent.unwrap_or("dave")),
        agent: agent.map(str::to_owned),
        at: at(secs),
    }
}

pub(crate) fn transferred(call: u64, secs: u64) -> Fact {
    Fact::CallTransferred {
        call: CallKey(call),
        agent: Some(BOB.to_owned()),
        to: "sip:dave@callcenter.test".to_owned(),
        at: at(secs),
    }
}

pub(crate) fn recording_started(call: u64, secs: u64) -> Fact {
    Fact::RecordingStarted {
        call: CallKey(call),
        file: format!("{call}.wav"),
        at: at(secs),
    }
}

pub(crate) fn recording_ended(call: u64, secs: u64) -> Fact {
    Fact::RecordingEnded {
        call: CallKey(call),
        file: format!("{call}.wav"),
        samples: 8_000,
        at: at(secs),
    }
}

pub(crate) fn ended(call: u64, cause: EndCause, secs: u64) -> Fact {
    Fact::CallEnded {
        call: CallKey(call),
        cause,
        parties: None,
        at: at(secs),
    }
}

/// A user with so many contacts, each with something special.
pub(crate) fn bindings(user: &str, count: usize) -> Fact {
    let uri = |text: &str| text.parse().expect("a URI");
    let address = |text: &str| text.parse().expect("an address");
    let all = [
        Binding {
            contact: uri("sip:phone@192.0.2.7:5080;transport=tcp"),
            q_thousandths: 700,
            expires: Time::from_nanos(3_600_000_000_001),
            path: vec![
                uri("<sip:edge.example.com;lr>".trim_matches(['<', '>'])),
                uri("sip:10.0.0.1;lr"),
            ],
            flow: Flow {
                transport: Transport::Tcp,
                local: address("192.0.2.250:5060"),
                remote: address("192.0.2.7:40000"),
            },
            call_id: "first@phone".to_owned(),
            cseq: 17,
            instance: Some(("<urn:uuid:00000000-0000-1000-8000-000A95A0E128>".to_owned(), 1)),
        },
        Binding {
            contact: uri("sip:phone@[2001:db8::7]"),
            q_thousandths: 1_000,
            expires: at(60),
            path: Vec::new(),
            flow: Flow {
                transport: Transport::Udp,
                local: address("[2001:db8::250]:5060"),
                remote: address("[2001:db8::7]:5060"),
            },
            call_id: "second@phone".to_owned(),
            cseq: 1,
            instance: None,
        },
    ];
    Fact::Bindings {
        user: user.to_owned(),
        bindings: all.into_iter().take(count).collect(),
    }
}

/// One of each kind, cause, outcome and state that a usual call has not.
pub(crate) fn every_other_kind() -> Vec<Fact> {
    let causes = [
        EndCause::CompletedByCallee,
        EndCause::TimedOut,
        EndCause::Overflowed,
        EndCause::Refused(RefusedBecause::Full),
        EndCause::Refused(RefusedBecause::Closed),
        EndCause::Refused(RefusedBecause::NoAgents),
        EndCause::Transferred,
        EndCause::Failed(486),
        EndCause::Restarted,
        EndCause::Abandoned,
    ];
    let mut facts: Vec<_> = (50..)
        .zip(causes)
        .map(|(call, cause)| ended(call, cause, 150))
        .collect();
    facts.push(Fact::CallEnded {
        call: CallKey(61),
        cause: EndCause::Failed(486),
        parties: Some(Parties {
            caller: "sip:carol@example.org".to_owned(),
            dialled: "sip:dave@callcenter.test".to_owned(),
        }),
        at: at(151),
    });
    facts.push(queued(70, "support", 151));
    let outcomes = [
        PresentationOutcome::Rejected(603),
        PresentationOutcome::Withdrawn,
        PresentationOutcome::AgentGone,
    ];
    for (attempt, outcome) in (1..).zip(outcomes) {
        facts.push(presented(70, ALICE, attempt, 152));
        facts.push(Fact::PresentationEnded {
            call: CallKey(70),
            agent: ALICE.to_owned(),
            outcome,
            at: at(153),
        });
    }
    facts.push(answered(71, None, 154));
    facts.push(Fact::CallOverflowed {
        call: CallKey(70),
        to: "sip:dave@callcenter.test".to_owned(),
        at: at(154),
    });
    let reasons = [
        NotReadyReason::Login,
        NotReadyReason::Manual("lunch, then `'; DROP TABLE calls`".to_owned()),
        NotReadyReason::Manual(String::new()),
        NotReadyReason::NoAnswer,
        NotReadyReason::Rejected,
    ];
    let states = reasons.map(AgentState::NotReady);
    facts.extend(states.into_iter().map(|state| changed(ALICE, state, 155)));
    facts.push(changed(ALICE, AgentState::LoggedOut, 156));
    facts.push(bindings("alice", 2));
    facts
}

/// Whether the machine waits for a fact: here nobody was answered before.
pub(crate) fn is_awaited(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Bindings { .. } | Fact::CallQueued { .. } | Fact::CallAnswered { .. }
    )
}
