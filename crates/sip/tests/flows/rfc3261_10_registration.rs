//! RFC 3261 §10, RFC 3665 §2.1 and §2.5, RFC 3327, RFC 3608: registration against a scripted registrar.

use std::time::Duration;

use callwright_sip::Event;
use callwright_sip::command::{Registration, RegistrationRetry};
use callwright_sip::endpoint::RegistrationId;
use callwright_sip::event::RegistrationState;
use callwright_sip_message::{Builder, HeaderName, Message};
use callwright_wire::{Input, Transport};

use crate::parties::uri;
use crate::script::{Script, header};

const CHALLENGE: &str =
    "WWW-Authenticate: Digest realm=\"example\", nonce=\"n1\", qop=\"auth\", algorithm=MD5";

fn register(script: &mut Script, registration: Registration) -> (RegistrationId, Message) {
    let id = script.act(|node, now| node.register(now, registration, None).expect("registers"));
    (id, script.expect("REGISTER "))
}

/// A registration with nothing special.
fn register_plainly(script: &mut Script) -> (RegistrationId, Message) {
    let plain = Registration::new(script.identity);
    register(script, plain)
}

fn state(script: &mut Script) -> RegistrationState {
    script.told(|event| match event {
        Event::Registration { state, .. } => Some(state.clone()),
        _ => None,
    })
}

/// A 200 that lists our contact for this long, and another's.
fn accept(script: &mut Script, register: &Message, seconds: u32) {
    let contact = header(register, "Contact");
    let more =
        format!("Contact: {contact};expires={seconds}\r\nContact: <sip:alice@10.9.9.9>;expires=1800\r\n");
    script.respond(register, 200, "registrar", &more, None);
}

#[test]
fn a_registration_is_challenged_and_then_in_force() {
    // RFC 3665 §2.1.
    let mut script = Script::new();
    let (id, first) = register_plainly(&mut script);
    assert_eq!(first.request_uri().expect("URI").to_string(), "sip:10.0.0.2");
    assert_eq!(header(&first, "To"), "<sip:alice@10.0.0.2>");
    assert_eq!(header(&first, "Expires"), "3600");
    assert!(!first.has_header("Authorization"));
    script.respond(&first, 401, "registrar", CHALLENGE, None);
    let second = script.expect("REGISTER ");
    assert_eq!(
        second.call_id().expect("Call-ID"),
        first.call_id().expect("Call-ID")
    );
    assert_eq!(
        second.cseq().expect("CSeq").number,
        first.cseq().expect("CSeq").number + 1
    );
    assert!(header(&second, "Authorization").contains("nonce=\"n1\""));
    accept(&mut script, &second, 3600);
    let RegistrationState::Registered {
        status: 200,
        expires,
        bindings,
        ..
    } = state(&mut script)
    else {
        panic!("not registered")
    };
    assert_eq!(expires, Duration::from_secs(3600));
    assert_eq!(
        bindings.iter().map(|binding| binding.own).collect::<Vec<_>>(),
        [true, false]
    );

    // Gone again; RFC 3665 §2.4 removes all contacts, this one alone is removed here.
    script.act(|node, now| node.unregister(now, id, None).expect("unregisters"));
    let last = script.expect("REGISTER ");
    assert_eq!(header(&last, "Expires"), "0");
    assert!(header(&last, "Authorization").contains("nc=00000002"));
    script.respond(&last, 200, "registrar", "", None);
    assert!(matches!(
        state(&mut script),
        RegistrationState::Unregistered {
            status: Some(200),
            ..
        }
    ));
    script.assert_clean();
}

#[test]
fn a_wrong_password_is_refused_once() {
    // RFC 3665 §2.5.
    let mut script = Script::new();
    let (id, first) = register_plainly(&mut script);
    script.respond(&first, 401, "registrar", CHALLENGE, None);
    let second = script.expect("REGISTER ");
    script.respond(&second, 401, "registrar", &CHALLENGE.replace("n1", "n2"), None);
    script.peer.expect_silence(60_000);
    script.told(|event| matches!(event, Event::ChallengeUnmet { .. }).then_some(()));
    let RegistrationState::Failed {
        status: Some(401),
        registered: false,
        retry: None,
        ..
    } = state(&mut script)
    else {
        panic!("not refused")
    };
    script.act(|node, now| node.unregister(now, id, None).expect("unregisters"));
    let last = script.expect("REGISTER ");
    script.respond(&last, 200, "registrar", "", None);
    script.assert_clean();
}

#[test]
fn a_binding_is_refreshed_in_time() {
    // 90 % of 3,600 s; 30 s before the end of 100 s; half of 40 s.
    for (granted, refresh) in [(3_600, 3_240_000), (100, 70_000), (40, 20_000)] {
        let mut script = Script::new();
        let (_, first) = register_plainly(&mut script);
        accept(&mut script, &first, granted);
        script.peer.expect_silence(refresh - 1);
        script.peer.wait(1);
        let again = script.expect("REGISTER ");
        assert_eq!(
            again.cseq().expect("CSeq").number,
            first.cseq().expect("CSeq").number + 1
        );
    }
}

