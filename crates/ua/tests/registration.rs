//! A user agent and its registrar (RFC 3261 §10, §22).

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use callwright_ua::{Phase, VerbError};
use support::script::Received;
use support::{Lab, Phone};

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"lab\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"";

fn register(lab: &mut Lab, phone: Phone) {
    lab.fleet(phone, |fleet, now, id| fleet.register(now, id, None))
        .unwrap();
}

fn contact(request: &Received, expires: u32) -> String {
    let contact = request.header("Contact").expect("every REGISTER here has one");
    let uri = contact.split('>').next().unwrap_or_default();
    format!("Contact: {uri}>;expires={expires}")
}

/// The registrar accepts the next REGISTER, and gives it back.
#[track_caller]
fn accept(lab: &mut Lab, registrar: SocketAddr, expires: u32) -> Received {
    let request = lab.expect(registrar, "REGISTER");
    let fields = contact(&request, expires);
    let reply = request.reply("200 OK", "r", &[&fields], "");
    lab.say(registrar, request.from, reply);
    lab.pass(Duration::from_millis(5));
    request
}

#[test]
fn a_challenge_is_met_and_the_binding_told() {
    let mut lab = Lab::new();
    let registrar = lab.domain();
    let a = lab.phone_with("alice", |account| account.password = Some("secret".into()));
    register(&mut lab, a);
    let first = lab.expect(registrar, "REGISTER sip:10.0.0.250 ");
    assert_eq!(first.header("Authorization"), None);
    assert_eq!(first.header("Expires"), Some("3600"));
    lab.say(
        registrar,
        first.from,
        first.reply("401 Unauthorized", "r", &[CHALLENGE], ""),
    );
    let second = accept(&mut lab, registrar, 600);
    let authorization = second.header("Authorization").unwrap();
    assert!(authorization.contains("username=\"alice\""), "{authorization}");
    let registration = lab.user_agent(a).registration();
    assert!(registration.registered);
    assert_eq!(registration.status, Some(200));
    assert_eq!(registration.expires, Some(Duration::from_secs(600)));
}

#[test]
fn a_user_agent_does_not_show_its_password() {
    let mut lab = Lab::new();
    let registrar = lab.domain();
    let a = lab.phone_with("alice", |account| account.password = Some("open-sesame".into()));
    register(&mut lab, a);
    let request = lab.expect(registrar, "REGISTER");
    let challenged = request.reply("401 Unauthorized", "r", &[CHALLENGE], "");
    lab.say(registrar, request.from, challenged);
    lab.expect(registrar, "REGISTER");
    for shown in [
        format!("{:?}", lab.user_agent(a)),
        format!("{:?}", lab.user_agent(a).account()),
    ] {
        assert!(
            shown.contains("alice") && !shown.contains("open-sesame"),
            "{shown}"
        );
    }
}

#[test]
fn a_wrong_password_fails_with_the_status_of_the_registrar() {
    let mut lab = Lab::new();
    let registrar = lab.domain();
    let a = lab.phone_with("alice", |account| account.password = Some("wrong".into()));
    register(&mut lab, a);
    let first = lab.expect(registrar, "REGISTER");
    lab.say(
        registrar,
        first.from,
        first.reply("401 Unauthorized", "r", &[CHALLENGE], ""),
    );
    let second = lab.expect(registrar, "REGISTER");
    lab.say(
        registrar,
        second.from,
        second.reply("403 Forbidden", "r", &[], ""),
    );
    lab.until(|lab| lab.user_agent(a).registration().status.is_some());
    let registration = lab.user_agent(a).registration();
    assert!(!registration.registered);
    assert_eq!(registration.status, Some(403));
    assert_eq!(registration.reason.as_deref(), Some("403 Forbidden"));
    lab.pass(Duration::from_secs(3600));
    assert!(lab.heard(registrar).is_none(), "it tried again");
}

#[test]
fn a_second_challenge_for_the_same_password_is_not_met_again() {
    let mut lab = Lab::new();
    let registrar = lab.domain();
    let a = lab.phone_with("alice", |account| account.password = Some("wrong".into()));
    register(&mut lab, a);
    for _ in 0..2 {
        let request = lab.expect(registrar, "REGISTER");
        lab.say(
            registrar,
            request.from,
            request.reply("401 Unauthorized", "r", &[CHALLENGE], ""),
        );
    }
    lab.until(|lab| lab.user_agent(a).registration().status == Some(401));
    assert!(!lab.user_agent(a).registration().registered);
    lab.pass(Duration::from_secs(60));
    assert!(lab.heard(registrar).is_none(), "a third REGISTER went out");
}

#[test]
fn a_registrar_that_never_answers_ends_in_timer_f() {
    let mut lab = Lab::new();
    lab.domain();
    let a = lab.phone("alice");
    register(&mut lab, a);
    lab.pass(Duration::from_millis(31_900));
    assert_eq!(lab.user_agent(a).registration().reason, None);
    lab.pass(Duration::from_millis(200));
    let registration = lab.user_agent(a).registration();
    assert_eq!(registration.status, None);
    assert!(!registration.registered);
    let reason = registration.reason.clone().unwrap();
    assert!(reason.contains("Timer F"), "{reason}");
}

