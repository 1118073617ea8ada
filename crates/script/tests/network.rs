//! Conditions of the network, over real sockets of loopback.

mod real;

use callwright_events::{ExitCode, RunEvent};
use real::run;

const TWO: &str = "let a = agent(\"A\", #{ username: \"a\", domain: \"127.0.0.1\" });
let b = agent(\"B\", #{ username: \"b\", domain: \"127.0.0.1\" });
";

fn two(text: &str) -> real::Ran {
    run(&format!("{TWO}{text}"))
}

#[test]
fn where_everything_is_lost_a_call_waits_until_the_network_is_perfect_again() {
    let ran = two("network(#{ loss: \"100%\" });
a.dial(b.contact);
await_until(|| assert(a.messages(#{ method: \"INVITE\", retransmissions: true }).len()).at_least(3));
assert(b.state).equals(State::Idle);
assert(b.messages().len()).equals(0);
network(#{});
await_until(|| assert(b.state).equals(State::Ringing), \"10s\");
b.accept();
await_until(|| assert(a.state).equals(State::Established));
");
    ran.passed();
    let told: Vec<_> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Network { kind, detail, .. } => Some((kind.as_str(), detail.as_deref())),
            _ => None,
        })
        .collect();
    assert_eq!(
        told,
        [("network", Some("loss 100%")), ("network", Some("perfect"))]
    );
}

#[test]
fn latency_is_there_in_both_directions() {
    two("network(a, b, #{ latency: \"150ms\" });
a.dial(b.contact);
await_until(|| assert(b.state).equals(State::Ringing));
await_until(|| assert(a.messages(#{ method: \"INVITE\", requests: false }).len()).at_least(1));
let sent = a.messages(#{ method: \"INVITE\", requests: true })[0].time;
let arrived = b.messages(#{ method: \"INVITE\", requests: true })[0].time;
let answered = a.messages(#{ method: \"INVITE\", requests: false })[0].time;
assert(arrived - sent).at_least(0.149);
assert(answered - sent).at_least(0.299);
")
    .passed();
}

#[test]
fn jitter_and_latency_are_in_what_is_measured_of_audio() {
    two("network(#{ latency: \"30ms\", jitter: \"40ms\" });
a.dial(b.contact);
await_until(|| assert(b.state).equals(State::Ringing));
b.accept();
await_until(|| assert(b.state).equals(State::Established));
await_until(|| assert(b.quality.jitter).greater_than(5.0), \"10s\");
await_until(|| assert(a.quality.rtt).at_least(59.0), \"15s\");
")
    .passed();
}

#[test]
fn copies_are_absorbed() {
    two("network(#{ duplicate: \"100%\" });
a.dial(b.contact);
await_until(|| assert(b.state).equals(State::Ringing));
assert(b.calls.len()).equals(1);
b.accept();
await_until(|| assert(a.state).equals(State::Established));
await_until(|| assert(b.state).equals(State::Established));
assert(b.messages(#{ method: \"INVITE\", requests: true, retransmissions: true }).len()).at_least(2);
a.hangup();
await_until(|| assert(b.state).equals(State::Idle));
assert(a.calls.len()).equals(1);
")
    .passed();
}

#[test]
fn a_partition_ends_with_heal_and_links_stay() {
    let ran = two("network(a, b, #{ latency: \"100ms\" });
partition(a, b);
a.dial(b.contact);
await_until(|| assert(a.messages(#{ method: \"INVITE\", retransmissions: true }).len()).at_least(2));
assert(b.messages().len()).equals(0);
heal();
await_until(|| assert(b.state).equals(State::Ringing), \"10s\");
await_until(|| assert(a.messages(#{ method: \"INVITE\", requests: false }).len()).at_least(1));
let all = a.messages(#{ method: \"INVITE\", requests: true, retransmissions: true });
let answered = a.messages(#{ method: \"INVITE\", requests: false })[0].time;
assert(answered - all[all.len() - 1].time).at_least(0.199);
");
    ran.passed();
}

#[test]
fn an_agent_that_starts_later_takes_part_and_the_next_scenario_begins_perfect() {
    let ran = run("scenario(\"lossy\", || {
    network(#{ loss: \"100%\" });
    let a = agent(\"A\", #{ username: \"a\", domain: \"127.0.0.1\" });
    let b = agent(\"B\", #{ username: \"b\", domain: \"127.0.0.1\" });
    a.dial(b.contact);
    await_until(|| assert(a.messages(#{ method: \"INVITE\", retransmissions: true }).len()).at_least(2));
    assert(b.messages().len()).equals(0);
});
scenario(\"perfect\", || {
    let a = agent(\"A\", #{ username: \"a\", domain: \"127.0.0.1\" });
    let b = agent(\"B\", #{ username: \"b\", domain: \"127.0.0.1\" });
    a.dial(b.contact);
    await_until(|| assert(b.state).equals(State::Ringing));
    assert(a.messages(#{ method: \"INVITE\", requests: true, retransmissions: true }).len()).equals(1);
});
");
    ran.passed();
}

#[test]
fn a_stream_takes_its_link_as_well() {
    run(
        "let a = agent(\"A\", #{ username: \"a\", domain: \"127.0.0.1\", transport: \"tcp\" });
let b = agent(\"B\", #{ username: \"b\", domain: \"127.0.0.1\", transport: \"tcp\" });
network(a, b, #{ latency: \"100ms\", loss: \"20%\" });
a.dial(b.contact);
await_until(|| assert(b.state).equals(State::Ringing), \"20s\");
b.accept();
await_until(|| assert(a.state).equals(State::Established), \"20s\");
let sent = a.messages(#{ method: \"INVITE\", requests: true })[0].time;
let answered = a.messages(#{ method: \"INVITE\", requests: false })[0].time;
assert(answered - sent).at_least(0.199);
",
    )
    .passed();
}

#[test]
fn what_cannot_be_meant_is_an_error_at_its_line() {
    let error = |text: &str| two(text).error();
    let map = |text: &str| error(&format!("network(#{{ {text} }});"));
    assert_eq!(map("los: \"2%\""), "3: unknown key `los`; did you mean `loss`?");
    assert_eq!(
        map("loss: 0.02"),
        "3: network: `loss`: expected a share such as \"2%\", from 0% to 100%, not 0.02"
    );
    assert_eq!(
        map("loss: \"120%\""),
        "3: network: `loss`: expected a share such as \"2%\", from 0% to 100%, not \"120%\""
    );
    assert_eq!(
        map("latency: \"40\""),
        "3: network: `latency`: \"40\" has no unit; write \"40s\" for seconds, or use ms, m or h"
    );
    assert_eq!(
        map("burst: 3"),
        "3: network: `burst`: says nothing without `loss`"
    );
    assert_eq!(
        map("loss: \"80%\", burst: 3"),
        "3: network: `burst`: with bursts of 3 packets less than 75.0% can be lost"
    );
    assert_eq!(
        map("bandwidth: \"64k\""),
        "3: network: `bandwidth`: expected a rate such as \"64kbit/s\" or \"1.5Mbit/s\", not \"64k\""
    );
    assert_eq!(
        error("network(a, a, #{ loss: \"1%\" });"),
        "3: network: both sides are A; a link is between two"
    );
}

#[test]
fn what_only_a_simulated_run_can_do_says_so() {
    for (text, what) in [
        ("advance(\"10m\");", "advance"),
        ("crash(\"callcenter\");", "crash"),
        ("restart(\"callcenter\");", "restart"),
    ] {
        let ran = two(text);
        assert_ne!(ran.code, ExitCode::Passed);
        let error = ran.error();
        let begin = format!("3: {what} is only possible in a simulated run (--simulate): ");
        assert!(error.starts_with(&begin), "{error}");
    }
    for text in [
        "partition(a, \"callcenter\");",
        "network(\"callcenter\", a, #{});",
    ] {
        assert_eq!(
            two(text).error(),
            "3: there is no server \"callcenter\" in this run; over real sockets links are between agents, or all of \
             theirs"
        );
    }
}
