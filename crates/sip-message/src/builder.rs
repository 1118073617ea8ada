//! Writing messages.

mod write;

use std::fmt::Display;
use std::io::Write as _;

use bytes::Bytes;
use smol_str::SmolStr;

use crate::grammar;
use crate::message::{Message, Span, StartLine, unfold};
use crate::method::Method;
use crate::name::HeaderName;
use crate::uri::Uri;

/// Why a message was not built as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A line end or NUL in a header value, reason phrase or URI would begin a header of the writer's choice.
    #[error("{place} has a line end or a NUL in it; to send that on purpose use a raw message")]
    Injection {
        /// `the value of Subject`, `the request-URI`, …
        place: String,
    },
    /// The name of a header or method that is no token.
    #[error("`{name}` cannot be the name of a header or method; to send that on purpose use a raw message")]
    Name {
        /// The name as given.
        name: String,
    },
}

/// Whether a text can stand in a header: no CR, LF or NUL.
///
/// # Errors
///
/// When it cannot; ask this where text comes from outside.
pub fn check_value(name: &HeaderName, value: &str) -> Result<(), BuildError> {
    if is_clean(value.as_bytes()) {
        return Ok(());
    }
    Err(BuildError::Injection {
        place: format!("the value of {name}"),
    })
}

fn is_clean(bytes: &[u8]) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, bytes).is_none()
}

/// Collects the parts of a message; [`Builder::finish`] writes it.
///
/// CR, LF and NUL in any part never reach the wire: [`Builder::try_finish`] refuses, [`Builder::finish`] has blanks in their place.
#[derive(Debug, Clone)]
pub struct Builder {
    first: First,
    /// The texts that `fields` and `first` point into.
    arena: Vec<u8>,
    fields: Vec<Draft>,
    body: Bytes,
    refused: Option<BuildError>,
}

#[derive(Debug, Clone)]
enum First {
    Request(Method, Span),
    Response(u16, Span),
}

#[derive(Debug, Clone)]
struct Draft {
    name: HeaderName,
    value: Span,
}

impl Builder {
    /// A request.
    pub fn request(method: Method, uri: &Uri) -> Builder {
        let mut builder = Builder::empty();
        let uri = builder.keep(uri, || "the request-URI".to_owned());
        let method = match method {
            Method::Other(name) => Method::from(builder.token(name).as_str()),
            registered => registered,
        };
        builder.first = First::Request(method, uri);
        builder
    }

    /// A response. `status` is 100 to 999.
    pub fn response(status: u16, reason: &str) -> Builder {
        let mut builder = Builder::empty();
        let reason = builder.keep(reason, || "the reason phrase".to_owned());
        builder.first = First::Response(status.clamp(100, 999), reason);
        builder
    }

    /// A response to a request (RFC 3261 §8.2.6.2): every Via, From, To, Call-ID and CSeq are copied; Timestamp into a 100
    /// (§8.2.6.1); Record-Route when the response can make a dialog (§12.1.1). The tag of To is the caller's to set:
    /// [`Builder::to_tag`].
    pub fn response_to(request: &Message, status: u16, reason: &str) -> Builder {
        let mut builder = Builder::response(status, reason);
        // RFC 3261 §12.1.1, RFC 6665 §4.2.2, RFC 3515: INVITE, SUBSCRIBE and REFER make dialogs.
        let dialog = [Method::Invite, Method::Subscribe, Method::Refer]
            .iter()
            .any(|m| request.is_request_of(m));
        let names = [
            (HeaderName::Via, true),
            (HeaderName::RecordRoute, dialog && (101..300).contains(&status)),
            (HeaderName::From, true),
            (HeaderName::To, true),
            (HeaderName::CallId, true),
            (HeaderName::CSeq, true),
            (HeaderName::Timestamp, status == 100),
        ];
        for (name, _) in names.into_iter().filter(|(_, wanted)| *wanted) {
            builder.copy(request, &name);
        }
        builder
    }

    pub(crate) fn of(message: &Message) -> Builder {
        let mut builder = match message.start() {
            StartLine::Request { method, uri } => {
                let mut builder = Builder::empty();
                let uri = builder.keep_copied(uri.as_bytes());
                builder.first = First::Request(method, uri);
                builder
            }
            StartLine::Response { status, reason } => {
                let mut builder = Builder::empty();
                let reason = builder.keep_copied(reason.as_bytes());
                builder.first = First::Response(status, reason);
                builder
            }
            StartLine::Neither => Builder::response(500, ""),
        };
        for field in message
            .index()
            .fields
            .iter()
            .filter(|field| !field.name.is_empty())
        {
            let value = builder.keep_copied(&message.raw()[field.value.range()]);
            builder.fields.push(Draft {
                name: message.name_of(field),
                value,
            });
        }
        builder.body = message.body();
        builder
    }

