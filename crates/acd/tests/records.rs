//! Records and statistics, against what was planned: calls are made up with their times and ends, told as facts in the order of
//! time, and what comes out is compared with sums over the plans.

use std::time::Duration;

use callwright_acd::{
    AgentState, CallKey, CallRecord, EndCause, Fact, NotReadyReason, PresentationOutcome, Records,
    RefusedBecause, Statistics, Thresholds,
};
use callwright_wire::Time;
use proptest::collection::vec;
use proptest::prelude::*;

const THRESHOLDS: Thresholds = Thresholds {
    service_level: Duration::from_secs(20),
    quick: Duration::from_secs(5),
};

/// What is to become of a call, in seconds.
#[derive(Clone, Debug)]
struct Plan {
    /// After the call before.
    after: u64,
    /// How long it waits in the first queue before it overflows, where it does.
    overflows: Option<u64>,
    wait: u64,
    /// How many presentations are in vain, a second each, at the end of the wait.
    refusals: u64,
    end: End,
}

#[derive(Clone, Debug)]
enum End {
    Answered {
        agent: usize,
        talk: u64,
        /// The agent transfers the caller away after this part of the talk, in percent.
        leaves: Option<u64>,
        wrap: Option<u64>,
        by_agent: bool,
    },
    Other(EndCause),
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let answered = (
        0..3usize,
        1..400u64,
        proptest::option::of(0..100u64),
        proptest::option::of(0..60u64),
        any::<bool>(),
    )
        .prop_map(|(agent, talk, leaves, wrap, by_agent)| End::Answered {
            agent,
            talk,
            leaves,
            wrap,
            by_agent,
        });
    let other = prop_oneof![
        3 => Just(EndCause::Abandoned),
        1 => Just(EndCause::TimedOut),
        1 => Just(EndCause::Overflowed),
        1 => Just(EndCause::Refused(RefusedBecause::Full)),
        1 => Just(EndCause::Refused(RefusedBecause::NoAgents)),
        1 => Just(EndCause::Restarted),
        1 => Just(EndCause::Failed(503)),
    ]
    .prop_map(End::Other);
    let plan = (
        0..90u64,
        proptest::option::of(0..40u64),
        0..60u64,
        0..3u64,
        prop_oneof![3 => answered, 2 => other],
    );
    let plan = plan.prop_map(|(after, overflows, wait, refusals, end)| Plan {
        after,
        overflows,
        wait: wait.max(refusals),
        refusals,
        end,
    });
    vec(plan, 0..60)
}

/// A call as it went: the times in whole seconds.
#[derive(Clone, Debug)]
struct Went {
    arrived: u64,
    overflowed: Option<u64>,
    left: u64,
    answer: Option<Answer>,
    cause: EndCause,
    ended: u64,
}

#[derive(Clone, Debug)]
struct Answer {
    agent: usize,
    talk: u64,
    wrap: u64,
}

fn at(secs: u64) -> Time {
    Time::from_secs(secs)
}

