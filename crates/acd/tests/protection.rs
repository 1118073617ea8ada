//! Floods, guesses and bans: one source does not keep others from being served, and learns nothing by trying.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use callwright_acd::{Auth, Ban, Event, Rate};
use callwright_sip::digest::Algorithm;
use callwright_ua::Phase;
use callwright_wire::Node as _;
use support::script::{Received, Request, credentials, sdp};
use support::{Lab, SERVER};

/// A stranger at 10.0.0.66.
fn stranger(lab: &mut Lab) -> SocketAddr {
    lab.script("10.0.0.66:5060")
}

fn text(at: SocketAddr, method: &str, user: &str, id: &str, cseq: u32, fields: &[&str]) -> String {
    let aor = format!("sip:{user}@{SERVER}");
    let domain = format!("sip:{SERVER}");
    let request = Request {
        method,
        uri: if method == "REGISTER" { &domain } else { &aor },
        from: (
            if method == "REGISTER" {
                &aor
            } else {
                "sip:x@y.example"
            },
            "f",
        ),
        to: (&aor, ""),
        call_id: id,
        cseq,
    };
    let contact = format!("Contact: <sip:{user}@10.0.0.66>");
    let mut all = vec![contact.as_str()];
    all.extend(fields);
    let body = if method == "INVITE" {
        sdp(1, "10.0.0.66", 6_000, "")
    } else {
        String::new()
    };
    request.write(at, &all, &body)
}

/// A REGISTER with a wrong password: the first answer challenges, the second is to the credentials.
fn wrong_password(lab: &mut Lab, at: SocketAddr, user: &str, id: &str) -> Option<Received> {
    lab.say(at, text(at, "REGISTER", user, id, 1, &[]));
    lab.pass(Duration::from_millis(3));
    let challenge = lab.heard(at)?.challenge("MD5");
    let uri = format!("sip:{SERVER}");
    let line = credentials(&challenge, Algorithm::Md5, (user, "wrong"), ("REGISTER", &uri), 1);
    lab.say(at, text(at, "REGISTER", user, id, 2, &[&line]));
    lab.pass(Duration::from_millis(3));
    lab.heard(at)
}

