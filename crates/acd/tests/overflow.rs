//! Calls that may not wait, or no longer: limits of queues, and what becomes of those calls.

mod support;

use std::time::Duration;

use callwright_acd::{
    AgentState, AnswerWith, Config, EndCause, Overflow, QueueConfig, RefusedBecause, Sound,
};
use callwright_sip_message::Uri;
use callwright_ua::Phase;
use support::script::{Request, sdp};
use support::{Lab, SERVER};

fn full(overflow: Option<Overflow>) -> impl FnOnce(&mut Config, &mut QueueConfig) {
    move |config, queue| {
        queue.max_length = Some(1);
        queue.overflow = overflow;
        config.queues.push(QueueConfig::new("sales"));
    }
}

#[test]
fn a_full_queue_refuses_and_says_why_in_the_record() {
    let mut lab = Lab::with_queue(full(None));
    lab.customer();
    let second = lab.customer();
    assert_eq!(lab.ended(second).0, Some(486));
    assert_eq!(
        lab.story()[1..],
        ["2 queued in support", "2 ended: Refused(Full)"]
    );
    assert_eq!(lab.support().waiting, 1);
}

#[test]
fn a_call_that_an_agent_can_take_at_once_does_not_meet_a_full_queue() {
    let mut lab = Lab::with_queue(|_, queue| queue.max_length = Some(1));
    let (alice, bob) = (lab.registered("alice"), lab.registered("bob"));
    let (first, second) = (lab.customer(), lab.customer());
    lab.take(alice);
    lab.take(bob);
    lab.assert_they_talk(first, alice);
    lab.assert_they_talk(second, bob);
}

#[test]
fn without_agents_a_queue_refuses_where_it_is_told_to() {
    let mut lab = Lab::with_queue(|_, queue| queue.join_when_empty = false);
    let first = lab.customer();
    assert_eq!(lab.ended(first).0, Some(480));
    assert_eq!(lab.ends(), [EndCause::Refused(RefusedBecause::NoAgents)]);
    lab.registered("alice");
    let second = lab.customer();
    assert_eq!(lab.phase(second), Some(Phase::Established));
}

#[test]
fn a_call_waits_as_long_as_its_queue_allows() {
    for (answer, status) in [(AnswerWith::Agent, Some(480)), (AnswerWith::Music, None)] {
        let mut lab = Lab::with_queue(|_, queue| {
            queue.max_wait = Some(Duration::from_secs(20));
            queue.answer = answer;
            queue.max_no_answer = 0;
        });
        let alice = lab.registered("alice");
        let customer = lab.customer();
        lab.pass(Duration::from_millis(19_900));
        assert_ne!(lab.phase(customer), Some(Phase::Ended));
        assert_eq!(lab.state("alice"), AgentState::Ready, "she had her turn");
        lab.pass(Duration::from_millis(200));
        assert_eq!(lab.phase(customer), Some(Phase::Ended));
        if status.is_some() {
            assert_eq!(lab.ended(customer).0, status);
        }
        assert_eq!(lab.ends(), [EndCause::TimedOut]);
        assert_eq!(lab.phase(alice), Some(Phase::Ended));
        lab.assert_nothing_left();
    }
}

#[test]
fn a_presentation_is_taken_back_when_the_time_is_over() {
    let mut lab = Lab::with_queue(|_, queue| queue.max_wait = Some(Duration::from_secs(10)));
    let alice = lab.registered("alice");
    lab.customer();
    lab.pass(Duration::from_secs(11));
    assert_eq!(lab.phase(alice), Some(Phase::Ended));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    assert!(
        lab.story()
            .contains(&"1 not taken by alice: Withdrawn".to_owned())
    );
    lab.assert_nothing_left();
}

#[test]
fn a_call_overflows_to_another_queue_and_keeps_its_number() {
    let mut lab = Lab::with_queue(full(Some(Overflow::Queue("sales".to_owned()))));
    lab.customer();
    let second = lab.customer();
    assert_eq!(lab.phase(second), Some(Phase::Established));
    assert_eq!(lab.story()[1..], ["2 queued in support", "2 queued in sales"]);
    let waiting: Vec<_> = lab.machine.queues().iter().map(|queue| queue.waiting).collect();
    assert_eq!(waiting, [1, 1]);
}

