//! Who a request is from: digest (RFC 3261 §22, RFC 7616, RFC 8760).

use callwright_sip::command::Headers;
use callwright_sip::digest::{Algorithm, Refusal, Secret, Server, ServerConfig, Signed};
use callwright_sip_message::{HeaderName, Message, StartLine};
use callwright_wire::{Entropy, Time};

use crate::config::{ALGORITHMS, Config, is_for};

/// Challenges, and what of them was answered.
#[derive(Debug)]
pub(crate) struct Challenger {
    server: Server,
    entropy: Entropy,
    /// Compared against where there is no such user: the same work, and never right.
    nobody: [Secret; 2],
}

/// Why a request is not taken for anybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unproven {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    /// What was wrong with credentials, where there were some.
    pub(crate) refusal: Option<Refusal>,
}

impl Challenger {
    pub(crate) fn new(config: &Config) -> Challenger {
        let mut entropy = config.nonce_seed.stream();
        let realm = config.domain.to_string();
        let server = ServerConfig {
            algorithms: config.digest.clone(),
            nonce_lifetime: config.nonce_lifetime,
            remembered_nonces: config.limits.nonces,
            ..ServerConfig::new(realm.clone())
        };
        let password = entropy.token(24);
        Challenger {
            server: Server::new(server, &mut entropy),
            nobody: ALGORITHMS.map(|algorithm| Secret::ha1(algorithm, "", &realm, &password)),
            entropy,
        }
    }

    /// The user that a request proves to be from. `secrets_of` knows the users.
    pub(crate) fn user_of<'a>(
        &mut self,
        now: Time,
        message: &Message,
        secrets_of: impl Fn(&str) -> Option<&'a [Secret]>,
    ) -> Result<String, Unproven> {
        let StartLine::Request { method, uri, .. } = message.start() else {
            return Err(self.challenge(now, None));
        };
        let body = message.body();
        let signed = Signed {
            method: method.as_str(),
            uri: &uri,
            body: &body,
        };
        let mut refusal = None;
        let all = message.credentials(HeaderName::Authorization);
        for credentials in all.into_iter().filter_map(Result::ok) {
            // RFC 7616 §3.4: a client that was offered qop uses it; without it there is no count to tell a replay by.
            if credentials.value("qop").is_none() {
                continue;
            }
            let nobody = &self.nobody;
            let secret_of = |name: &str, algorithm: Algorithm| {
                let secrets = secrets_of(name).unwrap_or(nobody);
                secrets.iter().find(|secret| is_for(secret, algorithm)).cloned()
            };
            match self.server.verify(now, &credentials, signed, secret_of) {
                Ok(user) => return Ok(user),
                Err(Refusal::NotOurs) => {}
                Err(other) => refusal = Some(other),
            }
        }
        if refusal == Some(Refusal::OtherUri) {
            // RFC 7616 §3.4.6: a `uri` that is not that of the request.
            return Err(Unproven {
                status: 400,
                headers: Headers::new(),
                refusal,
            });
        }
        Err(self.challenge(now, refusal))
    }

    /// RFC 8760 §2.4: one challenge for each algorithm, the most wanted first.
    fn challenge(&mut self, now: Time, refusal: Option<Refusal>) -> Unproven {
        let stale = refusal.is_some_and(Refusal::is_stale);
        let challenges = self.server.challenges(now, stale, &mut self.entropy);
        let headers = challenges
            .iter()
            .map(|challenge| (HeaderName::WwwAuthenticate, challenge.to_string()))
            .collect();
        Unproven {
            status: 401,
            headers,
            refusal,
        }
    }
}
