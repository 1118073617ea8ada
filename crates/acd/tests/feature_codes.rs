//! What agents dial to say what they do.

mod support;

use std::time::Duration;

use callwright_acd::{AgentState, Auth, NotReadyReason};
use callwright_ua::Phase;
use support::script::Request;
use support::{Lab, Phone, SERVER};

fn code(lab: &mut Lab, phone: Phone, code: &str) {
    lab.dial(phone, code);
    lab.until(|lab| lab.phase(phone) == Some(Phase::Ended));
}

#[test]
fn an_agent_dials_what_it_wants_to_be() {
    let mut lab = Lab::with_queue(|_, queue| queue.wrap_up = Duration::from_secs(30));
    let alice = lab.registered("alice");
    code(&mut lab, alice, "*0");
    assert_eq!(
        lab.state("alice"),
        AgentState::NotReady(NotReadyReason::Manual(String::new()))
    );
    code(&mut lab, alice, "*1");
    assert_eq!(lab.state("alice"), AgentState::Ready);
    code(&mut lab, alice, "*07");
    assert_eq!(
        lab.state("alice"),
        AgentState::NotReady(NotReadyReason::Manual("7".to_owned()))
    );
    code(&mut lab, alice, "*1");
    let customer = lab.customer();
    lab.take(alice);
    lab.hangup(customer);
    lab.pass(Duration::from_secs(1));
    assert!(matches!(lab.state("alice"), AgentState::WrapUp { .. }));
    code(&mut lab, alice, "*2");
    assert_eq!(lab.state("alice"), AgentState::Ready);
    assert_eq!(lab.ends().len(), 1, "a code is no call");
    lab.assert_nothing_left();
}

#[test]
fn a_code_is_answered_when_it_is_stored_and_not_before() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    lab.store.delay = Duration::from_millis(500);
    lab.dial(alice, "*0");
    lab.pass(Duration::from_millis(490));
    assert_eq!(lab.phase(alice), Some(Phase::Trying));
    lab.pass(Duration::from_millis(20));
    assert_eq!(lab.phase(alice), Some(Phase::Established));
    let heard = lab.listen(alice, 880.0);
    lab.pass(Duration::from_millis(240));
    assert!(lab.has_tone(alice, heard));
    lab.store.broken = true;
    lab.pass(Duration::from_secs(1));
    lab.dial(alice, "*1");
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.ended(alice).0, Some(503));
}

#[test]
fn a_code_that_is_dialled_in_a_call_is_answered_when_it_is_stored_too() {
    let mut lab = Lab::with_queue(|config, _| config.auth = Auth::Registrations);
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.take(alice);
    lab.store.delay = Duration::from_millis(500);
    // A second line of the same phone would be put on hold; another phone of hers is enough.
    let desk = lab.phone("alice");
    lab.dial(desk, "*0");
    lab.pass(Duration::from_millis(490));
    assert_eq!(lab.phase(desk), Some(Phase::Trying));
    lab.until(|lab| lab.phase(desk) == Some(Phase::Ended));
    assert_eq!(lab.state("alice"), AgentState::Talking);
    lab.hangup(customer);
    lab.pass(Duration::from_secs(1));
    let pause = NotReadyReason::Manual(String::new());
    assert_eq!(lab.state("alice"), AgentState::NotReady(pause));
}

#[test]
fn an_agent_who_dials_a_code_is_offered_a_call_when_it_has_hung_up() {
    let mut lab = Lab::with_queue(|_, _| {});
    let alice = lab.registered("alice");
    code(&mut lab, alice, "*0");
    lab.customer();
    lab.dial(alice, "*1");
    lab.pass(Duration::from_millis(100));
    assert_eq!(lab.calls(alice).len(), 2, "two codes, and no call");
    lab.until(|lab| lab.calls(alice).len() == 3);
    assert_eq!(lab.calls(alice)[1].phase(), Phase::Ended);
}

