//! Who registers has to prove who it is (RFC 3261 §22, RFC 7616, RFC 8760).

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use callwright_sip::digest::{Algorithm, Secret};
use callwright_wire::Seed;
use support::script::{Received, Request, credentials, credentials_without_count};
use support::{Lab, SERVER, password};

const REGISTRAR: &str = "sip:10.0.0.250";

fn lab() -> (Lab, SocketAddr) {
    let mut lab = Lab::new();
    let phone = lab.script("10.0.0.77:5060");
    (lab, phone)
}

fn register(lab: &mut Lab, at: SocketAddr, user: &str, cseq: u32, authorization: &str) -> Received {
    let aor = format!("sip:{user}@{SERVER}");
    let contact = format!("Contact: <sip:{user}@10.0.0.77>");
    let mut fields = vec![contact.as_str()];
    if !authorization.is_empty() {
        fields.push(authorization);
    }
    let text = Request {
        method: "REGISTER",
        uri: REGISTRAR,
        from: (&aor, "f"),
        to: (&aor, ""),
        call_id: user,
        cseq,
    };
    let text = text.write(at, &fields, "");
    lab.say(at, text);
    lab.expect(at, "SIP/2.0")
}

fn prove(challenged: &Received, algorithm: Algorithm, user: (&str, &str), count: u32) -> String {
    let challenge = challenged.challenge(algorithm.as_str());
    credentials(&challenge, algorithm, user, ("REGISTER", REGISTRAR), count)
}

#[test]
fn a_phone_registers_and_unregisters() {
    let mut lab = Lab::new();
    let bob = lab.registered("bob");
    assert_eq!(lab.machine.bindings(lab.now(), "bob").len(), 1);
    lab.fleet(bob, |fleet, now, id| fleet.unregister(now, id, None))
        .expect("it is registered");
    lab.until(|lab| lab.machine.bindings(lab.now(), "bob").is_empty());
}

#[test]
fn both_algorithms_are_offered_the_stronger_first_and_either_is_taken() {
    let (mut lab, phone) = lab();
    let challenged = register(&mut lab, phone, "bob", 1, "");
    assert_eq!(challenged.status(), 401);
    let offered: Vec<_> = challenged.headers("WWW-Authenticate").collect();
    assert_eq!(offered.len(), 2);
    assert!(
        offered[0].contains("SHA-256") && offered[1].contains("MD5"),
        "{offered:?}"
    );
    for (cseq, algorithm) in [(2, Algorithm::Sha256), (3, Algorithm::Md5)] {
        let proof = prove(&challenged, algorithm, ("bob", "bob"), cseq);
        assert_eq!(register(&mut lab, phone, "bob", cseq, &proof).status(), 200);
    }
}

#[test]
fn an_algorithm_alone_is_offered_where_the_configuration_says_so() {
    let mut lab = Lab::with(|config| config.digest = vec![Algorithm::Md5]);
    let phone = lab.script("10.0.0.77:5060");
    let challenged = register(&mut lab, phone, "bob", 1, "");
    let offered: Vec<_> = challenged.headers("WWW-Authenticate").collect();
    assert!(
        matches!(offered[..], [only] if only.contains("MD5")),
        "{offered:?}"
    );
    let proof = prove(&challenged, Algorithm::Md5, ("bob", "bob"), 2);
    assert_eq!(register(&mut lab, phone, "bob", 2, &proof).status(), 200);
}

#[test]
fn an_unknown_user_cannot_be_told_from_a_wrong_password() {
    let (mut lab, phone) = lab();
    let mut answers = Vec::new();
    for user in ["bob", "mallory"] {
        let challenged = register(&mut lab, phone, user, 1, "");
        let proof = prove(&challenged, Algorithm::Sha256, (user, "guess"), 1);
        let refused = register(&mut lab, phone, user, 2, &proof);
        let nonce = refused.challenge("SHA-256");
        let masked = |text: &str| {
            text.replace(user, "user")
                .replace(nonce.value("nonce").expect("one"), "nonce")
                .split("\r\n")
                .filter(|line| !line.starts_with("To:"))
                .collect::<Vec<_>>()
                .join("\r\n")
        };
        answers.push((challenged.status(), masked(&refused.text)));
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].1.starts_with("SIP/2.0 401"));
    assert!(!answers[0].1.contains("stale"));
    assert_eq!(lab.machine.counters().wrong_credentials, 2);
}

