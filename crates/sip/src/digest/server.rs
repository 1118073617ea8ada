//! The server's side (RFC 3261 §22.2, RFC 7616 §3.3, RFC 8760 §2.4).

use std::time::Duration;

use callwright_sip_message::header::AuthParams;
use callwright_sip_message::{Challenge, Credentials};
use callwright_wire::{Entropy, Time};

use super::computation::{Algorithm, Proof, Qop, Secret};
use super::nonce::{Nonces, Verdict};

/// Settings of a [`Server`].
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The realm that it protects.
    pub realm: String,
    /// The algorithms that it offers, the most wanted first (RFC 8760 §2.4).
    pub algorithms: Vec<Algorithm>,
    /// The qop that it offers: `auth` always, `auth-int` with true.
    pub integrity: bool,
    /// How long a nonce serves. Default 5 minutes.
    pub nonce_lifetime: Duration,
    /// How many nonces are remembered with the counts that were used; beyond, the oldest is forgotten. Default 65,536.
    pub remembered_nonces: usize,
}

impl ServerConfig {
    /// SHA-256 and MD5, `qop="auth"`.
    pub fn new(realm: impl Into<String>) -> ServerConfig {
        ServerConfig {
            realm: realm.into(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            integrity: false,
            nonce_lifetime: Duration::from_secs(300),
            remembered_nonces: 65_536,
        }
    }
}

/// Why credentials are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// They are for another realm or scheme, or lack a parameter: challenge.
    #[error("no credentials for this realm")]
    NotOurs,
    /// The nonce was ours, but is too old: challenge with `stale=true`.
    #[error("the nonce has expired")]
    Stale,
    /// The nonce count was used before: challenge with `stale=true`.
    #[error("the nonce count was used before")]
    Replayed,
    /// They are for another URI than the request's.
    #[error("the credentials are for another URI")]
    OtherUri,
    /// There is no such user, or the response does not fit.
    #[error("wrong user name or password")]
    Wrong,
}

impl Refusal {
    /// Whether the next challenge says `stale=true`.
    pub const fn is_stale(self) -> bool {
        matches!(self, Refusal::Stale | Refusal::Replayed)
    }
}

/// Challenges requests, and verifies their credentials.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    nonces: Nonces,
}

impl Server {
    /// A server whose nonces are sealed by a secret from `entropy`: in the real world, one seeded by the operating system.
    pub fn new(config: ServerConfig, entropy: &mut Entropy) -> Server {
        let nonces = Nonces::new(config.nonce_lifetime, config.remembered_nonces, entropy);
        Server { config, nonces }
    }

    /// One challenge for each algorithm, all of one nonce, for as many header fields in this order.
    pub fn challenges(&self, now: Time, stale: bool, entropy: &mut Entropy) -> Vec<Challenge> {
        let nonce = self.nonces.issue(now, entropy);
        let qop = if self.config.integrity {
            "auth,auth-int"
        } else {
            "auth"
        };
        let challenge = |algorithm: &Algorithm| {
            let mut params = AuthParams::default()
                .with_quoted("realm", &self.config.realm)
                .with_quoted("nonce", &nonce)
                .with_token("algorithm", algorithm.as_str())
                .with_quoted("qop", qop);
            if stale {
                params = params.with_token("stale", "true");
            }
            Challenge::new("Digest", params)
        };
        self.config.algorithms.iter().map(challenge).collect()
    }

    /// Verifies one set of credentials, and gives the user name. `secret_of` looks up a user's secret for an algorithm.
    ///
    /// # Errors
    ///
    /// Why they are refused. A count is used up only by credentials that are right otherwise.
    pub fn verify(
        &mut self,
        now: Time,
        credentials: &Credentials,
        request: Signed<'_>,
        secret_of: impl FnOnce(&str, Algorithm) -> Option<Secret>,
    ) -> Result<String, Refusal> {
        let value = |name: &str| credentials.value(name).ok_or(Refusal::NotOurs);
        let algorithm = Algorithm::from_param(credentials.value("algorithm")).ok_or(Refusal::NotOurs)?;
        let known = self
            .config
            .algorithms
            .iter()
            .any(|offered| offered.base() == algorithm.base());
        if !credentials.is_digest() || value("realm")? != self.config.realm || !known {
            return Err(Refusal::NotOurs);
        }
        let (username, nonce, uri, response) = (
            value("username")?,
            value("nonce")?,
            value("uri")?,
            value("response")?,
        );
        let qop = match credentials.value("qop") {
            None => None,
            Some(qop) => {
                let chosen = Qop::choose(qop).filter(|qop| *qop == Qop::Auth || self.config.integrity);
                let count = u32::from_str_radix(value("nc")?, 16).map_err(|_| Refusal::NotOurs)?;
                Some((chosen.ok_or(Refusal::NotOurs)?, count, value("cnonce")?))
            }
        };
        match self.nonces.judge(now, nonce) {
            Verdict::Fresh => {}
            Verdict::Expired => return Err(Refusal::Stale),
            // After a restart of ours all nonces are unknown: no reason to doubt the password.
            Verdict::Foreign => return Err(Refusal::Stale),
        }
        if uri != request.uri {
            return Err(Refusal::OtherUri);
        }
        let proof = Proof {
            algorithm,
            username,
            realm: &self.config.realm,
            nonce,
            qop,
            cnonce: credentials.value("cnonce").unwrap_or_default(),
            method: request.method,
            uri,
            body: request.body,
        };
        let secret = secret_of(username, algorithm.base()).ok_or(Refusal::Wrong)?;
        let expected = proof.response(&secret).ok_or(Refusal::Wrong)?;
        if !equal(expected.as_bytes(), response.to_ascii_lowercase().as_bytes()) {
            return Err(Refusal::Wrong);
        }
        // Without qop there is no count: the nonce's lifetime is the only guard (RFC 2069).
        if let Some((_, count, _)) = qop
            && !self.nonces.count(now, nonce, count)
        {
            return Err(Refusal::Replayed);
        }
        Ok(username.to_owned())
    }
}

/// What the credentials of a request protect.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its Request-URI as written.
    pub uri: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

/// Compares in a time that does not tell how far they agree.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}