#[test]
fn who_is_not_known_by_its_way_proves_who_it_is() {
    let mut lab = Lab::with_queue(|config, _| config.auth = Auth::Registrations);
    lab.registered("alice");
    let elsewhere = lab.phone("alice");
    code(&mut lab, elsewhere, "*0");
    assert_eq!(
        lab.state("alice"),
        AgentState::NotReady(NotReadyReason::Manual(String::new()))
    );
    let mallory = lab.script("10.0.0.66:5060");
    let text = Request {
        method: "INVITE",
        uri: &format!("sip:*1@{SERVER}"),
        from: (&format!("sip:alice@{SERVER}"), "f"),
        to: (&format!("sip:*1@{SERVER}"), ""),
        call_id: "mallory",
        cseq: 1,
    };
    let text = text.write(mallory, &["Contact: <sip:alice@10.0.0.66>"], "");
    lab.say(mallory, text);
    lab.expect(mallory, "SIP/2.0 401");
    assert_ne!(lab.state("alice"), AgentState::Ready);
}

#[test]
fn who_is_no_agent_dials_in_vain() {
    let mut lab = Lab::with_queue(|config, _| config.auth = Auth::None);
    let dave = lab.registered("dave");
    code(&mut lab, dave, "*0");
    assert_eq!(lab.ended(dave).0, Some(403));
}

#[test]
fn who_is_no_agent_dials_in_vain_where_everybody_proves_who_it_is() {
    let mut lab = Lab::with_queue(|config, _| config.auth = Auth::Everything);
    let dave = lab.registered("dave");
    code(&mut lab, dave, "*0");
    assert_eq!(lab.ended(dave).0, Some(403));
    assert_eq!(lab.machine.counters().replays, 0);
}

#[test]
fn codes_are_configured() {
    let mut lab = Lab::with_queue(|config, _| {
        config.auth = Auth::None;
        config.feature_codes.ready = None;
        config.feature_codes.not_ready = Some("*45".to_owned());
    });
    let alice = lab.registered("alice");
    code(&mut lab, alice, "*0");
    assert_eq!(lab.ended(alice).0, Some(404));
    code(&mut lab, alice, "*45");
    assert_eq!(
        lab.state("alice"),
        AgentState::NotReady(NotReadyReason::Manual(String::new()))
    );
    code(&mut lab, alice, "*1");
    assert_eq!(lab.ended(alice).0, Some(404));
}

#[test]
fn callers_of_a_queue_are_never_challenged() {
    let mut lab = Lab::with_queue(|config, _| config.auth = Auth::Everything);
    lab.registered("alice");
    let customer = lab.script("10.0.0.66:5060");
    let call = |uri: &str, method: &'static str, id: &str| {
        Request {
            method,
            uri,
            from: ("sip:anybody@elsewhere.example", "f"),
            to: (uri, ""),
            call_id: id,
            cseq: 1,
        }
        .write(customer, &["Contact: <sip:anybody@10.0.0.66>"], "")
    };
    let (support, alice) = (format!("sip:support@{SERVER}"), format!("sip:alice@{SERVER}"));
    lab.say(customer, call(&support, "OPTIONS", "1"));
    lab.expect(customer, "SIP/2.0 200");
    lab.say(customer, call(&support, "INVITE", "2"));
    let answer = lab.expect(customer, "SIP/2.0 2");
    assert_eq!(answer.header("CSeq"), Some("1 INVITE"));
    lab.say(customer, call(&alice, "INVITE", "3"));
    loop {
        let heard = lab.expect(customer, "SIP/2.0");
        if heard.header("Call-ID") == Some("3") && heard.status() != 100 {
            assert_eq!(heard.status(), 401);
            break;
        }
    }
}

#[test]
fn who_calls_a_queue_in_the_name_of_an_agent_does_not_keep_it_from_calls() {
    for auth in [Auth::None, Auth::Registrations, Auth::Everything] {
        let mut lab = Lab::with_queue(|config, _| config.auth = auth);
        let mallory = lab.script("10.0.0.66:5060");
        let uri = format!("sip:support@{SERVER}");
        let text = Request {
            method: "INVITE",
            uri: &uri,
            from: (&format!("sip:alice@{SERVER}"), "f"),
            to: (&uri, ""),
            call_id: "mallory",
            cseq: 1,
        };
        let text = text.write(mallory, &["Contact: <sip:alice@10.0.0.66>"], "");
        lab.say(mallory, text);
        lab.expect(mallory, "SIP/2.0 2");
        let alice = lab.registered("alice");
        lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
        assert_eq!(lab.agent("alice").other_calls, 0);
    }
}
