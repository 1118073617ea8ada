//! The bytes of a message, and its index made along the way.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Builder, First};
use crate::message::{Field, Index, Message, Span, Start};
use crate::name::{HeaderName, NameId};

/// Writes start line, fields, Content-Length and body.
pub(super) fn message(builder: &Builder) -> Message {
    let mut text =
        Vec::with_capacity(builder.arena.len() + builder.body.len() + builder.fields.len() * 24 + 64);
    let start = start_line(builder, &mut text);
    let mut fields = Vec::with_capacity(builder.fields.len() + 1);
    for draft in builder
        .fields
        .iter()
        .filter(|draft| draft.name != HeaderName::ContentLength)
    {
        fields.push(write_field(
            &mut text,
            &draft.name,
            &builder.arena[draft.value.range()],
        ));
    }
    let length = SmallText::of(builder.body.len());
    fields.push(write_field(
        &mut text,
        &HeaderName::ContentLength,
        length.as_bytes(),
    ));
    text.extend_from_slice(b"\r\n");
    let body = text.len();
    text.extend_from_slice(&builder.body);
    Message::from_parts(Bytes::from(text), Index::built(start, fields, body))
}

fn start_line(builder: &Builder, text: &mut Vec<u8>) -> Start {
    let start = match &builder.first {
        First::Request(method, uri) => {
            text.extend_from_slice(method.as_str().as_bytes());
            text.push(b' ');
            let uri_start = text.len();
            text.extend_from_slice(&builder.arena[uri.range()]);
            let uri = Span::new(uri_start, text.len());
            text.extend_from_slice(b" SIP/2.0");
            let version = Span::new(text.len() - 7, text.len());
            Start::Request {
                method: method.clone(),
                uri,
                version,
                exact: true,
            }
        }
        First::Response(status, reason) => {
            text.extend_from_slice(b"SIP/2.0 ");
            text.extend_from_slice(SmallText::of(usize::from(*status)).as_bytes());
            text.push(b' ');
            let reason_start = text.len();
            text.extend_from_slice(&builder.arena[reason.range()]);
            Start::Response {
                version: Span::new(0, 7),
                status: *status,
                reason: Span::new(reason_start, text.len()),
            }
        }
    };
    text.extend_from_slice(b"\r\n");
    start
}

fn write_field(text: &mut Vec<u8>, name: &HeaderName, value: &[u8]) -> Field {
    let name_start = text.len();
    text.extend_from_slice(name.as_str().as_bytes());
    let name_end = text.len();
    text.extend_from_slice(b": ");
    let value = value.trim_ascii();
    let value_start = text.len();
    text.extend_from_slice(value);
    let value = Span::new(value_start, text.len());
    text.extend_from_slice(b"\r\n");
    let id: NameId = name.id();
    Field {
        id,
        folded: false,
        name: Span::new(name_start, name_end),
        value,
    }
}

/// A number in decimal without an allocation.
struct SmallText {
    digits: SmallVec<[u8; 20]>,
}

impl SmallText {
    fn of(number: usize) -> SmallText {
        let mut text = SmallText {
            digits: SmallVec::new(),
        };
        // Writing to memory cannot fail.
        let _ = write!(text, "{number}");
        text
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits
    }
}

impl fmt::Write for SmallText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.digits.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
