//! The text that a builder collects: lines appended, spliced, and put in order.

use std::fmt::{self, Display, Write as _};
use std::ops::Range;

use bytes::Bytes;

use super::{BuildError, Builder, is_clean};
use crate::message::{Field, Message, Span, Start, unfold};
use crate::method::Method;
use crate::name::{HeaderName, NameId};
use crate::short_text::ShortText;

impl Builder {
    pub(super) fn empty() -> Builder {
        Builder {
            start: Start::Neither,
            text: Vec::with_capacity(512),
            fields: Vec::with_capacity(16),
            scattered: false,
            body: Bytes::new(),
            refused: None,
        }
    }

    /// Writes the first line of a request; `write` writes the request-URI.
    pub(super) fn start_request(&mut self, method: Method, write: impl FnOnce(&mut Builder) -> Span) {
        self.text.extend_from_slice(method.as_str().as_bytes());
        self.text.push(b' ');
        let uri = write(self);
        self.text.extend_from_slice(b" SIP/2.0\r\n");
        let version = Span::new(self.text.len() - 9, self.text.len() - 2);
        self.start = Start::Request {
            method,
            uri,
            version,
            exact: true,
        };
    }

    /// Writes the first line of a response; `write` writes the reason phrase.
    pub(super) fn start_response(&mut self, status: u16, write: impl FnOnce(&mut Builder) -> Span) {
        self.text.extend_from_slice(b"SIP/2.0 ");
        self.text
            .extend_from_slice(ShortText::of(usize::from(status)).as_str().as_bytes());
        self.text.push(b' ');
        let reason = write(self);
        self.text.extend_from_slice(b"\r\n");
        self.start = Start::Response {
            version: Span::new(0, 7),
            status,
            reason,
        };
    }

    /// Appends every field of that name of another message.
    pub(super) fn copy(&mut self, message: &Message, name: &HeaderName) {
        let id = name.id();
        for field in message.index().fields.iter().filter(|field| field.id == id) {
            if id != NameId::OTHER || message.has_name(field, name) {
                self.copy_line(name, &message.raw()[field.value.range()]);
            }
        }
    }

    /// Appends a line with a value of another message.
    pub(super) fn copy_line(&mut self, name: &HeaderName, value: &[u8]) {
        let line = self.name(name);
        let value = self.copied(value);
        let field = self.end_line(name, line, value.range().start);
        self.fields.push(field);
    }

    /// Appends bytes of another message; folded lines become one.
    pub(super) fn copied(&mut self, value: &[u8]) -> Span {
        let start = self.text.len();
        if memchr::memchr2(b'\r', b'\n', value).is_none() {
            self.text.extend_from_slice(value);
        } else {
            self.text.extend_from_slice(&unfold(value));
            // A NUL stays: what is copied must compare equal to what was sent.
            for byte in self.text[start..].iter_mut().filter(|byte| **byte == b'\r') {
                *byte = b' ';
            }
        }
        Span::new(start, self.text.len())
    }

    /// Writes a line at the end of the text; its place in the message is the caller's to give.
    pub(super) fn line(&mut self, name: HeaderName, value: impl Display) -> Field {
        let name = match name {
            HeaderName::Other(text) => HeaderName::Other(self.token(text)),
            known => known,
        };
        let line = self.name(&name);
        let value = self.keep(value, || format!("the value of {name}"));
        self.end_line(&name, line, value.range().start)
    }

    fn name(&mut self, name: &HeaderName) -> usize {
        let line = self.text.len();
        self.text.extend_from_slice(name.as_str().as_bytes());
        self.text.extend_from_slice(b": ");
        line
    }

    /// Ends the line that began at `line`, whose value began at `value`: the field that it is.
    fn end_line(&mut self, name: &HeaderName, line: usize, value: usize) -> Field {
        let kept = self.text[value..].trim_ascii_end().len();
        self.text.truncate(value + kept);
        let blank = kept - self.text[value..].trim_ascii_start().len();
        if blank > 0 {
            self.text.drain(value..value + blank);
        }
        let field = Field {
            id: name.id(),
            folded: false,
            name: Span::new(line, value - 2),
            value: Span::new(value, self.text.len()),
        };
        self.text.extend_from_slice(b"\r\n");
        field
    }

    /// Writes a value at the end of the text, and notes it when it is not clean.
    pub(super) fn keep(&mut self, value: impl Display, place: impl FnOnce() -> String) -> Span {
        let start = self.text.len();
        // Writing to memory cannot fail, and a `Display` that fails of itself leaves what it wrote.
        let _ = write!(Appended(&mut self.text), "{value}");
        if !is_clean(&self.text[start..]) {
            self.refuse(BuildError::Injection { place: place() });
            for byte in &mut self.text[start..] {
                if matches!(byte, b'\r' | b'\n' | 0) {
                    *byte = b' ';
                }
            }
        }
        Span::new(start, self.text.len())
    }

    /// The place of the first field of that name, or the end.
    pub(super) fn position(&self, name: &HeaderName) -> usize {
        self.fields
            .iter()
            .position(|field| self.is_named(field, name))
            .unwrap_or(self.fields.len())
    }

    /// Writes a field and puts it at a place.
    pub(super) fn place(&mut self, at: usize, name: HeaderName, value: impl Display) {
        let field = self.line(name, value);
        self.scattered |= at < self.fields.len();
        self.fields.insert(at, field);
    }

    /// Drops every field of that name.
    pub(super) fn drop_all(&mut self, name: &HeaderName) {
        let first = self.position(name);
        if first == self.fields.len() {
            return;
        }
        let mut fields = std::mem::take(&mut self.fields);
        fields.retain(|field| !self.is_named(field, name));
        self.fields = fields;
        self.scattered = true;
    }

    fn is_named(&self, field: &Field, name: &HeaderName) -> bool {
        let id = name.id();
        field.id == id
            && (id != NameId::OTHER
                || self.text[field.name.range()].eq_ignore_ascii_case(name.as_str().as_bytes()))
    }

    /// Replaces a part of the text inside one line, and moves what is behind it; gives the end of the new part.
    pub(super) fn splice(&mut self, old: Range<usize>, new: &[u8]) -> usize {
        let (at, end) = (old.end, old.start + new.len());
        self.text.splice(old, new.iter().copied());
        let moved = |place: usize| if place > at { place - at + end } else { place };
        for field in &mut self.fields {
            let (name, value) = (field.name.range(), field.value.range());
            field.name = Span::new(moved(name.start), moved(name.end));
            field.value = Span::new(moved(value.start), moved(value.end));
        }
        end
    }

    /// Writes the text anew, with the lines of the message alone and in their order.
    pub(super) fn gather(&mut self) {
        let mut text = Vec::with_capacity(self.text.len() + self.body.len() + 32);
        let first = memchr::memchr(b'\n', &self.text).map_or(self.text.len(), |at| at + 1);
        text.extend_from_slice(&self.text[..first]);
        for field in &mut self.fields {
            let (name, value) = (field.name.range(), field.value.range());
            let at = text.len();
            text.extend_from_slice(&self.text[name.start..value.end]);
            text.extend_from_slice(b"\r\n");
            field.name = Span::new(at, at + name.len());
            field.value = Span::new(at + value.start - name.start, at + value.end - name.start);
        }
        self.text = text;
        self.scattered = false;
    }
}

/// Appends what is formatted to bytes.
struct Appended<'a>(&'a mut Vec<u8>);

impl fmt::Write for Appended<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
