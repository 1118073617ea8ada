//! Keys in descriptions: RFC 4568.

#[expect(dead_code, reason = "each test file uses a part of the ends")]
mod ends;

use callwright_sdp::negotiation::{
    Capabilities, LocalMedia, NegotiationError, OfferAnswer, Refusal, SrtpPolicy,
};
use callwright_sdp::{Crypto, CryptoSuite, Direction, KeyError, Protocol, Session};
use ends::description;

const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

fn end(policy: SrtpPolicy, first_byte: u8) -> OfferAnswer {
    let capabilities = Capabilities {
        srtp: policy,
        ..Capabilities::default()
    };
    let crypto = vec![
        Crypto::new(1, CryptoSuite::AesCm128HmacSha1_80, &[first_byte; 30]),
        Crypto::new(2, CryptoSuite::AesCm128HmacSha1_32, &[first_byte + 1; 30]),
    ];
    let local = LocalMedia {
        crypto,
        ..LocalMedia::new([192, 0, 2, first_byte].into(), 4000)
    };
    OfferAnswer::new(capabilities, local, 1)
}

fn parse(crypto: &str) -> Vec<Crypto> {
    let body =
        format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\nm=audio 4 RTP/SAVP 0\na=crypto:{crypto}\n");
    Session::parse(body.as_bytes())
        .expect("a description")
        .media
        .remove(0)
        .crypto
}

#[test]
fn section_9_2_the_example_is_read() {
    let [crypto] = &parse(&format!(
        "1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4 FEC_ORDER=FEC_SRTP"
    ))[..] else {
        panic!("one attribute")
    };
    assert_eq!(
        (crypto.tag, &crypto.suite),
        (1, &CryptoSuite::AesCm128HmacSha1_80)
    );
    assert_eq!(crypto.session_params, ["FEC_ORDER=FEC_SRTP"]);
    let keys = crypto.keys().expect("a key");
    assert_eq!((keys.len(), keys[0].key_and_salt.len()), (1, 30));
    assert_eq!((keys[0].lifetime, keys[0].mki), (Some(1 << 20), Some((1, 4))));
    assert!(keys[0].key_and_salt.starts_with(b"YS___semctl () {"));
    assert!(!crypto.usable(), "an MKI is not supported");
}

#[test]
fn what_is_written_is_what_was_given() {
    let crypto = Crypto::new(7, CryptoSuite::AesCm128HmacSha1_32, &[0; 30]);
    let text = "7 AES_CM_128_HMAC_SHA1_32 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(crypto.to_string(), text);
    assert_eq!(parse(text), std::slice::from_ref(&crypto));
    assert_eq!(crypto.keys().expect("a key")[0].key_and_salt, [0; 30]);
}

#[test]
fn keys_that_cannot_be_used_say_why() {
    let error = |params: &str| {
        parse(&format!("1 AES_CM_128_HMAC_SHA1_80 {params}"))[0]
            .keys()
            .expect_err("broken")
    };
    assert_eq!(error("mikey:AAAA"), KeyError::NotInline);
    assert_eq!(error("inline:!!!"), KeyError::NotBase64);
    assert_eq!(error("inline:AAAA"), KeyError::Length { needed: 30, found: 3 });
    assert_eq!(error(&format!("inline:{KEY}|2^64")), KeyError::Lifetime);
    assert_eq!(error(&format!("inline:{KEY}|2^20|1:129")), KeyError::Mki);
    assert_eq!(error(&format!("inline:{KEY}|2^20|one:4")), KeyError::Mki);
}