#[test]
fn a_binding_is_refreshed_half_a_minute_before_its_end() {
    let mut lab = Lab::new();
    let registrar = lab.domain();
    let a = lab.phone("alice");
    register(&mut lab, a);
    accept(&mut lab, registrar, 100);
    lab.pass(Duration::from_millis(69_900));
    assert!(lab.heard(registrar).is_none());
    lab.pass(Duration::from_millis(200));
    let refresh = accept(&mut lab, registrar, 100);
    assert!(refresh.header("CSeq").unwrap().starts_with("2 "));
    assert!(lab.user_agent(a).registration().registered);
}

#[test]
fn a_binding_with_regint_0_runs_out() {
    let mut lab = Lab::new();
    let registrar = lab.domain();
    let a = lab.phone_with("alice", |account| account.registration_interval = Duration::ZERO);
    register(&mut lab, a);
    accept(&mut lab, registrar, 60);
    lab.pass(Duration::from_millis(59_800));
    assert!(lab.user_agent(a).registration().registered);
    lab.pass(Duration::from_millis(400));
    assert!(!lab.user_agent(a).registration().registered);
    assert!(lab.heard(registrar).is_none(), "it was refreshed");
}

#[test]
fn unregistering_takes_the_binding_back() {
    let mut lab = Lab::new();
    let registrar = lab.domain();
    let a = lab.phone("alice");
    let nothing = lab.fleet(a, |fleet, now, id| fleet.unregister(now, id, None));
    assert!(matches!(nothing, Err(VerbError::NotNow(_))));
    register(&mut lab, a);
    accept(&mut lab, registrar, 600);
    lab.fleet(a, |fleet, now, id| fleet.unregister(now, id, None))
        .unwrap();
    let request = lab.expect(registrar, "REGISTER");
    assert_eq!(request.header("Expires"), Some("0"));
    assert!(
        lab.user_agent(a).registration().registered,
        "not before the answer"
    );
    lab.say(registrar, request.from, request.reply("200 OK", "r", &[], ""));
    lab.until(|lab| !lab.user_agent(a).registration().registered);
    lab.pass(Duration::from_secs(3600));
    assert!(lab.heard(registrar).is_none());
}

#[test]
fn closing_takes_back_a_binding_that_is_being_asked_for() {
    let mut lab = Lab::new();
    let registrar = lab.domain();
    let a = lab.phone("alice");
    register(&mut lab, a);
    lab.fleet(a, |fleet, now, id| fleet.close(now, id, None));
    accept(&mut lab, registrar, 600);
    assert!(!lab.user_agent(a).is_closed());
    let last = accept(&mut lab, registrar, 0);
    assert_eq!(last.header("Expires"), Some("0"));
    assert!(lab.user_agent(a).is_closed());
}

#[test]
fn closing_waits_for_the_registrar_no_longer_than_timer_f() {
    let mut lab = Lab::new();
    let registrar = lab.domain();
    let a = lab.phone("alice");
    register(&mut lab, a);
    accept(&mut lab, registrar, 600);
    lab.fleet(a, |fleet, now, id| fleet.close(now, id, None));
    lab.pass(Duration::from_millis(31_900));
    assert!(!lab.user_agent(a).is_closed());
    lab.pass(Duration::from_millis(1_200));
    assert!(lab.user_agent(a).is_closed());
}

#[test]
fn a_user_agent_that_never_registered_closes_at_once_and_calls_nobody() {
    let mut lab = Lab::new();
    let registrar = lab.domain();
    let a = lab.phone("alice");
    lab.fleet(a, |fleet, now, id| fleet.close(now, id, None));
    assert!(lab.user_agent(a).is_closed());
    assert_eq!(lab.phase(a), None::<Phase>);
    lab.pass(Duration::from_secs(1));
    assert!(lab.heard(registrar).is_none());
}

#[test]
fn a_refused_refresh_is_tried_again_where_the_account_says_so() {
    for retry in [true, false] {
        let mut lab = Lab::new();
        let registrar = lab.domain();
        let a = lab.phone_with("alice", |account| account.registration_retry = retry);
        register(&mut lab, a);
        accept(&mut lab, registrar, 300);
        lab.pass(Duration::from_secs(270));
        let refresh = lab.expect(registrar, "REGISTER");
        let refused = refresh.reply("503 Service Unavailable", "r", &["Retry-After: 10"], "");
        lab.say(registrar, refresh.from, refused);
        lab.pass(Duration::from_millis(5));
        assert!(lab.user_agent(a).registration().registered, "still in force");
        lab.pass(Duration::from_secs(11));
        if retry {
            accept(&mut lab, registrar, 300);
            lab.pass(Duration::from_secs(30));
        } else {
            assert!(lab.heard(registrar).is_none());
            lab.pass(Duration::from_secs(30));
        }
        assert_eq!(lab.user_agent(a).registration().registered, retry);
    }
}
