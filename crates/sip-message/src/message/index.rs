//! The index of a message, made in one pass over its head (RFC 3261 §7, §25.1 `SIP-message`).

use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;
use memchr::{memchr, memchr_iter};

use super::ParseError;
use crate::grammar;
use crate::limits::{Limits, within};
use crate::method::Method;
use crate::name::{HeaderName, NameId};

/// A range of bytes in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// `start..end`. A message of 4 GiB, where this would wrap, is refused before it is looked at.
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One header field: its name without the colon, and its value trimmed.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) id: NameId,
    /// Whether the value goes over several lines.
    pub(crate) folded: bool,
    /// Empty when the line has no colon; the value is the whole line then.
    pub(crate) name: Span,
    pub(crate) value: Span,
}

impl Field {
    pub(crate) fn is_unknown(&self) -> bool {
        self.id == NameId::OTHER && !self.name.is_empty()
    }

    /// RFC 3261 §7.3.1: a line that begins with a blank continues the field before it.
    fn fold(&mut self, line: Span) {
        self.folded = true;
        if self.value.is_empty() {
            self.value = line;
        } else if !line.is_empty() {
            self.value.end = line.end;
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Start {
    Request {
        method: Method,
        uri: Span,
        version: Span,
        /// Whether the line follows RFC 3261 §7.1 to the letter: two single blanks and no other.
        exact: bool,
    },
    Response {
        version: Span,
        status: u16,
        reason: Span,
    },
    Neither,
}

/// Where the parts of a message are.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) start: Start,
    pub(crate) fields: Vec<Field>,
    /// The offset of the body.
    body: u32,
    /// Whether an empty line ends the head.
    pub(crate) terminated: bool,
    /// Whether every line ends with CR LF.
    pub(crate) crlf: bool,
    /// The head as text, checked once; `None` when it is no UTF-8.
    text: Option<ByteString>,
}

impl Index {
    pub(crate) fn built(start: Start, fields: Vec<Field>, body: usize) -> Index {
        Index {
            start,
            fields,
            body: u32::try_from(body).unwrap_or(0),
            terminated: true,
            crlf: true,
            text: None,
        }
    }

    /// Checks whether the head is text.
    pub(super) fn read_text(&mut self, raw: &Bytes) {
        self.text = ByteString::try_from(raw.slice(..self.body_start())).ok();
    }

    /// A part of the head as text; `None` when the head is no UTF-8.
    pub(super) fn text(&self, span: Span) -> Option<&str> {
        self.text.as_ref()?.get(span.range())
    }

    pub(crate) fn body_start(&self) -> usize {
        self.body as usize
    }

    /// The index of the message at the start of `bytes`, and its length: what follows the body that Content-Length announces
    /// does not belong to it (RFC 3261 §18.3).
    pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<(Index, usize), ParseError> {
        let index = Index::scan(bytes, limits)?;
        let body_start = index.body_start();
        let mut end = bytes.len();
        if let Some(announced) = index.content_length(bytes) {
            end = end.min(body_start.saturating_add(announced));
        }
        within("body", limits.body, end - body_start)?;
        within("message", limits.message, end)?;
        Ok((index, end))
    }

    /// The index of any bytes; no fields when the first line is not one of SIP.
    pub(super) fn of_anything(bytes: &[u8]) -> Index {
        Index::scan(bytes, &Limits::NONE).unwrap_or_else(|_| Index {
            start: Start::Neither,
            fields: Vec::new(),
            body: 0,
            terminated: false,
            crlf: true,
            text: None,
        })
    }

    /// The first Content-Length that is a number.
    pub(super) fn content_length(&self, bytes: &[u8]) -> Option<usize> {
        let id = HeaderName::ContentLength.id();
        let mut values = self
            .fields
            .iter()
            .filter(|f| f.id == id)
            .map(|f| &bytes[f.value.range()]);
        values.find_map(grammar::number_of)
    }

    fn scan(bytes: &[u8], limits: &Limits) -> Result<Index, ParseError> {
        within("message", Limits::NONE.message, bytes.len())?;
        let mut lines = Lines {
            bytes,
            at: 0,
            crlf: true,
        };
        let first = lines.next().unwrap_or(0..0);
        within("start_line", limits.start_line, first.len())?;
        let start = parse_start(bytes, first)?;
        let mut fields: Vec<Field> = Vec::with_capacity(16);
        let mut terminated = false;
        let mut line_start = 0;
        while let Some(line) = lines.next() {
            within("head", limits.head, lines.at)?;
            if line.is_empty() {
                terminated = true;
                break;
            }
            if matches!(bytes[line.start], b' ' | b'\t')
                && let Some(last) = fields.last_mut()
            {
                within("header", limits.header, line.end - line_start)?;
                last.fold(trimmed(bytes, line));
            } else {
                line_start = line.start;
                within("header", limits.header, line.len())?;
                within("headers", limits.headers, fields.len() + 1)?;
                fields.push(parse_field(bytes, line));
            }
        }
        check_fields(bytes, &fields, limits)?;
        let body = lines.at as u32;
        Ok(Index {
            start,
            fields,
            body,
            terminated,
            crlf: lines.crlf,
            text: None,
        })
    }
}

fn check_fields(bytes: &[u8], fields: &[Field], limits: &Limits) -> Result<(), ParseError> {
    if fields.len() > limits.vias {
        let vias = fields.iter().filter(|field| field.id == HeaderName::Via.id());
        within("vias", limits.vias, vias.count())?;
    }
    // A short value cannot have too many.
    for field in fields.iter().filter(|field| field.value.len() > limits.params) {
        within(
            "params",
            limits.params,
            memchr_iter(b';', &bytes[field.value.range()]).count(),
        )?;
    }
    Ok(())
}

/// The lines of a head, without their ends. A line feed alone ends a line too.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    crlf: bool,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let rest = &self.bytes[start..];
        if rest.is_empty() {
            return None;
        }
        let Some(length) = memchr(b'\n', rest) else {
            self.at = self.bytes.len();
            return Some(start..self.at);
        };
        self.at = start + length + 1;
        if length > 0 && rest[length - 1] == b'\r' {
            return Some(start..start + length - 1);
        }
        self.crlf = false;
        Some(start..start + length)
    }
}