    /// Appends a header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<HeaderName>, value: impl Display) -> Builder {
        let draft = self.draft(name.into(), value);
        self.fields.push(draft);
        self
    }

    /// Puts a header field before all others of its name, or at the end when there is none: a new top Via or Route.
    #[must_use]
    pub fn push_front(mut self, name: impl Into<HeaderName>, value: impl Display) -> Builder {
        let draft = self.draft(name.into(), value);
        let at = self
            .fields
            .iter()
            .position(|field| field.name == draft.name)
            .unwrap_or(self.fields.len());
        self.fields.insert(at, draft);
        self
    }

    /// Replaces all fields of that name by one, at the place of the first; appends it when there is none.
    #[must_use]
    pub fn set(mut self, name: impl Into<HeaderName>, value: impl Display) -> Builder {
        let draft = self.draft(name.into(), value);
        let at = self
            .fields
            .iter()
            .position(|field| field.name == draft.name)
            .unwrap_or(self.fields.len());
        self.fields.retain(|field| field.name != draft.name);
        self.fields.insert(at, draft);
        self
    }

    /// Removes all fields of that name.
    #[must_use]
    pub fn remove(mut self, name: impl Into<HeaderName>) -> Builder {
        let name = name.into();
        self.fields.retain(|field| field.name != name);
        self
    }

    /// Removes the first field of that name, with all of its elements.
    #[must_use]
    pub fn remove_first(mut self, name: impl Into<HeaderName>) -> Builder {
        let name = name.into();
        if let Some(at) = self.fields.iter().position(|field| field.name == name) {
            self.fields.remove(at);
        }
        self
    }

    /// Appends every field of that name of another message.
    #[must_use]
    pub fn copy_from(mut self, message: &Message, name: impl Into<HeaderName>) -> Builder {
        self.copy(message, &name.into());
        self
    }

    /// Sets the tag of To, when To has none and can be read.
    #[must_use]
    #[expect(clippy::wrong_self_convention, reason = "To is the header")]
    pub fn to_tag(self, tag: &str) -> Builder {
        let to = self.fields.iter().find(|field| field.name == HeaderName::To);
        let to = to.and_then(|field| std::str::from_utf8(&self.arena[field.value.range()]).ok());
        match to.and_then(|text| text.parse::<crate::NameAddr>().ok()) {
            Some(to) if to.tag().is_none() => self.set(HeaderName::To, to.with_tag(tag)),
            _ => self,
        }
    }

    /// Sets the request-URI; does nothing to a response.
    #[must_use]
    pub fn request_uri(mut self, uri: &Uri) -> Builder {
        if let First::Request(method, _) = &self.first {
            let method = method.clone();
            let uri = self.keep(uri, || "the request-URI".to_owned());
            self.first = First::Request(method, uri);
        }
        self
    }

    /// Sets Content-Type and the body.
    #[must_use]
    pub fn body(self, content_type: impl Display, body: impl Into<Bytes>) -> Builder {
        let mut builder = self.set(HeaderName::ContentType, content_type);
        builder.body = body.into();
        builder
    }

    /// Removes the body and the headers that describe it.
    #[must_use]
    pub fn without_body(mut self) -> Builder {
        self.body = Bytes::new();
        self.remove(HeaderName::ContentType)
            .remove(HeaderName::ContentDisposition)
            .remove(HeaderName::ContentEncoding)
    }

    /// Writes the message, Content-Length last.
    ///
    /// # Errors
    ///
    /// When any part had a line end or NUL, or a name was no token.
    pub fn try_finish(self) -> Result<Message, BuildError> {
        match self.refused {
            Some(error) => Err(error),
            None => Ok(self.finish()),
        }
    }

    /// Writes the message, Content-Length last; blanks where a line end or NUL was.
    pub fn finish(self) -> Message {
        write::message(&self)
    }

    fn empty() -> Builder {
        Builder {
            first: First::Response(500, Span::default()),
            arena: Vec::with_capacity(512),
            fields: Vec::with_capacity(16),
            body: Bytes::new(),
            refused: None,
        }
    }

    fn copy(&mut self, message: &Message, name: &HeaderName) {
        for field in message
            .index()
            .fields
            .iter()
            .filter(|field| message.has_name(field, name))
        {
            let value = self.keep_copied(&message.raw()[field.value.range()]);
            self.fields.push(Draft {
                name: name.clone(),
                value,
            });
        }
    }

    fn draft(&mut self, name: HeaderName, value: impl Display) -> Draft {
        let value = self.keep(value, || format!("the value of {name}"));
        let name = match name {
            HeaderName::Other(text) => HeaderName::Other(self.token(text)),
            known => known,
        };
        Draft { name, value }
    }

    /// The name itself, or one with dashes in place of what a token cannot have, noted as refused.
    fn token(&mut self, name: SmolStr) -> SmolStr {
        if grammar::is_token(&name) {
            return name;
        }
        let token = |c: char| {
            if grammar::is_token(c.encode_utf8(&mut [0; 4])) {
                c
            } else {
                '-'
            }
        };
        let written = name
            .chars()
            .map(token)
            .chain(name.is_empty().then_some('-'))
            .collect();
        self.refuse(BuildError::Name {
            name: name.to_string(),
        });
        written
    }

    /// Writes a value into the arena, and notes it when it is not clean.
    fn keep(&mut self, value: impl Display, place: impl FnOnce() -> String) -> Span {
        let start = self.arena.len();
        // Writing to memory cannot fail, and a `Display` that fails of itself leaves what it wrote.
        let _ = write!(self.arena, "{value}");
        if !is_clean(&self.arena[start..]) {
            self.refuse(BuildError::Injection { place: place() });
            blank_out(&mut self.arena[start..]);
        }
        Span::new(start, self.arena.len())
    }

    /// Writes bytes of another message into the arena; folded lines become one.
    fn keep_copied(&mut self, value: &[u8]) -> Span {
        let start = self.arena.len();
        if memchr::memchr(b'\n', value).is_some() {
            self.arena.extend_from_slice(&unfold(value));
        } else {
            self.arena.extend_from_slice(value);
        }
        // A NUL stays: what is copied must compare equal to what was sent.
        for byte in &mut self.arena[start..] {
            if *byte == b'\r' {
                *byte = b' ';
            }
        }
        Span::new(start, self.arena.len())
    }

    fn refuse(&mut self, error: BuildError) {
        self.refused.get_or_insert(error);
    }
}

fn blank_out(bytes: &mut [u8]) {
    if is_clean(bytes) {
        return;
    }
    for byte in bytes {
        if matches!(byte, b'\r' | b'\n' | 0) {
            *byte = b' ';
        }
    }
}
