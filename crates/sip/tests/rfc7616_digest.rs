//! Digest authentication: RFC 7616, RFC 8760, RFC 3261 §22, with the vectors of RFC 2617 §3.5 and RFC 7616 §3.9.

use std::time::Duration;

use callwright_sip::digest::{
    Account, Algorithm, AuthError, Client, Proof, Qop, Refusal, Secret, Server, ServerConfig, Signed,
};
use callwright_sip_message::{Builder, Challenge, Credentials, HeaderName, Message, Method};
use callwright_wire::{Entropy, Seed, Time};

const URI: &str = "sip:example.com";

fn entropy() -> Entropy {
    Seed::from_number(1).stream()
}

fn password(text: &str) -> Secret {
    Secret::Password(text.into())
}

fn client(secret: &str) -> Client {
    Client::new(vec![Account {
        realm: None,
        username: "alice".to_owned(),
        secret: password(secret),
    }])
}

fn register(credentials: &[(HeaderName, Credentials)]) -> Message {
    let uri = URI.parse().expect("a literal");
    let mut builder = Builder::request(Method::Register, &uri);
    for (name, value) in credentials {
        builder = builder.header(name.clone(), value);
    }
    builder.finish()
}

fn refused(status: u16, challenges: &[(HeaderName, &str)]) -> Message {
    let mut builder = Builder::response(status, "Unauthorized");
    for (name, value) in challenges {
        builder = builder.header(name.clone(), value);
    }
    builder.finish()
}

fn unauthorized(challenge: &str) -> Message {
    refused(401, &[(HeaderName::WwwAuthenticate, challenge)])
}

