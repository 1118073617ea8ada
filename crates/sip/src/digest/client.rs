//! The client's side (RFC 3261 §22.1 to §22.3, RFC 7616 §3.4, RFC 8760 §2).

use callwright_sip_message::header::{AuthParams, AuthenticationInfo};
use callwright_sip_message::{Challenge, Credentials, HeaderName, Message, Method};
use callwright_wire::Entropy;

use super::computation::{Algorithm, Proof, Qop, Secret};

/// A user name and its secret. The name need not be the user of any address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The realm that it is for; `None`: any.
    pub realm: Option<String>,
    /// The user name in the credentials.
    pub username: String,
    /// What proves it.
    pub secret: Secret,
}

/// Why a challenge cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The same server refused what it had just asked for.
    #[error("realm \"{realm}\" refused the credentials of {username}: is the password right?")]
    Rejected {
        /// The realm.
        realm: String,
        /// The user name that was sent.
        username: String,
    },
    /// It keeps calling its own nonces stale.
    #[error("realm \"{realm}\" calls every nonce stale, its own new ones too")]
    AlwaysStale {
        /// The realm.
        realm: String,
    },
    /// No account fits.
    #[error("realm \"{realm}\" asks for credentials, and there are none for it")]
    NoAccount {
        /// The realm.
        realm: String,
    },
    /// The challenge asks for what is not known here: a scheme, an algorithm, a qop.
    #[error("realm \"{realm}\" asks for {wanted}, which is not supported")]
    Unsupported {
        /// The realm.
        realm: String,
        /// What it wants.
        wanted: String,
    },
    /// One request was challenged again and again, in realm after realm.
    #[error("the request was sent with credentials {attempts} times, and is asked for others each time")]
    TooMany {
        /// How often it was sent.
        attempts: u8,
    },
    /// A 401 or 407 without a challenge that can be read.
    #[error("the {status} has no readable challenge")]
    NoChallenge {
        /// The status.
        status: u16,
    },
}

/// Who asks: the server itself, or a proxy on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Server,
    Proxy,
}