fn parse_field(bytes: &[u8], line: Range<usize>) -> Field {
    let text = &bytes[line.start..line.end];
    if let Some(colon) = grammar::find_byte(b':', text) {
        // RFC 3261 §25.1: HCOLON = *( SP / HTAB ) ":" SWS
        let name = trimmed_end(&text[..colon]);
        if !name.is_empty() {
            return Field {
                id: NameId::of(name),
                folded: false,
                name: Span::new(line.start, line.start + name.len()),
                value: trimmed(bytes, line.start + colon + 1..line.end),
            };
        }
    }
    Field {
        id: NameId::OTHER,
        folded: false,
        name: Span::default(),
        value: trimmed(bytes, line),
    }
}

fn trimmed(bytes: &[u8], range: Range<usize>) -> Span {
    let mut text = &bytes[range.start..range.end];
    while let [first, rest @ ..] = text
        && grammar::is_blank(*first)
    {
        text = rest;
    }
    let start = range.end - text.len();
    Span::new(start, start + trimmed_end(text).len())
}

fn trimmed_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text
        && grammar::is_blank(*last)
    {
        text = rest;
    }
    text
}

fn parse_start(bytes: &[u8], line: Range<usize>) -> Result<Start, ParseError> {
    let text = &bytes[line.clone()];
    if text.len() > 4 && text[..4].eq_ignore_ascii_case(b"SIP/") {
        return parse_status_line(text, line.start);
    }
    let kept = text.trim_ascii_end();
    let method_end = grammar::find_byte(b' ', kept).ok_or(ParseError::StartLine)?;
    let version_start = kept
        .iter()
        .rposition(|b| *b == b' ')
        .ok_or(ParseError::StartLine)?
        + 1;
    let (method, version) = (&kept[..method_end], &kept[version_start..]);
    if version.len() <= 4 || !version[..4].eq_ignore_ascii_case(b"SIP/") {
        return Err(ParseError::StartLine);
    }
    let method = std::str::from_utf8(method)
        .ok()
        .filter(|m| grammar::is_token(m))
        .ok_or(ParseError::StartLine)?;
    let uri = trimmed(text, method_end..version_start);
    if uri.is_empty() {
        return Err(ParseError::StartLine);
    }
    let exact = kept.len() == text.len()
        && uri.range() == (method_end + 1..version_start - 1)
        && !text[uri.range()].contains(&b' ');
    let at = line.start;
    Ok(Start::Request {
        method: Method::from(method),
        uri: Span::new(at + uri.range().start, at + uri.range().end),
        version: Span::new(at + version_start, at + kept.len()),
        exact,
    })
}

/// RFC 3261 §7.2: SIP-Version SP Status-Code SP Reason-Phrase; the second SP is often forgotten when there is no reason.
fn parse_status_line(text: &[u8], at: usize) -> Result<Start, ParseError> {
    let version_end = memchr(b' ', text).ok_or(ParseError::StartLine)?;
    let rest = text[version_end..].trim_ascii_start();
    let status_start = text.len() - rest.len();
    let status_end = status_start + memchr(b' ', rest).unwrap_or(rest.len());
    let status = &text[status_start..status_end];
    let status = std::str::from_utf8(status)
        .ok()
        .filter(|digits| digits.len() == 3)
        .and_then(grammar::number::<u16>);
    let status = status
        .filter(|status| *status >= 100)
        .ok_or(ParseError::StatusCode)?;
    let reason_start = (status_end + 1).min(text.len());
    Ok(Start::Response {
        version: Span::new(at, at + version_end),
        status,
        reason: Span::new(at + reason_start, at + text.len()),
    })
}

/// The offset after the empty line that ends the head, searched from `from` on.
pub(crate) fn find_head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr(b'\n', bytes.get(at..)?)? + 1;
        match bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}