#[test]
fn a_nonce_count_is_taken_once() {
    let (mut lab, phone) = lab();
    let challenged = register(&mut lab, phone, "bob", 1, "");
    let proof = prove(&challenged, Algorithm::Sha256, ("bob", "bob"), 1);
    assert_eq!(register(&mut lab, phone, "bob", 2, &proof).status(), 200);
    let replayed = register(&mut lab, phone, "bob", 3, &proof);
    assert_eq!(replayed.status(), 401);
    assert_eq!(replayed.challenge("SHA-256").value("stale"), Some("true"));
    assert_eq!(lab.machine.counters().replays, 1);
}

#[test]
fn a_nonce_that_is_too_old_is_stale_and_the_next_one_is_taken() {
    let (mut lab, phone) = lab();
    let challenged = register(&mut lab, phone, "bob", 1, "");
    lab.pass(Duration::from_secs(301));
    let proof = prove(&challenged, Algorithm::Sha256, ("bob", "bob"), 1);
    let stale = register(&mut lab, phone, "bob", 2, &proof);
    assert_eq!(stale.challenge("SHA-256").value("stale"), Some("true"));
    let proof = prove(&stale, Algorithm::Sha256, ("bob", "bob"), 1);
    assert_eq!(register(&mut lab, phone, "bob", 3, &proof).status(), 200);
}

#[test]
fn credentials_for_another_realm_or_without_a_count_are_as_none() {
    let (mut lab, phone) = lab();
    let challenged = register(&mut lab, phone, "bob", 1, "");
    let proof = prove(&challenged, Algorithm::Sha256, ("bob", "bob"), 1);
    let elsewhere = proof.replace("realm=\"10.0.0.250\"", "realm=\"elsewhere\"");
    assert_ne!(elsewhere, proof);
    let challenge = challenged.challenge("MD5");
    let uncounted = credentials_without_count(&challenge, ("bob", "bob"), ("REGISTER", REGISTRAR));
    for (cseq, spoilt) in [(2, elsewhere), (3, uncounted)] {
        let refused = register(&mut lab, phone, "bob", cseq, &spoilt);
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.challenge("MD5").value("stale"), None);
    }
    assert_eq!(lab.machine.counters().wrong_credentials, 0);
}

#[test]
fn credentials_for_another_request_are_refused() {
    let (mut lab, phone) = lab();
    let challenged = register(&mut lab, phone, "bob", 1, "");
    let challenge = challenged.challenge("SHA-256");
    let other = ("REGISTER", "sip:10.0.0.250:5070");
    let proof = credentials(&challenge, Algorithm::Sha256, ("bob", "bob"), other, 1);
    assert_eq!(register(&mut lab, phone, "bob", 2, &proof).status(), 400);
}

#[test]
fn nobody_registers_for_somebody_else() {
    let (mut lab, phone) = lab();
    let challenged = register(&mut lab, phone, "bob", 1, "");
    let proof = prove(&challenged, Algorithm::Sha256, ("alice", &password("alice")), 1);
    assert_eq!(register(&mut lab, phone, "bob", 2, &proof).status(), 403);
    assert_eq!(lab.machine.bindings(lab.now(), "bob").len(), 0);
}

#[test]
fn neither_settings_nor_machine_show_hashes_or_seeds() {
    let mut lab = Lab::new();
    let _bob = lab.registered("bob");
    let config = support::config();
    let hashes = config.users.iter().flat_map(|user| &user.secrets);
    let hashes: Vec<_> = hashes
        .filter_map(|secret| match secret {
            Secret::Ha1 { hash, .. } => Some(hash.as_str()),
            Secret::Password(_) => None,
        })
        .collect();
    assert_eq!(hashes.len(), 8, "two for each user");
    let other = callwright_acd::Config {
        nonce_seed: Seed::from_number(3),
        ..config.clone()
    };
    assert_eq!(format!("{config:?}"), format!("{other:?}"));
    for shown in [format!("{config:?}"), format!("{:?}", lab.machine)] {
        assert!(shown.contains("alice"), "{shown}");
        for hash in &hashes {
            assert!(!shown.contains(hash), "{shown}");
        }
    }
}
