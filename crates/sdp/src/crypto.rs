//! Keys of SRTP in session descriptions: `a=crypto`, RFC 4568.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use thiserror::Error;

/// `a=crypto:<tag> <suite> <key-params> [<session-params>]` (RFC 4568 §4). `Debug` does not show the keys, so that whatever holds
/// one can be logged; `Display` is for the wire, and does.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Ties the answer to the offer; unique in one media description.
    pub tag: u32,
    /// Cipher and authentication.
    pub suite: CryptoSuite,
    /// The keys as written: `inline:<base64>|<lifetime>|<MKI>:<length>`, several split by semicolons.
    pub key_params: String,
    /// Session parameters as written, in order (`UNENCRYPTED_SRTP`, `WSH=64`, …).
    pub session_params: Vec<String>,
}

/// The crypto suites of RFC 4568 §6.2 that are in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CryptoSuite {
    /// `AES_CM_128_HMAC_SHA1_80`: every implementation has it.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`: short authentication tags.
    AesCm128HmacSha1_32,
    /// A suite that has no variant here.
    Other(String),
}

/// One master key and salt (RFC 4568 §6.1). `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct InlineKey {
    /// Master key and salt, one after the other: 16 + 14 bytes for both AES_CM_128 suites.
    pub key_and_salt: Vec<u8>,
    /// The most packets under this key.
    pub lifetime: Option<u64>,
    /// The master key identifier: its value and its length in bytes in each packet.
    pub mki: Option<(u128, u8)>,
}

/// What stands in the place of a key.
pub(crate) const HIDDEN: fmt::Arguments<'static> = format_args!("…");

/// Why keys in an `a=crypto` cannot be used. The fault is with who wrote the attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The key method is not `inline` (RFC 4568 §6.1 defines no other).
    #[error("the key method is not `inline`")]
    NotInline,
    /// The key is not base64.
    #[error("the key is not base64")]
    NotBase64,
    /// Key and salt together are too short or too long for the suite.
    #[error("key and salt are {found} bytes, the suite needs {needed}")]
    Length {
        /// Bytes that the suite needs.
        needed: usize,
        /// Bytes that were there.
        found: usize,
    },
    /// The lifetime is neither a number nor a power of two written as `2^n`.
    #[error("the key lifetime is not a number of packets")]
    Lifetime,
    /// The MKI is not `value:length` with a length of 1 to 128.
    #[error("the master key identifier is not `value:length`")]
    Mki,
}

impl CryptoSuite {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::Other(name) => name,
        }
    }

    /// Bytes of master key and salt together (RFC 4568 §6.2); `None` for a suite that is not known here.
    #[must_use]
    pub fn key_and_salt_bytes(&self) -> Option<usize> {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => Some(30),
            Self::Other(_) => None,
        }
    }
}

impl From<&str> for CryptoSuite {
    fn from(name: &str) -> Self {
        let known = [Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];
        known
            .into_iter()
            .find(|suite| suite.as_str() == name)
            .unwrap_or_else(|| Self::Other(name.into()))
    }
}

impl Crypto {
    /// A key for fewer packets is not used: it would end within a call, and nobody negotiates the next one (RFC 3711
    /// §9.2 allows 2⁴⁸). 2²⁰ packets are more than five hours, and what the examples of RFC 4568 give.
    pub const LEAST_LIFETIME: u64 = 1 << 20;

    /// One key without lifetime and MKI. `key_and_salt` comes from a generator of keys, never from a seeded one
    /// outside a simulation.
    #[must_use]
    pub fn new(tag: u32, suite: CryptoSuite, key_and_salt: &[u8]) -> Self {
        let key_params = format!("inline:{}", STANDARD.encode(key_and_salt));
        Self {
            tag,
            suite,
            key_params,
            session_params: Vec::new(),
        }
    }