#[test]
fn a_binding_that_is_not_to_be_refreshed_runs_out() {
    let mut script = Script::new();
    let once = Registration {
        refresh: false,
        ..Registration::new(script.identity)
    };
    let (_, first) = register(&mut script, once);
    accept(&mut script, &first, 60);
    assert!(matches!(state(&mut script), RegistrationState::Registered { .. }));
    script.peer.expect_silence(59_999);
    script.peer.wait(1);
    assert_eq!(state(&mut script), RegistrationState::Expired);
}

#[test]
fn a_423_is_met_with_what_the_registrar_wants() {
    // RFC 3261 §10.2.8.
    let mut script = Script::new();
    let wanted = Registration {
        expires: Duration::from_secs(60),
        ..Registration::new(script.identity)
    };
    let (_, first) = register(&mut script, wanted);
    script.respond(&first, 423, "registrar", "Min-Expires: 300", None);
    let second = script.expect("REGISTER ");
    assert_eq!(header(&second, "Expires"), "300");
    accept(&mut script, &second, 300);
    assert!(matches!(state(&mut script), RegistrationState::Registered { .. }));
}

#[test]
fn a_423_that_asks_for_ever_more_ends() {
    let mut script = Script::new();
    let (_, mut last) = register_plainly(&mut script);
    for more in [4_000, 5_000, 6_000] {
        script.respond(&last, 423, "registrar", &format!("Min-Expires: {more}"), None);
        last = script.expect("REGISTER ");
    }
    script.respond(&last, 423, "registrar", "Min-Expires: 7000", None);
    assert!(matches!(
        state(&mut script),
        RegistrationState::Failed {
            status: Some(423),
            ..
        }
    ));
    script.peer.expect_nothing();
}

#[test]
fn a_service_route_leads_the_next_call() {
    // RFC 3608 §6.1, RFC 3327 §5.1.
    let mut script = Script::new();
    let (_, first) = register_plainly(&mut script);
    assert_eq!(header(&first, "Supported"), "path");
    let contact = header(&first, "Contact");
    let more = format!(
        "Contact: {contact};expires=600\r\nService-Route: <sip:10.0.0.2;lr>, <sip:home.example;lr>\r\n"
    );
    script.respond(&first, 200, "registrar", &more, None);
    let RegistrationState::Registered { service_route, .. } = state(&mut script) else {
        panic!("not registered")
    };
    assert_eq!(service_route.len(), 2);
    let (_, invite) = script.call();
    let routes: Vec<_> = invite
        .routes()
        .map(|route| route.expect("Route").uri.to_string())
        .collect();
    assert_eq!(routes, ["sip:10.0.0.2;lr", "sip:home.example;lr"]);
}

#[test]
fn an_outbound_proxy_is_the_first_hop() {
    let mut script = Script::new();
    let mut identity = script.peer.node.identity(script.identity).expect("alice").clone();
    identity.aor = crate::parties::uri("sip:alice@home.example");
    identity.routes = vec![crate::parties::uri("sip:10.0.0.2;lr")];
    script
        .peer
        .node
        .change_identity(script.identity, identity)
        .expect("changes");
    let (_, first) = register_plainly(&mut script);
    assert_eq!(first.request_uri().expect("URI").to_string(), "sip:home.example");
    assert_eq!(header(&first, "Route"), "<sip:10.0.0.2;lr>");
}

#[test]
fn a_registrar_that_is_down_ends_in_timer_f_and_is_tried_again() {
    let mut script = Script::new();
    let wanted = Registration {
        retry: RegistrationRetry::Backoff,
        ..Registration::new(script.identity)
    };
    let (_, _) = register(&mut script, wanted);
    script.peer.wait(32_000);
    script.peer.sent.clear();
    let RegistrationState::Failed {
        status: None,
        reason,
        retry: Some(retry),
        ..
    } = state(&mut script)
    else {
        panic!("not failed")
    };
    assert_eq!(
        (reason.as_str(), retry),
        ("no response (Timer F)", Duration::from_secs(30))
    );
    script.peer.expect_silence(29_999);
    script.peer.wait(1);
    script.expect("REGISTER ");
    script.peer.wait(32_000);
    script.peer.sent.clear();
    let RegistrationState::Failed {
        retry: Some(retry), ..
    } = state(&mut script)
    else {
        panic!("not failed")
    };
    assert_eq!(retry, Duration::from_secs(60));
}

