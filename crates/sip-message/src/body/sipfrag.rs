//! `message/sipfrag` (RFC 3420): the part of a message that a NOTIFY of a REFER reports.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::limits::Limits;
use crate::message::{Message, ParseError};
use crate::method::Method;
use crate::uri::Uri;

/// A fragment of a message: a start line, header fields, both, or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sipfrag {
    message: Message,
    has_start: bool,
}

/// Why a body is no fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is no fragment of a SIP message: {0}")]
pub struct SipfragError(ParseError);

impl Sipfrag {
    /// Parses a body. RFC 3420 §2: every part of the message is optional.
    ///
    /// # Errors
    ///
    /// When the first line is neither a start line nor a header, or a limit is exceeded.
    pub fn parse(body: &Bytes, limits: &Limits) -> Result<Sipfrag, SipfragError> {
        match Message::parse(body.clone(), limits) {
            Ok(message) => Ok(Sipfrag {
                message,
                has_start: true,
            }),
            Err(ParseError::StartLine) if begins_with_header(body) => {
                let mut whole = BytesMut::from(&b"SIP/2.0 100 \r\n"[..]);
                whole.extend_from_slice(body);
                let message = Message::parse(whole.freeze(), limits).map_err(SipfragError)?;
                Ok(Sipfrag {
                    message,
                    has_start: false,
                })
            }
            Err(error) => Err(SipfragError(error)),
        }
    }

    /// The status line that a NOTIFY reports (RFC 3515 §2.4.5): `SIP/2.0 200 OK`.
    pub fn status_line(status: u16, reason: &str) -> Bytes {
        let reason: String = reason
            .chars()
            .map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c })
            .collect();
        Bytes::from(format!("SIP/2.0 {:03} {reason}\r\n", status.clamp(100, 999)))
    }

    /// The status, when the fragment begins with a status line.
    pub fn status(&self) -> Option<u16> {
        self.message.status().filter(|_| self.has_start)
    }

    /// The reason phrase, when the fragment begins with a status line.
    pub fn reason_phrase(&self) -> Option<Cow<'_, str>> {
        self.message.reason_phrase().filter(|_| self.has_start)
    }

    /// Method and URI, when the fragment begins with a request line.
    pub fn request(&self) -> Option<(Method, Uri)> {
        Some((self.message.method()?, self.message.request_uri().ok()?)).filter(|_| self.message.is_request())
    }

    /// The header fields of the fragment.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.message.all_headers()
    }
}

fn begins_with_header(body: &[u8]) -> bool {
    let line = body.split(|b| *b == b'\n').next().unwrap_or_default();
    let name = line
        .split(|b| *b == b':')
        .next()
        .unwrap_or_default()
        .trim_ascii_end();
    name.len() < line.len() && std::str::from_utf8(name).is_ok_and(crate::grammar::is_token)
}
