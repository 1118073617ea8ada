//! Percent-escapes in URIs (RFC 3261 §19.1.2, RFC 3986 §2.1).

use std::borrow::Cow;

use smol_str::{SmolStr, SmolStrBuilder};

use crate::grammar;

/// Whether every `%` is followed by two hexadecimal digits.
pub(super) fn is_well_escaped(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(at) = grammar::find_byte(b'%', rest) {
        match rest.get(at + 1..at + 3) {
            Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = &rest[at + 3..]
            }
            _ => return false,
        }
    }
    true
}

/// `text` with its escapes resolved. An escape that is none stays; bytes that are no UTF-8 become U+FFFD.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match escaped_byte(&bytes[at..]) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(
        String::from_utf8(plain).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
    )
}

/// The byte that an escape at the start of `bytes` stands for.
pub(super) fn escaped_byte(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(*high)? * 16 + digit(*low)?)
}

/// RFC 3261 §25.1: user = 1*( unreserved / escaped / user-unreserved ), user-unreserved = "&" / "=" / "+" / "$" / "," / ";" / "?" / "/"
pub(super) fn escape_user(text: &str) -> SmolStr {
    escape(text, |b| {
        is_unreserved(b) || matches!(b, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/')
    })
}

/// RFC 3261 §25.1: hnv-unreserved = "[" / "]" / "/" / "?" / ":" / "+" / "$"
pub(super) fn escape_header(text: &str) -> SmolStr {
    escape(text, |b| {
        is_unreserved(b) || matches!(b, b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$')
    })
}

fn escape(text: &str, plain: impl Fn(u8) -> bool) -> SmolStr {
    if text.bytes().all(&plain) {
        return SmolStr::new(text);
    }
    let mut escaped = SmolStrBuilder::new();
    for byte in text.bytes() {
        if plain(byte) {
            escaped.push(char::from(byte));
        } else {
            let digit = |d: u8| char::from(b"0123456789ABCDEF"[usize::from(d)]);
            escaped.push('%');
            escaped.push(digit(byte >> 4));
            escaped.push(digit(byte & 15));
        }
    }
    escaped.finish()
}

/// RFC 3261 §25.1: unreserved = alphanum / mark
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')'
        )
}
