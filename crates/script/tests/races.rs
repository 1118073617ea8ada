//! The race conditions of RFC 5407, over real sockets of loopback with a slow network between two agents.

mod real;

use callwright_events::RunEvent;
use real::run;

#[test]
fn what_crosses_on_a_slow_network_ends_as_rfc_5407_says() {
    let races = include_str!("races/rfc5407.rhai");
    let ran = run(races);
    ran.passed();
    let held = ran
        .events
        .iter()
        .filter(|event| matches!(event, RunEvent::ScenarioFinished { passed: true, .. }))
        .count();
    assert_eq!(held, races.matches("\nscenario(").count());
}