#[test]
fn session_parameters_decide_whether_a_key_is_usable() {
    let usable = |params: &str| parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{params}"))[0].usable();
    assert!(usable("") && usable("|2^31") && usable(" WSH=64") && usable(" -EXTENSION"));
    assert!(!usable(" UNENCRYPTED_SRTP") && !usable(" KDR=1") && !usable(" UNKNOWN"));
    assert!(!usable(&format!(";inline:{KEY}")), "two keys need an MKI");
    assert!(!parse(&format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"))[0].usable());
}

#[test]
fn both_ends_get_each_others_key() {
    for policy in [SrtpPolicy::Offer, SrtpPolicy::Require] {
        let (mut alice, mut bob) = (end(policy, 1), end(policy, 5));
        let offer = alice.create_offer(Direction::SendRecv).expect("an offer");
        let expected = if policy == SrtpPolicy::Require {
            Protocol::RtpSavp
        } else {
            Protocol::RtpAvp
        };
        assert_eq!(
            (&offer.media[0].protocol, offer.media[0].crypto.len()),
            (&expected, 2)
        );
        bob.receive_offer(offer).expect("taken");
        let (answer, at_bob) = bob.create_answer(Direction::SendRecv).expect("an answer");
        assert_eq!(answer.media[0].protocol, expected);
        let at_alice = alice.receive_answer(answer).expect("by rule").expect("a stream");
        let at_bob = at_bob.expect("a stream");
        assert_eq!(at_alice.local_crypto, at_bob.remote_crypto);
        assert_eq!(at_alice.remote_crypto, at_bob.local_crypto);
        assert_eq!(
            at_bob.local_crypto,
            Some(Crypto::new(1, CryptoSuite::AesCm128HmacSha1_80, &[5; 30]))
        );
    }
}

#[test]
fn the_answer_takes_the_tag_of_the_offer_and_the_first_suite_that_both_have() {
    let mut bob = end(SrtpPolicy::Offer, 5);
    bob.receive_offer(description(&format!(
        "m=audio 6000 RTP/SAVP 0\na=crypto:4 AEAD_AES_256_GCM inline:{KEY}\na=crypto:9 AES_CM_128_HMAC_SHA1_32 inline:{KEY}\na=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n"
    )))
    .expect("taken");
    let (answer, _) = bob.create_answer(Direction::SendRecv).expect("an answer");
    assert_eq!(
        answer.media[0].crypto,
        [Crypto::new(9, CryptoSuite::AesCm128HmacSha1_32, &[6; 30])]
    );
}

#[test]
fn optional_encryption_falls_back_to_plain() {
    let (mut alice, mut bob) = (end(SrtpPolicy::Offer, 1), end(SrtpPolicy::Never, 5));
    bob.receive_offer(alice.create_offer(Direction::SendRecv).expect("an offer"))
        .expect("taken");
    let (answer, at_bob) = bob.create_answer(Direction::SendRecv).expect("an answer");
    let at_alice = alice.receive_answer(answer).expect("by rule").expect("a stream");
    assert_eq!((at_alice.local_crypto, at_alice.remote_crypto), (None, None));
    assert_eq!(at_bob.expect("a stream").remote_crypto, None);
    let later = alice.create_offer(Direction::SendOnly).expect("an offer");
    assert!(later.media[0].crypto.is_empty(), "what was agreed goes on");
}

#[test]
fn required_encryption_never_falls_back() {
    let mut bob = end(SrtpPolicy::Require, 5);
    let refuse =
        |bob: &mut OfferAnswer, media: &str| bob.receive_offer(description(media)).expect_err("refused");
    let error = refuse(&mut bob, "m=audio 6000 RTP/AVP 0\n");
    assert_eq!(error, NegotiationError::Refused(Refusal::EncryptionRequired));
    let error = refuse(&mut bob, "m=audio 6000 RTP/SAVP 0\n");
    assert_eq!(error, NegotiationError::Refused(Refusal::NoUsableKeys));
    assert_eq!(
        (error.status(), error.warning().map(|warning| warning.code)),
        (Some(488), Some(306))
    );

    let mut alice = end(SrtpPolicy::Require, 1);
    alice.create_offer(Direction::SendRecv).expect("an offer");
    let plain = alice
        .receive_answer(description("m=audio 6000 RTP/SAVP 0\n"))
        .expect_err("no key");
    assert_eq!(plain, NegotiationError::AnswerNotEncrypted { index: 0 });

    let mut alice = end(SrtpPolicy::RequireFeedback, 1);
    let offer = alice.create_offer(Direction::SendRecv).expect("an offer");
    assert_eq!(offer.media[0].protocol.as_str(), "RTP/SAVPF");
    let plain = alice
        .receive_answer(description("m=audio 6000 RTP/SAVPF 0\n"))
        .expect_err("no key");
    assert_eq!(plain, NegotiationError::AnswerNotEncrypted { index: 0 });

    let mut alice = end(SrtpPolicy::Require, 1);
    alice.set_local_media(LocalMedia::new([192, 0, 2, 1].into(), 4000));
    assert_eq!(
        alice.create_offer(Direction::SendRecv),
        Err(NegotiationError::NoLocalKeys)
    );
}

#[test]
fn an_answer_with_foreign_keys_breaks_the_rule() {
    let mut alice = end(SrtpPolicy::Require, 1);
    alice.create_offer(Direction::SendRecv).expect("an offer");
    let mut answer = |keys: &[&str]| {
        let keys: String = keys
            .iter()
            .map(|key| format!("a=crypto:{key} inline:{KEY}\n"))
            .collect();
        alice.receive_answer(description(&format!("m=audio 6000 RTP/SAVP 0\n{keys}")))
    };
    let broken = Err(NegotiationError::AnswerKeys { index: 0 });
    assert_eq!(
        answer(&["3 AES_CM_128_HMAC_SHA1_80"]),
        broken,
        "a tag that was not offered"
    );
    assert_eq!(
        answer(&["1 AES_CM_128_HMAC_SHA1_32"]),
        broken,
        "another suite under the tag"
    );
    assert_eq!(
        answer(&["1 AES_CM_128_HMAC_SHA1_80", "2 AES_CM_128_HMAC_SHA1_32"]),
        broken,
        "two keys"
    );
    let taken = answer(&["2 AES_CM_128_HMAC_SHA1_32"])
        .expect("by rule")
        .expect("a stream");
    assert_eq!(
        taken.local_crypto,
        Some(Crypto::new(2, CryptoSuite::AesCm128HmacSha1_32, &[2; 30]))
    );
}

#[test]
fn of_an_encrypted_and_a_plain_stream_the_fitting_one_is_taken() {
    let both = format!(
        "m=audio 6000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\nm=audio 6002 RTP/AVP 0\n"
    );
    for (policy, index) in [
        (SrtpPolicy::Never, 1),
        (SrtpPolicy::Offer, 0),
        (SrtpPolicy::Require, 0),
    ] {
        let mut bob = end(policy, 5);
        bob.receive_offer(description(&both)).expect("taken");
        let (answer, negotiated) = bob.create_answer(Direction::SendRecv).expect("an answer");
        assert_eq!(negotiated.map(|negotiated| negotiated.index), Some(index));
        assert!(answer.media[1 - index].rejected());
    }
}

/// An offer of keys, a media line of SAVP with one `a=crypto` each.
fn offer_of(keys: &[&str]) -> Session {
    let lines: String = (1..)
        .zip(keys)
        .map(|(tag, key)| format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 {key}\n"))
        .collect();
    description(&format!("m=audio 6000 RTP/SAVP 0\n{lines}"))
}

#[test]
fn section_6_1_a_key_for_too_few_packets_is_not_used() {
    let short = format!("inline:{KEY}|2^16");
    let decimal = format!("inline:{KEY}|1048575");
    let long = format!("inline:{KEY}|2^20");
    let mut bob = end(SrtpPolicy::Require, 2);
    bob.receive_offer(offer_of(&[&short, &decimal, &long]))
        .expect("the third key is good");
    let (_, negotiated) = bob.create_answer(Direction::SendRecv).expect("an answer");
    let remote = negotiated.and_then(|negotiated| negotiated.remote_crypto);
    assert_eq!(remote.map(|crypto| crypto.tag), Some(3));
    let mut bob = end(SrtpPolicy::Require, 2);
    assert_eq!(
        bob.receive_offer(offer_of(&[&short])),
        Err(NegotiationError::Refused(Refusal::NoUsableKeys))
    );
}

#[test]
fn section_6_1_an_answer_with_a_key_for_too_few_packets_is_broken() {
    let mut alice = end(SrtpPolicy::Require, 1);
    alice.create_offer(Direction::SendRecv).expect("an offer");
    assert_eq!(
        alice.receive_answer(offer_of(&[&format!("inline:{KEY}|2^16")])),
        Err(NegotiationError::AnswerKeys { index: 0 })
    );
}

#[test]
fn a_key_is_written_and_never_shown() {
    let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4");
    // In its place; above the media; without a tag; in what is no line; as `k=`, which may stand there once.
    let body = |lines: &str, below: &str| {
        format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\n{lines}m=audio 4 RTP/SAVP 0\n{below}")
    };
    let bodies = [
        body("", &format!("a=crypto:{line}\n")),
        body(&format!("a=crypto:{line}\n"), ""),
        body("", &format!("a=crypto:inline:{KEY}\n")),
        body("", &format!("a=crypto:{line}\rx\n")),
        body(&format!("k=clear:{KEY}\nk=clear:{KEY}\n"), ""),
    ];
    for body in &bodies {
        let session = Session::parse(body.as_bytes()).expect("a description");
        let shown = format!("{session:?} {session:#?}");
        assert!(!shown.contains(KEY), "{shown}");
    }
    let session = Session::parse(bodies[0].as_bytes()).expect("a description");
    let crypto = &session.media[0].crypto[0];
    let shown = r#"Crypto { tag: 1, suite: AesCm128HmacSha1_80, key_params: …, session_params: [] }"#;
    assert_eq!(format!("{crypto:?}"), shown);
    let key = &crypto.keys().expect("a key")[0];
    let shown = "InlineKey { key_and_salt: …, lifetime: Some(1048576), mki: Some((1, 4)) }";
    assert_eq!(format!("{key:?}"), shown);
    assert_eq!(crypto.to_string(), line);
    let written = String::from_utf8(session.to_bytes().to_vec()).expect("text");
    assert!(written.contains(&format!("a=crypto:{line}\r\n")), "{written}");
}

#[test]
fn a_machine_that_negotiates_shows_no_key() {
    let mut caller = end(SrtpPolicy::Require, 1);
    let offer = caller.create_offer(Direction::SendRecv).expect("an offer");
    let own = offer.media[0].crypto[0].key_params.clone();
    let mut callee = end(SrtpPolicy::Require, 2);
    callee.receive_offer(offer).expect("taken");
    let answered = callee.create_answer(Direction::SendRecv).expect("an answer");
    for shown in [
        format!("{caller:?}"),
        format!("{callee:?}"),
        format!("{answered:?}"),
    ] {
        assert!(!shown.contains(&own), "{shown}");
        assert!(!shown.contains("inline:"), "{shown}");
    }
}