#[test]
fn queues_that_overflow_into_each_other_do_not_go_round() {
    let to = |name: &str| Some(Overflow::Queue(name.to_owned()));
    let mut lab = Lab::with_queue(|config, queue| {
        let mut sales = QueueConfig::new("sales");
        (sales.overflow, queue.overflow) = (to("support"), to("sales"));
        (sales.max_wait, queue.max_wait) = (Some(Duration::from_secs(5)), Some(Duration::from_secs(5)));
        config.queues.push(sales);
    });
    let customer = lab.customer();
    lab.pass(Duration::from_secs(6));
    assert_eq!(lab.phase(customer), Some(Phase::Established));
    lab.pass(Duration::from_secs(6));
    assert_eq!(lab.phase(customer), Some(Phase::Ended));
    assert_eq!(
        lab.story(),
        ["1 queued in support", "1 queued in sales", "1 ended: TimedOut"]
    );
    lab.assert_nothing_left();
}

#[test]
fn a_call_overflows_to_a_user() {
    for answer in [AnswerWith::Agent, AnswerWith::Music] {
        let mut lab = Lab::with_queue(|config, queue| {
            config.agents.truncate(1);
            queue.answer = answer;
            queue.max_wait = Some(Duration::from_secs(5));
            let uri = format!("sip:bob@{SERVER}").parse::<Uri>().expect("a URI");
            queue.overflow = Some(Overflow::Uri(uri));
        });
        let bob = lab.registered("bob");
        let customer = lab.customer();
        lab.take(bob);
        lab.assert_they_talk(customer, bob);
        lab.hangup(bob);
        lab.until(|lab| lab.phase(customer) == Some(Phase::Ended));
        assert_eq!(
            lab.story(),
            [
                "1 queued in support",
                "1 overflowed to sip:bob@10.0.0.250",
                "1 answered by sip:bob@10.0.0.250",
                "1 ended: CompletedByCallee"
            ]
        );
        lab.assert_nothing_left();
    }
}

#[test]
fn a_call_overflows_to_somebody_outside() {
    let mut lab = Lab::with_queue(|_, queue| {
        queue.join_when_empty = false;
        let uri = "sip:service@10.0.0.90".parse::<Uri>().expect("a URI");
        queue.overflow = Some(Overflow::Uri(uri));
    });
    let outside = lab.script("10.0.0.90:5060");
    let customer = lab.customer();
    let invite = lab.expect(outside, "INVITE sip:service@10.0.0.90");
    let answer = invite.reply(
        "200 OK",
        "o",
        &["Contact: <sip:service@10.0.0.90>"],
        &sdp(1, "10.0.0.90", 7_000, ""),
    );
    lab.say(outside, answer);
    lab.until(|lab| lab.phase(customer) == Some(Phase::Established));
    lab.hangup(customer);
    lab.expect(outside, "BYE");
}

#[test]
fn a_user_who_does_not_take_an_overflow_ends_it() {
    let mut lab = Lab::with_queue(|_, queue| {
        queue.join_when_empty = false;
        let uri = format!("sip:bob@{SERVER}").parse::<Uri>().expect("a URI");
        queue.overflow = Some(Overflow::Uri(uri));
    });
    let customer = lab.customer();
    assert_eq!(lab.ended(customer).0, Some(480));
    assert_eq!(lab.ends(), [EndCause::Failed(480)]);
    lab.assert_nothing_left();
}

#[test]
fn a_message_is_heard_before_the_call_ends() {
    for answer in [AnswerWith::Agent, AnswerWith::Music] {
        let mut lab = Lab::with_queue(|_, queue| {
            queue.answer = answer;
            queue.max_wait = Some(Duration::from_secs(5));
            let tone = |at: u32| ((f64::from(at) * 0.55).sin() * 8_000.0) as i16;
            queue.overflow = Some(Overflow::Message(Sound(
                (0..16_000).map(tone).collect::<Vec<_>>().into(),
            )));
        });
        let customer = lab.customer();
        lab.pass(Duration::from_millis(5_100));
        assert_eq!(lab.phase(customer), Some(Phase::Established));
        let heard = lab.listen(customer, 700.3);
        lab.pass(Duration::from_secs(1));
        assert!(lab.has_tone(customer, heard));
        lab.pass(Duration::from_millis(1_300));
        assert_eq!(lab.phase(customer), Some(Phase::Ended));
        assert_eq!(lab.ends(), [EndCause::Overflowed]);
        lab.assert_nothing_left();
    }
}