impl Asker {
    const fn challenge_header(self) -> HeaderName {
        match self {
            Asker::Server => HeaderName::WwwAuthenticate,
            Asker::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    const fn credentials_header(self) -> HeaderName {
        match self {
            Asker::Server => HeaderName::Authorization,
            Asker::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

/// A challenge that is being answered, for as long as its nonce lives.
#[derive(Clone, Debug)]
struct Session {
    asker: Asker,
    /// Whether a registrar asked. What it was given goes to it alone: a proxy of the same realm asks by itself, and a
    /// needless Authorization makes each INVITE too large for a datagram (RFC 3261 §18.1.1).
    registrar: bool,
    realm: String,
    account: usize,
    algorithm: Algorithm,
    /// Whether the challenge named its algorithm: only then the credentials do, as some servers want it.
    algorithm_named: bool,
    qop: Option<Qop>,
    nonce: String,
    opaque: Option<String>,
    cnonce: String,
    count: u32,
    /// True when this nonce answers a `stale=true`.
    renewed: bool,
}

/// How many realms are remembered at once: a peer can name new ones for ever.
const REMEMBERED_REALMS: usize = 16;

/// Answers challenges for one party. It remembers nonces: requests after the first carry credentials at once.
#[derive(Clone, Debug, Default)]
pub struct Client {
    accounts: Vec<Account>,
    sessions: Vec<Session>,
}

impl Client {
    /// A client with these accounts; the first one that fits a realm is used, those of a named realm before the others.
    pub const fn new(accounts: Vec<Account>) -> Client {
        Client {
            accounts,
            sessions: Vec::new(),
        }
    }

    /// Takes the challenges of a 401 or 407 to `request`. `Ok`: send the request again, with a higher CSeq and what
    /// [`Client::authorize`] says.
    ///
    /// # Errors
    ///
    /// When it makes no sense to try again.
    pub fn challenged(
        &mut self,
        request: &Message,
        response: &Message,
        entropy: &mut Entropy,
    ) -> Result<(), AuthError> {
        let mut answerable = false;
        let mut failure = None;
        // RFC 3261 §22.3: a forking proxy can gather challenges of both kinds in one response.
        for asker in [Asker::Server, Asker::Proxy] {
            let challenges: Vec<Challenge> = response
                .challenges(asker.challenge_header())
                .into_iter()
                .filter_map(Result::ok)
                .collect();
            for (at, challenge) in challenges.iter().enumerate() {
                let realm = challenge.value("realm").unwrap_or_default();
                let seen = challenges[..at]
                    .iter()
                    .any(|earlier| earlier.value("realm").unwrap_or_default() == realm);
                if seen {
                    continue;
                }
                let of_realm = challenges
                    .iter()
                    .filter(|c| c.value("realm").unwrap_or_default() == realm);
                match self.take(asker, realm, of_realm, request, entropy) {
                    Ok(()) => answerable = true,
                    Err(error @ (AuthError::Rejected { .. } | AuthError::AlwaysStale { .. })) => {
                        return Err(error);
                    }
                    Err(error) => failure = Some(error),
                }
            }
        }
        let status = response.status().unwrap_or_default();
        if answerable {
            Ok(())
        } else {
            Err(failure.unwrap_or(AuthError::NoChallenge { status }))
        }
    }

    fn take<'a>(
        &mut self,
        asker: Asker,
        realm: &str,
        challenges: impl Iterator<Item = &'a Challenge>,
        request: &Message,
        entropy: &mut Entropy,
    ) -> Result<(), AuthError> {
        let secret = self.account_for(realm).map(|at| &self.accounts[at].secret);
        let (challenge, algorithm, qop) = strongest(realm, challenges, secret)?;
        let nonce = challenge.value("nonce").unwrap_or_default().to_owned();
        let stale = challenge
            .value("stale")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let account = self.account_for(realm).ok_or_else(|| AuthError::NoAccount {
            realm: realm.to_owned(),
        })?;
        let sent = sent_credentials(request, asker, realm);
        let registrar = asker == Asker::Server && request.method() == Some(Method::Register);
        let at = self.sessions.iter().position(|session| {
            session.asker == asker && session.registrar == registrar && session.realm == realm
        });
        if let Some(sent) = &sent {
            let session = at.map(|at| &self.sessions[at]);
            // A nonce that had served before may have expired, whether the server says so or not; one that was refused at its
            // first use was not at fault. Another nonce than the session's was replaced while this request was under way.
            let served_before = session
                .is_none_or(|session| session.nonce != sent.nonce || sent.count.unwrap_or(session.count) > 1);
            if stale && session.is_some_and(|session| session.renewed) && !served_before {
                return Err(AuthError::AlwaysStale {
                    realm: realm.to_owned(),
                });
            }
            if !stale && !served_before {
                let username = self.accounts[account].username.clone();
                return Err(AuthError::Rejected {
                    realm: realm.to_owned(),
                    username,
                });
            }
        }
        let session = Session {
            asker,
            registrar,
            realm: realm.to_owned(),
            account,
            algorithm,
            algorithm_named: challenge.value("algorithm").is_some(),
            qop,
            nonce,
            opaque: challenge.value("opaque").map(str::to_owned),
            cnonce: entropy.token(20),
            count: 0,
            renewed: stale && sent.is_some(),
        };
        match at {
            Some(at) => self.sessions[at] = session,
            None => {
                if self.sessions.len() >= REMEMBERED_REALMS {
                    self.sessions.remove(0);
                }
                self.sessions.push(session);
            }
        }
        Ok(())
    }

    fn account_for(&self, realm: &str) -> Option<usize> {
        let named = self
            .accounts
            .iter()
            .position(|account| account.realm.as_deref() == Some(realm));
        named.or_else(|| self.accounts.iter().position(|account| account.realm.is_none()))
    }

    /// The header fields that authorize a request: one for each realm that has asked so far, none before any did. Each call
    /// counts the nonces up (`nc`), so call it once for each request that leaves. `uri` is the Request-URI as written.
    pub fn authorize(&mut self, method: &str, uri: &str, body: &[u8]) -> Vec<(HeaderName, Credentials)> {
        let accounts = &self.accounts;
        let registering = method == "REGISTER";
        self.sessions
            .iter_mut()
            .filter(|session| session.asker == Asker::Proxy || session.registrar == registering)
            .filter_map(|session| {
                let credentials = session.credentials(&accounts[session.account], method, uri, body)?;
                Some((session.asker.credentials_header(), credentials))
            })
            .collect()
    }

    /// Takes what a 2xx says about the next nonce (RFC 7616 §3.5, `nextnonce`).
    pub fn accepted(&mut self, response: &Message) {
        let Ok(Some(AuthenticationInfo(info))) = response.typed::<AuthenticationInfo>() else {
            return;
        };
        let Some(next) = info.value("nextnonce") else {
            return;
        };
        let registering = response.method() == Some(Method::Register);
        if let Some(session) = self
            .sessions
            .iter_mut()
            .find(|session| session.asker == Asker::Server && session.registrar == registering)
        {
            next.clone_into(&mut session.nonce);
            session.count = 0;
        }
    }

    /// True once a server asked: then [`Client::authorize`] has something to say.
    pub const fn has_sessions(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// Forgets all nonces: the next request leaves without credentials.
    pub fn forget(&mut self) {
        self.sessions.clear();
    }
}

impl Session {
    fn credentials(
        &mut self,
        account: &Account,
        method: &str,
        uri: &str,
        body: &[u8],
    ) -> Option<Credentials> {
        self.count = self.count.saturating_add(1);
        let proof = Proof {
            algorithm: self.algorithm,
            username: &account.username,
            realm: &self.realm,
            nonce: &self.nonce,
            qop: self.qop.map(|qop| (qop, self.count, self.cnonce.as_str())),
            cnonce: &self.cnonce,
            method,
            uri,
            body,
        };
        let response = proof.response(&account.secret)?;
        let mut params = AuthParams::default()
            .with_quoted("username", &account.username)
            .with_quoted("realm", &self.realm)
            .with_quoted("nonce", &self.nonce)
            .with_quoted("uri", uri)
            .with_quoted("response", &response);
        if self.algorithm_named {
            params = params.with_token("algorithm", self.algorithm.as_str());
        }
        if self.qop.is_some() || self.algorithm != self.algorithm.base() {
            params = params.with_quoted("cnonce", &self.cnonce);
        }
        if let Some(opaque) = &self.opaque {
            params = params.with_quoted("opaque", opaque);
        }
        if let Some(qop) = self.qop {
            params = params
                .with_token("qop", qop.as_str())
                .with_token("nc", &format!("{:08x}", self.count));
        }
        Some(Credentials::new("Digest", params))
    }
}

/// The challenge of a realm that is answered: the strongest algorithm that is known here (RFC 8760 §2.3), and that the secret can
/// prove.
fn strongest<'a>(
    realm: &str,
    challenges: impl Iterator<Item = &'a Challenge>,
    secret: Option<&Secret>,
) -> Result<(&'a Challenge, Algorithm, Option<Qop>), AuthError> {
    let mut best: Option<(&Challenge, Algorithm, Option<Qop>)> = None;
    let mut wanted = String::from("no scheme");
    for challenge in challenges {
        if !challenge.is_digest() {
            wanted = format!("the scheme {}", challenge.scheme());
            continue;
        }
        let Some(algorithm) = Algorithm::from_param(challenge.value("algorithm")) else {
            wanted = format!(
                "the algorithm {}",
                challenge.value("algorithm").unwrap_or_default()
            );
            continue;
        };
        if secret.is_some_and(|secret| !secret.proves(algorithm)) {
            wanted = format!("the algorithm {algorithm}, and the secret is a hash of another");
            continue;
        }
        let offered = challenge
            .value("qop")
            .filter(|offered| !offered.trim().is_empty());
        let qop = offered.map(Qop::choose);
        let qop = match qop {
            Some(None) => {
                wanted = format!("qop {}", offered.unwrap_or_default());
                continue;
            }
            Some(chosen) => chosen,
            None => None,
        };
        if best.is_none_or(|(_, of_best, _)| algorithm > of_best) {
            best = Some((challenge, algorithm, qop));
        }
    }
    best.ok_or_else(|| AuthError::Unsupported {
        realm: realm.to_owned(),
        wanted,
    })
}

struct SentCredentials {
    nonce: String,
    /// The nonce count, where there is a `qop`.
    count: Option<u32>,
}

/// What the refused request said to this realm.
fn sent_credentials(request: &Message, asker: Asker, realm: &str) -> Option<SentCredentials> {
    let all = request.credentials(asker.credentials_header());
    let ours = all
        .into_iter()
        .filter_map(Result::ok)
        .find(|credentials| credentials.value("realm") == Some(realm))?;
    let count = ours
        .value("nc")
        .and_then(|count| u32::from_str_radix(count, 16).ok());
    Some(SentCredentials {
        nonce: ours.value("nonce").unwrap_or_default().to_owned(),
        count,
    })
}
