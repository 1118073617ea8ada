//! What a datagram on a SIP port is, told by its first bytes.

use crate::limits::START_LINE;

/// The kind of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram {
    /// Its first line looks like one of SIP; [`Message::parse`](crate::Message::parse) decides.
    Sip,
    /// Nothing but line ends, blanks or NULs, or nothing at all: sent to keep a binding open.
    KeepAlive,
    /// The header of a STUN message (RFC 8489 §5, RFC 3489 §11.1).
    Stun,
    /// None of these.
    Garbage,
}

/// The kind of a datagram. Looks at its first line only, and at as much of that as the [default limit](crate::Limits::start_line)
/// allows.
pub fn classify(bytes: &[u8]) -> Datagram {
    let Some(start) = bytes
        .iter()
        .position(|b| !matches!(b, b'\r' | b'\n' | b' ' | b'\t' | 0))
    else {
        return if is_stun(bytes) {
            Datagram::Stun
        } else {
            Datagram::KeepAlive
        };
    };
    if is_stun(bytes) {
        return Datagram::Stun;
    }
    let text = &bytes[start..];
    let text = &text[..text.len().min(START_LINE)];
    let line = memchr::memchr(b'\n', text).map_or(text, |end| &text[..end]);
    if has_version(line) {
        Datagram::Sip
    } else {
        Datagram::Garbage
    }
}

/// RFC 8489 §5: two zero bits, a length that is a multiple of four, and the magic cookie; RFC 3489 had no cookie.
fn is_stun(bytes: &[u8]) -> bool {
    let [kind, _, high, low, cookie @ ..] = bytes else {
        return false;
    };
    let length = usize::from(*high) << 8 | usize::from(*low);
    let framed = kind & 0xc0 == 0 && length % 4 == 0 && bytes.len() == length + 20;
    framed && (cookie.starts_with(&[0x21, 0x12, 0xa4, 0x42]) || *kind <= 1)
}

fn has_version(line: &[u8]) -> bool {
    let at_start = line.len() > 4 && line[..4].eq_ignore_ascii_case(b"SIP/");
    at_start
        || memchr::memchr_iter(b' ', line)
            .any(|at| line[at + 1..].len() > 4 && line[at + 1..at + 5].eq_ignore_ascii_case(b"SIP/"))
}
