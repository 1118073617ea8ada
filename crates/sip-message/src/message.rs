//! A request or a response: its bytes, and an index of where its parts are.

mod index;
mod typed;
mod values;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::builder::Builder;
use crate::grammar::SyntaxError;
use crate::limits::{LimitExceeded, Limits};
use crate::method::Method;
use crate::name::{HeaderName, NameId};
use crate::uri::Uri;

pub(crate) use index::{Field, Index, Span, Start, find_head_end};
pub use values::{Fields, Values};

/// A SIP message, parsed or built. A clone shares the bytes and the index.
#[derive(Clone)]
pub struct Message {
    raw: Bytes,
    index: Arc<Index>,
}

/// The first line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request (RFC 3261 §7.1).
    Request {
        /// The method.
        method: Method,
        /// The request-URI as on the wire; [`Message::request_uri`] parses it.
        uri: Cow<'a, str>,
    },
    /// A response (RFC 3261 §7.2).
    Response {
        /// The status code, 100 to 999.
        status: u16,
        /// The reason phrase; bytes that are no UTF-8 become U+FFFD.
        reason: Cow<'a, str>,
    },
    /// Bytes that are no SIP message; only [`Message::from_raw`] makes such.
    Neither,
}

/// Why bytes are not taken for a SIP message at all. Nothing can be answered to such bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// There is nothing but line ends.
    #[error("there is no start line: the datagram is empty")]
    Empty,
    /// The first line is neither a request line nor a status line.
    #[error("the first line is neither a request line nor a status line of SIP")]
    StartLine,
    /// The status of a response is not three digits from 100 to 999.
    #[error("the status code of the response is not a number from 100 to 999")]
    StatusCode,
    /// A limit is exceeded.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl Message {
    /// Where the start line begins: line ends before it are ignored (RFC 3261 §7.5). `None` where there is nothing else.
    pub fn start_of(bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// Parses a datagram (RFC 3261 §18.3): what follows the body that Content-Length announces is cut off. A body shorter than
    /// announced is kept and reported by [`Message::validate`], so that a request can still be answered with 400.
    ///
    /// # Errors
    ///
    /// When the first line is not one of SIP, or a limit is exceeded; any other fault is left to [`Message::validate`].
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Message, ParseError> {
        let lead = Message::start_of(&bytes).ok_or(ParseError::Empty)?;
        let mut raw = bytes;
        raw.advance(lead);
        let (mut index, length) = Index::parse(&raw, limits)?;
        raw.truncate(length);
        index.read_text(&raw);
        Ok(Message {
            raw,
            index: Arc::new(index),
        })
    }

    /// Holds any bytes, legal or not, without cutting anything off: a message to be sent exactly as it is.
    pub fn from_raw(bytes: Bytes) -> Message {
        let index = Index::of_anything(&bytes);
        Message::from_parts(bytes, index)
    }

    /// Bytes and index that were made together.
    pub(crate) fn from_parts(raw: Bytes, mut index: Index) -> Message {
        index.read_text(&raw);
        Message {
            raw,
            index: Arc::new(index),
        }
    }

    /// The bytes of the message, from the first of the start line to the last of the body.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The first line.
    pub fn start(&self) -> StartLine<'_> {
        match &self.index.start {
            Start::Request { method, uri, .. } => StartLine::Request {
                method: method.clone(),
                uri: self.text(*uri),
            },
            Start::Response { status, reason, .. } => StartLine::Response {
                status: *status,
                reason: self.text(*reason),
            },
            Start::Neither => StartLine::Neither,
        }
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.index.start, Start::Request { .. })
    }

    /// Whether it is a response.
    pub fn is_response(&self) -> bool {
        matches!(self.index.start, Start::Response { .. })
    }

    /// The method of a request; of a response, that of its CSeq, when it has a readable one.
    pub fn method(&self) -> Option<Method> {
        match &self.index.start {
            Start::Request { method, .. } => Some(method.clone()),
            Start::Response { .. } => self.cseq().ok().map(|cseq| cseq.method),
            Start::Neither => None,
        }
    }

    /// Whether it is a request with this method.
    pub fn is_request_of(&self, method: &Method) -> bool {
        matches!(&self.index.start, Start::Request { method: m, .. } if m == method)
    }

    /// The status code of a response, 100 to 999.
    pub fn status(&self) -> Option<u16> {
        match self.index.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } | Start::Neither => None,
        }
    }

    /// The reason phrase of a response.
    pub fn reason_phrase(&self) -> Option<Cow<'_, str>> {
        match self.index.start {
            Start::Response { reason, .. } => Some(self.text(reason)),
            Start::Request { .. } | Start::Neither => None,
        }
    }

    /// The request-URI.
    ///
    /// # Errors
    ///
    /// When it is malformed, or the message is no request.
    pub fn request_uri(&self) -> Result<Uri, SyntaxError> {
        match self.index.start {
            Start::Request { uri, .. } => self.text(uri).parse(),
            Start::Response { .. } | Start::Neither => Err(SyntaxError {
                expected: "a request",
                at: 0,
            }),
        }
    }

    /// The body: all that follows the empty line. Shares the bytes of the message.
    pub fn body(&self) -> Bytes {
        self.raw.slice(self.index.body_start()..)
    }

    /// The start line and header fields, without the empty line and the body; bytes that are no UTF-8 become U+FFFD.
    pub fn head(&self) -> Cow<'_, str> {
        self.text(Span::new(0, self.index.body_start()))
    }

    /// A builder with the content of this message, to change some of it. Content-Length is written anew, header fields without
    /// a colon are left out.
    pub fn to_builder(&self) -> Builder {
        Builder::of(self)
    }

    /// The first field of that name: its value on one line, trimmed. Bytes that are no UTF-8 become U+FFFD;
    /// [`Message::header_bytes`] has them as they are.
    pub fn header(&self, name: impl Into<HeaderName>) -> Option<Cow<'_, str>> {
        self.first(&name.into())
    }

    /// The value of the first field of that name as on the wire, trimmed; it may have folded lines.
    pub fn header_bytes(&self, name: impl Into<HeaderName>) -> Option<&[u8]> {
        let field = self.first_field(&name.into())?;
        Some(&self.raw[field.value.range()])
    }

    /// Whether there is a field of that name.
    pub fn has_header(&self, name: impl Into<HeaderName>) -> bool {
        self.first_field(&name.into()).is_some()
    }

    /// The values of all fields of that name in order, one a field.
    pub fn headers(&self, name: impl Into<HeaderName>) -> Fields<'_> {
        Fields::new(self, name.into())
    }

    /// The comma-separated elements of all fields of that name in order, trimmed. For headers whose grammar is a list; a Date
    /// or a Subject would be torn apart.
    pub fn values(&self, name: impl Into<HeaderName>) -> Values<'_> {
        Values::new(self.headers(name))
    }

    /// All header fields in order: the name as spelled, and the value on one line. A line without a colon has an empty name.
    pub fn all_headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.index
            .fields
            .iter()
            .map(|field| (self.text(field.name), self.value(field)))
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn has_name(&self, field: &Field, name: &HeaderName) -> bool {
        self.is_named(field, name.id(), name)
    }

    fn first_field(&self, name: &HeaderName) -> Option<&Field> {
        let id = name.id();
        let mut fields = self.index.fields.iter();
        if id == NameId::OTHER {
            return fields.find(|field| self.is_named(field, id, name));
        }
        fields.find(|field| field.id == id)
    }

    /// The value of the first field of that name.
    fn first(&self, name: &HeaderName) -> Option<Cow<'_, str>> {
        self.first_field(name).map(|field| self.value(field))
    }

    /// [`Message::has_name`] with the id of the name at hand.
    fn is_named(&self, field: &Field, id: NameId, name: &HeaderName) -> bool {
        field.id == id
            && (id != NameId::OTHER
                || field.is_unknown()
                    && self.raw[field.name.range()].eq_ignore_ascii_case(name.as_str().as_bytes()))
    }

    /// The name of a field.
    pub(crate) fn name_of(&self, field: &Field) -> HeaderName {
        field
            .id
            .known()
            .unwrap_or_else(|| HeaderName::Other(self.text(field.name).into()))
    }

    pub(crate) fn text(&self, span: Span) -> Cow<'_, str> {
        match self.index.text(span) {
            Some(text) => Cow::Borrowed(text),
            None => String::from_utf8_lossy(&self.raw[span.range()]),
        }
    }

    /// The value of a field on one line.
    pub(crate) fn value(&self, field: &Field) -> Cow<'_, str> {
        if !field.folded {
            return self.text(field.value);
        }
        let unfolded = unfold(&self.raw[field.value.range()]);
        Cow::Owned(String::from_utf8_lossy(&unfolded).into_owned())
    }
}

/// RFC 3261 §7.3.1: a line end followed by white space is the same as a single blank.
pub(crate) fn unfold(value: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = value.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).collect();
    lines.join(&b' ')
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self
            .raw
            .split(|b| matches!(b, b'\r' | b'\n'))
            .next()
            .unwrap_or_default();
        write!(
            f,
            "Message({}, {} bytes)",
            String::from_utf8_lossy(first),
            self.raw.len()
        )
    }
}

impl fmt::Display for Message {
    /// The message as text, for people: as on the wire but for bytes that are no UTF-8.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.raw))
    }
}

impl PartialEq for Message {
    /// Whether the bytes are the same.
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for Message {}
