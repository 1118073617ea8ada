//! Bindings: how they come, how long they stay, how they go (RFC 3261 §10.3, RFC 3327, RFC 5626).

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use callwright_acd::{Auth, Fact};
use support::script::{Received, Request};
use support::{Lab, SERVER};

/// A laboratory that asks nobody who he is, and a scripted phone.
fn open_lab() -> (Lab, SocketAddr) {
    let mut lab = Lab::with(|config| config.auth = Auth::None);
    let phone = lab.script("10.0.0.77:5060");
    (lab, phone)
}

fn register(lab: &mut Lab, at: SocketAddr, user: &str, call: (&str, u32), fields: &[&str]) -> Received {
    let aor = format!("sip:{user}@{SERVER}");
    let text = Request {
        method: "REGISTER",
        uri: &format!("sip:{SERVER}"),
        from: (&aor, "f1"),
        to: (&aor, ""),
        call_id: call.0,
        cseq: call.1,
    }
    .write(at, fields, "");
    lab.say(at, text);
    lab.expect(at, "SIP/2.0")
}

fn contacts(answer: &Received) -> Vec<&str> {
    answer.headers("Contact").collect()
}

#[test]
fn several_contacts_of_a_user_live_side_by_side_and_the_answer_lists_them() {
    let (mut lab, phone) = open_lab();
    let first = register(
        &mut lab,
        phone,
        "bob",
        ("a", 1),
        &["Contact: <sip:bob@10.0.0.77>;expires=600"],
    );
    assert_eq!(contacts(&first), ["<sip:bob@10.0.0.77>;expires=600"]);
    lab.pass(Duration::from_secs(100));
    let fields = [
        "Contact: <sip:bob@10.0.0.78>;q=0.5, <sip:bob@10.0.0.79>",
        "Expires: 900",
    ];
    let second = register(&mut lab, phone, "bob", ("b", 1), &fields);
    assert_eq!(second.status(), 200);
    assert_eq!(
        contacts(&second),
        [
            "<sip:bob@10.0.0.79>;expires=900",
            "<sip:bob@10.0.0.77>;expires=500",
            "<sip:bob@10.0.0.78>;expires=900;q=0.500",
        ]
    );
}

#[test]
fn a_register_without_contact_asks_and_changes_nothing() {
    let (mut lab, phone) = open_lab();
    register(
        &mut lab,
        phone,
        "bob",
        ("a", 1),
        &["Contact: <sip:bob@10.0.0.77>"],
    );
    let facts = lab.facts.len();
    let answer = register(&mut lab, phone, "bob", ("b", 1), &[]);
    assert_eq!(contacts(&answer), ["<sip:bob@10.0.0.77>;expires=3600"]);
    assert_eq!(lab.facts.len(), facts);
}

#[test]
fn the_same_contact_is_renewed_whatever_the_spelling() {
    let (mut lab, phone) = open_lab();
    register(
        &mut lab,
        phone,
        "bob",
        ("a", 1),
        &["Contact: <sip:bob@PHONE.example.com;transport=udp>"],
    );
    let again = [
        "Contact: <sip:bob@phone.example.com;transport=UDP>",
        "Expires: 90",
    ];
    let answer = register(&mut lab, phone, "bob", ("a", 2), &again);
    assert_eq!(contacts(&answer).len(), 1);
    assert!(contacts(&answer)[0].ends_with(";expires=90"));
}

#[test]
fn a_binding_runs_out_to_the_second_and_the_store_hears_of_it() {
    let (mut lab, phone) = open_lab();
    register(
        &mut lab,
        phone,
        "bob",
        ("a", 1),
        &["Contact: <sip:bob@10.0.0.77>;expires=60"],
    );
    let bound = lab.now();
    lab.pass(Duration::from_millis(59_900));
    assert_eq!(lab.machine.bindings(lab.now(), "bob").len(), 1, "since {bound:?}");
    lab.pass(Duration::from_millis(200));
    assert_eq!(lab.machine.bindings(lab.now(), "bob").len(), 0);
    let gone = Fact::Bindings {
        user: "bob".into(),
        bindings: Vec::new(),
    };
    assert_eq!(lab.facts.last(), Some(&gone));
}

#[test]
fn a_binding_is_removed_by_no_time_and_all_by_a_star() {
    let (mut lab, phone) = open_lab();
    let two = ["Contact: <sip:bob@10.0.0.77>, <sip:bob@10.0.0.78>"];
    register(&mut lab, phone, "bob", ("a", 1), &two);
    let one = register(
        &mut lab,
        phone,
        "bob",
        ("a", 2),
        &["Contact: <sip:bob@10.0.0.77>;expires=0"],
    );
    assert_eq!(contacts(&one), ["<sip:bob@10.0.0.78>;expires=3600"]);
    let none = register(&mut lab, phone, "bob", ("a", 3), &["Contact: *", "Expires: 0"]);
    assert_eq!((none.status(), contacts(&none).len()), (200, 0));
}

#[test]
fn a_star_with_anything_else_is_refused() {
    let (mut lab, phone) = open_lab();
    let with_time = register(&mut lab, phone, "bob", ("a", 1), &["Contact: *", "Expires: 60"]);
    assert_eq!(with_time.status(), 400);
    let with_others = ["Contact: *, <sip:bob@10.0.0.77>", "Expires: 0"];
    assert_eq!(
        register(&mut lab, phone, "bob", ("a", 2), &with_others).status(),
        400
    );
}