#[test]
fn who_hangs_up_during_a_message_ends_it() {
    let mut lab = Lab::with_queue(|_, queue| {
        queue.join_when_empty = false;
        queue.overflow = Some(Overflow::Message(Sound(vec![0; 80_000].into())));
    });
    let customer = lab.customer();
    assert_eq!(lab.phase(customer), Some(Phase::Established));
    lab.hangup(customer);
    lab.pass(Duration::from_millis(10));
    assert_eq!(lab.ends(), [EndCause::Abandoned]);
    lab.assert_nothing_left();
}

#[test]
fn the_message_of_a_queue_that_lets_nobody_in_waits_for_the_store() {
    let tone = Sound(vec![1_000; 8_000].into());
    for works in [true, false] {
        let mut lab = Lab::with_queue(|_, queue| {
            queue.join_when_empty = false;
            queue.overflow = Some(Overflow::Message(tone.clone()));
        });
        lab.store.delay = Duration::from_millis(500);
        lab.store.broken = !works;
        let customer = lab.customer();
        lab.pass(Duration::from_millis(400));
        assert_eq!(lab.phase(customer), Some(Phase::Trying));
        lab.pass(Duration::from_millis(200));
        if works {
            assert_eq!(lab.phase(customer), Some(Phase::Established));
            lab.pass(Duration::from_secs(2));
            assert_eq!(lab.ends(), [EndCause::Overflowed]);
        } else {
            assert_eq!(lab.ended(customer).0, Some(503));
        }
        lab.assert_nothing_left();
    }
}

#[test]
fn an_announcement_that_is_under_way_does_not_hold_the_message_back() {
    let tone = |at: usize| (at as f64 * std::f64::consts::TAU * 880.0 / 8_000.0).sin();
    let message: Vec<i16> = (0..16_000).map(|at| (tone(at) * 8_000.0) as i16).collect();
    let mut lab = Lab::with_queue(|_, queue| {
        queue.prompts.announce = Some(Sound(vec![0; 80_000].into()));
        queue.max_wait = Some(Duration::from_secs(2));
        queue.overflow = Some(Overflow::Message(Sound(message.into())));
    });
    let customer = lab.customer();
    lab.pass(Duration::from_millis(1_900));
    let heard = lab.listen(customer, 880.0);
    lab.pass(Duration::from_secs(2));
    assert!(lab.has_tone(customer, heard));
}

#[test]
fn no_more_calls_wait_than_may_however_many_come_at_once() {
    let mut lab = Lab::with_queue(|_, queue| queue.max_length = Some(1));
    lab.store.delay = Duration::from_millis(500);
    let phones = [(); 4].map(|()| lab.phone("dave"));
    for phone in phones {
        lab.dial(phone, "support");
    }
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.support().waiting, 1);
    assert_eq!(lab.ends(), [EndCause::Refused(RefusedBecause::Full); 3]);
}

#[test]
fn a_free_agent_who_does_not_take_calls_makes_no_room_for_more() {
    let mut lab = Lab::with_queue(|_, queue| queue.max_length = Some(1));
    let alice = lab.registered("alice");
    lab.customer();
    lab.refuse(alice, 486);
    assert_eq!(lab.support().free, 1);
    let second = lab.customer();
    assert_eq!(lab.ended(second).0, Some(486));
    assert_eq!(lab.support().waiting, 1);
}

#[test]
fn a_caller_who_hears_ringing_waits_as_long_as_the_queue_says() {
    for max_wait in [None, Some(Duration::from_secs(2_400))] {
        let mut lab = Lab::with_queue(|_, queue| {
            queue.answer = AnswerWith::Agent;
            queue.max_wait = max_wait;
        });
        // A phone would give up by itself.
        let customer = lab.script("10.0.0.66:5060");
        let uri = format!("sip:support@{SERVER}");
        let invite = Request {
            method: "INVITE",
            uri: &uri,
            from: ("sip:anybody@elsewhere.example", "f"),
            to: (&uri, ""),
            call_id: "1",
            cseq: 1,
        };
        let text = invite.write(customer, &["Contact: <sip:anybody@10.0.0.66>"], "");
        lab.say(customer, text);
        lab.expect(customer, "SIP/2.0 180");
        lab.pass(Duration::from_secs(2_380));
        assert_eq!(lab.ends(), []);
        lab.pass(Duration::from_secs(30));
        assert_eq!(lab.ends().len(), usize::from(max_wait.is_some()));
    }
}