#[test]
fn retry_after_goes_before_the_own_rule() {
    let mut script = Script::new();
    let wanted = Registration {
        retry: RegistrationRetry::Backoff,
        ..Registration::new(script.identity)
    };
    let (_, first) = register(&mut script, wanted);
    script.respond(&first, 503, "registrar", "Retry-After: 7", None);
    let RegistrationState::Failed {
        status: Some(503),
        retry,
        ..
    } = state(&mut script)
    else {
        panic!("not failed")
    };
    assert_eq!(retry, Some(Duration::from_secs(7)));
}

#[test]
fn a_binding_that_cannot_be_refreshed_expires() {
    let mut script = Script::new();
    let (_, first) = register_plainly(&mut script);
    accept(&mut script, &first, 60);
    state(&mut script);
    script.peer.wait(30_000);
    let refresh = script.expect("REGISTER ");
    script.respond(&refresh, 500, "registrar", "", None);
    let RegistrationState::Failed { registered: true, .. } = state(&mut script) else {
        panic!("not failed")
    };
    script.peer.wait(29_999);
    assert!(!script.is_told(|event| matches!(event, Event::Registration { .. })));
    script.peer.wait(1);
    assert_eq!(state(&mut script), RegistrationState::Expired);
}

#[test]
fn unregistering_while_a_register_is_under_way_waits_for_it() {
    // RFC 3261 §10.2: no new registration before the final response to the last one.
    let mut script = Script::new();
    let (id, first) = register_plainly(&mut script);
    script.act(|node, now| node.unregister(now, id, None).expect("unregisters"));
    script.peer.expect_nothing();
    accept(&mut script, &first, 3600);
    let last = script.expect("REGISTER ");
    assert_eq!(header(&last, "Expires"), "0");
    script.respond(&last, 200, "registrar", "", None);
    script.assert_clean();
}

#[test]
fn the_contact_that_is_ours_goes_before_one_that_looks_like_it() {
    // Another binding of the same user, host and port: over another transport.
    let mut script = Script::new();
    let (_, register) = register_plainly(&mut script);
    let contact = header(&register, "Contact");
    let other = contact.replace('>', ";transport=tcp>");
    let more = format!("Contact: {other};expires=60\r\nContact: {contact};expires=600\r\n");
    script.respond(&register, 200, "registrar", &more, None);
    let RegistrationState::Registered {
        expires, bindings, ..
    } = state(&mut script)
    else {
        panic!("not registered")
    };
    assert_eq!(expires, Duration::from_secs(600));
    assert_eq!(
        bindings.iter().map(|binding| binding.own).collect::<Vec<_>>(),
        [false, true]
    );

    // A registrar that drops parameters, or adds some, means ours all the same.
    let (_, register) = register_plainly(&mut script);
    let more = format!("Contact: {other};expires=60\r\n");
    script.respond(&register, 200, "registrar", &more, None);
    let RegistrationState::Registered { expires, .. } = state(&mut script) else {
        panic!("not registered")
    };
    assert_eq!(expires, Duration::from_secs(60));
}

#[test]
fn a_registrar_that_hangs_up_after_each_200_is_asked_less_and_less_often() {
    // RFC 5626 §4.5.
    let mut script = Script::new();
    let local = script.peer.local;
    script.act(|node, now| node.listen(now, Transport::Tcp, local));
    let over_tcp = Registration {
        registrar: Some(uri("sip:10.0.0.2;transport=tcp")),
        retry: RegistrationRetry::Backoff,
        ..Registration::new(script.identity)
    };
    script.act(|node, now| node.register(now, over_tcp, None).expect("registers"));
    let registered = |script: &mut Script| {
        let connection = script.peer.accept();
        let register = script.expect("REGISTER ");
        let ok = Builder::response_to(&register, 200, "OK").to_tag("registrar");
        let ok = ok.header(HeaderName::Expires, 3600).finish();
        script.peer.write(connection, ok.raw().clone());
        connection
    };
    let closed = |script: &mut Script, connection| {
        script.peer.input(Input::Closed {
            connection,
            error: None,
        });
    };
    // The first time at once, as it may have been the registrar's restart.
    let connection = registered(&mut script);
    closed(&mut script, connection);
    for wait in [30_000, 60_000, 120_000] {
        let connection = registered(&mut script);
        script.peer.events.clear();
        closed(&mut script, connection);
        let retry = script.told(|event| match event {
            Event::Registration {
                state: RegistrationState::Failed { retry, .. },
                ..
            } => *retry,
            _ => None,
        });
        assert_eq!(retry, Duration::from_millis(wait));
        script.peer.wait(wait - 1);
        assert!(script.peer.connects.is_empty());
        script.peer.wait(1);
    }
    // One that stays up for two minutes is trusted again.
    let connection = registered(&mut script);
    script.peer.wait(120_000);
    closed(&mut script, connection);
    registered(&mut script);
}
