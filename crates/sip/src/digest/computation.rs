//! The hashes of RFC 7616 §3.4.

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

use super::password::Password;

/// A hash algorithm, the weakest first. With `-sess`, A1 takes nonce and cnonce in (RFC 7616 §3.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `MD5`
    Md5,
    /// `MD5-sess`
    Md5Sess,
    /// `SHA-256`
    Sha256,
    /// `SHA-256-sess`
    Sha256Sess,
    /// `SHA-512-256`
    Sha512Trunc256,
    /// `SHA-512-256-sess`
    Sha512Trunc256Sess,
}

impl Algorithm {
    const ALL: [Algorithm; 6] = [
        Algorithm::Md5,
        Algorithm::Md5Sess,
        Algorithm::Sha256,
        Algorithm::Sha256Sess,
        Algorithm::Sha512Trunc256,
        Algorithm::Sha512Trunc256Sess,
    ];

    /// The token on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
            Algorithm::Sha512Trunc256 => "SHA-512-256",
            Algorithm::Sha512Trunc256Sess => "SHA-512-256-sess",
        }
    }

    /// Reads the `algorithm` parameter, in any case; without one it is MD5 (RFC 7616 §3.3). `None`: not known here.
    pub fn from_param(value: Option<&str>) -> Option<Algorithm> {
        let Some(value) = value else {
            return Some(Algorithm::Md5);
        };
        Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(value))
    }

    /// The algorithm without `-sess`: what a stored HA1 was made with.
    pub const fn base(self) -> Algorithm {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess => Algorithm::Md5,
            Algorithm::Sha256 | Algorithm::Sha256Sess => Algorithm::Sha256,
            Algorithm::Sha512Trunc256 | Algorithm::Sha512Trunc256Sess => Algorithm::Sha512Trunc256,
        }
    }

    const fn is_session(self) -> bool {
        matches!(
            self,
            Algorithm::Md5Sess | Algorithm::Sha256Sess | Algorithm::Sha512Trunc256Sess
        )
    }

    /// H(parts joined by colons), as lower-case hex.
    fn hash(self, parts: &[&[u8]]) -> String {
        match self.base() {
            Algorithm::Sha256 | Algorithm::Sha256Sess => joined::<Sha256>(parts),
            Algorithm::Sha512Trunc256 | Algorithm::Sha512Trunc256Sess => joined::<Sha512_256>(parts),
            Algorithm::Md5 | Algorithm::Md5Sess => joined::<Md5>(parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn joined<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hasher = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

/// Quality of protection (RFC 7616 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// `auth`: the method and the URI are protected.
    Auth,
    /// `auth-int`: the body is too.
    AuthInt,
}

impl Qop {
    /// The token on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }

    /// The best of a challenge's list: `auth` where it is offered, since proxies may change bodies.
    pub(super) fn choose(offered: &str) -> Option<Qop> {
        let offers = |wanted: Qop| {
            offered
                .split(',')
                .any(|token| token.trim().eq_ignore_ascii_case(wanted.as_str()))
        };
        [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| offers(*qop))
    }
}

/// What proves who somebody is.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password in the clear.
    Password(Password),
    /// H(username:realm:password) as hex, for one algorithm (RFC 7616 §3.4.2).
    Ha1 {
        /// Without `-sess`.
        algorithm: Algorithm,
        /// Lower-case hex.
        hash: String,
    },
}

impl Secret {
    /// True when a response by this algorithm can be made from it.
    pub(super) fn proves(&self, algorithm: Algorithm) -> bool {
        match self {
            Secret::Password(_) => true,
            Secret::Ha1 { algorithm: of, .. } => of.base() == algorithm.base(),
        }
    }

    /// H(username:realm:password) for one algorithm: all that a server needs to keep (RFC 7616 §3.4.2).
    pub fn ha1(algorithm: Algorithm, username: &str, realm: &str, password: &str) -> Secret {
        let algorithm = algorithm.base();
        Secret::Ha1 {
            algorithm,
            hash: algorithm.hash(&[username.as_bytes(), realm.as_bytes(), password.as_bytes()]),
        }
    }
}

impl fmt::Debug for Secret {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Password(_) => f.write_str("Password(…)"),
            Secret::Ha1 { algorithm, .. } => write!(f, "Ha1({algorithm}, …)"),
        }
    }
}

/// Everything that goes into a digest response.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The hash.
    pub algorithm: Algorithm,
    /// The user, without quotes.
    pub username: &'a str,
    /// The realm, without quotes.
    pub realm: &'a str,
    /// The server's nonce.
    pub nonce: &'a str,
    /// With a `qop`: which, the nonce count, the client's nonce. `None` as in RFC 2069.
    pub qop: Option<(Qop, u32, &'a str)>,
    /// The client's nonce for `-sess` where there is no `qop`.
    pub cnonce: &'a str,
    /// The method of the request.
    pub method: &'a str,
    /// The `uri` parameter: the Request-URI.
    pub uri: &'a str,
    /// The body, which `auth-int` protects.
    pub body: &'a [u8],
}

impl Proof<'_> {
    /// The `response` parameter (RFC 7616 §3.4.1); `None` when the secret is of another algorithm.
    pub fn response(&self, secret: &Secret) -> Option<String> {
        let h = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let ha1 = match secret {
            Secret::Password(password) => h(&[
                self.username.as_bytes(),
                self.realm.as_bytes(),
                password.reveal().as_bytes(),
            ]),
            Secret::Ha1 { algorithm, hash } if algorithm.base() == self.algorithm.base() => {
                hash.to_ascii_lowercase()
            }
            Secret::Ha1 { .. } => return None,
        };
        let cnonce = self.qop.map_or(self.cnonce, |(_, _, cnonce)| cnonce);
        // RFC 7616 §3.4.2: A1 of a session.
        let ha1 = if self.algorithm.is_session() {
            h(&[ha1.as_bytes(), self.nonce.as_bytes(), cnonce.as_bytes()])
        } else {
            ha1
        };
        // RFC 7616 §3.4.3: A2.
        let ha2 = match self.qop {
            Some((Qop::AuthInt, _, _)) => h(&[
                self.method.as_bytes(),
                self.uri.as_bytes(),
                h(&[self.body]).as_bytes(),
            ]),
            Some((Qop::Auth, _, _)) | None => h(&[self.method.as_bytes(), self.uri.as_bytes()]),
        };
        Some(match self.qop {
            Some((qop, count, cnonce)) => h(&[
                ha1.as_bytes(),
                self.nonce.as_bytes(),
                format!("{count:08x}").as_bytes(),
                cnonce.as_bytes(),
                qop.as_str().as_bytes(),
                ha2.as_bytes(),
            ]),
            // RFC 3261 §22.4, 6: without qop as in RFC 2069.
            None => h(&[ha1.as_bytes(), self.nonce.as_bytes(), ha2.as_bytes()]),
        })
    }
}
