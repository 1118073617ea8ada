//! Nothing that is shown holds a password, a hash of one, or what nonces are made from.

use std::time::Duration;

use callwright_sip::Endpoint;
use callwright_sip::command::{Account, Identity};
use callwright_sip::digest::{self, Algorithm, Password, Secret, Server, ServerConfig};
use callwright_sip::endpoint::EndpointConfig;
use callwright_wire::{Seed, Time};

const PASSWORD: &str = "open-sesame";

fn hash() -> String {
    match Secret::ha1(Algorithm::Md5, "alice", "r", PASSWORD) {
        Secret::Ha1 { hash, .. } => hash,
        Secret::Password(_) => unreachable!("it is a hash"),
    }
}

#[track_caller]
fn keeps_quiet(shown: &str) {
    assert!(!shown.contains(PASSWORD) && !shown.contains(&hash()), "{shown}");
}

#[test]
fn credentials_are_not_shown() {
    let secrets = [
        Secret::Password(PASSWORD.into()),
        Secret::ha1(Algorithm::Md5, "alice", "r", PASSWORD),
    ];
    keeps_quiet(&format!("{:?} {secrets:?}", Password::from(PASSWORD)));
    let accounts = secrets.map(|secret| digest::Account {
        realm: None,
        username: "alice".to_owned(),
        secret,
    });
    let shown = format!("{:?}", digest::Client::new(accounts.to_vec()));
    assert!(shown.contains("alice"), "{shown}");
    keeps_quiet(&shown);
}

#[test]
fn an_endpoint_with_an_account_does_not_show_its_password() {
    let mut endpoint = Endpoint::new(EndpointConfig::default(), Seed::from_number(1).stream());
    let mut identity = Identity::new("sip:alice@example.com".parse().expect("a literal"));
    identity.accounts = vec![Account {
        realm: None,
        username: "alice".to_owned(),
        password: PASSWORD.into(),
    }];
    let shown = format!("{identity:?}");
    assert!(shown.contains("alice"), "{shown}");
    keeps_quiet(&shown);
    let _ = endpoint.add_identity(identity);
    keeps_quiet(&format!("{endpoint:?}"));
}

#[test]
fn a_server_does_not_show_what_its_nonces_are_made_from() {
    let server = |seed| {
        let config = ServerConfig {
            nonce_lifetime: Duration::from_secs(60),
            ..ServerConfig::new("r")
        };
        let mut entropy = Seed::from_number(seed).stream();
        let server = Server::new(config, &mut entropy);
        assert!(!server.challenges(Time::ZERO, false, &mut entropy).is_empty());
        format!("{server:?}")
    };
    assert_eq!(server(1), server(2), "they differ in their secrets only");
}