/// A ban in short.
fn said(event: &Event) -> String {
    match event {
        Event::Banned(Ban {
            source,
            because,
            until,
        }) => format!("{source} {because:?} until {until}"),
        Event::BanOver { source } => format!("{source} over"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_source_that_guesses_again_is_banned_again_and_both_are_told() {
    let mut lab = Lab::with(|config| {
        config.protection.ban_after = 2;
        config.protection.ban = Duration::from_secs(30);
    });
    let at = stranger(&mut lab);
    for round in 1..=2 {
        for guess in 1..=2 {
            wrong_password(&mut lab, at, "alice", &format!("g{round}{guess}"));
        }
        assert_eq!(lab.bans.len(), 2 * round - 1);
        lab.pass(Duration::from_secs(31));
        while lab.heard(at).is_some() {}
        assert_eq!(lab.bans.len(), 2 * round);
    }
    lab.pass(Duration::from_secs(64));
    assert_eq!(lab.machine.residue().timers, 0);
}

#[test]
fn wrong_passwords_are_answered_late_and_then_not_at_all() {
    let mut lab = Lab::new();
    let at = stranger(&mut lab);
    for guess in 1..=5 {
        let answer = wrong_password(&mut lab, at, "alice", &format!("g{guess}"));
        assert_eq!(answer.map(|answer| answer.status()), Some(401), "{guess}");
    }
    for guess in 6..=19 {
        assert!(
            wrong_password(&mut lab, at, "alice", &format!("g{guess}")).is_none(),
            "{guess}"
        );
        lab.pass(Duration::from_millis(2_000));
        assert_eq!(
            lab.heard(at).map(|answer| answer.status()),
            Some(401),
            "it comes late"
        );
    }
    let source = lab.machine.sources()[0];
    assert_eq!(
        (source.address, source.guesses, source.banned_until),
        (at.ip(), 19, None)
    );
    wrong_password(&mut lab, at, "alice", "g20");
    let until = lab.machine.sources()[0].banned_until.expect("it is banned");
    lab.pass(Duration::from_secs(3));
    while lab.heard(at).is_some() {}
    for method in ["REGISTER", "INVITE", "OPTIONS"] {
        lab.say(at, text(at, method, "alice", &format!("banned{method}"), 1, &[]));
    }
    lab.pass(Duration::from_secs(1));
    assert!(lab.heard(at).is_none(), "it is not heard");
    assert_eq!(lab.machine.counters().banned, 3);
    let told = |lab: &Lab| {
        lab.bans
            .iter()
            .map(|(at, event)| (*at, said(event)))
            .collect::<Vec<_>>()
    };
    let began = (
        until - Duration::from_secs(300),
        format!("10.0.0.66 Guessed until {until}"),
    );
    assert_eq!(
        told(&lab),
        std::slice::from_ref(&began),
        "once, whatever is sent meanwhile"
    );
    // Others are, under the name that was tried.
    lab.registered("alice");
    lab.pass(until.since(lab.now()));
    lab.say(at, text(at, "OPTIONS", "bob", "again", 1, &[]));
    assert_eq!(lab.expect(at, "SIP/2.0").status(), 480);
    assert_eq!(told(&lab), [began, (until, "10.0.0.66 over".to_owned())]);
}

#[test]
fn who_is_not_there_is_answered_as_late_as_who_does_not_exist() {
    for user in ["alice", "nobody"] {
        for method in ["OPTIONS", "INVITE", "MESSAGE"] {
            let mut lab = Lab::new();
            let at = stranger(&mut lab);
            for guess in 1..=6 {
                let id = format!("{method}{guess}");
                lab.say(at, text(at, method, user, &id, 1, &[]));
                lab.pass(Duration::from_millis(10));
                let mut answers = std::iter::from_fn(|| lab.heard(at));
                let answered = answers.any(|answer| answer.status() == 480);
                assert_eq!(answered, guess <= 5, "{method} {user} {guess}");
            }
        }
    }
}

#[test]
fn who_asks_for_names_without_a_password_is_banned() {
    let mut lab = Lab::new();
    let at = stranger(&mut lab);
    for name in 0..220 {
        lab.say(
            at,
            text(at, "REGISTER", &format!("{name}"), &format!("r{name}"), 1, &[]),
        );
        lab.pass(Duration::from_millis(2));
    }
    let source = lab.machine.sources()[0];
    assert!(source.banned_until.is_some(), "{source:?}");
    let because = lab.bans.iter().map(|(_, event)| said(event));
    let until = source.banned_until.expect("it is banned");
    assert_eq!(
        because.collect::<Vec<_>>(),
        [format!("10.0.0.66 NoPassword until {until}")]
    );
}

#[test]
fn a_ban_is_lifted_by_hand() {
    let mut lab = Lab::with(|config| config.protection.ban_after = 1);
    let at = stranger(&mut lab);
    wrong_password(&mut lab, at, "alice", "g");
    lab.pass(Duration::from_secs(3));
    while lab.heard(at).is_some() {}
    let now = lab.now();
    assert!(lab.machine.pardon(now, at.ip()));
    assert!(!lab.machine.pardon(now, at.ip()));
    lab.drain_machine();
    lab.pass(Duration::from_secs(600));
    let told: Vec<_> = lab.bans.iter().map(|(_, event)| said(event)).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((told[1].as_str(), lab.bans[1].0), ("10.0.0.66 over", now));
    lab.say(at, text(at, "OPTIONS", "bob", "again", 1, &[]));
    assert_eq!(lab.expect(at, "SIP/2.0").status(), 480);
}

#[test]
fn nothing_tells_a_user_from_nobody() {
    let mut lab = Lab::with(|config| config.protection.slow_after = 100);
    let at = stranger(&mut lab);
    let mut answers = Vec::new();
    for user in ["alice", "nobody"] {
        for method in ["REGISTER", "INVITE", "OPTIONS", "MESSAGE"] {
            let id = format!("{user}{method}");
            lab.say(at, text(at, method, user, &id, 1, &[]));
            let mut answer = lab.expect(at, "SIP/2.0");
            while answer.status() == 100 {
                answer = lab.expect(at, "SIP/2.0");
            }
            let names: Vec<_> = answer
                .text
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, _)| name.to_owned())
                .collect();
            answers.push((method, answer.status(), names));
            if method == "INVITE" {
                let ack = Request {
                    method: "ACK",
                    uri: &format!("sip:{user}@{SERVER}"),
                    from: ("sip:x@y.example", "f"),
                    to: (&format!("sip:{user}@{SERVER}"), answer.to_tag()),
                    call_id: &id,
                    cseq: 1,
                };
                let text = ack.write(at, &[], "").replace("1ACK", "1INVITE");
                lab.say(at, text);
            }
        }
        let answer = wrong_password(&mut lab, at, user, &format!("{user}wrong")).expect("an answer");
        answers.push(("password", answer.status(), Vec::new()));
    }
    assert_eq!(answers[..5], answers[5..]);
}

#[test]
fn who_tries_addresses_is_banned_like_who_tries_passwords() {
    let mut lab = Lab::with_queue(|_, _| {});
    let at = stranger(&mut lab);
    for extension in 100..130 {
        lab.say(
            at,
            text(
                at,
                "OPTIONS",
                &extension.to_string(),
                &format!("e{extension}"),
                1,
                &[],
            ),
        );
        lab.pass(Duration::from_secs(3));
    }
    assert!(lab.machine.sources()[0].banned_until.is_some());
    // Customers at other addresses are served.
    let customer = lab.customer();
    assert_eq!(lab.phase(customer), Some(Phase::Established));
}

#[test]
fn a_registered_phone_that_misdials_is_not_banned() {
    let mut lab = Lab::new();
    let alice = lab.registered("alice");
    for _ in 0..30 {
        lab.dial(alice, "nobody");
        lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    }
    assert_eq!(lab.machine.sources()[0].guesses, 0);
    assert!(lab.is_registered(alice));
}

#[test]
fn a_flood_of_one_source_leaves_others_served() {
    for method in ["REGISTER", "INVITE"] {
        let mut lab = Lab::with_queue(|config, _| {
            let rate = Rate {
                per_second: 20,
                burst: 50,
            };
            config.protection.invites = Some(rate);
            config.protection.others = Some(rate);
            config.protection.calls = 30;
            config.limits.calls = 60;
            config.auth = Auth::Registrations;
        });
        let alice = lab.registered("alice");
        let at = stranger(&mut lab);
        for number in 0..3_000 {
            lab.say(at, text(at, method, "support", &format!("f{number}"), 1, &[]));
            lab.pass(Duration::from_micros(500));
            while lab.heard(at).is_some() {}
        }
        let limited = lab.machine.counters().rate_limited;
        assert!(limited > 2_800, "{method}: {limited}");
        assert!(lab.machine.load().calls <= 30, "{method}");
        // Whoever else comes is served as ever.
        let bob = lab.registered("bob");
        assert!(lab.is_registered(bob) && lab.is_registered(alice));
        let customer = lab.customer();
        assert_eq!(lab.phase(customer), Some(Phase::Established), "{method}");
    }
}

#[test]
fn a_call_that_is_up_survives_the_ban_of_its_source() {
    let mut lab = Lab::with(|config| config.protection.ban_after = 1);
    let (alice, bob) = (lab.registered("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    let at = lab.script(&format!("{}:5090", alice.address()));
    wrong_password(&mut lab, at, "carol", "g");
    assert!(
        lab.machine
            .sources()
            .iter()
            .any(|source| source.banned_until.is_some())
    );
    lab.fleet(alice, |fleet, now, id| fleet.hold(now, id, None, None))
        .expect("there is a call");
    lab.until(|lab| lab.phase(bob) == Some(Phase::Held));
    lab.hangup(alice);
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ended));
}
