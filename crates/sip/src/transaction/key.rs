//! How messages find their transaction (RFC 3261 §17.1.3, §17.2.3).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;

use callwright_sip_message::{HeaderName, Message, Method, Via};

/// RFC 3261 §8.1.1.7: what begins every branch of RFC 3261.
const MAGIC_COOKIE: &str = "z9hG4bK";

/// The branch of a request of ours: it names the place of its transaction, so that no table has to be searched, and 64
/// random bits, so that nobody can guess it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Branch {
    pub(crate) index: u32,
    pub(crate) nonce: u64,
}

/// Hex digits of the index, then of the nonce.
const DIGITS: usize = 24;

impl Branch {
    /// The branch in a Via value, if this core wrote it.
    pub(crate) fn in_via(value: &[u8]) -> Option<Branch> {
        let branch = value.split(|byte| *byte == b';').find_map(|param| {
            let (name, text) = param.split_at_checked(7)?;
            name.eq_ignore_ascii_case(b"branch=").then_some(text)
        })?;
        let digits: &[u8; DIGITS] = branch.strip_prefix(MAGIC_COOKIE.as_bytes())?.try_into().ok()?;
        let mut number = 0_u128;
        for digit in digits {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            number = number << 4 | u128::from(value);
        }
        Some(Branch {
            index: (number >> 64) as u32,
            nonce: number as u64,
        })
    }

    /// The branch as it stands in Via.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC_COOKIE.as_bytes());
        let number = u128::from(self.index) << 64 | u128::from(self.nonce);
        for place in (0..DIGITS).rev() {
            out.push(b"0123456789abcdef"[(number >> (4 * place)) as usize & 15]);
        }
    }
}

/// The keys by which a request finds its server transaction.
///
/// They are keyed hashes of what RFC 3261 §17.2.3 compares: 64 bits, under a secret that no peer knows, so that nobody can
/// make two requests meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerKey(NonZeroU64);

impl ServerKey {
    fn of(hasher: &DefaultHasher) -> ServerKey {
        ServerKey(NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN))
    }

    pub(crate) const fn get(self) -> u64 {
        self.0.get()
    }
}

/// What a response copies of a request (RFC 3261 §8.2.6.2), to tell whether another request has the same: as [`ServerKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CopiedKey(u64);

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
            // RFC 4475 §3.2.1: the cookie alone tells nothing apart.
            Some(branch) if branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE) => {
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
        ServerKey::of(&hasher)
    }

    /// What two copies of one request have in common that came by different ways (RFC 3261 §8.2.2.2); `None` inside
    /// dialogs, where it means nothing.
    pub(crate) fn merge(&self, message: &Message) -> Option<ServerKey> {
        if tag(message.header_bytes(HeaderName::To)?).is_some() {
            return None;
        }
        let mut hasher = self.hasher();
        tag(message.header_bytes(HeaderName::From)?).hash(&mut hasher);
        message.header_bytes(HeaderName::CallId)?.hash(&mut hasher);
        message.header_bytes(HeaderName::CSeq)?.hash(&mut hasher);
        Some(ServerKey::of(&hasher))
    }

    /// From, To, Call-ID and CSeq as they stand in a request.
    pub(crate) fn copied(&self, request: &Message) -> CopiedKey {
        let mut hasher = self.hasher();
        for name in [
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            request.header_bytes(name).hash(&mut hasher);
        }
        CopiedKey(hasher.finish())
    }

    fn hasher(&self) -> DefaultHasher {
        // `DefaultHasher::new` has a fixed key: the secret comes first.
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.secret);
        hasher
    }
}

/// The tag in a From or To, as it stands there. What is before a `>` is no parameter of the header field.
pub(crate) fn tag(value: &[u8]) -> Option<&[u8]> {
    let from = value
        .iter()
        .rposition(|byte| *byte == b'>')
        .map_or(0, |at| at + 1);
    value[from..]
        .split(|byte| *byte == b';')
        .skip(1)
        .find_map(|param| {
            let (name, text) = param.trim_ascii().split_at_checked(4)?;
            (name.eq_ignore_ascii_case(b"tag=") && !text.is_empty()).then_some(text)
        })
}
