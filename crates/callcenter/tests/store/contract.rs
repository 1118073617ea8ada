//! One contract for every store: what is kept, what fails with a commit, and what is there after a restart.

use std::time::Duration;

use crate::facts::{self, ALICE, BOB, answered, at, bindings, changed, ended, is_awaited, presented, queued};
use callwright_callcenter::{
    AgentState, CallRecord, EndCause, Fact, Health, ModelStore, NotReadyReason, Records, SqliteStore, Store,
    Token,
};
use callwright_wire::{Epoch, Seed, Time};

/// Every store that there is, empty.
fn stores() -> [(&'static str, Box<dyn Store>); 2] {
    let seed = Seed::from_number(4);
    let sqlite = SqliteStore::in_memory(Epoch::SIMULATED, &seed).expect("a database in memory");
    [("model", ModelStore::new(seed).into()), ("sqlite", sqlite.into())]
}

/// Gives facts to a store, and lets it commit them.
fn commit(store: &mut dyn Store, now: Time, facts: &[Fact]) -> Vec<bool> {
    for (number, fact) in (1..).zip(facts) {
        store.take(Token(number), fact.clone(), is_awaited(fact));
    }
    store.begin(now);
    let outcomes = store.finish(now);
    let tokens: Vec<_> = outcomes.iter().map(|outcome| outcome.token.0).collect();
    assert!(tokens.is_sorted(), "{tokens:?}");
    outcomes.into_iter().map(|outcome| outcome.stored).collect()
}

/// A call of a queue from its arrival to the wrap-up after it.
fn whole_call(number: u64, start: u64) -> Vec<Fact> {
    vec![
        queued(number, "support", start),
        presented(number, ALICE, 1, start + 1),
        changed(ALICE, AgentState::Reserved, start + 1),
        facts::presentation_ended(number, ALICE, start + 16),
        changed(ALICE, facts::no_answer(), start + 16),
        presented(number, BOB, 2, start + 16),
        changed(BOB, AgentState::Reserved, start + 16),
        answered(number, Some(BOB), start + 20),
        changed(BOB, AgentState::Talking, start + 20),
        facts::recording_started(number, start + 20),
        facts::transferred(number, start + 50),
        changed(BOB, facts::wrap_up(start + 60), start + 50),
        ended(number, EndCause::CompletedByCaller, start + 55),
        facts::recording_ended(number, start + 55),
        changed(BOB, AgentState::Ready, start + 58),
    ]
}

#[test]
fn what_is_stored_can_be_read_as_it_was_told() {
    for (name, mut store) in stores() {
        let mut told = whole_call(1, 100);
        told.extend(facts::every_other_kind());
        let stored = commit(store.as_mut(), at(200), &told);
        assert_eq!(stored, vec![true; told.len()], "{name}");
        let kept = store.kept().expect("it can be read");
        let told: Vec<_> = told
            .into_iter()
            .filter(|fact| !matches!(fact, Fact::Bindings { .. } | Fact::AgentWants { .. }))
            .collect();
        assert_eq!(kept.facts, told, "{name}");
        assert_eq!(kept.agents[BOB], AgentState::Ready, "{name}");
        let mut records = Records::default();
        for fact in &told {
            records.apply(fact);
        }
        assert_eq!(kept.records, records.into_records(), "{name}");
    }
}

#[test]
fn bindings_take_the_place_of_those_before() {
    for (name, mut store) in stores() {
        let both = bindings("alice", 2);
        commit(store.as_mut(), at(1), &[both.clone(), bindings("bob", 1)]);
        let kept = store.kept().expect("it can be read").bindings;
        let Fact::Bindings { bindings: told, .. } = both else {
            unreachable!("bindings");
        };
        assert_eq!((&kept["alice"], kept.len()), (&told, 2), "{name}");
        commit(store.as_mut(), at(2), &[bindings("alice", 1), bindings("bob", 0)]);
        let kept = store.kept().expect("it can be read").bindings;
        assert_eq!((kept["alice"].len(), kept.len()), (1, 1), "{name}");
    }
}

#[test]
fn a_commit_takes_its_time_and_what_comes_meanwhile_is_the_next_group() {
    for (name, mut store) in stores() {
        store.set_delay(Duration::from_secs(2));
        store.take(Token(1), bindings("alice", 1), true);
        store.begin(at(10));
        store.take(Token(2), bindings("bob", 1), true);
        store.take(Token(3), queued(1, "support", 11), true);
        store.begin(at(11));
        assert_eq!((store.next(), store.pending()), (Some(at(12)), 3), "{name}");
        assert!(store.finish(at(11)).is_empty(), "{name}");
        assert!(
            store.kept().expect("it can be read").bindings.is_empty(),
            "{name}"
        );
        assert_eq!(store.finish(at(12)).len(), 1, "{name}");
        store.begin(at(12));
        assert_eq!(store.next(), Some(at(14)), "{name}");
        assert_eq!(store.finish(at(14)).len(), 2, "{name}");
        assert_eq!((store.pending(), store.committed()), (0, 3), "{name}");
    }
}

#[test]
fn what_somebody_waits_for_fails_with_a_commit_and_what_has_happened_is_stored_later() {
    for (name, mut store) in stores() {
        commit(store.as_mut(), at(1), &[queued(1, "support", 1)]);
        store.set_failures(1.0);
        let group = [
            queued(2, "support", 2),
            ended(1, EndCause::Abandoned, 2),
            changed(BOB, AgentState::Ready, 2),
        ];
        assert_eq!(commit(store.as_mut(), at(2), &group), [false], "{name}");
        assert!(matches!(store.health(), Health::Failing { .. }), "{name}");
        assert_eq!(store.pending(), 2, "{name}");
        store.set_failures(0.0);
        // It tries again by itself.
        store.begin(at(2));
        let again = store.next().expect("another attempt");
        assert!(again > at(2), "{name}");
        let stored: Vec<_> = store
            .finish(again)
            .into_iter()
            .map(|outcome| outcome.stored)
            .collect();
        assert_eq!(stored, [true, true], "{name}");
        assert_eq!((store.health(), store.pending()), (Health::Sound, 0), "{name}");
        let kept = store.kept().expect("it can be read");
        assert_eq!(kept.records.len(), 1, "{name}");
        assert_eq!(
            kept.records[0].ended.map(|end| end.cause),
            Some(EndCause::Abandoned),
            "{name}"
        );
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_stored_later_and_in_its_order() {
    for (name, mut store) in stores() {
        commit(store.as_mut(), at(1), &[queued(1, "support", 1)]);
        store.set_failures(1.0);
        let told = [
            answered(1, Some(ALICE), 2),
            changed(ALICE, AgentState::Talking, 2),
            ended(1, EndCause::CompletedByCaller, 9),
            changed(ALICE, AgentState::Ready, 9),
        ];
        for (number, fact) in (2..).zip(&told) {
            store.take(Token(number), fact.clone(), false);
        }
        store.begin(at(9));
        assert!(store.finish(at(9)).is_empty(), "{name}");
        store.set_failures(0.0);
        store.begin(at(9));
        let again = store.next().expect("another attempt");
        assert_eq!(store.finish(again).len(), told.len(), "{name}");
        let kept = store.kept().expect("it can be read");
        assert_eq!(kept.facts[1..], told, "{name}");
        assert_eq!(kept.records[0].agent(), Some(ALICE), "{name}");
        assert_eq!(
            kept.records[0].agent_talk(),
            Some(Duration::from_secs(7)),
            "{name}"
        );
    }
}

#[test]
fn after_a_restart_what_was_stored_is_in_force_and_calls_that_were_up_are_closed_once() {
    for (name, mut store) in stores() {
        let mut told = whole_call(7, 100);
        told.push(queued(8, "support", 200));
        told.push(queued(9, "support", 201));
        told.push(answered(9, Some(ALICE), 205));
        told.push(changed(ALICE, AgentState::Talking, 205));
        told.push(bindings("alice", 2));
        commit(store.as_mut(), at(205), &told);
        store.set_delay(Duration::from_secs(1));
        store.take(Token(99), queued(10, "support", 206), true);
        store.begin(at(206));
        store.lose_uncommitted();
        store.set_delay(Duration::ZERO);
        let restored = store.restore(at(300)).expect("it can be restored");
        assert_eq!(restored.first_call, 10, "{name}: the tenth was not stored");
        assert_eq!(restored.closed, [8, 9], "{name}");
        assert_eq!(restored.bindings["alice"].len(), 2, "{name}");
        assert_eq!(restored.agents[ALICE], AgentState::Talking, "{name}");
        let again = store.restore(at(301)).expect("it can be restored");
        assert!(again.closed.is_empty(), "{name}: once");
        let kept = store.kept().expect("it can be read");
        let causes: Vec<_> = kept
            .records
            .iter()
            .map(|record| (record.call.0, record.ended.expect("closed")))
            .map(|(call, end)| (call, end.cause, end.at))
            .collect();
        // The last that is known of the process before.
        let lost = |call| (call, EndCause::Restarted, at(205));
        assert_eq!(
            causes,
            [(7, EndCause::CompletedByCaller, at(155)), lost(8), lost(9)],
            "{name}"
        );
        // The agent of a call that was up is told of again, and the record is complete.
        commit(store.as_mut(), at(310), &[changed(ALICE, AgentState::Ready, 310)]);
        let kept = store.kept().expect("it can be read");
        let alice = kept.records[2].answered().expect("answered");
        assert_eq!(alice.left, Some(at(205)), "{name}");
    }
}

#[test]
fn an_agent_who_talked_on_from_a_consultation_is_cut_off_with_the_process() {
    let lunch = NotReadyReason::Manual("lunch".to_owned());
    // The call that it went on in is up in the crash; or it was over, and the phone had not answered the BYE.
    for (over, wish) in [(false, false), (true, false), (true, true)] {
        for (name, mut store) in stores() {
            let mut told = vec![
                queued(1, "support", 100),
                answered(1, Some(ALICE), 110),
                changed(ALICE, AgentState::Talking, 110),
                queued(2, "support", 120),
                answered(2, Some(BOB), 130),
                changed(BOB, AgentState::Talking, 130),
                ended(2, EndCause::Transferred, 140),
                changed(ALICE, AgentState::Ready, 141),
            ];
            if wish {
                told.push(Fact::AgentWants {
                    agent: BOB.to_owned(),
                    afterwards: Some(lunch.clone()),
                    at: at(150),
                });
            }
            if over {
                told.push(ended(1, EndCause::CompletedByCaller, 160));
            }
            commit(store.as_mut(), at(160), &told);
            let kept = store.kept().expect("it can be read");
            assert_eq!(kept.records[1].agent_talk(), None, "{name}: it talks");
            store.lose_uncommitted();
            let restored = store.restore(at(7_200)).expect("it can be restored");
            assert_eq!(restored.closed, if over { vec![] } else { vec![1] }, "{name}");
            assert_eq!(
                restored.agents[BOB],
                AgentState::Talking,
                "{name}: when it was last heard of"
            );
            assert_eq!(restored.wishes.get(BOB), wish.then_some(&lunch), "{name}");
            // Should this process die as well, before it has said what becomes of the agent.
            let state = match wish {
                false => AgentState::Ready,
                true => AgentState::NotReady(lunch.clone()),
            };
            let kept = store.kept().expect("it can be read");
            assert_eq!(kept.agents[BOB], state, "{name}");
            commit(
                store.as_mut(),
                at(7_201),
                &[changed(BOB, AgentState::Ready, 7_201)],
            );
            let kept = store.kept().expect("it can be read");
            let talk = kept.records[1].agent_talk().expect("it is over");
            let last = if over { 160 } else { 141 };
            assert_eq!(talk, Duration::from_secs(last - 130), "{name}, {over}");
            let facts = kept.facts.len();
            store.restore(at(7_300)).expect("it can be restored");
            let kept = store.kept().expect("it can be read");
            assert_eq!(kept.facts.len(), facts, "{name}: once");
        }
    }
}

#[test]
fn the_end_of_a_call_that_is_over_changes_nothing() {
    let [_, (_, mut store)] = stores();
    commit(store.as_mut(), at(1), &whole_call(1, 1));
    let twice = [
        ended(1, EndCause::Failed(500), 70),
        changed(BOB, facts::no_answer(), 71),
    ];
    assert_eq!(commit(store.as_mut(), at(71), &twice), [false, true]);
    assert_eq!(store.health(), Health::Sound);
    let kept = store.kept().expect("it can be read");
    assert_eq!(kept.records.len(), 1);
    assert_eq!(kept.records[0].cause().as_deref(), Some("completed_by_caller"));
    assert_eq!(kept.agents[BOB], facts::no_answer());
}

#[test]
fn what_an_agent_wants_to_be_after_its_call_is_kept_until_it_is() {
    let wants = |afterwards: Option<NotReadyReason>| Fact::AgentWants {
        agent: BOB.to_owned(),
        afterwards,
        at: at(3),
    };
    let lunch = NotReadyReason::Manual("lunch".to_owned());
    let talks = [changed(BOB, AgentState::Talking, 1), wants(Some(lunch.clone()))];
    let cases = [
        (vec![], true),
        (vec![changed(BOB, facts::wrap_up(9), 4)], true),
        (vec![changed(ALICE, AgentState::Ready, 4)], true),
        (vec![wants(None)], false),
        (vec![changed(BOB, AgentState::Ready, 4)], false),
        (vec![changed(BOB, AgentState::LoggedOut, 4)], false),
        (
            vec![
                changed(BOB, AgentState::NotReady(lunch.clone()), 4),
                changed(BOB, AgentState::Ready, 5),
                changed(BOB, AgentState::Talking, 6),
            ],
            false,
        ),
    ];
    for (then, kept) in cases {
        for (name, mut store) in stores() {
            commit(store.as_mut(), at(3), &[&talks[..], &then].concat());
            store.lose_uncommitted();
            let wishes = store.restore(at(10)).expect("it can be read").wishes;
            assert_eq!(wishes.get(BOB), kept.then_some(&lunch), "{name}: {then:?}");
        }
    }
}

#[test]
fn the_end_of_a_call_that_is_stored_is_told_with_the_cause_of_its_record() {
    for (name, mut store) in stores() {
        commit(store.as_mut(), at(1), &[queued(1, "support", 1)]);
        // The wrap-up after the first call keeps its record open; the second comes and is over in one commit.
        let told = [
            answered(1, Some(ALICE), 2),
            ended(1, EndCause::CompletedByCallee, 9),
            changed(ALICE, facts::wrap_up(20), 9),
            queued(2, "support", 9),
            ended(2, EndCause::Abandoned, 9),
        ];
        for (number, fact) in (1..).zip(&told) {
            store.take(Token(number), fact.clone(), false);
        }
        store.begin(at(9));
        let outcomes = store.finish(at(9));
        let causes: Vec<_> = outcomes.iter().map(|outcome| outcome.cause.as_deref()).collect();
        let expected = [None, Some("completed_by_agent"), None, None, Some("abandoned")];
        assert_eq!(causes, expected, "{name}");
        let kept = store.kept().expect("it can be read");
        let causes: Vec<_> = kept.records.iter().filter_map(CallRecord::cause).collect();
        assert_eq!(causes, ["completed_by_agent", "abandoned"], "{name}");
    }
}