/// Carries plans out. An agent takes one call after the other: who waits for a busy one waits longer.
fn carry_out(plans: &[Plan]) -> (Vec<Went>, Vec<Fact>) {
    let mut facts: Vec<(u64, Fact)> = Vec::new();
    let mut went = Vec::new();
    let mut free_at = [0; 3];
    let mut arrived = 0;
    for (number, plan) in (1..).zip(plans) {
        arrived += plan.after;
        let call = CallKey(number);
        let queued = |queue: &str, secs: u64| {
            let fact = Fact::CallQueued {
                call,
                queue: queue.to_owned(),
                caller: format!("sip:caller{number}@example.com"),
                dialled: "sip:first@callcenter.test".to_owned(),
                priority: 0,
                at: at(secs),
            };
            (secs, fact)
        };
        facts.push(queued("first", arrived));
        let overflowed = plan.overflows.map(|after| arrived + after);
        if let Some(overflowed) = overflowed {
            facts.push(queued("second", overflowed));
        }
        let mut left = overflowed.unwrap_or(arrived) + plan.wait;
        if let End::Answered { agent, .. } = plan.end {
            left = left.max(free_at[agent] + plan.refusals);
        }
        for attempt in 0..plan.refusals {
            let begins = left - plan.refusals + attempt;
            let agent = format!("nobody{number}");
            facts.push((
                begins,
                Fact::CallPresented {
                    call,
                    agent: agent.clone(),
                    attempt: attempt as u32 + 1,
                    at: at(begins),
                },
            ));
            facts.push((
                begins + 1,
                Fact::PresentationEnded {
                    call,
                    agent,
                    outcome: PresentationOutcome::NoAnswer,
                    at: at(begins + 1),
                },
            ));
        }
        let mut ended = left;
        let mut answer = None;
        let cause = match &plan.end {
            End::Other(cause) => *cause,
            End::Answered {
                agent,
                talk,
                leaves,
                wrap,
                by_agent,
            } => {
                let name = format!("agent{agent}");
                let changed = |state: AgentState, secs: u64| {
                    let agent = name.clone();
                    let fact = Fact::AgentChanged {
                        agent,
                        state,
                        at: at(secs),
                    };
                    (secs, fact)
                };
                facts.push((
                    left,
                    Fact::CallAnswered {
                        call,
                        caller: format!("sip:caller{number}@example.com"),
                        callee: format!("sip:{name}@callcenter.test"),
                        agent: Some(name.clone()),
                        at: at(left),
                    },
                ));
                facts.push(changed(AgentState::Talking, left));
                ended = left + talk;
                let leaves = leaves.map(|percent| left + talk * percent / 100);
                if let Some(leaves) = leaves {
                    let to = "sip:other@callcenter.test".to_owned();
                    let transferred = Fact::CallTransferred {
                        call,
                        agent: Some(name.clone()),
                        to,
                        at: at(leaves),
                    };
                    facts.push((leaves, transferred));
                }
                let gone = leaves.unwrap_or(ended);
                let until = gone + wrap.unwrap_or(0);
                if wrap.is_some() {
                    facts.push(changed(AgentState::WrapUp { until: at(until) }, gone));
                }
                let next = if number % 2 == 0 {
                    AgentState::Ready
                } else {
                    AgentState::NotReady(NotReadyReason::Manual("tea".to_owned()))
                };
                facts.push(changed(next, until));
                free_at[*agent] = until;
                answer = Some(Answer {
                    agent: *agent,
                    talk: gone - left,
                    wrap: until - gone,
                });
                if *by_agent && leaves.is_none() {
                    EndCause::CompletedByCallee
                } else {
                    EndCause::CompletedByCaller
                }
            }
        };
        facts.push((
            ended,
            Fact::CallEnded {
                call,
                cause,
                parties: None,
                at: at(ended),
            },
        ));
        went.push(Went {
            arrived,
            overflowed,
            left,
            answer,
            cause,
            ended,
        });
    }
    // A stable sort: what happens at once to one call keeps its order.
    facts.sort_by_key(|(secs, _)| *secs);
    (went, facts.into_iter().map(|(_, fact)| fact).collect())
}

/// Sums over the plans of one queue, or of both.
fn recomputed(went: &[Went], queue: Option<&str>) -> Statistics {
    let mut sum = Statistics::default();
    for call in went {
        let entered = call.overflowed.unwrap_or(call.arrived);
        let (of_first, last) = match call.overflowed {
            Some(_) => (true, "second"),
            None => (false, "first"),
        };
        if of_first && queue.is_none_or(|queue| queue == "first") {
            sum.offered += 1;
            let wait = Duration::from_secs(entered - call.arrived);
            sum.longest_wait = sum.longest_wait.max(wait);
            sum.overflowed += 1;
        }
        if queue.is_some_and(|queue| queue != last) {
            continue;
        }
        let wait = Duration::from_secs(call.left - entered);
        sum.offered += 1;
        sum.longest_wait = sum.longest_wait.max(wait);
        if let Some(answer) = &call.answer {
            sum.answered += 1;
            sum.answered_in_time += u64::from(wait <= THRESHOLDS.service_level);
            sum.wait_of_answered += wait;
            sum.handled += 1;
            sum.talk += Duration::from_secs(answer.talk);
            sum.wrap += Duration::from_secs(answer.wrap);
            continue;
        }
        match call.cause {
            EndCause::Abandoned => {
                sum.abandoned += 1;
                sum.abandoned_quickly += u64::from(wait <= THRESHOLDS.quick);
            }
            EndCause::TimedOut => sum.timed_out += 1,
            EndCause::Overflowed => sum.overflowed += 1,
            EndCause::Refused(RefusedBecause::Full) => sum.refused.full += 1,
            EndCause::Refused(RefusedBecause::NoAgents) => sum.refused.no_agents += 1,
            EndCause::Restarted | EndCause::Failed(_) => sum.failed += 1,
            other => panic!("{other} is not planned"),
        }
    }
    sum
}

