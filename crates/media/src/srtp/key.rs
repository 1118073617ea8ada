//! Master keys, and how a session description carries them (RFC 4568).

use std::fmt;

use callwright_sdp::{Crypto, CryptoSuite, KeyError};

/// Bytes of a master key.
pub(super) const KEY: usize = 16;
/// Bytes of a master salt.
pub(super) const SALT: usize = 14;

/// A crypto suite of RFC 4568 §6.2: AES in counter mode with 128 bits, HMAC-SHA1 cut to a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`: tags of 10 bytes.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`: tags of 4 bytes in RTP, of 10 in RTCP (RFC 4568 §6.2.2).
    AesCm128HmacSha1_32,
}

impl Suite {
    /// Bytes of the authentication tag of an RTP packet.
    pub const fn rtp_tag(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 => 10,
            Suite::AesCm128HmacSha1_32 => 4,
        }
    }

    /// Bytes of the authentication tag of an RTCP packet.
    pub const fn rtcp_tag(self) -> usize {
        10
    }
}

/// Why the keys of a description cannot be used. The other side is at fault, or asks for what is not supported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdesError {
    /// A suite that is not supported.
    #[error(
        "the crypto suite {name} is not supported; offer AES_CM_128_HMAC_SHA1_80 or AES_CM_128_HMAC_SHA1_32"
    )]
    Suite {
        /// Its name.
        name: String,
    },
    /// The keys break RFC 4568.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// Several master keys in one attribute.
    #[error("{count} master keys in one a=crypto are not supported; offer one")]
    SeveralKeys {
        /// How many there are.
        count: usize,
    },
    /// A master key identifier would stand in each packet.
    #[error("a master key identifier (MKI) is not supported; offer the key without one")]
    KeyIdentifier,
    /// The key ends before the packets of a short call.
    #[error(
        "a key for {packets} packets only is not supported; offer a lifetime of at least 2^20 packets, or none"
    )]
    Lifetime {
        /// The packets that the key is good for.
        packets: u64,
    },
    /// A parameter that changes the packets.
    #[error("the session parameter {parameter} of a=crypto is not supported")]
    SessionParameter {
        /// The parameter as it was written.
        parameter: String,
    },
}

/// A master key with its salt, and what it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    /// The suite.
    pub suite: Suite,
    /// The key.
    pub key: [u8; KEY],
    /// The salt.
    pub salt: [u8; SALT],
}

impl MasterKey {
    /// Bytes of key and salt together, as RFC 4568 §6.1 writes them.
    pub const LENGTH: usize = KEY + SALT;

    /// From key and salt, one after the other.
    pub fn new(suite: Suite, key_and_salt: &[u8; MasterKey::LENGTH]) -> Self {
        let (mut key, mut salt) = ([0; KEY], [0; SALT]);
        key.copy_from_slice(&key_and_salt[..KEY]);
        salt.copy_from_slice(&key_and_salt[KEY..]);
        MasterKey { suite, key, salt }
    }

    /// From an `a=crypto` of a description.
    ///
    /// # Errors
    /// What in it is broken or not supported: each has its own [`SdesError`].
    pub fn from_crypto(crypto: &Crypto) -> Result<Self, SdesError> {
        let suite = match &crypto.suite {
            CryptoSuite::AesCm128HmacSha1_80 => Suite::AesCm128HmacSha1_80,
            CryptoSuite::AesCm128HmacSha1_32 => Suite::AesCm128HmacSha1_32,
            CryptoSuite::Other(name) => return Err(SdesError::Suite { name: name.clone() }),
        };
        // RFC 4568 §6.3: all but hints change how packets look or how keys come about.
        let matters = |parameter: &&String| !parameter.starts_with('-') && !parameter.starts_with("WSH=");
        if let Some(parameter) = crypto.session_params.iter().find(matters) {
            return Err(SdesError::SessionParameter {
                parameter: parameter.clone(),
            });
        }
        let keys = crypto.keys()?;
        let [key] = keys.as_slice() else {
            return Err(SdesError::SeveralKeys { count: keys.len() });
        };
        if key.mki.is_some() {
            return Err(SdesError::KeyIdentifier);
        }
        if let Some(packets) = key.lifetime.filter(|&packets| packets < Crypto::LEAST_LIFETIME) {
            return Err(SdesError::Lifetime { packets });
        }
        let found = key.key_and_salt.len();
        let key_and_salt =
            <&[u8; MasterKey::LENGTH]>::try_from(key.key_and_salt.as_slice()).map_err(|_| {
                KeyError::Length {
                    needed: MasterKey::LENGTH,
                    found,
                }
            })?;
        Ok(MasterKey::new(suite, key_and_salt))
    }
}

impl fmt::Debug for MasterKey {
    /// Never shows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}