/// The one set of credentials for a REGISTER.
fn authorize(client: &mut Client) -> (HeaderName, Credentials) {
    let mut all = client.authorize("REGISTER", URI, b"");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn vector_of_rfc_2617_section_3_5() {
    let proof = Proof {
        algorithm: Algorithm::Md5,
        username: "Mufasa",
        realm: "testrealm@host.com",
        nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        qop: Some((Qop::Auth, 1, "0a4f113b")),
        cnonce: "",
        method: "GET",
        uri: "/dir/index.html",
        body: b"",
    };
    let secret = password("Circle Of Life");
    assert_eq!(
        proof.response(&secret).as_deref(),
        Some("6629fae49393a05397450978507c4ef1")
    );
    // HA1 instead of the password.
    let hash = "939e7578ed9e3c518a452acee763bce9".to_owned();
    let stored = Secret::Ha1 {
        algorithm: Algorithm::Md5,
        hash,
    };
    assert_eq!(
        proof.response(&stored).as_deref(),
        Some("6629fae49393a05397450978507c4ef1")
    );
    assert_eq!(
        Proof {
            algorithm: Algorithm::Sha256,
            ..proof
        }
        .response(&stored),
        None
    );
}

#[test]
fn vectors_of_rfc_7616_section_3_9_1() {
    let proof = Proof {
        algorithm: Algorithm::Md5,
        username: "Mufasa",
        realm: "http-auth@example.org",
        nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        qop: Some((Qop::Auth, 1, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
        cnonce: "",
        method: "GET",
        uri: "/dir/index.html",
        body: b"",
    };
    let secret = password("Circle of Life");
    assert_eq!(
        proof.response(&secret).as_deref(),
        Some("8ca523f5e9506fed4657c9700eebdbec")
    );
    let sha = Proof {
        algorithm: Algorithm::Sha256,
        ..proof
    }
    .response(&secret);
    assert_eq!(
        sha.as_deref(),
        Some("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")
    );
}

#[test]
fn without_qop_it_is_the_digest_of_rfc_2069() {
    let mut client = client("secret");
    let request = register(&[]);
    client
        .challenged(
            &request,
            &unauthorized(r#"Digest realm="r", nonce="n1""#),
            &mut entropy(),
        )
        .expect("it can be answered");
    let (name, credentials) = authorize(&mut client);
    assert_eq!(name, HeaderName::Authorization);
    // md5(md5("alice:r:secret") ":n1:" md5("REGISTER:sip:example.com"))
    assert_eq!(
        credentials.to_string(),
        r#"Digest username="alice", realm="r", nonce="n1", uri="sip:example.com", response="627a8a88b55f50094fe815d72f204f1a""#
    );
}

#[test]
fn the_nonce_is_used_again_and_counted() {
    let mut client = client("secret");
    assert!(
        client.authorize("REGISTER", URI, b"").is_empty(),
        "nobody asked yet"
    );
    let challenge = r#"Digest realm="r", nonce="n1", qop="auth,auth-int", algorithm=MD5, opaque="o\"paque""#;
    client
        .challenged(&register(&[]), &unauthorized(challenge), &mut entropy())
        .expect("it can be answered");
    for count in ["00000001", "00000002", "00000003"] {
        let (_, credentials) = authorize(&mut client);
        assert_eq!(credentials.value("nc"), Some(count));
        assert_eq!(credentials.value("qop"), Some("auth"));
        assert_eq!(credentials.value("algorithm"), Some("MD5"));
        assert_eq!(credentials.value("opaque"), Some("o\"paque"));
        assert!(credentials.to_string().contains(r#"opaque="o\"paque""#));
    }
}

#[test]
fn a_first_use_that_is_refused_means_a_wrong_password() {
    let mut client = client("wrong");
    let mut entropy = entropy();
    client
        .challenged(
            &register(&[]),
            &unauthorized(r#"Digest realm="r", nonce="n1", qop="auth""#),
            &mut entropy,
        )
        .expect("it can be answered");
    let request = register(&[authorize(&mut client)]);
    // Even when the nonce changes.
    let again = client.challenged(
        &request,
        &unauthorized(r#"Digest realm="r", nonce="n2", qop="auth""#),
        &mut entropy,
    );
    let error = again.expect_err("the password is wrong");
    assert_eq!(
        error,
        AuthError::Rejected {
            realm: "r".to_owned(),
            username: "alice".to_owned()
        }
    );
    assert_eq!(
        error.to_string(),
        "realm \"r\" refused the credentials of alice: is the password right?"
    );
}

#[test]
fn an_expired_nonce_is_renewed_whether_or_not_it_is_called_stale() {
    for stale in ["", ", stale=true"] {
        let mut client = client("secret");
        let mut entropy = entropy();
        let challenge = r#"Digest realm="r", nonce="n1", qop="auth""#;
        client
            .challenged(&register(&[]), &unauthorized(challenge), &mut entropy)
            .expect("it can be answered");
        authorize(&mut client);
        let second = register(&[authorize(&mut client)]);
        let challenge = format!(r#"Digest realm="r", nonce="n2", qop="auth"{stale}"#);
        client
            .challenged(&second, &unauthorized(&challenge), &mut entropy)
            .expect("it can be answered");
        let (_, credentials) = authorize(&mut client);
        assert_eq!(
            (credentials.value("nonce"), credentials.value("nc")),
            (Some("n2"), Some("00000001"))
        );
    }
}

#[test]
fn stale_is_believed_once() {
    let mut client = client("secret");
    let mut entropy = entropy();
    let stale = |nonce: &str| {
        unauthorized(&format!(
            r#"Digest realm="r", nonce="{nonce}", qop="auth", stale=TRUE"#
        ))
    };
    client
        .challenged(&register(&[]), &stale("n1"), &mut entropy)
        .expect("a first challenge");
    let request = register(&[authorize(&mut client)]);
    client
        .challenged(&request, &stale("n2"), &mut entropy)
        .expect("once");
    let request = register(&[authorize(&mut client)]);
    let error = client.challenged(&request, &stale("n3"), &mut entropy);
    assert_eq!(
        error,
        Err(AuthError::AlwaysStale {
            realm: "r".to_owned()
        })
    );
}

#[test]
fn of_several_challenges_the_strongest_is_answered() {
    let mut client = client("secret");
    let response = refused(
        401,
        &[
            (HeaderName::WwwAuthenticate, r#"Basic realm="r""#),
            (
                HeaderName::WwwAuthenticate,
                r#"Digest realm="r", nonce="n1", qop="auth", algorithm=MD5"#,
            ),
            (
                HeaderName::WwwAuthenticate,
                r#"Digest realm="r", nonce="n2", qop="auth", algorithm=SHA-256"#,
            ),
            (
                HeaderName::WwwAuthenticate,
                r#"Digest realm="r", nonce="n3", qop="auth", algorithm=SHA-3"#,
            ),
            (
                HeaderName::WwwAuthenticate,
                r#"Digest realm="r", nonce="n4", qop="new", algorithm=SHA-512-256"#,
            ),
        ],
    );
    client
        .challenged(&register(&[]), &response, &mut entropy())
        .expect("it can be answered");
    let (_, credentials) = authorize(&mut client);
    assert_eq!(
        (credentials.value("algorithm"), credentials.value("nonce")),
        (Some("SHA-256"), Some("n2"))
    );
    assert_eq!(credentials.value("response").map(str::len), Some(64));
}

#[test]
fn a_proxy_and_a_server_are_answered_in_one_request() {
    let mut client = Client::new(vec![
        Account {
            realm: Some("proxy".to_owned()),
            username: "p".to_owned(),
            secret: password("1"),
        },
        Account {
            realm: Some("server".to_owned()),
            username: "s".to_owned(),
            secret: password("2"),
        },
    ]);
    let mut entropy = entropy();
    let first = refused(
        407,
        &[(
            HeaderName::ProxyAuthenticate,
            r#"Digest realm="proxy", nonce="n1", qop="auth""#,
        )],
    );
    client
        .challenged(&register(&[]), &first, &mut entropy)
        .expect("the proxy");
    let request = register(&client.authorize("REGISTER", URI, b""));
    let second = refused(
        401,
        &[(
            HeaderName::WwwAuthenticate,
            r#"Digest realm="server", nonce="n2""#,
        )],
    );
    client
        .challenged(&request, &second, &mut entropy)
        .expect("the server behind it");
    let both = client.authorize("REGISTER", URI, b"");
    let users: Vec<_> = both
        .iter()
        .map(|(name, c)| (name.clone(), c.value("username"), c.value("nc")))
        .collect();
    assert_eq!(
        users,
        [
            (HeaderName::ProxyAuthorization, Some("p"), Some("00000002")),
            (HeaderName::Authorization, Some("s"), None),
        ]
    );
}

#[test]
fn what_cannot_be_answered_says_why() {
    let mut client = Client::new(vec![Account {
        realm: Some("here".to_owned()),
        username: "alice".to_owned(),
        secret: password("x"),
    }]);
    let mut ask =
        |challenge: &str| client.challenged(&register(&[]), &unauthorized(challenge), &mut entropy());
    assert_eq!(
        ask(r#"Digest realm="there", nonce="n""#),
        Err(AuthError::NoAccount {
            realm: "there".to_owned()
        })
    );
    let unsupported = |wanted: &str| AuthError::Unsupported {
        realm: "here".to_owned(),
        wanted: wanted.to_owned(),
    };
    assert_eq!(ask(r#"Basic realm="here""#), Err(unsupported("the scheme Basic")));
    assert_eq!(
        ask(r#"Digest realm="here", nonce="n", algorithm=AKA"#),
        Err(unsupported("the algorithm AKA"))
    );
    let none = client.challenged(
        &register(&[]),
        &Builder::response(401, "").finish(),
        &mut entropy(),
    );
    assert_eq!(none, Err(AuthError::NoChallenge { status: 401 }));
}

#[test]
fn next_nonce_is_used_next() {
    let mut client = client("secret");
    let challenge = r#"Digest realm="r", nonce="n1", qop="auth""#;
    client
        .challenged(&register(&[]), &unauthorized(challenge), &mut entropy())
        .expect("it can be answered");
    authorize(&mut client);
    client.accepted(
        &Builder::response(200, "OK")
            .header(HeaderName::CSeq, "2 REGISTER")
            .header(HeaderName::AuthenticationInfo, r#"nextnonce="n2""#)
            .finish(),
    );
    let (_, credentials) = authorize(&mut client);
    assert_eq!(
        (credentials.value("nonce"), credentials.value("nc")),
        (Some("n2"), Some("00000001"))
    );
}

/// A server and a client that met, and the challenge as a message.
fn met(config: ServerConfig, now: Time) -> (Server, Client) {
    let mut entropy = entropy();
    let server = Server::new(config, &mut entropy);
    let challenges: Vec<Challenge> = server.challenges(now, false, &mut entropy);
    let mut builder = Builder::response(401, "Unauthorized");
    for challenge in challenges {
        builder = builder.header(HeaderName::WwwAuthenticate, challenge);
    }
    let mut client = client("secret");
    client
        .challenged(&register(&[]), &builder.finish(), &mut entropy)
        .expect("it can be answered");
    (server, client)
}

const SIGNED: Signed<'static> = Signed {
    method: "REGISTER",
    uri: URI,
    body: b"",
};

fn alices(name: &str, _: Algorithm) -> Option<Secret> {
    (name == "alice").then(|| password("secret"))
}

#[test]
fn a_server_accepts_what_a_client_answers_with_every_algorithm() {
    let all = [
        Algorithm::Md5,
        Algorithm::Md5Sess,
        Algorithm::Sha256,
        Algorithm::Sha256Sess,
        Algorithm::Sha512Trunc256,
        Algorithm::Sha512Trunc256Sess,
    ];
    for algorithm in all {
        let config = ServerConfig {
            algorithms: vec![algorithm],
            ..ServerConfig::new("r")
        };
        let (mut server, mut client) = met(config, Time::ZERO);
        let (_, credentials) = authorize(&mut client);
        assert_eq!(credentials.value("algorithm"), Some(algorithm.as_str()));
        assert_eq!(
            server.verify(Time::ZERO, &credentials, SIGNED, alices).as_deref(),
            Ok("alice"),
            "{algorithm}"
        );
    }
}

#[test]
fn a_count_serves_once_and_may_come_out_of_order() {
    let (mut server, mut client) = met(ServerConfig::new("r"), Time::ZERO);
    let one = authorize(&mut client).1;
    let two = authorize(&mut client).1;
    let three = authorize(&mut client).1;
    let mut verify = |credentials: &Credentials| server.verify(Time::ZERO, credentials, SIGNED, alices);
    assert_eq!(verify(&two).as_deref(), Ok("alice"));
    assert_eq!(verify(&two), Err(Refusal::Replayed));
    assert_eq!(verify(&one).as_deref(), Ok("alice"));
    assert_eq!(verify(&one), Err(Refusal::Replayed));
    assert_eq!(verify(&three).as_deref(), Ok("alice"));
}

#[test]
fn a_nonce_expires_after_its_lifetime() {
    let start = Time::from_secs(10);
    let config = ServerConfig {
        nonce_lifetime: Duration::from_secs(60),
        ..ServerConfig::new("r")
    };
    let (mut server, mut client) = met(config, start);
    let first = authorize(&mut client).1;
    let second = authorize(&mut client).1;
    assert!(
        server
            .verify(start + Duration::from_millis(60_000), &first, SIGNED, alices)
            .is_ok()
    );
    let refusal = server.verify(start + Duration::from_millis(60_001), &second, SIGNED, alices);
    assert_eq!(refusal, Err(Refusal::Stale));
    let challenges = server.challenges(start, true, &mut entropy());
    assert!(
        challenges
            .iter()
            .all(|challenge| challenge.value("stale") == Some("true"))
    );
}

#[test]
fn a_server_refuses_what_does_not_fit() {
    let (mut server, mut client) = met(ServerConfig::new("r"), Time::ZERO);
    let credentials = authorize(&mut client).1;
    let mut verify =
        |signed, secret: &str| server.verify(Time::ZERO, &credentials, signed, |_, _| Some(password(secret)));
    assert_eq!(verify(SIGNED, "guess"), Err(Refusal::Wrong));
    assert_eq!(
        verify(
            Signed {
                uri: "sip:other",
                ..SIGNED
            },
            "secret"
        ),
        Err(Refusal::OtherUri)
    );
    assert_eq!(
        verify(
            Signed {
                method: "INVITE",
                ..SIGNED
            },
            "secret"
        ),
        Err(Refusal::Wrong)
    );
    // None of these used the count up.
    assert_eq!(verify(SIGNED, "secret").as_deref(), Ok("alice"));
    let nobody = server.verify(Time::ZERO, &credentials, SIGNED, |_, _| None);
    assert_eq!(nobody, Err(Refusal::Wrong));
    let other = Server::new(ServerConfig::new("r"), &mut Seed::from_number(2).stream());
    assert_eq!(
        { other }.verify(Time::ZERO, &credentials, SIGNED, alices),
        Err(Refusal::Stale),
        "nobody's nonce"
    );
}

fn message() -> Message {
    let uri = URI.parse().expect("a URI");
    Builder::request(Method::Message, &uri).finish()
}

#[test]
fn what_a_registrar_was_given_stays_with_it() {
    let mut client = client("secret");
    let challenge = r#"Digest realm="r", nonce="n1", qop="auth""#;
    client
        .challenged(&register(&[]), &unauthorized(challenge), &mut entropy())
        .expect("it can be answered");
    assert!(client.authorize("INVITE", URI, b"").is_empty());
    assert_eq!(client.authorize("REGISTER", URI, b"").len(), 1);
}

#[test]
fn auth_int_protects_the_body() {
    let config = ServerConfig {
        integrity: true,
        ..ServerConfig::new("r")
    };
    let mut entropy = entropy();
    let mut server = Server::new(config, &mut entropy);
    let challenge = server.challenges(Time::ZERO, false, &mut entropy).remove(0);
    let only_int = challenge.to_string().replace("auth,auth-int", "auth-int");
    let mut client = client("secret");
    client
        .challenged(&message(), &unauthorized(&only_int), &mut entropy)
        .expect("it can be answered");
    let (_, credentials) = client.authorize("MESSAGE", URI, b"hello").remove(0);
    assert_eq!(credentials.value("qop"), Some("auth-int"));
    let signed = |body| Signed {
        method: "MESSAGE",
        uri: URI,
        body,
    };
    assert_eq!(
        server.verify(Time::ZERO, &credentials, signed(b"hallo"), alices),
        Err(Refusal::Wrong)
    );
    assert_eq!(
        server
            .verify(Time::ZERO, &credentials, signed(b"hello"), alices)
            .as_deref(),
        Ok("alice")
    );
}

#[test]
fn a_stored_hash_answers_the_challenge_that_it_is_for() {
    // RFC 8760 §2.3 wants the strongest algorithm that the client can answer, not that it knows of.
    let stored = |algorithm| {
        Client::new(vec![Account {
            realm: None,
            username: "alice".to_owned(),
            secret: Secret::Ha1 {
                algorithm,
                hash: "0".repeat(32),
            },
        }])
    };
    let both = Builder::response(401, "Unauthorized")
        .header(
            HeaderName::WwwAuthenticate,
            r#"Digest realm="r", nonce="n", algorithm=SHA-256"#,
        )
        .header(
            HeaderName::WwwAuthenticate,
            r#"Digest realm="r", nonce="n", algorithm=MD5"#,
        )
        .finish();
    let mut client = stored(Algorithm::Md5);
    client
        .challenged(&register(&[]), &both, &mut entropy())
        .expect("it can be answered");
    let credentials = client.authorize("REGISTER", "sip:r", b"");
    assert_eq!(credentials.len(), 1);
    assert_eq!(credentials[0].1.value("algorithm"), Some("MD5"));
    let mut client = stored(Algorithm::Sha512Trunc256);
    assert_eq!(
        client.challenged(&register(&[]), &both, &mut entropy()),
        Err(AuthError::Unsupported {
            realm: "r".to_owned(),
            wanted: "the algorithm MD5, and the secret is a hash of another".to_owned(),
        })
    );
}
