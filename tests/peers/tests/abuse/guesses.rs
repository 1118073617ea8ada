//! SIPVicious looks for names and passwords.

use std::time::Duration;

use callwright_peers::{CallCenter, CallCenterOptions, require, svcrack, svwar};

use super::phone::Phone;

/// Whoever is heard is answered sooner.
const PATIENCE: Duration = Duration::from_millis(1_500);
const SOURCE: [u8; 4] = [127, 0, 0, 1];
const OTHER: [u8; 4] = [127, 0, 0, 2];
const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn server(auth: &str) -> CallCenter {
    let more = format!("{}[[queue]]\nname = \"support\"\n", CallCenter::OPEN_API);
    CallCenter::start_with(&CallCenterOptions {
        auth: Some(auth),
        more: &more,
        ..CallCenterOptions::default()
    })
}

/// The users, among names that nobody has.
fn names() -> Vec<String> {
    let nobody = (100..400).map(|number| number.to_string());
    nobody.chain(USERS.map(str::to_owned)).collect()
}

#[track_caller]
fn assert_banned(server: &CallCenter) {
    let sources = server.get("/api/v1/sources");
    let banned = sources.contains("\"banned_until\":\"") && sources.contains("127.0.0.1");
    assert!(banned, "{sources}");
    let unheard = server.metric("banned_total");
    assert!(unheard > 0, "{sources}");
    println!("{unheard} requests unheard; {sources}");
    let other = Phone::at(OTHER, server.address());
    let answer = other.asks("OPTIONS", "support", "");
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[test]
fn who_looks_for_names_where_only_registrations_need_a_password_is_banned() {
    require!(Sipvicious);
    look_for_names("registrations");
}

#[test]
fn who_looks_for_names_where_everything_needs_a_password_is_banned() {
    require!(Sipvicious);
    look_for_names("everything");
}

fn look_for_names(auth: &str) {
    let server = server(auth);
    let names = names();
    std::thread::scope(|scope| {
        for method in ["REGISTER", "OPTIONS", "INVITE"] {
            let (names, at) = (&names, server.address());
            scope.spawn(move || {
                let said = svwar(at, method, names);
                for user in USERS {
                    assert!(!said.contains(user), "{auth}, {method}: {said}");
                }
            });
        }
    });
    // It gives up at the first answer, which is the same for all; another goes on.
    let stubborn = Phone::at(SOURCE, server.address());
    let heard = names.iter().position(|name| {
        let text = stubborn.text("REGISTER", name, "");
        stubborn.hears(&text, PATIENCE).is_none()
    });
    let heard = heard.expect("it is slowed");
    assert!(heard > 100, "{auth}: answered late after {heard}");
    for name in &names {
        stubborn.send(stubborn.text("REGISTER", name, "").as_bytes());
    }
    let said = svwar(server.address(), "REGISTER", &names);
    assert!(said.contains("timed out"), "{said}");
    assert_banned(&server);
}

#[test]
fn who_tries_passwords_is_slowed_and_banned() {
    require!(Sipvicious);
    let server = server("registrations");
    let mut passwords: Vec<_> = (0..400).map(|number| format!("wrong{number}")).collect();
    passwords.push("alicepw".to_owned());
    let said = svcrack(server.address(), "alice", &passwords);
    assert!(!said.contains("alicepw"), "{said}");
    let wrong = server.metric("wrong_credentials_total");
    assert!(
        (20..40).contains(&wrong),
        "{wrong} passwords were looked at\n{said}"
    );
    let said = svcrack(server.address(), "alice", &passwords);
    assert!(said.contains("no server response"), "{said}");
    assert_banned(&server);
}