    /// The keys, the first to be used first.
    ///
    /// # Errors
    /// The first [`KeyError`] found in any of them.
    pub fn keys(&self) -> Result<Vec<InlineKey>, KeyError> {
        self.key_params.split(';').map(|param| self.key(param)).collect()
    }

    /// Whether this end can use the attribute: a known suite, one key without MKI that lives for
    /// [`Crypto::LEAST_LIFETIME`], and no session parameter that would change the packets. RFC 4568 §6.3.7: an unknown parameter makes the attribute invalid unless its name
    /// starts with a hyphen; `WSH` is only a hint (§6.3.6).
    #[must_use]
    pub fn usable(&self) -> bool {
        let lasts = |key: &InlineKey| key.lifetime.is_none_or(|packets| packets >= Self::LEAST_LIFETIME);
        let ignorable = |param: &String| param.starts_with('-') || param.starts_with("WSH=");
        self.suite.key_and_salt_bytes().is_some()
            && self.session_params.iter().all(ignorable)
            && self
                .keys()
                .is_ok_and(|keys| keys.len() == 1 && keys[0].mki.is_none() && lasts(&keys[0]))
    }

    fn key(&self, param: &str) -> Result<InlineKey, KeyError> {
        let (method, info) = param.split_once(':').ok_or(KeyError::NotInline)?;
        if !method.eq_ignore_ascii_case("inline") {
            return Err(KeyError::NotInline);
        }
        let mut parts = info.split('|');
        let text = parts.next().unwrap_or_default();
        // 30 bytes need no padding; for other lengths peers differ on whether to write it.
        let unpadded = text.trim_end_matches('=');
        let key_and_salt = STANDARD_NO_PAD
            .decode(unpadded)
            .map_err(|_| KeyError::NotBase64)?;
        if let Some(needed) = self.suite.key_and_salt_bytes()
            && key_and_salt.len() != needed
        {
            return Err(KeyError::Length {
                needed,
                found: key_and_salt.len(),
            });
        }
        let (mut lifetime, mut mki) = (None, None);
        for part in parts {
            match part.split_once(':') {
                Some((value, length)) => mki = Some(parse_mki(value, length).ok_or(KeyError::Mki)?),
                None => lifetime = Some(parse_lifetime(part).ok_or(KeyError::Lifetime)?),
            }
        }
        Ok(InlineKey {
            key_and_salt,
            lifetime,
            mki,
        })
    }

    /// Reads the value of an `a=crypto`; `None` where it does not follow the grammar of RFC 4568 §9.1.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag_digits = words.next()?;
        // RFC 4568 §9.1: tag = 1*9DIGIT
        if tag_digits.len() > 9 || !tag_digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let tag = tag_digits.parse().ok()?;
        let suite = CryptoSuite::from(words.next()?);
        let key_params = words.next().filter(|params| params.contains(':'))?.to_owned();
        Some(Self {
            tag,
            suite,
            key_params,
            session_params: words.map(str::to_owned).collect(),
        })
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto")
            .field("tag", &self.tag)
            .field("suite", &self.suite)
            .field("key_params", &HIDDEN)
            .field("session_params", &self.session_params)
            .finish()
    }
}

impl fmt::Debug for InlineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineKey")
            .field("key_and_salt", &HIDDEN)
            .field("lifetime", &self.lifetime)
            .field("mki", &self.mki)
            .finish()
    }
}

impl fmt::Display for Crypto {
    /// The value of the attribute, after `a=crypto:`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.tag, self.suite.as_str(), self.key_params)?;
        self.session_params
            .iter()
            .try_for_each(|param| write!(f, " {param}"))
    }
}

fn parse_lifetime(text: &str) -> Option<u64> {
    match text.strip_prefix("2^") {
        Some(exponent) => 1u64.checked_shl(exponent.parse().ok()?),
        None => text.parse().ok(),
    }
}

fn parse_mki(value: &str, length: &str) -> Option<(u128, u8)> {
    let length = length.parse().ok().filter(|length| (1..=128).contains(length))?;
    Some((value.parse().ok()?, length))
}
