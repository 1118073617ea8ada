//! How messages find their transaction (RFC 3261 §17.1.3, §17.2.3).

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use callwright_sip_message::{Message, Method, Via};

/// RFC 3261 §8.1.1.7: what begins every branch of RFC 3261.
const MAGIC_COOKIE: &str = "z9hG4bK";

/// The branch of a request of ours: it names the place of its transaction, so that no table has to be searched, and 64
/// random bits, so that nobody can guess it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Branch {
    pub(crate) index: u32,
    pub(crate) nonce: u64,
}

impl Branch {
    /// Reads a branch that this core wrote; `None` for any other.
    pub(crate) fn parse(text: &str) -> Option<Branch> {
        let digits = text.strip_prefix(MAGIC_COOKIE)?;
        if digits.len() < 17
            || !digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return None;
        }
        let (nonce, index) = digits.split_at(16);
        Some(Branch {
            index: u32::from_str_radix(index, 16).ok()?,
            nonce: u64::from_str_radix(nonce, 16).ok()?,
        })
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAGIC_COOKIE}{:016x}{:x}", self.nonce, self.index)
    }
}

/// The keys by which a request finds its server transaction.
///
/// They are keyed hashes of what RFC 3261 §17.2.3 compares: 64 bits, under a secret that no peer knows, so that nobody can
/// make two requests meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerKey(pub(crate) u64);

/// Makes [`ServerKey`]s.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerKeys {
    pub(crate) secret: u64,
}

impl ServerKeys {
    /// The transaction of a request with this method: its own, for ACK the INVITE's. With CANCEL the caller asks for
    /// `INVITE` to find what is to be cancelled (RFC 3261 §9.2).
    pub(crate) fn transaction(&self, message: &Message, via: &Via, method: &Method) -> ServerKey {
        let method = if *method == Method::Ack {
            &Method::Invite
        } else {
            method
        };
        let mut hasher = self.hasher();
        match via.branch() {
            Some(branch) if branch.starts_with(MAGIC_COOKIE) => {
                // RFC 3261 §17.2.3: branch, sent-by, method.
                branch.hash(&mut hasher);
                via.port_or_default().hash(&mut hasher);
                match via.host.ip() {
                    Some(ip) => ip.hash(&mut hasher),
                    None => via.host.to_string().to_ascii_lowercase().hash(&mut hasher),
                }
            }
            _ => {
                // RFC 3261 §17.2.3: a client of RFC 2543: Request-URI, From tag, Call-ID, CSeq number, top Via. The To tag
                // is left out, since the ACK has the one of our response; nothing else tells it from its INVITE.
                message
                    .request_uri()
                    .ok()
                    .map(|uri| uri.to_string())
                    .hash(&mut hasher);
                message.from_tag().hash(&mut hasher);
                message.call_id().ok().hash(&mut hasher);
                message.cseq().ok().map(|cseq| cseq.number).hash(&mut hasher);
                via.hash(&mut hasher);
            }
        }
        method.as_str().hash(&mut hasher);
        ServerKey(hasher.finish())
    }

    /// What two copies of one request have in common that came by different ways (RFC 3261 §8.2.2.2); `None` inside
    /// dialogs, where it means nothing.
    pub(crate) fn merge(&self, message: &Message) -> Option<ServerKey> {
        if message.to_tag().is_some() {
            return None;
        }
        let mut hasher = self.hasher();
        message.from_tag().hash(&mut hasher);
        message.call_id().ok()?.hash(&mut hasher);
        let cseq = message.cseq().ok()?;
        cseq.number.hash(&mut hasher);
        cseq.method.as_str().hash(&mut hasher);
        Some(ServerKey(hasher.finish()))
    }

    fn hasher(&self) -> DefaultHasher {
        // `DefaultHasher::new` has a fixed key: the secret comes first.
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.secret);
        hasher
    }
}