#[test]
fn a_binding_too_short_is_refused_and_one_too_long_is_shortened() {
    let (mut lab, phone) = open_lab();
    let short = register(
        &mut lab,
        phone,
        "bob",
        ("a", 1),
        &["Contact: <sip:bob@10.0.0.77>;expires=59"],
    );
    assert_eq!((short.status(), short.header("Min-Expires")), (423, Some("60")));
    let long = register(
        &mut lab,
        phone,
        "bob",
        ("a", 2),
        &["Contact: <sip:bob@10.0.0.77>;expires=86400"],
    );
    assert_eq!(contacts(&long), ["<sip:bob@10.0.0.77>;expires=3600"]);
}

#[test]
fn a_register_that_was_overtaken_changes_nothing() {
    let (mut lab, phone) = open_lab();
    register(
        &mut lab,
        phone,
        "bob",
        ("a", 7),
        &["Contact: <sip:bob@10.0.0.77>"],
    );
    let late = register(
        &mut lab,
        phone,
        "bob",
        ("a", 6),
        &["Contact: <sip:bob@10.0.0.77>;expires=0"],
    );
    assert_eq!(late.status(), 500);
    let star = register(&mut lab, phone, "bob", ("a", 5), &["Contact: *", "Expires: 0"]);
    assert_eq!(star.status(), 500);
    assert_eq!(lab.machine.bindings(lab.now(), "bob").len(), 1);
}

#[test]
fn an_unknown_user_and_another_domain_are_not_found() {
    let (mut lab, phone) = open_lab();
    let unknown = register(
        &mut lab,
        phone,
        "nobody",
        ("a", 1),
        &["Contact: <sip:x@10.0.0.77>"],
    );
    assert_eq!(unknown.status(), 404);
    let text = Request {
        method: "REGISTER",
        uri: "sip:example.net",
        from: ("sip:bob@example.net", "f"),
        to: ("sip:bob@example.net", ""),
        call_id: "b",
        cseq: 1,
    };
    let text = text.write(phone, &["Contact: <sip:bob@10.0.0.77>"], "");
    lab.say(phone, text);
    assert_eq!(lab.expect(phone, "SIP/2.0").status(), 404);
}

#[test]
fn more_bindings_than_allowed_are_refused_and_counted() {
    let mut lab = Lab::with(|config| {
        config.auth = Auth::None;
        config.limits.bindings_per_user = 2;
    });
    let phone = lab.script("10.0.0.77:5060");
    let two = ["Contact: <sip:bob@10.0.0.77>, <sip:bob@10.0.0.78>"];
    register(&mut lab, phone, "bob", ("a", 1), &two);
    let third = register(
        &mut lab,
        phone,
        "bob",
        ("b", 1),
        &["Contact: <sip:bob@10.0.0.79>"],
    );
    assert_eq!((third.status(), third.header("Retry-After")), (503, Some("5")));
    assert_eq!(lab.machine.counters().over_limit, 1);
}

#[test]
fn the_path_is_kept_and_told_and_may_be_required() {
    let (mut lab, phone) = open_lab();
    let fields = [
        "Contact: <sip:bob@192.168.1.2>",
        "Path: <sip:10.0.0.88;lr>, <sip:10.0.0.89;lr>",
        "Supported: path",
        "Require: path",
    ];
    let answer = register(&mut lab, phone, "bob", ("a", 1), &fields);
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.header("Path"),
        Some("<sip:10.0.0.88;lr>, <sip:10.0.0.89;lr>")
    );
    let path: Vec<_> = lab.machine.bindings(lab.now(), "bob")[0]
        .path
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(path, ["sip:10.0.0.88;lr", "sip:10.0.0.89;lr"]);
}

#[test]
fn a_device_that_comes_back_at_another_address_takes_its_own_place() {
    let (mut lab, phone) = open_lab();
    let device = |host: &str| {
        format!(
            "Contact: <sip:bob@{host}>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1"
        )
    };
    let first = ["Supported: path, outbound", &device("10.0.0.77")];
    assert_eq!(
        register(&mut lab, phone, "bob", ("a", 1), &first).header("Require"),
        Some("outbound")
    );
    let moved = ["Supported: path, outbound", &device("10.0.0.99")];
    let answer = register(&mut lab, phone, "bob", ("b", 1), &moved);
    assert_eq!(contacts(&answer).len(), 1);
    assert!(contacts(&answer)[0].starts_with("<sip:bob@10.0.0.99>"));
}

#[test]
fn bindings_that_were_stored_are_there_after_a_restart() {
    let (mut lab, phone) = open_lab();
    register(
        &mut lab,
        phone,
        "bob",
        ("a", 1),
        &["Contact: <sip:bob@10.0.0.77>;expires=60"],
    );
    let Some(Fact::Bindings { user, bindings }) = lab.facts.pop() else {
        panic!("the last fact is about bindings");
    };
    let now = lab.now();
    let (mut again, _) = open_lab();
    again.pass(now.since(callwright_wire::Time::ZERO));
    again.machine.restore(now, &user, bindings);
    assert_eq!(again.machine.bindings(now, "bob").len(), 1);
    again.pass(Duration::from_secs(60));
    assert_eq!(again.machine.bindings(again.now(), "bob").len(), 0);
}
