//! RFC 4568: keys in session descriptions.

use callwright_media::srtp::{MasterKey, SdesError, Suite};
use callwright_sdp::{Crypto, CryptoSuite, KeyError};

const KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

fn crypto(suite: &str, key_params: &str, session_params: &[&str]) -> Crypto {
    Crypto {
        tag: 1,
        suite: CryptoSuite::from(suite),
        key_params: key_params.to_owned(),
        session_params: session_params.iter().map(|&param| param.to_owned()).collect(),
    }
}

fn read(suite: &str, key_params: &str, session_params: &[&str]) -> Result<MasterKey, SdesError> {
    MasterKey::from_crypto(&crypto(suite, key_params, session_params))
}

#[test]
fn both_suites_and_harmless_parameters_are_taken() {
    for (name, suite) in [
        ("AES_CM_128_HMAC_SHA1_80", Suite::AesCm128HmacSha1_80),
        ("AES_CM_128_HMAC_SHA1_32", Suite::AesCm128HmacSha1_32),
    ] {
        let key = read(name, &format!("{KEY}|2^31"), &["WSH=128", "-x=y"]).expect("a key");
        assert_eq!(key.suite, suite);
        assert_eq!(&key.key, b"YS___semctl () {");
        assert_eq!(&key.salt, b"\t220;}\n}\nunles");
    }
}

#[test]
fn what_is_not_supported_is_refused_with_its_reason() {
    let suite = "AES_CM_128_HMAC_SHA1_80";
    let refused = |suite, key_params: String, session_params: &[&str]| {
        read(suite, &key_params, session_params).expect_err("a refusal")
    };
    assert!(matches!(
        refused("AEAD_AES_256_GCM", KEY.into(), &[]),
        SdesError::Suite { name } if name == "AEAD_AES_256_GCM"
    ));
    assert_eq!(
        refused(suite, format!("{KEY}|1:4"), &[]),
        SdesError::KeyIdentifier
    );
    assert_eq!(
        refused(suite, format!("{KEY};{KEY}"), &[]),
        SdesError::SeveralKeys { count: 2 }
    );
    assert_eq!(
        refused(suite, format!("{KEY}|1000"), &[]),
        SdesError::Lifetime { packets: 1_000 }
    );
    assert!(matches!(
        refused(suite, KEY.into(), &["UNENCRYPTED_SRTP"]),
        SdesError::SessionParameter { parameter } if parameter == "UNENCRYPTED_SRTP"
    ));
    assert!(matches!(
        refused(suite, "inline:c2hvcnQ=".into(), &[]),
        SdesError::Key(KeyError::Length { found: 5, .. })
    ));
    assert_eq!(
        refused(suite, "prompt:x".into(), &[]),
        SdesError::Key(KeyError::NotInline)
    );
}

#[test]
fn a_key_never_prints() {
    let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[0xab; 30]);
    let printed = format!("{key:?}");
    assert!(
        !printed.contains("171") && !printed.to_lowercase().contains("ab, ab"),
        "{printed}"
    );
}
