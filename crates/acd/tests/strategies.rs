//! Whose turn it is: strategies, skills, priorities, and several queues.

mod support;

use std::time::Duration;

use callwright_acd::{AgentConfig, Fact, QueueConfig, Strategy};
use callwright_ua::Phase;
use support::{Lab, Phone};

/// The agents who answered, in order.
fn answered(lab: &Lab) -> Vec<String> {
    let mut names = Vec::new();
    for fact in &lab.facts {
        if let Fact::CallAnswered {
            agent: Some(agent), ..
        } = fact
        {
            names.push(agent.clone());
        }
    }
    names
}

/// A call that lasts so long, one after the other: every agent answers what rings.
fn serve(lab: &mut Lab, agents: &[Phone], talk: Duration) {
    let customer = lab.customer();
    let ringing = |lab: &Lab| {
        agents
            .iter()
            .copied()
            .find(|agent| lab.phase(*agent) == Some(Phase::Ringing))
    };
    lab.until(|lab| ringing(lab).is_some());
    let agent = ringing(lab).expect("somebody rings");
    lab.take(agent);
    lab.pass(talk);
    lab.hangup(customer);
    lab.pass(Duration::from_millis(20));
}

fn with(strategy: Strategy) -> (Lab, [Phone; 3]) {
    let mut lab = Lab::with_queue(|_, queue| queue.strategy = strategy);
    let agents = ["alice", "bob", "carol"].map(|name| lab.registered(name));
    (lab, agents)
}

#[test]
fn round_robin_goes_around() {
    let (mut lab, agents) = with(Strategy::RoundRobin);
    for _ in 0..5 {
        serve(&mut lab, &agents, Duration::from_secs(1));
    }
    assert_eq!(answered(&lab), ["alice", "bob", "carol", "alice", "bob"]);
}

#[test]
fn linear_begins_at_the_first() {
    let (mut lab, agents) = with(Strategy::Linear);
    for _ in 0..3 {
        serve(&mut lab, &agents, Duration::from_secs(1));
    }
    assert_eq!(answered(&lab), ["alice", "alice", "alice"]);
}

#[test]
fn longest_idle_is_whose_last_call_is_over_for_the_longest_time() {
    let (mut lab, agents) = with(Strategy::LongestIdle);
    let [alice, bob, carol] = agents;
    let customers = [lab.customer(), lab.customer(), lab.customer()];
    for agent in agents {
        lab.take(agent);
    }
    // Bob's is over first, then that of carol, then that of alice.
    for at in [1, 2, 0] {
        lab.hangup(customers[at]);
        lab.pass(Duration::from_secs(1));
    }
    let before = answered(&lab).len();
    for _ in 0..4 {
        serve(&mut lab, &[alice, bob, carol], Duration::from_secs(1));
    }
    assert_eq!(answered(&lab)[before..], ["bob", "carol", "alice", "bob"]);
}

#[test]
fn fewest_calls_evens_out_what_was_answered() {
    let mut lab = Lab::with_queue(|_, queue| queue.strategy = Strategy::FewestCalls);
    let alice = lab.registered("alice");
    for _ in 0..2 {
        serve(&mut lab, &[alice], Duration::from_secs(1));
    }
    let bob = lab.registered("bob");
    for _ in 0..3 {
        serve(&mut lab, &[alice, bob], Duration::from_secs(1));
    }
    assert_eq!(answered(&lab), ["alice", "alice", "bob", "bob", "alice"]);
}

#[test]
fn least_talk_time_counts_how_long_and_not_how_often() {
    let (mut lab, agents) = with(Strategy::LeastTalkTime);
    for seconds in [10, 2, 5, 1, 1] {
        serve(&mut lab, &agents, Duration::from_secs(seconds));
    }
    assert_eq!(answered(&lab), ["alice", "bob", "carol", "bob", "bob"]);
    let talked = lab.agent("carol").talk_time;
    assert!(
        talked >= Duration::from_secs(5) && talked < Duration::from_millis(5_100),
        "{talked:?}"
    );
}

#[test]
fn random_gives_everybody_something_and_is_the_same_each_time() {
    let run = || {
        let (mut lab, agents) = with(Strategy::Random);
        for _ in 0..18 {
            serve(&mut lab, &agents, Duration::from_secs(1));
        }
        answered(&lab)
    };
    let first = run();
    for name in ["alice", "bob", "carol"] {
        assert!(first.iter().filter(|who| *who == name).count() > 1, "{first:?}");
    }
    assert_eq!(first, run());
}

fn skilled(name: &str, level: u32) -> AgentConfig {
    let mut agent = AgentConfig::new(name);
    agent.skills.insert("french".to_owned(), level);
    agent
}

#[test]
fn skills_are_a_filter_before_any_strategy() {
    let mut lab = Lab::with_queue(|config, queue| {
        config.agents = vec![AgentConfig::new("alice"), skilled("bob", 2), skilled("carol", 3)];
        queue.skills.insert("french".to_owned(), 3);
        queue.strategy = Strategy::Linear;
    });
    for name in ["alice", "bob"] {
        lab.registered(name);
    }
    let customer = lab.customer();
    lab.pass(Duration::from_secs(5));
    assert_eq!((lab.support().logged_in, lab.support().waiting), (0, 1));
    let carol = lab.registered("carol");
    lab.take(carol);
    lab.hangup(customer);
}

/// Support, and sales with another priority; alice serves both.
fn two_queues(priority: i32) -> Lab {
    Lab::with_queue(|config, _| {
        let mut sales = QueueConfig::new("sales");
        sales.priority = priority;
        sales.members = Some(vec!["alice".to_owned()]);
        config.queues.push(sales);
    })
}

fn calls(lab: &mut Lab, queue: &str) -> Phone {
    let phone = lab.phone("dave");
    lab.dial(phone, queue);
    lab.pass(Duration::from_millis(50));
    phone
}

#[test]
fn of_two_queues_the_one_with_the_higher_priority_comes_first() {
    let mut lab = two_queues(5);
    let support = calls(&mut lab, "support");
    let sales = calls(&mut lab, "sales");
    let alice = lab.registered("alice");
    lab.take(alice);
    lab.assert_they_talk(sales, alice);
    lab.hangup(sales);
    lab.take(alice);
    lab.assert_they_talk(support, alice);
}

#[test]
fn of_two_queues_with_one_priority_who_came_first_comes_first() {
    let mut lab = two_queues(0);
    let sales = calls(&mut lab, "sales");
    let support = calls(&mut lab, "support");
    let alice = lab.registered("alice");
    for customer in [sales, support] {
        lab.take(alice);
        lab.assert_they_talk(customer, alice);
        lab.hangup(customer);
        lab.pass(Duration::from_millis(5));
    }
}

#[test]
fn who_is_no_member_is_not_offered_a_call() {
    let mut lab = two_queues(0);
    let bob = lab.registered("bob");
    calls(&mut lab, "sales");
    lab.pass(Duration::from_secs(5));
    assert_eq!(lab.phase(bob), None);
    calls(&mut lab, "support");
    assert_eq!(lab.phase(bob), Some(Phase::Ringing));
}