proptest! {
    #[test]
    fn statistics_are_what_a_recomputation_from_the_plans_says(plans in plans()) {
        let (went, facts) = carry_out(&plans);
        let mut records = Records::default();
        let mut over = Vec::new();
        for fact in &facts {
            for call in records.apply(fact).into_iter().flatten() {
                over.extend(records.take_over(call));
            }
        }
        prop_assert_eq!(records.open().count(), 0, "nothing is held of calls that are over");
        prop_assert_eq!(over.len(), went.len());
        over.sort_by_key(|record| record.call);
        for (record, call) in over.iter().zip(&went) {
            prop_assert_eq!(record.ended.map(|end| (end.cause, end.at)), Some((call.cause, at(call.ended))));
            prop_assert_eq!(record.wait(), Some(Duration::from_secs(call.left - call.arrived)));
            let agent = call.answer.as_ref().map(|answer| format!("agent{}", answer.agent));
            prop_assert_eq!(record.agent(), agent.as_deref());
            let talk = call.answer.as_ref().map(|answer| Duration::from_secs(answer.talk));
            prop_assert_eq!(record.agent_talk(), talk);
        }
        for queue in [None, Some("first"), Some("second"), Some("third")] {
            let mut sum = Statistics::default();
            for record in &over {
                sum.add(record, queue, &THRESHOLDS);
            }
            prop_assert_eq!(sum, recomputed(&went, queue));
            let outcomes = sum.answered + sum.abandoned + sum.overflowed + sum.timed_out + sum.failed
                + sum.refused.full + sum.refused.closed + sum.refused.no_agents;
            prop_assert_eq!(outcomes, sum.offered, "each visit has one outcome");
        }
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace(plans in plans(), cut in 0..200usize) {
        let (_, facts) = carry_out(&plans);
        let cut = cut.min(facts.len());
        let mut records = Records::default();
        for fact in &facts[..cut] {
            records.apply(fact);
        }
        let before = format!("{records:?}");
        records.mark();
        for fact in &facts[cut..] {
            for call in records.apply(fact).into_iter().flatten() {
                records.take_over(call);
            }
        }
        records.undo();
        prop_assert_eq!(format!("{records:?}"), before);
    }
}

#[test]
fn averages_of_nothing_are_none_and_others_are_exact() {
    let nothing = Statistics::default();
    assert_eq!(
        (nothing.service_level(), nothing.average_handle_time()),
        (None, None)
    );
    let some = Statistics {
        offered: 10,
        answered: 6,
        answered_in_time: 4,
        abandoned: 4,
        abandoned_quickly: 2,
        wait_of_answered: Duration::from_secs(90),
        handled: 4,
        talk: Duration::from_secs(400),
        wrap: Duration::from_secs(42),
        ..Statistics::default()
    };
    assert_eq!(some.service_level(), Some(0.4));
    assert_eq!(some.service_level_without_quick(), Some(0.5));
    assert_eq!(some.abandon_rate(), Some(0.4));
    assert_eq!(some.average_speed_of_answer(), Some(Duration::from_secs(15)));
    assert_eq!(some.average_handle_time(), Some(Duration::from_millis(110_500)));
}

/// A call of the queue `first`, told in whole seconds, folded into its record and put away.
struct Tale {
    facts: Vec<Fact>,
}

const CALL: CallKey = CallKey(1);

impl Tale {
    fn queued(secs: u64) -> Tale {
        let tale = Tale { facts: Vec::new() };
        tale.comes_to("first", secs)
    }

    fn with(mut self, fact: Fact) -> Tale {
        self.facts.push(fact);
        self
    }

    fn comes_to(self, queue: &str, secs: u64) -> Tale {
        self.with(Fact::CallQueued {
            call: CALL,
            queue: queue.to_owned(),
            caller: "sip:caller@example.com".to_owned(),
            dialled: "sip:first@callcenter.test".to_owned(),
            priority: 0,
            at: at(secs),
        })
    }

    fn presented(self, agent: &str, secs: u64) -> Tale {
        self.with(Fact::CallPresented {
            call: CALL,
            agent: agent.to_owned(),
            attempt: 1,
            at: at(secs),
        })
    }

    fn answered(self, agent: &str, secs: u64) -> Tale {
        self.answered_by(Some(agent), secs)
            .becomes(agent, AgentState::Talking, secs)
    }

    fn answered_by(self, agent: Option<&str>, secs: u64) -> Tale {
        self.with(Fact::CallAnswered {
            call: CALL,
            caller: "sip:caller@example.com".to_owned(),
            callee: format!("sip:{}@callcenter.test", agent.unwrap_or("dave")),
            agent: agent.map(str::to_owned),
            at: at(secs),
        })
    }

    fn becomes(self, agent: &str, state: AgentState, secs: u64) -> Tale {
        self.with(Fact::AgentChanged {
            agent: agent.to_owned(),
            state,
            at: at(secs),
        })
    }

    fn transferred(self, agent: &str, secs: u64) -> Tale {
        self.with(Fact::CallTransferred {
            call: CALL,
            agent: Some(agent.to_owned()),
            to: "sip:second@callcenter.test".to_owned(),
            at: at(secs),
        })
    }

    fn in_vain(self, agent: &str, outcome: PresentationOutcome, secs: u64) -> Tale {
        self.with(Fact::PresentationEnded {
            call: CALL,
            agent: agent.to_owned(),
            outcome,
            at: at(secs),
        })
    }

    fn ended(self, cause: EndCause, secs: u64) -> Tale {
        self.with(Fact::CallEnded {
            call: CALL,
            cause,
            parties: None,
            at: at(secs),
        })
    }

    #[track_caller]
    fn told(self) -> (CallRecord, Statistics) {
        let mut records = Records::default();
        for fact in &self.facts {
            records.apply(fact);
        }
        let record = records.take_over(CALL).expect("it is over");
        let mut sum = Statistics::default();
        sum.add(&record, None, &THRESHOLDS);
        (record, sum)
    }
}

#[test]
fn each_agent_of_a_call_that_is_transferred_to_a_queue_counts_with_its_own_time() {
    let wrap_up = AgentState::WrapUp { until: at(47) };
    let (record, sum) = Tale::queued(0)
        .answered("alice", 10)
        .transferred("alice", 40)
        .becomes("alice", wrap_up, 40)
        .comes_to("second", 40)
        .becomes("alice", AgentState::Ready, 47)
        .answered("bob", 65)
        .ended(EndCause::CompletedByCallee, 165)
        .becomes("bob", AgentState::Ready, 165)
        .told();
    assert_eq!((sum.offered, sum.answered, sum.handled), (2, 2, 2));
    assert_eq!(sum.talk, Duration::from_secs(30 + 100));
    assert_eq!(sum.wrap, Duration::from_secs(7));
    assert_eq!(sum.answered_in_time, 1);
    assert_eq!(record.agent(), Some("bob"));
    assert_eq!(record.agent_talk(), Some(Duration::from_secs(130)));
    assert_eq!(record.wait(), Some(Duration::from_secs(10)));
    assert_eq!(record.cause().as_deref(), Some("completed_by_agent"));
}

#[test]
fn an_answer_that_came_to_nothing_is_none() {
    let gone = Tale::queued(0)
        .presented("alice", 1)
        .answered("alice", 10)
        .in_vain("alice", PresentationOutcome::Withdrawn, 11)
        .ended(EndCause::Abandoned, 11)
        .becomes("alice", AgentState::Ready, 11);
    let (record, sum) = gone.told();
    assert_eq!((sum.answered, sum.abandoned), (0, 1));
    assert_eq!(
        (record.agent(), record.wait()),
        (None, Some(Duration::from_secs(11)))
    );
    assert_eq!(
        record.presentations[0].outcome,
        Some(PresentationOutcome::Withdrawn)
    );
    let again = Tale::queued(0)
        .presented("alice", 1)
        .answered("alice", 10)
        .in_vain("alice", PresentationOutcome::AgentGone, 11)
        .becomes("alice", AgentState::Ready, 11)
        .presented("bob", 12)
        .answered("bob", 30)
        .ended(EndCause::CompletedByCaller, 50)
        .becomes("bob", AgentState::Ready, 50);
    let (record, sum) = again.told();
    assert_eq!((sum.offered, sum.answered, sum.handled), (1, 1, 1));
    assert_eq!((sum.answered_in_time, sum.talk), (0, Duration::from_secs(20)));
    assert_eq!(
        (record.agent(), record.ring()),
        (Some("bob"), Some(Duration::from_secs(18)))
    );
}

#[test]
fn a_call_that_overflows_to_a_user_is_not_answered_by_the_queue() {
    let overflows = |tale: Tale| {
        tale.with(Fact::CallOverflowed {
            call: CALL,
            to: "sip:dave@callcenter.test".to_owned(),
            at: at(5),
        })
    };
    let answered = overflows(Tale::queued(0))
        .answered_by(None, 15)
        .ended(EndCause::CompletedByCallee, 60);
    let (record, sum) = answered.told();
    assert_eq!((sum.offered, sum.answered, sum.overflowed), (1, 0, 1));
    assert_eq!(sum.longest_wait, Duration::from_secs(5));
    assert_eq!(record.cause().as_deref(), Some("completed_by_callee"));
    let vain = overflows(Tale::queued(0)).ended(EndCause::TimedOut, 60);
    let (_, sum) = vain.told();
    assert_eq!((sum.overflowed, sum.timed_out), (1, 0));
    assert_eq!(sum.longest_wait, Duration::from_secs(5));
}

#[test]
fn who_took_the_place_of_an_agent_is_none() {
    let (record, sum) = Tale::queued(0)
        .answered("alice", 10)
        .transferred("alice", 40)
        // Its leg is gone only now.
        .becomes("alice", AgentState::Ready, 42)
        .ended(EndCause::CompletedByCallee, 600)
        .told();
    assert_eq!(record.cause().as_deref(), Some("completed_by_callee"));
    assert_eq!(
        sum.talk,
        Duration::from_secs(30),
        "its talk ends with the transfer"
    );
}

#[test]
fn an_agent_who_is_consulted_talks_until_its_talk_with_the_caller_is_over() {
    let consulted = || {
        Tale::queued(0)
            .answered("bob", 10)
            .ended(EndCause::Transferred, 30)
    };
    let wrap_up = AgentState::WrapUp { until: at(110) };
    let (record, sum) = consulted()
        .becomes("bob", wrap_up, 100)
        .becomes("bob", AgentState::Ready, 110)
        .told();
    assert_eq!(record.cause().as_deref(), Some("transferred"));
    assert_eq!(record.talk(), Some(Duration::from_secs(20)), "the call itself");
    assert_eq!(record.agent_talk(), Some(Duration::from_secs(90)));
    assert_eq!(
        (sum.handled, sum.talk, sum.wrap),
        (1, Duration::from_secs(90), Duration::from_secs(10))
    );

    let mut records = Records::default();
    for fact in &consulted().facts {
        records.apply(fact);
    }
    assert!(!records.is_over(CALL), "the agent still talks");
    let mut sum = Statistics::default();
    sum.add(records.get(CALL).expect("it is held"), None, &THRESHOLDS);
    assert_eq!((sum.answered, sum.handled), (1, 0));
    // The call that it went on in dies with the process, and the talk with both.
    let cut_off = Fact::CallEnded {
        call: CallKey(2),
        cause: EndCause::Restarted,
        parties: None,
        at: at(60),
    };
    assert_eq!(records.apply(&cut_off), [Some(CallKey(2)), None]);
    let talking: Vec<_> = records.talking_on().collect();
    assert_eq!(talking, [("bob", CALL)]);
    let ready = |seconds| Fact::AgentChanged {
        agent: "bob".to_owned(),
        state: AgentState::Ready,
        at: at(seconds),
    };
    assert_eq!(records.apply(&ready(60)), [Some(CALL), None]);
    assert_eq!(records.talking_on().next(), None);
    // What the next process says of the agent is of no call any more.
    assert_eq!(records.apply(&ready(7_200)), [None, None]);
    let record = records.take_over(CALL).expect("it is over");
    assert_eq!(record.agent_talk(), Some(Duration::from_secs(50)));
}

#[test]
fn a_wrap_up_is_over_in_time_even_where_the_server_was_down_then() {
    let mut records = Records::default();
    let wraps = |seconds, until| Fact::AgentChanged {
        agent: "bob".to_owned(),
        state: AgentState::WrapUp { until: at(until) },
        at: at(seconds),
    };
    let facts = [
        Fact::CallAnswered {
            call: CALL,
            caller: "sip:alice@example.com".to_owned(),
            callee: "sip:bob@example.com".to_owned(),
            agent: Some("bob".to_owned()),
            at: at(10),
        },
        Fact::CallEnded {
            call: CALL,
            cause: EndCause::CompletedByCaller,
            parties: None,
            at: at(20),
        },
        wraps(20, 40),
        // Said again by the next process, and by the one after that it is over: two hours later.
        wraps(30, 41),
        Fact::AgentChanged {
            agent: "bob".to_owned(),
            state: AgentState::Ready,
            at: at(7_200),
        },
    ];
    for fact in &facts {
        records.apply(fact);
    }
    let record = records.take_over(CALL).expect("it is over");
    assert_eq!(record.wrap(), Some(Duration::from_secs(21)));
}
