//! Writing messages.

mod lines;

use std::fmt::Display;

use bytes::Bytes;
use smol_str::SmolStr;

use crate::grammar;
use crate::message::{Field, Index, Message, Span, Start, StartLine};
use crate::method::Method;
use crate::name::HeaderName;
use crate::short_text::ShortText;
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
    start: Start,
    /// The start line, then every header line, each with its end: mostly the head of the message already.
    text: Vec<u8>,
    /// Where the lines of the message are in `text`, in their order.
    fields: Vec<Field>,
    /// Whether `text` has other lines than those of `fields`, or has them in another order.
    scattered: bool,
    body: Bytes,
    refused: Option<BuildError>,
}

impl Builder {
    /// A request.
    pub fn request(method: Method, uri: &Uri) -> Builder {
        let mut builder = Builder::empty();
        let method = match method {
            Method::Other(name) => Method::from(builder.token(name).as_str()),
            registered => registered,
        };
        builder.start_request(method, |builder| {
            builder.keep(uri, || "the request-URI".to_owned())
        });
        builder
    }

    /// A response. `status` is 100 to 999.
    pub fn response(status: u16, reason: &str) -> Builder {
        let mut builder = Builder::empty();
        builder.start_response(status.clamp(100, 999), |builder| {
            builder.keep(reason, || "the reason phrase".to_owned())
        });
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
        let mut builder = Builder::empty();
        match message.start() {
            StartLine::Request { method, uri } => {
                builder.start_request(method, |builder| builder.copied(uri.as_bytes()));
            }
            StartLine::Response { status, reason } => {
                builder.start_response(status, |builder| builder.copied(reason.as_bytes()));
            }
            StartLine::Neither => builder.start_response(500, |builder| builder.copied(b"")),
        }
        for field in message
            .index()
            .fields
            .iter()
            .filter(|field| !field.name.is_empty())
        {
            let name = message.name_of(field);
            builder.copy_line(&name, &message.raw()[field.value.range()]);
        }
        builder.body = message.body();
        builder
    }

    /// Appends a header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<HeaderName>, value: impl Display) -> Builder {
        let field = self.line(name.into(), value);
        self.fields.push(field);
        self
    }

    /// Puts a header field before all others of its name, or at the end when there is none: a new top Via or Route.
    #[must_use]
    pub fn push_front(mut self, name: impl Into<HeaderName>, value: impl Display) -> Builder {
        let name = name.into();
        let at = self.position(&name);
        self.place(at, name, value);
        self
    }

    /// Replaces all fields of that name by one, at the place of the first; appends it when there is none.
    #[must_use]
    pub fn set(mut self, name: impl Into<HeaderName>, value: impl Display) -> Builder {
        let name = name.into();
        let at = self.position(&name);
        self.drop_all(&name);
        self.place(at, name, value);
        self
    }

    /// Removes all fields of that name.
    #[must_use]
    pub fn remove(mut self, name: impl Into<HeaderName>) -> Builder {
        self.drop_all(&name.into());
        self
    }

    /// Removes the first field of that name, with all of its elements.
    #[must_use]
    pub fn remove_first(mut self, name: impl Into<HeaderName>) -> Builder {
        let at = self.position(&name.into());
        if at < self.fields.len() {
            self.fields.remove(at);
            self.scattered = true;
        }
        self
    }

    /// Appends every field of that name of another message.
    #[must_use]
    pub fn copy_from(mut self, message: &Message, name: impl Into<HeaderName>) -> Builder {
        self.copy(message, &name.into());
        self
    }

    /// Sets the tag of To, when To has none.
    #[must_use]
    #[expect(clippy::wrong_self_convention, reason = "To is the header")]
    pub fn to_tag(mut self, tag: &str) -> Builder {
        let Some(at) = self
            .fields
            .iter()
            .position(|field| field.id == HeaderName::To.id())
        else {
            return self;
        };
        let value = self.fields[at].value.range();
        let Ok(text) = std::str::from_utf8(&self.text[value.clone()]) else {
            return self;
        };
        // What follows the last bracket are the parameters, unless one of them is a quoted string.
        match text.rsplit_once('>').map(|(_, params)| params) {
            Some(params) if !params.contains('"') && grammar::is_token(tag) => {
                let is_tag = |param: &str| {
                    let name = param.split('=').next().unwrap_or_default();
                    grammar::trim(name).eq_ignore_ascii_case("tag")
                };
                if !params.split(';').skip(1).any(is_tag) {
                    let line = self.splice(value.end..value.end, &[b";tag=", tag.as_bytes()].concat());
                    self.fields[at].value = Span::new(value.start, line);
                }
                self
            }
            Some(_) | None => match text.parse::<crate::NameAddr>() {
                Ok(to) if to.tag().is_none() => self.set(HeaderName::To, to.with_tag(tag)),
                Ok(_) | Err(_) => self,
            },
        }
    }

    /// Sets the request-URI; does nothing to a response.
    #[must_use]
    pub fn request_uri(mut self, uri: &Uri) -> Builder {
        if let Start::Request { uri: old, .. } = &self.start {
            let old = old.range();
            let mut new = Builder::empty();
            let written = new.keep(uri, || "the request-URI".to_owned());
            if let Some(error) = new.refused {
                self.refuse(error);
            }
            let end = self.splice(old.clone(), &new.text[written.range()]);
            if let Start::Request { uri, version, .. } = &mut self.start {
                *uri = Span::new(old.start, end);
                *version = Span::new(end + 1, end + 8);
            }
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
    pub fn finish(mut self) -> Message {
        self.drop_all(&HeaderName::ContentLength);
        if self.scattered {
            self.gather();
        }
        self.text.reserve(self.body.len() + 32);
        let length = ShortText::of(self.body.len());
        let length = self.line(HeaderName::ContentLength, length.as_str());
        self.fields.push(length);
        self.text.extend_from_slice(b"\r\n");
        let body = self.text.len();
        self.text.extend_from_slice(&self.body);
        Message::from_parts(
            Bytes::from(self.text),
            Index::built(self.start, self.fields, body),
        )
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

    fn refuse(&mut self, error: BuildError) {
        self.refused.get_or_insert(error);
    }
}
